"""Uses trained models on arrays of samples at any sampling rate.

    voice = kvoice.load("runs/mine")
    out = voice.convert(me, you, 44100)          # as long as `me`, and at 44100 Hz like it

A `Voice` works on arrays as the commands work on files; both use the functions of the modules
beside this one, which take a `Voice`.
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from kvoice import audio, models, runs
from kvoice.errors import KvoiceError, hint
from kvoice.inference import classify, convert, encode, render, vocode
from kvoice.inference.generate import matching
from kvoice.training import loop

FULL = 2.0  # limit of float samples, above which full scale cannot be 1


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Voice:
    """A trained model with its Spec and its labels; `load` reads one from a run.

    A wave is an array [samples]: floats whose full scale is 1, or integers, which are scaled by
    their width. `rate` is its sampling rate in Hz; the wave is resampled to that of the Spec. An
    unusable argument raises a `KvoiceError` that begins with its name.

    Attributes:
        model: One of `models.MODELS`, trained.
        spec: The Spec of its inputs and outputs.
        names: The names of the labels that it is conditioned on or predicts; [] = none.
        run: The `runs.Run` that it was loaded from; None for a model in training.
    """

    model: object
    spec: audio.Spec
    names: list = dataclasses.field(default_factory=list)
    run: runs.Run | None = None

    def __repr__(self):
        verbs = ", ".join(verb for verb in self.model.verbs if hasattr(self, verb))
        return f"Voice({self.run and str(self.run.path)!r}, {type(self.model).__name__}: {verbs})"

    # Verbs of some models

    def generate(
        self,
        count: int = 1,
        label: str | int | Sequence[str | int] | np.ndarray | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Generates speech from noise: [count, samples] at `spec.sample_rate_hz`.

        Mels are converted by `to_wave`; `model.generate` returns the mels themselves.

        Args:
            count: The number of items.
            label: One of `names` or its index, or one for each; None for a model without labels.
            seed: The seed of the noise.

        Raises:
            KvoiceError: If the model does not generate, or an argument is invalid.
        """
        self._check("generate")
        for name, value, least in (("count", count, 1), ("seed", seed, 0)):
            if not _whole(value) or value < least:
                raise KvoiceError(f"{name}: {value!r} must be a whole number of at least {least}")
        items = self.model.generate(count, self._indices(label, count), seed)
        if self.model.domain == "wave":
            return render.waves(items, self.spec, "wave")
        return np.stack([self.to_wave(mel) for mel in items])

    def convert(
        self,
        source: np.ndarray,
        target: np.ndarray | Sequence[np.ndarray],
        rate: float,
        mix: float = convert.MIX,
        layers: Sequence[int] | str | None = None,
    ) -> np.ndarray:
        """Converts the source to the voice of the target, with the same length and loudness.

        Shapes: [samples] -> the same.

        Args:
            source: A wave.
            target: A wave, or a list of waves of one speaker, whose mean is taken.
            rate: The sampling rate of the source, the targets and the result.
            mix: The share of the target's voice: 0 = the voice of the source, 1 = that of the
                target; above 1, up to 2, its long-term spectrum goes beyond the target's.
            layers: The indices of the layers of the decoder that take the target's voice, 0 next to
                the content; None = all.

        Raises:
            KvoiceError: If the model does not convert, or an argument cannot be used.
        """
        self._check("convert")
        several = isinstance(target, (list, tuple)) and len(target) and np.ndim(target[0])
        source, recordings = _samples(source, "source"), []
        for k, wave in enumerate(target if several else [target]):
            name = f"target[{k}]" if several else "target"
            wave = self._resampled(wave, rate, name)
            with classify.named(name):
                recordings.append(convert.recording(self, wave))
        voice = convert.Target.of(self, recordings, mix, layers)
        with classify.named("source"):
            return convert.convert_wave(self, source, voice, rate_hz=rate)[1]

    def encode(self, wave: np.ndarray, rate: float) -> np.ndarray:
        """Encodes a recording as an embedding: [embedding].

        The embedding of the voice, or the means of the latents, as the model has it.

        Raises:
            KvoiceError: If the model does not encode sound, or an argument cannot be used.
        """
        self._check("encode")
        wave = self._resampled(wave, rate, "wave")
        with classify.named("wave"):
            if reason := audio.problem(wave, self.spec.sample_rate_hz):
                raise KvoiceError(reason)
            return encode.of_waves(self, [wave])[0]

    def classify(self, wave: np.ndarray, rate: float) -> dict[str, float]:
        """Classifies a recording: name of a label -> probability.

        Raises:
            KvoiceError: If the model does not classify, or an argument cannot be used.
        """
        self._check("classify")
        wave = self._resampled(wave, rate, "wave")
        with classify.named("wave"):
            odds = classify.wave_probabilities(self, wave)
        return {name: float(p) for name, p in zip(self.names, odds)}

    def vocode(self, mel: np.ndarray) -> np.ndarray:
        """Synthesises the wave of a mel with this vocoder, faded in and out.

        Shapes: mel [time, mels] on the scale of the Spec -> [time * hop].

        Raises:
            KvoiceError: If the model is no vocoder, or the mel has another shape or scale.
        """
        self._check("vocode")
        mel = self._mel(mel)
        if reason := vocode.other_scale(mel, self.spec):
            raise KvoiceError(f"mel: {reason}")
        return render.sound(mel, self.spec, vocoder=vocode.Vocoder(self.model, self.spec))

    # Of every model

    def mel(self, wave: np.ndarray, rate: float) -> np.ndarray:
        """Computes the mel of a wave by the Spec, at its level, without trimming.

        Shapes: [samples] -> [1 + samples // hop, mels], of samples at the rate of the Spec.

        Raises:
            KvoiceError: If an argument cannot be used.
        """
        wave = self._resampled(wave, rate, "wave")
        return audio.mel(audio.condition(wave, self.spec, trim=False), self.spec)

    def to_wave(self, mel: np.ndarray, vocoder: "Voice | None" = None) -> np.ndarray:
        """Synthesises the wave of a mel of this Spec, faded in and out.

        Shapes: mel [time, mels] -> [time * hop].

        Args:
            mel: A mel that `mel` or the model returns.
            vocoder: Another `Voice` that vocodes; None = Griffin-Lim.

        Raises:
            KvoiceError: If the mel has another shape, or the vocoder another Spec.
        """
        mel = self._mel(mel)
        if vocoder is not None:
            if not isinstance(vocoder, Voice):
                raise KvoiceError("vocoder: is no Voice; kvoice.load(RUN) of a vocoder gives one")
            with classify.named("vocoder"):
                vocoder._check("vocode")
                if differences := vocoder.spec.differences(self.spec, audio.OF_MEL):
                    raise KvoiceError(
                        f"has another Spec ({'; '.join(differences)}): train both on the same audio"
                    )
            vocoder = vocode.Vocoder(vocoder.model, vocoder.spec)
        return render.sound(mel, self.spec, vocoder=vocoder)

    # What is given

    def _check(self, verb):
        if verb not in self.model.verbs:
            raise KvoiceError(
                f"{verb}: {type(self.model).__name__} has no such verb; load a run "
                f"of {' or '.join(models.named(verb))}"
            )

    def _indices(self, label, count):
        """Returns the index of a label, or one for each of `count` items; None without labels."""
        if not self.names:
            if label is not None:
                raise KvoiceError("label: this model has no labels; leave it out")
            return None
        if label is None:
            raise KvoiceError(f"label: is missing; give one of {', '.join(self.names)}")
        one = not isinstance(label, (list, tuple, np.ndarray))
        labels = [label] if one else list(label)
        if not one and len(labels) != count:
            raise KvoiceError(
                f"label: {len(labels)} of them for count={count}; give one, or one for each"
            )
        indices = [self._index(each) for each in labels]
        return indices[0] if one else indices

    def _index(self, label):
        if _whole(label):
            if 0 <= label < len(self.names):
                return int(label)
            raise KvoiceError(f"label: {label} must be from 0 to {len(self.names) - 1}")
        fit = matching(self.names, label)
        if len(fit) != 1:
            raise KvoiceError(
                f"label: {label!r} is none of this model; {hint(str(label), self.names)}"
            )
        return fit[0]

    def _resampled(self, wave, rate, name):
        """Resamples a wave argument to the rate of the Spec."""
        number = isinstance(rate, (int, float, np.number)) and not isinstance(rate, bool)
        if not number or not audio.LOWEST_RATE_HZ <= rate < np.inf:
            raise KvoiceError(
                f"rate: {rate!r} must be the sampling rate of the wave in Hz, at "
                f"least {audio.LOWEST_RATE_HZ}"
            )
        wave = audio.resample(_samples(wave, name), rate, self.spec.sample_rate_hz)
        if not len(wave):
            raise KvoiceError(f"{name}: is too short, less than a sample at the rate of the Spec")
        return wave

    def _mel(self, mel):
        """Checks a mel argument: [time, mels] float32."""
        mel = _array(mel, "mel")
        shape, wanted = list(mel.shape), f"[time, {self.spec.mels}]"
        if mel.dtype.kind not in "fiu":
            raise KvoiceError(f"mel: holds no real numbers, expected {wanted}")
        if mel.ndim == 3:
            raise KvoiceError(f"mel: has the shape {shape}, expected {wanted}; give one at a time")
        if mel.ndim == 2 and shape[0] == self.spec.mels != shape[1]:
            raise KvoiceError(
                f"mel: has the shape {shape}, [mels, time], expected {wanted}; give mel.T"
            )
        if mel.ndim != 2 or shape[1] != self.spec.mels or not len(mel):
            raise KvoiceError(f"mel: has the shape {shape}, expected {wanted}")
        if not np.isfinite(mel).all():
            raise KvoiceError(
                "mel: holds numbers that are not finite; of -inf, the logarithm of "
                f"0, np.maximum({self.spec.low:.4f}, mel) makes silence"
            )
        return mel.astype(np.float32)


def _whole(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _array(value, name):
    try:
        return np.asarray(value)
    except ValueError:  # rows of several lengths
        raise KvoiceError(f"{name}: is no array, its rows have several lengths") from None


def _samples(wave, name):
    """Checks a wave argument: [samples] float32, full scale = 1."""
    if isinstance(wave, (str, os.PathLike)):
        raise KvoiceError(
            f"{name}: is a path, expected samples; kvoice.audio.read({wave!r}) reads them"
        )
    wave = _array(wave, name)
    kind, width = wave.dtype.kind, wave.dtype.itemsize
    if kind not in "fiu" or kind in "iu" and width > 4:
        raise KvoiceError(
            f"{name}: holds {wave.dtype}, expected floats, or integers of at most 32 "
            "bits as PCM has them, such as int16"
        )
    if wave.ndim != 1:
        raise KvoiceError(
            f"{name}: has the shape {list(wave.shape)}, expected [samples]; give one "
            "channel, or their mean"
        )
    if not len(wave):
        raise KvoiceError(f"{name}: holds no samples")
    if kind == "f":
        if not np.isfinite(wave).all():
            raise KvoiceError(f"{name}: holds NaN or infinite samples; leave them out")
        if (peak := np.abs(wave).max()) > FULL:
            raise KvoiceError(
                f"{name}: reaches {peak:.4g}, and full scale is 1; divide it by its "
                "full scale, 32768 of 16 bits"
            )
        return wave.astype(np.float32)
    half = 2 ** (8 * width - 1)
    return ((wave.astype(np.float64) - (half if kind == "u" else 0)) / half).astype(np.float32)


def load(directory: str | os.PathLike, verb: str = "") -> Voice:
    """Loads the trained model of a run as a `Voice`.

    Args:
        directory: The directory of the run.
        verb: A verb that the model has to have; "" = any model.

    Raises:
        KvoiceError: If the folder is no run, or one of a model without that command (both before
            the model is loaded), or it has no checkpoint.
    """
    run = runs.load(directory)
    if verb:
        models.check(run, verb)
    return Voice(loop.load(run.path), run.spec, run.names, run)
