"""Seconds for a training step of voicegan, adainvc and waveglow with older and newer frameworks.

    python benchmarks/environments.py OLD/bin/python NEW/bin/python

Both environments run this checkout, in turns, so that a slow minute of the machine does not fall on
one of them. The rows are those of the models' own benchmarks, in float32; "plain torch" is the same
step without Keras.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

import measure

HERE = pathlib.Path(__file__).parent
ROWS = ("tensorflow", "jax", "torch", "plain torch")
COMMANDS = {  # the script and the flag that takes the row
    "voicegan": ("train_step.py", "--one"),
    "adainvc": ("adainvc.py", "--row"),
    "waveglow": ("waveglow.py", "--row"),
}


def answer(python, words, row):
    """The last line that a process of an environment prints, parsed as JSON."""
    done = subprocess.run(
        [python, *words],
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": row.removeprefix("plain "),
            "PYTHONPATH": str(HERE.parent),
        },
    )
    return json.loads(done.stdout.splitlines()[-1])


def versions(python):
    """The versions of the frameworks in an environment."""
    words = ["-c", "import json; from kvoice import runs; print(json.dumps(runs.versions()))"]
    return answer(python, words, "tensorflow")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs=2, help="the Python of each environment")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    times = {}
    for _ in range(options.rounds):
        for model, (file, flag) in COMMANDS.items():
            for row in ROWS:
                for place in (0, 1):
                    words = [file, flag, row, "--steps", str(options.steps)]
                    found = answer(options.python[place], words, row)
                    step_s = (
                        found["step_s"]
                        if "step_s" in found
                        else statistics.median(found["steps_s"])
                    )
                    times.setdefault((model, row, place), []).append(step_s)
                    print(f"{model}, {row}, environment {place}: {step_s:.3f} s", flush=True)
    table = {
        model: {
            row: {"old_s": old, "new_s": new, "old_to_new": old / new}
            for row in ROWS
            for old, new in [[statistics.median(times[model, row, place]) for place in (0, 1)]]
        }
        for model in COMMANDS
    }
    for rows in table.values():
        for row in rows.values():
            row |= {
                f"{age}_to_plain_torch": rows["plain torch"][f"{age}_s"] / row[f"{age}_s"]
                for age in ("old", "new")
            }
    measure.write(
        "environments",
        {
            "steps": options.steps,
            "rounds": options.rounds,
            "old": versions(options.python[0]),
            "new": versions(options.python[1]),
            "step": table,
        },
    )


if __name__ == "__main__":
    main()
