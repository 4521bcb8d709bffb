"""Harmonic-plus-noise synthesis: the wave of a mel whose F0 is known.

    wave = HarmonicVocoder(spec, f0)(mel[None])[0]        # f0 [time] in Hz, 0 = unvoiced

A network that converts smooths the harmonics of a voice, and Griffin-Lim makes noise of what is
smooth. Here harmonics of the F0, and noise where the voice has none, are given the spectral
envelope of the mel.

Source:
    Stylianou 2001, "Applying the harmonic plus noise model in concatenative speech synthesis", IEEE
    Transactions on Speech and Audio Processing 9(1). Differs: the envelope is that of a mel, and is
    applied to short-time spectra of both parts; noise takes over gradually along the frequencies.
"""

import numpy as np
import scipy.fft
import scipy.ndimage

from kvoice import audio

# Chosen by DNSMOS of 12 conversions between validation speakers of LibriSpeech.
VOICED_TO_HZ = 5000.0  # where voiced frames are half noise
SLOPE_HZ = 500.0  # within which noise takes over
NOISE = (0.1, 0.9)  # amplitude of the noise in voiced frames: at low frequencies, at high ones
RANGE = 1e-8  # lowest power of the envelope whose phase counts, highest of the frame = 1
DELAY_S = 0.003  # of high harmonics against the lowest, which keeps the peaks low
DELAY_HZ = 1500.0  # where two thirds of it are reached
SMOOTH_BANDS = 9  # over which the level of the result is matched to that of the mel


class HarmonicVocoder:
    """Makes waves of mels with a given F0; the same wave each time.

    Args:
        spec: The Spec of the mels.
        f0: The F0 of each frame, in Hz, 0 = unvoiced: [time]; at least one is voiced.
    """

    def __init__(self, spec: audio.Spec, f0: np.ndarray) -> None:
        self.spec, self.f0 = spec, np.asarray(f0, np.float64)
        if not np.any(self.f0 > 0):
            raise ValueError("f0: no frame is voiced.")

    def __call__(self, mels: np.ndarray) -> np.ndarray:
        """Makes waves: [n, time, mels] -> [n, time * hop]."""
        return np.stack([self._wave(mel) for mel in mels])

    def _wave(self, mel):
        mel = np.concatenate([mel, mel[-1:]])  # the frame centred on the end
        frames = np.minimum(np.arange(len(mel)), len(self.f0) - 1)
        samples = (len(mel) - 1) * self.spec.hop
        voiced = self.f0[frames] > 0
        hz = np.interp(np.arange(len(mel)), np.flatnonzero(voiced), self.f0[frames][voiced])
        pulses = _flat(audio.stft(_pulses(hz, samples, self.spec), self.spec))
        rng = np.random.default_rng(0)
        noise = _flat(audio.stft(rng.standard_normal(samples).astype(np.float32), self.spec))
        share = scipy.ndimage.uniform_filter1d(voiced.astype(np.float32), 3)[:, None]
        low, high = NOISE
        bins = np.arange(pulses.shape[1]) * self.spec.sample_rate_hz / self.spec.fft
        aperiodic = low + (high - low) / (1 + np.exp((VOICED_TO_HZ - bins) / SLOPE_HZ))
        periodic = share * np.sqrt(1 - np.square(aperiodic))
        spectrum = periodic * pulses + np.sqrt(1 - np.square(periodic)) * noise
        spectrum = spectrum * self._filter(mel, hz)
        for _ in range(2):
            spectrum *= self._missing(mel, spectrum)
        wave = audio.istft(spectrum.astype(np.complex64), self.spec, samples)
        return audio.deemphasised(wave, self.spec)

    def _filter(self, mel, hz):
        """Returns a filter with the envelope of a mel: [time, 1 + fft // 2] complex.

        It has minimum phase, and delays high harmonics: without either, all would peak at once.
        """
        found = audio.linear_magnitude(audio.magnitude(mel, self.spec), self.spec)
        power = found.astype(np.float64) ** (2 / self.spec.power)
        width = round(float(np.median(hz)) * self.spec.fft / self.spec.sample_rate_hz)
        smooth = scipy.ndimage.uniform_filter1d(power, max(3, width), axis=1, mode="nearest")
        floor = RANGE * smooth.max(axis=1, keepdims=True) + 1e-20
        cepstrum = scipy.fft.irfft(np.log(np.maximum(smooth, floor)) / 2, self.spec.fft, axis=1)
        half = self.spec.fft // 2
        cepstrum[:, 1:half] *= 2
        cepstrum[:, half + 1 :] = 0
        phase = scipy.fft.rfft(cepstrum, axis=1).imag
        bin_hz = self.spec.sample_rate_hz / self.spec.fft
        delays_s = DELAY_S * (1 - np.exp(-np.arange(phase.shape[1]) * bin_hz / DELAY_HZ))
        phase -= 2 * np.pi * bin_hz * np.cumsum(delays_s)
        return np.sqrt(np.maximum(smooth, 0)) * np.exp(1j * phase)

    def _missing(self, mel, spectrum):
        """Returns the gains that bring a spectrum to the level of a mel, over some bands."""
        filters = audio.mel_filters(self.spec)  # [1 + fft // 2, mels]
        wanted = np.maximum(audio.magnitude(mel, self.spec), audio.numbers(self.spec)["floor"])
        got = np.abs(spectrum) ** self.spec.power @ filters
        gains = np.log(wanted) - np.log(np.maximum(got, 1e-9))
        gains = scipy.ndimage.uniform_filter1d(gains, SMOOTH_BANDS, axis=1, mode="nearest")
        weights = filters.sum(axis=1)
        spread = gains @ filters.T / np.maximum(weights, 1e-9)
        return np.exp(np.where(weights > 1e-9, spread, 0) / self.spec.power)


def _pulses(hz, samples, spec):
    """Makes a wave of all harmonics of an F0 below Nyquist, of equal amplitude.

    Shapes: hz [frames] -> [samples] float32.
    """
    hz = np.interp(np.arange(samples) / spec.hop, np.arange(len(hz)), hz)
    phase = 2 * np.pi * np.cumsum(hz / spec.sample_rate_hz)
    count = np.floor(0.98 * spec.sample_rate_hz / 2 / hz)
    # The sum of `count` cosines in closed form; at the pulse itself all are 1.
    half = np.sin(phase / 2)
    near = np.abs(half) < 1e-6
    kernel = np.sin((count + 0.5) * phase) / (2 * np.where(near, 1, half)) - 0.5
    return np.where(near, count, kernel).astype(np.float32)


def _flat(spectrum):
    """Scales each frame of a spectrum to a mean power of 1."""
    power = np.mean(np.square(np.abs(spectrum)), axis=1, keepdims=True)
    return spectrum / np.sqrt(np.maximum(power, 1e-12))
