"""A static page of trained beta-VAEs: what their latents do, to be seen, heard and compared.

One HTML file with copies of the pictures and waves that it shows, in a folder that can be moved; or
all of it in the one file. What is shown was written by `kvoice traverse` and `kvoice evaluate`.
"""

from kvoice.errors import KvoiceError
from kvoice.report.elements import check_format, facts, filled, players, tables, tag, wide
from kvoice.report.pages import Shown, anchor, origin, page, training, written_page

FILE = "traversal.json"
FORMAT = 1  # of it
COMPARED = ("model.objective", "model.beta", "train.seed")  # told of every run, the seed last


def laboratory(runs, output, single=False):
    """Writes OUTPUT/index.html and the files that it shows, whole or not at all.

    Args:
        runs: `runs.Run`s of betavae, in the order wanted.
        output: A folder; what an earlier report wrote there is replaced.
        single: Put the pictures and sounds into the page, so that it is one file.

    Returns:
        The path of the page.

    Raises:
        KvoiceError: As `pages.written_page`.
    """
    return written_page(runs, output, single, ("betavae",), _Shown, _page)


class _Shown(Shown):
    """A run with what was made of it: its evaluation and its traversals."""

    def __init__(self, run):
        super().__init__(run)
        paths = sorted((run.path / "traversal").glob(f"*/{FILE}"))
        self.traversals = [(path, filled(path, _known)) for path in paths]
        if not self.tables and not self.traversals:
            raise KvoiceError(f"{run.path}: nothing to show yet: `kvoice traverse --run={run.path}` "
                              f"makes pictures and sounds, `kvoice evaluate --run={run.path}` measures")
        for _, made in self.traversals[:1]:
            self.metrics = made["told"] | self.metrics
        self.waves = sum(made["players"] for _, made in self.traversals)


def _known(made):
    """The content of a traversal.json, with "told" of the model and the number of "players"."""
    check_format(made, FORMAT)
    units = made["activity"]
    return made | {
        "told": {"latents in use": len(units["active"]), "KL, nats": sum(units["kl"])},
        "players": sum(len(row) for grid in made["grids"] for row in grid["waves"] or [])}


# --- What is said


def _page(found, copies):
    """The whole page: what runs have in common, then a section for each."""
    title = f"Latents of {found[0].name}" if len(found) == 1 else f"Latents of {len(found)} runs"
    places = [(f"{anchor(0)}-{k}", _heading(made)) for k, (_, made) in enumerate(found[0].traversals)]
    return page(title, _opening(found), found, places, COMPARED,
                [_section(k, shown, copies) for k, shown in enumerate(found)])


def _opening(found):
    data = ", ".join(dict.fromkeys(shown.settings["data"] for shown in found))
    return (f"A beta-VAE learned to describe each item of {data} by a few numbers, its latents, without "
            "being told any label. Below, one latent at a time is changed, and what becomes of the item "
            "is shown; labels only say afterwards which latent has to do with what.")


def _section(k, shown, copies):
    """What there is to see and to hear of one run."""
    config, model = shown.run.config, shown.run.config["model"]
    told = [("Data", config["data_spec"]), ("Items", model["domain"]),
            ("Networks", model["architecture"]),
            ("Objective", f"{model['objective']}, beta {model['beta']:g}"),
            ("Likelihood", f"{model['likelihood']}, sigma {model['sigma']:g}"
             if model["likelihood"] == "gaussian" else model["likelihood"]),
            ("Latents", model["latents"]), ("Steps", config["train"]["steps"]),
            ("Versions", shown.versions)]
    content = [facts((name, [value]) for name, value in told), *shown.tables,
               *training(k, shown, copies)]
    for number, (path, made) in enumerate(shown.traversals):
        file = copies.of(k, path.parent, FILE, path.parent.name)
        content += [tag("h2", _heading(made), id=f"{anchor(k)}-{number}"),
                    *filled(path, lambda made, file=file: _traversal(made, file, bool(shown.tables)))]
    return [*content, *origin(config["command"])]


def _heading(made):
    if not made["label"]:
        return "All latents"
    return f"{made['label']}: latent {made['factor']}" + (
        "" if made["control"] is None else f", beside latent {made['control']}")


def _traversal(made, file, measured):
    """The content of one traversal."""
    label = made["label"] or "no label"
    grids = [element for grid in made["grids"] for element in _grid(grid, label, file)]
    key = [tag("p", "Below each player, what the judges hear, and the median F0.", class_="key")]
    walks = [_walk(entry, label, file) for entry in made["latents"]]
    shown = tables(made)
    if measured and shown:
        shown = [tag("details", tag("summary", "Measured with this traversal, on fewer items"), *shown)]
    return [
        *shown, *(key if made["kind"] == "voices" else []), *grids,
        tag("h3", "Each latent"),
        tag("p", "A row for each latent, those that tell most: it goes from −3 to +3 of its spreads, "
            "all else stays."),
        wide(f"{label}, latents in rows", file.image(made["traversal"], "Pictures: one item, a row for "
                                                     "each latent, a column for each of its values")),
        *walks,
        tag("h3", "What each latent tells"),
        tag("figure", wide(f"{label}, KL", file.image(
            made["kl"], "Bars: the KL divergence of each latent")), tag(
                "figcaption", "KL divergence from the prior, which bounds what a code tells of its "
                "item. Grey: not in use.")),
        tag("h3", "How the latents are distributed"),
        tag("figure", wide(f"{label}, densities", file.image(
            made["densities"], f"Small plots: the density of each latent, by {label}")), tag(
                "figcaption", "Mean codes of the items on which the latents were chosen. Grey: not in "
                "use.")),
    ]


def _grid(grid, label, file):
    """A picture of edits, and their sounds where they have some."""
    content = [tag("h3", grid["title"]), tag("p", grid["note"]), wide(
        f"{label}, {grid['title']}, picture", file.image(
            grid["picture"], f"Pictures: {grid['title']}; {', '.join(grid['columns'])}"))]
    if grid["waves"] is None:
        return content
    rows = []
    for title, waves, heard in zip(grid["rows"], grid["waves"], grid["heard"], strict=True):
        cells = [tag("td", file.audio(wave, ", ".join(
            part for part in (label, grid["title"], title, column) if part)),
            tag("span", words, class_="heard"))
            for wave, words, column in zip(waves, heard, grid["columns"], strict=True)]
        rows.append(tag("tr", tag("th", title, scope="row"), *cells))
    return [*content, players(f"{label}, {grid['title']}, sounds", grid["columns"], rows)]


def _walk(entry, label, file):
    name = f"Latent {entry['latent']}" + (f", {entry['role']}" if entry["role"] else "")
    words = f"{name}: {entry['kl']:.2f} nats" + ("" if entry["active"] else ", not in use")
    opened = {"open": ""} if entry["role"] else {}
    return tag("details", tag("summary", words), wide(f"{label}, {name}", file.image(
        entry["picture"], f"Pictures: {name}, items in rows, its values in columns")), file.image(
            entry["animation"], f"Animation: {name} goes through its values and back"), **opened)
