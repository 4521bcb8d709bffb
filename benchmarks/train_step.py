"""Seconds for a training step of voicegan, by backend and precision, in one run.

    python benchmarks/train_step.py                        # the default variant, what is installed
    python benchmarks/train_step.py --variant=paper --peak_tflops=989   # on a GPU

Batches are synthetic, so that no corpus and no TensorFlow are needed. Each setting runs in a process
of its own, and the settings take turns for several rounds, so that a slow minute of the machine does
not fall on one of them. With --peak_tflops (of the chip, in the precision measured) the share of the
peak is reported as well: three times the multiplications of a forward pass for each backward pass,
five for the gradient penalty.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

import measure
import numpy as np

SETTINGS = {
    "tensorflow": ("tensorflow", "float32", False),
    "tensorflow, jit": ("tensorflow", "float32", True),
    "tensorflow, bfloat16": ("tensorflow", "mixed_bfloat16", False),
    "jax": ("jax", "float32", True),
    "jax, bfloat16": ("jax", "mixed_bfloat16", True),
    "torch": ("torch", "float32", False),
    "torch, bfloat16": ("torch", "mixed_bfloat16", False),
}


def multiplications(model):
    """Multiply-adds of one item's forward pass: (generator, critic)."""
    import keras

    def of(part):
        total = 0
        for layer in part.layers:
            if isinstance(layer, keras.layers.Dense):
                total += int(np.prod(layer.kernel.shape))
            elif isinstance(layer, keras.layers.Conv2DTranspose):
                total += int(np.prod(layer.kernel.shape) * np.prod(layer.input.shape[1:3]))
            elif isinstance(layer, keras.layers.Conv2D):
                total += int(np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3]))
        return total

    return of(model.generator), of(model.critic)


def flops(model, batch):
    """Floating-point operations of one training step.

    A critic step: the generator forward (1), the critic forward and backward on real and fake
    (2 x 3), and the penalty: forward (1), gradient by the input (1), and the backward pass through
    both (3). The generator's step: forward and backward through both (2 x 3), without the critic's
    weights (-1).
    """
    generator, critic = multiplications(model)
    items = batch // model.n_critic
    step = model.n_critic * (generator + 11 * critic) + 3 * generator + 2 * critic
    return 2 * items * step


def timed(variant, steps, precision, jit):
    """Runs in a process of its own; prints one JSON line."""
    import keras

    from kvoice import cli
    from kvoice.models import VoiceGAN
    from kvoice.players import OptimizerGroup

    config = cli.configuration("voicegan", variant)
    keras.config.set_dtype_policy(precision)
    spec, data = config["audio"], config["data"]
    shape = (data["crop_frames"], spec["mels"])
    model = VoiceGAN(shape=shape, low=spec["low"], high=spec["high"], labels=4, **config["model"])
    adam = {p: keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9) for p in model.players()}
    backend = keras.backend.backend()
    model.compile(OptimizerGroup(adam), jit_compile=jit)
    rng = np.random.default_rng(0)
    batch = {
        "mel": rng.uniform(spec["low"], spec["high"], (data["batch"], *shape)).astype("float32"),
        "emotion": rng.integers(0, 4, data["batch"]).astype("int32"),
    }

    class Clock(keras.callbacks.Callback):
        times = []

        def on_train_batch_end(self, step, logs=None):
            float(logs["loss"])  # waits for the device
            self.times.append(time.perf_counter())

    def feed():
        while True:
            yield (batch,)

    start = time.perf_counter()
    model.fit(feed(), steps_per_epoch=steps + 1, shuffle=False, verbose=0, callbacks=[Clock()])
    times = np.diff([start, *Clock.times])
    memory = None
    if backend == "jax":
        import jax

        stats = jax.devices()[0].memory_stats()
        memory = stats and stats["peak_bytes_in_use"]
    print(json.dumps({
        "first_s": times[0], "steps_s": times[1:].tolist(), "batch": data["batch"],
        "flops": flops(model, data["batch"]), "peak_bytes": memory,
    }))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak_tflops", type=float, default=0.0)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _, precision, jit = SETTINGS[options.one]
        return timed(options.variant, options.steps, precision, jit)

    settings = [n for n, (b, _, _) in SETTINGS.items() if importlib.util.find_spec(b)]
    found = {name: [] for name in settings}
    for _ in range(options.rounds):
        for name in settings:
            words = ["--one", name, "--variant", options.variant, "--steps", str(options.steps)]
            done = subprocess.run(
                [sys.executable, __file__, *words], stdout=subprocess.PIPE, check=True,
                env={**os.environ, "KERAS_BACKEND": SETTINGS[name][0]},
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    table = {}
    for name, rounds in found.items():
        steps = np.concatenate([r["steps_s"] for r in rounds])
        median = float(np.median(steps))
        row = table[name] = {
            "step_s": median, "low_s": float(np.quantile(steps, 0.1)),
            "high_s": float(np.quantile(steps, 0.9)),
            "first_step_s": float(np.median([r["first_s"] for r in rounds])),
            "tflops": rounds[0]["flops"] / median / 1e12,
        }
        if rounds[0]["peak_bytes"]:
            row["peak_gib"] = rounds[0]["peak_bytes"] / 2**30
        if options.peak_tflops:
            row["share_of_peak"] = row["tflops"] / options.peak_tflops
    first = next(iter(table.values()))["step_s"]
    for row in table.values():
        row["ratio_to_first"] = row["step_s"] / first
    measure.write(
        f"train_step_{options.variant or 'default'}",
        {"variant": options.variant or "default", "batch": found[settings[0]][0]["batch"],
         "settings": table},
    )


if __name__ == "__main__":
    main()
