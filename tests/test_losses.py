import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops

from kvoice import backend, losses

pytestmark = pytest.mark.backend


def number(x):
    return float(ops.convert_to_numpy(x))


def test_wasserstein_of_shifted_values_is_the_shift():
    real = np.array([1.0, 2.0, 6.0], "float32")
    assert number(losses.wasserstein(real, real - 2.5)) == pytest.approx(2.5)
    assert number(losses.wasserstein(real, real + 1.0)) == pytest.approx(-1.0)


@pytest.mark.parametrize("gain", [0.0, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_its_gain_off_one_squared(gain):
    # D(x) = gain * <w, x> with |w| = 1 has the gradient gain * w everywhere.
    w = np.random.default_rng(0).normal(size=(16, 5))
    gradient = np.broadcast_to(gain * w / np.linalg.norm(w), (4, 16, 5)).astype("float32")
    penalty = losses.gradient_penalty(ops.convert_to_tensor(gradient))
    assert number(penalty) == pytest.approx((gain - 1) ** 2, abs=1e-5)


def test_penalty_takes_the_norm_of_each_item_not_of_the_batch():
    # Two unit gradients: a norm over the batch would be sqrt(2).
    gradient = ops.convert_to_tensor(np.eye(2, 6, dtype="float32"))
    assert number(losses.gradient_penalty(gradient)) == pytest.approx(0.0, abs=1e-6)


def test_between_draws_one_share_for_each_item():
    real, fake = np.ones((3, 4, 5), "float32"), np.zeros((3, 4, 5), "float32")
    share = np.array([0.0, 0.25, 1.0], "float32")
    mixed = ops.convert_to_numpy(losses.between(real, fake, share))
    np.testing.assert_allclose(mixed, np.broadcast_to(share[:, None, None], mixed.shape))


def test_label_cross_entropy_of_uniform_logits_is_the_log_of_the_labels():
    entropy = losses.label_cross_entropy(np.zeros((3, 4), "float32"), np.array([0, 1, 3]))
    assert number(entropy) == pytest.approx(np.log(4), rel=1e-6)


def test_label_cross_entropy_is_the_negative_log_probability_of_the_label():
    logits = np.array([[0.0, np.log(3.0)]], "float32")  # probabilities 1/4, 3/4
    assert number(losses.label_cross_entropy(logits, np.array([1]))) == pytest.approx(-np.log(0.75))
    assert number(losses.label_cross_entropy(logits, np.array([0]))) == pytest.approx(-np.log(0.25))


def gradient(loss, x, *rest):
    """The gradient of the sum of a loss over the items."""
    graded = backend.input_value_and_grad(lambda x, *rest: (ops.sum(loss(x, *rest)), ()), [])
    return ops.convert_to_numpy(graded(x, *rest)[1])


def test_activation_is_the_mean_of_the_other_logits_less_the_target():
    logits = np.array([[1.0, 2.0, 6.0, -3.0], [0.0, 0.0, 9.0, 0.0]], "float32")
    found = ops.convert_to_numpy(losses.activation(logits, np.array([2, 0], "int32")))
    np.testing.assert_allclose(found, [0 - 6, 3 - 0], rtol=1e-6)


def test_activation_forgets_what_all_logits_have_in_common():
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    target = np.array([0, 1, 2, 0, 1], "int32")
    found, shifted = (ops.convert_to_numpy(losses.activation(x, target)) for x in (logits, logits + 8))
    np.testing.assert_allclose(shifted, found, atol=1e-5)


def test_activation_pulls_as_hard_where_the_classifier_is_sure():
    # Up by 1 on the target and down by 1 / 2 on each of the others, however far they are apart.
    logits = np.array([[0.0, 0.0, 0.0], [-50.0, 50.0, 0.0]], "float32")
    pull = gradient(losses.activation, logits, np.array([1, 1], "int32"))
    np.testing.assert_allclose(pull, [[0.5, -1, 0.5]] * 2, atol=1e-6)


def test_typical_norm_counts_squared_deviations_of_the_length_from_that_of_a_draw():
    # |z|^2 = n + k sqrt(2 n) is k standard deviations from the mean n, longer and shorter alike.
    deviations = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    direction = np.random.default_rng(0).normal(size=(5, 512))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    noise = direction * np.sqrt(512 + deviations * np.sqrt(2 * 512))[:, None]
    found = ops.convert_to_numpy(losses.typical_norm(noise.astype("float32")))
    np.testing.assert_allclose(found, deviations**2 / 2, atol=1e-4)


def test_typical_norm_is_the_negative_log_density_of_the_normal_approximation():
    noise = np.random.default_rng(1).normal(0, 1.1, size=(6, 64)).astype("float32")
    squared = (noise.astype("float64") ** 2).sum(axis=1)
    density = scipy.stats.norm(64, np.sqrt(2 * 64)).logpdf
    found = ops.convert_to_numpy(losses.typical_norm(noise))
    np.testing.assert_allclose(found, density(64) - density(squared), rtol=1e-4)
    # which the density of the length itself, chi-squared, comes close to
    exact = scipy.stats.chi2(64).logpdf
    near = np.abs(squared - 64) < 2 * np.sqrt(128)
    np.testing.assert_allclose(found[near], (exact(64) - exact(squared))[near], atol=0.6)


def test_typical_norm_pulls_along_the_noise_to_the_sphere_and_nowhere_on_it():
    # d/dz of ((|z|^2 - n)^2 / (4 n)) = (|z|^2 - n) z / n.
    noise = np.random.default_rng(2).normal(size=(4, 32)).astype("float32")
    noise[0] *= np.sqrt(32) / np.linalg.norm(noise[0])
    noise[1] *= 2
    noise[2] *= 0.5
    want = ((noise**2).sum(axis=1, keepdims=True) - 32) * noise / 32
    pull = gradient(losses.typical_norm, noise)
    np.testing.assert_allclose(pull, want, rtol=1e-3, atol=1e-4)
    assert np.abs(pull[0]).max() < 1e-4
    assert np.sum(pull[1] * noise[1]) > 0 > np.sum(pull[2] * noise[2])  # shrinks, grows
