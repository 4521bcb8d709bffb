import types

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from kvoice import audio, tensorboard  # noqa: E402

SPEC = audio.SPECS["waveglow"]


class Vowel:
    """A model whose label 0 is silent, and whose label 1 is a spectrum that rises."""

    def generate(self, count, label=None, seed=0):
        mel = np.full((count, 32, SPEC.mels), SPEC.silence, "float32")
        if label:
            mel += np.linspace(0, 8, SPEC.mels, dtype="float32")
        return mel


@pytest.fixture
def shown(tmp_path):
    run = types.SimpleNamespace(path=tmp_path, names=["calm", "angry"], spec=SPEC)
    summaries = tensorboard.Summaries(run, steps_per_epoch=50)
    summaries.set_model(Vowel())
    summaries.on_train_begin()
    summaries.on_epoch_end(1, {"loss": 2.5, "val_frechet": 0.5})
    summaries.on_train_end()
    events = EventAccumulator(str(tmp_path / "logs"), size_guidance={"tensors": 0})
    events.Reload()
    return events


def test_losses_are_shown_over_steps(shown):
    (event,) = shown.Tensors("loss")
    assert event.step == 100  # two epochs of 50
    assert tf.make_ndarray(event.tensor_proto) == pytest.approx(2.5)


def test_each_label_is_heard_as_it_is(shown):
    loud = {}
    for label in ("calm", "angry"):
        (event,) = [e for e in shown.Tensors(f"audio/{label}") if e.step == 100]
        wave, rate = tf.audio.decode_wav(tf.make_ndarray(event.tensor_proto)[0, 0])
        assert int(rate) == SPEC.sample_rate_hz
        loud[label] = float(tf.reduce_max(tf.abs(wave)))
    assert loud["calm"] < 1e-3 < loud["angry"]


def test_a_picture_has_time_to_the_right_and_low_frequencies_at_the_bottom():
    mel = np.full((1, 3, 4), SPEC.low, "float32")
    mel[0, 2, 0] = SPEC.high  # last frame, lowest band
    image = tensorboard.picture(mel, SPEC)
    assert image.shape == (1, 4, 3, 1)
    assert image[0, 3, 2, 0] == 1.0 and image.sum() == 1.0
