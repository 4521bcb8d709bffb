"""Corpora whose items are images with known factors: `additive[:SPACE]`, `digits`, `mnist[:FILE]`.

`FactorSource` has the interface of `kvoice.data.source.Source`, and needs no `prepare`. The corpora
themselves are in `synthetic.additive` and `synthetic.digits`.
"""

import csv
import functools
import io
import os

import numpy as np

from kvoice import audio
from kvoice.data.synthetic import additive, digits
from kvoice.errors import KvoiceError, hint
from kvoice.files import replaced

CORPORA = ("additive", "digits", "mnist")
SPLITS = ("train", "valid", "test")
MOST = 10_000_000  # items that a corpus may have
_SPLIT = 20  # seed of the split: fixed, so that no run is tested on items that another trained on


def named(data: str) -> bool:
    """Whether `--data` names one of the corpora of this module."""
    return data.partition(":")[0] in CORPORA


def corpus(data: str, representation: str, **view: str | float) -> additive.Tones | digits.Digits:
    """The corpus that `--data` names; no item is rendered yet.

    Args:
        data: The argument of `--data`, as in the module's docstring.
        representation: "image" for digits and mnist, that of an `additive.View` for additive.
        **view: The other fields of the `additive.View`.

    Raises:
        KvoiceError: If there is no such corpus, or it has no such representation.
    """
    name, _, where = data.partition(":")
    if name not in CORPORA:
        raise KvoiceError(f"--data={data}: there is no corpus {name!r}: {hint(name, CORPORA)}")
    known = additive.REPRESENTATIONS if name == "additive" else ("image",)
    if representation not in known:
        raise KvoiceError(
            f"data.representation: {representation!r} must be "
            f"{'one of ' if known[1:] else ''}{', '.join(known)} for {name}"
        )
    if name == "additive":
        return additive.Tones(additive.Space.parse(where), additive.View(representation, **view))
    if name == "digits" and where:
        raise KvoiceError(f"--data={data}: nothing can stand behind digits: say --data=digits")
    return digits.mnist(where) if name == "mnist" else digits.digits()


def examples(
    data: str, directory: str | os.PathLike, count: int = 16, seed: int = 0
) -> tuple[list[dict[str, str]], np.ndarray]:
    """Writes some random items: factors.csv with a row for each, and wav files of tones.

    Args:
        data: The argument of `--data`, as in the module's docstring.
        directory: The output directory, which is made if need be.
        count: Number of items; fewer where the corpus has fewer.
        seed: Seed of the random choice.

    Returns:
        The rows of factors.csv, as dicts of strings, and the images, [items, height, width].

    Raises:
        KvoiceError: If there is no such corpus, or the directory holds other files or cannot be
            written.
    """
    sounds = data.partition(":")[0] == "additive"
    own = corpus(data, "cqt" if sounds else "image")
    drawn = np.random.default_rng(seed).choice(len(own), min(count, len(own)), replace=False)
    items = np.sort(drawn)
    rows = [{"item": str(item)} | ({"wav": f"{item}.wav"} if sounds else {}) for item in items]
    for row, values in zip(rows, own.values(items)):
        row |= {name: f"{value:g}" for name, value in zip(own.factors, values)}
    if os.path.isdir(directory) and os.listdir(directory):
        raise KvoiceError(f"{directory} holds other files: name a new or an empty directory")
    try:
        os.makedirs(directory, exist_ok=True)
        if sounds:
            for row, wave in zip(rows, own.waves(items)):
                audio.write(os.path.join(directory, row["wav"]), wave, additive.SAMPLE_RATE_HZ)
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        with replaced(os.path.join(directory, "factors.csv")) as file:
            file.write(table.getvalue().encode())
    except OSError as error:
        raise KvoiceError(f"{directory}: cannot be written ({error.strerror})") from error
    return rows, own.images(items)


class FactorSource:
    """Batches of images with their factors from one split of a corpus.

    The valid and the test split are each a random tenth of the items. Where a corpus has test items
    of its own, these are the test split.

    Args:
        data: The argument of `--data`, as in the module's docstring.
        split: "train", "valid" or "test".
        batch: Items per batch.
        seed: Seed of the order of the items; the split does not depend on it.
        representation: The representation, as in `additive.View`; "image" for digits and mnist,
            which ignore the next three arguments.
        scale: Scale of the magnitudes: "db", "amplitude" or "root".
        range_db: Range of the scale "db", in dB.
        bins_per_octave: Bins per octave of the CQT; other representations ignore it.

    Attributes:
        data: The argument `data`.
        split: The argument `split`.
        factors: Names of the factors.
        levels: The number of values that each factor has in the corpus.
        shape: (height, width) of the images.
        labels: {"digit": names by number} for digits and mnist; {} otherwise.
        speakers: Always [], because these corpora have no speakers.
        fingerprint: A short hash that differs where the items or the representation do.

    Raises:
        KvoiceError: If the corpus, the split and the representation do not fit together.
    """

    def __init__(
        self,
        data: str,
        split: str,
        batch: int,
        seed: int = 0,
        representation: str = "cqt",
        scale: str = "db",
        range_db: float = 60.0,
        bins_per_octave: int = 12,
    ) -> None:
        self.data, self.split, self.batch_size, self.seed = data, split, batch, seed
        if split not in SPLITS:
            raise KvoiceError(f"data.split: {split!r} must be one of {', '.join(SPLITS)}")
        for name, value, least in (("batch", batch, 1), ("seed", seed, 0)):
            if value < least:
                raise KvoiceError(f"data.{name}: {value} must be at least {least}")
        self.corpus = corpus(
            data, representation, scale=scale, range_db=range_db, bins_per_octave=bins_per_octave
        )
        if len(self.corpus) > MOST:
            raise KvoiceError(
                f"--data={data}: {len(self.corpus):,} items are more than the {MOST:,} that can "
                "be held: take larger steps, or fewer factors"
            )
        splits = _split(len(self.corpus), self.corpus.tests)
        if not all(map(len, splits.values())):
            raise KvoiceError(
                f"--data={data}: {len(self.corpus)} items are too few for a split of "
                "80, 10 and 10 %: 10 are needed"
            )
        self._rows = splits[split]
        if isinstance(self.corpus, additive.Tones):
            self.corpus.keep()
        self.factors, self.levels = self.corpus.factors, self.corpus.levels
        self.shape, self.labels = tuple(self.corpus.shape), self.corpus.labels
        self.fingerprint, self.speakers = self.corpus.fingerprint, []
        self._order = functools.lru_cache(maxsize=4)(self._drawn_order)

    def __len__(self) -> int:
        """The number of items in an epoch."""
        return len(self._rows)

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step; the same step gives the same batch.

        Shapes: -> dict of `image` [batch, height, width], `factors` [batch, factors] and, for
        digits and mnist, `digit` [batch] int32.
        """
        positions = range(step * self.batch_size, (step + 1) * self.batch_size)
        return self.items(np.array([self._order(p // len(self))[p % len(self)] for p in positions]))

    def items(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Items of the split by their numbers, from 0 on, with the keys of `batch`."""
        cells = self._rows[rows]
        found = {"image": self.corpus.images(cells), "factors": self.corpus.values(cells)}
        if self.factors == ["digit"]:
            found["digit"] = found["factors"][:, 0].astype(np.int32)
        return found

    def waves(self, rows: np.ndarray) -> np.ndarray:
        """The waves of items of the split of additive, at `additive.SAMPLE_RATE_HZ`.

        Shapes: rows [n] -> [n, samples] float32.
        """
        return self.corpus.waves(self._rows[rows])

    def level(self, factors: np.ndarray) -> np.ndarray:
        """The number of the level of each value: [n, factors] -> [n, factors] int32."""
        return self.corpus.level(factors)

    def _drawn_order(self, epoch):
        """The order of the items in an epoch: [len(self)]."""
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self))


def _split(count, tests):
    """The items of each split, in order; the last `tests` items, if any, are the test split."""
    order = np.random.default_rng(_SPLIT).permutation(count - tests)
    tenth = len(order) // 10
    test, rest = (np.arange(count - tests, count), order) if tests else np.split(order, [tenth])
    return {"test": np.sort(test), "valid": np.sort(rest[:tenth]), "train": np.sort(rest[tenth:])}
