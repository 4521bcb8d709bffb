"""The configs of models: a variant, with what a command changes of it."""

import difflib
import functools
import operator
import pathlib
import runpy

from kvoice.cli.flags import UsageError
from kvoice.errors import near

EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# Inside the package of an installed wheel, beside it in a checkout.
CONFIGS = next(d for d in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if d.is_dir())


def configuration(model, variant="", overrides=()):
    """The resolved config of a model: group -> field -> value.

    Args:
        model: The name of a file in `configs/`.
        variant: One of its variants; "" is the default.
        overrides: Words `--config.GROUP.FIELD=VALUE`.

    Raises:
        UsageError: If a name is unknown or a value of another type, naming it and what was
            expected.
    """
    file = config_file(model)
    if variant not in file["VARIANTS"]:
        named = [name for name in file["VARIANTS"] if name]
        raise UsageError(
            f"--model={model}:{variant}: no such variant{near(variant, named)}; "
            f"there are {', '.join(named)}"
        )
    config = file["config"](variant)
    for word in overrides:
        name, equals, text = word.lstrip("-").removeprefix("config.").partition("=")
        known = fields(config)
        if name not in known:
            # A part of a name stands for the whole of it: "steps" for "train.steps".
            parts = {part: field for field in known for part in (field, *field.split("."))}
            close = difflib.get_close_matches(name, parts, n=1)
            guess = f', did you mean "--config.{parts[close[0]]}"?' if close else ""
            raise UsageError(f"--config.{name}: {model} has no such field{guess}")
        if not equals:
            raise UsageError(f"--config.{name}: the value is missing; write --config.{name}=VALUE")
        *groups, field = name.split(".")
        group = functools.reduce(operator.getitem, groups, config)
        group[field] = _converted(name, text, type(known[name]))
    return config.to_dict()


def models():
    """The names of the models that have a config file."""
    return sorted(path.stem for path in CONFIGS.glob("*.py"))


def sets(overrides, name):
    """Whether a word among the overrides sets a field."""
    return any(word.lstrip("-").startswith(f"config.{name}=") for word in overrides)


def config_file(model):
    """The names that the config file of a model defines: VARIANTS, config, __doc__."""
    if model not in (names := models()):
        raise UsageError(
            f"--model={model}: no such model{near(model, names)}; there are {', '.join(names)}"
        )
    return runpy.run_path(str(CONFIGS / f"{model}.py"))


def fields(config):
    """The fields of a config or of a group of it by their dotted names, as in "train.steps"."""
    found = {}
    for name, value in config.items():
        if hasattr(value, "items"):
            found |= {f"{name}.{inner}": field for inner, field in fields(value).items()}
        else:
            found[name] = value
    return found


def _converted(name, text, kind):
    """The text as a value of a field's type; inf and nan are no numbers here."""
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
        if kind is float and not abs(value) < float("inf"):
            raise ValueError
    except (KeyError, ValueError):
        raise UsageError(f"--config.{name}: expected {EXPECTED[kind]}, got {text!r}") from None
    return value
