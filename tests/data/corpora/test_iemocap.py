import pytest

from kvoice.data import corpora
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, empty, faults, reasons, texts

EMOTIONS = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M001\texc\t[2.5000, 2.5000, 2.5000]
[14.8872 - 18.0175]\tSes01F_impro01_M002\tfru\t[2.5000, 3.5000, 3.5000]
[19.2900 - 20.7875]\tSes01F_impro01_F003\txxx\t[2.5000, 3.5000, 3.5000]
[21.3257 - 24.7400]\tSes01F_impro01_M004\toth\t[3.0000, 3.0000, 3.0000]
[25.0000 - 26.0000]\tSes01F_impro01_F005\thap\t[4.0000, 3.0000, 3.0000]
"""
TEXTS = """\
Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
M: [LAUGHTER]
Ses01F_impro01_M001 [007.5712-010.4750]: Do you have your forms?  [LAUGHTER]
Ses01F_impro01_FXX0 [011.0000-012.0000]: Yeah.
"""


def session(root, number=1, dialogue="Ses01F_impro01", turns=("F000", "M001", "F005")):
    folder = f"Session{number}"
    texts(
        root,
        {
            f"{folder}/dialog/EmoEvaluation/{dialogue}.txt": EMOTIONS.replace(
                "Ses01F_impro01", dialogue
            ),
            f"{folder}/dialog/transcriptions/{dialogue}.txt": TEXTS.replace(
                "Ses01F_impro01", dialogue
            ),
        },
    )
    sounds = f"{folder}/sentences/wav/{dialogue}"
    empty(root, *(f"{sounds}/{dialogue}_{turn}.wav" for turn in turns))


def test_iemocap_reads_speakers_emotions_and_texts(tmp_path):
    session(tmp_path / "IEMOCAP_full_release")
    session(tmp_path / "IEMOCAP_full_release", 5, "Ses05M_script01_1b", ["M001"])
    expected = {
        "iemocap/Ses01F_impro01_F000": ("iemocap/1F", "female", "neutral", "Excuse me."),
        "iemocap/Ses01F_impro01_M001": (
            "iemocap/1M",
            "male",
            "happy",
            "Do you have your forms?  [LAUGHTER]",
        ),
        "iemocap/Ses01F_impro01_F005": ("iemocap/1F", "female", "happy", ""),
        "iemocap/Ses05M_script01_1b_M001": (
            "iemocap/5M",
            "male",
            "happy",
            "Do you have your forms?  [LAUGHTER]",
        ),
    }
    for root in (tmp_path, tmp_path / "IEMOCAP_full_release"):
        found = by_name(f"iemocap:{root}")
        assert {
            name: (item.speaker, item.gender, item.emotion, item.text)
            for name, item in found.items()
        } == expected
        assert reasons(f"iemocap:{root}") == {}
    alone = by_name(f"iemocap:{tmp_path}/IEMOCAP_full_release/Session5/sentences/wav")
    assert [item.emotion for item in alone.values()] == ["happy"]


def test_iemocap_leaves_out_what_has_no_emotion_of_the_vocabulary(tmp_path):
    session(tmp_path, turns=["F000", "M002", "F003", "M004"])
    empty(tmp_path, "Session1/dialog/wav/Ses01F_impro01.wav")
    empty(tmp_path, "Session1/sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav")
    assert set(by_name(f"iemocap:{tmp_path}")) == {"iemocap/Ses01F_impro01_F000"}
    assert reasons(f"iemocap:{tmp_path}") == {
        "Ses01F_impro01_M002.wav": "frustration, which is no emotion of the vocabulary",
        "Ses01F_impro01_F003.wav": "the annotators agree on no emotion",
        "Ses01F_impro01_M004.wav": "another emotion than those of the vocabulary",
        "Ses01F_impro01.wav": "a whole dialogue of two speakers",
    }
    assert faults(f"iemocap:{tmp_path}") == []


def test_iemocap_names_what_is_damaged(tmp_path):
    session(tmp_path, turns=["F000", "F009"])
    wav = "Session1/sentences/wav"
    empty(
        tmp_path,
        f"{wav}/Ses01F_impro02/Ses01F_impro01_F005.wav",
        f"{wav}/Ses01F_impro02/Ses01F_impro02_F000.wav",
        f"{wav}/Ses01F_impro01/Ses01F_impro01_FXX0.wav",
    )
    table = "its emotion is not in SessionN/dialog/EmoEvaluation"
    assert reasons(f"iemocap:{tmp_path}") == {
        "Ses01F_impro01_F009.wav": f"{table}/Ses01F_impro01.txt",
        "Ses01F_impro02_F000.wav": f"{table}/Ses01F_impro02.txt",
        "Ses01F_impro01_F005.wav": "the folder names another dialogue than the file",
        "Ses01F_impro01_FXX0.wav": "not a name of IEMOCAP",
    }
    assert len(faults(f"iemocap:{tmp_path}")) == 4


def test_iemocap_without_its_tables_is_refused_with_their_place(tmp_path):
    empty(tmp_path, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav")
    with pytest.raises(KvoiceError, match="of no utterance is the emotion known") as error:
        corpora.items(f"iemocap:{tmp_path}")
    assert "is not in SessionN/dialog/EmoEvaluation/Ses01F_impro01.txt" in str(error.value)


def test_iemocap_without_any_of_its_names_is_refused_with_the_layout(tmp_path):
    empty(tmp_path, "a.wav")
    with pytest.raises(KvoiceError, match="with its emotion in SessionN/dialog/EmoEvaluation"):
        corpora.items(f"iemocap:{tmp_path}")
