"""`tess:DIR`: the Toronto emotional speech set as downloaded."""

import os
import re

from kvoice.data.corpora.layout import audio_files, stem_of, unrecognised
from kvoice.data.corpora.utterance import EMOTION_WORDS, Item, Skipped

NAME = re.compile(r"(OAF|YAF|OA)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.I)


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `OAF_WORD_EMOTION.wav` and `YAF_...`, and the files left out.

    Files may be in folders of any name. There are two speakers, both women, so that a split by
    speaker is impossible. The labels are those of the file's name, because the folders' spelling
    differs between copies (OAF_Sad, OAF_Pleasant_surprise, OAF_surprised); `OA_bite_neutral`
    belongs to OAF. Archives hold the tree twice: second copies are left out.

    Source: Pichora-Fuller & Dupuis 2020, doi:10.5683/SP2/E8H2MF.
    """
    files, skipped = audio_files(root)
    found = {}
    for file in files:
        path = os.path.join(root, file)
        fields = NAME.fullmatch(stem_of(file))
        if not fields:
            skipped.append(Skipped(path, "not a name of TESS"))
            continue
        speaker, word, emotion = fields[1].upper(), fields[2].lower(), fields[3].lower()
        speaker = "OAF" if speaker == "OA" else speaker
        name = f"tess/{speaker}_{word}_{emotion}"
        folder = re.match(r"(oaf|yaf)_", os.path.basename(os.path.dirname(path)).lower())
        if folder and folder[1].upper() != speaker:
            skipped.append(Skipped(path, "the folder names another speaker than the file"))
        elif name in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        else:
            found[name] = Item(
                corpus="tess",
                name=name,
                speaker=f"tess/{speaker}",
                gender="female",
                emotion=EMOTION_WORDS[emotion],
                text=f"Say the word {word}",
                path=path,
            )
    if not found:
        raise unrecognised("TESS", root, "OAF_WORD_EMOTION.wav and YAF_WORD_EMOTION.wav")
    return list(found.values()), skipped
