"""The elements of static pages, without scripts and without anything from a network."""

import html
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import quote

from kvoice.errors import KvoiceError
from kvoice.files import replaced

EAGER = 400  # audio players at most that load ahead: each costs memory; Chromium allows 1000 a page

Filling = TypeVar("Filling")  # what the function of `filled` returns


# --- Files


def filled(path: Path, fill: Callable[[dict], Filling]) -> Filling:
    """Returns `fill` of the content of a JSON file; errors name the file."""
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise KvoiceError(f"{path}: not a JSON file: {error}") from None
    try:
        return fill(made)
    except KeyError as error:
        raise KvoiceError(
            f"{path}: {error} is missing; was it written by another version?"
        ) from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise KvoiceError(
            f"{path}: cannot be understood ({error}); was it written by another version?"
        ) from error


def check_format(made: dict, readable: int) -> None:
    """Raises ValueError, for `filled`, where a file has another format than can be read."""
    if made["format"] != readable:
        raise ValueError(f"its format is {made['format']}, this version reads {readable}")


def written(path: Path, page: str) -> Path:
    """Writes a page, whole or not at all, and returns its path.

    Raises:
        KvoiceError: If it cannot be written.
    """
    try:
        with replaced(path) as file:
            file.write(f"<!DOCTYPE html>\n{page}\n".encode("utf-8", "xmlcharrefreplace"))
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be written ({error.strerror})") from error
    return path


class Files:
    """Elements that show the files of a folder; one that is not there is refused.

    Args:
        folder: The folder of the files.
        index: Name of the JSON file in it that names them.
        waves: Number of audio players in the whole page.
        address: Path of a file -> its address in the page; None = its name, beside the page.
    """

    def __init__(
        self, folder: Path, index: str, waves: int, address: Callable[[Path], str] | None = None
    ) -> None:
        self.folder, self.index = folder, index
        self.preload = "metadata" if waves <= EAGER else "none"
        self._placed = address or (lambda path: quote(path.relative_to(folder).as_posix()))

    def _address(self, name):
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or "\\" in name:
            raise KvoiceError(
                f"{self.folder / self.index}: names {name}, which is not in its folder"
            )
        if not (self.folder / place).is_file():
            raise KvoiceError(f"{self.folder / place}: named in {self.index}, but not there")
        if self.folder.resolve() not in (self.folder / place).resolve().parents:
            raise KvoiceError(
                f"{self.folder / place}: is a link that leads out of its folder, and is not copied"
            )
        return self._placed(self.folder / place)

    def audio(self, name: str, label: str, **attributes: object) -> "Html":
        return tag(
            "audio",
            controls="",
            preload=self.preload,
            src=self._address(name),
            aria_label=label,
            **attributes,
        )

    def image(self, name: str, text: str, **attributes: object) -> "Html":
        return tag("img", src=self._address(name), alt=text, **attributes)


# --- Elements


class Html(str):
    """A text that is HTML already: `tag` leaves it as it is."""


def tag(element: str, /, *children: object, **attributes: object) -> Html:
    """An element. What is put into it is escaped, unless it is an element itself."""
    words = [
        element,
        *(
            f'{key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
            for key, value in attributes.items()
        ),
    ]
    inside = "".join(
        child if isinstance(child, Html) else html.escape(str(child)) for child in children
    )
    if element in ("meta", "img", "input"):
        return Html(f"<{' '.join(words)}>")
    end = "\n" if element in BLOCKS else ""
    return Html(f"<{' '.join(words)}>{inside}</{element}>{end}")


def link(anchor: str, text: str) -> Html:
    """A link to a place on the same page."""
    return tag("a", text, href=f"#{anchor}")


def table(
    title: str, note: str, columns: list[str], rows: list[list], **attributes: object
) -> Html:
    """A table of texts under a heading; columns of numbers are aligned to the right."""
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"{title}: a row has not the {len(columns)} cells of its columns")
    numbers = [
        k > 0 and all(re.match(r"[-+−±]?[.\d]|[-–—]?$", str(row[k])) for row in rows)
        for k in range(len(columns))
    ]
    kinds = [{"class_": "number"} if number else {} for number in numbers]
    head = tag(
        "thead",
        tag(
            "tr", *(tag("th", column, scope="col", **kind) for column, kind in zip(columns, kinds))
        ),
    )
    body = tag(
        "tbody",
        *(
            tag(
                "tr",
                tag("th", row[0], scope="row"),
                *(tag("td", cell, **kind) for cell, kind in zip(row[1:], kinds[1:])),
            )
            for row in rows
            if row
        ),
    )
    return tag(
        "section",
        tag("h3", title),
        *([tag("p", note)] if note else []),
        wide(title, tag("table", head, body)),
        class_="table",
        **attributes,
    )


def facts(pairs: Iterable[tuple[str, list]]) -> Html:
    """A list of facts, from pairs of a name and a list of elements or texts."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", *said)) for name, said in pairs))


def command(line: str) -> Html:
    """A command that can be copied; lines break between its words."""
    words = [piece for word in line.split(" ") for piece in (tag("span", word), " ")]
    return tag("pre", tag("code", *words), tabindex="0")


def document(title: str, body: list[Html], style: str = "") -> Html:
    """A whole page of elements; `style` is CSS of this page alone."""
    return tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="generator", content="kvoice"),
            tag("title", title),
            tag("style", Html(STYLE + style)),
        ),
        tag("body", tag("main", *body)),
        lang="en",
    )


def contents(sections: Iterable[tuple[str, str]]) -> Html:
    """Links to places of the page, from pairs of an anchor and a name."""
    return tag(
        "nav",
        tag("ul", *(tag("li", link(anchor, name)) for anchor, name in sections)),
        aria_label="Contents",
    )


def tables(evaluation: dict) -> list[Html]:
    """The tables of an evaluation, one element each, and its notes below them.

    Above them stands the split that was measured, where it is not "test".
    """
    split = evaluation.get("split", "test")  # missing in earlier files
    chosen = f"Measured on the split {split}, by which runs are chosen, and not on the split test."
    return [
        *([] if split == "test" else [tag("p", chosen, class_="notice")]),
        *(
            table(each["title"], each["note"], each["columns"], each["rows"])
            for each in evaluation["tables"]
        ),
        *(tag("p", note, class_="key") for note in evaluation.get("notes", [])),
    ]


def players(title: str, places: list[str], rows: list[Html]) -> Html:
    """A table of audio players, a column for each place."""
    head = tag("tr", tag("td"), *(tag("th", place, scope="col") for place in places))
    return wide(title, tag("table", tag("thead", head), tag("tbody", *rows), class_="players"))


def or_dash(value: float | None, how: str) -> str:
    """A number formatted by `how`; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else how.format(value)


def wide(title: str, content: Html) -> Html:
    """Content that may be wider than the screen; it scrolls by itself, also with the arrow keys."""
    return tag("div", content, class_="wide", role="region", aria_label=title, tabindex="0")


BLOCKS = {
    "head",
    "title",
    "style",
    "body",
    "main",
    "nav",
    "section",
    "h1",
    "h2",
    "h3",
    "p",
    "ul",
    "li",
    "div",
    "figure",
    "table",
    "thead",
    "tbody",
    "tr",
    "dl",
    "pre",
    "details",
}

STYLE = """
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
section > h2:not(:first-child) { margin-top: 2.75rem; }
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
.players th, .players td { min-width: 0; padding: .45rem .15rem; text-align: center;
  white-space: nowrap; }
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
.predicted { display: block; font-size: .8rem; line-height: 1.35; color: var(--soft);
  white-space: normal; max-width: 7.5rem; margin: 0 auto; overflow-wrap: normal; }
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
