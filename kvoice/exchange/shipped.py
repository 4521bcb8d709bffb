"""Makes the weights that ship with kvoice of a run: averaged, in half precision, without optimizer.

python -m kvoice.exchange.shipped runs/adainvc/readers adainvc librispeech:DIR

writes kvoice/weights/adainvc/, but for its card. The last argument is the corpus as the card names
it, without the folder of the machine that it was trained on.
"""

import dataclasses
import sys
from pathlib import Path

import h5py
import keras
import numpy as np

from kvoice import runs, weights
from kvoice.files import write_json
from kvoice.training import checkpoints, loop

LEFT_OUT = ("directory", "command")  # of the machine


def ship(directory: str, folder: Path, corpus: str) -> runs.Run:
    """Writes the weights of a run as they ship; existing ones are replaced.

    Args:
        directory: The run.
        folder: The folder of the weights.
        corpus: The corpus that it was trained on, as `--data` names it.

    Returns:
        The new folder as a run, at the step of the given one.
    """
    run = runs.load(directory)
    model = loop.load(directory)
    step = (run.state["best"] or run.state)["step"]
    config = {name: value for name, value in run.config.items() if name not in LEFT_OUT}
    config |= {"data_spec": corpus, "train": config["train"] | {"ema": 0.0}}  # averaged already
    places = folder / "checkpoints"
    places.mkdir(parents=True, exist_ok=True)
    for old in places.glob("*.weights.h5"):
        old.unlink()
    write_json(folder / "config.json", config)
    write_json(folder / "spec.json", dataclasses.asdict(run.spec))
    write_json(folder / "labels.json", {})
    path = places / f"step-{step:07d}.weights.h5"
    save(model, path)
    made = dataclasses.replace(run, path=folder, config=config, labels={})
    checkpoints.write_state(made, step, path, best=None)
    return runs.load(folder)


def save(model: keras.Model, path: Path) -> None:
    """Writes the weights of a model, floating-point ones in half precision.

    Keras reads them as those of full precision.
    """
    whole = path.with_name(f"whole-{path.name}")
    model.save_weights(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as half:

        def copy(name, item):
            made = half.require_group(name) if isinstance(item, h5py.Group) else _half(half, item)
            for key, value in item.attrs.items():
                made.attrs[key] = value

        source.visititems(copy)
        for key, value in source.attrs.items():
            half.attrs[key] = value
    whole.unlink()


def _half(file, item):
    values = item[...]
    if np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float16)
    return file.create_dataset(item.name, data=values)


def main(directory: str, name: str, corpus: str) -> None:
    """Writes kvoice/weights/NAME/ and prints its size."""
    made = ship(directory, weights.FOLDER / name, corpus)
    size = sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file())
    print(f"{made.path}: step {made.state['step']}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
