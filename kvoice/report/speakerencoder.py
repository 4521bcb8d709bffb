"""A static page of trained speaker encoders: how well they verify speakers, and their embeddings.

One HTML file with copies of the pictures that it shows, in a folder that can be moved; or all of it
in the one file. What is shown was written by `kvoice evaluate`.
"""

from kvoice.errors import KvoiceError
from kvoice.report.pages import (
    WRAPPED_TABLES,
    Shown,
    anchor,
    embeddings,
    origin,
    page,
    speech_facts,
    training,
    written_page,
)

PICTURE = "embeddings.png"
COMPARED = ("train.seed",)  # fields of the config that are shown of every run


def verification(runs, output, single=False):
    """Writes the page of runs of speakerencoder, as `pages.written_page` says."""
    return written_page(runs, output, single, ("speakerencoder",), _Shown, _page)


class _Shown(Shown):
    """A run with its evaluation."""

    def __init__(self, run):
        super().__init__(run)
        if not self.tables:
            raise KvoiceError(
                f"{run.path}: nothing to show yet: `kvoice evaluate --run={run.path}` measures it"
            )


# --- The content


def _page(found, copies):
    """The whole page: what runs have in common, then a section for each."""
    of = found[0].name if len(found) == 1 else f"{len(found)} runs"
    return page(
        f"Speaker verification by {of}",
        LEAD,
        found,
        [(anchor(0), found[0].name)],
        COMPARED,
        [_section(k, shown, copies) for k, shown in enumerate(found)],
        WRAPPED_TABLES,
    )


LEAD = (
    "A speaker encoder maps a recording to an embedding, a unit vector, so that embeddings of one "
    "speaker have a high cosine similarity and those of two speakers a low one. Below, how well it "
    "distinguishes unseen speakers."
)


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
    return [*content, *training(k, shown, copies), *origin(shown.run.config["command"])]
