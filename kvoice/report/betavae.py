"""A static page of trained beta-VAEs: latent traversals as pictures and sounds, and metrics.

One HTML file with copies of the pictures and waves that it shows, in a folder that can be moved; or
all of it in the one file. What is shown was written by `kvoice traverse` and `kvoice evaluate`.
"""

from pathlib import Path

from kvoice.errors import KvoiceError
from kvoice.report.elements import check_format, facts, filled, players, tables, tag, wide
from kvoice.report.pages import Shown, anchor, origin, page, training, written_page
from kvoice.runs import Run

FILE = "traversal.json"
FORMAT = 1  # the version of FILE that can be read
# Fields of the config that are shown of every run, the seed last.
COMPARED = ("model.objective", "model.beta", "train.seed")


def traversals(runs: list[Run], output: str | Path, single: bool = False) -> Path:
    """Writes the page of runs of betavae, as `pages.written_page` says."""
    return written_page(runs, output, single, ("betavae",), _Shown, _page)


class _Shown(Shown):
    """A run with its evaluation and its traversals."""

    def __init__(self, run):
        super().__init__(run)
        paths = sorted((run.path / "traversal").glob(f"*/{FILE}"))
        self.traversals = [(path, filled(path, _known)) for path in paths]
        if not self.tables and not self.traversals:
            raise KvoiceError(
                f"{run.path}: nothing to show yet: `kvoice traverse --run={run.path}` "
                f"makes pictures and sounds, `kvoice evaluate --run={run.path}` measures"
            )
        for _, made in self.traversals[:1]:
            self.metrics = made["summary"] | self.metrics
        self.waves = sum(made["players"] for _, made in self.traversals)


def _known(made):
    """The content of a traversal.json, with a "summary" and the number of audio "players"."""
    check_format(made, FORMAT)
    units = made["activity"]
    return made | {
        "summary": {"latents in use": len(units["active"]), "KL, nats": sum(units["kl"])},
        "players": sum(len(row) for grid in made["grids"] for row in grid["waves"] or []),
    }


# --- The content


def _page(found, copies):
    """The whole page: what runs have in common, then a section for each."""
    title = f"Latents of {found[0].name}" if len(found) == 1 else f"Latents of {len(found)} runs"
    places = [
        (f"{anchor(0)}-{k}", _heading(made)) for k, (_, made) in enumerate(found[0].traversals)
    ]
    return page(
        title,
        _opening(found),
        found,
        places,
        COMPARED,
        [_section(k, shown, copies) for k, shown in enumerate(found)],
    )


def _opening(found):
    data = ", ".join(dict.fromkeys(shown.settings["data"] for shown in found))
    return (
        f"A beta-VAE encodes each item of {data} by a few numbers, its latents, and was "
        "trained without labels. Below, one latent at a time is changed, and the decoded item "
        "is shown; labels are used only afterwards, to find the latents that are related to "
        "them."
    )


def _section(k, shown, copies):
    """The facts, tables, pictures and sounds of one run."""
    config, model = shown.run.config, shown.run.config["model"]
    pairs = [
        ("Data", config["data_spec"]),
        ("Items", model["domain"]),
        ("Networks", model["architecture"]),
        ("Objective", f"{model['objective']}, beta {model['beta']:g}"),
        (
            "Likelihood",
            f"{model['likelihood']}, sigma {model['sigma']:g}"
            if model["likelihood"] == "gaussian"
            else model["likelihood"],
        ),
        ("Latents", model["latents"]),
        ("Steps", config["train"]["steps"]),
        ("Versions", shown.versions),
    ]
    content = [
        facts((name, [value]) for name, value in pairs),
        *shown.tables,
        *training(k, shown, copies),
    ]
    for number, (path, made) in enumerate(shown.traversals):
        file = copies.of(k, path.parent, FILE, path.parent.name)
        content += [
            tag("h2", _heading(made), id=f"{anchor(k)}-{number}"),
            *filled(path, lambda made, file=file: _traversal(made, file, bool(shown.tables))),
        ]
    return [*content, *origin(config["command"])]


def _heading(made):
    if not made["label"]:
        return "All latents"
    return f"{made['label']}: latent {made['factor']}" + (
        "" if made["control"] is None else f", beside latent {made['control']}"
    )


def _traversal(made, file, measured):
    """The content of one traversal."""
    label = made["label"] or "no label"
    grids = [element for grid in made["grids"] for element in _grid(grid, label, file)]
    key = [
        tag(
            "p",
            "Below each player, the predictions of the judges, and the median F0.",
            class_="key",
        )
    ]
    walks = [_walk(entry, label, file) for entry in made["latents"]]
    shown = tables(made)
    if measured and shown:
        shown = [
            tag("details", tag("summary", "Measured with this traversal, on fewer items"), *shown)
        ]
    return [
        *shown,
        *(key if made["kind"] == "voices" else []),
        *grids,
        tag("h3", "Each latent"),
        tag(
            "p",
            "A row for each of the most informative latents: it goes from −3 to +3 standard "
            "deviations, all else stays.",
        ),
        wide(
            f"{label}, latents in rows",
            file.image(
                made["traversal"],
                "Pictures: one item, a row for each latent, a column for each of its values",
            ),
        ),
        *walks,
        tag("h3", "KL divergence of each latent"),
        tag(
            "figure",
            wide(f"{label}, KL", file.image(made["kl"], "Bars: the KL divergence of each latent")),
            tag(
                "figcaption",
                "KL divergence from the prior, which bounds the information of a "
                "code about its item. Grey: not in use.",
            ),
        ),
        tag("h3", "How the latents are distributed"),
        tag(
            "figure",
            wide(
                f"{label}, densities",
                file.image(
                    made["densities"], f"Small plots: the density of each latent, by {label}"
                ),
            ),
            tag(
                "figcaption",
                "Mean codes of the items on which the latents were chosen. Grey: not in use.",
            ),
        ),
    ]


def _grid(grid, label, file):
    """A picture of edits, and their sounds where they have some."""
    content = [
        tag("h3", grid["title"]),
        tag("p", grid["note"]),
        wide(
            f"{label}, {grid['title']}, picture",
            file.image(grid["picture"], f"Pictures: {grid['title']}; {', '.join(grid['columns'])}"),
        ),
    ]
    if grid["waves"] is None:
        return content
    rows, captions = [], grid["captions" if "captions" in grid else "heard"]  # heard: version 0.1
    for title, waves, predicted in zip(grid["rows"], grid["waves"], captions, strict=True):
        cells = [
            tag(
                "td",
                file.audio(
                    wave, ", ".join(part for part in (label, grid["title"], title, column) if part)
                ),
                tag("span", words, class_="predicted"),
            )
            for wave, words, column in zip(waves, predicted, grid["columns"], strict=True)
        ]
        rows.append(tag("tr", tag("th", title, scope="row"), *cells))
    return [*content, players(f"{label}, {grid['title']}, sounds", grid["columns"], rows)]


def _walk(entry, label, file):
    name = f"Latent {entry['latent']}" + (f", {entry['role']}" if entry["role"] else "")
    words = f"{name}: {entry['kl']:.2f} nats" + ("" if entry["active"] else ", not in use")
    opened = {"open": ""} if entry["role"] else {}
    return tag(
        "details",
        tag("summary", words),
        wide(
            f"{label}, {name}",
            file.image(entry["picture"], f"Pictures: {name}, items in rows, its values in columns"),
        ),
        file.image(entry["animation"], f"Animation: {name} goes through its values and back"),
        **opened,
    )
