"""What holds for every model, in its variant `tiny`: its config, its file, a step in each
precision.
"""

import inspect
import types

import keras
import numpy as np
import pytest

from kvoice import audio
from kvoice.cli import configs
from kvoice.models import MODELS, named
from kvoice.steps import OptimizerGroup
from kvoice.training.corpus import Facts

pytestmark = pytest.mark.backend
each = pytest.mark.parametrize("name", MODELS)
LABELS = {name: list("abcd") for name in ("speaker", "gender", "emotion", "phone")}


def made(name, precision="float32"):
    """An untrained model, and a batch of noise with the arrays that it learns from."""
    config = configs.configuration(name, "tiny")
    group, data, spec = config["model"], config["data"], audio.Spec(**config["audio"])
    source = types.SimpleNamespace(
        labels=LABELS, crop_frames=data["crop_frames"], per_speaker=data.get("per_speaker", 0)
    )
    condition = group.get("condition", "")
    group |= MODELS[name].from_data(group, Facts.of(source, spec, condition))
    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = MODELS[name](**group)
    finally:
        keras.config.set_dtype_policy(before)
    rng, size, frames = np.random.default_rng(0), data["batch"], data["crop_frames"]
    arrays = {
        "mel": rng.uniform(spec.low, spec.high, (size, frames, spec.mels)).astype("float32"),
        "wave": rng.uniform(-0.5, 0.5, (size, spec.samples(frames))).astype("float32"),
        "mask": np.ones((size, frames), "float32"),
        "phone": rng.integers(0, 4, (size, frames)).astype("int32"),
    }
    batch = {array: arrays[array] for array in MODELS[name].arrays(group)}
    if condition:
        batch[condition] = rng.integers(0, 4, size).astype("int32")
    return model, batch


def compiled(model):
    groups = {group: keras.optimizers.Adam(1e-3) for group in model.parameter_groups()}
    model.compile(OptimizerGroup(groups), jit_compile=keras.backend.backend() == "jax")
    return model


@each
def test_its_config_makes_it_again(name):
    model, _ = made(name)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert [v.shape for v in again.variables] == [v.shape for v in model.variables]
    assert again.count_params() == model.count_params()


@each
def test_every_argument_of_it_is_in_its_config(name):
    parameters = inspect.signature(MODELS[name]).parameters.values()
    wanted = {each.name for each in parameters if each.kind == each.KEYWORD_ONLY}
    assert wanted <= set(made(name)[0].get_config())


@each
def test_every_parameter_is_in_one_group(name):
    model, _ = made(name)
    trained = [id(v) for group in model.parameter_groups().values() for v in group]
    assert sorted(trained) == sorted({id(v) for v in model.trainable_variables})


@each
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_step_changes_every_group_and_its_terms_are_finite(name, precision):
    model, batch = made(name, precision)
    before = {
        group: [np.array(v) for v in variables]
        for group, variables in model.parameter_groups().items()
    }
    terms = compiled(model).train_on_batch(batch, return_dict=True)
    assert set(model.terms) <= set(terms) and all(np.isfinite(terms[term]) for term in model.terms)
    for group, variables in model.parameter_groups().items():
        assert any(
            np.any(np.array(v) != old) for v, old in zip(variables, before[group], strict=True)
        ), group


@each
def test_a_saved_one_goes_on_as_it_would_have_done(name, tmp_path):
    model, batch = made(name)
    compiled(model).train_on_batch(batch)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for one, other in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other))
    terms = [m.train_on_batch(batch, return_dict=True) for m in (model, loaded)]
    assert terms[0] == terms[1]


def test_every_verb_of_a_model_is_a_command():
    from kvoice.cli.main import VERBS

    verbs = {verb for model in MODELS.values() for verb in model.verbs}
    assert verbs <= set(VERBS) and all(named(verb) for verb in verbs)
