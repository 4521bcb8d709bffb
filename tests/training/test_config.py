import subprocess
import sys

import pytest

from kvoice.errors import KvoiceError
from kvoice.training.config import DEFAULTS, TrainConfig

LEAST = dict(steps=6, steps_per_epoch=2, rates={"critic": 1e-3, "generator": 1e-3})


@pytest.mark.parametrize(
    "changes, name",
    [
        (dict(precision="mixed_float16"), "train.precision"),
        (dict(steps=5), "train.steps"),
        (dict(steps_per_epoch=0), "train.steps_per_epoch"),
        (dict(keep=0), "train.keep"),
        (dict(valid_steps=0), "train.valid_steps"),
        (dict(ema=1.5), "train.ema"),
        (dict(decay=0.0), "train.decay"),
        (dict(decay=1.1), "train.decay"),
        (dict(clip_norm=-1.0), "train.clip_norm"),
        (dict(weight_decay=-1.0), "train.weight_decay"),
        (dict(rates={"critic": -1e-3, "generator": 1e-3}), "train.rates.critic"),
        (dict(seed=-1), "train.seed"),
    ],
)
def test_a_wrong_value_is_named(changes, name):
    with pytest.raises(KvoiceError, match=f"^{name}: "):
        TrainConfig(**LEAST | changes)


def test_a_dead_field_is_a_type_error():
    with pytest.raises(TypeError, match="momentum"):
        TrainConfig(**LEAST, momentum=0.9)


def test_the_default_is_plain_adam_at_a_constant_rate():
    config = TrainConfig(**LEAST)
    assert (config.decay, config.clip_norm, config.weight_decay, config.ema) == (1, 0, 0, 0)
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS


def test_a_config_is_read_without_a_framework():
    found = subprocess.run(
        [sys.executable, "-c", "import sys, kvoice.training.config; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"keras", "tensorflow", "jax", "torch"} & set(found)
