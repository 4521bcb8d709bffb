"""Error rates of recognised phones or words, and errors of the times of phones.

edits = [edit_distance(truth, heard) for truth, heard in pairs]
error_rate(edits, [len(truth) for truth, _ in pairs], np.random.default_rng(0))
frame_accuracy(truth, labels), boundary_errors(truth, labels)
"""

from collections.abc import Sequence

import numpy as np

from kvoice.errors import KvoiceError

RESAMPLES = 500  # bootstrap samples of the utterances, for an interval


def edit_distance(reference: Sequence, heard: Sequence) -> int:
    """Returns the smallest number of substitutions, deletions and insertions between sequences.

    Source: Levenshtein 1966; Wagner & Fischer 1974, doi:10.1145/321796.321811.
    """
    row = list(range(len(heard) + 1))
    for i, one in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for k, other in enumerate(heard, 1):
            changed = diagonal + (one != other)
            diagonal, row[k] = row[k], min(changed, row[k] + 1, row[k - 1] + 1)
    return row[-1]


def error_rate(
    edits: Sequence[int], lengths: Sequence[int], rng: np.random.Generator
) -> dict[str, float]:
    """Computes the error rate of a set of utterances: all edits over the length of all references.

    It is a phone or a word error rate, by what was compared, and above 1 where more is inserted
    than was said. The interval is a bootstrap over the utterances, 2.5 to 97.5 %.

    Args:
        edits: The `edit_distance` of each utterance.
        lengths: The length of the reference of each utterance.
        rng: A NumPy generator, for the interval.

    Returns:
        {"rate", "low", "high"}.

    Raises:
        KvoiceError: If all references together are empty.
    """
    edits, lengths = np.asarray(edits, float), np.asarray(lengths, float)
    if not lengths.sum():
        raise KvoiceError("an error rate needs references with a phone or a word, got none")
    drawn = rng.integers(len(edits), size=(RESAMPLES, len(edits)))
    totals = lengths[drawn].sum(axis=1)
    rates = edits[drawn].sum(axis=1)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(rates, (0.025, 0.975))
    return {"rate": float(edits.sum() / lengths.sum()), "low": float(low), "high": float(high)}


def frame_accuracy(truth: np.ndarray, labels: np.ndarray, counted: np.ndarray) -> float:
    """Computes the share of the counted frames whose label is the true one.

    Shapes: truth, labels, counted (bool) [frames] -> a float.

    Raises:
        KvoiceError: If no frame is counted.
    """
    if not np.any(counted):
        raise KvoiceError("a frame accuracy needs frames that are counted, got none")
    return float(np.mean((truth == labels)[counted]))


def boundaries(labels: np.ndarray) -> np.ndarray:
    """Returns the frames at which the label changes: [frames] -> [boundaries] int."""
    return 1 + np.flatnonzero(np.diff(labels))


def boundary_errors(truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how far the nearest boundary of the labels is from each true one, in frames.

    Boundaries that the labels have too many are not punished: compare the numbers of both.

    Shapes: truth, labels [frames] -> [true boundaries]; as long as the clip where the labels have
    no boundary.
    """
    true, found = boundaries(truth), boundaries(labels)
    if not len(found):
        return np.full(len(true), len(truth))
    return np.abs(true[:, None] - found[None]).min(axis=1)
