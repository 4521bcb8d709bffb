"""The run folder: everything that is needed to repeat, resume, use and evaluate a training.

RUN/
    config.json      model, variant, data, every resolved number, versions, the command and the
                     directory in which it was given
    spec.json        the Spec of the features
    labels.json      label -> names, in the order of the indices
    state.json       the step reached, which file holds its weights, and the digests of these and
                     of the three files above; written last
    checkpoints/     step-N.weights.h5 (the newest ones), best.weights.h5
    log.csv          one row for each epoch
    logs/            TensorBoard
    samples/         the output of `generate`
    evaluation.json  the output of `evaluate`
    curves.png       plots of the log
    model.keras      the finished model: the best epoch, its weights averaged
"""

import contextlib
import dataclasses
import fcntl
import importlib.metadata
import json
import os
import platform
import shlex
from collections.abc import Iterator
from pathlib import Path

from kvoice import weights
from kvoice.audio import Spec
from kvoice.earlier import renamed
from kvoice.errors import KvoiceError
from kvoice.files import digest, expanded, read_json, sweep, write_json

FORMAT = 1
LOCK = "lock"
PARTS = ("config.json", "spec.json", "labels.json")  # what makes a folder a run
# Field -> its type, and whether it must be there.
CONFIG = {
    "model_name": (str, True),
    "data": (dict, False),
    "model": (dict, True),
    "train": (dict, True),
    "variant": (str, False),
    "data_spec": (str, False),
    "speakers": (list, False),
    "versions": (dict, False),
    "command": (str, False),
}
INFORMATION = ("format", "versions", "command", "directory")  # fields that change nothing
STATE = {
    "step": (int, True),
    "weights": (str, False),
    "best": (dict | None, False),
    "digests": (dict, False),
}


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that affect the results."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("kvoice", "keras", "tensorflow", "jax", "torch", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@dataclasses.dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
        path: The folder.
        config: The content of config.json; the groups `data`, `model` and `train` are the
            keyword arguments of `Source`, of the model and of `TrainConfig`.
        spec: The Spec of its features.
        labels: Label -> list of names, in the order of the indices.
    """

    path: Path
    config: dict
    spec: Spec
    labels: dict

    @property
    def state(self) -> dict:
        """The content of state.json: {} before the first checkpoint."""
        try:
            state = read_json(self.path / "state.json")
        except FileNotFoundError:
            return {}
        _check_types(self.path / "state.json", state, STATE)
        return state

    @property
    def names(self) -> list[str]:
        """The names of the labels that the model is conditional on; [] for a plain model."""
        return self.labels.get(self.config["model"].get("condition") or "", [])

    @property
    def quoted(self) -> str:
        """The path as a shell takes it, for commands that are printed."""
        return shlex.quote(str(self.path))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the run for one process.

        Raises:
            KvoiceError: If another process trains in this run.
        """
        with open(self.path / LOCK, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise KvoiceError(
                    f"{self.path}: another process is training in this run; wait for it, or "
                    "choose another --run."
                ) from None
            yield


def _flat(value, prefix=""):
    if isinstance(value, dict):
        return {k: v for name, x in value.items() for k, v in _flat(x, f"{prefix}{name}.").items()}
    return {prefix[:-1]: value}


def differences(old: dict, new: dict) -> list[str]:
    """Returns a line such as "model.width: 4 in the run, 5 now" for each value that differs."""
    old, new = _flat(old), _flat(new)
    return [
        f"{name}: {old.get(name, 'absent')} in the run, {new.get(name, 'absent')} now"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def create(
    directory: str | Path,
    config: dict,
    spec: Spec,
    labels: dict,
    command: str = "",
    defaults: dict | None = None,
) -> Run:
    """Creates a run, or opens the existing one. A run without a checkpoint is created anew.

    Args:
        directory: The folder; created if it does not exist.
        config: `model_name`, `variant`, `data_spec`, `corpus` (a fingerprint of its files),
            `speakers` (the training speakers), `split` (how the corpus was split, None of images)
            and the groups `data`, `model`, `train`; `imported`
            (the file and its hash) where the weights were not trained here.
        spec: The Spec of the features.
        labels: Label -> list of names.
        command: The command line, kept as information.
        defaults: Group -> field -> value in runs from before the field existed.

    Raises:
        KvoiceError: If the folder holds a run made with other values (each is named), or holds
            files but no run.
    """
    directory = Path(directory)
    config = json.loads(json.dumps(config))  # tuples become lists, as they come back
    if (directory / "state.json").exists():
        run = load(directory)
        if "imported" in run.config:
            raise KvoiceError(
                f"{directory}: holds the weights of {run.config['imported']['file']}, which stay "
                f"as they are; give another --run, and --init={directory} to begin from them."
            )
        asked = {"config": config, "spec": dataclasses.asdict(spec), "labels": labels}
        made = {k: v for k, v in run.config.items() if k not in INFORMATION}
        made |= {group: {**values, **made[group]} for group, values in (defaults or {}).items()}
        made.setdefault("split", config.get("split"))  # runs of 0.1 do not know it
        kept = {"config": made, "spec": dataclasses.asdict(run.spec), "labels": run.labels}
        same = made["data_spec"] == config["data_spec"]
        follow = ["config.model.bands."]  # from the Spec, and the others from the corpus
        follow += ["config.corpus", "config.speakers", "labels."] * (not same)
        changed = [
            line.removeprefix("config.")
            for line in differences(kept, asked)
            if not line.startswith(tuple(follow))
        ]
        if same and made.get("corpus") != config.get("corpus"):
            raise KvoiceError(
                f"{directory}: the files of {made['data_spec']} have changed since this run began; "
                "give it another --run."
            )
        if changed:
            raise KvoiceError(
                f"{directory}: this run was made with other values ({'; '.join(changed)}). "
                "Give the old values to resume it, or another --run."
            )
        return run
    if directory.exists() and not directory.is_dir():
        raise KvoiceError(f"{directory}: is a file, expected a directory; choose another --run.")
    there = sorted(path.name for path in directory.iterdir()) if directory.exists() else []
    if there and LOCK not in there:  # which is the first file of a run
        raise KvoiceError(
            f"{directory}: holds {', '.join(there[:3])} and is not a run; choose another --run."
        )
    directory.mkdir(parents=True, exist_ok=True)
    header = {
        "format": FORMAT,
        "command": command,
        "directory": os.getcwd(),
        "versions": versions(),
    }
    run = Run(directory, {**header, **config}, spec, labels)
    with run.locked():  # another process may be on the way to the first checkpoint
        sweep(directory, locked=True)
        write_json(directory / "spec.json", dataclasses.asdict(spec))
        write_json(directory / "labels.json", labels)
        write_json(directory / "config.json", run.config)
    return run


def load(directory: str | Path) -> Run:
    """Opens a run, or the weights that ship with kvoice under that name (see `weights`).

    Raises:
        KvoiceError: If the folder is no run, or one of a newer kvoice.
    """
    directory = Path(expanded(directory))
    if not directory.exists():
        directory = weights.shipped(str(directory)) or directory
    try:
        config, spec, labels = (read_json(directory / name) for name in PARTS)
    except (FileNotFoundError, NotADirectoryError):
        ships = f"; weights of {', '.join(weights.names())} ship" if weights.names() else ""
        raise KvoiceError(
            f"{directory}: not a run (no {', '.join(PARTS)} in it); "
            f"`kvoice train --model=NAME --run=DIR` makes one{ships}."
        ) from None
    if config.get("format") != FORMAT:
        raise KvoiceError(
            f"{directory}: format {config.get('format')} of the run is not {FORMAT}, which this "
            "kvoice reads."
        )
    _check_types(directory / "config.json", config, CONFIG)
    spec = {"level_db": 0.0, **spec}  # which earlier versions did not have
    fields = {field.name for field in dataclasses.fields(Spec)}
    if wrong := sorted(fields ^ spec.keys()):
        what = "is missing" if wrong[0] in fields else "is unknown"
        raise KvoiceError(f"{directory / 'spec.json'}: {wrong[0]} {what}; put back a copy of it")
    for name, names in labels.items():
        if not (isinstance(names, list) and all(isinstance(each, str) for each in names)):
            raise KvoiceError(f"{directory / 'labels.json'}: {name} is no list of names")
    config["model"] = renamed(config["model"])
    try:
        run = Run(directory, config, Spec(**spec), labels)
    except (KvoiceError, TypeError, ValueError) as error:
        raise KvoiceError(f"{directory / 'spec.json'}: {error}") from None
    for name, expected in run.state.get("digests", {}).items():
        if name in PARTS and digest(directory / name) != expected:
            raise KvoiceError(
                f"{directory / name}: is not what the run was trained with (damaged or edited); "
                "put back a copy of it"
            )
    return run


def _check_types(path, content, expected):
    """Refuses a JSON object that lacks a field, or has one of another type."""
    for name, (kind, required) in expected.items():
        if name not in content and not required:
            continue
        if not isinstance(content.get(name), kind) or isinstance(content.get(name), bool):
            raise KvoiceError(
                f"{path}: {name} is missing or of another kind than expected; put back a copy of it"
            )
