"""Evaluates trained models: one file for each model, and the judges that several of them use.

The file of a model has

* `OPTIONS`: the names of the flags of `kvoice evaluate` that it uses, beside the seed; others are
  refused,
* `validation(run, corpus)`: returns the validation metrics that training computes at the end of
  each epoch, as a function `model -> {name: value}`; None = no metrics,
* `evaluate(run, corpus, options)`: measures a trained run, writes RUN/evaluation.json, and returns
  the text that is printed; `corpus` is a function that returns the `training.corpus.Corpus`,
* `next_commands(run)`: returns commands that a user may try with a trained run, beside `evaluate`,
* `callbacks(run, valid)`: returns the Keras callbacks of the training; may be left out.
"""

import dataclasses
import importlib
import types


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of an evaluation.

    Args:
        count: The number of samples that are measured; 0 = the default of the model's file.
        seed: The seed of all random draws.
        data: The corpus, as `--data` names it; "" = that of the run.
        encoder: The run of a speaker encoder that judges conversions; "" = as the model's file
            chooses.
        command: The command line, which is stored beside the results.
        split: The split whose utterances are measured: "test", or "valid" to choose between runs.
    """

    count: int = 0
    seed: int = 0
    data: str = ""
    encoder: str = ""
    command: str = ""
    split: str = "test"


def of(name: str) -> types.ModuleType:
    """Returns the module that evaluates a model."""
    return importlib.import_module(f"kvoice.evaluation.{name}")
