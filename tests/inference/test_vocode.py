"""A vocoder synthesises mels and files, and recognises mels of another scale."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from kvoice import audio
from kvoice.data.synthetic import demo
from kvoice.errors import KvoiceError
from kvoice.inference.render import eased
from kvoice.inference.vocode import (
    INFRASOUND_HZ,
    Vocoder,
    bias,
    check,
    denoised,
    highest,
    other_scale,
    read_mel,
    vocode,
)
from kvoice.runs import Run

SPEC = audio.SPECS["waveglow"]
HUM_HZ = SPEC.sample_rate_hz / 8  # where such models hum


class Model:
    """Speech as Griffin-Lim makes it, with a steady hum, and noise as it is asked for."""

    prewhitening = None

    def infer(self, mel, sigma=1.0, seed=0):
        mel = np.asarray(mel)
        if mel.ndim == 3:
            return np.stack([self.infer(each, sigma, seed) for each in mel])
        wave = audio.griffin_lim(np.concatenate([mel, mel[-1:]]), SPEC, iterations=4)
        noise = np.random.default_rng(seed).normal(0, 0.01, len(wave))
        return self.amplified((wave + hum(len(wave)) + sigma * noise).astype("float32"))

    def amplified(self, wave):
        return wave


def hum(samples):
    return 0.003 * np.sin(2 * np.pi * HUM_HZ * np.arange(samples) / SPEC.sample_rate_hz)


@pytest.fixture(scope="module")
def speech():
    return demo.render(
        demo.Utterance("ada", "happy", list(demo.SENTENCES)[0]), SPEC.sample_rate_hz
    ).wave


@pytest.fixture(scope="module")
def mel(speech):
    return audio.mel(speech, SPEC)


def highpassed(wave):
    """Applies the high-pass filter of a vocoder."""
    return audio.highpassed(wave, INFRASOUND_HZ, SPEC.sample_rate_hz)


def level(wave, hz):
    """Of a frequency, as an amplitude."""
    return 2 * abs(
        np.mean(wave * np.exp(-2j * np.pi * hz * np.arange(len(wave)) / SPEC.sample_rate_hz))
    )


# The vocoder


def test_sigma_and_seed_reach_the_model(mel):
    one, other = Vocoder(Model(), SPEC, sigma=0.2), Vocoder(Model(), SPEC, sigma=0.2, seed=1)
    np.testing.assert_array_equal(one(mel), highpassed(Model().infer(mel, 0.2)))
    assert np.abs(one(mel) - other(mel)).max() > 1e-3
    np.testing.assert_array_equal(Vocoder(Model(), SPEC)(mel), highpassed(Model().infer(mel, 0.6)))


def test_infrasound_is_filtered_out(mel):
    class Rumbling(Model):
        def infer(self, mel, sigma=1.0, seed=0):
            wave = super().infer(mel, sigma, seed)
            return (
                wave
                + 0.2
                + 0.1 * np.sin(2 * np.pi * 7 * np.arange(len(wave)) / SPEC.sample_rate_hz)
            )

    made, plain = Vocoder(Rumbling(), SPEC)(mel), Model().infer(mel, 0.6)
    inside = np.s_[5000:-5000]
    assert abs(made[inside].mean()) < 1e-3 and level(made[inside], 7) < 2e-3
    assert np.abs(made - plain)[inside].max() < 0.1 * np.abs(plain).max()


def test_a_pre_emphasis_of_the_spec_is_undone(mel):
    emphasised = dataclasses.replace(SPEC, preemphasis=0.9)
    made, plain = Vocoder(Model(), emphasised)(mel), Vocoder(Model(), SPEC)(mel)
    np.testing.assert_allclose(
        (made[1:] - 0.9 * made[:-1])[4000:-4000], plain[1:][4000:-4000], atol=1e-4
    )


@pytest.mark.parametrize("values", [dict(sigma=-0.1), dict(denoise=-1.0), dict(sigma=float("nan"))])
def test_a_strength_below_nothing_is_refused(values):
    with pytest.raises(KvoiceError, match="must be a number, and not below 0"):
        Vocoder(Model(), SPEC, **values)


def test_the_denoiser_takes_the_hum_away_and_leaves_the_speech(mel):
    plain, quiet = Vocoder(Model(), SPEC, sigma=0.0), Vocoder(Model(), SPEC, sigma=0.0, denoise=1.0)
    silence = np.full((100, SPEC.mels), SPEC.silence, np.float32)
    inside = np.s_[4096:-4096]
    assert level(plain(silence)[inside], HUM_HZ) == pytest.approx(0.003, rel=0.1)
    assert level(quiet(silence)[inside], HUM_HZ) < 0.3 * 0.003


def test_a_vocoder_of_white_audio_has_no_tone_to_take_away():
    class White(Model):
        prewhitening = object()

    Vocoder(White(), SPEC)
    with pytest.raises(KvoiceError, match="--denoise=0.1: .* leave --denoise out"):
        Vocoder(White(), SPEC, denoise=0.1)


def test_the_hum_is_that_of_a_mel_of_ones_without_noise():
    found = bias(Model(), SPEC)
    expected = np.abs(audio.stft(Model().infer(np.zeros((88, 80), np.float32), 0.0), SPEC)[0])
    assert found.shape == (513,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_nothing_taken_leaves_a_wave_as_it_is_however_long():
    wave = np.random.default_rng(0).normal(0, 0.1, 3 * 4096 * 256 + 777).astype("float32")
    np.testing.assert_allclose(denoised(wave, np.zeros(513), SPEC), wave, atol=1e-5)
    taken = np.full(513, 0.5)
    whole, pieces = denoised(wave[: 4096 * 256], taken, SPEC), denoised(wave, taken, SPEC)
    np.testing.assert_allclose(pieces[: 4000 * 256], whole[: 4000 * 256], atol=1e-5)
    assert np.abs(pieces - wave)[4096 * 256 :].mean() > 1e-3  # behind the first block too


# Runs that go together


def run(model, spec=SPEC):
    return Run(None, {"model_name": model, "model": {}}, spec, {})


def test_only_a_vocoder_of_the_same_spec_is_taken():
    check(run("waveglow"), SPEC, "runs/vc")
    check(run("waveglow"), dataclasses.replace(SPEC, trim_db=40.0, level_db=-26.0), "runs/vc")
    with pytest.raises(KvoiceError, match="is a run of voicegan, expected one of waveglow"):
        check(run("voicegan"), SPEC, "runs/vc")
    with pytest.raises(KvoiceError, match="another Spec than runs/vc .*hop: 300 here, 256 there"):
        check(run("waveglow", dataclasses.replace(SPEC, hop=300)), SPEC, "runs/vc")


# Mels in files


def saved(place, mel):
    np.save(place / "a.npy", mel)
    return str(place / "a.npy")


def test_a_mel_comes_back_as_it_was(tmp_path, mel):
    np.testing.assert_array_equal(read_mel(saved(tmp_path, mel), SPEC), mel)
    np.testing.assert_array_equal(read_mel(saved(tmp_path, mel[None].astype("float64")), SPEC), mel)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda mel: mel.T[None], r"save its transpose, np.save\(PATH, mel\[0\].T\)"),
        (
            lambda mel: np.stack([mel, mel]),
            r"expected \[time, 80\]: save each mel in a file of its own",
        ),
        (lambda mel: (mel - mel.mean()) / mel.std() * 4, "no sound of full scale passes 3.0"),
        (lambda mel: np.log1p(np.exp(mel)), r"nowhere negative.*log\(1 \+ x\)"),
        (lambda mel: mel.T, r"\[80, .*\[mels, time\].*np.save\(PATH, mel.T\)"),
        (lambda mel: mel[:, :40], r"\[.*, 40\], expected \[time, 80\]"),
        (lambda mel: mel[:0], r"expected \[time, 80\]"),
        (lambda mel: np.where(mel > 0, np.nan, mel), "not finite.*np.maximum\\(-11.5129, mel\\)"),
        (lambda mel: mel.astype(str), "no real numbers"),
        (lambda mel: mel * 20 / np.log(10), "decibels.*np.log\\(10\\) / 20"),
        (lambda mel: np.maximum(mel * 20 / np.log(10), -80), "decibels"),
        (lambda mel: mel / np.log(10), "base-10 logarithm.*mel \\* np.log\\(10\\)"),
        (lambda mel: np.exp(mel), "magnitudes.*np.log\\(np.maximum\\(1e-05"),
        (lambda mel: np.exp(2 * mel), r"of powers np.maximum\(-11.5129, np.log\(mel\) / 2\)"),
        (lambda mel: (mel - mel.min()) / np.ptp(mel), "scale from 0 to 1"),
    ],
)
def test_what_is_no_mel_of_the_spec_is_refused_with_its_conversion(tmp_path, mel, change, line):
    with pytest.raises(KvoiceError, match=line) as caught:
        read_mel(saved(tmp_path, change(mel)), SPEC)
    assert "\n" not in str(caught.value) and "a.npy" in str(caught.value)


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01])
def test_the_base_10_logarithm_is_recognised_in_noise_too(speech, noise):
    wave = speech + np.random.default_rng(1).normal(0, noise, len(speech))
    assert "base-10" in other_scale(audio.mel(np.float32(wave), SPEC) / np.log(10), SPEC)


def test_a_lower_floor_is_no_decibels(mel):
    assert "np.maximum(-11.5129, mel); of the power" in other_scale(1.4 * np.minimum(mel, -2), SPEC)


def test_another_scale_of_the_spec_has_its_own_bounds(speech, mel):
    spec = audio.SPECS["speechsplit"]
    own = audio.mel(audio.resample(speech, SPEC.sample_rate_hz, 16000), spec)
    assert other_scale(own, spec) == "" and "scale of the Spec 0 to 1" in other_scale(mel, spec)


def test_a_wave_beyond_full_scale_is_attenuated_and_reported(tmp_path, mel):
    class Loud(Model):
        def amplified(self, wave):
            return 4 * np.sign(wave)

    np.save(tmp_path / "a.npy", mel)
    rows, _ = vocode(Vocoder(Loud(), SPEC), str(tmp_path / "a.npy"), str(tmp_path / "a.wav"))
    peak = np.abs(eased(highpassed(Loud().infer(mel, 0.6)), SPEC)).max()
    assert rows[0]["quieter_db"] == pytest.approx(20 * np.log10(peak / 0.99), abs=0.01) and peak > 3


def test_a_resynthesised_recording_keeps_its_loudness_and_a_mel_its_level(tmp_path, speech, mel):
    class Faint(Model):
        def amplified(self, wave):
            return 0.25 * wave

    audio.write(tmp_path / "a.wav", 0.5 * speech, SPEC.sample_rate_hz)
    np.save(tmp_path / "b.npy", mel)
    vocoder = Vocoder(Faint(), SPEC)
    for name in ("a.wav", "b.npy"):
        rows, _ = vocode(vocoder, str(tmp_path / name), str(tmp_path / "out.wav"))
        assert rows[0]["quieter_db"] == 0
        made, _ = audio.read(tmp_path / "out.wav")
        wanted = 0.5 * speech if name == "a.wav" else vocoder(mel)
        assert np.std(made) == pytest.approx(np.std(wanted), rel=0.01)


@pytest.mark.parametrize("power", [1, 2])
def test_no_sound_of_full_scale_passes_the_bound(power):
    spec = dataclasses.replace(SPEC, power=power)
    squares = [
        np.sign(np.sin(2 * np.pi * hz * np.arange(9000) / spec.sample_rate_hz) + offset)
        for hz in (30, 50, 150, 160, 170, 1000)
        for offset in (0, 0.5)
    ]
    reached = max(audio.mel(np.float32(wave), spec).max() for wave in squares)
    assert highest(spec) - 1.5 < reached < highest(spec)


def test_an_offset_of_a_recording_is_not_resynthesised(tmp_path, speech):
    made = []
    for offset in (0, 0.3):
        audio.write(tmp_path / "a.wav", 0.5 * speech + np.float32(offset), SPEC.sample_rate_hz)
        vocode(Vocoder(Model(), SPEC), str(tmp_path / "a.wav"), str(tmp_path / "out.wav"))
        made.append(audio.read(tmp_path / "out.wav")[0])
    assert np.corrcoef(*made)[0, 1] > 0.99 and np.std(made[0]) == pytest.approx(
        np.std(made[1]), rel=0.01
    )


def test_the_conversions_that_are_named_are_right(mel):
    np.testing.assert_allclose(
        np.maximum(-11.5129, np.log(np.exp(2 * mel.astype(float))) / 2), mel, atol=1e-4
    )
    np.testing.assert_allclose(
        np.maximum(np.log(1e-5), (mel * 20 / np.log(10)) * np.log(10) / 20), mel, atol=1e-4
    )
    assert other_scale(mel / np.log(10) * np.log(10), SPEC) == ""


@pytest.mark.parametrize("name", ["quiet", "loud", "silence", "tone", "noise", "noisy", "drowned"])
def test_no_sound_is_taken_for_another_scale(speech, name):
    time = np.arange(20000) / SPEC.sample_rate_hz
    wave = {
        "quiet": 0.02 * speech,
        "loud": speech / np.abs(speech).max(),
        "silence": np.zeros(20000),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * time),
        "noise": np.random.default_rng(0).normal(0, 0.2, 20000),
        "noisy": speech + np.random.default_rng(1).normal(0, 0.01, len(speech)),
        "drowned": speech + np.random.default_rng(1).normal(0, 0.1, len(speech)),
    }[name]
    assert other_scale(audio.mel(np.float32(wave), SPEC), SPEC) == ""


@pytest.mark.parametrize("content", [b"", b"not an array", None])
def test_no_array_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(KvoiceError, match="a.npy: (is no .npy file|there is no such file)"):
        read_mel(str(tmp_path / "a.npy"), SPEC)


def test_a_pickle_in_an_array_is_not_opened(tmp_path):
    with pytest.raises(KvoiceError, match="is no .npy file of numbers"):
        read_mel(saved(tmp_path, np.array([{"a": 1}], dtype=object)), SPEC)


# Files


def test_a_resynthesised_recording_keeps_its_length(tmp_path, speech):
    audio.write(tmp_path / "me.wav", audio.resample(speech, SPEC.sample_rate_hz, 16000), 16000)
    rows, left_out = vocode(
        Vocoder(Model(), SPEC), str(tmp_path / "me.wav"), str(tmp_path / "again.wav")
    )
    made, rate_hz = audio.read(tmp_path / "again.wav")
    original, _ = audio.read(tmp_path / "me.wav", SPEC.sample_rate_hz)
    assert not left_out and rate_hz == SPEC.sample_rate_hz and len(made) == len(original)
    assert rows[0]["seconds"] == pytest.approx(len(made) / rate_hz) and rows[0]["took_s"] > 0
    levels = [audio.mel(each, SPEC).mean(axis=1) for each in (original, made)]
    assert np.corrcoef(*levels)[0, 1] > 0.9


def test_a_folder_of_recordings_and_mels(tmp_path, speech, mel, capsys):
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    audio.write(folder / "a.wav", speech, SPEC.sample_rate_hz)
    np.save(folder / "a.npy", mel)
    np.save(tmp_path / "in" / "b.npy", mel[:20])
    np.save(tmp_path / "in" / "wrong.npy", mel / np.log(10))
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    rows, left_out = vocode(Vocoder(Model(), SPEC), str(tmp_path / "in"), str(tmp_path / "out"))
    there = {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.wav")
    }
    assert there == {"deep/a.wav", "deep/a.npy.wav", "b.wav"}
    assert len(rows) == 3 and len(left_out) == 1 and "wrong.npy" in left_out[0]
    assert soundfile.info(tmp_path / "out" / "b.wav").frames == 20 * SPEC.hop


def test_files_that_cannot_be_resynthesised_are_refused_before_anything_is_written(tmp_path):
    audio.write(tmp_path / "silent.wav", np.zeros(22050), 22050)
    for name, line in (("silent.wav", "silent.wav: silent"), ("nowhere.wav", "no such file")):
        with pytest.raises(KvoiceError, match=line):
            vocode(Vocoder(Model(), SPEC), str(tmp_path / name), str(tmp_path / "out.wav"))
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == '["silent.wav"]'


@pytest.mark.parametrize("shape", ["(3000000000, 80)", "(10000000000, 10000000000)", "(-1, 80)"])
def test_an_array_that_a_file_only_announces_takes_no_memory(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + f"{header:117}\n".encode())
    with pytest.raises(KvoiceError, match="a.npy: is no .npy file of numbers"):
        read_mel(str(tmp_path / "a.npy"), SPEC)


@pytest.mark.parametrize("name", ["a.npz", "a.pt", "a.PKL"])
def test_mels_in_other_files_are_told_how_to_be_given(tmp_path, name):
    (tmp_path / name).write_bytes(b"mel")
    with pytest.raises(KvoiceError, match=f"{name}: mels are read from .npy files; np.save"):
        vocode(Vocoder(Model(), SPEC), str(tmp_path / name), str(tmp_path / "out.wav"))
