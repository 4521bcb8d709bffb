"""Every variant of every config is consumed whole: a dead key is a TypeError."""

import inspect

import pytest

from kvoice import audio, cli
from kvoice.data.source import Source

VARIANTS = [(path.stem, variant) for path in sorted(cli.CONFIGS.glob("*.py"))
            for variant in cli.config_file(path.stem)["VARIANTS"]]
every_variant = pytest.mark.parametrize(("model", "variant"), VARIANTS)


def test_every_model_has_a_default_a_paper_and_a_tiny_variant():
    for model in {model for model, _ in VARIANTS}:
        assert {"", "paper", "tiny"} <= {variant for name, variant in VARIANTS if name == model}


@every_variant
def test_no_field_is_none(model, variant):
    assert None not in cli.fields(cli.configuration(model, variant)).values()


@every_variant
def test_a_config_takes_no_further_field(model, variant):
    config = cli.config_file(model)["config"](variant)
    with pytest.raises(AttributeError):
        config.train.surplus = 1


@every_variant
def test_the_audio_group_is_a_spec(model, variant):
    audio.Spec(**cli.configuration(model, variant)["audio"])


@every_variant
def test_the_data_group_is_consumed_by_the_source(model, variant):
    data = cli.configuration(model, variant)["data"]
    inspect.signature(Source).bind("directory", "train", "spec", condition="", **data)


@every_variant
def test_steps_are_whole_epochs(model, variant):
    group = cli.configuration(model, variant)["train"]
    assert group["steps"] % group["steps_per_epoch"] == 0


def test_the_critic_of_voicegan_sees_batches_of_the_published_size():
    config = cli.configuration("voicegan", "paper")
    assert config["data"]["batch"] == 128 * config["model"]["n_critic"]


def test_a_variant_changes_only_what_it_names():
    default, tiny = (cli.fields(cli.configuration("voicegan", v)) for v in ("", "tiny"))
    changed = {name for name in default if default[name] != tiny[name]}
    assert changed == {"model.width", "data.batch", "train.steps", "train.steps_per_epoch"}


def test_the_docstring_of_a_config_shows_its_command():
    for model in {model for model, _ in VARIANTS}:
        assert f"bin/train --model={model}" in cli.config_file(model)["__doc__"]


@pytest.mark.backend
@every_variant
def test_the_train_group_is_consumed_by_training(model, variant):
    from kvoice import training

    group = cli.configuration(model, variant)["train"]
    inspect.signature(training.train).bind("run", "source", "valid", **group)


@pytest.mark.backend
@every_variant
def test_the_model_group_is_consumed_by_the_model(model, variant):
    from kvoice.models import MODELS

    group = cli.configuration(model, variant)["model"]
    known = {"shape": (160, 80), "low": 0.0, "high": 1.0, "labels": 4}
    parameters = inspect.signature(MODELS[model]).parameters
    assert set(group | known) <= set(parameters)  # none is swallowed by **kwargs
    inspect.signature(MODELS[model]).bind(**group, **known)
