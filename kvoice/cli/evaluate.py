"""`kvoice evaluate`: words and flags over the `evaluate` of a model in `evaluation`."""

import os
import pathlib
import shlex
import sys

from kvoice import frameworks
from kvoice.cli import corpora
from kvoice.cli.files import OVERWRITE, allow
from kvoice.cli.flags import following, required
from kvoice.errors import KvoiceError
from kvoice.files import MADE, claim, refuse_foreign


def declare(flags):
    flags.path("run", "", "DIR: a trained run")
    flags.integer(
        "count",
        0,
        "N: number of samples, utterances or conversions that are measured, and that independent "
        "judges hear; 0 = as many as the card of the model says, and a minute for the judges; of a "
        "maximisation, starts for each target, 0 = 100",
    )
    flags.integer("seed", 0, "N: the seed of all random draws")
    flags.path(
        "encoder",
        "",
        "DIR: the run of a speaker encoder that judges conversions, not trained on their voices, "
        "or speakerencoder for the weights that ship; if not given, runs/speakerencoder/default, "
        "or else the installed package resemblyzer",
    )
    flags.text(
        "data",
        "",
        "CORPUS: the recordings that are converted, compared or resynthesised; the corpus that "
        "the run was trained on if not given",
    )
    flags.text(
        "judge_data",
        "",
        "CORPUS: recordings of other speakers, from whose training split the judges learn; if not "
        "given, they learn from the split judge of the run's corpus",
    )
    flags.choice(
        "split",
        "test",
        ("test", "valid"),
        "the utterances that are measured; valid to choose between runs, so that those of test are "
        "measured once, with the run that was chosen",
    )
    flags.switch("overwrite", False, OVERWRITE)


def evaluate(run, count, seed, encoder, data, judge_data, split, overwrite):
    """Measures a run on recordings of unseen speakers and prints the tables.

    kvoice evaluate --run=runs/voicegan/default         Frechet distance, diversity, labels
    kvoice evaluate --run=runs/classifier/default       accuracy, confusion, calibration
    kvoice evaluate --run=runs/betavae/default          which latent stands for which factor
    kvoice evaluate --run=runs/speakerencoder/default   equal error rate on unseen speakers
    kvoice evaluate --run=runs/adainvc/default          speaker similarity and phone accuracy
    kvoice evaluate --run=runs/waveglow/default         likelihood; resynthesis, Griffin-Lim
    kvoice evaluate --run=runs/maximize/default         the ascent with and without its prior
    """
    required(run=(run, "DIR"))
    backend = frameworks.chosen_backend()

    from kvoice import evaluation, report, runs, weights
    from kvoice.evaluation import maximization
    from kvoice.inference import maximize

    weights.refuse(run)
    allow(overwrite, os.path.join(run, "conversions"), os.path.join(run, "resynthesis"))
    options = evaluation.Options(
        count,
        seed,
        data,
        encoder,
        shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]]),
        split,
    )
    given = {
        "count": count,
        "data": data,
        "encoder": encoder,
        "judge_data": judge_data,
        "split": "" if split == "test" else split,
    }
    if content := maximize.load(run):
        _refuse_others(given, maximization.OPTIONS, run, "a maximisation")
        text = maximization.evaluate(pathlib.Path(run), content, corpora.of_run, options)
        report.maximization(run)
        print(text)
        return
    if not os.path.exists(os.path.join(run, "config.json")):
        raise KvoiceError(
            f"{run}: neither a run nor a maximisation (no config.json or "
            f"{maximize.FILE} in it); `kvoice train` and `kvoice maximize` make them"
        )
    run = runs.load(run)
    name = run.config["model_name"]
    module = evaluation.of(name)
    _refuse_others(given, module.OPTIONS, run.path, f"a run of {name}")
    if not overwrite and (run.path / MADE).exists():  # of 0.1 none is known
        refuse_foreign(run.path, ["evaluation.json"])
    print(module.evaluate(run, lambda: corpora.for_run(run, data, split, judge_data), options))
    claim(run.path, ["evaluation.json"])
    print(following(f"report {run.quoted}"))


def _refuse_others(given, known, run, kind):
    """Raises where a flag is given that an evaluation has no use for."""
    from kvoice import evaluation, models

    for flag in [flag for flag, value in given.items() if value and flag not in known]:
        users = [name for name in models.MODELS if flag in evaluation.of(name).OPTIONS]
        raise KvoiceError(
            f"--{flag}={given[flag]}: {run} is {kind}, whose evaluation has no use for it; leave "
            f"it out, it is for {', '.join(users)}"
        )
