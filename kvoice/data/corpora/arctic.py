"""`arctic:DIR`: voices of CMU ARCTIC as downloaded."""

import dataclasses
import os
import re

from kvoice.data.corpora.layout import (
    NO_TEXTS,
    audio_files,
    commonest,
    lines_of,
    stem_of,
    unrecognised,
)
from kvoice.data.corpora.utterance import Item, Skipped

_GENDERS = dict.fromkeys("axb clb eey ljm lnh slp slt".split(), "female") | dict.fromkeys(
    "aew ahw aup awb bdl fem gka jmk ksp rms rxr".split(), "male"
)
_NAME = re.compile(r"arctic_[ab]\d{4}")
_VOICE = re.compile(r"cmu_us_([a-z0-9]+)_arctic.*")
_LINE = re.compile(r'\(\s*(arctic_[ab]\d{4})\s+"(.*)"\s*\)')
_TABLE = "etc/txt.done.data"


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `cmu_us_VOICE_arctic/wav/arctic_aNNNN.wav`, and the files left out.

    DIR holds the folders of voices, or is one of them. All voices speak the same 1132 prompts (some
    only those whose name begins with a): the texts are parallel. The text of a prompt is that of
    `etc/txt.done.data`, the commonest among the voices. The folder `orig` is left out: it holds the
    same recordings with a second channel that is no sound.

    Source: Kominek & Black 2004, "The CMU Arctic speech databases", SSW5.
    """
    files, skipped = audio_files(root)
    found, lines = {}, {}
    for file in files:
        path, stem = os.path.abspath(os.path.join(root, file)), stem_of(file)
        voices = [match for match in map(_VOICE.fullmatch, path.split(os.sep)[:-1]) if match]
        if not _NAME.fullmatch(stem):
            skipped.append(Skipped(path, "not a name of CMU ARCTIC"))
            continue
        if not voices:
            skipped.append(Skipped(path, "no folder above it is called cmu_us_VOICE_arctic"))
            continue
        voice, folder = voices[-1][1], os.path.dirname(path)
        name = f"arctic/{voice}_{stem}"
        if os.path.basename(folder) == "orig":
            skipped.append(Skipped(path, "the recording before its processing", intended=True))
        elif name in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        else:
            if folder not in lines:
                table = os.path.join(os.path.dirname(folder), _TABLE)
                lines[folder] = filter(None, map(_LINE.match, lines_of(table)))
            found[name] = Item(
                corpus="arctic",
                name=name,
                speaker=f"arctic/{voice}",
                gender=_GENDERS.get(voice, ""),
                path=path,
            )
    if not found:
        raise unrecognised("CMU ARCTIC", root, "cmu_us_VOICE_arctic/wav/arctic_a0001.wav")
    texts = commonest(line.groups() for own in lines.values() for line in own)
    if not texts:
        path = os.path.join(os.path.dirname(next(iter(lines))), _TABLE)
        skipped.append(Skipped(path, NO_TEXTS, intended=True))
    return [
        dataclasses.replace(item, text=texts.get(stem_of(item.path), "")) for item in found.values()
    ], skipped
