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
