"""speakerencoder: embeds recordings by their speaker, to verify speakers and evaluate conversions.

    bin/train --model=speakerencoder          default: 100 sampled voices, none of them in demo
    bin/train --model=speakerencoder:judge    the speakers of the split judge of a corpus:
                                              --data=vctk:DIR
    bin/train --model=speakerencoder:paper    the same network, more and longer, for a GPU
    bin/train --model=speakerencoder:tiny     seconds, to see that everything runs

The network has the sizes of Resemblyzer, whose weights `bin/import` reads, in all but :tiny. It
must not be trained on the speakers that it evaluates.
"""

import dataclasses

import ml_collections

from kvoice import audio
from kvoice.training.config import TrainConfig

# The default of `--data`: speakers 25 to 224 of the synthesiser; demo has the first 24.
DATA = {"": "demo:25-224", "paper": "demo:25-224"}

VARIANTS = {
    "": {},
    "judge": {"data": {"split": "judge"}},
    "paper": {
        "data": {"batch": 640, "per_speaker": 10, "crop_frames": 160},
        "train": {
            "steps": 50_000,
            "steps_per_epoch": 500,
            "rates": {"encoder": 1e-4},
            "decay": 1.0,
            "ema": 0.0,
        },
    },
    "tiny": {
        "data": {"batch": 4, "per_speaker": 2, "crop_frames": 20},
        "model": {"width": 4, "depth": 1, "embedding": 4},
        "train": {"steps": 6, "steps_per_epoch": 3},
    },
}


def config(variant=""):
    """The values of a variant: each group holds the keyword arguments of one function."""
    values = ml_collections.ConfigDict(
        {
            "audio": dataclasses.asdict(audio.SPECS["speakerencoder"])
            | audio.RECORDINGS,  # audio.Spec
            "data": {  # data.source.Source
                "split": "train",  # the training speakers; or judge
                "crop_frames": 96,  # 160 published
                "batch": 48,
                "per_speaker": 4,
                "seed": 0,
            },
            "model": {  # models.speakerencoder.SpeakerEncoder
                "width": 256,
                "depth": 3,
                "embedding": 256,
                "loudness": 0.2,  # augmentation: random level, in standard deviations of a band
                "noise": 0.3,  # augmentation: largest noise, in the same unit
                "seed": 0,
            },
            "train": dataclasses.asdict(
                TrainConfig(
                    steps=1200,
                    steps_per_epoch=100,
                    rates={"encoder": 1e-3},
                    decay=0.8,
                    clip_norm=3.0,
                    ema=0.98,
                )
            ),
        }
    )
    values.lock()
    values.update(VARIANTS[variant])
    return values
