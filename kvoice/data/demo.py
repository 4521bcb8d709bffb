"""The built-in corpus: sentences read by synthetic voices in four emotions, with exact labels.

Every utterance is a pure function of its four fields and `VERSION`: the same one gives the same bytes.

    wave = render(utterances(speakers=4)[0]).wave

An emotion is a way of speaking (`MANNERS`): level, range and shape of the melody, rate, loudness, and the quality
of the voice. Speakers and takes differ so much that means of F0, energy and rate alone do not tell the emotions.
"""

import dataclasses
import zlib

import numpy as np

from kvoice.data import synthesis
from kvoice.data.corpora import Item
from kvoice.data.phones import INVENTORY, PHONES, SENTENCES
from kvoice.data.recording import Recording
from kvoice.data.synthesis import TRACK_HZ, Glottis, Tracks

VERSION = "1"
MINIMUM_S = 1.95  # models crop 160 frames of 256 samples at 22,050 Hz = 1.86 s
FLOOR = 3e-4  # amplitude of the room's noise


# --- Voices

@dataclasses.dataclass(frozen=True)
class Voice:
    """A speaker.

    Args:
        name: Unique.
        gender: "female" or "male".
        f0_hz: Level of the melody in neutral reading.
        formant_scale: Of all formants, the inverse of the vocal tract's length: 1 = a man's.
        rate: Of speaking, 1 = average.
        glottis: The quality of the voice.
    """

    name: str
    gender: str
    f0_hz: float
    formant_scale: float
    rate: float
    glottis: Glottis


_NAMED = {"female": ("ada", "beth", "cora", "dina", "elsa", "faye", "gwen", "hana", "iris", "june", "kira", "lena"),
          "male": ("abel", "boris", "carl", "dean", "emil", "finn", "gus", "hugo", "ivan", "jonas", "karl", "leo")}


def voice(name):
    """The speaker of that name: a named one, or a sampled one such as "f013" or "m013"."""
    gender = "female" if name in _NAMED["female"] or name[0] == "f" and name[1:].isdigit() else "male"
    rng = np.random.default_rng(zlib.crc32(f"{VERSION} {name}".encode()))
    female = gender == "female"
    return Voice(
        name=name, gender=gender,
        f0_hz=(200 if female else 115) * 2 ** (rng.uniform(-2.5, 2.5) / 12),
        formant_scale=(1.17 if female else 1.0) * rng.uniform(0.94, 1.06),
        rate=rng.uniform(0.93, 1.07),
        glottis=Glottis(open_quotient=(0.66 if female else 0.58) + rng.uniform(-0.05, 0.05),
                        tilt_hz=4000 * 2 ** rng.uniform(-0.4, 0.4),
                        breath=0.10 * 2 ** rng.uniform(-0.7, 0.7),
                        jitter=0.004 * 2 ** rng.uniform(-0.5, 0.5),
                        shimmer=0.04 * 2 ** rng.uniform(-0.5, 0.5)))


def voices(count=24):
    """The first `count` speakers, women and men by turns: the 24 named ones, then sampled ones."""
    named = [name for pair in zip(_NAMED["female"], _NAMED["male"]) for name in pair]
    sampled = [f"{'fm'[i % 2]}{i // 2 + 1:03d}" for i in range(len(named), count)]
    return [voice(name) for name in (named + sampled)[:count]]


SPEAKERS = tuple(voices())


# --- Emotions

@dataclasses.dataclass(frozen=True)
class Manner:
    """How an emotion changes a voice.

    Args:
        level_st: Of the melody, semitones.
        range_factor: Of the melody's movements.
        accent_lag_s: From the middle of an accented vowel to the peak of its accent.
        end_st: Movement of the melody over the last quarter of a second, before the range.
        rate: Factor.
        loudness: Peak of the wave, full scale = 1.
        smile: Factor of the formants.
        open_quotient: Added to the voice's.
        tilt, breath, jitter: Factors of the voice's.
    """

    level_st: float = 0.0
    range_factor: float = 1.0
    accent_lag_s: float = 0.0
    end_st: float = -3.0
    rate: float = 1.0
    loudness: float = 0.5
    smile: float = 1.0
    open_quotient: float = 0.0
    tilt: float = 1.0
    breath: float = 1.0
    jitter: float = 1.0


MANNERS = {
    "neutral": Manner(),
    "happy": Manner(level_st=2.5, range_factor=1.7, accent_lag_s=0.05, end_st=1.5, rate=1.05, loudness=0.55,
                    smile=1.05, tilt=1.6),
    "sad": Manner(level_st=-1.0, range_factor=0.45, end_st=-2.0, rate=0.88, loudness=0.40, smile=0.98,
                  open_quotient=0.12, tilt=0.4, breath=3.0, jitter=1.5),
    "angry": Manner(level_st=1.5, range_factor=1.3, accent_lag_s=-0.04, end_st=-5.0, rate=1.08, loudness=0.62,
                    smile=1.0, open_quotient=-0.18, tilt=3.0, breath=0.5, jitter=3.0),
}

EMOTIONS = tuple(MANNERS)


# --- Utterances

@dataclasses.dataclass(frozen=True)
class Utterance:
    """One sentence, read once.

    Args:
        speaker: A name that `voice` knows.
        emotion: One of `EMOTIONS`.
        sentence: One of `SENTENCES`.
        take: Number of the repetition: small changes of timing, melody and loudness.
    """

    speaker: str
    emotion: str
    sentence: str
    take: int = 0


def utterances(speakers=24, sentences=tuple(SENTENCES), takes=1):
    """Every speaker reads every sentence in every emotion, `takes` times."""
    return [Utterance(voice.name, emotion, sentence, take)
            for voice in voices(speakers) for emotion in EMOTIONS for sentence in sentences for take in range(takes)]


def item(utterance):
    """The utterance as an item of a corpus."""
    number = list(SENTENCES).index(utterance.sentence)
    return Item(corpus="demo", name=f"demo/{utterance.speaker}-{utterance.emotion}-{number:02d}-{utterance.take}",
                speaker=f"demo/{utterance.speaker}", gender=voice(utterance.speaker).gender,
                emotion=utterance.emotion, text=utterance.sentence, utterance=utterance)


def render(utterance, sample_rate_hz=22050, hop=256):
    """The utterance as sound, with its F0 and its phones.

    Args:
        utterance: One of `utterances`.
        sample_rate_hz: Of the wave.
        hop: Samples from one frame label to the next.
    """
    rng = np.random.default_rng(zlib.crc32(f"{VERSION} {utterance}".encode()))
    speaker, manner = voice(utterance.speaker), _manner(utterance, rng)
    marked, ends_s = _timing(utterance.sentence, speaker.rate * manner.rate, rng)
    names = [name.rstrip("1") for name in marked]
    tracks = _tracks(names, marked, ends_s, speaker, manner, rng)
    sound = synthesis.wave(tracks, _glottis(speaker.glottis, manner), speaker.formant_scale, sample_rate_hz, rng)
    sound *= manner.loudness / np.abs(sound).max()
    sound += FLOOR * rng.standard_normal(len(sound))
    frames_s = np.arange(1 + len(sound) // hop) * hop / sample_rate_hz
    moments = np.minimum(np.round(frames_s * TRACK_HZ).astype(int), len(tracks.f0_hz) - 1)
    phone = np.array([PHONES.index(name) for name in names])[np.searchsorted(ends_s[:-1], frames_s, side="right")]
    return Recording(
        wave=sound.astype(np.float32), sample_rate_hz=sample_rate_hz,
        f0=np.where(synthesis.voiced(tracks), tracks.f0_hz, 0)[moments].astype(np.float32),
        phone=phone.astype(np.int32), rate=(len(names) - 2) / (ends_s[-2] - ends_s[0]))


def _manner(utterance, rng):
    """The emotion as this speaker renders it in this take."""
    manner = MANNERS[utterance.emotion]
    habit = np.random.default_rng(zlib.crc32(f"{VERSION} {utterance.speaker} {utterance.emotion}".encode()))
    speaker, take = habit.standard_normal(4), rng.standard_normal(4)
    return dataclasses.replace(
        manner,
        level_st=manner.level_st + 0.8 * speaker[0] + 0.6 * take[0],
        range_factor=manner.range_factor * np.exp(0.08 * speaker[1] + 0.08 * take[1]),
        rate=manner.rate * np.exp(0.04 * speaker[2] + 0.04 * take[2]),
        loudness=np.clip(manner.loudness * np.exp(0.12 * speaker[3] + 0.12 * take[3]), 0.3, 0.8))


def _glottis(glottis, manner):
    return Glottis(open_quotient=glottis.open_quotient + manner.open_quotient, tilt_hz=glottis.tilt_hz * manner.tilt,
                   breath=glottis.breath * manner.breath, jitter=glottis.jitter * manner.jitter,
                   shimmer=glottis.shimmer * manner.jitter ** 0.5)


# --- Timing and melody

def _timing(sentence, rate, rng):
    """(the phones with their accents, when each ends in s): silence, the sentence, silence.

    Vowels are longer with an accent, and everything from the last vowel on.
    """
    marked = SENTENCES[sentence]
    names = [name.rstrip("1") for name in marked]
    last = max(i for i, name in enumerate(names) if INVENTORY[name].kind == "vowel")
    seconds = np.array([INVENTORY[name].ms for name in names]) / 1000
    seconds *= [1.2 if name.endswith("1") else 1.0 for name in marked]
    seconds[last:] *= 1.4
    seconds *= np.exp(0.08 * rng.standard_normal(len(names))) / rate
    before, after = rng.uniform(0.10, 0.16), rng.uniform(0.14, 0.22)
    after = max(after, MINIMUM_S - before - seconds.sum())
    return ["sil", *marked, "sil"], np.cumsum([before, *seconds, after])


def _melody_st(marked, ends_s, manner, rng):
    """The melody, in semitones about the voice's level: declination, accents, end. Shapes: -> [time].

    Args:
        marked: Phones with their accents, silence around them.
        ends_s: When each ends.
    """
    time_s = np.arange(round(ends_s[-1] * TRACK_HZ)) / TRACK_HZ
    first, last = ends_s[0], ends_s[-2]
    through = np.clip((time_s - first) / (last - first), 0, 1)
    melody = 1.5 - 3.0 * through
    for i in [i for i, name in enumerate(marked) if name.endswith("1")]:
        peak_s = (ends_s[i - 1] + ends_s[i]) / 2 + manner.accent_lag_s + 0.01 * rng.standard_normal()
        width_s = np.where(time_s < peak_s, 0.15, 0.20)
        height = rng.normal(4.0, 0.7) - 1.2 * (peak_s - first) / (last - first)
        melody += height * np.cos(np.pi / 2 * np.clip((time_s - peak_s) / width_s, -1, 1)) ** 2
    ending = np.clip((time_s - last + 0.30) / 0.25, 0, 1)
    melody += manner.end_st * ending ** 2 * (3 - 2 * ending)
    drift = np.interp(time_s * 6, np.arange(64), 0.25 * rng.standard_normal(64))
    return manner.level_st + manner.range_factor * melody + drift


# --- Articulation

def _tracks(names, marked, ends_s, speaker, manner, rng):
    """The `Tracks` of phones that end at given times."""
    melody = _smooth(_melody_st(marked, ends_s, manner, rng), 0.04)
    formants_hz = _formants_hz(names, ends_s) * speaker.formant_scale * manner.smile
    voice, breath, noise, noises = _loudness(names, marked, ends_s)
    nasal = _held(ends_s, [INVENTORY[name].kind == "nasal" for name in names])
    return Tracks(f0_hz=np.clip(speaker.f0_hz * 2 ** (melody / 12), 60, 500), voice=voice, breath=breath,
                  nasal=_smooth(nasal, 0.04), formants_hz=formants_hz, noise=noise, noises=noises)


def _formants_hz(names, ends_s):
    """F1 to F4 of a man. Shapes: -> [time, 4].

    Each phone holds its targets in its middle; in between, the formants glide. The targets of a consonant lie
    between its own locus and the vowels around it.
    """
    starts_s = np.concatenate([[0], ends_s[:-1]])
    times_s, targets = [], []
    for i, name in enumerate(names):
        phone, start_s, length_s = INVENTORY[name], starts_s[i], ends_s[i] - starts_s[i]
        if phone.kind == "silence":
            continue
        first, last = (0.3, 0.7) if phone.kind == "vowel" else (0.25, phone.open_share or 0.75)
        times_s += [start_s + first * length_s, start_s + last * length_s]
        targets += [phone.formants_hz, phone.to_hz or phone.formants_hz]
        if phone.kind != "vowel":
            targets[-2:] = [_locus(phone, *_vowels_around(names, i))] * 2
    grid_s = np.arange(round(ends_s[-1] * TRACK_HZ)) / TRACK_HZ
    tracks = [np.exp(_smooth(np.interp(grid_s, times_s, column), 0.03)) for column in np.log(targets).T]
    return np.stack([*tracks, np.full(len(grid_s), 3500.0)], -1)


def _vowels_around(names, i):
    """The formants at the end of the last vowel before a phone and at the start of the next one after it."""
    before = [INVENTORY[name] for name in names[:i] if INVENTORY[name].kind == "vowel"][-1:]
    after = [INVENTORY[name] for name in names[i + 1:] if INVENTORY[name].kind == "vowel"][:1]
    first = after[0].formants_hz if after else (before[0].to_hz or before[0].formants_hz)
    return (before[0].to_hz or before[0].formants_hz) if before else first, first


def _locus(phone, before, after):
    """Where the formants of a consonant point to; F1 tells how far the mouth is closed, whatever the vowels."""
    vowels = 0.35 * np.array(before) + 0.65 * np.array(after)
    hold = np.array([float(phone.hold > 0), phone.hold, phone.hold])
    return tuple(hold * phone.formants_hz + (1 - hold) * vowels)


def _loudness(names, marked, ends_s):
    """(voice [time], breath [time], noise [time, kinds], noises [kinds, 2]) of `Tracks`."""
    kinds = sorted({name for name in names if INVENTORY[name].noise})
    voice, breath = np.zeros((2, round(ends_s[-1] * TRACK_HZ)))
    noise = np.zeros((len(voice), len(kinds)))
    edges = np.round(np.concatenate([[0], ends_s]) * TRACK_HZ).astype(int)
    for name, mark, start, end in zip(names, marked, edges, edges[1:]):
        phone = INVENTORY[name]
        opened = start + round(phone.open_share * (end - start))
        effort = 1.2 if mark.endswith("1") else 0.8 if name == "AX" else 1.0
        voice[start:end] = phone.voice * effort
        if name == "HH":
            breath[start:end] = 0.8
        if phone.kind == "stop":
            noise[opened:opened + 10, kinds.index(name)] = phone.noise
            breath[opened:end] = 0.2 if phone.voice else 1.0
            voice[opened:end] *= 2
        elif phone.noise:
            noise[opened:end, kinds.index(name)] = phone.noise
    widths_s = [0.006 if INVENTORY[name].kind == "stop" else 0.03 for name in kinds]
    noise = np.stack([_smooth(column, width) for column, width in zip(noise.T, widths_s)], -1)
    fade = np.interp(np.arange(len(voice)) / TRACK_HZ, [ends_s[0], ends_s[-2] - 0.12, ends_s[-2]], [1.1, 0.9, 0.5])
    return (_smooth(voice, 0.02) * fade, _smooth(breath, 0.02), noise,
            np.array([[INVENTORY[name].centre_hz, INVENTORY[name].width_hz] for name in kinds]))


def _held(ends_s, values):
    """A value per phone -> a track. Shapes: -> [time]."""
    time_s = np.arange(round(ends_s[-1] * TRACK_HZ)) / TRACK_HZ
    return np.array(values, float)[np.searchsorted(ends_s[:-1], time_s, side="right")]


def _smooth(track, width_s):
    """The track under a Hann window of that width. Shapes: [time] -> [time]."""
    window = np.hanning(round(width_s * TRACK_HZ) + 2)
    half = len(window) // 2
    return np.convolve(np.pad(track, (half, len(window) - 1 - half), mode="edge"), window / window.sum(), "valid")
