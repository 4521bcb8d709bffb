"""`cremad:DIR`: CREMA-D as downloaded."""

import os
import re

from kvoice.data.corpora.layout import (
    NO_TABLE,
    audio_files,
    genders_of,
    is_pointer,
    stem_of,
    unrecognised,
)
from kvoice.data.corpora.utterance import Item, Skipped
from kvoice.errors import KvoiceError

_TEXTS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_NAME = re.compile(rf"(\d{{4}})_({'|'.join(_TEXTS)})_({'|'.join(_EMOTIONS)})_(LO|MD|HI|XX?)")
_TABLE, _ROW = "videodemographics.csv", re.compile(r'"?(\d{4})"?,"?\d+"?,"?(Female|Male)\b')
_WITHOUT_SOUND = ("1076_MTI_SAD_XX",)
_WRONG_MP3 = ("1076_MTI_NEU_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD")


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `AudioWAV/AAAA_SSS_EEE_LL.wav`, and the files left out.

    The fields of a name are actor, sentence, emotion and its level (XX = unspecified; one file is
    called X before October 2022). 91 actors speak the same twelve sentences: the texts are
    parallel. The gender is in `VideoDemographics.csv`, in the same folder or further up. An
    utterance counts once: its MP3 only where there is no WAV. One utterance holds no sound, and
    three MP3s hold another utterance, as the corpus' README says: they are left out.

    The corpus is kept with Git LFS: an archive of its repository holds pointers instead of sound.

    Raises:
        KvoiceError: If the directory has not this layout, or holds nothing but pointers.

    Source: Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244.
    """
    files, skipped = audio_files(root)
    genders = genders_of(root, files, (_TABLE,), _ROW)
    found, pointers = {}, []
    for file in sorted(files, key=lambda file: file.lower().endswith(".mp3")):
        path = os.path.join(root, file)
        fields = _NAME.fullmatch(stem_of(file))
        if not fields:
            skipped.append(Skipped(path, "not a name of CREMA-D"))
            continue
        actor, sentence, emotion, level = fields.groups()
        stem = f"{actor}_{sentence}_{emotion}_{'XX' if level == 'X' else level}"
        if is_pointer(path):
            pointers.append(path)
        elif stem in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        elif stem in _WITHOUT_SOUND:
            skipped.append(Skipped(path, "holds no sound in any copy", intended=True))
        elif stem in _WRONG_MP3 and file.lower().endswith(".mp3"):
            skipped.append(Skipped(path, "the MP3 of another utterance", intended=True))
        else:
            found[stem] = Item(
                corpus="cremad",
                name=f"cremad/{stem}",
                speaker=f"cremad/{actor}",
                gender=genders.get(actor, ""),
                emotion=_EMOTIONS[emotion],
                text=_TEXTS[sentence],
                path=path,
            )
    way_out = "run `git lfs pull` in a clone of the repository"
    if pointers and not found:
        raise KvoiceError(
            f"{root}: all sound files ({len(pointers)}, for instance {pointers[0]}) are Git LFS "
            f"pointers, not the sound itself: {way_out}; an archive of it never holds the sound"
        )
    skipped += [Skipped(path, f"a Git LFS pointer, not the sound; {way_out}") for path in pointers]
    if not found:
        raise unrecognised("CREMA-D", root, "AudioWAV/1001_IEO_ANG_HI.wav (actor, text, emotion)")
    if not genders:
        skipped.append(Skipped(os.path.join(root, "VideoDemographics.csv"), NO_TABLE, True))
    return [found[stem] for stem in sorted(found)], skipped
