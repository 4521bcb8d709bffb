import keras
import numpy as np
import pytest
from keras import ops

from kvoice import backend
from kvoice.models.speakerencoder import SpeakerEncoder, similarities
from kvoice.steps import OptimizerGroup

pytestmark = pytest.mark.backend

MELS = 4


def encoder(rate=None, **changes):
    values = dict(mels=MELS, partial_frames=6, width=4, depth=2, embedding=8, per_speaker=2)
    keras.utils.set_random_seed(2)
    model = SpeakerEncoder(**values | changes)
    if rate:
        model.compile(
            OptimizerGroup({"encoder": keras.optimizers.Adam(rate)}),
            jit_compile=backend.BACKEND == "jax",
        )
    return model


def clips(speakers=3, each=2, time=6, seed=0):
    """Clips of speakers who differ in the mean of their bands."""
    rng = np.random.default_rng(seed)
    voices = np.random.default_rng(9).normal(-4, 3, (speakers, 1, 1, MELS))
    return (
        (voices + rng.normal(0, 0.3, (speakers, each, time, MELS)))
        .reshape(-1, time, MELS)
        .astype("float32")
    )


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_the_published_sizes_have_the_published_numbers_of_parameters():
    model = SpeakerEncoder(mels=40)
    lstm = 4 * 256 * (40 + 256 + 1) + 2 * 4 * 256 * (256 + 256 + 1)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == lstm + 256 * 257 + 2


def test_embeddings_have_length_one_and_no_negative_value():
    found = encoder().embed(clips())
    assert found.shape == (6, 8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    assert found.min() >= 0


def test_similarities_are_cosines_with_means_that_leave_the_own_clip_out():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6, 5))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found, own = similarities(ops.convert_to_tensor(points.astype("float32")), 3)
    assert numpy(own).tolist() == [0, 0, 0, 1, 1, 1]
    for i in range(6):
        for k in range(2):
            members = [j for j in range(3 * k, 3 * k + 3) if j != i]
            mean = points[members].mean(axis=0)
            np.testing.assert_allclose(
                numpy(found)[i, k], points[i] @ mean / np.linalg.norm(mean), atol=1e-5
            )


def test_the_loss_is_the_cross_entropy_of_scaled_cosines():
    model = encoder()
    batch = {"mel": ops.convert_to_tensor(clips())}
    loss, terms = model.loss_and_terms(batch, training=False)
    cosines = numpy(similarities(model.network(model.bands(batch["mel"])), 2)[0]).astype("float64")
    logits = 10 * cosines - 5
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = np.repeat(np.arange(3), 2)
    np.testing.assert_allclose(
        float(numpy(loss)), -np.log(odds[np.arange(6), own]).mean(), rtol=1e-4
    )
    np.testing.assert_allclose(
        float(numpy(terms["accuracy"])), np.mean(logits.argmax(axis=1) == own)
    )


def test_training_separates_the_speakers():
    model = encoder(rate=1e-2)
    first, *_, last = (model.train_on_batch({"mel": clips(4, 2, seed=k)})[0] for k in range(40))
    assert last < 0.7 * first


def test_training_clips_differ_in_loudness_and_noise_and_others_do_not():
    model = encoder(loudness=0.5)
    level = numpy(model._augmented(ops.zeros((200, 6, MELS))))
    np.testing.assert_allclose(level, np.broadcast_to(level[:, :1, :1], level.shape), atol=1e-6)
    assert 0.4 < level[:, 0, 0].std() < 0.6
    grain = numpy(encoder(noise=0.5)._augmented(ops.zeros((200, 6, MELS))))
    assert 0.2 < grain.std() < 0.4 and abs(grain.mean()) < 0.02
    batch = {"mel": ops.convert_to_tensor(clips())}
    losses = [float(numpy(model.loss_and_terms(batch, training=False)[0])) for _ in range(2)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (dict(per_speaker=1), "per_speaker: 1 must be at least 2"),
        (dict(depth=0), "depth: 0 must be at least 1"),
        (dict(noise=-1.0), "noise: -1.0 must be at least 0"),
    ],
)
def test_a_wrong_argument_is_named(changes, line):
    with pytest.raises(ValueError, match=line):
        encoder(**changes)


def test_it_survives_saving(tmp_path):
    model = encoder(rate=1e-3)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.embed(clips()), model.embed(clips()), atol=1e-6)
