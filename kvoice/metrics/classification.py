"""Metrics of a classifier: accuracy of its predictions, and calibration of its probabilities.

    matrix = confusion(truth, probabilities.argmax(axis=1), count=4)
    accuracy(matrix), balanced_accuracy(matrix), f1(matrix)
    log_loss(probabilities, truth), brier(probabilities, truth)
    bins = calibration(probabilities, truth)
    expected_calibration_error(bins)

Labels are numbers, probabilities those of all labels for each clip. Everything is returned as plain
numbers of Python, fit for JSON, except the matrix.
"""

import math

import numpy as np

from kvoice.errors import KvoiceError

FLOOR = float(np.finfo(np.float32).eps)  # 1.2e-7, the smallest difference from 1 in float32
TOLERANCE = 1e-3  # of the sum of a clip's probabilities: what float16 may round to


def confusion(truth: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Computes the confusion matrix: `matrix[i, j]` clips of label i were predicted as j.

    Shapes: truth [clips], predicted [clips] -> [count, count] int64, rows the truth.

    Args:
        truth: True labels, 0 to count - 1.
        predicted: Predicted labels, 0 to count - 1.
        count: Number of labels.

    Raises:
        KvoiceError: If there is no clip, the two differ in shape, or a number is no label.
    """
    truth, predicted = _labels(truth, count, "truth"), _labels(predicted, count, "predicted")
    if len(truth) != len(predicted):
        raise KvoiceError(
            f"truth and predicted have to be of the same clips, got {len(truth)} and "
            f"{len(predicted)}"
        )
    return np.bincount(truth * count + predicted, minlength=count * count).reshape(count, count)


def accuracy(matrix: np.ndarray) -> float:
    """Computes the share of correctly predicted clips: `sum_i M_ii / sum_ij M_ij`.

    Shapes: matrix [count, count], of `confusion` -> a float, 0 to 1.

    Raises:
        KvoiceError: If the matrix is not one of `confusion`, or holds no clip.
    """
    matrix = _matrix(matrix)
    return float(np.trace(matrix) / matrix.sum())


def balanced_accuracy(matrix: np.ndarray) -> float:
    """Computes the accuracy with equal weight per label: mean over i of `M_ii / sum_j M_ij`.

    Labels without a clip do not count. A classifier that always predicts the same has 1 / labels,
    however frequent that label is.

    Shapes: matrix [count, count], of `confusion` -> a float, 0 to 1.

    Raises:
        KvoiceError: If the matrix is not one of `confusion`, or holds no clip.

    Source: Brodersen, Ong, Stephan & Buhmann 2010, "The balanced accuracy and its posterior
    distribution"; for more than two labels as in scikit-learn, unadjusted.
    """
    matrix = _matrix(matrix)
    clips = matrix.sum(axis=1)
    return float(np.mean(np.diag(matrix)[clips > 0] / clips[clips > 0]))


def f1(matrix: np.ndarray) -> float:
    """Computes macro F1: mean over i of `2 M_ii / (sum_j M_ij + sum_j M_ji)`.

    For each label, the harmonic mean of recall (the share of its clips that were predicted as it)
    and precision (the share of the clips predicted as it that have it). Labels that are neither
    true nor predicted anywhere do not count.

    Shapes: matrix [count, count], of `confusion` -> a float, 0 to 1.

    Raises:
        KvoiceError: If the matrix is not one of `confusion`, or holds no clip.

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7; the mean of the F1 of the
    labels, not the F1 of the means: Opitz & Burst 2019, arXiv:1911.03347.
    """
    matrix = _matrix(matrix)
    clips = matrix.sum(axis=1) + matrix.sum(axis=0)
    return float(np.mean(2 * np.diag(matrix)[clips > 0] / clips[clips > 0]))


def log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Computes the log loss in nats: `-mean over clips of ln p[clip, truth]`.

    0 for certainty that is right, ln(labels) for even odds. Certainty that is wrong would be
    infinite: probabilities below `FLOOR` count as `FLOOR`, so that one clip costs 15.9 at most.

    Shapes: probabilities [clips, labels], truth [clips] -> a float >= 0.

    Args:
        probabilities: The probabilities of the labels of each clip, with sum 1.
        truth: True labels, from 0 on.

    Raises:
        KvoiceError: If there is no clip, a shape is another, a probability is not finite or below
            0, or those of a clip do not have the sum 1.

    Source: Good 1952, "Rational decisions".
    """
    probabilities, truth = _checked(probabilities, truth)
    true = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(true, FLOOR, 1)).mean()) + 0.0  # not -0.0


def brier(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Computes the Brier score: `mean over clips of sum_i (p_i - [i = truth])^2`.

    0 for certainty that is right, 1 - 1 / labels for even odds, 2 for certainty that is wrong.

    Shapes: probabilities [clips, labels], truth [clips] -> a float, 0 to 2.

    Args:
        probabilities: The probabilities of the labels of each clip, with sum 1.
        truth: True labels, from 0 on.

    Raises:
        KvoiceError: As `log_loss`.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability": all labels
    count, where the usual form for two labels is half of it.
    """
    probabilities, truth = _checked(probabilities, truth)
    certain = np.eye(probabilities.shape[1])[truth]  # [clips, labels]
    return float(((probabilities - certain) ** 2).sum(axis=1).mean())


def calibration(probabilities: np.ndarray, truth: np.ndarray, bins: int = 10) -> list[dict]:
    """Computes the accuracy as a function of the predicted probability, in bins.

    Clips are sorted into bins of equal width by the probability of their likeliest label, which is
    the predicted one: bin m of M holds those in `((m - 1) / M, m / M]`. A classifier is calibrated
    if accuracy and confidence agree in each.

    Shapes: probabilities [clips, labels], truth [clips] -> a list of `bins` dicts.

    Args:
        probabilities: The probabilities of the labels of each clip, with sum 1.
        truth: True labels, from 0 on.
        bins: Number of bins.

    Returns:
        For each bin "low" and "high", its limits; "confidence", the mean probability of the
        predicted label, and "accuracy", the share of clips where it is the true one (None in an
        empty bin); "count", the clips.

    Raises:
        KvoiceError: As `log_loss`, or if `bins` is not a whole number from 1 on.

    Source: Guo, Pleiss, Sun & Weinberger 2017, arXiv:1706.04599, section 2, "reliability diagrams".
    """
    probabilities, truth = _checked(probabilities, truth)
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1:
        raise KvoiceError(f"bins has to be a whole number from 1 on, got {bins!r}")
    confidence = np.minimum(probabilities.max(axis=1), 1)  # sums round above 1
    right = probabilities.argmax(axis=1) == truth
    limits = np.arange(bins + 1) / bins
    number = np.searchsorted(limits[1:], confidence)
    return [
        {
            "low": float(limits[m]),
            "high": float(limits[m + 1]),
            "confidence": float(confidence[inside].mean()) if inside.any() else None,
            "accuracy": float(right[inside].mean()) if inside.any() else None,
            "count": int(inside.sum()),
        }
        for m, inside in ((m, number == m) for m in range(bins))
    ]


def expected_calibration_error(bins: list[dict]) -> float:
    """Computes the calibration error: `sum_m count_m / count |accuracy_m - confidence_m|`.

    0 for a calibrated classifier. It depends on the number of bins, and is too large
    for few clips: compare at equal numbers of both.

    Args:
        bins: The return value of `calibration`.

    Returns:
        A float, 0 to 1.

    Raises:
        KvoiceError: If the bins hold no clip.

    Source: Naeini, Cooper & Hauskrecht 2015, "Obtaining well calibrated probabilities using
    Bayesian binning"; Guo, Pleiss, Sun & Weinberger 2017, arXiv:1706.04599, equation 3.
    """
    count = sum(each["count"] for each in bins)
    if not count:
        raise KvoiceError("an expected calibration error wants bins that hold clips, got none")
    return (
        sum(
            each["count"] * abs(each["accuracy"] - each["confidence"])
            for each in bins
            if each["count"]
        )
        / count
    )


def _labels(labels, count, name):
    """Labels [clips] as int64.

    Raises:
        KvoiceError: If they are not one or more whole numbers from 0 to count - 1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
        raise KvoiceError(
            f"{name} has to be [clips] whole numbers of one clip or more, got "
            f"{list(labels.shape)} {labels.dtype}"
        )
    wrong = (labels < 0) | (labels >= count)
    if wrong.any():
        raise KvoiceError(
            f"{name} has to hold labels from 0 to {count - 1}, got "
            f"{labels[wrong][0]} for clip {np.argmax(wrong)}"
        )
    return labels.astype(np.int64)


def _matrix(matrix):
    """A confusion matrix.

    Raises:
        KvoiceError: If it is not square, or not of counts >= 0 of which one is above.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise KvoiceError(
            f"a confusion matrix of shape [labels, labels] is wanted, got {list(matrix.shape)}"
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any() or not matrix.any():
        raise KvoiceError(
            "a confusion matrix of counts is wanted, none below 0 and one above; got "
            f"{matrix.tolist()}"
        )
    return matrix


def _checked(probabilities, truth):
    """Probabilities [clips, labels] as float64 and the labels [clips] of the same clips.

    Raises:
        KvoiceError: As `log_loss`.
    """
    probabilities = np.asarray(probabilities).astype(np.float64)
    if probabilities.ndim != 2 or not probabilities.size:
        raise KvoiceError(
            f"probabilities of shape [clips, labels] are wanted, got {list(probabilities.shape)}"
        )
    truth = _labels(truth, probabilities.shape[1], "truth")
    if len(truth) != len(probabilities):
        raise KvoiceError(
            "probabilities and truth have to be of the same clips, got "
            f"{len(probabilities)} and {len(truth)}"
        )
    if not np.isfinite(probabilities).all():
        raise KvoiceError("a probability is NaN or infinite")
    sums = probabilities.sum(axis=1)
    wrong = (probabilities < 0).any(axis=1) | (np.abs(sums - 1) > TOLERANCE)
    if wrong.any():
        clip = np.argmax(wrong)
        raise KvoiceError(
            "the probabilities of a clip have to be >= 0 with sum 1, got "
            f"{probabilities[clip].tolist()} for clip {clip}: logits go through a "
            "softmax first"
        )
    return probabilities, truth


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Computes the 95 % interval (low, high) of a share of `hits` in `count` independent trials.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    z = 1.959964
    share, spread = hits / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
