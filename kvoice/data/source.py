"""The source of training batches: a pure function of (seed, step), in NumPy.

An epoch is a random order of the utterances of a split; the batches walk through one epoch after the
other, and each takes a random crop of each of its utterances. Nothing is carried from one batch to
the next, so a run that goes on at step 1000 sees what it would have seen.

Mels are computed once per Spec and kept beside the shards, as one memory map of all frames.
"""

import concurrent.futures
import difflib
import functools
import os
import tempfile
import threading

import numpy as np
import tqdm

from kvoice import audio
from kvoice.data import shards
from kvoice.data.manifest import Manifest
from kvoice.errors import KvoiceError

ARRAYS = ("mel", "wave", "f0", "phone")
LABELS = ("speaker", "gender", "emotion")
UNKNOWN = -1  # a label that an utterance does not have


class Source:
    """Batches of named arrays from one split of a prepared corpus.

    An utterance of n samples has n // hop frames: the last one of its mel, centred on the end, is
    dropped, so that samples = frames * hop in every crop. Utterances shorter than the crop are
    padded with silence at their end.

    Args:
        directory: Where `prepare` wrote the corpus.
        split: "train", "valid", "judge" or "test".
        spec: The `audio.Spec` of the mels; its rate and conditioning must be the manifest's.
        crop_frames: Length of the crops, in frames of the Spec.
        batch: Utterances per batch.
        seed: Of the order and the crops.
        condition: "speaker", "gender", "emotion": leaves out utterances without this label; "" = none.
        arrays: Which of "mel", "wave", "f0", "phone" a batch holds.

    Raises:
        KvoiceError: If the directory, the split, the Spec or the condition do not fit together.
    """

    def __init__(self, directory, split, spec, crop_frames, batch, seed=0, condition="", arrays=("mel",)):
        self.manifest = Manifest.load(directory)
        self.manifest.check(spec, directory)
        self.directory, self.split, self.spec = directory, split, spec
        self.crop_frames, self.batch_size, self.seed, self.arrays = crop_frames, batch, seed, tuple(arrays)
        self._check_names(condition)
        self._open_shards()
        self._table = _table(directory, self.manifest, split, self._shards)
        self._frames = self._table["samples"] // spec.hop  # [utterances]
        self._mel_starts = np.cumsum(self._frames) - self._frames
        self._rows = self._labelled(condition)
        if "mel" in self.arrays:
            self._mels = self._cached_mels()
        self._order = functools.lru_cache(maxsize=4)(self._order)

    @property
    def labels(self):
        """Names by number, for "speaker", "gender", "emotion" and "phone"."""
        return self.manifest.labels

    def __len__(self):
        """Utterances in an epoch."""
        return len(self._rows)

    def batch(self, step):
        """The batch of a step.

        Shapes: -> dict of `mel` [batch, crop_frames, mels], `wave` [batch, crop_frames * hop], `f0` and `phone`
        [batch, crop_frames], as far as `arrays` names them, and of `speaker`, `gender`, `emotion`
        [batch] int32, -1 = unknown.

        Args:
            step: From 0; the same step gives the same batch.
        """
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        rows = [self._rows[self._order(position // len(self))[position % len(self)]] for position in positions]
        draws = np.random.default_rng([self.seed, 1, step]).random(self.batch_size)
        spare = np.maximum(self._frames[rows] - self.crop_frames, 0)
        starts = (draws * (spare + 1)).astype(np.int64)
        crops = [self._crop(row, start, self.crop_frames) for row, start in zip(rows, starts)]
        batch = {name: np.stack([crop[name] for crop in crops]) for name in self.arrays}
        return batch | {name: self._table[name][rows] for name in LABELS}

    def utterance(self, i):
        """The i-th utterance, whole: the arrays of `batch` without the batch axis, `name` and `text`.

        Shapes: `mel` [frames, mels], `wave` [frames * hop], `f0` and `phone` [frames] with frames =
        samples // hop.
        """
        row = self._rows[i]
        record = self._record(row)
        return (self._crop(row, 0, self._frames[row])
                | {name: int(self._table[name][row]) for name in LABELS}
                | {"name": record["name"], "text": record["text"]})

    def _crop(self, row, start, frames):
        """`frames` frames of an utterance from `start` on, each array padded at its end."""
        hop = self.spec.hop
        inside = min(frames, self._frames[row] - start)
        crop = {}
        if "mel" in self.arrays:
            first = self._mel_starts[row] + start
            crop["mel"] = _padded(self._mels[first:first + inside], frames, self.spec.silence)
        if set(self.arrays) - {"mel"}:
            record = self._record(row)
            wave = record["wave"][start * hop:(start + inside) * hop]
            crop["wave"] = _padded(wave.astype(np.float32) / shards.FULL_SCALE, frames * hop, 0)
            for name, unknown in (("f0", 0), ("phone", UNKNOWN)):
                values = at_frames(record[name], start + np.arange(inside), hop, self.manifest.label_hop)
                values = values if len(record[name]) else np.full(inside, unknown, record[name].dtype)
                crop[name] = _padded(values, frames, 0)
        # Frames and samples agree: the one place where it is held.
        assert all(len(values) == (frames * hop if name == "wave" else frames) for name, values in crop.items())
        return {name: crop[name] for name in self.arrays}

    def _record(self, row):
        shard = self._shards[self._table["shard"][row]]
        return shard.utterance(self._table["offset"][row])

    def _order(self, epoch):
        """The order of the utterances in an epoch: [len(self)]."""
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self))

    def _labelled(self, condition):
        """Rows of the table that have the label `condition`: all for ""."""
        rows = np.arange(len(self._frames))
        if condition:
            rows = rows[self._table[condition] != UNKNOWN]
        if not len(rows):
            known = [name for name in LABELS if np.any(self._table[name] != UNKNOWN)]
            raise KvoiceError(
                f"{self.directory}: the split {self.split!r} holds no utterance with a label {condition!r}; "
                f"it knows {', '.join(known)}" if condition and known else
                f"{self.directory}: the split {self.split!r} holds no utterance")
        return rows

    def _check_names(self, condition):
        _check_name("split", self.split, self.manifest.splits)
        _check_name("condition", condition, ("", *LABELS))
        for name in self.arrays:
            _check_name("array", name, ARRAYS)
        if "phone" in self.arrays and not self.labels["phone"]:
            raise KvoiceError(f"{self.directory}: the corpus {self.manifest.data} does not know its phones")
        if condition == "speaker" and self.manifest.split == "speaker":
            raise KvoiceError(f"{self.directory}: condition=speaker needs every speaker in every split, this corpus "
                              "was split by speaker: prepare it again with --split=text")

    def _open_shards(self):
        self._shards = []
        for entry in self.manifest.splits[self.split]["shards"]:
            self._shards.append(shards.Shard(os.path.join(self.directory, entry["file"])))

    def _cached_mels(self):
        """The mels of the split, one utterance after the other: [frames, mels], a memory map."""
        path = os.path.join(self.directory, "features", self.spec.key, f"{self.split}.npy")
        total = int(self._frames.sum())
        if not os.path.exists(path):
            mels = in_order(self._whole_mel, range(len(self._frames)), f"mels of {self.split}")
            _save_rows(path, mels, (total, self.spec.mels))
        mels = np.load(path, mmap_mode="r")
        if mels.shape != (total, self.spec.mels):
            raise KvoiceError(f"{path} belongs to other shards: delete it and start again")
        return mels

    def _whole_mel(self, row):
        wave = self._record(row)["wave"].astype(np.float32) / shards.FULL_SCALE
        return audio.mel(wave, self.spec)[:self._frames[row]]


def at_frames(labels, frames, hop, label_hop):
    """Frame labels at another hop: for each frame the label nearest in time.

    Shapes: labels [label frames], frames [n] -> [n].

    Args:
        labels: One for each `label_hop` samples, the first at sample 0.
        frames: Numbers of the frames wanted.
        hop: Samples from one of them to the next.
        label_hop: Samples from one label to the next.
    """
    if not len(labels):
        return labels
    nearest = (frames * hop + label_hop // 2) // label_hop
    return labels[np.minimum(nearest, len(labels) - 1)]


def in_order(function, arguments, title):
    """Yields `function(argument)` for each argument, computed by threads, with a progress bar.

    Only some results are held at once, however many there are.
    """
    workers = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        with tqdm.tqdm(total=len(arguments), desc=title, unit="utt", delay=2, leave=False) as bar:
            for first in range(0, len(arguments), 32 * workers):
                for result in pool.map(function, arguments[first:first + 32 * workers]):
                    yield result
                    bar.update()


def _table(directory, manifest, split, opened):
    """What every utterance of a split is and where: arrays `shard`, `offset`, `samples` and the labels.

    Read from the shards once, then kept in features/SPLIT.npz.
    """
    path = os.path.join(directory, "features", f"{split}.npz")
    entries = manifest.splits[split]["shards"]
    stamp = f"{manifest.items} {[(entry['file'], entry['records'], entry['bytes']) for entry in entries]}"
    if os.path.exists(path):
        with np.load(path) as table:
            if str(table["stamp"]) == stamp:
                return dict(table)
    places = []
    for number, (shard, entry) in enumerate(zip(opened, entries)):
        offsets = shards.index(shard.path)
        if len(offsets) != entry["records"]:
            raise KvoiceError(f"{shard.path}: holds {len(offsets)} utterances, the manifest says "
                              f"{entry['records']}: delete it and run prepare again")
        places += [(number, offset) for offset in offsets]

    def row(place):
        record = opened[place[0]].utterance(place[1])
        return (*place, len(record["wave"]), *(record[name] for name in LABELS))

    rows = list(in_order(row, places, f"index of {split}"))
    columns = np.array(rows, np.int64).reshape(len(rows), 3 + len(LABELS)).T
    table = dict(zip(("shard", "offset", "samples", *LABELS), columns))
    table |= {name: table[name].astype(np.int32) for name in LABELS}
    _replace(path, lambda file: np.savez(file, stamp=stamp, **table))
    return table


def _save_rows(path, parts, shape):
    """Writes arrays [rows, columns] below one another as one .npy file of float32."""
    def content(file):
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, "<f4").data)

    _replace(path, content)


def _replace(path, content):
    """Lets `content(file)` fill a temporary file, then renames it to `path`."""
    directory, name = os.path.split(path)
    try:
        os.makedirs(directory, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=directory)
        try:
            with os.fdopen(handle, "wb") as file:
                content(file)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be written ({error.strerror}): "
                          "make room there and start again") from error


def _padded(values, length, filling):
    """`values` [n, ...] with `filling` appended up to [length, ...]."""
    if len(values) == length:
        return np.asarray(values)
    padding = np.full((length - len(values), *values.shape[1:]), filling, values.dtype)
    return np.concatenate([values, padding])


def _check_name(what, name, known):
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"choose among {', '.join(filter(None, known))}"
        raise KvoiceError(f"there is no {what} {name!r}: {hint}")
