import keras
import numpy as np
import pytest
from keras import ops

from kvoice.layers.resample import PixelShuffle1D, ReflectConv1D

pytestmark = pytest.mark.backend


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def convolved(x, layer):
    """What the layer should give, by NumPy's own mirror and sums."""
    kernel, bias = (numpy(each) for each in (layer.kernel, layer.bias))
    size, stride = len(kernel), layer.strides[0]
    after = size // 2 if size % 2 else size // 2 - 1
    padded = np.pad(x, ((0, 0), (size // 2, after), (0, 0)), mode="reflect")
    starts = range(0, padded.shape[1] - size + 1, stride)
    return (
        np.stack([np.einsum("bkc,kcf->bf", padded[:, s : s + size], kernel) for s in starts], 1)
        + bias
    )


@pytest.mark.parametrize("kernel", range(1, 9))
@pytest.mark.parametrize(("time", "stride"), [(16, 1), (16, 2), (17, 2)])
def test_the_ends_are_mirrored_and_the_length_is_kept_or_divided(kernel, time, stride):
    x = np.random.default_rng(kernel).normal(size=(2, time, 3)).astype("float32")
    layer = ReflectConv1D(4, kernel, stride, bias_initializer="random_normal")
    found = numpy(layer(x))
    if kernel % 2 or stride == 1:
        assert found.shape == (2, -(-time // stride), 4)
    assert layer.compute_output_shape(x.shape) == found.shape
    np.testing.assert_allclose(found, convolved(x, layer), atol=1e-5)


def test_a_longer_time_than_was_built_for_is_fine():
    layer = ReflectConv1D(4, 5, 2)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    for time in (9, 20):
        x = np.random.default_rng(time).normal(size=(1, time, 3)).astype("float32")
        np.testing.assert_allclose(numpy(model(x)), convolved(x, layer), atol=1e-5)


def test_channels_become_time_in_the_order_of_the_published_code():
    x = np.arange(2 * 3 * 6, dtype="float32").reshape(2, 3, 6)
    found = numpy(PixelShuffle1D(2)(x))
    assert found.shape == (2, 6, 3)
    for t in range(3):
        for c in range(3):
            for r in range(2):
                np.testing.assert_array_equal(found[:, 2 * t + r, c], x[:, t, 2 * c + r])


def test_both_survive_saving_and_take_any_length(tmp_path):
    x = keras.Input((None, 3))
    model = keras.Model(x, PixelShuffle1D(2)(ReflectConv1D(4, 5)(x)))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for time in (7, 12):
        given = np.random.default_rng(0).normal(size=(2, time, 3)).astype("float32")
        assert tuple(model(given).shape) == (2, 2 * time, 2)
        np.testing.assert_array_equal(numpy(model(given)), numpy(again(given)))
