"""Metrics of synthetic speech: sets of clips, pairs of utterances, and speaker embeddings.

*Sets of clips*: how close generated log-mels are to real ones (`frechet`), how diverse they are
(`diversity`), and whether they are copies (`nearest`). All three are computed in one space,
`MelSpace`, whose definition is frozen under the name `VERSION`: numbers of the same version and
corpus can be compared, others cannot. The space consists of plain statistics, no trained network,
so that it needs no download and anyone can recompute it. It measures spectra, levels and their
movement; it is blind to words.

*Pairs of utterances* of the same text, such as a conversion and the target speaker's own recording:
the distance of their spectra (`mel_cepstral_distance`, along `warped_path`, since no two recordings
have the same timing). Pairs of the same timing, such as a recording and its resynthesis by a
vocoder: the distance of two spectra (`log_spectral_distance`) and of two F0 tracks (`f0_errors`).

*Speaker embeddings*: how often two speakers are confused (`equal_error_rate` of trials), and
whether the embeddings of each speaker form a cluster (`silhouette`).
"""

import bisect
import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
from scipy import fft
from scipy.spatial import distance

from kvoice.errors import KvoiceError

VERSION = "mel-statistics-1"
COMPONENTS = 32  # a covariance of 528 numbers: some hundred clips settle it


# --- Many clips


def mel_features(mels: np.ndarray) -> np.ndarray:
    """Computes the features of each clip: per band its mean, standard deviation and movement.

    The mean over time, the standard deviation over time, and the mean size of the step from one
    frame to the next. The third distinguishes speech from the same frames in random order, which
    the first two cannot.

    Shapes: mels [clips, time, mels] -> [clips, 3 * mels] float64.

    Args:
        mels: Log-mels on any scale, at least two frames each.

    Raises:
        KvoiceError: If the array has another shape, or holds NaN or infinite values.
    """
    mels = np.asarray(mels)
    if mels.ndim != 3 or not len(mels) or mels.shape[1] < 2:
        raise KvoiceError(
            f"mels of shape [clips, time, mels] with two frames or more are wanted, "
            f"got {list(mels.shape)}"
        )
    if not np.isfinite(mels).all():
        raise KvoiceError("a mel holds NaN or infinite values")
    return np.stack([_statistics(mel.astype(np.float64)) for mel in mels])


def _statistics(mel):
    movement = np.abs(np.diff(mel, axis=0)).mean(axis=0)
    return np.concatenate([mel.mean(axis=0), mel.std(axis=0), movement])


@dataclasses.dataclass(frozen=True)
class MelSpace:
    """The space in which clips are compared: the principal components of `mel_features`.

    Fitted once on real training clips. The first `COMPONENTS` directions are kept, and scaled as a
    whole so that the clips of the fit have total variance 1. That cancels the unit of the mel, and
    gives the Frechet distance two marks that hold for every corpus: 0 for the same distribution, 1
    for one that always gives the average clip.

    Neither are the features standardised nor the components whitened: all are on the scale of the
    mel, so that a decibel of level, of spread and of movement count alike. Divided by their own
    spread, the movements, in which real clips hardly differ, drown everything else as soon as a
    generator is a little grainy (tried on the early steps of one: 700, where white noise has 30).

    Attributes:
        mean: Mean of the features of the reference, [features].
        directions: Matrix from features to coordinates, [features, components].
    """

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, mels: np.ndarray) -> "MelSpace":
        """Fits the space to a reference: real clips [clips, time, mels] that a model may train on.

        Raises:
            KvoiceError: If there are fewer than two clips, or all are the same.
        """
        features = mel_features(mels)
        mean = features.mean(axis=0)
        if np.abs(features - mean).max() <= 1e-9 * np.abs(features).max():  # rounding
            raise KvoiceError(
                f"a reference of different clips is wanted, got {len(features)} "
                "without any difference"
            )
        _, size, axes = np.linalg.svd(features - mean, full_matrices=False)
        kept = np.sqrt(np.sum(size[:COMPONENTS] ** 2) / len(features))
        return cls(mean, axes[:COMPONENTS].T / kept)

    def points(self, mels: np.ndarray) -> np.ndarray:
        """Returns the coordinates of clips: [clips, time, mels] -> [clips, components]."""
        return (mel_features(mels) - self.mean) @ self.directions


def frechet(points: np.ndarray, others: np.ndarray) -> float:
    """Computes the Frechet distance between two sets of points, each taken as a Gaussian.

    `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`: the squared 2-Wasserstein distance of the two
    Gaussians. It is too large for small sets, by an amount that falls with their size: compare
    distances at equal size only, which is why unequal sets are refused.

    Shapes: points [n, components], others [n, components] -> a float >= 0.

    Raises:
        KvoiceError: If the sets differ in size or hold fewer than two points.

    Source: Dowson & Landau 1982, "The Frechet distance between multivariate normal distributions";
    on images with the features of a network as FID, Heusel et al. 2017, arXiv:1706.08500. Differs:
    the features.
    """
    points, others = np.asarray(points, np.float64), np.asarray(others, np.float64)
    if len(points) != len(others) or len(points) < 2:
        raise KvoiceError(
            "a Frechet distance wants two sets of the same size, two clips or more; "
            f"got {len(points)} and {len(others)}"
        )
    shift = points.mean(axis=0) - others.mean(axis=0)
    one, two = (np.atleast_2d(np.cov(each, rowvar=False, bias=True)) for each in (points, others))
    # tr (S1 S2)^(1/2) is the sum of the singular values of S1^(1/2) S2^(1/2): real, and stable
    # where a covariance is singular (few clips, or clips that are all alike).
    overlap = np.linalg.svd(_root(one) @ _root(two), compute_uv=False).sum()
    return max(0.0, float(shift @ shift + np.trace(one) + np.trace(two) - 2 * overlap))


def _root(covariance):
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T


def diversity(points: np.ndarray) -> float:
    """Computes the mean distance of two points of a set [n, components]; 0 = all the same.

    Compare it with the same number of real clips, and within one label, since one pattern per label
    is a collapse too.

    Raises:
        KvoiceError: If there are fewer than two points.
    """
    if len(points) < 2:
        raise KvoiceError(f"diversity wants two clips or more, got {len(points)}")
    return float(distance.pdist(points).mean())


def nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Computes the distance from each point to the nearest of the others: near 0 for a copy.

    Compare it with the same number of real clips that were not in `others`.

    Shapes: points [n, components], others [m, components] -> [n].
    """
    return distance.cdist(points, others).min(axis=1)


# --- One utterance beside another


def mel_cepstra(mel_ln: np.ndarray, count: int = 13) -> np.ndarray:
    """Computes mel cepstral coefficients 1 to `count` of each frame, without the level.

    `c_m = 2 / K sum_k x_k cos(pi m (k + 1/2) / K)` of the K bands x, so that
    `x_k = c_0 / 2 + sum_m c_m cos(pi m (k + 1/2) / K)`, and a c_m of 1 is a ripple of 1 neper. They
    are sqrt(2 / K) times those of the orthonormal DCT-II (librosa's). c_0, the level, is left out.

    Shapes: mel_ln [time, mels] -> [time, count] float64.

    Args:
        mel_ln: Natural log of the mel magnitude (the log of a power would give twice as much).
        count: Number of coefficients; fewer than bands.

    Raises:
        KvoiceError: If the mel has no frame or another shape, holds NaN or infinite values, or has
            too few bands.

    Source: Davis & Mermelstein 1980, doi:10.1109/TASSP.1980.1163420. Differs: the factor, that of
    the cepstrum of a minimum-phase filter, which the distance in dB is defined for.
    """
    mel_ln = _sequence(mel_ln, "a mel", "mels")
    bands = mel_ln.shape[1]
    if not 1 <= count < bands:
        raise KvoiceError(f"{count} mel cepstra: 1 to {bands - 1} can be had of {bands} bands")
    return fft.dct(mel_ln, type=2, axis=1)[:, 1 : count + 1] / bands


def warped_path(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Aligns the frames of two sequences by dynamic time warping.

    Of all paths from the first pair of frames to the last pair, in steps of one frame in either or
    both, the one with the least sum of Euclidean distances of its pairs:
    `D_ij = |x_i - y_j| + min(D_(i-1)j, D_i(j-1), D_(i-1)(j-1))`. Of paths that are equally good,
    one with steps in both. All pairs of one i + j are worked out at once.

    Shapes: one [n, d], other [m, d] -> two arrays [pairs] int64: `one[i]` goes with `other[j]`.

    Raises:
        KvoiceError: If a sequence is empty or holds NaN or infinite values, or if the two differ in
            width.

    Source: Sakoe & Chiba 1978, doi:10.1109/TASSP.1978.1163055. Differs: neither weights of the
    steps nor a band that the path keeps to.
    """
    one, other = (_sequence(each, "a sequence", "d") for each in (one, other))
    if one.shape[1] != other.shape[1]:
        raise KvoiceError(
            f"two sequences of one width are wanted, got {one.shape[1]} and {other.shape[1]}"
        )
    n, m = len(one), len(other)
    rows, columns = np.arange(n)[:, None], np.arange(m)
    costs = np.full((n + m - 1, n), np.inf)  # [i + j, i]
    costs[rows + columns, rows] = distance.cdist(one, other)
    # totals[i + j + 2, i + 1] is D_ij: what lies outside is infinite, before the first pair is 0.
    totals = np.full((n + m + 1, n + 1), np.inf)
    totals[0, 0] = 0
    for k, cost in enumerate(costs, start=2):
        best = np.minimum(totals[k - 1, 1:], totals[k - 1, :-1])
        totals[k, 1:] = cost + np.minimum(best, totals[k - 2, :-1])
    i, j = n - 1, m - 1
    path = [(i, j)]
    while i or j:
        k = i + j + 2
        before = totals[k - 2, i], totals[k - 1, i], totals[k - 1, i + 1]
        down, right = ((1, 1), (1, 0), (0, 1))[int(np.argmin(before))]
        i, j = i - down, j - right
        path.append((i, j))
    i, j = np.array(path[::-1]).T
    return i, j


def mel_cepstral_distance(mel_ln: np.ndarray, other_ln: np.ndarray, count: int = 13) -> float:
    """Computes the mel-cepstral distance of two recordings of one sentence, in dB: 0 = the same.

    `10 / ln 10 sqrt(2 sum_m (c_m - c'_m)^2)` of the `mel_cepstra`, averaged over the pairs of
    frames of their `warped_path`. With all coefficients (one fewer than bands) this is the root
    mean square over the bands of two frames' difference in dB; with few, of their smoothed
    difference. It depends neither on the level of a frame nor on its time. Two natural recordings
    are some dB
    apart: compare it with that.

    Shapes: mel_ln [time, mels], other_ln [other time, mels] -> a float >= 0.

    Args:
        mel_ln, other_ln: Natural log of the mel magnitude, of the same bands.
        count: Number of coefficients. Numbers of the same count and mel can be compared, others
            cannot.

    Raises:
        KvoiceError: As `mel_cepstra` and `warped_path`.

    Source: Kubichek 1993, doi:10.1109/PACRIM.1993.407206. Differs: the cepstra are of mel bands,
    not of mel-generalised analysis.
    """
    one, other = mel_cepstra(mel_ln, count), mel_cepstra(other_ln, count)
    i, j = warped_path(one, other)
    squares = np.square(one[i] - other[j]).sum(axis=1)
    return float(10 / np.log(10) * np.sqrt(2 * squares).mean())


def log_spectral_distance(
    magnitude: np.ndarray,
    other: np.ndarray,
    range_db: float = 60.0,
) -> float:
    """Computes the log-spectral distance of two spectra of one timing, in dB, averaged over frames.

    The distance of a frame is the root mean square over its bins of `20 log10(a / b)`. What lies
    more than `range_db` below the loudest bin of the first spectrum counts as that floor in both:
        the depth
    of a silence does not matter.

    Shapes: magnitude, other [frames, bins] -> a float >= 0.

    Raises:
        KvoiceError: If the two differ in shape, hold no frame, or the first is silent.

    Source: Gray & Markel 1976, "Distance measures for speech processing", the L2 norm. Differs: the
        floor.
    """
    magnitude, other = np.asarray(magnitude, np.float64), np.asarray(other, np.float64)
    if magnitude.ndim != 2 or magnitude.shape != other.shape or not magnitude.size:
        raise KvoiceError(
            "two spectra [frames, bins] of one shape are wanted, got "
            f"{list(magnitude.shape)} and {list(other.shape)}"
        )
    floor = magnitude.max() * 10 ** (-range_db / 20)
    if not floor > 0:
        raise KvoiceError("a spectrum that is silent has no distance from another")
    levels = (20 * np.log10(np.maximum(each, floor)) for each in (magnitude, other))
    return float(np.mean(np.sqrt(np.mean(np.square(next(levels) - next(levels)), axis=1))))


def f0_errors(f0_hz: np.ndarray, other_hz: np.ndarray) -> dict[str, float | None]:
    """Compares two F0 tracks of the same timing, frame by frame.

    Shapes: f0_hz [time], other_hz [time] -> a dict of three numbers:
    `rmse_cents`, the root mean square of `1200 log2(f / g)` over frames voiced in both;
    `correlation`, Pearson's, of the logarithms there, which neither the level nor the range
    changes; `voicing`, the share of frames that are voiced in both or in neither.
    None where one is not defined: the first two in fewer than two such frames, the correlation also
    where either F0 is constant, and the last where there is no frame.

    Args:
        f0_hz, other_hz: F0 per frame in Hz; 0 = unvoiced.

    Raises:
        KvoiceError: If the two differ in length.

    Source: the voicing decision error (1 - `voicing`) as in Chu & Alwan 2009,
    doi:10.1109/ICASSP.2009.4960497.
    """
    f0_hz, other_hz = np.asarray(f0_hz, np.float64), np.asarray(other_hz, np.float64)
    if f0_hz.ndim != 1 or f0_hz.shape != other_hz.shape:
        raise KvoiceError(
            "two tracks [time] of one length are wanted, got "
            f"{list(f0_hz.shape)} and {list(other_hz.shape)}"
        )
    voiced, other_voiced = f0_hz > 0, other_hz > 0
    both = voiced & other_voiced
    errors = {"rmse_cents": None, "correlation": None, "voicing": None}
    if len(f0_hz):
        errors["voicing"] = float(np.mean(voiced == other_voiced))
    if both.sum() >= 2:
        octaves, other_octaves = np.log2(f0_hz[both]), np.log2(other_hz[both])
        errors["rmse_cents"] = float(1200 * np.sqrt(np.mean((octaves - other_octaves) ** 2)))
        if min(np.ptp(octaves), np.ptp(other_octaves)) > 1e-9:  # rounding
            errors["correlation"] = float(np.corrcoef(octaves, other_octaves)[0, 1])
    return errors


# --- Voices


def equal_error_rate(
    same: np.ndarray,
    different: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[float, float]:
    """Computes the error rate of trials at the threshold of equal false acceptance and rejection.

    A trial is a pair of utterances, accepted as of one speaker where its score is not below the
    threshold. Between the two operating points at which the more frequent error changes, rate and
    threshold are interpolated linearly; an operating point's threshold is midway between the scores
    that it parts.

    Shapes: same [trials], different [other trials] -> (rate, threshold), floats: 0 where the scores
    are separated, 0.5 at chance, 1 where they are separated the wrong way round.

    Args:
        same: Scores of trials of one speaker; higher = more similar.
        different: Scores of trials of two speakers.
        weights: Weights of the trials, [trials] and [other trials]; None = all the same.

    Raises:
        KvoiceError: If there are no trials of one kind, or a score is NaN or infinite.

    Source: Martin et al. 1997, "The DET curve in assessment of detection task performance".
    """
    weights = weights or (np.ones(np.size(same)), np.ones(np.size(different)))
    return next(equal_error_rates(same, different, [weights]))


def equal_error_rates(
    same: np.ndarray, different: np.ndarray, weights: Iterable[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[float, float]]:
    """The `equal_error_rate` of the same trials for each of several weights; sorts the scores once.

    Shapes: same [trials], different [other trials] -> yields (rate, threshold).

    Args:
        same: Scores of trials of one speaker.
        different: Scores of trials of two speakers.
        weights: Yields pairs of weights, [trials] and [other trials], none below 0.

    Raises:
        KvoiceError: As `equal_error_rate`; also where all trials of one kind count nothing.
    """
    same, different = (np.ravel(scores).astype(np.float64) for scores in (same, different))
    orders = [np.argsort(scores) for scores in (same, different)]
    same, different = same[orders[0]], different[orders[1]]
    scores = np.unique(np.concatenate([same, different]))
    if not np.isfinite(scores).all():
        raise KvoiceError("the score of a trial is NaN or infinite")
    thresholds = np.concatenate([scores[:1], (scores[:-1] + scores[1:]) / 2, scores[-1:]])
    # At the k-th operating point what is below scores[k] is rejected; at the last one everything.
    below = [np.append(np.searchsorted(own, scores), len(own)) for own in (same, different)]
    for pair in weights:
        sums = [np.append(0, np.cumsum(np.asarray(own)[order])) for own, order in zip(pair, orders)]
        if not sums[0][-1] or not sums[1][-1]:
            raise KvoiceError(
                "an equal error rate wants trials of one speaker and of two, got "
                f"{len(same)} and {len(different)}, of weight {sums[0][-1]} and {sums[1][-1]}"
            )

        def errors(k):
            """Of an operating point: the share rejected of one speaker's, and accepted of two's."""
            rejected, fell = (own[places[k]] / own[-1] for own, places in zip(sums, below))
            return rejected, 1 - fell

        # The excess of the first error over the second rises from -1 to 1.
        after = bisect.bisect_left(range(len(thresholds)), 0, key=lambda k: np.subtract(*errors(k)))
        before, here = errors(after - 1), errors(after)
        lacking, excess = before[1] - before[0], here[0] - here[1]
        share = lacking / (excess + lacking)  # 1 where the excess is 0 there
        yield tuple(
            float((1 - share) * one + share * two)
            for one, two in ((before[0], here[0]), (thresholds[after - 1], thresholds[after]))
        )


def silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Computes the silhouette of labelled points by cosine distance, -1 to 1.

    The mean over points of `(b - a) / max(a, b)`: a is the mean cosine distance to the other points
    of its label, b that to the points of the nearest other label. 1 where labels are far apart and
    tight, 0 where they overlap, below 0 where points are nearer to another label. A point that is
    alone in its label counts 0.

    No distances of pairs are held: the mean cosine distance to a group is 1 minus the product with
    the mean of its unit vectors.

    Shapes: points [n, d], labels [n] of anything that can be sorted -> a float.

    Raises:
        KvoiceError: If the points hold NaN or infinite values, or there are not 2 to n - 1 labels.

    Source: Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7. Differs: cosine distances.
    """
    points = _sequence(points, "a set of points", "d")
    names, own = np.unique(labels, return_inverse=True)
    if len(own) != len(points) or not 2 <= len(names) < len(points):
        raise KvoiceError(
            "a silhouette wants two labels or more, not all of one point, got "
            f"{len(names)} labels of {len(own)} for {len(points)} points"
        )
    length = np.linalg.norm(points, axis=1, keepdims=True)
    units = points / np.where(length > 0, length, 1)  # a point at zero is 1 away from all
    sizes = np.bincount(own)
    sums = np.zeros((len(names), points.shape[1]))
    np.add.at(sums, own, units)
    distances = 1 - units @ (sums / sizes[:, None]).T  # [n, labels]
    others = np.maximum(sizes[own] - 1, 1)
    inside = 1 - (np.sum(units * sums[own], axis=1) - np.sum(units * units, axis=1)) / others
    distances[np.arange(len(own)), own] = np.inf
    outside = distances.min(axis=1)
    larger = np.maximum(inside, outside)
    counts = (sizes[own] > 1) & (larger > 1e-12)  # all points at one place: rounding
    return float(np.mean(np.where(counts, (outside - inside) / np.where(counts, larger, 1), 0)))


def _sequence(values, what, width):
    """`values` as float64 [time, width]; refused where they are of another shape or not finite."""
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size:
        raise KvoiceError(f"{what} of shape [n, {width}] is wanted, got {list(values.shape)}")
    if not np.isfinite(values).all():
        raise KvoiceError(f"{what} holds NaN or infinite values")
    return values
