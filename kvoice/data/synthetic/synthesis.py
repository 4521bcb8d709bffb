"""A source-filter synthesiser: from tracks of mouth and glottis to a wave, for the corpus `demo`.

Voicing is synthesised pulse by pulse in the frequency domain: the spectrum of a glottal pulse times
that of the vocal tract, at its exact, fractional time. So there is no aliasing, F0 is exact at any
rate, and each pulse has its own vocal tract. Noise (breath, frication, bursts) is white noise that
is filtered in short overlapping frames.

Source: a response per period as in WORLD (Morise, Yokomori & Ozawa 2016); the glottal pulse of
Doval, d'Alessandro & Henrich 2003, "The voice source as a causal/anticausal linear filter"; the
cascade of Klatt 1980. Differs: analogue resonances, so that spectra do not depend on the rate.
"""

import dataclasses

import numpy as np
from scipy import fft

TRACK_HZ = 1000  # rate of all tracks
HIGHER_FORMANTS_HZ = (4500, 5500, 6500, 7500, 8500, 9500, 10500)
WIDTHS_HZ, WIDTHS_PER_HZ = (35, 50, 50, 50), (0.09, 0.03, 0.03, 0.03)  # bandwidths of F1 to F4
HIGHER_WIDTH_HZ, NASAL_WIDTH_HZ = 250.0, 100.0
NASAL_POLE_HZ, NASAL_ZERO_HZ = 300.0, 750.0
PULSE_S, LEAD_S = 0.060, 0.018  # a pulse's response, and its part before the glottis closes
NOISE_HOP_S = 0.004
BREATH, NOISE = 0.015, 0.025  # levels relative to voicing
VOICED = 0.08  # amplitude of voicing above which a time counts as voiced


@dataclasses.dataclass(frozen=True)
class Glottis:
    """The voice quality of a speaker.

    Args:
        open_quotient: Share of the period in which the glottis is open: 0.4 pressed, 0.8 breathy.
        tilt_hz: Frequency above which the spectrum falls by a further 6 dB per octave, in Hz.
        breath: Amplitude of breath in voiced sounds, relative to that of an aspirated stop.
        jitter, shimmer: Standard deviations of the times of pulses, as a share of a period, and of
            their log amplitudes.
    """

    open_quotient: float = 0.6
    tilt_hz: float = 2500.0
    breath: float = 0.05
    jitter: float = 0.005
    shimmer: float = 0.04


@dataclasses.dataclass(frozen=True)
class Tracks:
    """The time-varying parameters of an utterance, at `TRACK_HZ`.

    Shapes: `f0_hz`, `voice`, `breath`, `nasal` [time]; `formants_hz` [time, 4];
    `noise` [time, kinds], amplitude of each of the `noises` [kinds, 2] (centre_hz, width_hz).

    Args:
        f0_hz: F0, in Hz.
        voice: Amplitude of voicing; 1 = a vowel.
        breath: Amplitude of breath with an open glottis; 1 = an aspirated stop.
        nasal: Nasality; 0 = the velum closed, 1 = a nasal consonant.
        formants_hz: F1 to F4, in Hz.
        noise: Amplitude of each of the `noises`.
        noises: Centre and width of each noise at a constriction, in Hz.
    """

    f0_hz: np.ndarray
    voice: np.ndarray
    breath: np.ndarray
    nasal: np.ndarray
    formants_hz: np.ndarray
    noise: np.ndarray
    noises: np.ndarray


def wave(
    tracks: Tracks,
    glottis: Glottis,
    formant_scale: float,
    sample_rate_hz: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The wave of the tracks, whose level is not normalised.

    Shapes: tracks of [time] -> [time * sample_rate_hz / TRACK_HZ].

    Args:
        tracks: The `Tracks` of an utterance.
        glottis: The `Glottis` of the speaker.
        formant_scale: Factor of the formants above F4 and of constriction noises; 1 = a man's.
        sample_rate_hz: Sample rate of the wave, in Hz.
        rng: Random generator of noise, jitter and shimmer.
    """
    return _voiced(tracks, glottis, formant_scale, sample_rate_hz, rng) + _noisy(
        tracks, glottis, formant_scale, sample_rate_hz, rng
    )


def voiced(tracks: Tracks) -> np.ndarray:
    """Whether each time is voiced. Shapes: -> [time] bool."""
    return tracks.voice > VOICED


def _samples(tracks, sample_rate_hz):
    return round(len(tracks.f0_hz) * sample_rate_hz / TRACK_HZ)


def _at(times_s, track):
    """The track at given times, interpolated linearly. Shapes: [time, ...] -> [times, ...]."""
    grid = np.arange(len(track)) / TRACK_HZ
    columns = track.reshape(len(track), -1).T
    return np.stack([np.interp(times_s, grid, column) for column in columns], -1).reshape(
        len(times_s), *track.shape[1:]
    )


# --- The voice


def _voiced(tracks, glottis, formant_scale, sample_rate_hz, rng):
    size = fft.next_fast_len(round(PULSE_S * sample_rate_hz), real=True)
    hz = fft.rfftfreq(size, 1 / sample_rate_hz).astype(np.float32)
    times_s, amplitudes, f0_hz = _pulses(tracks, glottis, rng)
    start = np.floor((times_s - LEAD_S) * sample_rate_hz).astype(int)
    delay_s = (times_s - start / sample_rate_hz).astype(np.float32)
    spectra = _pulse_spectrum(hz, f0_hz, glottis)
    spectra *= tract(
        hz, _at(times_s, tracks.formants_hz), _at(times_s, tracks.nasal), formant_scale
    )
    spectra *= np.exp(-2j * np.pi * hz * delay_s[:, None])
    spectra *= (amplitudes * np.float32(sample_rate_hz / 22050))[:, None]
    responses = fft.irfft(spectra, size, axis=-1)
    return _added(responses, start, _samples(tracks, sample_rate_hz))


def _pulses(tracks, glottis, rng):
    """(times in s, amplitudes, F0 in Hz) of the glottal pulses. Shapes: -> [pulses] each."""
    ends_s, cycles = _cycles(tracks)
    times_s = np.interp(np.arange(1, cycles[-1]), cycles, ends_s)
    f0_hz = _at(times_s, tracks.f0_hz)
    times_s = times_s + rng.normal(0, glottis.jitter, len(times_s)) / f0_hz
    amplitudes = _at(times_s, tracks.voice) * np.exp(rng.normal(0, glottis.shimmer, len(times_s)))
    sounding = amplitudes > 1e-3
    return (
        times_s[sounding],
        amplitudes[sounding].astype(np.float32),
        f0_hz[sounding].astype(np.float32),
    )


def _cycles(tracks):
    """(ends of the tracks' steps in s, number of periods up to each). Shapes: -> [time] each."""
    steps = np.arange(1, len(tracks.f0_hz) + 1)
    return steps / TRACK_HZ, np.cumsum(tracks.f0_hz) / TRACK_HZ


def _pulse_spectrum(hz, f0_hz, glottis):
    """The spectrum of the glottal flow derivative: an anticausal resonance and a spectral tilt.

    Shapes: `hz` [bins], `f0_hz` [pulses] -> [pulses, bins] complex64.
    """
    centre_hz = (f0_hz * 0.6 / glottis.open_quotient)[:, None]
    backwards = (1j * hz / centre_hz) / (1 - (hz / centre_hz) ** 2 - 0.8j * hz / centre_hz)
    return (backwards / (1 + 1j * hz / np.float32(glottis.tilt_hz))).astype(np.complex64)


def tract(
    hz: np.ndarray, formants_hz: np.ndarray, nasal: np.ndarray, formant_scale: float
) -> np.ndarray:
    """The frequency response of the vocal tract.

    Shapes: `hz` [bins], `formants_hz` [times, 4], `nasal` [times] -> [times, bins] complex64.
    """
    higher_hz = np.array([HIGHER_FORMANTS_HZ]) * formant_scale
    widths_hz = WIDTHS_HZ + np.array(WIDTHS_PER_HZ) * formants_hz
    response = 1 / _resonances(hz, higher_hz, np.full_like(higher_hz, HIGHER_WIDTH_HZ))
    response = response / _resonances(hz, formants_hz, widths_hz)
    if nasal.any():
        pole_hz = np.full((len(nasal), 1), NASAL_POLE_HZ * formant_scale)
        zero_hz = pole_hz * (NASAL_ZERO_HZ / NASAL_POLE_HZ) ** nasal[:, None]  # cancels it at 0
        width_hz = np.full_like(pole_hz, NASAL_WIDTH_HZ)
        response *= _resonances(hz, zero_hz, width_hz) / _resonances(hz, pole_hz, width_hz)
    return response


def _resonances(hz, centres_hz, widths_hz):
    """The denominator of a cascade of resonances, 1 at 0 Hz.

    Shapes: `hz` [bins], `centres_hz` and `widths_hz` [times, resonances] -> [times, bins].
    """
    product = np.ones((len(centres_hz), len(hz)), np.complex64)
    for centre_hz, width_hz in zip(
        centres_hz.T[:, :, None].astype(np.float32), widths_hz.T[:, :, None].astype(np.float32)
    ):
        ratio = hz / centre_hz
        product *= (1 - ratio**2) + 1j * ratio * (width_hz / centre_hz)
    return product


# --- The noises


def _noisy(tracks, glottis, formant_scale, sample_rate_hz, rng):
    samples = _samples(tracks, sample_rate_hz)
    hop = round(NOISE_HOP_S * sample_rate_hz)
    start = np.arange(-hop, samples, hop)
    white = rng.standard_normal(start[-1] + 3 * hop).astype(np.float32)
    white *= np.sqrt(sample_rate_hz / 22050) * _flutter(tracks, len(white), hop, sample_rate_hz)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(white, 2 * hop)[::hop][: len(start)] * window
    size = fft.next_fast_len(6 * hop, real=True)
    hz = fft.rfftfreq(size, 1 / sample_rate_hz).astype(np.float32)
    times_s = (start + hop) / sample_rate_hz
    spectra = _breath_spectra(hz, tracks, glottis, times_s, formant_scale)
    noise = _at(times_s, tracks.noise).astype(np.float32)
    spectra += noise @ _noise_spectra(hz, tracks.noises * formant_scale)
    return _added(fft.irfft(fft.rfft(frames, size) * spectra, size, axis=-1), start, samples)


def _flutter(tracks, samples, lead, sample_rate_hz):
    """The modulation of noise in voiced sounds, with the period of F0. Shapes: -> [samples]."""
    times_s = (np.arange(samples) - lead) / sample_rate_hz
    cycles = np.interp(times_s, *_cycles(tracks))
    depth = 0.7 * np.minimum(_at(times_s, tracks.voice), 1)
    return (1 + depth * np.cos(2 * np.pi * cycles)).astype(np.float32)


def _breath_spectra(hz, tracks, glottis, times_s, formant_scale):
    """The spectra of breath through the vocal tract. Shapes: -> [times, bins]."""
    amplitude = BREATH * _at(times_s, tracks.breath + glottis.breath * tracks.voice)
    through = np.abs(tract(hz, _at(times_s, tracks.formants_hz), np.zeros(1), formant_scale))
    return amplitude[:, None].astype(np.float32) * through * _without_rumble(hz) * (1 + hz / 6000)


def _noise_spectra(hz, noises):
    """The spectra of constriction noises. Shapes: `noises` [kinds, 2] -> [kinds, bins]."""
    centre_hz, width_hz = noises.T[:, :, None]
    peak = 1 / (1 + ((hz - centre_hz) / width_hz) ** 2)
    return (NOISE * peak * _without_rumble(hz)).astype(np.float32)


def _without_rumble(hz):
    return hz / (hz + 500)


def _added(pieces, start, samples):
    """The sum of overlapping pieces. Shapes: `pieces` [n, size], `start` [n] -> [samples]."""
    size = pieces.shape[-1]
    total = np.zeros(samples + 2 * size, np.float32)
    for piece, first in zip(pieces, start + size):
        total[first : first + size] += piece
    return total[size : size + samples]
