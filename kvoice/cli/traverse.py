"""`kvoice traverse`: words and flags over `inference.traverse.traverse`."""

import os
import pathlib
import shlex
import sys

from kvoice import frameworks
from kvoice.cli import corpora
from kvoice.cli.files import OVERWRITE, allow
from kvoice.cli.flags import UsageError, following, required


def declare(flags):
    flags.path("run", "", "DIR: a trained auto-encoder with latents")
    flags.text("factor", "auto", "N: the latent that is edited; auto: the one found for the label")
    flags.text(
        "label", "", "NAME: gender, emotion, speaker, f0_hz, ...; of tones and digits, a factor"
    )
    flags.integer("count", 4, "N: items that are drawn and rendered as audio", least=2, most=64)
    flags.integer("seed", 0, "N: the seed of all random draws")
    flags.path("output", "", "DIR: the folder that is written; RUN/traversal/LABEL if not given")
    flags.path("vocoder", "", "RUN: the vocoder that renders mels; Griffin-Lim if not given")
    flags.switch("overwrite", False, OVERWRITE)


def traverse(run, factor, label, count, seed, output, vocoder, overwrite):
    """Edits latents and finds the one that stands for a label; pictures, audio.

    kvoice traverse --run=runs/betavae/default --label=gender
    kvoice traverse --run=runs/betavae/default --label=gender --factor=7   another latent
    kvoice traverse --run=runs/betavae/tones
    """
    required(run=(run, "DIR"))
    if factor != "auto" and not factor.isdecimal():
        raise UsageError(f"--factor={factor}: expected auto, or the number of a latent")
    backend = frameworks.chosen_backend()

    from kvoice import evaluation
    from kvoice.evaluation import tables
    from kvoice.inference import traverse, vocode
    from kvoice.inference.voice import load

    voice, panel = load(run, "traverse"), None
    run = voice.run
    corpus = corpora.of_run(run)
    vocoder = vocode.of_run(vocoder, run)
    if corpus.images:
        sources = corpus.sources(("train", "test"))
    else:
        sources = corpus.sources(("train", "valid", "judge", "test"), more=["f0"])
        panel = evaluation.of(run.config["model_name"]).panel(voice.model, sources["judge"], seed)
    folder = pathlib.Path(output or run.path / "traversal" / (label or "latents"))
    allow(overwrite, folder)
    made = traverse.traverse(
        voice,
        sources,
        folder,
        {
            "run": os.path.relpath(run.path, folder),
            "command": shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]]),
        },
        label,
        None if factor == "auto" else int(factor),
        count,
        seed,
        vocoder,
        panel,
    )
    print("\n\n".join(map(tables.text, made["tables"])))
    print(
        f"\nlatent {made['factor']}"
        + (f" for {label}" if label else " says most")
        + (f", latent {made['control']} as its control" if made["control"] is not None else "")
        + f"; {'pictures' if corpus.images else 'pictures and sounds'} are in {folder}"
    )
    print(following(f"report {run.quoted}"))
