"""Weights from elsewhere."""

import importlib.util
from pathlib import Path

PUBLISHED = ("adainvc", "speakerencoder", "waveglow")  # models of which published weights are known
# The Python packages that bring some of them: model -> package, name of the file in it.
PACKAGES = {"speakerencoder": ("resemblyzer", "pretrained.pt")}


def installed(name: str) -> Path | None:
    """Finds the weights of a model in the package that brings them, without importing it.

    Returns:
        The path of the file; None where no package brings any, or it is not installed.
    """
    if name not in PACKAGES:
        return None
    package, file = PACKAGES[name]
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations or [] if found else []
    return next((path for place in places if (path := Path(place) / file).is_file()), None)


def way_to(name: str) -> str:
    """Returns how the package with the weights of a model is installed, as a part of a sentence.

    The weights need nothing of what the package depends on.
    """
    return f"install it with pip install --no-deps {PACKAGES[name][0]}"
