"""Writes traversals of the latents of a trained beta-VAE as pictures, and as sounds of voices.

FOLDER/
    traversal.json             the results, with the name of every file; written last
    densities.png, kl.png      the distribution of each latent by label; the KL of each
    traversal.png              a row for each latent, a column for each value
    latent_D.png, latent_D.gif     the values of one latent for several items
    NAME.png, NAME_R_C.wav     the other edits: NAME is one of flips (or reconstructions, where
                               there is no label), published, shifts, sweep, interpolation, prior
                               and resamples; of voices with the sound of row R and column C

The factor is chosen on the training and validation data; pictures and sounds are of unseen items,
and the predictions of the judges are compared with those for a control.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kvoice import audio, plots, progress, runs
from kvoice.data.factors import FactorSource
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.files import whole_directory, write_json
from kvoice.inference import latents, render
from kvoice.inference.voice import Voice

FORMAT = 1
FILE = "traversal.json"
KNOWN = 4000  # images at most on which a factor is chosen
FLIPPED = 48  # utterances at most whose flips are judged; `kvoice evaluate` judges all
SHOWN = 12  # latents at most that are traversed, those with the highest KL
FEW = 2  # utterances in the pictures of one latent
STEPS = (-3, -2, -1, 0, 1, 2, 3)  # of a sweep, in spreads of the latent
SHIFTS = (-2, -1, 1, 2)  # offsets from the code of an item, in spreads
DRAWS = 4  # resamples of each item
NUMBERS = ("f0_hz", "voiced_share", "phones_per_s", "loudness_db")  # continuous labels


@dataclasses.dataclass
class Grid:
    """Items in rows and columns: one picture, and for voices a table of sounds.

    Args:
        name: The stem of its file names.
        title: Its heading.
        note: Its description.
        columns: The names of the columns.
        rows: The names of the rows.
        items: The items of each row, one for each column.
    """

    name: str
    title: str
    note: str
    columns: list
    rows: list
    items: list


class Voices:
    """Utterances as the items of a traversal.

    Args:
        voice: A beta-VAE of mels, as a `voice.Voice`.
        sources: "train", "valid" and "test" -> `data.source.Source`.
        panel: The judges, of the model's file in `evaluation`.
        vocoder: A `vocode.Vocoder`; None = Griffin-Lim.
    """

    kind, names, few, rows = "voices", (*latents.LABELS, *NUMBERS), FEW, None

    def __init__(
        self,
        voice: Voice,
        sources: dict[str, Source],
        panel: object,
        vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.model, self.spec, self.vocoder = voice.model, voice.spec, vocoder
        self.known = latents.Utterances(voice.model, sources["train"], sources["valid"])
        self.unseen = latents.Utterances(voice.model, sources["test"])
        self.panel = panel

    def items(self, rows: np.ndarray) -> list[np.ndarray]:
        """Returns the mels of unseen utterances."""
        return [self.unseen.utterance(row)["mel"] for row in rows]

    def decoded(self, codes: np.ndarray, rows: np.ndarray | list[int]) -> list[np.ndarray]:
        """Decodes codes with the phones and lengths of unseen utterances."""
        return latents.decoded(self.model, codes, [self.unseen.utterance(row) for row in rows])

    def title(self, row: int, label: str) -> str:
        """Returns a caption for an utterance: its speaker and its label."""
        utterance = self.unseen.utterance(row)
        words = [
            self.unseen.labels[name][utterance[name]].split("/")[-1]
            for name in dict.fromkeys(("speaker", label))
            if name in latents.LABELS and utterance[name] != latents.UNKNOWN
        ]
        return ", ".join(words) or utterance["name"]

    def draw(self, path: Path, items: list, titles: list[str], columns: list[str]) -> None:
        plots.mel_image(path, self._even(items), titles, self.spec, columns)

    def animate(self, path: Path, frames: list, captions: list[str], columns: list[str]) -> None:
        plots.mel_animation(path, self._even(frames), captions, self.spec, columns)

    def _even(self, rows):
        """Pads mels with silence to one length."""
        length = max(len(mel) for row in rows for mel in row)
        return np.stack(
            [
                [
                    np.pad(mel, ((0, length - len(mel)), (0, 0)), constant_values=self.spec.silence)
                    for mel in row
                ]
                for row in rows
            ]
        )

    def write_sound(self, path: Path, mel: np.ndarray) -> str:
        """Writes the sound of a mel; returns a caption: the predicted labels and the F0."""
        wave = render.sound(mel, self.spec, vocoder=self.vocoder)
        audio.write(path, wave, self.spec.sample_rate_hz)
        track = audio.f0(wave, self.spec.sample_rate_hz, self.spec.hop)
        words = [
            self.unseen.labels[label][judge([mel])[0]] for label, judge in self.panel.judges.items()
        ]
        return ", ".join(
            [*words, *([f"{np.median(track[track > 0]):.0f} Hz"] if track.any() else [])]
        )


class Images:
    """Images, of tones or of digits, as the items of a traversal.

    Args:
        model: A trained auto-encoder of images.
        sources: "train" and "test" -> `data.factors.FactorSource`.
        seed: The seed of the choice among many items.
    """

    kind, few, panel = "images", None, None

    def __init__(self, model: object, sources: dict[str, FactorSource], seed: int) -> None:
        self.model, self.known, self.unseen = model, sources["train"], sources["test"]
        self.names = tuple(dict.fromkeys((*self.unseen.labels, *self.unseen.factors)))
        self.turned = not self.unseen.labels  # digits stand as they are
        order = np.random.default_rng(seed).permutation(len(self.known))
        self.rows = np.sort(order[:KNOWN])

    def items(self, rows: np.ndarray) -> list[np.ndarray]:
        """Returns unseen images."""
        return list(self.unseen.items(np.asarray(rows))["image"])

    def decoded(self, codes: np.ndarray, rows: np.ndarray | list[int]) -> list[np.ndarray]:
        """Decodes codes to images; `rows` are ignored."""
        return list(self.model.decode(codes))

    def title(self, row: int, label: str) -> str:
        """Returns a caption for an image: the value of its label."""
        item = self.unseen.items(np.array([row]))
        if label not in self.unseen.factors:
            return f"item {row}"
        return f"{label} {item['factors'][0, self.unseen.factors.index(label)]:.4g}"

    def draw(self, path: Path, items: list, titles: list[str], columns: list[str]) -> None:
        plots.image_grid(path, items, titles, columns, self.turned)

    def animate(self, path: Path, frames: list, captions: list[str], columns: list[str]) -> None:
        plots.image_animation(path, frames, captions, columns, self.turned)


def traverse(
    voice: Voice,
    sources: dict[str, Source] | dict[str, FactorSource],
    folder: str | Path,
    about: dict,
    label: str = "",
    factor: int | None = None,
    count: int = 4,
    seed: int = 0,
    vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
    panel: object = None,
) -> dict:
    """Writes the folder of a traversal, which this module describes.

    Args:
        voice: A beta-VAE, as a `voice.Voice`.
        sources: Split -> source: "train", "valid" and "test" of voices, "train" and "test" of
            images.
        folder: The folder; a traversal in it is replaced.
        about: Entries that are stored beside the results: "run" and "command".
        label: The label, or the continuous label, whose latent is chosen; "" = none, then the
            factor is the latent with the highest KL.
        factor: The index of a latent to use instead of the best one.
        count: The number of unseen items that are shown.
        seed: The seed of all random draws.
        vocoder: A `vocode.Vocoder` for the sounds; None = Griffin-Lim.
        panel: The judges of voices, of the model's file in `evaluation`; None for images.

    Returns:
        The content of traversal.json.

    Raises:
        KvoiceError: If there is no such label or latent, too few items, or the folder holds
            something else.
    """
    folder = Path(folder)
    if count < 2:
        raise KvoiceError(f"--count={count}: must be at least 2, to walk from one to another")
    if folder.exists() and not (
        folder.is_dir() and ((folder / FILE).exists() or not any(folder.iterdir()))
    ):
        raise KvoiceError(f"{folder}: not empty, and not a traversal; choose another folder")
    model, images = voice.model, voice.model.domain == "image"
    medium = Images(model, sources, seed) if images else Voices(voice, sources, panel, vocoder)
    if label and label not in medium.names:
        raise KvoiceError(
            f"--label={label}: there is no such label; known: {', '.join(medium.names)}"
        )
    rng = np.random.default_rng(seed)
    found = latents.discovered(model, medium.known, medium.unseen, rng, medium.rows)
    units, control = found["activity"], None
    if label:
        factor, control = latents.chosen(found, label, factor)
    elif factor is None:
        factor = int(np.argmax(units["kl"]))
    elif not 0 <= factor < len(units["kl"]):
        raise KvoiceError(f"--factor={factor}: the model has latents 0 to {len(units['kl']) - 1}")
    tables = [latents.found_table(found)] if found["found"] else []
    flips = None
    if not images and control is not None:
        unseen = len(medium.unseen)
        judged = np.unique(np.linspace(0, unseen - 1, min(FLIPPED, unseen)).astype(int))
        flips, compared = panel.flips(model, found, medium.unseen, label, factor, control, judged)
        tables += compared
    content = {
        "format": FORMAT,
        **about,
        "kind": medium.kind,
        "label": label,
        "factor": factor,
        "control": control,
        "count": count,
        "seed": seed,
        "versions": runs.versions(),
        "activity": {name: np.asarray(values).tolist() for name, values in units.items()},
        "rankings": found["rankings"],
        "found": found["found"],
        "flips": flips,
        "tables": tables,
    }
    rows = examples(found["unseen"], label, count, rng)
    with whole_directory(folder) as partial:
        content |= _drawn(partial, found, label, factor, control)
        content["latents"], content["traversal"] = _walks(
            partial, medium, found, label, factor, control, rows
        )
        content["grids"] = [
            _written(partial, medium, grid)
            for grid in progress.bar(
                list(_grids(medium, found, label, factor, control, rows, rng)),
                desc="sounds and pictures",
            )
        ]
        write_json(partial / FILE, content)
    return content


def examples(held: dict, label: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Chooses the items that are shown, in random order.

    One item of each speaker comes before the second of any, and the classes of the label take
    turns.

    Args:
        held: The result of `latents.codes`.
        label: A name in its labels, or another.
        count: The number of items, at most.
        rng: A NumPy generator.

    Returns:
        The indices of the items, [count] or as many as there are.
    """
    order = rng.permutation(len(held["mean"]))
    for name in ("speaker", label):  # the last decides first
        if name in held["labels"]:
            seen, turn = {}, np.empty(len(order), int)
            for place, row in enumerate(order):
                value = held["labels"][name][row]
                turn[place] = seen[value] = seen.get(value, -1) + 1
            order = order[np.argsort(turn, kind="stable")]
    return order[:count]


# --- Pictures and sounds


def _drawn(folder, found, label, factor, control):
    """Writes the pictures of all latents; returns their names."""
    known, units = found["known"], found["activity"]
    classes, names = np.zeros(len(known["mean"]), int), ["all items"]
    if label in known["labels"]:
        classes, names = known["labels"][label], known["classes"][label]
    elif label:
        values = known["continuous"][label]
        classes = np.digitize(values, np.nanquantile(values, (1 / 3, 2 / 3)))
        classes[~np.isfinite(values)] = latents.UNKNOWN
        names = [f"{third} third of {label}" for third in ("lower", "middle", "upper")]
    worth = {
        row["latent"]: f"  {latents.STATISTICS[row['statistic']].split()[-1]} {row['value']:.2f}"
        for row in found["rankings"].get(label, [])
    }
    titles = [f"z{d}{worth.get(d, '')}" for d in range(len(units["kl"]))]
    plots.densities(
        folder / "densities.png", known["mean"], classes, names, titles, units["active"]
    )
    marked = {factor: label or "factor"} | ({} if control is None else {control: "control"})
    plots.latent_kl(folder / "kl.png", units["kl"], units["active"], marked)
    return {"densities": "densities.png", "kl": "kl.png"}


def _walks(folder, medium, found, label, factor, control, rows):
    """Writes the traversals of the shown latents; returns their entries and the picture of all."""
    units = found["activity"]
    shown = sorted(units["active"], key=lambda d: -units["kl"][d])[:SHOWN]
    shown = list(dict.fromkeys([d for d in (factor, control) if d is not None] + shown))
    some = rows[: medium.few]
    codes = found["unseen"]["mean"][some]
    titles = [medium.title(row, label) for row in some]
    entries, first = [], []
    for d in progress.bar(shown, desc="latents"):
        walks = [_swept(medium, found, code, row, d) for code, row in zip(codes, some)]
        first.append(walks[0])
        files = f"latent_{d}.png", f"latent_{d}.gif"
        medium.draw(folder / files[0], walks, titles, _spreads(STEPS))
        there = list(range(len(STEPS)))
        way = there + there[-2:0:-1]  # and back again
        medium.animate(
            folder / files[1],
            [[walk[k] for walk in walks] for k in way],
            [f"latent {d} at {_spreads(STEPS)[k]}" for k in way],
            titles,
        )
        entries.append(
            {
                "latent": d,
                "picture": files[0],
                "animation": files[1],
                "kl": float(units["kl"][d]),
                "active": d in units["active"],
                "role": _role(d, label, factor, control),
            }
        )
    medium.draw(folder / "traversal.png", first, [f"z{d}" for d in shown], _spreads(STEPS))
    return entries, "traversal.png"


def _swept(medium, found, code, row, latent):
    """Decodes one item with a latent at each of `STEPS`."""
    units = found["activity"]
    values = units["centre"][latent] + np.array(STEPS) * units["spread"][latent]
    return medium.decoded(latents.swept(code, latent, values), [row] * len(values))


def _spreads(steps):
    return [f"{step:+g} σ" if step else "0" for step in steps]


def _role(latent, label, factor, control):
    if latent == factor:
        return label or "factor"
    return "control" if latent == control else ""


def _grids(medium, found, label, factor, control, rows, rng):
    """Yields the edits as `Grid`s."""
    held, units = found["unseen"], found["activity"]
    codes = held["mean"][rows]
    titles = [medium.title(row, label) for row in rows]
    edited = [(factor, label or "factor")] + ([] if control is None else [(control, "control")])

    def made(codes_of):
        """Decodes an edit for each column: [columns][rows, latents] -> [rows][columns]."""
        return list(zip(*(medium.decoded(each, rows) for each in codes_of)))

    columns, ways = ["original", "reconstruction"], [codes]
    if control is not None:
        moved = latents.edits(found, label, factor, control, rows)
        ways += [moved["flip"], moved["control"]]
        columns += [f"latent {factor} flipped", f"control {control} flipped"]
    yield Grid(
        "flips" if control is not None else "reconstructions",
        f"Flips of {label}" if control is not None else "Reconstructions",
        "Unseen items and what the model makes of their codes"
        + (
            "; then the same with one latent put to its other mode, and, for comparison, a latent "
            "that has nothing to do with the label moved as far."
            if control is not None
            else "."
        ),
        columns,
        titles,
        [[item, *row] for item, row in zip(medium.items(rows), made(ways))],
    )
    yield Grid(
        "published",
        "One latent at −1 and +1",
        "The published edit: the latent gets this value, all else stays.",
        [f"{name} {latent} at {value:+d}" for latent, name in edited for value in (-1, 1)],
        titles,
        made([latents.put(codes, latent, value) for latent, _ in edited for value in (-1, 1)]),
    )
    few, some = codes[: medium.few], rows[: medium.few]
    yield Grid(
        "shifts",
        "One latent moved from where it is",
        "By multiples of its spread σ over all items.",
        _spreads(SHIFTS),
        [f"{title}, {name}" for title in titles[: medium.few] for _, name in edited],
        [
            medium.decoded(
                np.concatenate(
                    [
                        latents.shifted(code[None], latent, k, units["spread"][latent])
                        for k in SHIFTS
                    ]
                ),
                [row] * len(SHIFTS),
            )
            for code, row in zip(few, some)
            for latent, _ in edited
        ],
    )
    yield Grid(
        "sweep",
        "One latent through its range",
        "From −3 to +3 spreads around its mean, whatever it was before.",
        _spreads(STEPS),
        [f"{titles[0]}, {name}" for _, name in edited],
        [_swept(medium, found, codes[0], rows[0], latent) for latent, _ in edited],
    )
    places = np.linspace(0, 1, len(STEPS))
    yield Grid(
        "interpolation",
        "From one item to another",
        "Codes on the straight line between those of two "
        "items" + ("; words and lengths are the first one's." if medium.kind == "voices" else "."),
        [f"{place:.0%}" for place in places],
        [f"{one} → {two}" for one, two in zip(titles[::2], titles[1::2])],
        [
            medium.decoded(
                latents.interpolated(codes[k], codes[k + 1], len(places)), [rows[k]] * len(places)
            )
            for k in range(0, len(rows) - 1, 2)
        ],
    )
    drawn = latents.prior(len(rows), codes.shape[1], rng)
    yield Grid(
        "prior",
        "Draws from the prior",
        "Random codes from the prior"
        + (", with the words of the items above." if medium.kind == "voices" else "."),
        [f"draw {k}" for k in range(len(rows))],
        [""],
        [medium.decoded(drawn, rows)],
    )
    yield Grid(
        "resamples",
        "Draws from the posterior",
        "Codes drawn from the item's posterior: what differs "
        "is what the model does not know of it.",
        [f"draw {k}" for k in range(DRAWS)],
        titles[: medium.few],
        [
            medium.decoded(
                latents.resampled(held["mean"][row], held["log_var"][row], DRAWS, rng),
                [row] * DRAWS,
            )
            for row in some
        ],
    )


def _written(folder, medium, grid):
    """Writes the files of a grid; returns its entry in traversal.json."""
    picture, waves, captions = f"{grid.name}.png", None, None
    medium.draw(folder / picture, grid.items, grid.rows, grid.columns)
    if medium.kind == "voices":
        waves = [
            [f"{grid.name}_{r}_{c}.wav" for c in range(len(row))]
            for r, row in enumerate(grid.items)
        ]
        captions = [
            [medium.write_sound(folder / wave, mel) for wave, mel in zip(files, row)]
            for files, row in zip(waves, grid.items)
        ]
    return {
        "name": grid.name,
        "title": grid.title,
        "note": grid.note,
        "columns": grid.columns,
        "rows": grid.rows,
        "picture": picture,
        "waves": waves,
        "captions": captions,
    }
