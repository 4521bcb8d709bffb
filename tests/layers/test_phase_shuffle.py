import keras
import numpy as np
import pytest
from keras import ops

from kvoice import backend
from kvoice.layers.phase_shuffle import PhaseShuffle, shifted
from kvoice.steps import OptimizerGroup, StepModel

pytestmark = pytest.mark.backend

N = 2


def items(count=64, time=16, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, time, channels)).astype("float32")


def shuffled(layer, x):
    return ops.convert_to_numpy(layer(ops.convert_to_tensor(x), training=True))


def reflected(item, shift):
    """NumPy's own reflection: item[t - shift], for one item [time, channels]."""
    padded = np.pad(item, ((N, N), (0, 0)), mode="reflect")
    return padded[N - shift : N - shift + len(item)]


def drawn(x, y):
    """The shift of each item, found by comparing with all that are allowed: exactly one fits."""
    fits = [
        [s for s in range(-N, N + 1) if np.array_equal(b, reflected(a, s))] for a, b in zip(x, y)
    ]
    assert {len(fit) for fit in fits} == {1}
    return np.array([fit[0] for fit in fits])


def test_without_training_nothing_moves():
    x = items()
    layer = PhaseShuffle(N)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=False)), x)


def test_items_move_by_every_shift_up_to_n_alike_often_and_reflect_at_the_ends():
    x = items(count=1000)
    counts = np.bincount(drawn(x, shuffled(PhaseShuffle(N), x)) + N, minlength=2 * N + 1)
    # 200 of each are expected, with a standard deviation of 12.6.
    assert counts.min() > 200 - 5 * 12.6 and counts.max() < 200 + 5 * 12.6


@pytest.mark.parametrize("shift", range(-3, 4))
def test_a_shift_reads_the_mirrored_step(shift):
    steps = np.arange(4, dtype="float32")[None, :, None]  # n = 3 is the most that 4 steps reflect
    moved = ops.convert_to_numpy(shifted(ops.convert_to_tensor(steps), np.array([shift])))
    want = [{-3: 3, -2: 2, -1: 1, 4: 2, 5: 1, 6: 0}.get(t - shift, t - shift) for t in range(4)]
    np.testing.assert_array_equal(moved.ravel(), want)


def test_the_seed_repeats_the_shifts_and_every_call_draws_new_ones():
    x = items()
    layer, again, other = PhaseShuffle(N, seed=3), PhaseShuffle(N, seed=3), PhaseShuffle(N, seed=4)
    first, second = shuffled(layer, x), shuffled(layer, x)
    np.testing.assert_array_equal(shuffled(again, x), first)
    np.testing.assert_array_equal(shuffled(again, x), second)
    assert (first != second).any()
    assert (first != shuffled(other, x)).any()


class Shuffler(StepModel):
    """The loss is the squared norm of the gradient of the sum of (scale * shuffled items)^3."""

    terms = ("loss", "slope")

    def __init__(self):
        super().__init__()
        self.shuffle = PhaseShuffle(N, seed=1)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.built = True

    def parameter_groups(self):
        return {"one": [self.scale]}

    def call(self, batch, training=False):
        return self.scale * self.shuffle(batch["x"], training=training)

    def train_on(self, batch):
        def value(x):
            return ops.sum(self({"x": x}, training=True) ** 3, axis=(1, 2))

        def loss():
            return ops.sum(backend.input_gradient(value, batch["x"]) ** 2), {}

        (norm, _), (slope,) = backend.value_and_grad(loss, [self.scale])
        return {"loss": norm, "slope": slope}


def test_the_gradient_of_the_input_and_its_own_derivative_pass_exactly():
    # With y the shuffled item, d/dx of sum((s y)^3) scatters 3 s^3 y^2 back along the shift. Its
    # squared norm N(s) grows with s^6, so that dN/ds = 6 N at s = 1, and is known from the shift.
    x = items(count=8)
    model = Shuffler()
    model.compile(
        OptimizerGroup({"one": keras.optimizers.SGD(0.0)}), jit_compile=backend.BACKEND == "jax"
    )
    logs = model.train_on_batch({"x": x}, return_dict=True)
    want = 0.0
    for item, shift in zip(x, drawn(x, shuffled(PhaseShuffle(N, seed=1), x))):
        place = reflected(np.arange(16)[:, None], shift)[:, 0]
        gradient = np.zeros_like(item)
        np.add.at(gradient, place, 3 * item[place] ** 2)
        want += np.sum(gradient**2)
    assert logs["loss"] == pytest.approx(want, rel=1e-4)
    assert logs["slope"] == pytest.approx(6 * want, rel=1e-4)


def test_saving_keeps_n_and_seed(tmp_path):
    x = items()
    model = keras.Sequential([keras.Input((16, 3)), PhaseShuffle(1, seed=7)])
    model.save(tmp_path / "shuffle.keras")
    layer = keras.saving.load_model(tmp_path / "shuffle.keras").layers[-1]
    assert (layer.n, layer.seed) == (1, 7)
    np.testing.assert_array_equal(
        shuffled(PhaseShuffle.from_config(layer.get_config()), x),
        shuffled(PhaseShuffle(1, seed=7), x),
    )


def test_zero_shifts_nothing():
    x = items()
    np.testing.assert_array_equal(shuffled(PhaseShuffle(0), x), x)


@pytest.mark.parametrize("n, time", [(-1, 16), (16, 16)])
def test_a_shift_that_cannot_be_is_refused(n, time):
    with pytest.raises(ValueError, match="n: "):
        PhaseShuffle(n)(np.zeros((1, time, 1), "float32"), training=True)
