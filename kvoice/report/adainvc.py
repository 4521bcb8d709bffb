"""A static page of one-shot conversions: source, target and what was made of them, to be heard.

One HTML file with copies of the pictures and waves that it shows, in a folder that can be moved; or
all of it in the one file. What is shown was written by `kvoice evaluate`. The speaker encoders that
judge conversions have such a page as well, without anything to hear.
"""

import math

from kvoice.errors import KvoiceError
from kvoice.report.elements import check_format, facts, filled, tag, wide
from kvoice.report.pages import Shown, anchor, origin, page, training, written_page

FILE = "conversions.json"
FORMAT = 1  # of it
PARTS = ("source", "target", "converted")
COMPARED = ("train.seed",)  # told of every run
ENCODER = "speakerencoder"
VOICES = "embeddings.png"  # of a speaker encoder


def conversions(runs, output, single=False):
    """Writes OUTPUT/index.html and the files that it shows, whole or not at all.

    Args:
        runs: `runs.Run`s of adainvc, or of speakerencoder, in the order wanted.
        output: A folder; what an earlier report wrote there is replaced.
        single: Put the pictures and sounds into the page, so that it is one file.

    Returns:
        The path of the page.

    Raises:
        KvoiceError: As `pages.written_page`.
    """
    return written_page(runs, output, single, ("adainvc", ENCODER), _Shown, _page)


class _Shown(Shown):
    """A run with its evaluation and its conversions, of which one may be missing."""

    def __init__(self, run):
        super().__init__(run)
        self.path = run.path / "conversions" / FILE
        self.made = filled(self.path, _known) if self.path.exists() else None
        if not self.tables and not self.made:
            raise KvoiceError(f"{run.path}: nothing to show yet: `kvoice evaluate --run={run.path}` "
                              "measures it" + ("" if self.encoder else ", and makes sounds and pictures"))
        if self.made:
            self.waves = self.made["players"]

    @property
    def encoder(self):
        return self.run.config["model_name"] == ENCODER


def _known(made):
    """The content of a conversions.json, with the number of "players" and the "titles" of the groups."""
    check_format(made, FORMAT)
    judged = made.get("judged", {"said": "", "warning": ""})  # not told before
    return made | {"command": str(made["command"]), "judged": judged,
                   "titles": [group["title"] for group in made["groups"]],
                   "players": len(PARTS) * sum(len(group["rows"]) for group in made["groups"])}


# --- What is said


def _page(found, copies):
    """The whole page: what runs have in common, then a section for each."""
    encoder = found[0].encoder
    of = found[0].name if len(found) == 1 else f"{len(found)} runs"
    title = f"Voices told apart by {of}" if encoder else f"Conversions of {of}"
    return page(title, TOLD_APART if encoder else ONE_SHOT, found, _places(found[0]), COMPARED,
                [_section(k, shown, copies) for k, shown in enumerate(found)], STYLE)


ONE_SHOT = (
    "One-shot voice conversion takes two recordings, the source and the target, and makes a third: it "
    "says what the source says, in the voice of the target. One recording of a voice is enough, and it "
    "need not be a voice that the network has learned from.")
TOLD_APART = (
    "A speaker encoder makes a direction of a recording, so that recordings of one voice point the same way "
    "and those of two voices do not. Below, how well it tells voices apart that it has never heard.")


def _places(shown):
    """The anchors and names of what there is in the section of a single run."""
    if not shown.made:
        return [(anchor(0), shown.name)]
    groups = [(f"{anchor(0)}-{number}", title) for number, title in enumerate(shown.made["titles"])]
    return [*groups, (f"{anchor(0)}-voices", "Where voices lie")]


def _section(k, shown, copies):
    """What there is to read, to hear and to see of one run."""
    content = [_facts(shown), *shown.tables]
    commands = [shown.run.config["command"]]
    if shown.made:
        file = copies.of(k, shown.path.parent, FILE, "conversions")
        content += filled(shown.path, lambda made: _conversions(k, made, shown.made["judged"], file))
        commands.append(shown.made["command"])
    elif (shown.run.path / VOICES).is_file():
        content += _voices(f"{anchor(k)}-voices", copies.of(k, shown.run.path, "the run"), VOICES)
    return [*content, *training(k, shown, copies), *origin(*commands)]


def _facts(shown):
    config, model, spec = shown.run.config, shown.run.config["model"], shown.run.spec
    if shown.encoder:
        told = [("Network", f"LSTM of {model['depth']} layers of {model['width']}"),
                ("Embedding", f"{model['embedding']} numbers")]
    else:
        voice = {"encoder": f"{model['embedding']} numbers of a speaker encoder",
                 "statistics": "means and spreads of the layers of the content encoder"}
        told = [("Voice", voice.get(model["speaker"], model["speaker"])),
                ("Content", f"{model['latents']} numbers a moment, " + (
                    "normalised over time" if model["content_norm"] else "not normalised"))]
    learned = f"{len(config['speakers'])} speakers" if config["speakers"] else "not said"
    weights = [("Weights", config["imported"]["file"])] if "imported" in config else [
        ("Steps", config["train"]["steps"])]
    told = [("Trained on", config["data_spec"] or "not said"), ("Learned from", learned),
            ("Mels", f"{spec.mels} bands of {spec.sample_rate_hz} Hz"), *told, *weights,
            ("Versions", shown.versions)]
    return facts((name, [value]) for name, value in told)


def _conversions(k, made, judged, file):
    """All groups of conversions, and the picture of the voices."""
    key = ("Unseen speakers are none of those that the model learned from. Below each conversion, how near "
           "its voice is to other recordings of the target and of the source, as a speaker encoder hears it "
           f"(cosine, 1 is the same; from {made['threshold']:.2f} on it passes for that voice). Then in how "
           f"many frames of speech the right phone is heard, and the median F0. {judged['said']}")
    content = [tag("h2", "Conversions to be heard"), tag("p", key, class_="key")]
    if warning := judged["warning"]:
        content.append(tag("p", tag("strong", f"Mind that {warning}."), class_="notice"))
    for number, group in enumerate(made["groups"]):
        content.append(tag("h3", group["title"], id=f"{anchor(k)}-{number}"))
        for row in group["rows"]:
            content += _conversion(group["title"], row, made["threshold"], file)
    voices = made["embeddings"]
    return [*content, *_voices(f"{anchor(k)}-voices", file, voices["picture"], voices["silhouette"])]


def _conversion(group, row, threshold, file):
    """Three players side by side, below the third what is measured of it, and the mels."""
    name = f"{group}, {row['title']}"
    head = tag("tr", *(tag("th", part, scope="col") for part in PARTS))
    cells = tag("tr", *(tag("td", file.audio(row[part], f"{name}, {part}")) for part in PARTS))
    return [
        tag("h4", row["title"], *([" ", tag("small", row["note"])] if row["note"] else [])),
        tag("table", tag("thead", head), tag("tbody", cells), class_="trio"),
        tag("p", *_figures(row, threshold), class_="figures"),
        wide(f"{name}, mels", file.image(row["picture"], f"Mels of source, target and conversion: {name}"))]


def _figures(row, threshold):
    """The figures of a conversion, a line each; whose voice it is stands there in words."""
    passes = row["to_target"] >= threshold
    if row["to_target"] > row["to_source"]:
        verdict = "nearer to the target" + (", and passes for it" if passes else "")
    else:
        verdict = "nearer to the source" + (", yet passes for the target" if passes else "")
    lines = [tag("strong", f"converted: {verdict}"),
             f"cosine {row['to_target']:.2f} to the target, {row['to_source']:.2f} to the source"]
    if row["phones"]:
        shares = [_or_dash(row["phones"][part], "{:.0%}") for part in ("converted", "source")]
        lines.append("phones right {}, of the source {}".format(*shares))
    heights = [_or_dash(row["f0_hz"][part], "{:.0f} Hz") for part in ("converted", "source", "target")]
    lines.append("F0 {}, source {}, target {}".format(*heights))
    return [tag("span", line) for line in lines]


def _or_dash(value, how):
    return "–" if value is None or math.isnan(value) else how.format(value)


def _voices(place, file, picture, silhouette=()):
    """The picture of the voices, and the silhouettes of what it shows."""
    shares = ", ".join(f"by {kind} {_or_dash(value, '{:.2f}')}" for kind, value in dict(silhouette).items())
    said = [tag("p", tag("strong", f"Silhouette {shares}."), " It says how much nearer a recording lies to "
                "those of its own group than to those of the nearest other one, on average: 1 where groups "
                "are tight and far apart, 0 where they overlap, below 0 where others are nearer.")]
    return [tag("h2", "Where voices lie", id=place), *(said if shares else []), tag("figure", wide(
        "Where voices lie", file.image(picture, "Points: recordings, a colour for each speaker, a marker for "
                                       "each gender")), tag(
        "figcaption", "A point for each recording, as the network describes its voice, brought to two "
        "dimensions (t-SNE): neighbours are alike, long distances say little."))]


STYLE = """
tbody th { white-space: pre-wrap; }
thead .number { white-space: normal; }
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
