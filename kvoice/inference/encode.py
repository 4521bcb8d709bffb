"""Recordings as points: their voices, or the latents of a beta-VAE, by a trained model.

points = of_waves(voice, waves)     # `voice` as `voice.load` gives it
paths, points, left_out = encode(voice, paths, "voices.npz")
"""

import csv
import io
import os
import zipfile

import numpy as np

from kvoice import audio, progress
from kvoice.errors import KvoiceError
from kvoice.files import replaced
from kvoice.inference import convert, latents
from kvoice.inference.classify import named

ENDINGS = (".npz", ".csv")
TOGETHER = 32  # files whose partials are embedded at once
LOUDNESS_DB = -30.0  # root mean square that a speaker encoder hears, full scale = 0
STEP = 77 / 160  # from one partial to the next, of their length
FILLED = 0.75  # of the last partial, without which it is left out


def of_waves(voice, waves):
    """The voices of waves; of a beta-VAE, the means of their latents.

    By a speaker encoder the mean over their partials, brought to length 1: each wave is brought to
        one
    loudness, and heard in overlapping partials; the last one is left out where less than three
    quarters of it are sound, unless it is the only one. By an AdaIN-VC the embedding of the whole
    wave, or, where there is no speaker encoder, all its styles in a row.

    Shapes: waves, each [samples] -> [n, embedding].

    Args:
        voice: A speaker encoder, an AdaIN-VC or a beta-VAE of mels, as a `voice.Voice`.
        waves: A list, at the rate of the Spec.

    Raises:
        KvoiceError: If a wave cannot be used by an AdaIN-VC (see `convert.heard`), or the model is
            of images.

    Source: as Resemblyzer does, which makes faint recordings louder but loud ones not fainter, and
        cuts
    long pauses by a detector of voices that is not here.
    """
    _refuse_images(voice)
    return _points(voice, [_heard(voice, wave) for wave in waves])


def _refuse_images(voice):
    if getattr(voice.model, "domain", "mel") == "image":
        raise KvoiceError(
            "the model is of images and hears no sound; one of mels does, such as betavae:voices"
        )


def _heard(voice, wave):
    """What a model is given of a wave: partials [n, size, mels], or the mel [time, mels] of all of
    it.
    """
    if hasattr(voice.model, "latents"):
        return audio.paired(audio.condition(wave, voice.spec), voice.spec)[1]
    if not hasattr(voice.model, "embed"):
        return convert.heard(voice, wave, trim=True)
    wave = audio.condition(_levelled(wave), voice.spec)
    return partials(audio.mel(wave, voice.spec), voice.model.partial_frames, voice.spec.silence)


def _points(voice, heard):
    """The embeddings of what `_heard` gave of some waves: [n, embedding]."""
    model = voice.model
    if hasattr(model, "latents"):
        return np.stack([latents.mean_code(model, mel, voice.spec) for mel in heard])
    if not hasattr(model, "embed"):
        found = [model.encode(mel) for mel in heard]
        return np.stack(
            [each["embedding" if "embedding" in each else "styles"].ravel() for each in found]
        )
    points = model.embed(np.concatenate(heard))
    ends = np.cumsum([len(each) for each in heard])[:-1]
    means = np.stack([each.mean(axis=0) for each in np.split(points, ends)])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def _levelled(wave):
    """The wave at `LOUDNESS_DB`; silence stays silence."""
    wave = np.asarray(wave, np.float32)
    level = np.sqrt(np.mean(np.square(wave)))
    return wave * np.float32(10 ** (LOUDNESS_DB / 20) / max(level, 1e-8))


def partials(mel, size, silence):
    """Overlapping pieces of a mel: [time, mels] -> [n, size, mels], a short or last one padded.

    The mel has a frame more than its wave has whole hops.
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


def encode(voice, paths, output=""):
    """The voices of files, or their latents.

    Args:
        voice: See `of_waves`.
        paths: Sound files of any rate.
        output: A file for them, replaced whole or not at all: an .npz of the arrays `file` and
            `embedding` [files, size], or a .csv with the columns file, e0, e1, ...; "" = none.

    Returns:
        (The paths of the files that could be used; their embeddings [files, size]; lines that name
        the others and say why).

    Raises:
        KvoiceError: If there is no place for the output, or the model is of images, before anything
            is heard.
    """
    _refuse_images(voice)
    if output and (not output.lower().endswith(ENDINGS) or os.path.isdir(output)):
        raise KvoiceError(
            f"--output={output}: expected a file whose name ends in {' or '.join(ENDINGS)}"
        )
    if output and not os.path.isdir(os.path.dirname(os.path.abspath(output))):
        raise KvoiceError(f"{output}: its directory is missing; make it first")
    used, points, left_out, heard = [], [], [], []
    for path in progress.bar(paths, desc="encode", unit="file"):
        try:
            wave, rate_hz = audio.read(path, voice.spec.sample_rate_hz)
            with named(path):
                if reason := audio.problem(wave, rate_hz):
                    raise KvoiceError(reason)
                heard.append(_heard(voice, wave))
        except KvoiceError as error:
            left_out.append(str(error))
            continue
        used.append(path)
        if len(heard) == TOGETHER:
            points.append(_points(voice, heard))
            heard = []
    if heard:
        points.append(_points(voice, heard))
    found = np.concatenate(points) if points else np.zeros((0, 0), np.float32)
    if output and used:
        with replaced(output) as file:
            file.write((_table if output.lower().endswith(".csv") else _archive)(used, found))
    return used, found, left_out


def _table(paths, points):
    """The content of a csv; each number is written as short as it can be and read back the same."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["file", *(f"e{k}" for k in range(points.shape[1]))])
    writer.writerows([path, *point] for path, point in zip(paths, points))
    return text.getvalue().encode()


def _archive(paths, points):
    """The content of an npz; `np.savez` knows no array of the name `file`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, values in (("file", np.array(paths)), ("embedding", points)):
            with archive.open(f"{name}.npy", "w") as array:
                np.lib.format.write_array(array, values, allow_pickle=False)
    return content.getvalue()
