import keras
import numpy as np
import pytest
from keras import ops

from kvoice import backend
from kvoice.models.voicegan import VoiceGAN
from kvoice.players import OptimizerGroup

pytestmark = pytest.mark.backend

LABELS = 3


def gan(compiled=True, rate=1e-3, **changes):
    values = dict(shape=(32, 16), low=-10.0, high=2.0, labels=LABELS, condition="emotion",
                  noise=8, width=4, n_critic=2, seed=0)
    keras.utils.set_random_seed(1)
    model = VoiceGAN(**{**values, **changes})
    if compiled:
        adam = {p: keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9) for p in model.players()}
        model.compile(OptimizerGroup(adam), jit_compile=backend.BACKEND == "jax")
    return model


def batch(count=8, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "mel": rng.uniform(-9, 1, (count, 32, 16)).astype("float32"),
        "emotion": rng.integers(0, LABELS, count).astype("int32"),
        "speaker": np.zeros(count, "int32"),
    }


def flat(variables):
    return np.concatenate([ops.convert_to_numpy(v).ravel() for v in variables])


def test_the_published_sizes_have_their_parameters():
    model = gan(compiled=False, shape=(160, 80), noise=512, width=64, labels=0, condition="")
    kernels = 512 * 512 * 50 + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 1)
    norms = 4 * (512 + 256 + 128 + 64 + 1)  # scale, offset, two statistics
    assert model.generator.count_params() == kernels + norms
    critic = 16 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + (64 + 128 + 256 + 512) + 513
    assert model.critic.count_params() == critic
    conditional = gan(compiled=False, shape=(160, 80), noise=512, width=64, labels=4)
    assert conditional.generator.count_params() - model.generator.count_params() == 4 * 512 * 50
    assert conditional.critic.count_params() - critic == (512 * 50 + 1) * 4


def test_call_holds_every_activation_at_its_shape():
    model = gan(compiled=False)
    out = model({"noise": model.noise(2), "label": np.array([0, 2])})
    shapes = {name: tuple(value.shape) for name, value in out.items()}
    assert shapes == {
        "up_0": (2, 2, 1, 32), "up_1": (2, 4, 2, 16), "up_2": (2, 8, 4, 8), "up_3": (2, 16, 8, 4),
        "image": (2, 32, 16), "mel": (2, 32, 16),
        "down_0": (2, 16, 8, 4), "down_1": (2, 8, 4, 8), "down_2": (2, 4, 2, 16),
        "down_3": (2, 2, 1, 32), "value": (2,), "logits": (2, LABELS),
    }


def test_mel_is_the_image_between_the_bounds():
    model = gan(compiled=False)
    out = {k: ops.convert_to_numpy(v) for k, v in model({"noise": model.noise(2), "label": np.array([0, 1])}).items()}
    np.testing.assert_allclose(out["mel"], -10 + 12 * out["image"], rtol=1e-5)
    assert out["image"].min() >= 0 and out["image"].max() <= 1


def test_real_mels_are_scaled_by_the_bounds_and_clipped_never_per_clip():
    model = gan(compiled=False)
    mel = np.array([-10.0, -4.0, 2.0, 5.0, -99.0], "float32").reshape(1, 5, 1)
    image = ops.convert_to_numpy(model._image({"mel": mel}))
    np.testing.assert_allclose(image.ravel(), [0.0, 0.5, 1.0, 1.0, 0.0], atol=1e-6)


def test_the_label_and_the_noise_both_change_what_is_generated():
    model = gan(compiled=False)
    noise = model.noise(1)
    same = model.decode(noise, label=0)
    np.testing.assert_array_equal(model.decode(noise, label=0), same)
    assert np.abs(model.decode(noise, label=1) - same).max() > 1e-3
    assert np.abs(model.decode(model.noise(1, seed=1), label=0) - same).max() > 1e-3


def test_generate_is_decode_of_the_noise_of_its_seed():
    model = gan(compiled=False)
    np.testing.assert_array_equal(
        model.generate(3, label=1, seed=5), model.decode(model.noise(3, seed=5), [1, 1, 1])
    )


@pytest.mark.parametrize("still, moving", [("critic", "generator"), ("generator", "critic")])
def test_the_loss_of_one_player_never_moves_the_other(still, moving):
    model = gan(n_critic=1)
    model.optimizer[still].learning_rate = 0.0
    before = {p: flat(v) for p, v in model.players().items()}
    model.train_on_batch(batch(4))
    after = {p: flat(v) for p, v in model.players().items()}
    np.testing.assert_array_equal(after[still], before[still])
    assert (after[moving] != before[moving]).any()


@pytest.mark.parametrize("n_critic", [1, 3])
def test_the_critic_steps_n_times_for_one_step_of_the_generator(n_critic):
    model = gan(n_critic=n_critic)
    for _ in range(2):
        model.train_on_batch(batch(6))
    steps = {p: int(model.optimizer[p].iterations) for p in model.players()}
    assert steps == {"critic": 2 * n_critic, "generator": 2}


def test_each_critic_step_sees_its_own_part_of_the_batch():
    # With rates of zero, the class loss of the last critic step is that of the last part alone.
    model = gan(n_critic=2)
    model.optimizer.learning_rate = 0.0

    def class_real(first, last):
        b = batch(8)
        b["mel"] = np.concatenate([b["mel"][:4] + first, b["mel"][4:] + last])
        return model.train_on_batch(b, return_dict=True)["class_real"]

    plain = class_real(0, 0)
    model.reset_metrics()
    assert class_real(2.0, 0) == pytest.approx(plain, abs=1e-6)
    model.reset_metrics()
    assert class_real(0, 2.0) != pytest.approx(plain, abs=1e-4)


def test_terms_add_up_to_the_losses():
    model = gan(n_critic=1, penalty=7.0, class_weight=0.5)
    logs = model.test_on_batch(batch(), return_dict=True)
    assert logs["loss"] == pytest.approx(
        -logs["wasserstein"] + 7.0 * logs["gradient_penalty"] + 0.5 * logs["class_real"], rel=1e-4
    )
    assert set(logs) == set(VoiceGAN.terms)


def test_evaluation_changes_no_weight():
    model = gan()
    before = flat(model.trainable_variables + model.generator.non_trainable_variables)
    model.test_on_batch(batch())
    after = flat(model.trainable_variables + model.generator.non_trainable_variables)
    np.testing.assert_array_equal(after, before)


def test_the_penalty_of_a_critic_made_linear_is_its_known_norm():
    # value = <w, image> with |w| = 3: the penalty is (3 - 1)^2 whatever the data.
    model = gan(n_critic=1)
    w = np.random.default_rng(0).normal(size=(32, 16))
    w = ops.convert_to_tensor((3 * w / np.linalg.norm(w)).astype("float32"))

    class LinearCritic(keras.layers.Layer):
        def call(self, image):
            logits = ops.zeros((ops.shape(image)[0], LABELS))
            return {"value": ops.sum(image * w, axis=(1, 2)), "logits": logits}

    model.critic = LinearCritic()
    model.critic(ops.zeros((1, 32, 16)))
    logs = model.test_on_batch(batch(), return_dict=True)
    assert logs["gradient_penalty"] == pytest.approx(4.0, rel=1e-4)
    assert logs["class_real"] == pytest.approx(np.log(LABELS), rel=1e-5)


def test_training_pulls_the_generator_to_the_real_mels():
    model = gan(n_critic=1, labels=0, condition="", rate=0.02)
    real = np.full((16, 32, 16), -8.0, "float32")  # one flat spectrum
    first = np.abs(model.generate(16) - real).mean()
    for _ in range(60):
        model.train_on_batch({"mel": real})
    assert np.abs(model.generate(16) - real).mean() < 0.6 * first


def test_the_plain_model_has_no_label_and_no_class_head():
    model = gan(compiled=False, labels=0, condition="")
    out = model({"noise": model.noise(2)})
    assert "logits" not in out
    assert model.generate(2).shape == (2, 32, 16)


def test_saving_keeps_what_is_generated(tmp_path):
    model = gan()
    model.train_on_batch(batch())
    want = model.generate(2, label=1)
    model.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_allclose(again.generate(2, label=1), want, atol=1e-6)
    assert again.get_config() == model.get_config()


@pytest.mark.parametrize("changes, field", [
    (dict(domain="smell"), "domain"),
    (dict(shape=(30, 16)), "shape"),
    (dict(labels=0), "condition"),
    (dict(low=2.0, high=1.0), "low"),
    (dict(n_critic=0), "n_critic"),
])
def test_a_wrong_argument_is_named(changes, field):
    with pytest.raises(ValueError, match=field):
        gan(compiled=False, **changes)


@pytest.mark.parametrize("label", [None, LABELS, -1])
def test_generating_needs_a_label_of_the_model(label):
    with pytest.raises(ValueError, match="label"):
        gan(compiled=False).generate(1, label=label)
