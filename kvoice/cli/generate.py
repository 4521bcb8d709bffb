"""`kvoice generate`: words and flags over `inference.generate.generate`."""

from kvoice import frameworks
from kvoice.cli.files import OVERWRITE
from kvoice.cli.flags import required


def declare(flags):
    flags.path("run", "", "DIR: a trained generator")
    flags.path("output", "", "DIR: where the files go; RUN/generated/seed-N if not given")
    flags.integer("count", 4, "N: samples of each label", least=1)
    flags.integer("seed", 0, "N: the seed of the noise")
    flags.texts("label", "NAME: only this label, as often as needed; all if not given")
    flags.path("vocoder", "", "RUN: the vocoder that renders mels; Griffin-Lim if not given")
    flags.switch("overwrite", False, OVERWRITE)


def generate(run, output, count, seed, label, vocoder, overwrite):
    """Writes generated wavs and pictures of each label, and an interpolation of two noises.

    kvoice generate --run=runs/voicegan/default
    kvoice generate --run=runs/voicegan/default --label=happy --count=8 --seed=1
    """
    required(run=(run, "DIR"))
    frameworks.chosen_backend()

    from kvoice.inference import vocode
    from kvoice.inference.generate import generate
    from kvoice.inference.voice import load

    voice = load(run, "generate")
    output = output or voice.run.path / "generated" / f"seed-{seed}"
    made = generate(
        voice,
        output,
        count=count,
        seed=seed,
        labels=label or None,
        vocoder=vocode.of_run(vocoder, voice.run),
        overwrite=overwrite,
    )
    print(f"{len(made['files'])} wavs and their pictures are in {output}")
