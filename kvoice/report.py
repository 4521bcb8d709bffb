"""A static page of an activation maximisation: what was heard, to be heard again and judged.

One HTML file beside the waves and pictures that it shows: no script, nothing from a network.
"""

import html
import json
import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from kvoice.errors import KvoiceError
from kvoice.files import replaced

FORMAT = 1  # of maximization.json
EAGER = 400  # players at most that load ahead: each costs memory, and Chromium has 1000 in a page


def maximization(folder):
    """Writes FOLDER/index.html, whole or not at all.

    What is shown stands in FOLDER/maximization.json and, where there is one, in the tables of
    FOLDER/evaluation.json; the pictures and waves that they name lie in FOLDER too, and are linked
    to by their names, so that the folder can be moved or put on a server as it is.

    Args:
        folder: Where an ascent was written to.

    Returns:
        The path of the page.

    Raises:
        KvoiceError: If a JSON file is missing or not as it is written, or names a file that is not
            in the folder.
    """
    folder = Path(folder)
    evaluation = folder / "evaluation.json"
    tables = _filled(evaluation, _tables) if evaluation.exists() else []
    page = _filled(folder / "maximization.json", lambda made: _page(made, tables, folder))
    path = folder / "index.html"
    try:
        with replaced(path) as file:
            file.write(f"<!DOCTYPE html>\n{page}\n".encode("utf-8", "xmlcharrefreplace"))
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def _filled(path, fill):
    """What `fill` makes of a JSON file."""
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise KvoiceError(f"{path}: not a JSON file: {error}") from None
    try:
        return fill(made)
    except KeyError as error:
        raise KvoiceError(f"{path}: {error} is missing; was it written by another "
                          "version?") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise KvoiceError(f"{path}: cannot be understood ({error}); was it written by another "
                          "version?") from error


# --- What is said


def _page(made, tables, folder):
    """The whole page: the opening and the summary, then a section for each thing to be heard."""
    if made["format"] != FORMAT:
        raise ValueError(f"its format is {made['format']}, this version reads {FORMAT}")
    targets, start, judged = made["targets"], made["start"], bool(made["judge"])
    file = _Files(folder, sum(len(files) for target in targets for files in (
        target["results"], *(row["files"] for row in (*target["waves"], *target["dial"])))))
    title = f"Activation maximisation: {', '.join(target['target'] for target in targets)}"
    sections = [("evaluation", "Evaluation", tables)] if tables else []
    sections += [("recording", "The recording", _recording(start, file))] if start else []
    sections += [(_anchor(k), target["target"], _target(target, judged, made["strength"], file))
                 for k, target in enumerate(targets)]
    sections.append(("origin", "How it was made", _origin(made)))
    body = [
        _tag("h1", title),
        _tag("p", _opening(made), class_="lead"),
        _tag("p", _tag("strong", "The voices are generated; say so when you share them."),
             " They began with a recording: share it, and what was made of it, only with the "
             "consent of whoever is heard in it." if start else "", class_="notice"),
        _tag("nav", _tag("ul", *(_tag("li", _link(anchor, name)) for anchor, name, _ in sections)),
             aria_label="Contents"),
        _summary(made, judged),
        *(_tag("section", _tag("h2", name), *content, id=anchor)
          for anchor, name, content in sections),
    ]
    return _tag(
        "html",
        _tag("head", _tag("meta", charset="utf-8"),
             _tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
             _tag("meta", name="color-scheme", content="light dark"),
             _tag("title", title), _tag("style", _Html(_STYLE))),
        _tag("body", _tag("main", *body)), lang="en")


def _tables(evaluation):
    return [_table(table["title"], table["note"], table["columns"], table["rows"])
            for table in evaluation["tables"]]


def _summary(made, judged):
    hearers = ("classifier", "judge") if judged else ("classifier",)
    return _table(
        "In short", f"How many of the {made['count']} starts are heard as the target, before the "
        "ascent and after it.",
        ["target", *(f"{who} agrees" for who in hearers)],
        [[_link(_anchor(k), target["target"]), *(
            "{before:.0%} → {after:.0%}".format(**target["agreed"][who]) for who in hearers)]
         for k, target in enumerate(made["targets"])])


def _opening(made):
    """What was done, in two sentences."""
    count, condition = made["count"], made["classifier"]["condition"] or "target"
    begun = f"{count} random noises" if count > 1 else "a random noise"
    if made["start"]:
        begun = "the noise whose generated voice comes closest to a recording"
    heard = ("A judge, another classifier that had no part in this, then heard the same voices."
             if made["judge"] else
             "No second classifier heard the result: that this one agrees was the aim, and proves "
             "little by itself.")
    return (f"From {begun}, gradient ascent moved through the noise of a trained generator towards "
            f"voices that a classifier hears as one {condition} or another, while neither of the "
            f"two networks changed. {heard}")


def _recording(start, file):
    return [
        _tag("p", f"From {start['file']}, at {start['second']:.2f} s. The generator cannot make "
             "every voice: what it makes of the noise found for this one is off by "
             f"{start['error_db']:.1f} dB on average."),
        _tag("div", *(_tag("figure", _tag("figcaption", text),
                           file.audio(start[name], text))
                      for name, text in (("wave", "The recording"),
                                         ("reconstruction", "Its reconstruction"))), class_="pair"),
    ]


def _target(target, judged, strength, file):
    """What there is to see and to hear of one target."""
    name, steps, agreed = target["target"], target["steps"], target["agreed"]
    told = f"The generator was told “{target['label']}”. " if target["label"] else ""
    judge = "; the judge in {before:.0%} and in {after:.0%}" if judged else ""
    key = [f"Below each player, the probability of {name}: ", _tag("b", "C"), " for the classifier",
           *([", ", _tag("b", "J"), " for the judge"] if judged else []),
           "; of the mel, where the generator makes mels: what is heard is a wave that Griffin-Lim "
           "found for it."]
    ways = [_row(name, wave["start"], wave["files"], [f"step {step}" for step in steps],
                 [row[wave["start"]] for row in target["probability"]],
                 [row[wave["start"]] for row in target["judge_probability"]] if judged else None,
                 file, f"until step {target['stopped'][wave['start']]}")
            for wave in target["waves"]]
    dials = [_row(name, dial["start"], dial["files"], [f"{share:g}" for share in dial["strengths"]],
                  dial["probability"], dial["judge_probability"] if judged else None, file)
             for dial in target["dial"]]
    content = [
        _tag("p", f"{told}The classifier hears {name} in {agreed['classifier']['before']:.0%} of "
             f"{len(target['stopped'])} starts, and in {agreed['classifier']['after']:.0%} of what "
             f"became of them{judge.format(**agreed['judge'] or {})}."),
        _tag("figure", _wide(f"{name}, mels", file.image(
            target["figure"], "Mels of generated voices at step 0 and at the end of the ascent "
            f"towards {name}")), _tag("figcaption", "Mels at step 0 and at the end.")),
        _tag("details", _tag("summary", "The ascent, moving"), _wide(
            f"{name}, moving mels", file.image(
                target["animation"], "Animation: mels of the same voices, step by step towards "
                f"{name}")), open=""),
        _tag("figure", file.image(target["curve"], f"Curves: probability of {name} over the steps "
                                  "of the ascent", class_="curve"),
             _tag("figcaption", "How probable the target became.")),
    ]
    if ways:
        content += [_tag("h3", "Listen: step by step"), _tag("p", *key, class_="key"),
                    _players(f"{name}, step by step", [f"step {step}" for step in steps], ways)]
    if dials:
        shares = [f"{share:g}" for share in target["dial"][0]["strengths"]]
        content += [_tag("h3", "Listen: intensity"),
                    _tag("p", "From the start, 0, to the end of the ascent, 1. ",
                         *([] if ways else key), class_="key"),
                    _players(f"{name}, intensity", shares, dials)]
    results = [_tag("figure", _tag("figcaption", f"start {k}"),
                    file.audio(wave, f"{name}, start {k}, at strength {strength:g}"))
               for k, wave in enumerate(target["results"])]
    return [*content, _tag("details", _tag(
        "summary", f"Listen: all {len(results)} starts, at strength {strength:g}"),
        _tag("div", *results, class_="pair"))]


def _row(name, start, files, places, heard, judged, file, note=""):
    """Players, and under each what the classifier and the judge hear in it."""
    cells = []
    for k, (wave, place, probability) in enumerate(zip(files, places, heard, strict=True)):
        if wave is None:  # behind the step at which this start was done
            cells.append(_tag("td", "unchanged", class_="score"))
            continue
        scores = [("C", "classifier", probability)]
        scores += [("J", "judge", judged[k])] if judged else []
        cells.append(_tag("td", file.audio(wave, f"{name}, start {start}, {place}"), *(
            _tag("span", _tag("abbr", short, title=who), f" {value:.0%}",
                 class_=f"score {who}", style=f"--share:{value:.3f}")
            for short, who, value in scores)))
    return _tag("tr", _tag("th", f"start {start}", *([_tag("small", note)] if note else []),
                           scope="row"), *cells)


def _origin(made):
    """Everything that it takes to make it once more."""
    def run(part):
        about = [part[key] for key in ("architecture", "domain", "condition") if part.get(key)]
        about += [" / ".join(part["names"])] if part.get("names") else []
        return [_tag("code", part["run"]), f" ({', '.join(about)})"]

    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    facts = [
        ("Generator", run(made["generator"])), ("Classifier", run(made["classifier"])),
        ("Judge", run(made["judge"]) if made["judge"] else ["none"]),
        ("Prior", [made["prior"]]), ("Strength", [f"{made['strength']:g}"]),
        ("Seed", [made["seed"]]), ("Starts", [made["count"]]),
        ("Sample rate", [f"{made['sample_rate_hz']} Hz"]),
        ("Versions", [versions]),
    ]
    words = [piece for word in made["command"].split(" ") for piece in (_tag("span", word), " ")]
    return [_tag("dl", *(_tag("div", _tag("dt", name), _tag("dd", *value))
                         for name, value in facts)),
            _tag("pre", _tag("code", *words), tabindex="0")]


def _anchor(k):
    return f"target-{k}"


# --- How it is written


class _Files:
    """Elements that show the files of a folder; one that is not there is refused.

    Args:
        folder: Where they are.
        waves: How many of them there will be.
    """

    def __init__(self, folder, waves):
        self.folder = folder
        self.preload = "metadata" if waves <= EAGER else "none"

    def _address(self, name):
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or "\\" in name:
            raise KvoiceError(f"{self.folder / 'maximization.json'}: names {name}, which is not in "
                              "its folder")
        if not (self.folder / place).is_file():
            raise KvoiceError(f"{self.folder / place}: named in maximization.json, but not there")
        return quote(name)

    def audio(self, name, label, **attributes):
        return _tag("audio", controls="", preload=self.preload, src=self._address(name),
                    aria_label=label, **attributes)

    def image(self, name, text, **attributes):
        return _tag("img", src=self._address(name), alt=text, **attributes)


class _Html(str):
    """A text that is HTML already: `_tag` leaves it as it is."""


def _tag(element, /, *children, **attributes):
    """An element. What is put into it is escaped, unless it is an element itself."""
    words = [element, *(f'{key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
                     for key, value in attributes.items())]
    inside = "".join(child if isinstance(child, _Html) else html.escape(str(child))
                     for child in children)
    if element in ("meta", "img"):
        return _Html(f"<{' '.join(words)}>")
    end = "\n" if element in _BLOCKS else ""
    return _Html(f"<{' '.join(words)}>{inside}</{element}>{end}")


def _link(anchor, text):
    return _tag("a", text, href=f"#{anchor}")


def _table(title, note, columns, rows, **attributes):
    """A table of texts under a heading; columns of numbers are aligned to the right."""
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"{title}: a row has not the {len(columns)} cells of its columns")
    numbers = [k > 0 and all(re.match(r"[-+−±]?[.\d]|[-–—]?$", str(row[k])) for row in rows)
               for k in range(len(columns))]
    kinds = [{"class_": "number"} if number else {} for number in numbers]
    head = _tag("thead", _tag("tr", *(_tag("th", column, scope="col", **kind)
                                      for column, kind in zip(columns, kinds))))
    body = _tag("tbody", *(_tag("tr", _tag("th", row[0], scope="row"),
                                *(_tag("td", cell, **kind) for cell, kind in
                                  zip(row[1:], kinds[1:]))) for row in rows if row))
    return _tag("section", _tag("h3", title), *([_tag("p", note)] if note else []),
                _wide(title, _tag("table", head, body)), class_="table", **attributes)


def _players(title, places, rows):
    head = _tag("tr", _tag("td"), *(_tag("th", place, scope="col") for place in places))
    return _wide(title, _tag("table", _tag("thead", head), _tag("tbody", *rows), class_="players"))


def _wide(title, content):
    """What may be wider than a screen scrolls by itself, with the arrow keys as well."""
    return _tag("div", content, class_="wide", role="region", aria_label=title, tabindex="0")


_BLOCKS = {"head", "title", "style", "body", "main", "nav", "section", "h1", "h2", "h3", "p", "ul",
           "li", "div", "figure", "table", "thead", "tbody", "tr", "dl", "pre", "details"}

_STYLE = """
:root { --ink: #1d2330; --soft: #5c6575; --paper: #fff; --sheet: #f4f6f9; --line: #dde2ea;
  --link: #1a5fb4; --classifier: #b9d6ee; --judge: #fbd3ab; --notice: #fff6dd; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ee; --soft: #9aa4b5; --paper: #14171d; --sheet: #1d222b; --line: #323947;
    --link: #8ab8f5; --classifier: #1f4f78; --judge: #7a4a18; --notice: #332b14; } }
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
a { color: var(--link); }
.lead { font-size: 1.1rem; }
.notice { background: var(--notice); border-radius: .4rem; padding: .6rem .9rem; }
.key { color: var(--soft); font-size: .9rem; }
main > section:not(.table) { border-top: 1px solid var(--line); margin-top: 2.75rem;
  padding-top: 1.75rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .4rem 1.25rem; list-style: none; padding: 0;
  margin: 1.25rem 0; }
figure { margin: 1.25rem 0; }
figcaption, summary { color: var(--soft); font-size: .9rem; }
summary { cursor: pointer; margin-bottom: .35rem; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: .4rem;
  padding: .4rem; border: 1px solid var(--line); }
.curve { width: 40rem; }
.wide { overflow-x: auto; max-width: 100%; }
.wide img { max-width: max(100%, 36rem); }
.pair { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.pair audio { display: block; width: 19rem; max-width: 100%; margin-top: .3rem; }
table { border-collapse: collapse; overflow-wrap: normal; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; font-size: .85rem; }
tbody th { font-weight: 600; min-width: 9rem; }
.number { text-align: right; white-space: nowrap; }
.players th, .players td { min-width: 0; padding: .45rem .15rem; text-align: center; white-space: nowrap; }
.players tbody th { position: sticky; left: 0; z-index: 1; background: var(--paper);
  padding: .6rem .75rem .45rem 0; text-align: left; }
.players small { display: block; font-weight: 400; color: var(--soft); }
.players audio { display: block; width: 4.25rem; height: 2.5rem; margin: 0 auto .3rem; }
.players audio::-webkit-media-controls-enclosure, .players audio::-webkit-media-controls-panel {
  padding: 0; justify-content: center; }
.players audio::-webkit-media-controls-play-button { display: flex !important; }
.players audio::-webkit-media-controls-timeline, .players audio::-webkit-media-controls-mute-button,
.players audio::-webkit-media-controls-current-time-display,
.players audio::-webkit-media-controls-time-remaining-display { display: none !important; }
.score { display: block; font-size: .8rem; line-height: 1.35; padding: 0 .3rem; margin-top: 2px;
  border-radius: .2rem; text-align: right; background: linear-gradient(90deg,
  var(--tint) calc(100% * var(--share)), var(--sheet) 0); }
.done { font-size: .8rem; opacity: .6; vertical-align: top; }
.score abbr { float: left; opacity: .75; text-decoration: none; }
.classifier { --tint: var(--classifier); }
.judge { --tint: var(--judge); }
dl { margin: 1rem 0; }
dl div { display: grid; grid-template-columns: 8rem 1fr; gap: .1rem 1rem; padding: .3rem 0; }
dt { color: var(--soft); }
dd { margin: 0; }
pre { background: var(--sheet); border-radius: .4rem; padding: .8rem 1rem; white-space: pre-wrap; }
pre span { display: inline-block; max-width: 100%; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: .9em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 36rem) {
  main { padding: 1.25rem .9rem 3rem; }
  dl div { grid-template-columns: 1fr; } }
"""
