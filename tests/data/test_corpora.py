import pytest

from kvoice.data import corpora
from kvoice.data.corpora.utterance import EMOTIONS
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, count, empty, place


def test_a_range_of_demo_has_the_speakers_of_these_numbers_and_no_others():
    named, some = by_name("demo"), by_name("demo:23-26")
    assert {item.speaker for item in some.values()} == {
        "demo/lena",
        "demo/leo",
        "demo/f013",
        "demo/m013",
    }
    assert not set(by_name("demo:25-224")) & set(named)
    assert len({item.speaker for item in by_name("demo:25-224").values()}) == 200
    assert {name: named[name] for name in named if name in some} == {
        name: some[name] for name in some if name in named
    }


@pytest.mark.parametrize("ranges", ["demo:1-30", "demo:1-7+demo:8-30"])
def test_a_range_from_the_first_is_the_number_of_speakers(ranges):
    assert corpora.items(ranges) == corpora.items("demo:30")


def test_ranges_that_overlap_are_not_joined():
    with pytest.raises(KvoiceError, match="two utterances are called demo/leo-"):
        corpora.items("demo:1-24+demo:24-30")


# --- joined, and mistakes


def test_corpora_are_joined_and_keep_their_speakers_apart(tmp_path):
    place(tmp_path / "a:b" / "r", "Actor_07/03-01-05-01-01-01-07.wav")
    place(tmp_path / "t", "OAF_back_fear.wav")
    found = by_name(f"ravdess:{tmp_path}/a:b/r+tess:{tmp_path}/t")
    assert {item.speaker for item in found.values()} == {"ravdess/07", "tess/OAF"}


def test_joined_corpora_share_one_vocabulary_of_emotions(tmp_path):
    empty(tmp_path / "a", "03a01Wa.wav", "03a01Lb.wav")
    empty(tmp_path / "b", "AudioWAV/1001_IEO_ANG_HI.wav")
    empty(tmp_path / "c", "0011/Surprise/0011_001401.wav", "0011/Angry/0011_000351.wav")
    empty(tmp_path / "d", "Actor_07/03-01-08-01-01-01-07.wav")
    names = {"emodb": "a", "cremad": "b", "esd": "c", "ravdess": "d"}
    data = "+".join(f"{name}:{tmp_path / part}" for name, part in names.items())
    found = by_name(data)
    assert count(item.emotion for item in found.values()) == {
        "angry": 3,
        "bored": 1,
        "surprised": 2,
    }
    assert {item.emotion for item in found.values()} <= set(EMOTIONS)
    assert len({item.speaker for item in found.values()}) == 4


def test_a_corpus_named_twice_is_refused(tmp_path):
    place(tmp_path, "OAF_back_fear.wav")
    with pytest.raises(KvoiceError, match="two utterances are called tess/OAF_back_fear"):
        corpora.items(f"tess:{tmp_path}+tess:{tmp_path}")


@pytest.mark.parametrize(
    "data, line",
    [
        ("ravdes:x", "no corpus 'ravdes': did you mean ravdess"),
        ("qqq", "no corpus 'qqq': choose among demo, espeak, folder"),
        ("tess:a+b", r'no corpus \'b\'.*may not contain "\+"'),
        ("folder", "which directory"),
        ("folder:/nowhere/at/all", "there is no directory /nowhere/at/all"),
        ("demo:many", "'many' is not a number of speakers"),
        (
            "demo:0",
            "'0' is not a number of speakers: say, for instance, demo, demo:100 or demo:25-224",
        ),
        ("demo:0-5", "demo:0-5: speakers are numbered from 1"),
        ("demo:5-4", "demo:5-4: the last comes before the first"),
        ("demo:-5", "'-5' is not a number of speakers"),
        ("demo:5-", "'5-' is not a number of speakers"),
        ("demo:1-2-3", "'1-2-3' is not a number of speakers"),
        ("demo:\u00b2", "is not a number of speakers"),
        ("espeak:2-5", "'2-5' is not a number of speakers: say, for instance, espeak or espeak:12"),
    ],
)
def test_a_wrong_data_argument_says_what_is_wrong(data, line):
    with pytest.raises(KvoiceError, match=line):
        corpora.items(data)


@pytest.mark.parametrize("name", corpora.READERS)
def test_an_empty_directory_is_refused_with_the_layout_expected(tmp_path, name):
    with pytest.raises(KvoiceError, match="is empty: .* expects"):
        corpora.items(f"{name}:{tmp_path}")


@pytest.mark.parametrize(
    "name, layout",
    [
        ("folder", "SPEAKER/NAME"),
        ("ravdess", "Actor_NN/03-01-05"),
        ("tess", "OAF_WORD_EMOTION.wav"),
        ("tess-ravdess", "OAF_WORD_EMOTION.wav"),
        ("vctk", "wav48_silence_trimmed/pNNN/pNNN_UUU_mic1.flac"),
        ("libritts", "SUBSET/SPEAKER/CHAPTER/SPEAKER_CHAPTER_PPPPPP_SSSSSS.wav"),
        ("librispeech", "SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac"),
        ("ljspeech", "wavs/LJ001-0001.wav"),
        ("arctic", "cmu_us_VOICE_arctic/wav/arctic_a0001.wav"),
        ("commonvoice", "LANGUAGE/clips/NAME.mp3"),
        ("cremad", "AudioWAV/1001_IEO_ANG_HI.wav"),
        ("emodb", "wav/03a01Fa.wav"),
        ("esd", "0011/Happy/0011_000701.wav"),
        ("iemocap", "SessionN/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"),
    ],
)
def test_an_unknown_layout_is_refused_and_shows_the_first_file(tmp_path, name, layout):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "film.mp4").write_text("")
    with pytest.raises(KvoiceError, match=f"expected {layout}.*first file found is sub/film.mp4"):
        corpora.items(f"{name}:{tmp_path}")


def test_a_folder_without_speakers_says_how_to_name_them(tmp_path):
    place(tmp_path, "a.wav")
    with pytest.raises(KvoiceError, match="a.wav has no speaker.*folder of the speaker's name"):
        corpora.items(f"folder:{tmp_path}")
