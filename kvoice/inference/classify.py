"""A trained classifier listens: to whole files, to folders, to recordings it never heard.

A file is heard as crops of the length it was trained on, evenly spaced and at least half
overlapping; its probabilities are the average of theirs. Shorter files are padded with silence, as
in training.
"""

import csv
import io
import math
import os

import numpy as np

from kvoice import audio, progress
from kvoice.data.corpora import layout
from kvoice.errors import KvoiceError
from kvoice.files import replaced
from kvoice.metrics import classification

REPEATS = 20  # of one random crop of each file, as published accuracies were measured


def spaced(item, size, silence):
    """Crops of a whole item, from its start to its end, half overlapping or more.

    Shapes: item [time, ...] -> [crops, size, ...]; one padded crop where it is shorter.

    Args:
        item: Mel or wave.
        size: Of a crop, along time.
        silence: The value that a short item is padded with.
    """
    spare = len(item) - size
    if spare <= 0:
        padding = [(0, -spare)] + [(0, 0)] * (item.ndim - 1)
        return np.pad(item, padding, constant_values=silence)[None]
    starts = np.linspace(0, spare, math.ceil(2 * spare / size) + 1).round().astype(int)
    return np.stack([item[start : start + size] for start in starts])


def file_probabilities(model, items, spec):
    """What a classifier hears in whole items: the average over their crops.

    Shapes: items: each [time, mels] or [samples] -> [items, labels].
    """
    crops = [spaced(item, model.shape[0], _silence(model, spec)) for item in items]
    probabilities = model.probabilities(np.concatenate(crops))
    ends = np.cumsum([len(each) for each in crops])[:-1]
    return np.stack([each.mean(axis=0) for each in np.split(probabilities, ends)])


def heard(model, source, repeats=0, group=64):
    """What a classifier hears in every utterance of a source.

    Shapes: -> dict of `probabilities` [utterances, labels] of whole files, `truth` and `speaker`
    [utterances], and `crops` [repeats, utterances]: the label heard in one random crop.
    """
    rng, parts = np.random.default_rng(0), []
    silence, size = _silence(model, source.spec), model.shape[0]
    with progress.bar(total=len(source), desc=source.split, unit="utt") as bar:
        for first in range(0, len(source), group):
            utterances = [source.utterance(i) for i in range(len(source))[first : first + group]]
            items = [utterance[model.domain] for utterance in utterances]
            starts = [rng.integers(0, max(1, len(i) - size + 1), repeats) for i in items]
            crops = [spaced(item[start : start + size], size, silence)
                     for item, own in zip(items, starts) for start in own]
            labels = model.probabilities(np.concatenate(crops)).argmax(axis=1) if crops else []
            parts.append({
                "probabilities": file_probabilities(model, items, source.spec),
                "truth": np.array([utterance[model.condition] for utterance in utterances]),
                "speaker": np.array([utterance["speaker"] for utterance in utterances]),
                "crops": np.reshape(labels, (len(items), repeats)).T,
            })
            bar.update(len(items))
    return {name: np.concatenate([part[name] for part in parts], axis=int(name == "crops"))
            for name in parts[0]}


def _silence(model, spec):
    return spec.silence if model.domain == "mel" else 0.0


def quality(valid):
    """A function `model -> {"log_loss", "file_accuracy"}` of whole files, for `training.loop.train`.

    By the first, the log loss in nats, training keeps its best epoch.
    """
    items = [valid.utterance(i) for i in range(len(valid))]

    def validate(model):
        probabilities = file_probabilities(model, [i[model.domain] for i in items], valid.spec)
        truth = np.array([item[model.condition] for item in items])
        return {"log_loss": classification.log_loss(probabilities, truth),
                "file_accuracy": float(np.mean(probabilities.argmax(axis=1) == truth))}

    return validate


# --- Files


def files(path, kinds=layout.AUDIO):
    """The files that a path names, sounds if nothing else is said: itself, or all below it, sorted.

    Raises:
        KvoiceError: If there is none.
    """
    if not os.path.exists(path):
        raise KvoiceError(f"{path}: there is no such file or directory")
    if not os.path.isdir(path):
        return [path]
    found = [os.path.join(path, name) for name in layout.audio_files(path, kinds)]
    if not found:
        raise KvoiceError(f"{path}: holds no sound file ({' '.join(kinds)})")
    return found


def classify(model, spec, paths, output=""):
    """What a classifier hears in each file: rows of file, label, and a probability for each label.

    Args:
        model: A `models.classifier.Classifier`.
        spec: Of its features.
        paths: Sound files of any rate.
        output: A CSV file for the rows, replaced whole or not at all; "" = none.

    Returns:
        (The rows, as dicts of text; lines that name the files left out and say why).

    Raises:
        KvoiceError: If there is no place for the output, before anything is heard.
    """
    if output and not (output.lower().endswith(".csv") and not os.path.isdir(output)):
        raise KvoiceError(f"--output={output}: expected a file whose name ends in .csv")
    if output and not os.path.isdir(os.path.dirname(os.path.abspath(output))):
        raise KvoiceError(f"{output}: its directory is missing; make it first")
    rows, left_out = [], []
    for path in progress.bar(paths, desc="classify", unit="file"):
        try:
            wave = audio.condition(audio.read(path, spec.sample_rate_hz)[0], spec)
            if reason := audio.problem(wave, spec.sample_rate_hz):
                raise KvoiceError(f"{path}: {reason}")
        except KvoiceError as error:
            left_out.append(str(error))
            continue
        item = wave if model.domain == "wave" else audio.paired(wave, spec)[1]
        (odds,) = file_probabilities(model, [item], spec)
        rows.append({"file": path, "label": model.names[int(odds.argmax())],
                     **{name: f"{p:.4f}" for name, p in zip(model.names, odds)}})
    if output and rows:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        with replaced(output) as file:
            file.write(text.getvalue().encode())
    return rows, left_out


# --- How good it is


def scores(model, sources, speakers):
    """What is said about a classifier, as a dict fit for JSON; `table` makes it text.

    Args:
        model: A trained `models.classifier.Classifier`.
        sources: Split -> `data.source.Source` of the model's domain; whole utterances are heard. What
            it was trained on may be among them, to compare with.
        speakers: The names of the speakers it was trained on.

    Returns:
        {"condition", "names", "splits": split -> {"files", "accuracy", "low", "high" (95 %
        interval over files), "balanced_accuracy", "f1", "log_loss", "brier", "calibration_error",
        "calibration" (bins), "confusion", "crop_accuracy" (of the test split: mean and standard
        deviation over `REPEATS` of one random crop of each file), "groups": "seen speakers", "unseen speakers",
        each corpus and each speaker -> {"files", "accuracy"}}}.

    Raises:
        KvoiceError: If the corpus has other labels than the model.
    """
    found = {}
    for split, source in sources.items():
        names = source.labels[model.condition]
        if list(names) != list(model.names):
            raise KvoiceError(f"the corpus has the labels {', '.join(names)} of {model.condition}, "
                              f"the classifier {', '.join(model.names)}: evaluate it on the corpus "
                              "it was trained on")
        each = heard(model, source, REPEATS if split == "test" else 0)
        truth, probabilities = each["truth"], each["probabilities"]
        right = probabilities.argmax(axis=1) == truth
        low, high = classification.wilson(int(right.sum()), len(right))
        counts = classification.confusion(truth, probabilities.argmax(axis=1), len(names))
        bins = classification.calibration(probabilities, truth)
        crops = (each["crops"] == truth).mean(axis=1)
        found[split] = {
            "files": len(truth), "accuracy": float(right.mean()), "low": low, "high": high,
            "balanced_accuracy": classification.balanced_accuracy(counts),
            "f1": classification.f1(counts),
            "log_loss": classification.log_loss(probabilities, truth),
            "brier": classification.brier(probabilities, truth),
            "calibration_error": classification.expected_calibration_error(bins),
            "calibration": bins, "confusion": counts.tolist(),
            "crop_accuracy": {"mean": float(crops.mean()), "std": float(crops.std()),
                              "repeats": len(crops)} if len(crops) else None,
            "groups": _groups(right, [source.labels["speaker"][i] for i in each["speaker"]],
                              speakers),
        }
    return {"condition": model.condition, "names": list(model.names), "splits": found}


def _groups(right, names, speakers):
    """Name of a group of utterances -> files and accuracy, the largest groups first."""
    groups = {"seen speakers": [], "unseen speakers": []}
    for kind in ("corpus", "speaker"):
        for hit, name in sorted(zip(right, names), key=lambda pair: pair[1]):
            key = name.split("/")[0] if kind == "corpus" else name
            groups.setdefault(f"{kind} {key}", []).append(hit)
    for hit, name in zip(right, names):
        groups["seen speakers" if name in speakers else "unseen speakers"].append(hit)
    return {name: {"files": len(hits), "accuracy": float(np.mean(hits))}
            for name, hits in groups.items() if hits}


def table(scores):
    """The scores as plain text."""
    lines = [f"{'whole files':28}{'files':>7}{'accuracy (95 %)':>20}{'F1':>7}{'log loss':>10}"
             f"{'calibration':>13}{'single crops':>17}"]
    for split, each in scores["splits"].items():
        crop = each["crop_accuracy"]
        single = f"{crop['mean']:.1%} +-{crop['std']:.1%}" if crop else ""
        interval = f"{each['accuracy']:.1%} ({each['low']:.0%}-{each['high']:.0%})"
        lines.append(f"{split:28}{each['files']:7}{interval:>20}{each['f1']:7.3f}"
                     f"{each['log_loss']:10.3f}{each['calibration_error']:13.3f}{single:>17}")
        for name, group in each["groups"].items():
            lines.append(f"  {name:26}{group['files']:7}{group['accuracy']:20.1%}")
    names = scores["names"]
    for split, each in scores["splits"].items():
        lines += ["", f"{split}: rows are true, columns heard",
                  " " * 12 + "".join(f"{name[:10]:>11}" for name in names)]
        lines += [f"{name[:12]:12}" + "".join(f"{count:11}" for count in row)
                  for name, row in zip(names, each["confusion"])]
    return "\n".join(lines)
