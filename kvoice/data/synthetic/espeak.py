"""The corpus `espeak`: the sentences of `demo`, read by the program espeak-ng if it is installed.

Speakers are the program's voice variants in several accents of English, emotions the prosody of
SSML. The program runs in one process per utterance. Its output has no phone times, so there is no
ground truth of F0 and phones.
"""

import dataclasses
import os
import shutil
import subprocess
import tempfile
import zlib
from xml.sax import saxutils

import numpy as np

from kvoice import audio
from kvoice.data.corpora.utterance import Item, Recording
from kvoice.data.synthetic.phones import SENTENCES
from kvoice.errors import KvoiceError

VERSION = "1"
PROGRAM = "espeak-ng"
AMPLITUDE = "60"  # of 200: leaves room for angry
ACCENTS = {
    "us": "en-us",
    "gb": "en",
    "rp": "en-gb-x-rp",
    "scotland": "en-gb-scotland",
    "caribbean": "en-029",
}
VARIANTS = ("f1", "m1", "f2", "m2", "f3", "m3", "f4", "m4", "f5", "m5", "m6", "m7")
SPEAKERS = tuple(f"{variant}-{accent}" for accent in ACCENTS for variant in VARIANTS)


@dataclasses.dataclass(frozen=True)
class Prosody:
    """The prosody of an emotion, in the attributes of SSML.

    Args:
        pitch, range, rate: Changes of the program's defaults, in percent.
        volume: The volume; 100 = the program's default.
    """

    pitch: float = 0.0
    range: float = 0.0
    rate: float = 0.0
    volume: float = 100.0


EMOTIONS = {
    "neutral": Prosody(),
    "happy": Prosody(pitch=25, range=60, rate=10, volume=105),
    "sad": Prosody(pitch=-15, range=-60, rate=-20, volume=80),
    "angry": Prosody(pitch=10, range=50, rate=10, volume=125),
}


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One sentence, read once.

    Args:
        speaker: One of `SPEAKERS`.
        emotion: One of `EMOTIONS`.
        sentence: One of `SENTENCES`.
        take: Number of the repetition, on which small changes of pitch and rate depend.
    """

    speaker: str
    emotion: str
    sentence: str
    take: int = 0


def available() -> bool:
    """Whether the program is installed."""
    return shutil.which(PROGRAM) is not None


def utterances(
    speakers: int = len(VARIANTS), sentences: tuple[str, ...] = tuple(SENTENCES), takes: int = 1
) -> list[Utterance]:
    """Every sentence, read by every speaker in every emotion, `takes` times.

    Args:
        speakers: Number of speakers, the first of `SPEAKERS`.
        sentences: Some of `SENTENCES`.
        takes: Number of repetitions.

    Raises:
        KvoiceError: If the program is missing or has fewer speakers.
    """
    _require_program()
    if speakers > len(SPEAKERS):
        raise KvoiceError(
            f"--data=espeak:{speakers}: espeak has {len(SPEAKERS)} speakers; "
            f"say espeak:{len(SPEAKERS)} or demo:{speakers}"
        )
    return [
        Utterance(speaker, emotion, sentence, take)
        for speaker in SPEAKERS[:speakers]
        for emotion in EMOTIONS
        for sentence in sentences
        for take in range(takes)
    ]


def item(utterance: Utterance) -> Item:
    """The utterance as an item of a corpus."""
    number = list(SENTENCES).index(utterance.sentence)
    name = f"{utterance.speaker}-{utterance.emotion}-{number:02d}-{utterance.take}"
    return Item(
        corpus="espeak",
        name=f"espeak/{name}",
        speaker=f"espeak/{utterance.speaker}",
        gender="female" if utterance.speaker[0] == "f" else "male",
        emotion=utterance.emotion,
        text=utterance.sentence,
        utterance=utterance,
    )


def render(utterance: Utterance, sample_rate_hz: int = 22050, hop: int = 256) -> Recording:
    """The utterance as sound, without ground truth.

    Args:
        utterance: One of `utterances`.
        sample_rate_hz: Sample rate of the wave, in Hz; the program's 22,050 Hz are resampled to it.
        hop: Not used, as there are no frame labels.

    Raises:
        KvoiceError: If the program is missing or fails.
    """
    _require_program()
    variant, accent = utterance.speaker.split("-")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "utterance.wav")
        command = [
            PROGRAM,
            "-m",
            "-a",
            AMPLITUDE,
            "-v",
            f"{ACCENTS[accent]}+{variant}",
            "-w",
            path,
            _ssml(utterance),
        ]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise KvoiceError(f"espeak-ng cannot read {utterance}: {result.stderr.strip()}")
        return Recording(*audio.read(path, sample_rate_hz))


def _ssml(utterance):
    prosody = EMOTIONS[utterance.emotion]
    rng = np.random.default_rng(zlib.crc32(f"{VERSION} {utterance}".encode()))
    pitch, rate = rng.uniform(-8, 8, 2) if utterance.take else (0, 0)
    return (
        f'<speak><prosody pitch="{prosody.pitch + pitch:+.0f}%" range="{prosody.range:+.0f}%" '
        f'rate="{100 + prosody.rate + rate:.0f}%" volume="{prosody.volume:.0f}">'
        f"{saxutils.escape(utterance.sentence)}</prosody></speak>"
    )


def _require_program():
    if not available():
        raise KvoiceError(
            "espeak-ng is not installed: apt-get install espeak-ng, or use --data=demo"
        )
