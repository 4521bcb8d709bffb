import os
import pathlib

import pytest

from kvoice.data import corpora
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, count, faults, fields, place, reasons, texts

SPEAKERS = """\
; ID: of the reader
;ID  |SEX| SUBSET           |MINUTES| NAME
14   | F | train-clean-360  | 25.03 | Kristin LeMoine
60   | M | train-clean-100  | 20.18 | |CBW|Simon
84   | F | dev-clean        |  8.02 | Christie Nowak
"""


@pytest.mark.parametrize("table", ["SPEAKERS.TXT", "SPEAKERS.txt", "speakers.txt"])
def test_librispeech_reads_names_texts_and_genders(tmp_path, table):
    root = tmp_path / "LibriSpeech"
    place(
        root,
        "dev-clean/84/121123/84-121123-0000.flac",
        "dev-clean/84/121123/84-121123-0001.flac",
        "train-clean-100/60/121082/60-121082-0000.flac",
        "train-clean-100/99/100/99-100-0000.flac",
    )
    texts(
        root,
        {
            table: SPEAKERS,
            "dev-clean/84/121123/84-121123.trans.txt": "84-121123-0000 GO DO YOU HEAR\n"
            "84-121123-0001 BUT IN LESS\n84-121123-0002 NO SOUND OF IT\n",
            "train-clean-100/60/121082/60-121082.trans.txt": "60-121082-0000 A\n",
        },
    )
    expected = {
        "librispeech/84-121123-0000": ("librispeech/84", "female", "GO DO YOU HEAR"),
        "librispeech/84-121123-0001": ("librispeech/84", "female", "BUT IN LESS"),
        "librispeech/60-121082-0000": ("librispeech/60", "male", "A"),
        "librispeech/99-100-0000": ("librispeech/99", "", ""),
    }
    assert {name: fields(i) for name, i in by_name(f"librispeech:{tmp_path}").items()} == expected
    alone = by_name(f"librispeech:{root}/dev-clean")  # a subset: the table is in the folder above
    assert {name: fields(i) for name, i in alone.items()} == {
        name: known for name, known in expected.items() if "/84" in name
    }


RECORDINGS = pathlib.Path(__file__).resolve().parents[3].parent / "shared" / "recordings"


@pytest.mark.skipif(
    not (RECORDINGS / "LibriSpeech").is_dir(), reason="the recordings are not there"
)
def test_readers_of_librispeech_may_have_no_texts():
    found = by_name(f"librispeech:{RECORDINGS / 'LibriSpeech'}").values()
    assert reasons(f"librispeech:{RECORDINGS / 'LibriSpeech'}") == {}
    assert len(found) == 512
    assert len({item.speaker for item in found}) == 261
    assert {item.gender for item in found} == {"female", "male"}
    assert len({item.speaker for item in found if item.text}) == 7
    assert sum(bool(item.text) for item in found) == 168


def libritts(root, table="SPEAKERS.txt", content=SPEAKERS):
    place(
        root,
        "dev-clean/84/121550/84_121550_000007_000000.wav",
        "dev-clean/84/121550/84_121550_000007_000001.wav",
        "dev-clean/84/121550/._84_121550_000007_000000.wav",
        "train-clean-100/60/121082/60_121082_000003_000000.wav",
    )
    texts(
        root,
        {
            table: content,
            "dev-clean/84/121550/84_121550.trans.tsv": '84_121550_000007_000000\tDr. "No\tDoctor "No\n'
            "84_121550_000009_000000\tNo sound\tNo sound of it\n"
            '84_121550_000007_000001\t"Yes\t"Yes, yes.\n',
            "dev-clean/84/121550/84_121550_000007_000000.original.txt": 'Dr. "No',
            "dev-clean/84/121550/84_121550_000007_000000.normalized.txt": 'Doctor "No',
            "train-clean-100/60/121082/60_121082_000003_000000.normalized.txt": "At one.\n",
        },
    )


LIBRITTS = {
    "libritts/84_121550_000007_000000": ("libritts/84", "female", 'Doctor "No'),
    "libritts/84_121550_000007_000001": ("libritts/84", "female", '"Yes, yes.'),
    "libritts/60_121082_000003_000000": ("libritts/60", "male", "At one."),
}


@pytest.mark.parametrize(
    "folder, table, content",
    [
        ("LibriTTS", "SPEAKERS.txt", SPEAKERS),
        ("LibriTTS_R", "Speakers.TXT", SPEAKERS),
        (
            "LibriTTS_R",
            "speakers.tsv",
            "READER\tGENDER\tSUBSET\tNAME\n84\tF\tdev-clean\tChristie Nowak\n"
            "60\tM\ttrain-clean-100\t|CBW|Simon\n",
        ),
        ("LibriTTS", "speakers.tsv", "84\tF\tdev-clean\n60\tM\n"),
    ],
    ids=["txt", "another case", "tsv", "tsv of fewer columns"],
)
def test_libritts_reads_names_texts_and_genders_of_either_table(tmp_path, folder, table, content):
    libritts(tmp_path / folder, table, content)
    assert {
        name: fields(item) for name, item in by_name(f"libritts:{tmp_path}").items()
    } == LIBRITTS
    assert reasons(f"libritts:{tmp_path}") == {}
    alone = by_name(f"libritts:{tmp_path}/{folder}/dev-clean")
    assert {name: fields(i) for name, i in alone.items()} == dict(list(LIBRITTS.items())[:2])


def test_libritts_takes_each_utterance_once_and_of_the_speaker_whose_folder_it_is_in(tmp_path):
    libritts(tmp_path / "LibriTTS")
    libritts(tmp_path / "LibriTTS_R")
    place(
        tmp_path / "LibriTTS" / "dev-clean",
        "84/121550/14_121550_000007_000000.wav",
        "84/121550/84_100_000007_000000.wav",
        "84/121550/84-121550-0000.flac",
    )
    _, skipped = corpora.items(f"libritts:{tmp_path}")
    assert count((os.path.basename(skip.file), skip.reason) for skip in skipped) == {
        (
            "14_121550_000007_000000.wav",
            "the folder names another speaker or chapter than the file",
        ): 1,
        (
            "84_100_000007_000000.wav",
            "the folder names another speaker or chapter than the file",
        ): 1,
        ("84-121550-0000.flac", "not a name of LibriTTS"): 1,
        **{(f"{name.split('/')[1]}.wav", "a second copy"): 1 for name in LIBRITTS},
    }


@pytest.mark.parametrize(
    "name, sound, table",
    [
        ("vctk", "wav48/p225/p225_001.wav", "speaker-info.txt"),
        ("libritts", "a/b/c/d/84/121550/84_121550_000007_000000.wav", "SPEAKERS.txt"),
        ("librispeech", "a/b/c/d/84/121550/84-121550-0000.flac", "SPEAKERS.txt"),
    ],
)
def test_a_corpus_without_its_table_of_speakers_says_that_no_gender_is_known(
    tmp_path, name, sound, table
):
    place(tmp_path, sound)
    assert [item.gender for item in by_name(f"{name}:{tmp_path}").values()] == [""]
    assert reasons(f"{name}:{tmp_path}") == {table: "not there: of no speaker is the gender known"}
    assert faults(f"{name}:{tmp_path}") == []


def test_readers_of_librispeech_are_not_two_speakers(tmp_path):
    with pytest.raises(
        KvoiceError, match="LibriTTS has readers of LibriSpeech.*choose one of the two"
    ):
        corpora.items(f"librispeech:{tmp_path}+libritts:{tmp_path}")
