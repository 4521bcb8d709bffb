import keras
import numpy as np
import pytest
from keras import ops

from kvoice import backend
from kvoice.models.voicegan import VoiceGAN, wave_critic, wave_generator
from kvoice.steps import OptimizerGroup

pytestmark = pytest.mark.backend

LABELS = 3
WAVE = dict(domain="wave", shape=(16_384,), low=-1.0, high=1.0, width=1)
DOMAINS = {"mel": {}, "wave": WAVE}
every_domain = pytest.mark.parametrize("domain", DOMAINS)


def gan(compiled=True, rate=1e-3, **changes):
    values = dict(
        shape=(32, 16),
        low=-10.0,
        high=2.0,
        labels=LABELS,
        condition="emotion",
        noise=8,
        width=4,
        n_critic=2,
        seed=0,
    )
    keras.utils.set_random_seed(1)
    model = VoiceGAN(**{**values, **changes})
    if compiled:
        adam = {
            name: keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9)
            for name in model.parameter_groups()
        }
        model.compile(OptimizerGroup(adam), jit_compile=backend.BACKEND == "jax")
    return model


def batch(count=8, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "mel": rng.uniform(-9, 1, (count, 32, 16)).astype("float32"),
        "wave": rng.uniform(-0.5, 0.5, (count, 16_384)).astype("float32"),
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
        "up_0": (2, 2, 1, 32),
        "up_1": (2, 4, 2, 16),
        "up_2": (2, 8, 4, 8),
        "up_3": (2, 16, 8, 4),
        "image": (2, 32, 16),
        "mel": (2, 32, 16),
        "down_0": (2, 16, 8, 4),
        "down_1": (2, 8, 4, 8),
        "down_2": (2, 4, 2, 16),
        "down_3": (2, 2, 1, 32),
        "value": (2,),
        "logits": (2, LABELS),
    }


def affine(*sizes):
    """Parameters of a chain of layers, each (values that an output sums, outputs)."""
    return sum(summed * outputs + outputs for summed, outputs in sizes)


@pytest.mark.parametrize(
    "samples, channels, labels",
    [
        (16_384, (1024, 512, 256, 128, 64), 0),
        (16_384, (1024, 512, 256, 128, 64), 4),
        (32_768, (2048, 1024, 512, 256, 128, 64), 4),
    ],
)
def test_the_published_sizes_of_waves_have_their_parameters(samples, channels, labels):
    generator = wave_generator(100, labels, (samples,), 64)
    convolutions = [(25 * c, d) for c, d in zip(channels, (*channels[1:], 1))]
    assert generator.count_params() == affine((100 + labels, 16 * channels[0]), *convolutions)
    critic = wave_critic(labels, (samples,), 64)
    convolutions = [(25 * d, c) for c, d in zip(channels, (*channels[1:], 1))]
    assert critic.count_params() == affine(*convolutions, (16 * channels[0], 1 + labels))


@pytest.mark.parametrize(
    "samples, more",
    [
        (16_384, {"down_0": (2, 4096, 2), "down_4": (2, 16, 32)}),
        (
            32_768,
            {
                "up_5": (2, 16_384, 2),
                "down_0": (2, 8192, 2),
                "down_4": (2, 32, 32),
                "down_5": (2, 16, 64),
            },
        ),
    ],
)
def test_call_holds_every_activation_of_a_wave_at_its_shape(samples, more):
    model = gan(compiled=False, **{**WAVE, "shape": (samples,), "width": 2})
    out = model({"noise": model.noise(2), "label": np.array([0, 2])})
    shapes = {name: tuple(value.shape) for name, value in out.items()}
    k, long = samples // 16_384, samples // 4
    assert shapes == {
        "up_0": (2, 16, 32 * k),
        "up_1": (2, 64, 16 * k),
        "up_2": (2, 256, 8 * k),
        "up_3": (2, 1024, 4 * k),
        "up_4": (2, 4096, 2 * k),
        "image": (2, samples),
        "wave": (2, samples),
        "down_1": (2, long // 4, 4),
        "down_2": (2, long // 16, 8),
        "down_3": (2, long // 64, 16),
        "value": (2,),
        "logits": (2, LABELS),
        **more,
    }


@pytest.mark.parametrize(
    "samples, last, stride, first",
    [
        (16_384, "up_4", 4, 10),
        (32_768, "up_5", 2, 11),
    ],
)
def test_transposed_convolutions_of_waves_are_cut_alike_on_every_backend(
    samples, last, stride, first
):
    # By hand: output step 4 t + k - 10 takes kernel tap k of input step t. A backend that centres
    # its 25 taps otherwise is one step off.
    model = gan(compiled=False, labels=0, condition="", **{**WAVE, "shape": (samples,)})
    out = {k: ops.convert_to_numpy(v) for k, v in model({"noise": model.noise(2)}).items()}
    kernel, bias = (ops.convert_to_numpy(v) for v in model.generator.trainable_variables[-2:])
    full = np.zeros((2, samples - stride + 25))
    for tap in range(25):
        full[:, tap : tap + samples : stride] += out[last] @ kernel[tap, 0]
    wave = np.tanh(full[:, first : first + samples] + bias)
    np.testing.assert_allclose(out["image"], wave, atol=1e-5)


def test_a_wave_is_the_image_itself_and_stays_in_full_scale():
    model = gan(compiled=False, **WAVE)
    model.generator.set_weights([8 * w for w in model.generator.get_weights()])  # loud
    noise = model.noise(2)
    out = model({"noise": noise, "label": np.array([0, 1])})
    image, wave = (ops.convert_to_numpy(out[name]) for name in ("image", "wave"))
    np.testing.assert_allclose(wave, image, atol=1e-6)
    assert np.abs(wave).max() <= 1 and wave.min() < -0.5 and wave.max() > 0.5
    decoded = model.decode(noise, [0, 1])
    assert decoded.shape == (2, 16_384)
    np.testing.assert_allclose(decoded, wave, atol=1e-5)
    real = np.linspace(-1, 1, 16_384, dtype="float32")[None]
    np.testing.assert_allclose(
        ops.convert_to_numpy(model._image({"wave": 1.5 * real})),
        np.clip(1.5 * real, -1, 1),
        atol=1e-6,
    )


def test_the_critic_of_waves_has_phase_shuffle_in_training_only():
    model = gan(compiled=False, **{**WAVE, "width": 4})
    wave = ops.convert_to_tensor(batch(4)["wave"])

    def value(training):
        return ops.convert_to_numpy(model.critic(wave, training=training)["value"])

    np.testing.assert_array_equal(value(False), value(False))
    assert (value(True) != value(True)).any()


def test_a_checkpoint_keeps_the_state_of_the_shuffles(tmp_path):
    model, again = gan(compiled=False, **WAVE), gan(compiled=False, **WAVE)
    wave = ops.convert_to_tensor(batch(4)["wave"])
    model.critic(wave, training=True)  # draws
    model.save_weights(tmp_path / "gan.weights.h5")
    again.load_weights(tmp_path / "gan.weights.h5")

    def value(model):
        return ops.convert_to_numpy(model.critic(wave, training=True)["value"])

    want = value(model)
    np.testing.assert_array_equal(value(again), want)
    assert (value(model) != want).any()


def test_mel_is_the_image_between_the_bounds():
    model = gan(compiled=False)
    out = {
        k: ops.convert_to_numpy(v)
        for k, v in model({"noise": model.noise(2), "label": np.array([0, 1])}).items()
    }
    np.testing.assert_allclose(out["mel"], -10 + 12 * out["image"], rtol=1e-5)
    assert out["image"].min() >= 0 and out["image"].max() <= 1


def test_real_mels_are_scaled_by_the_bounds_and_clipped_never_per_clip():
    model = gan(compiled=False)
    mel = np.array([-10.0, -4.0, 2.0, 5.0, -99.0], "float32").reshape(1, 5, 1)
    image = ops.convert_to_numpy(model._image({"mel": mel}))
    np.testing.assert_allclose(image.ravel(), [0.0, 0.5, 1.0, 1.0, 0.0], atol=1e-6)


@every_domain
def test_the_label_and_the_noise_both_change_what_is_generated(domain):
    model = gan(compiled=False, **DOMAINS[domain])
    noise = model.noise(1)
    same = model.decode(noise, label=0)
    np.testing.assert_array_equal(model.decode(noise, label=0), same)
    assert np.abs(model.decode(noise, label=1) - same).max() > 1e-3
    assert np.abs(model.decode(model.noise(1, seed=1), label=0) - same).max() > 1e-3


@every_domain
def test_generate_is_decode_of_the_noise_of_its_seed(domain):
    model = gan(compiled=False, **DOMAINS[domain])
    np.testing.assert_array_equal(
        model.generate(3, label=1, seed=5), model.decode(model.noise(3, seed=5), [1, 1, 1])
    )


@pytest.mark.parametrize("still, moving", [("critic", "generator"), ("generator", "critic")])
@every_domain
def test_critic_and_generator_are_trained_only_by_their_own_loss(domain, still, moving):
    model = gan(n_critic=1, **DOMAINS[domain])
    model.optimizer[still].learning_rate = 0.0
    before = {p: flat(v) for p, v in model.parameter_groups().items()}
    logs = model.train_on_batch(batch(4), return_dict=True)
    assert set(logs) == set(VoiceGAN.terms) and np.isfinite(list(logs.values())).all()
    after = {p: flat(v) for p, v in model.parameter_groups().items()}
    np.testing.assert_array_equal(after[still], before[still])
    assert (after[moving] != before[moving]).any()


@pytest.mark.parametrize("n_critic", [1, 3])
def test_the_critic_steps_n_times_for_one_step_of_the_generator(n_critic):
    model = gan(n_critic=n_critic)
    for _ in range(2):
        model.train_on_batch(batch(6))
    steps = {p: int(model.optimizer[p].iterations) for p in model.parameter_groups()}
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


@every_domain
def test_terms_add_up_to_the_losses(domain):
    model = gan(n_critic=1, penalty=7.0, class_weight=0.5, **DOMAINS[domain])
    logs = model.test_on_batch(batch(), return_dict=True)
    assert logs["loss"] == pytest.approx(
        -logs["wasserstein"] + 7.0 * logs["gradient_penalty"] + 0.5 * logs["class_real"], rel=1e-4
    )
    assert set(logs) == set(VoiceGAN.terms)


@every_domain
def test_evaluation_changes_no_weight(domain):
    model = gan(**DOMAINS[domain])
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


@every_domain
def test_the_unconditional_model_has_no_label_and_no_class_head(domain):
    model = gan(compiled=False, labels=0, condition="", **DOMAINS[domain])
    out = model({"noise": model.noise(2)})
    assert "logits" not in out
    assert model.generate(2).shape == (2, *model.get_config()["shape"])


@every_domain
def test_saving_keeps_what_is_generated(tmp_path, domain):
    model = gan(**DOMAINS[domain])
    model.train_on_batch(batch())
    want = model.generate(2, label=1)
    model.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_allclose(again.generate(2, label=1), want, atol=1e-6)
    assert again.get_config() == model.get_config()


@pytest.mark.parametrize(
    "changes, field",
    [
        (dict(domain="smell"), "domain"),
        (dict(shape=(30, 16)), "shape"),
        (dict(shape=(16_384,)), "shape"),
        ({**WAVE, "shape": (20_000,)}, "shape: 20000 samples must be 16,384 or 32,768"),
        ({**WAVE, "shape": (160, 80)}, "shape"),
        (dict(labels=0), "condition"),
        (dict(low=2.0, high=1.0), "low"),
        (dict(n_critic=0), "n_critic"),
    ],
)
def test_a_wrong_argument_is_named(changes, field):
    with pytest.raises(ValueError, match=field):
        gan(compiled=False, **changes)


@pytest.mark.parametrize("label", [None, LABELS, -1])
def test_generating_needs_a_label_of_the_model(label):
    with pytest.raises(ValueError, match="label"):
        gan(compiled=False).generate(1, label=label)
