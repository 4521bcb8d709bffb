"""Vocodes mels and files with a trained vocoder.

    vocoder = Vocoder(model, spec)
    wave = vocoder(mel)                                  # [time, mels] -> [time * hop]

`vocode` does the same for files: recordings, which are resynthesised, and mels in .npy files.
"""

import os
import time

import numpy as np

from kvoice import audio, models, progress, runs
from kvoice.data.corpora.layout import AUDIO
from kvoice.errors import KvoiceError
from kvoice.inference.classify import named
from kvoice.inference.convert import plan, written_to
from kvoice.inference.render import levelled, sound
from kvoice.training import loop

MELS = ".npy"
OTHER_ARRAYS = (".npz", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".hdf5", ".safetensors", ".csv")
KINDS = (*AUDIO, MELS)  # endings of files that are vocoded
INFRASOUND_HZ = 20  # below it sound is inaudible, and mels hold no information
SIGMA = 0.6  # default standard deviation of the noise; trained with 1
BIASED = 88  # frames of the sound that the denoiser subtracts
BLOCK = 4096  # frames denoised at once


class Vocoder:
    """A trained vocoder with its settings for synthesis.

    Args:
        model: With a verb `infer(mel, sigma, seed)` and a `prewhitening` or None.
        spec: The Spec of its mels and waves.
        sigma: The standard deviation of its noise; None = `SIGMA`.
        denoise: The strength of the denoiser, which subtracts the tone that is the same for every
            mel: 0 = nothing, 1 = as much as the vocoder synthesises without noise.
        seed: The seed of the noise.

    Raises:
        KvoiceError: If sigma or the strength is below 0, or the strength is not 0 and the
            vocoder was trained with prewhitening.
    """

    def __init__(
        self,
        model: object,
        spec: audio.Spec,
        sigma: float | None = None,
        denoise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.model, self.spec, self.seed, self.denoise = model, spec, seed, denoise
        self.sigma = SIGMA if sigma is None else sigma
        for name, value in (("sigma", self.sigma), ("denoise", denoise)):
            if not 0 <= value < float("inf"):
                raise KvoiceError(f"--{name}={value}: must be a number, and not below 0")
        if denoise and model.prewhitening:
            raise KvoiceError(
                f"--denoise={denoise}: the denoiser subtracts a tone that is the same for every "
                "mel, and this vocoder's have the spectrum of the mel (prewhiten); "
                "leave --denoise out"
            )
        self._bias = bias(model, spec) if denoise else None

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        """Synthesises the wave of a mel, de-emphasised and high-passed at `INFRASOUND_HZ`.

        Shapes: [time, mels] -> [time * hop]; [batch, time, mels] -> [batch, time * hop].
        """
        wave = self.model.infer(mel, sigma=self.sigma, seed=self.seed)
        if self.denoise:
            wave = denoised(wave, self.denoise * self._bias, self.spec)
        return audio.highpassed(
            audio.deemphasised(wave, self.spec), INFRASOUND_HZ, self.spec.sample_rate_hz
        )

    def graph(self, mel):
        """Does the same in `keras.ops`, without denoising, chunks, de-emphasis and filter.

        It is differentiable. Every item is given the same noise.

        Shapes: [batch, time, mels] -> [batch, time * hop].
        """
        return self.model.sounded(mel, self.sigma, self.seed)


def check(run: runs.Run, spec: audio.Spec, path: str | os.PathLike) -> None:
    """Checks that a run is a vocoder for a Spec.

    Args:
        run: A `runs.Run`.
        spec: The Spec of the mels that are vocoded.
        path: The origin of the mels, for the message.

    Raises:
        KvoiceError: If it is of another model, or has another Spec, whose fields are named.
    """
    models.check(run, "vocode")
    if differences := run.spec.differences(spec, audio.OF_MEL):
        raise KvoiceError(
            f"{run.path}: has another Spec than {path} ({'; '.join(differences)}): "
            "train both on the same audio"
        )


def of_run(path: str | os.PathLike, run: runs.Run, **chosen: float | None) -> Vocoder | None:
    """Loads the trained vocoder of a run for the mels of another; None for no path.

    Args:
        path: The path of the run of the vocoder; "" = none.
        run: The `runs.Run` that makes the mels.
        **chosen: Arguments of `Vocoder`.

    Raises:
        KvoiceError: If it is no vocoder, or has another Spec, or the other run makes no mels.
    """
    if not path:
        return None
    if (domain := run.config["model"].get("domain", "mel")) != "mel":
        raise KvoiceError(
            f"--vocoder={path}: makes the sound of mels, and {run.path} makes {domain}s; leave it "
            f"out"
        )
    try:
        found = runs.load(path)
        check(found, run.spec, run.path)
    except KvoiceError as error:
        raise KvoiceError(f"--vocoder={error}") from None
    return Vocoder(loop.load(path), found.spec, **chosen)


def bias(model: object, spec: audio.Spec) -> np.ndarray:
    """Computes the tone of a vocoder: its output without noise for a mel of ones.

    Shapes: -> magnitudes [1 + fft // 2], those of the first frame.

    Source: the denoiser in the public code of WaveGlow, arXiv:1811.00002.
    """
    level = audio.scaled(np.float32(1), spec)  # of the natural logarithm: 0
    wave = model.infer(np.full((BIASED, spec.mels), level), sigma=0.0)
    return np.abs(audio.stft(wave[: 2 * spec.fft], spec)[0])


def denoised(wave: np.ndarray, taken: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Subtracts the magnitudes of a steady tone from those of a wave, which keeps its phases.

    Shapes: wave [..., samples], taken [1 + fft // 2] -> [..., samples].
    """
    clean = np.empty_like(wave)
    step, edge = BLOCK * spec.hop, spec.hop * -(-spec.fft // spec.hop)
    for start in range(0, wave.shape[-1], step):
        first = max(0, start - edge)
        part = wave[..., first : start + step + edge]
        spectrum = audio.stft(part, spec)
        size = np.abs(spectrum)
        spectrum = spectrum * (np.maximum(size - taken, 0) / np.maximum(size, 1e-9))
        sound = audio.istft(spectrum, spec, part.shape[-1])
        clean[..., start : start + step] = sound[..., start - first :][..., :step]
    return clean


# --- Files


def read_mel(path: str | os.PathLike, spec: audio.Spec) -> np.ndarray:
    """Reads the mel in an .npy file: [time, mels] float32, on the scale of the Spec.

    Raises:
        KvoiceError: If the file is missing, no array of real, finite numbers, or has another
            shape or scale; the message names the conversion.
    """
    try:
        # Mapped: an array that the file only announces takes no memory.
        with np.errstate(over="ignore"):
            mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise KvoiceError(f"{path}: there is no such file") from None
    except Exception:  # a broken header fails in any way
        raise KvoiceError(
            f"{path}: is no .npy file of numbers; np.save(PATH, mel) writes one"
        ) from None
    if not isinstance(mel, np.ndarray) or mel.dtype.kind not in "fiu":
        raise KvoiceError(f"{path}: holds no real numbers; np.save(PATH, mel) writes a mel")
    shape = list(mel.shape)
    if mel.ndim == 3 and len(mel) == 1:
        mel = mel[0]
    if mel.ndim == 2 and mel.shape[0] == spec.mels != mel.shape[1]:
        raise KvoiceError(
            f"{path}: has the shape {shape}, [mels, time]; expected [time, {spec.mels}]: save "
            f"its transpose, np.save(PATH, mel{'[0]' * (len(shape) == 3)}.T)"
        )
    if mel.ndim == 3:
        raise KvoiceError(
            f"{path}: has the shape {shape}, expected [time, {spec.mels}]: save each mel in a "
            f"file of its own"
        )
    if mel.ndim != 2 or mel.shape[1] != spec.mels or not len(mel):
        raise KvoiceError(f"{path}: has the shape {shape}, expected [time, {spec.mels}]")
    mel = mel.astype(np.float32)
    if not np.isfinite(mel).all():
        raise KvoiceError(
            f"{path}: holds numbers that are not finite; of -inf, the logarithm of 0, "
            f"np.maximum({spec.low:.4f}, mel) makes silence"
        )
    if reason := other_scale(mel, spec):
        raise KvoiceError(f"{path}: {reason}")
    return mel


def other_scale(mel: np.ndarray, spec: audio.Spec) -> str:
    """Describes the scale of a mel and its conversion; "" if it is that of the Spec.

    On the natural logarithm's scale: magnitudes are nowhere negative; decibels pass far below the
    floor; no sound of full scale passes `highest`; the base-10 logarithm of speech spans 2 to 5,
    and in the quietest frames, which are noise, a band changes from one to the next by 0.09 to 0.14
    in the median, where the natural one changes by 0.2 to 0.33 (measured on speech in noise of all
    levels). It is a heuristic, which does not detect every other scale.

    Shapes: mel [time, mels].
    """
    low, high = np.quantile(mel, (0.001, 0.999))
    reached = f"goes from {mel.min():.1f} to {mel.max():.1f}"
    if spec.scale != "ln":
        if low < spec.low - 1 or high > spec.high + 1:
            return f"{reached}; on the {spec.scale} scale of the Spec {spec.low:g} to {spec.high:g}"
        return ""
    floor, ten = np.log(spec.floor), np.log10(spec.floor)
    if mel.min() >= 0 and np.ptp(mel) > 0:
        return (
            "is nowhere negative, and the natural logarithm of magnitudes is wanted: of magnitudes "
            f"np.log(np.maximum({spec.floor:g}, mel)), of powers np.maximum({floor:.4f}, "
            f"np.log(mel) / 2); a scale from 0 to 1, or log(1 + x), has to be undone first"
        )
    if (low < floor - 1 or high > highest(spec)) and high - low > 30:
        return (
            f"{reached}, which looks like decibels; the natural logarithm is wanted: "
            f"np.maximum({floor:.4f}, mel * np.log(10) / 20), if 0 dB is a magnitude of 1"
        )
    if low < floor - 1:
        return (
            f"{reached}, below the floor of the Spec; of the natural logarithm of the magnitude "
            f"take np.maximum({floor:.4f}, mel); of the power, np.maximum({floor:.4f}, mel / 2)"
        )
    if high > highest(spec):
        return (
            f"{reached}, and no sound of full scale passes {highest(spec):.1f}; what was scaled "
            f"or standardised has to be undone first"
        )
    if ten - 0.05 <= mel.min() and 2 < high - low < -ten and high < 1.2 and _roughness(mel) < 0.165:
        return (
            f"{reached}, which looks like the base-10 logarithm; the natural one is wanted: "
            "mel * np.log(10)"
        )
    return ""


def highest(spec: audio.Spec) -> float:
    """Computes an upper bound of the natural logarithm of the mel of any sound of full scale.

    The energy of its samples is that of its spectrum (Parseval), and of how that lies in a band
    nothing is known (Cauchy-Schwarz).
    """
    size = 1 + spec.preemphasis  # of a sample, before the mel
    filters, energy = audio.mel_filters(spec), spec.fft * np.square(size * audio.window(spec)).sum()
    most = (
        filters.max() * energy
        if spec.power == 2
        else np.sqrt(np.square(filters).sum(axis=0).max() * energy)
    )
    return float(np.log(most))


def _roughness(mel):
    """Computes the median change of a band from one of the quietest frames to the next."""
    level = mel[:-1].mean(axis=1)
    quiet = np.flatnonzero(level <= np.quantile(level, 0.2))
    return float(np.median(np.abs(mel[quiet + 1] - mel[quiet])))


def vocode(
    vocoder: Vocoder, source: str, output: str, overwrite: bool = False
) -> tuple[list[dict], list[str]]:
    """Vocodes a file, or all of a folder: recordings and mels.

    A recording of any rate is converted to a mel of the Spec and resynthesised with its length and
    loudness (see `render.levelled`); a mel [time, mels] in an .npy file gives a wave of time * hop
    samples at the level of the vocoder. The written files have the rate of the Spec.

    Args:
        vocoder: A `Vocoder`.
        source: A file or a folder.
        output: A file whose name ends in .wav, or a folder, created if missing.
        overwrite: Whether files that kvoice did not write are replaced too.

    Returns:
        (Rows of {"file", "output", "seconds" of sound, "took_s", "quieter_db", the attenuation
        that keeps all samples within full scale}; messages that name the skipped files of a folder
        and the reasons).

    Raises:
        KvoiceError: If the only file is missing or cannot be used, or there is no place for the
            output.
    """
    planned, left_out = plan(source, [], output, KINDS)
    with written_to(output, [place for _, place in planned], overwrite):
        return _vocoded_files(vocoder, planned, left_out, os.path.isdir(source)), left_out


def _vocoded_files(vocoder, planned, left_out, several):
    """Vocodes the files of a plan; returns the rows of `vocode`."""
    rows, spec = [], vocoder.spec
    for path, place in progress.bar(planned, desc="vocode", unit="file"):
        try:
            mel, original = read_input(path, spec)
        except KvoiceError as error:
            if not several:
                raise
            left_out.append(str(error))
            continue
        begun = time.perf_counter()
        wave = sound(mel, spec, None if original is None else len(original), vocoder)
        took_s = time.perf_counter() - begun
        wave, quieter_db = levelled(wave, wave if original is None else original)
        os.makedirs(os.path.dirname(os.path.abspath(place)), exist_ok=True)
        audio.write(place, wave, spec.sample_rate_hz)
        rows.append(
            {
                "file": path,
                "output": place,
                "seconds": len(wave) / spec.sample_rate_hz,
                "took_s": took_s,
                "quieter_db": quieter_db,
            }
        )
    return rows


def read_input(path: str, spec: audio.Spec) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads the mel of a file, and its recording, high-passed, [samples]; None if it is a mel.

    Raises:
        KvoiceError: If the file cannot be used.
    """
    if path.lower().endswith(MELS):
        return read_mel(path, spec), None
    if path.lower().endswith(OTHER_ARRAYS):
        raise KvoiceError(
            f"{path}: mels are read from {MELS} files; np.save(PATH, mel) writes one, [time, mels]"
        )
    wave, _ = audio.read(path, spec.sample_rate_hz)
    with named(path):
        if reason := audio.problem(wave, spec.sample_rate_hz):
            raise KvoiceError(reason)
    wave = audio.highpassed(
        wave, INFRASOUND_HZ, spec.sample_rate_hz
    )  # a constant offset would be in the lowest bands
    return audio.mel(audio.condition(wave, spec, trim=False), spec), wave
