"""Instance normalisation over time, and its adaptive form."""

import keras
from keras import ops

EPSILON = 1e-5  # added to the variance, as PyTorch's InstanceNorm1d does


@keras.saving.register_keras_serializable(package="kvoice")
class InstanceNorm(keras.layers.Layer):
    """Normalises each channel over time: `(x - m) / sqrt(v + 1e-5)`.

    m and v are the mean and the (biased) variance of a channel of one item over time. This removes
    what is constant over time, such as the voice, and keeps what varies, such as the words. The
    layer has no parameters and is the same in training and inference.

    Shapes: [batch, time, channels] -> the same; with `statistics`, also [batch, 2 * channels]: the
    means, then the standard deviations `sqrt(v + 1e-5)`, as `AdaIN` takes them.

    Args:
        statistics: Whether to return the means and standard deviations as well.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.
    """

    def __init__(self, statistics: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.statistics = statistics

    def call(self, x):
        mean, variance = ops.moments(x, axes=[1], keepdims=True)  # [B, 1, C] each
        normalised = (x - mean) * ops.rsqrt(variance + EPSILON)
        if not self.statistics:
            return normalised
        return normalised, ops.concatenate([mean, ops.sqrt(variance + EPSILON)], axis=-1)[:, 0]

    def compute_output_shape(self, shape):
        return (shape, (shape[0], 2 * shape[-1])) if self.statistics else shape

    def get_config(self) -> dict:
        return {**super().get_config(), "statistics": self.statistics}


@keras.saving.register_keras_serializable(package="kvoice")
class AdaIN(keras.layers.Layer):
    """Replaces the mean and standard deviation of each channel over time by given ones.

    `output = std * (content - m) / sqrt(v + 1e-5) + mean`, with m and v the mean and variance of
    `content` over time.

    Shapes: `content` [batch, time, channels], `style` [batch, 2 * channels] (the means, then the
    standard deviations) -> [batch, time, channels].

    Raises:
        ValueError: If `style` is not twice as wide as `content`.

    Source: Huang & Belongie 2017, arXiv:1703.06868; in voice conversion, Chou, Yeh & Lee 2019,
    arXiv:1904.05742.
    """

    def build(self, content_shape, style_shape):
        if style_shape[-1] != 2 * content_shape[-1]:
            raise ValueError(
                f"{self.name}: style must have 2 * channels = {2 * content_shape[-1]} "
                f"values, got {style_shape[-1]}."
            )

    def call(self, content, style):
        mean, std = ops.split(style[:, None, :], 2, axis=-1)  # [B, 1, C] each
        m, v = ops.moments(content, axes=[1], keepdims=True)
        return std * (content - m) * ops.rsqrt(v + EPSILON) + mean

    def compute_output_shape(self, content_shape, style_shape):
        return content_shape
