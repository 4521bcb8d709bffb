"""Convolutions whose kernel is a direction and a length, and the same as products of matrices."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvoice")
class WeightNorm(keras.layers.Layer):
    """The weights of a convolution over time: `kernel = g * v / |v|`, for each filter by itself.

    It holds and folds them; `convolved` uses what `folded` gives. They begin as PyTorch's do:
    uniform within `1 / sqrt(kernel * inputs)`, and g = |v|.

    Args:
        inputs: Channels of the input.
        filters: Channels of the output.
        kernel: Taps, odd.
        seed: Of the first weights.

    Source: Salimans & Kingma 2016, arXiv:1602.07868, equation 2.
    """

    def __init__(self, inputs, filters, kernel=1, seed=0, **kwargs):
        super().__init__(**kwargs)
        self._config = dict(inputs=inputs, filters=filters, kernel=kernel, seed=seed)
        bound = (kernel * inputs) ** -0.5
        self.v, self.bias = (
            self.add_weight(shape=shape, name=name,
                            initializer=keras.initializers.RandomUniform(-bound, bound, seed + i))
            for i, (name, shape) in enumerate((("v", (kernel, inputs, filters)), ("bias", (filters,)))))
        self.g = self.add_weight(shape=(1, 1, filters), name="g", initializer=lambda *_, **__: self._norm())
        self.built = True

    def _norm(self):
        return ops.sqrt(ops.sum(ops.square(self.v.value), axis=(0, 1), keepdims=True))

    def folded(self):
        """The kernel [taps, inputs, filters] and the bias [filters], in float32."""
        return self.v.value * (self.g.value / ops.maximum(self._norm(), 1e-12)), self.bias.value

    def get_config(self):
        return {**super().get_config(), **self._config}


def convolved(x, kernel, bias, dilation=1):
    """A convolution with zeros beyond both ends, written as one product of matrices.

    On a CPU that is faster than the dilated convolutions of all three backends.

    Shapes: x [batch, time, inputs], kernel [taps, inputs, filters], bias [filters] ->
    [batch, time, filters].

    Args:
        dilation: Steps from one tap to the next.
    """
    taps, inputs, filters = kernel.shape
    time = ops.shape(x)[1]
    if taps > 1:
        reach = dilation * (taps // 2)
        padded = ops.pad(x, ((0, 0), (reach, reach), (0, 0)))
        x = ops.concatenate([padded[:, i * dilation : i * dilation + time] for i in range(taps)], axis=-1)
    rows = ops.reshape(x, (-1, taps * inputs))
    product = ops.matmul(rows, ops.reshape(kernel, (taps * inputs, filters))) + bias
    return ops.reshape(product, (-1, time, filters))
