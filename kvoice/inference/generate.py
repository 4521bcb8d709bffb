"""Generates waves and pictures of each label, and interpolations between two noises."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kvoice import audio, progress
from kvoice.errors import KvoiceError
from kvoice.files import owned, write_json
from kvoice.inference import render, slerp

FADE_S = 0.05  # fade from one step of an interpolation to the next


def generate(
    voice: object,
    output: str | Path,
    count: int = 4,
    seed: int = 0,
    labels: list[str] | None = None,
    steps: int = 8,
    vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
    overwrite: bool = False,
) -> dict:
    """Writes samples of each label, and an interpolation from the first noise to the second.

    OUTPUT/
        LABEL_K.wav               sample K of a label
        samples.png               a row for each label, a column for each noise
        interpolation_LABEL.wav   `steps` samples between the noises of samples 0 and 1
        interpolation.png         the same as mels
        samples.json              the list of the wavs; written last

    Sample K of every label is generated from the same noise, so that only the label differs along a
    column of the figure, and a file does not depend on the other labels. The same model, seed and
    backend give the same bytes. No training data is needed.

    Args:
        voice: A `voice.Voice` whose model generates mels or waves from noise. The files of one
            without labels are named "sample".
        output: The directory; created if missing.
        count: The number of samples of each label.
        seed: The seed of the noises.
        labels: The names of the labels; None = all.
        steps: The number of steps of each interpolation, both ends included.
        vocoder: A `vocode.Vocoder` for mels; None = Griffin-Lim.
        overwrite: Whether files that kvoice did not write are replaced too.

    Returns:
        The content of samples.json: "sample_rate_hz", "seed", and "files", a list of {"file",
        "label", and "noise" (K of a sample) or "noises" and "steps"}.

    Raises:
        KvoiceError: If there is no such label, a number is too small, or the output cannot be a
            directory.
    """
    names = voice.names
    for name, number, least in (("count", count, 1), ("steps", steps, 2)):
        if number < least:
            raise KvoiceError(f"--{name}={number}: must be at least {least}")
    indices = _indices(names, labels)
    output = Path(output)
    stems = [file_stems(names or [""])[index or 0] for index in indices]
    waves = [f"{stem}_{k}.wav" for stem in stems for k in range(count)]
    waves += [f"interpolation_{stem}.wav" for stem in stems]
    with owned(output, [*waves, "samples.png", "interpolation.png", "samples.json"], overwrite):
        return _written(voice, output, count, seed, indices, stems, steps, vocoder)


def _written(voice, output, count, seed, indices, stems, steps, vocoder):
    """Writes the files of `generate`; returns the content of samples.json."""
    from kvoice import plots  # here: the other verbs of a `voice.Voice` draw nothing

    model, spec, names = voice.model, voice.spec, voice.names
    noises = model.noise(max(count, 2), seed)
    way = slerp.between(noises[0], noises[1], np.linspace(0, 1, steps))
    titles = [names[index] if names else "" for index in indices]
    samples = [model.decode(noises[:count], index) for index in indices]
    ways = [model.decode(way, index) for index in indices]
    plots.mel_image(output / "samples.png", _mels(samples, model, spec), titles, spec)
    places = [f"{place:.0%}" for place in np.linspace(0, 1, steps)]
    plots.mel_image(output / "interpolation.png", _mels(ways, model, spec), titles, spec, places)

    files = []
    with progress.bar(total=len(indices) * (count + 1), desc="waves") as bar:
        for label, stem, items, between in zip(titles, stems, samples, ways):
            for k in range(len(items)):
                files.append({"file": f"{stem}_{k}.wav", "label": label, "noise": k})
                (wave,) = render.waves(items[k : k + 1], spec, model.domain, vocoder)
                wave = render.eased(wave, spec)
                audio.write(output / files[-1]["file"], wave, spec.sample_rate_hz)
                bar.update()
            files.append(
                {
                    "file": f"interpolation_{stem}.wav",
                    "label": label,
                    "noises": [0, 1],
                    "steps": steps,
                }
            )
            waves = render.waves(between, spec, model.domain, vocoder)
            wave = render.crossfaded(waves, round(FADE_S * spec.sample_rate_hz))
            wave = render.eased(wave, spec)
            audio.write(output / files[-1]["file"], wave, spec.sample_rate_hz)
            bar.update()
    made = {"sample_rate_hz": spec.sample_rate_hz, "seed": seed, "files": files}
    write_json(output / "samples.json", made)
    return made


def _mels(rows, model, spec):
    return [audio.as_mels(items, model.domain, spec) for items in rows]


def _indices(names, labels):
    """Returns the indices of the chosen labels; [None] for a model without labels."""
    if not names and not labels:
        return [None]
    if not labels:
        return list(range(len(names)))
    indices = []
    for label in labels:
        fit = matching(names, label)
        if len(fit) != 1:
            known = f"it knows {', '.join(names)}" if names else "this model has no labels"
            raise KvoiceError(f"--label={label}: the model knows no such label; {known}")
        indices += fit
    return list(dict.fromkeys(indices))


def matching(names: list[str], label: str) -> list[int]:
    """Returns the indices of the names that match a label: itself, else those that end in it.

    A speaker of a corpus among several is named "CORPUS/SPEAKER".
    """
    fit = [i for i, name in enumerate(names) if name == label]
    return fit or [i for i, name in enumerate(names) if name.split("/")[-1] == label]


def file_stems(titles: list[str]) -> list[str]:
    """Returns unique file names for labels, without characters that file systems refuse."""
    stems = []
    for title in titles:
        stem = re.sub(r"[^\w.-]+", "-", title) or "sample"
        stems.append(stem if stem not in stems else f"{stem}-{len(stems)}")
    return stems
