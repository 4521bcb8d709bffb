"""A trained model with all that is needed to use it: its Spec, the names of its labels, its run."""

import dataclasses

from kvoice import audio, models, runs
from kvoice.training import loop


@dataclasses.dataclass(frozen=True)
class Voice:
    """A model with what it is used with; `load` reads one from a run.

    Attributes:
        model: One of `models.MODELS`, trained.
        spec: The Spec of its features, and of what it makes.
        names: Of the labels that it is conditional on or tells apart; [] = none.
        run: The `runs.Run` that it is from; None where a model is used as it trains.
    """

    model: object
    spec: audio.Spec
    names: list = dataclasses.field(default_factory=list)
    run: runs.Run | None = None


def load(directory, verb=""):
    """The trained model of a run, as a `Voice`.

    Args:
        directory: The run.
        verb: What the model has to have a command for; "" = nothing.

    Raises:
        KvoiceError: If the folder is no run, or one of a model without that command (both before
            the model is loaded), or it has no checkpoint.
    """
    run = runs.load(directory)
    if verb:
        models.check(run, verb)
    return Voice(loop.load(run.path), run.spec, run.names, run)
