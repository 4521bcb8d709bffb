"""A step of a normalising flow over audio: an invertible mixing, then an affine coupling.

Source: Prenger, Valle & Catanzaro 2019, arXiv:1811.00002, after Kingma & Dhariwal 2018,
    arXiv:1807.03039.
"""

import keras
import numpy as np
from keras import ops

from kvoice import backend
from kvoice.layers.weight_norm import WeightNorm, convolved


def log_abs_determinant(matrix):
    """`ln |det|` of a square matrix, in float32.

    Computed from the QR decomposition, which compiles and has a gradient on all backends. The sign
    is ignored, so that a determinant that becomes negative does no harm.

    Shapes: [size, size] -> scalar.
    """
    _, upper = ops.qr(ops.cast(matrix, "float32"))
    return ops.sum(ops.log(ops.abs(ops.diagonal(upper))))


@keras.saving.register_keras_serializable(package="kvoice")
class InvertibleMixing(keras.layers.Layer):
    """Multiplies the channels of each step by a matrix, initialised to a rotation.

    Args:
        channels: Number of channels.
        seed: Seed of the rotation.
    """

    def __init__(self, channels: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self._config = dict(channels=channels, seed=seed)
        rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(channels, channels)))
        if np.linalg.det(rotation) < 0:
            rotation[:, 0] *= -1
        # Named as the published weights: out = x @ matrix, their transpose.
        self.matrix = self.add_weight(
            shape=(1, channels, channels),
            name="matrix",
            initializer=lambda *_, **__: ops.convert_to_tensor(rotation.T[None], "float32"),
        )
        self.built = True

    def inverse(self):
        """Returns the inverse matrix, [1, channels, channels] float32."""
        return ops.inv(ops.convert_to_tensor(self.matrix))

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}


@keras.saving.register_keras_serializable(package="kvoice")
class CouplingNetwork(keras.layers.Layer):
    """Predicts the affine change of one half of the channels from the other half and the mel.

    Dilated, gated, non-causal convolutions with a dilation of 2^i steps in layer i. The last layer
    is initialised to zero, so that a new network changes nothing. It computes in the dtype of the
    policy; inputs and outputs are float32.

    Args:
        half: Number of channels that stay the same and are the input.
        changed: Number of channels that are changed.
        conditions: Number of channels of the condition.
        width: Number of channels of each layer.
        depth: Number of layers.
        kernel: Kernel size of each layer, in steps of time; odd.
        seed: Seed of the initial weights.
    """

    def __init__(
        self,
        half: int,
        changed: int,
        conditions: int,
        width: int,
        depth: int,
        kernel: int,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._config = dict(
            half=half,
            changed=changed,
            conditions=conditions,
            width=width,
            depth=depth,
            kernel=kernel,
            seed=seed,
        )
        self.width, self.depth, self.changed = width, depth, changed
        self.reach = kernel // 2 * 2 ** (depth - 1)  # of the last layer
        self.start = WeightNorm(half, width, seed=seed + 10)
        self.cond_layer = WeightNorm(conditions, 2 * width, layers=depth, seed=seed + 20)
        self.in_layers = WeightNorm(width, 2 * width, kernel, layers=depth, seed=seed + 30)
        self.res_skip_layers = WeightNorm(width, 2 * width, layers=depth - 1, seed=seed + 40)
        self.skip_layer = WeightNorm(width, width, seed=seed + 50)
        self.end = keras.layers.Conv1D(2 * changed, 1, kernel_initializer="zeros", dtype="float32")
        self.end.build((None, None, width))
        self.built = True

    def folded(self):
        """Returns the weights as `changes` takes them, in the dtype that it computes in."""
        parts = {
            "start": self.start,
            "cond": self.cond_layer,
            "in": self.in_layers,
            "res_skip": self.res_skip_layers,
            "skip": self.skip_layer,
        }
        kept = {
            name: [ops.cast(each, self.compute_dtype) for each in part.folded()]
            for name, part in parts.items()
        }
        return {**kept, "end": [self.end.kernel.value, self.end.bias.value]}

    def changes(self, kept, conditions, weights):
        """Predicts the offset and the logarithm of the scale of the other half.

        Shapes: `kept` [batch, time, half], `conditions` [batch, time, conditions], `weights` from
        `folded` -> offset and log scale, each [batch, time, changed].
        """
        conditions = ops.cast(conditions, self.compute_dtype)

        def gated(x, layer, kernel, bias, cond_kernel, cond_bias):
            reached = convolved(
                x, kernel, bias + cond_bias, 2**layer, self.reach, (conditions, cond_kernel[0])
            )
            values, gates = ops.split(reached, 2, axis=-1)
            return ops.tanh(values) * ops.sigmoid(gates)  # [B, T, C]

        def layer(state, i, *weights):
            x, total = state
            residual, skip = ops.split(
                convolved(gated(x, i, *weights[:4]), *weights[4:]), 2, axis=-1
            )
            return x + residual, total + skip

        every = [*weights["in"], *weights["cond"]]
        x = convolved(ops.cast(kept, self.compute_dtype), *(each[0] for each in weights["start"]))
        x, total = backend.repeated(
            layer, (x, ops.zeros_like(x)), [*(each[:-1] for each in every), *weights["res_skip"]]
        )
        last = gated(x, self.depth - 1, *(each[-1] for each in every))
        total = total + convolved(last, *(each[0] for each in weights["skip"]))
        out = convolved(ops.cast(total, "float32"), *weights["end"])
        return out[..., : self.changed], out[..., self.changed :]

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}


@keras.saving.register_keras_serializable(package="kvoice")
class FlowStep(keras.layers.Layer):
    """One invertible step of the flow: a mixing of the channels, then an affine coupling.

    Args:
        channels: Number of channels of the audio; even.
        swapped: Whether the second half of the channels conditions the first, instead of the other
            way round.
        seed: Seed of the initial weights.
        network: Further arguments of `CouplingNetwork`.
    """

    def __init__(self, channels: int, swapped: bool = False, seed: int = 0, **network):
        super().__init__(
            **{
                name: network.pop(name)
                for name in ("name", "dtype", "trainable")
                if name in network
            }
        )
        self._config = dict(channels=channels, swapped=swapped, seed=seed, **network)
        self.swapped, self.half = swapped, channels // 2
        self.mixing = InvertibleMixing(channels, seed, dtype="float32")
        self.network = CouplingNetwork(
            self.half, self.half, seed=seed, dtype=self.dtype_policy, **network
        )
        self.built = True

    def _parts(self, x):
        first, second = x[..., : self.half], x[..., self.half :]
        return (second, first) if self.swapped else (first, second)

    def _whole(self, kept, changed):
        return ops.concatenate([changed, kept] if self.swapped else [kept, changed], axis=-1)

    def forward(self, x, conditions):
        """Applies the step in the direction from audio to noise.

        Shapes: `x` [batch, time, channels], `conditions` [batch, time, any] -> the same as x, the
        logarithms of the scales [batch, time, channels // 2], and `ln |det|` of the mixing, a
        scalar.
        """
        matrix = self.mixing.matrix.value
        x = convolved(x, matrix, 0.0)
        kept, changed = self._parts(x)
        offset, log_scale = self.network.changes(kept, conditions, self.network.folded())
        return (
            self._whole(kept, changed * ops.exp(log_scale) + offset),
            log_scale,
            log_abs_determinant(matrix[0]),
        )

    def folded(self):
        """Returns the weights for `inverse`: those of the network, and the inverse matrix."""
        return {"network": self.network.folded(), "unmixing": self.mixing.inverse()}

    def inverse(self, x, conditions, weights):
        """Applies the inverse of `forward`; `weights` are the return value of `folded`."""
        kept, changed = self._parts(x)
        offset, log_scale = self.network.changes(kept, conditions, weights["network"])
        x = self._whole(kept, (changed - offset) * ops.exp(-log_scale))
        return convolved(x, weights["unmixing"], 0.0)

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}
