"""Mels, band by band, as deviations from what is usual."""

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="kvoice")
class Standardised(keras.layers.Layer):
    """`(mel - mean) / std`, with a mean and a spread for each band that are saved with the model.

    They are 0 and 1 until they are set; no training changes them.

    Shapes: [..., mels] -> the same.

    Args:
        mels: Bands.
    """

    def __init__(self, mels, **kwargs):
        super().__init__(**kwargs)
        self.mels = mels
        self.mean, self.std = (
            self.add_weight(shape=(mels,), initializer=value, trainable=False, name=name)
            for name, value in (("mean", "zeros"), ("std", "ones")))
        self.built = True

    def adapt(self, source):
        """Takes both from the data that a model will be trained on, a `data.source.Source`."""
        self.set(*source.moments())

    def set(self, mean, std):
        """Sets both, [mels] each, in the unit of the mels; a band that never changes keeps a spread."""
        self.mean.assign(np.float32(mean))
        self.std.assign(np.maximum(np.float32(std), 1e-5))

    def call(self, mel):
        return (mel - self.mean) / self.std

    def undone(self, standardised):
        """The mel again."""
        return standardised * self.std + self.mean

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "mels": self.mels}
