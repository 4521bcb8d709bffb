"""Association of codes with a label: effect sizes, confidence intervals, permutation tests.

    name = statistic(label)                            # "auc", "pairwise_auc", "eta2" or "r2"
    score(codes, label)                                # of each code, 0.5 or 0 = nothing
    interval(codes, label, rng, groups=speakers)       # [codes, 2]
    p, least = permutation(codes, label, rng, groups=speakers)

Codes are one [items] or several [items, codes]; a result is then a number or [codes]. A label of
whole numbers, strings or booleans is categorical, one of fractions is continuous. `groups` are the
independent units: utterances of one speaker are not independent, so that speakers, not utterances,
are resampled, and a label that belongs to the speaker is permuted between speakers. For a label
that is the group itself, such as the speaker, leave them out.
"""

import math

import numpy as np

from kvoice.errors import KvoiceError

BINS = 20  # of a code, for its mutual information, as in the mutual information gap
PAIRED = 10  # classes up to which all pairs of them are compared
RESAMPLES, PERMUTATIONS = 500, 1000
LEVEL = 95  # percent of the resamples that an interval holds
_BLOCK = 1 << 19  # numbers worked on at once: they stay in the cache of the processor


# --- One number for each code


def auc(codes: np.ndarray, label: np.ndarray) -> float | np.ndarray:
    """The chance that an item of the second class has a greater code than one of the first.

    `(#{greater} + #{equal} / 2) / (n_1 n_2)` over all pairs of items: the area under the ROC curve.
    0.5 where the code has no information, 1 where it separates, 0 where it does so the other way
    round. Which class is the second: the greater label.

    Shapes: codes [items] or [items, codes], label [items] -> a number or [codes].

    Raises:
        KvoiceError: If the shapes differ, a code is NaN or infinite, or the classes are not two.

    Source: Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve".
    """
    columns, label, shape = _checked(codes, label)
    areas = _pairs(columns, _two(label)[None], _once(label), 2)
    return areas[0, :, 0].reshape(shape)[()]


def pairwise_auc(codes: np.ndarray, label: np.ndarray) -> float | np.ndarray:
    """Mean over the pairs of classes of their AUC, each the way round that is above 0.5.

    Classes count alike, however frequent. Each pair is read the way that suits it, so that a code
    without information has a little more than 0.5 where items are few; `permutation` accounts for
    it.

    Shapes: codes [items] or [items, codes], label [items] -> a number or [codes], 0.5 to 1.

    Raises:
        KvoiceError: If the shapes differ, a code is NaN or infinite, or there is but one class.

    Source: Hand & Till 2001, "A simple generalisation of the area under the ROC curve for multiple
    class classification problems"; differs: a code is no probability of a class, hence the fold.
    """
    columns, label, shape = _checked(codes, label)
    return _scores("pairwise_auc", columns, _classes(label), _once(label))[0].reshape(shape)[()]


def d_prime(codes: np.ndarray, label: np.ndarray) -> float | np.ndarray:
    """Distance of the means of two classes in standard deviations: `(m_2 - m_1) / s`.

    s^2 is the mean of the two variances, so that it does not depend on which class is frequent. For
    two Gaussians, AUC = Phi(d' / sqrt(2)). 0 where the code is constant.

    Shapes: codes [items] or [items, codes], label [items] -> a number or [codes].

    Raises:
        KvoiceError: As `auc`.

    Source: Simpson & Fitter 1973, "What is the best index of detectability?" (d_a).
    """
    columns, label, shape = _checked(codes, label)
    numbers, columns = _two(label), _standard(columns)
    first, second = (columns[numbers == i] for i in (0, 1))
    gap = second.mean(axis=0) - first.mean(axis=0)
    spread = np.sqrt((first.var(axis=0) + second.var(axis=0)) / 2)
    return _ratio(gap, spread).reshape(shape)[()]


def mutual_information(codes: np.ndarray, label: np.ndarray) -> float | np.ndarray:
    """Mutual information of a code and the label, in nats: `sum p(i, c) ln (p(i, c) / p(i) p(c))`.

    i is one of `BINS` equal bins between the least and the greatest value of the code, c the class.
    Divided by `entropy(label)` it is the share of the label's entropy. Too large by about
    (BINS - 1) (classes - 1) / (2 items).

    Shapes: codes [items] or [items, codes], label [items] -> a number or [codes], >= 0.

    Raises:
        KvoiceError: As `pairwise_auc`.

    Source: bins as Locatello et al. 2019, arXiv:1811.12359, for the gap of Chen et al. 2018,
    arXiv:1802.04942.
    """
    columns, label, shape = _checked(codes, label)
    numbers = _classes(label)[0]
    classes = numbers.max() + 1
    information = np.empty(columns.shape[1])
    for d, column in enumerate(columns.T):
        counts = np.bincount(_binned(column) * classes + numbers, minlength=BINS * classes)
        joint = counts.reshape(BINS, classes) / len(label)
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
        seen = joint > 0
        information[d] = np.sum(joint[seen] * np.log(joint[seen] / apart[seen]))
    return np.maximum(information, 0).reshape(shape)[()]


def entropy(label: np.ndarray) -> float:
    """Entropy of the classes of a label [items], in nats."""
    shares = np.unique(label, return_counts=True)[1] / len(label)
    return float(-np.sum(shares * np.log(shares)))


def r2(codes: np.ndarray, label: np.ndarray) -> float | np.ndarray:
    """Squared correlation with a continuous label: the share of its variance that a line explains.

    Shapes: codes [items] or [items, codes], label [items] -> a number or [codes], 0 to 1.

    Raises:
        KvoiceError: If the shapes differ, a value is NaN or infinite, or the label is constant.
    """
    columns, label, shape = _checked(codes, label)
    return _r2(columns, label.astype(np.float64)[None], _once(label))[0].reshape(shape)[()]


def eta2(codes: np.ndarray, label: np.ndarray) -> float | np.ndarray:
    """The share of a code's variance that lies between the means of the classes.

    Shapes: codes [items] or [items, codes], label [items] -> a number or [codes], 0 to 1.

    Raises:
        KvoiceError: As `pairwise_auc`.

    Source: Fisher 1925, "Statistical Methods for Research Workers", on the correlation ratio.
    """
    columns, label, shape = _checked(codes, label)
    return _scores("eta2", columns, _classes(label), _once(label))[0].reshape(shape)[()]


def directions(codes: np.ndarray, label: np.ndarray) -> np.generic | np.ndarray:
    """Direction of each code: the class that ranks highest, or +1 / -1 for a continuous label.

    Shapes: codes [items] or [items, codes], label [items] -> one of the labels or [codes].

    Raises:
        KvoiceError: As `r2` and `eta2`.
    """
    columns, label, shape = _checked(codes, label)
    if _continuous(label):
        rising = (label - label.mean()) @ (columns - columns.mean(axis=0)) >= 0
        return np.where(rising, 1, -1).reshape(shape)[()]
    names, numbers = np.unique(label, return_inverse=True)
    from scipy import stats  # here: it takes most of a second

    ranks = stats.rankdata(columns, axis=0)
    means = np.stack([ranks[numbers == i].mean(axis=0) for i in range(len(names))])
    return names[means.argmax(axis=0)].reshape(shape)[()]


# --- The statistic that suits the label, and what chance has to do with it


def statistic(label: np.ndarray) -> str:
    """Returns the name of the statistic that `score` computes for this label.

    "auc" for two classes, "pairwise_auc" for up to `PAIRED`, "eta2" for more (pairs would be too
    many), "r2" for continuous labels.
    """
    label = np.asarray(label)
    if _continuous(label):
        return "r2"
    count = len(np.unique(label))
    return "auc" if count == 2 else "pairwise_auc" if count <= PAIRED else "eta2"


def score(codes: np.ndarray, label: np.ndarray) -> float | np.ndarray:
    """The `statistic` of a label, the AUC of two classes turned to above 0.5 (see `directions`).

    Shapes: codes [items] or [items, codes], label [items] -> a number or [codes].

    Raises:
        KvoiceError: If the shapes differ, a value is NaN or infinite, or the label is the same
            everywhere.
    """
    columns, label, shape = _checked(codes, label)
    return _scores(statistic(label), columns, _values(label), _once(label))[0].reshape(shape)[()]


def interval(
    codes: np.ndarray,
    label: np.ndarray,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
    resamples: int = RESAMPLES,
) -> np.ndarray:
    """Bootstrap interval of the score over groups: the middle `LEVEL` % of resamples.

    Groups are drawn with replacement, as many as there are, each with all its items; without groups
    the items are. An AUC is read the way round that it has on all items, and can therefore fall
    below 0.5. Pairs of classes that a resample lacks are left out. With few groups (below ten or
    so) such intervals are too narrow, and where a class lies in a single group there is none: NaN.

    Shapes: codes [items] or [items, codes], label [items], groups [items] -> [2] or [codes, 2].

    Args:
        codes, label: As for `score`.
        rng: A NumPy generator.
        groups: The group of each item, such as its speaker; None = each item is a group.
        resamples: Number of resamples.

    Raises:
        KvoiceError: As `score`, or if the groups are of other items.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife", percentiles; of groups,
    Field & Welsh 2007, "Bootstrapping clustered data".
    """
    columns, label, shape = _checked(codes, label)
    group = _groups(groups, label)
    count, values = group.max() + 1, _values(label)
    if _continuous(label):
        alone = count < 2
    else:
        alone = min(len(np.unique(group[values[0] == i])) for i in range(values.max() + 1)) < 2
    if alone:
        return np.full((*shape, 2), np.nan)
    name = statistic(label)
    up = None
    if name in ("auc", "pairwise_auc"):
        up = _pairs(columns, values, _once(label), values.max() + 1) >= 0.5
    drawn = rng.multinomial(count, np.full(count, 1 / count), resamples)[:, group]
    scores = _scores(name, columns, values, drawn.astype(np.float64), up)
    sides = np.nanpercentile(scores, [(100 - LEVEL) / 2, (100 + LEVEL) / 2], axis=0)
    return sides.T.reshape(*shape, 2)


def permutation(
    codes: np.ndarray,
    label: np.ndarray,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
    permutations: int = PERMUTATIONS,
) -> tuple[float | np.ndarray, float]:
    """Permutation test of the score against a label without association, corrected for all codes.

    `p = (1 + #{permutations whose best code reaches the score}) / (1 + permutations)`: the best of
    all codes each time, so that p holds for the search over all of them (family-wise), and for
    each. What is permuted: a class that is the same throughout each group (a speaker's gender),
    between the groups; other classes within their groups, so that a group's own mixture of classes
    passes for nothing; of a number, the groups' means between the groups and what remains within
    them. Without groups, between the items: so too for a label that is the groups themselves.

    Shapes: codes [items] or [items, codes], label [items], groups [items] -> (p, a number or
    [codes]; least, a float).

    Args:
        codes, label: As for `score`.
        rng: A NumPy generator.
        groups: As for `interval`.
        permutations: Number of permutations.

    Returns:
        p, and what it cannot fall below (but for the luck of the draw), since few groups have few
        permutations: four speakers, two of each gender, cannot give less than 1/3.

    Raises:
        KvoiceError: As `interval`.

    Source: Westfall & Young 1993, "Resampling-Based Multiple Testing" (the maximum); Phipson &
    Smyth 2010, arXiv:1603.05766 (the 1).
    """
    columns, label, shape = _checked(codes, label)
    group, values, name = _groups(groups, label), _values(label)[0], statistic(label)
    shuffled = _shuffled(values, group, rng, permutations)
    found = _scores(name, columns, values[None], _once(label))[0]
    best = np.sort(_scores(name, columns, shuffled, _once(label)).max(axis=1))
    reached = permutations - np.searchsorted(best, found - 1e-9)  # sums round
    p = (1 + reached) / (1 + permutations)
    return p.reshape(shape)[()], max(1 / (1 + permutations), _least(values, group))


def _shuffled(values, group, rng, count):
    """The label of `permutation`, `count` times anew: [count, items]."""
    first = np.unique(group, return_index=True)[1]
    if np.array_equal(values, values[first][group]):  # belongs to the group
        return rng.permuted(np.tile(values[first], (count, 1)), axis=1)[:, group]
    if values.dtype.kind == "f":
        means = np.bincount(group, values) / np.bincount(group)
        rest = _within(values - means[group], group, rng, count)
        return rng.permuted(np.tile(means, (count, 1)), axis=1)[:, group] + rest
    return _within(values, group, rng, count)


def _within(values, group, rng, count):
    shuffled = np.tile(values, (count, 1))
    for number in range(group.max() + 1):
        items = np.flatnonzero(group == number)
        shuffled[:, items] = rng.permuted(shuffled[:, items], axis=1)
    return shuffled


def _least(values, group):
    """The share of the permutations of classes between groups that leave all as it is.

    Classes that swap names leave the scores as they are too. 0 where it is not between groups.
    """
    first = np.unique(group, return_index=True)[1]
    if values.dtype.kind == "f" or not np.array_equal(values, values[first][group]):
        return 0.0
    counts = np.bincount(values[first])  # groups of each class
    names = math.prod(map(math.factorial, np.unique(counts, return_counts=True)[1].tolist()))
    same = math.prod(map(math.factorial, counts.tolist()))
    return names * same / math.factorial(len(first))


# --- Many weightings or labellings at once


def _scores(name, columns, values, weights, up=None):
    """The scores of codes under several labellings or weightings of the items.

    Shapes: columns [items, codes], values and weights [rows or 1, items], up [1, codes, pairs] ->
    [rows, codes]; an AUC is NaN where a row has one class only.

    Args:
        name: The name of the statistic.
        columns: The codes.
        values: Numbers of classes, or numbers.
        weights: How often each item counts.
        up: For an AUC, which pairs of classes are read as they are; None = those above 0.5.
    """
    classes = 1 if name == "r2" else values.max() + 1
    rows = max(len(values), len(weights))
    step = max(1, _BLOCK // (classes * len(columns)))
    blocks = []
    for start in range(0, rows, step):
        block = [
            each[start : start + step] if len(each) > 1 else each for each in (values, weights)
        ]
        if name == "r2":
            blocks.append(_r2(columns, *block))
        elif name == "eta2":
            blocks.append(_eta2(columns, *block, classes))
        else:
            pairs = _pairs(columns, *block, classes)
            folded = np.where(pairs >= 0.5 if up is None else up, pairs, 1 - pairs)
            known = np.isfinite(folded)
            blocks.append(_ratio(np.where(known, folded, 0).sum(axis=2), known.sum(axis=2), np.nan))
    return np.concatenate(blocks)


def _pairs(columns, numbers, weights, classes):
    """The AUC of each pair of classes a < b, above 0.5 where b is greater: [rows, codes, pairs]."""
    pairs = list(zip(*np.triu_indices(classes, 1)))
    member = np.ascontiguousarray(_member(numbers, weights, classes).transpose(1, 2, 0))
    sizes = member.sum(axis=1)  # [classes, rows]
    areas = np.empty((member.shape[2], columns.shape[1], len(pairs)))
    for d, column in enumerate(columns.T):
        order = np.argsort(column, kind="stable")
        ties = np.flatnonzero(np.append(True, np.diff(column[order]) > 0))
        held = member[:, order]  # [classes, items, rows]
        if len(ties) < len(column):
            held = np.add.reduceat(held, ties, axis=1)
        below = np.cumsum(held[:-1], axis=1) - held[:-1] / 2
        for i, (a, b) in enumerate(pairs):
            areas[:, d, i] = np.einsum("nr,nr->r", below[a], held[b])
    first, second = np.transpose(pairs)
    return _ratio(areas, (sizes[first] * sizes[second]).T[:, None], np.nan)


def _eta2(columns, numbers, weights, classes):
    member, columns = _member(numbers, weights, classes), _standard(columns)
    sizes, sums = member.sum(axis=2)[..., None], member @ columns  # [rows, classes, 1 or codes]
    mean = sums.sum(axis=1) / sizes.sum(axis=1)
    total = weights @ columns**2 - sizes.sum(axis=1) * mean**2
    between = np.sum(sizes * (_ratio(sums, sizes) - mean[:, None]) ** 2, axis=1)
    return _ratio(between, total)


def _r2(columns, values, weights):
    columns, values = _standard(columns), (values - values.mean()) / values.std()
    total, weighted = weights.sum(axis=1, keepdims=True), weights * values
    x, y = weights @ columns / total, weighted.sum(axis=1, keepdims=True) / total
    xx = weights @ columns**2 / total - x**2
    yy = (weighted * values).sum(axis=1, keepdims=True) / total - y**2
    return np.minimum(_ratio((weighted @ columns / total - x * y) ** 2, xx * yy), 1)


def _member(numbers, weights, classes):
    """How often each item counts in each class: [rows, classes, items]."""
    return weights[:, None] * (numbers[:, None] == np.arange(classes)[:, None])


def _standard(columns):
    """Columns with mean 0 and spread 1, or all 0 where nothing but rounding varies."""
    spread = columns.std(axis=0)
    varies = spread > 1e-12 * np.abs(columns).max(axis=0)
    return np.where(varies, (columns - columns.mean(axis=0)) / np.where(varies, spread, 1), 0)


def _ratio(above, below, otherwise=0.0):
    """`above / below`, or `otherwise` where nothing but rounding is below."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), below)
    return np.divide(above, below, out=np.full(above.shape, otherwise), where=below > 1e-12)


# --- What is given


def _continuous(label):
    return label.dtype.kind == "f"


def _classes(label):
    """Numbers of the classes from 0 on: [1, items]."""
    return np.unique(label, return_inverse=True)[1].reshape(1, -1)


def _values(label):
    """A label for `_scores`: numbers of classes, or the numbers themselves: [1, items]."""
    return label.astype(np.float64)[None] if _continuous(label) else _classes(label)


def _once(label):
    return np.ones((1, len(label)))


def _two(label):
    names, numbers = np.unique(label, return_inverse=True)
    if len(names) != 2:
        raise KvoiceError(f"the label has to have two classes, got {len(names)}")
    return numbers


def _binned(values):
    """The bin of each value, 0 to BINS - 1, of equal bins between the least and the greatest."""
    return np.digitize(values, np.histogram_bin_edges(values, BINS)[:-1]) - 1


def _groups(groups, label):
    """Numbers of groups from 0 on [items]; every item its own without groups.

    Raises:
        KvoiceError: If there is not one group for each item.
    """
    if groups is None:
        return np.arange(len(label))
    if np.shape(groups) != label.shape:
        raise KvoiceError(
            f"groups have to be of the same items as the label, {len(label)}, got shape "
            f"{list(np.shape(groups))}"
        )
    return np.unique(groups, return_inverse=True)[1].reshape(-1)


def _checked(codes, label):
    """Codes as columns [items, codes] float64, the label as an array, and the shape of the answer.

    Raises:
        KvoiceError: If they are not of the same items, are not finite, or the label is the same
            everywhere.
    """
    codes, label = np.asarray(codes, np.float64), np.asarray(label)
    if codes.ndim not in (1, 2) or not codes.size or label.shape != codes.shape[:1]:
        raise KvoiceError(
            "codes [items] or [items, codes] and a label [items] are wanted, got "
            f"{list(codes.shape)} and {list(label.shape)}"
        )
    if not np.isfinite(codes).all() or _continuous(label) and not np.isfinite(label).all():
        raise KvoiceError("a code or a label is NaN or infinite: leave those items out")
    if len(np.unique(label)) < 2:
        raise KvoiceError(
            f"the label is {label[0]} for all {len(label)} items: there is nothing to tell apart"
        )
    return codes.reshape(len(codes), -1), label, codes.shape[1:]
