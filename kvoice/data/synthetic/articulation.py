"""The articulation of phones in time: tracks of mouth and glottis, for the built-in corpus `demo`.

Phones are given as names with accents ("1", as in `SENTENCES`) and the times at which they end;
tracks have one value per 1 / `TRACK_HZ` s.
"""

from collections.abc import Sequence

import numpy as np

from kvoice.data.synthetic.phones import INVENTORY
from kvoice.data.synthetic.synthesis import TRACK_HZ, Tracks

F4_HZ = 3500.0  # a man's F4, which is kept constant
BURST_S = 0.010


def tracks(
    phones: Sequence[str], ends_s: np.ndarray, f0_hz: np.ndarray, formant_scale: float
) -> Tracks:
    """The tracks of one utterance.

    Shapes: `phones`, `ends_s` [phones], `f0_hz` [time] -> `Tracks` of [time].

    Args:
        phones: Names with their accents, silence first and last.
        ends_s: The time at which each phone ends, in s.
        f0_hz: The F0 contour, in Hz.
        formant_scale: Factor of all formants; 1 = a man's.
    """
    names = [name.rstrip("1") for name in phones]
    voice, breath = _voice(phones, ends_s), _breath(names, ends_s)
    noisy = sorted({name for name in names if INVENTORY[name].noise})
    return Tracks(
        f0_hz=f0_hz,
        voice=voice,
        breath=breath,
        nasal=smooth(_held([INVENTORY[name].kind == "nasal" for name in names], ends_s), 0.04),
        formants_hz=formants_hz(names, ends_s) * formant_scale,
        noise=np.stack([_noise(noise, names, ends_s) for noise in noisy], -1),
        noises=np.array([[INVENTORY[name].centre_hz, INVENTORY[name].width_hz] for name in noisy]),
    )


def times_s(ends_s: np.ndarray) -> np.ndarray:
    """The times of the values of a track, in s. Shapes: -> [time]."""
    return np.arange(round(ends_s[-1] * TRACK_HZ)) / TRACK_HZ


def smooth(track: np.ndarray, width_s: float) -> np.ndarray:
    """The track smoothed by a Hann window of that width. Shapes: [time] -> [time]."""
    window = np.hanning(round(width_s * TRACK_HZ) + 2)
    before = len(window) // 2
    padded = np.pad(track, (before, len(window) - 1 - before), mode="edge")
    return np.convolve(padded, window / window.sum(), "valid")


# --- Formants


def formants_hz(names: list[str], ends_s: np.ndarray) -> np.ndarray:
    """A man's F1 to F4, in Hz.

    Each phone holds its targets in its middle; in between the formants glide, on a logarithmic
    scale. Shapes: -> [time, 4].
    """
    starts_s = np.concatenate([[0], ends_s[:-1]])
    points_s, targets_hz = [], []
    for i, (name, start_s, end_s) in enumerate(zip(names, starts_s, ends_s)):
        phone = INVENTORY[name]
        if phone.kind == "silence":
            continue
        first, last = (0.3, 0.7) if phone.kind == "vowel" else (0.25, phone.open_share or 0.75)
        points_s += [start_s + first * (end_s - start_s), start_s + last * (end_s - start_s)]
        targets_hz += _targets(names, i)
    glides = [np.interp(times_s(ends_s), points_s, column) for column in np.log(targets_hz).T]
    moving = np.exp([smooth(glide, 0.03) for glide in glides])
    return np.stack([*moving, np.full(len(moving[0]), F4_HZ)], -1)


def _targets(names, i):
    """The targets of F1 to F3 at the beginning and at the end of the steady part of a phone.

    F2 and F3 of a consonant lie between its own locus and the vowels around it; its F1 depends only
    on how far the mouth is closed. /h/ has no targets of its own.
    """
    phone = INVENTORY[names[i]]
    if phone.kind == "vowel":
        return [phone.formants_hz, phone.to_hz or phone.formants_hz]
    before, after = _vowels_around(names, i)
    hold = np.array([phone.hold > 0, phone.hold, phone.hold], float)
    locus_hz = hold * phone.formants_hz + (1 - hold) * (0.35 * before + 0.65 * after)
    return [locus_hz, locus_hz]


def _vowels_around(names, i):
    """The formants at the end of the vowel before a phone and at the start of the one after."""

    def vowels(some):
        return [INVENTORY[name] for name in some if INVENTORY[name].kind == "vowel"]

    ends = [vowel.to_hz or vowel.formants_hz for vowel in vowels(names[:i])]
    starts = [vowel.formants_hz for vowel in vowels(names[i + 1 :])]
    before, after = (ends or starts[:1])[-1], (starts or ends[-1:])[0]
    return np.array(before), np.array(after)


# --- Loudness


def _spans(names, ends_s):
    """Yields (phone, its slice of a track, the slice from its opening on) for each phone."""
    edges = np.round(np.concatenate([[0], ends_s]) * TRACK_HZ).astype(int)
    for name, start, end in zip(names, edges, edges[1:]):
        opening = start + round(INVENTORY[name].open_share * (end - start))
        yield INVENTORY[name], slice(start, end), slice(opening, end)


def _voice(phones, ends_s):
    """The amplitude of voicing: accents are louder, the end of a sentence softer."""
    voice = np.zeros(len(times_s(ends_s)))
    names = [name.rstrip("1") for name in phones]
    for marked, (phone, whole, opened) in zip(phones, _spans(names, ends_s)):
        voice[whole] = phone.voice * (1.2 if marked.endswith("1") else 0.8 if marked == "AX" else 1)
        if phone.kind == "stop":
            voice[opened] *= 3
    fade = np.interp(times_s(ends_s), [ends_s[0], ends_s[-2] - 0.12, ends_s[-2]], [1.1, 0.9, 0.5])
    return smooth(voice, 0.02) * fade


def _breath(names, ends_s):
    """The amplitude of breath, in /h/ and after the burst of a stop."""
    breath = np.zeros(len(times_s(ends_s)))
    for name, (phone, whole, opened) in zip(names, _spans(names, ends_s)):
        if name == "HH":
            breath[whole] = 0.8
        elif phone.kind == "stop":
            breath[opened] = 0.2 if phone.voice else 1.0
    return smooth(breath, 0.02)


def _noise(noisy, names, ends_s):
    """The amplitude of the noise of one kind of phone; a stop's is a short burst."""
    noise = np.zeros(len(times_s(ends_s)))
    stop = INVENTORY[noisy].kind == "stop"
    for name, (phone, _, opened) in zip(names, _spans(names, ends_s)):
        if name == noisy:
            end = opened.start + round(BURST_S * TRACK_HZ) if stop else opened.stop
            noise[opened.start : end] = phone.noise
    return smooth(noise, 0.006 if stop else 0.03)


def _held(values, ends_s):
    """The track that has the value of each phone throughout its duration."""
    return np.array(values, float)[np.searchsorted(ends_s[:-1], times_s(ends_s), side="right")]
