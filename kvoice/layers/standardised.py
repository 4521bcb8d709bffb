"""Standardisation of mels, band by band."""

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="kvoice")
class Standardised(keras.layers.Layer):
    """Computes `(mel - mean) / std` with a mean and a standard deviation for each band.

    They are saved with the model, 0 and 1 until they are set, and not trained.

    Shapes: [..., mels] -> the same.

    Args:
        mels: Number of bands.
    """

    def __init__(self, mels: int, **kwargs):
        super().__init__(**kwargs)
        self.mels = mels
        self.mean, self.std = (
            self.add_weight(shape=(mels,), initializer=value, trainable=False, name=name)
            for name, value in (("mean", "zeros"), ("std", "ones"))
        )
        self.built = True

    def adapt(self, source):
        """Sets both from the training data, a `data.source.Source`."""
        self.set(*source.moments())

    def set(self, mean: np.ndarray, std: np.ndarray) -> None:
        """Sets both, [mels] each, in the unit of the mels; the std is at least 1e-5."""
        self.mean.assign(np.float32(mean))
        self.std.assign(np.maximum(np.float32(std), 1e-5))

    def call(self, mel):
        return (mel - self.mean) / self.std

    def undone(self, standardised):
        """Restores the mel from a standardised one, the inverse of `call`."""
        return standardised * self.std + self.mean

    def compute_output_shape(self, shape):
        return shape

    def get_config(self) -> dict:
        return {**super().get_config(), "mels": self.mels}
