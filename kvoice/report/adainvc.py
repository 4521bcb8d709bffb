"""A static page of one-shot conversions: audio players of source, target and conversion.

One HTML file with copies of the pictures and waves that it shows, in a folder that can be moved; or
all of it in the one file. What is shown was written by `kvoice evaluate`.
"""

from pathlib import Path

from kvoice.errors import KvoiceError
from kvoice.report.elements import check_format, filled, or_dash, tag, wide
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
from kvoice.runs import Run

FILE = "conversions.json"
FORMAT = 1  # the version of FILE that can be read
PARTS = ("source", "target", "converted")
COMPARED = ("train.seed",)  # fields of the config that are shown of every run


def conversions(runs: list[Run], output: str | Path, single: bool = False) -> Path:
    """Writes the page of runs of adainvc, as `pages.written_page` says."""
    return written_page(runs, output, single, ("adainvc",), _Shown, _page)


class _Shown(Shown):
    """A run with its evaluation and its conversions, of which one may be missing."""

    def __init__(self, run):
        super().__init__(run)
        self.path = run.path / "conversions" / FILE
        self.made = filled(self.path, _known) if self.path.exists() else None
        if not self.tables and not self.made:
            raise KvoiceError(
                f"{run.path}: nothing to show yet: `kvoice evaluate --run={run.path}` "
                "measures it, and makes sounds and pictures"
            )
        if self.made:
            self.waves = self.made["players"]


def _known(made):
    """The content of a conversions.json, with "titles" and the number of audio "players"."""
    check_format(made, FORMAT)
    judged = made.get("judged", {"warning": ""})  # missing, or of another name, in files of 0.1
    judged.setdefault("description", judged.get("said", ""))
    return made | {
        "command": str(made["command"]),
        "judged": judged,
        "titles": [group["title"] for group in made["groups"]],
        "players": len(PARTS) * sum(len(group["rows"]) for group in made["groups"]),
    }


# --- The content


def _page(found, copies):
    """The whole page: what runs have in common, then a section for each."""
    of = found[0].name if len(found) == 1 else f"{len(found)} runs"
    return page(
        f"Conversions of {of}",
        LEAD,
        found,
        _places(found[0]),
        COMPARED,
        [_section(k, shown, copies) for k, shown in enumerate(found)],
        WRAPPED_TABLES + STYLE,
    )


LEAD = (
    "One-shot voice conversion makes a third recording from two: it has the words of the source "
    "and the voice of the target. One recording of a speaker is enough, who need not be among the "
    "training speakers."
)


def _places(shown):
    """The anchors and names of what there is in the section of a single run."""
    if not shown.made:
        return [(anchor(0), shown.name)]
    groups = [(f"{anchor(0)}-{number}", title) for number, title in enumerate(shown.made["titles"])]
    return [*groups, (f"{anchor(0)}-voices", "Speaker embeddings")]


def _section(k, shown, copies):
    """The facts, tables, sounds and pictures of one run."""
    content = [_facts(shown), *shown.tables]
    commands = [shown.run.config["command"]]
    if shown.made:
        file = copies.of(k, shown.path.parent, FILE, "conversions")
        content += filled(
            shown.path, lambda made: _conversions(k, made, shown.made["judged"], file)
        )
        commands.append(shown.made["command"])
    return [*content, *training(k, shown, copies), *origin(*commands)]


def _facts(shown):
    model = shown.run.config["model"]
    voice = {
        "encoder": f"{model['embedding']} numbers of a speaker encoder",
        "statistics": "means and standard deviations of the layers of the content encoder",
    }
    return speech_facts(
        shown,
        [
            ("Voice", voice.get(model["speaker"], model["speaker"])),
            (
                "Content",
                f"{model['latents']} numbers per latent frame, "
                + ("with instance normalisation" if model["content_norm"] else "not normalised"),
            ),
        ],
    )


def _conversions(k, made, judged, file):
    """All groups of conversions, and the picture of the voices."""
    key = (
        "Unseen speakers are not among the training speakers. Below each conversion, the cosine "
        "similarity of its speaker embedding to those of other recordings of the target and of "
        f"the source (1 is the same; from {made['threshold']:.2f} on it passes for that voice). "
        "Then the phone accuracy, which is the share of speech frames whose phone is predicted "
        f"correctly, and the median F0. {judged['description']}"
    )
    content = [tag("h2", "Conversions"), tag("p", key, class_="key")]
    if warning := judged["warning"]:
        content.append(tag("p", tag("strong", f"Mind that {warning}."), class_="notice"))
    for number, group in enumerate(made["groups"]):
        content.append(tag("h3", group["title"], id=f"{anchor(k)}-{number}"))
        for row in group["rows"]:
            content += _conversion(group["title"], row, made["threshold"], file)
    voices = made["embeddings"]
    return [
        *content,
        *embeddings(f"{anchor(k)}-voices", file, voices["picture"], voices["silhouette"]),
    ]


def _conversion(group, row, threshold, file):
    """Three audio players side by side, below the third its measurements, and the mels."""
    name = f"{group}, {row['title']}"
    head = tag("tr", *(tag("th", part, scope="col") for part in PARTS))
    cells = tag("tr", *(tag("td", file.audio(row[part], f"{name}, {part}")) for part in PARTS))
    return [
        tag("h4", row["title"], *([" ", tag("small", row["note"])] if row["note"] else [])),
        tag("table", tag("thead", head), tag("tbody", cells), class_="trio"),
        tag("p", *_figures(row, threshold), class_="figures"),
        wide(
            f"{name}, mels",
            file.image(row["picture"], f"Mels of source, target and conversion: {name}"),
        ),
    ]


def _figures(row, threshold):
    """The figures of a conversion, a line each, with a verdict in words on whose voice it is."""
    passes = row["to_target"] >= threshold
    if row["to_target"] > row["to_source"]:
        verdict = "nearer to the target" + (", and passes for it" if passes else "")
    else:
        verdict = "nearer to the source" + (", yet passes for the target" if passes else "")
    lines = [
        tag("strong", f"converted: {verdict}"),
        f"cosine {row['to_target']:.2f} to the target, {row['to_source']:.2f} to the source",
    ]
    if row["phones"]:
        shares = [or_dash(row["phones"][part], "{:.0%}") for part in ("converted", "source")]
        lines.append("phone accuracy {}, of the source {}".format(*shares))
    heights = [
        or_dash(row["f0_hz"][part], "{:.0f} Hz") for part in ("converted", "source", "target")
    ]
    lines.append("F0 {}, source {}, target {}".format(*heights))
    return [tag("span", line) for line in lines]


STYLE = """
h4 { font-size: 1rem; margin: 2rem 0 .25rem; }
h4 small { font-weight: 400; color: var(--soft); }
.trio { table-layout: fixed; width: 100%; }
.trio th, .trio td { border: 0; padding: .2rem .75rem .2rem 0; }
.trio audio { display: block; width: 100%; height: 2.75rem; }
.figures { margin: .2rem 0 .75rem 66.7%; font-size: .85rem; color: var(--soft); }
.figures span { display: block; }
.figures strong { color: var(--ink); }
@media (max-width: 48rem) { .figures { margin-left: 0; } }
"""
