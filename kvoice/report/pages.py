"""Parts that pages of runs share: folder, measurements, comparison of runs, embeddings."""

import base64
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from kvoice.errors import KvoiceError
from kvoice.files import whole_directory
from kvoice.report.elements import (
    Files,
    Html,
    command,
    contents,
    document,
    facts,
    filled,
    link,
    or_dash,
    table,
    tables,
    tag,
    wide,
    written,
)
from kvoice.runs import Run

SEEDS = ("data.seed", "model.seed", "train.seed")  # may differ between runs of the same settings
KINDS = {".gif": "image/gif", ".png": "image/png", ".wav": "audio/wav"}
# Fields that follow from the data, and are not compared.
DERIVED = ("model.shape", "model.phones", "model.partial_frames", "model.per_speaker")


# --- The folder


def written_page(
    runs: list[Run],
    output: str | Path,
    single: bool,
    models: tuple[str, ...],
    shown: "Callable[[Run], Shown]",
    content: "Callable[[list, Copies], Html]",
) -> Path:
    """Writes OUTPUT/index.html and the files that it shows, whole or not at all.

    Args:
        runs: `runs.Run`s of one model, in the order wanted.
        output: A folder; what an earlier report wrote there is replaced.
        single: Put the pictures and sounds into the page, so that it is one file.
        models: Names of the models whose runs such a page can show.
        shown: Function from a run to its `Shown`.
        content: Function from the list of `Shown`s and the `Copies` to the page.

    Returns:
        The path of the page.

    Raises:
        KvoiceError: If there is no run, a run is of another model or holds nothing to show yet, a
            JSON file has another format or names a file that is missing, or the folder holds files
            that kvoice did not write.
    """
    output = Path(output)
    if not runs:
        raise KvoiceError("a report wants one run or more")
    first = runs[0].config["model_name"]
    for run in runs:
        if (model := run.config["model_name"]) != first or model not in models:
            expected = first if first in models else " or ".join(models)
            apart = "; give runs of one model at a time" if model != first else ""
            raise KvoiceError(f"{run.path}: is a run of {model}, expected one of {expected}{apart}")
    if output.exists() and not output.is_dir():
        raise KvoiceError(f"{output}: is a file, expected a directory; choose another --output")
    found = [shown(run) for run in runs]
    with whole_directory(output) as folder:
        copies = Copies(folder, single, sum(each.waves for each in found))
        written(folder / "index.html", content(found, copies))
    return output / "index.html"


class Copies:
    """Copies of the files that a page shows, in a folder for each run or in the page itself.

    Args:
        folder: The folder of the page.
        single: Put the files into the page itself.
        waves: Number of audio players in the whole page.
    """

    def __init__(self, folder: Path, single: bool, waves: int) -> None:
        self._folder, self._single, self._waves = folder, single, waves

    def of(self, k: int, folder: Path, index: str, name: str = "") -> Files:
        """The `Files` of a folder of run number `k`, which are copied under a name."""
        return Files(
            folder,
            index,
            self._waves,
            _address(self._folder / anchor(k) / name, self._folder, self._single),
        )


def _address(place, folder, single):
    """Returns a function from a file to its address in the page: its content, or a copy."""

    def embedded(path):
        return f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"

    def copied(path):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / path.name)
        return quote((place / path.name).relative_to(folder).as_posix())

    return embedded if single else copied


# --- The measurements


class Shown:
    """A run with its measurements, from RUN/evaluation.json where there is one.

    Attributes:
        run: The `runs.Run`.
        name: Its path, as the user gave it.
        settings: The fields of the config by "GROUP.FIELD".
        versions: The versions of the packages that trained it, as one text.
        tables: The tables of the evaluation, as elements.
        metrics: The metrics of the evaluation, numbers by name.
        waves: Number of audio players that it needs.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.name, self.waves = run, str(run.path), 0
        self.settings = {
            f"{group}.{name}": value
            for group in ("data", "model", "train")
            for name, value in _flat(run.config[group]).items()
        }
        self.settings["data"] = run.config["data_spec"]
        self.versions = ", ".join(f"{name} {each}" for name, each in run.config["versions"].items())
        evaluation = run.path / "evaluation.json"
        self.tables, self.metrics = [], {}
        if evaluation.exists():
            self.tables = filled(evaluation, tables)
            self.metrics = filled(
                evaluation,
                lambda made: {
                    name: float(value)
                    for name, value in made["metrics"].items()
                    if value is not None  # not defined for these labels
                },
            )


class Measured(Shown):
    """A run that has an evaluation.

    Raises:
        KvoiceError: If it has none.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        if not self.tables:
            raise KvoiceError(
                f"{run.path}: nothing to show yet: `kvoice evaluate --run={run.path}` measures it"
            )


def _flat(group):
    """The fields of a group of a config, those of groups in it by dotted names."""
    found = {}
    for name, value in group.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": each for inner, each in _flat(value).items()}
        else:
            found[name] = value
    return found


# --- The content


def sectioned(
    title: str,
    lead: str,
    compared: tuple[str, ...],
    section: "Callable[[int, Shown, Copies], list[Html]]",
) -> "Callable[[list[Shown], Copies], Html]":
    """Returns the `content` of a `written_page` that has one section for each run.

    Args:
        title: The beginning of the title, before the name of the run.
        lead: See `page`.
        compared: See `page`.
        section: Function from the number of a run, its `Shown` and the `Copies` to what is shown of
            it; the curves of its training and its commands follow.
    """

    def content(found, copies):
        of = found[0].name if len(found) == 1 else f"{len(found)} runs"
        sections = []
        for k, shown in enumerate(found):
            commands = [shown.run.config["command"]]
            if shown.tables:
                commands.append(f"kvoice evaluate --run={shown.run.quoted}")
            own = section(k, shown, copies)
            sections.append([*own, *training(k, shown, copies), *origin(*commands)])
        places = [(anchor(0), found[0].name)]
        return page(f"{title} {of}", lead, found, places, compared, sections, WRAPPED_TABLES)

    return content


def page(
    title: str,
    lead: str,
    found: list[Shown],
    places: list[tuple[str, str]],
    compared: tuple[str, ...],
    sections: list[list[Html]],
    style: str = "",
) -> Html:
    """A whole page: what runs have in common, then a section for each.

    Args:
        title: The title of the page.
        lead: A sentence or two on what the page shows.
        found: A `Shown` for each run.
        places: Pairs of an anchor and a name, which are linked to where there is a single run.
        compared: Fields of the config that are shown of every run, the seed last.
        sections: The content for each run.
        style: CSS of this page alone.
    """
    body = [tag("h1", title), tag("p", lead, class_="lead")]
    if any(shown.waves for shown in found):
        body.append(
            tag(
                "p",
                tag("strong", "The voices are generated; say so when you share them."),
                class_="notice",
            )
        )
    if len(found) > 1:
        places = [(anchor(k), shown.name) for k, shown in enumerate(found)]
    body += [contents(places), *_comparison(found, compared)]
    body += [
        tag("section", tag("h2", shown.name), *content, id=anchor(k))
        for k, (shown, content) in enumerate(zip(found, sections, strict=True))
    ]
    return document(title, body, style)


def training(k: int, shown: Shown, copies: Copies) -> list[Html]:
    """The loss curves of a training, folded; an empty list where there are none."""
    if not (shown.run.path / "curves.png").is_file():
        return []
    return [
        tag(
            "details",
            tag("summary", "Training"),
            copies.of(k, shown.run.path, "the run").image(
                "curves.png", "Curves: the terms of the loss over the steps of the training"
            ),
        )
    ]


def origin(*lines: str) -> list[Html]:
    """The commands that made a run and its sounds."""
    return [tag("h3", "How it was made"), *map(command, lines)]


def anchor(k: int) -> str:
    """The anchor of run number `k`, which is also the name of the folder of its files."""
    return f"run-{k}"


WRAPPED_TABLES = """
tbody th { white-space: pre-wrap; }
thead .number { white-space: normal; }
"""


def speech_facts(shown: Shown, own: list[tuple[str, str]]) -> Html:
    """The facts of a run of a model on mels: its data, its `own` facts, its weights and versions.

    Args:
        shown: The `Shown` of the run.
        own: Pairs of a name and a text, for what only this model has.
    """
    config, spec = shown.run.config, shown.run.spec
    speakers = f"{len(config['speakers'])}" if config["speakers"] else "not known"
    weights = (
        ("Weights", config["imported"]["file"])
        if "imported" in config
        else ("Steps", config["train"]["steps"])
    )
    pairs = [
        ("Trained on", config["data_spec"] or "not known"),
        ("Training speakers", speakers),
        ("Mels", f"{spec.mels} bands of {spec.sample_rate_hz} Hz"),
        *own,
        weights,
        ("Versions", shown.versions),
    ]
    return facts((name, [value]) for name, value in pairs)


def embeddings(
    place: str, file: Files, picture: str, silhouette: dict[str, float] | tuple[()] = ()
) -> list[Html]:
    """The picture of speaker embeddings, with the silhouette scores of what it shows.

    Args:
        place: The anchor of this part of the page.
        file: The `Files` that hold the picture.
        picture: Name of the picture.
        silhouette: Silhouette scores by kind of group, or pairs of these.
    """
    scores = ", ".join(
        f"by {kind} {or_dash(value, '{:.2f}')}" for kind, value in dict(silhouette).items()
    )
    note = [
        tag(
            "p",
            tag("strong", f"Silhouette {scores}."),
            " It says how much nearer a recording "
            "lies to those of its own group than to those of the nearest other one, on "
            "average: 1 where groups are tight and far apart, 0 where they overlap, below 0 "
            "where others are nearer.",
        )
    ]
    image = file.image(
        picture, "Points: recordings, a colour for each speaker, a marker for each gender"
    )
    caption = tag(
        "figcaption",
        "A point for the speaker embedding of each recording, projected to two "
        "dimensions (t-SNE): neighbours are alike, long distances say little.",
    )
    return [
        tag("h2", "Speaker embeddings", id=place),
        *(note if scores else []),
        tag("figure", wide("Speaker embeddings", image), caption),
    ]


def _comparison(found, compared):
    """The table of all runs, and the medians of those that differ in their seeds only."""
    shared = set.intersection(*(set(shown.settings) for shown in found))
    differ = sorted(
        name
        for name in shared - {*SEEDS, *DERIVED}
        if len({str(shown.settings[name]) for shown in found}) > 1
    )
    compared = list(dict.fromkeys((*compared[:-1], *differ, compared[-1])))
    metrics = list(dict.fromkeys(name for shown in found for name in shown.metrics))
    columns = [name.split(".", 1)[-1] for name in compared]
    rows = [
        [
            link(anchor(k), shown.name),
            *(shown.settings[name] for name in compared),
            *(_number(shown.metrics.get(name)) for name in metrics),
        ]
        for k, shown in enumerate(found)
    ]
    made = [
        table(
            "Runs",
            "Each run with the settings in which they differ, and its metrics.",
            ["run", *columns, *metrics],
            rows,
        )
    ]
    groups = {}  # of runs that differ in their seeds only
    for shown in found:
        key = tuple(str(shown.settings[name]) for name in compared[:-1])
        groups.setdefault(key, []).append(shown)
    if any(len(group) > 1 for group in groups.values()):
        rows = [
            [
                ", ".join(f"{column} {value}" for column, value in zip(columns, key)),
                len(group),
                *(
                    _median([shown.metrics[name] for shown in group if name in shown.metrics])
                    for name in metrics
                ),
            ]
            for key, group in groups.items()
        ]
        made.append(
            table(
                "Over seeds",
                "Runs that differ in their seeds only: median, and range.",
                ["settings", "runs", *metrics],
                rows,
            )
        )
    return made


def _number(value):
    return "–" if value is None else f"{value:.3g}"


def _median(values):
    if not values:
        return "–"
    middle = _number(statistics.median(values))
    return (
        middle
        if len(values) == 1
        else (f"{middle} ({_number(min(values))}–{_number(max(values))})")
    )
