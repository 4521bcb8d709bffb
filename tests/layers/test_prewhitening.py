import dataclasses

import numpy as np
import pytest
from keras import ops

from kvoice import audio, backend
from kvoice.data.synthetic import demo
from kvoice.layers.prewhitening import Prewhitening

pytestmark = pytest.mark.backend

SPEC = audio.SPECS["waveglow"]
FRAMES = 80
SMALL = audio.Spec(sample_rate_hz=8000, fft=64, window=64, hop=15, mels=6, fmax_hz=4000)


def whitening(spec):
    return Prewhitening(spec.hop, audio.band_powers(spec))


def tensor(array):
    return ops.convert_to_tensor(np.float32(array))


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def speech():
    """Some speech as [samples] and its mel [frames, mels]."""
    wave = demo.render(
        demo.Utterance("ada", "happy", list(demo.SENTENCES)[0]), SPEC.sample_rate_hz
    ).wave
    wave = wave[20 * SPEC.hop : (20 + FRAMES) * SPEC.hop]
    return np.float32(wave), audio.mel(wave, SPEC)[:FRAMES]


def test_speech_is_whitened_by_its_mel_and_restored(speech):
    wave, mel = (each[None] for each in speech)
    prewhitening = whitening(SPEC)
    white, _ = map(numpy, prewhitening.whitened(tensor(wave), tensor(mel)))
    np.testing.assert_allclose(
        numpy(prewhitening.coloured(tensor(white), tensor(mel))), wave, atol=1e-5
    )

    def flatness(sound):  # of the power below the highest band: its geometric mean over its mean
        power = np.mean(np.abs(audio.stft(sound[0], SPEC)[:, 1:371]) ** 2, axis=0)
        return np.exp(np.mean(np.log(power))) / np.mean(power)

    energies = np.mean(white.reshape(FRAMES // 8, -1) ** 2, axis=1)
    assert 0.5 < energies.min() and energies.max() < 2
    assert flatness(wave) < 0.05 and flatness(white) > 0.8


def test_noise_gets_the_spectrum_of_the_mel(speech):
    noise = np.random.default_rng(0).normal(size=(8, FRAMES * SPEC.hop))
    mels = tensor(np.repeat(speech[1][None], 8, axis=0))
    waves = numpy(whitening(SPEC).coloured(tensor(noise), mels))
    errors = (audio.mel(waves, SPEC)[:, 1:FRAMES].mean(axis=0) - speech[1][1:]) * 20 / np.log(10)
    bands = errors.mean(axis=0)  # in decibels; the lowest are as narrow as one coefficient
    assert (
        np.abs(bands).max() < 10 and np.abs(bands[30:]).max() < 5 and abs(bands[50:].mean()) < 2.5
    )


@pytest.mark.parametrize("frames", [2, 4, 8])
def test_the_log_determinant_is_that_of_the_jacobian(frames):
    prewhitening, samples = whitening(SMALL), frames * SMALL.hop
    mel = np.random.default_rng(0).normal(-4, 1, (1, frames, SMALL.mels))
    columns, scales = prewhitening.whitened(
        tensor(np.eye(samples)), tensor(np.repeat(mel, samples, axis=0))
    )
    _, expected = np.linalg.slogdet(np.float64(numpy(columns)))
    assert numpy(scales)[0].sum() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        dict(scale="linear"),
        dict(scale="db", low=0.0, high=1.0, ref_db=20.0),
        dict(power=2, floor=1e-10),
        dict(power=2, scale="linear", floor=1e-10),
    ],
)
def test_every_scale_of_mels_gives_the_same_envelope(speech, changes):
    wave, mel = speech
    spec = dataclasses.replace(SPEC, **changes)
    sizes, found = (
        numpy(whitening(each).log_sizes(tensor(audio.mel(wave, each)[None])))
        for each in (SPEC, spec)
    )
    errors = (found - sizes) * 20 / np.log(10)
    # The mean of magnitudes and that of energies differ in bands of a tone and of noise.
    assert np.sqrt(np.mean(errors**2)) < (1.5 if spec.power == 2 else 1e-3)


@pytest.mark.parametrize("level", [np.log(1e-5), -4.0, 5.0])
def test_no_mel_is_too_faint_or_too_loud(level):
    mel = tensor(np.full((1, 4, SPEC.mels), level))
    prewhitening = whitening(SPEC)
    wave = tensor(np.random.default_rng(0).normal(0, 0.1, (1, 4 * SPEC.hop)))
    white, scales = map(numpy, prewhitening.whitened(wave, mel))
    assert np.isfinite(white).all() and np.isfinite(scales).all()
    assert scales.max() <= np.log(32768 * 12**0.5) + 1e-4  # the rounding to 16 bits


def test_a_gradient_goes_through_to_the_mel():
    prewhitening, rng = whitening(SMALL), np.random.default_rng(0)
    white, mel = (
        np.float32(each)
        for each in (rng.normal(size=(1, 4 * SMALL.hop)), rng.normal(-2, 1, (1, 4, SMALL.mels)))
    )
    loud = backend.input_value_and_grad(
        lambda x: (ops.sum(ops.square(prewhitening.coloured(tensor(white), x))), ()), []
    )
    gradient, step = numpy(loud(mel)[1]), 1e-2
    for place in ((0, 1, 1), (0, 3, 4)):
        moved = [mel.copy(), mel.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        slope = (float(loud(moved[0])[0][0]) - float(loud(moved[1])[0][0])) / (2 * step)
        assert abs(slope) > 1e-3 and gradient[place] == pytest.approx(slope, rel=0.05)
