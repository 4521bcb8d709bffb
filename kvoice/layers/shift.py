"""Waves along the bins of an image, shifted by a code."""

import math

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="kvoice")
class ShiftedBasis(layers.Layer):
    """Sines and cosines of the place `u - s`, where the shifts s are linear in the code.

    The place u goes from -1 to 1 along the bins; each of `heads` shifts is a linear function of the
    code. The waves have 1/2, 1, 2, 4, ... turns from end to end, up to
    one in four bins. Any function of them moves along the bins unchanged when a shift changes: in a
    constant-Q transform that is a change of pitch. An uncertain posterior of the shift blurs the
    short waves and keeps the long ones, so that a decoder learns from coarse to fine.

    Shapes: codes [batch, latents] -> [batch, bins, heads * 2 * waves].

    Args:
        bins: Number of bins.
        heads: Number of shifts.

    Raises:
        ValueError: If `bins` is below 4.

    Source: our own; the place as a wave after Tancik et al. 2020, arXiv:2006.10739 (Fourier
    features), a decoder that is conditioned on the place after Watters et al. 2019,
    arXiv:1901.07017.
    """

    def __init__(self, bins: int, heads: int = 8, **kwargs):
        super().__init__(**kwargs)
        if bins < 4:
            raise ValueError(f"bins: {bins} must be at least 4.")
        self.bins, self.heads = bins, heads
        self.turns = 2.0 ** np.arange(-1, int(math.log2(bins / 4)) + 1)  # from end to end
        self.linear = layers.Dense(heads, dtype=self.dtype_policy)

    def build(self, codes_shape):
        self.linear.build(codes_shape)

    def shifts(self, codes):
        """Returns the shifts, in half lengths of the axis: [batch, latents] -> [batch, heads]."""
        return self.linear(codes)

    def call(self, codes):
        place = ops.linspace(-1.0, 1.0, self.bins)
        shifts = ops.cast(self.shifts(codes), "float32")  # angles of many turns need its digits
        away = place[None, :, None] - shifts[:, None, :]  # [B, bins, heads]
        angles = away[..., None] * ops.convert_to_tensor(math.pi * self.turns, "float32")
        waves = ops.concatenate(
            [ops.sin(angles), ops.cos(angles)], axis=-1
        )  # [B, bins, heads, 2 W]
        waves = ops.reshape(waves, (-1, self.bins, self.heads * 2 * len(self.turns)))
        return ops.cast(waves, self.compute_dtype)

    def compute_output_shape(self, codes_shape):
        return (codes_shape[0], self.bins, self.heads * 2 * len(self.turns))

    def get_config(self) -> dict:
        return {**super().get_config(), "bins": self.bins, "heads": self.heads}
