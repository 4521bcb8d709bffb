import json
import os
import subprocess
import sys

import pytest

from kvoice.errors import KvoiceError
from kvoice.files import (
    MADE,
    claim,
    foreign,
    owned,
    read_json,
    replaced,
    whole_directory,
    write_json,
)


def names(directory):
    return [name for name in sorted(os.listdir(directory)) if name != MADE]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"ä": 1})
    write_json(path, [2])
    assert json.loads(path.read_text()) == [2]
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failure_halfway_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        with replaced(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_others_may_read_the_file_as_far_as_the_umask_lets_them(tmp_path):
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_a_directory_is_replaced_whole_or_kept(tmp_path):
    path = tmp_path / "a"
    for name in ("old", "new"):
        with whole_directory(path) as partial:
            (partial / name).write_text(name)
    assert names(path) == ["new"]
    with pytest.raises(KeyboardInterrupt):
        with whole_directory(path) as partial:
            (partial / "half").write_text("")
            raise KeyboardInterrupt
    assert names(path) == ["new"] and os.listdir(tmp_path) == ["a"]


def test_a_name_of_any_length_that_the_system_takes_is_written(tmp_path):
    path = tmp_path / ("a" * 249 + ".wav")
    with replaced(path) as file:
        file.write(b"sound")
    with whole_directory(tmp_path / ("b" * 250)) as partial:
        (partial / "file").write_text("")
    assert path.read_bytes() == b"sound" and len(os.listdir(tmp_path)) == 2


def test_a_link_to_a_directory_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with whole_directory(tmp_path / "link") as partial:
        (partial / "new").write_text("")
    assert (tmp_path / "link").is_symlink() and names(tmp_path / "real") == ["new"]


def test_the_directory_in_which_the_process_works_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (".", "..", tmp_path):
        with pytest.raises(KvoiceError, match="the command runs in it"):
            with whole_directory(path):
                pass


class Killed(BaseException):
    pass


def test_a_kill_at_any_operation_loses_neither_the_old_nor_the_new_directory(tmp_path, monkeypatch):
    for number in range(20):
        place = tmp_path / str(number)
        place.mkdir()
        with whole_directory(place / "a") as partial:
            (partial / "old").write_text("old")
        left = number

        def until(original):
            def operation(*given, **more):
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed
                return original(*given, **more)

            return operation

        with monkeypatch.context() as patched:
            for name in ("mkdir", "rename", "rmdir", "unlink"):
                patched.setattr(os, name, until(getattr(os, name)))
            try:
                with whole_directory(place / "a") as partial:
                    (partial / "new").write_text("new")
            except Killed:
                pass
            else:
                break
        held = {path.name for path in place.rglob("*") if path.is_file()}
        assert "old" in held or (place / "a" / "new").exists()
        with whole_directory(place / "a") as partial:
            assert (place / "a" / "old").exists() or (place / "a" / "new").exists()
            (partial / "again").write_text("")
        assert os.listdir(place) == ["a"] and names(place / "a") == ["again"]
    else:
        raise AssertionError("more operations than were tried")
    assert number > 3


# What kvoice wrote


def test_a_directory_is_replaced_only_where_all_of_it_is_as_it_was_written(tmp_path):
    path = tmp_path / "a"

    def write():
        with whole_directory(path) as partial:
            (partial / "deep").mkdir()
            (partial / "deep" / "made.txt").write_text("made")

    write()
    write()  # of its own
    (path / "notes.txt").write_text("mine")
    with pytest.raises(KvoiceError, match="notes.txt: not written by kvoice.*--overwrite"):
        write()
    (path / "notes.txt").unlink()
    (path / "deep" / "made.txt").write_text("changed")
    with pytest.raises(KvoiceError, match="deep/made.txt: not written by kvoice, or changed"):
        write()
    assert (path / "deep" / "made.txt").read_text() == "changed"
    claim(path)
    write()
    assert (path / "deep" / "made.txt").read_text() == "made"


def test_files_are_replaced_only_where_they_are_as_they_were_written(tmp_path):
    def write(text, overwrite=False):
        with owned(tmp_path, ["a.txt", "sub/b.txt"], overwrite):
            (tmp_path / "a.txt").write_text(text)

    (tmp_path / "other.txt").write_text("mine")  # is not in the way
    write("1")
    write("2")
    assert foreign(tmp_path, ["a.txt"]) == [] and foreign(tmp_path) == ["other.txt"]
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(KvoiceError, match="a.txt: not written by kvoice, or changed since"):
        write("3")
    assert (tmp_path / "a.txt").read_text() == "mine"
    write("3", overwrite=True)
    write("4")


def test_what_was_written_before_a_kill_is_known(tmp_path):
    with pytest.raises(Killed):
        with owned(tmp_path, ["a.txt", "b.txt"]):
            (tmp_path / "a.txt").write_text("half")
            os.link(tmp_path / MADE, tmp_path / "list")  # the list as a kill would leave it
            raise Killed
    os.replace(tmp_path / "list", tmp_path / MADE)
    assert foreign(tmp_path) == []


def test_a_directory_into_which_nothing_was_written_is_not_left(tmp_path):
    with pytest.raises(KvoiceError):
        with owned(tmp_path / "new", ["a.txt"]):
            raise KvoiceError("nothing was made")
    assert not list(tmp_path.iterdir())


def test_a_directory_of_version_0_1_has_no_list_but_indices(tmp_path):
    (tmp_path / "conversions.json").write_text('{"groups": [{"wav": "0_source.wav"}]}')
    (tmp_path / "0_source.wav").write_text("")
    assert foreign(tmp_path) == []
    (tmp_path / "notes.txt").write_text("mine")
    assert foreign(tmp_path) == ["notes.txt"]


def test_names_that_are_no_unicode_are_kept_in_lists(tmp_path):
    write_json(tmp_path / "a.json", {"b\udc80": 1})
    assert read_json(tmp_path / "a.json") == {"b\udc80": 1}


def test_a_sealed_object_is_read_as_it_was_or_not_at_all(tmp_path):
    content = {"step": 2, "names": ["ä", "b"], "best": {"value": 0.5, "none": None}}
    write_json(tmp_path / "a.json", content, sealed=True)
    assert read_json(tmp_path / "a.json") == content
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    for old, new in (("2", "3"), ("ä", "ö"), ("0.5", "0.25"), ('"b"', '"c"'), ("null", "0")):
        assert old in text
        (tmp_path / "a.json").write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(KvoiceError, match="a.json: is damaged or was edited"):
            read_json(tmp_path / "a.json")


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    (tmp_path / "deep").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    dead = [f".kvoice-{int(done.stdout)}-x.tmp", ".kvoice-x.tmp"]  # the latter of earlier versions
    living = f".kvoice-{os.getpid()}-x.tmp"
    for folder in (tmp_path, tmp_path / "deep"):
        for name in (*dead, living):
            (folder / name).write_bytes(b"half")
    with owned(tmp_path, ["a.wav", "deep/b.wav"]):
        (tmp_path / "a.wav").write_bytes(b"a")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.tmp")}
    assert left == {living, f"deep/{living}"}
