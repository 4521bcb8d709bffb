"""Interpolates noises on the sphere near which Gaussian noise of many dimensions lies."""

import numpy as np


def between(start: np.ndarray, end: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Interpolates between two noises on the arc rather than the straight line.

    With w the angle between them: `(sin((1 - t) w) start + sin(t w) end) / sin(w)`. Gaussian noise
    of n dimensions lies close to the sphere of radius sqrt(n), and two draws are nearly at right
    angles: the middle of the straight line has a length of sqrt(n / 2), which
    is not in the training data of a generator, so that its mels become faint and average there.

    Shapes: `start`, `end` [..., noise], `share` [...] or a number in [0, 1] -> [..., noise]
    float32; 0 gives `start`, 1 gives `end`.

    Source: Shoemake 1985, "Animating rotation with quaternion curves"; for generative models White
    2016, arXiv:1609.04468.
    """
    start, end = (np.asarray(noise, np.float64) for noise in (start, end))
    t = np.asarray(share, np.float64)[..., None]
    angle = np.radians(degrees(start, end))[..., None]
    sine = np.sin(angle)
    straight = sine < 1e-6  # along one line: there is no arc to follow
    sine = np.where(straight, 1, sine)
    near = np.where(straight, 1 - t, np.sin((1 - t) * angle) / sine)
    far = np.where(straight, t, np.sin(t * angle) / sine)
    return (near * start + far * end).astype(np.float32)


def degrees(start: np.ndarray, end: np.ndarray) -> float | np.ndarray:
    """Computes the angle between noises, 0 if one is zero: [..., noise], [..., noise] -> [...]."""
    start, end = (np.asarray(noise, np.float64) for noise in (start, end))
    sizes = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    cosine = np.divide(
        np.sum(start * end, axis=-1), sizes, out=np.ones_like(sizes), where=sizes > 0
    )
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
