"""betavae: finds factors of variation of voices, tones or images without labels.

    bin/train --model=betavae          default (also :voices): utterances of demo, 64 latents, the
                                       decoder is conditioned on the phones where they are labelled
    bin/train --model=betavae:tones    synthetic tones with known factors (--data=additive), minutes
    bin/train --model=betavae:digits   images of digits (--data=digits, or --data=mnist), a minute
    bin/train --model=betavae:paper    the published sizes of the speech system, for a GPU
    bin/train --model=betavae:tiny     seconds, to see that everything runs

The objective and its weight: `--config.model.objective=beta` (capacity, tcvae, factorvae),
`--config.model.beta=8`. `:recurrent` is the pair with LSTMs and attention on tones.
"""

import dataclasses

import ml_collections

from kvoice import audio
from kvoice.training.config import TrainConfig

# The default of `--data` for these variants; demo for the others.
DATA = {"tones": "additive", "recurrent": "additive", "digits": "digits"}

_VOICES = {
    "data": {  # data.source.Source
        "split": "train",  # the training speakers
        "crop_frames": 160,
        "batch": 16,
        "seed": 0,
    },
    "model": {
        "domain": "mel",
        "architecture": "utterance",
        "latents": 64,
        "width": 16,
        "sigma": 0.03,
        "beta": 1.0,
        "anneal_steps": 200,  # steps until the full weight of the KL divergence
        "phones": True,  # conditions the decoder on the phone of each frame, where labelled
        "dropout": 0.0,
    },
    "train": {
        "steps": 2400,
        "steps_per_epoch": 240,
        "decay": 0.9,
        "rates": {"vae": 3e-3, "discriminator": 1e-4},
    },  # the second for factorvae only
}
_TONES = {
    "data": {  # data.factors.FactorSource
        "split": "train",
        "batch": 64,
        "seed": 0,
        "representation": "cqt",
        "scale": "root",
        "range_db": 60.0,
        "bins_per_octave": 12,
    },
    "model": {
        "domain": "image",
        "architecture": "shift",
        "latents": 10,
        "width": 64,
        "sigma": 0.14,
        "objective": "tcvae",
        "beta": 8.0,
    },
    "train": {
        "steps": 2000,
        "steps_per_epoch": 200,
        "decay": 0.8,
        "rates": {"vae": 2e-3, "discriminator": 1e-4},
    },
}

VARIANTS = {
    "": {},
    "voices": {},
    "paper": {
        "data": {"crop_frames": 1000, "batch": 64},  # whole utterances
        "model": {"width": 32, "dropout": 0.1, "kl": "mean", "sigma": 0.14, "anneal_steps": 19_000},
        "train": {
            "steps": 90_000,
            "steps_per_epoch": 1000,
            "rates": {"vae": 1e-4},
            "clip_norm": 0.5,
            "ema": 0.0,
        },
    },
    "tones": {},
    "recurrent": {
        "model": {"architecture": "recurrent", "width": 64, "objective": "beta", "beta": 4.0},
    },
    "digits": {
        "data": {"representation": "image", "batch": 100},
        "model": {
            "architecture": "dense",
            "width": 400,
            "likelihood": "bernoulli",
            "objective": "beta",
            "beta": 1.0,
        },  # with beta = 4, images of 8 x 8 use no latent
        "train": {"steps": 3000, "steps_per_epoch": 300},
    },
    "tiny": {
        "data": {"batch": 4, "crop_frames": 64},
        "model": {"width": 4, "latents": 8},
        "train": {"steps": 6, "steps_per_epoch": 3},
    },
}


def config(variant=""):
    """The values of a variant: each group holds the keyword arguments of one function."""
    kind = _TONES if variant in DATA else _VOICES
    values = ml_collections.ConfigDict(
        {
            "audio": dataclasses.asdict(audio.SPECS["waveglow"]) | audio.RECORDINGS,  # audio.Spec
            "data": kind["data"],
            "model": {  # models.betavae.BetaVAE
                "likelihood": "gaussian",  # or bernoulli
                "objective": "beta",  # or capacity, tcvae, factorvae
                "beta_start": 0.0,  # beta at step 0, where it is annealed
                "gamma": 100.0,  # weight in the objectives capacity and factorvae
                "capacity_nats": 20.0,
                "anneal_steps": 0,  # steps until the full weight
                "free_nats": 0.0,
                "kl": "sum",  # over the latents; or mean
                "seed": 0,
                **kind["model"],
            },
            "train": dataclasses.asdict(TrainConfig(clip_norm=100.0, ema=0.98, **kind["train"])),
        }
    )
    values.lock()
    values.update(VARIANTS[variant])
    return values
