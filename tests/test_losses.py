import keras
import numpy as np
import pytest
from keras import ops

from kvoice import losses

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
