"""How good trained models are: one file for each model, and what judges them.

The file of a model has

* `OTHER_DATA`: whether it can be evaluated on another corpus than its own,
* `validation(run, corpus)`: what training asks it at the end of each epoch, a function
`model -> {name: value}`; None
  = nothing,
* `evaluate(run, corpus, options)`: measures a trained run, writes RUN/evaluation.json, and returns
the text that is
  printed; `corpus` is a function that gives the `training.corpus.Corpus`,
* `next_commands(run)`: what a user may try with a trained run, beside `evaluate`,
* `callbacks(run, valid)`, if it wants any in training.
"""

import dataclasses
import importlib


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may choose of an evaluation.

    Args:
        count: Samples that are measured; 0 = as many as the model's file says.
        seed: Of all draws.
        data: The corpus, as `--data` names it; "" = that of the run.
        encoder: The run of a speaker encoder that judges conversions.
        command: The words of the command, which are kept beside what is made.
    """

    count: int = 0
    seed: int = 0
    data: str = ""
    encoder: str = ""
    command: str = ""


def of(name):
    """The module of a model."""
    return importlib.import_module(f"kvoice.evaluation.{name}")
