import pathlib

import pytest

from kvoice.data import corpora
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, count, empty, faults, reasons

RECORDINGS = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "recordings"


def test_emodb_reads_the_fields_of_a_name(tmp_path):
    empty(tmp_path, "wav/03a01Fa.wav", "wav_corpus/16b10Lb.wav")
    found = by_name(f"emodb:{tmp_path}")
    man, woman = found["emodb/03a01Fa"], found["emodb/16b10Lb"]
    assert (man.speaker, man.gender, man.emotion) == ("emodb/03", "male", "happy")
    assert (woman.speaker, woman.gender, woman.emotion) == ("emodb/16", "female", "bored")
    assert man.text == "Der Lappen liegt auf dem Eisschrank."
    assert woman.text == "Die wird auf dem Platz sein, wo wir sie immer hinlegen."


def test_emodb_has_seven_emotions_by_the_german_initial(tmp_path):
    empty(tmp_path, *(f"wav/08a02{letter}a.wav" for letter in "WLEAFTN"))
    found = by_name(f"emodb:{tmp_path}")
    assert {name[-2]: item.emotion for name, item in found.items()} == {
        "W": "angry",
        "L": "bored",
        "E": "disgust",
        "A": "fearful",
        "F": "happy",
        "T": "sad",
        "N": "neutral",
    }


def test_emodb_in_lower_case_is_the_same(tmp_path):
    empty(tmp_path / "a", "03a01Fa.wav", "03b02Nb.wav")
    empty(tmp_path / "b", "03a01fa.wav", "03b02nb.wav")
    upper, lower = (by_name(f"emodb:{tmp_path / part}") for part in "ab")
    assert upper.keys() == lower.keys()
    assert {name: item.emotion for name, item in upper.items()} == {
        name: item.emotion for name, item in lower.items()
    }
    assert reasons(f"emodb:{tmp_path}") == {
        "03a01fa.wav": "a second copy",
        "03b02nb.wav": "a second copy",
    }


def test_emodb_names_what_is_no_name_of_it(tmp_path):
    empty(tmp_path, "03a01Fa.wav", "04a01Fa.wav", "03a03Fa.wav", "03a01Xa.wav", "._03a01Nc.wav")
    assert set(by_name(f"emodb:{tmp_path}")) == {"emodb/03a01Fa"}
    assert faults(f"emodb:{tmp_path}") == ["03a01Xa.wav", "03a03Fa.wav", "04a01Fa.wav"]


def test_emodb_without_such_names_shows_the_layout(tmp_path):
    empty(tmp_path, "wav/one.wav")
    with pytest.raises(KvoiceError, match="does not look like EmoDB: expected wav/03a01Fa.wav"):
        corpora.items(f"emodb:{tmp_path}")


@pytest.mark.skipif(not (RECORDINGS / "EmoDB").is_dir(), reason="the recordings are not there")
def test_the_whole_of_emodb_is_read():
    found = by_name(f"emodb:{RECORDINGS / 'EmoDB'}").values()
    assert reasons(f"emodb:{RECORDINGS / 'EmoDB'}") == {}
    assert count(item.emotion for item in found) == {
        "angry": 127,
        "bored": 81,
        "neutral": 79,
        "happy": 71,
        "fearful": 69,
        "sad": 62,
        "disgust": 46,
    }
    assert count(item.speaker[-2:] for item in found) == {
        **{"16": 71, "14": 69, "13": 61, "08": 58, "15": 56},
        **{"11": 55, "03": 49, "09": 43, "10": 38, "12": 35},
    }
    assert len({item.text for item in found}) == 10
