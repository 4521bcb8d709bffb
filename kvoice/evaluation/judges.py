"""Judges of mels that learn from real clips of speakers of their own: labels, voices, phones."""

import numpy as np
import scipy.fft
import scipy.ndimage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kvoice.errors import KvoiceError
from kvoice.metrics import speech

JUDGED = 2048  # clips at most that the judge learns from
CEPSTRA = 24  # coefficients that the judge hears
FRAMES = 40_000  # frames at most that a probe of phones learns from
AROUND = (-8, -4, -2, 0, 2, 4, 8)  # frames that it hears of a phone and of what stands beside it


class Judge:
    """Tells the label of a clip of mel, having learned from real clips of speakers of its own.

    Linear discriminant analysis with a shrunken covariance on `cues`, all labels equally likely
    beforehand. It learns from each clip as it is and from two `worn` copies: a judge that never met
    a blurred or grainy clip decides by that alone (real `demo` clips that are blurred by one frame
    and band are nearly all one emotion to it). Level counts: models work at fixed bounds, and
    loudness is part of an emotion.

    Cues, number of coefficients and classifier were chosen once, by cross-validation over the
    speakers of the split `judge` of `demo`, on clips as they are and worn, against statistics of
    the bands, spectra of their modulation, support vector machines, and perceptrons.

    Args:
        mels: Real clips, [clips, time, mels]; or a list of [time, mels] of any lengths.
        labels: Of them, [clips] int.
        condition: What the labels are, for the error.
        seed: Of the copies.

    Raises:
        KvoiceError: If there are fewer than two labels to tell apart.

    Source: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance
    matrices", for the shrinkage.
    """

    def __init__(self, mels, labels, condition="label", seed=0):
        kinds = len(np.unique(labels))
        if kinds < 2:
            raise KvoiceError(
                f"a judge of {condition} needs real clips of two labels or more in "
                f"its split, got {kinds}: use a larger corpus"
            )
        rng = np.random.default_rng(seed)
        lessons = [cues(mels), cues(worn(mels, rng)), cues(worn(mels, rng))]
        discriminant = LinearDiscriminantAnalysis(
            solver="lsqr", shrinkage="auto", priors=np.full(kinds, 1 / kinds)
        )
        self._classifier = make_pipeline(StandardScaler(), discriminant)
        self._classifier.fit(np.concatenate(lessons), np.tile(labels, len(lessons)))

    def __call__(self, mels):
        """The label it hears in each clip: [clips, time, mels], or a list, -> [clips]."""
        return self._classifier.predict(cues(mels))


class VoiceSpace:
    """How alike two voices are: where clips lie between the speakers of a split.

    The linear discriminants of its speakers on `cues`, learned as a `Judge` learns. Of two clips,
    the cosine of their places says how alike the voices are: 1 for the same, around 0 for others.
    Few speakers span few directions of what a voice can be; the cosines of other clips of the same
    speakers, and of other speakers, are what a cosine has to be read beside.

    Args:
        mels: As a `Judge`'s.
        speakers: Of them, [clips] int.
        seed: Of the worn copies.

    Raises:
        KvoiceError: If there are fewer than three speakers: two span one direction, whose cosine
            is 1 or -1.
    """

    def __init__(self, mels, speakers, seed=0):
        kinds = len(np.unique(speakers))
        if kinds < 3:
            raise KvoiceError(
                f"a space of voices needs clips of three speakers or more, got {kinds}"
            )
        rng = np.random.default_rng(seed)
        lessons = [cues(mels), cues(worn(mels, rng)), cues(worn(mels, rng))]
        discriminant = LinearDiscriminantAnalysis(
            solver="eigen", shrinkage="auto", priors=np.full(kinds, 1 / kinds)
        )
        self._space = make_pipeline(StandardScaler(), discriminant)
        self._space.fit(np.concatenate(lessons), np.tile(speakers, len(lessons)))

    def __call__(self, mels):
        """Where clips lie: [clips, time, mels], or a list, -> [clips, speakers - 1]."""
        return self._space.transform(cues(mels))


class PhoneProbe:
    """Tells the phone of each frame of a mel, having learned from speakers of its own.

    Linear discriminant analysis on the cepstra of the frames in `AROUND`; it learns from each
    utterance as it is and from a `worn` copy, as a `Judge` does. It is no recogniser: what it finds
    in real speech is what its findings in made speech have to be read beside.

    Args:
        mels: Utterances, [time, mels] each.
        phones: Of them, [time] int each, -1 = unknown.
        seed: Of the copies, and of which frames are learned from.

    Raises:
        KvoiceError: If there are fewer than two phones.
    """

    def __init__(self, mels, phones, seed=0):
        rng = np.random.default_rng(seed)
        share = FRAMES / sum(map(len, phones))
        frames = [
            np.flatnonzero((phone >= 0) & (rng.random(len(phone)) < share)) for phone in phones
        ]
        lessons = [
            _frame_cues(mel, chosen)
            for copies in (mels, worn(mels, rng))
            for mel, chosen in zip(copies, frames)
        ]
        taught = np.concatenate([phone[chosen] for phone, chosen in zip(phones, frames)])
        if len(np.unique(taught)) < 2:
            raise KvoiceError("a probe of phones needs utterances of two phones or more")
        self._classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        self._classifier.fit(np.concatenate(lessons), np.tile(taught, 2))

    def __call__(self, mel):
        """The phone that it hears in each frame: [time, mels] -> [time]."""
        return self._classifier.predict(_frame_cues(mel, np.arange(len(mel))))


def linear_right(lessons, labels, items, truth):
    """For each item whether a linear discriminant that learned from the lessons tells its label.

    Shapes: lessons [n, values], labels [n], items [m, values], truth [m] -> [m] bool.

    Raises:
        KvoiceError: If there are fewer than two labels, or no item.
    """
    if len(np.unique(labels)) < 2 or not len(items):
        raise KvoiceError(
            f"a probe wants two labels or more and something to be asked, got "
            f"{len(np.unique(labels))} and {len(items)} items"
        )
    probe = make_pipeline(
        StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    )
    return probe.fit(lessons, labels).predict(items) == truth


def _frame_cues(mel, frames):
    """The cepstra around some frames: [time, mels], [n] -> [n, len(AROUND) * CEPSTRA]."""
    cepstra = scipy.fft.dct(np.asarray(mel), axis=-1, norm="ortho")[:, :CEPSTRA]
    places = np.clip(frames[:, None] + np.array(AROUND), 0, len(mel) - 1)
    return cepstra[places].reshape(len(frames), len(AROUND) * cepstra.shape[1])


def cues(mels):
    """What a judge hears: mean, spread and movement of the first coefficients of the cepstrum.

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


def worn(mels, rng):
    """Each clip blurred by 0 to 1.5 frames and bands, under grain of up to 0.3 of the mels' spread.

    Shapes: mels [clips, time, mels], or a list of [time, mels] -> a list of the same.
    """
    grain = 0.3 * np.std(np.concatenate(mels))
    return [
        scipy.ndimage.gaussian_filter(mel, rng.uniform(0, 1.5, 2))
        + rng.uniform(0, grain) * rng.standard_normal(np.shape(mel))
        for mel in mels
    ]
