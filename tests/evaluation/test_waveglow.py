"""What is measured of a vocoder is what it claims to be."""

import numpy as np
import pytest

from kvoice import audio
from kvoice.data.synthetic import demo
from kvoice.errors import KvoiceError
from kvoice.evaluation import waveglow
from kvoice.evaluation.waveglow import differences, vocoder_scores
from kvoice.inference.voice import Voice
from kvoice.metrics import speech as metrics
from tests.evaluation.asked import Asked

SPEC = audio.SPECS["waveglow"]


@pytest.fixture(scope="module")
def wave():
    return demo.render(
        demo.Utterance("ada", "happy", list(demo.SENTENCES)[0]), SPEC.sample_rate_hz
    ).wave


def test_a_spectral_distance_is_the_difference_in_level():
    rng = np.random.default_rng(0)
    size = rng.uniform(0.5, 1, (7, 20))
    assert metrics.log_spectral_distance(size, size) == 0
    assert metrics.log_spectral_distance(size, size * 10**0.2) == pytest.approx(4)
    other = size.copy()
    other[:, :5] *= 10**0.3  # a quarter of the bins by 6 dB
    assert metrics.log_spectral_distance(size, other) == pytest.approx(3)
    frames = size.copy()
    frames[0] *= 10**0.35
    assert metrics.log_spectral_distance(size, frames) == pytest.approx(1)


def test_what_lies_below_the_floor_does_not_count():
    size = np.full((3, 4), 1e-5)
    size[:, 0] = 1.0
    other = size * np.array([1, 0, 3, 1e-3])
    assert metrics.log_spectral_distance(size, other) == 0
    assert metrics.log_spectral_distance(size, other, range_db=100) > 1


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((0, 4), (0, 4)), ((4,), (4,))])
def test_spectra_that_do_not_fit_are_refused(shapes):
    with pytest.raises(KvoiceError, match="one shape"):
        metrics.log_spectral_distance(*map(np.ones, shapes))
    with pytest.raises(KvoiceError, match="silent"):
        metrics.log_spectral_distance(np.zeros((2, 2)), np.ones((2, 2)))


def test_the_same_wave_differs_in_nothing(wave):
    same = differences(wave, wave, SPEC)
    assert same == {"spectral_db": 0, "mel_db": 0, "f0_cents": 0, "voicing": 0}


def test_larger_errors_have_larger_measures(wave):
    rng = np.random.default_rng(0)
    noisy = [
        differences(wave, (wave + rng.normal(0, level, len(wave))).astype("float32"), SPEC)
        for level in (0.001, 0.03)
    ]
    assert (
        noisy[0]["spectral_db"] < noisy[1]["spectral_db"]
        and noisy[0]["mel_db"] < noisy[1]["mel_db"]
    )
    higher = audio.resample(wave, SPEC.sample_rate_hz, SPEC.sample_rate_hz * 0.97)[: len(wave)]
    short = min(len(wave), len(higher))
    assert differences(wave[:short], higher[:short], SPEC)["f0_cents"] > 40


class Spoken:
    """A split of one utterance, and a vocoder that reproduces it exactly."""

    speakers, split = ["ada"], "test"

    def __init__(self, wave, prewhitening=None):
        self.wave, self.prewhitening = wave[: len(wave) // SPEC.hop * SPEC.hop], prewhitening

    def __len__(self):
        return 1

    def utterance(self, row):
        return {"name": "ada_0", "wave": self.wave, "mel": audio.mel(self.wave, SPEC)[:-1]}

    def infer(self, mel, sigma, seed=0):
        if mel.ndim == 3:
            return np.stack([self.infer(each, sigma, seed) for each in mel])
        return (
            self.wave
            if len(mel) == len(self.wave) // SPEC.hop
            else np.zeros(len(mel) * SPEC.hop, "float32")
        )


@pytest.mark.parametrize("prewhitening", [None, object()])
def test_a_vocoder_is_scored_beside_griffin_lim_and_denoised_where_it_can_be(
    wave, tmp_path, monkeypatch, prewhitening
):
    monkeypatch.setattr(
        waveglow, "likelihood", lambda *args: {"log_likelihood": 4.5, "bits_per_sample": 8.5}
    )
    spoken = Spoken(wave, prewhitening)
    scores = vocoder_scores(
        Voice(spoken, SPEC), {"test": spoken}, ["bob"], 5, 0, tmp_path / "sounds"
    )
    rows = scores["rows"]
    assert list(rows) == [
        "the vocoder",
        *["the vocoder, denoised by 0.1"] * (not prewhitening),
        "Griffin-Lim, 60 iterations",
    ]
    keys = ("spectral_db", "mel_db", "f0_cents", "voicing")
    measured = [rows["the vocoder"][key] for key in keys]
    assert (
        np.array(measured) < [0.1, 0.6, 1, 0.01]
    ).all()  # what lies below 20 Hz is in the lowest band
    assert (
        0.1 < rows["Griffin-Lim, 60 iterations"]["mel_db"] < 6
        and scores["count"] == 1
        and scores["unheard"]
    )
    again, rate_hz = audio.read(tmp_path / "sounds" / "0_vocoder.wav")
    assert rate_hz == SPEC.sample_rate_hz
    np.testing.assert_allclose(again, spoken.wave, atol=2e-3)


def test_independent_judges_hear_every_way_to_make_the_sound(wave, tmp_path, monkeypatch):
    monkeypatch.setattr(
        waveglow, "likelihood", lambda *args: {"log_likelihood": 4.5, "bits_per_sample": 8.5}
    )
    spoken, asked = Spoken(wave), Asked()
    scores = vocoder_scores(
        Voice(spoken, SPEC), {"test": spoken}, [], 5, 0, tmp_path / "sounds", asked
    )
    assert list(asked.made) == [
        "recording through the vocoder",
        "recording through the vocoder, denoised by 0.1",
        "recording through Griffin-Lim, 60 iterations",
    ]
    assert [each["name"] for each in asked.utterances] == ["ada_0"]
    (heard,) = asked.made["recording through the vocoder"]
    np.testing.assert_allclose(heard, spoken.wave, atol=2e-3)  # it is high-passed
    assert scores["notes"] == ["independent judges: deaf"] and "log-likelihood" in str(scores)
