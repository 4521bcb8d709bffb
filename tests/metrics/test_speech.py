import numpy as np
import pytest
import scipy.linalg

from kvoice.errors import KvoiceError
from kvoice.metrics.speech import COMPONENTS, MelSpace, diversity, frechet, mel_features, nearest


def clips(count=200, time=20, mels=12, seed=0):
    """Clips that differ in level, tilt, spread and movement, in the unit of a log-mel."""
    rng = np.random.default_rng(seed)
    tilt = rng.normal(0, 1, (count, 1, 1)) * np.linspace(-1, 1, mels)
    level = rng.normal(-6, 1, (count, 1, 1)) + tilt
    depth = rng.uniform(0.2, 1.5, (count, 1, mels))
    phase, speed = rng.uniform(0, 2 * np.pi, (count, 1, mels)), rng.uniform(0.1, 0.8, (count, 1, 1))
    return level + depth * np.sin(speed * np.arange(time)[:, None] + phase)


def gaussian(mean, covariance, n=400, seed=0):
    """Points whose mean and covariance are the given ones exactly."""
    raw = np.random.default_rng(seed).normal(size=(n, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / n)).T
    return mean + white @ np.linalg.cholesky(covariance).T


def covariance(size, seed):
    root = np.random.default_rng(seed).normal(size=(size, size))
    return root @ root.T + 0.1 * np.eye(size)


# The features


def test_the_features_of_a_ramp_are_its_mean_its_spread_and_its_slope():
    time, slopes = np.arange(11.0), np.array([0.5, -2.0])
    mel = -5 + time[:, None] * slopes
    expected = [*(-5 + 5 * slopes), *(np.sqrt(10) * np.abs(slopes)), *np.abs(slopes)]
    np.testing.assert_allclose(mel_features(mel[None])[0], expected)


def test_the_features_tell_speech_from_its_frames_in_random_order():
    real = clips(1)
    shuffled = real[:, np.random.default_rng(0).permutation(real.shape[1])]
    parts, others = (np.split(mel_features(x)[0], 3) for x in (real, shuffled))
    np.testing.assert_allclose(parts[0], others[0])
    np.testing.assert_allclose(parts[1], others[1])
    assert np.all(others[2] > 1.2 * parts[2])


@pytest.mark.parametrize("shape", [(20, 12), (3, 1, 12), (0, 20, 12)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(KvoiceError, match=r"\[clips, time, mels\].*got \[" + str(shape[0])):
        mel_features(np.zeros(shape))


def test_a_mel_with_nan_is_refused():
    with pytest.raises(KvoiceError, match="NaN"):
        mel_features(np.full((1, 20, 12), np.nan))


# The space


def test_the_reference_has_mean_zero_and_total_variance_one():
    points = MelSpace.fit(clips()).points(clips())
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(points.var(axis=0).sum(), 1)


def test_the_coordinates_are_the_principal_components_of_scikit_learn():
    from sklearn.decomposition import PCA

    features = mel_features(clips())
    expected = PCA(COMPONENTS).fit_transform(features)
    expected /= np.sqrt(expected.var(axis=0).sum())
    points = MelSpace.fit(clips()).points(clips())
    assert points.shape == (200, COMPONENTS)
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-6)


def test_the_unit_of_the_mel_cancels():
    nepers, decibels = clips(), 8.686 * clips() + 40
    points, others = (MelSpace.fit(mels).points(mels) for mels in (nepers, decibels))
    np.testing.assert_allclose(np.abs(points), np.abs(others), atol=1e-6)


def test_a_reference_without_differences_is_refused():
    with pytest.raises(KvoiceError, match="different clips"):
        MelSpace.fit(np.repeat(clips(1), 5, axis=0))


# The Frechet distance


def test_the_frechet_distance_of_two_gaussians_is_the_formula():
    rng = np.random.default_rng(0)
    means, covariances = rng.normal(size=(2, 5)), [covariance(5, 1), covariance(5, 2)]
    shift = means[0] - means[1]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = shift @ shift + np.trace(covariances[0] + covariances[1] - 2 * root)
    points = [gaussian(means[i], covariances[i], seed=i) for i in range(2)]
    np.testing.assert_allclose(frechet(*points), expected)
    np.testing.assert_allclose(frechet(*points[::-1]), expected)


def test_in_one_dimension_it_is_the_distance_of_mean_and_deviation():
    points, others = gaussian([1.0], np.array([[4.0]])), gaussian([4.0], np.array([[0.25]]), seed=1)
    np.testing.assert_allclose(frechet(points, others), 3**2 + 1.5**2)


def test_a_set_is_at_distance_zero_from_itself_and_a_shift_counts_squared():
    points = gaussian(np.zeros(6), covariance(6, 0))
    assert frechet(points, points) == pytest.approx(0, abs=1e-9)
    assert frechet(points, points + [3, 4, 0, 0, 0, 0]) == pytest.approx(25)


def test_the_frechet_distance_does_not_depend_on_the_axes():
    points, others = gaussian(np.zeros(6), covariance(6, 0)), gaussian(np.ones(6), covariance(6, 1))
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    turned = frechet(points @ rotation, others @ rotation)
    np.testing.assert_allclose(turned, frechet(points, others))


def test_fewer_points_than_dimensions_are_no_trouble():
    points = np.random.default_rng(0).normal(size=(4, 30))
    assert frechet(points, points) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(frechet(points, np.zeros((4, 30))))


def test_always_the_average_clip_is_at_distance_one():
    points = MelSpace.fit(clips()).points(clips())
    assert frechet(points, np.zeros_like(points)) == pytest.approx(1)


def test_real_clips_are_near_and_noise_shuffled_frames_and_one_pattern_are_far():
    space = MelSpace.fit(clips())
    rng = np.random.default_rng(5)
    held_out = space.points(clips(seed=2))
    near = frechet(space.points(clips(seed=1)), held_out)
    assert near < 0.1
    for far in (rng.normal(-6, 1, clips().shape), rng.permuted(clips(seed=3), axis=1),
                np.repeat(clips(1), 200, axis=0)):
        assert frechet(space.points(far), held_out) > 5 * near


def test_a_little_grain_costs_less_than_a_collapse():
    space = MelSpace.fit(clips())
    grainy = clips(seed=1) + np.random.default_rng(0).normal(0, 0.2, clips().shape)
    held_out = space.points(clips(seed=2))
    collapse = frechet(np.zeros_like(held_out), held_out)
    assert frechet(space.points(grainy), held_out) < 0.3 * collapse


@pytest.mark.parametrize("sizes", [(5, 6), (1, 1)])
def test_sets_that_cannot_be_compared_are_refused(sizes):
    with pytest.raises(KvoiceError, match=f"same size.*got {sizes[0]} and {sizes[1]}"):
        frechet(*(np.zeros((size, 3)) for size in sizes))


# Variety and copies


def test_diversity_is_the_mean_distance_of_pairs():
    assert diversity(np.array([[0.0, 0], [3, 4], [0, 8]])) == pytest.approx((5 + 8 + 5) / 3)


def test_one_pattern_has_no_diversity_and_half_the_spread_half_of_it():
    space = MelSpace.fit(clips())
    points = space.points(clips(seed=1))
    assert diversity(space.points(np.repeat(clips(1), 50, axis=0))) == pytest.approx(0, abs=1e-9)
    assert diversity(0.5 * points) / diversity(points) == pytest.approx(0.5)
    assert diversity(points) == pytest.approx(diversity(space.points(clips(seed=2))), rel=0.2)


def test_diversity_of_one_clip_is_refused():
    with pytest.raises(KvoiceError, match="got 1"):
        diversity(np.zeros((1, 3)))


def test_nearest_finds_copies():
    space = MelSpace.fit(clips())
    train, new = space.points(clips()), space.points(clips(20, seed=1))
    np.testing.assert_allclose(nearest(train[[7, 3]], train), 0, atol=1e-9)
    by_hand = [min(np.linalg.norm(point - other) for other in train) for point in new]
    np.testing.assert_allclose(nearest(new, train), by_hand)
    assert np.all(nearest(new, train) > 0.01)
