"""Checkpoints: the weights, and state.json, which names them and is written last."""

import errno
import math
import os
import shutil

import keras

from kvoice.errors import KvoiceError
from kvoice.files import write_json


def check_room(directory: str | os.PathLike, built) -> None:
    """Checks the free disk space, since HDF5 aborts the process when the disk is full.

    Args:
        directory: The folder of the file.
        built: The compiled model.

    Raises:
        OSError: ENOSPC, if there is not enough space.
    """
    variables = built.variables + built.optimizer.variables
    size = sum(4 * math.prod(variable.shape) for variable in variables) + 2**20
    if shutil.disk_usage(directory).free < 2 * size:  # the newest and the best
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def save_weights(built, path):
    """Writes a checkpoint of a compiled model atomically."""
    check_room(path.parent, built)
    temporary = path.with_name(f".{path.name}")
    try:
        built.save_weights(temporary)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_state(run, step: int, weights, best):
    """Writes the step that a run has reached, after all other files of the checkpoint."""
    write_json(
        run.path / "state.json",
        {"step": step, "weights": weights.name, "best": best, "backend": keras.backend.backend()},
    )


def load_weights(built, path):
    """Loads the weights, optimizer slots and random states of a checkpoint into a model.

    Raises:
        KvoiceError: If the file is missing, damaged, or of another model.
    """
    try:
        built.load_weights(path)
    except FileNotFoundError:
        raise KvoiceError(f"{path}: the checkpoint is gone; the run cannot go on.") from None
    except (OSError, KeyError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise KvoiceError(f"{path}: the checkpoint does not fit this run: {line}") from None
