"""The mel of a wave, to differentiate through."""

import numpy as np
from keras import ops

TINY = 1e-14  # is added to an energy, so that its root has a slope in silence too


def mel(wave, window, hop, power, filters, floor, logarithm, slope, offset, low, high):
    """The scaled mel spectrogram of waves in `keras.ops`: the formula of `audio.numbers`.

    The gradient is zero where a band lies below the floor, and where the result lies beyond `low`
    or `high`: no small change of the wave shows there, and an ascent is not pulled back from there.

    Shapes: wave [batch, samples] -> [batch, 1 + samples // hop, mels]; `samples` is known.

    Args:
        wave: float32, conditioned as the Spec says.
        window: [fft].
        hop: Samples from one frame to the next.
        power: Of the magnitude that the bands sum: 1 or 2.
        filters: [1 + fft // 2, mels].
        floor: Smallest magnitude told from silence.
        logarithm: Whether the mel is one of the logarithm.
        slope: What it is multiplied by.
        offset: What is added then.
        low: Of the result.
        high: Of the result.
    """
    fft = len(window)
    mirrored = np.pad(np.arange(wave.shape[1]), fft // 2, mode="reflect")
    before, after = mirrored[: fft // 2], mirrored[-fft // 2 :]
    before, after = ops.take(wave, before, axis=1), ops.take(wave, after, axis=1)
    wave = ops.concatenate([before, wave, after], axis=1)  # [B, samples + fft]
    real, imaginary = ops.stft(wave, fft, hop, fft, window, center=False)  # [B, frames, bins] each
    size = ops.square(real) + ops.square(imaginary)
    if power == 1:
        size = ops.sqrt(size + TINY)
    magnitude = ops.maximum(ops.matmul(size, filters), floor)  # [B, frames, mels]
    values = ops.log(magnitude) if logarithm else magnitude
    return ops.clip(slope * values + offset, low, high)
