"""Vocal tract length perturbation (VTLP) of mels: a random change of their frequencies."""

import keras
from keras import ops


def shifted(mels, shares):
    """Shifts each mel along its bands, which scales the frequencies above some 1 kHz.

    Between two bands it interpolates; beyond the ends the last band is repeated.

    Shapes: mels [batch, time, bands], shares [batch, 1] -> [batch, time, bands].

    Args:
        mels: Mels on a logarithmic scale.
        shares: By what share of the bands each mel is shifted: a positive one lowers all
            frequencies, pitch and formants.

    Source: Jaitly & Hinton 2013, "Vocal tract length perturbation"; differs: a shift on the mel
    scale, which changes the pitch too, in place of a warp of the frequencies.
    """
    size, dtype = mels.shape[-1], keras.backend.standardize_dtype(mels.dtype)
    bands = ops.arange(size, dtype=dtype)
    places = ops.clip(bands + ops.cast(shares, dtype) * size, 0, size - 1)  # [B, M]
    weights = ops.relu(1 - ops.abs(places[:, None, :] - bands[:, None]))  # [B, M, M]
    return ops.matmul(mels, weights)
