"""tf.data datasets of named arrays: training batches, whole utterances of shards, sound files."""

import atexit
import os
import threading
import time

import tensorflow as tf

from kvoice import audio
from kvoice.data import features, shards
from kvoice.data.factors import FactorSource
from kvoice.data.manifest import Manifest
from kvoice.data.source import LABELS, Source

_STEPS = 1 << 48  # more than any run takes
_AHEAD = 4  # batches that are prefetched


class _Calls:
    """Counts the calls of Python by threads of tf.data, which must end before the interpreter.

    An iterator that is still alive then prefetches batches. If one of its threads calls Python
    after the interpreter has ended, it never returns, and the process would wait for it for ever.
    """

    def __init__(self):
        self.ending = False
        self._running, self._last_s = 0, 0.0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self._running += 1

    def __exit__(self, *error):
        with self._lock:
            self._running -= 1
            self._last_s = time.monotonic()

    def end(self):
        """Waits until no thread has called for a while, which means that prefetching is done."""
        self.ending = True
        while self._running or time.monotonic() - self._last_s < 0.2:
            time.sleep(0.02)


_CALLS = _Calls()
atexit.register(_CALLS.end)


def batches(source: Source | FactorSource, start: int = 0) -> tf.data.Dataset:
    """An endless dataset of the batches of a source, of which several are made in parallel.

    They are `source.batch(start)`, `source.batch(start + 1)`, ... to the bit: nothing is shuffled
    here, so that a resumed run starts at its step.

    Shapes: those of `Source.batch`, all static.

    Args:
        source: The source of the batches.
        start: Number of the first step.
    """
    first = source.batch(start)
    names = list(first)

    def batch(step):
        with _CALLS:
            made = first if _CALLS.ending else source.batch(int(step))
        return [made[name] for name in names]

    def named(step):
        arrays = tf.numpy_function(batch, [step], [first[name].dtype for name in names])
        return {
            name: tf.ensure_shape(array, first[name].shape) for name, array in zip(names, arrays)
        }

    options = tf.data.Options()
    options.autotune.enabled = False  # nothing is left to tune, and its thread ends slowly
    return (
        tf.data.Dataset.range(start, _STEPS)
        .map(named, num_parallel_calls=2, deterministic=True)
        .prefetch(_AHEAD)
        .with_options(options)
    )


def utterances(directory: str | os.PathLike, split: str, spec: audio.Spec) -> tf.data.Dataset:
    """The whole utterances of a split, each once; several shards are read in parallel.

    The mels are computed in the graph.

    Shapes: each a dict of `mel` [frames, mels], `wave` [frames * hop], `f0` and `phone` [frames]
    (empty where the corpus does not know them), `speaker`, `gender`, `emotion` [] int32 (-1 =
    unknown), `text` and `name` [] string; frames = samples // hop. The order is the same each time.

    Args:
        directory: The directory of a prepared corpus.
        split: "train", "valid", "judge" or "test".
        spec: The `audio.Spec` of the mels; its rate and conditioning must be the manifest's.

    Raises:
        KvoiceError: If the Spec is not the manifest's, or there is no such split.
    """
    manifest = Manifest.load(directory)
    manifest.check(spec, directory)
    paths = manifest.shards(directory, split)

    def utterance(message):
        return _utterance(message, spec, manifest.label_hop)

    return (
        tf.data.Dataset.from_tensor_slices(tf.constant(paths, tf.string))
        .interleave(tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=tf.data.AUTOTUNE)
        .map(utterance, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def files(paths: list[str | os.PathLike], spec: audio.Spec) -> tf.data.Dataset:
    """The waves and mels of sound files in their order, decoded and resampled in parallel.

    The sound is not conditioned: trimming, high-pass and pre-emphasis are those of
    `audio.condition`.

    Shapes: each a dict of `mel` [1 + samples // hop, mels] and `wave` [samples].

    Args:
        paths: Paths of wav, flac, ogg or mp3 files.
        spec: The `audio.Spec` of the mels.
    """

    def named(path):
        wave = features.decode(path, spec.sample_rate_hz)
        return {"mel": features.mel(wave, spec), "wave": wave}

    return (
        tf.data.Dataset.from_tensor_slices([os.fspath(path) for path in paths])
        .map(named, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


_KINDS = {int: tf.int64, float: tf.float32}
_SCHEMA = {
    name: tf.io.FixedLenFeature([], _KINDS.get(kind, tf.string))
    for name, kind in shards.FIELDS.items()
}


def _utterance(message, spec, label_hop):
    """The named arrays of a record."""
    record = tf.io.parse_single_example(message, _SCHEMA)
    wave = tf.cast(tf.io.decode_raw(record["wave"], tf.int16), tf.float32) / shards.FULL_SCALE
    frames = tf.size(wave) // spec.hop
    arrays = {"mel": features.mel(wave, spec)[:frames], "wave": wave[: frames * spec.hop]}
    nearest = (tf.range(frames) * spec.hop + label_hop // 2) // label_hop
    for name, kind in (("f0", tf.float32), ("phone", tf.int32)):
        values = tf.io.decode_raw(record[name], kind)
        known = tf.minimum(frames, tf.size(values) * frames)  # 0 where there are no labels
        arrays[name] = tf.gather(values, tf.minimum(nearest[:known], tf.size(values) - 1))
    return (
        arrays
        | {name: tf.cast(record[name], tf.int32) for name in LABELS}
        | {name: record[name] for name in ("text", "name")}
    )
