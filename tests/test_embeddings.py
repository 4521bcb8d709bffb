"""Embeddings of a model that is known."""

import numpy as np
import pytest

from kvoice import audio, embeddings

SPEC = audio.SPECS["speakerencoder"]


class Encoder:
    """The mean of the mel, and how many clips it was asked about."""

    partial_frames = 40

    def embed(self, clips):
        self.clips = clips
        means = clips.mean(axis=1)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def noise(seconds, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).normal(size=round(seconds * 16000))).astype("float32")


@pytest.mark.parametrize(("frames", "starts"), [
    (10, [0]), (40, [0]), (48, [0]), (50, [0, 19]), (85, [0, 19, 38]), (100, [0, 19, 38, 57])])
def test_partials_overlap_by_half_and_none_is_mostly_padding(frames, starts):
    mel = np.arange(frames * 2, dtype="float32").reshape(frames, 2)
    found = embeddings.partials(mel, 40, -9.0)
    wanted = [np.concatenate([mel[s : s + 40], np.full((40, 2), -9.0)])[:40] for s in starts]
    np.testing.assert_array_equal(found, wanted)


def test_an_embedding_is_the_mean_of_those_of_the_partials_at_length_one():
    model, wave = Encoder(), noise(1.5)
    (found,) = embeddings.of_waves(model, SPEC, [wave])
    mean = model.embed(model.clips).mean(axis=0)
    assert len(model.clips) > 3
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), rtol=1e-5)


def test_loudness_does_not_matter():
    loud, faint = embeddings.of_waves(Encoder(), SPEC, [noise(1.0), noise(1.0, level=0.001)])
    np.testing.assert_allclose(loud, faint, atol=1e-4)


def test_waves_do_not_mix_whatever_their_lengths():
    waves = [noise(0.2), noise(2.0, 1), noise(0.7, 2)]
    together = embeddings.of_waves(Encoder(), SPEC, waves)
    alone = [embeddings.of_waves(Encoder(), SPEC, [wave])[0] for wave in waves]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.isfinite(embeddings.of_waves(Encoder(), SPEC, [np.zeros(8000, "float32")])).all()
