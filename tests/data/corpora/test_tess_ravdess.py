import os

import pytest

from kvoice.data import corpora
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, count, empty, faults, reasons

WORDS = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "klmnprst"]  # 200, in order


def tess_paths(words=WORDS, speakers=("OAF", "YAF"), emotions=("happy",)):
    return [f"{s}_{e}/{s}_{word}_{e}.wav" for s in speakers for e in emotions for word in words]


def ravdess_paths(actors=range(1, 25), emotions=range(1, 9)):
    return [
        f"Actor_{actor:02}/03-01-{emotion:02}-{level:02}-{text:02}-{take:02}-{actor:02}.wav"
        for actor in actors
        for emotion in emotions
        for level in ((1,) if emotion == 1 else (1, 2))  # there is no strong neutral
        for text in (1, 2)
        for take in (1, 2)
    ]


def test_the_protocol_has_2464_clips_of_four_emotions_in_three_splits(tmp_path):
    emotions = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    empty(tmp_path / "a" / "tess", *tess_paths(emotions=emotions))
    empty(tmp_path / "ravdess" / "speech", *ravdess_paths())
    found = by_name(f"tess-ravdess:{tmp_path}").values()
    assert count(item.split for item in found) == {"train": 2000, "valid": 232, "test": 232}
    assert count(item.corpus for item in found) == {"tess": 1600, "ravdess": 864}
    assert count(item.emotion for item in found) == {
        "neutral": 400 + 24 * 12,  # of RAVDESS 4 neutral ones of an actor, 8 calm ones
        "happy": 400 + 24 * 8,
        "sad": 400 + 24 * 8,
        "angry": 400 + 24 * 8,
    }
    test = [item for item in found if item.split == "test"]
    assert count(item.speaker for item in test) == {
        "tess/OAF": 80,
        "tess/YAF": 80,
        "ravdess/23": 36,
        "ravdess/24": 36,
    }
    assert count(reasons(f"tess-ravdess:{tmp_path}").values()) == {
        "an emotion that the protocol does not use": 2 * 3 * 200 + 24 * 24
    }


def test_the_protocol_splits_tess_by_words_and_ravdess_by_actors(tmp_path):
    empty(tmp_path, *tess_paths(), *ravdess_paths(emotions=[3]))
    found = by_name(f"tess-ravdess:{tmp_path}")
    split = {name: item.split for name, item in found.items()}
    of_words = [split[f"tess/OAF_{word}_happy"] for word in WORDS]
    assert of_words == ["train"] * 160 + ["valid"] * 20 + ["test"] * 20
    assert of_words == [split[f"tess/YAF_{word}_happy"] for word in WORDS]
    of_actors = [split[f"ravdess/03-01-03-01-01-01-{actor:02}"] for actor in range(1, 25)]
    assert of_actors == ["train"] * 20 + ["valid"] * 2 + ["test"] * 2


def test_a_file_that_a_copy_lacks_or_has_too_many_moves_no_word_into_another_split(tmp_path):
    empty(tmp_path, *tess_paths(emotions=["happy", "sad", "fear"]), *ravdess_paths(emotions=[3]))
    whole = by_name(f"tess-ravdess:{tmp_path}")
    for word in WORDS[5:15]:
        (tmp_path / f"OAF_happy/OAF_{word}_happy.wav").unlink()
        (tmp_path / f"OAF_sad/OAF_{word}_sad.wav").unlink()
    empty(tmp_path, "OAF_sad/OAF_aaa_sad.wav", "OAF_sad/OAF_zzz_sad.wav")
    found = by_name(f"tess-ravdess:{tmp_path}")
    assert len(set(whole) - set(found)) == 20
    assert all(found[name] == whole[name] for name in set(found) & set(whole))
    assert [found[f"tess/OAF_{word}_sad"].split for word in ("aaa", "zzz")] == ["train", "test"]


def test_the_protocol_lists_what_it_leaves_out_once_and_not_the_files_of_the_other_corpus(tmp_path):
    take = "03-01-05-01-01-01-07.wav"
    empty(
        tmp_path,
        *tess_paths(),
        f"twice/YAF_happy/YAF_{WORDS[0]}_happy.wav",
        f"Actor_07/{take}",
        f"twice/Actor_07/{take}",
        "Actor_07/03-02-05-01-01-01-07.wav",
        "Actor_07/03-01-08-01-01-01-07.wav",
        "notes/whatever.wav",
    )
    _, skipped = corpora.items(f"tess-ravdess:{tmp_path}")
    assert sorted((os.path.basename(skip.file), skip.reason) for skip in skipped) == [
        ("03-01-05-01-01-01-07.wav", "a second copy"),
        ("03-01-08-01-01-01-07.wav", "an emotion that the protocol does not use"),
        ("03-02-05-01-01-01-07.wav", "song, not speech"),
        (f"YAF_{WORDS[0]}_happy.wav", "a second copy"),
        ("whatever.wav", "a name neither of TESS nor of RAVDESS"),
    ]
    assert faults(f"tess-ravdess:{tmp_path}") == ["whatever.wav"]


@pytest.mark.parametrize(
    "paths, line",
    [
        (tess_paths(), "RAVDESS is missing: .*expected Actor_NN/.*both below one directory"),
        (ravdess_paths([7]), "TESS is missing: .*expected OAF_WORD.*both below one directory"),
        (
            tess_paths(WORDS[:37]) + ravdess_paths([7]),
            r"TESS has 37 of its 200 words .*--data=tess:\S+\+ravdess:",
        ),
    ],
)
def test_half_of_the_protocol_is_refused_with_what_is_missing(tmp_path, paths, line):
    empty(tmp_path, *paths)
    with pytest.raises(KvoiceError, match=line):
        corpora.items(f"tess-ravdess:{tmp_path}")
