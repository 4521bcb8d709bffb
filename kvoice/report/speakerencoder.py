"""A static page of trained speaker encoders: how well they verify speakers, and their embeddings.

One HTML file with copies of the pictures that it shows, in a folder that can be moved; or all of it
in the one file. What is shown was written by `kvoice evaluate`.
"""

from pathlib import Path

from kvoice.report.pages import (
    Measured,
    anchor,
    embeddings,
    sectioned,
    speech_facts,
    written_page,
)
from kvoice.runs import Run

PICTURE = "embeddings.png"
COMPARED = ("train.seed",)  # fields of the config that are shown of every run
LEAD = (
    "A speaker encoder maps a recording to an embedding, a unit vector, so that embeddings of one "
    "speaker have a high cosine similarity and those of two speakers a low one. Below, how well it "
    "distinguishes unseen speakers."
)


def verification(runs: list[Run], output: str | Path, single: bool = False) -> Path:
    """Writes the page of runs of speakerencoder, as `pages.written_page` says."""
    content = sectioned("Speaker verification by", LEAD, COMPARED, _section)
    return written_page(runs, output, single, ("speakerencoder",), Measured, content)


# --- The content


def _section(k, shown, copies):
    """The facts, tables and pictures of one run."""
    model = shown.run.config["model"]
    content = [
        speech_facts(
            shown,
            [
                ("Network", f"LSTM of {model['depth']} layers of {model['width']}"),
                ("Embedding", f"{model['embedding']} numbers"),
            ],
        ),
        *shown.tables,
    ]
    if (shown.run.path / PICTURE).is_file():
        file = copies.of(k, shown.run.path, "the run")
        content += embeddings(f"{anchor(k)}-voices", file, PICTURE)
    return content
