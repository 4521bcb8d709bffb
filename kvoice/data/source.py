"""The source of training batches: a pure function of (seed, step), in NumPy.

An epoch is a random order of the utterances of a split; batches take the utterances of one epoch
after the other, and a random crop of each. Or, with `per_speaker`, each batch has several random
utterances of each of some random speakers. A batch does not depend on the one before, so a run
that is resumed at step 1000 gets the batches that it would have had.

Mels are computed once per Spec and cached beside the shards, in one file of all frames. What is
read does not stay in memory, so that it does not grow with the corpus.
"""

import concurrent.futures
import contextlib
import functools
import math
import os
from collections.abc import Collection, Sequence

import google_crc32c
import numpy as np

from kvoice import audio, progress
from kvoice.data import shards
from kvoice.data.manifest import Manifest
from kvoice.errors import KvoiceError, hint
from kvoice.files import OnDisk, replaced

ARRAYS = ("mel", "wave", "f0", "phone", "mask")
LABELS = ("speaker", "gender", "emotion")
UNKNOWN = -1  # a label that an utterance does not have
FAINT = 1e-3  # root mean square up to which a crop counts as silent, full scale = 1
PADDED = 8  # the longest crop, in lengths of the longest utterance
CHECKSUM = ".crc32c"  # ending of the file with the checksum of a file of the cache
TRIES = 8  # random crops at most, until one is not silent


class Source:
    """Batches of named arrays from one split of a prepared corpus.

    An utterance of n samples has n // hop frames: the last frame of its mel, centred on the end, is
    dropped, so that samples = frames * hop in every crop. Utterances shorter than the crop are
    padded with silence at their end.

    Args:
        directory: The directory of a prepared corpus.
        split: "train", "valid", "judge" or "test".
        spec: The `audio.Spec` of the mels; its rate and conditioning must be the manifest's.
        crop_frames: Length of the crops, in frames of the Spec.
        batch: Utterances per batch.
        seed: Seed of the order and of the crops.
        condition: Leaves out utterances without this label: "speaker", "gender" or "emotion";
            "" = none.
        arrays: The arrays of a batch: "mel", "wave", "f0", "phone" and "mask" (1 inside the
            utterance, 0 in the padding).
        per_speaker: Utterances of each speaker in a batch, one speaker after the other; 0 = the
            batch is drawn regardless of speakers. With it, utterances of unknown speaker are left
            out, and a batch repeats an utterance only where its speaker has fewer than that.
        reject_silence: Whether a silent crop is drawn again, up to `TRIES` times in all; the
            loudest is taken if all are silent.
        least_frames: Utterances with fewer frames are left out; their number is `too_short`.
        without: Names of speakers whose utterances are left out.
        numbered: The labels of another corpus, "gender" and "emotion" -> names by number: these
            numbers are used, and labels that it does not have are unknown.

    Attributes:
        speakers: The names of the speakers of the split, less `without`.
        labels: The names by number of "speaker", "gender", "emotion" and "phone".

    Raises:
        KvoiceError: If the directory, the split, the Spec, the condition and the arrays do not fit
            together, a crop is far longer than all utterances, a shard is damaged, no utterance is
            left, or the split has fewer speakers than `per_speaker` needs.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        split: str,
        spec: audio.Spec,
        crop_frames: int,
        batch: int,
        seed: int = 0,
        condition: str = "",
        arrays: Sequence[str] = ("mel",),
        per_speaker: int = 0,
        reject_silence: bool = False,
        least_frames: int = 0,
        without: Collection[str] = (),
        numbered: dict[str, list[str]] | None = None,
    ) -> None:
        self.directory, self.split, self.spec = directory, split, spec
        self.crop_frames, self.batch_size, self.seed = crop_frames, batch, seed
        self.arrays, self.reject_silence = tuple(arrays), reject_silence
        self.manifest = Manifest.load(directory)
        self.manifest.check(spec, directory)
        sizes = (("crop_frames", crop_frames, 1), ("batch", batch, 1), ("seed", seed, 0))
        for name, value, least in sizes:
            if value < least:
                raise KvoiceError(f"data.{name}: {value} must be at least {least}")
        self._check(condition)
        _check_batch(batch, per_speaker)
        self._shards = [shards.Shard(path) for path in self.manifest.shards(directory, split)]
        self._table = self._cached_table()
        self.labels = self.manifest.labels | (numbered or {})
        for label in numbered or {}:
            own, names = self.manifest.labels[label], [*numbered[label]]
            numbers = [names.index(name) if name in names else UNKNOWN for name in own]
            self._table[label] = np.array([*numbers, UNKNOWN])[self._table[label]]
        self._frames = self._table["samples"] // spec.hop  # [utterances]
        self._first_mel = np.cumsum(self._frames) - self._frames
        longest = int(self._frames.max(initial=0))
        if crop_frames > PADDED * longest:
            raise KvoiceError(
                f"data.crop_frames: {crop_frames} is more than {PADDED} times the longest "
                f"utterance of the split "
                f"{split!r}, {longest} frames: nearly all of a crop would be padding"
            )
        self._rows = self._labelled(condition)
        unwanted = [i for i, name in enumerate(self.labels["speaker"]) if name in without]
        self._rows = self._rows[~np.isin(self._table["speaker"][self._rows], unwanted)]
        self.speakers = [
            name for name in self.manifest.splits[split]["speakers"] if name not in without
        ]
        long_enough = self._frames[self._rows] >= least_frames
        self.too_short, self._rows = int((~long_enough).sum()), self._rows[long_enough]
        if not len(self._rows):
            raise KvoiceError(
                f"{directory}: the split {split!r} holds no utterance of {least_frames} frames, "
                "which the model needs"
            )
        self.per_speaker, self._rows_of = per_speaker, []
        if per_speaker:
            self._rows = self._rows[self._table["speaker"][self._rows] != UNKNOWN]
            self._rows_of = self._grouped()
        if "mel" in self.arrays:
            self._mels = self._cached_mels()
        self._order = functools.lru_cache(maxsize=4)(self._drawn_order)

    @property
    def data(self) -> str:
        """The argument of `--data` that the corpus was prepared from."""
        return self.manifest.data

    @property
    def fingerprint(self) -> str:
        """A short hash that differs where the utterances of the corpus do."""
        return self.manifest.items

    @property
    def seconds(self) -> float:
        """The duration of all utterances of the split, in s."""
        return self.manifest.splits[self.split]["seconds"]

    def __len__(self) -> int:
        """The number of utterances in an epoch."""
        return len(self._rows)

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step; the same step gives the same batch.

        With `per_speaker` its rows are ordered by speaker, the same number for each.

        Shapes: -> dict of `mel` [batch, crop_frames, mels], `wave` [batch, crop_frames * hop],
        `f0`, `phone` and `mask` [batch, crop_frames], as far as `arrays` names them, and of
        `speaker`, `gender`, `emotion` [batch] int32, -1 = unknown.
        """
        rows = self._rows_of_speakers(step) if self.per_speaker else self._rows_of_epochs(step)
        spare = np.maximum(self._frames[rows] - self.crop_frames, 0)
        tries = TRIES if self.reject_silence else 1
        draws = np.random.default_rng([self.seed, 1, step]).random((tries, self.batch_size))
        starts = (draws * (spare + 1)).astype(np.int64)  # [tries, batch]
        starts = (
            [self._audible(row, each) for row, each in zip(rows, starts.T)]
            if tries > 1
            else starts[0]
        )
        crops = [self._crop(row, start, self.crop_frames) for row, start in zip(rows, starts)]
        batch = {name: np.stack([crop[name] for crop in crops]) for name in self.arrays}
        return batch | {name: self._table[name][rows] for name in LABELS}

    def utterance(self, i: int) -> dict:
        """The whole i-th utterance: the arrays and labels of `batch`, with its `name` and `text`.

        Shapes: `mel` [frames, mels], `wave` [frames * hop], `f0`, `phone` and `mask` [frames],
        where frames = samples // hop.
        """
        row = self._rows[i]
        record = self._record(row)
        labels = {name: int(self._table[name][row]) for name in LABELS}
        words = {"name": record["name"], "text": record["text"]}
        return self._crop(row, 0, self._frames[row]) | labels | words

    def _rows_of_epochs(self, step):
        """The rows of the batch of a step, in the order of the epochs: [batch]."""
        positions = range(step * self.batch_size, (step + 1) * self.batch_size)
        return [self._rows[self._order(p // len(self))[p % len(self)]] for p in positions]

    def _rows_of_speakers(self, step):
        """The rows of a batch of `per_speaker` utterances of each of its speakers: [batch]."""
        rng = np.random.default_rng([self.seed, 2, step])
        speakers = rng.permutation(len(self._rows_of))[: self.batch_size // self.per_speaker]
        drawn = [rng.permutation(self._rows_of[speaker]) for speaker in speakers]
        return np.concatenate([np.resize(rows, self.per_speaker) for rows in drawn])

    def speaker_of(self) -> np.ndarray:
        """The number of the speaker of each utterance, -1 = unknown: [len(self)]."""
        return self._table["speaker"][self._rows]

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each band over all frames of the split: [mels] each."""
        total, squares = np.zeros(self.spec.mels), np.zeros(self.spec.mels)
        for first in range(0, len(self._mels), 65536):
            block = np.asarray(self._mels[first : first + 65536], np.float64)
            total += block.sum(axis=0)
            squares += np.square(block).sum(axis=0)
        mean = total / len(self._mels)
        return mean, np.sqrt(np.maximum(squares / len(self._mels) - mean**2, 0))

    def _drawn_order(self, epoch):
        """The order of the utterances in an epoch: [len(self)]."""
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self))

    def _crop(self, row, start, frames):
        """`frames` frames of an utterance from `start` on, each array padded at its end."""
        hop, label_hop = self.spec.hop, self.manifest.label_hop
        inside = min(frames, self._frames[row] - start)
        crop = {"mask": _padded(np.ones(inside, np.float32), frames, 0)}
        if "mel" in self.arrays:
            first = self._first_mel[row] + start
            crop["mel"] = _padded(self._mels[first : first + inside], frames, self.spec.silence)
        if set(self.arrays) - {"mel", "mask"}:
            record = self._record(row)
            wave = record["wave"][start * hop : (start + inside) * hop]
            crop["wave"] = _padded(_float(wave), frames * hop, 0)
            for name, unknown in (("f0", 0), ("phone", UNKNOWN)):
                labels = (
                    record[name] if len(record[name]) else np.array([unknown], record[name].dtype)
                )
                labels = at_frames(labels, start + np.arange(inside), hop, label_hop)
                crop[name] = _padded(labels, frames, 0)
        # Frames and samples agree: this is the only place that ensures it.
        for name, values in crop.items():
            assert len(values) == (self.spec.samples(frames) if name == "wave" else frames)
        return {name: crop[name] for name in self.arrays}

    def _audible(self, row, starts):
        """The first start whose crop is not silent, or else that of the loudest crop."""
        hop, wave = self.spec.hop, self._record(row)["wave"]
        levels = []
        for start in starts:
            crop = _float(wave[start * hop : (start + self.crop_frames) * hop])
            levels.append(np.sqrt(np.mean(np.square(crop))) if len(crop) else 0.0)
            if levels[-1] > FAINT:
                break
        return starts[int(np.argmax(levels))]

    def _record(self, row):
        return self._shards[self._table["shard"][row]].utterance(self._table["offset"][row])

    def _check(self, condition):
        """Refuses a condition or an array that the corpus does not have."""
        for what, name, known in [
            ("condition", condition, ("", *LABELS)),
            *[("array", name, ARRAYS) for name in self.arrays],
        ]:
            if name not in known:
                raise KvoiceError(f"there is no {what} {name!r}: {hint(name, known)}")
        if "phone" in self.arrays and not self.manifest.labels["phone"]:
            raise KvoiceError(
                f"{self.directory}: the corpus {self.manifest.data} does not know its phones"
            )
        if condition == "speaker" and self.manifest.split == "speaker":
            raise KvoiceError(
                f"{self.directory}: condition=speaker needs every speaker in every split, this "
                "corpus was split by speaker: prepare it again with `kvoice prepare --split=text`"
            )

    def _labelled(self, condition):
        """The rows of the table that have the label `condition`; all for ""."""
        rows = np.arange(len(self._frames))
        if condition:
            rows = rows[self._table[condition] != UNKNOWN]
        if not len(rows):
            known = [name for name in LABELS if np.any(self._table[name] != UNKNOWN)]
            raise KvoiceError(
                f"{self.directory}: the split {self.split!r} holds no utterance with a label "
                f"{condition!r}; it knows {', '.join(known)}"
            )
        return rows

    def _grouped(self):
        """The rows of each speaker: a list of [utterances of the speaker].

        Raises:
            KvoiceError: If there are fewer speakers than a batch needs.
        """
        speakers = self._table["speaker"][self._rows]
        groups = [self._rows[speakers == speaker] for speaker in np.unique(speakers)]
        wanted = self.batch_size // self.per_speaker
        if len(groups) < wanted:
            most = len(groups) * self.per_speaker
            way_out = f"set data.batch to {most} or" if len(groups) > 1 else "take"
            raise KvoiceError(
                f"data.batch: {self.batch_size} utterances, data.per_speaker={self.per_speaker} of "
                f"each speaker, want {wanted} speakers; the split {self.split!r} of "
                f"{self.directory} has {len(groups)}: {way_out} a corpus of more speakers"
            )
        return groups

    def _cached_table(self):
        """The place and the labels of every utterance: `shard`, `offset`, `samples`, the labels.

        They are read from the shards once, and cached in features/SPLIT.npz; a cache that is
        damaged or of other shards is made anew.
        """
        path = os.path.join(self.directory, "features", f"{self.split}.npz")
        entries = self.manifest.splits[self.split]["shards"]
        stamp = f"{self.manifest.items} {entries}"
        if _intact(path):
            with np.load(path) as table:
                if str(table["stamp"]) == stamp:
                    return dict(table)
        table = _table(self._shards, [entry["records"] for entry in entries])
        with _cache(path) as file:
            np.savez(file, stamp=stamp, **table)
        return table

    def _cached_mels(self):
        """The mels of the split, one utterance after the other: `_Frames` [frames, mels]."""
        path = os.path.join(self.directory, "features", self.spec.key, f"{self.split}.npy")
        shape = (int(self._frames.sum()), self.spec.mels)
        if not (_intact(path) and np.load(path, mmap_mode="r").shape == shape):
            with _cache(path) as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                # Written, not mapped: a full disk is an error here, and would be a crash there.
                for mel in _in_order(self._mel, range(len(self._frames)), f"mels of {self.split}"):
                    file.write(np.ascontiguousarray(mel, "<f4").data)
        return _Frames(path)

    def _mel(self, row):
        """The mel of an utterance without its last frame: [frames, mels]."""
        return audio.mel(_float(self._record(row)["wave"]), self.spec)[: self._frames[row]]


class _Frames:
    """The rows of a float32 .npy file, which are read at each slice."""

    def __init__(self, path):
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            (self._count, *self._row), _, _ = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()
        self._data = OnDisk(path)

    def __len__(self):
        return self._count

    def __getitem__(self, part):
        first, last, _ = part.indices(self._count)
        size = 4 * math.prod(self._row)
        data = self._data[self._start + first * size : self._start + last * size]
        return np.frombuffer(data, "<f4").reshape(-1, *self._row)


def _check_batch(batch, per_speaker):
    """Refuses a batch that is not several utterances of each of two speakers or more."""
    if per_speaker < 0 or per_speaker == 1:
        raise KvoiceError(
            f"data.per_speaker: {per_speaker} must be 2 or more, to compare utterances of one "
            "speaker; or 0, for batches regardless of speakers"
        )
    if per_speaker and (batch % per_speaker or batch < 2 * per_speaker):
        near = max(2, round(batch / per_speaker)) * per_speaker
        raise KvoiceError(
            f"data.batch: {batch} must be a multiple of data.per_speaker={per_speaker}, of two "
            f"speakers or more: set data.batch to {near}"
        )


def at_frames(labels: np.ndarray, frames: np.ndarray, hop: int, label_hop: int) -> np.ndarray:
    """Frame labels at another hop: for each frame the label nearest in time.

    Shapes: labels [label frames], frames [n] -> [n].

    Args:
        labels: One label every `label_hop` samples, the first at sample 0.
        frames: Numbers of the frames of the result.
        hop: Hop of these frames, in samples.
        label_hop: Hop of the labels, in samples.
    """
    nearest = (frames * hop + label_hop // 2) // label_hop
    return labels[np.minimum(nearest, len(labels) - 1)]


def _table(opened, counts):
    """The places and labels of all records of the shards: columns [utterances] by name.

    Raises:
        KvoiceError: If a shard is damaged, or has another number of records than expected.
    """
    places = []
    for number, (shard, count) in enumerate(zip(opened, counts)):
        offsets = shards.index(shard.path)
        if len(offsets) != count:
            raise KvoiceError(
                f"{shard.path}: holds {len(offsets)} utterances, the manifest says {count}: "
                "delete it and run prepare again"
            )
        places += [(number, offset) for offset in offsets]

    def row(place):
        number, offset = place
        record = opened[number].utterance(offset)
        return number, offset, len(record["wave"]), *(record[name] for name in LABELS)

    columns = np.array(list(_in_order(row, places, "index")), np.int64).T
    table = dict(zip(("shard", "offset", "samples", *LABELS), columns))
    return table | {name: table[name].astype(np.int32) for name in LABELS}


def _in_order(function, arguments, title):
    """Yields `function(argument)` for each argument, computed by threads, with a progress bar.

    Only some of the results are in memory at once.
    """
    workers = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        with progress.bar(total=len(arguments), desc=title, unit="utt") as bar:
            for first in range(0, len(arguments), 32 * workers):
                for result in pool.map(function, arguments[first : first + 32 * workers]):
                    yield result
                    bar.update()


def _intact(path):
    """Whether a file of the cache holds what was written; its checksum is in PATH.crc32c."""
    try:
        with open(path + CHECKSUM, encoding="ascii") as file:
            return file.read().strip() == _checksum(path)
    except (OSError, ValueError):
        return False


def _checksum(path):
    """The CRC32C of a file, in hexadecimal digits."""
    checksum = google_crc32c.Checksum()
    with open(path, "rb") as file:
        while block := file.read(2**24):
            checksum.update(block)
    return checksum.hexdigest().decode()


@contextlib.contextmanager
def _cache(path):
    """A file of the cache, open for writing; the error names a directory that is not writable."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + CHECKSUM)
        with replaced(path) as file:
            yield file
        with replaced(path + CHECKSUM) as file:
            file.write(_checksum(path).encode())
    except OSError as error:
        raise KvoiceError(
            f"{path}: cannot be written ({error.strerror}): mels are kept beside the shards; make "
            "room there, or copy the corpus to where it can be written"
        ) from error


def _float(wave):
    """16-bit samples as float32 with a full scale of 1."""
    return wave.astype(np.float32) / shards.FULL_SCALE


def _padded(values, length, filling):
    """`values` [n, ...] with `filling` appended up to [length, ...]."""
    padding = np.full((length - len(values), *values.shape[1:]), filling, values.dtype)
    return np.concatenate([values, padding])
