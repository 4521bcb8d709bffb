"""A study of betavae on tones: objectives and weights with several seeds, scored by known factors.

    KERAS_BACKEND=tensorflow python benchmarks/tones_study.py --seeds=3

Each run is `kvoice train --model=betavae:tones` under runs/tones, each score that of `kvoice
evaluate`. Finished runs are not repeated, so that a study that was stopped can be resumed. Median
and range over the seeds are printed and written to benchmarks/results/tones_study.json.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

from measure import write

SHOWN = ("MIG", "DCI D", "SAP", "FactorVAE", "reconstruction", "KL", "active")
REFERENCES = ("PCA", "identity", "noise")


def settings():
    """By name, the fields of the config that differ from the default of `:tones`."""
    plain = {
        f"beta = {beta}": {"model.objective": "beta", "model.beta": float(beta)}
        for beta in (1, 4, 8, 16)
    }
    return plain | {
        "beta-TCVAE, beta = 8": {"model.objective": "tcvae", "model.beta": 8.0},
        "FactorVAE, gamma = 30": {"model.objective": "factorvae", "model.gamma": 30.0},
    }


def scored(name, fields, seed, steps):
    """The evaluation of one run, which is trained and evaluated unless it was before."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower())
    run = pathlib.Path(f"runs/tones/{words}-seed-{seed}")
    values = {**fields, "model.seed": seed, "train.seed": seed, "data.seed": seed}
    if steps:
        values |= {"train.steps": steps, "train.steps_per_epoch": steps // 10}
    command = [
        "kvoice",
        "train",
        "--model=betavae:tones",
        f"--run={run}",
        *(f"--config.{field}={value}" for field, value in values.items()),
    ]
    if not (run / "model.keras").exists():
        print(" ".join(command), flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.DEVNULL)
    if not (run / "evaluation.json").exists():
        from kvoice import runs
        from kvoice.data.factors import FactorSource
        from kvoice.evaluation import disentanglement
        from kvoice.files import write_json
        from kvoice.training import loop

        group = runs.load(run).config["data"]
        train, test = (
            FactorSource("additive", **group | {"split": split}) for split in ("train", "test")
        )
        write_json(
            run / "evaluation.json",
            disentanglement.factor_scores(
                loop.load(run),
                train,
                test,
                10_000,
                0,
                references=name == "beta = 1" and not seed,
                jobs=-1,
            ),
        )
    return json.loads((run / "evaluation.json").read_text())


def summary(values):
    """The median, the least and the largest of the values of all seeds."""
    return {"median": statistics.median(values), "least": min(values), "largest": max(values)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="of each run; 0 = the default's")
    chosen = parser.parse_args()
    rows, references = {}, []
    for name, fields in settings().items():
        every = [scored(name, fields, seed, chosen.steps) for seed in range(chosen.seeds)]
        rows[name] = {
            metric: summary([each["metrics"][metric] for each in every]) for metric in SHOWN
        }
        references += [row for row in every[0]["rows"] if row["name"] in REFERENCES]
        print(
            f"{name:24}"
            + "".join(
                f"  {metric} {v['median']:.3f} ({v['least']:.3f}-{v['largest']:.3f})"
                for metric, v in rows[name].items()
            ),
            flush=True,
        )
    write(
        "tones_study",
        {"seeds": chosen.seeds, "settings": settings(), "rows": rows, "references": references},
    )


if __name__ == "__main__":
    main()
