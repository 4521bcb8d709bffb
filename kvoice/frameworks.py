"""Which backend Keras runs on, and which extra of kvoice brings a package that is missing.

Nothing here imports a framework.
"""

import importlib.util
import os
import sys

from kvoice.errors import KvoiceError, near

BACKENDS = ("tensorflow", "jax", "torch")

# The names under which the packages of an extra are imported.
EXTRAS = {
    "tensorflow": ("tensorflow", "tensorflow_probability", "tf_keras", "tensorboard"),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch",),
    "tfio": ("tensorflow_io",),
    "judges": ("hama", "pocketsphinx", "speechmos", "onnxruntime"),
    "tune": ("keras_tuner",),
    "test": ("pytest", "xdist", "playwright"),
}


def chosen_backend() -> str:
    """Returns the backend to use, and sets KERAS_BACKEND to it.

    It is the one that KERAS_BACKEND names, else the first that is installed. Where Keras is
    imported already, its backend is the one.

    Raises:
        KvoiceError: If it is none of `BACKENDS` or not installed, or none is, with the way to
            install it.
    """
    if "keras" in sys.modules:
        name = sys.modules["keras"].config.backend()
    else:
        name = os.environ.get("KERAS_BACKEND") or next(filter(installed, BACKENDS), "")
    if not name:
        raise KvoiceError(f"no backend is installed; {way_to(*BACKENDS)}")
    if name not in BACKENDS:
        raise KvoiceError(
            f"KERAS_BACKEND={name}: no such backend{near(name, BACKENDS)}; "
            f"there are {', '.join(BACKENDS)}"
        )
    if not installed(name):
        raise KvoiceError(f"KERAS_BACKEND={name}, but {name} is not installed; {way_to(name)}")
    os.environ["KERAS_BACKEND"] = name
    return name


def installed(package: str) -> bool:
    """Returns whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def missing(error: ModuleNotFoundError) -> str:
    """Returns one line on a failed import of a package of an extra; "" for other packages.

    Args:
        error: A `ModuleNotFoundError`.
    """
    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if package in packages), "")
    return f"{package} is not installed; {way_to(extra)}" if extra else ""


def way_to(*extras: str) -> str:
    """Returns how an extra, or one of several, is installed, as a part of a sentence."""
    each = " or ".join(f"'kvoice[{extra}]'" for extra in extras)
    here = " or ".join(f"'.[{extra}]'" for extra in extras)
    in_a_checkout = f"in a checkout pip install -c constraints.txt -e {here}"
    return f"install it with pip install {each}, {in_a_checkout}"
