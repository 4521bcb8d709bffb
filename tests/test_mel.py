"""A mel is the same in NumPy, as a TensorFlow graph and in keras.ops, whatever the Spec says."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from kvoice import audio
from kvoice.layers import mel

pytestmark = pytest.mark.backend

BOUNDS = {"ln": (-5.0, -3.0), "db": (0.4, 0.6), "linear": (1e-3, 3e-2)}  # that clip both ends
EVERY = {
    f"{scale}, power {power}{', clipped' * clip}": dataclasses.replace(
        audio.SPECS["waveglow"],
        scale=scale,
        power=power,
        clip=clip,
        ref_db=10.0,
        range_db=90.0,
        low=low,
        high=high,
    )
    for scale, (low, high) in BOUNDS.items()
    for power in (1, 2)
    for clip in (False, True)
}
SPECS = audio.SPECS | EVERY


def waves(spec):
    """A tone in noise, and noise: ever fainter, then silence, so that floor and bounds show."""
    time = np.arange(40 * spec.hop + 7) / spec.sample_rate_hz
    rng = np.random.default_rng(0)
    found = np.array([[1e-3], [0.3]]) * rng.standard_normal((2, len(time)))
    found[0] += 0.9 * np.sin(2 * np.pi * 440 * time)
    found *= 10.0 ** -np.minimum(5, np.arange(len(time)) // (8 * spec.hop))
    found[:, 32 * spec.hop :] = 0
    return found.astype("float32")


def numpy_mel(wave, spec):
    return audio.mel(wave, spec)


def tensorflow_mel(wave, spec):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    from kvoice.data import features

    return tf.function(lambda wave: features.mel(wave, spec))(wave).numpy()


def keras_mel(wave, spec):
    return ops.convert_to_numpy(mel.mel(wave, **audio.numbers(spec)))


def written_out(wave, spec):
    """The mel as the Spec's docstring says it, in float64."""
    edge = spec.fft // 2
    padded = np.pad(wave.astype("float64"), [(0, 0), (edge, edge)], mode="reflect")
    starts = np.arange(0, wave.shape[-1] + 1, spec.hop)
    frames = np.stack([padded[:, start : start + spec.fft] for start in starts], axis=1)
    magnitude = np.abs(np.fft.rfft(frames * audio.window(spec))) ** spec.power
    magnitude = np.maximum(magnitude @ audio.mel_filters(spec), spec.floor)
    scaled = {
        "ln": np.log(magnitude),
        "linear": magnitude,
        "db": (20 * np.log10(magnitude) - spec.ref_db + spec.range_db) / spec.range_db,
    }
    made = scaled[spec.scale]
    return np.clip(made, spec.low, spec.high) if spec.clip else made


def logarithm(mel, spec):
    """The natural logarithm of the magnitude that a mel stands for."""
    with np.errstate(divide="ignore"):  # a Spec whose lower bound is a magnitude of 0
        return np.log(audio.magnitude(mel, spec).astype("float64"))


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("way", [numpy_mel, tensorflow_mel, keras_mel])
def test_a_mel_is_what_the_spec_says(name, way):
    spec = SPECS[name]
    wave = waves(spec)
    wanted, made = written_out(wave, spec), way(wave, spec)
    assert made.shape == (2, spec.frames(wave.shape[1]), spec.mels) and made.dtype == np.float32
    away = np.abs(logarithm(made, spec) - logarithm(wanted, spec))
    # A transform in float32 errs by 1e-7 of the loudest bin of the frame: far below 1e-4 of what
    # lies within 40 dB of it, and up to 5e-3 of what lies 90 dB below: the bands near the floor.
    loudest = logarithm(wanted, spec).max(axis=-1, keepdims=True)
    clear = logarithm(wanted, spec) > loudest - spec.power * np.log(100)
    np.testing.assert_array_less(away[clear], 1e-4)
    np.testing.assert_array_less(away, 5e-3)


@pytest.mark.parametrize("name", EVERY)
def test_the_specs_that_are_compared_reach_floor_and_bounds(name):
    """Or nothing would be said of them."""
    spec = EVERY[name]
    made = audio.mel(waves(spec), spec)
    lowest = spec.low if spec.clip else audio.scaled(np.float32(0), spec)
    assert np.mean(made == np.float32(lowest)) > 0.1
    assert np.mean(made == np.float32(spec.high)) > 0.1 if spec.clip else made.max() > spec.high
