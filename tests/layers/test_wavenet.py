import keras
import numpy as np
import pytest
from keras import ops

from kvoice.layers.wavenet import WaveNet

pytestmark = pytest.mark.backend


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def wavenet(seed=0, depth=4, channels=3, **changes):
    """A layer whose weights NumPy draws, the same on every backend."""
    layer = WaveNet(**{**dict(depth=depth, residual=5, gate=4, skip=6), **changes})
    layer.build((None, None, channels))
    rng = np.random.default_rng(seed)
    for variable in layer.variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return layer


def items(count=2, time=40, channels=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, time, channels)).astype("float32")


def reference(layer, x, dilations):
    """The output at one time after the other, from the formula alone."""
    weights = {
        id(part): (numpy(part.kernel).astype("float64"), numpy(part.bias))
        for part in (layer.project, *layer.gated, *layer.residuals, *layer.skips)
    }

    def dense(x, part):
        kernel, bias = weights[id(part)]
        return x @ kernel + bias

    now = dense(x, layer.project)
    output = np.zeros((*x.shape[:2], numpy(layer.skips[0].bias).size))
    for i, dilation in enumerate(dilations):
        kernel, bias = weights[id(layer.gated[i])]
        gated = []
        for t in range(x.shape[1]):
            before = now[:, t - dilation] if t >= dilation else np.zeros_like(now[:, 0])
            both = before @ kernel[0] + now[:, t] @ kernel[1] + bias
            values, gates = both[:, : both.shape[1] // 2], both[:, both.shape[1] // 2 :]
            gated.append(np.tanh(values) / (1 + np.exp(-gates)))
        gated = np.stack(gated, axis=1)
        output += dense(gated, layer.skips[i])
        if i + 1 < len(dilations):
            now = now + dense(gated, layer.residuals[i])
    return output


@pytest.mark.parametrize(
    ("changes", "dilations"),
    [
        (dict(depth=4), (1, 2, 4, 8)),
        (dict(depth=5, cycle=2), (1, 2, 1, 2, 1)),
        (dict(depth=1), (1,)),
    ],
)
def test_it_is_the_published_formula(changes, dilations):
    layer, x = wavenet(**changes), items()
    np.testing.assert_allclose(
        numpy(layer(x)), reference(layer, x, dilations), rtol=1e-4, atol=1e-4
    )


def test_backwards_is_the_same_on_time_reversed():
    there, back, x = wavenet(), wavenet(backwards=True), items()
    np.testing.assert_allclose(numpy(back(x)), numpy(there(x[:, ::-1].copy()))[:, ::-1], atol=1e-5)


def moved(layer, time=40, at=20):
    """The times at which the output follows what changes in the input at one time."""
    x = items(time=time)
    other = x.copy()
    other[:, at] += 1.0
    change = np.abs(numpy(layer(other)) - numpy(layer(x))).max(axis=(0, 2))
    return np.flatnonzero(change > 1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_frame_depends_on_two_to_the_depth_frames_up_to_itself(depth):
    times = moved(wavenet(depth=depth))
    assert (times[0], times[-1]) == (20, 20 + 2**depth - 1)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_backwards_a_frame_depends_on_itself_and_later_frames(depth):
    times = moved(wavenet(depth=depth, backwards=True))
    assert (times[0], times[-1]) == (20 - 2**depth + 1, 20)


def test_each_cycle_adds_as_much_to_the_receptive_field():
    times = moved(wavenet(depth=6, cycle=3))
    assert (times[0], times[-1]) == (20, 20 + 2 * (2**3 - 1))


def test_length_and_number_of_clips_are_free_and_clips_do_not_mix():
    layer, x = wavenet(), items(count=3)
    whole = numpy(layer(x))
    assert whole.shape == (3, 40, 6)
    np.testing.assert_allclose(numpy(layer(x[1:2, :25])), whole[1:2, :25], atol=1e-5)


def test_symbolic_shapes_are_those_of_the_values():
    symbolic = keras.Input((None, 3))
    model = keras.Model(symbolic, WaveNet(3, 5, 4, 6)(symbolic))
    assert model.output.shape == (None, None, 6)
    assert model(items()).shape == (2, 40, 6)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_saved_layer_gives_the_same_output(tmp_path, backwards):
    layer, x = wavenet(cycle=3, backwards=backwards), items()
    model = keras.Sequential([keras.Input((None, 3)), layer])
    want = numpy(model(x))
    model.save(tmp_path / "wavenet.keras")
    again = keras.saving.load_model(tmp_path / "wavenet.keras")
    np.testing.assert_allclose(numpy(again(x)), want, atol=1e-6)
    assert again.layers[0].get_config() == layer.get_config()
    assert (
        layer.get_config().items()
        >= {
            "depth": 4,
            "residual": 5,
            "gate": 4,
            "skip": 6,
            "cycle": 3,
            "backwards": backwards,
        }.items()
    )
