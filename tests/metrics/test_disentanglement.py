import functools
import json
import math
import warnings

import joblib
import numpy as np
import pytest
import sklearn.metrics
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from kvoice.errors import KvoiceError
from kvoice.metrics.disentanglement import (
    SCORES,
    beta_vae,
    completeness,
    dci,
    disentanglement,
    explicitness,
    factor_vae,
    identity,
    mig,
    modularity,
    modularity_of,
    mutual_information,
    noise,
    pca,
    sap_continuous,
    sap_discrete,
    scores,
    total_correlation,
)

LEVELS = (3, 6, 8, 8, 8)  # of the golden table
DIAGONAL = 5 * np.eye(5)
MIRROR = np.eye(5) - 2 / 5  # a rotation that takes 0.6 of one factor and -0.4 of the others


def rng(seed=0):
    return np.random.default_rng(seed)


def table(rows, levels=LEVELS, seed=0):
    """Random rows of independent factors."""
    return np.stack(
        [
            rng(seed).spawn(len(levels))[k].integers(count, size=rows)
            for k, count in enumerate(levels)
        ],
        axis=1,
    )


def grid(*levels):
    """Every combination of the levels once, in which factors are exactly independent."""
    return np.stack(np.meshgrid(*map(np.arange, levels)), axis=-1).reshape(-1, len(levels))


def gaussian(rows=400, codes=4, levels=(2, 3), seed=0):
    """Codes of continuous values that know something of each factor, and the factors."""
    factors = table(rows, levels, seed)
    mixing = rng(seed).normal(size=(len(levels), codes))
    return identity(factors)[:, : len(levels)] @ mixing + noise(rows, codes, rng(seed + 1)), factors


# The anchors of the reference's own tests


@pytest.mark.parametrize(
    "matrix, d, c, m",
    [
        (DIAGONAL, 1, 1, 1),
        ([[1, 0], [0, 1], [0, 0]], 1, 1, 2 / 3),  # a code that serves nothing
        (np.zeros((10, 10)), 0, 0, 0),
        (
            np.vstack([DIAGONAL, DIAGONAL]),
            1,
            1 - math.log(2) / math.log(10),
            1,
        ),  # two codes a factor
        (DIAGONAL[:2], 1, 1, 1),  # factors in no code
        (np.hstack([DIAGONAL, DIAGONAL]), 1 - math.log(2) / math.log(10), 1, 1 - 1 / 9),
    ],
)
def test_disentanglement_completeness_and_modularity_of_known_matrices(matrix, d, c, m):
    assert disentanglement(matrix) == pytest.approx(d, abs=1e-8)
    assert completeness(matrix) == pytest.approx(c, abs=1e-8)
    assert modularity_of(matrix) == pytest.approx(m, abs=1e-12)


def test_codes_and_factors_count_by_their_importance():
    matrix = [[3, 0], [0, 1], [1, 1]]  # pure, pure, and one that serves both alike
    assert disentanglement(matrix) == pytest.approx((3 + 1) / 6)
    columns = [np.array([3, 1]) / 4, np.array([1, 1]) / 2]
    concentrated = [1 + (p * np.log(p)).sum() / math.log(3) for p in columns]
    assert completeness(matrix) == pytest.approx((4 * concentrated[0] + 2 * concentrated[1]) / 6)


@pytest.mark.parametrize("score", [mig, sap_continuous])
def test_ten_factors_as_they_are_score_high_and_twice_zero(score):
    factors = table(3000, [10] * 10)
    assert 0.9 < score(factors, factors) <= 1
    assert score(np.hstack([factors, factors]), factors) == pytest.approx(0, abs=1e-12)


def test_ten_factors_as_codes_are_perfectly_disentangled():
    factors = table(3000, [10] * 10)
    assert factor_vae(factors, factors, rng(), test=500) > 0.9
    assert beta_vae(factors, factors, rng(), train=2000) > 0.9


# The golden table: what the reference code says of the same kinds of codes. Random draws differ, so
# the tolerances are what draws differ by. Trees learn from 200 rows for 1000, for the time it
# takes.

GOLDEN = {  # mig, SAP by lines, by classes, DCI, factor_vae, beta_vae, modularity, explicitness
    "identity": (0.999, 0.999, 0.231, 1, 1, 1, 1, 1, 1, 1),
    "identity and noise": (0.996, 0.999, 0.229, 1, 1, 1, 1, 1, 0.727, 1),
    "identity twice": (0, 0, 0, 1, 0.701, 1, 1, 1, 1, 1),
    "noise": (0, 0, 0.007, 0.002, 0.002, 0.182, 0.209, 0.210, 0.468, 0.505),
}
NEAR = {
    "identity": (0.002, 0.002, 0.03, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001),
    "identity and noise": (0.003, 0.002, 0.03, 0.01, 0.01, 0.01, 0.001, 0.001, 0.06, 0.001),
    "identity twice": (1e-9, 1e-9, 1e-9, 0.001, 0.015, 0.001, 0.001, 0.001, 0.001, 0.001),
    "noise": (0.002, 0.002, 0.015, 0.015, 0.015, 0.05, 0.05, 0.06, 0.12, 0.02),
}


@functools.cache
def golden_row(name):
    factors = table(10_000)
    codes = identity(factors)
    codes = {
        "identity": lambda: codes,
        "identity and noise": lambda: np.hstack([codes, noise(10_000, 5, rng(1))]),
        "identity twice": lambda: np.hstack([codes, codes]),
        "rotation": lambda: codes @ np.linalg.qr(rng(2).normal(size=(5, 5)))[0],
        "noise": lambda: noise(10_000, 5, rng(1)),
    }[name]()
    trees = dci(codes, factors, rng(3), train=200, test=200)
    assert trees["importance"].shape == (codes.shape[1], 5)
    return (
        mig(codes, factors),
        sap_continuous(codes, factors),
        sap_discrete(codes, factors, rng(3)),
        trees["disentanglement"],
        trees["completeness"],
        trees["informativeness"],
        factor_vae(codes, factors, rng(3)),
        beta_vae(codes, factors, rng(3)),
        modularity(codes, factors),
        explicitness(codes, factors, rng(3)),
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_scores_are_those_of_the_reference(name):
    found = golden_row(name)
    assert (np.abs(np.subtract(found, GOLDEN[name])) <= NEAR[name]).all(), found


def test_a_rotation_is_between_noise_and_the_factors_themselves():
    # Which rotation the golden row is of isn't known, and scores differ among them: only wide
    # bounds. Without the gap by classes, which hardly rises above chance for a rotation.
    low, mid, high = (
        np.delete(golden_row(name)[:8], 2) for name in ("noise", "rotation", "identity")
    )
    assert (low + 0.02 < mid).all() and (mid < high - 0.05).all()
    found = dict(zip(SCORES, golden_row("rotation")))
    assert found["mig"] < 0.4 and found["dci_disentanglement"] < 0.5  # these discriminate
    assert found["factor_vae"] > 0.5 and found["modularity"] > 0.7  # these are lenient
    assert found["explicitness"] > 0.99  # this is invariant


# Closed forms, in a table where factors are exactly independent


def test_the_gaps_of_a_mirrored_grid_are_those_of_its_weights():
    factors = grid(*LEVELS)
    assert mig(identity(factors), factors) == pytest.approx(1)
    assert sap_continuous(identity(factors), factors) == pytest.approx(1)
    assert modularity(identity(factors), factors) == pytest.approx(1)
    mirrored = identity(factors) @ MIRROR
    assert sap_continuous(mirrored, factors) == pytest.approx(0.6**2 - 0.4**2)
    assert total_correlation(mirrored) == pytest.approx(0, abs=1e-9)


def test_a_code_with_half_of_a_factor_has_half_of_its_information():
    factors = grid(4, 3)
    codes = np.stack([factors[:, 0], factors[:, 0] // 2, factors[:, 1]], axis=1)
    information = mutual_information(codes, factors)
    assert information.shape == (3, 2)
    expected = [[math.log(4), 0], [math.log(2), 0], [0, math.log(3)]]
    np.testing.assert_allclose(information, expected, atol=1e-12)
    assert mig(codes, factors) == pytest.approx((1 / 2 + 1) / 2)


def test_modularity_is_lost_to_a_code_of_two_factors_and_to_one_of_none():
    factors = grid(3, 3, 2)
    both = factors[:, 0] + 3 * factors[:, 1]  # all of two factors
    assert modularity(np.stack([both, factors[:, 2]], axis=1), factors) == pytest.approx(
        (1 / 2 + 1) / 2
    )
    none = np.zeros(len(factors))
    assert modularity(np.stack([none, factors[:, 2]], axis=1), factors) == pytest.approx(1 / 2)


@pytest.mark.parametrize("r", [0, 0.5, -0.99])
def test_total_correlation_of_two_codes_is_that_of_their_correlation(r):
    a, b = np.linalg.qr(np.column_stack([np.ones(50), rng().normal(size=(50, 2))]))[0][:, 1:].T
    codes = np.stack([3 * a + 7, 0.1 * (r * a + math.sqrt(1 - r * r) * b)], axis=1)
    assert total_correlation(codes) == pytest.approx(-0.5 * math.log(1 - r * r), abs=1e-9)
    dead = np.full(50, 0.1)
    assert total_correlation(np.column_stack([codes, dead])) == pytest.approx(
        total_correlation(codes)
    )


def test_total_correlation_of_a_code_that_is_the_sum_of_others_is_infinite():
    codes = noise(100, 3, rng())
    assert total_correlation(np.column_stack([codes, codes.sum(axis=1)])) == math.inf
    assert total_correlation(np.zeros((10, 3))) == 0


def test_a_machine_with_one_code_that_knows_nothing_guesses():
    factors = np.tile([[0, 0], [1, 0], [0, 1], [1, 1]], (100, 1))
    codes = identity(factors)
    codes[:, 1] = 0  # the second factor is in no code: no gap; the first is in one: 1 to a guess
    assert sap_discrete(codes, factors, rng(), 200, 200) == pytest.approx(0.5 / 2, abs=0.05)


# Independent references


def test_information_is_that_of_scikit_learn_between_bins_of_a_histogram():
    codes, factors = gaussian()
    for bins in (20, 5):
        expected = [
            [
                sklearn.metrics.mutual_info_score(
                    np.digitize(code, np.histogram(code, bins)[1][:-1]), factor
                )
                for factor in factors.T
            ]
            for code in codes.T
        ]
        np.testing.assert_allclose(mutual_information(codes, factors, bins), expected, atol=1e-12)


def test_a_number_on_the_edge_of_a_bin_is_in_the_upper_one_as_in_numpy():
    codes = table(500, (21, 21))
    factors = codes // 5  # edges of 5 bins of 0 to 20 are at 4, 8, ...
    expected = sklearn.metrics.mutual_info_score(
        np.digitize(codes[:, 0], np.histogram(codes[:, 0], 5)[1][:-1]), factors[:, 0]
    )
    assert mutual_information(codes, factors, bins=5)[0, 0] == pytest.approx(expected)


def test_the_gap_by_lines_is_that_of_squared_correlations():
    codes, factors = gaussian()
    squares = np.sort(np.corrcoef(codes, factors, rowvar=False)[:4, 4:] ** 2, axis=0)
    assert sap_continuous(codes, factors) == pytest.approx((squares[-1] - squares[-2]).mean())


@pytest.mark.parametrize("levels", [2, 5])
def test_explicitness_is_the_area_of_scikit_learn(levels):
    codes, factors = gaussian(levels=(levels,))
    rows = rng(7).permutation(400)
    learn, judge = rows[:250], rows[250:]
    scaled = StandardScaler().fit(codes[learn])
    line = LogisticRegression().fit(scaled.transform(codes[learn]), factors[learn, 0])
    odds = line.predict_proba(scaled.transform(codes[judge]))
    expected = sklearn.metrics.roc_auc_score(
        factors[judge, 0], odds if levels > 2 else odds[:, 1], multi_class="ovr"
    )
    assert 0.6 < expected < 0.99
    assert explicitness(codes, factors, rng(7), train=250, test=150) == pytest.approx(expected)


def test_explicitness_does_without_levels_that_no_row_to_judge_by_has():
    codes, factors = gaussian()
    factors[:2, 0] = (7, -7)  # each in one row: never both to learn from and to judge by
    assert 0.5 < explicitness(codes, factors, rng(), train=250, test=150) < 1


# Invariances


def test_information_minds_neither_the_order_nor_the_sign_nor_the_scale_of_codes():
    codes, factors = gaussian()
    assert 0.05 < mig(codes, factors) < 0.5
    changed = codes[:, [2, 0, 3, 1]] * [-1, 1000, -0.001, 1] + [0, 5, 0, -3]
    information = mutual_information(codes, factors)[[2, 0, 3, 1]]
    np.testing.assert_allclose(mutual_information(changed, factors), information, atol=1e-9)
    for score in (mig, modularity, sap_continuous):
        assert score(changed, factors) == pytest.approx(score(codes, factors))
    assert total_correlation(changed) == pytest.approx(total_correlation(codes))


def test_the_names_of_the_levels_do_not_matter_where_they_are_no_numbers():
    codes, factors = gaussian()
    renamed = np.array([90, 5, -4])[factors]
    assert mig(codes, renamed) == pytest.approx(mig(codes, factors))
    assert factor_vae(codes, renamed, rng(), test=200) == factor_vae(
        codes, factors, rng(), test=200
    )
    assert sap_continuous(codes, renamed) != pytest.approx(sap_continuous(codes, factors))


def test_trees_lines_and_votes_do_not_mind_the_scale():
    codes, factors = gaussian()
    for score in (
        lambda codes: dci(codes, factors, rng(), 100, 100)["disentanglement"],
        lambda codes: explicitness(codes, factors, rng(), 200, 100),
        lambda codes: factor_vae(codes, factors, rng(), test=200),
    ):
        assert score(codes * [1, 4, 0.5, 8]) == pytest.approx(score(codes))


def test_a_code_that_does_not_vary_changes_no_gap_and_no_line():
    codes, factors = gaussian()
    with_dead = np.column_stack([codes, np.full(len(codes), 0.3)])
    assert mig(with_dead, factors) == pytest.approx(mig(codes, factors))
    assert sap_continuous(with_dead, factors) == pytest.approx(sap_continuous(codes, factors))
    assert explicitness(with_dead, factors, rng(), 200, 100) == pytest.approx(
        explicitness(codes, factors, rng(), 200, 100)
    )


def test_the_number_of_processes_does_not_matter():
    codes, factors = gaussian(rows=120)
    one = dci(codes, factors, rng(), 60, 60)
    with joblib.parallel_config("threading"):
        two = dci(codes, factors, rng(), 60, 60, jobs=2)
    assert {**one, "importance": one["importance"].tolist()} == {
        **two,
        "importance": two["importance"].tolist(),
    }


# Which factor is kept


def test_codes_below_a_twentieth_have_no_vote():
    factors = table(2000, (4, 4))
    small = identity(factors) * 0.049
    assert factor_vae(small, factors, rng()) == 0
    assert factor_vae(small * 1.1, factors, rng()) == 1
    small[:, 1] *= 1.1  # the only one that has a vote always gives it to one factor
    assert factor_vae(small, factors, rng()) == pytest.approx(0.5, abs=0.03)


def test_all_rows_of_a_level_are_drawn():
    factors = grid(2, 2)  # two rows of each level, in which only that factor does not vary
    assert factor_vae(identity(factors), factors, rng()) == 1


def test_correlated_factors_cannot_be_separated():
    factors = table(2000, (4, 4))
    factors[:, 1] = factors[:, 0]
    for score in (factor_vae, beta_vae):
        assert score(identity(factors), factors, rng()) == pytest.approx(0.5, abs=0.06)


def test_a_line_that_is_cut_short_warns_nobody():
    factors = table(2000, (3, 8))
    codes = np.hstack([identity(factors)] * 8) @ rng().normal(
        size=(16, 16)
    )  # not settled in 100 steps
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explicitness(codes, factors, rng(), 1000, 100)


# All of them, and what to read them beside


def test_all_scores_are_those_of_the_functions_at_the_returned_sizes():
    codes, factors = gaussian(rows=240)
    found = scores(codes, factors, rng(), train=100, test=70)
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {*SCORES, "importance", "sizes"}
    assert found["sizes"] == {
        "rows": 240,
        "sap_continuous": [100, 0],
        "sap_discrete": [100, 70],
        "dci": [100, 70],
        "factor_vae": [100, 70],
        "beta_vae": [100, 70],
        "modularity": [100, 0],
        "explicitness": [100, 70],
    }
    assert found["mig"] == mig(codes, factors)
    assert found["total_correlation"] == total_correlation(codes)
    trees = dci(codes, factors, rng(), 100, 70)  # the first that draws
    assert found["importance"] == trees["importance"].tolist()
    assert [
        found[f"dci_{name}"] for name in ("disentanglement", "completeness", "informativeness")
    ] == [trees[name] for name in ("disentanglement", "completeness", "informativeness")]
    assert found == scores(codes, factors, rng(), train=100, test=70)


def test_few_rows_are_shared_as_the_settings_are():
    codes, factors = gaussian(rows=60)
    sizes = scores(codes, factors, rng(), train=2000, test=500)["sizes"]
    assert sizes == {
        "rows": 60,
        "sap_continuous": [60, 0],
        "sap_discrete": [48, 12],
        "dci": [40, 20],
        "factor_vae": [1000, 500],
        "beta_vae": [1000, 500],
        "modularity": [60, 0],
        "explicitness": [48, 12],
    }


def test_some_row_is_left_to_judge_by():
    with pytest.raises(KvoiceError, match="test=1 rows show one level only"):
        scores(*gaussian(rows=60), rng(), train=5000, test=20)


def test_one_factor_has_the_scores_that_need_no_other():
    factors = table(200, (3,))
    found = scores(identity(factors), factors, rng(), train=100, test=60)
    nothing = {name for name in SCORES if found[name] is None}
    assert nothing == {"dci_disentanglement", "factor_vae", "beta_vae", "modularity"}
    assert found["mig"] == pytest.approx(1) and found["sap_continuous"] == pytest.approx(1)
    assert found["dci_completeness"] == pytest.approx(1)


def test_an_infinite_total_correlation_is_none_in_json():
    codes, factors = gaussian(rows=60)
    assert scores(np.hstack([codes, codes]), factors, rng(), 30, 30)["total_correlation"] is None


def test_the_factors_as_codes_have_mean_zero_and_spread_one():
    factors = table(500)
    codes = identity(factors)
    assert codes.shape == (500, 5)
    np.testing.assert_allclose(
        [codes.mean(axis=0), codes.std(axis=0)], [[0] * 5, [1] * 5], atol=1e-12
    )
    np.testing.assert_allclose(np.corrcoef(codes[:, 2], factors[:, 2]), 1)
    alone = identity(factors[:, :1])
    assert alone.shape == (500, 2) and not alone[:, 1].any()


def test_noise_is_standard_normal_and_that_of_its_rng():
    codes = noise(20_000, 3, rng())
    assert codes.shape == (20_000, 3)
    np.testing.assert_allclose(np.cov(codes, rowvar=False), np.eye(3), atol=0.05)
    assert (noise(5, 2, rng(1)) == noise(5, 2, rng(1))).all()


def test_principal_components_are_those_of_the_singular_values():
    items = noise(60, 12, rng()).reshape(60, 3, 4) * [8, 4, 2, 1] + 5
    codes = pca(items, 3, rng())
    assert codes.shape == (60, 3)
    flat = items.reshape(60, 12) - items.reshape(60, 12).mean(axis=0)
    u, s, _ = np.linalg.svd(flat, full_matrices=False)
    np.testing.assert_allclose(np.abs(codes), np.abs(u * s)[:, :3], atol=1e-6)


# What is refused

TABLES = [
    mutual_information,
    mig,
    sap_continuous,
    modularity,
    *(
        functools.wraps(score)(lambda codes, factors, score=score: score(codes, factors, rng()))
        for score in (sap_discrete, dci, explicitness, factor_vae, beta_vae, scores)
    ),
]
FACTORS = [[0, 1], [1, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("score", TABLES)
@pytest.mark.parametrize(
    "codes, factors, line",
    [
        (
            np.zeros((4, 3)),
            FACTORS[:3],
            "codes and factors have to be of the same rows, got 4 and 3",
        ),
        (np.zeros(4), FACTORS, r"codes has to be .*got \[4\] float64"),
        (np.zeros((4, 1)), FACTORS, r"2 rows and 2 codes or more, got \[4, 1\]"),
        (np.zeros((0, 2)), np.zeros((0, 2), int), r"2 rows and 2 codes or more, got \[0, 2\]"),
        ([["a", "b"]] * 4, FACTORS, r"codes has to be \[rows, codes\] numbers"),
        ([[0, 0], [0, np.nan], [0, 0], [0, 0]], FACTORS, "codes has to be finite.*in row 1"),
        ([[0, 0], [0, 0], [np.inf, 0], [0, 0]], FACTORS, "codes has to be finite.*in row 2"),
        (
            np.zeros((4, 2)),
            np.zeros((4, 2)),
            r"factors has to be .*whole numbers.*got \[4, 2\] float64",
        ),
        (np.zeros((4, 2)), [0, 1, 0, 1], r"factors has to be \[rows, factors\]"),
        (
            np.zeros((4, 2)),
            [[0, 3], [1, 3], [1, 3], [0, 3]],
            "factors: factor 1 has one level only, 3",
        ),
    ],
)
def test_a_table_that_is_none_is_refused(score, codes, factors, line):
    with pytest.raises(KvoiceError, match=line):
        score(codes, factors)


@pytest.mark.parametrize("score", [sap_discrete, dci, explicitness])
@pytest.mark.parametrize(
    "train, test, line",
    [
        (300, 101, "codes: train=300 and test=101 want 401 rows, got 400"),
        (0, 10, "train has to be a whole number from 1 on, got 0"),
        (10, 2.5, "test has to be a whole number from 1 on, got 2.5"),
        (1, 100, "train=1 rows show one level only of factor 0: take more"),
    ],
)
def test_rows_that_are_too_few_are_refused(score, train, test, line):
    with pytest.raises(KvoiceError, match=line):
        score(*gaussian(), rng(), train=train, test=test)


def test_judging_by_one_level_is_refused():
    with pytest.raises(KvoiceError, match="test=1 rows show one level only"):
        explicitness(*gaussian(), rng(), train=100, test=1)


@pytest.mark.parametrize("score", [factor_vae, beta_vae])
def test_what_cannot_be_kept_is_refused(score):
    codes, factors = gaussian()
    with pytest.raises(KvoiceError, match="factors: .*two or more, got one"):
        score(codes, factors[:, :1], rng())
    with pytest.raises(KvoiceError, match="train has to be a whole number"):
        score(codes, factors, rng(), train=0)
    with pytest.raises(KvoiceError, match="batch has to be a whole number"):
        score(codes, factors, rng(), batch=0)
    factors[5, 1] = 9
    with pytest.raises(KvoiceError, match="factors: level 9 of factor 1 has one row only"):
        score(codes, factors, rng())


def test_batches_of_one_factor_are_refused():
    with pytest.raises(KvoiceError, match="train=1 batches are all of one factor"):
        beta_vae(*gaussian(), rng(), train=1)


@pytest.mark.parametrize("score", [disentanglement, completeness, modularity_of])
@pytest.mark.parametrize(
    "matrix, line",
    [
        ([1, 2], r"got \[2\]"),
        ([[1, 2]], r"2 or more by . or more, got \[1, 2\]"),
        ([[1, -1], [0, 1]], "not below 0"),
        ([[1, np.nan], [0, 1]], "finite"),
    ],
)
def test_a_matrix_of_nothing_is_refused(score, matrix, line):
    with pytest.raises(KvoiceError, match=line):
        score(matrix)


def test_one_factor_has_completeness_but_no_disentanglement():
    assert completeness([[1], [1]]) == pytest.approx(0)
    for score in (disentanglement, modularity_of):
        with pytest.raises(KvoiceError, match=r"2 or more by 2 or more, got \[2, 1\]"):
            score([[1], [1]])


def test_items_without_so_many_components_are_refused():
    with pytest.raises(KvoiceError, match=r"items: 5 components want .*got \[4, 30\]"):
        pca(np.zeros((4, 3, 10)), 5, rng())
    with pytest.raises(KvoiceError, match=r"got \[0, 0\]"):
        pca(np.zeros((0, 3)), 1, rng())
    with pytest.raises(KvoiceError, match="items: one holds NaN"):
        pca(np.full((4, 3), np.nan), 2, rng())
    with pytest.raises(KvoiceError, match="codes has to be a whole number from 1 on, got 0"):
        noise(10, 0, rng())


@pytest.mark.parametrize("bins", [0, 2.0, True])
def test_bins_that_are_none_are_refused(bins):
    with pytest.raises(KvoiceError, match="bins has to be a whole number from 1 on"):
        mig(*gaussian(), bins=bins)
