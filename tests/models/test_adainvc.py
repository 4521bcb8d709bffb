import functools

import keras
import numpy as np
import pytest
from keras import ops

from kvoice import backend
from kvoice.models.adainvc import AdaINVC
from kvoice.steps import OptimizerGroup

pytestmark = pytest.mark.backend

MELS = 6
PUBLISHED = dict.fromkeys(("bank", "speaker", "content", "decoder"), 128)
SMALL = {"bank": 3, "speaker": 4, "content": 5, "decoder": 5}
SHALLOW = dict(encoder_stages=1, decoder_stages=1)  # what XLA compiles soon
OTHERS = [
    dict(decoder_stages=5),
    dict(decoder_stages=7),
    dict(content_norm=False),
    dict(speaker="statistics"),
]


def vc(compiled=False, **changes):
    values = dict(
        mels=MELS, width=SMALL, latents=4, embedding=4, bank=4, dense_blocks=1, anneal_steps=10
    )
    keras.utils.set_random_seed(1)
    model = AdaINVC(**values | changes)
    if compiled:
        adam = keras.optimizers.Adam(3e-3, amsgrad=True)
        model.compile(OptimizerGroup({"vae": adam}), jit_compile=backend.BACKEND == "jax")
    return model


def mels(count=2, time=32, seed=0):
    """Smooth noise, of a level and a spread of its own for each item, as voices have."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=(count, time, MELS)), axis=1)
    return (x * rng.uniform(0.2, 1, (count, 1, MELS)) + rng.normal(0, 2, (count, 1, MELS))).astype(
        "float32"
    )


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def count(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize(
    ("bands", "total", "parts"),
    [
        (512, 9_040_512, (3_756_288, 3_574_656, 1_709_568)),
        (80, 4_892_880, (1_710_336, 1_528_704, 1_653_840)),
    ],
)
def test_the_published_networks_have_the_published_numbers_of_parameters(bands, total, parts):
    model = AdaINVC(mels=bands, width=PUBLISHED)
    assert count(model) == total
    decoder = model.decoder.count_params() + model.styles.count_params()  # its affine layers
    assert (
        model.speaker_encoder.count_params(),
        model.content_encoder.count_params(),
        decoder,
    ) == parts


def test_a_deeper_decoder_has_two_residual_blocks_and_their_styles_more_for_each_stage():
    block = 2 * (5 * 128 * 128 + 128) + 2 * (128 * 256 + 256)
    model = AdaINVC(mels=80, width=PUBLISHED, decoder_stages=5)
    assert count(model) == 4_892_880 + 2 * 2 * block


@pytest.mark.parametrize("changes", [{}, *OTHERS])
@pytest.mark.parametrize("time", [17, 32, 35])
def test_every_variant_reconstructs_the_length_of_its_input(changes, time):
    model = vc(**changes)
    out = model.call({"mel": ops.convert_to_tensor(mels(time=time))})
    assert tuple(out["decoded"].shape) == (2, time, MELS)
    assert tuple(out["content"].shape) == (2, -(-time // 8), 4)
    assert tuple(out["styles"].shape) == (2, model.style_layers, 10)
    encoded = model.encode(mels(time=time)[0])
    np.testing.assert_allclose(encoded["content"], numpy(out["mean"])[0], atol=1e-4)
    assert model.decode(encoded["content"], encoded["styles"]).shape == (8 * -(-time // 8), MELS)


def test_the_content_ignores_gain_and_offset_only_with_instance_normalisation():
    """What is constant along time in the first normalised layer, the voice, does not get
    through.
    """

    def content(model, gain):
        for layer in model.content_encoder.layers:  # so that the first layer sees the mel as it is
            if layer.name.startswith("conv_bank"):
                layer.kernel.assign(np.zeros(layer.kernel.shape))
                layer.bias.assign(np.zeros(layer.bias.shape))
        return model.encode(gain * mels()[0])["content"]

    spread = {}
    for norm in (True, False):
        model = vc(content_norm=norm)
        spread[norm] = np.abs(content(model, 3.0) - content(model, 1.0)).max()
    assert spread[True] < 1e-3 < 0.05 < spread[False]


def test_the_voice_of_a_recording_is_that_of_the_same_recording_twice_over():
    """Only what is constant: a mean over time does not change where the recording is repeated."""
    model = vc()
    # Bank and convolutions see the boundary, so that a recording is taken that is constant there.
    mel = np.repeat(mels(1, 1)[0], 64, axis=0)
    np.testing.assert_allclose(
        model.encode(mel)["embedding"],
        model.encode(np.concatenate([mel, mel]))["embedding"],
        atol=1e-4,
    )


def test_statistics_of_the_last_layer_of_the_encoder_are_the_style_of_the_first_of_the_decoder():
    model = vc(speaker="statistics")
    out = model.call({"mel": ops.convert_to_tensor(mels())})
    inner = keras.Model(
        model.content_encoder.input,
        [
            layer.output
            for layer in model.content_encoder.layers
            if layer.name in ("first_conv_layers_0", "second_conv_layers_5")
        ],
    )
    first, last = (numpy(each) for each in inner(model.bands(mels())))
    for place, found in ((-1, first), (0, last)):
        wanted = np.concatenate([found.mean(axis=1), np.sqrt(found.var(axis=1) + 1e-5)], axis=1)
        np.testing.assert_allclose(numpy(out["styles"])[:, place], wanted, atol=1e-4)


def test_the_loss_is_ten_times_the_error_and_the_divergence_by_its_weight():
    model = vc(anneal_steps=10)
    model.bands.set(np.full(MELS, 0.5), np.full(MELS, 2.0))
    model.step.assign(4)
    state = numpy(model._random.state).copy()
    batch = {"mel": ops.convert_to_tensor(mels())}
    out = {name: numpy(value) for name, value in model.call(batch).items()}
    model._random.state.assign(state)
    loss, terms = model.loss_and_terms(batch, training=True)
    error = np.abs(out["decoded"] - (mels() - 0.5) / 2).mean()
    kl = 0.5 * np.mean(np.exp(out["log_var"]) + out["mean"] ** 2 - 1 - out["log_var"])
    np.testing.assert_allclose(float(numpy(loss)), 10 * error + 0.5 * kl, rtol=1e-4)
    np.testing.assert_allclose(
        [float(numpy(terms[name])) for name in ("reconstruction", "kl", "kl_weight")],
        [error, kl, 0.5],
        rtol=1e-4,
    )


def test_content_is_sampled_in_training_and_the_mean_in_inference():
    model = vc()
    batch = {"mel": ops.convert_to_tensor(mels(64, 24))}
    out = {name: numpy(value) for name, value in model.call(batch).items()}
    deviations = (out["content"] - out["mean"]) / np.exp(out["log_var"] / 2)
    assert abs(deviations.mean()) < 0.1 and abs(deviations.std() - 1) < 0.1


def test_training_lowers_the_reconstruction_error():
    model = vc(compiled=True, kl_weight=0.0, anneal_steps=0, **SHALLOW)
    model.bands.set(mels(8).mean((0, 1)), mels(8).std((0, 1)))
    first, *_, last = (model.train_on_batch({"mel": mels(8)})[1] for _ in range(60))
    assert last < 0.8 * first


def test_mean_and_spread_are_taken_from_the_source_kept_and_undone(tmp_path):
    class Statistics:
        def moments(self):
            return np.arange(MELS), np.arange(MELS) + 1.0

    model = vc(compiled=True)
    model.adapt(Statistics())
    np.testing.assert_allclose(numpy(model.bands(np.arange(MELS, dtype="float32") * 2 + 1)), 1)
    encoded = model.encode(mels()[0])
    model.save_weights(tmp_path / "m.weights.h5")
    again = vc(compiled=True)
    again.load_weights(tmp_path / "m.weights.h5")
    decoded = model.decode(encoded["content"], encoded["styles"])
    decoded_again = again.decode(encoded["content"], encoded["styles"])
    np.testing.assert_allclose(decoded_again, decoded, atol=1e-6)
    again.bands.set(np.zeros(MELS), np.ones(MELS))  # the standardised output of the decoder
    standardised = again.decode(encoded["content"], encoded["styles"])
    assert np.abs(decoded - standardised).max() > 1
    np.testing.assert_allclose(
        decoded, standardised * (np.arange(MELS) + 1) + np.arange(MELS), rtol=1e-5, atol=1e-5
    )


@functools.cache
def started():
    return vc()


def test_a_recording_below_the_minimum_length_is_refused():
    assert started().minimum_frames == 17
    with pytest.raises(ValueError, match="mel: 16 frames must be at least 17"):
        started().encode(mels(time=16)[0])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (dict(kernel=4), "kernel: 4 must be odd"),
        (dict(decoder_stages=2), "decoder_stages: 2 must be at least the 3"),
        (dict(speaker="nobody"), "speaker: 'nobody' is none of encoder, statistics"),
        (dict(speaker="statistics", content_norm=False), "content_norm: must be true"),
        (dict(speaker="statistics", decoder_stages=5), "must be those of the content encoder"),
        (dict(width={"bank": 4}), "width: bank must be bank, speaker, content, decoder"),
        (dict(width=SMALL | {"bank": 0}), "width.bank: 0 must be at least 1"),
        (dict(latents=0), "latents: 0 must be at least 1"),
        (dict(anneal_steps=-1), "anneal_steps: -1 must be at least 0"),
        (dict(vtlp=-0.1), "vtlp: -0.1 must be at least 0"),
        (dict(vtlp=0.1, speaker="statistics"), "vtlp: 0.1 must be 0 where"),
    ],
)
def test_a_wrong_argument_is_named(changes, line):
    with pytest.raises(ValueError, match=line):
        vc(**changes)


def test_it_survives_saving(tmp_path):
    model = vc(compiled=True, **SHALLOW)
    model.train_on_batch({"mel": mels()})
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for name, value in model.encode(mels()[0]).items():
        np.testing.assert_allclose(again.encode(mels()[0])[name], value, atol=1e-6)
    assert float(numpy(again.step)) == 1


def test_perturbation_changes_the_content_in_training_alone():
    plain, perturbed = (vc(vtlp=vtlp, **SHALLOW) for vtlp in (0.0, 0.2))
    perturbed.set_weights(plain.get_weights())
    batch = {"mel": mels()}
    for training in (False, True):
        one, other = (model(batch, training=training) for model in (plain, perturbed))
        same = np.allclose(numpy(one["mean"]), numpy(other["mean"]), atol=1e-5)
        assert same != training
        np.testing.assert_allclose(numpy(one["styles"]), numpy(other["styles"]), atol=1e-5)


def test_it_trains_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = vc(compiled=True, **SHALLOW)
        loss, *_ = model.train_on_batch({"mel": mels()})
        assert np.isfinite(loss)
    finally:
        keras.config.set_dtype_policy("float32")
    for name in ("content", "styles"):
        assert np.isfinite(model.encode(mels()[0])[name]).all()


def test_an_argument_that_earlier_runs_did_not_have_is_as_it_was_for_them():
    assert AdaINVC.defaults()["vtlp"] == 0 and "mels" not in AdaINVC.defaults()
