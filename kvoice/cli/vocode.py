"""`kvoice vocode`: words and flags over `inference.vocode.vocode`."""

from kvoice import frameworks
from kvoice.cli.files import OVERWRITE, counted, end, tell_left_out
from kvoice.cli.flags import required


def declare(flags):
    flags.path("run", "", "DIR: a trained vocoder")
    flags.path("input", "", "FILE_OR_DIR: recordings, and mels as .npy files, [time, mels]")
    flags.path("output", "", "FILE_OR_DIR: a .wav, or the folder for those of a folder")
    flags.number(
        "sigma",
        None,
        "X: standard deviation of the noise, 0.6 if not given; less is less noisy, and duller",
    )
    flags.number(
        "denoise",
        0.0,
        "X: strength of the denoiser of a published vocoder, 0 to 1 and more",
    )
    flags.integer("seed", 0, "N: the seed of the noise")
    flags.switch("overwrite", False, OVERWRITE)


def vocode(run, input, output, sigma, denoise, seed, overwrite):  # noqa: A002  the name of the flag
    """Makes waves from mels by a trained vocoder: of recordings (resynthesis) or .npy files.

    kvoice vocode --run=runs/waveglow/default --input=me.wav --output=again.wav
    kvoice vocode --run=runs/waveglow/default --input=mels --output=waves   .npy files, [time, mels]
    """
    required(run=(run, "DIR"), input=(input, "FILE_OR_DIR"), output=(output, "FILE_OR_DIR"))
    frameworks.chosen_backend()

    from kvoice import runs
    from kvoice.inference import convert, vocode

    run = runs.load(run)
    vocode.check(run, run.spec, run.path)
    convert.plan(input, [], output, vocode.KINDS)  # before anything is loaded
    vocoder = vocode.of_run(run.path, run, sigma=sigma, denoise=denoise, seed=seed)
    rows, left_out = vocode.vocode(vocoder, input, output, overwrite)
    tell_left_out(left_out, rows, input)
    for line in convert.quieter(rows):
        print(line)
    seconds, took_s = (sum(row[key] for row in rows) for key in ("seconds", "took_s"))
    print(
        f"{counted(rows, left_out)}, {seconds:.1f} s of sound, in {output}: at "
        f"{seconds / took_s:.1f} times real time, what is compiled for the first included"
    )
    end(left_out, rows)
