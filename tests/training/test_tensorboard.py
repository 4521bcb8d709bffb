import types

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from kvoice import audio  # noqa: E402
from kvoice.inference import render  # noqa: E402
from kvoice.training import tensorboard  # noqa: E402

SPEC = audio.SPECS["waveglow"]


class Vowel:
    """A model whose label 0 is silent, and whose label 1 is a spectrum that rises."""

    domain = "mel"

    def generate(self, count, label=None, seed=0):
        mel = np.full((count, 32, SPEC.mels), SPEC.silence, "float32")
        if label:
            mel += np.linspace(0, 8, SPEC.mels, dtype="float32")
        return mel


class Beep:
    """A model of waves: a tone, twice as loud for label 1."""

    domain = "wave"

    def generate(self, count, label=None, seed=0):
        tone = np.sin(2 * np.pi * 1000 * np.arange(32 * SPEC.hop) / SPEC.sample_rate_hz)
        return np.stack(count * [0.2 * (1 + (label or 0)) * tone]).astype("float32")


class Listener:
    """A model without weights that generates beeps."""

    domain = "mel"


def written(path, model, names=("calm", "angry")):
    """What the second epoch of a model shows."""
    run = types.SimpleNamespace(path=path, names=list(names), spec=SPEC)
    summaries = tensorboard.Summaries(run, 50, render.waves)
    summaries.set_model(model)
    summaries.on_train_begin()
    summaries.on_epoch_end(1, {"loss": 2.5, "val_frechet": 0.5})
    summaries.on_train_end()
    events = EventAccumulator(str(path / "logs"), size_guidance={"tensors": 0})
    events.Reload()
    return events


@pytest.fixture
def shown(tmp_path):
    return written(tmp_path, Vowel())


def audio_of(events, label):
    (event,) = [e for e in events.Tensors(f"audio/{label}") if e.step == 100]
    wave, rate = tf.audio.decode_wav(tf.make_ndarray(event.tensor_proto)[0, 0])
    assert int(rate) == SPEC.sample_rate_hz
    return wave.numpy()[:, 0]


def test_losses_are_shown_over_steps(shown):
    (event,) = shown.Tensors("loss")
    assert event.step == 100  # two epochs of 50
    assert tf.make_ndarray(event.tensor_proto) == pytest.approx(2.5)


def test_the_audio_of_each_label_is_written_unchanged(shown):
    loud = {label: np.abs(audio_of(shown, label)).max() for label in ("calm", "angry")}
    assert loud["calm"] < 1e-3 < loud["angry"]


def test_waves_are_written_unchanged_and_their_mels_as_images(tmp_path):
    events = written(tmp_path, Beep())
    for label, name in enumerate(("calm", "angry")):
        np.testing.assert_allclose(audio_of(events, name), Beep().generate(1, label)[0], atol=1e-3)
        (event,) = events.Tensors(f"mel/{name}")
        width, height, png = tf.make_ndarray(event.tensor_proto)
        assert (int(width), int(height)) == (32, SPEC.mels)
        picture = tf.io.decode_png(png).numpy()[:, 4:-4, 0]
        (brightest,) = {int(row) for row in picture.argmax(axis=0)}
        centres = np.flatnonzero(audio.mel_filters(SPEC)[round(1000 * 1024 / 22050)])
        assert SPEC.mels - 1 - brightest in centres  # the bands that hold 1000 Hz


def test_a_model_without_a_voice_shows_its_losses_only(tmp_path):
    events = written(tmp_path, Listener())
    assert sorted(events.Tags()["tensors"]) == ["loss", "val_frechet"]


def test_a_picture_has_time_to_the_right_and_low_frequencies_at_the_bottom():
    mel = np.full((1, 3, 4), SPEC.low, "float32")
    mel[0, 2, 0] = SPEC.high  # last frame, lowest band
    image = tensorboard.picture(mel, SPEC)
    assert image.shape == (1, 4, 3, 1)
    assert image[0, 3, 2, 0] == 1.0 and image.sum() == 1.0
