"""A static page of trained beta-VAEs: what their latents do, to be seen, heard and compared.

One HTML file with copies of the pictures and waves that it shows, in a folder that can be moved; or
all of it in the one file. What is shown was written by `kvoice traverse` and `kvoice evaluate`.
"""

import base64
import shutil
import statistics
from pathlib import Path
from urllib.parse import quote

from kvoice.errors import KvoiceError
from kvoice.files import whole_directory
from kvoice.report.elements import (
    Files, contents, document, filled, link, players, table, tables, tag, wide, written)

FILE = "traversal.json"
FORMAT = 1  # of it
COMPARED = ("model.objective", "model.beta", "train.seed")  # told of every run, the seed last
SEEDS = ("data.seed", "model.seed", "train.seed")  # what differs between runs that are one recipe
KINDS = {".gif": "image/gif", ".png": "image/png", ".wav": "audio/wav"}
UNTOLD = ("model.shape", "model.phones")  # follow from the corpus


def laboratory(runs, output, single=False):
    """Writes OUTPUT/index.html and the files that it shows, whole or not at all.

    Args:
        runs: `runs.Run`s of betavae, in the order wanted.
        output: A folder; what an earlier report wrote there is replaced.
        single: Put the pictures and sounds into the page, so that it is one file.

    Returns:
        The path of the page.

    Raises:
        KvoiceError: If there is no run, one is of another model or holds nothing to show yet, a JSON
            file is not as it is written or names a file that is not there, or the folder holds
            something else.
    """
    output = Path(output)
    if not runs:
        raise KvoiceError("a report wants one run or more")
    for run in runs:
        if (model := run.config["model_name"]) != "betavae":
            raise KvoiceError(f"{run.path}: is a run of {model}, expected one of betavae")
    _refuse_others(output)
    found = [_Shown(run) for run in runs]
    with whole_directory(output) as folder:
        written(folder / "index.html", _page(found, folder, single))
    return output / "index.html"


def _refuse_others(output):
    """Raises where a folder holds anything but a report."""
    if not output.exists():
        return
    if not output.is_dir():
        raise KvoiceError(f"{output}: is a file, expected a directory; choose another --output")
    there = {path.name for path in output.iterdir()}
    page = output / "index.html"
    ours = page.is_file() and b'name="generator" content="kvoice"' in page.read_bytes()[:1000]
    if there and not (ours and all(name == "index.html" or name.startswith("run-") for name in there)):
        raise KvoiceError(f"{output}: not empty, and not a report; choose another --output")


class _Shown:
    """A run with what was made of it: its evaluation and its traversals."""

    def __init__(self, run):
        self.run = run
        self.settings = {f"{group}.{name}": value for group in ("data", "model", "train")
                         for name, value in _flat(run.config[group]).items()}
        self.settings["data"] = run.config["data_spec"]
        evaluation = run.path / "evaluation.json"
        self.tables, self.metrics = [], {}
        if evaluation.exists():
            self.tables = filled(evaluation, tables)
            self.metrics = filled(evaluation, lambda made: {
                name: float(value) for name, value in made["metrics"].items()})
        paths = sorted((run.path / "traversal").glob(f"*/{FILE}"))
        self.traversals = [(path, filled(path, _known)) for path in paths]
        if not self.tables and not self.traversals:
            raise KvoiceError(f"{run.path}: nothing to show yet: `kvoice traverse --run={run.path}` "
                              f"makes pictures and sounds, `kvoice evaluate --run={run.path}` measures")
        for _, made in self.traversals[:1]:
            self.metrics = made["told"] | self.metrics
        self.waves = sum(made["players"] for _, made in self.traversals)


def _flat(group):
    """The fields of a group of a config, those of groups in it by dotted names."""
    found = {}
    for name, value in group.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": each for inner, each in _flat(value).items()}
        else:
            found[name] = value
    return found


def _known(made):
    """The content of a traversal.json, with "told" of the model and the number of "players"."""
    if made["format"] != FORMAT:
        raise ValueError(f"its format is {made['format']}, this version reads {FORMAT}")
    units = made["activity"]
    return made | {
        "told": {"latents in use": len(units["active"]), "KL, nats": sum(units["kl"])},
        "players": sum(len(row) for grid in made["grids"] for row in grid["waves"] or [])}


# --- What is said


def _page(found, folder, single):
    """The whole page: what runs have in common, then a section for each."""
    names = [str(shown.run.path) for shown in found]
    title = f"Latents of {names[0]}" if len(found) == 1 else f"Latents of {len(found)} runs"
    waves = sum(shown.waves for shown in found)
    body = [tag("h1", title), tag("p", _opening(found), class_="lead")]
    if waves:
        body.append(tag("p", tag("strong", "The voices are generated; say so when you share them."),
                        class_="notice"))
    sections = [(_anchor(k), names[k], _section(k, shown, folder, single, waves))
                for k, shown in enumerate(found)]
    places = [(anchor, name) for anchor, name, _ in sections] if len(found) > 1 else [
        (f"{_anchor(0)}-{k}", _heading(made)) for k, (_, made) in enumerate(found[0].traversals)]
    body += [contents(places), *_comparison(found)]
    body += [tag("section", tag("h2", name), *content, id=anchor) for anchor, name, content in sections]
    return document(title, body)


def _opening(found):
    data = ", ".join(dict.fromkeys(shown.settings["data"] for shown in found))
    return (f"A beta-VAE learned to describe each item of {data} by a few numbers, its latents, without "
            "being told any label. Below, one latent at a time is changed, and what becomes of the item "
            "is shown; labels only say afterwards which latent has to do with what.")


def _comparison(found):
    """The table of all runs, and the medians of those that differ in their seeds only."""
    shared = set.intersection(*(set(shown.settings) for shown in found))
    differ = sorted(name for name in shared - {*SEEDS, *UNTOLD}
                    if len({str(shown.settings[name]) for shown in found}) > 1)
    told = list(dict.fromkeys((*COMPARED[:-1], *differ, COMPARED[-1])))
    metrics = list(dict.fromkeys(name for shown in found for name in shown.metrics))
    columns = [name.split(".", 1)[-1] for name in told]
    rows = [[link(_anchor(k), str(shown.run.path)), *(shown.settings[name] for name in told),
             *(_number(shown.metrics.get(name)) for name in metrics)] for k, shown in enumerate(found)]
    made = [table("Runs", "Each with the settings in which they differ, and what was measured.",
                  ["run", *columns, *metrics], rows)]
    recipes = {}
    for shown in found:
        key = tuple(str(shown.settings[name]) for name in told[:-1])
        recipes.setdefault(key, []).append(shown)
    if any(len(group) > 1 for group in recipes.values()):
        rows = [[", ".join(f"{column} {value}" for column, value in zip(columns, key)), len(group),
                 *(_median([shown.metrics[name] for shown in group if name in shown.metrics])
                   for name in metrics)] for key, group in recipes.items()]
        made.append(table("Over seeds", "Runs that differ in their seeds only: median, and range.",
                          ["settings", "runs", *metrics], rows))
    return made


def _number(value):
    return "–" if value is None else f"{value:.3g}"


def _median(values):
    if not values:
        return "–"
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else (
        f"{middle} ({_number(min(values))}–{_number(max(values))})")


def _section(k, shown, folder, single, waves):
    """What there is to see and to hear of one run."""
    config, model = shown.run.config, shown.run.config["model"]
    facts = [("Data", config["data_spec"]), ("Items", model["domain"]),
             ("Networks", model["architecture"]),
             ("Objective", f"{model['objective']}, beta {model['beta']:g}"),
             ("Likelihood", f"{model['likelihood']}, sigma {model['sigma']:g}"
              if model["likelihood"] == "gaussian" else model["likelihood"]),
             ("Latents", model["latents"]), ("Steps", config["train"]["steps"]),
             ("Versions", ", ".join(f"{name} {each}" for name, each in config["versions"].items()))]
    content = [tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts)),
               *shown.tables]
    if (shown.run.path / "curves.png").is_file():
        file = Files(shown.run.path, "the run", waves, _address(folder / f"run-{k}", folder, single))
        content.append(tag("details", tag("summary", "Training"), file.image(
            "curves.png", "Curves: the terms of the loss over the steps of the training")))
    for number, (path, made) in enumerate(shown.traversals):
        place = _address(folder / f"run-{k}" / path.parent.name, folder, single)
        file = Files(path.parent, FILE, waves, place)
        content += [tag("h2", _heading(made), id=f"{_anchor(k)}-{number}"),
                    *filled(path, lambda made, file=file: _traversal(made, file, bool(shown.tables)))]
    command = [piece for word in config["command"].split(" ") for piece in (tag("span", word), " ")]
    return [*content, tag("h3", "How it was made"), tag("pre", tag("code", *command), tabindex="0")]


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


def _anchor(k):
    return f"run-{k}"


# --- Where files go


def _address(place, folder, single):
    """A function that gives a file its address in the page: its content, or that of a copy of it."""
    def embedded(path):
        return f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"

    def copied(path):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / path.name)
        return quote((place / path.name).relative_to(folder).as_posix())

    return embedded if single else copied
