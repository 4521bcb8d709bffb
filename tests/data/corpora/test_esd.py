import pytest

from tests.data.corpora.trees import by_name, empty, faults, fields, reasons, texts

ENGLISH = "The nine the eggs, I keep."


def test_esd_reads_both_layouts(tmp_path):
    root = tmp_path / "Emotion Speech Dataset"
    empty(
        root,
        "0011/Angry/train/0011_000351.wav",
        "0011/Surprise/evaluation/0011_001401.wav",
        "0016/Neutral/0016_000001.wav",
        "0002/Sad/test/0002_001400.wav",
    )
    found = by_name(f"esd:{tmp_path}")
    assert {name: (*fields(item), item.emotion) for name, item in found.items()} == {
        "esd/0011_000351": ("esd/0011", "male", "", "angry"),
        "esd/0011_001401": ("esd/0011", "male", "", "surprised"),
        "esd/0016_000001": ("esd/0016", "female", "", "neutral"),
        "esd/0002_001400": ("esd/0002", "female", "", "sad"),
    }
    assert {item.split for item in found.values()} == {""}
    assert reasons(f"esd:{tmp_path}") == {
        "SPEAKER.txt": "not there: of no utterance is the text known"
    }
    assert faults(f"esd:{tmp_path}") == []
    assert set(by_name(f"esd:{root}/0011/Angry")) == {"esd/0011_000351"}


@pytest.mark.parametrize(
    "speaker, sentence, emotion, encoding",
    [
        ("0001", "打远一看，它们的确很是美丽，", "中立", "gb2312"),
        ("0003", "打远一看，它们的确很是美丽，", "中立", "utf-16"),
        ("0012", "I don\u2019t know; caf\u00e9.", "Neutral", "utf-16"),
        ("0007", "打远一看，它们的确很是美丽，", "中立", "utf-16-le"),
        ("0011", "I don\u2019t know; caf\u00e9.", "Neutral", "utf-8"),
        ("0015", "I don\u2019t know; caf\u00e9.", "Neutral", "utf-8-sig"),
        ("0016", "I don\u2019t know; caf\u00e9.", "Neutral", "cp1252"),
        ("0017", "A caf\u00e9.", "Neutral", "latin-1"),
    ],
)
def test_esd_reads_transcripts_of_all_encodings(tmp_path, speaker, sentence, emotion, encoding):
    empty(tmp_path, f"{speaker}/Neutral/{speaker}_000001.wav")
    line = f"{speaker}_000001\t{sentence}\t{emotion}\r\n"
    (tmp_path / speaker / f"{speaker}.txt").write_bytes(line.encode(encoding))
    (item,) = by_name(f"esd:{tmp_path}").values()
    assert item.text == sentence
    assert reasons(f"esd:{tmp_path}") == {}


@pytest.mark.parametrize(
    "line",
    [
        f"0011_000351 {ENGLISH} Angry",
        f"0011_000351\t{ENGLISH} Angry",
        f"0011_000351 {ENGLISH}\tHapy",
        f"\n 0011_000351  {ENGLISH}   Surprise ",
        f"0011_000351\t{ENGLISH}",
    ],
)
def test_esd_reads_a_transcript_that_lacks_tabs(tmp_path, line):
    empty(tmp_path, "0011/Angry/0011_000351.wav")
    texts(tmp_path, {"0011/0011.txt": line})
    (item,) = by_name(f"esd:{tmp_path}").values()
    assert (item.text, item.emotion) == (ENGLISH, "angry")  # the emotion is that of the folder


def test_the_texts_of_esd_are_parallel_within_a_language(tmp_path):
    empty(
        tmp_path,
        "0011/Neutral/0011_000001.wav",
        "0012/Angry/0012_000351.wav",
        "0013/Sad/train/0013_001051.wav",  # has no line
        "0014/Sad/0014_001052.wav",  # another sentence
        "0001/Neutral/0001_000001.wav",
    )
    texts(
        tmp_path,
        {
            "0011/0011.txt": f"0011_000001\t{ENGLISH}\tNeutral\n",
            "0012/0012.txt": f"0012_000001\t{ENGLISH}\tNeutral\n0012_000351\tThe nine the eggs,I keep\tAngry",
            "0014/0014.txt": "0014_001052\tIt is otherwise.\tSad",
            "0001/0001.txt": "0001_000001\t打远一看。\t中立",
        },
    )
    assert {name[4:8]: item.text for name, item in by_name(f"esd:{tmp_path}").items()} == {
        "0011": ENGLISH,
        "0012": ENGLISH,
        "0013": ENGLISH,
        "0014": "It is otherwise.",
        "0001": "打远一看。",
    }


def test_esd_names_what_is_in_the_wrong_place(tmp_path):
    empty(
        tmp_path,
        "0011/Angry/0011_000351.wav",
        "copy/0011/Angry/0011_000351.wav",
        "0012/Angry/0011_000352.wav",
        "0013/other/0013_000001.wav",
        "0021/Angry/0021_000351.wav",
    )
    texts(tmp_path, {"0011/0011.txt": f"0011_000351\t{ENGLISH}\tAngry"})
    assert reasons(f"esd:{tmp_path}") == {
        "0011_000351.wav": "a second copy",
        "0011_000352.wav": "the folder names another speaker than the file",
        "0013_000001.wav": "no folder above it names its emotion",
        "0021_000351.wav": "not a name of ESD",
    }
    assert len(faults(f"esd:{tmp_path}")) == 3
