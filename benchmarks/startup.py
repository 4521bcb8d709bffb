"""Seconds of `bin/train -h`, and from the start of `bin/train` to the end of its first step.

python benchmarks/startup.py --corpus=prepared/DIR
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import measure

TRAIN = pathlib.Path(__file__).parent.parent / "bin" / "train"


def first_step(backend, corpus):
    """Seconds from the command to the end of its first step, with a corpus that is prepared."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "--model=voicegan",
            f"--data=prepared:{corpus}",
            f"--run={folder}/run",
            "--config.train.steps=1",
            "--config.train.steps_per_epoch=1",
        ]
        start = time.perf_counter()
        process = subprocess.Popen(
            [TRAIN, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONUNBUFFERED": "1"},
        )
        seen, found = b"", None
        while chunk := os.read(process.stdout.fileno(), 4096):
            seen += chunk
            if found is None and b"step 1 of 1" in seen:
                found = time.perf_counter() - start
        if process.wait() or found is None:
            sys.exit(f"bin/train failed on {backend}: {seen.decode()}")
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="a prepared corpus")
    options = parser.parse_args()
    help_s = measure.seconds(
        lambda: subprocess.run([TRAIN, "-h"], stdout=subprocess.DEVNULL, check=True), 5
    )
    first = {b: first_step(b, options.corpus) for b in ("tensorflow", "jax", "torch")}
    measure.write("startup", {"train -h": help_s, "first_step_s": first})


if __name__ == "__main__":
    main()
