import os

import pytest

from tests.data.corpora.trees import by_name, faults, fields, place, reasons, texts

VCTK_TABLE = """\
ID  AGE  GENDER  ACCENTS  REGION COMMENTS
p225  23  F    English    Southern  England
p280  25  F    Unknown    France (mic2 files unavailable)
p315  18  M    American   New England (Text unavailable)
p362  29  F    American
s5    22  M    British
"""


def test_vctk_reads_names_texts_and_genders(tmp_path):
    root = tmp_path / "VCTK-Corpus-0.92"
    sounds = "wav48_silence_trimmed"
    place(
        root / sounds,
        "p225/p225_001_mic1.flac",
        "p315/p315_001_mic1.flac",
        "p362/p362_002_mic1.flac",
        "s5/s5_009_mic1.flac",
        "p999/p999_001_mic1.flac",
    )
    texts(
        root,
        {
            "speaker-info.txt": VCTK_TABLE,
            "txt/p225/p225_001.txt": "Please call Stella.\n",
            "txt/p362/p362_001.txt": "Its sound is missing.",
            "txt/p362/p362_002.txt": "Ask her to bring these things\nwith her.",
            "txt/s5/s5_009.txt": " Six spoons. ",
        },
    )
    expected = {
        "vctk/p225_001": ("vctk/p225", "female", "Please call Stella."),
        "vctk/p315_001": ("vctk/p315", "male", ""),
        "vctk/p362_002": ("vctk/p362", "female", "Ask her to bring these things with her."),
        "vctk/p999_001": ("vctk/p999", "", ""),
        "vctk/s5_009": ("vctk/s5", "male", "Six spoons."),
    }
    for data in (tmp_path, root, root / sounds):  # above the corpus, the corpus, its sounds alone
        found = by_name(f"vctk:{data}")
        assert {name: fields(item) for name, item in found.items()} == expected
        assert reasons(f"vctk:{data}") == {}


def test_vctk_takes_one_microphone_of_each_utterance(tmp_path):
    root = tmp_path / "wav48_silence_trimmed"
    place(
        root,
        "p225/p225_001_mic1.flac",
        "p225/p225_001_mic2.flac",
        "p225/p225_002_mic2.flac",
        "p280/p280_001_mic1.flac",
        "p280/._p280_001_mic1.flac",
        "p280/p225_003_mic1.flac",
        "p280/p280_1_mic1.flac",
        "again/p280/p280_001_mic1.flac",
        "mic2/p280/p280_002_mic2.flac",
        "p280/p280_002_mic1.flac",
    )
    (tmp_path / "speaker-info.txt").write_text(VCTK_TABLE)
    paths = {
        name: os.path.relpath(item.path, root) for name, item in by_name(f"vctk:{tmp_path}").items()
    }
    assert paths == {
        "vctk/p225_001": "p225/p225_001_mic1.flac",
        "vctk/p225_002": "p225/p225_002_mic2.flac",
        "vctk/p280_001": "again/p280/p280_001_mic1.flac",
        "vctk/p280_002": "p280/p280_002_mic1.flac",
    }
    assert reasons(f"vctk:{tmp_path}") == {
        "p225_001_mic2.flac": "the other microphone",
        "p280_002_mic2.flac": "the other microphone",
        "p225_003_mic1.flac": "the folder names another speaker than the file",
        "p280_1_mic1.flac": "not a name of VCTK",
        "p280_001_mic1.flac": "a second copy",
    }
    assert faults(f"vctk:{tmp_path}") == ["p225_003_mic1.flac", "p280_1_mic1.flac"]


def test_vctk_of_the_older_edition_has_a_table_without_p(tmp_path):
    root = tmp_path / "VCTK-Corpus"
    place(root / "wav48", "p225/p225_001.wav", "p280/p280_001.wav", "p376/p376_001.wav")
    texts(
        root,
        {
            "speaker-info.txt": "ID  AGE  GENDER  ACCENTS  REGION\n225  23  F    English    "
            "Surrey\n"
            "376  22  M    Indian\n",
            "txt/p225/p225_001.txt": "Please call Stella.",
            "wav48/p376/p376_295.raw": "",
        },
    )
    assert {name: fields(item) for name, item in by_name(f"vctk:{tmp_path}").items()} == {
        "vctk/p225_001": ("vctk/p225", "female", "Please call Stella."),
        "vctk/p280_001": ("vctk/p280", "", ""),
        "vctk/p376_001": ("vctk/p376", "male", ""),
    }
    assert reasons(f"vctk:{tmp_path}") == {}


@pytest.mark.parametrize("place_of_texts", ["../txt/{0}", "txt/{0}", "{0}"])
def test_vctk_in_flat_folders_of_speakers_and_links_to_them(tmp_path, place_of_texts):
    place(tmp_path / "elsewhere", "p225/p225_001.wav")
    place(tmp_path / "mine", "p226/p226_001_mic2.flac")
    os.symlink(tmp_path / "elsewhere/p225", tmp_path / "mine/p225")
    os.symlink(tmp_path / "mine", tmp_path / "mine/p226/loop")
    for speaker in ("p225", "p226"):
        text = f"{place_of_texts.format(speaker)}/{speaker}_001.txt"
        texts(tmp_path / "mine", {text: "Please call Stella.\n"})
    texts(tmp_path, {"mine/speaker-info.txt": VCTK_TABLE})
    assert {name: fields(item) for name, item in by_name(f"vctk:{tmp_path / 'mine'}").items()} == {
        "vctk/p225_001": ("vctk/p225", "female", "Please call Stella."),
        "vctk/p226_001": ("vctk/p226", "", "Please call Stella."),
    }
    assert faults(f"vctk:{tmp_path / 'mine'}") == []
