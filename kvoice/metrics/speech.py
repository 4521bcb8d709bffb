"""How close generated log-mels come to real ones, how varied they are, and whether they are copies.

All three questions are asked in one space, `MelSpace`, whose definition is frozen under the name
`VERSION`: numbers of the same version and corpus can be compared, others cannot. The space is plain
statistics, no trained network, so that it needs no download and can be recomputed by anyone. It
says whether sounds have the right spectra, levels and amount of movement; it does not hear words.
"""

import dataclasses

import numpy as np
from scipy.spatial import distance

from kvoice.errors import KvoiceError

VERSION = "mel-statistics-1"
COMPONENTS = 32  # a covariance of 528 numbers: some hundred clips settle it


def mel_features(mels):
    """What is kept of each clip: per band its mean, its spread, and its movement.

    The mean over time, the standard deviation over time, and the mean size of the step from one
    frame to the next. The third tells speech from the same frames in random order, which the first
    two cannot.

    Shapes: mels [clips, time, mels] -> [clips, 3 * mels] float64.

    Args:
        mels: Log-mels on any scale, at least two frames each.

    Raises:
        KvoiceError: If the array has another shape, or holds NaN or infinite values.
    """
    mels = np.asarray(mels)
    if mels.ndim != 3 or not len(mels) or mels.shape[1] < 2:
        raise KvoiceError(f"mels of shape [clips, time, mels] with two frames or more are wanted, "
                          f"got {list(mels.shape)}")
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
        mean: Of the features in the reference, [features].
        directions: Features to coordinates, [features, components].
    """

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, mels):
        """The space of a reference: real clips [clips, time, mels] that a model may train on.

        Raises:
            KvoiceError: If there are fewer than two clips, or all are the same.
        """
        features = mel_features(mels)
        mean = features.mean(axis=0)
        if np.abs(features - mean).max() <= 1e-9 * np.abs(features).max():  # rounding
            raise KvoiceError(f"a reference of different clips is wanted, got {len(features)} "
                              "without any difference")
        _, size, axes = np.linalg.svd(features - mean, full_matrices=False)
        kept = np.sqrt(np.sum(size[:COMPONENTS] ** 2) / len(features))
        return cls(mean, axes[:COMPONENTS].T / kept)

    def points(self, mels):
        """Where clips lie: [clips, time, mels] -> [clips, components]."""
        return (mel_features(mels) - self.mean) @ self.directions


def frechet(points, others):
    """Frechet distance between two sets of points, each taken as a Gaussian.

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
        raise KvoiceError("a Frechet distance wants two sets of the same size, two clips or more; "
                          f"got {len(points)} and {len(others)}")
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


def diversity(points):
    """Mean distance of two different points of a set [n, components]: 0 where all are alike.

    Read it against the same of real clips. Within one label, since one pattern for each label is a
    collapse too.

    Raises:
        KvoiceError: If there are fewer than two points.
    """
    if len(points) < 2:
        raise KvoiceError(f"diversity wants two clips or more, got {len(points)}")
    return float(distance.pdist(points).mean())


def nearest(points, others):
    """Distance from each point to the nearest of the others: near 0 where it is a copy.

    Read it against the same of real clips that were not in `others`.

    Shapes: points [n, components], others [m, components] -> [n].
    """
    return distance.cdist(points, others).min(axis=1)
