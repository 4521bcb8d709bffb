"""Resampling of time by whole factors, and convolutions with reflection padding."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvoice")
class ReflectConv1D(keras.layers.Conv1D):
    """A convolution over time with reflection padding at both ends.

    A kernel of k frames is padded by k // 2 frames before and, so that a stride of 1 keeps the
    length, k // 2 (odd k) or k // 2 - 1 (even k) after. A stride of s gives ceil(time / s) frames.

    Shapes: [batch, time, channels] -> [batch, ceil(time / strides), filters], for a time of more
    than k // 2 frames.

    Source: as PyTorch's `pad(mode="reflect")` before a convolution without padding.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **kwargs):
        super().__init__(filters, kernel_size, strides, padding="valid", **kwargs)

    @property
    def _margins(self):
        (size,) = self.kernel_size
        return size // 2, (size - 1) // 2

    def call(self, x):
        before, after = self._margins
        if before:
            x = ops.pad(x, [(0, 0), (before, after), (0, 0)], mode="reflect")
        return super().call(x)

    def compute_output_shape(self, shape):
        batch, time, channels = shape
        return super().compute_output_shape(
            (batch, time if time is None else time + sum(self._margins), channels)
        )

    def get_config(self) -> dict:
        config = super().get_config()
        del config["padding"]
        return config


@keras.saving.register_keras_serializable(package="kvoice")
class PixelShuffle1D(keras.layers.Layer):
    """Moves channels to time: channel `c * factor + r` of frame t to channel c of `t * factor + r`.

    Shapes: [batch, time, channels * factor] -> [batch, time * factor, channels].

    Args:
        factor: Number of output frames per input frame.

    Source: Shi et al. 2016, arXiv:1609.05158, in one dimension.
    """

    def __init__(self, factor: int, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        time, channels = ops.shape(x)[1], x.shape[-1] // self.factor
        x = ops.reshape(x, (-1, time, channels, self.factor))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2)), (-1, time * self.factor, channels))

    def compute_output_spec(self, x):
        batch, time, channels = x.shape
        return keras.KerasTensor(
            (batch, time and time * self.factor, channels // self.factor), x.dtype
        )

    def get_config(self) -> dict:
        return {**super().get_config(), "factor": self.factor}
