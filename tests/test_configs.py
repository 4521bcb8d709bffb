"""Every variant of every config is consumed whole: a dead key is a TypeError."""

import dataclasses
import inspect
import types

import pytest

from kvoice import audio
from kvoice.cli import configs
from kvoice.data.factors import FactorSource
from kvoice.data.source import Source
from kvoice.training.config import TrainConfig

VARIANTS = [
    (path.stem, variant)
    for path in sorted(configs.CONFIGS.glob("*.py"))
    for variant in configs.config_file(path.stem)["VARIANTS"]
]
every_variant = pytest.mark.parametrize(("model", "variant"), VARIANTS)


def test_every_model_has_a_default_a_paper_and_a_tiny_variant():
    for model in {model for model, _ in VARIANTS}:
        assert {"", "paper", "tiny"} <= {variant for name, variant in VARIANTS if name == model}


@every_variant
def test_no_field_is_none(model, variant):
    assert None not in configs.fields(configs.configuration(model, variant)).values()


@every_variant
def test_a_config_takes_no_further_field(model, variant):
    config = configs.config_file(model)["config"](variant)
    with pytest.raises(AttributeError):
        config.train.surplus = 1


@every_variant
def test_the_audio_group_is_a_spec(model, variant):
    audio.Spec(**configs.configuration(model, variant)["audio"])


@every_variant
def test_the_data_group_is_consumed_by_the_source(model, variant):
    config = configs.configuration(model, variant)
    if config["model"].get("domain") == "image":
        inspect.signature(FactorSource).bind("additive", **config["data"])
    else:
        inspect.signature(Source).bind("directory", spec="spec", condition="", **config["data"])


@every_variant
def test_steps_are_whole_epochs(model, variant):
    group = configs.configuration(model, variant)["train"]
    assert group["steps"] % group["steps_per_epoch"] == 0


def test_the_critic_of_voicegan_sees_batches_of_the_published_size():
    config = configs.configuration("voicegan", "paper")
    assert config["data"]["batch"] == 128 * config["model"]["n_critic"]


PAPER = [
    variant for model, variant in VARIANTS if model == "classifier" and variant.startswith("paper")
]


def test_there_is_a_classifier_of_each_published_kind():
    groups = [configs.configuration("classifier", variant)["model"] for variant in PAPER]
    assert sorted((group["domain"], group["architecture"]) for group in groups) == [
        ("mel", "cnn"),
        ("mel", "lstm"),
        ("mel", "wavenet"),
        ("wave", "lstm"),
        ("wave", "wavenet"),
    ]


@pytest.mark.parametrize("variant", PAPER)
def test_published_classifiers_train_for_301_epochs_of_2000_clips_in_the_published_batches(variant):
    config = configs.configuration("classifier", variant)
    group, domain = config["train"], config["model"]["domain"]
    assert group["steps"] == 301 * group["steps_per_epoch"]
    batch = config["data"]["batch"]
    assert batch == {"mel": 512, "wave": 128}[domain]
    assert abs(group["steps_per_epoch"] * batch - 2000) < batch / 2
    assert group["rates"] == {"classifier": 1e-3} and group["decay"] == 0.99
    assert config["model"]["noise"] == config["model"]["vtlp"] == 0
    spec = audio.Spec(**config["audio"])
    crop = config["data"]["crop_frames"]
    assert (crop if domain == "mel" else spec.samples(crop)) == {"mel": 160, "wave": 32_768}[domain]
    assert spec.trim_db == 25


def test_a_judge_has_the_task_of_the_classifier_but_other_speakers_and_another_architecture():
    default, judge = (configs.configuration("classifier", variant) for variant in ("", "judge"))
    assert judge["audio"] == default["audio"] == configs.configuration("voicegan")["audio"]
    assert (default["data"]["split"], judge["data"]["split"]) == ("train", "judge")
    for field in ("domain", "condition"):
        assert judge["model"][field] == default["model"][field]
    assert judge["model"]["architecture"] != default["model"]["architecture"]


def test_a_variant_changes_only_what_it_names():
    default, tiny = (configs.fields(configs.configuration("voicegan", v)) for v in ("", "tiny"))
    changed = {name for name in default if default[name] != tiny[name]}
    assert changed == {"model.width", "data.batch", "train.steps", "train.steps_per_epoch"}


def test_the_docstring_of_a_config_shows_its_command():
    for model in {model for model, _ in VARIANTS}:
        assert f"bin/train --model={model}" in configs.config_file(model)["__doc__"]


@every_variant
def test_the_train_group_is_a_train_config(model, variant):
    group = configs.configuration(model, variant)["train"]
    assert dataclasses.asdict(TrainConfig(**group)) == group


@pytest.mark.backend
@every_variant
def test_the_model_group_is_consumed_by_the_model(model, variant):
    from kvoice.models import MODELS
    from kvoice.training.corpus import Facts

    config = configs.configuration(model, variant)
    group, spec = config["model"], audio.Spec(**config["audio"])
    data = config["data"]
    of_data = (
        {"shape": (8, 8)}
        if group.get("domain") == "image"
        else {"crop_frames": data["crop_frames"], "per_speaker": data.get("per_speaker", 0)}
    )
    labels = {name: list("abcd") for name in ("speaker", "gender", "emotion", "phone")}
    source = types.SimpleNamespace(labels=labels, **of_data)
    known = MODELS[model].from_data(group, Facts.of(source, spec, group.get("condition", "")))
    group = {name: value for name, value in group.items() if name not in known}
    parameters = inspect.signature(MODELS[model]).parameters
    assert set(group | known) <= set(parameters)  # none is swallowed by **kwargs
    inspect.signature(MODELS[model]).bind(**group, **known)
    if not variant.startswith(
        "paper"
    ):  # those take long, and are made where their sizes are tested
        MODELS[model](**group, **known)
