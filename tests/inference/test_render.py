"""A rendered mel has the given length and loudness, and begins and ends in silence."""

import dataclasses

import numpy as np
import pytest

from kvoice import audio
from kvoice.inference.render import crossfaded, faded, levelled, sound, waves
from tests.inference.test_convert import SPEC, Vocoder, rms, tone


@pytest.mark.parametrize("samples", [8 * 2560, 8 * 2560 + 1, 8 * 2560 + 255])
def test_a_sound_lasts_to_the_last_sample_and_begins_and_ends_in_silence(samples):
    wave = tone(22050, 2.0)[:samples]
    made = sound(audio.mel(wave, SPEC), SPEC, samples)
    assert made.shape == (samples,) and made.dtype == np.float32
    assert made[0] == made[-1] == 0
    assert np.abs(np.diff(made)).max() < 2 * np.abs(np.diff(wave)).max()  # no click
    assert rms(made[-700:-220]) > 0.5 * rms(wave[-700:-220])


def test_a_vocoder_is_given_the_mel_and_its_wave_is_cut_to_length():
    vocoder, mel = Vocoder(SPEC), np.linspace(0.1, 0.5, 20 * 80).reshape(20, 80)
    samples = 19 * SPEC.hop + 100
    made = sound(mel, SPEC, samples, vocoder)
    np.testing.assert_array_equal(vocoder.mels[0], mel)
    inner = np.s_[300:-300]
    np.testing.assert_allclose(
        made[inner], np.repeat(mel[:, 0], SPEC.hop)[:samples][inner], rtol=1e-6
    )


def test_a_conversion_is_as_loud_as_its_source_unless_it_would_pass_full_scale():
    wave, like = np.array([0.1, -0.1, 0.1, -0.1]), np.array([0.4, -0.4] * 5)
    made, quieter_db = levelled(wave, like)
    np.testing.assert_allclose(made, [0.4, -0.4, 0.4, -0.4], rtol=1e-6)
    assert quieter_db == 0
    np.testing.assert_allclose(
        levelled(wave, like + 3)[0], made, rtol=1e-6
    )  # an offset is not loud
    peaky = np.array([0.5, -0.5, *[0] * 14])
    made, quieter_db = levelled(peaky, like)  # 1.2 would pass
    np.testing.assert_allclose(made, 1.98 * peaky, rtol=1e-6)
    assert quieter_db == pytest.approx(20 * np.log10(rms(like) / rms(made)))
    for silence in (levelled(np.zeros(4), like), levelled(wave, np.zeros(9))):
        np.testing.assert_array_equal(silence[0], np.zeros(4))
        assert silence[1] == 0


def test_a_mel_beyond_what_any_recording_has_still_sounds():
    spec = audio.SPECS["waveglow"]
    mel = np.full((20, spec.mels), 300.0, np.float32)  # e^300 is no magnitude of float32
    wave = sound(mel, spec, 19 * spec.hop)
    np.testing.assert_array_equal(wave, sound(np.full_like(mel, spec.high), spec, 19 * spec.hop))
    assert np.isfinite(wave).all()


def test_the_gains_of_a_fade_sum_to_one_and_the_rest_is_untouched():
    np.testing.assert_allclose(crossfaded(np.ones((3, 10)), 4), np.ones(22))
    waves = np.arange(1.0, 21).reshape(2, 10)
    joined = crossfaded(waves, 3)
    assert len(joined) == 17
    np.testing.assert_array_equal(joined[:7], waves[0, :7])
    np.testing.assert_array_equal(joined[10:], waves[1, 3:])


def test_a_fade_longer_than_half_a_wave_is_cut_short():
    np.testing.assert_allclose(crossfaded(np.ones((3, 4)), 100), np.ones(8))


def test_only_the_ends_of_a_wave_fade():
    wave = faded(np.ones(10), 3)
    np.testing.assert_allclose(wave, [0, 0.5, 1, 1, 1, 1, 1, 1, 0.5, 0], atol=1e-6)


# Items of a model


def test_mels_of_a_batch_sound_as_each_alone_and_last_a_hop_for_each_frame():
    mels = np.stack([audio.mel(tone(22050, 0.2, hz=hz), SPEC) for hz in (200, 300)])
    made = waves(mels, SPEC)
    assert made.shape == (2, mels.shape[1] * SPEC.hop)
    for mel, wave in zip(mels, made):
        np.testing.assert_array_equal(wave, audio.griffin_lim([*mel, mel[-1]], SPEC))
        np.testing.assert_array_equal(sound(mel, SPEC)[300:-300], wave[300:-300])
    made = waves(mels, SPEC, vocoder=Vocoder(SPEC))
    np.testing.assert_array_equal(made, np.repeat(mels[..., 0], SPEC.hop, axis=1))


def test_a_mel_of_any_length_takes_the_memory_of_a_piece(monkeypatch):
    lengths, found = [], audio.linear_magnitude
    monkeypatch.setattr(
        audio,
        "linear_magnitude",
        lambda mel, spec: (lengths.append(len(mel)), found(mel, spec, 1))[1],
    )
    monkeypatch.setattr("kvoice.inference.render.ROUNDS", 1)
    assert waves(np.full((1, 2500, 80), SPEC.low), SPEC).shape == (1, 2500 * SPEC.hop)
    assert len(lengths) == 3 and max(lengths) == 1024


def test_a_model_of_waves_is_de_emphasised_too():
    spec, wave = dataclasses.replace(SPEC, preemphasis=0.97), tone(22050, 0.3)
    made = waves(audio.condition(wave, spec)[None], spec, "wave")
    np.testing.assert_allclose(made, wave[None], atol=1e-5)


@pytest.mark.parametrize("vocoder", [None, Vocoder(SPEC)])
def test_a_mel_beyond_the_bounds_is_brought_back_to_them_with_or_without_a_vocoder(vocoder):
    mel = np.linspace(-30, 30, 20 * 80).reshape(20, 80).astype("float32")
    for samples in (None, 19 * SPEC.hop):
        np.testing.assert_array_equal(
            sound(mel, SPEC, samples, vocoder),
            sound(mel.clip(SPEC.low, SPEC.high), SPEC, samples, vocoder),
        )
