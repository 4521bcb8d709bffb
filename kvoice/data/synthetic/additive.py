"""Tones with known factors: `additive[:SPACE]`, a grid of parameters, each cell of it a sound.

A tone is a sum of ten damped partials. A `Space` says which of its factors vary, and how; an item
is a cell of their cartesian product, addressed by its number, so that the product itself is never
held. What a model sees is a `View` of the waves: an image of the same size for all, in [0, 1].
`Tones` is both together, rendered once and then read by memory map.

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
from kvoice.files import replaced, write_json

SAMPLE_RATE_HZ = 16000
SAMPLES = 8000  # half a second
PARTIALS = 10
REPRESENTATIONS = ("cqt", "mel", "stft", "waveform")
SCALES = ("db", "amplitude", "root")

VERSION = 1  # of the rendering: another one sounds or looks otherwise

# What a factor is where a space does not name it, and what it may be.
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
    # So low that several partials are below the Nyquist frequency whatever the inharmonicity, and
    # slope and inharmonicity can be heard everywhere: 18,513 items.
    "audible": {"f0_hz": (100, 500, 25), **_TIMBRE},
    # The grid that was published (20,691 items), and the one that its code held (21,780).
    "published": {"f0_hz": (100, 1000, 50), **_TIMBRE},
    "shipped": {"f0_hz": (100, 1000, 100), "presence": (0, 1, 1), **_TIMBRE},
    # The grid before: noise, weak slopes, all kinds of presence. Its steps of f0, slope and
    # inharmonicity were not published; these are ours: 37,800 items.
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

    | factor | what it is |
    |---|---|
    | `f0_hz` | frequency of the first partial, in Hz |
    | `slope` | of the amplitudes over the partials, in tenths of the first one per partial |
    | `inharmonicity` | B of f_n = n f0 sqrt(1 + (n^2 - 1) B); 0 = harmonic |
    | `decay` | rate of the exponential decay, in 1/s |
    | `presence` | partials that sound: 0 all, 1 odd ones, 2 even ones and the first |
    | `noise` | share of white noise in the energy, 0 to 1: an SNR of 10 log10(1 / noise - 1) dB |

    Args:
        ranges: Factor -> (start, stop, step), both ends inclusive. A factor that is not named, or
            whose range is one value, is the same everywhere and none of `factors`.
        where: What the ranges came from, for errors.

    Raises:
        KvoiceError: If a factor is unknown, its steps do not lead from start to stop, a value is
            out of bounds, or nothing varies; the line names the factor.
    """

    def __init__(self, ranges, where="Space"):
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
    def parse(cls, text):
        """The space of `--data=additive:TEXT`.

        Args:
            text: The name of a preset ("" = "audible"), ranges such as
                "f0_hz=100/500/25,decay=0/10/1", or a JSON file of `{"f0_hz": [100, 500, 25]}`.

        Raises:
            KvoiceError: If it is none of these, or as above.
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
            return cls(_ranges_of_file(os.path.expanduser(text)), text)
        if (text or "audible") not in PRESETS:
            raise KvoiceError(
                f"{where}: there is no such grid: {hint(text, list(PRESETS))}; a grid of your own is "
                "FACTOR=START/STOP/STEP,... or a file NAME.json"
            )
        return cls(PRESETS[text or "audible"], where)

    def __len__(self):
        """Items of the product."""
        return math.prod(self.levels)

    def values(self, items):
        """The factors of items by their numbers: [n] -> [n, factors] float32."""
        digits = np.unravel_index(np.asarray(items), self.levels)
        return np.stack(
            [grid[digit] for grid, digit in zip(self._grid, digits)], axis=-1
        ).astype(np.float32)

    def level(self, values):
        """Which level of its factor each value is nearest to: [n, factors] -> [n, factors] int32."""
        first, step, last = (
            np.array(ends) for ends in zip(*[(g[0], g[1] - g[0], len(g) - 1) for g in self._grid])
        )
        return np.clip(np.rint((values - first) / step), 0, last).astype(np.int32)

    def waves(self, items):
        """The sounds of items; that of an item is always the same, its noise too.

        Shapes: items [n] -> [n, SAMPLES] float32, each with a peak of 1.
        """
        items = np.atleast_1d(items)
        digits = np.unravel_index(items, self.levels)
        varying = {
            name: grid[digit] for name, grid, digit in zip(self.factors, self._grid, digits)
        }
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
        raise KvoiceError(f"{where}: {name} must be from {low:g} to {high:g}, got {start:g} to {stop:g}")
    if start == stop:
        steps = 0
    else:
        steps = (stop - start) / step if step else math.nan
        if not (steps > 0 and abs(steps - round(steps)) < 1e-6):
            raise KvoiceError(
                f"{where}: {name}: no whole number of steps of {step:g} leads from {start:g} to {stop:g}"
            )
    values = np.round(start + step * np.arange(round(steps) + 1), 9)  # 0.3, not 0.30000000000000004
    if name == "presence" and np.any(values % 1):
        raise KvoiceError(f"{where}: presence must be 0 (all), 1 (odd) or 2 (even), got {values[1]:g}")
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


def partials(f0_hz, slope, inharmonicity, presence):
    """Frequencies and amplitudes of the partials; what is not to sound has amplitude 0.

    f_n = n f0 sqrt(1 + (n^2 - 1) B), so that f_1 = f0 whatever B is; a_n = max(0, ((n - 1) slope
    + N) / N). Partials at or above the Nyquist frequency are silent: they would come back as
    others.

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


def tones(f0_hz, slope, inharmonicity, decay, presence, samples=SAMPLES):
    """Sums of partials that start in phase and decay together: sum_n a_n sin(2 pi f_n t) e^(-decay t).

    A damped partial is a geometric sequence, so that its sample i * size + j is the product of its
    samples i * size and j: the sum over partials is a product of two matrices.

    Shapes: each [n], or one number for all -> [n, samples] float64.

    Args:
        f0_hz: Below the Nyquist frequency.
        slope: See `Space`, as for the others.
        samples: Length, at `SAMPLE_RATE_HZ`.
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


def mixed(sounds, noise, share):
    """Sounds with noise in them, as a share of the energy: sqrt(1 - s) x / |x| + sqrt(s) n / |n|.

    Shapes: sounds and noise [n, samples], share [n] -> [n, samples].
    """
    share = np.asarray(share)[:, None]
    x, n = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (sounds, noise))
    return np.sqrt(1 - share) * x + np.sqrt(share) * n


# --- What a model sees -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class View:
    """Images [time, bins] of waves, in [0, 1].

    Attributes:
        representation: "cqt": constant-Q magnitudes, a pitch is a place and an octave a distance;
            "mel": mel magnitudes; "stft": magnitudes of the Fourier transform without its bin at
            the Nyquist frequency; "waveform": (wave + 1) / 2, in one bin, on no scale.
        scale: "db": decibels, 1 at the maximum of the item and 0 at `range_db` below it;
            "amplitude": magnitudes as a share of that maximum; "root": the square root of that.
        range_db: Depth of the decibels.
        bins_per_octave: Of the CQT only; 3 or more.

    Raises:
        KvoiceError: If a field has an impossible value; the line names it.
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
                3 <= self.bins_per_octave <= 96):
            raise KvoiceError(
                f"data.bins_per_octave: {self.bins_per_octave} must be a whole number from 3 to 96"
            )

    @property
    def shape(self):
        """(time, bins) of the images."""
        if self.representation == "waveform":
            return SAMPLES, 1
        bins = {
            "cqt": len(cqt_hz(self.bins_per_octave)),
            "mel": _MEL.mels,
            "stft": _MEL.fft // 2,
        }[self.representation]
        return _MEL.frames(SAMPLES), bins

    def __call__(self, waves):
        """Shapes: waves [n, SAMPLES] -> [n, time, bins] float32."""
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


_HANN_BINS = 1.50018310546875  # the bandwidth of a Hann window, as librosa has it


def _bandwidth(bins_per_octave):
    """Of a constant-Q filter, as a share of its centre: 1 / Q."""
    ratio = 4 ** (1 / bins_per_octave)
    return (ratio - 1) / (ratio + 1)


@functools.lru_cache
def cqt_hz(bins_per_octave):
    """Centres of the constant-Q bins in Hz, [bins]: from C2 up, a multiple of 16 of them.

    As many as leave the whole band of the last filter below the Nyquist frequency.
    """
    c2_hz = 440 * 2 ** (-33 / 12)
    widest = 1 + _bandwidth(bins_per_octave) * _HANN_BINS / 2
    octaves = math.log2(SAMPLE_RATE_HZ / 2 / widest / c2_hz)
    bins = int(octaves * bins_per_octave + 1) // 16 * 16
    return c2_hz * 2 ** (np.arange(bins) / bins_per_octave)


def cqt(waves, bins_per_octave=12):
    """Constant-Q magnitudes (librosa's), frame k centred on sample 512 k.

    Shapes: waves [n, SAMPLES] -> [n, time, bins] float32.
    """
    import librosa  # here: it takes seconds, and compiles for many the first time

    hz = cqt_hz(bins_per_octave)
    frames = _MEL.frames(waves.shape[-1])
    # The silence that librosa would add around the wave: the longest filter fits in without a word.
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


# --- All of them -------------------------------------------------------------------------------


class Tones:
    """The items of a space as a corpus of images: rendered once, on all processors, then mapped.

    They are kept in prepared/additive-FINGERPRINT/, whatever split or seed asks for them.

    Args:
        space: A `Space`.
        view: A `View`.
    """

    labels, tests = {}, 0  # as for `images.Digits`

    def __init__(self, space, view):
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

    def __len__(self):
        return len(self.space)

    def images(self, items):
        """The images of items by their numbers: [n] -> [n, *shape] float32."""
        if self._images is None:
            return self.view(self.space.waves(items))
        return np.asarray(self._images[items])  # no memory map any more

    def keep(self):
        """Renders all images, if that was not done before; from then on they are read.

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
    """The images in a file, [items, time, bins]; None if it is not there or not what is wanted."""
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.float32 else None


def _refuse_too_many(directory, shape):
    wanted, free = 4 * math.prod(shape), shutil.disk_usage(directory).free
    if wanted > free:
        raise KvoiceError(
            f"{directory}: {shape[0]:,} items take {wanted / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are "
            "free: use larger steps, or another representation"
        )


def _rendered(images, count):
    """Yields `images(items)` for all items in chunks, in order, made by threads."""
    workers = os.cpu_count() or 1
    chunks = [np.arange(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        with progress.bar(total=count, desc="tones", unit="item") as bar:
            for first in range(0, len(chunks), 4 * workers):  # so that not all are held at once
                for done in pool.map(images, chunks[first : first + 4 * workers]):
                    yield done
                    bar.update(len(done))
