"""A loaded run takes samples of any rate and gives samples, and refuses in one line what it
cannot use.
"""

import dataclasses

import keras
import numpy as np
import pytest

import kvoice
from kvoice import audio, runs
from kvoice.cli import configs
from kvoice.errors import KvoiceError
from kvoice.inference import encode, latents, render
from kvoice.inference.vocode import Vocoder
from kvoice.models import MODELS
from kvoice.training import loop
from kvoice.training.corpus import Facts

pytestmark = pytest.mark.backend

RATE_HZ = 32000  # that of no Spec
NAMES = ["calm", "a/angry"]


def create(folder, name, spec=None, **changes):
    """A run of an untrained model of the smallest variant."""
    config = configs.configuration(name, "tiny")
    spec = spec or audio.Spec(**config["audio"])
    values = {**config["model"], **changes}
    frames = 16 if name in ("voicegan", "classifier") else 64
    bounds = {"low": spec.low, "high": spec.high}
    facts = Facts(
        {
            "mel": {"shape": (frames, spec.mels), **bounds},
            "image": {"shape": (16, 16), **bounds},
            "wave": {"shape": (16384,), "low": -1.0, "high": 1.0},
        },
        spec.mels,
        spec.hop,
        audio.band_powers(spec),
        20,
        2,
        len(NAMES) if values.get("condition") else 0,
        5,
    )
    values |= MODELS[name].from_data(values, facts)
    labels = {values["condition"]: NAMES} if values.get("condition") else {}
    train = config["train"] | {"ema": 0.0}  # of what never moved there is no average
    about = {"model_name": name, "data_spec": "", "model": values, "train": train}
    run = runs.create(folder, about, spec, labels)
    keras.utils.set_random_seed(1)  # a small network may be born dead
    loop.finished(run, loop.model(run))
    return run


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """A loaded run of each model, by name, made when it is asked for."""
    folder = tmp_path_factory.mktemp("runs")

    class Voices(dict):
        def __missing__(self, name):
            self[name] = kvoice.load(create(folder / name, name).path)
            return self[name]

    return Voices()


def tone(rate_hz=RATE_HZ, seconds=0.6, level=0.3, hz=200.0):
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    wave = sum(np.sin(2 * np.pi * k * hz * time) / k for k in range(1, 6))
    return (level * wave / np.abs(wave).max() * (0.6 + 0.4 * np.sin(12 * np.pi * time))).astype(
        "float32"
    )


def at(voice, wave):
    """A wave of `RATE_HZ` at the rate of the Spec."""
    return audio.resample(wave, RATE_HZ, voice.spec.sample_rate_hz)


def test_a_run_is_loaded_with_all_that_is_needed_to_use_it(voices):
    gan = voices["voicegan"]
    assert gan.names == NAMES == gan.model.names and gan.spec == gan.run.spec
    assert gan.run.path.name == "voicegan"
    assert "VoiceGAN: generate" in repr(gan) and len(repr(gan)) < 300
    assert voices["adainvc"].names == []


# Verbs


def test_generated_waves_are_those_of_the_mels(voices):
    gan = voices["voicegan"]
    waves = gan.generate(2, "calm", seed=3)
    assert waves.shape == (2, 16 * gan.spec.hop) and np.abs(waves).max() > 1e-4
    mels = gan.model.generate(2, "calm", seed=3)
    np.testing.assert_array_equal(waves[1], gan.to_wave(mels[1]))
    assert gan.generate(label="calm", seed=3).shape == (1, 16 * gan.spec.hop)


def test_a_label_is_a_name_the_end_of_it_a_number_or_one_for_each(voices):
    gan, seen = voices["voicegan"], []

    class Recorder:
        verbs, domain = ("generate",), "wave"

        def generate(self, count, label, seed):
            seen.append(label)
            return np.zeros((count, 4))

    voice = dataclasses.replace(gan, model=Recorder())
    for label in ("angry", "a/angry", 1, np.int64(0), ["calm", 1]):
        voice.generate(2, label)
    assert seen == [1, 1, 1, 0, [0, 1]]
    assert dataclasses.replace(voice, names=[]).generate(2).shape == (2, 4)
    assert seen[-1] is None


def test_waves_that_are_generated_stay_as_they_are(tmp_path):
    gan = kvoice.load(create(tmp_path / "run", "voicegan", domain="wave", condition="").path)
    waves = gan.generate(2, seed=1)
    np.testing.assert_array_equal(waves, gan.model.generate(2, seed=1))
    assert waves.shape == (2, 16384)
    with pytest.raises(KvoiceError, match="^label: this model has no labels; leave it out"):
        gan.generate(label="calm")


def test_a_conversion_has_the_length_and_loudness_of_its_source_at_its_rate(voices):
    voice, source, target = voices["adainvc"], tone()[:-7], tone(hz=330.0, level=0.1)
    made = voice.convert(source, target, RATE_HZ)
    assert made.shape == source.shape and made.dtype == np.float32
    assert made.std() == pytest.approx(source.std(), rel=0.01) or np.abs(made).max() > 0.98
    assert not np.allclose(made, source, atol=0.01)
    other = tone(hz=150.0, level=0.2)
    several = voice.convert(source, [target, other], RATE_HZ)
    assert several.shape == source.shape and not np.array_equal(several, made)
    np.testing.assert_array_equal(voice.convert(source, [target], RATE_HZ), made)
    kept, own = (
        voice.convert(source, target, RATE_HZ, layers=[]),
        voice.convert(source, target, RATE_HZ, mix=0.0),
    )
    np.testing.assert_allclose(kept, own, atol=1e-4)
    assert not np.allclose(own, made, atol=1e-4)


def test_a_voice_is_encoded_as_in_the_function_for_many(voices):
    for name in ("speakerencoder", "adainvc", "betavae"):
        voice = voices[name]
        found = voice.encode(tone(), RATE_HZ)
        assert found.ndim == 1 and np.ptp(found) > 0
        (wanted,) = encode.of_waves(voice, [at(voice, tone())])
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_code_of_a_wave_is_that_of_the_utterance_in_a_corpus(voices):
    """So that a latent found for a label in a corpus is the same number in any recording."""
    voice = voices["betavae"]
    spec = voice.spec
    wave = audio.condition(at(voice, tone(seconds=0.8)), spec)

    class Source:
        labels = {"speaker": ["ann", "ben"], "gender": [], "emotion": []}

        def __len__(self):
            return 1

        def utterance(self, row):
            mel = audio.paired(wave, spec)[1]
            return {"mel": mel, "name": "a", "speaker": 0, "gender": -1, "emotion": -1}

    source = Source()
    source.spec, source.arrays = spec, ["mel"]
    held = latents.codes(voice.model, source)
    np.testing.assert_allclose(voice.encode(tone(seconds=0.8), RATE_HZ), held["mean"][0], atol=1e-5)


def test_images_have_no_sound_to_encode(tmp_path):
    run = create(tmp_path / "run", "betavae", domain="image", architecture="dense", phones=False)
    voice = kvoice.load(run.path)
    with pytest.raises(KvoiceError, match="^wave: the model is of images and encodes no sound"):
        voice.encode(tone(), RATE_HZ)


def test_a_classifier_gives_the_probability_of_each_name(voices):
    odds = voices["classifier"].classify(tone(), RATE_HZ)
    assert list(odds) == NAMES and sum(odds.values()) == pytest.approx(1, abs=1e-5)
    other = voices["classifier"].classify(tone(16000), 16000)  # the same sound
    assert other == pytest.approx(odds, abs=0.02)
    assert all(isinstance(p, float) for p in odds.values())


def test_a_vocoder_synthesises_its_mels_and_those_of_another_voice(voices):
    vocoder = voices["waveglow"]
    mel = vocoder.mel(tone(), RATE_HZ)
    wave = vocoder.vocode(mel)
    assert wave.shape == (len(mel) * vocoder.spec.hop,)
    inner = np.s_[300:-300]  # the ends fade
    np.testing.assert_array_equal(wave[inner], Vocoder(vocoder.model, vocoder.spec)(mel)[inner])
    gan = voices["voicegan"]
    lent, own = gan.to_wave(mel, vocoder), gan.to_wave(mel)
    assert lent.shape == own.shape == wave.shape
    assert np.abs(lent - own).max() > 1e-3
    wanted = render.sound(mel, gan.spec, len(wave), Vocoder(vocoder.model, vocoder.spec))
    np.testing.assert_array_equal(lent, wanted)


def test_a_mel_is_that_of_the_spec_and_becomes_a_wave_again(voices):
    for name in ("voicegan", "adainvc", "speakerencoder"):
        voice = voices[name]
        wave = at(voice, tone())
        mel = voice.mel(tone(), RATE_HZ)
        prepared = audio.condition(wave, voice.spec, trim=False)
        np.testing.assert_array_equal(mel, audio.mel(prepared, voice.spec))
        assert len(mel) == 1 + len(wave) // voice.spec.hop
    again = voices["voicegan"].to_wave(mel := voices["voicegan"].mel(tone(), RATE_HZ))
    found = voices["voicegan"].mel(again, voices["voicegan"].spec.sample_rate_hz)[: len(mel)]
    assert np.abs(found - mel)[3:-3].mean() < 0.5
    assert voices["voicegan"].to_wave(mel[:1]).shape == (voices["voicegan"].spec.hop,)


@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        ("int16", 2**15),
        ("int32", 2**31),
        ("int8", 2**7),
        ("uint8", 2**7),
        ("uint16", 2**15),
        ("float64", 1),
        ("float16", 1),
    ],
)
def test_whole_numbers_are_scaled_by_their_width(voices, kind, scale):
    wave = 0.5 * tone().astype("float64") * scale
    if kind.startswith("u"):
        wave += scale
    given = (np.round(wave) if scale > 1 else wave).astype(kind)
    voice = voices["voicegan"]
    floor = 1e-3  # 8 bits are rough
    found, wanted = (
        np.maximum(audio.magnitude(mel, voice.spec), floor)
        for mel in (voice.mel(given, RATE_HZ), voice.mel(0.5 * tone(), RATE_HZ))
    )
    loud = wanted > 0.05
    assert loud.any()
    np.testing.assert_allclose(found[loud], wanted[loud], rtol=0.15 if "8" in kind else 0.01)


def test_lists_are_arrays_and_nothing_given_is_changed(voices):
    voice, wave = voices["voicegan"], tone()
    np.testing.assert_array_equal(voice.mel(wave.tolist(), RATE_HZ), voice.mel(wave, RATE_HZ))
    np.testing.assert_array_equal(wave, tone())


# What cannot be used


MISSING = {
    "generate": "voicegan",
    "convert": "adainvc",
    "encode": "adainvc or betavae or speakerencoder",
    "classify": "classifier",
    "vocode": "waveglow",
}


@pytest.mark.parametrize("verb", MISSING)
def test_a_verb_that_a_model_does_not_have_names_those_that_have_it(voices, verb):
    given = {
        "generate": (),
        "convert": (tone(), tone(), RATE_HZ),
        "encode": (tone(), RATE_HZ),
        "classify": (tone(), RATE_HZ),
        "vocode": (np.zeros((20, 80)),),
    }
    voice = voices["voicegan" if verb != "generate" else "classifier"]
    name = type(voice.model).__name__
    with pytest.raises(KvoiceError, match=f"^{verb}: {name} has no such verb; .* {MISSING[verb]}$"):
        getattr(voice, verb)(*given[verb])


BAD_WAVES = {
    "two channels": (np.zeros((2, 9000)), r"has the shape \[2, 9000\], expected \[samples\]"),
    "a number": (0.5, r"has the shape \[\], expected \[samples\]"),
    "empty": ([], "holds no samples"),
    "NaN": (np.append(tone(), np.nan), "holds NaN or infinite samples"),
    "infinity": (np.append(tone(), np.inf), "holds NaN or infinite samples"),
    "complex": (tone() + 1j, "holds complex"),
    "text": (["a", "b"], "holds <U1"),
    "nothing": (None, "holds object"),
    "truth": (tone() > 0, "holds bool"),
    "64 bits": (np.zeros(9000, "int64"), "holds int64, expected floats, or integers of at most 32"),
    "ragged": ([[1.0], [1.0, 2.0]], "is no array"),
    "path": ("me.wav", "is a path, expected samples"),
    "unscaled": (32768 * tone(), "reaches .*full scale is 1"),
}
USELESS = {
    "silence": (np.zeros(20000), "silent"),
    "short": (tone(seconds=0.05), "0.05 s of sound, at least|shorter than 0.1 s"),
    "clipped": (np.sign(tone()), "clipped"),
}


@pytest.mark.parametrize("what", [*BAD_WAVES, *USELESS])
def test_a_wave_that_cannot_be_used_is_one_line_that_names_the_argument(voices, what):
    wave, line = (BAD_WAVES | USELESS)[what]
    converter, good = voices["adainvc"], tone()
    asked = {
        "source": lambda: converter.convert(wave, good, RATE_HZ),
        "target": lambda: converter.convert(good, wave, RATE_HZ),
        r"target\[1\]": lambda: converter.convert(good, [good, wave], RATE_HZ),
        "wave": lambda: voices["classifier"].classify(wave, RATE_HZ),
        " ?wave": lambda: voices["speakerencoder"].encode(wave, RATE_HZ),
        "(?:wave)": lambda: voices["betavae"].encode(wave, RATE_HZ),
    }
    if what in BAD_WAVES:
        asked["wave(?=:)"] = lambda: voices["waveglow"].mel(wave, RATE_HZ)
    if what == "ragged":
        del asked["target"]  # a list of waves, both too short
    for name, ask in asked.items():
        with pytest.raises(KvoiceError, match=f"^{name}: .*({line})") as error:
            ask()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "rate", [0, -16000, 22.05, float("nan"), float("inf"), "16000", None, True]
)
def test_a_rate_that_is_none_is_refused(voices, rate):
    for ask in (
        lambda: voices["adainvc"].convert(tone(), tone(), rate),
        lambda: voices["voicegan"].mel(tone(), rate),
    ):
        with pytest.raises(KvoiceError, match="^rate: .* must be the sampling rate"):
            ask()


def test_less_than_a_sample_is_too_short(voices):
    with pytest.raises(KvoiceError, match="^wave: is too short"):
        voices["adainvc"].mel(np.ones(1), 192000)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (dict(mix=2.5), "^mix: 2.5 must be from 0"),
        (dict(mix=float("nan")), "^mix: nan must be from 0"),
        (dict(layers=[12]), "^layers: there is no layer 12, only 0 to 11"),
        (dict(layers=[0.5]), "^layers: there is no layer 0.5"),
    ],
)
def test_a_mix_or_layer_out_of_range_is_refused(voices, values, line):
    with pytest.raises(KvoiceError, match=line):
        voices["adainvc"].convert(tone(), tone(), RATE_HZ, **values)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (dict(), "^label: is missing; give one of calm, a/angry"),
        (dict(label="clam"), "^label: 'clam' is none of this model; did you mean calm"),
        (dict(label=2), "^label: 2 must be from 0 to 1"),
        (dict(label=-1), "^label: -1 must be from 0 to 1"),
        (dict(label=["calm", 1]), "^label: 2 of them for count=1"),
        (dict(label=[1.5]), "^label: 1.5 is none of this model"),
        (dict(label=1.5), "^label: 1.5 is none of this model"),
        (dict(label=True), "^label: True is none of this model"),
        (dict(label="calm", count=0), "^count: 0 must be a whole number of at least 1"),
        (dict(label="calm", count=1.5), "^count: 1.5 must be"),
        (dict(label="calm", seed=-1), "^seed: -1 must be a whole number of at least 0"),
    ],
)
def test_invalid_arguments_of_a_generator_are_refused(voices, values, line):
    with pytest.raises(KvoiceError, match=line):
        voices["voicegan"].generate(**values)


@pytest.mark.parametrize(
    ("mel", "line"),
    [
        (np.zeros((80, 20)), r"has the shape \[80, 20\], \[mels, time\], .*; give mel.T"),
        (np.zeros((1, 20, 80)), "give one at a time"),
        (np.zeros(80), r"\[80\], expected \[time, 80\]"),
        (np.zeros((0, 80)), r"\[0, 80\], expected"),
        (np.zeros((20, 40)), r"\[20, 40\], expected"),
        (np.full((20, 80), np.nan), "not finite"),
        (np.full((20, 80), -np.inf), "not finite.*makes silence"),
        ([["a"]], "holds no real numbers"),
        (np.zeros((20, 80), complex), "holds no real numbers"),
        ([[1.0], [1.0, 2.0]], "is no array"),
    ],
)
def test_a_mel_that_cannot_be_used_is_refused(voices, mel, line):
    for ask in (voices["waveglow"].vocode, voices["voicegan"].to_wave):
        with pytest.raises(KvoiceError, match=f"^mel: .*{line}"):
            ask(mel)


def test_a_mel_on_another_scale_is_refused_with_its_conversion(voices):
    decibels = 20 / np.log(10) * voices["waveglow"].mel(tone(), RATE_HZ)
    with pytest.raises(KvoiceError, match="^mel: .*decibels"):
        voices["waveglow"].vocode(decibels)


def test_a_vocoder_of_another_spec_or_none_is_refused(voices, tmp_path):
    mel = voices["voicegan"].mel(tone(), RATE_HZ)
    with pytest.raises(
        KvoiceError, match="^vocoder: vocode: Classifier has no such verb; .*waveglow"
    ):
        voices["voicegan"].to_wave(mel, voices["classifier"])
    with pytest.raises(KvoiceError, match=r"^vocoder: is no Voice; kvoice.load"):
        voices["voicegan"].to_wave(mel, "runs/waveglow/default")
    other = dataclasses.replace(voices["waveglow"].spec, fmax_hz=7000.0)
    vocoder = dataclasses.replace(voices["waveglow"], spec=other)
    with pytest.raises(
        KvoiceError, match="^vocoder: has another Spec .fmax_hz: 7000.0 here, 8000.0 there"
    ):
        voices["voicegan"].to_wave(mel, vocoder)
