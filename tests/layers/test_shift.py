import keras
import numpy as np
import pytest
from keras import ops

from kvoice import backend
from kvoice.layers.shift import ShiftedBasis

pytestmark = pytest.mark.backend

BINS, HEADS, LATENTS = 32, 3, 2


def codes(count=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, LATENTS)).astype("float32")


def basis(bins=BINS, heads=HEADS, seed=0, **arguments):
    """The layer, with weights that NumPy draws."""
    layer = ShiftedBasis(bins, heads=heads, **arguments)
    layer(codes())
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return layer


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def waves(layer, z):
    """[batch, bins, heads, 2 * waves]: sines, then cosines."""
    found = numpy(layer(ops.convert_to_tensor(z)))
    assert found.shape == (len(z), layer.bins, layer.heads * 2 * len(layer.turns))
    assert layer.compute_output_shape(z.shape) == found.shape
    return found.reshape(len(z), layer.bins, layer.heads, -1)


@pytest.mark.parametrize(
    "bins, turns",
    [
        (4, [0.5, 1]),
        (7, [0.5, 1]),
        (8, [0.5, 1, 2]),
        (64, [0.5, 1, 2, 4, 8, 16]),
        (100, [0.5, 1, 2, 4, 8, 16]),
    ],
)
def test_the_waves_have_from_half_a_turn_to_one_in_four_bins(bins, turns):
    np.testing.assert_array_equal(ShiftedBasis(bins).turns, turns)


def test_a_wave_has_its_number_of_turns_from_end_to_end():
    layer = basis()
    found = waves(layer, codes())
    sines, cosines = np.split(found, 2, axis=-1)
    angle = np.unwrap(np.arctan2(sines, cosines), axis=1)
    np.testing.assert_allclose(
        angle[:, -1] - angle[:, 0],
        np.broadcast_to(2 * np.pi * layer.turns, angle[:, 0].shape),
        rtol=1e-4,
    )
    np.testing.assert_allclose(sines**2 + cosines**2, 1, rtol=1e-5)


def test_each_head_has_waves_of_its_own_shift():
    layer, z = basis(), codes()
    shifts = numpy(layer.shifts(ops.convert_to_tensor(z)))
    assert shifts.shape == (4, HEADS) and np.abs(shifts - shifts[:1, :1]).max() > 0.1
    place = np.linspace(-1, 1, BINS)
    angles = np.pi * layer.turns * (place[None, :, None] - shifts[:, None, :])[..., None]
    want = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    np.testing.assert_allclose(waves(layer, z), want, atol=1e-4)


def test_the_shifts_are_linear_in_the_code():
    layer = basis()
    a, b = codes(seed=1), codes(seed=2)
    at = {
        name: numpy(layer.shifts(ops.convert_to_tensor(np.float32(z))))
        for name, z in {"a": a, "b": b, "none": 0 * a, "both": 2 * a - 3 * b}.items()
    }
    moved = {name: value - at["none"] for name, value in at.items()}
    np.testing.assert_allclose(moved["both"], 2 * moved["a"] - 3 * moved["b"], atol=1e-5)
    assert np.abs(moved["a"]).max() > 0.1


@pytest.mark.parametrize("bins", [-3, 1, 5])
def test_a_shift_by_whole_bins_is_the_same_picture_further_along(bins):
    layer = basis()
    kernel, bias = layer.trainable_variables
    kernel.assign(np.concatenate([np.full((1, HEADS), 2 / (BINS - 1)), numpy(kernel)[1:]]))
    z = codes()
    found, moved = waves(layer, z), waves(layer, z + np.float32([bins, 0]))
    there, here = (
        slice(max(bins, 0), BINS + min(bins, 0)),
        slice(max(-bins, 0), BINS + min(-bins, 0)),
    )
    np.testing.assert_allclose(moved[:, there], found[:, here], atol=1e-4)
    assert np.abs(moved - found).max() > 0.5


def test_an_unsure_shift_blurs_the_short_waves_and_leaves_the_long_ones():
    # The mean of a wave of k turns over a shift from N(0, sigma) is exp(-(pi k sigma)^2 / 2) as
    # high.
    sigma, layer = 0.1, basis(heads=1)
    kernel, bias = layer.trainable_variables
    kernel.assign([[sigma], [0]])
    bias.assign([0])
    draws = np.random.default_rng(0).normal(size=(4000, LATENTS)).astype("float32")
    blurred, sharp = waves(layer, draws).mean(axis=0), waves(layer, 0 * draws[:1])[0]
    height = np.tile(np.exp(-((np.pi * layer.turns * sigma) ** 2) / 2), 2)
    np.testing.assert_allclose(blurred, sharp * height, atol=5 / np.sqrt(4000))
    assert height[0] > 0.95 and height[-1] < 0.05


def test_a_picture_pulls_its_code_to_where_it_is():
    # The gradient of a product with the waves of another shift: the slope of a sum of cosines.
    layer = basis(heads=1)
    kernel, bias = layer.trainable_variables
    kernel.assign([[1.0], [0.0]])
    bias.assign([0])
    target = waves(layer, np.float32([[0.05, 0]])).reshape(1, BINS, -1)
    graded = backend.input_value_and_grad(
        lambda z: (ops.sum(ops.multiply(layer(z), target)), ()), [layer]
    )
    z = np.float32([[0.0, 0.3]])
    slope = BINS * np.sum(np.pi * layer.turns * np.sin(np.pi * layer.turns * 0.05))
    np.testing.assert_allclose(numpy(graded(z)[1]), [[slope, 0]], rtol=1e-3, atol=1e-3)


def test_places_are_exact_where_the_model_around_computes_in_bfloat16():
    layer = basis(dtype="float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        rough = basis(dtype="float32")
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(waves(rough, codes()), waves(layer, codes()), atol=1e-6)


def test_saving_keeps_the_waves(tmp_path):
    model = keras.Sequential([keras.Input((LATENTS,)), basis()])
    want = numpy(model(codes()))
    model.save(tmp_path / "shift.keras")
    again = keras.saving.load_model(tmp_path / "shift.keras")
    np.testing.assert_allclose(numpy(again(codes())), want, atol=1e-6)
    assert again.layers[0].get_config() == model.layers[0].get_config()


def test_too_few_bins_are_refused():
    with pytest.raises(ValueError, match="bins: 3 must be at least 4"):
        ShiftedBasis(3)
