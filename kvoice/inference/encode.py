"""Encodes recordings as embeddings of their voices, or as latents of a beta-VAE.

points = of_waves(voice, waves)     # `voice` as `voice.load` returns it
paths, points, left_out = encode(voice, paths, "voices.npz")
"""

import csv
import io
import os
import zipfile

import numpy as np

from kvoice import audio, progress
from kvoice.errors import KvoiceError
from kvoice.files import refuse_foreign, write_owned
from kvoice.inference import convert, latents
from kvoice.inference.classify import named

ENDINGS = (".npz", ".csv")
TOGETHER = 32  # files whose partials are embedded at once
LOUDNESS_DB = -30.0  # root mean square of the input of a speaker encoder, full scale = 0
STEP = 77 / 160  # from one partial to the next, as a share of their length
FILLED = 0.75  # share of the last partial that has to be sound


def of_waves(voice: object, waves: list[np.ndarray]) -> np.ndarray:
    """Computes the embeddings of waves; with a beta-VAE, the means of their latents.

    A speaker encoder gives the mean over overlapping partials of each wave at one loudness, scaled
    to length 1; the last partial is left out where less than three quarters of it are sound, unless
    it is the only one. A model that converts gives the embedding of the whole wave, or, without a
    speaker encoder, its concatenated styles.

    Shapes: waves, each [samples] -> [n, embedding].

    Args:
        voice: A speaker encoder, or a model of mels that converts or has latents, as a
            `voice.Voice`.
        waves: A list of waves, at the rate of the Spec.

    Raises:
        KvoiceError: If a wave cannot be used by a model that converts (see `convert.input_mel`),
            or the model is of images.

    Source: Resemblyzer. Differs: loud recordings are attenuated too, and long pauses are not
    removed by a voice activity detector.
    """
    _refuse_images(voice)
    return _points(voice, [_features(voice, wave) for wave in waves])


def _refuse_images(voice):
    if getattr(voice.model, "domain", "mel") == "image":
        raise KvoiceError("the model is of images and encodes no sound; one of mels does")


def _features(voice, wave):
    """Computes the input of a model: partials [n, size, mels], or the whole mel [time, mels]."""
    if hasattr(voice.model, "latents"):
        return audio.paired(audio.condition(wave, voice.spec), voice.spec)[1]
    if not hasattr(voice.model, "embed"):
        return convert.input_mel(voice, wave, trim=True)
    wave = audio.condition(_levelled(wave), voice.spec)
    return partials(audio.mel(wave, voice.spec), voice.model.partial_frames, voice.spec.silence)


def _points(voice, features):
    """Computes embeddings from the results of `_features` for some waves: [n, embedding]."""
    model = voice.model
    if hasattr(model, "latents"):
        return np.stack([latents.mean_code(model, mel, voice.spec) for mel in features])
    if not hasattr(model, "embed"):
        found = [model.encode(mel) for mel in features]
        return np.stack(
            [each["embedding" if "embedding" in each else "styles"].ravel() for each in found]
        )
    points = model.embed(np.concatenate(features))
    ends = np.cumsum([len(each) for each in features])[:-1]
    means = np.stack([each.mean(axis=0) for each in np.split(points, ends)])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def _levelled(wave):
    """Scales a wave to `LOUDNESS_DB`; silence stays silence."""
    wave = np.asarray(wave, np.float32)
    level = np.sqrt(np.mean(np.square(wave)))
    return wave * np.float32(10 ** (LOUDNESS_DB / 20) / max(level, 1e-8))


def partials(mel: np.ndarray, size: int, silence: float) -> np.ndarray:
    """Splits a mel into overlapping pieces: [time, mels] -> [n, size, mels], padded with silence.

    The mel has one frame more than its wave has whole hops.
    """
    step = max(1, round(STEP * size))
    starts = list(range(0, max(1, len(mel) - size + step), step))
    if len(starts) > 1 and len(mel) - 1 - starts[-1] < FILLED * size:
        starts.pop()
    pieces = [mel[start : start + size] for start in starts]
    return np.stack(
        [
            np.pad(piece, ((0, size - len(piece)), (0, 0)), constant_values=silence)
            for piece in pieces
        ]
    )


# --- Files


def encode(
    voice: object, paths: list[str], output: str = ""
) -> tuple[list[str], np.ndarray, list[str]]:
    """Computes the embeddings of files, or their latents.

    Args:
        voice: See `of_waves`.
        paths: Sound files of any rate.
        output: A file for them, written atomically: an .npz of the arrays `file` and
            `embedding` [files, size], or a .csv with the columns file, e0, e1, ...; "" = none.

    Returns:
        (The paths of the usable files; their embeddings [files, size]; messages that name the
        others and the reasons).

    Raises:
        KvoiceError: If there is no place for the output, or the model is of images, before anything
            is encoded.
    """
    _refuse_images(voice)
    if output and (not output.lower().endswith(ENDINGS) or os.path.isdir(output)):
        raise KvoiceError(
            f"--output={output}: expected a file whose name ends in {' or '.join(ENDINGS)}"
        )
    if output and not os.path.isdir(os.path.dirname(os.path.abspath(output))):
        raise KvoiceError(f"{output}: its directory is missing; make it first")
    if output:
        refuse_foreign(*os.path.split(os.path.abspath(output)))
    used, points, left_out, waiting = [], [], [], []
    for path in progress.bar(paths, desc="encode", unit="file"):
        try:
            wave, rate_hz = audio.read(path, voice.spec.sample_rate_hz)
            with named(path):
                if reason := audio.problem(wave, rate_hz):
                    raise KvoiceError(reason)
                waiting.append(_features(voice, wave))
        except KvoiceError as error:
            left_out.append(str(error))
            continue
        used.append(path)
        if len(waiting) == TOGETHER:
            points.append(_points(voice, waiting))
            waiting = []
    if waiting:
        points.append(_points(voice, waiting))
    found = np.concatenate(points) if points else np.zeros((0, 0), np.float32)
    if output and used:
        content = (_table if output.lower().endswith(".csv") else _archive)(used, found)
        write_owned(output, content)
    return used, found, left_out


def _table(paths, points):
    """Returns the content of a csv, with the shortest digits that are read back the same."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["file", *(f"e{k}" for k in range(points.shape[1]))])
    writer.writerows([path, *point] for path, point in zip(paths, points))
    return text.getvalue().encode()


def _archive(paths, points):
    """Returns the content of an npz; `np.savez` allows no array of the name `file`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, values in (("file", np.array(paths)), ("embedding", points)):
            with archive.open(f"{name}.npy", "w") as array:
                np.lib.format.write_array(array, values, allow_pickle=False)
    return content.getvalue()
