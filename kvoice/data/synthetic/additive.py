"""Synthetic tones with known factors, `additive[:SPACE]`: each cell of a grid of factors is a tone.

A tone is a sum of ten damped partials. A `Space` defines the grid of factors; an item is a cell of
their cartesian product, addressed by its number, so that the product itself is never in memory. The
input of a model is a `View` of the waves: images in [0, 1], all of the same size. `Tones` combines
both; its images are rendered once and then read by memory map.

    space = Space.parse("published")
    waves = space.waves([0, 4711])  # [2, 8000] at 16 kHz
    images = View("cqt")(waves)  # [2, 16, 80]
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import math
import os
import shutil

import numpy as np

from kvoice import audio, progress
from kvoice.errors import KvoiceError, hint
from kvoice.files import expanded, replaced, write_json

SAMPLE_RATE_HZ = 16000
SAMPLES = 8000  # half a second
PARTIALS = 10
REPRESENTATIONS = ("cqt", "mel", "stft", "waveform")
SCALES = ("db", "amplitude", "root")

VERSION = 1  # version of the rendering, which changes whenever waves or images do

# The values of factors that a space does not name, and the bounds of all factors.
DEFAULTS = {
    "f0_hz": 220.0,
    "slope": -0.5,
    "inharmonicity": 0.0,
    "decay": 0.0,
    "presence": 0.0,
    "noise": 0.0,
}
_BOUNDS = {
    "f0_hz": (1.0, SAMPLE_RATE_HZ / 2 - 1),
    "slope": (-10.0, 10.0),
    "inharmonicity": (0.0, 1000.0),
    "decay": (0.0, 1000.0),
    "presence": (0.0, 2.0),
    "noise": (0.0, 1.0),
}

_TIMBRE = {"slope": (-0.1, -0.9, -0.1), "inharmonicity": (0, 1, 0.1), "decay": (0, 10, 1)}
PRESETS = {
    # So low that several partials are below the Nyquist frequency at any inharmonicity, so that
    # slope and inharmonicity are audible in all items: 18,513 items.
    "audible": {"f0_hz": (100, 500, 25), **_TIMBRE},
    # The published grid (20,691 items), and that of the published code (21,780).
    "published": {"f0_hz": (100, 1000, 50), **_TIMBRE},
    "shipped": {"f0_hz": (100, 1000, 100), "presence": (0, 1, 1), **_TIMBRE},
    # An earlier grid: noise, weak slopes, all kinds of presence. Its steps of f0, slope and
    # inharmonicity were not published, and are chosen here: 37,800 items.
    "noisy": {
        "f0_hz": (100, 1000, 100),
        "slope": (-0.01, -0.1, -0.01),
        "presence": (0, 2, 1),
        "inharmonicity": (0, 5, 1),
        "noise": (0, 1, 0.05),
    },
}

_CHUNK = 256  # items rendered at once
_MEL = audio.Spec(sample_rate_hz=SAMPLE_RATE_HZ, hop=512)


# --- The space ---------------------------------------------------------------------------------


class Space:
    """A grid of factors: the cartesian product of ranges, the last factor varying fastest.

    | factor | meaning |
    |---|---|
    | `f0_hz` | frequency of the first partial, in Hz |
    | `slope` | slope of the amplitudes per partial, in tenths of the first amplitude |
    | `inharmonicity` | B of f_n = n f0 sqrt(1 + (n^2 - 1) B); 0 = harmonic |
    | `decay` | rate of the exponential decay, in 1/s |
    | `presence` | partials that sound: 0 all, 1 odd ones, 2 even ones and the first |
    | `noise` | share of white noise in the energy, 0 to 1: an SNR of 10 log10(1 / noise - 1) dB |

    Args:
        ranges: (start, stop, step) by factor, both ends inclusive. A factor that is not named, or
            whose range is one value, is constant and not among `factors`.
        where: The origin of the ranges, for error messages.

    Raises:
        KvoiceError: If a factor is unknown, its steps do not lead from start to stop, a value is
            out of bounds, or no factor varies; the message names the factor.
    """

    def __init__(self, ranges: dict[str, tuple[float, float, float]], where: str = "Space") -> None:
        self.ranges = {name: _range(name, given, where) for name, given in ranges.items()}
        grid = {name: _grid(name, *given, where) for name, given in self.ranges.items()}
        self.factors = [name for name, values in grid.items() if len(values) > 1]
        if not self.factors:
            raise KvoiceError(
                f"{where}: no factor varies; say for instance f0_hz=100/500/25, which is "
                "START/STOP/STEP, both ends inclusive"
            )
        self._grid = [grid[name] for name in self.factors]
        self._fixed = DEFAULTS | {name: values[0] for name, values in grid.items()}
        self.levels = [len(values) for values in self._grid]

    @classmethod
    def parse(cls, text: str) -> "Space":
        """Parses the space of `--data=additive:TEXT`.

        Args:
            text: The name of a preset ("" = "audible"), ranges such as
                "f0_hz=100/500/25,decay=0/10/1", or a JSON file of `{"f0_hz": [100, 500, 25]}`.

        Raises:
            KvoiceError: If it is none of these, or for the reasons of `Space`.
        """
        where = f"--data=additive:{text}" if text else "--data=additive"
        if "=" in text:
            parts = [part.partition("=") for part in text.split(",")]
            names = [name.strip() for name, _, _ in parts]
            for name in names:
                if names.count(name) > 1:
                    raise KvoiceError(f"{where}: {name} is named twice")
            return cls({name: given.split("/") for name, (_, _, given) in zip(names, parts)}, where)
        if text.endswith(".json"):
            return cls(_ranges_of_file(expanded(text)), text)
        if (text or "audible") not in PRESETS:
            raise KvoiceError(
                f"{where}: there is no such grid: {hint(text, list(PRESETS))}; a grid of your own "
                f"is FACTOR=START/STOP/STEP,... or a file NAME.json"
            )
        return cls(PRESETS[text or "audible"], where)

    def __len__(self) -> int:
        """The number of items of the product."""
        return math.prod(self.levels)

    def values(self, items: np.ndarray) -> np.ndarray:
        """The factors of items by their numbers: [n] -> [n, factors] float32."""
        digits = np.unravel_index(np.asarray(items), self.levels)
        return np.stack([grid[digit] for grid, digit in zip(self._grid, digits)], axis=-1).astype(
            np.float32
        )

    def level(self, values: np.ndarray) -> np.ndarray:
        """The number of the nearest level of each value: [n, factors] -> [n, factors] int32."""
        first, step, last = (
            np.array(ends) for ends in zip(*[(g[0], g[1] - g[0], len(g) - 1) for g in self._grid])
        )
        return np.clip(np.rint((values - first) / step), 0, last).astype(np.int32)

    def waves(self, items: np.ndarray) -> np.ndarray:
        """The waves of items; that of an item is always the same, including its noise.

        Shapes: items [n] -> [n, SAMPLES] float32, each with a peak of 1.
        """
        items = np.atleast_1d(items)
        digits = np.unravel_index(items, self.levels)
        varying = {name: grid[digit] for name, grid, digit in zip(self.factors, self._grid, digits)}
        shares = varying.pop("noise", np.full(len(items), self._fixed["noise"]))
        fixed = {name: value for name, value in self._fixed.items() if name != "noise"}
        sounds = tones(**(fixed | varying))
        if shares.any():
            noise = np.stack([np.random.default_rng(int(i)).normal(size=SAMPLES) for i in items])
            sounds = mixed(sounds, noise, shares)
        return (sounds / np.abs(sounds).max(axis=1, keepdims=True)).astype(np.float32)


def _range(name, given, where):
    """(start, stop, step) as floats."""
    if name not in DEFAULTS:
        raise KvoiceError(f"{where}: there is no factor {name!r}: {hint(name, list(DEFAULTS))}")
    try:
        numbers = tuple(map(float, given))
    except (TypeError, ValueError):
        numbers = ()
    if isinstance(given, str) or len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise KvoiceError(
            f"{where}: {name} must be three numbers, start, stop and step, such as 100/500/25"
        )
    return numbers


def _grid(name, start, stop, step, where):
    """The values of a factor, [levels] float64."""
    low, high = _BOUNDS[name]
    if not (low <= min(start, stop) and max(start, stop) <= high):
        raise KvoiceError(
            f"{where}: {name} must be from {low:g} to {high:g}, got {start:g} to {stop:g}"
        )
    if start == stop:
        steps = 0
    else:
        steps = (stop - start) / step if step else math.nan
        if not (steps > 0 and abs(steps - round(steps)) < 1e-6):
            raise KvoiceError(
                f"{where}: {name}: no whole number of steps of {step:g} leads from {start:g} to "
                f"{stop:g}"
            )
    values = np.round(start + step * np.arange(round(steps) + 1), 9)  # 0.3, not 0.30000000000000004
    if name == "presence" and np.any(values % 1):
        raise KvoiceError(
            f"{where}: presence must be 0 (all), 1 (odd) or 2 (even), got {values[1]:g}"
        )
    return values


def _ranges_of_file(path):
    """The ranges in a JSON file."""
    try:
        with open(path, encoding="utf-8") as file:
            ranges = json.load(file)
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        ranges = None
    if not isinstance(ranges, dict):
        raise KvoiceError(f'{path}: is not a JSON object such as {{"f0_hz": [100, 500, 25]}}')
    return ranges


# --- The sound ---------------------------------------------------------------------------------


def partials(
    f0_hz: np.ndarray, slope: np.ndarray, inharmonicity: np.ndarray, presence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The frequencies and amplitudes of the partials; those that are absent have amplitude 0.

    f_n = n f0 sqrt(1 + (n^2 - 1) B), so that f_1 = f0 for any B; a_n = max(0, ((n - 1) slope + N) /
    N). Partials at or above the Nyquist frequency are silent, to avoid aliasing.

    Shapes: each [n] -> frequencies in Hz and amplitudes, [n, PARTIALS] each.
    """
    f0_hz, slope, inharmonicity, presence = (
        np.asarray(values, float)[..., None] for values in (f0_hz, slope, inharmonicity, presence)
    )
    n = np.arange(1, PARTIALS + 1)
    hz = n * f0_hz * np.sqrt(1 + (n**2 - 1) * inharmonicity)
    amplitude = np.maximum(0, ((n - 1) * slope + PARTIALS) / PARTIALS)
    sounds = (n == 1) | (presence == 0) | ((presence == 1) == (n % 2 == 1))
    return hz, amplitude * sounds * (hz < SAMPLE_RATE_HZ / 2)


def tones(
    f0_hz: float | np.ndarray,
    slope: float | np.ndarray,
    inharmonicity: float | np.ndarray,
    decay: float | np.ndarray,
    presence: float | np.ndarray,
    samples: int = SAMPLES,
) -> np.ndarray:
    """Sums of damped partials that start in phase: sum_n a_n sin(2 pi f_n t) e^(-decay t).

    A damped partial is a geometric sequence, so that its sample i * size + j is the product of its
    samples i * size and j: the sum over partials is a product of two matrices.

    Shapes: each [n], or one number for all -> [n, samples] float64.

    Args:
        f0_hz: Frequency of the first partial, in Hz, below the Nyquist frequency.
        slope, inharmonicity, decay, presence: Factors as in `Space`.
        samples: Length in samples, at `SAMPLE_RATE_HZ`.
    """
    f0_hz, slope, inharmonicity, decay, presence = np.broadcast_arrays(
        np.atleast_1d(f0_hz), slope, inharmonicity, decay, presence
    )
    hz, amplitude = partials(f0_hz, slope, inharmonicity, presence)
    rate = ((2j * np.pi * hz - decay[:, None]) / SAMPLE_RATE_HZ)[..., None]  # [N, partials, 1]
    size = math.isqrt(samples - 1) + 1
    coarse = np.exp(rate * (size * np.arange(-(-samples // size)))) * amplitude[..., None]
    fine = np.exp(rate * np.arange(size))
    # Im(coarse * fine) = Re Im + Im Re, summed over the partials.
    left = np.concatenate([coarse.real, coarse.imag], axis=1).transpose(0, 2, 1)
    waves = left @ np.concatenate([fine.imag, fine.real], axis=1)  # [N, blocks, size]
    return waves.reshape(len(waves), -1)[:, :samples]


def mixed(sounds: np.ndarray, noise: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Sounds with a share of noise in their energy: sqrt(1 - s) x / |x| + sqrt(s) n / |n|.

    Shapes: sounds and noise [n, samples], share [n] -> [n, samples].
    """
    share = np.asarray(share)[:, None]
    x, n = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (sounds, noise))
    return np.sqrt(1 - share) * x + np.sqrt(share) * n


# --- The images --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class View:
    """Computes images [time, bins] of waves, in [0, 1].

    Attributes:
        representation: "cqt": constant-Q magnitudes, in which a change of pitch is a shift; "mel":
            mel magnitudes; "stft": magnitudes of the Fourier transform without its bin at the
            Nyquist frequency; "waveform": (wave + 1) / 2, in one bin, without a scale.
        scale: "db": decibels, 1 at the maximum of the item and 0 at `range_db` below it;
            "amplitude": magnitudes as a share of that maximum; "root": the square root of that.
        range_db: Range of the scale "db", in dB.
        bins_per_octave: Bins per octave of the CQT, 3 to 96; other representations ignore it.

    Raises:
        KvoiceError: If a field has an invalid value; the message names it.
    """

    representation: str = "cqt"
    scale: str = "db"
    range_db: float = 60.0
    bins_per_octave: int = 12

    def __post_init__(self):
        for field, known in (
            ("representation", REPRESENTATIONS),
            ("scale", SCALES),
        ):
            if getattr(self, field) not in known:
                raise KvoiceError(
                    f"data.{field}: {getattr(self, field)!r} must be one of {', '.join(known)}"
                )
        if not 0 < self.range_db < math.inf:
            raise KvoiceError(f"data.range_db: {self.range_db} must be above 0")
        if self.bins_per_octave != int(self.bins_per_octave) or not (
            3 <= self.bins_per_octave <= 96
        ):
            raise KvoiceError(
                f"data.bins_per_octave: {self.bins_per_octave} must be a whole number from 3 to 96"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the images, (time, bins)."""
        if self.representation == "waveform":
            return SAMPLES, 1
        bins = {
            "cqt": len(cqt_hz(self.bins_per_octave)),
            "mel": _MEL.mels,
            "stft": _MEL.fft // 2,
        }[self.representation]
        return _MEL.frames(SAMPLES), bins

    def __call__(self, waves: np.ndarray) -> np.ndarray:
        """The images of waves. Shapes: [n, SAMPLES] -> [n, time, bins] float32."""
        if self.representation == "waveform":
            return ((1 + waves[..., None]) / 2).astype(np.float32)
        if self.representation == "cqt":
            magnitude = cqt(waves, self.bins_per_octave)
        elif self.representation == "mel":
            magnitude = audio.mel_magnitude(waves, _MEL)
        else:
            magnitude = np.abs(audio.stft(waves, _MEL)[..., :-1])
        loudest = magnitude.max(axis=(1, 2), keepdims=True)
        share = magnitude / np.maximum(loudest, 1e-20)  # silence is 0 everywhere
        if self.scale != "db":
            return np.sqrt(share) if self.scale == "root" else share
        floor = 10 ** (-self.range_db / 20)
        depth_db = 20 * np.log10(np.maximum(share, floor))
        return np.maximum(0, 1 + depth_db / self.range_db).astype(np.float32)  # not -1e-7


_HANN_BINS = 1.50018310546875  # the bandwidth of a Hann window in librosa, in bins


def _bandwidth(bins_per_octave):
    """The bandwidth of a constant-Q filter as a share of its centre frequency: 1 / Q."""
    ratio = 4 ** (1 / bins_per_octave)
    return (ratio - 1) / (ratio + 1)


@functools.lru_cache
def cqt_hz(bins_per_octave: int) -> np.ndarray:
    """The centre frequencies of the constant-Q bins in Hz, from C2 up: [bins].

    Their number is the largest multiple of 16 for which the band of the last filter is below the
    Nyquist frequency.
    """
    c2_hz = 440 * 2 ** (-33 / 12)
    widest = 1 + _bandwidth(bins_per_octave) * _HANN_BINS / 2
    octaves = math.log2(SAMPLE_RATE_HZ / 2 / widest / c2_hz)
    bins = int(octaves * bins_per_octave + 1) // 16 * 16
    return c2_hz * 2 ** (np.arange(bins) / bins_per_octave)


def cqt(waves: np.ndarray, bins_per_octave: int = 12) -> np.ndarray:
    """The constant-Q magnitudes of librosa, with frame k centred on sample 512 k.

    Shapes: waves [n, SAMPLES] -> [n, time, bins] float32.
    """
    import librosa  # here: it takes seconds, and compiles for many the first time

    hz = cqt_hz(bins_per_octave)
    frames = _MEL.frames(waves.shape[-1])
    # The silence that librosa would add around the wave; with it, librosa does not warn that the
    # longest filter is longer than the wave.
    longest = SAMPLE_RATE_HZ / _bandwidth(bins_per_octave) / hz[0]
    padding = max(0, 2 ** math.ceil(math.log2(longest)) - waves.shape[-1])
    spectra = librosa.cqt(
        np.pad(waves, [(0, 0), (0, padding)]),
        sr=SAMPLE_RATE_HZ,
        hop_length=_MEL.hop,
        fmin=hz[0],
        n_bins=len(hz),
        bins_per_octave=bins_per_octave,
    )
    return np.abs(spectra[..., :frames].transpose(0, 2, 1)).astype(np.float32)


# --- The corpus --------------------------------------------------------------------------------


class Tones:
    """A corpus of images of all items of a space, which are rendered once, on all processors.

    They are cached in prepared/additive-FINGERPRINT/ for all splits and seeds, and read by memory
    map.

    Args:
        space: The grid of factors.
        view: The representation of the images.
    """

    labels, tests = {}, 0  # the same attributes as those of `digits.Digits`

    def __init__(self, space: Space, view: View) -> None:
        self.space, self.view = space, view
        self.factors, self.levels, self.shape = space.factors, space.levels, view.shape
        self.values, self.level, self.waves = space.values, space.level, space.waves
        self.made_of = {
            "version": VERSION,
            "space": {name: list(given) for name, given in space.ranges.items()},
            "view": dataclasses.asdict(view),
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "samples": SAMPLES,
        }
        text = json.dumps(self.made_of, sort_keys=True)
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._images = None

    def __len__(self) -> int:
        return len(self.space)

    def images(self, items: np.ndarray) -> np.ndarray:
        """The images of items by their numbers: [n] -> [n, *shape] float32."""
        if self._images is None:
            return self.view(self.space.waves(items))
        return np.asarray(self._images[items])  # a copy, not a memory map

    def keep(self) -> None:
        """Renders and caches all images, unless they are cached; from then on `images` reads them.

        Raises:
            KvoiceError: If the disk has no room for them, or the directory cannot be written.
        """
        directory = os.path.join("prepared", f"additive-{self.fingerprint}")
        path = os.path.join(directory, "images.npy")
        shape = (len(self), *self.shape)
        self._images = None
        mapped = _mapped(path, shape)
        if mapped is None:
            try:
                os.makedirs(directory, exist_ok=True)
                _refuse_too_many(directory, shape)
                with replaced(path) as file:
                    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                    # Written, not mapped: a full disk is an error here, and would be a crash there.
                    for images in _rendered(self.images, len(self)):
                        file.write(np.ascontiguousarray(images, "<f4").data)
                write_json(os.path.join(directory, "made_of.json"), self.made_of)  # for the curious
            except OSError as error:
                raise KvoiceError(
                    f"{path}: cannot be written ({error.strerror}): make room there, or start in "
                    "a directory that can be written"
                ) from error
            mapped = _mapped(path, shape)
        self._images = mapped


def _mapped(path, shape):
    """The images in a file, [items, time, bins]; None if it is missing or has other content."""
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.float32 else None


def _refuse_too_many(directory, shape):
    """Refuses images that need more space than the disk has free."""
    wanted, free = 4 * math.prod(shape), shutil.disk_usage(directory).free
    if wanted > free:
        raise KvoiceError(
            f"{directory}: {shape[0]:,} items take {wanted / 1e9:,.1f} GB, and {free / 1e9:,.1f} "
            f"GB are free: use larger steps, or another representation"
        )


def _rendered(images, count):
    """Yields `images(items)` for all items in chunks, in order, computed by threads."""
    workers = os.cpu_count() or 1
    chunks = [np.arange(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        with progress.bar(total=count, desc="tones", unit="item") as bar:
            for first in range(0, len(chunks), 4 * workers):  # so that not all are in memory
                for done in pool.map(images, chunks[first : first + 4 * workers]):
                    yield done
                    bar.update(len(done))
