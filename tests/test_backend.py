"""`input_value_and_grad`; `test_steps.py` has the gradients of a training step. Distributions."""

import importlib
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
from keras import layers, ops

from kvoice import backend

pytestmark = pytest.mark.backend

ROOT = pathlib.Path(__file__).resolve().parent.parent


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
        numpy(graded(x, goal)[1]), x @ matrix @ matrix.T, rtol=1e-4, atol=1e-5
    )


def test_the_gradient_goes_through_two_models_that_follow_each_other():
    first, second = drawn(5, 4), drawn(4, 3, seed=1)
    models = [linear(first), linear(second)]
    graded = backend.input_value_and_grad(lambda x: (ops.sum(models[1](models[0](x))), ()), models)
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
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(4),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )
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


# Distributions: TensorFlow Probability's where it is, and ours, which must be the same


def tensors(*arrays):
    return [ops.convert_to_tensor(np.float32(x)) for x in arrays]


NORMALS = {"chosen": backend.normal, "ours": backend._Normal}
BERNOULLIS = {"chosen": backend.bernoulli, "ours": backend._Bernoulli}


@pytest.mark.parametrize("normal", NORMALS.values(), ids=NORMALS)
def test_a_normal_is_that_of_scipy_and_of_its_closed_form(normal):
    loc, scale = tensors(drawn(5, 1), np.exp(drawn(1, 4, seed=1)))
    other_loc, other_scale = tensors(drawn(5, 4, seed=2), np.exp(drawn(5, 4, seed=3)))
    (value,) = tensors(2 * drawn(5, 4, seed=4))
    found, other = normal(loc, scale), normal(other_loc, other_scale)
    a, b, c, d, x = map(numpy, (loc, scale, other_loc, other_scale, value))
    np.testing.assert_allclose(
        numpy(found.log_prob(value)), scipy.stats.norm(a, b).logpdf(x), rtol=1e-4, atol=1e-5
    )
    want = np.log(d / b) + (b**2 + (a - c) ** 2) / (2 * d**2) - 0.5
    np.testing.assert_allclose(numpy(found.kl_divergence(other)), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(numpy(found.kl_divergence(found)), 0, atol=1e-6)


@pytest.mark.parametrize("bernoulli", BERNOULLIS.values(), ids=BERNOULLIS)
def test_a_bernoulli_is_that_of_scipy_and_a_cross_entropy_between_its_values(bernoulli):
    logits, value = tensors(3 * drawn(6, 1), [0, 0.25, 0.5, 0.9, 1])
    y, x = numpy(logits), numpy(value)
    want = x * scipy.special.log_expit(y) + (1 - x) * scipy.special.log_expit(-y)
    found = numpy(bernoulli(logits).log_prob(value))
    np.testing.assert_allclose(found, want, rtol=1e-4)
    sides = scipy.stats.bernoulli(scipy.special.expit(y.astype("float64"))).logpmf([[0, 1]])
    np.testing.assert_allclose(found[:, [0, 4]], sides, rtol=1e-4)
    far, ends = tensors([-200.0, 200.0], [[0.0], [1.0]])  # however sure, the cost is finite
    np.testing.assert_allclose(
        numpy(bernoulli(far).log_prob(ends)), [[0, -200], [-200, 0]], atol=1e-5
    )


def test_a_bernoulli_takes_the_values_of_numpy_as_they_are():
    # TensorFlow Probability's own would take 0.25 for the whole number 0.
    (logits,) = tensors([0.0, 0.0])
    found = numpy(backend.bernoulli(logits).log_prob(np.float32([0.25, 1.0])))
    np.testing.assert_allclose(found, -np.log(2), rtol=1e-6)
    (logits,) = tensors([2.0])
    found = numpy(backend.bernoulli(logits).log_prob(np.float32([0.25])))
    np.testing.assert_allclose(found, 0.5 - np.log1p(np.exp(2)), rtol=1e-5)


SLOPES = {  # d/dx of log_prob(x) and KL of N(x, s) from N(0, 1), and of log_prob by the logit x
    "log_prob": (
        lambda n, b, x: n(x, ops.ones_like(x) / 2).log_prob(ops.ones_like(x)),
        lambda x: (1 - x) * 4,
    ),
    "kl": (
        lambda n, b, x: n(0 * x, ops.exp(x)).kl_divergence(n(0 * x, ops.ones_like(x))),
        lambda x: np.exp(2 * x) - 1,
    ),
    "logit": (
        lambda n, b, x: b(x).log_prob(ops.ones_like(x) / 4),
        lambda x: 0.25 - scipy.special.expit(x),
    ),
}


@pytest.mark.parametrize("which", ["chosen", "ours"])
def test_gradients_go_through_the_distributions(which):
    x = drawn(7)
    for value, slope in SLOPES.values():
        graded = backend.input_value_and_grad(
            lambda x: (ops.sum(value(NORMALS[which], BERNOULLIS[which], x)), ()), []
        )
        np.testing.assert_allclose(numpy(graded(x)[1]), slope(x), rtol=1e-4, atol=1e-5)


def test_the_distributions_are_those_of_tensorflow_probability_where_it_imports():
    found = backend._distributions()
    kinds = {type(backend.normal(*tensors(0, 1))), type(backend.bernoulli(*tensors(0)))}
    if backend.BACKEND == "tensorflow":
        assert found is not None
    if backend.BACKEND == "torch":
        assert found is None
    assert kinds == (
        {found.Normal, found.Bernoulli} if found else {backend._Normal, backend._Bernoulli}
    )


@pytest.mark.parametrize("error", [ImportError, AttributeError, TypeError])
def test_where_tensorflow_probability_fails_to_import_the_same_formulas_stand_in(
    monkeypatch, error
):
    def broken(name):
        raise error(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    backend._distributions.cache_clear()
    try:
        assert isinstance(backend.normal(*tensors(0, 1)), backend._Normal)
        assert isinstance(backend.bernoulli(*tensors(0)), backend._Bernoulli)
    finally:
        backend._distributions.cache_clear()


@pytest.mark.parametrize(
    "settings",
    [{"floatx": "float16"}, {"floatx": "float64"}, {"image_data_format": "channels_first"}],
)
def test_a_keras_json_of_the_user_changes_no_model(settings, tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"epsilon": 1e-3, **settings}))
    code = """
import numpy as np
from kvoice.models import VoiceGAN
model = VoiceGAN(domain="mel", shape=(16, 16), low=-9.0, high=2.0, noise=4, width=2)
import keras
print(keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon())
print(model.generate(1).shape, model.generate(1).dtype)
"""
    env = {**os.environ, "KERAS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["float32 channels_last 1e-07", "(1, 16, 16) float32"]


# --- any_length


def test_a_function_of_any_length_returns_the_same_however_many_lengths_it_is_given():
    function = backend.compiled(lambda x, factor: ops.sum(x, axis=0) * factor)
    for length in [*range(1, 40), *range(1, 40)]:
        x = np.ones((length, 2), "float32")
        np.testing.assert_array_equal(numpy(function(x, np.float32(2))), [2 * length, 2 * length])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX compiles for every length")
def test_what_was_compiled_for_lengths_is_forgotten_before_it_is_too_much(monkeypatch):
    monkeypatch.setattr(backend, "SHAPES", 4)
    compiled = []
    monkeypatch.setattr("jax.clear_caches", lambda: compiled.append("cleared"))

    def function(x):
        compiled.append(len(x))
        return x

    called = backend.compiled(function)
    for length in (1, 2, 3, 4, 4, 1, 5, 6):
        called(np.zeros(length, "float32"))
    assert compiled == [1, 2, 3, 4, "cleared", 5, 6]
