"""Renders the output of a model as sound: vocoder or Griffin-Lim, fades, level and length.

    waves(items, spec, domain, vocoder)     # a batch of mels or waves, before any fade
    sound(mel, spec, samples, vocoder)      # one mel, of a given length, faded in and out

All sounds of kvoice are made by one of the two.
"""

import math
from collections.abc import Callable

import numpy as np

from kvoice import audio, progress

EDGE_S = 0.01  # fade at both ends of a file, since a crop of speech begins and ends in a sound
HIGHEST = 0.99  # largest sample of a wave levelled to its source, full scale = 1
ROUNDS = 60  # iterations of Griffin-Lim


def crossfaded(waves: np.ndarray, fade: int) -> np.ndarray:
    """Joins waves, each faded into the next over `fade` samples.

    The two gains of a fade sum to 1.

    Shapes: waves [n, samples] -> [n * samples - (n - 1) * fade], with a fade no longer than half a
    wave.
    """
    count, samples = np.shape(waves)
    fade = min(fade, samples // 2)
    rising = np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    joined = np.zeros(count * samples - (count - 1) * fade, np.float32)
    for k, wave in enumerate(np.array(waves, np.float32)):
        if k > 0:
            wave[:fade] *= rising
        if k < count - 1:
            wave[samples - fade :] *= rising[::-1]
        joined[k * (samples - fade) :][:samples] += wave
    return joined


def faded(wave: np.ndarray, fade: int) -> np.ndarray:
    """Fades a wave [samples] in and out over `fade` samples."""
    rising = np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    wave = np.array(wave, np.float32)
    wave[:fade] *= rising
    wave[len(wave) - fade :] *= rising[::-1]
    return wave


def eased(wave: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Fades a wave in and out over `EDGE_S`: [samples] -> the same."""
    return faded(wave, round(EDGE_S * spec.sample_rate_hz))


def waves(
    items: np.ndarray,
    spec: audio.Spec,
    domain: str = "mel",
    vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Renders the items of a model as waves, without the pre-emphasis of the Spec.

    Mels are clipped to the bounds of the Spec, which no recording exceeds.

    Shapes: items [n, time, mels] -> [n, time * hop]; [n, samples] of waves -> the same.

    Args:
        items: Mels on the scale of the Spec, or waves conditioned by it.
        spec: The Spec of the items.
        domain: "mel" or "wave".
        vocoder: A `vocode.Vocoder`; None = Griffin-Lim. Both work on long mels piece by piece.
    """
    if domain != "mel":
        return audio.deemphasised(np.asarray(items), spec)
    mels = np.clip(items, spec.low, spec.high)
    if vocoder:
        return vocoder(mels)
    mels = np.concatenate([mels, mels[:, -1:]], axis=1)  # Griffin-Lim gives a hop less than frames
    count, frames, _ = mels.shape
    with progress.bar(total=count * (frames - 1), desc="Griffin-Lim", unit="frame") as bar:
        return np.stack(
            [audio.long_griffin_lim(mel, spec, ROUNDS, on_chunk=bar.update) for mel in mels]
        )


def sound(
    mel: np.ndarray,
    spec: audio.Spec,
    samples: int | None = None,
    vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Renders a mel as a wave, faded in and out over `EDGE_S`.

    Shapes: mel [time, mels] -> [time * hop], or [samples].

    Args:
        mel: See `waves`.
        spec: See `waves`.
        samples: The length of the wave, at most time * hop; None = that.
        vocoder: See `waves`.
    """
    (wave,) = waves(mel[None], spec, vocoder=vocoder)
    return eased(wave if samples is None else fitted(wave, samples), spec)


def fitted(wave: np.ndarray, samples: int) -> np.ndarray:
    """Cuts a wave, or pads it with silence, to a number of samples."""
    wave = wave[:samples]
    return np.pad(wave, (0, samples - len(wave)))


def levelled(wave: np.ndarray, like: np.ndarray) -> tuple[np.ndarray, float]:
    """Scales a wave to the standard deviation of another, with no sample above `HIGHEST`.

    Where one would exceed it, the whole wave is attenuated instead. Silence stays silence, and a
    constant offset does not count as loudness.

    Shapes: wave [samples], like [any] -> [samples], and the attenuation in dB, 0 or more.
    """
    own, wanted = (float(np.std(each, dtype=np.float64)) for each in (wave, like))
    wave = wave * np.float32(wanted / own) if own > 1e-9 else wave
    passes = max(1.0, float(np.abs(wave).max(initial=0)) / HIGHEST)
    return wave / np.float32(passes), 20 * math.log10(passes)
