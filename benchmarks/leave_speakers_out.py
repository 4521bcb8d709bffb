"""Accuracy of a classifier on speakers that were left out of its training, each of them once.

python benchmarks/leave_speakers_out.py --data=emodb:DIR --listeners=DIR/erkennung.txt

The speakers of each gender are put into folds in the order of their names, `--speakers` of them in
each fold. For every fold a classifier is trained without its speakers and those of the next one,
by which the best epoch is chosen, and is tested on its speakers. `--listeners`: the table of EmoDB
with the share of listeners who recognised each emotion. What follows `--` is given to `train`.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from measure import write

from kvoice.data import corpora
from kvoice.metrics import classification


def folds(items, size):
    """Lists of speakers of one gender after the other, one of each in turn."""
    gender = {item.speaker: item.gender for item in items}
    kinds = [
        sorted(name for name in gender if gender[name] == kind)
        for kind in sorted({*gender.values()})
    ]
    turns = [name for row in zip(*kinds, strict=True) for name in row]
    return [turns[k : k + size] for k in range(0, len(turns), size)]


def corpus(folder, items, split):
    """Links to the recordings in a folder of speakers, with their labels and splits."""
    rows = []
    for item in items:
        place = pathlib.Path(item.speaker.split("/")[-1], os.path.basename(item.path))
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).symlink_to(os.path.abspath(item.path))
        rows.append([place, item.gender, item.emotion, item.text, split[item.speaker]])
    with open(folder / "metadata.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["path", "gender", "emotion", "text", "split"], *rows])


def kvoice(*words):
    subprocess.run([sys.executable, "-m", "kvoice", *words], check=True)


def listeners(path):
    """The share of listeners who recognised the emotion of each file of EmoDB, by file name."""
    with open(path, encoding="latin-1") as file:
        rows = [[cell.strip(" \xa0\n") for cell in line.split("\t")] for line in file]
    return {row[1].removesuffix(".wav"): float(row[2].replace(",", ".")) / 100 for row in rows[1:]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--speakers", type=int, default=2, help="in each fold")
    parser.add_argument("--listeners", help="erkennung.txt of EmoDB")
    parser.add_argument(
        "--work", type=pathlib.Path, default="leave_speakers_out", help="folder of the runs"
    )
    parser.add_argument("--name", default="leave_speakers_out", help="name of the file of results")
    parser.add_argument("train", nargs="*", help="given to train")
    asked = parser.parse_args()
    items, _ = corpora.items(asked.data)
    every, confusions, seconds = folds(items, asked.speakers), [], []
    for k, tested in enumerate(every):
        split = dict.fromkeys((item.speaker for item in items), "train")
        split |= dict.fromkeys(every[(k + 1) % len(every)], "valid") | dict.fromkeys(tested, "test")
        folder, run = asked.work / f"fold-{k}", asked.work / f"run-{k}"
        if not folder.exists():
            corpus(folder, items, split)
        start = time.perf_counter()
        kvoice(
            "train", "--model=classifier", f"--data=folder:{folder}", f"--run={run}", *asked.train
        )
        seconds.append(time.perf_counter() - start)
        kvoice("evaluate", f"--run={run}")
        found = json.loads((run / "evaluation.json").read_text())
        confusions.append(found["splits"]["test"]["confusion"])
    counts = np.sum(confusions, axis=0)
    low, high = classification.wilson(int(np.trace(counts)), int(counts.sum()))
    result = {
        "data": asked.data.partition(":")[0],
        "train": asked.train,
        "folds": every,
        "names": found["names"],
        "files": int(counts.sum()),
        "accuracy": float(np.trace(counts) / counts.sum()),
        "low": low,
        "high": high,
        "unweighted_average_recall": classification.balanced_accuracy(counts),
        "accuracy_of_folds": [float(np.trace(each) / np.sum(each)) for each in confusions],
        "confusion": counts.tolist(),
        "seconds_of_folds": seconds,
    }
    if asked.listeners:
        known = listeners(asked.listeners)
        names = [os.path.splitext(os.path.basename(item.path))[0] for item in items]
        result["listeners"] = float(np.mean([known[name] for name in names]))
    write(asked.name, result)


if __name__ == "__main__":
    main()
