"""`kvoice report`: words and flags over the pages of `report`."""

from kvoice.cli.files import OVERWRITE, allow
from kvoice.cli.flags import UsageError

REST = "runs"


def declare(flags):
    flags.path("output", "", "DIR: where the page goes; RUN/report if not given")
    flags.switch("single", False, "all in one file, sounds and pictures included")
    flags.switch("overwrite", False, OVERWRITE)


def report(runs, output, single, overwrite):
    """Writes an HTML page of one or several runs of a model, with figures, pictures and audio.

    kvoice report runs/betavae/default                      latents, and what they change
    kvoice report runs/adainvc/default                      one-shot conversions
    kvoice report runs/speakerencoder/*                     equal error rates
    kvoice report runs/voicegan/default                     generated samples
    kvoice report runs/tones/* --output=tones --single      all in one file, to be sent
    """
    if not runs:
        raise UsageError("RUN is missing: kvoice report RUN [RUN ...]")
    from kvoice import report as pages
    from kvoice import runs as folders
    from kvoice import weights

    for run in runs:
        weights.refuse(run)
    opened = [folders.load(path) for path in runs]
    model = opened[0].config["model_name"]
    allow(overwrite, output or opened[0].path / "report")
    print(pages.PAGES[model](opened, output or opened[0].path / "report", single))
