import difflib

import numpy as np
import pytest

from kvoice.errors import KvoiceError
from kvoice.metrics import recognition


@pytest.mark.parametrize(
    "reference, heard, edits",
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("ab", "ba", 2),
        ("abcd", "bcd", 1),
        ("abc", "abxc", 1),
    ],
)
def test_the_distance_counts_substitutions_deletions_and_insertions(reference, heard, edits):
    assert recognition.edit_distance(reference, heard) == edits
    assert recognition.edit_distance(list(reference), tuple(heard)) == edits


def test_the_distance_is_a_metric_and_at_most_what_another_alignment_needs():
    rng = np.random.default_rng(0)
    one, two, three = (rng.integers(4, size=n).tolist() for n in (30, 25, 28))
    distance = recognition.edit_distance
    assert distance(one, two) == distance(two, one)
    assert distance(one, three) <= distance(one, two) + distance(two, three)
    blocks = difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes()
    other = sum(max(j - i, n - m) for tag, i, j, m, n in blocks if tag != "equal")
    assert abs(len(one) - len(two)) <= distance(one, two) <= other


def test_the_rate_weighs_utterances_by_their_length():
    found = recognition.error_rate([1, 0], [1, 9], np.random.default_rng(0))
    assert found["rate"] == 0.1
    assert found["low"] == 0 and found["high"] == 1  # either utterance may be drawn twice
    same = recognition.error_rate([2, 2, 2], [8, 8, 8], np.random.default_rng(0))
    assert set(same.values()) == {0.25}


def test_a_rate_may_exceed_one_and_skips_draws_without_a_reference():
    found = recognition.error_rate([6, 1], [3, 0], np.random.default_rng(0))
    assert found["rate"] == pytest.approx(7 / 3) and found["low"] == 2
    with pytest.raises(KvoiceError, match="references"):
        recognition.error_rate([1], [0], np.random.default_rng(0))


def test_frames_that_are_not_counted_do_not_count():
    truth, labels = np.array([0, 1, 1, 2]), np.array([3, 1, 2, 2])
    assert recognition.frame_accuracy(truth, labels, truth > 0) == pytest.approx(2 / 3)
    with pytest.raises(KvoiceError, match="counted"):
        recognition.frame_accuracy(truth, labels, truth > 5)


def test_a_boundary_is_as_wrong_as_the_nearest_one_is_far():
    truth = np.repeat([0, 4, 2, 0], [10, 5, 5, 10])
    np.testing.assert_array_equal(recognition.boundaries(truth), [10, 15, 20])
    np.testing.assert_array_equal(recognition.boundary_errors(truth, truth), 0)
    late = np.repeat([0, 4, 2, 0], [12, 5, 5, 8])
    np.testing.assert_array_equal(recognition.boundary_errors(truth, late), 2)
    np.testing.assert_array_equal(
        recognition.boundary_errors(truth, np.repeat([0, 1], [13, 17])), [3, 2, 7]
    )
    np.testing.assert_array_equal(recognition.boundary_errors(truth, np.zeros(30)), 30)
