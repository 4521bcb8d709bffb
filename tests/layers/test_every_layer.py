"""What holds for every layer that maps tensors to one tensor: its shape, its config, its file, its
precision.
"""

import importlib
import inspect
import pathlib
import pkgutil

import keras
import numpy as np
import pytest
from keras import ops

import kvoice.layers
from kvoice.layers.adain import AdaIN, InstanceNorm
from kvoice.layers.phase_shuffle import PhaseShuffle
from kvoice.layers.resample import PixelShuffle1D, ReflectConv1D
from kvoice.layers.shift import ShiftedBasis
from kvoice.layers.standardised import Standardised
from kvoice.layers.wavenet import WaveNet

pytestmark = pytest.mark.backend

# A layer and the shapes of its inputs.
LAYERS = {
    "InstanceNorm": (lambda **k: InstanceNorm(**k), [(2, 16, 4)]),
    "AdaIN": (lambda **k: AdaIN(**k), [(2, 16, 4), (2, 8)]),
    "PhaseShuffle": (lambda **k: PhaseShuffle(3, seed=5, **k), [(2, 16, 4)]),
    "ReflectConv1D": (lambda **k: ReflectConv1D(6, 5, strides=2, **k), [(2, 16, 4)]),
    "PixelShuffle1D": (lambda **k: PixelShuffle1D(2, **k), [(2, 16, 4)]),
    "ShiftedBasis": (lambda **k: ShiftedBasis(8, heads=2, **k), [(2, 6)]),
    "Standardised": (lambda **k: Standardised(4, **k), [(2, 16, 4)]),
    "WaveNet": (lambda **k: WaveNet(3, 4, 4, 5, cycle=2, backwards=True, **k), [(2, 16, 3)]),
}
# Parts of waveglow, which are driven by more than `call`: see their own tests.
ELSEWHERE = {"InvertibleMixing", "CouplingNetwork", "FlowStep", "WeightNorm"}
each = pytest.mark.parametrize("name", LAYERS)


def tensors(name):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for shape in LAYERS[name][1]]


def test_no_layer_is_left_out():
    modules = [
        importlib.import_module(f"kvoice.layers.{module.name}")
        for module in pkgutil.iter_modules([pathlib.Path(kvoice.layers.__file__).parent])
    ]
    found = {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, keras.layers.Layer) and kind.__module__ == module.__name__
    }
    assert found == set(LAYERS) | ELSEWHERE


@each
def test_the_shape_that_it_foretells_is_that_of_its_output(name):
    layer, inputs = LAYERS[name][0](), tensors(name)
    found = layer(*inputs)
    symbolic = layer(*(keras.KerasTensor((None, *x.shape[1:]), "float32") for x in inputs))
    assert tuple(symbolic.shape) == (None, *found.shape[1:])


@each
def test_its_config_makes_it_again(name):
    layer = LAYERS[name][0]()
    layer(*tensors(name))
    again = type(layer).from_config(layer.get_config())
    again(*tensors(name))
    assert again.get_config() == layer.get_config()
    assert [v.shape for v in again.variables] == [v.shape for v in layer.variables]


@each
def test_a_saved_one_says_the_same(name, tmp_path):
    inputs = [keras.Input(shape[1:]) for shape in LAYERS[name][1]]
    model = keras.Model(inputs, LAYERS[name][0]()(*inputs))
    for variable in model.trainable_variables:
        variable.assign(variable + 0.1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(m(tensors(name))) for m in (model, loaded))
    )


@each
def test_in_mixed_precision_its_variables_stay_whole(name):
    layer = LAYERS[name][0](dtype="mixed_bfloat16")
    found = layer(*tensors(name))
    kinds = [keras.backend.standardize_dtype(variable.dtype) for variable in layer.variables]
    assert all(kind == "float32" or "int" in kind for kind in kinds)  # whole numbers are seeds
    exact = LAYERS[name][0](dtype="float32")
    exact(*tensors(name))
    exact.set_weights(layer.get_weights())
    # bfloat16 keeps 8 bits: 1/256 of the largest value, some of which add up.
    wanted = ops.convert_to_numpy(exact(*tensors(name)))
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(found, "float32")), wanted, atol=0.05 * np.abs(wanted).max()
    )
