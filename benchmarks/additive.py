"""Speed of rendering tones: their waves, and the images that are the input of a model.

    python benchmarks/additive.py

Items per second of random items of the grid `audible`: of the waves alone and of each
representation of given waves, in one thread, and of rendering the whole grid as images, which
`train` does the first time, on all processors. `cores` is the processor time divided by the wall
time; the compilation of librosa's transform is not counted. Then of the batches of 64 that training
reads.
"""

import argparse
import os
import pathlib
import tempfile
import time

import measure
import numpy as np


def rate(function, items, repeat):
    """Items per second of a call on so many items, and the cores it kept busy."""
    function()
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(repeat):
        function()
    clock_s = time.perf_counter() - start
    return {
        "items_per_second": repeat * items / clock_s,
        "cores": (time.process_time() - busy) / clock_s,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()

    from kvoice.data.factors import FactorSource
    from kvoice.data.synthetic import additive

    space = additive.Space.parse("audible")
    items = np.random.default_rng(0).choice(len(space), 256, replace=False)
    waves = space.waves(items)
    one = {"sounds": rate(lambda: space.waves(items), len(items), options.repeat)}
    for name in additive.REPRESENTATIONS:
        view = additive.View(name)
        one[name] = rate(lambda: view(waves), len(items), options.repeat)
    whole = {}
    here = pathlib.Path.cwd()
    for name in ("cqt", "mel", "stft"):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # images are kept below the working directory
            try:
                tones = additive.Tones(space, additive.View(name))
                start, busy = time.perf_counter(), time.process_time()
                tones.keep()
                clock_s = time.perf_counter() - start
                whole[name] = {
                    "seconds": clock_s,
                    "items_per_second": len(space) / clock_s,
                    "cores": (time.process_time() - busy) / clock_s,
                }
                if name == "cqt":
                    source = FactorSource("additive", "train", 64)
                    steps = iter(range(10**6))
                    batches = rate(lambda: source.batch(next(steps)), 64, 500)
            finally:
                os.chdir(here)
    measure.write(
        "additive",
        {
            "items": len(space),
            "samples": additive.SAMPLES,
            "chunk": one,
            "whole_grid": whole,
            "batches": batches,
        },
    )


if __name__ == "__main__":
    main()
