"""`kvoice classify`: words and flags over `inference.classify.classify`."""

from kvoice import frameworks
from kvoice.cli.files import OVERWRITE, allow, counted, end, tell_left_out
from kvoice.cli.flags import required
from kvoice.errors import printable

SHOWN = 20  # files whose labels are printed


def declare(flags):
    flags.path("run", "", "DIR: a trained classifier")
    flags.path("input", "", "FILE_OR_DIR: the recordings")
    flags.path("output", "", "FILE: a CSV table with the probabilities")
    flags.switch("overwrite", False, OVERWRITE)


def classify(run, input, output, overwrite):  # noqa: A002  the name of the flag
    """Predicts the label of a recording, or of those of a folder, by a trained classifier.

    kvoice classify --run=runs/classifier/default --input=me.wav
    kvoice classify --run=runs/classifier/default --input=recordings --output=labels.csv
    """
    required(run=(run, "DIR"), input=(input, "FILE_OR_DIR"))
    frameworks.chosen_backend()

    from kvoice.inference import classify
    from kvoice.inference.voice import load

    allow(overwrite, output)
    voice = load(run, "classify")
    paths, unread = classify.files(input)
    rows, left_out = classify.classify(voice, paths, output)
    for row in rows[:SHOWN]:
        odds = ", ".join(f"{name} {row[name]}" for name in voice.names)
        print(printable(f"{row['file']}: {row['label']}   ({odds})"))
    if len(rows) > SHOWN:
        print(f"... and {len(rows) - SHOWN} more")
    left_out = [*unread, *left_out]
    tell_left_out(left_out, rows, input)
    if output:
        print(f"{counted(rows, left_out)}, in {output}")
    end(left_out, rows)
