"""Converts the words of one recording to the voice of others.

    target = Target.of(voice, [recording(voice, you)])    # waves at the rate of the Spec
    mel, wave = convert_wave(voice, me, target)           # as long and as loud as `me`

`voice` is a model that converts, as `voice.load` gives it. `convert` does the same for files and
folders of any rate. The words and their timing are the source's; the voice is the mean of those of
the targets. A recording is encoded at once, since the statistics of instance normalisation are
computed over all of it; one longer than `PART_S` in parts that end where it is quiet, each of which
keeps its own loudness.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage
import threadpoolctl

from kvoice import audio, progress
from kvoice.data.corpora.layout import AUDIO
from kvoice.errors import KvoiceError
from kvoice.files import owned
from kvoice.inference import render, spectra
from kvoice.inference.classify import files, named
from kvoice.inference.harmonic import HarmonicVocoder

PART_S = 60.0
LOUDNESS_S = 0.4  # over which the loudness of a conversion is matched to that of the source
BRIEF_S = 0.05  # over which a conversion is at most `LOUDER_DB` louder than its source
LOUDER_DB = 6.0
# The share of the target's voice where none is asked for. A network keeps a part of the source's:
# chosen by judges of conversions between validation readers, in docs/results.
MIX = 1.6
FARTHEST = 2.0  # largest share
DETAIL = 0.4  # the share of what the network loses of the source's frames that is put back
TARGET = "is a target itself"  # why a file of the folder is left out that is no failure


# --- Waves


def input_mel(voice: object, wave: np.ndarray, trim: bool = False) -> np.ndarray:
    """Computes the mel of a wave as the input of a model.

    Shapes: wave [samples] -> [1 + samples // hop, mels].

    Args:
        voice: A `voice.Voice` whose model has a minimum number of frames.
        wave: The speech of one speaker, at the rate of the Spec.
        trim: Whether silence at both ends is removed, where the Spec does so: for a target. A
            source keeps its timing.

    Raises:
        KvoiceError: If the wave is too short for the model, silent or clipped; the message names no
            file.
    """
    _refuse_short(voice, wave)
    if reason := audio.problem(wave, voice.spec.sample_rate_hz):
        raise KvoiceError(reason)
    wave = audio.condition(wave, voice.spec, trim)
    _refuse_short(voice, wave)
    return audio.mel(wave, voice.spec)


def _refuse_short(voice, wave):
    least = (voice.model.minimum_frames - 1) * voice.spec.hop
    if len(wave) < least:
        second = voice.spec.sample_rate_hz
        raise KvoiceError(
            f"{len(wave) / second:.2f} s of sound, at least "
            f"{math.ceil(100 * least / second) / 100:.2f} s are needed"
        )


def recording(voice: object, wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures a recording of a target voice.

    Shapes: wave [samples] at the rate of the Spec -> mel [time, mels] without the silence at both
    ends, F0 in Hz, 0 = unvoiced, [1 + samples // hop].

    Raises:
        KvoiceError: If it cannot be used (see `input_mel`).
    """
    mel = input_mel(voice, wave, trim=True)
    return mel, audio.f0(wave, voice.spec.sample_rate_hz, voice.spec.hop)


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A voice that recordings are converted to, and how far.

    Attributes:
        styles: What the network knows of it: [layers, 2 * width].
        spectrum: Its long-term spectrum, as `spectra.long_term_spectrum` returns it: [mels].
        correction: What is added to the log magnitudes of a conversion: the difference between the
            long-term spectrum of its recordings and that of what the network makes of these:
            [mels].
        details: What the network loses of the frames of its recordings.
        f0_hz: Its median F0 in Hz; 0 where nothing is voiced.
        mix: The share of the target: 0 = the source's voice, 1 = the target's; above 1, up to
            `FARTHEST`, the long-term spectrum goes beyond the target's, away from the source's.
        layers: The indices of the layers that take the target's styles, 0 next to the content and
            the last one next to the mel, or a text such as "0-3,8"; None = all.

    Raises:
        KvoiceError: If the mix is out of range, or there is no such layer.
    """

    styles: np.ndarray
    spectrum: np.ndarray
    correction: np.ndarray
    details: spectra.Details
    f0_hz: float
    mix: float = MIX
    layers: Sequence[int] | str | None = None

    def __post_init__(self):
        mixed(self.styles, self.styles, self.mix, self.layers)

    @classmethod
    def of(
        cls,
        voice: object,
        recordings: Sequence[tuple[np.ndarray, np.ndarray]],
        mix: float = MIX,
        layers: Sequence[int] | str | None = None,
    ) -> "Target":
        """Returns the mean voice of some recordings.

        Args:
            voice: A model that converts, as a `voice.Voice`.
            recordings: What `recording` returns of each.
            mix: See `Target`.
            layers: See `Target`.
        """
        styles, means, details = [], [], []
        for mel, _ in recordings:
            found = voice.model.encode(mel)
            made = _decoded(voice.model, found, found["styles"], len(mel))
            styles.append(found["styles"])
            means.append([spectra.long_term_spectrum(each, voice.spec) for each in (mel, made)])
            details.append(spectra.Details.of(mel, made, voice.spec))
        own, made = np.mean(means, axis=0)
        return cls(
            np.mean(styles, axis=0),
            own,
            own - made,
            spectra.Details.joined(details),
            median_f0(np.concatenate([f0 for _, f0 in recordings])),
            mix,
            layers,
        )

    @property
    def share(self) -> float:
        """The way to the target that is gone outside of the network; above 1, beyond it."""
        count, layers = len(self.styles), self.layers
        if isinstance(layers, str):
            layers = layer_numbers(layers, count)
        return self.mix * (1.0 if layers is None else len({*layers}) / count)

    def added(self, mel: np.ndarray, made: np.ndarray, spec: audio.Spec) -> np.ndarray:
        """Returns what is added to the log magnitudes of a conversion.

        Shapes: mel, made [time, mels] on the scale of the Spec -> [time, mels].

        Args:
            mel: The mel of the source.
            made: Its conversion by the network.
            spec: The Spec of both.
        """
        lost = self.correction + self.details.of_similar(made, spec)
        away = self.spectrum - spectra.long_term_spectrum(mel, spec)
        return min(self.share, 1) * lost + max(self.share - 1, 0) * away

    def vocoder(self, spec: audio.Spec, f0: np.ndarray) -> HarmonicVocoder | None:
        """Returns a vocoder that gives a conversion the intonation of its source.

        The F0 of the source is transposed so that its median is that of the target; on a part of
        the way, on a logarithmic scale.

        Args:
            spec: The Spec of the mels.
            f0: The F0 of the source, in Hz, 0 = unvoiced: [time].

        Returns:
            The vocoder; None, for Griffin-Lim, where no frame of one of the two is voiced.
        """
        own_hz = median_f0(f0)
        if not own_hz or not self.f0_hz:
            return None
        return HarmonicVocoder(spec, f0 * (self.f0_hz / own_hz) ** min(self.share, 1))


def median_f0(f0: np.ndarray) -> float:
    """Computes the median of the voiced frames of an F0 track, in Hz; 0 where there is none."""
    return float(np.median(f0[f0 > 0])) if np.any(f0 > 0) else 0.0


def mixed(
    source: np.ndarray,
    target: np.ndarray,
    mix: float = 1.0,
    layers: Sequence[int] | str | None = None,
) -> np.ndarray:
    """Mixes the styles of two voices, layer by layer.

    `(1 - mix) * source + mix * target` in the chosen layers, `source` in all others. A mix above 1
    does the same as 1, since styles beyond the target's cost words.

    Shapes: source, target [layers, 2 * width] -> the same.

    Args:
        source: The styles of the recording that is converted.
        target: The styles of the target voice.
        mix: The share of the target: 0 = the source's voice, from 1 up to `FARTHEST` the target's.
        layers: The indices of the layers that take the target's styles, 0 next to the content and
            the last one next to the mel, or a text such as "0-3,8"; None = all.

    Raises:
        KvoiceError: If the mix is out of range, or there is no such layer.
    """
    if not (isinstance(mix, (int, float, np.number)) and 0 <= mix <= FARTHEST):
        raise KvoiceError(
            f"mix: {mix} must be from 0, the source's voice, to 1, the target's, or beyond it to "
            f"{FARTHEST:g}"
        )
    if isinstance(layers, str):
        layers = layer_numbers(layers, len(target))
    layers = range(len(target)) if layers is None else layers
    if wrong := [layer for layer in layers if layer not in range(len(target))]:
        raise KvoiceError(f"layers: there is no layer {wrong[0]}, only 0 to {len(target) - 1}")
    styles, chosen = np.array(source, np.float32), list(layers)
    share = min(mix, 1)
    styles[chosen] = (1 - share) * styles[chosen] + share * np.asarray(target, np.float32)[chosen]
    return styles


def layer_numbers(text: str, count: int) -> list[int]:
    """Parses layers in a text such as "0-3,8"; returns them sorted.

    Raises:
        KvoiceError: If it names none, or one that a model with `count` layers does not have.
    """
    numbers = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < count:
            raise KvoiceError(
                f"--layers={text}: expected numbers from 0 to {count - 1} and ranges of them, "
                f"as in 0-3,{count - 1}"
            )
        numbers |= set(range(first, last + 1))
    return sorted(numbers)


def converted(
    model: object,
    mel: np.ndarray,
    styles: np.ndarray,
    mix: float = 1.0,
    layers: Sequence[int] | str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a mel again with the network alone: in its own voice, and in another one.

    Shapes: mel [time, mels] on the scale of the Spec, styles [layers, 2 * width] -> two of
    [time, mels].

    Args:
        model: A model that converts.
        mel: The mel that `input_mel` returns.
        styles: The styles of the target.
        mix: See `mixed`.
        layers: See `mixed`.
    """
    found = model.encode(mel)
    voices = found["styles"], mixed(found["styles"], styles, mix, layers)
    own, other = (_decoded(model, found, voice, len(mel)) for voice in voices)
    return own, other


def _decoded(model, found, styles, frames):
    """The mel of a content and styles."""
    mel = model.decode(found["content"], styles)[:frames]
    if not np.isfinite(mel).all():
        raise KvoiceError("the model makes NaN or infinite values; train it again")
    return mel


def as_loud(mel: np.ndarray, like: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Gives a mel the loudness of another one over time.

    A network has a loudness of its own, that of its training data. The loudness of a frame is the
    logarithm of the mean magnitude of its bands; the difference is averaged over `LOUDNESS_S`, and
    over `BRIEF_S` the mel is at most `LOUDER_DB` louder, so that no burst decides the level of all.

    Shapes: mel, like [time, mels] on the scale of the Spec -> [time, mels].
    """
    softer = spectra.loudness(like, spec) - spectra.loudness(mel, spec)

    def averaged(seconds):
        frames = 1 + 2 * round(seconds * spec.sample_rate_hz / spec.hop / 2)
        return scipy.ndimage.uniform_filter1d(softer, frames, mode="nearest")

    most = averaged(BRIEF_S) + LOUDER_DB / 20 * np.log(10)
    gain = np.exp(np.minimum(averaged(LOUDNESS_S), most))
    return audio.scaled(audio.magnitude(mel, spec) * gain[:, None], spec)


def conversion(voice: object, mel: np.ndarray, target: Target) -> np.ndarray:
    """Converts a mel to another voice, with the same timing and loudness.

    What the network makes is given back what it loses: of the frames of the source a share
    (`DETAIL`), and of the target what `Target.added` says. The loudness is made that of the source.

    Shapes: mel [time, mels] on the scale of the Spec -> [time, mels].

    Args:
        voice: A model that converts, as a `voice.Voice`.
        mel: The mel that `input_mel` returns.
        target: The voice.
    """
    spec = voice.spec
    own, made = converted(voice.model, mel, target.styles, target.mix, target.layers)
    logs = spectra.logs(made, spec) + DETAIL * spectra.lost(mel, own, spec)
    logs += target.added(mel, made, spec)
    return as_loud(audio.scaled(np.exp(logs), spec), mel, spec)


def convert_wave(
    voice: object,
    wave: np.ndarray,
    target: Target,
    vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
    rate_hz: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Converts a wave to another voice, with the same length and loudness (see `levelled`).

    Shapes: wave [samples] -> mel [1 + samples // hop, mels], of samples at the rate of the Spec and
    in each part, wave [samples].

    Args:
        voice: A model that converts, as a `voice.Voice`.
        wave: The source.
        target: The voice.
        vocoder: A `vocode.Vocoder`; None = harmonics and noise (see `Target.vocoder`).
        rate_hz: The rate of the given and of the returned wave; None = that of the Spec.

    Raises:
        KvoiceError: If the wave cannot be used (see `input_mel`).
    """
    rate_hz = rate_hz or voice.spec.sample_rate_hz
    parts = audio.cut([np.asarray(wave, np.float32)], rate_hz, PART_S)
    made = list(_parts(voice, parts, rate_hz, rate_hz, target, vocoder))
    waves = [gain * part["wave"] for gain, part in zip(_gains(made), made)]
    return np.concatenate([part["mel"] for part in made]), np.concatenate(waves)


def _gains(parts):
    """The factors that make all parts quieter by as much as the one that is quieter by most."""
    most_db = max(part["quieter_db"] for part in parts)
    return [np.float32(10 ** ((part["quieter_db"] - most_db) / 20)) for part in parts]


def _parts(voice, parts, rate_hz, to_hz, target, vocoder):
    """Converts the parts of a recording; yields the mel, the wave, its duration and times of each.

    A part is as loud as it was, but for what keeps it within full scale (see `_gains`). Where there
    is no vocoder, its sound is made in threads, while the next parts are converted.
    """
    own_hz, end, sounds = voice.spec.sample_rate_hz, 0, False
    first, second = next(parts), next(parts, None)
    several = second is not None
    ahead = os.cpu_count() if several and vocoder is None else 0
    # Threads of BLAS and of PyTorch that wait for work take time from those of Griffin-Lim.
    limits = {"blas": 1, "openmp": max(1, ahead // 2)} if ahead else None
    with (
        threadpoolctl.threadpool_limits(limits),
        concurrent.futures.ThreadPoolExecutor(ahead or 1) as pool,
    ):
        waiting = collections.deque()
        for part in itertools.chain([first, second] if several else [first], parts):
            begun_s = time.perf_counter()
            source = audio.resample(part, rate_hz, own_hz)
            begin, end = end, end + len(part)
            samples = round(end * to_hz / rate_hz) - round(begin * to_hz / rate_hz)
            sounding = vocoder
            if several and audio.silent(source):
                mel, network_s = None, 0.0
            else:
                where = named(f"from {begin / rate_hz:.1f} s on")
                with where if several else contextlib.nullcontext():
                    mel = input_mel(voice, source)
                mel, sounds = conversion(voice, mel, target), True
                if not vocoder:
                    f0 = audio.f0(source, own_hz, voice.spec.hop)
                    sounding = target.vocoder(voice.spec, f0)
                network_s = time.perf_counter() - begun_s
            known = {"seconds": len(part) / rate_hz, "network_s": network_s}
            job = functools.partial(
                _sounded, mel, voice.spec, len(source), sounding, part, to_hz, samples
            )
            if not ahead:
                yield job() | known
                continue
            waiting.append((pool.submit(job), known))
            if len(waiting) > ahead:
                made, known = waiting.popleft()
                yield made.result() | known
        for made, known in waiting:
            yield made.result() | known
    if not sounds:
        raise KvoiceError("silent")


def _sounded(mel, spec, length, vocoder, like, to_hz, samples):
    """The sound of a converted part, as loud as the source; without a mel, silence."""
    if mel is None:
        mel = np.full((spec.frames(length), spec.mels), spec.silence, np.float32)
        wave, quieter_db, vocoder_s = np.zeros(samples, np.float32), 0.0, 0.0
    else:
        begun_s = time.perf_counter()
        wave = render.sound(mel, spec, length, vocoder)
        vocoder_s = time.perf_counter() - begun_s
        wave = render.fitted(audio.resample(wave, spec.sample_rate_hz, to_hz), samples)
        wave, quieter_db = render.levelled(wave, like)
    return {"mel": mel, "wave": wave, "quieter_db": quieter_db, "vocoder_s": vocoder_s}


# --- Files


def convert(
    voice: object,
    source: str,
    targets: list[str],
    output: str,
    mix: float = MIX,
    layers: Sequence[int] | str | None = None,
    vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
    rate_hz: int | None = None,
    overwrite: bool = False,
) -> tuple[list[dict], list[str]]:
    """Converts a sound file, or all those of a folder, to the voice of other files.

    A conversion is as long as its source, to the sample where their rates agree, and as loud (see
    `levelled`). Those of a folder have the names of their sources below the output, with .wav in
    place of the ending, or after it where two would get the same name; targets and files below the
    output are not converted.

    Args:
        voice: A model that converts, as a `voice.Voice`.
        source: A sound file of any rate, or a folder.
        targets: Sound files of any rate, of one voice.
        output: A file whose name ends in .wav, or a folder, created if missing.
        mix: See `Target`.
        layers: See `Target`.
        vocoder: See `convert_wave`.
        rate_hz: The rate of the written files; None = that of the Spec.
        overwrite: Whether files that kvoice did not write are replaced too.

    Returns:
        (Rows of {"file", "output", "seconds" of sound, "quieter_db", the attenuation that keeps all
        samples within full scale, "network_s" and "vocoder_s", the times of both}; messages that
        name the skipped files of a folder and the reasons).

    Raises:
        KvoiceError: If a target, or the only source, is missing or cannot be used, the source is a
            target, a recording would be overwritten, an argument is out of range, or there is no
            place for the output; all this is checked before anything is converted.
    """
    lowest, highest = audio.LOWEST_RATE_HZ, audio.HIGHEST_RATE_HZ
    if rate_hz is not None and not lowest <= rate_hz <= highest:
        raise KvoiceError(f"--rate={rate_hz}: must be between {lowest} and {highest}, in Hz")
    planned, left_out = plan(source, targets, output)
    recordings = []
    for target in targets:
        wave, _ = audio.read(target, voice.spec.sample_rate_hz)
        with named(target):
            recordings.append(recording(voice, wave))
    target, several = Target.of(voice, recordings, mix, layers), os.path.isdir(source)
    with written_to(output, [place for _, place in planned], overwrite):
        rows = _converted_files(voice, planned, target, vocoder, rate_hz, left_out, several)
    return rows, left_out


def written_to(
    output: str, places: list[str], overwrite: bool
) -> contextlib.AbstractContextManager:
    """A block that writes files: `files.owned` of the output, or of the folder of a single file."""
    folder = os.path.dirname(os.path.abspath(output)) if places == [output] else output
    return owned(folder, [os.path.relpath(place, folder) for place in places], overwrite)


def _converted_files(voice, planned, target, vocoder, rate_hz, left_out, several):
    """Converts the files of a plan; returns the rows of `convert`."""
    rows = []
    for path, place in progress.bar(planned, desc="convert", unit="file"):
        try:
            row = _converted_file(voice, path, place, target, vocoder, rate_hz)
        except KvoiceError as error:
            if not several:
                raise
            left_out.append(str(error))
            continue
        rows.append({"file": path, "output": place, **row})
    return rows


def _converted_file(voice, path, place, target, vocoder, rate_hz):
    """Converts a file; returns the rest of its row."""
    to_hz = rate_hz or voice.spec.sample_rate_hz
    found = audio.parts(path, None, PART_S)
    first, own_hz = next(found)
    parts = itertools.chain([first], (part for part, _ in found))
    folder = os.path.dirname(os.path.abspath(place))
    os.makedirs(folder, exist_ok=True)
    rows = []
    with tempfile.TemporaryFile(dir=folder) as kept:  # the gains are known when all is converted
        with named(path):
            for part in _parts(voice, parts, own_hz, to_hz, target, vocoder):
                wave = part.pop("wave").astype(np.float32)
                _keep(kept, wave, place)
                rows.append(part | {"samples": len(wave)})
        kept.seek(0)
        waves = (np.frombuffer(kept.read(4 * row["samples"]), np.float32) for row in rows)
        audio.write_blocks(place, (gain * wave for gain, wave in zip(_gains(rows), waves)), to_hz)
    totals = {
        name: sum(row[name] for row in rows) for name in ("seconds", "network_s", "vocoder_s")
    }
    return {**totals, "quieter_db": max(row["quieter_db"] for row in rows)}


def _keep(file, wave, place):
    """Appends the samples of a wave to a temporary file."""
    try:
        file.write(wave.tobytes())
    except OSError as error:
        raise KvoiceError(f"{place}: cannot be written ({error.strerror})") from error


def quieter(rows: list[dict]) -> list[str]:
    """Returns a message on the rows of `convert` or `vocode` that were attenuated.

    Less than a twentieth of a dB is not reported.
    """
    fainter = sorted((row["quieter_db"], row["file"]) for row in rows if row["quieter_db"] >= 0.05)
    if not fainter:
        return []
    (most_db, path), why = fainter[-1], "so that no sample passes full scale"
    if len(fainter) == 1:
        return [f"{path}: comes out {most_db:.1f} dB quieter, {why}"]
    return [f"{len(fainter)} files come out quieter, {why}; the most {path}, by {most_db:.1f} dB"]


def plan(
    source: str, targets: list[str], output: str, kinds: tuple[str, ...] = AUDIO
) -> tuple[list[tuple[str, str]], list[str]]:
    """Plans which files are converted, and to which outputs.

    Args:
        source: A file, or a folder of files whose names end in one of `kinds`.
        targets: Files that are not to be converted.
        output: A file, or the folder for the outputs of a folder.
        kinds: The endings of the names of the files of a folder.

    Returns:
        (Pairs of a source and its output; messages that name the skipped files of a folder).

    Raises:
        KvoiceError: If the files do not fit, as described in `convert`.
    """
    paths, left_out = files(source, kinds)
    for target in targets:
        if not os.path.exists(target):
            raise KvoiceError(f"{target}: there is no such file")
    aims = {_identity(target) for target in targets}
    if not os.path.isdir(source):
        if _identity(source) in aims:
            raise KvoiceError(f"{source}: is the source and a target; a target is of another voice")
        if not output.lower().endswith(".wav") or os.path.isdir(output):
            raise KvoiceError(f"--output={output}: expected a file whose name ends in .wav")
        if not os.path.isdir(os.path.dirname(os.path.abspath(output))):
            raise KvoiceError(f"{output}: its directory is missing; make it first")
        planned = [(source, output)]
    else:
        if os.path.exists(output) and not os.path.isdir(output):
            raise KvoiceError(f"{output}: is a file, expected a directory for what is made")
        if output.lower().endswith(".wav") and not os.path.isdir(output):
            raise KvoiceError(
                f"--output={output}: is the name of a file, and {source} is a directory; name "
                "a directory for what is made"
            )
        left_out += [f"{path}: {TARGET}" for path in paths if _identity(path) in aims]
        paths = [path for path in paths if _identity(path) not in aims]
        made = os.path.join(os.path.realpath(output), "")
        if os.path.realpath(source) != os.path.realpath(output):
            paths = [path for path in paths if not os.path.realpath(path).startswith(made)]
        names = outputs([os.path.relpath(path, source) for path in paths])
        planned = [(path, os.path.join(output, name)) for path, name in zip(paths, names)]
    kept = aims | {_identity(path) for path in paths}
    for _, place in planned:
        if os.path.exists(place) and _identity(place) in kept:
            raise KvoiceError(
                f"{place}: is a recording that would be overwritten; choose another --output"
            )
    folder = os.path.abspath(os.path.dirname(output) if planned == [(source, output)] else output)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise KvoiceError(f"{output}: cannot be written to {folder} ({error.strerror})") from None
    return planned, left_out


def _identity(path):
    """Returns an identity that all names of a file share; the path itself of a missing file."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.abspath(path)
    return found.st_dev, found.st_ino


def outputs(names: list[str]) -> list[str]:
    """Returns unique names of wav files for sound files, also where case is ignored."""
    taken, chosen = set(), {}
    for name in sorted(names, key=lambda name: (not name.endswith(".wav"), name)):
        wanted = os.path.splitext(name)[0] + ".wav"
        if wanted.lower() in taken:
            wanted = f"{name}.wav"
        while wanted.lower() in taken:
            wanted += ".wav"
        taken.add(wanted.lower())
        chosen[name] = wanted
    return [chosen[name] for name in names]
