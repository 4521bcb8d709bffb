"""Audio whitened by the spectral envelope that its mel gives."""

import numpy as np
from keras import ops

FRAMES = 2  # in a block
LEVEL = 2.0**-30 / 12  # energy of the rounding to 16 bits


class Prewhitening:
    """An invertible map from audio to a signal with a flat spectrum and unit power, given the mel.

    A lapped transform (MDCT: blocks of two frames, Vorbis windows of two blocks, none beyond both
    ends) gives as many coefficients as samples; each is divided by its expected magnitude under the
    mel, and the inverse transform applied. The transform is orthogonal, so the map is inverted
    exactly and its log-determinant is minus the sum of the logarithms of the divisors: a flow of
    the whitened signal has an exact likelihood of the audio. There are no trained parameters. The
    envelope of a block is that of the second of its two frames, which is centred on the middle of
    the block; beyond the outer bands the envelope is constant. The result is white to the extent
    that there are many bands and the hop is short, a quarter of the window or less.

    Args:
        hop: Samples from one frame to the next.
        bands: The return value of `audio.band_powers` for the mels.

    Source: ours. The transform: Princen & Bradley 1986, doi:10.1109/TASSP.1986.1164954. SpecGrad,
        Koizumi et al. 2022,
    arXiv:2203.16749, gives the noise of a diffusion such an envelope.
    """

    def __init__(self, hop: int, bands: dict):
        size = self.size = FRAMES * hop  # of a block
        fft, centres = bands["fft"], bands["centres"]
        self._slope, self._floor = bands["slope"], bands["floor"]
        self._offsets = np.float32(bands["offsets"])
        # How much each bin has of each band, by its place between their centres: [mels, bins].
        bins = np.arange(1 + fft // 2)
        self._spread = np.float32([np.interp(bins, centres, band) for band in np.eye(len(centres))])
        # Type IV of the cosine transform, which is its own inverse: [size, size].
        steps = np.arange(size) + 0.5
        self._cosines = np.float32(
            np.sqrt(2 / size) * np.cos(np.pi / size * np.outer(steps, steps))
        )
        # How samples, by their distance from the border of two blocks, share in both: [size // 2].
        angles = np.pi / 2 * np.sin(np.pi / 4 * (1 + steps[: size // 2] / (size / 2))) ** 2
        self._own, self._other = np.float32(np.sin(angles)), np.float32(np.cos(angles))
        # The energy of each coefficient for that of each bin, in the first block, in others, in the
        # last: [3, bins, size].
        waves = np.zeros((3, size, 3, size), np.float32)
        for place in range(3):
            waves[place, :, place] = self._cosines
        waves = ops.convert_to_numpy(
            self._laid(ops.convert_to_tensor(waves.reshape(-1, 3, size)), -1)
        )
        turns = np.exp(-2j * np.pi / fft * np.outer(np.arange(3 * size), bins))
        energies = np.abs(waves.reshape(3 * size, -1) @ turns) ** 2 / fft
        energies[:, 1 : fft // 2] *= 2  # the negative frequencies
        self._energies = np.float32(energies.reshape(3, size, -1).swapaxes(1, 2))

    def _laid(self, blocks, sign):
        """Folds the blocks over their borders with sign 1; sign -1 is the inverse.

        Of two samples as far before and after a border, b and a become own * b - other * a and own
        * a + other * b: a rotation, since own^2 + other^2 = 1. The first half of the first block
        and the last one of the last have no border, and stay.

        Shapes: [batch, blocks, size] -> the same.
        """
        half = self.size // 2
        first, last = blocks[..., :half], blocks[..., half:]
        before, after = ops.flip(last[:, :-1], axis=-1), first[:, 1:]
        own, other = ops.convert_to_tensor(self._own), sign * ops.convert_to_tensor(self._other)
        first = ops.concatenate([first[:, :1], own * after + other * before], axis=1)
        last = ops.concatenate(
            [ops.flip(own * before - other * after, axis=-1), last[:, -1:]], axis=1
        )
        return ops.concatenate([first, last], axis=-1)

    def log_sizes(self, mel):
        """Returns the logarithms of the expected magnitudes of the coefficients.

        Shapes: [batch, frames, mels] -> [batch, frames / 2, size].
        """
        mel = mel[:, FRAMES // 2 :: FRAMES]
        if self._floor:
            mel = ops.log(ops.maximum(mel, self._floor))
        level = ops.add(mel * self._slope, self._offsets)
        power = ops.exp(ops.matmul(level, self._spread))  # [B, F / 2, bins]
        parts = (
            power[:, :1],
            power[:, 1:-1],
            power[:, 1:][:, -1:],
        )  # a single block is the first, and not the last
        energy = ops.concatenate([ops.matmul(*each) for each in zip(parts, self._energies)], axis=1)
        return ops.log(energy + LEVEL) / 2

    def _scaled(self, wave, log_scales):
        """Scales coefficients of a wave [batch, samples] by log scales [batch, blocks, size]."""
        blocks = self._laid(ops.reshape(wave, ops.shape(log_scales)), 1)
        coefficients = ops.matmul(blocks, self._cosines) * ops.exp(log_scales)
        return ops.reshape(self._laid(ops.matmul(coefficients, self._cosines), -1), ops.shape(wave))

    def whitened(self, wave, mel):
        """Whitens audio, and returns the log scale of each sample, the mean over its block.

        Shapes: `wave` [batch, frames * hop], `mel` [batch, frames, mels], an even number of frames
        -> two of [batch, frames * hop].
        """
        sizes = self.log_sizes(mel)
        return self._scaled(wave, -sizes), ops.repeat(-ops.mean(sizes, axis=-1), self.size, axis=1)

    def apart(self, mask):
        """Returns the mask of the frames whose block and whose following block hold no padding.

        Padding comes after the utterance, never before it.

        Shapes: [batch, frames], 1 = inside -> the same.
        """
        whole = ops.min(ops.reshape(mask, (-1, ops.shape(mask)[1] // FRAMES, FRAMES)), axis=-1)
        following = ops.concatenate([whole[:, 1:], ops.ones_like(whole[:, :1])], axis=1)
        return ops.repeat(whole * following, FRAMES, axis=1)

    def coloured(self, white, mel):
        """Restores audio from the whitened signal, the inverse of `whitened`.

        Shapes: `white` [batch, frames * hop], `mel` [batch, frames, mels] -> [batch, frames * hop].
        """
        return self._scaled(white, self.log_sizes(mel))
