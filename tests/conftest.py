"""One suite for all backends: NumPy-only tests once, those marked `backend` for each of them.

python -m pytest -m "not backend"
KERAS_BACKEND=jax python -m pytest -m backend
"""

import contextlib
import importlib.util
import os
import sys
import tempfile

import pytest

import kvoice  # noqa: F401  sets what has to be set before a framework is imported

with contextlib.suppress(ImportError):
    # PyTorch's CUDA build brings it, and imports it late; behind TensorFlow 2.21 that ends the
    # process (3.7.1).
    import triton  # noqa: F401

BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
MISSING = importlib.util.find_spec(BACKEND) is None

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # as many processes as cores: their threads would be in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")
elif BACKEND == "jax":
    # Many tests compile the same step; their processes share what one of them compiled, for this
    # session.
    compiled = tempfile.TemporaryDirectory(prefix="kvoice-tests-")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", compiled.name)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def pytest_configure():
    if MISSING and os.environ.get("KVOICE_REQUIRE_BACKENDS"):
        raise pytest.UsageError(f"KERAS_BACKEND={BACKEND} is required here, but not installed")


def pytest_report_header():
    return f"KERAS_BACKEND={BACKEND}"


def pytest_pycollect_makemodule(module_path, parent):
    """Modules that need a backend as a whole are not even imported where it is missing."""
    if MISSING and "pytestmark = pytest.mark.backend" in module_path.read_text():
        return WithoutBackend.from_parent(parent, path=module_path)


class WithoutBackend(pytest.Module):
    def collect(self):
        pytest.skip(f"{BACKEND} is not installed")


@pytest.fixture(autouse=True, scope="module")
def nothing_stays_compiled():
    """The kernel ends a process that has 65,530 memory maps; JAX has some 70 for each function."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


def pytest_runtest_setup(item):
    if MISSING and item.get_closest_marker("backend"):
        pytest.skip(f"{BACKEND} is not installed")
