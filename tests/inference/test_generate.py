import json

import matplotlib.image
import numpy as np
import pytest

from kvoice import audio
from kvoice.audio import SPECS
from kvoice.errors import KvoiceError
from kvoice.inference.generate import generate
from kvoice.inference.voice import Voice

SPEC = SPECS["waveglow"]
NAMES = ["angry", "sad"]


class Model:
    """Noise and label to mel: cosines over band and time; each label has a level of its own."""

    domain = "mel"

    def __init__(self, labels=2, frames=16):
        self.labels, self.frames = labels, frames
        order = np.arange(1, 9)[:, None, None]
        bands, times = np.arange(SPEC.mels) / SPEC.mels, np.arange(frames)[:, None] / frames
        waves = 0.4 * np.cos(np.pi * order * bands) * np.cos(np.pi * (order % 3) * times)
        self.weights = waves.reshape(8, -1)

    def noise(self, count, seed=0):
        return np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)

    def decode(self, noise, label=None):
        assert (label is None) == (not self.labels)
        level = -4 - 2 * (label or 0)
        return (level + noise @ self.weights).reshape(-1, self.frames, SPEC.mels).astype(np.float32)


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("samples")
    made = generate(Voice(Model(), SPEC, NAMES), directory, count=2, seed=3, steps=3)
    return directory, made


def test_the_listing_names_every_wave_and_is_what_was_returned(written):
    directory, made = written
    assert json.loads((directory / "samples.json").read_text()) == made
    listed = {each["file"] for each in made["files"]}
    assert listed == {path.name for path in directory.glob("*.wav")}
    assert made["files"][1] == {"file": "angry_1.wav", "label": "angry", "noise": 1}
    assert made["files"][-1] == {
        "file": "interpolation_sad.wav",
        "label": "sad",
        "noises": [0, 1],
        "steps": 3,
    }
    assert made["seed"] == 3 and made["sample_rate_hz"] == 22050


def test_a_wave_sounds_like_the_mel_that_the_model_gave(written):
    directory, _ = written
    model = Model()
    for label, name in enumerate(NAMES):
        wanted = model.decode(model.noise(2, 3), label)[1]
        wave, rate_hz = audio.read(directory / f"{name}_1.wav")
        assert rate_hz == 22050 and len(wave) == 16 * 256
        assert np.abs(audio.mel(wave, SPEC)[:16] - wanted)[2:-2].mean() < 0.3


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_sounds(written, tmp_path):
    generate(Voice(Model(), SPEC, NAMES), tmp_path / "a", count=2, seed=3, steps=3)
    assert content(tmp_path / "a") == content(written[0])
    generate(Voice(Model(), SPEC, NAMES), tmp_path / "b", count=2, seed=4, steps=3)
    other = content(tmp_path / "b")
    assert not [name for name, data in content(written[0]).items() if other[name] == data]


def test_a_file_does_not_depend_on_what_else_is_asked_for(written, tmp_path):
    generate(Voice(Model(), SPEC, NAMES), tmp_path, count=1, seed=3, labels=["sad"], steps=3)
    wavs = {path.name: path.read_bytes() for path in tmp_path.glob("*.wav")}
    assert sorted(wavs) == ["interpolation_sad.wav", "sad_0.wav"]
    assert wavs.items() <= content(written[0]).items()


@pytest.mark.parametrize("name", ["samples.png", "interpolation.png"])
def test_the_figures_are_not_blank(written, name):
    pixels = matplotlib.image.imread(written[0] / name)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 200


def test_a_model_without_labels_writes_samples(tmp_path):
    made = generate(Voice(Model(labels=0), SPEC, []), tmp_path, count=1, steps=2)
    assert [each["file"] for each in made["files"]] == ["sample_0.wav", "interpolation_sample.wav"]


def test_names_that_are_paths_stay_in_the_directory(tmp_path):
    voice = Voice(Model(labels=1), SPEC, ["../ravdess/07"])
    generate(voice, tmp_path / "a" / "b", count=1, steps=2)
    assert (tmp_path / "a" / "b" / "..-ravdess-07_0.wav").exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"labels": ["sad", "glad"]}, "--label=glad: .*it knows angry, sad"),
        ({"count": 0}, "--count=0: must be at least 1"),
        ({"steps": 1}, "--steps=1: must be at least 2"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(KvoiceError, match=message):
        generate(Voice(Model(), SPEC, NAMES), tmp_path / "a", **arguments)
    assert not (tmp_path / "a").exists()


def test_a_label_for_a_model_without_labels_is_refused(tmp_path):
    with pytest.raises(KvoiceError, match="--label=sad: .*this model has no labels"):
        generate(Voice(Model(labels=0), SPEC, []), tmp_path, labels=["sad"])


@pytest.mark.parametrize("name", ["file", "file/in"])
def test_an_output_that_is_a_file_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(KvoiceError, match="is a file, expected a directory"):
        generate(Voice(Model(), SPEC, NAMES), tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.backend
def test_a_voicegan_generates_the_same_for_the_same_seed(tmp_path):
    from kvoice.models.voicegan import VoiceGAN

    gan = VoiceGAN(
        shape=(32, 80),
        low=SPEC.low,
        high=SPEC.high,
        labels=2,
        condition="emotion",
        noise=8,
        width=2,
    )
    for name in "ab":
        generate(Voice(gan, SPEC, NAMES), tmp_path / name, count=1, labels=["sad"], steps=2)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    wave, _ = audio.read(tmp_path / "a" / "sad_0.wav")
    assert len(wave) == 32 * 256 and np.abs(wave).max() > 0


@pytest.mark.backend
def test_a_voicegan_of_waves_generates_what_it_decodes(tmp_path):
    from kvoice.models.voicegan import VoiceGAN

    gan = VoiceGAN(domain="wave", shape=(16_384,), low=-1.0, high=1.0, noise=8, width=1)
    generate(Voice(gan, SPEC, []), tmp_path, count=1, seed=1, steps=2)
    wave, rate_hz = audio.read(tmp_path / "sample_0.wav")
    assert rate_hz == 22050
    np.testing.assert_allclose(wave[300:-300], gan.generate(1, seed=1)[0, 300:-300], atol=1e-4)


# Waves


class Tone(Model):
    """Noise and label to wave: a tone, each label an octave above the one before."""

    domain = "wave"

    def decode(self, noise, label=None):
        level = 0.3 + 0.05 * np.tanh(noise[:, :1])
        time = np.arange(32 * SPEC.hop) / SPEC.sample_rate_hz
        return (level * np.sin(2 * np.pi * 440 * 2 ** (label or 0) * time)).astype(np.float32)


def test_a_model_of_waves_is_written_as_it_is_without_a_vocoder(tmp_path):
    made = generate(Voice(Tone(), SPEC, NAMES), tmp_path, count=2, seed=3, steps=3)
    model, edge = Tone(), round(0.01 * 22050)
    for label, name in enumerate(NAMES):
        wave, _ = audio.read(tmp_path / f"{name}_1.wav")
        wanted = model.decode(model.noise(2, 3), label)[1]
        assert wave.shape == wanted.shape and wave[0] == wave[-1] == 0
        np.testing.assert_allclose(wave[edge:-edge], wanted[edge:-edge], atol=1e-4)
        way, _ = audio.read(tmp_path / f"interpolation_{name}.wav")
        assert len(way) == 3 * len(wave) - 2 * round(0.05 * 22050)
    assert [each["file"] for each in made["files"]][:3] == [
        "angry_0.wav",
        "angry_1.wav",
        "interpolation_angry.wav",
    ]


def test_the_figures_of_a_model_of_waves_are_their_mels(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "kvoice.plots.mel_image", lambda path, rows, *_: drawn.update({path.name: rows})
    )
    generate(Voice(Tone(), SPEC, NAMES), tmp_path, count=2, seed=3, steps=3)
    for name, count in (("samples.png", 2), ("interpolation.png", 3)):
        low, high = drawn[name]
        assert low.shape == high.shape == (count, 32, 80)
        assert low.mean(axis=(0, 1)).argmax() < high.mean(axis=(0, 1)).argmax()  # an octave higher


# What is written


def test_a_file_begins_and_ends_in_silence(written):
    directory, made = written
    for each in made["files"]:
        wave, _ = audio.read(directory / each["file"])
        assert wave[0] == wave[-1] == 0
        assert np.abs(wave).max() > 0.01


def test_names_that_differ_in_punctuation_keep_files_of_their_own(tmp_path):
    names = ["col/a b", "col/a-b"]
    made = generate(Voice(Model(), SPEC, names), tmp_path, count=1, steps=2)
    listed = [each["file"] for each in made["files"]]
    assert len(set(listed)) == 4 == len(list(tmp_path.glob("*.wav")))
    again = generate(
        Voice(Model(), SPEC, names), tmp_path / "one", count=1, steps=2, labels=["a-b"]
    )
    for each in again["files"]:  # the same names when asked for alone, by the speaker's name
        assert (tmp_path / "one" / each["file"]).read_bytes() == (
            tmp_path / each["file"]
        ).read_bytes()
