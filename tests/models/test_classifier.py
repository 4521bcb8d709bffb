import keras
import numpy as np
import pytest
from keras import layers, ops

from kvoice import audio, backend, losses
from kvoice.cli import configs
from kvoice.layers.wavenet import WaveNet
from kvoice.models.classifier import ARCHITECTURES, Classifier
from kvoice.steps import OptimizerGroup

pytestmark = pytest.mark.backend

LOW, HIGH = -10.0, 2.0
MEL = dict(shape=(16, 8), low=LOW, high=HIGH)
WAVE = dict(shape=(1024,), low=-1.0, high=1.0)
SHAPES = {"mel": MEL, "wave": WAVE}
TINY = {  # width, depth
    ("mel", "cnn"): (4, 1),
    ("mel", "wavenet"): (4, 3),
    ("mel", "lstm"): (4, 2),
    ("wave", "wavenet"): (8, 3),
    ("wave", "lstm"): (8, 2),
}
every_architecture = pytest.mark.parametrize(("domain", "architecture"), ARCHITECTURES)
every_domain = pytest.mark.parametrize(
    ("domain", "architecture"), [("mel", "cnn"), ("wave", "wavenet")]
)


def classifier(domain="mel", architecture="cnn", rate=None, jit=False, **changes):
    """A small model; compiled where a rate is given, by XLA on JAX where many steps follow."""
    width, depth = TINY[domain, architecture]
    values = dict(labels=2, domain=domain, architecture=architecture, width=width, depth=depth)
    keras.utils.set_random_seed(1)
    model = Classifier(**{**SHAPES[domain], **values, **changes})
    if rate is not None:
        adam = {"classifier": keras.optimizers.Adam(rate)}
        model.compile(OptimizerGroup(adam), jit_compile=jit and backend.BACKEND == "jax")
    return model


def speech(count, seed=0, domain="mel"):
    """Mels with energy below or above, and tones that are low or high, by the emotion 0 or 1."""
    rng = np.random.default_rng(seed)
    emotion = rng.integers(0, 2, count).astype("int32")
    level = rng.uniform(-6, -3, (count, 1, 1))
    high = np.arange(8) >= 4
    mel = level + 3.0 * (high == emotion[:, None, None]) + rng.normal(0, 0.5, (count, 16, 8))
    step = 2 * np.pi / np.where(emotion, 4, 16)[:, None]
    wave = 0.5 * np.sin(step * np.arange(1024) + rng.uniform(0, 7, (count, 1)))
    wave += rng.normal(0, 0.05, wave.shape)
    return {domain: {"mel": mel, "wave": wave}[domain].astype("float32"), "emotion": emotion}


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def drawn(model, seed=0):
    """Gives the network weights that NumPy draws, statistics of its normalisations included."""
    rng = np.random.default_rng(seed)
    for variable in model.network.variables:
        summed = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 10
        value = rng.normal(0, 1.5 / np.sqrt(summed), variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            value = 0.5 + np.abs(value)
        variable.assign(value)
    return model


# Sizes


def affine(*sizes):
    """Parameters of layers, each (values that an output sums, outputs)."""
    return sum(summed * outputs + outputs for summed, outputs in sizes)


def wavenet(inputs, depth, residual, gate, skip):
    return affine(
        (inputs, residual),
        *depth * [(2 * residual, 2 * gate), (gate, skip)],
        *(depth - 1) * [(gate, residual)],
    )


def lstms(inputs, depth, width):
    """Both ways; the four gates of each read the inputs and the own cells."""
    return sum(
        2 * 4 * affine((size + width, width)) for size in [inputs] + (depth - 1) * [2 * width]
    )


def normalised(*channels):
    """Scale, offset and two statistics."""
    return 4 * sum(channels)


PAPER = {
    "paper": affine((121, 64), (9 * 64, 128), (9 * 128, 256), (9 * 256, 512), (512, 4))
    + normalised(64, 128, 256, 512),
    "paper-mel-wavenet": 2 * wavenet(80, 5, 16, 8, 16)
    + affine((3 * 32, 32), (3 * 32, 64), (3 * 64, 128), (128, 4))
    + normalised(32, 64, 128),
    "paper-mel-lstm": lstms(80, 5, 128) + affine((256, 4)),
    "paper-wave-wavenet": 2 * wavenet(1, 20, 16, 4, 8)
    + affine((9 * 16, 32), (9 * 32, 64), (9 * 64, 128), (128, 4))
    + normalised(32, 64, 128),
    "paper-wave-lstm": affine((9, 32), (9 * 32, 64), (9 * 64, 128))
    + normalised(32, 64, 128)
    + lstms(128, 5, 256)
    + affine((512, 4)),
}


@pytest.mark.parametrize("variant", PAPER)
def test_the_published_sizes_have_their_parameters(variant):
    if "lstm" in variant and backend.BACKEND == "jax":
        pytest.skip("tracing ten LSTMs takes JAX ten seconds, and the sizes are the same")
    group = configs.configuration("classifier", variant)["model"]
    shape = (160, 80) if group["domain"] == "mel" else (32_768,)
    model = Classifier(shape=shape, low=-1.0, high=1.0, labels=4, **group)
    assert model.network.count_params() == PAPER[variant]


# What is computed, in plain NumPy


def convolved(x, kernel, bias):
    """A convolution over time (and mels) padded to the same size: [B, ..., C] -> [B, ..., D]."""
    sizes = kernel.shape[:-2]
    padding = [(0, 0), *((size // 2, size // 2) for size in sizes), (0, 0)]  # odd sizes
    axes = tuple(range(1, 1 + len(sizes)))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, padding), sizes, axes)
    taps = "tm"[: len(sizes)]
    return np.einsum(f"b...c{taps},{taps}cd->b...d", windows, kernel) + bias


def pooled(x, size):
    for axis in range(1, x.ndim - 1):
        count = x.shape[axis] // size
        x = x.take(range(count * size), axis)
        x = x.reshape(*x.shape[:axis], count, size, *x.shape[axis + 1 :]).max(axis + 1)
    return x


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gated(x, layer):
    """Section 2.4 of the WaveNet paper, the taps of each layer 1, 2, 4 ... apart."""

    def dense(x, layer):
        return x @ numpy(layer.kernel) + numpy(layer.bias)

    x = x[:, ::-1] if layer.backwards else x
    x, total = dense(x, layer.project), 0
    for i, convolution in enumerate(layer.gated):
        kernel = numpy(convolution.kernel)
        past = np.pad(x, [(0, 0), (2**i, 0), (0, 0)])[:, : x.shape[1]]
        values, gates = np.split(past @ kernel[0] + x @ kernel[1] + numpy(convolution.bias), 2, -1)
        gated = np.tanh(values) * sigmoid(gates)
        total = total + dense(gated, layer.skips[i])
        if i < len(layer.residuals):
            x = x + dense(gated, layer.residuals[i])
    return total[:, ::-1] if layer.backwards else total


def recurrent(x, cell):
    """Hochreiter and Schmidhuber with forget gates: [B, T, C] -> [B, T, W]."""
    kernel, inner, bias = (numpy(v) for v in (cell.kernel, cell.recurrent_kernel, cell.bias))
    state = output = np.zeros((len(x), inner.shape[0]))
    outputs = []
    for t in range(x.shape[1]):
        i, f, c, o = np.split(x[:, t] @ kernel + output @ inner + bias, 4, axis=-1)
        state = sigmoid(f) * state + sigmoid(i) * np.tanh(c)
        output = sigmoid(o) * np.tanh(state)
        outputs.append(output)
    return np.stack(outputs, axis=1)


def reference(model, items):
    """The logits of the network of a classifier, layer by layer."""
    x, pool, ways = items.astype("float64"), 8 if model.domain == "wave" else 2, []
    if model.domain == "mel":
        x = np.clip((x - LOW) / (HIGH - LOW), 0, 1)
    if model.domain == "wave" or model.architecture == "cnn":
        x = x[..., None]
    for layer in model.network.layers:
        if isinstance(layer, WaveNet):
            ways.append(gated(x, layer))
        elif isinstance(layer, (layers.Conv1D, layers.Conv2D)):
            x = np.concatenate(ways, axis=-1) if ways else x
            x, ways = pooled(convolved(x, numpy(layer.kernel), numpy(layer.bias)), pool), []
        elif isinstance(layer, layers.BatchNormalization):
            mean, variance = numpy(layer.moving_mean), numpy(layer.moving_variance)
            x = (x - mean) / np.sqrt(variance + layer.epsilon) * numpy(layer.gamma) + numpy(
                layer.beta
            )
            x = np.maximum(x, 0)
        elif isinstance(layer, layers.Bidirectional):
            back = recurrent(x[:, ::-1], layer.backward_layer.cell)[:, ::-1]
            x = np.concatenate([recurrent(x, layer.forward_layer.cell), back], axis=-1)
        elif isinstance(layer, layers.Dense):
            x = x.reshape(len(x), -1, x.shape[-1]).mean(axis=1) @ numpy(layer.kernel) + numpy(
                layer.bias
            )
    return x


@every_architecture
def test_every_architecture_is_what_numpy_computes_from_the_same_weights(domain, architecture):
    # The weights are NumPy's, so that all backends agree with each other as well.
    model = drawn(classifier(domain, architecture, labels=3, width=16))
    items = speech(4, domain=domain)[domain]  # both emotions
    want = reference(model, items)
    assert np.ptp(want, axis=0).min() > 3e-3  # it depends on the input
    np.testing.assert_allclose(numpy(model.logits(items)), want, rtol=1e-4, atol=1e-4)


def test_logits_are_those_of_call_and_the_embedding_is_what_they_are_made_of():
    model = drawn(classifier("mel", "lstm", labels=3))
    outputs = {name: numpy(value) for name, value in model(speech(2)).items()}
    np.testing.assert_allclose(numpy(model.logits(speech(2)["mel"])), outputs["logits"], atol=1e-6)
    np.testing.assert_allclose(outputs["embedding"], outputs["lstm_1"].mean(axis=1), atol=1e-6)
    kernel, bias = (numpy(v) for v in model.network.layers[-1].weights)
    np.testing.assert_allclose(outputs["logits"], outputs["embedding"] @ kernel + bias, atol=1e-5)


@every_architecture
def test_call_holds_every_activation_at_its_shape(domain, architecture):
    shapes = {
        ("mel", "cnn"): {"block_0": (2, 8, 4, 4), "block_1": (2, 4, 2, 8), "embedding": (2, 8)},
        ("mel", "wavenet"): {
            "wavenet": (2, 16, 8),
            "block_0": (2, 8, 8),
            "block_1": (2, 4, 16),
            "block_2": (2, 2, 32),
            "embedding": (2, 32),
        },
        ("mel", "lstm"): {"lstm_0": (2, 16, 8), "lstm_1": (2, 16, 8), "embedding": (2, 8)},
        ("wave", "wavenet"): {
            "wavenet": (2, 1024, 8),
            "block_0": (2, 128, 16),
            "block_1": (2, 16, 32),
            "block_2": (2, 2, 64),
            "embedding": (2, 64),
        },
        ("wave", "lstm"): {
            "block_0": (2, 128, 1),
            "block_1": (2, 16, 2),
            "block_2": (2, 2, 4),
            "lstm_0": (2, 2, 16),
            "lstm_1": (2, 2, 16),
            "embedding": (2, 16),
        },
    }[domain, architecture] | {"logits": (2, 3), "probabilities": (2, 3)}
    outputs = classifier(domain, architecture, labels=3)(speech(2, domain=domain))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == shapes


# Predictions


@every_architecture
def test_probabilities_are_those_of_call_for_crops_of_any_length(domain, architecture):
    model = drawn(classifier(domain, architecture, labels=3))
    items = speech(4, domain=domain)[domain]
    for crops in (items, np.concatenate([items, items[:, : items.shape[1] // 2]], axis=1)):
        found = model.probabilities(crops, batch=2)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
        called = model({domain: crops})
        np.testing.assert_allclose(found, numpy(called["probabilities"]), atol=1e-5)
        logits = numpy(called["logits"]).astype("float64")
        np.testing.assert_allclose(
            found, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), atol=1e-5
        )


def test_certain_logits_are_probabilities_without_overflow():
    model = drawn(classifier())
    model.network.layers[-1].bias.assign([1000.0, 0.0])
    np.testing.assert_allclose(model.probabilities(speech(2)["mel"]), [[1, 0], [1, 0]], atol=1e-6)


@every_domain
def test_the_level_of_a_clip_changes_the_prediction(domain, architecture):
    # Scaling every clip to its own range, as the earlier work did, would throw its level away.
    model = drawn(classifier(domain, architecture))
    items = speech(4, domain=domain)[domain]
    louder = items - np.log(10) if domain == "mel" else items / 10  # 20 dB less of it
    change = numpy(model.logits(items)) - numpy(model.logits(louder.astype("float32")))
    assert np.abs(change).min() > 1e-3


def test_mels_beyond_the_bounds_are_clipped_to_them():
    model = drawn(classifier())
    inside = np.array([[LOW], [HIGH]], "float32")[..., None] * np.ones((2, 16, 8), "float32")
    beyond = inside + np.array([-7, 7], "float32")[:, None, None]
    np.testing.assert_array_equal(numpy(model.logits(beyond)), numpy(model.logits(inside)))
    image = numpy(model._scaled(ops.convert_to_tensor([[-10.0, -4.0, 2.0, 5.0, -99.0]])))
    np.testing.assert_allclose(image, [[0, 0.5, 1, 1, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("domain", "architecture", "name", "reach"),
    [
        ("mel", "wavenet", "wavenet", 7),
        ("mel", "lstm", "lstm_0", 16),
        ("wave", "wavenet", "wavenet", 7),
        ("wave", "lstm", "lstm_0", 16),
    ],
)
def test_outputs_depend_on_both_directions_of_time(domain, architecture, name, reach):
    # A change in the middle changes the outputs on both sides, within the receptive field.
    model = drawn(classifier(domain, architecture))
    count = 16 if domain == "mel" else {"wavenet": 512, "lstm": 16 * 512}[architecture]
    plain = np.zeros((1, count, 8)[: 3 - (domain == "wave")], "float32") + 0.1
    other, middle = plain.copy(), count // 2
    other[:, middle] += 0.5
    change = numpy(model({domain: other})[name]) - numpy(model({domain: plain})[name])
    change = np.abs(change[0]).max(axis=-1)
    place = middle * len(change) // count
    (moved,) = np.nonzero(change)
    assert moved.min() == max(0, place - reach)
    assert moved.max() == min(len(change) - 1, place + reach)


# Training


@pytest.fixture(scope="module")
def trained():
    """A model of each architecture after 20 steps: trained once, for the tests that only listen."""

    def model(domain, architecture):
        if (domain, architecture) not in made:
            own = made[domain, architecture] = classifier(domain, architecture, rate=0.01, jit=True)
            for layer in own.network.layers:
                if isinstance(layer, layers.BatchNormalization):
                    layer.momentum = 0.5  # the variance of 1 that it begins with is soon forgotten
            for step in range(20):
                own.train_on_batch(speech(16, seed=step, domain=domain))
        return made[domain, architecture]

    made = {}
    return model


@every_architecture
def test_a_few_steps_generalise_to_unseen_clips(trained, domain, architecture):
    fresh = speech(64, seed=1000, domain=domain)
    found = trained(domain, architecture).probabilities(fresh[domain])  # by the moving statistics
    assert np.mean(found.argmax(axis=1) == fresh["emotion"]) > 0.95
    assert -np.log(found[np.arange(64), fresh["emotion"]]).mean() < 0.3


@every_architecture
def test_a_saved_model_predicts_the_same(trained, tmp_path, domain, architecture):
    model = trained(domain, architecture)
    model.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras")
    items = speech(8, seed=1000, domain=domain)[domain]
    np.testing.assert_allclose(again.probabilities(items), model.probabilities(items), atol=1e-6)
    assert again.get_config() == model.get_config()


def test_a_saved_model_resumes_training_with_the_same_augmentation(tmp_path):
    model = classifier(rate=0.01, noise=0.5, vtlp=0.2)
    model.train_on_batch(speech(8))
    model.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras")
    model.reset_metrics()
    want, got = (
        m.train_on_batch(speech(8, seed=1), return_dict=True)["loss"] for m in (model, again)
    )
    assert got == pytest.approx(want, abs=1e-6)


def test_evaluation_is_of_whole_batches_in_inference_mode(trained):
    model, fresh = trained("mel", "cnn"), speech(64, seed=1000)
    found = model.probabilities(fresh["mel"])
    logs = model.test_on_batch(fresh, return_dict=True)
    assert logs["accuracy"] == pytest.approx(
        np.mean(found.argmax(axis=1) == fresh["emotion"]), abs=1e-6
    )
    loss = -np.log(found[np.arange(64), fresh["emotion"]]).mean()
    assert logs["loss"] == pytest.approx(loss, rel=1e-3, abs=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_logits_never_of_probabilities():
    # A softmax between them, as in the earlier work, could not go below ln(1 + e^-1) = 0.31.
    model = drawn(classifier(rate=0.0))
    model.network.layers[-1].kernel.assign(np.zeros((8, 2)))
    model.network.layers[-1].bias.assign([8.0, 0.0])
    batch = {**speech(4), "emotion": np.zeros(4, "int32")}
    logs = model.test_on_batch(batch, return_dict=True)
    assert logs["loss"] == pytest.approx(np.log1p(np.exp(-8)), rel=1e-2)
    assert logs["accuracy"] == 1


def test_another_label_can_be_classified():
    model = classifier(condition="gender", labels=3, rate=0.0)
    batch = speech(4)
    batch["gender"] = np.array([0, 1, 2, 2], "int32")
    want = losses.label_cross_entropy(model.logits(batch["mel"]), batch["gender"])
    assert model.test_on_batch(batch, return_dict=True)["loss"] == pytest.approx(
        float(numpy(want)), rel=1e-5
    )


def test_evaluation_changes_nothing():
    model = classifier(rate=0.1, noise=0.5, vtlp=0.2)
    kept = [*model.network.variables, model._random.state]
    before = [numpy(v).copy() for v in kept]
    model.probabilities(speech(4)["mel"])
    model.logits(speech(4)["mel"])
    model.test_on_batch(speech(4))
    after = [numpy(v) for v in kept]
    for a, b in zip(after, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("change", [dict(noise=0.5), dict(vtlp=0.2)])
def test_augmentation_changes_training_and_nothing_else(change):
    plain, augmented = (classifier(rate=0.01, **each) for each in ({}, change))
    batch = speech(8)
    np.testing.assert_array_equal(
        plain.probabilities(batch["mel"]), augmented.probabilities(batch["mel"])
    )
    tested, trained = zip(
        *[
            (
                model.test_on_batch(batch, return_dict=True)["loss"],
                model.reset_metrics() or model.train_on_batch(batch, return_dict=True)["loss"],
            )
            for model in (plain, augmented)
        ]
    )
    assert tested[0] == tested[1]
    assert trained[0] != pytest.approx(trained[1], abs=1e-4)


@every_domain
def test_blur_and_noise_leave_silence_silent_up_to_its_edges(domain, architecture):
    # Constant clips have no spread, and are their own average, also where neighbours are missing.
    model = classifier(domain, architecture, noise=0.5)
    flat = np.full((3, 12, 8)[: 3 - (domain == "wave")], 0.7, "float32")
    augmented = numpy(model._blurred_and_noisy(ops.convert_to_tensor(flat)))
    np.testing.assert_allclose(augmented, flat, atol=1e-5)


def thirds(shares):
    """Whether a third of 300 shares is 0, a third 1, and the rest in between."""
    assert -1e-5 < shares.min() and shares.max() < 1 + 1e-5
    # 100 of each are expected, with a standard deviation of 8.2.
    return all(
        abs(count - 100) < 5 * 8.2 for count in (np.sum(shares < 1e-5), np.sum(shares > 1 - 1e-5))
    )


def test_blur_changes_a_third_of_the_clips_a_third_in_part_and_a_third_not():
    model = classifier("wave", "wavenet", noise=0.0)  # no noise
    wave = np.where(np.arange(32) % 2, -1.0, 1.0).astype("float32") * np.ones((300, 1), "float32")
    augmented = numpy(model._blurred_and_noisy(ops.convert_to_tensor(wave)))
    # Of five neighbours three have the sign of the middle, so that their average is 1/5 of the
    # sample, and 1/25 once more averaged.
    share = (1 - (augmented * wave)[:, 4:-4]) / (1 - 1 / 25)
    assert np.ptp(share, axis=1).max() < 1e-5  # one for the clip
    assert thirds(share[:, 0])


def test_mels_are_blurred_along_time_and_bands():
    model = classifier(noise=0.0)
    along = np.where(np.arange(16) % 2, -1.0, 1.0).astype("float32")[:, None] * np.ones(
        (16, 16), "float32"
    )
    for mel in (along, along.T):
        augmented = numpy(model._blurred_and_noisy(ops.convert_to_tensor(np.stack(60 * [mel]))))
        inside = (augmented * mel)[:, 4:-4, 4:-4]
        assert inside.min() == pytest.approx(1 / 25, abs=1e-5) and inside.max() == pytest.approx(1)


def test_the_noise_is_relative_to_the_standard_deviation_in_a_third_of_the_clips():
    model = classifier("wave", "wavenet", noise=0.5)
    ramp = np.linspace(-1, 1, 1024, dtype="float32") * np.ones((300, 1), "float32")
    ramp[::2] *= 0.01  # loud and quiet clips alike
    augmented = numpy(model._blurred_and_noisy(ops.convert_to_tensor(ramp)))
    noise = (augmented - ramp)[:, 4:-4]  # the average of a ramp is the ramp there
    ratio = noise.std(axis=1) / ramp.std(axis=1)
    noisy = ratio > 0.44  # 0.5 within the error of 1016 draws, five standard deviations
    assert ratio.max() < 0.56
    assert abs(np.sum(ratio < 1e-3) - 100) < 5 * 8.2 and np.sum(noisy) > 100 - 5 * 8.2
    assert min(np.sum(noisy[::2]), np.sum(noisy[1::2])) > 50 - 5 * 5.8


def test_vtlp_shifts_all_bands_of_a_mel_by_one_share_of_them():
    # On a ramp over the bands the value is the band: m + share * mels, within the bands there are.
    model = classifier(shape=(16, 80), vtlp=0.1)
    bands = np.arange(80, dtype="float32")
    mel = np.broadcast_to(bands, (100, 16, 80)).copy()
    shifted = numpy(model._vocal_tract_perturbed(ops.convert_to_tensor(mel)))
    shift = shifted[:, 0, 40] - 40
    assert -8 <= shift.min() < -7 and 7 < shift.max() <= 8
    want = np.clip(bands + shift[:, None, None], 0, 79)
    np.testing.assert_allclose(shifted, np.broadcast_to(want, shifted.shape), atol=1e-3)


def test_vtlp_plays_waves_faster_or_slower():
    model = classifier("wave", "wavenet", vtlp=0.1)
    tone = np.sin(2 * np.pi * 0.01 * np.arange(4096, dtype="float32"))
    tones = ops.convert_to_tensor(np.broadcast_to(tone, (50, 4096)).copy())
    shifted = numpy(model._vocal_tract_perturbed(tones))
    spectrum = np.abs(np.fft.rfft(shifted[:, :3600] * np.hanning(3600), 36_000))
    factor = spectrum.argmax(axis=1) / 36_000 / 0.01
    assert 0.9 - 0.01 < factor.min() < 0.93 and 1.07 < factor.max() < 1.1 + 0.01
    for wave, share in zip(shifted, factor):
        want = np.sin(2 * np.pi * 0.01 * share * np.arange(3600))
        assert np.corrcoef(wave[:3600], want)[0, 1] > 0.9  # from its own beginning


@every_domain
def test_vtlp_leaves_silence_silent(domain, architecture):
    model = classifier(domain, architecture, vtlp=0.2)
    flat = np.full((3, 12, 8)[: 3 - (domain == "wave")], 0.7, "float32")
    augmented = numpy(model._vocal_tract_perturbed(ops.convert_to_tensor(flat)))
    np.testing.assert_allclose(augmented, flat, atol=1e-5)


def test_a_training_is_repeated_by_its_seed_which_draws_the_augmentation():
    def trained(**changes):
        model = classifier(rate=0.01, noise=0.5, vtlp=0.2, **changes)
        for step in range(2):
            model.train_on_batch(speech(8, seed=step))
        return model.probabilities(speech(8)["mel"])

    first = trained()
    np.testing.assert_array_equal(trained(), first)
    assert np.abs(trained(seed=1) - first).max() > 1e-5


# Arguments


@pytest.mark.parametrize(
    "changes, field",
    [
        (dict(domain="smell"), "domain 'smell'"),
        (
            dict(domain="wave", shape=(1024,)),
            "architecture: 'cnn' on domain 'wave' is none of cnn on mel",
        ),
        (dict(architecture="transformer"), "architecture: 'transformer'"),
        (dict(condition=""), "condition"),
        (dict(labels=1), "labels: 1"),
        (dict(low=2.0, high=2.0), "low: 2.0 must be below high"),
        (dict(width=3), "width: 3"),
        (dict(depth=0), "depth: 0"),
        (dict(noise=-0.1), "noise: -0.1"),
        (dict(vtlp=-0.1), "vtlp: -0.1"),
        (dict(seed=-1), "seed: -1"),
    ],
)
def test_a_wrong_argument_is_named(changes, field):
    with pytest.raises(ValueError, match=field):
        Classifier(**{**MEL, "labels": 2, **changes})


def test_a_file_of_version_0_1_names_the_augmentations_otherwise():
    config = classifier(noise=0.5, vtlp=0.2).get_config()
    config |= {"wear": config.pop("noise"), "warp": config.pop("vtlp")}
    model = Classifier.from_config(config)
    assert (model.noise, model.vtlp) == (0.5, 0.2)


@every_architecture
def test_the_smallest_width_makes_every_architecture(domain, architecture):
    model = classifier(domain, architecture, width=4, depth=1)
    assert np.isfinite(model.probabilities(speech(2, domain=domain)[domain])).all()


@pytest.mark.parametrize(
    ("domain", "architecture", "shape"),
    [
        ("mel", "cnn", (15, 80)),
        ("mel", "cnn", (80, 15)),
        ("mel", "wavenet", (7, 80)),
        ("mel", "cnn", (512,)),
        ("wave", "wavenet", (511,)),
        ("wave", "lstm", (511,)),
        ("wave", "lstm", (512, 80)),
    ],
)
def test_a_crop_of_which_the_pooling_leaves_nothing_is_refused(domain, architecture, shape):
    with pytest.raises(ValueError, match="shape: "):
        classifier(domain, architecture, shape=shape, depth=3)


def test_the_bounds_of_the_specs_mel_are_those_of_silence_and_speech():
    # What `train` hands over: silence becomes 0, full scale stays at most 1.
    spec = audio.SPECS["waveglow"]
    model = classifier(low=spec.low, high=spec.high)
    edge = numpy(model._scaled(ops.convert_to_tensor([[spec.silence, spec.high]], "float32")))
    np.testing.assert_allclose(edge, [[0, 1]], atol=1e-6)
