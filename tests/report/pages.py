"""Runs that have a page, and a page as a test reads it."""

import html.parser
import json
import urllib.parse

from kvoice import runs
from kvoice.audio import SPECS


class Page(html.parser.HTMLParser):
    """The elements of a page as (name, attributes), and the text of each, children included."""

    EMPTY = {"meta", "img", "input"}

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self._open, self.wrong = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self._open and not self.wrong, (
            "elements are closed in the order they were opened"
        )

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in self.EMPTY:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        if self.elements[self._open.pop()][0] != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        for k in self._open:
            self.texts[k] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag, **wanted):
        return [
            text
            for (name, attributes), text in zip(self.elements, self.texts)
            if name == tag and wanted.items() <= attributes.items()
        ]


def links(page):
    return [
        urllib.parse.unquote(attributes[key])
        for _, attributes in page.elements
        for key in ("src", "href")
        if key in attributes
    ]


def leads_nowhere_else(path):
    """The page of a file whose links lead to files beside it and to places of its own, never to a
    network.
    """
    page = Page(path)
    places = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(places)) == len(places)
    for each in links(page):
        assert each[1:] in places if each.startswith("#") else (path.parent / each).is_file()
    text = path.read_text(encoding="utf-8")
    assert "//" not in text and "<script" not in text and "@import" not in text
    return page


def created(path, model, group, seed, **config):
    """A run of a model on speech, with this model group, trained on two speakers of demo."""
    return runs.create(
        path,
        {
            "model_name": model,
            "variant": "",
            "data_spec": "demo",
            "init": "",
            "corpus": "c",
            "speakers": ["ada", "carl"],
            "data": {"seed": 0, "split": "train"},
            "model": group,
            "train": {"steps": 100, "seed": seed},
            **config,
        },
        SPECS["waveglow"],
        {},
        f"kvoice train --model={model}",
    )


def evaluated(made_run, **metrics):
    """Writes an evaluation as `kvoice evaluate` leaves it."""
    (made_run.path / "evaluation.json").write_text(
        json.dumps(
            {
                "kind": "voices",
                "metrics": metrics,
                "tables": [
                    {
                        "title": "Judged",
                        "note": "By <judges>.",
                        "columns": ["edit", "changed"],
                        "rows": [["flip", "95%"]],
                    }
                ],
            }
        )
    )


def played(page, seconds):
    """Plays everything in a page of a browser: each wave lasts as long as it should, pictures are
    there.
    """
    page.wait_for_function("""[...document.querySelectorAll("audio")].every(
        each => each.readyState >= 1 || each.error)""")
    players = page.eval_on_selector_all(
        "audio", "all => all.map(each => [each.error && each.error.code, each.duration])"
    )
    assert len(players) == len(seconds)
    for (error, duration), wanted in zip(players, seconds):
        assert error is None and abs(duration - wanted) < 0.01
    page.evaluate("""async () => { for (const each of document.querySelectorAll("audio")) {
        each.muted = true; each.playbackRate = 8; await each.play(); } }""")
    page.wait_for_function("""[...document.querySelectorAll("audio")].every(each => each.ended)""")
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    assert page.eval_on_selector_all(
        "img", "all => all.every(each => each.complete && each.naturalWidth > 0)"
    )
