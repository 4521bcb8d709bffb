import keras
import numpy as np
import pytest
from keras import ops

from kvoice.layers.adain import AdaIN, InstanceNorm

pytestmark = pytest.mark.backend


def sounds(batch=2, time=16, channels=4, seed=0):
    return np.random.default_rng(seed).normal(1, 3, (batch, time, channels)).astype("float32")


def style(batch=2, channels=4, seed=1):
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.normal(0, 2, (batch, channels)), rng.uniform(0.5, 2, (batch, channels))], axis=1
    ).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_instance_norm_removes_mean_and_standard_deviation():
    found = numpy(InstanceNorm()(sounds()))
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-4)


def test_instance_norm_is_that_of_the_formula():
    x = sounds().astype("float64")
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(numpy(InstanceNorm()(sounds())), wanted, atol=1e-5)


def test_instance_norm_ignores_the_gain_and_offset_of_each_channel():
    gain, offset = np.float32([1, 2, 5, 0.5]), np.float32([0, -3, 1, 10])
    np.testing.assert_allclose(
        numpy(InstanceNorm()(gain * sounds() + offset)), numpy(InstanceNorm()(sounds())), atol=1e-3
    )


def test_adain_with_the_statistics_of_instance_norm_inverts_it():
    normalised, taken = InstanceNorm(statistics=True)(sounds())
    assert tuple(taken.shape) == (2, 8)
    np.testing.assert_allclose(numpy(AdaIN()(normalised, taken)), sounds(), atol=1e-3)


def test_a_silent_channel_stays_finite():
    assert not numpy(InstanceNorm()(np.zeros((2, 16, 4), "float32"))).any()


def test_adain_takes_its_mean_and_spread_from_the_style():
    found = numpy(AdaIN()(sounds(), style()))
    np.testing.assert_allclose(found.mean(axis=1), style()[:, :4], atol=1e-4)
    np.testing.assert_allclose(found.std(axis=1), style()[:, 4:], rtol=1e-3)


def test_adain_rejects_a_style_of_the_wrong_width():
    with pytest.raises(ValueError, match="2 \\* channels = 8 values, got 6"):
        AdaIN()(sounds(), style()[:, :6])


def test_both_survive_saving(tmp_path):
    content, given = keras.Input((None, 4)), keras.Input((8,))
    normalised, taken = InstanceNorm(statistics=True)(content)
    model = keras.Model([content, given], [AdaIN()(normalised, given), taken])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for one, two in zip(model([sounds(), style()]), again([sounds(), style()])):
        np.testing.assert_array_equal(numpy(one), numpy(two))
