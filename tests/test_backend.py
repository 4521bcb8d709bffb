"""`input_value_and_grad`; the gradients of a training step are tested with `players`."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kvoice import backend

pytestmark = pytest.mark.backend


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def linear(matrix):
    model = keras.Sequential([keras.Input((matrix.shape[0],)), layers.Dense(matrix.shape[1])])
    model.layers[0].kernel.assign(matrix)
    return model


def quadratic(model):
    """x, goal -> sum of |model(x) - goal|^2 / 2, and each item's part."""
    def function(x, goal):
        parts = ops.sum(ops.square(model(x, training=False) - goal), axis=-1) / 2
        return ops.sum(parts), {"parts": parts}
    return backend.input_value_and_grad(function, [model])


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("count", [1, 4])
def test_the_gradient_of_a_quadratic_is_its_closed_form(count):
    matrix, x, goal = drawn(5, 3), drawn(count, 5, seed=1), drawn(count, 3, seed=2)
    (value, aux), gradient = quadratic(linear(matrix))(x, goal)
    off = x @ matrix - goal
    np.testing.assert_allclose(numpy(value), (off**2).sum() / 2, rtol=1e-5)
    np.testing.assert_allclose(numpy(aux["parts"]), (off**2).sum(axis=1) / 2, rtol=1e-5)
    np.testing.assert_allclose(numpy(gradient), off @ matrix.T, rtol=1e-4, atol=1e-5)


def test_one_function_takes_batches_of_several_sizes():
    matrix = drawn(5, 3)
    graded = quadratic(linear(matrix))
    for count in (2, 3, 2):
        x, goal = drawn(count, 5, seed=count), np.zeros((count, 3), "float32")
        _, gradient = graded(x, goal)
        np.testing.assert_allclose(numpy(gradient), x @ matrix @ matrix.T, rtol=1e-4, atol=1e-5)


def test_weights_that_change_later_are_followed():
    model, x, goal = linear(drawn(5, 3)), drawn(2, 5, seed=1), np.zeros((2, 3), "float32")
    graded = quadratic(model)
    graded(x, goal)  # compiled
    matrix = drawn(5, 3, seed=3)
    model.layers[0].kernel.assign(matrix)
    np.testing.assert_allclose(
        numpy(graded(x, goal)[1]), x @ matrix @ matrix.T, rtol=1e-4, atol=1e-5)


def test_the_gradient_goes_through_two_models_that_follow_each_other():
    first, second = drawn(5, 4), drawn(4, 3, seed=1)
    models = [linear(first), linear(second)]
    graded = backend.input_value_and_grad(
        lambda x: (ops.sum(models[1](models[0](x))), ()), models)
    x = drawn(2, 5, seed=2)
    want = np.broadcast_to((first @ second).sum(axis=1), x.shape)
    np.testing.assert_allclose(numpy(graded(x)[1]), want, rtol=1e-4, atol=1e-5)


def test_what_it_returns_can_be_fed_back():
    # Ten steps of descent on |x|^2 / 2 with a rate of a half: x / 2^10.
    graded = quadratic(linear(np.eye(3, dtype="float32")))
    start = drawn(2, 3)
    x = ops.convert_to_tensor(start)
    for _ in range(10):
        x = x - 0.5 * graded(x, np.zeros((2, 3), "float32"))[1]
    np.testing.assert_allclose(numpy(x), start / 2**10, rtol=1e-5)


def test_statistics_weights_and_random_states_stay_as_they_are():
    model = keras.Sequential([
        keras.Input((6,)), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5),
        layers.Dense(3)])
    before = [numpy(v).copy() for v in model.variables]
    graded = quadratic(model)
    x, goal = 5 + drawn(8, 6), np.zeros((8, 3), "float32")
    first, again = (numpy(graded(x, goal)[1]) for _ in range(2))
    np.testing.assert_array_equal(again, first)  # no dropout
    for a, b in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(a), b)
    # Items do not mix, as they would by the statistics of the batch.
    np.testing.assert_allclose(numpy(graded(x[:1], goal[:1])[1]), first[:1], rtol=1e-3, atol=1e-5)


def test_the_gradient_through_an_lstm_is_that_of_finite_differences():
    model = keras.Sequential([keras.Input((7, 2)), layers.Bidirectional(layers.LSTM(3))])
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    graded = quadratic(model)
    x, goal = drawn(2, 7, 2, seed=1), np.zeros((2, 6), "float32")
    (value, _), gradient = graded(x, goal)
    direction = drawn(2, 7, 2, seed=2)
    up, down = (float(numpy(graded(x + step * direction, goal)[0][0])) for step in (1e-2, -1e-2))
    assert np.sum(numpy(gradient) * direction) == pytest.approx((up - down) / 2e-2, rel=1e-2)
    assert np.abs(numpy(gradient)).min(axis=(0, 2)).min() > 0  # it reaches every time
