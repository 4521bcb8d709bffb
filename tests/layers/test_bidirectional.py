import gc

import pytest
from keras import layers
from keras.src.saving.serialization_lib import ObjectSharingScope  # in which a model is loaded

from kvoice.layers.bidirectional import bidirectional

pytestmark = pytest.mark.backend


def test_layers_that_are_loaded_one_after_the_other_stay_apart():
    with ObjectSharingScope():
        found = []
        for _ in range(20):
            found.append(bidirectional(layers.LSTM(2)))
            gc.collect()  # what nobody holds gives its address to the next
    assert not any(each.forward_layer.go_backwards for each in found)
    assert all(each.backward_layer.go_backwards for each in found)
    parts = [part for each in found for part in (each.forward_layer, each.backward_layer)]
    assert len({id(part) for part in parts}) == 2 * len(found)


def test_the_layer_that_is_copied_has_no_weights_of_its_own():
    both_ways = bidirectional(layers.LSTM(2))
    both_ways.build((None, 3, 4))
    assert len(both_ways.weights) == 6
