import itertools
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from kvoice.errors import KvoiceError
from kvoice.metrics import association
from kvoice.metrics.association import (
    BINS,
    auc,
    d_prime,
    directions,
    entropy,
    eta2,
    interval,
    mutual_information,
    pairwise_auc,
    permutation,
    r2,
    score,
    statistic,
)


def generator(seed=0):
    return np.random.default_rng(seed)


def drawn(items=200, codes=5, classes=2, seed=0, pull=1.0):
    """Codes of which the first goes with the label, and the label, of uneven frequency."""
    rng = generator(seed)
    label = rng.choice(classes, items, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    values = rng.normal(size=(items, codes))
    values[:, 0] += pull * label
    return values, label


def spoken(speakers=10, each=20, seed=0, own=3.0, codes=1):
    """Codes that know the speaker and nothing else; the speaker and the gender of every item."""
    rng = generator(seed)
    speaker = np.repeat(np.arange(speakers), each)
    voices = own * rng.normal(size=(speakers, codes))
    return voices[speaker] + rng.normal(size=(len(speaker), codes)), speaker, speaker % 2


# One number for each code


def test_the_area_counts_pairs_and_ties_by_half():
    assert auc([1, 2, 2, 3], [0, 0, 1, 1]) == (2 + 1 + 0.5) / 4
    assert auc([1, 2, 2, 3], [1, 1, 0, 0]) == 0.5 / 4
    assert auc([1, 2, 3, 4], ["f", "f", "m", "m"]) == 1


def test_the_area_is_that_of_scikit_learn_with_ties_and_without():
    codes, label = drawn()
    codes[:, 1] = np.round(codes[:, 0])
    found = auc(codes, label)
    assert found.shape == (5,)
    for column, area in zip(codes.T, found):
        assert area == pytest.approx(sklearn.metrics.roc_auc_score(label, column))
        assert auc(column, label) == pytest.approx(area)
    assert found[0] > 0.65


def test_the_area_of_more_classes_is_the_mean_over_their_pairs_each_its_own_way_round():
    codes, label = drawn(classes=4)
    areas = [
        [
            sklearn.metrics.roc_auc_score(label[of] == b, codes[of, d])
            for a, b in itertools.combinations(range(4), 2)
            for of in [(label == a) | (label == b)]
        ]
        for d in range(5)
    ]
    found = pairwise_auc(codes, label)
    np.testing.assert_allclose(found, np.maximum(areas, 1 - np.array(areas)).mean(axis=1))
    assert pairwise_auc(codes[:, 2], label) == pytest.approx(found[2])
    assert pairwise_auc([0, 0, 1, 1, 2, 2], [2, 2, 0, 0, 1, 1]) == 1


def test_d_prime_is_the_gap_of_the_means_in_the_mean_of_the_variances():
    codes, label = [1.0, 3.0, 10.0, 16.0, 22.0], [0, 0, 1, 1, 1]
    assert d_prime(codes, label) == pytest.approx((16 - 2) / math.sqrt((1 + 24) / 2))
    assert d_prime(np.negative(codes), label) == pytest.approx(-14 / math.sqrt(12.5))


def test_d_prime_and_the_area_of_two_gaussians_are_equivalent():
    quantiles = scipy.stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    codes = np.concatenate([1 + 2 * quantiles[::4], -0.5 + 0.7 * quantiles])  # unequal in all
    label = np.repeat([1, 0], [500, 2000])
    assert d_prime(codes, label) == pytest.approx(1.5 / math.sqrt((4 + 0.49) / 2), abs=0.01)
    assert auc(codes, label) == pytest.approx(
        scipy.stats.norm.cdf(d_prime(codes, label) / math.sqrt(2)), abs=2e-3
    )


def test_a_code_equal_to_the_label_has_all_of_its_information_and_an_independent_one_none():
    label = np.repeat([0, 1, 2, 2], 40)
    beside = np.tile(np.arange(40), 4)
    information = mutual_information(np.stack([label * 0.1 - 3, beside], axis=1), label)
    assert entropy(label) == pytest.approx(1.5 * math.log(2))
    np.testing.assert_allclose(information, [entropy(label), 0], atol=1e-12)


def test_the_information_is_that_of_scikit_learn_of_twenty_bins():
    codes, label = drawn(classes=3)
    codes[:, 1] = np.round(codes[:, 1])  # on the edges of bins
    edges = [np.histogram(column, BINS)[1][:-1] for column in codes.T]
    expected = [
        sklearn.metrics.mutual_info_score(label, np.digitize(column, edge))
        for column, edge in zip(codes.T, edges)
    ]
    np.testing.assert_allclose(mutual_information(codes, label), expected)
    assert mutual_information(codes[:, 0], label) == pytest.approx(expected[0])
    np.testing.assert_allclose(entropy(label), sklearn.metrics.mutual_info_score(label, label))


def test_r2_is_the_squared_correlation():
    codes, label = drawn()
    pitch = 100 - 3 * codes[:, 0] + generator(1).normal(size=200)
    expected = [scipy.stats.pearsonr(column, pitch)[0] ** 2 for column in codes.T]
    np.testing.assert_allclose(r2(codes, pitch), expected)
    assert expected[0] > 0.8
    assert r2(-2 * pitch + 1, pitch) == pytest.approx(1)


def test_eta2_is_that_of_the_analysis_of_variance():
    codes, label = drawn(classes=4)
    between = eta2(codes, label)
    f = between / (1 - between) * (200 - 4) / (4 - 1)
    expected = scipy.stats.f_oneway(*(codes[label == i] for i in range(4)))
    np.testing.assert_allclose(f, expected.statistic)
    assert eta2([1, 1, 5, 5, 2], [0, 0, 1, 1, 2]) == pytest.approx(1)


@pytest.mark.parametrize(
    "measure, classes",
    [(auc, 2), (d_prime, 2), (pairwise_auc, 3), (eta2, 3), (mutual_information, 3), (r2, 0)],
)
def test_scores_ignore_unit_and_offset_of_a_code_and_a_constant_has_none(measure, classes):
    codes, label = drawn(classes=classes or 3)
    label = label if classes else label + generator(2).random(200)
    scales, offsets = np.array([1e-15, 1, 1e9, 0, 0]), np.array([3e-15, 0.5, -1e9, 0.1, 0])
    found = measure(codes[:, :1] * scales + offsets, label)
    np.testing.assert_allclose(found[:3], measure(codes[:, 0], label), rtol=1e-6)
    nothing = 0.5 if measure in (auc, pairwise_auc) else 0
    np.testing.assert_allclose(found[3:], nothing, atol=1e-12)


def test_directions_name_the_class_that_is_high_or_the_sign():
    codes, label = drawn(classes=3, pull=3)
    both = np.stack([codes[:, 0], -codes[:, 0]], axis=1)
    assert directions(both, label).tolist() == [2, 0]
    assert directions(both, np.array(["sad", "happy", "angry"])[label]).tolist() == ["angry", "sad"]
    assert directions(both, codes[:, 0] ** 3).tolist() == [1, -1]
    assert directions(-codes[:, 0], label) == 0


def test_the_statistic_suits_the_label():
    assert statistic([0, 1, 1]) == "auc" and statistic(["f", "m"]) == "auc"
    assert statistic([0, 1, 4]) == statistic(range(10)) == "pairwise_auc"
    assert statistic(range(11)) == "eta2"
    assert statistic([0.0, 1.0]) == "r2"
    codes, label = drawn(classes=3)
    np.testing.assert_array_equal(score(codes, label), pairwise_auc(codes, label))
    two = label == 2
    areas = auc(codes, two)
    np.testing.assert_allclose(score(codes, two), np.maximum(areas, 1 - areas))
    np.testing.assert_allclose(score(-codes, two), score(codes, two))
    np.testing.assert_array_equal(score(codes, codes[:, 1]), r2(codes, codes[:, 1]))
    many = np.arange(200) % 11
    np.testing.assert_array_equal(score(codes, many), eta2(codes, many))


# How sure that is


@pytest.mark.parametrize("classes", [0, 2, 3, 12])
def test_the_interval_is_that_of_resamples_drawn_one_by_one(classes):
    codes, label = drawn(items=300, codes=3, classes=classes or 2)
    codes[:, 1] = np.round(codes[:, 1])
    label = label if classes else codes[:, 0] + generator(2).normal(size=300)
    speaker = generator(3).integers(0, 8, 300)
    found = interval(codes, label, generator(4), speaker, resamples=50)
    counts = generator(4).multinomial(8, np.full(8, 1 / 8), 50)
    scores = []
    for count in counts:
        rows = np.concatenate(
            [np.tile(np.flatnonzero(speaker == i), n) for i, n in enumerate(count)]
        )
        if classes == 2:  # the way round of the whole
            areas = auc(codes[rows], label[rows])
            scores.append(np.where(auc(codes, label) >= 0.5, areas, 1 - areas))
        elif classes == 3:
            pairs = [(label == a) | (label == b) for a, b in ((0, 1), (0, 2), (1, 2))]
            areas = [auc(codes[rows][of[rows]], label[rows][of[rows]]) for of in pairs]
            whole = [auc(codes[of], label[of]) for of in pairs]
            scores.append(np.where(np.array(whole) >= 0.5, areas, 1 - np.array(areas)).mean(axis=0))
        else:
            scores.append((eta2 if classes else r2)(codes[rows], label[rows]))
    np.testing.assert_allclose(found, np.percentile(scores, [2.5, 97.5], axis=0).T)
    assert interval(codes[:, 1], label, generator(4), speaker, 50) == pytest.approx(found[1])


def test_an_interval_of_few_speakers_is_wider_than_one_that_takes_utterances_for_independent():
    codes, speaker, gender = spoken(speakers=12)
    low, high = interval(codes[:, 0], gender, generator(), speaker)
    narrow_low, narrow_high = interval(codes[:, 0], gender, generator())
    assert high - low > 3 * (narrow_high - narrow_low)
    assert low < 0.5 < high


def test_an_interval_of_utterances_has_its_nominal_coverage():
    truth, held = scipy.stats.norm.cdf(1 / math.sqrt(2)), 0
    for seed in range(100):
        label = np.arange(100) % 2
        low, high = interval(
            generator(seed).normal(size=100) + label, label, generator(seed), None, 200
        )
        held += low < truth < high
    assert 88 <= held <= 99


@pytest.mark.parametrize(
    "label, speaker",
    [
        ([0, 0, 1, 1], ["a", "a", "b", "b"]),
        ([0, 0, 1, 1], ["a", "c", "b", "b"]),
        ([0.1, 0.2, 0.3, 0.5], ["a", "a", "a", "a"]),
    ],
)
def test_there_is_no_interval_where_a_class_is_one_speaker(label, speaker):
    codes = np.arange(2.0 * len(label)).reshape(-1, 2)
    assert np.isnan(interval(codes, label, generator(), speaker)).all()
    assert interval(codes, label, generator(), speaker).shape == (2, 2)


# What chance would do


def test_p_is_the_share_of_all_permutations_that_do_as_well():
    codes = np.array([[3, 1], [4, 1], [5, 9], [2, 6], [8, 5], [7, 3.5]])
    label = np.array([0, 0, 0, 1, 1, 1])
    found = score(codes, label)
    all_best = [
        score(codes, np.isin(np.arange(6), ones)).max()
        for ones in itertools.combinations(range(6), 3)
    ]
    exact = [np.mean(np.array(all_best) >= each - 1e-9) for each in found]
    p, least = permutation(codes, label, generator(), permutations=20_000)
    np.testing.assert_allclose(p, exact, atol=0.012)
    assert least == pytest.approx(2 / 20)
    assert permutation(codes[:, 0], label, generator())[0].shape == ()


@pytest.mark.parametrize("classes", [0, 2, 3, 12])
def test_a_label_that_a_code_follows_is_no_chance_and_a_permuted_one_is(classes):
    codes, label = drawn(classes=classes or 3, codes=20)
    label = label if classes else label + 0.5
    p, least = permutation(codes, label, generator(), permutations=200)
    assert p[0] == pytest.approx(1 / 201) and least == pytest.approx(1 / 201)
    assert p[1:].min() > 0.05
    assert (
        permutation(codes, generator(7).permutation(label), generator(), None, 200)[0].min() > 0.05
    )


def test_p_holds_for_the_search_over_all_codes():
    hits, alone = 0, 0
    for seed in range(120):
        codes, label = drawn(items=30, codes=10, pull=0, seed=seed)
        label[:2] = 0, 1
        hits += permutation(codes, label, generator(seed), None, 99)[0].min() <= 0.05
        alone += permutation(codes[:, 0], label, generator(seed), None, 99)[0] <= 0.05
    assert 1 <= hits <= 14 and 1 <= alone <= 14  # 6 expected


def share_found(label_of, draws=60, **groups):
    """In how many of the draws codes that know the speaker alone pass for the label, in percent."""
    hits = 0
    for seed in range(draws):
        codes, speaker, gender = spoken(seed=seed)
        label = label_of(speaker, gender, generator(1000 + seed))
        by = speaker if groups["by_speaker"] else None
        hits += permutation(codes[:, 0], label, generator(seed), by, 99)[0] <= 0.05
    return 100 * hits / draws


@pytest.mark.parametrize(
    "label_of",
    [
        pytest.param(lambda speaker, gender, rng: gender, id="gender"),
        pytest.param(lambda speaker, gender, rng: rng.normal(size=10)[speaker], id="age"),
        pytest.param(
            lambda speaker, gender, rng: (
                rng.normal(size=10)[speaker] + 0.3 * rng.normal(size=len(speaker))
            ),
            id="pitch",
        ),
        pytest.param(
            lambda speaker, gender, rng: (  # each speaker has an emotion that is frequent
                (rng.random(len(speaker)) < rng.choice([0.2, 0.8], 10)[speaker]).astype(int)
            ),
            id="emotion",
        ),
    ],
)
def test_what_knows_the_speaker_passes_for_the_label_only_if_utterances_are_permuted(label_of):
    assert share_found(label_of, by_speaker=True) <= 15
    assert share_found(label_of, by_speaker=False) >= 50


def test_what_varies_within_speakers_is_found_within_them_and_between_them():
    codes, speaker, _ = spoken()
    voice, emotion = codes[:, 0], np.tile(np.arange(20) % 2, 10)
    own = np.array([voice[speaker == i].mean() for i in range(10)])[speaker]
    noise = generator(5).normal(size=200)
    assert permutation(voice + 2 * emotion, emotion, generator(), speaker, 200)[0] < 0.01
    assert permutation(voice, voice - own + 0.1 * noise, generator(), speaker, 200)[0] < 0.01
    assert permutation(voice, own + 0.1 * noise, generator(), speaker, 200)[0] < 0.01
    assert permutation(voice, own[::-1] + 0.1 * noise, generator(), speaker, 200)[0] > 0.05


@pytest.mark.parametrize(
    "genders, least",
    [([0, 0, 1, 1], 1 / 3), ([0, 0, 1, 1, 1], 1 / 10), ([0, 1], 1), ([0, 0, 1, 1, 2, 2], 1 / 15)],
)
def test_few_speakers_allow_no_small_p_and_its_lower_bound_is_returned(genders, least):
    speaker = np.repeat(np.arange(len(genders)), 12)
    gender = np.array(genders)[speaker]
    p, bound = permutation(gender, gender, generator(), speaker, 2000)
    assert bound == pytest.approx(least) and p == pytest.approx(least, abs=0.03)


def test_blocks_give_what_all_at_once_gives(monkeypatch):
    codes, label = drawn(classes=3)
    at_once, p = (each(codes, label, generator(), None, 50) for each in (interval, permutation))
    monkeypatch.setattr(association, "_BLOCK", 1)
    np.testing.assert_allclose(interval(codes, label, generator(), None, 50), at_once)
    np.testing.assert_equal(permutation(codes, label, generator(), None, 50), p)


# What is refused


@pytest.mark.parametrize(
    "codes, label, line",
    [
        (np.zeros((3, 2)), [0, 1], r"label \[items\] are wanted, got \[3, 2\] and \[2\]"),
        (np.zeros((2, 1, 1)), [0, 1], r"got \[2, 1, 1\]"),
        ([], [], r"got \[0\]"),
        ([0, np.nan], [0, 1], "NaN or infinite: leave those items out"),
        ([0, 1], [0.5, np.nan], "NaN or infinite"),
        ([0, 1], [3, 3], "the label is 3 for all 2 items"),
    ],
)
def test_what_is_no_code_or_label_is_refused(codes, label, line):
    with pytest.raises(KvoiceError, match=line):
        score(codes, label)


def test_two_classes_and_groups_of_the_same_items_are_asked_for():
    for measure in (auc, d_prime):
        with pytest.raises(KvoiceError, match="two classes, got 3"):
            measure([1, 2, 3], [0, 1, 2])
    for measure in (interval, permutation):
        with pytest.raises(KvoiceError, match=r"same items as the label, 3, got shape \[2\]"):
            measure([1, 2, 3], [0, 1, 1], generator(), ["a", "b"])
