"""A stack of dilated, gated convolutions over time."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="kvoice")
class WaveNet(keras.layers.Layer):
    """A stack of dilated, gated convolutions with residual and skip connections.

    Layer i convolves with two taps that lie `2^(i mod cycle)` steps apart, causally:
    `gated = tanh(filter(x)) * sigmoid(gate(x))`, then `x = x + residual(gated)`; the output is the
    sum over all layers of `skip(gated)`. After `depth` layers of one cycle a frame
    depends on `2^depth` frames, itself the last.

    Shapes: `x` [batch, time, any] -> [batch, time, skip].

    Args:
        depth: Number of layers.
        residual: Number of channels from layer to layer; the input is projected to them.
        gate: Number of channels of each gated convolution.
        skip: Number of channels of the output.
        cycle: Number of layers after which the dilation starts at 1 again.
        backwards: Whether the stack is anti-causal: a frame depends on itself and later frames.

    Source: van den Oord et al. 2016, arXiv:1609.03499, section 2.4.
    """

    def __init__(
        self,
        depth: int,
        residual: int,
        gate: int,
        skip: int,
        cycle: int = 10,
        backwards: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.backwards = backwards
        self._config = dict(
            depth=depth, residual=residual, gate=gate, skip=skip, cycle=cycle, backwards=backwards
        )
        self.project = layers.Dense(residual)
        dilations = [2 ** (i % cycle) for i in range(depth)]
        self.gated = [
            layers.Conv1D(2 * gate, 2, padding="causal", dilation_rate=d) for d in dilations
        ]
        self.residuals = [layers.Dense(residual) for _ in dilations[1:]]
        self.skips = [layers.Dense(skip) for _ in dilations]

    def build(self, shape):
        gate, residual = self._config["gate"], self._config["residual"]
        self.project.build(shape)
        for layer in self.gated:
            layer.build((*shape[:-1], residual))
        for layer in (*self.residuals, *self.skips):
            layer.build((*shape[:-1], gate))
        self.built = True

    def call(self, x):
        x = ops.flip(x, axis=1) if self.backwards else x
        x, total = self.project(x), 0.0  # [B, T, residual]
        for i, (convolution, skip) in enumerate(zip(self.gated, self.skips)):
            values, gates = ops.split(convolution(x), 2, axis=-1)
            gated = ops.tanh(values) * ops.sigmoid(gates)  # [B, T, gate]
            total = total + skip(gated)
            if i < len(self.residuals):  # the output of the last layer goes to its skip alone
                x = x + self.residuals[i](gated)
        return ops.flip(total, axis=1) if self.backwards else total  # [B, T, skip]

    def compute_output_shape(self, shape):
        return (*shape[:-1], self._config["skip"])

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}
