"""A source-filter speech synthesiser: articulation over time -> a wave, for the built-in corpus `demo`.

The voice is built pulse by pulse, each in the frequency domain: glottal pulse times vocal tract, put at its exact
(fractional) time. So there is no aliasing, F0 is exact at any rate, and each pulse has its own vocal tract. Noise
(breath, frication, bursts) is white noise shaped in short overlapping frames.

Source: the idea of a pulse per period as in WORLD (Morise et al. 2016); glottal pulse: Doval, d'Alessandro &
Henrich 2003, "The voice source as a causal/anticausal linear filter"; vocal tract: the cascade of Klatt 1980, as
analogue resonances.
"""

import dataclasses

import numpy as np
from scipy import fft

TRACK_HZ = 1000  # rate of all tracks
HIGHER_FORMANTS_HZ = (4500, 5500, 6500, 7500, 8500, 9500, 10500)
BANDWIDTHS_HZ = (70.0, 90.0, 140.0, 220.0)  # of F1 to F4
NASAL_POLE_HZ, NASAL_ZERO_HZ = 300.0, 750.0
PULSE_S, LEAD_S = 0.060, 0.018  # a pulse's response, and its part before the closing of the glottis
NOISE_HOP_S = 0.004
VOICED = 0.08  # amplitude of voicing from which on a moment counts as voiced


@dataclasses.dataclass(frozen=True)
class Glottis:
    """The quality of a voice.

    Args:
        open_quotient: Share of the period in which the glottis is open: 0.4 pressed, 0.8 breathy.
        tilt_hz: Above it the spectrum of the voice falls by a further 6 dB per octave.
        breath: Amplitude of breath in voiced sounds against the breath of an aspirated stop.
        jitter, shimmer: Random spread of the pulses' times (share of a period) and log amplitudes.
    """

    open_quotient: float = 0.6
    tilt_hz: float = 2500.0
    breath: float = 0.05
    jitter: float = 0.005
    shimmer: float = 0.04


@dataclasses.dataclass(frozen=True)
class Tracks:
    """What moves during an utterance, at `TRACK_HZ`.

    Shapes: `f0_hz`, `voice`, `breath`, `nasal` [time]; `formants_hz` [time, 4];
    `noise` [time, kinds], amplitude of each of the `noises` [kinds, 2] (centre_hz, width_hz).

    Args:
        voice: Amplitude of voicing, 1 = a vowel.
        breath: Amplitude of breath with an open glottis, 1 = an aspirated stop.
        nasal: 0 = the velum closed, 1 = a nasal consonant.
    """

    f0_hz: np.ndarray
    voice: np.ndarray
    breath: np.ndarray
    nasal: np.ndarray
    formants_hz: np.ndarray
    noise: np.ndarray
    noises: np.ndarray


def wave(tracks, glottis, formant_scale, sample_rate_hz, rng):
    """The sound of the tracks; its level is whatever comes out.

    Shapes: tracks of [time] -> [time * sample_rate_hz / TRACK_HZ].

    Args:
        tracks: `Tracks`.
        glottis: `Glottis`.
        formant_scale: Of the formants above F4 and of constriction noises: 1 = a man's.
        sample_rate_hz: Of the wave.
        rng: Draws noise, jitter and shimmer.
    """
    return (_voiced(tracks, glottis, formant_scale, sample_rate_hz, rng)
            + _noisy(tracks, glottis, formant_scale, sample_rate_hz, rng))


def voiced(tracks):
    """Where the voice sounds. Shapes: -> [time] bool."""
    return tracks.voice > VOICED


def _samples(tracks, sample_rate_hz):
    return round(len(tracks.f0_hz) * sample_rate_hz / TRACK_HZ)


def _at(times_s, track):
    """The track, linear in between. Shapes: `track` [time, ...] -> [times, ...]."""
    grid = np.arange(len(track)) / TRACK_HZ
    columns = track.reshape(len(track), -1).T
    return np.stack([np.interp(times_s, grid, column) for column in columns], -1).reshape(
        len(times_s), *track.shape[1:])


# --- The voice

def _voiced(tracks, glottis, formant_scale, sample_rate_hz, rng):
    size = fft.next_fast_len(round(PULSE_S * sample_rate_hz), real=True)
    hz = fft.rfftfreq(size, 1 / sample_rate_hz).astype(np.float32)
    times_s, amplitudes, f0_hz = _pulses(tracks, glottis, rng)
    start = np.floor((times_s - LEAD_S) * sample_rate_hz).astype(int)
    delay_s = (times_s - start / sample_rate_hz).astype(np.float32)
    spectra = _pulse_spectrum(hz, f0_hz, glottis)
    spectra *= tract(hz, _at(times_s, tracks.formants_hz), _at(times_s, tracks.nasal), formant_scale)
    spectra *= np.exp(-2j * np.pi * hz * delay_s[:, None])
    spectra *= amplitudes[:, None] * sample_rate_hz / 22050
    responses = fft.irfft(spectra, size, axis=-1)
    return _added(responses, start, _samples(tracks, sample_rate_hz))


def _pulses(tracks, glottis, rng):
    """When the glottis closes, how strongly, and F0 then. Shapes: -> [pulses] s, [pulses], [pulses] Hz."""
    cycles = np.cumsum(tracks.f0_hz) / TRACK_HZ
    times_s = np.interp(np.arange(1, cycles[-1]), cycles, np.arange(1, len(cycles) + 1) / TRACK_HZ)
    f0_hz = _at(times_s, tracks.f0_hz)
    times_s = times_s + glottis.jitter * rng.standard_normal(len(times_s)) / f0_hz
    amplitudes = _at(times_s, tracks.voice) * np.exp(glottis.shimmer * rng.standard_normal(len(times_s)))
    sounding = amplitudes > 1e-3
    return times_s[sounding], amplitudes[sounding].astype(np.float32), f0_hz[sounding].astype(np.float32)


def _pulse_spectrum(hz, f0_hz, glottis):
    """The derivative of the glottal flow: a resonance running backwards in time, and a tilt.

    Shapes: `hz` [bins], `f0_hz` [pulses] -> [pulses, bins] complex64.
    """
    centre_hz = (f0_hz * 0.6 / glottis.open_quotient)[:, None]
    backwards = (1j * hz / centre_hz) / (1 - (hz / centre_hz) ** 2 - 0.8j * hz / centre_hz)
    return (backwards / (1 + 1j * hz / np.float32(glottis.tilt_hz))).astype(np.complex64)


def tract(hz, formants_hz, nasal, formant_scale):
    """The frequency response of the vocal tract.

    Shapes: `hz` [bins], `formants_hz` [times, 4], `nasal` [times] -> [times, bins] complex64.
    """
    response = (1 / _resonances(hz, np.array([HIGHER_FORMANTS_HZ]) * formant_scale, [350.0] * 7))
    widths_hz = np.array(BANDWIDTHS_HZ)
    response = response / _resonances(hz, formants_hz, widths_hz * formant_scale)
    if nasal.any():
        shift_hz = (NASAL_ZERO_HZ - NASAL_POLE_HZ) * formant_scale * nasal[:, None]
        pole_hz = np.full((len(nasal), 1), NASAL_POLE_HZ * formant_scale)
        response *= _resonances(hz, pole_hz + shift_hz, [100.0]) / _resonances(hz, pole_hz, [100.0])
    return response


def _resonances(hz, centres_hz, widths_hz):
    """The denominator of a cascade of resonances, 1 at 0 Hz.

    Shapes: `hz` [bins], `centres_hz` [times, resonances], `widths_hz` [resonances] -> [times, bins].
    """
    product = np.ones((len(centres_hz), len(hz)), np.complex64)
    for centre_hz, width_hz in zip(np.asarray(centres_hz, np.float32).T, widths_hz):
        ratio = hz / centre_hz[:, None]
        product *= (1 - ratio ** 2) + 1j * ratio * (np.float32(width_hz) / centre_hz[:, None])
    return product


# --- The noises

def _noisy(tracks, glottis, formant_scale, sample_rate_hz, rng):
    samples = _samples(tracks, sample_rate_hz)
    hop = round(NOISE_HOP_S * sample_rate_hz)
    size = fft.next_fast_len(6 * hop, real=True)
    hz = fft.rfftfreq(size, 1 / sample_rate_hz).astype(np.float32)
    start = np.arange(-hop, samples, hop)
    times_s = np.maximum(start + hop, 0) / sample_rate_hz
    white = rng.standard_normal(start[-1] + 3 * hop).astype(np.float32) * np.sqrt(sample_rate_hz / 22050)
    white *= _flutter(tracks, start[-1] + 3 * hop, hop, sample_rate_hz)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(white, 2 * hop)[::hop][:len(start)] * window
    shape = _breath_spectrum(hz, tracks, glottis, times_s, formant_scale)
    shape += _at(times_s, tracks.noise).astype(np.float32) @ _noise_spectra(hz, tracks.noises * formant_scale)
    return _added(fft.irfft(fft.rfft(frames, size) * shape, size, axis=-1), start, samples)


def _flutter(tracks, samples, lead, sample_rate_hz):
    """Noise in a voiced sound comes in puffs, one per period. Shapes: -> [samples]."""
    times_s = (np.arange(samples) - lead) / sample_rate_hz
    cycles = np.interp(times_s, np.arange(1, len(tracks.f0_hz) + 1) / TRACK_HZ, np.cumsum(tracks.f0_hz) / TRACK_HZ)
    depth = np.interp(times_s, np.arange(len(tracks.voice)) / TRACK_HZ, np.minimum(tracks.voice, 1.0))
    return (1 + 0.7 * depth * np.cos(2 * np.pi * cycles)).astype(np.float32)


def _breath_spectrum(hz, tracks, glottis, times_s, formant_scale):
    """Breath through the vocal tract. Shapes: -> [times, bins]."""
    amplitude = 0.02 * _at(times_s, tracks.breath + glottis.breath * tracks.voice)
    through = np.abs(tract(hz, _at(times_s, tracks.formants_hz), np.zeros(1), formant_scale))
    return amplitude[:, None].astype(np.float32) * through * (hz / (hz + 700))


def _noise_spectra(hz, noises):
    """Shapes: `noises` [kinds, 2] -> [kinds, bins]."""
    centre_hz, width_hz = noises.T[:, :, None]
    return (0.025 / (1 + ((hz - centre_hz) / width_hz) ** 2) * (hz / (hz + 300))).astype(np.float32)


def _added(pieces, start, samples):
    """The pieces laid over each other. Shapes: `pieces` [n, size], `start` [n] -> [samples]."""
    size = pieces.shape[-1]
    total = np.zeros(samples + 2 * size, np.float32)
    for piece, first in zip(pieces, start + size):
        total[first:first + size] += piece
    return total[size:size + samples]
