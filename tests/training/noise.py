"""A training on noise that takes a second, for the tests of what trains."""

import csv
import os
import signal
import unittest.mock

import keras
import numpy as np

from kvoice import audio, runs
from kvoice.training import loop
from kvoice.training.config import TrainConfig

TRAIN = dict(
    steps=6,
    steps_per_epoch=2,
    rates={"critic": 1e-3, "generator": 1e-3},
    decay=1.0,
    beta_1=0.5,
    beta_2=0.9,
    clip_norm=0.0,
    ema=0.0,
    precision="float32",
    jit=False,
    seed=0,
    keep=2,
    valid_steps=1,
)
MODEL = dict(
    shape=(16, 16),
    low=-10.0,
    high=2.0,
    labels=2,
    condition="emotion",
    noise=4,
    width=2,
    n_critic=2,
    seed=0,
)


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


def create(path, model=MODEL, name="voicegan", **changes):
    config = {
        "model_name": name,
        "variant": "tiny",
        "data_spec": "noise",
        "data": {},
        "model": model,
        "train": {**TRAIN, **changes},
    }
    return runs.create(path, config, audio.SPECS["waveglow"], {"emotion": ["calm", "angry"]})


def train(run, source=None, valid=None, callbacks=(), **kwargs):
    """Trains in silence, without tf.data."""
    with unittest.mock.patch.object(loop, "feed", loop.generated):
        return loop.train(run, source or Noise(), valid, callbacks=callbacks, verbose=0, **kwargs)


def rows(run):
    with open(run.path / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def everything(run):
    """Weights, slots and random state of the newest checkpoint."""
    model = loop.model(run)
    loop._compile(model, TrainConfig(**run.config["train"]))
    model.load_weights(run.path / "checkpoints" / run.state["weights"])
    variables = model.variables + model.optimizer.variables
    return [keras.ops.convert_to_numpy(v) for v in variables]


class Kill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
