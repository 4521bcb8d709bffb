import os
import sys

import pytest

import kvoice
from kvoice import frameworks
from kvoice.errors import KvoiceError


@pytest.fixture
def installed(monkeypatch):
    """Pretends that only some backends are installed, and that Keras is not imported yet."""

    def pretend(*names, chosen=""):
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        monkeypatch.setattr(frameworks, "installed", lambda name: name in names)
        monkeypatch.setenv("KERAS_BACKEND", chosen)

    return pretend


@pytest.mark.parametrize(
    ("names", "backend"),
    [
        (("tensorflow", "jax", "torch"), "tensorflow"),
        (("jax", "torch"), "jax"),
        (("torch",), "torch"),
    ],
)
def test_without_a_choice_the_first_backend_that_is_installed_is_taken(installed, names, backend):
    installed(*names)
    assert frameworks.chosen_backend() == backend == os.environ["KERAS_BACKEND"]


def test_a_chosen_backend_is_kept(installed):
    installed("tensorflow", "torch", chosen="torch")
    assert frameworks.chosen_backend() == "torch"


@pytest.mark.parametrize("chosen", ["jax", "tensorflow"])
def test_a_backend_that_is_not_installed_names_the_extra(installed, chosen):
    installed(chosen=chosen)
    with pytest.raises(KvoiceError, match=rf"pip install 'kvoice\[{chosen}\]'"):
        frameworks.chosen_backend()


@pytest.mark.parametrize("chosen", ["tensoflow", "TensorFlow"])
def test_an_unknown_backend_suggests_the_nearest_one(installed, chosen):
    installed("tensorflow", chosen=chosen)
    with pytest.raises(KvoiceError, match='did you mean "tensorflow"?'):
        frameworks.chosen_backend()


def test_a_run_is_not_loaded_without_a_backend(installed, tmp_path):
    installed()
    with pytest.raises(
        KvoiceError,
        match=r"no backend is installed; .*\[tensorflow\].* or .*\[jax\].* or .*\[torch\]",
    ):
        kvoice.load(tmp_path)


@pytest.mark.backend
def test_the_backend_of_an_imported_keras_is_the_one(monkeypatch):
    import keras

    monkeypatch.setenv("KERAS_BACKEND", "nonsense")
    assert frameworks.chosen_backend() == keras.backend.backend() == os.environ["KERAS_BACKEND"]


@pytest.mark.parametrize(
    "name, extra",
    [
        ("tensorflow.data", "tensorflow"),
        ("tf_keras", "tensorflow"),
        ("jaxlib", "jax"),
        ("tensorflow_io", "tfio"),
        ("keras_tuner", "tune"),
        ("onnxruntime", "judges"),
    ],
)
def test_the_extra_of_a_missing_package_is_named(name, extra):
    assert f"'kvoice[{extra}]'" in frameworks.missing(ModuleNotFoundError(name=name))


def test_a_missing_module_of_no_extra_is_a_bug():
    assert frameworks.missing(ModuleNotFoundError(name="kvoice.nothing")) == ""
    assert frameworks.missing(ModuleNotFoundError()) == ""
