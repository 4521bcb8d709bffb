import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.special
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
    mixed = ops.convert_to_numpy(losses.between(*map(ops.convert_to_tensor, (real, fake, share))))
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
    found = ops.convert_to_numpy(
        losses.activation(ops.convert_to_tensor(logits), np.array([2, 0], "int32"))
    )
    np.testing.assert_allclose(found, [0 - 6, 3 - 0], rtol=1e-6)


def test_activation_ignores_a_constant_added_to_all_logits():
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    target = np.array([0, 1, 2, 0, 1], "int32")
    found, shifted = (
        ops.convert_to_numpy(losses.activation(ops.convert_to_tensor(x), target))
        for x in (logits, logits + 8)
    )
    np.testing.assert_allclose(shifted, found, atol=1e-5)


def test_the_gradient_of_activation_does_not_vanish_where_the_classifier_is_sure():
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


# Latents


def parts(loss, *arrays):
    """What a loss of arrays returns, NumPy."""
    found = loss(*(ops.convert_to_tensor(np.float32(x)) for x in arrays))
    return (
        ops.convert_to_numpy(found) if not isinstance(found, tuple) else tuple(map(number, found))
    )


@pytest.mark.parametrize("mean, log_var", [(0.0, 0.0), (1.5, 0.0), (0.0, -3.0), (-2.0, 1.0)])
def test_gaussian_kl_is_the_integral_of_the_log_ratio_of_the_densities(mean, log_var):
    posterior = scipy.stats.norm(mean, np.exp(log_var / 2))
    want = scipy.integrate.quad(
        lambda z: posterior.pdf(z) * (posterior.logpdf(z) - scipy.stats.norm.logpdf(z)),
        -15,
        15,
        points=[mean],
    )[0]
    assert parts(losses.gaussian_kl, [[mean]], [[log_var]])[0, 0] == pytest.approx(want, abs=1e-5)


def test_gaussian_kl_counts_each_latent_by_itself_and_pulls_to_the_prior():
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(size=(2, 6, 3)).astype("float32")
    want = (mean**2 + np.exp(log_var) - 1 - log_var) / 2
    np.testing.assert_allclose(parts(losses.gaussian_kl, mean, log_var), want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        gradient(losses.gaussian_kl, mean, log_var), mean, rtol=1e-4, atol=1e-6
    )
    pull = gradient(lambda v, m: losses.gaussian_kl(m, v), log_var, mean)
    np.testing.assert_allclose(pull, (np.exp(log_var) - 1) / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.05, 1.0, 4.0])
def test_gaussian_nll_is_the_negative_log_density_of_each_value(sigma):
    rng = np.random.default_rng(0)
    items, decoded = rng.uniform(size=(2, 3, 4, 5)).astype("float32")
    found = parts(lambda x, y: losses.gaussian_nll(x, y, sigma), items, decoded)
    np.testing.assert_allclose(found, -scipy.stats.norm(decoded, sigma).logpdf(items), rtol=1e-4)
    # At best the log of the height of the density, below zero where sigma < 1 / sqrt(2 pi).
    best = parts(lambda x, y: losses.gaussian_nll(x, y, sigma), items, items)
    np.testing.assert_allclose(best, np.log(sigma * np.sqrt(2 * np.pi)), rtol=1e-5)


def test_bernoulli_nll_is_the_cost_of_a_coin_and_between_its_sides_the_cross_entropy():
    logits = np.float32([-30, -2, 0, 0.5, 3, 30])
    for side in (0, 1):
        want = -scipy.special.log_expit(logits if side else -logits)
        found = parts(losses.bernoulli_nll, np.full(6, side), logits)
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-12)
    grey, chance = np.float32([0.2, 0.5, 0.9]), np.array([0.3, 0.6, 0.9])
    want = -grey * np.log(chance) - (1 - grey) * np.log(1 - chance)
    found = parts(losses.bernoulli_nll, grey, scipy.special.logit(chance))
    np.testing.assert_allclose(found, want, rtol=1e-5)


def posteriors(count, latents, seed=0):
    """Means, log-variances and draws of posteriors."""
    rng = np.random.default_rng(seed)
    mean, log_var = rng.normal(size=(count, latents)), rng.uniform(-3, 0.5, (count, latents))
    return mean + np.exp(log_var / 2) * rng.normal(size=mean.shape), mean, log_var


def decomposition(codes, mean, log_var):
    return parts(losses.decomposed_kl, codes, mean, log_var)


def test_the_parts_of_the_kl_are_those_of_a_plain_sum_over_pairs():
    codes, mean, log_var = posteriors(7, 3)
    density = scipy.stats.norm(mean[None], np.exp(log_var / 2)[None]).pdf(
        codes[:, None]
    )  # [i, j, D]
    own = density[range(7), range(7)].prod(-1)  # q(z_i | x_i)
    joint, marginals = density.prod(-1).mean(1), density.mean(1)
    prior = scipy.stats.norm.pdf(codes)
    want = [
        np.log(ratio).mean()
        for ratio in (own / joint, joint / marginals.prod(-1), (marginals / prior).prod(-1))
    ]
    np.testing.assert_allclose(decomposition(codes, mean, log_var), want, rtol=1e-4)
    # Together they are the estimate of the KL from the draws.
    assert sum(want) == pytest.approx(np.log(own / prior.prod(-1)).mean())


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_the_parts_of_the_kl_of_correlated_gaussians_are_near_their_closed_forms(correlation):
    # Means from N(0, S - v) and posteriors of variance v: codes from N(0, S).
    variance, count = 0.3, 1200
    full = np.array([[1, correlation], [correlation, 1]])
    rng = np.random.default_rng(0)
    mean = rng.multivariate_normal([0, 0], full - variance * np.eye(2), count)
    codes = mean + np.sqrt(variance) * rng.normal(size=mean.shape)
    found = decomposition(codes, mean, np.full(mean.shape, np.log(variance)))
    entropy = np.log(np.linalg.det(full)) / 2
    np.testing.assert_allclose(found, [entropy - np.log(variance), -entropy, 0], atol=0.05)


def test_a_batch_cannot_show_more_information_than_the_log_of_its_items():
    # Sure posteriors apart from each other: each latent alone identifies the item of the batch.
    mean = np.random.default_rng(0).permuted(np.tile(np.arange(16.0), (3, 1)), axis=1).T
    information, correlation, _ = decomposition(mean, mean, np.full(mean.shape, -10.0))
    assert information == pytest.approx(np.log(16), rel=1e-4)
    assert correlation == pytest.approx(2 * np.log(16), rel=1e-4)


def exchanged(codes, seed=0):
    return ops.convert_to_numpy(
        losses.permute_dims(ops.convert_to_tensor(codes), keras.random.SeedGenerator(seed))
    )


def test_permute_dims_keeps_the_values_and_removes_the_dependence():
    one = np.random.default_rng(0).normal(size=2000).astype("float32")
    codes = np.stack([one, 2 * one, -one], axis=1)
    found = exchanged(codes)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(codes, axis=0))
    correlations = np.corrcoef(np.concatenate([found, codes[:, :1]], axis=1).T)
    assert np.abs(correlations[~np.eye(4, dtype=bool)]).max() < 5 / np.sqrt(2000)


def test_permute_dims_sends_latents_to_every_item_alike_often_and_by_their_seed():
    codes = np.tile(np.arange(4, dtype="float32")[:, None], (1, 1000))
    found = exchanged(codes)
    counts = np.array([[np.sum(row == k) for k in range(4)] for row in found])
    assert np.abs(counts - 250).max() < 5 * np.sqrt(1000 * 3 / 16)
    np.testing.assert_array_equal(exchanged(codes), found)
    assert np.any(exchanged(codes, seed=1) != found)
