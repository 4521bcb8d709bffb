"""What reading a file and rendering an utterance both give."""

import dataclasses

import numpy as np


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
