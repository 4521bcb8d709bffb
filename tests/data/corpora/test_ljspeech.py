from kvoice.data import splits
from tests.data.corpora.trees import by_name, empty, faults, fields, reasons, texts

ROWS = """\
LJ001-0001|Printing, "1 of 2"|Printing, "one of two"
LJ001-0002|in being modern.|
LJ001-0003|third|third
LJ050-0278|its sound is missing|its sound is missing
"""


def test_ljspeech_reads_normalised_texts(tmp_path):
    root = tmp_path / "LJSpeech-1.1"
    empty(root, *(f"wavs/LJ001-000{n}.wav" for n in (1, 2, 3, 4)))
    texts(root, {"metadata.csv": ROWS})
    expected = {
        "ljspeech/LJ001-0001": ("ljspeech/LJ", "female", 'Printing, "one of two"'),
        "ljspeech/LJ001-0002": ("ljspeech/LJ", "female", "in being modern."),
        "ljspeech/LJ001-0003": ("ljspeech/LJ", "female", "third"),
        "ljspeech/LJ001-0004": ("ljspeech/LJ", "female", ""),
    }
    for where in (tmp_path, root, root / "wavs"):
        found = by_name(f"ljspeech:{where}")
        assert {name: fields(item) for name, item in found.items()} == expected
        assert reasons(f"ljspeech:{where}") == {}


def test_ljspeech_names_other_files_and_a_missing_table(tmp_path):
    empty(tmp_path, "wavs/LJ001-0001.wav", "copy/LJ001-0001.wav", "wavs/mine.wav")
    assert reasons(f"ljspeech:{tmp_path}") == {
        "LJ001-0001.wav": "a second copy",
        "mine.wav": "not a name of LJ Speech",
        "metadata.csv": "not there: of no utterance is the text known",
    }
    assert faults(f"ljspeech:{tmp_path}") == ["mine.wav"]


def test_ljspeech_is_split_by_text_unless_it_is_joined_to_others():
    assert splits.default("ljspeech:DIR") == splits.default("ljspeech:DIR", "gender") == "text"
    assert splits.default("ljspeech:DIR+vctk:DIR") == "speaker"
