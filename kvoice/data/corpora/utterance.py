"""One utterance of a corpus: before it is read, and as sound with what is known of it."""

import dataclasses

import numpy as np

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised", "bored")
GENDERS = ("female", "male")
SPLITS = ("train", "valid", "judge", "test")

EMOTION_WORDS = {word: word for word in EMOTIONS} | {
    "neutrality": "neutral",
    "calmness": "calm",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fear": "fearful",
    "disgusted": "disgust",
    "boredom": "bored",
    "surprise": "surprised",
    "ps": "surprised",
    "pleasant_surprise": "surprised",
    "pleasant_surprised": "surprised",
}
GENDER_WORDS = {
    "female": "female",
    "f": "female",
    "woman": "female",
    "male": "male",
    "m": "male",
    "man": "male",
}


@dataclasses.dataclass(frozen=True)
class Item:
    """One utterance of a corpus before it is read; "" = unknown."""

    corpus: str
    name: str  # unique, e.g. "ravdess/03-01-05-01-01-01-07"
    speaker: str  # "ravdess/07"
    gender: str = ""
    emotion: str = ""
    text: str = ""
    split: str = ""  # where the corpus itself says so
    path: str = ""  # of a file; "" where the corpus renders
    utterance: object = None  # what the renderer needs


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file that is left out, and why."""

    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Recording:
    """One utterance as sound, with what its corpus knows about every moment of it.

    Shapes: `wave` [samples]; `f0`, `phone` [1 + samples // hop], frame i at sample i * hop, None
    where the corpus does not know them.

    Args:
        wave: float32, full scale = 1.
        sample_rate_hz: Of the wave.
        f0: float32, Hz, 0 = unvoiced.
        phone: int32, index into the corpus' `PHONES`.
        rate: Phones per second of speech; 0 = unknown.
    """

    wave: np.ndarray
    sample_rate_hz: int
    f0: np.ndarray | None = None
    phone: np.ndarray | None = None
    rate: float = 0.0
