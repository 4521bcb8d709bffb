"""`librispeech:DIR` and `libritts:DIR`: LibriSpeech and LibriTTS as downloaded, or subsets."""

import functools
import os
import re

from kvoice.data.corpora.layout import (
    NO_TABLE,
    audio_files,
    genders_of,
    lines_of,
    stem_of,
    unrecognised,
)
from kvoice.data.corpora.utterance import Item, Skipped

_ROW = re.compile(r" *(\d+) *[|\t] *([MF]) *(?:[|\t]|$)")  # ID | SEX | ..., in either table
_TABLES = ("speakers.txt", "speakers.tsv")
_LIBRISPEECH_NAME = re.compile(r"(\d+)-(\d+)-\d{4}")
_LIBRITTS_NAME = re.compile(r"(\d+)_(\d+)_\d{6}_\d{6}")


def librispeech(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac`, and the files left out.

    Subsets may have any name. The text is the line of that name in the chapter's `.trans.txt`, in
    capitals, and the gender is the second column of `SPEAKERS.TXT`, in upper or lower case, in a
    folder further up. The published subsets are not used as splits: the split is drawn among all
    speakers.

    Source: Panayotov, Chen, Povey & Khudanpur 2015, doi:10.1109/ICASSP.2015.7178964.
    """
    expected = "SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac"

    @functools.cache
    def chapter(folder, speaker, number):
        lines = lines_of(os.path.join(folder, f"{speaker}-{number}.trans.txt"))
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def text(folder, stem, speaker, number):
        return chapter(folder, speaker, number).get(stem, "")

    return _libri(root, "LibriSpeech", _LIBRISPEECH_NAME, text, expected)


def libritts(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances of LibriTTS or LibriTTS-R, and the files left out.

    Files are `SUBSET/SPEAKER/CHAPTER/SPEAKER_CHAPTER_PPPPPP_SSSSSS.wav`. The text is the normalised
    one: the third column of the chapter's `.trans.tsv` (whose quotation marks are part of the
    text), or else the utterance's own `.normalized.txt`. The gender is that of `SPEAKERS.txt` or
    `speakers.tsv`, in a folder further up. Rows without a sound file are ignored; one file of the
    first edition cannot be read, and `prepare` leaves it out (1092_134562_000013_000004). The
    published subsets are not used as splits: the split is drawn among all speakers. Where both
    editions are below one directory, an utterance counts once.

    Source: Zen et al. 2019, arXiv:1904.02882; restored, Koizumi et al. 2023, arXiv:2305.18802.
    """
    expected = "SUBSET/SPEAKER/CHAPTER/SPEAKER_CHAPTER_PPPPPP_SSSSSS.wav"

    @functools.cache
    def chapter(folder, speaker, number):
        rows = lines_of(os.path.join(folder, f"{speaker}_{number}.trans.tsv"))
        return {row[0]: row[2] for row in (line.split("\t") for line in rows) if len(row) == 3}

    def text(folder, stem, speaker, number):
        known = chapter(folder, speaker, number).get(stem)
        return known or " ".join(lines_of(os.path.join(folder, f"{stem}.normalized.txt")))

    return _libri(root, "LibriTTS", _LIBRITTS_NAME, text, expected)


def _libri(root, title, pattern, text, expected):
    """The utterances of LibriSpeech or LibriTTS, with `text(folder, stem, speaker, chapter)`."""
    corpus, (files, skipped) = title.lower(), audio_files(root)
    genders = genders_of(root, files, _TABLES, _ROW)
    found = {}
    for file in files:
        path, stem = os.path.join(root, file), stem_of(file)
        fields, folders = pattern.fullmatch(stem), file.split(os.sep)[-3:-1]
        if not fields:
            skipped.append(Skipped(path, f"not a name of {title}"))
        elif len(folders) == 2 and folders[0].isdigit() and folders != list(fields.groups()):
            skipped.append(
                Skipped(path, "the folder names another speaker or chapter than the file")
            )
        elif stem in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        else:
            speaker = fields[1]
            found[stem] = Item(
                corpus=corpus,
                name=f"{corpus}/{stem}",
                speaker=f"{corpus}/{speaker}",
                gender=genders.get(speaker, ""),
                text=text(os.path.dirname(path), stem, *fields.groups()).strip(),
                path=path,
            )
    if not found:
        raise unrecognised(title, root, expected)
    if not genders:
        skipped.append(Skipped(os.path.join(root, "SPEAKERS.txt"), NO_TABLE, intended=True))
    return list(found.values()), skipped
