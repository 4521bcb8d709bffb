"""`ljspeech:DIR`: LJ Speech as downloaded."""

import os
import re

from kvoice.data.corpora.layout import NO_TEXTS, audio_files, lines_of, stem_of, unrecognised
from kvoice.data.corpora.utterance import Item, Skipped

_NAME = re.compile(r"LJ\d{3}-\d{4}")
_TABLE = "metadata.csv"


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `wavs/LJNNN-NNNN.wav` of one woman, and the files left out.

    The text is the normalised one of `metadata.csv`, in the same folder or the one above, whose
    rows are `ID|text|normalised text` without quoting; where the third field is empty, it is the
    second. Rows without a sound file are ignored. There is one speaker, so that the default split
    is by text.

    Source: Ito & Johnson 2017, https://keithito.com/LJ-Speech-Dataset.
    """
    files, skipped = audio_files(root)
    found, texts = {}, {}
    for file in files:
        path, stem = os.path.join(root, file), stem_of(file)
        if not _NAME.fullmatch(stem):
            skipped.append(Skipped(path, "not a name of LJ Speech"))
        elif stem in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        else:
            folder = os.path.dirname(os.path.abspath(path))
            if folder not in texts:
                texts[folder] = _texts(os.path.dirname(folder)) | _texts(folder)
            found[stem] = Item(
                corpus="ljspeech",
                name=f"ljspeech/{stem}",
                speaker="ljspeech/LJ",
                gender="female",
                text=texts[folder].get(stem, ""),
                path=path,
            )
    if not found:
        raise unrecognised("LJ Speech", root, "wavs/LJ001-0001.wav and metadata.csv")
    if not any(texts.values()):
        skipped.append(Skipped(os.path.join(root, _TABLE), NO_TEXTS, intended=True))
    return list(found.values()), skipped


def _texts(folder):
    """The text of each utterance in the table of a folder; {} where there is none."""
    rows = (line.split("|") for line in lines_of(os.path.join(folder, _TABLE)))
    return {row[0]: (row[-1] or row[1]).strip() for row in rows if len(row) in (2, 3)}
