import functools

import keras
import numpy as np
import pytest
from keras import ops

from kvoice import audio, backend
from kvoice.models.waveglow import TAPS, WaveGlow, channels_of
from kvoice.steps import OptimizerGroup

pytestmark = pytest.mark.backend

MELS, HOP = 5, 32
SMALL = dict(mels=MELS, hop=HOP, width=4, flows=4, early_every=2, depth=2, dequantise=False)
WHITE = dict(
    prewhiten=True,
    bands=audio.band_powers(
        audio.Spec(sample_rate_hz=8000, fft=64, window=64, hop=HOP, mels=MELS, fmax_hz=4000.0)
    ),
)
PUBLISHED = {
    512: (268_294_760, 267_999_848),
    256: (87_879_272, 87_731_816),
    128: (34_830_440, 34_756_712),
    64: (17_595_752, 17_558_888),
    32: (11_300_840, 11_282_408),
}


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def tensor(array):
    return ops.convert_to_tensor(np.float32(array))


def flow(settled=True, **changes):
    """A flow as training may leave it: nothing is 0, and no matrix a rotation."""
    model, rng = WaveGlow(**SMALL | changes), np.random.default_rng(0)
    for step in model.flows if settled else ():
        size = step.mixing.matrix.shape[1]
        rotation, _ = np.linalg.qr(rng.normal(size=(size, size)))
        step.mixing.matrix.assign((rotation * rng.uniform(0.7, 1.4, size))[None])
        for variable in (step.network.end.kernel, step.network.end.bias):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def sounds(model, frames=6, count=2, seed=1):
    rng = np.random.default_rng(seed)
    return (
        np.float32(rng.normal(0, 0.1, (count, frames * model.hop))),
        np.float32(rng.normal(-4, 2, (count, frames, model.mels))),
    )


@pytest.mark.parametrize("width", PUBLISHED)
def test_the_published_networks_have_the_published_numbers_of_parameters(width):
    with keras.StatelessScope(initialize_variables=False):  # their sizes are enough
        model = WaveGlow(mels=80, hop=256, width=width)
        total, folded = PUBLISHED[width]
        assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == total
        lengths = [v for v in model.trainable_variables if v.name == "g"]
        assert total - sum(int(np.prod(v.shape)) for v in lengths) == folded


def test_channels_leave_the_flow():
    assert channels_of(12, 8, 4, 2) == [8] * 4 + [6] * 4 + [4] * 4


# The flow


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(alternate=True),
        dict(upsample_to="groups"),
        dict(hop=12, group=8),
        WHITE,
        WHITE | dict(group=24, early_size=4),
    ],
)
def test_the_flow_is_invertible(changes):
    model = flow(**changes)
    wave, mel = sounds(model)
    z = model.forward(tensor(wave), tensor(mel))["z"]
    assert z.shape == (2, wave.shape[1] // model.group, model.group)
    assert np.abs(numpy(z).reshape(wave.shape) - wave).max() > 0.1
    np.testing.assert_allclose(
        numpy(model.inverse(z, tensor(mel), model.folded())), wave, atol=3e-5
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(
            prewhiten=True,
            bands=audio.band_powers(
                audio.Spec(sample_rate_hz=8000, fft=16, window=16, hop=8, mels=2, fmax_hz=4000.0)
            ),
        ),
    ],
)
def test_the_likelihood_is_that_of_a_change_of_variables(changes):
    model = flow(mels=2, hop=8, group=4, flows=3, early_every=2, **changes)
    wave, mel = sounds(model, frames=2, count=1)
    out = model.forward(tensor(wave), tensor(mel))
    step, samples = 1e-3, wave.shape[1]
    moved = np.repeat(wave, 2 * samples, axis=0)
    moved[np.arange(samples), np.arange(samples)] += step
    moved[samples + np.arange(samples), np.arange(samples)] -= step
    z = numpy(model.forward(tensor(moved), tensor(np.repeat(mel, 2 * samples, axis=0)))["z"])
    z = z.reshape(2, samples, samples).astype(np.float64)
    _, expected = np.linalg.slogdet((z[0] - z[1]) / (2 * step))
    found = numpy(out["log_scale"]).sum() + samples / model.group * float(
        numpy(out["log_determinant"])
    )
    assert found == pytest.approx(expected, abs=0.02) and abs(expected) > 1


def test_the_loss_of_a_new_flow_is_half_of_the_power_for_any_mel():
    model = flow(settled=False)
    wave, mel = sounds(model)
    for each in (mel, mel + 3):
        loss, terms = model.loss_and_terms(
            {"wave": tensor(wave), "mel": tensor(each)}, training=True
        )
        assert float(loss) == pytest.approx(0.5 * np.mean(wave**2), rel=1e-4)
    assert float(terms["log_likelihood"]) == pytest.approx(-float(loss) - 0.9189, abs=1e-3)
    assert float(terms["bits_per_sample"]) == pytest.approx(
        15 - float(terms["log_likelihood"]) / np.log(2), abs=1e-3
    )


def test_noise_of_another_size_has_the_density_of_that_size():
    wave, mel = sounds(flow())
    for sigma in (0.5, 2.0):
        model = flow(sigma=sigma)
        out = model.forward(tensor(wave), tensor(mel))
        z = numpy(out["z"]).astype(np.float64)
        density = -0.5 * (z / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
        change = (
            numpy(out["log_scale"]) + float(numpy(out["log_determinant"]))
        ).mean() / model.group
        _, terms = model.loss_and_terms({"wave": tensor(wave), "mel": tensor(mel)}, training=False)
        assert float(terms["log_likelihood"]) == pytest.approx(density.mean() + change, abs=1e-4)


def test_the_upsampler_is_a_transposed_convolution_whose_end_is_dropped():
    model = flow()
    mel = sounds(model)[1]
    kernel, bias = numpy(model.upsample.kernel), numpy(model.upsample.bias)
    assert kernel.shape == (TAPS * HOP, MELS, MELS)
    expected = np.zeros((2, (6 + TAPS - 1) * HOP, MELS)) + bias
    for frame in range(6):
        expected[:, frame * HOP : (frame + TAPS) * HOP] += np.einsum(
            "koi,bi->bko", kernel, mel[:, frame]
        )
    steps = expected[:, : 6 * HOP]
    np.testing.assert_allclose(numpy(model.upsample.call(tensor(mel))), steps, atol=1e-5)
    conditions = numpy(model.conditions(tensor(mel)))
    for band, sample in (
        (0, 0),
        (3, 5),
        (4, 7),
    ):  # channel band * 8 + sample, as in published weights
        np.testing.assert_allclose(
            conditions[:, :, band * 8 + sample], steps[:, sample::8, band], atol=1e-5
        )


def test_what_leaves_first_comes_first():
    model = flow(settled=False)
    for step in model.flows:
        step.mixing.matrix.assign(np.eye(step.mixing.matrix.shape[1])[None])
    wave, mel = sounds(model)
    z = numpy(model.forward(tensor(wave), tensor(mel))["z"])  # nothing is mixed or changed
    np.testing.assert_allclose(z.reshape(wave.shape), wave, atol=1e-6)


# Audio


@pytest.mark.parametrize("changes", [{}, WHITE])
def test_audio_does_not_depend_on_the_chunks(changes):
    model = flow(**changes)
    mel = np.random.default_rng(2).normal(-4, 2, (90, MELS))
    whole, pieces = model.infer(mel, sigma=1.0), model.infer(mel, sigma=1.0, frames=11)
    assert whole.shape == (90 * HOP,) and whole.std() > 0.3
    # Rounding goes with the loudest, which is 6 or, prewhitened, up to 1400: of 6 mels on each
    # backend at most 2.6e-7 of it, some of the last bits.
    np.testing.assert_allclose(pieces, whole, atol=3e-6 * np.abs(whole).max())


def test_audio_depends_on_the_receptive_field_only():
    model = flow(upsample_to="groups")
    frames = 40
    wave, mel = sounds(model, frames, count=1)
    conditions = model.conditions(tensor(mel))
    groups, middle = conditions.shape[1], conditions.shape[1] // 2
    z = np.random.default_rng(0).normal(size=(1, groups, 8))
    other = z.copy()
    other[:, middle] += 1
    one, two = (
        numpy(model.inverse(tensor(each), tensor(mel), model.folded())) for each in (z, other)
    )
    moved = np.flatnonzero(np.abs(one - two).reshape(groups, 8).max(axis=1) > 0)
    assert moved.max() - middle <= model.reach and middle - moved.min() <= model.reach
    assert moved.max() - middle > model.reach // 2  # and it is no idle bound


@pytest.mark.parametrize("frames", [1, 7])
@pytest.mark.parametrize(
    "changes", [dict(hop=12), WHITE]
)  # two frames are three groups; or one block
def test_mels_of_any_number_of_frames_have_audio(frames, changes):
    model = flow(**changes)
    mel = sounds(model, frames)[1]
    assert model.infer(mel).shape == (2, frames * model.hop)
    np.testing.assert_allclose(model.infer(mel[0]), model.infer(mel[:1])[0], atol=1e-5)
    sounded = numpy(model.sounded(tensor(mel[:1]), 0.6, 0))[0]
    np.testing.assert_allclose(sounded, model.infer(mel[0], sigma=0.6), atol=1e-5)


def test_a_new_flow_gives_noise_with_the_envelope_of_the_mel():
    model = flow(settled=False, **WHITE)
    loud, faint = (np.full((40, MELS), level) for level in (-1.0, -4.0))
    waves = [model.infer(mel, sigma=1.0) for mel in (loud, faint)]
    assert waves[0].std() / waves[1].std() == pytest.approx(np.exp(3), rel=0.01)
    # Given its mel, such audio is as likely as noise can be: its loss is that of its entropy.
    terms = model.eval_on({"wave": tensor(waves[0][None]), "mel": tensor(loud[None])})
    again = model.eval_on({"wave": tensor(waves[0][None]), "mel": tensor(faint[None])})
    assert float(terms["log_likelihood"]) > float(again["log_likelihood"]) + 10


def test_the_seed_is_the_noise_and_sigma_its_size():
    model = flow()
    mel = sounds(model)[1][0]
    np.testing.assert_array_equal(model.infer(mel, seed=3), model.infer(mel, seed=3))
    assert np.abs(model.infer(mel, seed=3) - model.infer(mel, seed=4)).max() > 0.1
    np.testing.assert_array_equal(
        model.infer(mel, sigma=0, seed=3), model.infer(mel, sigma=0, seed=4)
    )


def test_audio_is_of_the_weights_as_they_are():
    model = flow()
    mel = sounds(model)[1][0]
    before = model.infer(mel)
    model.flows[0].mixing.matrix.assign(2 * numpy(model.flows[0].mixing.matrix))
    np.testing.assert_allclose(
        model.infer(mel), before / 2, rtol=1e-4, atol=1e-6
    )  # the last to be undone
    model.flows[1].network.start.g.assign(3 * numpy(model.flows[1].network.start.g))
    assert np.abs(model.infer(mel) - before / 2).max() > 1e-3


@pytest.mark.parametrize("shape", [(0, MELS), (4, MELS + 1), (4,)])
def test_a_mel_of_the_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected \[time, 5\]"):
        flow().infer(np.zeros(shape))


@pytest.mark.parametrize("changes", [{}, WHITE])
def test_a_gradient_goes_through_to_the_mel(changes):
    model = flow(**changes)
    mel = sounds(model, frames=3)[1]
    loud = backend.input_value_and_grad(
        lambda x: (ops.sum(ops.square(model.sounded(x, 0.5, 7))), ()), [model]
    )
    (value, _), gradient = loud(mel)
    gradient, step = numpy(gradient), 1e-2
    for place in ((0, 0, 1), (1, 2, 4)):
        moved = [mel.copy(), mel.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        slope = (float(loud(moved[0])[0][0]) - float(loud(moved[1])[0][0])) / (2 * step)
        assert gradient[place] == pytest.approx(slope, rel=0.05, abs=1e-2)


# Training


def compiled(model, rate=3e-3):
    model.compile(
        OptimizerGroup({"flow": keras.optimizers.Adam(rate)}), jit_compile=backend.BACKEND == "jax"
    )
    return model


def tones(model, seed=0):
    """Audio that its mel tells all about: the level of one band is that of the noise."""
    rng = np.random.default_rng(seed)
    levels = rng.uniform(-4, 0, (4, 6, 1))
    wave = rng.normal(size=(4, 6, model.hop)) * np.exp(levels)
    return {
        "wave": np.float32(wave.reshape(4, -1)),
        "mel": np.float32(np.repeat(levels, model.mels, 2)),
        "mask": np.ones((4, 6), np.float32),
    }


def test_training_raises_the_likelihood():
    model = compiled(flow(settled=False, dequantise=True), 1e-2)
    batch = tones(model)
    first, *_, last = (
        model.train_on_batch(batch, return_dict=True)["log_likelihood"] for _ in range(40)
    )
    assert float(last) > float(first) + 0.3


def test_padding_does_not_count():
    model, rng = flow(), np.random.default_rng(5)
    wave, mel = sounds(model)
    mask = np.ones((2, 6), np.float32)
    mask[1, 3:] = 0
    padded = wave.copy()
    padded[1, 3 * HOP :] = 0
    cost = {}
    for name, each in (
        ("zeros", padded),
        ("noise", np.where(np.repeat(mask, HOP, 1) > 0, wave, rng.normal(size=wave.shape))),
    ):
        out = model.forward(tensor(each), tensor(mel))
        dense = (
            (numpy(out["z"]) ** 2).sum(-1) / 2
            - numpy(out["log_scale"])
            - float(numpy(out["log_determinant"]))
        )
        kept = np.repeat(mask, HOP // 8, 1)
        cost[name] = (dense * kept).sum() / kept.sum() / 8
        loss, _ = model.loss_and_terms(
            {"wave": tensor(each), "mel": tensor(mel), "mask": tensor(mask)}, training=False
        )
        assert float(loss) == pytest.approx(cost[name], rel=1e-4)


@pytest.mark.parametrize("frames", [7, 8])
def test_a_sound_that_is_cut_off_is_as_likely_as_before_its_end(frames):
    model = flow(settled=False, **WHITE)
    rng = np.random.default_rng(0)
    wave = np.float32(rng.normal(0, 0.1, (1, 12 * HOP)))
    mel = np.float32(np.full((1, 12, MELS), -1.5))
    whole, _ = model.loss_and_terms(
        {"wave": tensor(wave), "mel": tensor(mel), "mask": tensor(np.ones((1, 12)))}, False
    )
    mask = np.float32(np.arange(12) < frames)[None]
    wave[:, frames * HOP :], mel[:, frames:] = 0, np.log(1e-5)
    padded, _ = model.loss_and_terms(
        {"wave": tensor(wave), "mel": tensor(mel), "mask": tensor(mask)}, False
    )
    assert float(padded) == pytest.approx(float(whole), abs=0.1)
    np.testing.assert_array_equal(
        numpy(model.counted({"mask": tensor(mask)}))[0], np.arange(12) < (4 if frames < 8 else 6)
    )


def test_silence_has_a_density_when_it_is_dequantised():
    model = flow(settled=False, dequantise=True)
    batch = {"wave": tensor(np.zeros((1, 6 * HOP))), "mel": tensor(np.full((1, 6, MELS), -11.5))}
    z = numpy(model.call(batch, training=True)["z"])
    assert 0 < np.abs(z).max() <= 3 * 0.5 / 32768 and z.std() == pytest.approx(
        1 / 32768 / 12**0.5, rel=0.2
    )
    assert np.abs(numpy(model.call(batch, training=False)["z"])).max() == 0


def test_sums_may_be_short_but_audio_and_determinants_are_not():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        short = flow()
    finally:
        keras.config.set_dtype_policy("float32")
    model = flow()
    short.set_weights(model.get_weights())
    wave, mel = sounds(model)
    long_, rough = (each.forward(tensor(wave), tensor(mel)) for each in (model, short))
    assert short.flows[0].network.folded()["in"][0].dtype in (
        "bfloat16",
        ops.cast(tensor(0), "bfloat16").dtype,
    )
    assert float(rough["log_determinant"]) == pytest.approx(
        float(long_["log_determinant"]), abs=1e-5
    )
    difference = np.abs(numpy(rough["z"]) - numpy(long_["z"])).max()
    assert 0 < difference < 0.1
    # Its own inverse undoes it, up to what the sums of bfloat16 give for audio that has changed a
    # little.
    again = numpy(short.inverse(rough["z"], tensor(mel), short.folded()))
    np.testing.assert_allclose(again, wave, atol=2e-3)
    batch = tones(short)
    assert np.isfinite(float(compiled(short).train_on_batch(batch, return_dict=True)["loss"]))


@functools.cache
def saved_values():
    return flow(alternate=True, **WHITE)


def test_it_is_saved_and_loaded_whole(tmp_path):
    model = saved_values()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    mel = sounds(model)[1]
    np.testing.assert_allclose(again.infer(mel), model.infer(mel), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (dict(width=0), "width: 0 must be at least 1"),
        (dict(group=7), "group: 7 must be even"),
        (dict(kernel=2), "kernel: 2 must be odd"),
        (dict(sigma=0.0), "sigma: 0.0 must be above 0"),
        (dict(upsample_to="nowhere"), "upsample_to: 'nowhere'"),
        (dict(early_every=1, early_size=4), "leave -4 of 8"),
        (dict(depth=17), "depth: 17 must be at most 16"),
        (dict(upsample_to="groups", hop=12), "group: 8 must divide the hop of 12"),
        (dict(prewhiten=True), "bands: those of the 5 mels"),
    ],
)
def test_a_wrong_argument_is_named(changes, line):
    with pytest.raises(ValueError, match=line):
        flow(**changes)
