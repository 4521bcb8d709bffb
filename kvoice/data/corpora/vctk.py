"""`vctk:DIR`: VCTK 0.92 or 0.80 as downloaded."""

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

_NAME = re.compile(r"((p\d{3}|s5)_\d{3})(?:_mic([12]))?")
_ROW = re.compile(r"\s*(p?\d{3}|s5)\s+\S+\s+([MF])\b")  # ID, AGE, GENDER, ...


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances of VCTK, and the files left out.

    Files are `wav48_silence_trimmed/pNNN/pNNN_UUU_mic1.flac` (0.92) or `wav48/pNNN/pNNN_UUU.wav`
    (0.80), or the folders pNNN are in DIR itself. An utterance counts once: microphone 1, and 2
    only where 1 is missing. The text is in `txt/pNNN/pNNN_UUU.txt` beside the folder of the sounds
    or beside pNNN, or in pNNN itself, unknown where the file is missing (all of p315). The first 24
    texts are the same for nearly all speakers: they are parallel. The gender is in
    `speaker-info.txt`, whose IDs have no "p" in 0.80, where p280 is missing. One speaker of 0.92 is
    called s5. Texts without sound (some of p362) are ignored.

    Source: Yamagishi, Veaux & MacDonald 2019, doi:10.7488/ds/2645.
    """
    expected = "wav48_silence_trimmed/pNNN/pNNN_UUU_mic1.flac, wav48/pNNN/pNNN_UUU.wav or pNNN/..."
    files, skipped = audio_files(root)
    genders = genders_of(root, files, ("speaker-info.txt",), _ROW)
    genders = {
        speaker if speaker[0] in "ps" else f"p{speaker}": genders[speaker] for speaker in genders
    }
    found = {}
    for file in sorted(files, key=lambda file: stem_of(file).endswith("_mic2")):
        path, fields = os.path.join(root, file), _NAME.fullmatch(stem_of(file))
        if not fields:
            skipped.append(Skipped(path, "not a name of VCTK"))
            continue
        stem, speaker, microphone = fields.groups()
        folder = os.path.basename(os.path.dirname(path))
        if re.fullmatch(r"p\d{3}|s5", folder) and folder != speaker:
            skipped.append(Skipped(path, "the folder names another speaker than the file"))
        elif stem in found:
            second = "the other microphone" if microphone == "2" else "a second copy"
            skipped.append(Skipped(path, second, intended=True))
        else:
            texts = (
                os.path.normpath(os.path.join(os.path.abspath(path), "..", place, f"{stem}.txt"))
                for place in (f"../../txt/{speaker}", f"../txt/{speaker}", ".")
            )
            found[stem] = Item(
                corpus="vctk",
                name=f"vctk/{stem}",
                speaker=f"vctk/{speaker}",
                gender=genders.get(speaker, ""),
                text=" ".join(next(filter(None, map(lines_of, texts)), [])),
                path=path,
            )
    if not found:
        raise unrecognised("VCTK", root, expected)
    if not genders:
        skipped.append(Skipped(os.path.join(root, "speaker-info.txt"), NO_TABLE, intended=True))
    return [found[stem] for stem in sorted(found)], skipped
