"""`kvoice maximize`: words and flags over `inference.maximize.maximize`."""

import os
import pathlib
import shlex
import sys

from kvoice import frameworks
from kvoice.cli.files import OVERWRITE, allow
from kvoice.cli.flags import following, required

PRIORS = ("typical", "zero", "none")
ROLES = dict(
    generator="RUN: a trained generator",
    classifier="RUN: the trained classifier that is maximised",
    judge="RUN: another classifier, which is not maximised, trained on other speakers",
    vocoder="RUN: a trained vocoder that renders mels for a classifier of waves and for the "
    "files; Griffin-Lim if not given",
)


def declare(flags):
    for role, text in ROLES.items():
        flags.path(role, "", text)
    flags.texts("target", "NAME: the label to be predicted, as often as needed; all if not given")
    flags.path("start", "", "FILE: a recording to begin from, instead of noise")
    flags.number("strength", 1.0, "X: how far of the way to go, 0 to 1", most=1)
    flags.text(
        "label",
        "",
        "NAME: the label that a conditional generator is conditioned on; the target if not "
        "given, for a recording the label that reconstructs it best",
    )
    flags.choice(
        "prior",
        "typical",
        PRIORS,
        "prior on the noise: typical length, pulled to zero as published, or none",
    )
    flags.integer("count", 16, "N: starts for each target", least=1)
    flags.integer("seed", 0, "N: the seed of the noise")
    flags.integer("steps", 300, "N: steps of the ascent, at most", least=1)
    flags.path("run", "runs/maximize/default", "DIR: the folder that is written")
    flags.switch("overwrite", False, OVERWRITE)


def maximize(
    generator,
    classifier,
    target,
    judge,
    vocoder,
    start,
    strength,
    label,
    prior,
    count,
    seed,
    steps,
    run,
    overwrite,
):
    r"""Changes the noise of a generator until a classifier predicts an emotion; writes a page.

    kvoice maximize --generator=runs/voicegan/plain --classifier=runs/classifier/default \
        --judge=runs/classifier/judge --target=angry
    kvoice maximize --generator=runs/voicegan/default --classifier=runs/classifier/default \
        --target=happy --start=me.wav --strength=0.5 --run=runs/maximize/me
    """
    required(generator=(generator, "RUN"), classifier=(classifier, "RUN"))
    backend = frameworks.chosen_backend()

    from kvoice import report, runs
    from kvoice.inference import maximize, vocode
    from kvoice.inference.listener import Roles
    from kvoice.training import loop

    paths = (generator, classifier, judge, vocoder)
    roles = Roles(*(runs.load(path) if path else None for path in paths))
    maximize.check(*roles)
    maximize.chosen(roles.classifier.names, target)
    models = [each and loop.load(each.path) for each in roles[:3]]
    about = {"command": shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]])}
    for name, each in roles._asdict().items():
        about[name] = (
            {
                "run": os.path.relpath(each.path, run),
                "names": each.names,
                **{
                    field: each.config["model"][field]
                    for field in ("domain", "condition", "architecture")
                    if field in each.config["model"]
                },
            }
            if each
            else None
        )
    allow(overwrite, run)
    result = maximize.maximize(
        models[0],
        models[1],
        roles.generator.spec,
        run,
        about,
        target,
        models[2],
        start,
        label,
        strength,
        count,
        seed,
        prior,
        steps,
        vocode.of_run(vocoder, roles.generator),
        report.maximization,
    )
    for each in result["targets"]:
        agreed = "; ".join(
            f"{who} {share['before']:.0%} -> {share['after']:.0%}"
            for who, share in each["agreed"].items()
            if share
        )
        print(f"{each['target']:10} predicted by {agreed}")
    if result["start"]:
        print(
            f"{start}: from second {result['start']['second']}, reproduced within "
            f"{result['start']['error_db']} dB"
        )
    print(f"{pathlib.Path(run) / 'index.html'} shows and plays it")
    print(following(f"evaluate --run={shlex.quote(run)}"))
