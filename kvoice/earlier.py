"""The names that earlier versions gave to the arguments of models, in their runs and files."""

RENAMED = {"wear": "noise", "warp": "vtlp"}  # 0.1 -> now


def renamed(values: dict) -> dict:
    """Returns the arguments of a model by their present names, in the same order."""
    return {RENAMED.get(name, name): value for name, value in values.items()}
