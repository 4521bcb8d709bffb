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


def faults(data):
    _, skipped = corpora.items(data)
    return sorted(os.path.basename(skip.file) for skip in skipped if not skip.intended)


# --- demo


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


@pytest.mark.parametrize(
    "written",
    [
        "{root}/Zoë/a.wav",
        "Zoë\\a.wav",
        "Zoe\u0308/a.wav",  # decomposed
        "./x/../Zoë/a.wav",
    ],
)
@pytest.mark.parametrize("folder", ["Zo\u00eb", "Zoe\u0308"])
def test_a_row_is_found_however_its_path_is_written(tmp_path, folder, written):
    place(tmp_path / "mine", f"{folder}/a.wav", "ben/b.wav")
    path = written.format(root=tmp_path / "mine")
    (tmp_path / "mine" / "metadata.csv").write_text(f"path,emotion\n{path},sad\n", encoding="utf-8")
    item = by_name(f"folder:{tmp_path / 'mine'}")["mine/Zo\u00eb/a.wav"]
    assert (item.emotion, item.speaker) == ("sad", "mine/Zo\u00eb")


def test_metadata_of_which_no_row_is_a_file_is_refused(tmp_path):
    place(tmp_path, "anna/a.wav")
    (tmp_path / "metadata.csv").write_text("path,emotion\ndata/anna/a.wav,sad\n")
    with pytest.raises(KvoiceError, match="none of its 1 rows is a file.*'data/anna/a.wav'.*'anna"):
        corpora.items(f"folder:{tmp_path}")


def test_a_speaker_of_two_genders_is_named(tmp_path):
    place(tmp_path, "anna/a.wav", "anna/b.wav")
    (tmp_path / "metadata.csv").write_text("path,gender\nanna/a.wav,f\nanna/b.wav,m\n")
    with pytest.raises(KvoiceError, match="speaker anna is male in the row of anna/b.wav, but fem"):
        corpora.items(f"folder:{tmp_path}")


def test_a_field_of_any_length_is_answered(tmp_path):
    place(tmp_path, "anna/a.wav")
    (tmp_path / "metadata.csv").write_text(f"path,text\nanna/a.wav,{'x' * 200_000}\n")
    with pytest.raises(KvoiceError, match="metadata.csv: no table of fields separated by commas"):
        corpora.items(f"folder:{tmp_path}")


def test_links_to_folders_are_followed_and_loops_are_not(tmp_path):
    place(tmp_path / "elsewhere", "a.wav")
    place(tmp_path / "mine", "ben/b.wav")
    os.symlink(tmp_path / "elsewhere", tmp_path / "mine" / "anna")
    os.symlink(tmp_path / "mine", tmp_path / "mine" / "ben" / "loop")
    os.symlink(tmp_path / "gone.wav", tmp_path / "mine" / "ben" / "gone.wav")
    assert set(by_name(f"folder:{tmp_path / 'mine'}")) == {"mine/anna/a.wav", "mine/ben/b.wav"}
    assert reasons(f"folder:{tmp_path / 'mine'}") == {
        "loop": f"the same folder as {tmp_path / 'mine'}",
        "gone.wav": "a link that leads nowhere",
    }


def test_other_kinds_of_files_are_read_or_named(tmp_path):
    place(tmp_path / "mine", "anna/a.aiff", "anna/b.wav")
    (tmp_path / "mine" / "anna" / "c.m4a").write_bytes(b"sound")
    os.mkfifo(tmp_path / "mine" / "anna" / "d.wav")
    assert set(by_name(f"folder:{tmp_path / 'mine'}")) == {"mine/anna/a.aiff", "mine/anna/b.wav"}
    assert reasons(f"folder:{tmp_path / 'mine'}") == {
        "c.m4a": ".m4a cannot be read; convert it to wav or flac",
        "d.wav": "no regular file",
    }


def test_folders_that_may_not_be_read_are_named(tmp_path, monkeypatch):
    place(tmp_path / "mine", "anna/a.wav", "ben/b.wav")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("anna"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert set(by_name(f"folder:{tmp_path / 'mine'}")) == {"mine/ben/b.wav"}
    assert reasons(f"folder:{tmp_path / 'mine'}") == {"anna": "may not be read (Permission denied)"}
    with pytest.raises(KvoiceError, match="anna: may not be read"):
        corpora.items(f"folder:{tmp_path / 'mine' / 'anna'}")


def test_a_folder_without_its_kind_is_recognised(tmp_path):
    place(tmp_path, "anna/a.wav")
    with pytest.raises(KvoiceError, match=f"is a folder; did you mean folder:{tmp_path}"):
        corpora.items(str(tmp_path))


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
    assert faults(f"ravdess:{tmp_path}") == [
        "03-01-05-01-01-01-25.wav",
        "03-01-05-01-01-02-07.wav",
        "03-01-09-01-01-01-07.wav",
    ]


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
    assert faults(f"tess:{tmp_path}") == ["OAF_dog_sad.wav", "whatever.wav"]


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


# --- VCTK


def texts(root, contents):
    """Text files below `root`: {path: what it holds}."""
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")


VCTK_TABLE = """\
ID  AGE  GENDER  ACCENTS  REGION COMMENTS
p225  23  F    English    Southern  England
p280  25  F    Unknown    France (mic2 files unavailable)
p315  18  M    American   New England (Text unavailable)
p362  29  F    American
s5    22  M    British
"""


def fields(item):
    return item.speaker, item.gender, item.text


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


# --- LibriSpeech and LibriTTS

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


@pytest.mark.parametrize(
    "name", ["folder", "ravdess", "tess", "tess-ravdess", "vctk", "libritts", "librispeech"]
)
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
