"""Phase shuffle: the layer that prevents a critic of waves from relying on the phase alone."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="kvoice")
class PhaseShuffle(layers.Layer):
    """Shifts each item along time by a random whole number of steps, in training only.

    Transposed convolutions leave artefacts at a fixed phase. A critic that sees the exact
    phase can detect generated waves by them alone, and the generator learns nothing else. One shift
    is drawn for each item, uniformly from -n ... n, the same for all channels; what is missing at
    the border is the reflection of the item at its first or last step.

    Shapes: [batch, time, channels] -> the same.

    Args:
        n: The largest shift, in steps of time; the input must be longer. 0 = no shift.
        seed: Seed of the shifts. Two layers of one critic should not share it.

    Raises:
        ValueError: If n is negative, or time is no longer than n.

    Source: Donahue, McAuley & Puckette 2018, arXiv:1802.04208, "phase shuffle". Differs: the
    official code shifts all items of a batch by the same draw.
    """

    def __init__(self, n: int = 2, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        if n < 0:
            raise ValueError(f"n: {n} must not be negative.")
        self.n, self.seed = n, seed
        self._random = keras.random.SeedGenerator(seed)

    def build(self, shape):
        if shape[1] is not None and shape[1] <= self.n:
            raise ValueError(f"n: {self.n} must be less than the {shape[1]} steps of time.")
        self.built = True

    def call(self, x, training=False):
        if not training or not self.n:
            return x
        count = ops.shape(x)[0]
        shift = keras.random.randint((count,), -self.n, self.n + 1, seed=self._random)
        return shifted(x, shift)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self) -> dict:
        return {**super().get_config(), "n": self.n, "seed": self.seed}


def shifted(x, shift):
    """Shifts each item along time by its own number of steps, with reflection at both ends.

    Step t of an item is its step |t - shift|, mirrored at the last one where it lies beyond. Taken
    as rows of all items at once: on TensorFlow, element by element cost a training step half as
    much again.

    Shapes: x [batch, time, channels], shift [batch] int, |shift| < time -> [batch, time, channels].
    """
    time, channels = x.shape[1:]
    last = time - 1
    place = ops.arange(time, dtype="int32") - ops.cast(shift, "int32")[:, None]  # [B, T]
    place = last - ops.abs(last - ops.abs(place))
    first = time * ops.arange(ops.shape(x)[0], dtype="int32")  # row of each item
    rows = ops.reshape(place + first[:, None], (-1,))  # [B * T]
    taken = ops.take(ops.reshape(x, (-1, channels)), rows, axis=0)
    return ops.reshape(taken, (-1, time, channels))  # [B, T, C]
