import time

import librosa
import numpy as np
import pytest
import scipy.linalg
import sklearn.metrics
from scipy import stats

from kvoice.errors import KvoiceError
from kvoice.metrics.speech import (
    COMPONENTS,
    MelSpace,
    diversity,
    equal_error_rate,
    equal_error_rates,
    f0_errors,
    frechet,
    mel_cepstra,
    mel_cepstral_distance,
    mel_features,
    nearest,
    silhouette,
    warped_path,
)


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


def test_the_features_distinguish_speech_from_its_frames_in_random_order():
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
    for far in (
        rng.normal(-6, 1, clips().shape),
        rng.permuted(clips(seed=3), axis=1),
        np.repeat(clips(1), 200, axis=0),
    ):
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


# Mel cepstra

DB = 20 / np.log(10)  # decibels of a neper


def mel(time=30, mels=20, seed=0):
    return clips(1, time, mels, seed)[0]


def ripple(m, mels=20):
    """One period of the m-th coefficient over the bands."""
    return np.cos(np.pi * m * (np.arange(mels) + 0.5) / mels)


@pytest.mark.parametrize("m", [1, 5, 13])
def test_a_ripple_of_one_neper_is_a_one_in_its_coefficient(m):
    cepstra = mel_cepstra(-4 + np.tile(ripple(m), (3, 1)))
    assert cepstra.shape == (3, 13)
    np.testing.assert_allclose(cepstra, np.eye(13)[[m - 1] * 3], atol=1e-12)


def test_mel_cepstra_are_those_of_librosa_without_the_first_but_for_a_factor():
    theirs = librosa.feature.mfcc(S=mel().T, n_mfcc=14, dct_type=2, norm="ortho").T
    np.testing.assert_allclose(mel_cepstra(mel()), theirs[:, 1:] * np.sqrt(2 / 20), atol=1e-6)


def test_the_level_is_not_in_the_cepstra():
    level = np.random.default_rng(0).normal(size=(30, 1))
    np.testing.assert_allclose(mel_cepstra(mel() + level), mel_cepstra(mel()), atol=1e-12)


@pytest.mark.parametrize(
    "mels, count, line",
    [
        (mel(), 20, "20 mel cepstra: 1 to 19 can be had of 20 bands"),
        (mel(), 0, "0 mel cepstra: 1 to 19"),
        (mel()[None], 13, r"a mel of shape \[n, mels\] is wanted, got \[1, 30, 20\]"),
        (mel()[:0], 13, r"got \[0, 20\]"),
        (np.full((3, 20), np.inf), 13, "a mel holds NaN or infinite"),
    ],
)
def test_what_has_no_such_cepstra_is_refused(mels, count, line):
    with pytest.raises(KvoiceError, match=line):
        mel_cepstra(mels, count)


# The warped path


def cost(one, other, path):
    return np.linalg.norm(one[path[0]] - other[path[1]], axis=1).sum()


@pytest.mark.parametrize("n, m", [(16, 50), (50, 16), (30, 30), (1, 7), (7, 1), (1, 1)])
def test_the_path_is_as_short_as_librosas(n, m):
    rng = np.random.default_rng(n)
    one, other = rng.normal(size=(n, 4)), rng.normal(size=(m, 4))
    totals, _ = librosa.sequence.dtw(one.T, other.T, metric="euclidean")
    np.testing.assert_allclose(cost(one, other, warped_path(one, other)), totals[-1, -1])


def test_the_path_goes_from_the_first_pair_to_the_last_in_steps_of_at_most_one():
    i, j = warped_path(np.random.default_rng(0).normal(size=(20, 3)), np.ones((33, 3)))
    assert i.shape == j.shape and i.dtype == j.dtype == np.int64
    assert (i[0], j[0], i[-1], j[-1]) == (0, 0, 19, 32)
    assert set(zip(np.diff(i), np.diff(j))) <= {(1, 0), (0, 1), (1, 1)}


def test_a_slower_sequence_is_followed_frame_by_frame():
    one = np.random.default_rng(0).normal(size=(12, 3))
    times = np.random.default_rng(1).integers(1, 4, 12)
    i, j = warped_path(one, one.repeat(times, axis=0))
    np.testing.assert_array_equal(i, np.arange(12).repeat(times))
    np.testing.assert_array_equal(j, np.arange(times.sum()))
    np.testing.assert_array_equal(warped_path(one, one), [np.arange(12)] * 2)


def test_a_path_of_300_by_300_takes_milliseconds():
    one, other = np.random.default_rng(0).normal(size=(2, 300, 13))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        warped_path(one, other)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


def test_sequences_that_cannot_be_compared_are_refused():
    with pytest.raises(KvoiceError, match="of one width are wanted, got 3 and 4"):
        warped_path(np.ones((5, 3)), np.ones((5, 4)))
    with pytest.raises(KvoiceError, match=r"got \[0, 3\]"):
        warped_path(np.ones((5, 3)), np.ones((0, 3)))


# The mel cepstral distance


def test_a_reading_is_at_no_distance_from_itself_louder_or_slower():
    slower = mel().repeat(2, axis=0)
    assert mel_cepstral_distance(mel(), mel()) == 0
    assert mel_cepstral_distance(mel(), slower - 3 + 0.1 * np.arange(60)[:, None]) < 1e-6


@pytest.mark.parametrize("m, size", [(1, 0.3), (13, -0.2)])
def test_one_coefficient_that_differs_counts_10_sqrt_2_over_ln_10(m, size):
    steady = np.tile(mel()[0], (16, 1))
    distance = mel_cepstral_distance(steady, steady + size * ripple(m))
    assert distance == pytest.approx(10 / np.log(10) * np.sqrt(2) * abs(size))
    assert distance == pytest.approx(DB * np.sqrt(np.mean((size * ripple(m)) ** 2)))
    assert mel_cepstral_distance(steady, steady + ripple(14)) < 1e-9


def test_with_all_coefficients_the_distance_is_the_difference_of_the_shapes_in_db():
    one, other = mel(1, seed=1), mel(1, seed=2)
    decibels = DB * (one - other)
    assert mel_cepstral_distance(one, other, count=19) == pytest.approx(np.std(decibels))
    assert mel_cepstral_distance(one, other) < 0.99 * np.std(decibels)


def test_the_distance_is_the_mean_over_the_pairs_of_the_path():
    one = np.outer([0, 0, 5, 5, 5], ripple(1))
    other = np.outer([0, 5, 5.1], ripple(1))  # five pairs: 0 0, 0 0, 5 5, 5 5, 5 5.1
    expected = 10 / np.log(10) * np.sqrt(2) * 0.1 / 5
    assert mel_cepstral_distance(one, other) == pytest.approx(expected)
    assert mel_cepstral_distance(other, one) == pytest.approx(expected)


# F0


def test_a_melody_transposed_is_off_by_as_many_cents_and_correlates_wholly():
    f0_hz = np.array([0, 100, 120, 150, 0, 180.0])
    errors = f0_errors(f0_hz, f0_hz * 2 ** (3 / 12))
    assert errors["rmse_cents"] == pytest.approx(300)
    assert errors["correlation"] == pytest.approx(1)
    assert errors["voicing"] == 1
    inverted = np.divide(100**2, f0_hz, where=f0_hz > 0, out=np.zeros(6))
    assert f0_errors(f0_hz, inverted)["correlation"] == pytest.approx(-1)


def test_f0_counts_where_both_are_voiced_and_voicing_everywhere():
    one = np.array([100, 100, 200, 300, 0, 0, 0, 150.0])
    other = np.array([200, 100, 100, 0, 77, 0, 0, 150.0])
    errors = f0_errors(one, other)
    assert errors["rmse_cents"] == pytest.approx(
        1200 * np.sqrt(2 / 4)
    )  # an octave off, twice of four
    logarithms = np.log([[100, 100, 200, 150], [200, 100, 100, 150]])
    assert errors["correlation"] == pytest.approx(stats.pearsonr(*logarithms).statistic)
    assert errors["voicing"] == 6 / 8
    assert errors == pytest.approx(f0_errors(other, one))


def test_f0_errors_without_anything_to_compare_are_none():
    rising = np.linspace(100, 200, 5)
    assert f0_errors(rising, 0 * rising) == {"rmse_cents": None, "correlation": None, "voicing": 0}
    one = np.where(np.arange(5) == 2, 100, 0)
    assert f0_errors(rising, one) == {"rmse_cents": None, "correlation": None, "voicing": 0.2}
    constant = f0_errors(rising, np.full(5, 123.4))
    assert constant["correlation"] is None and constant["rmse_cents"] > 0
    assert set(f0_errors([], []).values()) == {None}


def test_tracks_of_two_lengths_are_refused():
    with pytest.raises(KvoiceError, match=r"of one length are wanted, got \[5\] and \[4\]"):
        f0_errors(np.ones(5), np.ones(4))


# The equal error rate


def test_separated_scores_have_no_errors_and_a_threshold_midway():
    assert equal_error_rate([0.9, 0.7, 0.8], [0.1, 0.3, -0.4]) == (0, pytest.approx(0.5))
    assert equal_error_rate([0.1, 0.3], [0.7, 0.9])[0] == 1  # the wrong way round


def test_scores_without_meaning_are_wrong_half_of_the_time():
    scores = np.random.default_rng(0).normal(size=101)
    rate, threshold = equal_error_rate(scores, scores)
    assert rate == pytest.approx(0.5)
    assert threshold == pytest.approx(np.median(scores), abs=0.05)
    assert equal_error_rate([2, 2, 2], [2, 2]) == (0.5, 2)


@pytest.mark.parametrize("apart", [0.5, 1, 3])
def test_two_gaussians_of_one_variance_have_the_tail_beyond_half_of_their_distance(apart):
    normal = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    rate, threshold = equal_error_rate(normal + apart, normal[::2])
    assert rate == pytest.approx(stats.norm.cdf(-apart / 2), abs=1e-3)
    assert threshold == pytest.approx(apart / 2, abs=0.01)


def test_the_rate_is_where_the_roc_crosses_the_diagonal():
    rng = np.random.default_rng(0)
    for _ in range(20):
        same, different = rng.integers(0, 12, 9) + 3, rng.integers(0, 12, 14)  # with ties
        truth = np.repeat([1, 0], [9, 14])
        accepted, right, _ = sklearn.metrics.roc_curve(truth, [*same, *different])
        along = np.linspace(0, len(accepted) - 1, 100001)  # corner by corner
        corners = np.arange(len(accepted))
        accepted, wrong = (np.interp(along, corners, rates) for rates in (accepted, 1 - right))
        expected = accepted[np.argmin(np.abs(accepted - wrong))]
        assert equal_error_rate(same, different)[0] == pytest.approx(expected, abs=1e-3)


def test_at_the_threshold_both_errors_are_the_rate():
    rng = np.random.default_rng(0)
    same, different = rng.normal(1, 1, 3000), rng.normal(0, 2, 4000)
    rate, threshold = equal_error_rate(same, different)
    assert np.mean(same < threshold) == pytest.approx(rate, abs=1e-3)
    assert np.mean(different >= threshold) == pytest.approx(rate, abs=1e-3)


def test_a_trial_counts_as_often_as_its_weight():
    rng = np.random.default_rng(0)
    same, different = rng.integers(0, 12, 9) + 3, rng.integers(0, 12, 14)  # with ties
    plain = equal_error_rate(same, different)
    assert equal_error_rate(same, different, (np.ones(9), np.ones(14))) == plain
    several = [(rng.integers(1, 4, 9), rng.integers(1, 4, 14)) for _ in range(10)]
    for pair, found in zip(several, equal_error_rates(same, different, several), strict=True):
        expected = equal_error_rate(np.repeat(same, pair[0]), np.repeat(different, pair[1]))
        assert found == pytest.approx(expected, abs=1e-12)
        assert found == equal_error_rate(same, different, pair)
        assert equal_error_rate(same, different, (pair[0] * 0.3, pair[1] * 7)) == pytest.approx(
            expected, abs=1e-12
        )
    with_none = [0, 2, 1, 0, 1, 1, 3, 0, 1], np.arange(14) % 3
    rate, _ = equal_error_rate(same, different, with_none)
    assert rate == pytest.approx(
        equal_error_rate(*map(np.repeat, (same, different), with_none))[0], abs=1e-12
    )


@pytest.mark.parametrize(
    "same, different, line",
    [
        ([], [1], "trials of one speaker and of two, got 0 and 1"),
        ([1, np.nan], [1], "NaN or infinite"),
        ([1], [1, -np.inf], "NaN or infinite"),
    ],
)
def test_trials_that_say_nothing_are_refused(same, different, line):
    with pytest.raises(KvoiceError, match=line):
        equal_error_rate(same, different)


def test_trials_that_all_count_nothing_are_refused():
    with pytest.raises(KvoiceError, match="got 2 and 1, of weight 0 and 1"):
        equal_error_rate([1, 2], [0], ([0, 0], [1]))


# The silhouette


def voices(speakers=5, each=8, spread=0.5, seed=0):
    """Points of speakers of unequal many utterances, and their names."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(speakers), each + np.arange(speakers))
    return rng.normal(size=(speakers, 6))[labels] + spread * rng.normal(
        size=(len(labels), 6)
    ), labels


@pytest.mark.parametrize("spread", [0.1, 0.5, 3])
def test_the_silhouette_is_sklearns(spread):
    points, labels = voices(spread=spread)
    expected = sklearn.metrics.silhouette_score(points, labels, metric="cosine")
    assert silhouette(points, labels) == pytest.approx(expected)
    assert silhouette(points, [f"speaker {label}" for label in labels]) == pytest.approx(expected)


def test_singletons_and_points_at_zero_count_as_in_sklearn():
    points, labels = voices()
    labels[0], labels[-1] = 99, 98
    points[5] = 0
    expected = sklearn.metrics.silhouette_score(points, labels, metric="cosine")
    assert silhouette(points, labels) == pytest.approx(expected)


def test_the_silhouette_is_1_for_tight_speakers_0_at_chance_and_blind_to_lengths():
    points, labels = voices(spread=0)
    assert silhouette(points, labels) == pytest.approx(1)
    points, labels = voices(each=100, spread=1)
    lengths = np.random.default_rng(0).uniform(0.1, 9, (len(points), 1))
    assert silhouette(points * lengths, labels) == pytest.approx(silhouette(points, labels))
    assert abs(silhouette(points, np.random.default_rng(0).permutation(labels))) < 0.05
    assert silhouette(np.ones((6, 3)), [0, 0, 0, 1, 1, 1]) == 0


@pytest.mark.parametrize(
    "labels, line",
    [
        ([0] * 6, "got 1 labels of 6 for 6 points"),
        (range(6), "got 6 labels of 6 for 6 points"),
        ([0, 1], "got 2 labels of 2 for 6 points"),
    ],
)
def test_a_silhouette_of_one_label_or_of_single_points_is_refused(labels, line):
    with pytest.raises(KvoiceError, match=line):
        silhouette(np.ones((6, 3)), list(labels))
