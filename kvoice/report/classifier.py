"""A static page of trained classifiers: accuracy, confusion and calibration.

One HTML file with copies of the pictures that it shows, in a folder that can be moved; or all of it
in the one file. What is shown was written by `kvoice evaluate`.
"""

from pathlib import Path

from kvoice.report.elements import tag
from kvoice.report.pages import (
    Measured,
    sectioned,
    speech_facts,
    written_page,
)
from kvoice.runs import Run

PICTURES = {  # stem of the files, one for each split -> what they show
    "confusion": "Matrix: share of the predicted labels (columns) of each true label (rows)",
    "calibration": "Bars: accuracy of the files over the probability of their predicted label",
}
COMPARED = ("model.condition", "model.architecture", "train.seed")
LEAD = (
    "A classifier predicts a label, such as the emotion, from speech. Below, how often it is right "
    "on whole files, which labels it confuses, and whether its probabilities can be believed. "
    "Speakers of the split test were not used in training."
)


def classification(runs: list[Run], output: str | Path, single: bool = False) -> Path:
    """Writes the page of runs of classifier, as `pages.written_page` says."""
    content = sectioned("Classification by", LEAD, COMPARED, _section)
    return written_page(runs, output, single, ("classifier",), Measured, content)


# --- The content


def _section(k, shown, copies):
    """The facts, tables and pictures of one run."""
    model, file = shown.run.config["model"], copies.of(k, shown.run.path, "the run")
    content = [
        speech_facts(
            shown,
            [
                ("Predicts", f"{model['condition']}: {', '.join(shown.run.names)}"),
                ("Network", f"{model['architecture']} on {model['domain']}s"),
            ],
        ),
        *shown.tables,
    ]
    for stem, what in PICTURES.items():
        for path in sorted(shown.run.path.glob(f"{stem}_*.png")):
            split = path.stem.removeprefix(f"{stem}_")
            content += [
                tag("h3", f"{stem.capitalize()}, split {split}"),
                file.image(path.name, f"{what}, split {split}", class_="curve"),
            ]
    return content
