import collections
import errno
import shutil

import numpy as np
import pytest

import kvoice
from kvoice.errors import KvoiceError
from kvoice.training import checkpoints, loop
from tests.training.noise import create, everything, rows, train

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
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(KvoiceError, match=f"{weights.name}: the checkpoint is damaged; put back"):
        kvoice.load(run.path)
    for other in weights.parent.glob("*.h5"):
        other.unlink()
    with pytest.raises(KvoiceError, match="gone"):
        kvoice.load(run.path)


def flipped(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_bit_that_was_flipped_is_noticed_and_the_checkpoint_before_is_offered(tmp_path, capsys):
    run = create(tmp_path / "run")
    train(run)
    folder = run.path / "checkpoints"
    before, newest = sorted(path.name for path in folder.glob("step-*"))
    assert (before, newest) == ("step-0000004.weights.h5", "step-0000006.weights.h5")
    flipped(folder / newest, -100)
    for use in (lambda: kvoice.load(run.path), lambda: loop.load(run.path)):
        with pytest.raises(KvoiceError, match=f"{newest}: .* damaged; .*delete it: {before} is"):
            use()
    (folder / newest).unlink()
    kvoice.load(run.path)
    assert f"{newest}: is gone; {before} is used" in capsys.readouterr().err
    train(run)
    assert run.state["step"] == 6 and run.state["weights"] == newest
    assert [row["step"] for row in rows(run)] == ["2", "4", "6"]


def test_a_damaged_checkpoint_is_not_taken_for_a_whole_one_where_it_is_all_there_is(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    before, newest = sorted((run.path / "checkpoints").glob("step-*"))
    newest.unlink()
    flipped(before, -100)
    for _ in range(2):
        with pytest.raises(KvoiceError, match=f"{before.name}: the checkpoint is damaged"):
            train(run)


def test_a_training_goes_on_from_the_checkpoint_that_is_left(tmp_path):
    whole, cut = create(tmp_path / "whole"), create(tmp_path / "cut")
    train(whole)
    train(cut)
    (cut.path / "checkpoints" / "step-0000006.weights.h5").unlink()
    train(cut)
    for one, other in zip(everything(whole), everything(cut)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["config.json", "spec.json", "labels.json"])
def test_a_run_whose_files_were_edited_is_not_loaded_as_another(tmp_path, name):
    run = create(tmp_path / "run")
    train(run)
    path = run.path / name
    path.write_text(path.read_text().replace("256", "128").replace("calm", "sad"))
    path.write_text(path.read_text() + " ")
    with pytest.raises(KvoiceError, match=f"{name}: is not what the run was trained with"):
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
