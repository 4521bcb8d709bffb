"""voicegan: mel spectrograms of emotional speech from noise, with a conditional WGAN-GP.

    bin/train --model=voicegan         default: a quarter of an hour on two cores, then samples of
                                       each emotion in runs/voicegan/default/samples
    bin/train --model=voicegan:paper   the published sizes, for a GPU
    bin/train --model=voicegan:wave    waves of 0.74 s instead of mels, some thirty minutes
    bin/train --model=voicegan:tiny    seconds, to see that everything runs

The published sizes are those of activation maximisation with a GAN prior (80 x 160 mels from a
512-d noise, widths 64 to 512); the loss is that of Gulrajani et al. 2017, arXiv:1704.00028, the
class head that of Choi et al. 2018 (StarGAN), arXiv:1711.09020. The default differs from them to
train in a quarter of an hour on two cores: width 24, two critic steps instead of five, ten times
the rates, an average of the weights. In the same time it came nearer to real speech than five
critic steps at half these rates.
"""

import dataclasses

import ml_collections

from kvoice import audio
from kvoice.training.config import TrainConfig

VARIANTS = {
    "": {},
    "paper": {
        "model": {"width": 64, "n_critic": 5},
        "data": {"batch": 640},
        "train": {
            "steps": 100_000,
            "steps_per_epoch": 1000,
            "rates": {"critic": 1e-4, "generator": 1e-4},
            "ema": 0.0,
        },
    },
    "wave": {
        "model": {"domain": "wave", "noise": 100, "width": 16, "n_critic": 3},
        "data": {"crop_frames": 64, "batch": 48},  # 16,384 samples, 16 items for each critic step
        "train": {
            "steps": 2000,
            "steps_per_epoch": 250,
            "rates": {"critic": 3e-4, "generator": 3e-4},
        },
    },
    "tiny": {
        "model": {"width": 4},
        "data": {"batch": 8},
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
                "crop_frames": 160,
                "batch": 32,  # 16 for each of the n_critic steps of the critic
                "seed": 0,
            },
            "model": {  # models.voicegan.VoiceGAN
                "domain": "mel",
                "condition": "emotion",  # or gender, speaker, "" for none
                "noise": 512,
                "width": 24,
                "n_critic": 2,
                "penalty": 10.0,
                "class_weight": 1.0,
                "seed": 0,
            },
            "train": dataclasses.asdict(
                TrainConfig(
                    steps=2400,
                    steps_per_epoch=200,
                    rates={"critic": 1e-3, "generator": 1e-3},
                    beta_1=0.5,
                    beta_2=0.9,
                    ema=0.99,
                )
            ),
        }
    )
    values.lock()
    values.update(VARIANTS[variant])
    return values
