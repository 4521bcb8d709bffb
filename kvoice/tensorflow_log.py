"""Keeps back what TensorFlow 2.21 writes while it is imported: no variable silences it any more.

Six lines about oneDNN, CUDA and the processor come before the answer of each command otherwise. All
else that is written meanwhile is passed on when the import ends.
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


class _Loader:
    """A loader that filters standard error while it loads."""

    def __init__(self, loader):
        self.loader = loader

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        with _filtered():
            self.loader.exec_module(module)


class Finder:
    """Finds TensorFlow as Python does, and gives it such a loader; for `sys.meta_path`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = (
            importlib.machinery.PathFinder.find_spec(name, path, target)
            if name == "tensorflow"
            else None
        )
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader)
        return spec


def keep_back():
    """Filters the next import of TensorFlow in this process; twice is as once."""
    with contextlib.suppress(OSError):
        os.fstat(2)  # nothing is written where standard error is closed
        if Finder not in sys.meta_path:
            sys.meta_path.insert(0, Finder)


def leave_out_retracing():
    """Leaves out the warning that a graph is traced again, since recordings have many lengths."""
    logging.getLogger("tensorflow").addFilter(_of_no_retracing)


def _of_no_retracing(record):
    return "triggered tf.function retracing" not in record.getMessage()
