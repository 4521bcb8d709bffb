import os

import pytest

from kvoice.data import corpora
from kvoice.errors import KvoiceError
from tests.data.corpora.trees import by_name, faults, place, reasons


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
        "gone.wav,cleo,,,,\n"
        "../other/c.wav,cleo,,,,\n",
        encoding="utf-8",
    )
    place(tmp_path / "other", "c.wav")
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
        "c.wav": "listed in metadata.csv but outside of this folder",
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


def test_a_folder_counts_under_its_own_name_and_not_under_that_of_a_link(tmp_path):
    place(tmp_path / "mine", "anna/a.wav", "ben/b.wav")
    os.symlink(tmp_path / "mine" / "ben", tmp_path / "mine" / "anna" / "a_link")
    assert set(by_name(f"folder:{tmp_path / 'mine'}")) == {"mine/anna/a.wav", "mine/ben/b.wav"}
    assert reasons(f"folder:{tmp_path / 'mine'}") == {
        "a_link": f"the same folder as {tmp_path / 'mine' / 'ben'}"
    }


def test_a_file_is_taken_once_whatever_links_lead_to_it(tmp_path):
    place(tmp_path / "mine", "anna/a.wav", "ben/b.wav")
    (tmp_path / "links").mkdir()
    os.symlink(tmp_path / "mine" / "anna", tmp_path / "links" / "someone")
    os.symlink(tmp_path / "mine" / "anna" / "a.wav", tmp_path / "mine" / "ben" / "c.wav")
    data = f"folder:{tmp_path / 'mine'}+folder:{tmp_path / 'links'}"
    assert set(by_name(data)) == {"mine/anna/a.wav", "mine/ben/b.wav"}
    assert reasons(data) == {
        "c.wav": "the same file as another",
        "a.wav": "the same file as another",
    }
    assert faults(data) == []


def test_a_folder_of_links_is_read_like_the_folders_themselves(tmp_path):
    place(tmp_path / "elsewhere", "a/a.wav", "b/b.wav")
    (tmp_path / "mine").mkdir()
    for speaker, folder in (("anna", "a"), ("ben", "b")):
        os.symlink(tmp_path / "elsewhere" / folder, tmp_path / "mine" / speaker)
    found = by_name(f"folder:{tmp_path / 'mine'}")
    assert {item.speaker for item in found.values()} == {"mine/anna", "mine/ben"}
    assert reasons(f"folder:{tmp_path / 'mine'}") == {}


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
