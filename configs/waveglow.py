"""waveglow: waves from mels by a normalising flow, the vocoder of all other models.

    bin/train --model=waveglow          default: half an hour on two cores; :laptop is the same
    bin/train --model=waveglow:64       the published network with 64 channels; :128, :256
    bin/train --model=waveglow:paper    the published sizes (512 channels) and schedule, for a GPU
    bin/train --model=waveglow:tiny     seconds, to see that everything runs

Prenger, Valle & Catanzaro 2019, arXiv:1811.00002. The default differs, to be usable after half an
hour of training: audio is whitened by its mel before the flow, so that an untrained network
generates noise of the right spectrum, and only the voice itself is left to learn; samples are in
groups of 32, which cost a quarter of groups of 8; the network is narrower and has a smaller
receptive field, and its conditioning has the rate of the groups; halves swap roles, so that the
channels that leave the flow early have just been transformed; and the learning rate is twenty times
the published one.
"""

import dataclasses

import ml_collections

from kvoice import audio
from kvoice.training.config import TrainConfig

_PUBLISHED = {
    "audio": dict.fromkeys(audio.RECORDINGS, 0.0),  # recordings as they are
    "data": {"crop_frames": 63, "batch": 24},  # 16,128 samples
    "model": {
        "group": 8,
        "early_size": 2,
        "depth": 8,
        "alternate": False,
        "upsample_to": "samples",
        "prewhiten": False,
    },
    "train": {
        "steps": 580_000,
        "steps_per_epoch": 1000,
        "rates": {"flow": 1e-4},
        "decay": 1.0,
        "ema": 0.0,
    },
}

VARIANTS = {
    "": {},
    "laptop": {},
    **{
        str(width): {**_PUBLISHED, "model": {**_PUBLISHED["model"], "width": width}}
        for width in (64, 128, 256)
    },
    "paper": {**_PUBLISHED, "model": {**_PUBLISHED["model"], "width": 512}},
    "tiny": {
        "data": {"batch": 2, "crop_frames": 8},
        "model": {"width": 4, "depth": 2},
        "train": {"steps": 6, "steps_per_epoch": 3},
    },
}


def config(variant=""):
    """The values of a variant: each group holds the keyword arguments of one function."""
    values = ml_collections.ConfigDict(
        {
            "audio": dataclasses.asdict(audio.SPECS["waveglow"]) | audio.RECORDINGS,  # audio.Spec
            "data": {  # data.source.Source
                "split": "train",  # the training speakers
                "crop_frames": 32,  # of 256 samples; even
                "batch": 8,
                "seed": 0,
                "reject_silence": True,
            },
            "model": {  # models.waveglow.WaveGlow
                "width": 64,
                "flows": 12,
                "group": 32,
                "early_every": 4,
                "early_size": 8,
                "depth": 5,
                "kernel": 3,
                "alternate": True,  # halves swap roles, as in waveglow_old.pt
                "upsample_to": "groups",  # or samples, as published
                "prewhiten": True,  # whitens audio by its mel before the flow
                "sigma": 1.0,
                "dequantise": True,
                "seed": 0,
            },
            "train": dataclasses.asdict(
                TrainConfig(
                    steps=8000,
                    steps_per_epoch=500,
                    rates={"flow": 2e-3},
                    decay=0.9,
                    clip_norm=5.0,
                    ema=0.995,
                    valid_steps=24,
                )
            ),
        }
    )
    values.lock()
    values.update(VARIANTS[variant])
    return values
