"""A bidirectional layer that loads reliably, whatever was loaded before it."""

from keras import layers


def bidirectional(layer: layers.Layer) -> layers.Bidirectional:
    """Returns `keras.layers.Bidirectional(layer)` with a reference to the layer that it copies.

    While Keras 3.15 loads a model, it identifies objects by their address in memory.
    `Bidirectional` drops the layer that it was given; when the next one was allocated at the same
    address, Keras took it for the former, and the model occasionally failed to load.

    Args:
        layer: A recurrent Keras layer.
    """
    both_ways = layers.Bidirectional(layer)
    both_ways.copied = lambda: layer  # in a function, where Keras does not look for weights
    return both_ways
