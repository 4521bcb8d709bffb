"""Imports TensorFlow without its lines, and Keras without what no command uses.

TensorFlow 2.21 writes six lines about oneDNN, CUDA and the processor while it is imported, which no
variable silences any more. All else that is written meanwhile is passed on when the import ends.

Keras 3.15 imports scikit-learn, matplotlib and JAX for wrappers, galleries and checkpoints of its
own wherever they are installed, which takes longer than the rest of Keras.
"""

import contextlib
import importlib.machinery
import logging
import os
import re
import sys
import tempfile

KEPT_BACK = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I0000 \S+ +\d+ |"
    rb"To enable the following instructions: "
)


@contextlib.contextmanager
def _filtered():
    """Keeps lines of TensorFlow out of the standard error of the process: they come from C++."""
    with contextlib.suppress(AttributeError, ValueError):
        sys.stderr.flush()
    outside = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(outside, 2)
            os.close(outside)
            written.seek(0)
            for line in written:
                if not KEPT_BACK.match(line):
                    os.write(2, line)


@contextlib.contextmanager
def _alone():
    """Makes packages that Keras can do without seem missing, but the backend of this process."""
    backend = os.environ.get("KERAS_BACKEND")
    hidden = {"sklearn", "matplotlib", "jax"} - {backend, *sys.modules}
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _Loader:
    """A loader that loads within a context."""

    def __init__(self, loader, context):
        self.loader, self.context = loader, context

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        with self.context():
            self.loader.exec_module(module)


class _Finder:
    """Finds one package as Python does, and gives it such a loader; for `sys.meta_path`."""

    def __init__(self, package, context):
        self.package, self.context = package, context

    def find_spec(self, name, path=None, target=None):
        if name != self.package:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader, self.context)
        return spec


def _imported_within(package, context):
    """Imports a package within a context, once it is imported; twice is as once."""
    if not any(isinstance(each, _Finder) and each.package == package for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder(package, context))


def silence_tensorflow() -> None:
    """Keeps back TensorFlow's own lines when this process imports it."""
    with contextlib.suppress(OSError):
        os.fstat(2)  # nothing is written where standard error is closed
        _imported_within("tensorflow", _filtered)


def keras_alone() -> None:
    """Imports Keras faster in a process that uses no wrappers or galleries of Keras: a command."""
    _imported_within("keras", _alone)


def silence_retracing() -> None:
    """Leaves out the warning that a graph is traced again, since recordings have many lengths."""
    logging.getLogger("tensorflow").addFilter(_of_no_retracing)


def _of_no_retracing(record):
    return "triggered tf.function retracing" not in record.getMessage()
