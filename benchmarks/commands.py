"""Time and memory of whole commands: `convert`, `prepare` and `train` on long recordings.

    python benchmarks/commands.py --run=runs/adainvc/default
    python benchmarks/commands.py --hours=5

The recordings are utterances of the demo corpus, one behind the other. Each command is a process of
its own; its memory is the largest resident set of the process and its workers. A short conversion
is run twice, and the second time counts. `train` is the default voicegan for a few steps.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import measure
import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")


def recording(path, seconds, rate_hz, channels=1):
    """Writes speech of a duration, block by block."""
    import soundfile

    from kvoice import audio
    from kvoice.data.synthetic import demo

    waves = []
    for utterance in demo.utterances()[:40]:
        made = demo.render(utterance)
        waves.append(audio.resample(made.wave, made.sample_rate_hz, rate_hz))
    speech = np.tile(np.concatenate(waves)[:, None], channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    left = round(seconds * rate_hz)
    with soundfile.SoundFile(path, "w", rate_hz, channels) as file:
        while left > 0:
            file.write(speech[:left])
            left -= len(speech)


def measured(backend, *words):
    """Runs a command; returns its seconds and its peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-Pm", "kvoice", *map(str, words)],
        env={**os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, words))} failed on {backend}")
    return {
        "seconds": round(time.perf_counter() - begun, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


def conversions(folder, run):
    """Rows of `convert`, of a short and of a long recording."""
    rows = {}
    recording(folder / "you.wav", 3, 22050)
    for seconds, title in ((3, "convert, 3 s"), (1800, "convert, 30 min")):
        recording(folder / "me.wav", seconds, 22050)
        for backend in BACKENDS:
            for _ in range(2 if seconds < 10 else 1):
                row = measured(
                    backend,
                    "convert",
                    f"--run={run}",
                    f"--source={folder / 'me.wav'}",
                    f"--target={folder / 'you.wav'}",
                    f"--output={folder / 'out.wav'}",
                )
            rows[f"{title}, {backend}"] = row | {"times_real_time": seconds / row["seconds"]}
    return rows


def data(folder, hours):
    """Rows of `prepare` of one long recording, and of `train` on several hours."""
    recording(folder / "two" / "a" / "long.wav", 7200, 44100, channels=2)
    for speaker in "bcdefgh":
        recording(folder / "two" / speaker / "short.wav", 10, 22050)
    row = measured("torch", "prepare", f"--data=folder:{folder}/two", f"--output={folder}/p2")
    rows = {"prepare, 2 h": row | {"times_real_time": 7200 / row["seconds"]}}
    for k in range(4):
        recording(folder / "many" / f"a{k}" / "a.wav", hours * 900, 22050)
    for speaker in "bcdefgh":
        recording(folder / "many" / speaker / "short.wav", 10, 22050)
    measured("torch", "prepare", f"--data=folder:{folder}/many", f"--output={folder}/p5")
    for backend in BACKENDS:
        rows[f"train, {hours:g} h, {backend}"] = measured(
            backend,
            "train",
            "--model=voicegan",
            f"--data=prepared:{folder}/p5",
            "--config.model.condition=",
            f"--run={folder / backend}",
            "--config.train.steps=6",
            "--config.train.steps_per_epoch=3",
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="a run of adainvc, with which `convert` is measured")
    parser.add_argument("--hours", type=float, help="of speech, on which `train` is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.run:
            rows = conversions(pathlib.Path(name), options.run)
            measure.write("commands_convert", {"rows": rows})
        if options.hours:
            rows = data(pathlib.Path(name), options.hours)
            measure.write("commands_data", {"rows": rows})


if __name__ == "__main__":
    main()
