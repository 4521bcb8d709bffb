"""Seconds of a training step of betavae, voices and tones, on each backend, one after the other.

    python benchmarks/betavae_step.py

Batches of noise of the default sizes: no corpus is needed. Each backend in a process of its own, twice
in turn, so that load on the machine falls on all; medians. Ratios are against TensorFlow.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

import measure
import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")
SHAPES = {"voices": (160, 80), "tones": (16, 80)}
PHONES = 41


def batch(variant, size):
    """A batch of noise with the arrays that the variant learns from."""
    rng = np.random.default_rng(0)
    items = rng.random((size, *SHAPES[variant]), dtype=np.float32)
    if variant == "tones":
        return {"image": items}
    frames = items.shape[:2]
    return {"mel": items, "mask": np.ones(frames, np.float32),
            "phone": rng.integers(PHONES, size=frames).astype(np.int32)}


def timed(steps):
    """Prints the median seconds of a step of each variant, on the backend of this process."""
    import keras

    from kvoice import cli
    from kvoice.models import MODELS
    from kvoice.players import OptimizerGroup

    found = {}
    for variant, shape in SHAPES.items():
        config = cli.configuration("betavae", variant)
        group = config["model"] | ({"phones": PHONES} if variant == "voices" else {})
        model = MODELS["betavae"](shape=shape, low=0.0, high=1.0, **group)
        adam = {player: keras.optimizers.Adam(1e-3) for player in model.players()}
        model.compile(OptimizerGroup(adam), jit_compile=keras.backend.backend() == "jax")
        items = batch(variant, config["data"]["batch"])
        seconds = measure.seconds(lambda m=model, b=items: m.train_on_batch(b), steps)
        found[variant] = seconds["median_s"]
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--here", action="store_true", help="only the backend of KERAS_BACKEND")
    chosen = parser.parse_args()
    if chosen.here:
        return timed(chosen.steps)
    times = {backend: [] for backend in BACKENDS}
    for _ in range(chosen.rounds):
        for backend in BACKENDS:
            out = subprocess.run(
                [sys.executable, __file__, "--here", f"--steps={chosen.steps}"], check=True,
                capture_output=True, text=True, env=os.environ | {"KERAS_BACKEND": backend}).stdout
            times[backend].append(json.loads(out.splitlines()[-1]))
    rows = {backend: {v: statistics.median(each[v] for each in rounds) for v in SHAPES}
            for backend, rounds in times.items()}
    measure.write("betavae_step", {"step_s": rows, "speed_against_tensorflow": {
        backend: {v: rows["tensorflow"][v] / row[v] for v in SHAPES} for backend, row in rows.items()}})


if __name__ == "__main__":
    main()
