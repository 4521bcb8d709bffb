"""The built-in corpus: sentences read by synthetic voices in four emotions, with exact labels.

It needs no download and has ground truth: F0, phones, speaker, gender, emotion, rate and text. All
speakers read the same sentences in all emotions. An utterance is a pure function of its fields and
of `VERSION`:

    sound = render(Utterance("ada", "happy", "We will meet you at the old railway station."))

An emotion is a manner of speaking (`MANNERS`): level, range and shape of the F0 contour, rate,
loudness, voice quality. Speakers and takes differ so much that mean F0, energy and rate together do
not separate the emotions; the F0 contour and voice quality do.
"""

import dataclasses
import difflib
import functools
import re
import sys
import zlib

import numpy as np

from kvoice import audio
from kvoice.data.corpora.utterance import Item, Recording
from kvoice.data.synthetic import articulation, synthesis
from kvoice.data.synthetic.articulation import times_s
from kvoice.data.synthetic.phones import INVENTORY, PHONES, SENTENCES
from kvoice.data.synthetic.synthesis import TRACK_HZ, Glottis
from kvoice.errors import KvoiceError

VERSION = "1"  # raise it with any change of the sound: the fingerprint of a corpus depends on it
MINIMUM_S = 1.95  # models crop 160 frames of 256 samples at 22,050 Hz = 1.86 s
ROOM = 3e-4  # amplitude of the background noise


# --- Voices


@dataclasses.dataclass(frozen=True)
class Voice:
    """A speaker.

    Args:
        name: The unique name of the speaker.
        gender: "female" or "male".
        f0_hz: Level of F0 in neutral reading, in Hz.
        formant_scale: Factor of all formants, the inverse of the length of the vocal tract; 1 = a
            man's.
        rate: Factor of the speaking rate; 1 = average.
        glottis: The `Glottis`, which determines the voice quality.
    """

    name: str
    gender: str
    f0_hz: float
    formant_scale: float
    rate: float
    glottis: Glottis


NAMED = {
    "female": (
        "ada",
        "beth",
        "cora",
        "dina",
        "elsa",
        "faye",
        "gwen",
        "hana",
        "iris",
        "june",
        "kira",
        "lena",
    ),
    "male": (
        "abel",
        "boris",
        "carl",
        "dean",
        "emil",
        "finn",
        "gus",
        "hugo",
        "ivan",
        "jonas",
        "karl",
        "leo",
    ),
}


@functools.cache
def voice(name: str) -> Voice:
    """The speaker of a name: one of `NAMED`, or a sampled one such as "f013" or "m013".

    Raises:
        KvoiceError: If there is no speaker of that name.
    """
    gender = next(
        (
            gender
            for gender, names in NAMED.items()
            if name in names or re.fullmatch(gender[0] + r"\d{3,}", name)
        ),
        None,
    )
    if gender is None:
        known = [*NAMED["female"], *NAMED["male"]]
        close = difflib.get_close_matches(name, known, 1) or ["ada"]
        raise KvoiceError(
            f"demo has no speaker {name!r}: did you mean {close[0]}? "
            "Sampled speakers are f013, m013 and so on"
        )
    rng = _rng("voice", name)
    female = gender == "female"
    return Voice(
        name=name,
        gender=gender,
        f0_hz=(200 if female else 115) * 2 ** (rng.uniform(-2.5, 2.5) / 12),
        formant_scale=(1.17 if female else 1.0) * rng.uniform(0.94, 1.06),
        rate=rng.uniform(0.95, 1.05),
        glottis=Glottis(
            open_quotient=(0.66 if female else 0.58) + rng.uniform(-0.05, 0.05),
            tilt_hz=3000 * 2 ** rng.uniform(-0.4, 0.4),
            breath=0.15 * 2 ** rng.uniform(-0.7, 0.7),
            jitter=0.003 * 2 ** rng.uniform(-0.5, 0.5),
            shimmer=0.04 * 2 ** rng.uniform(-0.5, 0.5),
        ),
    )


def voices(count: int = 24, first: int = 1) -> list[Voice]:
    """`count` speakers of an endless list, women and men alternately: 24 named, then sampled ones.

    Args:
        count: Number of speakers.
        first: Number of the first speaker; 1 = the first of the list, 25 = the first sampled one.
    """
    named = [name for pair in zip(NAMED["female"], NAMED["male"]) for name in pair]
    sampled = [f"{'fm'[i % 2]}{i // 2 + 1:03d}" for i in range(len(named), first - 1 + count)]
    return [voice(name) for name in (named + sampled)[first - 1 : first - 1 + count]]


# --- Emotions


@dataclasses.dataclass(frozen=True)
class Manner:
    """How an emotion changes a voice.

    Args:
        level_st: Shift of the level of F0, in semitones.
        range_factor: Factor of the movements of F0.
        accent_lag_s: Time from the middle of an accented vowel to the peak of its accent, in s.
        end_st: Movement of F0 at the end of the sentence, in semitones, before `range_factor`.
        rate: Factor of the speaking rate.
        loudness: Peak of the wave, full scale = 1.
        smile: Factor of the formants.
        open_quotient: Added to the open quotient of the voice.
        tilt, breath, jitter: Factors of those of the voice; that of shimmer is the square root of
            `jitter`.
    """

    level_st: float = 0.0
    range_factor: float = 1.0
    accent_lag_s: float = 0.0
    end_st: float = -3.0
    rate: float = 1.0
    loudness: float = 0.46
    smile: float = 1.0
    open_quotient: float = 0.0
    tilt: float = 1.0
    breath: float = 1.0
    jitter: float = 1.0


MANNERS = {
    "neutral": Manner(),
    "happy": Manner(
        level_st=4.0,
        range_factor=1.7,
        accent_lag_s=0.05,
        end_st=1.5,
        rate=1.10,
        loudness=0.52,
        smile=1.05,
        tilt=1.5,
    ),
    "sad": Manner(
        level_st=-1.5,
        range_factor=0.45,
        end_st=-2.0,
        rate=0.82,
        loudness=0.35,
        smile=0.98,
        open_quotient=0.12,
        tilt=0.3,
        breath=2.6,
        jitter=1.5,
    ),
    "angry": Manner(
        level_st=2.0,
        range_factor=1.3,
        accent_lag_s=-0.04,
        end_st=-5.0,
        rate=1.08,
        loudness=0.72,
        open_quotient=-0.18,
        tilt=4.0,
        breath=0.5,
        jitter=3.0,
    ),
}

EMOTIONS = tuple(MANNERS)


def manner(utterance: "Utterance") -> Manner:
    """The manner of an emotion with the random changes of this speaker and this take."""
    plain = MANNERS[utterance.emotion]
    speaker = _rng("habit", utterance.speaker, utterance.emotion).standard_normal(4)
    take = _rng("manner", utterance).standard_normal(4)
    return dataclasses.replace(
        plain,
        level_st=plain.level_st + 0.7 * speaker[0] + 0.6 * take[0],
        range_factor=plain.range_factor * np.exp(0.08 * (speaker[1] + take[1])),
        rate=plain.rate * np.exp(0.035 * (speaker[2] + take[2])),
        loudness=np.clip(plain.loudness * np.exp(0.10 * (speaker[3] + take[3])), 0.3, 0.8),
    )


# --- Utterances


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One sentence, read once.

    Args:
        speaker: A name for `voice`.
        emotion: One of `EMOTIONS`.
        sentence: One of `SENTENCES`.
        take: Number of the repetition, on which small changes of timing, F0 and loudness depend.
    """

    speaker: str
    emotion: str
    sentence: str
    take: int = 0


def utterances(
    speakers: int = 24,
    sentences: tuple[str, ...] = tuple(SENTENCES),
    takes: int = 1,
    first: int = 1,
) -> list[Utterance]:
    """Every sentence, read by all `voices(speakers, first)` in every emotion, `takes` times."""
    return [
        Utterance(speaker.name, emotion, sentence, take)
        for speaker in voices(speakers, first)
        for emotion in EMOTIONS
        for sentence in sentences
        for take in range(takes)
    ]


def item(utterance: Utterance) -> Item:
    """The utterance as an item of a corpus."""
    number = list(SENTENCES).index(utterance.sentence)
    name = f"{utterance.speaker}-{utterance.emotion}-{number:02d}-{utterance.take}"
    return Item(
        corpus="demo",
        name=f"demo/{name}",
        speaker=f"demo/{utterance.speaker}",
        gender=voice(utterance.speaker).gender,
        emotion=utterance.emotion,
        text=utterance.sentence,
        utterance=utterance,
    )


def render(utterance: Utterance, sample_rate_hz: int = 22050, hop: int = 256) -> Recording:
    """The utterance as sound, with its F0 and its phones.

    Args:
        utterance: One of `utterances`.
        sample_rate_hz: Sample rate of the wave, in Hz.
        hop: Hop of the frame labels, in samples.

    Raises:
        KvoiceError: If the utterance names an unknown speaker, emotion or sentence.
    """
    _refuse_unknown(utterance)
    speaker, way, rng = voice(utterance.speaker), manner(utterance), _rng("sound", utterance)
    phones, ends_s = timing(utterance.sentence, speaker.rate * way.rate, rng)
    f0_hz = np.clip(speaker.f0_hz * 2 ** (melody_st(phones, ends_s, way, rng) / 12), 60, 500)
    tracks = articulation.tracks(phones, ends_s, f0_hz, speaker.formant_scale * way.smile)
    wave = synthesis.wave(
        tracks, _glottis(speaker.glottis, way), speaker.formant_scale, sample_rate_hz, rng
    )
    wave *= way.loudness / np.abs(wave).max()
    wave += ROOM * rng.standard_normal(len(wave))
    frames_s = np.arange(1 + len(wave) // hop) * hop / sample_rate_hz
    moments = np.minimum(np.round(frames_s * TRACK_HZ).astype(int), len(f0_hz) - 1)
    number = np.array([PHONES.index(name.rstrip("1")) for name in phones], np.int32)
    return Recording(
        wave=wave.astype(np.float32),
        sample_rate_hz=sample_rate_hz,
        f0=np.where(synthesis.voiced(tracks), f0_hz, 0)[moments].astype(np.float32),
        phone=number[np.searchsorted(ends_s[:-1], frames_s, side="right")],
        rate=float((len(phones) - 2) / (ends_s[-2] - ends_s[0])),
    )


def _refuse_unknown(utterance):
    for field, known in (("emotion", EMOTIONS), ("sentence", SENTENCES)):
        given = getattr(utterance, field)
        if given not in known:
            close = difflib.get_close_matches(given, known, 1) or list(known)[:1]
            raise KvoiceError(f"demo has no {field} {given!r}: did you mean {close[0]!r}?")


def _rng(*fields):
    """A random generator that depends only on the fields and the version."""
    return np.random.default_rng(zlib.crc32(f"{VERSION} {fields}".encode()))


def _glottis(glottis, way):
    return Glottis(
        open_quotient=glottis.open_quotient + way.open_quotient,
        tilt_hz=glottis.tilt_hz * way.tilt,
        breath=glottis.breath * way.breath,
        jitter=glottis.jitter * way.jitter,
        shimmer=glottis.shimmer * way.jitter**0.5,
    )


# --- Timing and F0


def timing(
    sentence: str, rate: float, rng: np.random.Generator
) -> tuple[tuple[str, ...], np.ndarray]:
    """The phones of a sentence with silence around them, and the time in s at which each ends.

    Accented vowels are longer, and so is everything from the last vowel on.
    """
    phones = SENTENCES[sentence]
    inventory = [INVENTORY[name.rstrip("1")] for name in phones]
    seconds = np.array([phone.ms for phone in inventory]) / 1000
    seconds *= [1.2 if name.endswith("1") else 1.0 for name in phones]
    seconds[max(i for i, phone in enumerate(inventory) if phone.kind == "vowel") :] *= 1.4
    seconds *= np.exp(0.08 * rng.standard_normal(len(seconds))) / rate
    before, after = rng.uniform(0.10, 0.16), rng.uniform(0.14, 0.22)
    after = max(after, MINIMUM_S - before - seconds.sum())
    return ("sil", *phones, "sil"), np.cumsum([before, *seconds, after])


def melody_st(
    phones: tuple[str, ...], ends_s: np.ndarray, way: Manner, rng: np.random.Generator
) -> np.ndarray:
    """The F0 contour in semitones about the level of the voice: declination, accents, end, drift.

    Shapes: `phones`, `ends_s` [phones] -> [time].
    """
    now_s, first_s, last_s = times_s(ends_s), ends_s[0], ends_s[-2]
    melody = np.interp(now_s, [first_s, last_s], [1.5, -1.5])
    for i, name in enumerate(phones):
        if name.endswith("1"):
            peak_s = (ends_s[i - 1] + ends_s[i]) / 2 + way.accent_lag_s + rng.normal(0, 0.01)
            height = rng.normal(4.0, 0.7) - 1.2 * (peak_s - first_s) / (last_s - first_s)
            width_s = np.where(now_s < peak_s, 0.15, 0.20)
            phase = np.clip((now_s - peak_s) / width_s, -1, 1)
            melody += height * np.cos(np.pi / 2 * phase) ** 2
    ending = np.clip((now_s - last_s + 0.30) / 0.25, 0, 1)
    melody += way.end_st * ending**2 * (3 - 2 * ending)
    drift = np.interp(now_s * 6, np.arange(64), rng.normal(0, 0.25, 64))
    return articulation.smooth(way.level_st + way.range_factor * melody + drift, 0.04)


SPEAKERS = tuple(voices())


def main(name: str, path: str) -> None:
    """Writes a sentence of a speaker as a sound file."""
    made = render(Utterance(name, "neutral", list(SENTENCES)[0]))
    audio.write(path, made.wave, 22050)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KvoiceError as error:
        sys.exit(str(error))
