"""Classifies recordings, files and folders with a trained classifier.

A file is split into crops of the training length, evenly spaced and at least half overlapping; its
probabilities are the mean over the crops. Shorter files are padded with silence, as
in training.
"""

import contextlib
import csv
import io
import math
import os
from collections.abc import Iterator

import numpy as np

from kvoice import audio, progress
from kvoice.data.corpora import layout
from kvoice.errors import KvoiceError
from kvoice.files import refuse_foreign, write_owned


def spaced(item: np.ndarray, size: int, silence: float) -> np.ndarray:
    """Splits a whole item into crops that overlap by half or more.

    Shapes: item [time, ...] -> [crops, size, ...]; one padded crop where it is shorter.

    Args:
        item: A mel or a wave.
        size: The length of a crop, along time.
        silence: The value that a short item is padded with.
    """
    spare = len(item) - size
    if spare <= 0:
        padding = [(0, -spare)] + [(0, 0)] * (item.ndim - 1)
        return np.pad(item, padding, constant_values=silence)[None]
    starts = np.linspace(0, spare, math.ceil(2 * spare / size) + 1).round().astype(int)
    return np.stack([item[start : start + size] for start in starts])


def file_probabilities(model: object, items: list[np.ndarray], spec: audio.Spec) -> np.ndarray:
    """Computes the probabilities of whole items: the mean over their crops.

    Shapes: items: each [time, mels] or [samples] -> [items, labels].
    """
    crops = [spaced(item, model.shape[0], silence(model, spec)) for item in items]
    probabilities = model.probabilities(np.concatenate(crops))
    ends = np.cumsum([len(each) for each in crops])[:-1]
    return np.stack([each.mean(axis=0) for each in np.split(probabilities, ends)])


def wave_probabilities(voice: object, wave: np.ndarray) -> np.ndarray:
    """Computes the probabilities of a recording: [samples] -> [labels].

    Args:
        voice: A classifier, as a `voice.Voice`.
        wave: The recording, at the rate of the Spec.

    Raises:
        KvoiceError: If the wave is too short, silent or clipped; the message names no file.
    """
    if reason := audio.problem_of(wave, voice.spec):
        raise KvoiceError(reason)
    wave = audio.condition(wave, voice.spec)
    item = wave if voice.model.domain == "wave" else audio.paired(wave, voice.spec)[1]
    return file_probabilities(voice.model, [item], voice.spec)[0]


def silence(model: object, spec: audio.Spec) -> float:
    """Returns the value of a silent frame or sample in the domain of a classifier."""
    return spec.silence if model.domain == "mel" else 0.0


# --- Files


@contextlib.contextmanager
def named(path: str | os.PathLike) -> Iterator[None]:
    """Prefixes the errors of a wave with the name of its file."""
    try:
        yield
    except KvoiceError as error:
        raise KvoiceError(f"{path}: {error}") from None


def files(path: str, kinds: tuple[str, ...] = layout.AUDIO) -> tuple[list[str], list[str]]:
    """Lists the files of a path, sound files by default: itself, or all below it, sorted.

    Returns:
        (The paths; messages that name what cannot be read and the reasons).

    Raises:
        KvoiceError: If there is none.
    """
    if not os.path.exists(path):
        raise KvoiceError(f"{path}: there is no such file or directory")
    if not os.path.isdir(path):
        return [path], []
    names, skipped = layout.audio_files(path, kinds)
    left_out = [f"{each.file}: {each.reason}" for each in skipped]
    if not names:
        of_others = f"; {left_out[0]}" if left_out else ""
        raise KvoiceError(f"{path}: holds no sound file ({' '.join(kinds)}){of_others}")
    return [os.path.join(path, name) for name in names], left_out


def classify(
    voice: object, paths: list[str], output: str = ""
) -> tuple[list[dict[str, str]], list[str]]:
    """Classifies files: rows of the file, its label, and the probability of each label.

    Args:
        voice: A classifier, as a `voice.Voice`.
        paths: Sound files of any rate.
        output: A CSV file for the rows, written atomically; "" = none.

    Returns:
        (The rows, as dicts of text; messages that name the skipped files and the reasons).

    Raises:
        KvoiceError: If there is no place for the output, before anything is classified.
    """
    if output and not (output.lower().endswith(".csv") and not os.path.isdir(output)):
        raise KvoiceError(f"--output={output}: expected a file whose name ends in .csv")
    if output and not os.path.isdir(os.path.dirname(os.path.abspath(output))):
        raise KvoiceError(f"{output}: its directory is missing; make it first")
    if output:
        refuse_foreign(*os.path.split(os.path.abspath(output)))
    rows, left_out = [], []
    for path in progress.bar(paths, desc="classify", unit="file"):
        try:
            wave, _ = audio.read(path, voice.spec.sample_rate_hz)
            with named(path):
                odds = wave_probabilities(voice, wave)
        except KvoiceError as error:
            left_out.append(str(error))
            continue
        rows.append(
            {
                "file": path,
                "label": voice.names[int(odds.argmax())],
                **{name: f"{p:.4f}" for name, p in zip(voice.names, odds)},
            }
        )
    if output and rows:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_owned(output, text.getvalue().encode(errors="backslashreplace"))
    return rows, left_out
