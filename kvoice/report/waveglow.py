"""A static page of trained vocoders: likelihood, errors of resynthesis, and the sounds.

One HTML file with copies of the sounds that it plays, in a folder that can be moved; or all of it
in the one file. What is shown was written by `kvoice evaluate`.
"""

from pathlib import Path

from kvoice.report.elements import filled, players, tag
from kvoice.report.pages import (
    Measured,
    sectioned,
    speech_facts,
    written_page,
)
from kvoice.runs import Run

FILE = "resynthesis.json"
COMPARED = ("model.width", "train.seed")  # fields of the config that are shown of every run
LEAD = (
    "A vocoder makes a wave from a mel spectrogram. Below, utterances that were reduced to their "
    "mel and made audible again, by the vocoder and by Griffin-Lim."
)


def resynthesis(runs: list[Run], output: str | Path, single: bool = False) -> Path:
    """Writes the page of runs of waveglow, as `pages.written_page` says."""
    content = sectioned("Resynthesis by", LEAD, COMPARED, _section)
    return written_page(runs, output, single, ("waveglow",), _Shown, content)


class _Shown(Measured):
    """A run with its evaluation, and its sounds where they are there."""

    def __init__(self, run):
        super().__init__(run)
        self.path, self.utterances = run.path / "resynthesis" / FILE, []
        if self.path.exists():
            self.utterances = filled(self.path, lambda made: made["utterances"])
        self.waves = sum(len(each) - 1 for each in self.utterances)


# --- The content


def _section(k, shown, copies):
    """The facts, tables and sounds of one run."""
    model = shown.run.config["model"]
    content = [
        speech_facts(
            shown,
            [
                ("Network", f"{model['flows']} flows, {model['width']} channels"),
                ("Prewhitening", "yes" if model.get("prewhiten") else "no"),
            ],
        ),
        *shown.tables,
    ]
    if shown.utterances:
        content += filled(shown.path, lambda made: _sounds(k, shown, made["utterances"], copies))
    return content


def _sounds(k, shown, utterances, copies):
    """A row of audio players for each utterance: the recording, and what was made of its mel."""
    file = copies.of(k, shown.path.parent, FILE, "resynthesis")
    places = [place for place in utterances[0] if place != "name"]
    rows = [
        tag(
            "tr",
            tag("th", each["name"], scope="row"),
            *(tag("td", file.audio(each[place], f"{each['name']}, {place}")) for place in places),
        )
        for each in utterances
    ]
    return [tag("h3", "Sounds"), players(f"Sounds of {shown.name}", places, rows)]
