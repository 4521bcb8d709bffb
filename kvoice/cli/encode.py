"""`kvoice encode`: words and flags over `inference.encode.encode`."""

from kvoice import frameworks
from kvoice.cli.files import OVERWRITE, allow, counted, end, tell_left_out
from kvoice.cli.flags import required


def declare(flags):
    flags.path("run", "", "DIR: a trained model with an encoder")
    flags.path("input", "", "FILE_OR_DIR: the recordings")
    flags.path("output", "", "FILE: an .npz with the arrays file and embedding, or a .csv")
    flags.switch("overwrite", False, OVERWRITE)


def encode(run, input, output, overwrite):  # noqa: A002  the name of the flag
    """Writes the speaker embeddings or the latents of recordings.

    kvoice encode --run=runs/speakerencoder/default --input=recordings --output=voices.npz
    kvoice encode --run=runs/adainvc/default --input=me.wav --output=me.csv
    kvoice encode --run=runs/betavae/default --input=recordings --output=latents.csv
    """
    required(run=(run, "DIR"), input=(input, "FILE_OR_DIR"), output=(output, "FILE"))
    frameworks.chosen_backend()

    from kvoice.inference import classify, encode
    from kvoice.inference.voice import load

    allow(overwrite, output)
    voice = load(run, "encode")
    paths, unread = classify.files(input)
    used, points, left_out = encode.encode(voice, paths, output)
    left_out = [*unread, *left_out]
    tell_left_out(left_out, used, input)
    print(f"{counted(used, left_out)}, {points.shape[1]} numbers each, in {output}")
    end(left_out, used)
