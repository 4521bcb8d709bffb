"""Evaluates a classifier on files of seen and unseen speakers."""

from collections.abc import Callable

import numpy as np

from kvoice import plots, progress
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.evaluation import Options
from kvoice.evaluation.tables import written
from kvoice.inference import classify
from kvoice.metrics import classification
from kvoice.models.classifier import Classifier
from kvoice.runs import Run
from kvoice.training import loop
from kvoice.training.corpus import Corpus

OPTIONS = ()


def validation_metrics(valid: Source) -> Callable[[object], dict[str, float]]:
    """Returns a function `model -> {"log_loss", "file_accuracy"}` on whole files.

    By the first, the log loss in nats, training keeps its best epoch.
    """
    items = [valid.utterance(i) for i in range(len(valid))]

    def validate(model):
        probabilities = classify.file_probabilities(
            model, [i[model.domain] for i in items], valid.spec
        )
        truth = np.array([item[model.condition] for item in items])
        return {
            "log_loss": classification.log_loss(probabilities, truth),
            "file_accuracy": float(np.mean(probabilities.argmax(axis=1) == truth)),
        }

    return validate


def scores(model: Classifier, sources: dict[str, Source], speakers: list[str]) -> dict:
    """Evaluates a classifier; returns the scores as a dict fit for JSON.

    Args:
        model: A trained `models.classifier.Classifier`.
        sources: Split -> `data.source.Source` of the model's domain; whole utterances are
            classified. The split that it was trained on may be among them, for comparison.
        speakers: The names of the speakers it was trained on.

    Returns:
        {"condition", "names", "splits": split -> {"files", "accuracy", "low", "high" (95 %
        interval over files), "balanced_accuracy", "f1", "log_loss", "brier", "calibration_error",
        "calibration" (bins), "confusion", "crop_accuracy" (of the test split: mean and standard
        deviation over `REPEATS` of one random crop of each file), "groups": "seen speakers",
        "unseen speakers", each corpus and each speaker -> {"files", "accuracy"}}, "metrics",
        "tables"}.

    Raises:
        KvoiceError: If the corpus has other labels than the model.
    """
    found = {}
    for split, source in sources.items():
        names = source.labels[model.condition]
        if list(names) != list(model.names):
            raise KvoiceError(
                f"the corpus has the labels {', '.join(names)} of {model.condition}, "
                f"the classifier {', '.join(model.names)}: evaluate it on the corpus "
                "it was trained on"
            )
        each = predictions(model, source, REPEATS if split == "test" else 0)
        truth, probabilities = each["truth"], each["probabilities"]
        correct = probabilities.argmax(axis=1) == truth
        low, high = classification.wilson(int(correct.sum()), len(correct))
        counts = classification.confusion(truth, probabilities.argmax(axis=1), len(names))
        bins = classification.calibration(probabilities, truth)
        crops = (each["crops"] == truth).mean(axis=1)
        found[split] = {
            "files": len(truth),
            "accuracy": float(correct.mean()),
            "low": low,
            "high": high,
            "balanced_accuracy": classification.balanced_accuracy(counts),
            "f1": classification.f1(counts),
            "log_loss": classification.log_loss(probabilities, truth),
            "brier": classification.brier(probabilities, truth),
            "calibration_error": classification.expected_calibration_error(bins),
            "calibration": bins,
            "confusion": counts.tolist(),
            "crop_accuracy": {
                "mean": float(crops.mean()),
                "std": float(crops.std()),
                "repeats": len(crops),
            }
            if len(crops)
            else None,
            "groups": _groups(
                correct, [source.labels["speaker"][i] for i in each["speaker"]], speakers
            ),
        }
    found = {"condition": model.condition, "names": list(model.names), "splits": found}
    return found | {"metrics": _metrics(found), "tables": tables(found)}


def _groups(correct, names, speakers):
    """Returns the accuracy of groups of utterances: name -> files and accuracy."""
    groups = {"seen speakers": [], "unseen speakers": []}
    for kind in ("corpus", "speaker"):
        for hit, name in sorted(zip(correct, names), key=lambda pair: pair[1]):
            key = name.split("/")[0] if kind == "corpus" else name
            groups.setdefault(f"{kind} {key}", []).append(hit)
    for hit, name in zip(correct, names):
        groups["seen speakers" if name in speakers else "unseen speakers"].append(hit)
    return {
        name: {"files": len(hits), "accuracy": float(np.mean(hits))}
        for name, hits in groups.items()
        if hits
    }


def _metrics(found):
    """Returns the metrics by which runs are compared."""
    return {
        f"{title} ({split})": each[key]
        for split, each in found["splits"].items()
        for key, title in (("accuracy", "accuracy"), ("calibration_error", "calibration error"))
    }


def tables(found: dict) -> list[dict]:
    """Formats the scores as tables for `kvoice.report`."""
    splits, names = found["splits"], found["names"]
    return [
        {
            "title": f"Classification of whole files by {found['condition']}",
            "note": "95 % intervals (Wilson) over files. Calibration error: the expected one, over "
            f"bins of the confidence. Single crops: mean and standard deviation over {REPEATS} "
            "random crops of each file.",
            "columns": [
                "split",
                "files",
                "accuracy (95 %)",
                "F1",
                "log loss, nats",
                "calibration error",
                "single crops",
            ],
            "rows": [
                [
                    split,
                    str(each["files"]),
                    f"{each['accuracy']:.1%} ({each['low']:.0%}-{each['high']:.0%})",
                    f"{each['f1']:.3f}",
                    f"{each['log_loss']:.3f}",
                    f"{each['calibration_error']:.3f}",
                    _crops(each["crop_accuracy"]),
                ]
                for split, each in splits.items()
            ],
        },
        {
            "title": "Accuracy of groups of files",
            "note": "Seen speakers are those that the classifier was trained on.",
            "columns": ["split", "group", "files", "accuracy"],
            "rows": [
                [split, name, str(group["files"]), f"{group['accuracy']:.1%}"]
                for split, each in splits.items()
                for name, group in each["groups"].items()
            ],
        },
        *(
            {
                "title": f"{split}: predicted labels (columns) of each true label (rows)",
                "note": "",
                "columns": ["true", *names],
                "rows": [[name, *map(str, row)] for name, row in zip(names, each["confusion"])],
            }
            for split, each in splits.items()
        ),
    ]


def _crops(accuracy):
    return f"{accuracy['mean']:.1%} ± {accuracy['std']:.1%}" if accuracy else "–"


REPEATS = 20  # random crops of each file, one at a time, as in published accuracies


def predictions(
    model: Classifier, source: Source, repeats: int = 0, group: int = 64
) -> dict[str, np.ndarray]:
    """Classifies every utterance of a source.

    Shapes: -> dict of `probabilities` [utterances, labels] of whole files, `truth` and `speaker`
    [utterances], and `crops` [repeats, utterances]: the label predicted for one random crop.
    """
    rng, parts = np.random.default_rng(0), []
    padding, size = classify.silence(model, source.spec), model.shape[0]
    with progress.bar(total=len(source), desc=source.split, unit="utt") as bar:
        for first in range(0, len(source), group):
            utterances = [source.utterance(i) for i in range(len(source))[first : first + group]]
            items = [utterance[model.domain] for utterance in utterances]
            starts = [rng.integers(0, max(1, len(i) - size + 1), repeats) for i in items]
            crops = [
                classify.spaced(item[start : start + size], size, padding)
                for item, own in zip(items, starts)
                for start in own
            ]
            labels = model.probabilities(np.concatenate(crops)).argmax(axis=1) if crops else []
            parts.append(
                {
                    "probabilities": classify.file_probabilities(model, items, source.spec),
                    "truth": np.array([utterance[model.condition] for utterance in utterances]),
                    "speaker": np.array([utterance["speaker"] for utterance in utterances]),
                    "crops": np.reshape(labels, (len(items), repeats)).T,
                }
            )
            bar.update(len(items))
    return {
        name: np.concatenate([part[name] for part in parts], axis=int(name == "crops"))
        for name in parts[0]
    }


# --- Runs


def validation(run: Run, corpus: Corpus) -> Callable[[object], dict[str, float]]:
    """Returns log loss and accuracy of whole files; the log loss chooses the best epoch."""
    return validation_metrics(corpus.sources(("valid",))["valid"])


def evaluate(run: Run, corpus: Callable[[], Corpus], options: Options) -> str:
    """Evaluates a run on the whole files of every split."""
    corpus = corpus()
    splits = [name for name, split in corpus.manifest.splits.items() if split["utterances"]]
    found = scores(loop.load(run.path), corpus.sources(splits), run.config["speakers"])
    for split, each in found["splits"].items():
        plots.confusion(run.path / f"confusion_{split}.png", each["confusion"], found["names"])
        plots.reliability(run.path / f"calibration_{split}.png", each["calibration"])
    return written(
        run.path,
        found,
        options,
        after="; confusion and calibration are beside it as pictures",
    )


def next_commands(run: Run) -> list[str]:
    """Returns commands that a user may try with a trained run."""
    return [f"classify --run={run.quoted} --input=FILE_OR_DIR"]
