import numpy as np
import pytest

from kvoice.inference.slerp import between, degrees


def noises(count=2, size=512, seed=0):
    return np.random.default_rng(seed).standard_normal((count, size))


def test_a_way_begins_and_ends_at_the_noises_themselves():
    start, end = noises().astype("float32")
    np.testing.assert_array_equal(between(start, end, np.linspace(0, 1, 7))[[0, -1]], [start, end])


def test_a_way_keeps_the_length_of_gaussian_noise_in_equal_turns():
    start, end = noises()
    way = between(start, end, np.linspace(0, 1, 9))
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.sqrt(512), rtol=0.1)
    assert np.linalg.norm((start + end) / 2) < 0.8 * np.sqrt(512)  # what the straight line does
    units = noises() / np.linalg.norm(noises(), axis=1, keepdims=True)
    way = between(*units, np.linspace(0, 1, 9))
    turns = np.arccos(np.sum(way[1:] * way[:-1], axis=1))
    np.testing.assert_allclose(turns, np.arccos(units[0] @ units[1]) / 8, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1, rtol=1e-6)


def test_a_third_of_a_right_angle_is_thirty_degrees():
    third = between([2.0, 0.0], [0.0, 2.0], 1 / 3)
    np.testing.assert_allclose(third, [2 * np.cos(np.pi / 6), 2 * np.sin(np.pi / 6)], rtol=1e-6)


@pytest.mark.parametrize("factor", [1, -1, 3])
def test_noises_along_one_line_are_walked_along_it(factor):
    start = np.array([1.0, 2.0])
    middle = between(start, factor * start, 0.5)
    np.testing.assert_allclose(middle, (1 + factor) / 2 * start, atol=1e-6)


def test_noises_that_are_nearly_one_meet_no_division_by_zero():
    start = noises(1)[0]
    middle = between(start, start * (1 + 1e-9), np.array([0.25, 0.5]))
    np.testing.assert_allclose(middle, [start, start], rtol=1e-6)


def test_no_noise_at_all_is_left_along_a_straight_line():
    end = noises(1)[0]
    np.testing.assert_allclose(between(np.zeros(512), end, 0.5), end / 2, rtol=1e-6)
    np.testing.assert_allclose(between(end, np.zeros(512), 0.25), 0.75 * end, rtol=1e-6)


def test_rows_of_noises_walk_by_themselves_each_by_its_share():
    starts, ends, share = noises(3, seed=1), noises(3, seed=2), np.array([0.0, 0.3, 1.0])
    rows = between(starts, ends, share)
    assert rows.shape == (3, 512) and rows.dtype == np.float32
    for row, start, end, part in zip(rows, starts, ends, share):
        np.testing.assert_allclose(row, between(start, end, part), rtol=1e-6)
    np.testing.assert_allclose(  # one share for all
        between(starts, ends, 0.3), [between(a, b, 0.3) for a, b in zip(starts, ends)], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("end", "angle"), [([3.0, 0.0], 0), ([1.0, 1.0], 45), ([0.0, 0.1], 90), ([-2.0, 0.0], 180)]
)
def test_degrees_are_those_between_the_directions_whatever_the_lengths(end, angle):
    assert degrees([5.0, 0.0], end) == pytest.approx(angle, abs=1e-6)


def test_degrees_of_rows_are_those_of_each_and_gaussian_noise_is_nearly_at_right_angles():
    starts, ends = noises(50, seed=1), noises(50, seed=2)
    angles = degrees(starts, ends)
    assert angles.shape == (50,)
    assert angles[7] == pytest.approx(degrees(starts[7], ends[7]))
    # cos of the angle has a standard deviation of 1 / sqrt(512): 2.5 degrees
    assert np.abs(angles - 90).max() < 5 * 2.5
