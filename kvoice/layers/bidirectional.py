"""A bidirectional layer that is loaded as it was saved, whatever was loaded before it."""

from keras import layers


def bidirectional(layer):
    """Returns `keras.layers.Bidirectional(layer)`, and keeps the layer that it copies alive.

    While Keras 3.15 loads a model, it knows what it has met by its address in memory. `Bidirectional` drops the layer
    that it was given; where the next one came to lie at the same address, it was taken for the former, and the model
    failed to load, now and then.
    """
    both_ways = layers.Bidirectional(layer)
    both_ways.copied = lambda: layer  # in a function, where Keras does not look for weights
    return both_ways
