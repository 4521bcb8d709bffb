import json
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from kvoice.errors import KvoiceError
from kvoice.metrics.classification import (
    FLOOR,
    accuracy,
    balanced_accuracy,
    brier,
    calibration,
    confusion,
    expected_calibration_error,
    f1,
    log_loss,
    wilson,
)

MATRIX = np.array([[8, 2, 0], [1, 3, 0], [0, 1, 5]])


def clips(count=500, labels=4, seed=0):
    """Probabilities and labels of clips, of uneven frequency and mostly predicted right."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(labels, count, p=np.arange(1, labels + 1) / sum(range(labels + 1)))
    logits = rng.normal(0, 1.5, (count, labels)) + 2 * np.eye(labels)[truth]
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), truth


# Predictions


def test_rows_of_the_confusion_are_the_truth_and_columns_the_predictions():
    matrix = confusion([0, 0, 2, 1], [0, 1, 1, 1], 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert matrix.dtype == np.int64


def test_the_shares_of_a_matrix_by_hand():
    assert accuracy(MATRIX) == 16 / 20
    assert balanced_accuracy(MATRIX) == pytest.approx((8 / 10 + 3 / 4 + 5 / 6) / 3)
    assert f1(MATRIX) == pytest.approx((16 / 19 + 6 / 10 + 10 / 11) / 3)


def test_confusion_and_shares_are_those_of_scikit_learn():
    probabilities, truth = clips()
    predicted = probabilities.argmax(axis=1)
    matrix = confusion(truth, predicted, 4)
    np.testing.assert_array_equal(matrix, sklearn.metrics.confusion_matrix(truth, predicted))
    assert 0.5 < accuracy(matrix) < 0.9
    assert accuracy(matrix) == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    assert balanced_accuracy(matrix) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(truth, predicted)
    )
    assert f1(matrix) == pytest.approx(sklearn.metrics.f1_score(truth, predicted, average="macro"))


def test_labels_that_do_not_occur_do_not_count():
    # Of labels 0 to 4, 2 is only predicted, 3 and 4 do not occur.
    truth, predicted = [0, 0, 1, 1], [0, 2, 1, 1]
    matrix = confusion(truth, predicted, 5)
    assert balanced_accuracy(matrix) == 3 / 4
    assert f1(matrix) == pytest.approx(sklearn.metrics.f1_score(truth, predicted, average="macro"))
    assert f1(matrix) == pytest.approx((2 / 3 + 0 + 1) / 3)


def test_always_the_most_frequent_label_looks_good_only_unbalanced():
    matrix = [[90, 0], [10, 0]]
    assert (accuracy(matrix), balanced_accuracy(matrix)) == (0.9, 0.5)
    assert f1(matrix) == pytest.approx(0.5 * 180 / 190)


def test_the_order_of_the_labels_does_not_matter():
    order = [2, 0, 1]
    for share in (accuracy, balanced_accuracy, f1):
        assert share(MATRIX[order][:, order]) == pytest.approx(share(MATRIX))


# Probabilities


@pytest.mark.parametrize("labels", [2, 4, 7])
def test_even_odds_cost_the_logarithm_of_the_labels(labels):
    even, truth = np.full((3, labels), 1 / labels), [0, 1, 0]
    assert log_loss(even, truth) == pytest.approx(math.log(labels))
    assert brier(even, truth) == pytest.approx(1 - 1 / labels)


def test_certainty_costs_nothing_where_right_and_the_most_where_wrong():
    certain = np.eye(3)
    assert (log_loss(certain, [0, 1, 2]), brier(certain, [0, 1, 2])) == (0, 0)
    assert str(log_loss(certain, [0, 1, 2])) == "0.0"
    assert log_loss(certain, [1, 2, 0]) == pytest.approx(-math.log(FLOOR))
    assert -math.log(FLOOR) == pytest.approx(15.94, abs=0.01)
    assert brier(certain, [1, 2, 0]) == 2


def test_log_loss_and_brier_by_hand():
    probabilities, truth = [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], [0, 1]
    assert log_loss(probabilities, truth) == pytest.approx((math.log(2) + math.log(10)) / 2)
    assert brier(probabilities, truth) == pytest.approx((0.25 + 0.125 + 0.01 + 0.81 + 0.64) / 2)


def test_log_loss_is_that_of_scikit_learn_and_brier_for_two_labels_twice():
    probabilities, truth = clips()
    assert log_loss(probabilities, truth) == pytest.approx(
        sklearn.metrics.log_loss(truth, probabilities)
    )
    probabilities, truth = clips(labels=2)
    assert brier(probabilities, truth) == pytest.approx(
        2 * sklearn.metrics.brier_score_loss(truth, probabilities[:, 1])
    )


def test_probabilities_of_half_precision_are_taken():
    probabilities, truth = clips(labels=26)
    half = probabilities.astype(np.float16)
    assert log_loss(half, truth) == pytest.approx(log_loss(probabilities, truth), rel=1e-3)


@pytest.mark.parametrize("score", [log_loss, brier])
def test_the_true_probabilities_are_the_best_to_say(score):
    odds = np.array([0.6, 0.3, 0.1])
    truth = np.repeat([0, 1, 2], (600 * odds / 0.6).astype(int))  # in exactly these shares
    costs = {
        name: score(np.tile(given, (len(truth), 1)), truth)
        for name, given in {
            "true": odds,
            "bolder": [0.8, 0.15, 0.05],
            "shyer": [0.4, 0.35, 0.25],
        }.items()
    }
    assert costs["true"] < min(costs["bolder"], costs["shyer"])


# Calibration


def test_bins_hold_the_predictions_by_their_probability():
    probabilities = [[0.95, 0.05], [0.09, 0.91], [0.6, 0.4], [0.45, 0.55], [0.5, 0.5]]
    bins = calibration(probabilities, [0, 0, 0, 1, 0], bins=10)
    limits = [(each["low"], each["high"]) for each in bins]
    assert limits == [(m / 10, (m + 1) / 10) for m in range(10)]
    assert [each["count"] for each in bins] == [0, 0, 0, 0, 1, 2, 0, 0, 0, 2]  # 0.5 and 0.6 below
    assert bins[9]["confidence"] == pytest.approx(0.93) and bins[9]["accuracy"] == 0.5
    assert bins[5]["confidence"] == pytest.approx(0.575) and bins[5]["accuracy"] == 1
    assert bins[7] == {"low": 0.7, "high": 0.8, "confidence": None, "accuracy": None, "count": 0}
    assert json.loads(json.dumps(bins)) == bins
    assert expected_calibration_error(bins) == pytest.approx(
        (1 * abs(1 - 0.5) + 2 * abs(1 - 0.575) + 2 * abs(0.5 - 0.93)) / 5
    )


def test_the_bins_are_the_reliability_diagram_of_scikit_learn():
    from sklearn.calibration import calibration_curve

    probabilities, truth = clips()
    right, confidence = probabilities.argmax(axis=1) == truth, probabilities.max(axis=1)
    share, mean_confidence = calibration_curve(right, confidence, n_bins=15)
    bins = [each for each in calibration(probabilities, truth, bins=15) if each["count"]]
    np.testing.assert_allclose([each["accuracy"] for each in bins], share)
    np.testing.assert_allclose([each["confidence"] for each in bins], mean_confidence)
    assert sum(each["count"] for each in bins) == 500


def test_a_calibrated_classifier_has_no_calibration_error():
    constant = np.tile([0.75, 0.25], (8, 1))
    assert expected_calibration_error(calibration(constant, [0, 0, 0, 1] * 2)) == 0
    assert expected_calibration_error(calibration(constant, [0, 1] * 4)) == pytest.approx(0.25)
    assert expected_calibration_error(calibration(constant, [0] * 8)) == pytest.approx(0.25)


def test_a_probability_that_rounds_above_one_is_one():
    bins = calibration([[1 + 1e-7, 0]], [0])
    assert [each["count"] for each in bins] == [0] * 9 + [1]
    assert bins[9]["confidence"] == 1


def test_one_bin_compares_mean_confidence_and_accuracy():
    probabilities, truth = clips()
    matrix = confusion(truth, probabilities.argmax(axis=1), 4)
    assert expected_calibration_error(calibration(probabilities, truth, bins=1)) == pytest.approx(
        abs(accuracy(matrix) - probabilities.max(axis=1).mean())
    )


# What is refused


@pytest.mark.parametrize(
    "truth, predicted, line",
    [
        ([0, 1], [0], "same clips, got 2 and 1"),
        ([], [], r"truth has to be \[clips\] whole numbers"),
        ([[0]], [0], r"truth has to be \[clips\].*got \[1, 1\]"),
        ([0], [0.0], r"predicted has to be .*got \[1\] float64"),
        ([0, 3], [0, 0], "truth has to hold labels from 0 to 2, got 3 for clip 1"),
        ([0, 1], [-1, 0], "predicted has to hold labels from 0 to 2, got -1 for clip 0"),
    ],
)
def test_labels_that_are_none_are_refused(truth, predicted, line):
    with pytest.raises(KvoiceError, match=line):
        confusion(truth, predicted, 3)


@pytest.mark.parametrize("share", [accuracy, balanced_accuracy, f1])
@pytest.mark.parametrize(
    "matrix, line",
    [
        ([1, 2], r"\[labels, labels\] is wanted, got \[2\]"),
        ([[1, 2, 3]], r"got \[1, 3\]"),
        ([[1, -1], [0, 2]], "none below 0"),
        ([[0, 0], [0, 0]], "one above"),
        ([[np.nan, 0], [0, 1]], "of counts"),
    ],
)
def test_a_matrix_that_is_no_confusion_is_refused(share, matrix, line):
    with pytest.raises(KvoiceError, match=line):
        share(matrix)


@pytest.mark.parametrize("score", [log_loss, brier, calibration])
@pytest.mark.parametrize(
    "probabilities, truth, line",
    [
        ([0.5, 0.5], [0], r"\[clips, labels\] are wanted, got \[2\]"),
        (np.zeros((0, 2)), [], r"are wanted, got \[0, 2\]"),
        ([[0.5, 0.5]], [0, 1], "same clips, got 1 and 2"),
        ([[0.5, 0.5]], [2], "labels from 0 to 1, got 2"),
        ([[0.5, np.nan]], [0], "NaN or infinite"),
        ([[0.5, 0.5], [3.0, -1.0]], [0, 1], "sum 1, got .*for clip 1: logits go through a softmax"),
        ([[2.0, -1.0]], [0], ">= 0 with sum 1"),
        ([[0.5, 0.4]], [0], ">= 0 with sum 1"),
    ],
)
def test_what_is_no_probability_is_refused(score, probabilities, truth, line):
    with pytest.raises(KvoiceError, match=line):
        score(probabilities, truth)


@pytest.mark.parametrize("bins", [0, -1, 2.5, True])
def test_bins_that_are_none_are_refused(bins):
    with pytest.raises(KvoiceError, match="whole number from 1 on"):
        calibration([[0.5, 0.5]], [0], bins=bins)


def test_bins_without_a_clip_are_refused():
    with pytest.raises(KvoiceError, match="bins that hold clips"):
        expected_calibration_error(
            [{"low": 0, "high": 1, "confidence": None, "accuracy": None, "count": 0}]
        )


@pytest.mark.parametrize("hits, count", [(0, 10), (7, 10), (512, 512), (130, 512)])
def test_the_interval_is_that_of_scipy(hits, count):
    expected = scipy.stats.binomtest(hits, count).proportion_ci(0.95, "wilson")
    np.testing.assert_allclose(wilson(hits, count), expected, atol=1e-6)
