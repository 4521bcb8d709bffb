import types

import keras
import numpy as np
import pytest

import kvoice
from kvoice.errors import KvoiceError
from kvoice.files import write_json
from kvoice.training import callbacks, loop
from tests.training.noise import Noise, create, rows, train

pytestmark = pytest.mark.backend


def test_a_kill_between_the_log_and_the_state_writes_no_row_twice(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    write_json(run.path / "state.json", {**run.state, "step": 4})
    (run.path / "checkpoints" / "step-0000006.weights.h5").unlink()
    write_json(run.path / "state.json", {**run.state, "weights": "step-0000004.weights.h5"})
    before = rows(run)
    train(run)
    assert rows(run) == before
    assert [row["step"] for row in before] == ["2", "4", "6"]


def test_the_newest_checkpoints_and_the_best_are_kept(tmp_path):
    run = create(tmp_path / "run", steps=8)
    scores = iter([3.0, 1.0, 2.0, 5.0])
    seen = []

    def validate(model):
        seen.append(model.generate(1, label=0))
        return {"distance": next(scores)}

    train(run, validate=validate)
    names = sorted(p.name for p in (run.path / "checkpoints").iterdir())
    assert names == ["best.weights.h5", "step-0000006.weights.h5", "step-0000008.weights.h5"]
    assert run.state["best"]["step"] == 4 and run.state["best"]["value"] == 1.0
    loaded = kvoice.load(run.path).model
    np.testing.assert_allclose(loaded.generate(1, label=0), seen[1], atol=1e-5)
    newest = loop.load(run.path, best=False)
    np.testing.assert_allclose(newest.generate(1, label=0), seen[3], atol=1e-5)
    assert [row["val_distance"] for row in rows(run)] == ["3", "1", "2", "5"]


def test_the_best_is_not_forgotten_by_a_resume(tmp_path):
    run = create(tmp_path / "run")

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, validate=lambda model: {"distance": 1.0}, callbacks=[Stop()])
    train(run, validate=lambda model: {"distance": 2.0})
    assert run.state["best"]["step"] == 2


def test_a_term_that_is_not_finite_stops_the_run_and_is_named(tmp_path):
    run = create(tmp_path / "run")
    with pytest.raises(KvoiceError, match="wasserstein is not finite.*rates"):
        train(run, source=Noise(bad_step=3))
    assert run.state["step"] == 2  # the checkpoint before it
    assert [row["step"] for row in rows(run)] == ["2"]
    train(run)  # and with good data it goes on
    assert run.state["step"] == 6


def test_validation_judges_the_average_and_leaves_the_raw_weights(tmp_path):
    run = create(tmp_path / "run", ema=0.5)
    seen = []
    train(
        run,
        validate=lambda model: seen.append(model.generate(1, label=0)) or {"distance": -len(seen)},
    )
    np.testing.assert_allclose(loop.load(run.path).generate(1, label=0), seen[-1], atol=1e-5)


def test_the_estimate_comes_once_and_leaves_out_the_first_step(monkeypatch, capsys):
    ends_s = iter([3600.0, 3603.0, 3606.0])  # of the steps: the first took an hour
    monkeypatch.setattr(callbacks, "time", types.SimpleNamespace(monotonic=ends_s.__next__))
    estimate = callbacks.TimeEstimate(100, after=2)
    for batch in range(9):
        estimate.on_train_batch_end(batch)
    assert capsys.readouterr().out == "about 5 min to the last step\n"


def test_an_epoch_is_a_line_with_its_step_and_its_losses(capsys):
    line = callbacks.EpochLine(600)
    line.set_params({"steps": 200})
    line.on_epoch_begin(1)
    line.on_epoch_end(1, {"loss": 1.23456, "val_loss": 2.0})
    assert capsys.readouterr().out == "step 400 of 600, 0 s - loss: 1.235 - val_loss: 2\n"
