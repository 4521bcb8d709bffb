"""Waves and their features in NumPy: files, mels and back, and the fundamental frequency.

A `Spec` holds every rate and size with its unit; all functions take float32 waves whose full scale
is 1. The same mel is a TensorFlow graph in `kvoice.data.features` and one of `keras.ops`, to
differentiate through, in `kvoice.layers.mel`: all three are made of the same `numbers`. Features
on the way in:

    wave, rate = read("a.flac", spec.sample_rate_hz)     # mono, resampled
    wave = condition(wave, spec)                         # trimmed, high-passed, levelled, ...
    features = mel(wave, spec)                           # [1 + samples // hop, mels]

and on the way out: `write("b.wav", griffin_lim(features, spec), spec.sample_rate_hz)`, or for a mel
of any length `long_griffin_lim`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import mmap
import os
import re
import stat
import struct
import wave as riff
from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np
import scipy.fft

from kvoice.errors import KvoiceError
from kvoice.files import replaced

SILENT = 1e-4  # a peak of -80 dBFS, inaudible
LARGEST = 2.0  # samples above it have another full scale than 1
LOWEST_RATE_HZ = 1000  # of sound files
HIGHEST_RATE_HZ = 384_000  # of those that are written
LFS_POINTER = b"version https://git-lfs"  # how a file begins that stands for one in Git LFS
CONDITIONING = ("sample_rate_hz", "trim_db", "highpass_hz", "preemphasis", "level_db")
RECORDINGS = {"trim_db": 40.0, "level_db": -26.0}  # what corpora of recordings get by default

_SOUNDING_DB = 30  # frames this far below the loudest do not count for the level of a wave
_READ_FRAMES = 2**20  # samples of each channel that are read at once
_STREAMED = 0x7FFF0000  # lengths from here on stand for "unknown" in a wav that was streamed
# The header of an MP3 behind that of its first frame, whose length depends on version and channels.
_MP3_BEGIN = re.compile(rb"\xff[\xe2-\xff]..(?:.{32}|.{17}|.{9})(?:Xing|Info)", re.DOTALL)
_BLOCK_FRAMES = 256  # frames transformed at once: their spectra stay in the cache of the processor

# A scale is `slope * ln(m) + offset` or `slope * m + offset`, m = max(floor, magnitude): of a Spec,
# whether it is of the logarithm, slope, offset.
_SCALES = {
    "ln": lambda spec: (True, 1.0, 0.0),
    "db": lambda spec: (
        True,
        20 / math.log(10) / spec.range_db,
        1 - spec.ref_db / spec.range_db,
    ),
    "linear": lambda spec: (False, 1.0, 0.0),
}


@dataclasses.dataclass(frozen=True)
class Spec:
    """The definition of a mel: every rate and size, with its unit.

    Attributes:
        sample_rate_hz: Samples per second of the wave.
        fft: Length of the Fourier transform, in samples; even.
        window: Length of the periodic Hann window, in samples; it sits in the middle of the
            transform.
        hop: Samples from one frame to the next.
        mels: Number of mel bands (Slaney's scale, each band of area one).
        fmin_hz: Lower edge of the lowest band.
        fmax_hz: Upper edge of the highest band.
        power: Exponent of the magnitude that the bands sum: 1, or 2 for the energy.
        scale: "ln": `ln(max(floor, magnitude))`,
            "db": `(20 log10(max(floor, magnitude)) - ref_db + range_db) / range_db`, or
            "linear": `max(floor, magnitude)`.
        floor: Smallest magnitude; smaller ones count as silence.
        ref_db: Level that becomes 1, on the "db" scale only.
        range_db: Decibels from 0 to 1, on the "db" scale only.
        low: Lower fixed bound of the scaled mel, for models that work in [0, 1]; the same for
            every clip.
        high: Upper fixed bound of the scaled mel.
        clip: Whether the scaled mel is clipped to [low, high].
        preemphasis: p of `y[t] = x[t] - p x[t - 1]`; 0 = none.
        highpass_hz: Corner of a zero-phase Butterworth filter of order 5; 0 = none.
        trim_db: Leading and trailing frames this far below the loudest are cut; 0 = no trimming.
        level_db: Level to which each recording is scaled by one factor, in dB of full scale (see
            `at_level`), below 0; 0 = recordings keep their level.

    Raises:
        KvoiceError: If a field has the wrong type or an impossible value; the line names the field.
    """

    sample_rate_hz: int = 22050
    fft: int = 1024
    window: int = 1024
    hop: int = 256
    mels: int = 80
    fmin_hz: float = 0.0
    fmax_hz: float = 8000.0
    scale: str = "ln"
    floor: float = 1e-5
    ref_db: float = 0.0
    range_db: float = 100.0
    low: float = math.log(1e-5)
    high: float = 2.0
    clip: bool = False
    preemphasis: float = 0.0
    highpass_hz: float = 0.0
    trim_db: float = 0.0
    power: int = 1
    level_db: float = 0.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _typed(field, getattr(self, field.name)))
        nyquist_hz = self.sample_rate_hz / 2
        for field, holds, expected in (
            ("sample_rate_hz", self.sample_rate_hz > 0, "above 0"),
            ("fft", self.fft > 0 and self.fft % 2 == 0, "even and above 0"),
            ("window", 1 < self.window <= self.fft, f"from 2 to fft = {self.fft}"),
            ("hop", 0 < self.hop <= self.window, f"from 1 to window = {self.window}"),
            ("mels", self.mels > 0, "above 0"),
            (
                "fmin_hz",
                0 <= self.fmin_hz < self.fmax_hz,
                f"from 0 to below fmax_hz = {self.fmax_hz}",
            ),
            (
                "fmax_hz",
                self.fmax_hz <= nyquist_hz,
                f"at most half of sample_rate_hz = {nyquist_hz}",
            ),
            ("power", self.power in (1, 2), "1 or 2"),
            ("scale", self.scale in _SCALES, f"one of {', '.join(map(repr, _SCALES))}"),
            ("floor", self.floor > 0, "above 0"),
            ("range_db", self.range_db > 0, "above 0"),
            ("low", self.low < self.high, f"below high = {self.high}"),
            ("preemphasis", 0 <= self.preemphasis < 1, "from 0 to below 1"),
            ("highpass_hz", 0 <= self.highpass_hz < nyquist_hz, f"from 0 to below {nyquist_hz}"),
            ("trim_db", self.trim_db >= 0, "0 (no trimming) or above"),
            ("level_db", self.level_db <= 0, "0 (as recorded) or below"),
        ):
            if not holds:
                raise KvoiceError(f"Spec.{field} must be {expected}, got {getattr(self, field)!r}")
        empty = int(np.sum(mel_filters(self).max(axis=0) == 0))
        if empty:
            raise KvoiceError(
                f"Spec.mels: {empty} of {self.mels} bands lie between the bins of a transform of "
                f"{self.fft} samples; use fewer mels or a longer fft"
            )

    def frames(self, samples: int) -> int:
        """Frames of a wave of `samples`: the first is centred on sample 0."""
        return 1 + samples // self.hop

    def samples(self, frames: int) -> int:
        """Samples that a training crop of `frames` spans: one hop for each (see `paired`)."""
        return frames * self.hop

    @property
    def silence(self) -> float:
        """The scaled mel of digital silence."""
        return float(scaled(np.float32(0), self))

    @property
    def key(self) -> str:
        """A short name that differs where any field differs, for files."""
        fields = dataclasses.asdict(self)
        if not self.level_db:
            del fields["level_db"]  # the key is that of versions that had no such field
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, other: "Spec", fields: Collection[str] | None = None) -> list[str]:
        """Lines such as "hop: 256 here, 300 there" for each of the fields (all) that differs.

        Two models whose Specs agree in the fields `OF_MEL` can exchange mels.
        """
        names = fields or [field.name for field in dataclasses.fields(self)]
        return [
            f"{name}: {getattr(self, name)} here, {getattr(other, name)} there"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]


# The fields that a mel follows from, once its wave is conditioned.
OF_MEL = tuple(
    field.name for field in dataclasses.fields(Spec) if field.name not in ("trim_db", "level_db")
)


def _typed(field, value):
    """The value as the field's own type, so that 0 and 0.0 are one Spec with one key."""
    kinds = {int: int, float: (int, float), str: str, bool: bool}
    wanted = kinds[field.type]
    if not isinstance(value, wanted) or isinstance(value, bool) != (field.type is bool):
        raise KvoiceError(f"Spec.{field.name} must be of type {field.type.__name__}, got {value!r}")
    if field.type is float and not math.isfinite(value):
        raise KvoiceError(f"Spec.{field.name} must be finite, got {value!r}")
    return field.type(value)


# --- Files -------------------------------------------------------------------------------------


def read(path: str | os.PathLike, sample_rate_hz: int | None = None) -> tuple[np.ndarray, int]:
    """Reads a sound file as one channel at the given rate.

    Channels are mixed down by their average; any rate and word length is fine.

    Shapes: -> wave [samples] float32, full scale = 1.

    Args:
        path: A file that libsndfile reads: wav, flac, ogg, mp3, opus, aiff, ...
        sample_rate_hz: Rate wanted, in Hz; None = that of the file.

    Returns:
        The wave, and its rate in Hz.

    Raises:
        KvoiceError: If the file is missing, no regular file, empty, not downloaded (Git LFS),
            corrupt, truncated, without samples, of a rate below `LOWEST_RATE_HZ`, two MP3s in one,
            or holds NaN, infinity, samples above `LARGEST` or channels that cancel each other.
            Ogg and MP3 files that were cut off can't be told from shorter ones.
    """
    with _opened(path) as file:
        to_hz = sample_rate_hz or file.samplerate
        return np.concatenate([*_resampled(_mono(file), file.samplerate, to_hz)]), to_hz


def parts(
    path: str | os.PathLike, sample_rate_hz: int | None, longest_s: float
) -> Iterator[tuple[np.ndarray, int]]:
    """Reads a sound file in parts, so that a recording of hours takes little memory.

    One after the other they are what `read` returns; see `cut`.

    Shapes: -> pairs of a wave [samples] float32, full scale = 1, and its rate in Hz.

    Args:
        path: As in `read`.
        sample_rate_hz: As in `read`.
        longest_s: Longest duration of a part, in s.

    Raises:
        KvoiceError: As in `read`, before the first part.
    """
    with _opened(path) as file:
        for _ in _mono(file):  # all checks come before the first part
            pass
    with _opened(path) as file:
        to_hz = sample_rate_hz or file.samplerate
        for part in cut(_resampled(_mono(file), file.samplerate, to_hz), to_hz, longest_s):
            yield part, to_hz


def cut(
    blocks: Iterable[np.ndarray], sample_rate_hz: int, longest_s: float
) -> Iterator[np.ndarray]:
    """Yields a wave in parts that end where it is quiet: [samples] each.

    A wave that is not longer than `longest_s` is one part. In a longer one, silence of a sixth of
    that or more is a part of its own.

    Args:
        blocks: The wave, one or several arrays [samples].
        sample_rate_hz: Its rate, in Hz.
        longest_s: Longest duration of a part, in s; the last one may be a twentieth longer.
    """
    longest, before = round(longest_s * sample_rate_hz), None
    for part in _cut(blocks, sample_rate_hz, longest):
        if before is not None and len(part) < longest // 20:  # the last one
            part = np.append(before, part)
        elif before is not None:
            yield before
        before = part
    yield before


def _cut(blocks, sample_rate_hz, longest):
    """`cut` whose last part may be very short."""
    kept, several = np.zeros(0, np.float32), False
    for block in blocks:
        kept = np.append(kept, block)
        while len(kept) > longest:
            end = _edge_of_silence(kept[:longest], longest, sample_rate_hz) or _quietest(
                kept, 2 * longest // 3, longest - longest // 20, sample_rate_hz
            )
            yield kept[:end]
            kept, several = kept[end:], True
    while several and (end := _edge_of_silence(kept, longest, sample_rate_hz)):
        yield kept[:end]
        kept = kept[end:]
    if len(kept) or not several:
        yield kept


def _edge_of_silence(wave, longest, sample_rate_hz):
    """The sample where a long silence ends with which a wave begins, or where one begins; or 0."""
    frame = max(1, sample_rate_hz // 10)
    frames = np.abs(wave[: len(wave) // frame * frame].reshape(-1, frame)).max(axis=1)
    sounds = np.concatenate([[True], frames >= SILENT, [True]])
    begins, ends = (np.flatnonzero(np.diff(sounds.astype(int)) == step) for step in (-1, 1))
    for begin, end in zip(begins, ends):
        if (end - begin) * frame >= longest // 6 and (not begin or begin * frame >= longest // 20):
            found = begin or end
            return len(wave) if found == len(frames) else int(found) * frame
    return 0


def _quietest(wave, first, last, sample_rate_hz, window_s=0.1):
    """The sample from `first` to `last` around which a wave is quietest."""
    size = round(window_s * sample_rate_hz)
    energy = np.cumsum(np.square(wave[first:last], dtype=np.float64))
    return first + size // 2 + int(np.argmin(energy[size:] - energy[:-size]))


@contextlib.contextmanager
def _opened(path):
    """Opens a sound file; what soundfile raises becomes one line."""
    import soundfile  # here, so that `import kvoice.audio` needs no libsndfile

    path = os.fspath(path)
    _refuse_at_sight(path)
    try:
        with soundfile.SoundFile(path) as file:
            if file.samplerate < LOWEST_RATE_HZ:
                raise KvoiceError(
                    f"{path}: its sampling rate is {file.samplerate} Hz, at least {LOWEST_RATE_HZ} "
                    "Hz are needed"
                )
            yield file
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        if isinstance(error, KvoiceError):
            raise
        raise KvoiceError(
            f"{path}: is not a sound file that can be read (corrupt, or of another kind)"
        ) from error


def _mono(file):
    """Yields the blocks of an open sound file, its channels averaged: [samples] float32 each.

    Raises:
        KvoiceError: After the last block, if the samples are no sound that can be used.
    """
    path, samples, total = file.name, 0, 0.0
    finite, peak, lows, highs = True, 0.0, [], []
    while len(channels := file.read(_READ_FRAMES, dtype="float32", always_2d=True)):
        block = channels.mean(axis=1)
        both = np.column_stack([channels, block])
        lows.append(both.min(axis=0))
        highs.append(both.max(axis=0))
        total = total + both.sum(axis=0, dtype=np.float64)
        finite, peak = finite and np.isfinite(block).all(), max(peak, np.abs(block).max())
        samples += len(block)
        yield block
    if file.format == "FLAC" and samples < file.frames:
        raise KvoiceError(f"{path}: is truncated (an interrupted copy?); copy it again")
    if file.format == "MP3":
        _refuse_two(path)
    if not samples:
        raise KvoiceError(f"{path}: holds no samples (0 s)")
    if not finite:
        raise KvoiceError(f"{path}: holds NaN or infinite samples")
    if peak > LARGEST:
        raise KvoiceError(
            f"{path}: holds samples up to {peak:.4g}, where full scale is 1 (integers that were "
            "written as floats?); scale them down"
        )
    mean = total / samples
    *heights, height = np.maximum(np.max(highs, axis=0) - mean, mean - np.min(lows, axis=0))
    # What one channel has at full height the mean of n has at an n-th of it, unless others undo it.
    if height < SILENT and max(heights) >= len(heights) * SILENT:
        raise KvoiceError(f"{path}: its channels cancel each other; give one of them")


def _resampled(blocks, from_hz, to_hz):
    """Yields the blocks of a wave at another rate; together they are what `resample` returns."""
    import soxr

    if from_hz == to_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _refuse_at_sight(path):
    """Refuses what is no sound file by its kind, its first bytes or its length."""
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            raise KvoiceError(f"{path}: is a directory, expected a sound file")
        if not stat.S_ISREG(kind):  # reading a pipe would wait for ever
            raise KvoiceError(f"{path}: is no regular file, expected a sound file")
        with open(path, "rb") as file:
            head = file.read(64)
            missing = _missing_bytes(file, head)
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise KvoiceError(f"{path}: is empty (0 bytes)")
    if head.startswith(LFS_POINTER):
        raise KvoiceError(
            f"{path}: is a Git LFS pointer, not the sound itself; run `git lfs pull` there"
        )
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise KvoiceError(f"{path}: is a web page, not the sound itself; download it again")
    if missing:
        raise KvoiceError(
            f"{path}: is truncated, {missing:,} bytes of its samples are missing (an interrupted "
            "copy?); copy it again"
        )


def _missing_bytes(file, head):
    """How many bytes of samples a wav or aiff file announces, but does not hold."""
    end = file.seek(0, os.SEEK_END)
    order, wanted = {b"RIFF": ("<", b"data"), b"FORM": (">", b"SSND")}.get(head[:4], ("", b""))
    place = 12
    while order and place + 8 <= end:
        file.seek(place)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        place += 8
        if name == wanted:
            streamed = size >= _STREAMED  # by a program that wrote to a pipe
            return 0 if streamed else max(0, place + size - end)
        place += size + size % 2
    return 0


def _refuse_two(path):
    """Refuses an MP3 behind which another begins: only the first would be read."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if len(_MP3_BEGIN.findall(content)) > 1:
            raise KvoiceError(
                f"{path}: holds several MP3 files, one behind the other; join them with a program "
                "for sound, or give each by itself"
            )


def write(path: str | os.PathLike, wave: np.ndarray, sample_rate_hz: int) -> None:
    """Writes a wave as a 16-bit PCM wav file, whole or not at all.

    A wave that passes full scale is scaled down to a peak of 1, never clipped; others keep their
    level. A wave that `read` returned for a 16-bit file is written bit-exactly.

    Args:
        path: The file; an existing one is replaced.
        wave: The wave [samples], full scale = 1.
        sample_rate_hz: Its sample rate, in Hz.

    Raises:
        KvoiceError: If the wave is not one row of finite samples, the name ends in something else
            than .wav, or the file cannot be written.
    """
    path, wave = os.fspath(path), np.asarray(wave)
    if not path.lower().endswith(".wav"):
        raise KvoiceError(f"{path}: wav files are written, expected a name that ends in .wav")
    if wave.ndim != 1:
        raise KvoiceError(f"{path}: a wave of shape [samples] is wanted, got {list(wave.shape)}")
    peak = np.abs(wave).max(initial=0)
    write_blocks(path, [wave / max(1.0, peak) if np.isfinite(peak) else wave], sample_rate_hz)


def write_blocks(
    path: str | os.PathLike, blocks: Iterable[np.ndarray], sample_rate_hz: int
) -> None:
    """Writes a wave that does not pass full scale as `write` does, from arrays one by one.

    Args:
        path: The file; an existing one is replaced.
        blocks: The wave, arrays [samples].
        sample_rate_hz: Its sample rate, in Hz.

    Raises:
        KvoiceError: If a sample is not finite, or the file cannot be written.
    """
    try:
        with replaced(path) as file, riff.open(file, "wb") as sound:
            sound.setparams((1, 2, int(sample_rate_hz), 0, "NONE", ""))
            for block in blocks:
                if not np.isfinite(block).all():
                    raise KvoiceError(
                        f"{path}: not written, the wave holds NaN or infinite samples"
                    )
                sound.writeframes(np.minimum(np.round(block * 32768), 32767).astype("<i2"))
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be written ({error.strerror})") from error


def problem(wave: np.ndarray, sample_rate_hz: int) -> str:
    """Returns why a wave is not usable for training, in a few words; "" if it is."""
    if len(wave) < 0.1 * sample_rate_hz:
        return "shorter than 0.1 s"
    if silent(wave):
        return "silent"
    clipped = np.mean(np.abs(wave) >= 0.999)
    if clipped > 0.01:
        return f"{100 * clipped:.0f} % of the samples clipped"
    return ""


def problem_of(wave: np.ndarray, spec: Spec) -> str:
    """The `problem` of a wave that a Spec has conditioned but for its level, which hides clipping.

    Args:
        wave: The wave before `condition`.
        spec: The Spec.
    """
    recorded = dataclasses.replace(spec, level_db=0.0)
    return problem(condition(wave, recorded), spec.sample_rate_hz)


def silent(wave: np.ndarray) -> bool:
    """Returns whether a wave [samples] is inaudible."""
    return bool(_height(wave) < SILENT)


def _height(wave):
    """The largest distance of a sample to the mean: a constant offset is inaudible."""
    return np.abs(wave - wave.mean(dtype=np.float64)).max()


# --- The wave ----------------------------------------------------------------------------------


def resample(wave: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resamples a wave (soxr, high quality): band-limited, without delay.

    Shapes: wave [samples] -> [about samples * to_hz / from_hz] float32.
    """
    import soxr

    wave = np.asarray(wave, np.float32)
    return wave if from_hz == to_hz else soxr.resample(wave, from_hz, to_hz, quality="HQ")


def condition(wave: np.ndarray, spec: Spec, trim: bool = True) -> np.ndarray:
    """Prepares a wave for the mel of a Spec: trimmed, high-passed, levelled, pre-emphasised.

    Shapes: wave [samples] -> [samples or fewer] float32.

    Args:
        wave: The wave, at `spec.sample_rate_hz`.
        spec: The Spec; its fields `trim_db`, `highpass_hz`, `level_db` and `preemphasis` may be
            0 = none.
        trim: Whether to trim; False keeps the length, for waves with labels per frame.
    """
    wave = np.asarray(wave, np.float32)
    if trim and spec.trim_db:
        wave = _trimmed(wave, spec.trim_db)
    if spec.highpass_hz:
        wave = highpassed(wave, spec.highpass_hz, spec.sample_rate_hz)
    if spec.level_db:
        wave = at_level(wave, spec.level_db)
    if spec.preemphasis:
        wave = np.append(wave[:1], wave[1:] - np.float32(spec.preemphasis) * wave[:-1])
    return wave


def highpassed(wave: np.ndarray, lowest_hz: float, sample_rate_hz: int) -> np.ndarray:
    """High-passes a wave without delay (Butterworth, order 5, forward and backward).

    Shapes: wave [..., samples] -> the same, float32.
    """
    from scipy import signal  # here: most commands do without it, and it takes a second

    sections = signal.butter(5, lowest_hz, "highpass", fs=sample_rate_hz, output="sos")
    padding = min(18, wave.shape[-1] - 1)
    return signal.sosfiltfilt(sections, wave.astype(np.float64), padlen=padding).astype(np.float32)


def _trimmed(wave, trim_db, hop=512):
    """The wave from its first to its last frame that is less than `trim_db` below the loudest."""
    levels = _frame_levels(wave, hop)
    loud = np.flatnonzero(levels - levels.max() > -trim_db)
    return wave[loud[0] * hop : (loud[-1] + 1) * hop]


def _frame_levels(wave, hop=512, frame=2048):
    """The level of each frame of a wave, in dB of full scale: [1 + samples // hop]."""
    padded = np.pad(wave.astype(np.float64), frame // 2)
    energy = np.append(0, np.cumsum(padded**2))
    starts = np.arange(0, len(wave) + 1, hop)
    return 10 * np.log10(np.maximum((energy[starts + frame] - energy[starts]) / frame, 1e-10))


def level_db(wave: np.ndarray) -> float:
    """The level of what sounds of a wave [samples], in dB of full scale.

    The root mean square over the frames of 2048 samples that are less than 30 dB below the loudest
    one, so that pauses do not count; a constant offset does not either.

    Source: after the active speech level of ITU-T P.56. Differs: a threshold relative to the
    loudest frame, of frames, in place of one relative to the level itself, of an envelope.
    """
    levels = _frame_levels(wave - wave.mean(dtype=np.float64))
    sounding = levels[levels - levels.max() > -_SOUNDING_DB]
    return float(10 * np.log10(np.mean(10 ** (sounding / 10))))


def at_level(wave: np.ndarray, wanted_db: float) -> np.ndarray:
    """Scales a wave by one factor to a level, or to less where a sample would pass full scale.

    An inaudible wave stays as it is.

    Shapes: wave [samples] -> the same.

    Args:
        wave: The wave; full scale = 1.
        wanted_db: The `level_db` of the result, in dB of full scale.
    """
    if not len(wave) or silent(wave):
        return wave
    factor = min(10 ** ((wanted_db - level_db(wave)) / 20), 1 / np.abs(wave).max())
    return wave * np.float32(factor)


# --- Spectra -----------------------------------------------------------------------------------


def stft(wave: np.ndarray, spec: Spec) -> np.ndarray:
    """Short-time Fourier transform; frame k is centred on sample k * hop, the ends are mirrored.

    Shapes: wave [..., samples] -> [..., 1 + samples // hop, 1 + fft // 2] complex64.

    Raises:
        KvoiceError: If the wave holds no samples.
    """
    return scipy.fft.rfft(_framed(wave, spec) * window(spec), axis=-1)


def istft(spectrum: np.ndarray, spec: Spec, samples: int) -> np.ndarray:
    """Computes the wave whose frames are closest to the spectrum, by windowed overlap-add.

    Shapes: spectrum [..., frames, 1 + fft // 2] -> [..., samples] float32.

    Source: Griffin & Lim 1984, "Signal estimation from modified short-time Fourier transform".
    """
    frames = scipy.fft.irfft(spectrum, spec.fft, axis=-1) * window(spec)
    weight = np.broadcast_to(window(spec) ** 2, (frames.shape[-2], spec.fft))
    wave = _overlapped(frames, spec.hop) / np.maximum(_overlapped(weight, spec.hop), 1e-8)
    wave = wave[..., spec.fft // 2 :][..., :samples]
    missing = samples - wave.shape[-1]
    return np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, missing)]) if missing else wave


def _framed(wave, spec):
    """A view [..., 1 + samples // hop, fft] of the wave with mirrored ends."""
    wave = np.asarray(wave, np.float32)
    if not wave.shape[-1]:
        raise KvoiceError("a wave without samples has no spectrum")
    edges = [(0, 0)] * (wave.ndim - 1) + [(spec.fft // 2, spec.fft // 2)]
    padded = np.pad(wave, edges, mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, spec.fft, axis=-1)[..., :: spec.hop, :]


def _overlapped(frames, hop):
    """Sum of frames [..., frames, size] laid `hop` apart, then zeros up to a whole hop."""
    *batch, count, size = frames.shape
    parts = -(-size // hop)
    frames = np.pad(frames, [(0, 0)] * (frames.ndim - 1) + [(0, parts * hop - size)])
    total = np.zeros((*batch, count + parts - 1, hop), np.float32)
    for part in range(parts):
        total[..., part : part + count, :] += frames[..., part * hop : (part + 1) * hop]
    return total.reshape(*batch, -1)


def _hann(size):
    """The periodic Hann window: [size] float64."""
    return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, size + 1)[:-1])


@functools.lru_cache
def window(spec: Spec) -> np.ndarray:
    """The periodic Hann window in the middle of a transform: [fft] float32."""
    hann = _hann(spec.window)
    before = (spec.fft - spec.window) // 2
    padded = np.pad(hann, (before, spec.fft - spec.window - before)).astype(np.float32)
    padded.flags.writeable = False
    return padded


@functools.lru_cache
def mel_filters(spec: Spec) -> np.ndarray:
    """Triangles of area one, evenly spaced on Slaney's mel scale: [1 + fft // 2, mels] float32.

    The scale is linear up to 1000 Hz (15 mels) and logarithmic above (27 mels for each factor of
    6.4).

    Source: Slaney 1998, "Auditory Toolbox", version 2.
    """
    edges_hz = _hz(np.linspace(_slaney(spec.fmin_hz), _slaney(spec.fmax_hz), spec.mels + 2))
    bins_hz = np.linspace(0, spec.sample_rate_hz / 2, 1 + spec.fft // 2)[:, None]
    lower, centre, upper = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - lower) / (centre - lower)
    falling = (upper - bins_hz) / (upper - centre)
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (upper - lower)
    filters = filters.astype(np.float32)
    filters.flags.writeable = False
    return filters


def _slaney(hz):
    """Slaney's mel of a frequency."""
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def _hz(mels):
    """Frequencies of Slaney's mels."""
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * math.log(6.4) / 27))


SPECS = {
    # Tacotron 2 and WaveGlow. `high` = 2: measured with this Spec, a vowel whose peak is full
    # scale reaches 1.1, white noise 0.2; only a loud pure tone or square wave (2.3, 2.5 at full
    # scale) passes it.
    "waveglow": Spec(),
    # SpeechSplit, AutoVC. Its own script also scales the wave by 0.96 and adds noise of 1e-6;
    # neither is here.
    "speechsplit": Spec(
        sample_rate_hz=16000,
        fmin_hz=90.0,
        fmax_hz=7600.0,
        scale="db",
        ref_db=16.0,
        low=0.0,
        high=1.0,
        highpass_hz=30.0,
    ),
    # AdaIN-VC, before its standardisation per band.
    "adainvc": Spec(
        sample_rate_hz=24000,
        fft=2048,
        window=1200,
        hop=300,
        mels=512,
        fmax_hz=12000.0,
        scale="db",
        ref_db=20.0,
        low=1e-8,
        high=1.0,
        clip=True,
        preemphasis=0.97,
        trim_db=15.0,
    ),
    # d-vectors. Resemblyzer's own mels, which its published weights want, are `resemblyzer`.
    "speakerencoder": Spec(sample_rate_hz=16000, fft=400, window=400, hop=160, mels=40),
    "resemblyzer": Spec(
        sample_rate_hz=16000,
        fft=400,
        window=400,
        hop=160,
        mels=40,
        power=2,
        scale="linear",
        floor=1e-20,
        low=0.0,
        high=1.0,
    ),
}


# --- Mels --------------------------------------------------------------------------------------


def mel(wave: np.ndarray, spec: Spec) -> np.ndarray:
    """Computes the scaled mel spectrogram of a wave that `condition` has prepared.

    Shapes: wave [..., samples] -> [..., 1 + samples // hop, mels] float32.
    """
    return scaled(mel_magnitude(wave, spec), spec)


def paired(wave: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """A wave and its mel over exactly the same span, for training: `samples = frames * hop`.

    The mel of a wave has one frame more than it has whole hops, because the first is centred on
    sample 0; that last frame and the samples after the last whole hop are dropped. This is the one
    place that does so.

    Shapes: wave [samples] -> [frames * hop], [frames, mels], where frames = samples // hop.
    """
    features = mel(wave, spec)[:-1]
    wave = wave[: spec.samples(len(features))]
    assert len(wave) == spec.samples(len(features)), (len(wave), len(features))
    return wave, features


def as_mels(items: np.ndarray, domain: str, spec: Spec) -> np.ndarray:
    """Converts items of a domain to mels; mels stay as they are.

    Shapes: items [n, time, mels] for "mel", [n, frames * hop] for "wave" -> [n, time, mels].
    """
    return np.asarray(items) if domain == "mel" else mel(items, spec)[:, :-1]


def mel_magnitude(wave: np.ndarray, spec: Spec) -> np.ndarray:
    """Magnitude (or energy, see `Spec.power`) per mel band, before the logarithm.

    All in float32, for speed: exact to about 1e-6, which for a band near the floor of 1e-5 and
    115 dB below the loudest of its frame was measured to be up to 0.6 %.

    Shapes: wave [..., samples] -> [..., 1 + samples // hop, mels] float32.
    """
    frames, filters = _framed(wave, spec), mel_filters(spec)
    magnitudes = np.empty((*frames.shape[:-1], spec.mels), np.float32)
    for start in range(0, frames.shape[-2], _BLOCK_FRAMES):
        block = np.s_[..., start : start + _BLOCK_FRAMES, :]
        spectrum = scipy.fft.rfft(frames[block] * window(spec), axis=-1)
        size = spectrum.real**2 + spectrum.imag**2
        magnitudes[block] = (size if spec.power == 2 else np.sqrt(size)) @ filters
    return magnitudes


@functools.lru_cache
def numbers(spec: Spec) -> dict:
    """What a mel is, as arrays and plain numbers: for graphs, which are not given a Spec.

    The ends of a wave are mirrored by half a window, its frames windowed and transformed, and with
    `magnitude = |spectrum| ** power @ filters` and `m = max(floor, magnitude)` the mel is

        clip(slope * (ln(m) if logarithm else m) + offset, low, high)

    Returns:
        {"window" [fft], "hop", "power", "filters" [bins, mels], "floor", "logarithm", "slope",
        "offset", "low" and "high" (infinite where the Spec does not clip)}.
    """
    logarithm, slope, offset = _SCALES[spec.scale](spec)
    low, high = (spec.low, spec.high) if spec.clip else (-math.inf, math.inf)
    return {
        "window": window(spec),
        "hop": spec.hop,
        "power": spec.power,
        "filters": mel_filters(spec),
        "floor": spec.floor,
        "logarithm": logarithm,
        "slope": slope,
        "offset": offset,
        "low": low,
        "high": high,
    }


def band_powers(spec: Spec) -> dict:
    """Returns the map from a mel to the power spectrum, as plain numbers for a model's config.

    A band gives the power per sample and bin around its centre, for Gaussian noise, whose mean
    magnitude is sqrt(pi / 4) times its root mean square:
    `ln power = slope * mel + offset`, or `slope * ln(max(floor, mel)) + offset` on the "linear"
    scale.

    Returns:
        {"fft", its samples; "centres" of the bands, in bins; "slope"; "offsets" of the bands;
        "floor", 0 where the mel is a logarithm}.
    """
    filters = mel_filters(spec).astype(np.float64)
    areas = filters.sum(axis=0)
    slope = 2 / spec.power
    offsets = -slope * np.log(areas) - np.log(np.sum(window(spec) ** 2, dtype=np.float64))
    if spec.power == 1:
        offsets += np.log(4 / np.pi)
    known = numbers(spec)
    slope /= known["slope"]
    offsets -= slope * known["offset"]
    centres = np.arange(len(filters)) @ filters / areas
    return {
        "fft": spec.fft,
        "centres": np.round(centres, 6).tolist(),
        "slope": slope,
        "offsets": np.round(offsets, 6).tolist(),
        "floor": 0.0 if known["logarithm"] else spec.floor,
    }


def scaled(magnitude: np.ndarray, spec: Spec) -> np.ndarray:
    """Magnitudes on the scale of the Spec (its field `scale` has the formula); any shape."""
    known = numbers(spec)
    slope, offset, floor, low, high = (
        np.float32(known[name]) for name in ("slope", "offset", "floor", "low", "high")
    )
    values = np.maximum(np.asarray(magnitude, np.float32), floor)
    values = slope * (np.log(values) if known["logarithm"] else values) + offset
    return np.clip(values, low, high)


def magnitude(mel: np.ndarray, spec: Spec) -> np.ndarray:
    """The inverse of `scaled`, down to the floor; any shape."""
    known = numbers(spec)
    values = (np.asarray(mel, np.float32) - np.float32(known["offset"])) / np.float32(
        known["slope"]
    )
    return np.exp(values) if known["logarithm"] else values


# --- Back to a wave ----------------------------------------------------------------------------


def griffin_lim(
    mel: np.ndarray,
    spec: Spec,
    iterations: int = 60,
    momentum: float = 0.99,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Estimates a wave with the given mel, by alternating projections from an initial phase.

    Shapes: mel [..., frames, mels] -> [..., (frames - 1) * hop] float32.

    Args:
        mel: On the scale of the Spec.
        spec: The wave is de-emphasised where it pre-emphasises.
        iterations: Number of rounds of istft and stft; the error falls slowly beyond 60.
        momentum: Share of the last step that is added to the next; 0 = Griffin & Lim's own, slower.
        rng: `np.random.Generator` that draws the initial phase; None = phase zero, the same wave
            each time.

    Source: Perraudin, Balazs & Sondergaard 2013, "A fast Griffin-Lim algorithm", algorithm 2.
    """
    size = linear_magnitude(magnitude(mel, spec), spec) ** (1 / spec.power)
    samples = (size.shape[-2] - 1) * spec.hop
    phase = np.zeros(size.shape) if rng is None else rng.uniform(-np.pi, np.pi, size.shape)
    guess = np.exp(1j * phase).astype(np.complex64)
    guess = _found_phase(size, spec, iterations, momentum, guess)
    return deemphasised(istft(size * guess, spec, samples), spec)


def deemphasised(wave: np.ndarray, spec: Spec) -> np.ndarray:
    """The inverse of the pre-emphasis of `condition`; any shape, over the last axis."""
    return _deemphasised(wave, spec, np.zeros((*wave.shape[:-1], 1)))[0].astype(np.float32)


def _deemphasised(wave, spec, memory):
    """`deemphasised` of the next part of a wave: (wave, memory for the part after it)."""
    if not spec.preemphasis:
        return wave, memory
    from scipy import signal  # here: it takes a second

    return signal.lfilter([1], [1, -spec.preemphasis], wave, zi=memory)


def _found_phase(size, spec, iterations, momentum, guess, held=0):
    """Finds the phase from a guess, as complex numbers; the first `held` frames keep theirs.

    Shapes: size [..., frames, 1 + fft // 2], guess the same -> the same complex64.
    """
    samples, known, last = (size.shape[-2] - 1) * spec.hop, guess[..., :held, :].copy(), 0
    for _ in range(iterations):
        consistent = stft(istft(size * guess, spec, samples), spec)
        guess = consistent + np.float32(momentum) * (consistent - last)
        with np.errstate(invalid="ignore"):  # NaN stays NaN, and is refused where it is written
            guess /= np.maximum(np.abs(guess), 1e-16)
        guess[..., :held, :] = known
        last = consistent
    return guess


def long_griffin_lim(
    mel: np.ndarray,
    spec: Spec,
    iterations: int = 60,
    momentum: float = 0.99,
    chunk_frames: int = 1024,
    overlap_frames: int = 32,
    on_chunk: Callable[[int], object] | None = None,
) -> np.ndarray:
    """`griffin_lim` of a mel of any length in bounded memory, without discontinuities.

    Each chunk begins with the last `overlap_frames` of the one before, and in every round holds the
    phase that was found there; the last of them, which the mirrored end of that chunk has reached,
    it finds anew. Where all frames that sound at a sample are held, both chunks give the same
    sample: there one continues the other, without a cross-fade. A mel that fits one chunk gives the
    same wave as `griffin_lim`.

    Shapes: mel [frames, mels] -> [(frames - 1) * hop] float32.

    Args:
        mel: On the scale of the Spec.
        spec: The wave is de-emphasised where it pre-emphasises.
        iterations: Number of rounds for each chunk.
        momentum: As in `griffin_lim`.
        chunk_frames: Number of frames of a chunk, more than twice the overlap.
        overlap_frames: Number of frames that a chunk shares with the one before.
        on_chunk: Function that is called after each chunk with the number of hops it finished.

    Raises:
        KvoiceError: If the chunks or their overlap are too short.
    """
    reach = -(-spec.fft // (2 * spec.hop))  # frames on each side that sound at a sample
    held = overlap_frames - 2 * reach
    if held <= 2 * reach:
        raise KvoiceError(f"overlap_frames: {overlap_frames} must be above {4 * reach}")
    if chunk_frames <= 2 * overlap_frames:
        raise KvoiceError(f"chunk_frames: {chunk_frames} must be above {2 * overlap_frames}")
    wave = np.empty((len(mel) - 1) * spec.hop, np.float32)
    first = done = 0  # frames
    known, memory = np.zeros((0, 1 + spec.fft // 2), np.complex64), np.zeros(1)
    while True:
        last = min(first + chunk_frames, len(mel))
        size = linear_magnitude(magnitude(mel[first:last], spec), spec) ** (1 / spec.power)
        guess = np.ones(size.shape, np.complex64)
        guess[: len(known)] = known
        guess = _found_phase(size, spec, iterations, momentum, guess, len(known))
        sound = istft(size * guess, spec, (len(size) - 1) * spec.hop)
        following = last - overlap_frames
        until = len(mel) - 1 if last == len(mel) else following + held // 2
        part = sound[(done - first) * spec.hop : (until - first) * spec.hop]
        part, memory = _deemphasised(part, spec, memory)
        wave[done * spec.hop : until * spec.hop] = part
        if on_chunk:
            on_chunk(until - done)
        if last == len(mel):
            return wave
        known, first, done = guess[following - first :][:held], following, until


def linear_magnitude(mel_magnitude: np.ndarray, spec: Spec, rounds: int = 20) -> np.ndarray:
    """Estimates a non-negative spectrum with the given mel magnitudes.

    Each round multiplies every bin by what its bands still lack, averaged by their weights there;
    the divergence between wanted and reached bands falls with each. Bins outside all bands are 0.
    A clipped pseudo-inverse is faster and clearly worse: a third more error, at least, in
    the mel of the wave made from it.

    Shapes: mel_magnitude [..., frames, mels] -> [..., frames, 1 + fft // 2] float32.

    Source: Lee & Seung 2001, "Algorithms for non-negative matrix factorization", eq. 5, with the
    bands fixed.
    """
    filters = mel_filters(spec)
    shares = filters.T / np.maximum(filters.sum(axis=1), 1e-20)  # [mels, bins], each bin's sum to 1
    size = (mel_magnitude / filters.sum(axis=0)) @ shares
    for _ in range(rounds):
        size = size * ((mel_magnitude / np.maximum(size @ filters, 1e-20)) @ shares)
    return size.astype(np.float32)


# --- The fundamental frequency -----------------------------------------------------------------

_F0_RATE_HZ = 8000  # harmonics above 4 kHz add no information
_F0_FINER = 4  # the autocorrelation is interpolated this many times before its peaks are found
_F0_PERIODS = 3  # of the lowest frequency in one window
_F0_CANDIDATES = 6
_F0_VOICING = 0.5  # periodic share of the energy from which a frame is voiced
_F0_SPOKEN_HZ = 600  # above it only clear tones count: short lags of noise are correlated too
_F0_CLEAR = 0.9  # periodic share of the energy of such a tone
_F0_QUIET = 0.03  # share of the file's peak, about, below which a frame is unvoiced: hum, echo
_F0_OCTAVE_COST = 0.02  # of a frequency an octave lower: of equal periods the shortest wins
_F0_JUMP_COST = 0.35  # per octave and 10 ms
_F0_SWITCH_COST = 0.14  # voiced <-> unvoiced, per 10 ms


def f0(
    wave: np.ndarray,
    sample_rate_hz: int,
    hop: int,
    fmin_hz: float = 60,
    fmax_hz: float = 1000,
) -> np.ndarray:
    """Estimates the F0 per frame as a path through the peaks of the autocorrelation.

    Each frame of three periods of `fmin_hz` is windowed; its autocorrelation over that of the
    window is 1 at the period of a periodic sound, whatever the window. Its highest peaks (refined
    by a parabola) and "unvoiced" are the candidates; a dynamic program picks one per frame, where
    jumps in octaves and changes of voicing cost. It stands in for RAPT, which the published
    features use. The level does not matter, the hop hardly does. The search goes an octave beyond
    `fmax_hz`, so that a higher tone is unvoiced rather than half as high.

    Shapes: wave [samples] -> [1 + samples // hop] float32, in Hz, 0 = unvoiced.

    Args:
        wave: A wave of one channel.
        sample_rate_hz: Its sample rate, in Hz.
        hop: Samples from one frame to the next; frame k is centred on sample k * hop.
        fmin_hz: Lowest F0 of the search, in Hz.
        fmax_hz: Highest F0 of the result, in Hz, at most 1500; higher tones are unvoiced.

    Source: Boersma 1993, "Accurate short-term analysis of the fundamental frequency"; differs:
    Hann window, band of 4 kHz, interpolation by a longer transform in place of a sum of sincs.
    """
    if not 0 < fmin_hz < fmax_hz <= 1500:
        raise KvoiceError(f"f0 wants 0 < fmin_hz < fmax_hz <= 1500, got {fmin_hz} and {fmax_hz}")
    frames = 1 + len(wave) // hop
    narrow = resample(wave, sample_rate_hz, _F0_RATE_HZ)
    loudest = np.abs(narrow).max(initial=0)
    if loudest < SILENT:
        return np.zeros(frames, np.float32)
    size = round(_F0_PERIODS * _F0_RATE_HZ / fmin_hz / 2) * 2
    centres = np.round(np.arange(frames) * (hop * _F0_RATE_HZ / sample_rate_hz)).astype(int)
    narrow = np.pad(narrow, size // 2)
    views = np.lib.stride_tricks.sliding_window_view(narrow, size)
    blocks = [
        _candidates(views[centres[start : start + _BLOCK_FRAMES]], loudest, fmin_hz, 2 * fmax_hz)
        for start in range(0, frames, _BLOCK_FRAMES)
    ]
    hz, strength = (np.concatenate(part) for part in zip(*blocks))
    found = _cheapest_path(hz, strength, hop / sample_rate_hz)
    return np.where(found <= fmax_hz, found, np.float32(0))


def _candidates(frames, loudest, fmin_hz, fmax_hz):
    """Frequencies in Hz (first 0, unvoiced) and strengths: [frames, 1 + candidates] each."""
    size, rate_hz = frames.shape[1], _F0_RATE_HZ * _F0_FINER
    hann = _hann(size).astype(np.float32)
    frames = frames - (frames @ hann / hann.sum())[:, None]  # an offset would correlate
    shortest, longest = int(rate_hz / fmax_hz) - 1, math.ceil(rate_hz / fmin_hz) + 1
    correlation = _autocorrelation(frames * hann, longest + 1)
    correlation /= np.maximum(correlation[:, :1], 1e-20)
    ideal = _autocorrelation(hann[None], longest + 1)
    correlation /= ideal / ideal[:, :1]

    left, here, right = (correlation[:, shortest + i : longest - 1 + i] for i in range(3))
    lags = np.arange(shortest + 1, longest)
    offset, height = _vertex(left, here, right)
    hz = (rate_hz / (lags + offset)).astype(np.float32)
    peak = (here > left) & (here >= right) & (here > 0) & (hz >= fmin_hz) & (hz <= fmax_hz)
    strength = height - _F0_OCTAVE_COST * np.log2(fmin_hz * lags / rate_hz).astype(np.float32)
    peak &= (hz <= _F0_SPOKEN_HZ) | (height >= _F0_CLEAR)
    strength = np.where(peak, strength, -np.inf)
    count = min(_F0_CANDIDATES, len(lags))
    best = np.argpartition(-strength, count - 1, axis=1)[:, :count]
    hz, strength = np.take_along_axis(hz, best, 1), np.take_along_axis(strength, best, 1)

    level = np.abs(frames).max(axis=1) / loudest
    unvoiced = _F0_VOICING + np.maximum(0, 2 - level * (1 + _F0_VOICING) / _F0_QUIET)
    return np.column_stack([np.zeros_like(unvoiced), hz]), np.column_stack([unvoiced, strength])


def _autocorrelation(frames, lags):
    """Autocorrelation at `lags` lags of 1 / (rate * _F0_FINER): [frames, lags]."""
    padded = scipy.fft.next_fast_len(frames.shape[1] + lags // _F0_FINER + 1, real=True)
    spectrum = scipy.fft.rfft(frames, padded, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    return scipy.fft.irfft(power, padded * _F0_FINER, axis=1)[:, :lags]


def _vertex(left, here, right):
    """Place, within half a step, and height of the parabola's vertex through three neighbours."""
    bend = np.minimum(left - 2 * here + right, -1e-12)
    slope = left - right
    offset = np.clip(slope / bend / 2, -0.5, 0.5)
    return offset, here - slope * offset / 4


def _cheapest_path(hz, strength, step_s):
    """One frequency per frame: the path with the greatest strength less its jumps (Viterbi)."""
    octave = np.log2(np.maximum(hz, 1e-9))
    voiced = hz > 0
    per_step = 0.01 / step_s
    total, back = strength[0], np.zeros(hz.shape, int)
    for k in range(1, len(hz)):
        cost = _F0_JUMP_COST * np.abs(octave[k - 1][:, None] - octave[k])
        cost = np.where(voiced[k - 1][:, None] & voiced[k], cost, 0)
        cost = cost + _F0_SWITCH_COST * (voiced[k - 1][:, None] != voiced[k])
        through = total[:, None] - per_step * cost
        back[k] = through.argmax(axis=0)
        total = through.max(axis=0) + strength[k]
    path = np.empty(len(hz), int)
    path[-1] = total.argmax()
    for k in range(len(hz) - 1, 0, -1):
        path[k - 1] = back[k, path[k]]
    return np.take_along_axis(hz, path[:, None], 1)[:, 0].astype(np.float32)
