"""The ascent raises its objective, keeps to its prior, and treats each start independently."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from kvoice import audio, losses
from kvoice.audio import SPECS
from kvoice.errors import KvoiceError
from kvoice.inference import ascent
from kvoice.inference.ascent import Path, ascend, ascend_items, invert, snapshot_steps
from kvoice.inference.vocode import Vocoder
from kvoice.models.classifier import Classifier
from kvoice.models.voicegan import VoiceGAN
from kvoice.models.waveglow import WaveGlow

pytestmark = pytest.mark.backend

SPEC = SPECS["waveglow"]
NAMES = ["angry", "happy", "sad"]


@functools.cache
def gan(labels=0, noise=8, **changes):
    """A generator whose items differ: one that is made anew gives grey for every noise."""
    keras.utils.set_random_seed(1)
    values = dict(
        shape=(16, 80),
        low=SPEC.low,
        high=SPEC.high,
        labels=labels,
        noise=noise,
        width=4,
        condition="emotion" if labels else "",
    )
    model = VoiceGAN(**values | changes)
    model.names = NAMES[:labels]
    scale(model.generator, 3)
    inputs = {"noise": model.noise(64)} | (
        {"label": np.eye(3, dtype="float32")[np.arange(64) % 3]} if labels else {}
    )
    for _ in range(20):
        model.generator(inputs, training=True)  # statistics of the normalisations
    return model


@functools.cache
def classifier(domain="mel", **changes):
    """A classifier whose logits differ slightly for every item."""
    keras.utils.set_random_seed(2)
    bounds = dict(shape=(16, 80), low=SPEC.low, high=SPEC.high)
    if domain == "wave":
        bounds = dict(shape=(4096,), low=-1.0, high=1.0, architecture="wavenet", depth=1)
    model = Classifier(**dict(labels=3, domain=domain, width=4, depth=1) | bounds | changes)
    model.names = NAMES
    scale(model.network, 3)
    rng = np.random.default_rng(0)
    items = rng.uniform(0 if domain == "mel" else -1, 1, (16, *model.shape)).astype("float32")
    for _ in range(20):
        model.network(items, training=True)
    return model


def scale(network, factor):
    for variable in network.trainable_variables:
        if "kernel" in variable.path:
            variable.assign(factor * variable)


@pytest.fixture(scope="module")
def path():
    return Path(gan(), classifier(), SPEC)


@pytest.fixture(scope="module")
def conditional_path():
    return Path(gan(labels=3), classifier(), SPEC)


def margin(path, items, targets):
    """How far the logit of its target is above the mean of the others, for each item."""
    logits = ops.convert_to_numpy(path.logits(np.asarray(items, "float32")))
    wanted = logits[np.arange(len(targets)), targets]
    return wanted - (logits.sum(axis=1) - wanted) / (logits.shape[1] - 1)


def test_snapshots_lie_ever_further_apart_from_the_start_to_the_end():
    steps = snapshot_steps(300)
    assert list(steps) == [0, 1, 2, 3, 6, 10, 16, 27, 44, 71, 115, 186, 300]
    assert list(snapshot_steps(1)) == [0, 1]


def test_each_start_ascends_to_its_own_target(path):
    noise, targets = path.generator.noise(6), np.arange(6) % 3
    found = ascend(path, noise, targets, steps=30, rate=0.1, sure=2)
    assert found.values.shape == (len(found.steps), 6, 8)
    np.testing.assert_array_equal(found.values[0], noise)
    before, after = (
        margin(path, path.generator.decode(each), targets) for each in found.values[[0, -1]]
    )
    assert (after > before).all()


def test_a_start_goes_the_same_way_alone_as_in_a_batch(path):
    noise, targets = path.generator.noise(5), np.array([0, 1, 2, 0, 1])
    together = ascend(path, noise, targets, steps=12, rate=0.1, sure=0.4)
    assert len(set(together.stopped)) > 1  # some leave the batch earlier than others
    for k in range(5):
        alone = ascend(path, noise[k : k + 1], targets[k : k + 1], steps=12, rate=0.1, sure=0.4)
        assert alone.stopped[0] == together.stopped[k]
        np.testing.assert_allclose(alone.values[:, 0], together.values[:, k], atol=1e-4)


def test_more_starts_than_fit_into_a_batch_go_the_same_way(path, monkeypatch):
    noise, targets = path.generator.noise(5), np.array([0, 1, 2, 0, 1])
    whole = ascend(path, noise, targets, steps=6, sure=2)
    monkeypatch.setattr(ascent, "GROUP", 2)
    parts = ascend(path, noise, targets, steps=6, sure=2)
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-5)


def test_the_steps_are_those_of_keras_adam_at_a_decaying_rate(path):
    noise, targets = path.generator.noise(3), np.array([2, 0, 1])
    variable = keras.Variable(noise)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.99)
    adam = keras.optimizers.Adam(schedule, epsilon=1e-8)

    def objective(noise):
        logits = path.logits(path.items(noise, None))
        return ops.sum(losses.activation(logits, targets) + losses.typical_norm(noise)), logits

    gradient = ascent.backend.input_value_and_grad(objective, path.models)
    for _ in range(5):
        adam.apply([gradient(ops.convert_to_numpy(variable))[1]], [variable])
    found = ascend(path, noise, targets, steps=5, rate=0.05, sure=2)
    np.testing.assert_allclose(found.values[-1], ops.convert_to_numpy(variable), atol=1e-4)


def test_a_start_that_has_reached_its_target_does_not_move(path):
    noise = path.generator.noise(3)
    predicted = path.classifier.probabilities(path.generator.decode(noise)).argmax(axis=1)
    found = ascend(path, noise, predicted, steps=5, sure=0.3)
    np.testing.assert_array_equal(found.stopped, 0)
    np.testing.assert_array_equal(found.values[-1], noise)


def test_the_models_are_not_changed(path):
    before = [ops.convert_to_numpy(v) for model in path.models for v in model.variables]
    ascend(path, path.generator.noise(2), [0, 1], steps=3, sure=2)
    after = [ops.convert_to_numpy(v) for model in path.models for v in model.variables]
    for one, other in zip(before, after):
        np.testing.assert_array_equal(one, other)


def test_the_label_of_the_generator_matters(conditional_path):
    noise = conditional_path.generator.noise(1)
    ends = [
        ascend(conditional_path, noise, [0], [label], steps=5, sure=2).values[-1]
        for label in (0, 2)
    ]
    assert np.abs(ends[0] - ends[1]).max() > 1e-4


# Priors


def lengths(path, noise, prior):
    found = ascend(path, noise, np.zeros(len(noise), int), prior=prior, steps=60, rate=0.1, sure=2)
    return np.linalg.norm(found.values[-1], axis=1) / np.sqrt(noise.shape[1])


def test_the_typical_prior_keeps_the_length_of_a_draw_and_the_published_one_pulls_it_down():
    path = Path(gan(noise=64), classifier(), SPEC)
    noise = path.generator.noise(4)
    long = 2 * noise / np.linalg.norm(noise, axis=1, keepdims=True) * 8
    assert np.abs(lengths(path, long, "typical") - 1).max() < 0.15
    # 100 |z|^2 / 1280 outweighs the classifier here; nothing holds "none".
    assert (lengths(path, noise, "zero") < 0.8 * lengths(path, noise, "none")).all()


def test_the_published_prior_is_that_of_its_source():
    noise = np.ones((2, 512), "float32")
    pulled = ops.convert_to_numpy(ascent.pull_to_zero(noise, 80 * 160))
    np.testing.assert_allclose(pulled, 4.0)  # as reported for |z|^2 = 512


# Without a generator


def test_an_ascent_on_the_items_raises_the_objective_within_the_bounds(path):
    items = path.generator.decode(path.generator.noise(4))
    targets = np.array([0, 1, 2, 0])
    found = ascend_items(path, items, targets, steps=40, rate=0.1, sure=2)
    np.testing.assert_allclose(found.values[0], items, atol=1e-4)
    end = found.values[-1]
    assert end.min() >= SPEC.low - 1e-4 and end.max() <= SPEC.high + 1e-4
    assert (margin(path, end, targets) > margin(path, items, targets)).all()


# From a recording


def test_the_noise_of_a_generated_item_is_found_again(conditional_path):
    generator = conditional_path.generator
    item = generator.decode(generator.noise(1, seed=5), 2)[0]
    labels = np.arange(6) % 3
    noise, share, order = invert(
        conditional_path, item, generator.noise(6), labels, steps=150, rate=0.1
    )
    assert (np.diff(share) >= 0).all() and share[0] < 0.05
    again = generator.decode(noise, labels[order])
    errors = np.mean((again - item) ** 2, axis=(1, 2)) / np.var(item)
    np.testing.assert_allclose(errors, share, rtol=0.01, atol=1e-5)


# Other domains


def wave_gan():
    return gan(domain="wave", shape=(16384,), low=-1.0, high=1.0, noise=4)


def check_gradient(path, noise, target):
    """That the gradient of the objective by the noise is what finite differences give.

    The objective is a float32 sum of many, and has bends: a short step is lost in its rounding, a
    long one goes around a bend. So the one of two steps that agrees better is looked at, and
    directions are compared first.
    """
    labels = path.conditions(None, 1)

    def objective(noise):
        logits = path.logits(path.items(noise, labels))
        return ops.sum(losses.activation(logits, target)), logits

    gradient = ascent.backend.input_value_and_grad(objective, path.models)
    slope = ops.convert_to_numpy(gradient(noise)[1])[0].astype(np.float64)
    agreements = []
    for epsilon in (5e-4, 2e-3):
        steps = epsilon * np.eye(noise.shape[1], dtype="float32")
        differences = np.array(
            [
                float(gradient(noise + step)[0][0]) - float(gradient(noise - step)[0][0])
                for step in steps
            ]
        ) / (2 * epsilon)
        lengths = np.linalg.norm(slope), np.linalg.norm(differences)
        assert min(lengths) > 0
        agreements.append((slope @ differences / np.prod(lengths), lengths[0] / lengths[1]))
    cosine, ratio = max(agreements)
    # Of 21 noises over these paths, on PyTorch and JAX, the worst cosine is 0.9985, and the worst
    # ratio 1.03.
    assert cosine > 0.99
    assert 0.8 < ratio < 1.25


@pytest.mark.parametrize("generator, domain", [(gan, "mel"), (wave_gan, "mel"), (wave_gan, "wave")])
def test_the_gradient_reaches_the_noise_from_either_domain(generator, domain):
    path = Path(generator(), classifier(domain), SPEC)
    check_gradient(path, path.generator.noise(1), np.array([1]))


def test_mels_reach_a_classifier_of_waves_through_a_vocoder_only():
    with pytest.raises(KvoiceError, match="a vocoder is needed"):
        Path(gan(), classifier("wave"), SPEC)


@pytest.mark.parametrize("prewhiten", [False, True])
def test_the_gradient_goes_through_a_vocoder(prewhiten):
    flow = WaveGlow(
        mels=80,
        hop=256,
        width=4,
        flows=2,
        depth=2,
        upsample_to="groups",
        prewhiten=prewhiten,
        bands=audio.band_powers(SPEC) if prewhiten else None,
    )
    for step in flow.flows:  # that it does something
        step.network.end.kernel.assign(
            np.random.default_rng(0).normal(0, 0.3, step.network.end.kernel.shape)
        )
    path = Path(
        gan(low=-4.0), classifier("wave"), SPEC, Vocoder(flow, SPEC)
    )  # loud enough to matter
    check_gradient(path, path.generator.noise(1), np.array([1]))
