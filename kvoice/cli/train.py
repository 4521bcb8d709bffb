"""`kvoice train`: words and flags over `training.loop.train`."""

import os
import re
import shlex
import sys

from kvoice import frameworks
from kvoice.cli import configs, corpora
from kvoice.cli.flags import CORPORA, following, required
from kvoice.errors import KvoiceError

CONFIG = True
DEMO = "demo"  # what is learned from where nothing else is said
LEARNT = ("train", "judge")  # splits that a model may learn from: judges have speakers of their own


def declare(flags):
    flags.text("model", "", f"NAME[:VARIANT]: what to train: {', '.join(configs.models())}")
    flags.text(
        "data",
        "",
        f"CORPUS: {CORPORA}; additive[:SPACE], digits or mnist[:FILE] for "
        "models of images; or prepared:DIR, from `prepare`; demo if not given, or what "
        "the variant is for",
    )
    flags.path("run", "", "DIR: of the run; runs/MODEL/VARIANT if not given")
    flags.path("init", "", "DIR: a run whose weights are the start")


def more_help(words):
    """The flag of the fields of a config, and those of the model that the words name, if any."""
    lines = ["  --config.FIELD=VALUE: a field of the model's config, as often as needed"]
    for word in words:
        if match := re.match(r"--?model=([^:]*):?(.*)", word):
            fields = configs.fields(configs.configuration(*match.groups()))
            lines += ["", configs.config_file(match[1])["__doc__"], "Fields of its config:"]
            lines += [f"  --config.{name}={value}" for name, value in fields.items()]
    return lines


def train(model, data, run, init, overrides):
    """Trains a model; the same command again goes on from the last checkpoint.

    kvoice train --model=voicegan
    kvoice train --model=voicegan:tiny --data=folder:wavs --config.train.steps=30
    kvoice train --model=voicegan -h      shows the fields of its config too
    """
    required(model=(model, "NAME[:VARIANT]"))
    name, _, variant = model.partition(":")
    config = configs.configuration(name, variant, overrides)
    backend = frameworks.chosen_backend()

    from kvoice import audio
    from kvoice.training.config import DEFAULTS, TrainConfig

    training = TrainConfig(**config["train"])  # what is refused is refused before anything is made
    data = data or configs.config_file(name).get("DATA", {}).get(variant, DEMO)
    run = run or f"runs/{name}/{variant or 'default'}"
    chosen = [field for field in audio.RECORDINGS if configs.sets(overrides, f"audio.{field}")]
    spec = corpora.conditioned(audio.Spec(**config["audio"]), data, run, chosen)
    group = config["model"]
    directory = corpora.prepared(data, spec, group)

    # From here on with a framework: workers of `prepare` were not to inherit one.
    from kvoice import evaluation, runs
    from kvoice.models import MODELS
    from kvoice.training import loop
    from kvoice.training.callbacks import TimeEstimate
    from kvoice.training.corpus import Corpus, Facts, refuse_crop, refuse_one_class

    learnt, watching = config["data"]["split"], evaluation.of(name)
    if learnt not in LEARNT:
        raise KvoiceError(f"data.split: {learnt!r} must be one of {', '.join(LEARNT)}")
    corpus = Corpus.of(directory, spec, {"model_name": name, **config})
    source, valid = corpus.sources((learnt, "valid")).values()
    refuse_one_class(source, data, corpus.condition)
    group |= MODELS[name].from_data(group, Facts.of(source, spec, corpus.condition))
    with loop.beginning(training):
        built = loop.from_values(name, group)
    refuse_crop(built, config["data"])
    if init and not os.path.exists(os.path.join(run, "state.json")):  # a resumed run needs it not
        loop.begin_from(built, init, spec)
    run = runs.create(
        run,
        {
            "model_name": name,
            "variant": variant,
            "data_spec": data,
            "init": init,
            "corpus": source.fingerprint,
            "speakers": source.speakers,
            "split": corpus.manifest and corpus.manifest.identity,
            "data": config["data"],
            "model": group,
            "train": config["train"],
        },
        spec,
        source.labels,
        defaults={"train": DEFAULTS, "model": MODELS[name].defaults()},
        command=shlex.join([f"KERAS_BACKEND={backend}", "kvoice", "train", *sys.argv[2:]]),
    )
    steps, done = training.steps, run.state.get("step", 0)
    if done < steps:
        print(_header(run, source, backend, built))
        if warning := built.warning(group):
            print(f"warning: {warning}")
        more = getattr(watching, "callbacks", lambda run, valid: [])(run, valid)
        loop.train(
            run,
            source,
            valid,
            built=built,
            init=init,
            validate=watching.validation(run, corpus),
            verbose=1 if sys.stdout.isatty() else 2,
            callbacks=[TimeEstimate(steps - done), *more, *_tensorboard(run, valid)],
        )
    _complete(run)
    best = run.state["best"] or run.state
    reached = f", the best at {best['step']}" if run.state["best"] else ""
    print(f"{run.path} is finished: {steps} steps{reached}")
    print(following(*watching.next_commands(run), f"evaluate --run={run.quoted}"))
    if (run.path / "samples").exists():
        print(f"Samples of it are in {run.path / 'samples'}")


def _header(run, source, backend, built):
    """Who learns from what, where."""
    learnt = (
        f"{len(source)} items"
        if not source.speakers
        else (
            f"{len(source)} utterances of {len(source.speakers)} speakers, "
            f"{source.seconds / 60:.1f} min,"
        )
    )
    group, done = run.config["train"], run.state.get("step", 0)
    begun = run.state.get("backend", backend)
    return "\n".join(
        [
            f"model    {run.config['model_name']}: {built.count_params():,} parameters, "
            f"{built.description(run.config['model'], run.names)}",
            f"corpus   {source.data}: {learnt} to train on",
            f"backend  {backend}, {group['precision']}"
            + (f"; begun on {begun}, whose random numbers were others" if begun != backend else ""),
            f"run      {run.path}: "
            + (
                f"goes on at step {done} of {group['steps']}" if done else f"{group['steps']} steps"
            ),
        ]
    )


def _tensorboard(run, valid):
    """The callback for TensorBoard, where TensorFlow is installed."""
    if not frameworks.installed("tensorflow"):
        return []
    from kvoice.inference import render
    from kvoice.training import tensorboard

    return [tensorboard.Summaries(run, run.config["train"]["steps_per_epoch"], render.waves, valid)]


def _complete(run):
    """Writes what a run holds at its end, as far as it is missing."""
    from kvoice import plots
    from kvoice.inference import generate
    from kvoice.inference.voice import load
    from kvoice.models import MODELS
    from kvoice.training import loop

    if not (run.path / "model.keras").exists():
        loop.save(run)
    if not (run.path / "curves.png").exists():
        plots.curves(run.path / "curves.png", plots.log(run.path / "log.csv"))
    generates = "generate" in MODELS[run.config["model_name"]].verbs
    if generates and not (run.path / "samples" / "samples.json").exists():
        generate.generate(load(run.path), run.path / "samples")
