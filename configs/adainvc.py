"""adainvc: one-shot voice conversion, the words of one recording in the voice of another.

    bin/train --model=adainvc             default: the 80 mels of WaveGlow, a quarter of an hour
    bin/train --model=adainvc:official    512 mels at 24 kHz, the published schedule, for a GPU;
                                          :paper is the same
    bin/train --model=adainvc:tiny        seconds, to see that everything runs

A deeper decoder: `--config.model.decoder_stages=5` (or 7). A content encoder without instance
normalisation, which keeps the voice: `--config.model.content_norm=false`. One encoder for both,
whose layer statistics represent the voice: `--config.model.speaker=statistics
--config.model.encoder_stages=3 --config.model.vtlp=0`. The default halves the time twice in the
encoders, where the published networks do so three times, and differs in `kl_weight` and `vtlp`:
on recordings of few readers it keeps more of the words and less of the source's voice
(docs/results/adainvc.md). Else the networks have the published sizes in all but :tiny.
"""

import dataclasses

import ml_collections

from kvoice import audio
from kvoice.training.config import TrainConfig

_PUBLISHED = {"encoder_stages": 3, "kl_weight": 1.0, "vtlp": 0.0}
_OFFICIAL = {
    "audio": dataclasses.asdict(audio.SPECS["adainvc"]),
    "data": {"batch": 128},
    "model": _PUBLISHED | {"anneal_steps": 20_000},
    "train": {
        "steps": 200_000,
        "steps_per_epoch": 1000,
        "rates": {"vae": 5e-4},
        "decay": 1.0,
        "epsilon": 1e-8,
        "ema": 0.0,
    },
}

VARIANTS = {
    "": {},
    "official": _OFFICIAL,
    "paper": _OFFICIAL,
    "tiny": {
        "data": {"batch": 4, "crop_frames": 32},
        "model": _PUBLISHED
        | {
            "width": {"bank": 4, "speaker": 4, "content": 4, "decoder": 4},
            "latents": 4,
            "embedding": 4,
            "dense_blocks": 1,
        },
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
                "crop_frames": 128,
                "batch": 32,
                "seed": 0,
            },
            "model": {  # models.adainvc.AdaINVC
                "width": {"bank": 128, "speaker": 128, "content": 128, "decoder": 128},
                "latents": 128,
                "embedding": 128,
                "bank": 8,
                "kernel": 5,
                "encoder_stages": 2,
                "decoder_stages": 3,
                "dense_blocks": 6,
                "content_norm": True,
                "speaker": "encoder",  # or statistics
                "reconstruction_weight": 10.0,
                "kl_weight": 0.2,
                "anneal_steps": 500,  # steps until the full kl_weight
                "vtlp": 0.1,  # augmentation: largest shift of the mels that are the content's input
                "seed": 0,
            },
            "train": dataclasses.asdict(
                TrainConfig(
                    steps=2000,
                    steps_per_epoch=200,
                    rates={"vae": 1e-3},
                    decay=0.8,
                    amsgrad=True,
                    weight_decay=1e-4,
                    clip_norm=5.0,
                    ema=0.99,
                )
            ),
        }
    )
    values.lock()
    values.update(VARIANTS[variant])
    return values
