import numpy as np
import pytest
from keras import ops

from kvoice.layers.flow import FlowStep, log_abs_determinant
from kvoice.layers.weight_norm import WeightNorm, convolved

pytestmark = pytest.mark.backend

SIZES = dict(conditions=3, width=5, depth=3, kernel=3)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def tensor(array):
    return ops.convert_to_tensor(np.float32(array))


def settled(step, seed=0):
    """A step as training may leave it: a matrix that is no rotation, scales and offsets that are
    not 0.
    """
    rng = np.random.default_rng(seed)
    size = step.mixing.matrix.shape[1]
    rotation, _ = np.linalg.qr(rng.normal(size=(size, size)))
    step.mixing.matrix.assign((rotation * rng.uniform(-1.5, -0.6, size))[None])
    for variable in (step.network.end.kernel, step.network.end.bias):
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return step


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_a_convolution_is_the_sum_of_its_taps(dilation):
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(2, 11, 3)), rng.normal(size=(3, 3, 4)), rng.normal(size=4)
    found = numpy(convolved(tensor(x), tensor(kernel), tensor(bias), dilation, reach=7))
    padded = np.pad(x, ((0, 0), (dilation, dilation), (0, 0)))
    for t in range(11):
        expected = sum(padded[:, t + i * dilation] @ kernel[i] for i in range(3)) + bias
        np.testing.assert_allclose(found[:, t], expected, atol=1e-5)


def test_a_kernel_is_a_direction_and_a_length():
    layer = WeightNorm(4, 6, kernel=3, layers=2, seed=1)
    first, _ = (numpy(each) for each in layer.folded())
    np.testing.assert_allclose(first, numpy(layer.v), atol=1e-6)  # g = |v| at first
    bound = 12**-0.5
    assert np.abs(first).max() <= bound and first.std() == pytest.approx(bound / 3**0.5, rel=0.2)
    layer.g.assign(np.full((2, 1, 1, 6), 2.0))
    layer.v.assign(7 * numpy(layer.v))
    kernel, _ = (numpy(each) for each in layer.folded())
    np.testing.assert_allclose(np.sqrt((kernel**2).sum(axis=(1, 2))), 2.0, rtol=1e-5)
    np.testing.assert_allclose(
        kernel, first * 2 / np.sqrt((first**2).sum(axis=(1, 2), keepdims=True)), rtol=1e-4
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_of_a_determinant_does_not_matter(sign):
    matrix = np.random.default_rng(3).normal(size=(6, 6))
    matrix[0] *= sign * np.sign(np.linalg.det(matrix))
    assert np.sign(np.linalg.det(matrix)) == sign
    assert float(log_abs_determinant(tensor(matrix))) == pytest.approx(
        np.linalg.slogdet(matrix)[1], abs=1e-4
    )


def test_a_mixing_begins_as_a_rotation():
    for seed in range(4):
        matrix = numpy(FlowStep(8, seed=seed, **SIZES).mixing.matrix)[0]
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-5)
        assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_step_and_its_inverse(swapped):
    step = settled(FlowStep(6, swapped=swapped, **SIZES))
    rng = np.random.default_rng(1)
    x, conditions = tensor(rng.normal(size=(2, 20, 6))), tensor(rng.normal(size=(2, 20, 3)))
    y, log_scale, determinant = step.forward(x, conditions)
    assert np.abs(numpy(y) - numpy(x)).max() > 0.5 and np.abs(numpy(log_scale)).max() > 0.1
    assert float(numpy(determinant)) == pytest.approx(
        np.linalg.slogdet(numpy(step.mixing.matrix)[0].astype(np.float64))[1], abs=1e-4
    )
    np.testing.assert_allclose(
        numpy(step.inverse(y, conditions, step.folded())), numpy(x), atol=1e-4
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_one_half_stays_and_conditions_the_change_of_the_other(swapped):
    step = settled(FlowStep(6, swapped=swapped, **SIZES))
    step.mixing.matrix.assign(np.eye(6)[None])
    rng = np.random.default_rng(1)
    x, conditions = rng.normal(size=(1, 9, 6)), tensor(rng.normal(size=(1, 9, 3)))
    y, log_scale, _ = (numpy(each) for each in step.forward(tensor(x), conditions))
    kept, changed = (slice(3, 6), slice(0, 3)) if swapped else (slice(0, 3), slice(3, 6))
    np.testing.assert_allclose(y[..., kept], x[..., kept], atol=1e-6)
    more = x.copy()
    more[..., changed] += 1  # what is changed tells nothing of itself: the step is affine in it
    moved = numpy(step.forward(tensor(more), conditions)[0])
    np.testing.assert_allclose(moved[..., changed] - y[..., changed], np.exp(log_scale), rtol=1e-3)


def test_a_new_step_only_mixes():
    step = FlowStep(6, **SIZES)
    rng = np.random.default_rng(1)
    x, conditions = rng.normal(size=(1, 9, 6)), tensor(rng.normal(size=(1, 9, 3)))
    y, log_scale, determinant = step.forward(tensor(x), conditions)
    np.testing.assert_allclose(numpy(y), x @ numpy(step.mixing.matrix)[0], atol=1e-5)
    assert np.abs(numpy(log_scale)).max() == 0 and float(numpy(determinant)) == pytest.approx(
        0, abs=1e-5
    )
