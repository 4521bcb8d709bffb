import collections
import errno
import shutil

import pytest

import kvoice
from kvoice.errors import KvoiceError
from kvoice.training import checkpoints
from tests.training.noise import create, rows, train

pytestmark = pytest.mark.backend


def test_a_disk_without_room_for_a_checkpoint_stops_before_it_is_written(tmp_path, monkeypatch):
    run = create(tmp_path / "run")
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**5))
    with pytest.raises(OSError) as caught:
        train(run)
    assert caught.value.errno == errno.ENOSPC
    assert not list((run.path / "checkpoints").iterdir()) and not run.state


def test_a_checkpoint_that_is_gone_or_broken_is_named(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    weights = run.path / "checkpoints" / run.state["weights"]
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(KvoiceError, match=weights.name):
        kvoice.load(run.path)
    weights.unlink()
    with pytest.raises(KvoiceError, match="gone"):
        kvoice.load(run.path)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    run = create(tmp_path / "run")
    save = checkpoints.save_weights

    def full(built, path):
        if "0000004" in path.name:
            path.with_name(f".{path.name}").write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(built, path)

    monkeypatch.setattr(checkpoints, "save_weights", full)
    with pytest.raises(OSError, match="No space"):
        train(run)
    assert run.state["step"] == 2
    monkeypatch.undo()
    train(run)
    assert not list((run.path / "checkpoints").glob(".*"))
    assert [row["step"] for row in rows(run)] == ["2", "4", "6"]
