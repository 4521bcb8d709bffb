"""`kvoice import`: words and flags over `exchange.published`."""

import shlex
import sys

from kvoice import exchange, frameworks
from kvoice.cli import configs
from kvoice.cli.flags import UsageError, following, required
from kvoice.errors import near


def declare(flags):
    from kvoice import audio

    flags.text("model", "", f"NAME: whose weights they are; {' or '.join(exchange.PUBLISHED)}")
    flags.path(
        "checkpoint",
        "",
        "FILE: what torch.save wrote of the published network, or of a smaller one; or a wheel "
        "that holds it; of speakerencoder that of the installed package resemblyzer if not given",
    )
    flags.path(
        "stats",
        "",
        "FILE: the attr.pkl of adainvc, mean and std of each mel; mean 0 and std 1 if not given",
    )
    flags.choice("spec", "", ("", *audio.SPECS), "what its mels are; by their number if not given")
    flags.switch(
        "alternate",
        None,
        "whether the halves of a waveglow change roles, as in waveglow_old.pt; "
        "as the file says if not given, else not",
    )
    flags.path("run", "", "DIR: of the run that is made, new or empty")


def import_(model, checkpoint, stats, spec, alternate, run):
    """Makes a run of published PyTorch weights; the files are read, never run.

    kvoice import --model=adainvc --checkpoint=vctk_model.ckpt --stats=attr.pkl --run=runs/vctk
    kvoice import --model=speakerencoder --run=runs/resemblyzer
    kvoice import --model=speakerencoder --checkpoint=Resemblyzer-0.1.4.whl --run=runs/resemblyzer
    kvoice import --model=waveglow --checkpoint=waveglow_256channels.pt --run=runs/nvidia
    """
    required(model=(model, "NAME"), run=(run, "DIR"))
    if model not in exchange.PUBLISHED:
        like = near(model, exchange.PUBLISHED)
        raise UsageError(
            f"--model={model}: no published weights of it are known{like}; "
            f"there are {', '.join(exchange.PUBLISHED)}"
        )
    checkpoint = checkpoint or exchange.installed(model)
    if not checkpoint:
        known = model in exchange.PACKAGES
        package = (
            f", and {exchange.PACKAGES[model][0]} is not installed; {exchange.way_to(model)}"
            if known
            else ""
        )
        raise UsageError(f"--checkpoint=FILE is missing{package}")
    backend = frameworks.chosen_backend()

    from kvoice import audio, evaluation
    from kvoice.exchange import published
    from kvoice.training import loop

    found = published.read(model, checkpoint, spec, alternate)
    made = published.write(
        found,
        run,
        configs.configuration(model, found.variant),
        stats,
        command=shlex.join([f"KERAS_BACKEND={backend}", "kvoice", *sys.argv[1:]]),
    )
    numbers = sum(tensor.size for tensor in found.tensors.values())
    print(
        f"weights  {checkpoint}: {len(found.tensors)} tensors of {model}, {numbers:,} numbers\n"
        f"mels     {found.spec.mels} of {found.spec.sample_rate_hz} Hz, a frame every "
        f"{found.spec.hop} samples; scale {found.spec.scale}"
    )
    if published.NETWORKS[model].stats and not stats:
        print(
            "         not standardised (mean 0, std 1): the published weights want their "
            "attr.pkl, with --stats=FILE"
        )
    print(f"run      {made.path}, imported")
    variant = f":{found.variant}" if found.variant else ""
    own = audio.Spec(**configs.configuration(model, found.variant)["audio"])
    mels = loop.audio_flags(made, own)
    print(
        following(
            *evaluation.of(model).next_commands(made),
            f"train --model={model}{variant}{mels} --init={made.quoted} --data=CORPUS --run=DIR",
        )
    )
