"""classifier: predicts the emotion (or gender, or speaker) of speech from mels or waves.

    bin/train --model=classifier          default: a small mel CNN, under five minutes on two cores
    bin/train --model=classifier:judge    a mel WaveNet trained on the split judge, whose speakers
                                          no model that it evaluates was trained on
    bin/train --model=classifier:wave     convolutions and an LSTM on waves
    bin/train --model=classifier:paper --data=tess-ravdess:DIR
                                          the published mel CNN under the published protocol

Further variants: mel-wavenet, mel-lstm, wave-wavenet (sizes for two cores); paper-mel-wavenet,
paper-mel-lstm, paper-wave-wavenet, paper-wave-lstm (published sizes, for a GPU); tiny. The
predicted label: `--config.model.condition=emotion`, gender or speaker.

Sizes and schedule of `:paper` are those of the earlier work on activation maximisation over voices:
Adam 1e-3, times .99 after each of 301 epochs of 2000 clips, batch 512 (mel CNN) or 128; edges
trimmed at 25 dB; crops of 160 frames (1.86 s) or 32,768 samples (1.49 s). It reported an accuracy
of 91.5 % (mel CNN), 83.0 % (mel WaveNet) and 87.3 % (audio WaveNet) on its 232 test clips, 160 of
them of training speakers.
"""

import dataclasses

import ml_collections

from kvoice import audio
from kvoice.training.config import TrainConfig

# (domain, architecture, width, depth, batch) of the published sizes, with width in channels and
# depth in layers as in `models.classifier`.
_PAPER = {
    "paper": ("mel", "cnn", 64, 3, 512),
    "paper-mel-wavenet": ("mel", "wavenet", 16, 5, 512),
    "paper-mel-lstm": ("mel", "lstm", 128, 5, 512),
    "paper-wave-wavenet": ("wave", "wavenet", 16, 20, 128),
    "paper-wave-lstm": ("wave", "lstm", 256, 5, 128),
}


def _paper(domain, architecture, width, depth, batch):
    epoch = round(2000 / batch)
    return {
        "audio": {"trim_db": 25.0, "level_db": 0.0},
        "data": {"crop_frames": 160 if domain == "mel" else 128, "batch": batch},
        "model": {
            "domain": domain,
            "architecture": architecture,
            "width": width,
            "depth": depth,
            "noise": 0.0,
            "vtlp": 0.0,
        },
        "train": {"steps": 301 * epoch, "steps_per_epoch": epoch, "decay": 0.99, "ema": 0.0},
    }


VARIANTS = {
    "": {},
    "judge": {
        "data": {"split": "judge"},
        "model": {"architecture": "wavenet", "width": 16, "depth": 5},
    },
    "mel-wavenet": {"model": {"architecture": "wavenet", "width": 16, "depth": 5}},
    "mel-lstm": {"model": {"architecture": "lstm", "width": 64, "depth": 2}},
    "wave": {
        "data": {"crop_frames": 64},
        "model": {"domain": "wave", "architecture": "lstm", "width": 128, "depth": 1},
    },
    "wave-wavenet": {
        "data": {"crop_frames": 64},
        "model": {"domain": "wave", "architecture": "wavenet", "width": 8, "depth": 8},
    },
    "tiny": {
        "data": {"batch": 8},
        "model": {"width": 4, "depth": 1},
        "train": {"steps": 6, "steps_per_epoch": 3},
    },
    **{name: _paper(*sizes) for name, sizes in _PAPER.items()},
}


def config(variant=""):
    """The values of a variant: each group holds the keyword arguments of one function."""
    values = ml_collections.ConfigDict(
        {
            "audio": dataclasses.asdict(audio.SPECS["waveglow"]) | audio.RECORDINGS,  # audio.Spec
            "data": {  # data.source.Source
                "split": "train",  # the training speakers; or judge
                "crop_frames": 160,
                "batch": 32,
                "seed": 0,
            },
            "model": {  # models.classifier.Classifier
                "domain": "mel",  # or wave
                "architecture": "cnn",  # or wavenet, lstm
                "condition": "emotion",  # or gender, speaker
                "width": 8,
                "depth": 3,
                "noise": 0.5,  # augmentation: strength of noise and blur on the training clips
                "vtlp": 0.05,  # augmentation: largest vocal tract length perturbation (VTLP)
                "seed": 0,
            },
            "train": dataclasses.asdict(
                TrainConfig(
                    steps=1000,
                    steps_per_epoch=100,
                    rates={"classifier": 1e-3},
                    decay=0.8,
                    clip_norm=1.0,
                    ema=0.98,
                )
            ),
        }
    )
    values.lock()
    values.update(VARIANTS[variant])
    return values
