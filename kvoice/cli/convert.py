"""`kvoice convert`: words and flags over `inference.convert.convert`."""

from kvoice import frameworks
from kvoice.cli.files import OVERWRITE, counted, end, tell_left_out
from kvoice.cli.flags import required


def declare(flags):
    from kvoice.inference.convert import FARTHEST, MIX

    flags.path(
        "run",
        "",
        "DIR: a trained model that converts voices; if not given, weights that ship with kvoice",
    )
    flags.path("source", "", "FILE_OR_DIR: the recordings whose words are kept")
    flags.paths(
        "target", "FILE: a recording of the target voice, as often as needed; their mean is used"
    )
    flags.path("output", "", "FILE_OR_DIR: a .wav, or the folder for those of a folder")
    flags.number(
        "mix",
        MIX,
        f"X: how far from the voice of the source, 0, to the target's, 1; above 1, up to "
        f"{FARTHEST:g}, the long-term spectrum goes beyond the target's: more of its voice, fewer "
        "of the words",
        most=FARTHEST,
    )
    flags.text(
        "layers",
        "",
        "N-M,...: layers of the decoder that are conditioned on the target, 0 next to "
        "the content; all if not given",
    )
    flags.path(
        "vocoder",
        "",
        "RUN: the vocoder that renders mels; if not given, harmonics of the source's intonation in "
        "the pitch of the target, and noise",
    )
    flags.integer("rate", 0, "HZ: the sampling rate of the output; 0 = that of the run")
    flags.switch("overwrite", False, OVERWRITE)


def convert(run, source, target, output, mix, layers, vocoder, rate, overwrite):
    r"""Converts a recording, or those of a folder, to the voice of another recording.

    kvoice convert --source=me.wav --target=you.wav --output=out.wav        weights that ship
    kvoice convert --run=runs/adainvc/default --source=me.wav --target=you.wav --output=out.wav
    kvoice convert --run=runs/adainvc/default --source=recordings --output=converted \
        --target=you_1.wav --target=you_2.wav      the mean of both voices
    kvoice convert --run=runs/adainvc/default --source=me.wav --target=you.wav --output=half.wav \
        --mix=0.5 --layers=0-3,8                    half of the way, in some layers
    """
    required(
        source=(source, "FILE_OR_DIR"),
        target=(target, "FILE"),
        output=(output, "FILE_OR_DIR"),
    )
    frameworks.chosen_backend()

    from kvoice import models, weights
    from kvoice.inference import convert, vocode
    from kvoice.inference.voice import load

    ships = [] if run else [each for each in map(weights.shipped, models.named("convert")) if each]
    required(run=(run or ships, "DIR"))
    convert.plan(source, target, output)  # before anything is loaded
    voice = load(run or ships[0], "convert")
    vocoder = vocode.of_run(vocoder, voice.run)
    if ships:
        print(f"weights that ship with kvoice, described in {ships[0] / weights.CARD}")
    print("Converted voices imitate somebody: ask them, and say that it is converted.")
    rows, left_out = convert.convert(
        voice,
        source,
        target,
        output,
        mix,
        convert.layer_numbers(layers, voice.model.style_layers) if layers else None,
        vocoder,
        rate or None,
        overwrite,
    )
    tell_left_out(left_out, rows, source)
    left_out = [line for line in left_out if not line.endswith(convert.TARGET)]
    for line in convert.quieter(rows):
        print(line)
    seconds, network_s, vocoder_s = (
        sum(row[key] for row in rows) for key in ("seconds", "network_s", "vocoder_s")
    )
    print(
        f"{counted(rows, left_out)}, {seconds:.1f} s of sound, in {output}: "
        f"the network at {seconds / network_s:.1f} times real time, "
        f"{'the vocoder' if vocoder else 'the synthesis'} at {seconds / vocoder_s:.1f}, what is "
        f"compiled for the first included"
    )
    end(left_out, rows)
