import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import kvoice
from kvoice.cli.main import main
from kvoice.errors import KvoiceError
from kvoice.training import callbacks, loop
from kvoice.training.callbacks import TimeEstimate
from kvoice.training.config import TrainConfig
from tests.training.noise import MODEL, TRAIN, Noise, create, everything, rows, train

pytestmark = pytest.mark.backend

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_a_killed_run_resumes_with_the_same_losses(tmp_path):
    whole = create(tmp_path / "whole", decay=0.5)
    train(whole, valid=Noise(seed=1))

    killed = create(tmp_path / "killed", decay=0.5)
    script = f"""
        import sys; sys.path.insert(0, {str(ROOT)!r})
        from tests.training.noise import *
        train(runs.load({str(killed.path)!r}), valid=Noise(seed=1), callbacks=[Kill()])
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert killed.state["step"] == 2

    train(killed, valid=Noise(seed=1))
    assert rows(killed) == rows(whole)  # every loss, validation included, and no row twice
    for a, b in zip(everything(killed), everything(whole), strict=True):
        np.testing.assert_array_equal(a, b)


OTHER = {"tensorflow": "jax", "jax": "torch", "torch": "tensorflow"}[keras.backend.backend()]


@pytest.mark.skipif(importlib.util.find_spec(OTHER) is None, reason=f"{OTHER} is not installed")
def test_a_model_trained_on_one_backend_generates_and_trains_on_another(tmp_path):
    run = create(tmp_path / "run", ema=0.5)
    script = f"""
        import sys; sys.path.insert(0, {str(ROOT)!r})
        from tests.training.noise import *
        run = runs.load({str(run.path)!r})
        train(run)
        np.save(run.path / "average.npy", loop.load(run.path).generate(2, label=1))
    """
    environment = {**os.environ, "KERAS_BACKEND": OTHER}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env=environment)
    average = np.load(run.path / "average.npy")

    saved = keras.saving.load_model(run.path / "model.keras")
    np.testing.assert_allclose(saved.generate(2, label=1), average, atol=1e-4)
    loaded = kvoice.load(run.path).model
    np.testing.assert_allclose(loaded.generate(2, label="angry"), average, atol=1e-4)
    steps = int(saved.optimizer["critic"].iterations)
    assert steps == 6 * MODEL["n_critic"]
    logs = saved.train_on_batch(Noise().batch(6), return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    assert int(saved.optimizer["critic"].iterations) == steps + MODEL["n_critic"]


class Rates(keras.callbacks.Callback):
    """Notes the rate of each parameter group in each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        self.seen.append([float(optimizer[group].learning_rate) for group in optimizer.groups])


DECAY = dict(decay=0.5, rates={"critic": 1e-3, "generator": 4e-4})
DECAYED = [[1e-3, 4e-4], [5e-4, 2e-4], [2.5e-4, 1e-4]]  # of each epoch


def test_the_rates_of_all_parameter_groups_decay_after_each_epoch(tmp_path):
    rates = Rates()
    train(create(tmp_path / "run", **DECAY), callbacks=[rates])
    np.testing.assert_allclose(rates.seen, DECAYED, rtol=1e-6)


def test_a_resumed_run_continues_with_the_decayed_rates(tmp_path):
    class Stop(Rates):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    run, begun, resumed = create(tmp_path / "run", **DECAY), Stop(), Rates()
    with pytest.raises(KeyboardInterrupt):
        train(run, callbacks=[begun])
    train(run, callbacks=[resumed])
    np.testing.assert_allclose(begun.seen + resumed.seen, DECAYED, rtol=1e-6)


def test_a_run_that_begins_from_another_begins_with_its_own_rates(tmp_path):
    first = create(tmp_path / "first", **DECAY)
    train(first)
    rates = Rates()
    train(create(tmp_path / "second", **DECAY), init=str(first.path), callbacks=[rates])
    np.testing.assert_allclose(rates.seen, DECAYED, rtol=1e-6)


@pytest.mark.parametrize("decay, still", [(1e-9, True), (1.0, False)])
def test_weights_move_by_the_decayed_rates(tmp_path, decay, still):
    run = create(tmp_path / "run", decay=decay, steps=4)
    after = {}

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            after[epoch] = [keras.ops.convert_to_numpy(v) for v in self.model.trainable_variables]

    train(run, callbacks=[Note()])
    moved = max(np.abs(a - b).max() for a, b in zip(after[0], after[1]))
    assert moved < 1e-7 if still else moved > 1e-4


def test_a_run_that_another_process_began_with_other_values_is_not_trained(tmp_path):
    run = create(tmp_path / "run")
    create(tmp_path / "run", decay=0.5)  # both have no checkpoint yet
    with pytest.raises(KvoiceError, match="another process has begun this run"):
        train(run)


def test_a_classifier_is_trained_and_loaded_at_its_best_with_its_names(tmp_path):
    model = dict(
        shape=(16, 16),
        low=-10.0,
        high=2.0,
        labels=2,
        condition="emotion",
        width=4,
        depth=1,
        noise=0.5,
        vtlp=0.1,
    )
    run = create(
        tmp_path / "run",
        model=model,
        name="classifier",
        ema=0.5,
        decay=0.5,
        rates={"classifier": 1e-3},
    )
    scores, seen = iter([3.0, 1.0, 2.0]), []

    def validate(built):
        seen.append(built.probabilities(Noise().batch(0)["mel"]))
        return {"log_loss": next(scores)}

    train(run, valid=Noise(seed=1), validate=validate)
    loaded = kvoice.load(run.path).model
    assert list(loaded.names) == ["calm", "angry"] and run.state["best"]["step"] == 4
    found = loaded.probabilities(Noise().batch(0)["mel"])
    np.testing.assert_allclose(found, seen[1], atol=1e-5)
    assert np.abs(found - seen[2]).max() > 1e-5
    saved = keras.saving.load_model(run.path / "model.keras")
    np.testing.assert_allclose(saved.probabilities(Noise().batch(0)["mel"]), found, atol=1e-6)
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_log_loss"} <= set(rows(run)[0])


def test_a_finished_run_is_refused(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    with pytest.raises(KvoiceError, match="is finished .*another --run"):
        train(run)


def test_the_average_is_loaded_and_the_raw_weights_are_resumed(tmp_path):
    plain, averaged = create(tmp_path / "plain"), create(tmp_path / "averaged", ema=0.5)
    train(plain)
    trained = train(averaged)
    raw = loop.load(plain.path).generate(2, label=1)
    same = loop.load(averaged.path, average=False).generate(2, label=1)
    np.testing.assert_allclose(same, raw, atol=1e-5)
    assert np.abs(loop.load(averaged.path).generate(2, label=1) - raw).max() > 1e-6
    trained.average_weights()  # those that the optimizers keep
    for group, variables in loop.load(averaged.path).parameter_groups().items():
        for variable, kept in zip(variables, trained.parameter_groups()[group], strict=True):
            assert np.array_equal(*map(keras.ops.convert_to_numpy, (variable, kept)))


def test_the_norm_of_a_gradient_is_clipped(tmp_path):
    def moved(run):
        keras.utils.set_random_seed(TRAIN["seed"])
        before = [keras.ops.convert_to_numpy(v) for v in loop.model(run).trainable_variables]
        after = [keras.ops.convert_to_numpy(v) for v in train(run).trainable_variables]
        return max(np.abs(a - b).max() for a, b in zip(after, before))

    # Gradients far below Adam's epsilon of 1e-7 move nothing.
    assert moved(create(tmp_path / "still", clip_norm=1e-12)) < 1e-5
    assert moved(create(tmp_path / "free")) > 1e-3


def test_a_run_can_begin_from_the_weights_of_another(tmp_path):
    first = create(tmp_path / "first")
    train(first)
    second = create(tmp_path / "second", rates={"critic": 0.0, "generator": 0.0})
    begun = train(second, init=str(first.path))
    trainable = [keras.ops.convert_to_numpy(v) for v in begun.trainable_variables]
    want = [keras.ops.convert_to_numpy(v) for v in loop.load(first.path).trainable_variables]
    for a, b in zip(trainable, want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_mixed_bfloat16_computes_in_bfloat16_and_stores_float32(tmp_path):
    run = create(tmp_path / "run", precision="mixed_bfloat16")
    policy = keras.config.dtype_policy()
    model = train(run)
    assert model.generator.layers[-4].compute_dtype == "bfloat16"
    assert {keras.backend.standardize_dtype(v.dtype) for v in model.trainable_variables} == {
        "float32"
    }
    assert keras.config.dtype_policy() == policy
    assert np.isfinite(loop.load(run.path).generate(1, label=0)).all()


def test_a_rate_that_is_missing_is_named(tmp_path):
    with pytest.raises(KvoiceError, match="train.rates: the rate of generator is missing"):
        train(create(tmp_path / "run", rates={"critic": 1e-3}))


def test_a_training_makes_its_model_once_before_the_first_step(tmp_path, monkeypatch, capsys):
    made, kind = [], loop.MODELS["betavae"]

    class Counted(kind):
        def __init__(self, **values):
            made.append(values)
            super().__init__(**values)

    class Stop(TimeEstimate):
        def on_train_batch_begin(self, batch, logs=None):
            raise KvoiceError("stopped before the first step")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(callbacks, "TimeEstimate", Stop)
    monkeypatch.setitem(loop.MODELS, "betavae", Counted)
    words = ["train", "--model=betavae:digits", "--config.model.width=4", "--run=run"]
    assert main(words) == 1 and "stopped before the first step" in capsys.readouterr().err
    assert len(made) == 1


def test_a_model_that_is_handed_on_is_trained_as_one_that_the_loop_makes(tmp_path):
    changes = dict(precision="mixed_bfloat16", steps=2)
    runs = [create(tmp_path / name, **changes) for name in ("made", "handed")]
    train(runs[0])
    with loop.beginning(TrainConfig(**runs[1].config["train"])):
        built = loop.model(runs[1])
    keras.utils.set_random_seed(5)  # what happens in between draws from other generators
    assert train(runs[1], built=built) is built
    for a, b in zip(*map(everything, runs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_that_the_steps_cannot_share_is_refused(tmp_path):
    with pytest.raises(KvoiceError, match="data.batch: 4 must be a multiple of 3"):
        train(create(tmp_path / "run", model={**MODEL, "n_critic": 3}))


def test_a_start_of_another_size_is_refused(tmp_path):
    first = create(tmp_path / "first", model={**MODEL, "width": 3})
    train(first)
    with pytest.raises(KvoiceError, match="--init=.*do not fit"):
        train(create(tmp_path / "second"), init=str(first.path))


def test_the_saved_model_is_the_best_epoch_averaged(tmp_path):
    run = create(tmp_path / "run", ema=0.5)
    scores = iter([1.0, 2.0, 3.0])
    train(run, validate=lambda model: {"distance": next(scores)})
    saved = keras.saving.load_model(run.path / "model.keras")
    np.testing.assert_allclose(
        saved.generate(1, label=0), loop.load(run.path).generate(1, label=0), atol=1e-6
    )
    newest = loop.load(run.path, best=False, average=False).generate(1, label=0)
    assert np.abs(saved.generate(1, label=0) - newest).max() > 1e-4


def test_a_model_that_rejects_a_value_names_it(tmp_path):
    with pytest.raises(KvoiceError, match="voicegan: shape"):
        train(create(tmp_path / "run", model={**MODEL, "shape": (15, 16)}))


def test_loading_before_the_first_checkpoint_is_refused(tmp_path):
    with pytest.raises(KvoiceError, match="no checkpoint yet"):
        kvoice.load(create(tmp_path / "run").path)
