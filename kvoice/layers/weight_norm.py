"""Weight normalisation, and convolutions as matrix products."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvoice")
class WeightNorm(keras.layers.Layer):
    """The weights of convolutions over time: `kernel = g * v / |v|`, for each filter by itself.

    It holds and folds the weights of several layers of one size; `convolved` uses them. They are
    initialised as in PyTorch: uniform within `1 / sqrt(kernel * inputs)`, and g = |v|.

    Args:
        inputs: Number of channels of the input.
        filters: Number of channels of the output.
        kernel: Kernel size, in steps of time.
        layers: Number of layers of this size.
        seed: Seed of the initial weights.

    Source: Salimans & Kingma 2016, arXiv:1602.07868, equation 2.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        kernel: int = 1,
        layers: int = 1,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._config = dict(inputs=inputs, filters=filters, kernel=kernel, layers=layers, seed=seed)
        bound = (kernel * inputs) ** -0.5
        self.v, self.bias = (
            self.add_weight(
                shape=(layers, *shape),
                name=name,
                initializer=keras.initializers.RandomUniform(-bound, bound, seed + i),
            )
            for i, (name, shape) in enumerate(
                (("v", (kernel, inputs, filters)), ("bias", (filters,)))
            )
        )
        self.g = self.add_weight(
            shape=(layers, 1, 1, filters), name="g", initializer=lambda *_, **__: self._norm()
        )
        self.built = True

    def _norm(self):
        return ops.sqrt(ops.sum(ops.square(self.v.value), axis=(1, 2), keepdims=True))

    def folded(self):
        """Returns kernels [layers, taps, inputs, filters] and biases [layers, filters], float32."""
        return self.v.value * (self.g.value / ops.maximum(self._norm(), 1e-12)), self.bias.value

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}


def convolved(x, kernel, bias, dilation=1, reach=0, beside=None):
    """A convolution with zero padding, computed as one matrix product.

    On a CPU that is faster than the dilated convolutions of the backends.

    Shapes: x [batch, time, inputs], kernel [taps, inputs, filters], bias [filters] ->
    [batch, time, filters].

    Args:
        dilation: Steps of time from one tap to the next; a number, or a scalar tensor.
        reach: Padding at each end, in steps of time; at least `dilation * (taps // 2)`.
        beside: Pair of further inputs [batch, time, more] and their matrix [more, filters], whose
            product is added.
    """
    taps, inputs, filters = kernel.shape
    batch, time = ops.shape(x)[:2]
    parts, matrices = [x], [ops.reshape(kernel, (taps * inputs, filters))]
    if taps > 1:
        padded = ops.pad(x, ((0, 0), (reach, reach), (0, 0)))
        first = reach - dilation * (taps // 2)
        parts = [
            ops.slice(padded, (0, first + i * dilation, 0), (batch, time, inputs))
            for i in range(taps)
        ]
    if beside is not None:
        parts, matrices = [*parts, beside[0]], [*matrices, beside[1]]
    joined = ops.concatenate(parts, axis=-1) if len(parts) > 1 else x
    matrix = ops.concatenate(matrices, axis=0) if len(matrices) > 1 else matrices[0]
    rows = ops.reshape(joined, (-1, joined.shape[-1]))
    return ops.reshape(ops.matmul(rows, matrix) + bias, (-1, time, filters))
