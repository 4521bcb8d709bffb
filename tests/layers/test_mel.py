"""What is differentiated through: `tests/test_mel.py` holds it to NumPy's mel."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from kvoice import audio, backend
from kvoice.layers.mel import mel
from tests.test_mel import written_out

pytestmark = pytest.mark.backend

SPEC = audio.SPECS["waveglow"]


def slope(wave, spec, weight=1.0):
    """The gradient of the weighted sum of the mel by the wave, and the mel."""

    def total(wave):
        made = mel(wave, **audio.numbers(spec))
        return ops.sum(ops.multiply(made, weight)), made

    (_, made), found = backend.input_value_and_grad(total, [])(np.asarray(wave, "float32"))
    return ops.convert_to_numpy(found), ops.convert_to_numpy(made)


def noise(samples, level=0.1):
    return level * np.random.default_rng(0).standard_normal((2, samples)).astype("float32")


@pytest.mark.parametrize("samples", [1, 50, 1024, 5 * 256 - 1])
def test_a_wave_of_any_length_has_mirrored_ends(samples):
    wave = noise(samples)
    made = ops.convert_to_numpy(mel(wave, **audio.numbers(SPEC)))
    np.testing.assert_allclose(made, audio.mel(wave, SPEC), atol=5e-3)


@pytest.mark.parametrize("name", audio.SPECS)
def test_the_gradient_is_what_a_small_step_changes(name):
    spec = audio.SPECS[name]
    wave = noise(6 * spec.hop)
    weight = np.random.default_rng(1).normal(size=(7, spec.mels)).astype("float32")
    found, made = slope(wave, spec, weight)
    step = 1e-6 * found.astype("float64") / np.abs(found).max()
    ends = [np.sum(weight * written_out(each, spec)) for each in (wave + step, wave - step)]
    assert (ends[0] - ends[1]) / 2 == pytest.approx(np.sum(found * step), rel=1e-3)


@pytest.mark.parametrize("scale, power", [("ln", 1), ("db", 2), ("linear", 1), ("linear", 2)])
def test_silence_has_a_finite_gradient(scale, power):
    spec = dataclasses.replace(SPEC, scale=scale, power=power)
    found, _ = slope(np.zeros((1, 8 * 256)), spec)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("low, high", [(5.0, 6.0), (-9.0, -8.0)])
def test_what_is_clipped_has_no_gradient(low, high):
    spec = dataclasses.replace(SPEC, low=low, high=high, clip=True)
    found, made = slope(noise(8 * 256), spec)
    np.testing.assert_array_equal(made, np.float32(low if low > 0 else high))
    np.testing.assert_array_equal(found, 0)
    part, _ = slope(noise(8 * 256), dataclasses.replace(spec, low=-9.0, high=-2.5))
    assert np.abs(part).max() > 0  # where some bands lie between the bounds
