"""From mels to waves: a vocoder or Griffin-Lim, then fades, level and length."""

import math

import numpy as np

from kvoice import audio, progress

EDGE_S = 0.01  # at both ends of a file: a crop of speech begins and ends in the middle of a sound
HIGHEST = 0.99  # sample of what is rendered as loud as its source, full scale = 1


def crossfaded(waves, fade):
    """Waves one after the other, each faded into the next over `fade` samples.

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
            wave[samples - fade:] *= rising[::-1]
        joined[k * (samples - fade):][:samples] += wave
    return joined


def faded(wave, fade):
    """A wave [samples] that rises from zero over `fade` samples, and falls to zero at its end."""
    rising = np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    wave = np.array(wave, np.float32)
    wave[:fade] *= rising
    wave[len(wave) - fade:] *= rising[::-1]
    return wave


def eased(wave, spec):
    """A wave that is faded in and out over `EDGE_S`: [samples] -> the same."""
    return faded(wave, round(EDGE_S * spec.sample_rate_hz))


def segment(mel, spec, vocoder=None):
    """The wave of a short mel, faded in and out: [time, mels] -> [samples], as `audio.as_waves` has them."""
    (wave,) = audio.as_waves(mel[None], "mel", spec, vocoder)
    return eased(wave, spec)


def sound(mel, spec, samples, vocoder=None):
    """The wave of a mel, faded in and out over 10 ms.

    The last frame stands once more, so that a part of a hop at the end sounds too. What a model says beyond the
    bounds of the Spec, which no recording passes, is brought back to them.

    Shapes: mel [1 + samples // hop, mels] -> [samples].

    Args:
        mel: On the scale of the Spec.
        spec: Of the mel and of the wave.
        samples: Of the wave.
        vocoder: A `vocode.Vocoder`, which works on long mels piece by piece itself; None = Griffin-Lim.
    """
    mel = np.clip(np.concatenate([mel, mel[-1:]]), spec.low, spec.high)
    if vocoder:
        wave = vocoder(mel)
    else:
        with progress.bar(total=len(mel) - 1, desc="Griffin-Lim", unit="frame") as bar:
            wave = audio.long_griffin_lim(mel, spec, on_chunk=bar.update)
    return eased(fitted(wave, samples), spec)


def fitted(wave, samples):
    """The wave cut, or filled with silence, to a number of samples."""
    wave = wave[:samples]
    return np.pad(wave, (0, samples - len(wave)))


def levelled(wave, like):
    """The wave as loud as another one, by the standard deviation of both; no sample passes `HIGHEST`.

    Where one would, all of it is made fainter instead. Silence stays silence, and a constant offset is not loud.

    Shapes: wave [samples], like [any] -> [samples], and by how many dB it was made fainter, 0 or more.
    """
    own, wanted = (float(np.std(each, dtype=np.float64)) for each in (wave, like))
    wave = wave * np.float32(wanted / own) if own > 1e-9 else wave
    passes = max(1.0, float(np.abs(wave).max(initial=0)) / HIGHEST)
    return wave / np.float32(passes), 20 * math.log10(passes)
