"""Harmonic-plus-noise synthesis has the F0 that it is given, and the envelope of the mel."""

import numpy as np
import pytest

from kvoice import audio
from kvoice.data.synthetic import demo
from kvoice.inference.harmonic import HarmonicVocoder
from kvoice.metrics import speech

SPEC = audio.SPECS["waveglow"]


def spoken(name="elsa"):
    """A sentence of the built-in corpus: its mel and its F0, frame by frame."""
    made = demo.render(
        demo.Utterance(name, "neutral", list(demo.SENTENCES)[0]), SPEC.sample_rate_hz, SPEC.hop
    )
    _, mel = audio.paired(made.wave, SPEC)
    return mel, made.f0[: len(mel)]


@pytest.fixture(scope="module")
def sentence():
    return spoken()


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.5])
def test_the_wave_has_the_given_f0(sentence, ratio):
    mel, f0 = sentence
    (wave,) = HarmonicVocoder(SPEC, ratio * f0)(mel[None])
    assert wave.shape == (len(mel) * SPEC.hop,) and wave.dtype == np.float32
    found = audio.f0(wave, SPEC.sample_rate_hz, SPEC.hop)[: len(mel)]
    errors = speech.f0_errors(found, (ratio * f0).astype(np.float32))
    # A tracker on a synthetic voice: some frames at the edges of voicing differ.
    assert errors["rmse_cents"] < 100 and errors["correlation"] > 0.9


def test_the_wave_has_the_envelope_of_the_mel(sentence):
    mel, f0 = sentence
    (wave,) = HarmonicVocoder(SPEC, f0)(mel[None])
    made = audio.mel(wave, SPEC)[: len(mel)]
    spoken = mel.mean(axis=1) > np.median(mel.mean(axis=1))
    away = (made - mel)[spoken].reshape(spoken.sum(), 8, 10).mean(axis=2)  # over ten bands
    # 20 / ln(10) dB for each unit: 4 dB over ten bands, where white noise is 15 dB away.
    assert np.sqrt(np.mean(np.square(away))) * 8.7 < 4


def test_unvoiced_frames_are_noise(sentence):
    mel, f0 = sentence
    flat = np.full_like(mel, -4.0)
    half = np.where(np.arange(len(mel)) < len(mel) // 2, 150.0, 0.0)
    (wave,) = HarmonicVocoder(SPEC, half)(flat[None])
    found = audio.f0(wave, SPEC.sample_rate_hz, SPEC.hop)[: len(mel)]
    middle = len(mel) // 2
    assert np.mean(found[5 : middle - 5] > 0) > 0.9 and np.mean(found[middle + 5 : -5] > 0) < 0.2


def test_it_makes_the_same_wave_each_time_of_each_of_a_batch(sentence):
    mel, f0 = sentence
    vocoder = HarmonicVocoder(SPEC, f0)
    waves = vocoder(np.stack([mel, mel - 1]))
    np.testing.assert_array_equal(waves[0], vocoder(mel[None])[0])
    assert np.std(waves[1]) < np.std(waves[0])


def test_an_f0_without_a_voiced_frame_is_refused():
    with pytest.raises(ValueError, match="no frame is voiced"):
        HarmonicVocoder(SPEC, np.zeros(10))
