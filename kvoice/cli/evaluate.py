"""`kvoice evaluate`: words and flags over the `evaluate` of a model in `evaluation`."""

import os
import pathlib
import shlex
import sys

from kvoice import frameworks
from kvoice.cli import corpora
from kvoice.cli.flags import following, required
from kvoice.errors import KvoiceError


def declare(flags):
    flags.text("run", "", "DIR: a trained run")
    flags.integer(
        "count",
        0,
        "N: number of samples that are measured; 0 = 512 clips of a voicegan, all utterances or "
        "10,000 tones for a betavae, 48 utterances for a waveglow, 192 conversions for an adainvc, "
        "100 starts for each target of a maximisation (from a recording: its own); a classifier "
        "always predicts all files",
    )
    flags.integer("seed", 0, "N: the seed of all random draws")
    flags.text(
        "encoder",
        "runs/speakerencoder/default",
        "DIR: the run of a speakerencoder that judges conversions, not trained on the voices",
    )
    flags.text(
        "data",
        "",
        "CORPUS: the recordings that an adainvc converts, a speakerencoder compares or a "
        "waveglow resynthesises; the corpus that the run was trained on if not given",
    )


def evaluate(run, count, seed, encoder, data):
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

    from kvoice import evaluation, report, runs
    from kvoice.evaluation import maximization
    from kvoice.inference import maximize

    options = evaluation.Options(
        count,
        seed,
        data,
        encoder,
        shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]]),
    )
    if content := maximize.load(run):
        _refuse_data(data, run, "a maximisation")
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
    module = evaluation.of(run.config["model_name"])
    if not module.OTHER_DATA:
        _refuse_data(data, run.path, f"a run of {run.config['model_name']}")
    print(module.evaluate(run, lambda: corpora.for_run(run, data), options))
    if run.config["model_name"] in report.PAGES:
        print(following(f"report {run.path}"))


def _refuse_data(data, run, kind):
    """Raises where `--data` is given for what is evaluated on its own corpus alone."""
    if data:
        from kvoice import evaluation, models

        others = [name for name in models.MODELS if evaluation.of(name).OTHER_DATA]
        raise KvoiceError(
            f"--data={data}: {run} is {kind}, evaluated on what it was made from; leave it "
            f"out, only {', '.join(others)} take it"
        )
