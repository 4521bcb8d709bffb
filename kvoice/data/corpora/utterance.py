"""One utterance of a corpus: `Item` before it is read, `Recording` with its sound and labels."""

import dataclasses
import re

import numpy as np

from kvoice import audio

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

    corpus: str  # its name, as in `--data`; that of the directory for folder:
    name: str  # unique, e.g. "ravdess/03-01-05-01-01-01-07"
    speaker: str  # "ravdess/07"
    gender: str = ""
    emotion: str = ""
    text: str = ""
    split: str = ""  # the split that the corpus itself assigns
    path: str = ""  # the path of the sound file; "" of a rendered corpus
    utterance: object = None  # the argument of the renderer
    speed: float = 1.0  # at which it is played, pitch and formants included


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file that is left out, and why; `intended` where no mistake of the user's is behind it."""

    file: str
    reason: str
    intended: bool = False


@dataclasses.dataclass(frozen=True)
class Recording:
    """One utterance as sound, with its frame labels.

    Shapes: `wave` [samples]; `f0`, `phone` [1 + samples // hop], frame i at sample i * hop, None
    where the corpus has no labels of them.

    Args:
        wave: Samples as float32, full scale = 1.
        sample_rate_hz: Sample rate of the wave, in Hz.
        f0: F0 as float32, in Hz; 0 = unvoiced.
        phone: Phones as int32, an index into the corpus' `PHONES`.
        rate: Speaking rate, in phones per second of speech; 0 = unknown.
    """

    wave: np.ndarray
    sample_rate_hz: int
    f0: np.ndarray | None = None
    phone: np.ndarray | None = None
    rate: float = 0.0

    def at_speed(self, speed: float, hop: int) -> "Recording":
        """Returns the recording played at another speed; pitch and formants change with it.

        Args:
            speed: The factor of the speed, 1 = as it is.
            hop: Hop of the frame labels, in samples.
        """
        if speed == 1:
            return self
        faster_hz = round(speed * self.sample_rate_hz)
        wave = audio.resample(self.wave, faster_hz, self.sample_rate_hz)
        frames = np.round(np.arange(1 + len(wave) // hop) * speed).astype(int)
        f0, phone = (
            None if labels is None else labels[np.minimum(frames, len(labels) - 1)]
            for labels in (self.f0, self.phone)
        )
        return dataclasses.replace(
            self,
            wave=wave,
            f0=None if f0 is None else np.float32(speed) * f0,
            phone=phone,
            rate=speed * self.rate,
        )


def words(text: str) -> str:
    """The words of a text in one form: two texts of the same words may differ in case and signs."""
    return " ".join(re.findall(r"\w+", text.casefold()))
