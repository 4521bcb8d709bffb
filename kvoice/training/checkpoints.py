"""Checkpoints: the weights, and state.json, which names them and is written last."""

import errno
import math
import os
import shutil
import sys
from pathlib import Path

import h5py
import keras

from kvoice.errors import KvoiceError
from kvoice.files import digest, write_json
from kvoice.runs import PARTS, Run


def check_room(directory: str | os.PathLike, built: keras.Model) -> None:
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


def save_weights(built: keras.Model, path: Path) -> None:
    """Writes a checkpoint of a compiled model atomically."""
    check_room(path.parent, built)
    temporary = path.with_name(f".{path.name}")
    try:
        built.save_weights(temporary)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_state(run: Run, step: int, weights: Path, best: dict | None) -> None:
    """Writes the step that a run has reached, after all other files of the checkpoint.

    It holds the digests of the files of the run and of its checkpoints.
    """
    known = run.state.get("digests", {})
    there = {path.name for path in weights.parent.glob("*.weights.h5")}
    files = {weights.name: digest(weights)}
    if best and best["step"] == step:
        files[best["weights"]] = files[weights.name]  # a copy
    write_json(
        run.path / "state.json",
        {
            "step": step,
            "weights": weights.name,
            "best": best,
            "backend": keras.backend.backend(),
            "digests": {name: each for name, each in known.items() if name in there}
            | {name: digest(run.path / name) for name in PARTS}
            | files,
        },
        sealed=True,
    )


def usable_state(run: Run) -> dict:
    """Returns the state of a run; where its newest checkpoint is gone, that of the one before.

    state.json is written anew then, so that the training goes on from there.

    Raises:
        KvoiceError: If no checkpoint is left, or the one that is left is damaged.
    """
    state, folder = run.state, run.path / "checkpoints"
    if not state or (folder / state["weights"]).exists():
        return state
    left = sorted(folder.glob("step-*.weights.h5"))
    if not left:
        raise KvoiceError(
            f"{folder / state['weights']}: the checkpoint is gone, and there is no other; the run "
            "cannot go on."
        )
    _refuse_damaged(run, left[-1])  # its digest is written anew below
    step, best = int(left[-1].name[5:12]), state.get("best")
    write_state(run, step, left[-1], best if best and best["step"] <= step else None)
    return run.state


def chosen(run: Run, best: bool = True) -> str:
    """Returns the name of the checkpoint that a run is used with.

    It is the best one where there is one, else the newest; where the one that state.json names is
    gone, the newest that is left, which is reported on stderr.

    Args:
        run: A `runs.Run` with a checkpoint.
        best: Whether the best one is wanted.
    """
    state, folder = run.state, run.path / "checkpoints"
    name = state["best"]["weights"] if best and state.get("best") else state["weights"]
    left = sorted(path.name for path in folder.glob("*.weights.h5"))
    if name in left or not left:
        return name
    print(f"{folder / name}: is gone; {left[-1]} is used", file=sys.stderr)
    return left[-1]


def load_weights(built: keras.Model, run: Run, name: str, average: bool = False) -> None:
    """Loads the weights and random states of a checkpoint into a model.

    Args:
        built: The model; if it is compiled, the optimizers' slots are loaded too.
        run: A `runs.Run`.
        name: The name of the file in its folder `checkpoints`.
        average: Whether the weights become their moving averages, which the optimizers keep.

    Raises:
        KvoiceError: If the file is missing, damaged, or of another model.
    """
    path = run.path / "checkpoints" / name
    if not path.exists():
        raise KvoiceError(f"{path}: the checkpoint is gone.")
    _refuse_damaged(run, path)
    try:
        built.load_weights(path)
        if average:
            _load_averages(built, path)
    except Exception as error:  # what h5py and Keras raise of a damaged file has no common base
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise KvoiceError(f"{path}: the checkpoint does not fit this run: {line}") from None


def _load_averages(built, path):
    """Loads the moving averages of the weights, without the optimizers that keep them.

    To create all their slots takes longer than the rest of the model. Keras' optimizers have their
    number of steps and their rate first, then the averages.
    """
    with h5py.File(path) as file:
        for group, variables in built.parameter_groups().items():
            slots = file[f"optimizer/player_{group}/vars"]
            for i, variable in enumerate(variables, start=2):
                variable.assign(slots[str(i)][...])


def _refuse_damaged(run, path):
    """Refuses a checkpoint that is not as it was written; runs of 0.1 do not know."""
    expected = run.state.get("digests", {}).get(path.name)
    if expected and digest(path) != expected:
        raise KvoiceError(f"{path}: the checkpoint is damaged{_way_out(path)}")


def _way_out(path):
    """What can be done about a damaged checkpoint."""
    others = sorted(each.name for each in path.parent.glob("*.weights.h5") if each != path)
    if not others:
        return "; put back a copy of it, or train the run anew"
    return (
        f"; put back a copy of it, or delete it: {others[-1]} is used then, where training goes on"
        f" as well as where the run is used"
    )
