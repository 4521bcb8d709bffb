import json
import os

import pytest

from kvoice.files import replaced, whole_directory, write_json


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
    assert [each.name for each in path.iterdir()] == ["new"]
    with pytest.raises(KeyboardInterrupt):
        with whole_directory(path) as partial:
            (partial / "half").write_text("")
            raise KeyboardInterrupt
    assert [each.name for each in path.iterdir()] == ["new"] and os.listdir(tmp_path) == ["a"]


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
    assert (tmp_path / "link").is_symlink() and os.listdir(tmp_path / "real") == ["new"]


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
        assert os.listdir(place) == ["a"] and os.listdir(place / "a") == ["again"]
    else:
        raise AssertionError("more operations than were tried")
    assert number > 3
