"""Judges of mels, trained on real clips of separate speakers: labels, voices and phones."""

import warnings
from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.ndimage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.metrics import speech

JUDGE_CLIPS = 2048  # clips at most that a judge is trained on
CEPSTRA = 24  # cepstral coefficients in the features of a judge
FRAMES = 40_000  # frames at most that a phone probe is trained on
CONTEXT = (-8, -4, -2, 0, 2, 4, 8)  # offsets of the frames in the features of a phone probe


def learned_from(source: Source) -> str:
    """Says on whom judges were trained where a corpus has no split for them; "" where it has."""
    if source.split == "judge":
        return ""
    if source.split == "train":
        return (
            f" The judges were trained on {source.data}, on {len(source.speakers)} speakers who "
            "are not in this corpus."
        )
    return (
        " The corpus has no split judge: the judges were trained on its validation speakers who "
        f"are in no other split ({', '.join(source.speakers)})."
    )


class Judge:
    """Predicts the label of a clip of mel; trained on real clips of separate speakers.

    Linear discriminant analysis with a shrunken covariance on `features`, with a uniform prior over
    the labels. It is trained on each clip as it is and on two `augmented` copies: a judge that is
    trained without blurred or noisy clips decides by blur and noise alone (it predicts one emotion
    for nearly all real `demo` clips that are blurred by one frame and band). The level is not
    normalised: models work at fixed bounds, and loudness is part of an emotion.

    Features, number of coefficients and classifier were chosen once, by cross-validation over the
    speakers of the split `judge` of `demo`, on clips as they are and augmented, against statistics
    of the bands, modulation spectra, support vector machines, and perceptrons.

    Args:
        mels: Real clips, [clips, time, mels]; or a list of [time, mels] of any lengths.
        labels: The labels of the clips, [clips] int.
        condition: The kind of label, for the error message.
        seed: The seed of the augmentation.

    Raises:
        KvoiceError: If there are fewer than two labels to tell apart.

    Source: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance
    matrices", for the shrinkage.
    """

    def __init__(
        self,
        mels: np.ndarray | Sequence[np.ndarray],
        labels: np.ndarray,
        condition: str = "label",
        seed: int = 0,
    ) -> None:
        kinds = len(np.unique(labels))
        if kinds < 2:
            raise KvoiceError(
                f"a judge of {condition} needs real clips of two labels or more in "
                f"its split, got {kinds}: use a larger corpus"
            )
        self._classifier = _discriminant(mels, labels, seed, "lsqr")

    def __call__(self, mels: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Predicts the label of each clip: [clips, time, mels], or a list, -> [clips]."""
        return self._classifier.predict(features(mels))


class VoiceSpace:
    """Maps clips to the space of the linear discriminants of the speakers of a split.

    The discriminants are computed on `features`, from augmented training clips as in a `Judge`. The
    cosine of two clips in this space is the similarity of their voices: 1 for the same voice,
    around 0 for different ones. Few speakers span few directions of the variation of voices, so
    that a cosine has to be compared with those of other clips of the same speakers, and of other
    speakers.

    Args:
        mels: The clips, as for a `Judge`.
        speakers: The speakers of the clips, [clips] int.
        seed: The seed of the augmentation.

    Raises:
        KvoiceError: If there are fewer than three speakers: two span one direction, whose cosine
            is 1 or -1.
    """

    def __init__(
        self, mels: np.ndarray | Sequence[np.ndarray], speakers: np.ndarray, seed: int = 0
    ) -> None:
        kinds = len(np.unique(speakers))
        if kinds < 3:
            raise KvoiceError(
                f"a space of voices needs clips of three speakers or more, got {kinds}"
            )
        self._space = _discriminant(mels, speakers, seed, "eigen")

    def __call__(self, mels: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Projects clips: [clips, time, mels], or a list, -> [clips, speakers - 1]."""
        return self._space.transform(features(mels))


def _discriminant(mels, labels, seed, solver):
    """Fits a linear discriminant to clips and two augmented copies, all labels equally likely."""
    rng = np.random.default_rng(seed)
    examples = [features(mels), features(augmented(mels, rng)), features(augmented(mels, rng))]
    kinds = len(np.unique(labels))
    discriminant = LinearDiscriminantAnalysis(
        solver=solver, shrinkage="auto", priors=np.full(kinds, 1 / kinds)
    )
    fitted = make_pipeline(StandardScaler(), discriminant)
    return fitted.fit(np.concatenate(examples), np.tile(labels, len(examples)))


class PhoneProbe:
    """Predicts the phone of each frame of a mel; trained on separate speakers.

    Linear discriminant analysis on the cepstra of the frames in `CONTEXT`; it is trained on each
    utterance as it is and on an `augmented` copy, as a `Judge` is. It is no speech recogniser: its
    accuracy on generated speech has to be compared with that on real speech.

    Args:
        mels: Utterances, [time, mels] each.
        phones: The phones of their frames, [time] int each, -1 = unknown.
        seed: The seed of the augmentation, and of the choice of the training frames.

    Raises:
        KvoiceError: If there are fewer than two phones.
    """

    def __init__(
        self, mels: Sequence[np.ndarray], phones: Sequence[np.ndarray], seed: int = 0
    ) -> None:
        rng = np.random.default_rng(seed)
        share = FRAMES / sum(map(len, phones))
        frames = [
            np.flatnonzero((phone >= 0) & (rng.random(len(phone)) < share)) for phone in phones
        ]
        examples = [
            _frame_features(mel, chosen)
            for copies in (mels, augmented(mels, rng))
            for mel, chosen in zip(copies, frames)
        ]
        truth = np.concatenate([phone[chosen] for phone, chosen in zip(phones, frames)])
        if len(np.unique(truth)) < 2:
            raise KvoiceError("a probe of phones needs utterances of two phones or more")
        self._classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        self._classifier.fit(np.concatenate(examples), np.tile(truth, 2))

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        """Predicts the phone of each frame: [time, mels] -> [time]."""
        return self._classifier.predict(_frame_features(mel, np.arange(len(mel))))


def probe_correct(
    examples: np.ndarray, labels: np.ndarray, items: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Returns for each item whether a linear discriminant trained on examples predicts its label.

    Shapes: examples [n, values], labels [n], items [m, values], truth [m] -> [m] bool.

    Raises:
        KvoiceError: If there are fewer than two labels, or no item.
    """
    if len(np.unique(labels)) < 2 or not len(items):
        raise KvoiceError(
            f"a probe needs two labels or more and items to predict, got "
            f"{len(np.unique(labels))} and {len(items)} items"
        )
    probe = make_pipeline(
        StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one sample")  # of a label, whose spread is 0 then
        return probe.fit(examples, labels).predict(items) == truth


def _frame_features(mel, frames):
    """Returns the cepstra around frames: [time, mels], [n] -> [n, len(CONTEXT) * CEPSTRA]."""
    cepstra = scipy.fft.dct(np.asarray(mel), axis=-1, norm="ortho")[:, :CEPSTRA]
    places = np.clip(frames[:, None] + np.array(CONTEXT), 0, len(mel) - 1)
    return cepstra[places].reshape(len(frames), len(CONTEXT) * cepstra.shape[1])


def features(mels: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Returns mean, standard deviation and mean change of the first cepstral coefficients.

    The cepstrum is a cosine transform over the bands; its first 24 coefficients hold the level, the
    tilt, the formants, and of high voices the harmonics.

    Shapes: mels [clips, time, mels], or a list of [time, mels] -> [clips, 72] (less where there are
    fewer bands).
    """
    return np.concatenate(
        [
            speech.mel_features(
                scipy.fft.dct(np.asarray(mel)[None], axis=-1, norm="ortho")[..., :CEPSTRA]
            )
            for mel in mels
        ]
    )


def augmented(
    mels: np.ndarray | Sequence[np.ndarray], rng: np.random.Generator
) -> list[np.ndarray]:
    """Returns a blurred and noisy copy of each clip.

    The blur is Gaussian, of 0 to 1.5 frames and bands; the noise is white, with a standard
    deviation of up to 0.3 of that of the mels.

    Shapes: mels [clips, time, mels], or a list of [time, mels] -> a list of the same.
    """
    noise = 0.3 * np.std(np.concatenate(mels))
    return [
        scipy.ndimage.gaussian_filter(mel, rng.uniform(0, 1.5, 2))
        + rng.uniform(0, noise) * rng.standard_normal(np.shape(mel))
        for mel in mels
    ]
