"""A static page of one-shot conversions: audio players of source, target and conversion.

One HTML file with copies of the pictures and waves that it shows, in a folder that can be moved; or
all of it in the one file. What is shown was written by `kvoice evaluate`.
"""

import dataclasses
import math
from collections.abc import Callable
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
# What is shown of a conversion -> what it is called in FILE.
SOUNDS = {
    "converted": "converted",
    "source": "recording as it is",
    "vocoder": "recording through the vocoder",
    "target": "target",
}


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
        WRAPPED_TABLES + STYLE + _filters(found),
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
    columns, pairs = _columns(made), _pairs(made)
    key = (
        "Unseen speakers are not among the training speakers. A row for each conversion, with the "
        "mels of source, target and conversion below it. Large figures are of the conversion; "
        "small ones of its source as it was recorded, of the source through the vocoder, and of "
        "the target's recording. On top of a group stand the means over all its conversions. "
    )
    if cut := made.get("longest_s"):
        key += f"Of a recording longer than {cut:g} s, the beginning is an example. "
    content = [
        tag("h2", "Conversions"),
        tag("p", f"{key}{judged['description']}", class_="key"),
        tag("ul", *(tag("li", column.meaning) for column in columns), class_="key"),
    ]
    if warning := judged["warning"]:
        content.append(tag("p", tag("strong", f"Mind that {warning}."), class_="notice"))
    if len(pairs) > 1:
        content.append(_choice(k, pairs, made))
    for number, group in enumerate(made["groups"]):
        table = [_head(columns), _references(group, columns)]
        table += [
            _conversion(group["title"], row, columns, made["threshold"], pairs, file)
            for row in group["rows"]
        ]
        content.append(
            tag(
                "div",
                tag("h3", group["title"], id=f"{anchor(k)}-{number}"),
                wide(group["title"], tag("table", *table, class_="players conversions")),
                class_="group",
            )
        )
    voices = made["embeddings"]
    return [
        *content,
        *embeddings(f"{anchor(k)}-voices", file, voices["picture"], voices["silhouette"]),
    ]


def _pairs(made):
    """The pairs of genders of the conversions, such as "female to male", in their order."""
    notes = [row["note"] for group in made["groups"] for row in group["rows"]]
    return list(dict.fromkeys(note for note in notes if note))


def _choice(k, pairs, made):
    """Buttons that show the conversions of one pair of genders; `_filters` has their style."""
    notes = [row["note"] for group in made["groups"] for row in group["rows"]]
    names = [f"all ({len(notes)})", *(f"{pair} ({notes.count(pair)})" for pair in pairs)]
    buttons = [
        tag(
            "label",
            tag(
                "input",
                type="radio",
                name=f"{anchor(k)}-pair",
                id=f"{anchor(k)}-pair-{number}",
                **({} if number else {"checked": ""}),
            ),
            name,
        )
        for number, name in enumerate(names)
    ]
    return tag("fieldset", tag("legend", "Show conversions"), *buttons, class_="filter")


def _filters(found):
    """The style that hides what is not chosen: the page needs no script."""
    rules = []
    for k, shown in enumerate(found):
        for number, _ in enumerate(_pairs(shown.made) if shown.made else (), 1):
            own = f'[data-pair="{number}"]'
            rules.append(
                f"#{anchor(k)}:has(#{anchor(k)}-pair-{number}:checked) "
                f":is(tbody[data-pair]:not({own}), .group:not(:has({own}))) {{ display: none; }}"
            )
    return "\n".join(rules)


def _head(columns):
    """The names of the columns, and whose they are."""
    titles = (
        tag("th", each.title, tag("small", each.judge), scope="col", class_="number")
        for each in columns
    )
    parts = (tag("th", part, scope="col", class_="player") for part in PARTS)
    return tag("thead", tag("tr", tag("td"), *parts, *titles))


def _references(group, columns):
    """The rows that conversions are compared with: means of the recordings, of noise, and so on."""
    means, count = group.get("references", {}), len(group["rows"])  # missing in earlier files

    def cell(column, each):
        """A mean, with the number of conversions where it is not known of all."""
        known, text = sum(bool(column.cell(row)) for row in group["rows"]), column.mean(each)
        of = [tag("small", f"of {known}")] if text and 0 < known < count else []
        return tag("td", text, *of, class_="number")

    head = {"scope": "row", "colspan": 1 + len(PARTS)}
    return tag(
        "tbody",
        *(
            tag(
                "tr",
                tag("th", name, tag("small", f"mean of {count}"), **head),
                *(cell(column, each) for column in columns),
            )
            for name, each in means.items()
        ),
        class_="references",
    )


def _conversion(group, row, columns, threshold, pairs, file):
    """A row with three audio players and the figures of all judges, and a row with the mels."""
    name = f"{group}, {row['title']}"
    head = [row["title"], *([tag("small", row["note"])] if row["note"] else [])]
    players = (
        tag("td", file.audio(row[part], f"{name}, {part}"), class_="player") for part in PARTS
    )
    picture = file.image(row["picture"], f"Mels of source, target and conversion: {name}")
    return tag(
        "tbody",
        tag(
            "tr",
            tag("th", *head, tag("small", tag("strong", _verdict(row, threshold))), scope="row"),
            *players,
            *(_cell(column.cell(row)) for column in columns),
        ),
        tag("tr", tag("td", picture, colspan=1 + len(PARTS) + len(columns), class_="picture")),
        data_pair=1 + pairs.index(row["note"]) if row["note"] else 0,
    )


def _cell(lines):
    """A figure, with small lines below it; a dash where nothing is known."""
    first, *others = lines or ["–"]
    return tag("td", first, *(tag("small", each) for each in others), class_="number")


def _verdict(row, threshold):
    """Says in words whose voice a conversion has."""
    passes = row["to_target"] >= threshold
    if row["to_target"] > row["to_source"]:
        return "nearer to the target" + (", and passes for it" if passes else "")
    return "nearer to the source" + (", yet passes for the target" if passes else "")


# --- The columns


@dataclasses.dataclass(frozen=True)
class _Column:
    """A column of figures.

    Attributes:
        title: Its title.
        judge: Whose figures they are, or their unit.
        meaning: A sentence on what they mean.
        cell: Function from a row to its lines, the first for the conversion; [] = not known.
        mean: Function from the references of a group to a text.
    """

    title: str
    judge: str
    meaning: str
    cell: Callable[[dict], list[str]]
    mean: Callable[[dict], str]


def _columns(made):
    """The columns of all judges of whom there is a figure in one row at least."""
    asked = made.get("independent") or {}  # missing in earlier files
    by_text = asked.get("against") == "text"
    against = "those of the text" if by_text else "those that it hears in the recording"
    known = asked.get("threshold")
    passes = f" (1 is the same; from {known:.2f} on it passes for that voice)" if known else ""
    every = [
        _Column(
            "cosine to target",
            "speaker encoder",
            "Cosine to target: the cosine similarity of the speaker embedding to those of other "
            "recordings of the target, below it to those of the source (1 is the same; from "
            f"{made['threshold']:.2f} on it passes for that voice).",
            lambda row: [f"{row['to_target']:.2f}", f"to source {row['to_source']:.2f}"],
            lambda each: f"{each['to_target']:.2f}",
        ),
        _Column(
            "phone accuracy",
            "linear probe",
            "Phone accuracy: the share of speech frames whose phone is predicted correctly by a "
            "linear probe.",
            _accuracies,
            lambda each: or_dash(each["phone_accuracy"], "{:.0%}"),
        ),
        _Column(
            "F0",
            "median, Hz",
            "F0: the median over the voiced frames, in Hz.",
            _f0,
            lambda each: "",
        ),
        _Column(
            "phone errors",
            "hama" if asked.get("english") else "hama, uncalibrated",
            f"Phone errors: the error rate of the phones that hama hears, against {against}.",
            *_rates("phones"),
        ),
        _Column(
            "word errors",
            "pocketsphinx",
            "Word errors: the error rate of the words that pocketsphinx hears, against the text "
            "where it is known.",
            *_rates("words"),
        ),
        _Column(
            "P.808",
            "DNSMOS, 1\u00a0to\u00a05",
            "P.808: the opinion of listeners of the quality, by ITU-T P.808, as DNSMOS estimates "
            "it, 1 to 5.",
            *_qualities("p808"),
        ),
        _Column(
            "P.835",
            "DNSMOS, 1\u00a0to\u00a05",
            "P.835: the same by ITU-T P.835, overall.",
            *_qualities("overall"),
        ),
        _Column(
            "cosine to target",
            "Resemblyzer",
            "Cosine to target, Resemblyzer: the cosine similarity of its embedding to that of the "
            f"target's recording{passes}.",
            _voices,
            lambda each: _mean(each, "voice", lambda found: f"{found['cosine']:.2f}"),
        ),
    ]
    rows = [row for group in made["groups"] for row in group["rows"]]
    return [column for column in every if any(column.cell(row) for row in rows)]


def _accuracies(row):
    if not row["phones"]:
        return []
    converted, source = (or_dash(row["phones"][part], "{:.0%}") for part in ("converted", "source"))
    return [converted, f"source {source}"]


def _f0(row):
    converted, *others = (
        or_dash(row["f0_hz"][part], "{:.0f}") for part in ("converted", "source", "target")
    )
    return [converted, *(f"{part} {each}" for part, each in zip(("source", "target"), others))]


def _of(row, judge):
    """What a judge says of the sounds of a row, of those that it judged: name -> what it says."""
    found = row.get("independent") or {}  # missing in earlier files
    said = {name: found[key][judge] for name, key in SOUNDS.items() if key in found}
    return {name: each for name, each in said.items() if each is not None}


def _compared(row, judge, text):
    """The lines of a cell: of the conversion, then of what it is compared with."""
    found = _of(row, judge)
    if "converted" not in found:
        return []
    converted = text(found.pop("converted"))
    return [converted, *(f"{name} {text(each)}" for name, each in found.items())]


def _rates(what):
    """The functions of a column of error rates: for a cell, and for a mean."""

    def rate(each):
        return or_dash(each["errors"] / (each["count"] or math.nan), "{:.0%}")

    return (
        lambda row: _compared(row, what, rate),
        lambda each: _mean(each, what, lambda found: f"{found['rate']:.0%}"),
    )


def _qualities(name):
    """The functions of a column of qualities: for a cell, and for a mean."""

    def quality(each):
        return f"{each[name]:.2f}"

    return (
        lambda row: _compared(row, "quality", quality),
        lambda each: _mean(each, "quality", quality),
    )


def _voices(row):
    lines = _compared(row, "voice", lambda each: f"{each['cosine']:.2f}")
    verdict = {True: ["passes"], False: ["does not pass"]}
    accepted = _of(row, "voice")["converted"]["accepted"] if lines else None
    return [*lines[:1], *verdict.get(accepted, []), *lines[1:]]


def _mean(reference, judge, text):
    """The mean of what a judge says; a dash where it says nothing."""
    found = (reference["independent"] or {}).get(judge)
    return "–" if found is None else text(found)


STYLE = """
main { max-width: 84rem; }
ul.key { margin: .25rem 0 .75rem; padding-left: 1.2rem; max-width: 60rem; }
.filter { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 1.25rem 0;
  padding: .5rem .9rem; border: 1px solid var(--line); border-radius: .4rem; width: fit-content; }
.filter legend { color: var(--soft); font-size: .9rem; padding: 0 .3rem; }
.filter label { cursor: pointer; }
.filter input { margin: 0 .4rem 0 0; }
@supports not selector(:has(a)) { .filter { display: none; } }
.conversions { width: 100%; }
.conversions th, .conversions td { padding: .45rem .35rem; }
.conversions tbody[data-pair] tr:first-child > * { border-bottom: 0; }
.conversions thead th { vertical-align: bottom; line-height: 1.3; }
.conversions .number { text-align: right; }
.conversions thead .number { white-space: normal; max-width: 6.5rem; }
.conversions small { font-size: .78rem; line-height: 1.35; }
.conversions tbody th { min-width: 9rem; white-space: normal; overflow-wrap: anywhere; }
.conversions strong { font-weight: 600; color: var(--ink); }
.conversions audio { margin-bottom: 0; }
.conversions td.picture { padding: 0 0 1.5rem; text-align: left; white-space: normal; }
.conversions img { width: 56rem; }
.conversions .references > tr > * { position: static; background: var(--sheet); }
.references th small { display: inline; margin-left: .5rem; }
@media (max-width: 36rem) { .conversions tbody th { min-width: 7rem; } }
@media screen and (min-width: 80rem) {
  .group .wide { overflow: visible; }
  .conversions thead > tr > * { position: sticky; top: 0; z-index: 2; background: var(--paper); }
}
@media print {
  @page { size: landscape; margin: 1cm; }
  .filter, .conversions audio { display: none; }
  .wide { overflow: visible; }
  .conversions .player { padding: 0; font-size: 0; }
  .conversions img { width: 36rem; }
  .conversions tbody { break-inside: avoid; }
}
"""
