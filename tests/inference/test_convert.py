"""Conversions have the words, timing and loudness of their source, and leave every recording as it
was.
"""

import dataclasses
import errno
import json
import os
import pathlib

import numpy as np
import pytest
import scipy.ndimage
import soundfile

from kvoice import audio, models
from kvoice.data.synthetic import demo
from kvoice.errors import KvoiceError
from kvoice.files import MADE
from kvoice.inference.convert import (
    LOUDER_DB,
    MIX,
    Target,
    as_loud,
    conversion,
    convert,
    convert_wave,
    converted,
    input_mel,
    layer_numbers,
    median_f0,
    mixed,
    outputs,
    plan,
    quieter,
    recording,
)
from kvoice.inference.spectra import Details, long_term_spectrum, sounding
from kvoice.inference.voice import Voice
from kvoice.runs import Run

SPEC = audio.SPECS["waveglow"]
OFFICIAL = audio.SPECS["adainvc"]


class Model:
    """Its content is the mel, standardised over time; its voice, in each of 3 layers, mean and
    spread.

    Like an AdaIN-VC it decodes whole groups of 8 frames.
    """

    minimum_frames, style_layers = 17, 3

    def __init__(self):
        self.frames = []

    def encode(self, mel):
        self.frames.append(len(mel))
        mean, std = mel.mean(axis=0), mel.std(axis=0) + 1e-3
        content = np.pad((mel - mean) / std, ((0, -len(mel) % 8), (0, 0)), mode="edge")
        return {"content": content, "styles": np.tile(np.concatenate([mean, std]), (3, 1))}

    def decode(self, content, styles):
        mean, std = np.split(styles.mean(axis=0), 2)
        return content * std + mean


def tone(rate_hz, seconds=0.5, level=0.3, hz=300.0):
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    wave = sum(np.sin(2 * np.pi * k * hz * time) / k for k in range(1, 6))
    return (level * wave / np.abs(wave).max() * (0.6 + 0.4 * np.sin(2 * np.pi * 6 * time))).astype(
        "float32"
    )


def speech(rate_hz, who="ada"):
    return demo.render(demo.Utterance(who, "happy", list(demo.SENTENCES)[0]), rate_hz).wave


def target_of(voice, waves, mix=1.0):
    return Target.of(voice, [recording(voice, wave) for wave in waves], mix)


def unvoiced(target):
    """The same target, to which Griffin-Lim converts."""
    return dataclasses.replace(target, f0_hz=0.0)


def rms(wave):
    return float(np.sqrt(np.mean(np.square(wave, dtype="float64"))))


# Runs that go together


def run(name, spec=SPEC):
    return Run(pathlib.Path(f"runs/{name}"), {"model_name": name}, spec, {})


def test_only_what_converts_converts():
    models.check(run("adainvc"), "convert")
    with pytest.raises(
        KvoiceError, match="runs/voicegan: is a run of voicegan, expected one of adainvc"
    ):
        models.check(run("voicegan"), "convert")


# Voices


def styles(seed, layers=4):
    return np.random.default_rng(seed).normal(size=(layers, 6)).astype("float32")


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0, 1.5])
@pytest.mark.parametrize("layers", [None, [0, 3], [2], []])
def test_a_mix_goes_straight_from_source_to_target_in_the_chosen_layers_alone(mix, layers):
    source, target = styles(0), styles(1)
    found = mixed(source, target, mix, layers)
    for k in range(4):
        share = min(mix, 1) if layers is None or k in layers else 0.0
        np.testing.assert_allclose(found[k], source[k] + share * (target[k] - source[k]), atol=1e-6)
    np.testing.assert_array_equal(mixed(source, target, 0.0), source)  # to the last bit
    np.testing.assert_array_equal(mixed(source, target, 1.0), target)
    by_text = mixed(source, target, 1.0, "0-1")
    np.testing.assert_array_equal(by_text, mixed(source, target, 1.0, [0, 1]))
    np.testing.assert_array_equal(source, styles(0))  # which are not changed


@pytest.mark.parametrize("mix", [-0.1, 2.1, float("nan")])
def test_a_mix_beyond_both_voices_is_refused(mix):
    with pytest.raises(KvoiceError, match=f"mix: {mix} must be from 0.* to 1"):
        mixed(styles(0), styles(1), mix)


@pytest.mark.parametrize("layers", [[4], [-1], [0, 9]])
def test_a_layer_that_is_not_there_is_refused(layers):
    with pytest.raises(KvoiceError, match=f"no layer {layers[-1]}, only 0 to 3"):
        mixed(styles(0), styles(1), 1.0, layers)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0", [0]),
        ("0-3,8", [0, 1, 2, 3, 8]),
        ("8, 0 - 2", [0, 1, 2, 8]),
        ("3-3,3", [3]),
        ("0-11", list(range(12))),
    ],
)
def test_layers_are_named_by_numbers_and_ranges(text, numbers):
    assert layer_numbers(text, 12) == numbers


@pytest.mark.parametrize(
    "text", ["12", "0-12", "3-1", "a", "1,,2", "-1", "1-2-3", "", "1.5", "0-", "٣"]
)
def test_invalid_layers_are_refused_with_the_range_of_valid_ones(text):
    with pytest.raises(
        KvoiceError, match=f"--layers={text}: expected numbers from 0 to 11 .* as in 0-3,11"
    ):
        layer_numbers(text, 12)


def test_the_voice_of_several_recordings_is_the_mean_of_theirs():
    waves = [tone(22050), tone(22050, hz=200.0, level=0.1)]
    singles = [target_of(Voice(Model(), SPEC), [wave]) for wave in waves]
    one, two = (each.styles for each in singles)
    assert one.shape == (3, 160)
    np.testing.assert_allclose(
        one[1],
        np.concatenate(
            [f(axis=0) for f in (audio.mel(waves[0], SPEC).mean, audio.mel(waves[0], SPEC).std)]
        ),
        atol=2e-3,
    )
    both = target_of(Voice(Model(), SPEC), waves)
    np.testing.assert_allclose(both.styles, (one + two) / 2, rtol=1e-5)
    assert [round(each.f0_hz / 100) for each in singles] == [3, 2]


# The input of the model


def test_a_source_keeps_its_timing_and_a_target_loses_its_silence_as_in_training():
    wave = np.pad(tone(24000), (12000, 24000))
    official = Voice(Model(), OFFICIAL)
    source, target = input_mel(official, wave), input_mel(official, wave, trim=True)
    assert len(source) == 1 + len(wave) // 300
    assert 40 <= len(target) < 60  # half a second, and what the edges of frames add
    prepared = audio.condition(wave, OFFICIAL, trim=False)
    np.testing.assert_array_equal(source, audio.mel(prepared, OFFICIAL))  # pre-emphasised
    assert np.abs(source - audio.mel(wave, OFFICIAL)).max() > 0.1
    styles = target_of(official, [wave]).styles
    np.testing.assert_array_equal(styles, Model().encode(target)["styles"])


def test_a_source_is_heard_at_the_level_of_the_training_and_converted_at_its_own():
    voice = Voice(Model(), dataclasses.replace(SPEC, level_db=-26.0))
    wave = tone(22050)
    loud, faint = input_mel(voice, wave), input_mel(voice, 0.03 * wave)
    np.testing.assert_allclose(loud, faint, atol=1e-3)
    assert np.abs(loud - input_mel(Voice(Model(), SPEC), wave)).max() > 0.5
    target = unvoiced(target_of(voice, [wave]))
    quiet = target_of(voice, [0.03 * wave])
    np.testing.assert_allclose(quiet.styles, target.styles, atol=1e-3)
    made = [convert_wave(voice, gain * wave, target)[1] for gain in (1, 0.03)]
    assert [len(each) for each in made] == [len(wave)] * 2
    assert np.std(made[1]) == pytest.approx(0.03 * np.std(made[0]), rel=0.01)
    assert np.std(made[0]) == pytest.approx(np.std(wave), rel=0.05)


def test_a_wave_that_is_too_short_is_refused_with_the_needed_length():
    least = 16 * SPEC.hop
    assert len(input_mel(Voice(Model(), SPEC), tone(22050)[:least])) == 17
    with pytest.raises(KvoiceError, match="^0.19 s of sound, at least 0.19 s are needed"):
        input_mel(Voice(Model(), SPEC), tone(22050)[: least - 1])
    with pytest.raises(KvoiceError, match="^0.05 s of sound"):
        input_mel(Voice(Model(), SPEC), tone(22050, 0.05))
    click = np.zeros(24000, "float32")
    click[9000:9600] = tone(24000, 0.025)
    input_mel(Voice(Model(), OFFICIAL), click)
    with pytest.raises(KvoiceError, match="s of sound, at least 0.20 s are needed"):
        input_mel(Voice(Model(), OFFICIAL), click, trim=True)


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (np.zeros(22050, "float32"), "silent"),
        (np.full(22050, 0.5, "float32"), "silent"),
        (np.sign(tone(22050)), "clipped"),
    ],
)
def test_silent_and_clipped_waves_are_refused_with_the_reason(wave, reason):
    with pytest.raises(KvoiceError, match=reason):
        input_mel(Voice(Model(), SPEC), wave)


# Mels


@pytest.mark.parametrize("frames", range(17, 26))
def test_a_conversion_is_as_long_as_its_source_and_with_mix_0_the_source_itself(frames):
    mel = np.random.default_rng(0).normal(size=(frames, 80)).astype("float32")
    target = target_of(Voice(Model(), SPEC), [tone(22050)]).styles
    for same in converted(Model(), mel, target, mix=0.0):
        np.testing.assert_allclose(same, mel, atol=1e-4)
    own, other = converted(Model(), mel, target)
    np.testing.assert_allclose(own, mel, atol=1e-4)
    assert other.shape == mel.shape
    np.testing.assert_allclose(
        other,
        (mel - mel.mean(axis=0)) / (mel.std(axis=0) + 1e-3) * target[0, 80:] + target[0, :80],
        atol=1e-4,
    )
    assert np.abs(other - mel).max() > 1


def test_of_some_layers_a_conversion_goes_a_part_of_the_way():
    mel, target = audio.mel(tone(22050), SPEC), styles(1, 3).repeat(27, axis=1)[:, :160]
    none, some, every = (
        converted(Model(), mel, target, layers=each)[1] for each in ([], [1], [0, 1, 2])
    )
    np.testing.assert_allclose(none, mel, atol=1e-4)
    np.testing.assert_allclose(every, converted(Model(), mel, target)[1], atol=1e-4)
    assert 0.1 < np.abs(some - none).mean() < np.abs(every - none).mean()


def test_a_recording_is_encoded_at_once_however_long_it_is():
    model, wave = Model(), np.tile(tone(22050), 25)  # more than a chunk of the vocoder
    target = target_of(Voice(Model(), SPEC), [tone(22050)]).styles
    converted(model, input_mel(Voice(model, SPEC), wave), target)
    assert model.frames == [1 + len(wave) // SPEC.hop] and model.frames[0] > 1024


def test_a_conversion_is_as_loud_as_its_source_over_time():
    spec, rng = SPEC, np.random.default_rng(0)
    half = round(0.2 * spec.sample_rate_hz / spec.hop)  # of what is averaged
    like = np.log(0.1 + 0.05 * rng.random((12 * half, 80))).astype("float32")
    like[4 * half : 8 * half] -= 4  # a pause
    mel = np.log(0.1 + 0.05 * rng.random((12 * half, 80))).astype("float32")
    made = as_loud(mel, like, spec)

    def loudness(each):
        return np.log(np.exp(each).mean(axis=1))

    edges = np.array([4 * half, 8 * half])
    steady = np.abs(np.arange(12 * half) - edges[:, None]).min(axis=0) > half
    np.testing.assert_allclose(loudness(made)[steady], loudness(like)[steady], atol=0.1)
    np.testing.assert_allclose(
        made - made.mean(1, keepdims=True), mel - mel.mean(1, keepdims=True), atol=1e-4
    )  # the spectra stay
    np.testing.assert_allclose(as_loud(mel, mel, spec), mel, atol=1e-5)


def test_a_burst_is_little_louder_than_the_source():
    like = np.full((200, 80), -2, "float32")
    mel = like.copy()
    mel[95:105] += 4  # 35 dB
    louder = (as_loud(mel, like, SPEC) - like).mean(axis=1) * 20 / np.log(10)
    assert louder[97:103].max() < LOUDER_DB + 0.1  # where all that is averaged is of the burst
    assert np.abs(np.r_[louder[:60], louder[140:]]).max() < 0.1


def test_the_intonation_is_that_of_the_source_at_the_pitch_of_the_target():
    def aim(f0_hz, **options):
        return Target(
            styles(0, 3), *np.zeros((2, 80)), Details(*np.zeros((2, 1, 80))), f0_hz, **options
        )

    f0 = np.array([0, 100, 110, 121, 0, 110], "float32")
    assert median_f0(f0) == 110 and median_f0(0 * f0) == 0
    np.testing.assert_allclose(aim(220.0).vocoder(SPEC, f0).f0, 2 * f0)
    half = aim(220.0, mix=0.5).vocoder(SPEC, f0)
    np.testing.assert_allclose(half.f0, np.sqrt(2) * f0, rtol=1e-6)
    layers = aim(220.0, mix=1.0, layers="0,2").vocoder(SPEC, f0)  # of three
    np.testing.assert_allclose(layers.f0, 2 ** (2 / 3) * f0, rtol=1e-6)
    np.testing.assert_allclose(aim(220.0, mix=0.0).vocoder(SPEC, f0).f0, f0)
    np.testing.assert_allclose(aim(220.0, mix=1.5).vocoder(SPEC, f0).f0, 2 * f0)
    assert aim(220.0).vocoder(SPEC, 0 * f0) is None and aim(0.0).vocoder(SPEC, f0) is None


def test_a_conversion_has_the_pitch_of_the_target():
    voice = Voice(Model(), SPEC)
    source, other = tone(22050, 0.3, 1.0, 200.0), tone(22050, 0.3, 1.0, 300.0)
    target = target_of(voice, [other])
    assert target.f0_hz == pytest.approx(300, rel=0.01)
    _, made = convert_wave(voice, source, target)
    assert median_f0(audio.f0(made, 22050, 256)) == pytest.approx(300, rel=0.02)


class Dull(Model):
    """A network whose output is the darker, the higher the frequency."""

    def decode(self, content, styles):
        return super().decode(content, styles) - np.linspace(0, 2, content.shape[1])


@pytest.mark.parametrize("mix", [0.0, 0.4, 1.0, 1.5])
def test_a_conversion_has_the_long_term_spectrum_that_the_network_denies_the_target(mix):
    sound, other = speech(22050), speech(22050, "elsa")
    mel = input_mel(Voice(Model(), SPEC), sound)
    right, dull = (Voice(kind(), SPEC) for kind in (Model, Dull))
    exact, corrected = (target_of(voice, [other], mix) for voice in (right, dull))
    np.testing.assert_allclose(exact.correction, 0, atol=1e-3)
    np.testing.assert_allclose(corrected.correction, np.linspace(-1, 1, 80), atol=0.2)
    found = [
        long_term_spectrum(conversion(voice, mel, target), SPEC)
        for voice, target in ((right, exact), (dull, corrected))
    ]
    left = (1 - min(mix, 1)) * np.linspace(1, -1, 80)  # what is not corrected
    np.testing.assert_allclose(found[1] - found[0], left, atol=0.25)
    if mix > 1:  # beyond the other one
        own, wanted = (long_term_spectrum(input_mel(right, each), SPEC) for each in (sound, other))
        beyond = found[0] - wanted
        assert np.corrcoef(beyond, wanted - own)[0, 1] > 0.8  # other words have another spectrum


class Blurred(Model):
    """A network that smooths its mels over time and frequency."""

    def decode(self, content, styles):
        return scipy.ndimage.uniform_filter(super().decode(content, styles), (3, 9), mode="nearest")


@pytest.mark.parametrize("mix, most", [(0.0, 0.7), (1.0, 0.5)])  # with the source's details alone
def test_a_conversion_has_details_that_the_network_loses(mix, most):
    voice = Voice(Blurred(), SPEC)
    wave = speech(22050)
    mel, target = input_mel(voice, wave), target_of(voice, [wave], mix)  # back to its own voice
    blurred, _ = converted(voice.model, mel, target.styles)
    kept = sounding(mel, SPEC)

    def away(other):
        shapes = [each - each.mean(axis=1, keepdims=True) for each in (mel[kept], other[kept])]
        return np.abs(shapes[0] - shapes[1]).mean()

    assert away(conversion(voice, mel, target)) < most * away(blurred)


# Waves


class Vocoder:
    """A wave whose level in every hop is the first value of the frame."""

    def __init__(self, spec):
        self.spec, self.mels = spec, []

    def __call__(self, mel):
        self.mels += list(mel)
        return np.repeat(mel[..., 0], self.spec.hop, axis=-1).astype("float32")


@pytest.mark.parametrize("preset", ["waveglow", "adainvc"])
def test_without_another_voice_speech_comes_back_as_it_was(preset):
    spec = audio.SPECS[preset]
    wave = speech(spec.sample_rate_hz)
    voice = Voice(Model(), spec)
    mel, made = convert_wave(voice, wave, unvoiced(target_of(voice, [wave], 0.0)))
    assert len(made) == len(wave) and made.dtype == np.float32
    assert rms(made) == pytest.approx(rms(wave), rel=1e-3)
    again = audio.mel(audio.condition(made, spec, trim=False), spec)
    level_db = [
        20 * np.log10(np.maximum(audio.magnitude(each, spec), 1e-3)) for each in (again, mel)
    ]
    assert np.abs(level_db[0] - level_db[1])[3:-3].mean() < 1.5
    sizes = [np.abs(np.fft.rfft(each)) for each in (wave, made)]
    low = [size[: len(size) // 4].sum() / size.sum() for size in sizes]
    assert low[1] == pytest.approx(low[0], rel=0.1)  # nothing of a pre-emphasis is left


# Files


@pytest.fixture
def recordings(tmp_path):
    """A folder of recordings at several rates, some of no use, and two of a target beside it."""
    folder = tmp_path / "me"
    (folder / "deep").mkdir(parents=True)
    audio.write(folder / "a.wav", tone(22050), 22050)
    soundfile.write(folder / "a.flac", tone(44100, 0.4), 44100)
    audio.write(folder / "deep" / "b.wav", tone(16000, 0.6003), 16000)
    audio.write(folder / "deep" / "silent.wav", np.zeros(22050, "float32"), 22050)
    audio.write(folder / "short.wav", tone(48000, 0.08), 48000)
    (folder / "broken.wav").write_text("no sound")
    for k, hz in enumerate((200.0, 450.0)):
        audio.write(tmp_path / f"you_{k}.wav", tone(22050, 0.7, 0.2, hz), 22050)
    return tmp_path


def paths(place, *names):
    return [str(place / name) for name in names]


def content(folder):
    return {path: path.read_bytes() for path in pathlib.Path(folder).rglob("*") if path.is_file()}


def test_a_folder_keeps_its_shape_and_what_is_of_no_use_is_named(recordings):
    before = content(recordings)
    source, target, output = paths(recordings, "me", "you_0.wav", "new/out")
    rows, left_out = convert(Voice(Model(), SPEC), source, [target], output, mix=1.0)
    assert [os.path.relpath(row["output"], output) for row in rows] == [
        "a.flac.wav",
        "a.wav",
        "deep/b.wav",
    ]
    assert [os.path.relpath(row["file"], source) for row in rows] == [
        "a.flac",
        "a.wav",
        "deep/b.wav",
    ]
    assert [line.removeprefix(f"{source}/") for line in left_out] == [
        "broken.wav: is not a sound file that can be read (corrupt, or of another kind)",
        "deep/silent.wav: silent",
        "short.wav: 0.08 s of sound, at least 0.19 s are needed",
    ]
    for row in rows:
        original, own_hz = audio.read(row["file"])
        made, rate_hz = audio.read(row["output"])
        assert rate_hz == 22050
        assert len(made) == round(len(original) * rate_hz / own_hz)
        assert row["seconds"] == len(original) / own_hz
        assert rms(made) == pytest.approx(rms(original), rel=0.01)
        assert row["quieter_db"] == 0
        assert row["network_s"] > 0 and row["vocoder_s"] > 0
    json.dumps(rows)
    assert before.items() <= content(recordings).items()  # nothing that was there has changed


@pytest.mark.parametrize("rate_hz", [None, 16000])
def test_a_long_recording_is_converted_in_parts_that_keep_their_loudness(
    recordings, monkeypatch, rate_hz
):
    loud, faint = tone(44100, 0.8, 0.03), tone(44100, 0.8, 0.003)
    pause = np.zeros(88200, np.float32)
    source = np.concatenate([loud, pause, faint, pause, loud])
    soundfile.write(recordings / "long.wav", source, 44100)
    (path, target) = paths(recordings, "long.wav", "you_0.wav")
    monkeypatch.setattr(audio, "_READ_FRAMES", 30000)
    monkeypatch.setattr("kvoice.inference.convert.PART_S", 1.0)
    voice, output = Voice(Model(), SPEC), str(recordings / "out.wav")
    ((row,), _) = convert(voice, path, [target], output, rate_hz=rate_hz)
    made, made_hz = audio.read(output)
    assert made_hz == rate_hz or 22050 and len(made) == round(len(source) * made_hz / 44100)
    assert row["seconds"] == pytest.approx(len(source) / 44100)
    for begin_s, like in ((0.0, loud), (2.8, faint), (5.6, loud)):
        part = made[round(begin_s * made_hz) : round((begin_s + 0.8) * made_hz)]
        assert rms(part) == pytest.approx(rms(like), rel=0.02)
    assert not made[round(0.85 * made_hz) : round(2.75 * made_hz)].any()  # silence stays silence
    heard = [audio.read(target, 22050)[0]]
    _, same = convert_wave(voice, audio.read(path)[0], target_of(voice, heard, MIX), rate_hz=44100)
    assert len(same) == len(source)
    whole = audio.resample(same, 44100, made_hz)
    assert np.corrcoef(whole, made)[0, 1] > 0.99  # what the command writes


def test_a_part_that_would_pass_full_scale_makes_all_parts_quieter(recordings, monkeypatch):
    loud, faint = tone(44100, 0.8, 0.3), tone(44100, 0.8, 0.03)
    source = np.concatenate([faint, np.zeros(88200, np.float32), loud])
    soundfile.write(recordings / "long.wav", source, 44100)
    (path, target) = paths(recordings, "long.wav", "you_0.wav")
    monkeypatch.setattr("kvoice.inference.convert.PART_S", 1.0)
    monkeypatch.setattr("kvoice.inference.render.HIGHEST", 0.2)  # which only the loud part passes
    voice, output = Voice(Model(), SPEC), str(recordings / "out.wav")
    ((row,), _) = convert(voice, path, [target], output)
    heard = [audio.read(target, 22050)[0]]
    _, same = convert_wave(voice, audio.read(path)[0], target_of(voice, heard, MIX), rate_hz=44100)
    assert row["quieter_db"] > 3
    for made, rate_hz in ((audio.read(output)[0], 22050), (same, 44100)):
        level = 10 ** (-row["quieter_db"] / 20)
        first, last = made[: round(0.8 * rate_hz)], made[-round(0.8 * rate_hz) :]
        assert rms(first) == pytest.approx(level * rms(faint), rel=0.05)
        assert rms(last) == pytest.approx(level * rms(loud), rel=0.05)


def test_a_long_recording_is_refused_for_its_parts_and_nothing_is_written(recordings, monkeypatch):
    monkeypatch.setattr("kvoice.inference.convert.PART_S", 1.0)
    clipped = np.clip(tone(22050, 0.9, 9.0), -1, 1)
    for name, wave, line in (
        ("silent.wav", np.zeros(66150), "silent.wav: silent"),
        (
            "clipped.wav",
            np.concatenate([tone(22050, 0.9), np.zeros(4410), clipped]),
            r"clipped.wav: from 0\.\d s on: .* clipped",
        ),
    ):
        soundfile.write(recordings / name, wave, 22050)
        source, target, output = paths(recordings, name, "you_0.wav", "out.wav")
        with pytest.raises(KvoiceError, match=line):
            convert(Voice(Model(), SPEC), source, [target], output)
        assert not os.path.exists(output)


def test_the_attenuation_of_loud_recordings_is_reported(recordings):
    source, target, output = paths(recordings, "me", "you_0.wav", "out")
    audio.write(f"{source}/a.wav", np.sign(tone(22050)) * 0.98, 22050)  # as loud as can be
    rows, _ = convert(Voice(Model(), SPEC), source, [target], output, mix=1.0)
    by_name = {os.path.relpath(row["file"], source): row for row in rows}
    hot = by_name["a.wav"]
    original, made = audio.read(hot["file"])[0], audio.read(hot["output"])[0]
    assert np.abs(made).max() == pytest.approx(0.99, abs=1e-3)
    assert hot["quieter_db"] == pytest.approx(20 * np.log10(rms(original) / rms(made)), abs=0.01)
    assert hot["quieter_db"] > 1 > 0 == by_name["deep/b.wav"]["quieter_db"]
    assert quieter(rows) == [
        f"{source}/a.wav: comes out {hot['quieter_db']:.1f} dB quieter, so that no sample "
        "passes full scale"
    ]
    by_name["deep/b.wav"]["quieter_db"], by_name["a.flac"]["quieter_db"] = 23.45, 0.04
    assert quieter(rows) == [
        f"2 files come out quieter, so that no sample passes full scale; the most "
        f"{source}/deep/b.wav, by 23.4 dB"
    ]
    assert quieter([by_name["a.flac"]]) == []


@pytest.mark.parametrize(
    ("own_hz", "samples", "rate_hz"),
    [(22050, 11111, None), (16000, 8001, 16000), (44100, 20011, 16000), (8000, 4001, 48000)],
)
def test_a_conversion_has_the_samples_of_its_source_at_the_rate_that_is_asked_for(
    recordings, own_hz, samples, rate_hz
):
    source, target, output = paths(recordings, "c.wav", "you_0.wav", "out.wav")
    audio.write(source, tone(own_hz, 1.0)[:samples], own_hz)
    convert(Voice(Model(), SPEC), source, [target], output, rate_hz=rate_hz)
    made = soundfile.info(output)
    assert made.samplerate == (rate_hz or 22050) and made.channels == 1
    assert made.frames == round(samples * made.samplerate / own_hz)


def test_the_voices_of_several_targets_are_averaged(recordings):
    source, one, two, output = paths(recordings, "me/a.wav", "you_0.wav", "you_1.wav", "out.wav")
    given = []

    class Told(Model):
        def decode(self, content, styles):
            given.append(styles)
            return super().decode(content, styles)

    for targets in ([one], [two], [one, two]):
        convert(Voice(Told(), SPEC), source, targets, output)
        del given[-len(targets) - 2 : -1]  # what it makes of the targets and of the source itself
    np.testing.assert_allclose(given[2], (given[0] + given[1]) / 2, rtol=1e-5)
    assert np.abs(given[0] - given[1]).max() > 1


def test_mix_and_layers_and_vocoder_reach_the_conversion(recordings):
    source, target, output = paths(recordings, "me/a.wav", "you_0.wav", "out.wav")

    def made(**how):
        vocoder = Vocoder(SPEC)
        convert(Voice(Model(), SPEC), source, [target], output, vocoder=vocoder, **how)
        return vocoder.mels[0]

    own = audio.mel(audio.read(source)[0], SPEC)
    np.testing.assert_allclose(made(mix=0.0), own, atol=1e-3)
    np.testing.assert_allclose(made(layers=[]), own, atol=1e-3)
    whole, half = np.abs(made() - own).mean(), np.abs(made(layers=[0, 1], mix=0.5) - own).mean()
    assert 0.1 * whole < half < 0.8 * whole  # the loudness of both is that of the source


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["a.wav", "b.flac"], ["a.wav", "b.wav"]),
        (["a.flac", "a.wav"], ["a.flac.wav", "a.wav"]),
        (["a.flac", "a.mp3"], ["a.wav", "a.mp3.wav"]),
        (["a.flac", "a.flac.wav", "a.wav"], ["a.flac.wav.wav", "a.flac.wav", "a.wav"]),
        (["x/a.flac", "a.wav"], ["x/a.wav", "a.wav"]),
        (["A.flac", "a.wav"], ["A.flac.wav", "a.wav"]),
        (["a.WAV", "a.wav"], ["a.WAV.wav", "a.wav"]),
        (["a.b.ogg"], ["a.b.wav"]),
    ],
)
def test_no_two_outputs_have_one_name(names, wanted):
    assert outputs(names) == wanted
    assert len({name.lower() for name in wanted}) == len(names)


def test_a_target_in_the_folder_is_left_out_whatever_it_is_called(recordings):
    source, target, output = paths(recordings, "me", "link.wav", "out")
    os.symlink(recordings / "me" / "a.wav", target)
    planned, left_out = plan(source, [target], output)
    assert left_out == [f"{source}/a.wav: is a target itself"]
    assert (
        f"{source}/a.wav" not in dict(planned)
        and dict(planned)[f"{source}/a.flac"] == f"{output}/a.wav"
    )


def test_what_was_converted_into_the_folder_is_not_converted_again(recordings):
    source, target, output = paths(recordings, "me", "you_0.wav", "me/converted")
    first, _ = convert(Voice(Model(), SPEC), source, [target], output)
    again, _ = convert(Voice(Model(), SPEC), source, [target], output)
    assert [row["output"] for row in again] == [row["output"] for row in first] and len(again) == 3
    assert not os.path.exists(os.path.join(output, "converted"))


REFUSED = {
    "nowhere.wav: there is no such file or directory": ("nowhere.wav", ["you_0.wav"], "out.wav"),
    "nowhere.wav: there is no such file": ("me/a.wav", ["you_0.wav", "nowhere.wav"], "out.wav"),
    "empty: holds no sound file": ("empty", ["you_0.wav"], "out"),
    "me: is a directory, expected a sound file": ("me/a.wav", ["me"], "out.wav"),
    "me/a.wav: is the source and a target": ("me/a.wav", ["you_0.wav", "me/a.wav"], "out.wav"),
    "link.wav: is the source and a target": ("link.wav", ["me/../me/a.wav"], "out.wav"),
    r"out.mp3: expected a file whose name ends in .wav": ("me/a.wav", ["you_0.wav"], "out.mp3"),
    r"me: expected a file whose name ends in .wav": ("me/a.wav", ["you_0.wav"], "me"),
    "nowhere/out.wav: its directory is missing": ("me/a.wav", ["you_0.wav"], "nowhere/out.wav"),
    "me/a.wav: is a recording that would be overwritten": ("me/a.wav", ["you_0.wav"], "me/a.wav"),
    "you_0.wav: is a recording that would be overwritten": ("me/a.wav", ["you_0.wav"], "you_0.wav"),
    "folder/a.wav: is a recording that would be overwritten": ("me", ["you_0.wav"], "folder"),
    "--output=.*out.WAV: is the name of a file, and .*me is a directory": (
        "me",
        ["you_0.wav"],
        "out.WAV",
    ),
    "you_0.wav: is a file, expected a directory": ("me", ["you_0.wav"], "you_0.wav"),
    r"out: cannot be written to .*notes \(Not a directory\)": (
        "me",
        ["you_0.wav"],
        "notes/deep/out",
    ),
    "me/short.wav: 0.08 s of sound, at least 0.19": ("me/short.wav", ["you_0.wav"], "out.wav"),
    "me/short.wav: 0.08 s of sound": ("me/a.wav", ["you_0.wav", "me/short.wav"], "out.wav"),
    "me/deep/silent.wav: silent": ("me/deep/silent.wav", ["you_0.wav"], "out.wav"),
    "deep/silent.wav: silent": ("me", ["me/deep/silent.wav"], "out"),
    "me/broken.wav: is not a sound file": ("me/a.wav", ["me/broken.wav"], "out.wav"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_request_that_cannot_be_met_is_one_line_and_leaves_everything_as_it_was(recordings, line):
    (recordings / "empty").mkdir()
    (recordings / "notes").write_text("none")
    os.symlink(recordings / "me" / "a.wav", recordings / "link.wav")
    os.symlink(recordings / "me", recordings / "folder")
    before = content(recordings)
    source, targets, output = REFUSED[line]
    with pytest.raises(KvoiceError, match=line) as error:
        convert(
            Voice(Model(), SPEC),
            str(recordings / source),
            paths(recordings, *targets),
            str(recordings / output),
        )
    assert "\n" not in str(error.value)
    assert content(recordings) == before


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ({"mix": 2.5}, "mix: 2.5"),
        ({"layers": [3]}, "no layer 3, only 0 to 2"),
        ({"rate_hz": 10}, "--rate=10: must be between 1000 and 384000"),
        ({"rate_hz": 1_000_000}, "--rate=1000000: must be between 1000 and 384000"),
    ],
)
def test_a_number_out_of_range_is_refused_before_anything_is_converted(recordings, how, line):
    source, target, output = paths(recordings, "me", "you_0.wav", "out")
    with pytest.raises(KvoiceError, match=line):
        convert(Voice(Model(), SPEC), source, [target], output, **how)
    assert not os.path.exists(output)


def test_a_link_that_leads_nowhere_is_left_out(recordings):
    os.symlink(recordings / "nowhere.wav", recordings / "me" / "dangling.wav")
    source, target, output = paths(recordings, "me", "you_0.wav", "out")
    rows, left_out = convert(Voice(Model(), SPEC), source, [target], output)
    assert len(rows) == 3 and any(
        "dangling.wav: a link that leads nowhere" in line for line in left_out
    )


def test_a_full_disk_ends_it_and_leaves_no_half_of_a_file(recordings, monkeypatch):
    source, target, output = paths(recordings, "me", "you_0.wav", "out")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KvoiceError, match="out: cannot be written .No space left"):
        convert(Voice(Model(), SPEC), source, [target], output)
    assert not content(output)


def test_a_broken_model_writes_nothing(recordings):
    source, target, output = paths(recordings, "me/a.wav", "you_0.wav", "out.wav")
    model = Model()
    model.decode = lambda content, styles: np.full_like(content, np.nan)
    with pytest.raises(KvoiceError, match="^the model makes NaN or infinite values"):
        convert(Voice(model, SPEC), source, [target], output)
    assert not os.path.exists(output)


# With the model


@pytest.fixture(scope="module")
def adainvc():
    import keras

    from kvoice.models import AdaINVC

    keras.utils.set_random_seed(0)  # of the weights: a small network may be born dead
    parts = dict.fromkeys(("bank", "speaker", "content", "decoder"), 4)
    return AdaINVC(mels=80, width=parts, latents=4, embedding=4, dense_blocks=1)


@pytest.mark.backend
def test_an_adainvc_converts_and_with_mix_0_reconstructs(adainvc):
    wave = tone(22050, 0.35)[:6000]
    mel = input_mel(Voice(adainvc, SPEC), wave)
    voice = target_of(Voice(adainvc, SPEC), [tone(22050, 0.4, 0.2, 450.0)])
    target = voice.styles
    assert target.shape == (adainvc.style_layers, 8)
    found = adainvc.encode(mel)
    own = adainvc.decode(found["content"], found["styles"])[: len(mel)]
    np.testing.assert_allclose(converted(adainvc, mel, target, mix=0.0)[1], own, atol=1e-5)
    whole = adainvc.decode(found["content"], target)[: len(mel)]
    np.testing.assert_allclose(converted(adainvc, mel, target)[1], whole, atol=1e-5)
    away = [
        np.abs(converted(adainvc, mel, target, layers=layers)[1] - own).mean()
        for layers in ([], range(0, 12, 2), None)
    ]
    assert away[0] < 1e-5 and away[1] > 1e-5 and away[2] > 1e-5
    made_mel, made = convert_wave(Voice(adainvc, SPEC), wave, voice)
    np.testing.assert_array_equal(made_mel, conversion(Voice(adainvc, SPEC), mel, voice))
    assert len(made) == 6000
    assert rms(made) == pytest.approx(rms(wave), rel=1e-3) or np.abs(made).max() == pytest.approx(
        0.99
    )


@pytest.fixture
def vc(recordings, monkeypatch):
    """The folder of recordings, with a run of an untrained adainvc and two that do not go with
    it.
    """
    from kvoice import runs
    from kvoice.cli import configs
    from kvoice.training import loop

    monkeypatch.chdir(recordings)
    config = configs.configuration("adainvc", "tiny")
    for name, values, spec in (
        ("adainvc", config["model"] | {"mels": 80}, SPEC),
        ("voicegan", {}, SPEC),
        ("waveglow", {}, dataclasses.replace(SPEC, hop=300)),
    ):
        about = {"model_name": name, "data_spec": "", "model": values, "train": config["train"]}
        made = runs.create(name, about, spec, {})
        if name == "adainvc":
            loop.finished(made, loop.model(made))
    return recordings


@pytest.mark.backend
def test_the_command_prints_what_it_made_and_skipped(vc, capsys, monkeypatch):
    from kvoice.cli.main import main

    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    words = ["convert", "--run=adainvc", "--target=you_0.wav", "--target=you_1.wav"]
    how = ["--rate=16000", "--mix=0.5", "--layers=0-3,8"]
    assert main([*words, "--source=me", "--output=out", *how]) == 1
    shown, said = capsys.readouterr()
    assert "kvoice convert: 3 of 6 files were left out, as named above\n" in said
    assert shown.count("ask them, and say that it is converted") == 1
    assert "left out: me/deep/silent.wav: silent" in shown and shown.count("left out: ") == 3
    assert (
        "3 files, 3 left out, 1.5 s of sound, in out: the network at" in shown
        and "the synthesis at" in shown
    )
    assert sorted(os.listdir("out")) == [MADE, "a.flac.wav", "a.wav", "deep"]
    assert soundfile.info("out/a.wav").samplerate == 16000

    def line(status, *more):
        assert main([*words[:2], *more]) == status
        shown = capsys.readouterr().err.split("\n")
        (text,) = [each for each in shown if each.startswith("kvoice convert: ")]
        return text

    usual = ["--source=me/a.wav", "--target=you_0.wav", "--output=c.wav"]
    monkeypatch.setattr("kvoice.inference.render.HIGHEST", 0.1)  # whatever is recorded passes it
    assert main(["convert", "--run=adainvc", *usual]) == 0
    shown = capsys.readouterr().out
    assert "me/a.wav: " in shown and " dB quieter, so that" in shown
    assert "1 file, 0.5 s of sound" in shown
    os.remove("c.wav")
    assert "--target=FILE is missing" in line(2, *usual[:1])
    assert "mix" in line(2, *usual, "--mix=2.5")
    assert "expected numbers from 0 to 11" in line(1, *usual, "--layers=7-12")
    assert "expected one of adainvc" in line(1, *usual, "--run=voicegan")
    assert "is a run of voicegan, expected one of waveglow" in line(1, *usual, "--vocoder=voicegan")
    assert "hop: 300 here, 256 there" in line(1, *usual, "--vocoder=waveglow")
    assert "me/short.wav: 0.08 s of sound" in line(1, *usual, "--source=me/short.wav")
    assert "me/deep: no file of it could be used" in line(
        1, "--source=me/deep", "--target=me/deep/b.wav", "--output=new"
    )
    assert not os.path.exists("c.wav") and not os.path.exists("new")
