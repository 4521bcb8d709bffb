import collections
import os
import zlib

import numpy as np
import pytest
import soundfile

from kvoice.data import corpora
from kvoice.errors import KvoiceError


def place(root, *paths, channels=1):
    """Writes a short, distinct wav at each path below `root`."""
    for path in paths:
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = np.sin(np.arange(800) * (0.05 + 0.01 * (zlib.crc32(path.name.encode()) % 17)))
        soundfile.write(path, np.stack([tone] * channels, 1), 8000)


def by_name(data):
    found, _ = corpora.items(data)
    return {item.name: item for item in found}


def reasons(data):
    _, skipped = corpora.items(data)
    return {os.path.basename(skip.file): skip.reason for skip in skipped}


# --- demo


def test_a_range_of_demo_has_the_speakers_of_these_numbers_and_no_others():
    named, some = by_name("demo"), by_name("demo:23-26")
    assert {item.speaker for item in some.values()} == {"demo/lena", "demo/leo", "demo/f013", "demo/m013"}
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


# --- folder


def test_a_folder_gives_speakers_and_emotions(tmp_path):
    root = tmp_path / "mine"
    place(
        root,
        "anna/a.wav",
        "anna/deep/er/b.WAV",
        "bert/Angry/c.flac",
        "bert/fear/d.wav",
        "bert/garden/e.wav",
        "anna/._a.wav",
        "anna/notes.txt.wav",
    )
    (root / "anna" / "readme.txt").write_text("no audio")
    found = by_name(f"folder:{root}")
    assert {item.speaker for item in found.values()} == {"mine/anna", "mine/bert"}
    assert found["mine/bert/Angry/c.flac"].emotion == "angry"
    assert found["mine/bert/fear/d.wav"].emotion == "fearful"
    assert found["mine/bert/garden/e.wav"].emotion == ""
    assert found["mine/anna/deep/er/b.WAV"].speaker == "mine/anna"
    assert len(found) == 6  # without ._a.wav


def test_metadata_wins_over_the_folders_and_names_what_is_not_there(tmp_path):
    root = tmp_path / "mine"
    place(root, "anna/a.wav", "anna/b.wav", "flat.wav", "stray.wav")
    (root / "metadata.csv").write_text(
        "\ufeffpath,speaker,emotion,gender,text,split\n"
        'anna/a.wav,,Happy,F,"Oh, dear",valid\n'
        "./flat.wav,cleo,,male,,\n"
        "gone.wav,cleo,,,,\n",
        encoding="utf-8",
    )
    found = by_name(f"folder:{root}")
    a, flat = found["mine/anna/a.wav"], found["mine/flat.wav"]
    assert (a.speaker, a.emotion, a.gender, a.text, a.split) == (
        "mine/anna",
        "happy",
        "female",
        "Oh, dear",
        "valid",
    )
    assert (flat.speaker, flat.gender, flat.emotion) == ("mine/cleo", "male", "")
    assert found["mine/anna/b.wav"].text == ""
    assert reasons(f"folder:{root}") == {
        "stray.wav": "no speaker's folder and no speaker in metadata.csv",
        "gone.wav": "listed in metadata.csv but not there",
    }


@pytest.mark.parametrize(
    "content, line",
    [
        ("file|text\n", "first line must name path"),
        (
            "path,emotion\nanna/a.wav,hapy\n",
            "line 2: emotion 'hapy' is unknown: did you mean happy",
        ),
        (
            "path,gender\nanna/a.wav,x\n",
            "line 2: gender 'x' is unknown: choose among female, f, woman, male",
        ),
        ("path,split\nanna/a.wav,dev\n", "line 2: split 'dev' is unknown"),
        ("path,text\nanna/a.wav,oh, dear\n", "line 2: more fields"),
        ("path\nanna/a.wav\n./anna/a.wav\n", "line 3: ./anna/a.wav is listed twice"),
    ],
)
def test_mistakes_in_metadata_are_named_with_their_line(tmp_path, content, line):
    place(tmp_path, "anna/a.wav")
    (tmp_path / "metadata.csv").write_text(content)
    with pytest.raises(KvoiceError, match=line):
        corpora.items(f"folder:{tmp_path}")


def test_metadata_in_another_encoding_is_refused_by_name(tmp_path):
    place(tmp_path, "anna/a.wav")
    (tmp_path / "metadata.csv").write_bytes("path,text\nanna/a.wav,é\n".encode("latin-1"))
    with pytest.raises(KvoiceError, match="metadata.csv: not UTF-8"):
        corpora.items(f"folder:{tmp_path}")


# --- RAVDESS


def test_ravdess_reads_the_fields_of_a_name(tmp_path):
    place(tmp_path, "Actor_07/03-01-05-01-01-01-07.wav", "Actor_12/03-01-02-02-02-01-12.wav")
    found = by_name(f"ravdess:{tmp_path}")
    odd, even = found["ravdess/03-01-05-01-01-01-07"], found["ravdess/03-01-02-02-02-01-12"]
    assert (odd.speaker, odd.gender, odd.emotion, odd.text) == (
        "ravdess/07",
        "male",
        "angry",
        "Kids are talking by the door",
    )
    assert (even.speaker, even.gender, even.emotion, even.text) == (
        "ravdess/12",
        "female",
        "calm",
        "Dogs are sitting by the door",
    )


def test_ravdess_takes_each_take_once_and_speech_only(tmp_path):
    take = "03-01-05-01-01-01-07.wav"
    place(
        tmp_path,
        f"Actor_07/{take}",
        f"audio_speech_actors_01-24/Actor_07/{take}",
        "Actor_07/03-01-03-01-02-01-07.wav",
        "Actor_07/03-01-04-01-02-01-07.wav",
        "Actor_07/03-01-04-01-02-02-07.wav",
        "Actor_07/03-02-05-01-01-01-07.wav",
        "Actor_07/01-01-05-01-01-01-07.wav",
        "Actor_08/03-01-05-01-01-02-07.wav",
        "Actor_07/._03-01-05-01-01-01-07.wav",
        "Actor_07/03-01-09-01-01-01-07.wav",
        "Actor_25/03-01-05-01-01-01-25.wav",
    )
    same = tmp_path / "Actor_07"
    (same / "03-01-03-01-02-02-07.wav").write_bytes(
        (same / "03-01-03-01-02-01-07.wav").read_bytes()
    )
    soundfile.write(
        same / "03-01-04-01-02-02-07.wav", np.zeros(800), 8000
    )  # same size, other bytes
    assert sorted(by_name(f"ravdess:{tmp_path}")) == [
        "ravdess/03-01-03-01-02-01-07",
        "ravdess/03-01-04-01-02-01-07",
        "ravdess/03-01-04-01-02-02-07",
        "ravdess/03-01-05-01-01-01-07",
    ]
    assert reasons(f"ravdess:{tmp_path}") == {
        take: "a second copy",
        "03-01-03-01-02-02-07.wav": "the same bytes as the other repetition",
        "03-02-05-01-01-01-07.wav": "song, not speech",
        "01-01-05-01-01-01-07.wav": "the sound of a video",
        "03-01-05-01-01-02-07.wav": "the folder names another actor than the file",
        "03-01-09-01-01-01-07.wav": "not a name of RAVDESS",
        "03-01-05-01-01-01-25.wav": "not a name of RAVDESS",
    }


# --- TESS


def test_tess_in_any_spelling(tmp_path):
    twice = "TESS Toronto emotional speech set data/"
    place(
        tmp_path,
        "OAF_Fear/OAF_back_fear.wav",
        "OAF_Pleasant_surprise/OAF_back_ps.wav",
        "YAF_sad/YAF_back_sad.WAV",
        "OAF_neutral/OA_bite_neutral.wav",
        twice + "OAF_Fear/OAF_back_fear.wav",
        "YAF_sad/OAF_dog_sad.wav",
        "OAF_Sad/whatever.wav",
    )
    found = by_name(f"tess:{tmp_path}")
    assert {name: (item.speaker, item.emotion, item.text) for name, item in found.items()} == {
        "tess/OAF_back_fear": ("tess/OAF", "fearful", "Say the word back"),
        "tess/OAF_back_ps": ("tess/OAF", "surprised", "Say the word back"),
        "tess/YAF_back_sad": ("tess/YAF", "sad", "Say the word back"),
        "tess/OAF_bite_neutral": ("tess/OAF", "neutral", "Say the word bite"),
    }
    assert {item.gender for item in found.values()} == {"female"}
    assert reasons(f"tess:{tmp_path}") == {
        "OAF_back_fear.wav": "a second copy",
        "whatever.wav": "not a name of TESS",
        "OAF_dog_sad.wav": "the folder names another speaker than the file",
    }


def test_tess_takes_the_renamed_bite_for_the_same_take(tmp_path):
    place(
        tmp_path,
        "OAF_neutral/OA_bite_neutral.wav",
        "OAF_neutral/OAF_bite_neutral.wav",
        "OAF_surprised/OAF_back_ps.wav",
        "flat/YAF_back_ps.wav",
        "YAF_calm_ps.wav",
    )
    assert sorted(by_name(f"tess:{tmp_path}")) == [
        "tess/OAF_back_ps",
        "tess/OAF_bite_neutral",
        "tess/YAF_back_ps",
        "tess/YAF_calm_ps",
    ]


# --- TESS and RAVDESS as the protocol has them

WORDS = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "klmnprst"]  # 200, in order


def empty(root, *paths):
    """Empty files: `items` reads names only."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


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


def count(values):
    return dict(collections.Counter(values))


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


# --- joined, and mistakes


def test_corpora_are_joined_and_keep_their_speakers_apart(tmp_path):
    place(tmp_path / "a:b" / "r", "Actor_07/03-01-05-01-01-01-07.wav")
    place(tmp_path / "t", "OAF_back_fear.wav")
    found = by_name(f"ravdess:{tmp_path}/a:b/r+tess:{tmp_path}/t")
    assert {item.speaker for item in found.values()} == {"ravdess/07", "tess/OAF"}


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
        ("demo:0", "'0' is not a number of speakers: say, for instance, demo, demo:100 or demo:25-224"),
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


@pytest.mark.parametrize("name", ["folder", "ravdess", "tess", "tess-ravdess"])
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
