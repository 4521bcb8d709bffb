import collections
import csv
import errno
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import kvoice
from kvoice import audio, runs
from kvoice.training import loop
from kvoice.errors import KvoiceError
from kvoice.files import write_json

pytestmark = pytest.mark.backend

TRAIN = dict(
    steps=6, steps_per_epoch=2, rates={"critic": 1e-3, "generator": 1e-3}, decay=1.0, beta_1=0.5,
    beta_2=0.9, clip_norm=0.0, ema=0.0, precision="float32", jit=False, seed=0, keep=2, valid_steps=1,
)
MODEL = dict(shape=(16, 16), low=-10.0, high=2.0, labels=2, condition="emotion", noise=4, width=2,
             n_critic=2, seed=0)


class Noise:
    """A source whose batch is a function of the step alone."""

    def __init__(self, seed=0, bad_step=None):
        self.seed, self.bad_step = seed, bad_step

    def batch(self, step):
        rng = np.random.default_rng([self.seed, step])
        mel = rng.uniform(-9, 1, (4, 16, 16)).astype("float32")
        if step == self.bad_step:
            mel[0, 0, 0] = np.nan
        return {"mel": mel, "emotion": rng.integers(0, 2, 4).astype("int32")}


@pytest.fixture(autouse=True)
def without_tf_data(monkeypatch):
    monkeypatch.setattr(loop, "feed", loop.generated)


def create(path, model=MODEL, name="voicegan", **changes):
    config = {"model_name": name, "variant": "tiny", "data_spec": "noise", "data": {},
              "model": model, "train": {**TRAIN, **changes}}
    return runs.create(path, config, audio.SPECS["waveglow"], {"emotion": ["calm", "angry"]})


def train(run, source=None, valid=None, callbacks=(), **kwargs):
    return loop.train(run, source or Noise(), valid, callbacks=callbacks, verbose=0,
                          **kwargs, **run.config["train"])


def rows(run):
    with open(run.path / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def everything(run):
    """Weights, slots and random state of the newest checkpoint."""
    model = loop.model(run)
    loop._compile(model, **loop._optimizer_values(run.config["train"]))
    model.load_weights(run.path / "checkpoints" / run.state["weights"])
    variables = model.variables + model.optimizer.variables
    return [keras.ops.convert_to_numpy(v) for v in variables]


class Kill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path):
    whole = create(tmp_path / "whole", decay=0.5)
    train(whole, valid=Noise(seed=1))

    killed = create(tmp_path / "killed", decay=0.5)
    script = f"""
        import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_loop import *
        loop.feed = loop.generated
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
def test_what_one_backend_trained_speaks_and_learns_on_another(tmp_path):
    run = create(tmp_path / "run", ema=0.5)
    script = f"""
        import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_loop import *
        loop.feed = loop.generated
        run = runs.load({str(run.path)!r})
        train(run)
        np.save(run.path / "average.npy", loop.load(run.path).generate(2, label=1))
    """
    environment = {**os.environ, "KERAS_BACKEND": OTHER}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env=environment)
    average = np.load(run.path / "average.npy")

    saved = keras.saving.load_model(run.path / "model.keras")
    np.testing.assert_allclose(saved.generate(2, label=1), average, atol=1e-4)
    np.testing.assert_allclose(kvoice.load(run.path).generate(2, label="angry"), average, atol=1e-4)
    steps = int(saved.optimizer["critic"].iterations)
    assert steps == 6 * MODEL["n_critic"]
    logs = saved.train_on_batch(Noise().batch(6), return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    assert int(saved.optimizer["critic"].iterations) == steps + MODEL["n_critic"]


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


def test_a_resumed_run_goes_on_with_the_decayed_rates(tmp_path):
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


def test_a_classifier_learns_in_a_run_and_is_loaded_at_its_best_with_its_names(tmp_path):
    model = dict(shape=(16, 16), low=-10.0, high=2.0, labels=2, condition="emotion", width=4, depth=1,
                 wear=0.5, warp=0.1)
    run = create(tmp_path / "run", model=model, name="classifier", ema=0.5, decay=0.5,
                 rates={"classifier": 1e-3})
    scores, seen = iter([3.0, 1.0, 2.0]), []

    def validate(built):
        seen.append(built.probabilities(Noise().batch(0)["mel"]))
        return {"log_loss": next(scores)}

    train(run, valid=Noise(seed=1), validate=validate)
    loaded = kvoice.load(run.path)
    assert list(loaded.names) == ["calm", "angry"] and run.state["best"]["step"] == 4
    found = loaded.probabilities(Noise().batch(0)["mel"])
    np.testing.assert_allclose(found, seen[1], atol=1e-5)
    assert np.abs(found - seen[2]).max() > 1e-5
    saved = keras.saving.load_model(run.path / "model.keras")
    np.testing.assert_allclose(saved.probabilities(Noise().batch(0)["mel"]), found, atol=1e-6)
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_log_loss"} <= set(rows(run)[0])


def test_a_finished_run_says_so(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    with pytest.raises(KvoiceError, match="finished.*generate"):
        train(run)


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
    np.testing.assert_allclose(kvoice.load(run.path).generate(1, label=0), seen[1], atol=1e-5)
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


def test_the_average_is_loaded_and_the_raw_weights_are_resumed(tmp_path):
    plain, averaged = create(tmp_path / "plain"), create(tmp_path / "averaged", ema=0.5)
    for run in (plain, averaged):
        train(run)
    raw = loop.load(plain.path).generate(2, label=1)
    same = loop.load(averaged.path, average=False).generate(2, label=1)
    np.testing.assert_allclose(same, raw, atol=1e-5)
    assert np.abs(loop.load(averaged.path).generate(2, label=1) - raw).max() > 1e-6


def test_validation_judges_the_average_and_leaves_the_raw_weights(tmp_path):
    run = create(tmp_path / "run", ema=0.5)
    seen = []
    train(run, validate=lambda model: seen.append(model.generate(1, label=0)) or {"distance": -len(seen)})
    np.testing.assert_allclose(loop.load(run.path).generate(1, label=0), seen[-1], atol=1e-5)


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
    assert {keras.backend.standardize_dtype(v.dtype) for v in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy() == policy
    assert np.isfinite(loop.load(run.path).generate(1, label=0)).all()


@pytest.mark.parametrize("changes, name", [
    (dict(precision="mixed_float16"), "train.precision"),
    (dict(rates={"critic": 1e-3}), "train.rates"),
    (dict(steps=5), "train.steps"),
    (dict(keep=0), "train.keep"),
    (dict(ema=1.5), "train.ema"),
    (dict(decay=0.0), "train.decay"),
    (dict(decay=1.1), "train.decay"),
    (dict(clip_norm=-1.0), "train.clip_norm"),
    (dict(rates={"critic": -1e-3, "generator": 1e-3}), "train.rates.critic"),
    (dict(seed=-1), "train.seed"),
])
def test_a_wrong_value_is_named(tmp_path, changes, name):
    with pytest.raises(KvoiceError, match=name):
        train(create(tmp_path / "run", **changes))


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
        saved.generate(1, label=0), kvoice.load(run.path).generate(1, label=0), atol=1e-6)
    newest = loop.load(run.path, best=False, average=False).generate(1, label=0)
    assert np.abs(saved.generate(1, label=0) - newest).max() > 1e-4


def test_a_disk_without_room_for_a_checkpoint_stops_before_it_is_written(tmp_path, monkeypatch):
    run = create(tmp_path / "run")
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**5))
    with pytest.raises(OSError) as caught:
        train(run)
    assert caught.value.errno == errno.ENOSPC
    assert not list((run.path / "checkpoints").iterdir()) and not run.state


def test_a_model_that_refuses_a_value_says_which(tmp_path):
    with pytest.raises(KvoiceError, match="voicegan: shape"):
        train(create(tmp_path / "run", model={**MODEL, "shape": (15, 16)}))


def test_loading_before_the_first_checkpoint_says_so(tmp_path):
    with pytest.raises(KvoiceError, match="no checkpoint yet"):
        kvoice.load(create(tmp_path / "run").path)


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
    save = loop._save_weights

    def full(built, path):
        if "0000004" in path.name:
            path.with_name(f".{path.name}").write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(built, path)

    monkeypatch.setattr(loop, "_save_weights", full)
    with pytest.raises(OSError, match="No space"):
        train(run)
    assert run.state["step"] == 2
    monkeypatch.undo()
    monkeypatch.setattr(loop, "feed", loop.generated)
    train(run)
    assert not list((run.path / "checkpoints").glob(".*"))
    assert [row["step"] for row in rows(run)] == ["2", "4", "6"]
