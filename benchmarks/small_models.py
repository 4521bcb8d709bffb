"""Seconds for a training step of the small models, by backend and environment.

    python benchmarks/small_models.py                                # the environment of this
    Python python benchmarks/small_models.py OLD/bin/python NEW/bin/python

The models are betavae, classifier and speakerencoder. Batches are noise of the default sizes, so
that no corpus is needed. Each backend runs in a process of its own; environments and backends take
turns, so that load on the machine falls on all. Times are medians, ratios are relative to
TensorFlow in the same environment.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import measure
import numpy as np

HERE = pathlib.Path(__file__).parent
BACKENDS = ("tensorflow", "jax", "torch")
MELS, PHONES, LABELS = 80, 41, 4


def _batch(name, size):
    """A batch of noise for a model, and the arguments of the model that follow from the data."""
    rng = np.random.default_rng(0)
    frames = {"betavae:voices": 160, "betavae:tones": 16, "classifier": 160, "speakerencoder": 96}[
        name
    ]
    items = rng.random((size, frames, MELS), dtype=np.float32)
    shape = {"shape": items.shape[1:], "low": 0.0, "high": 1.0}
    if name == "betavae:tones":
        return {"image": items}, shape
    if name == "betavae:voices":
        phone = rng.integers(PHONES, size=items.shape[:2]).astype(np.int32)
        return {
            "mel": items,
            "mask": np.ones(items.shape[:2], np.float32),
            "phone": phone,
        }, shape | {"phones": PHONES}
    if name == "classifier":
        return {
            "mel": items,
            "emotion": rng.integers(LABELS, size=size).astype(np.int32),
        }, shape | {"labels": LABELS}
    return {"mel": items}, {"mels": MELS, "per_speaker": 4}


MODELS = ("betavae:voices", "betavae:tones", "classifier", "speakerencoder")


def timed(steps):
    """Prints the median seconds of a step of each model, on the backend of this process."""
    import keras

    from kvoice import models
    from kvoice.cli import configs
    from kvoice.steps import OptimizerGroup

    found = {}
    for name in MODELS:
        config = configs.configuration(*name.partition(":")[::2])
        items, known = _batch(name, config["data"]["batch"])
        model = models.MODELS[name.partition(":")[0]](**{**config["model"], **known})
        adam = {group: keras.optimizers.Adam(1e-3) for group in model.parameter_groups()}
        model.compile(OptimizerGroup(adam), jit_compile=keras.backend.backend() == "jax")
        found[name] = measure.seconds(lambda m=model, b=items: m.train_on_batch(b), steps)[
            "median_s"
        ]
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "python", nargs="*", default=[sys.executable], help="the Python of each environment"
    )
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--here", action="store_true", help="only the backend of KERAS_BACKEND")
    chosen = parser.parse_args()
    if chosen.here:
        return timed(chosen.steps)
    times = {}
    for _ in range(chosen.rounds):
        for backend in BACKENDS:
            for place, python in enumerate(chosen.python):
                out = subprocess.run(
                    [python, __file__, "--here", f"--steps={chosen.steps}"],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(HERE.parent)},
                ).stdout
                for name, step_s in json.loads(out.splitlines()[-1]).items():
                    times.setdefault((place, name, backend), []).append(step_s)
    rows = [
        {
            name: {backend: statistics.median(times[place, name, backend]) for backend in BACKENDS}
            for name in MODELS
        }
        for place in range(len(chosen.python))
    ]
    versions = [
        json.loads(
            subprocess.run(
                [
                    python,
                    "-c",
                    "import json; from kvoice import runs; print(json.dumps(runs.versions()))",
                ],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(HERE.parent)},
            ).stdout
        )
        for python in chosen.python
    ]
    measure.write(
        "small_models",
        {
            "environments": [
                {
                    "versions": known,
                    "step_s": row,
                    "speed_against_tensorflow": {
                        name: {backend: each["tensorflow"] / each[backend] for backend in BACKENDS}
                        for name, each in row.items()
                    },
                }
                for known, row in zip(versions, rows, strict=True)
            ]
        },
    )


if __name__ == "__main__":
    main()
