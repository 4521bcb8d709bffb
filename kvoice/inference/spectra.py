"""Log spectra of speech, and what a network that converts loses of them.

    details = Details.of(mel, made, spec)    # a recording, and what the network makes of it
    added = details.of_similar(other, spec)  # to what the network makes of other recordings

A decoder that is trained by the mean error of its mels smooths them. What it makes of a recording
without changing the voice shows, frame by frame, what it loses.

Source:
    Adding the details of the most similar frames of the target is after Baas, van Niekerk & Kamper
    2023, "Voice conversion with just nearest neighbors", Interspeech. Differs: there the frames
    themselves are replaced, in the features of a large network, and minutes of speech are needed.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.ndimage

from kvoice import audio

QUIET = 1e-6  # least magnitude whose logarithm is taken
SOUNDING_DB = 30.0  # below the loudest frame; what is softer has no part in a voice
SIMILAR = 8  # frames whose mean details are those of a frame like them
SMOOTH_FRAMES = 1.0  # standard deviation of the Gaussian that smooths these over time
DISTANCES = 2_000_000  # that are in memory at once


def logs(mel: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Computes the log magnitudes of a mel on the scale of a Spec: [time, mels] -> the same."""
    return np.log(np.maximum(audio.magnitude(mel, spec), QUIET))


def loudness(mel: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Computes the logarithm of the mean magnitude of each frame: [time, mels] -> [time]."""
    return np.log(np.maximum(audio.magnitude(mel, spec).mean(axis=1), QUIET))


def sounding(mel: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Tells which frames are at most `SOUNDING_DB` below the loudest: [time, mels] -> [time]."""
    level = loudness(mel, spec)
    return ~(level < level.max() - SOUNDING_DB / 20 * np.log(10))


def long_term_spectrum(mel: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Computes the mean spectrum of the frames that sound, each of a mean log magnitude of 0.

    Shapes: mel [time, mels] on the scale of the Spec -> [mels], natural logarithms.
    """
    return _shapes(logs(mel, spec))[sounding(mel, spec)].mean(axis=0)


def _shapes(values):
    """Log magnitudes less the mean of each frame."""
    return values - values.mean(axis=1, keepdims=True)


def lost(mel: np.ndarray, made: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Computes what a network loses of the frames of a recording.

    Shapes: mel, made [time, mels] on the scale of the Spec -> [time, mels], differences of log
    magnitudes, of mean 0 in each frame and in each band over the frames that sound; 0 in the
    others.

    Args:
        mel: The mel of the recording.
        made: What the network makes of it without changing the voice.
        spec: The Spec of both.
    """
    kept = sounding(mel, spec)
    found = _shapes(logs(mel, spec)) - _shapes(logs(made, spec))
    return np.where(kept[:, None], found - found[kept].mean(axis=0), 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Details:
    """What a network loses of the frames of recordings of one voice that sound.

    Attributes:
        made: The spectra that the network makes of these frames, as differences from their mean:
            [frames, mels], log magnitudes.
        lost: What the recordings have beyond those, see `lost`: [frames, mels].
    """

    made: np.ndarray
    lost: np.ndarray

    @classmethod
    def of(cls, mel: np.ndarray, made: np.ndarray, spec: audio.Spec) -> "Details":
        """Measures them in one recording; the arguments are those of `lost`."""
        kept = sounding(mel, spec)
        shapes = _shapes(logs(made, spec))[kept]
        return cls(shapes - shapes.mean(axis=0), lost(mel, made, spec)[kept])

    @classmethod
    def joined(cls, several: Sequence["Details"]) -> "Details":
        """Joins those of several recordings."""
        made, lost = zip(*((each.made, each.lost) for each in several))
        return cls(np.concatenate(made), np.concatenate(lost))

    def of_similar(self, mel: np.ndarray, spec: audio.Spec) -> np.ndarray:
        """Computes for each frame what the network loses of the `SIMILAR` frames most like it.

        Shapes: mel [time, mels], made by the network, on the scale of the Spec -> [time, mels],
        differences of log magnitudes.
        """
        shapes = _shapes(logs(mel, spec))
        shapes -= shapes[sounding(mel, spec)].mean(axis=0)
        rows = _nearest(shapes, self.made, min(SIMILAR, len(self.made)))
        return scipy.ndimage.gaussian_filter1d(
            self.lost[rows].mean(axis=1), SMOOTH_FRAMES, axis=0, mode="nearest"
        )


def _nearest(points, known, count):
    """The rows of the known points that are nearest to each point: [points, count]."""
    squares = np.square(known).sum(axis=1)
    parts = np.array_split(points, 1 + len(points) * len(known) // DISTANCES)
    return np.concatenate(
        [
            np.argpartition(squares - 2 * part @ known.T, count - 1, axis=1)[:, :count]
            for part in parts
        ]
    )
