"""Disentanglement metrics: how well codes separate the factors of the data.

    found = scores(codes, factors, rng)  # all numbers, by the names in SCORES
    scores(identity(factors), factors, rng)  # the upper bound
    scores(noise(len(factors), codes.shape[1], rng), factors, rng)  # chance
    scores(pca(items, codes.shape[1], rng), factors, rng)  # a baseline without training

Codes are numbers [rows, codes], factors whole numbers [rows, factors]: the level of each factor in
a row. Always compare a score with those of `identity` and `noise`. The two classifiers,
`factor_vae` and `beta_vae`, reach 0.9 with a mere rotation of the factors; `modularity` gives 0.5
to noise; `sap_discrete` stays near 0.2 for perfect codes if the levels are many and in order. `mig`
and the disentanglement of `dci` discriminate best.

Definitions are those of Locatello et al. 2019, arXiv:1811.12359 (disentanglement_lib), differences
are named. The largest: it draws rows from a generator of the data, here all come from one table. So
each drawing is of different rows, for learning and judging too, and factors that go together in the
table do so in the scores.
"""

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from kvoice.errors import KvoiceError

SCORES = (
    "mig",
    "sap_continuous",
    "sap_discrete",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "factor_vae",
    "beta_vae",
    "modularity",
    "explicitness",
    "total_correlation",
)
SIZES = {  # training and test rows; of factor_vae and beta_vae, batches
    "sap_continuous": (5000, 0),
    "sap_discrete": (2000, 1000),
    "dci": (1000, 1000),
    "factor_vae": (1000, 5000),
    "beta_vae": (1000, 500),
    "modularity": (5000, 0),
    "explicitness": (5000, 2500),
}
BATCHES = ("factor_vae", "beta_vae")
BINS = 20
ACTIVE = 0.05  # standard deviation from which on `factor_vae` counts a code


# Information of a code about a factor


def mutual_information(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Mutual information of codes and factors, in nats: `sum p(z, v) ln(p(z, v) / (p(z) p(v)))`.

    The range of a code is cut into bins of equal width. With few rows chance alone gives
    information: about `(bins - 1) (levels - 1) / (2 rows)`.

    Shapes: codes [rows, codes], factors [rows, factors] -> [codes, factors].

    Args:
        codes: Values of the codes.
        factors: Levels of the factors, whole numbers.
        bins: Number of bins.

    Raises:
        KvoiceError: If the codes are fewer than two or not finite, the levels are no whole numbers,
            a factor has one level only, or the rows are not the same.
    """
    codes, factors = _table(codes, factors)
    _whole(bins, "bins")
    levels = [_levels(factor) for factor in factors.T]
    return np.array(
        [
            [_information(code, level) for level in levels]
            for code in (_binned(code, bins) for code in codes.T)
        ]
    )


def mig(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """Mutual information gap: the best code of a factor minus the second best.

    `mean_k (I(z_1; v_k) - I(z_2; v_k)) / H(v_k)`, z_1 and z_2 the two codes with most information
    about factor k. 1 if each factor is in one code alone, 0 if it is in two alike.

    Shapes: codes [rows, codes], factors [rows, factors] -> a float, 0 to 1.

    Args, Raises: As `mutual_information`.

    Source: Chen, Li, Grosse & Duvenaud 2018, arXiv:1802.04942, section 4.1.
    """
    information = mutual_information(codes, factors, bins)
    entropy = [_information(level, level) for level in map(_levels, np.asarray(factors).T)]
    return _gap(information / entropy)


def sap_continuous(codes: np.ndarray, factors: np.ndarray) -> float:
    """Separated attribute predictability, by lines: the gap in R² of a factor's best two codes.

    `R²_jk = cov(z_j, v_k)² / (var z_j var v_k)`, 0 for a code of variance 1e-12 or less; the mean
    over k of the best minus the second best. Levels count as the numbers that they are.

    Shapes: codes [rows, codes], factors [rows, factors] -> a float, 0 to 1.

    Raises:
        KvoiceError: As `mutual_information`.

    Source: Kumar, Sattigeri & Balakrishnan 2018, arXiv:1711.00848, section 3.
    """
    codes, factors = _table(codes, factors)
    z, v = codes - codes.mean(axis=0), factors - factors.mean(axis=0)
    variance = (z * z).mean(axis=0)
    alive = variance > 1e-12
    r2 = (z.T @ v / len(z)) ** 2 / np.outer(np.where(alive, variance, 1), (v * v).mean(axis=0))
    return _gap(np.where(alive[:, None], r2, 0))


def sap_discrete(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    train: int = SIZES["sap_discrete"][0],
    test: int = SIZES["sap_discrete"][1],
) -> float:
    """Separated attribute predictability, by classes: the gap of the best two codes in accuracy.

    Each code alone predicts the level of each factor, with a linear support vector machine
    (C = 0.01, balanced classes) that is tested on other rows; the mean over factors of the best
    minus the second best accuracy. Depends on the scale of the codes.

    Shapes: codes [rows, codes], factors [rows, factors] -> a float, 0 to 1.

    Args:
        codes: Values of the codes.
        factors: Levels of the factors, whole numbers.
        rng: NumPy generator that draws the rows.
        train: Number of training rows.
        test: Number of test rows.

    Raises:
        KvoiceError: As `mutual_information`, or if there are fewer rows than `train` and `test`
            together, or `train` rows do not show two levels of each factor.

    Source: Kumar, Sattigeri & Balakrishnan 2018, arXiv:1711.00848, section 3.
    """
    codes, factors = _table(codes, factors)
    learn, judge = _rows(factors, rng, train, test)
    accuracy = np.empty((codes.shape[1], factors.shape[1]))
    for j, k in np.ndindex(accuracy.shape):
        machine = LinearSVC(C=0.01, class_weight="balanced", random_state=_seed(rng))
        machine.fit(codes[learn, j : j + 1], factors[learn, k])
        accuracy[j, k] = machine.score(codes[judge, j : j + 1], factors[judge, k])
    return _gap(accuracy)


# Which code serves which factor


def dci(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    train: int = SIZES["dci"][0],
    test: int = SIZES["dci"][1],
    jobs: int = 1,
) -> dict:
    """Disentanglement, completeness and informativeness, by gradient boosted trees.

    A classifier of each factor learns from all codes. `importance[j, k]` is by how much code j
    lowered the impurity of the trees of factor k, with sum 1 over codes.

    Shapes: codes [rows, codes], factors [rows, factors] -> a dict.

    Args:
        codes: Values of the codes.
        factors: Levels of the factors, whole numbers.
        rng: NumPy generator that draws the rows, and the order in which trees try codes.
        train: Number of training rows.
        test: Number of test rows.
        jobs: How many processes fit at once, -1 for one per processor. The result does not
            depend on it.

    Returns:
        "disentanglement" (None if there is only one factor, which no code can confuse) and
        "completeness", see these; "informativeness", the mean accuracy on the test rows;
        "importance" [codes, factors].

    Raises:
        KvoiceError: As `sap_discrete`.

    Source: Eastwood & Williams 2018, "A framework for the quantitative evaluation of disentangled
    representations", ICLR; differs: trees and accuracy, as in arXiv:1811.12359, for their lasso or
    random forest and its error.
    """
    codes, factors = _table(codes, factors)
    learn, judge = _rows(factors, rng, train, test)
    fits = Parallel(n_jobs=jobs)(
        delayed(_boosted)(codes[learn], factor[learn], codes[judge], factor[judge], _seed(rng))
        for factor in factors.T
    )
    importance = np.stack([importance for importance, _ in fits], axis=1)
    return {
        "disentanglement": disentanglement(importance) if importance.shape[1] > 1 else None,
        "completeness": completeness(importance),
        "informativeness": float(np.mean([accuracy for _, accuracy in fits])),
        "importance": importance,
    }


def disentanglement(importance: np.ndarray) -> float:
    """Whether each code serves one factor: `sum_j w_j (1 - H(R_j) / ln factors)`.

    `R_j` are the importances of code j, `w_j` their share of all: a code that serves nothing does
    not count. 1 if each serves one factor, 0 if all serve all alike, or none anything.

    Shapes: importance [codes, factors], of `dci` -> a float, 0 to 1.

    Raises:
        KvoiceError: If the importance is no such array with two codes and two factors or more, or
            one is below 0 or not finite.

    Source: Eastwood & Williams 2018, "A framework for the quantitative evaluation of disentangled
    representations", section 2.
    """
    return _concentration(_matrix(importance, "importance"))


def completeness(importance: np.ndarray) -> float:
    """Whether each factor is in one code: `sum_k w_k (1 - H(R_k) / ln codes)`.

    As `disentanglement`, with codes and factors exchanged; one factor is enough.

    Shapes: importance [codes, factors], of `dci` -> a float, 0 to 1.

    Raises:
        KvoiceError: As `disentanglement`.

    Source: Eastwood & Williams 2018, as `disentanglement`.
    """
    return _concentration(_matrix(importance, "importance", factors=1).T)


def modularity(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """`modularity_of` the mutual information of codes and factors.

    Shapes: codes [rows, codes], factors [rows, factors] -> a float, 0 to 1.

    Args: As `mutual_information`.

    Raises:
        KvoiceError: As `mutual_information`, or if there are fewer than two factors.

    Source: Ridgeway & Mozer 2018, arXiv:1802.05312, section 3.
    """
    return modularity_of(mutual_information(codes, factors, bins))


def modularity_of(information: np.ndarray) -> float:
    """Modularity of codes: mean_j `1 - sum_{k != k*} I_jk² / (I_jk*² (factors - 1))`.

    k* is the factor that code j has most information about. All codes count alike, also those with
    chance information only; one without any information has 0.

    Shapes: information [codes, factors], of `mutual_information` -> a float, 0 to 1.

    Raises:
        KvoiceError: If the information is no such array with two codes and two factors or more, or
            one is below 0 or not finite.

    Source: Ridgeway & Mozer 2018, arXiv:1802.05312, section 3.
    """
    squares = _matrix(information, "information") ** 2
    best = squares.max(axis=1)
    others = (squares.sum(axis=1) - best) / np.where(best > 0, best, 1) / (squares.shape[1] - 1)
    return float(np.where(best > 0, 1 - others, 0).mean())


def explicitness(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    train: int = SIZES["explicitness"][0],
    test: int = SIZES["explicitness"][1],
) -> float:
    """How well a linear classifier of all codes predicts the levels: mean area under the ROC curve.

    A logistic regression of each factor learns from standardised codes; the mean over factors of
    the mean over levels of the area of that level against all others, on test rows. Not
    rescaled: 0.5 is chance, where some stretch it to 0. Levels that do not occur in the training
    or the test rows do not count; neither do codes that do not vary.

    Shapes: codes [rows, codes], factors [rows, factors] -> a float, 0 to 1.

    Args, Raises: As `sap_discrete`.

    Source: Ridgeway & Mozer 2018, arXiv:1802.05312, section 3.
    """
    codes, factors = _table(codes, factors)
    learn, judge = _rows(factors, rng, train, test)
    alive = np.ptp(codes[learn], axis=0) > 0  # the spread of a constant can round to above 0
    codes = (codes - codes[learn].mean(axis=0)) / np.where(alive, codes[learn].std(axis=0), 1)
    areas = []
    for factor in factors.T:
        line = _line(codes[learn], factor[learn])
        odds = line.predict_proba(codes[judge])
        true = factor[judge][:, None] == line.classes_
        known = true.any(axis=0) & ~true.all(axis=0)
        if not known.any():
            raise KvoiceError(f"test={test} rows show one level only of a factor: take more")
        areas.append(
            np.mean([roc_auc_score(true[:, i], odds[:, i]) for i in np.flatnonzero(known)])
        )
    return float(np.mean(areas))


# Which factor is kept


def factor_vae(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    train: int = SIZES["factor_vae"][0],
    test: int = SIZES["factor_vae"][1],
    batch: int = 64,
) -> float:
    """How often the code of least variance identifies the factor that is fixed.

    For each vote a factor is drawn and a row, and a batch of rows that have the level of that row
    in this factor. The code of least `variance in the batch / variance of all rows` votes for the
    factor. What each code stands for is the factor that it votes for most often in `train` votes;
    the score is how often that is right in `test` others. Codes of standard deviation below 0.05
    have no vote; 0 if none has one.

    Drawn from the table, with replacement. The papers draw from a generator, with all other factors
    independent: a full or a large random table does the same, to within 0.03 at 10,000 random rows.
    In others the rows of a level are few, and factors that go together do so in the batches. The
    training and test votes are of the same rows.

    Shapes: codes [rows, codes], factors [rows, factors] -> a float, 0 to 1.

    Args:
        codes: Numbers; their scale only matters for which have a vote.
        factors: Levels of the factors, whole numbers.
        rng: NumPy generator that draws factors and rows.
        train: Number of training votes.
        test: Number of test votes.
        batch: Number of rows that share a level.

    Raises:
        KvoiceError: As `mutual_information`, or if there are fewer than two factors, or a level has
            one row only.

    Source: Kim & Mnih 2018, arXiv:1802.05983, section 4 and appendix B.
    """
    codes, factors = _table(codes, factors)
    alike = _Alike(factors)
    variance = codes.var(axis=0, ddof=1)
    active = np.sqrt(variance) >= ACTIVE
    _whole(batch, "batch", least=2)
    if not active.any():
        return 0.0
    codes = codes[:, active] / np.sqrt(variance[active])

    def votes(count):
        kept = rng.integers(factors.shape[1], size=count)
        rows = rng.integers(len(codes), size=count)
        least = [
            codes[alike.rows(np.full(batch, row), k, rng)].var(axis=0).argmin()
            for k, row in zip(kept, rows)
        ]
        return kept, np.array(least)

    kept, least = votes(_whole(train, "train"))
    count = np.zeros((factors.shape[1], codes.shape[1]))
    np.add.at(count, (kept, least), 1)
    kept, least = votes(_whole(test, "test"))
    return float(np.mean(count.argmax(axis=0)[least] == kept))


def beta_vae(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    train: int = SIZES["beta_vae"][0],
    test: int = SIZES["beta_vae"][1],
    batch: int = 64,
) -> float:
    """How often a linear classifier identifies the factor that pairs of rows have in common.

    For each batch a factor is drawn, `batch` rows, and for each of these another that has its level
    in this factor. Of the mean `|z_1 - z_2|` over the pairs, [codes], a logistic regression learns
    which factor that is; the score is its accuracy on `test` batches. Depends on the scale of the
    codes.

    Drawn from the table as in `factor_vae`; where rows are few, a row is often paired with itself.

    Shapes: codes [rows, codes], factors [rows, factors] -> a float, 0 to 1.

    Args:
        codes: Values of the codes.
        factors: Levels of the factors, whole numbers.
        rng: NumPy generator that draws factors and rows.
        train: Number of training batches.
        test: Number of test batches.
        batch: Number of pairs.

    Raises:
        KvoiceError: As `factor_vae`, or if `train` batches are all of one factor.

    Source: Higgins et al. 2017, "beta-VAE", ICLR, section 3; logistic regression and the settings
    as in arXiv:1811.12359.
    """
    codes, factors = _table(codes, factors)
    alike = _Alike(factors)
    _whole(batch, "batch")

    def differences(count):
        kept = rng.integers(factors.shape[1], size=count)
        points = np.empty((count, codes.shape[1]))
        for i, k in enumerate(kept):
            rows = rng.integers(len(codes), size=batch)
            points[i] = np.abs(codes[rows] - codes[alike.rows(rows, k, rng)]).mean(axis=0)
        return points, kept

    points, kept = differences(_whole(train, "train"))
    if (kept == kept[0]).all():
        raise KvoiceError(f"train={train} batches are all of one factor: take more")
    return float(_line(points, kept).score(*differences(_whole(test, "test"))))


# Without factors


def total_correlation(codes: np.ndarray) -> float:
    """How far codes depend on each other if they are Gaussian, in nats: `-1/2 ln det corr(codes)`.

    0 if none correlates with another, infinite if one is a linear function of others. Codes that do
    not vary do not count. Other dependence than that of lines is not seen.

    Shapes: codes [rows, codes] -> a float >= 0.

    Raises:
        KvoiceError: If the codes are fewer than two, the rows too, or a code is not finite.

    Source: Watanabe 1960, "Information theoretical analysis of multivariate correlation"; of
    Gaussians as in arXiv:1811.12359.
    """
    codes = _codes(codes)
    codes = codes[:, np.ptp(codes, axis=0) > 0]
    if codes.shape[1] < 2:
        return 0.0
    values = np.linalg.eigvalsh(np.corrcoef(codes, rowvar=False))
    return max(0.0, float(-0.5 * np.log(values).sum())) if values[0] > 1e-12 else float("inf")


# All of them, and what to read them beside


def scores(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    train: int = 10_000,
    test: int = 5_000,
    jobs: int = 1,
) -> dict:
    """All scores at the settings in `SIZES`, `mig` and `total_correlation` of all rows.

    Where rows are fewer than a score wants, it takes them all, shared between learning and judging
    in the proportion of its setting. Scores of other sizes differ: see "sizes" before comparing.

    Shapes: codes [rows, codes], factors [rows, factors] -> a dict, fit for JSON.

    Args:
        codes: Values of the codes.
        factors: Levels of the factors, whole numbers.
        rng: NumPy generator that draws rows.
        train: Largest number of training rows or batches, for all scores but those of all rows.
        test: Largest number of test rows or batches.
        jobs: As in `dci`.

    Returns:
        A float for each name in `SCORES`. With one factor alone, None for those that ask which
        factor it is: "dci_disentanglement", "factor_vae", "beta_vae", "modularity". None for a
        total correlation that is infinite. "importance" of `dci`, [codes][factors]. "sizes", for
        each key of `SIZES` [training rows, test rows] as used, and "rows".

    Raises:
        KvoiceError: As the functions of this module.
    """
    codes, factors = _table(codes, factors)
    _whole(train, "train"), _whole(test, "test")
    sizes = {name: _sizes(name, len(codes), train, test) for name in SIZES}

    def drawn(score, name, **options):
        learn, judge = sizes[name]
        return score(codes, factors, rng, train=learn, test=judge, **options)

    def part(name):
        rows = rng.permutation(len(codes))[: sizes[name][0]]
        return codes[rows], factors[rows]

    trees = drawn(dci, "dci", jobs=jobs)
    several = factors.shape[1] > 1
    correlation = total_correlation(codes)
    return {
        "mig": mig(codes, factors),
        "sap_continuous": sap_continuous(*part("sap_continuous")),
        "sap_discrete": drawn(sap_discrete, "sap_discrete"),
        "dci_disentanglement": trees["disentanglement"],
        "dci_completeness": trees["completeness"],
        "dci_informativeness": trees["informativeness"],
        "factor_vae": drawn(factor_vae, "factor_vae") if several else None,
        "beta_vae": drawn(beta_vae, "beta_vae") if several else None,
        "modularity": modularity(*part("modularity")) if several else None,
        "explicitness": drawn(explicitness, "explicitness"),
        "total_correlation": correlation if np.isfinite(correlation) else None,
        "importance": trees["importance"].tolist(),
        "sizes": {"rows": len(codes), **{name: list(pair) for name, pair in sizes.items()}},
    }


def identity(factors: np.ndarray) -> np.ndarray:
    """The factors as codes, each with mean 0 and standard deviation 1: the upper bound.

    A factor that is alone gets a second code beside it, which is always 0: scores compare two.

    Shapes: factors [rows, factors] -> [rows, factors] float64, [rows, 2] for one factor.

    Raises:
        KvoiceError: If the levels are no whole numbers, or a factor has one level only.
    """
    factors = _factors(factors)
    codes = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    return codes if codes.shape[1] > 1 else np.pad(codes, [(0, 0), (0, 1)])


def noise(rows: int, codes: int, rng: np.random.Generator) -> np.ndarray:
    """Codes without information, standard normal: the chance level.

    Shapes: -> [rows, codes] float64.

    Raises:
        KvoiceError: If a number is not a whole one from 1 on.
    """
    return rng.normal(size=(_whole(rows, "rows"), _whole(codes, "codes")))


def pca(items: np.ndarray, codes: int, rng: np.random.Generator) -> np.ndarray:
    """The first principal components of the items themselves: a baseline without training.

    Shapes: items [rows, ...] -> [rows, codes].

    Args:
        items: Numbers, images or mels for example.
        codes: Number of components.
        rng: Seeds the approximate decomposition.

    Raises:
        KvoiceError: If an item is not finite, or the items have fewer rows or numbers than `codes`.
    """
    items = np.asarray(items)
    items = items.reshape(len(items), -1) if items.size else items.reshape(0, 0)
    if _whole(codes, "codes") > min(items.shape):
        raise KvoiceError(
            f"items: {codes} components want as many rows and numbers in each, got "
            f"{list(items.shape)}"
        )
    if not np.isfinite(items).all():
        raise KvoiceError("items: one holds NaN or infinite values")
    return PCA(codes, svd_solver="randomized", random_state=_seed(rng)).fit_transform(items)


def _gap(matrix):
    """The best minus the second best of each column of [codes, factors], the mean over columns."""
    second, best = np.sort(matrix, axis=0)[-2:]
    return float((best - second).mean())


def _binned(code, bins):
    """In which of `bins` bins of equal width over its range each number is, from 0 on."""
    edges = np.linspace(code.min(), code.max(), bins + 1)
    return np.searchsorted(edges[1:-1], code, side="right")


def _levels(factor):
    """The levels of a factor, numbered from 0 on."""
    return np.unique(factor, return_inverse=True)[1]


def _information(a, b):
    """Mutual information of two lists of whole numbers from 0 on, in nats."""
    joint = np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1))
    joint = joint.reshape(-1, b.max() + 1) / len(a)
    chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return max(0.0, float((joint[seen] * np.log(joint[seen] / chance[seen])).sum()))


def _boosted(learn, learn_levels, judge, judge_levels, seed):
    """The importance [codes] of codes for one factor, and the accuracy that they allow."""
    trees = GradientBoostingClassifier(random_state=seed).fit(learn, learn_levels)
    # The importance of a code that is never used can round to just below 0.
    return np.abs(trees.feature_importances_), trees.score(judge, judge_levels)


def _line(points, labels):
    """A logistic regression, as far as it gets in 100 iterations, which are part of the definition.

    In one thread: its products are so small that two, on a busy machine, take twenty times as long.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression().fit(points, labels)


def _concentration(rows):
    """How far each row is in one column, 1 - entropy in its largest unit, weighted by its sum."""
    shares = (rows + 1e-11) / (rows + 1e-11).sum(axis=1, keepdims=True)
    each = 1 + (shares * np.log(shares)).sum(axis=1) / np.log(rows.shape[1])
    weights = rows.sum(axis=1) if rows.any() else np.ones(len(rows))
    return float((each * weights).sum() / weights.sum())


class _Alike:
    """For rows of a table, others that have the same level of one factor.

    Raises:
        KvoiceError: If there are fewer than two factors, or a level has one row only.
    """

    def __init__(self, factors):
        if factors.shape[1] < 2:
            raise KvoiceError(
                "factors: which one is kept can only be asked of two or more, got one"
            )
        self.order = factors.argsort(axis=0, kind="stable")  # rows, sorted by level
        self.first, self.count = np.empty_like(self.order), np.empty_like(self.order)
        for k, factor in enumerate(factors.T):
            values, level, counts = np.unique(factor, return_inverse=True, return_counts=True)
            if counts.min() < 2:
                raise KvoiceError(
                    f"factors: level {values[counts.argmin()]} of factor {k} has one row "
                    "only, two or more of each level are wanted"
                )
            self.first[:, k], self.count[:, k] = (counts.cumsum() - counts)[level], counts[level]

    def rows(self, rows, factor, rng):
        """Draws for each of `rows` one of those with its level of `factor`, itself included."""
        drawn = rng.integers(self.count[rows, factor])
        return self.order[self.first[rows, factor] + drawn, factor]


def _sizes(name, rows, train, test):
    """Of how many rows or batches a score learns and is judged, where `rows` rows are there."""
    learn, judge = min(SIZES[name][0], train), min(SIZES[name][1], test)
    if name not in BATCHES and learn + judge > rows:
        judge = max(1, rows * judge // (learn + judge)) if judge else 0
        learn = rows - judge
    return learn, judge


def _rows(factors, rng, train, test):
    """Draws different training and test rows.

    Raises:
        KvoiceError: As `sap_discrete`.
    """
    _whole(train, "train"), _whole(test, "test")
    if train + test > len(factors):
        raise KvoiceError(
            f"codes: train={train} and test={test} want {train + test} rows, got {len(factors)}"
        )
    rows = rng.permutation(len(factors))[: train + test]
    for k, factor in enumerate(factors[rows[:train]].T):
        if (factor == factor[0]).all():
            raise KvoiceError(f"train={train} rows show one level only of factor {k}: take more")
    return rows[:train], rows[train:]


def _seed(rng):
    return int(rng.integers(2**31))


def _whole(number, name, least=1):
    """The number.

    Raises:
        KvoiceError: If it is not a whole one from `least` on.
    """
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
        raise KvoiceError(f"{name} has to be a whole number from {least} on, got {number!r}")
    return number


def _matrix(matrix, name, factors=2):
    """A matrix [codes, factors] as float64, of `factors` factors or more.

    Raises:
        KvoiceError: As `disentanglement`.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < 2 or matrix.shape[1] < factors:
        raise KvoiceError(
            f"{name} has to be [codes, factors], 2 or more by {factors} or more, got "
            f"{list(matrix.shape)}"
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise KvoiceError(f"{name} has to be finite and not below 0")
    return matrix


def _codes(codes):
    """Codes [rows, codes] as float64.

    Raises:
        KvoiceError: As `total_correlation`.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.dtype.kind not in "fiu" or len(codes) < 2 or codes.shape[1] < 2:
        raise KvoiceError(
            "codes has to be [rows, codes] numbers with 2 rows and 2 codes or more, got "
            f"{list(codes.shape)} {codes.dtype}"
        )
    if not np.isfinite(codes).all():
        raise KvoiceError(
            "codes has to be finite, got NaN or infinite values in row "
            f"{np.argmin(np.isfinite(codes).all(axis=1))}"
        )
    return codes.astype(np.float64)


def _factors(factors):
    """Factors [rows, factors] as int64.

    Raises:
        KvoiceError: As `identity`.
    """
    factors = np.asarray(factors)
    if factors.ndim != 2 or factors.dtype.kind not in "iu" or not factors.size:
        raise KvoiceError(
            "factors has to be [rows, factors] whole numbers, the levels, got "
            f"{list(factors.shape)} {factors.dtype}"
        )
    for k, factor in enumerate(factors.T):
        if (factor == factor[0]).all():
            raise KvoiceError(f"factors: factor {k} has one level only, {factor[0]}: leave it out")
    return factors.astype(np.int64)


def _table(codes, factors):
    """Codes as float64 and factors as int64 of the same rows.

    Raises:
        KvoiceError: As `mutual_information`.
    """
    codes, factors = _codes(codes), _factors(factors)
    if len(codes) != len(factors):
        raise KvoiceError(
            f"codes and factors have to be of the same rows, got {len(codes)} and {len(factors)}"
        )
    return codes, factors
