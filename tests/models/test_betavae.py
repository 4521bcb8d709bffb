import functools

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
from keras import ops

from kvoice import backend
from kvoice.layers.shift import ShiftedBasis
from kvoice.models.betavae import ARCHITECTURES, LOG_VAR, BetaVAE
from kvoice.steps import OptimizerGroup

pytestmark = pytest.mark.backend

LOW, HIGH, PHONES = -10.0, 2.0, 4
MEL = dict(domain="mel", low=LOW, high=HIGH)
TINY = {
    "dense": dict(shape=(6, 5), width=8),
    "convolutional": dict(shape=(9, 6), width=2),  # sizes that strides do not divide
    "shift": dict(shape=(2, 16), width=4),
    "recurrent": dict(shape=(3, 6), width=4),
    "utterance": dict(shape=(16, 8), width=4, **MEL),
}
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def vae(architecture="dense", rate=None, jit=False, **changes):
    """A small model; compiled where a rate is given, by XLA on JAX where many steps follow."""
    values = dict(low=0.0, high=1.0, architecture=architecture, latents=3, sigma=0.2, beta=1.0)
    keras.utils.set_random_seed(1)
    model = BetaVAE(**{**values, **TINY.get(architecture, {}), **changes})
    if rate is not None:
        adam = {p: keras.optimizers.Adam(rate) for p in model.parameter_groups()}
        model.compile(
            OptimizerGroup(adam),
            jit_compile=jit and backend.BACKEND == "jax",
            run_eagerly=not jit and backend.BACKEND == "tensorflow",
        )
    return model


def batch(model, count=8, seed=0):
    """Bars at two places of two heights, in the unit of the model; of mels also masks and
    phones.
    """
    rng = np.random.default_rng(seed)
    rows, columns = model.shape
    place, height = rng.integers(0, 2, (2, count, 1, 1))
    bars = (np.arange(columns) // (columns // 2) == place) * (0.4 + 0.4 * height)
    items = np.clip(bars + rng.normal(0.1, 0.02, (count, rows, columns)), 0, 1)
    items = (model.low + (model.high - model.low) * items).astype("float32")
    if model.domain == "image":
        return {"image": items}
    ends = rng.integers(rows // 2, rows + 1, (count, 1))
    return {
        "mel": items,
        "mask": (np.arange(rows) < ends).astype("float32"),
        "phone": rng.integers(0, PHONES, (count, rows)).astype("int32"),
    }


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def tensors(values):
    return {name: ops.convert_to_tensor(value) for name, value in values.items()}


def flat(variables):
    return np.concatenate([numpy(v).ravel() for v in variables])


def seen(model, values, training=False):
    """What a step computes and what it returns, of the same draws: (call's dict, loss, terms)."""
    state = numpy(model._random.state).copy()
    out = model.call(tensors(values), training=training)
    model._random.state.assign(state)
    loss, terms = model.loss_and_terms(tensors(values), training=training)
    model._random.state.assign(state)
    return (
        {k: numpy(v).astype("float64") for k, v in out.items()},
        float(numpy(loss)),
        {k: float(numpy(v)) for k, v in terms.items()},
    )


def stepped(model, seed=0):
    """The logs of one step of training."""
    model.reset_metrics()
    return model.train_on_batch(tensors(batch(model, seed=seed)), return_dict=True)


# Sizes


def affine(*sizes):
    """Parameters of layers, each (values that an output sums, outputs)."""
    return sum(summed * outputs + outputs for summed, outputs in sizes)


def test_the_published_dense_pair_has_its_parameters():
    model = vae("dense", shape=(28, 28), width=400, latents=10)
    assert model.encoder.count_params() == affine((784, 400), (400, 20))
    assert model.decoder.count_params() == affine((10, 400), (400, 784))


def test_the_published_convolutions_have_their_parameters():
    model = vae("convolutional", shape=(28, 28), width=16, latents=10)
    small = 7 * 7 * 32
    assert model.encoder.count_params() == affine((25, 16), (25 * 16, 32), (small, 500), (500, 20))
    assert model.decoder.count_params() == affine(
        (10, 500), (500, small), (25 * 32, 16), (25 * 16, 1)
    )


@pytest.mark.parametrize("mels, inputs", [(63, 512), (64, 512), (80, 640)])
def test_the_published_layers_of_the_utterance_encoder_have_their_parameters(mels, inputs):
    model = vae("utterance", shape=(160, mels), width=32, latents=64)
    published = [
        layer
        for layer in model.encoder.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    ]
    assert sum(layer.count_params() for layer in published) == affine(
        (9, 32), (9 * 32, 32), (9 * 32, 64), (9 * 64, 32), (inputs, 2 * 64)
    )


def test_the_recurrent_pair_has_the_parameters_of_its_lstms_and_its_attention():
    time, bins, width, latents = 3, 6, 4, 2
    model = vae("recurrent", shape=(time, bins), width=width, latents=latents)

    def lstm(inputs):
        return 4 * affine((inputs + width, width))

    assert model.encoder.count_params() == 2 * lstm(bins) + affine(
        (2 * width, width), (width, 1), (2 * width, 2 * latents)
    )
    assert model.decoder.count_params() == lstm(width) + lstm(2 * width) + width + affine(
        (latents, time * width), (width, bins)
    )


# The objectives


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("architecture", ["dense", "utterance"])
def test_the_reconstruction_is_the_cost_of_an_item_in_nats(architecture, likelihood):
    model = vae(architecture, likelihood=likelihood)
    values = batch(model)
    out, _, terms = seen(model, values)
    items = (values[model.domain] - model.low) / (model.high - model.low)
    if likelihood == "gaussian":
        cost = -scipy.stats.norm(out["decoded"], 0.2).logpdf(items)
    else:
        chance = scipy.special.expit(out["decoded"])
        cost = -items * np.log(chance) - (1 - items) * np.log(1 - chance)
    if architecture == "dense":
        want = cost.sum(axis=(1, 2)).mean()
    else:  # the bands summed, the frames of the utterance averaged
        inside = [
            cost[i, : int(end)].sum(axis=1).mean() for i, end in enumerate(values["mask"].sum(1))
        ]
        want = np.mean(inside)
    assert terms["reconstruction"] == pytest.approx(want, rel=1e-4)


def divergence(out):
    """Of each latent, in nats, a mean of the batch."""
    mean, log_var = out["mean"], out["log_var"]
    return ((mean**2 + np.exp(log_var) - 1 - log_var) / 2).mean(axis=0)


def correlation(out):
    """The total correlation of draws, with the batch's posteriors as all there are."""
    scale = np.exp(out["log_var"] / 2)
    density = scipy.stats.norm(out["mean"][None], scale[None]).pdf(out["codes"][:, None])
    return np.log(density.prod(-1).mean(1) / density.mean(1).prod(-1)).mean()


# What each objective adds to the reconstruction, from what `call` holds and the share of the
# annealing.
PENALTIES = {
    "beta": (dict(beta=6.0, beta_start=1.0), lambda out, kl, share: (1 + 5 * share) * kl),
    "capacity": (
        dict(gamma=7.0, capacity_nats=9.0),
        lambda out, kl, share: 7 * abs(kl - share * 9),
    ),
    "tcvae": (
        dict(beta=6.0, beta_start=3.0),
        lambda out, kl, share: kl + (2 + 3 * share) * correlation(out),
    ),
    "factorvae": (dict(gamma=7.0), lambda out, kl, share: kl + share * 7 * 0.75),
}


@pytest.mark.parametrize("convention", ["sum", "mean"])
@pytest.mark.parametrize("objective", PENALTIES)
def test_each_objective_adds_its_own_penalty(objective, convention):
    arguments, penalty = PENALTIES[objective]
    model = vae(objective=objective, kl=convention, anneal_steps=8, **arguments)
    if objective == "factorvae":  # a discriminator that always says e^0.75 times as likely
        kernel, bias = model.discriminator.trainable_variables[-2:]
        kernel.assign(0 * numpy(kernel))
        bias.assign([0.75])
    for step, share in ((0, 0), (2, 0.25), (8, 1), (80, 1)):
        model.step.assign(step)
        out, loss, terms = seen(model, batch(model))
        kl = divergence(out).sum()
        charged = kl / 3 if convention == "mean" else kl
        assert loss - terms["reconstruction"] == pytest.approx(
            penalty(out, charged, share), rel=1e-3, abs=1e-4
        )
        # The logs are in nats in both conventions.
        assert terms["kl"] == pytest.approx(kl, rel=1e-4)
        assert terms["elbo"] == pytest.approx(-terms["reconstruction"] - kl, rel=1e-5)
        known = 0.75 if objective == "factorvae" else correlation(out)
        assert terms["total_correlation"] == pytest.approx(known, abs=1e-4)


def test_without_annealing_the_weight_is_full_from_the_start():
    model = vae(beta=5.0)
    out, loss, terms = seen(model, batch(model))
    assert loss - terms["reconstruction"] == pytest.approx(5 * divergence(out).sum(), rel=1e-3)


def test_a_beta_below_one_counts_as_one_in_tcvae():
    model = vae(objective="tcvae", beta=5.0, beta_start=0.0, anneal_steps=10)
    out, loss, terms = seen(model, batch(model))
    assert loss - terms["reconstruction"] == pytest.approx(divergence(out).sum(), rel=1e-3)


def test_codes_are_draws_of_their_posteriors():
    # (codes - mean) / sigma of many items is a draw from N(0, 1), another one at each call.
    model = vae()
    model.encoder.get_layer("posterior").bias.assign([0, 0, 0, -3, -1, 2])
    values = batch(model, 2000)
    first, second = (
        {k: numpy(v) for k, v in model.call(tensors(values)).items()} for _ in range(2)
    )
    noise = [(out["codes"] - out["mean"]) / np.exp(out["log_var"] / 2) for out in (first, second)]
    assert scipy.stats.kstest(noise[0].ravel(), "norm").pvalue > 1e-4
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(first["mean"], second["mean"])


def test_free_bits_are_a_constant_without_a_gradient_below_their_threshold():
    values = batch(vae())["image"]
    each = divergence(seen(vae(), {"image": values})[0])
    assert np.ptp(each) > 0.01
    all_below, one_above = 2 * each.max(), np.sort(each)[1] + 1e-3
    costs = {}
    for free, charged in ((all_below, 3 * all_below), (one_above, each.max() + 2 * one_above)):
        model = vae(beta=5.0, free_nats=float(free))
        for moved in (0.0, 0.02):
            _, loss, terms = seen(model, {"image": values * (1 + moved)})
            costs[free, moved] = loss - terms["reconstruction"], terms["kl"]
        assert costs[free, 0.0] == pytest.approx((5 * charged, each.sum()), rel=1e-3)
        assert abs(costs[free, 0.02][1] - costs[free, 0.0][1]) > 1e-3  # the logs say what it is
    # Where every latent is below, it may say a little more or less: the cost stays.
    assert costs[all_below, 0.02][0] == pytest.approx(costs[all_below, 0.0][0], rel=1e-5)
    assert abs(costs[one_above, 0.02][0] - costs[one_above, 0.0][0]) > 1e-3


def test_a_latent_is_active_where_its_means_differ_between_items():
    model = vae(latents=4)
    kernel, bias = model.encoder.get_layer("posterior").trainable_variables
    changed = numpy(kernel).copy()
    changed[:, [0, 2]] = 0
    changed[:, 1] *= 10 / np.abs(changed[:, 1]).max()
    kernel.assign(changed)
    bias.assign(np.full(8, 3.0))  # far from 0, and yet the same for all
    out, _, terms = seen(model, batch(model))
    variance = out["mean"].var(axis=0)
    assert variance[0] == variance[2] == 0 and variance[1] > 0.01
    assert terms["active_units"] == np.sum(variance > 0.01)


def test_evaluation_returns_the_terms_and_moves_nothing():
    model = vae(rate=0.01, objective="factorvae")
    before = flat(model.trainable_variables)
    logs = model.test_on_batch(batch(model), return_dict=True)
    assert set(logs) == set(BetaVAE.terms) and np.isfinite(list(logs.values())).all()
    np.testing.assert_array_equal(flat(model.trainable_variables), before)
    assert int(numpy(model.step)) == 0


# FactorVAE


@functools.cache
def factor_vae():
    return vae(rate=0.01, jit=True, objective="factorvae", gamma=4.0)


@pytest.mark.parametrize("still, moving", [("vae", "discriminator"), ("discriminator", "vae")])
def test_vae_and_discriminator_are_trained_only_by_their_own_loss(still, moving):
    model = factor_vae()
    model.optimizer.learning_rate = 1.0
    model.optimizer[still].learning_rate = 0.0
    before = {p: flat(v) for p, v in model.parameter_groups().items()}
    stepped(model)
    after = {p: flat(v) for p, v in model.parameter_groups().items()}
    np.testing.assert_array_equal(after[still], before[still])
    assert (after[moving] != before[moving]).any()


def test_each_parameter_group_sees_its_own_half_of_the_batch():
    model = factor_vae()
    model.optimizer.learning_rate = 0.0
    state = numpy(model._random.state).copy()

    def logs(first, second):
        model._random.state.assign(state)
        model.reset_metrics()
        values = batch(model)["image"]
        values = np.concatenate(
            [1 - values[:4] if first else values[:4], 1 - values[4:] if second else values[4:]]
        )
        found = model.train_on_batch({"image": values}, return_dict=True)
        return found["reconstruction"], found["loss_discriminator"]

    plain, left, right = logs(False, False), logs(True, False), logs(False, True)
    assert left[0] != pytest.approx(plain[0], rel=1e-3) and left[1] == pytest.approx(
        plain[1], abs=1e-6
    )
    assert right[1] != pytest.approx(plain[1], abs=1e-6) and right[0] == pytest.approx(plain[0])


def test_the_discriminator_detects_redundant_latents():
    model = vae(objective="factorvae", rate=0.003, jit=True, latents=2)
    kernel, bias = model.encoder.get_layer("posterior").trainable_variables
    one = numpy(kernel)[:, :1]
    kernel.assign(np.concatenate([one, one, 0 * one, 0 * one], axis=1))
    values = batch(model, 64)
    mean, _ = model.encode(values["image"])
    one = one / mean[:, 0].std()
    kernel.assign(np.concatenate([one, one, 0 * one, 0 * one], axis=1))
    center = mean[:, 0].mean() / mean[:, 0].std()
    bias.assign([-center, -center, -4, -4])  # two latents that say the same, and surely
    model.optimizer["vae"].learning_rate = 0.0
    costs, correlations = [], []
    for _ in range(60):
        model.reset_metrics()
        logs = model.train_on_batch(values, return_dict=True)
        costs.append(logs["loss_discriminator"])
        correlations.append(logs["total_correlation"])
    assert costs[-1] < np.log(2) - 0.1 and costs[-1] < costs[0]
    assert correlations[-1] > 0.2 and correlations[-1] > correlations[0]


def test_a_discriminator_at_chance_has_a_loss_of_the_log_of_two():
    model = vae(objective="factorvae")
    kernel, bias = model.discriminator.trainable_variables[-2:]
    kernel.assign(0 * numpy(kernel))
    for logit in (0.0, 1.5):
        bias.assign([logit])
        terms = model.eval_on(tensors(batch(model)))
        want = (np.log1p(np.exp(-logit)) + np.log1p(np.exp(logit))) / 2
        assert float(numpy(terms["loss_discriminator"])) == pytest.approx(want, rel=1e-5)
        assert float(numpy(terms["total_correlation"])) == pytest.approx(logit, abs=1e-6)


# Training


@functools.cache
def trained(architecture):
    """A model after some steps, and its costs before them."""
    more = dict(phones=PHONES, dropout=0.1) if architecture == "utterance" else {}
    # Graphs of three LSTMs take TensorFlow ten seconds; `classifier` has some.
    jit = architecture != "recurrent" or backend.BACKEND == "jax"
    model = vae(architecture, rate=0.01, jit=jit, beta=0.1, anneal_steps=10, **more)
    return model, [stepped(model)["reconstruction"] for _ in range(12)]


@every_architecture
def test_training_lowers_the_reconstruction_of_bars(architecture):
    model, losses = trained(architecture)
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:2])
    assert int(numpy(model.step)) == 12


@every_architecture
def test_saving_keeps_the_codes_the_pictures_and_the_step(tmp_path, architecture):
    model, _ = trained(architecture)
    values = batch(model)
    model.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert again.get_config() == model.get_config()
    want, found = (m.encode(values[m.domain], values.get("mask")) for m in (model, again))
    np.testing.assert_allclose(found, want, atol=1e-5)
    given = [want[0], values["phone"]] if model.phones else want[0]
    np.testing.assert_allclose(numpy(again.decoder(given)), numpy(model.decoder(given)), atol=1e-5)
    assert int(numpy(again.step)) == 12


def test_a_checkpoint_resumes_with_the_same_draws_and_annealing(tmp_path):
    model, again = (vae(rate=0.01, jit=True, anneal_steps=10, seed=seed) for seed in (0, 5))
    for seed in (1, 2):
        stepped(model, seed)
    model.save_weights(tmp_path / "vae.weights.h5")
    again.load_weights(tmp_path / "vae.weights.h5")
    assert int(numpy(again.step)) == 2
    want, found = ([stepped(m, seed) for seed in (3, 4)] for m in (model, again))
    assert found == [pytest.approx(w, rel=1e-5) for w in want]
    np.testing.assert_allclose(flat(again.variables), flat(model.variables), atol=1e-6)


def test_a_checkpoint_resumes_with_the_same_dropout(tmp_path):
    model, again = (vae("utterance", dropout=0.3, seed=seed) for seed in (0, 5))
    values = tensors(batch(model))

    def mean(model):
        return numpy(model.call(values, training=True)["mean"])

    mean(model)  # draws
    model.save_weights(tmp_path / "vae.weights.h5")
    again.load_weights(tmp_path / "vae.weights.h5")
    want = mean(model)
    np.testing.assert_allclose(mean(again), want, atol=1e-6)
    assert np.abs(mean(model) - want).max() > 1e-4
    np.testing.assert_array_equal(*(numpy(model.call(values)["mean"]) for _ in range(2)))


def test_the_draws_of_a_run_come_from_its_seed():
    codes = [numpy(vae(seed=seed).call(tensors(batch(vae())))["codes"]) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert np.abs(codes[0] - codes[2]).max() > 0.01


@every_architecture
def test_posteriors_and_pictures_are_float32_where_the_model_computes_in_bfloat16(architecture):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = vae(architecture)
    finally:
        keras.config.set_dtype_policy("float32")
    kinds = {layer.compute_dtype for layer in model.encoder.layers + model.decoder.layers}
    assert "bfloat16" in kinds
    assert model.encoder.output.dtype == model.decoder.output.dtype == "float32"
    for layer in model.decoder.layers:
        if isinstance(layer, ShiftedBasis):  # 8 bits would not tell its places apart
            assert layer.compute_dtype == "float32"


# Encoding


@every_architecture
def test_encode_is_the_posterior_of_each_item_by_itself(architecture):
    model = listener() if architecture == "utterance" else trained(architecture)[0]
    values = batch(model)
    items, mask = values[model.domain], values.get("mask")
    mean, log_var = model.encode(items, mask)
    out = model.call(tensors(values))
    np.testing.assert_allclose(mean, numpy(out["mean"]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_var, numpy(out["log_var"]), rtol=1e-5, atol=1e-5)
    alone = model.encode(items[2:3], None if mask is None else mask[2:3])
    np.testing.assert_allclose(alone, (mean[2:3], log_var[2:3]), rtol=1e-5, atol=1e-5)
    assert np.ptp(mean, axis=0).max() > 1e-3


def test_items_are_scaled_by_the_bounds_and_clipped():
    model, plain = vae(low=-3.0, high=5.0), vae(low=0.0, high=1.0)
    items = np.random.default_rng(0).uniform(-0.3, 1.3, (4, *model.shape)).astype("float32")
    want = plain.encode(np.clip(items, 0, 1))
    np.testing.assert_allclose(model.encode(-3 + 8 * items), want, atol=1e-5)
    np.testing.assert_allclose(plain.encode(items), want, atol=1e-6)


def test_log_variances_are_kept_between_their_bounds():
    model = vae()
    model.encoder.get_layer("posterior").bias.assign([0, 0, 0, 99, -99, 0])
    out = model.call(tensors(batch(model)))
    for log_var in (numpy(out["log_var"]), model.encode(batch(model)["image"])[1]):
        np.testing.assert_allclose(log_var[:, :2], [[LOG_VAR[1], LOG_VAR[0]]] * 8)


@functools.cache
def listener():
    """A model whose encoder passes on every frame: no ReLU of it is ever shut."""
    model = vae("utterance")
    for variable in model.encoder.trainable_variables[:-2]:
        variable.assign(np.abs(numpy(variable)))
    return model


@pytest.mark.parametrize("frames", [5, 8])
def test_a_code_does_not_depend_on_what_follows_its_utterance(frames):
    model = listener()
    mel = batch(model)["mel"][:2, :frames]
    want = model.encode(mel)
    for more, filling in ((0, LOW), (3, LOW), (13, LOW), (13, HIGH)):
        padded = np.concatenate([mel, np.full((2, more, 8), filling, "float32")], axis=1)
        mask = np.float32(np.arange(frames + more) < frames)[None].repeat(2, 0)
        np.testing.assert_allclose(model.encode(padded, mask), want, rtol=1e-5, atol=1e-5)
    # What the mask covers is not silence that belongs to the utterance.
    assert np.abs(np.subtract(model.encode(padded), want)).max() > 1e-3


def test_a_code_depends_on_every_frame_of_its_utterance_and_on_none_after():
    model = listener()
    mel, mask = np.full((17, 16, 8), -6.0, "float32"), np.zeros((17, 16), "float32")
    mask[:, :11] = 1
    for t in range(16):
        mel[t + 1, t] = 0.0
    mean, _ = model.encode(mel, mask)
    moved = np.abs(mean[1:] - mean[:1]).max(axis=1)
    assert np.all(moved[:11] > 1e-4) and np.all(moved[11:] < 1e-5)


def test_masked_frames_cost_nothing():
    model = listener()
    values = batch(model)
    _, _, terms = seen(model, values)
    values["mel"] = np.where(values["mask"][..., None] > 0, values["mel"], HIGH)
    assert seen(model, values)[2] == pytest.approx(terms, rel=1e-5)


# Decoding


@every_architecture
def test_decode_takes_pictures_back_to_their_unit(architecture):
    model, _ = trained(architecture)
    bias = model.decoder.trainable_variables[-1]
    before = numpy(bias).copy()
    codes = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    phone = batch(model, 4)["phone"] if model.phones else None
    given = [codes, phone] if model.phones else codes
    # Half of the values are below the lowest of the unit.
    bias.assign(before - np.median(numpy(model.decoder(given))))
    scaled, found = numpy(model.decoder(given)), model.decode(codes, phone)
    bias.assign(before)
    assert scaled.min() < 0 < scaled.max()
    assert found.shape == (4, *model.shape)
    want = model.low + (model.high - model.low) * np.clip(scaled, 0, 1)
    np.testing.assert_allclose(found, want, atol=1e-4)


def test_decode_of_a_bernoulli_is_its_chance_and_never_overflows():
    model = vae(likelihood="bernoulli", low=0.0, high=2.0)
    codes = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    want = 2 * scipy.special.expit(numpy(model.decoder(codes)))
    np.testing.assert_allclose(model.decode(codes), want, atol=1e-5)
    bias = model.decoder.trainable_variables[-1]
    bias.assign(np.where(np.arange(30) % 2, -500.0, 500.0))
    with np.errstate(all="raise", under="ignore"):
        found = model.decode(0 * codes).reshape(4, 30)
    np.testing.assert_allclose(found, np.tile([2.0, 0.0], (4, 15)), atol=1e-6)


@functools.cache
def speaker():
    """A model whose decoder is conditioned on phones."""
    return vae("utterance", phones=PHONES, latents=2)


def test_phones_change_the_decoded_mel_and_not_the_code():
    model = speaker()
    values = batch(model)
    other = values | {"phone": (values["phone"] + 1) % PHONES}
    (a, _, _), (b, _, _) = seen(model, values), seen(model, other)
    for name in ("mean", "log_var", "codes"):
        np.testing.assert_array_equal(a[name], b[name])
    assert np.abs(a["decoded"] - b["decoded"]).max() > 1e-2


def test_the_code_changes_every_frame_for_any_phones():
    model = speaker()
    phone = np.arange(24)[None] % (PHONES + 1) - 1  # -1, an unknown phone, among them
    mels = [model.decode(np.float32([[0, z]]), phone) for z in (0, 2)]
    assert mels[0].shape == (1, 24, 8)
    assert np.abs(mels[1] - mels[0]).max(axis=2).min() > 1e-3
    # The same code and phones at any length: the frames far from the end are the same.
    short, long = (
        numpy(model.decoder([np.zeros((1, 2), "float32"), np.tile(phone, (1, times))]))
        for times in (1, 3)
    )
    np.testing.assert_allclose(long[:, :4], short[:, :4], atol=1e-4)


def test_phones_are_required_only_where_the_decoder_is_conditioned_on_them():
    code = np.zeros((1, 2), "float32")
    with pytest.raises(ValueError, match="phone: is missing"):
        speaker().decode(code)
    with pytest.raises(ValueError, match="phone: this decoder is not conditioned on phones"):
        vae("utterance").decode(np.zeros((1, 3), "float32"), np.zeros((1, 16), "int32"))


@pytest.mark.parametrize("bins", [-3, 1, 4])
def test_a_latent_that_only_shifts_moves_the_picture_along_the_bins(bins):
    model = vae("shift", latents=5)
    (basis,) = (layer for layer in model.decoder.layers if isinstance(layer, ShiftedBasis))
    readers = [v for v in model.decoder.trainable_variables if tuple(v.shape)[:1] == (5,)]
    for kernel in readers:  # the first latent does nothing else
        shifts = kernel is basis.trainable_variables[0]
        kernel.assign(
            np.concatenate(
                [np.full((1, kernel.shape[1]), 2 / 15 if shifts else 0.0), numpy(kernel)[1:]]
            )
        )
    assert len(readers) > 1
    codes = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    found, moved = (
        numpy(model.decoder(z)) for z in (codes, codes + np.float32([bins, 0, 0, 0, 0]))
    )
    there, here = slice(max(bins, 0), 16 + min(bins, 0)), slice(max(-bins, 0), 16 + min(-bins, 0))
    np.testing.assert_allclose(moved[..., there], found[..., here], atol=1e-4)
    assert np.abs(moved - found).max() > 0.05


# Mistakes


@pytest.mark.parametrize(
    "architecture, changes, line",
    [
        ("dense", dict(architecture="deep"), "architecture: 'deep' is none of dense, "),
        ("dense", dict(objective="gamma"), "objective: 'gamma' is none of beta, capacity"),
        ("dense", dict(likelihood="laplace"), "likelihood: 'laplace'"),
        ("dense", dict(kl="max"), "kl: 'max' is none of sum, mean"),
        ("dense", dict(domain="wave"), "domain: 'wave'"),
        ("dense", dict(domain="mel"), "architecture: 'dense' does not fit domain 'mel'"),
        ("utterance", dict(domain="image"), "architecture: 'utterance' does not fit"),
        ("dense", dict(shape=(30,)), r"shape: \(30,\) must be two numbers"),
        ("utterance", dict(shape=(20, 8)), "shape: 20 frames must be a multiple of 8"),
        ("utterance", dict(shape=(20, 8), phones=3), "shape: 20 frames must be a multiple of 8"),
        ("shift", dict(shape=(2, 3)), "bins: 3 must be at least 4"),
        ("dense", dict(phones=3), "phones: 3 must be 0 for images"),
        ("dense", dict(low=1.0), "low: 1.0 must be below high: 1.0"),
        ("dense", dict(sigma=0.0), "sigma: 0.0 must be above 0"),
        ("dense", dict(dropout=1.0), "dropout: 1.0 must be below 1"),
        ("dense", dict(width=1), "width: 1 must be at least 2"),
        ("dense", dict(latents=0), "latents: 0 must be at least 2"),
        *[
            ("dense", {name: -1}, f"{name}: -1 must be at least 0")
            for name in (
                "beta",
                "beta_start",
                "gamma",
                "capacity_nats",
                "anneal_steps",
                "free_nats",
                "dropout",
                "seed",
            )
        ],
        ("utterance", dict(phones=-1), "phones: -1 must be at least 0"),
    ],
)
def test_a_wrong_argument_is_named_in_one_line(architecture, changes, line):
    with pytest.raises(ValueError, match=line) as caught:
        vae(**{"architecture": architecture, **TINY[architecture], **changes})
    assert "\n" not in str(caught.value)
