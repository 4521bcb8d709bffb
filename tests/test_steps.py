import keras
import numpy as np
import pytest
from keras import ops

from kvoice import backend
from kvoice.steps import OptimizerGroup, StepModel

pytestmark = pytest.mark.backend


@keras.saving.register_keras_serializable(package="kvoice_tests")
class Duel(StepModel):
    """Two parameter groups with one weight each, so that every step is known in closed form."""

    terms = ("loss", "noise")

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.left = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="left")
        self.right = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="right")
        self.left.build((None, 1))
        self.right.build((None, 1))
        self.random = keras.random.SeedGenerator(seed)
        self.built = True

    def parameter_groups(self):
        return {
            "left": self.left.trainable_variables,
            "right": self.right.trainable_variables,
        }

    def call(self, batch):
        return self.left(batch["x"]) * self.right(batch["x"])

    def train_on(self, batch):
        noise = keras.random.normal((), seed=self.random)
        loss, _ = self.update("left", lambda: (ops.mean(self(batch)), {}))
        self.update("right", lambda: (ops.mean(self(batch)), {}))
        return {"loss": loss, "noise": noise}

    def eval_on(self, batch):
        return {"loss": ops.mean(self(batch)), "noise": ops.zeros(())}

    def get_config(self):
        return super().get_config()


def duel(left=0.1, right=0.01, optimizer=keras.optimizers.SGD, kind=Duel, **kwargs):
    model = kind()
    optimizers = {"left": optimizer(left, **kwargs), "right": optimizer(right, **kwargs)}
    model.compile(OptimizerGroup(optimizers), jit_compile=backend.BACKEND == "jax")
    return model


def weights(model):
    return [float(ops.convert_to_numpy(p[0])[0, 0]) for p in model.parameter_groups().values()]


BATCH = {"x": np.ones((4, 1), "float32")}


def feed():
    while True:
        yield (BATCH,)


def test_each_parameter_group_moves_by_its_own_rate_and_sees_the_others_step():
    model = duel(left=0.1, right=0.01)
    model.train_on_batch(BATCH)
    left = 1 - 0.1 * 1  # d/dleft mean(left * right) = right = 1
    assert weights(model) == pytest.approx([left, 1 - 0.01 * left], rel=1e-6)


def test_learning_rate_scales_every_parameter_group_and_keeps_their_ratio():
    model = duel(left=0.1, right=0.01)
    model.optimizer.learning_rate = 0.5
    model.train_on_batch(BATCH)
    assert weights(model) == pytest.approx([1 - 0.05, 1 - 0.005 * 0.95], rel=1e-6)
    model.optimizer.learning_rate = 0.0
    before = weights(model)
    model.train_on_batch(BATCH)
    assert weights(model) == before
    model.optimizer.learning_rate = 1.0  # a factor, so that it comes back from 0
    assert float(model.optimizer["left"].learning_rate) == pytest.approx(0.1)


def test_a_schedule_callback_keeps_two_rates():
    model = duel(left=0.1, right=0.01)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1))
    model.fit(feed(), steps_per_epoch=1, epochs=2, shuffle=False, callbacks=[schedule], verbose=0)
    rates = [float(model.optimizer[p].learning_rate) for p in ("left", "right")]
    assert rates == pytest.approx([0.05, 0.005])


def test_both_optimizers_count_their_steps():
    model = duel()
    for _ in range(3):
        model.train_on_batch(BATCH)
    assert [int(model.optimizer[p].iterations) for p in ("left", "right")] == [3, 3]


def test_parameter_groups_must_cover_the_weights_exactly_once():
    model = Duel()
    model.parameter_groups = lambda: {"left": model.left.trainable_variables}
    with pytest.raises(ValueError, match="do not cover.*right"):
        model.compile(OptimizerGroup({"left": keras.optimizers.SGD(0.1)}))
    both = model.left.trainable_variables
    model.parameter_groups = lambda: {"left": both, "right": both}
    with pytest.raises(ValueError, match="two parameter groups"):
        model.compile(OptimizerGroup({p: keras.optimizers.SGD(0.1) for p in ("left", "right")}))


def test_optimizers_must_be_those_of_the_parameter_groups():
    with pytest.raises(ValueError, match="left.*critic"):
        Duel().compile(OptimizerGroup({"critic": keras.optimizers.SGD(0.1)}))


def test_average_weights_are_the_moving_average_of_the_raw_ones():
    model = duel(use_ema=True, ema_momentum=0.9)
    average = None
    for _ in range(4):
        model.train_on_batch(BATCH)
        raw = np.array(weights(model))
        average = raw if average is None else 0.9 * average + 0.1 * raw  # begins at the first step
    model.average_weights()
    np.testing.assert_allclose(weights(model), average, rtol=1e-6)


def test_fit_leaves_the_raw_weights_in_place():
    model = duel(use_ema=True, ema_momentum=0.9)
    model.fit(feed(), steps_per_epoch=3, shuffle=False, verbose=0)
    plain = duel()
    plain.fit(feed(), steps_per_epoch=3, shuffle=False, verbose=0)
    assert weights(model) == weights(plain)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_saving_keeps_weights_slots_and_random_state(tmp_path, suffix):
    model = duel(optimizer=keras.optimizers.Adam)
    model.train_on_batch(BATCH)
    path = tmp_path / f"duel{suffix}"
    if suffix == ".keras":
        model.save(path)
        again = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        again = duel(optimizer=keras.optimizers.Adam)
        again.load_weights(path)
    want = [model.train_on_batch(BATCH, return_dict=True) for _ in range(3)]
    got = [again.train_on_batch(BATCH, return_dict=True) for _ in range(3)]
    assert got == want
    assert weights(again) == weights(model)


def test_input_gradient_can_be_differentiated_again():
    # The penalty |d/dx (w x)^2| = |2 w^2 x| has the gradient 4 w x by w.
    class Penalised(Duel):
        terms = ("loss",)

        def train_on(self, batch):
            def loss():
                slope = backend.input_gradient(lambda x: self.left(x) ** 2, batch["x"])
                return ops.mean(slope), {}

            value, _ = self.update("left", loss)
            return {"loss": value}

    model = duel(left=0.01, kind=Penalised)
    loss = model.train_on_batch({"x": 3 * np.ones((2, 1), "float32")}, return_dict=True)["loss"]
    assert loss == pytest.approx(6.0)
    assert weights(model)[0] == pytest.approx(1 - 0.01 * 4 * 3, rel=1e-5)


def test_input_gradient_may_draw_random_numbers_and_its_penalty_reaches_every_variable():
    # d/dx (noise * left * x) = noise * left: its gradient by left is the noise, which moves on.
    class Noisy(Duel):
        def train_on(self, batch):
            def loss():
                def value(x):
                    noise = keras.random.uniform((), 1, 2, seed=self.random)
                    return noise * self.left(x) * self.right(x) ** 2

                slope = ops.mean(backend.input_gradient(value, batch["x"]))
                return slope, {"slope": slope}

            value, terms = self.update("left", loss)
            value, _ = self.update("right", loss)
            return {"loss": value, "noise": terms["slope"]}

    model = duel(left=0.1, right=0.0, kind=Noisy)
    first = model.train_on_batch(BATCH, return_dict=True)["noise"]  # 3 * noise * left * right^2
    assert weights(model)[0] == pytest.approx(1 - 0.1 * first, rel=1e-5)
    left = weights(model)[0]
    model.reset_metrics()
    second = model.train_on_batch(BATCH, return_dict=True)["noise"]
    assert 3 * left < second < 6 * left and second / left != pytest.approx(first)


@pytest.mark.skipif(backend.BACKEND != "jax", reason="only JAX could lose the update")
def test_an_untracked_optimizer_is_refused_instead_of_losing_its_updates():
    model = duel()
    stray = keras.optimizers.SGD(0.1)
    stray.build(model.left.trainable_variables)
    held = [stray]  # out of Keras' sight

    def train_on(batch):
        (_, _), gradients = backend.value_and_grad(
            lambda: (ops.mean(model(batch)), {}), model.left.trainable_variables
        )
        held[0].apply(gradients, model.left.trainable_variables)
        return {"loss": ops.zeros(())}

    model.train_on = train_on
    with pytest.raises(ValueError, match="not part of the trainer"):
        model.train_on_batch(BATCH)


def test_a_coupled_decay_is_added_after_the_clipping():
    """One step of a plain optimizer: weights - rate * (clipped gradient + decay * weights)."""

    class Plain(StepModel):
        def __init__(self):
            super().__init__()
            self.weight = self.add_weight(shape=(2,), initializer="ones")
            self.built = True

        def parameter_groups(self):
            return {"one": [self.weight]}

        def train_on(self, batch):
            loss, _ = self.update("one", lambda: (keras.ops.sum(self.weight * [30.0, 40.0]), {}))
            return {"loss": loss}

    model = Plain()
    group = OptimizerGroup({"one": keras.optimizers.SGD(0.1)}, weight_decay=0.5, clip_norm=5.0)
    model.compile(group, jit_compile=False)
    model.train_on_batch({"x": np.zeros((1, 1), "float32")})
    gradient = np.array([3.0, 4.0]) + 0.5  # of norm 50, clipped to 5
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model.weight), 1 - 0.1 * gradient, rtol=1e-5
    )
    again = OptimizerGroup.from_config(group.get_config())
    assert (again.coupled_decay, again.norm) == (0.5, 5.0)
