import pytest

from kvoice.data import corpora
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, empty, faults, fields, reasons, texts

TABLE = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n1040,40,"Female","Asian","Not Hispanic"\n'
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 72078\n"


def test_cremad_reads_the_fields_of_a_name(tmp_path):
    empty(tmp_path, "AudioWAV/1001_IEO_ANG_HI.wav", "AudioWAV/1040_DFA_NEU_XX.wav")
    texts(tmp_path, {"VideoDemographics.csv": TABLE})
    found = by_name(f"cremad:{tmp_path}")
    assert {name: (*fields(item), item.emotion) for name, item in found.items()} == {
        "cremad/1001_IEO_ANG_HI": ("cremad/1001", "male", "It's eleven o'clock.", "angry"),
        "cremad/1040_DFA_NEU_XX": ("cremad/1040", "female", "Don't forget a jacket.", "neutral"),
    }
    alone = by_name(f"cremad:{tmp_path}/AudioWAV")  # the table is in the folder above
    assert alone["cremad/1001_IEO_ANG_HI"].gender == "male"


def test_cremad_knows_its_odd_files(tmp_path):
    empty(
        tmp_path,
        "AudioWAV/1040_ITH_SAD_X.wav",
        "AudioWAV/1040_ITH_SAD_XX.wav",
        "AudioWAV/1076_MTI_SAD_XX.wav",
        "AudioWAV/1064_TIE_SAD_XX.wav",
        "AudioMP3/1064_TIE_SAD_XX.mp3",
        "AudioMP3/1064_IEO_DIS_MD.mp3",
        "AudioMP3/1001_IEO_DIS_MD.mp3",
        "AudioWAV/1001_IEO_SUR_XX.wav",
    )
    found = by_name(f"cremad:{tmp_path}")
    assert {name: item.path.rpartition("/")[2] for name, item in found.items()} == {
        "cremad/1001_IEO_DIS_MD": "1001_IEO_DIS_MD.mp3",
        "cremad/1040_ITH_SAD_XX": "1040_ITH_SAD_X.wav",
        "cremad/1064_TIE_SAD_XX": "1064_TIE_SAD_XX.wav",
    }
    assert reasons(f"cremad:{tmp_path}") == {
        "1040_ITH_SAD_XX.wav": "a second copy",
        "1064_TIE_SAD_XX.mp3": "a second copy",
        "1076_MTI_SAD_XX.wav": "holds no sound in any copy",
        "1064_IEO_DIS_MD.mp3": "the MP3 of another utterance",
        "1001_IEO_SUR_XX.wav": "not a name of CREMA-D",
        "VideoDemographics.csv": "not there: of no speaker is the gender known",
    }
    assert faults(f"cremad:{tmp_path}") == ["1001_IEO_SUR_XX.wav"]


def test_a_download_of_pointers_is_refused(tmp_path):
    names = ("AudioWAV/1001_IEO_ANG_HI.wav", "AudioWAV/1001_DFA_ANG_XX.wav")
    texts(tmp_path, dict.fromkeys(names, POINTER))
    with pytest.raises(
        KvoiceError, match=r"all sound files \(2, for.*Git LFS pointers.*`git lfs pull`"
    ):
        corpora.items(f"cremad:{tmp_path}")


def test_pointers_among_sounds_are_named(tmp_path):
    empty(tmp_path, "AudioWAV/1001_IEO_ANG_HI.wav")
    texts(tmp_path, {"AudioWAV/1001_DFA_ANG_XX.wav": POINTER, "VideoDemographics.csv": TABLE})
    assert set(by_name(f"cremad:{tmp_path}")) == {"cremad/1001_IEO_ANG_HI"}
    assert faults(f"cremad:{tmp_path}") == ["1001_DFA_ANG_XX.wav"]
