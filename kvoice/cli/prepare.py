"""`kvoice prepare`: words and flags over `data.prepare.prepare`."""

import dataclasses
import os
import pathlib
import shlex

from kvoice.cli import corpora
from kvoice.cli.flags import CORPORA, following, required
from kvoice.errors import KvoiceError


def declare(flags):
    from kvoice import audio

    flags.text(
        "data",
        "",
        f"CORPUS: {CORPORA}; additive[:SPACE], digits or mnist[:FILE], of which items are shown",
    )
    flags.path("output", "", "DIR: where the shards go, or the items that are shown")
    specs = list(audio.SPECS)
    flags.choice("spec", specs[0], specs, "what the rate and conditioning of the waves are for")
    flags.choice(
        "split",
        "",
        ("", "speaker", "text", "corpus"),
        "what no two splits share; corpus: the splits of the corpus itself; if not given, those, "
        "or speaker where it has none, or text where it is one speaker's (ljspeech)",
    )
    flags.switch(
        "judge",
        True,
        "keeps a quarter of the speakers (or texts) for the split judge, on which `evaluate` "
        "trains judges of other models; --judge=false gives them to the split train, for models "
        "that are judged by weights from elsewhere",
    )
    flags.text(
        "speeds",
        "",
        "FACTOR,...: adds a copy of each utterance of the split train at each of these speeds, "
        "pitch included, as of a further speaker; such as 0.84,0.92,1.09,1.19",
    )
    trim_db, level_db = audio.RECORDINGS.values()
    flags.number(
        "trim_db",
        None,
        "DB: silence at both ends is cut, frames this far below the loudest; 0 = none; if not "
        f"given, what --spec says, or {trim_db:g}, and none of demo and espeak",
    )
    flags.number(
        "level_db",
        None,
        "DB: each utterance is scaled to this level of what sounds, in dB of full scale, below 0; "
        f"0 = as recorded; if not given, {level_db:g}, and as rendered of demo and espeak",
        least=None,
        most=0,
    )
    flags.choice(
        "phones",
        "",
        ("", "hama"),
        "labels each frame with the phone that this recogniser of English hears; if not given, "
        "with that of the corpus where it is known",
    )
    flags.integer("seed", 0, "N: the seed of the split")
    flags.integer("workers", 0, "N: processes, 0 = one for each processor")


def prepare(data, output, spec, split, judge, trim_db, level_db, phones, speeds, seed, workers):
    """Turns a corpus into shards and a manifest; goes on where it was stopped.

    A file longer than a minute becomes several utterances, which end where it is quiet. Files that
    cannot be used are listed in the manifest; the command then ends with status 1.
    Tones and digits need no shards: a few random items of them are written as pictures and wavs.

    Silence at the ends of recordings is cut, and each is scaled to one level: between actors and
    between microphones levels differ by 16 dB and more.

    kvoice prepare --data=demo --output=prepared/demo
    kvoice prepare --data=librispeech:DIR --phones=hama --output=prepared/phones
    kvoice prepare --data=additive --output=tones
    kvoice prepare --data=tess:TESS+ravdess:RAVDESS --output=prepared/emotions --split=text
    """
    required(data=(data, "CORPUS"), output=(output, "DIR"))

    from kvoice import audio
    from kvoice.data import factors, manifest, prepare
    from kvoice.data.corpora import english

    if factors.named(data):
        given = {"phones": phones, "speeds": speeds, "split": split, "judge": judge or "false"}
        given |= {"trim_db": trim_db, "level_db": level_db}
        for flag, value in given.items():
            if value not in ("", True, None):
                raise KvoiceError(f"--{flag}={value}: {data} holds no speech; leave it out")
        return _examples(data, output, seed)
    if phones and not english(data):
        print(
            f"warning: {phones} knows the phones of English, and {data} is not known to be English "
            "throughout: its phones will be guesses"
        )
    given = {"trim_db": trim_db, "level_db": level_db}
    given = {field: value for field, value in given.items() if value is not None}
    own = audio.SPECS[spec]
    default = {field: getattr(own, field) or value for field, value in audio.RECORDINGS.items()}
    conditioned = corpora.conditioned(dataclasses.replace(own, **default | given), data, "", given)
    made = prepare.prepare(
        data,
        output,
        conditioned,
        split=split,
        seed=seed,
        workers=workers or None,
        phones=phones,
        judge=judge,
        speeds=_numbers("speeds", speeds),
    )
    print(made.report())
    if spec == next(iter(audio.SPECS)):  # that of most models
        condition = "speaker" if made.split == "text" and len(made.labels["speaker"]) > 1 else ""
        learnt = made.splits["train"]["counts"].get("emotion")
        override = "" if learnt else f" --config.model.condition={condition}"
        corpus = shlex.quote(f"prepared:{output}")
        print(
            following(
                f"train --model=voicegan --data={corpus}{override}",
                *[f"train --model=betavae --data={corpus}"] * bool(phones),
            )
        )
    if made.faults:
        files = "1 file was" if len(made.faults) == 1 else f"{len(made.faults)} files were"
        listed = shlex.quote(os.path.join(output, manifest.FILE))
        raise KvoiceError(f"{files} left out (listed in {listed}); the others are prepared")


def _numbers(flag, text):
    """The numbers of a flag, separated by commas."""
    try:
        return [float(part) for part in filter(None, text.split(","))]
    except ValueError:
        raise KvoiceError(
            f"--{flag}={text}: must be numbers separated by commas, such as 0.9,1.1"
        ) from None


def _examples(data, output, seed):
    """Writes random items of a corpus of images: pictures, factors, and wavs if they sound."""
    from kvoice import plots
    from kvoice.data import factors

    rows, images = factors.examples(data, output, seed=seed)
    wide = max(n for n in range(1, 5) if len(images) % n == 0)
    picture = pathlib.Path(output) / "items.png"
    plots.image_grid(
        picture,
        images.reshape(-1, wide, *images.shape[1:]),
        [""] * (len(rows) // wide),
        turned="wav" in rows[0],
    )
    print(
        f"{len(rows)} items of {data}: {picture} and factors.csv, a row for each picture from "
        f"left to "
        "right and downwards" + (", and their wavs" if "wav" in rows[0] else "")
    )
