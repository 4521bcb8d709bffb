"""`iemocap:DIR`: IEMOCAP as downloaded."""

import functools
import os
import re

from kvoice.data.corpora.layout import audio_files, lines_of, stem_of, unrecognised
from kvoice.data.corpora.utterance import GENDER_WORDS, Item, Skipped
from kvoice.errors import KvoiceError

_EMOTIONS = {
    "neu": "neutral",
    "hap": "happy",
    "exc": "happy",
    "sad": "sad",
    "ang": "angry",
    "fea": "fearful",
    "dis": "disgust",
    "sur": "surprised",
}
_LEFT_OUT = {
    "fru": "frustration, which is no emotion of the vocabulary",
    "oth": "another emotion than those of the vocabulary",
    "xxx": "the annotators agree on no emotion",
}
_UNLABELLED = "its emotion is not in"
_DIALOGUE = r"Ses0([1-5])[FM]_(?:impro\d\d|script\d\d_\d)[a-z]?"
_NAME = re.compile(rf"({_DIALOGUE})_([FM])\d{{3}}")
_LABEL = re.compile(r"\[[\d. -]+\]\s+(\w+)\s+([a-z]{3})\s")  # [start - end] turn emotion [...]
_TURN = re.compile(r"(\w+) +\[[\d.-]+\]: *(.*)")  # turn [start-end]: text


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `SessionN/sentences/wav/DIALOGUE/DIALOGUE_F000.wav`, and the files left out.

    The speaker is the session and the last letter of the name: F is the woman, M the man of the
    session (the letter behind the session says who wore the markers of the motion capture). The
    emotion is that in `SessionN/dialog/EmoEvaluation/DIALOGUE.txt`, on which most annotators agree,
    and the text that in `SessionN/dialog/transcriptions/DIALOGUE.txt`. Excitement counts as happy,
    as is common. Frustration, other emotions and utterances without agreement are left out, and so
    are recordings of whole dialogues, in which both speak.

    Source: Busso et al. 2008, doi:10.1007/s10579-008-9076-6; "exc" as happy: among others Yoon,
    Byun & Jung 2018, arXiv:1810.04635.
    """
    files, skipped = audio_files(root)

    @functools.cache
    def table(path, row):
        return dict(match.groups() for match in map(row.match, lines_of(path)) if match)

    found = {}
    for file in files:
        path, stem = os.path.abspath(os.path.join(root, file)), stem_of(file)
        fields = _NAME.fullmatch(stem)
        if not fields:
            if re.fullmatch(_DIALOGUE, stem):
                skipped.append(Skipped(path, "a whole dialogue of two speakers", intended=True))
            else:
                skipped.append(Skipped(path, "not a name of IEMOCAP"))
            continue
        dialogue, session, gender = fields.groups()
        folder = os.path.basename(os.path.dirname(path))
        above = os.path.normpath(os.path.join(path, "../../../../dialog"))
        label = table(os.path.join(above, "EmoEvaluation", f"{dialogue}.txt"), _LABEL).get(stem)
        if re.fullmatch(_DIALOGUE, folder) and folder != dialogue:
            skipped.append(Skipped(path, "the folder names another dialogue than the file"))
        elif stem in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        elif label in _LEFT_OUT:
            skipped.append(Skipped(path, _LEFT_OUT[label], intended=True))
        elif label not in _EMOTIONS:
            table_of = f"SessionN/dialog/EmoEvaluation/{dialogue}.txt"
            skipped.append(Skipped(path, f"{_UNLABELLED} {table_of}"))
        else:
            words = table(os.path.join(above, "transcriptions", f"{dialogue}.txt"), _TURN)
            found[stem] = Item(
                corpus="iemocap",
                name=f"iemocap/{stem}",
                speaker=f"iemocap/{session}{gender}",
                gender=GENDER_WORDS[gender.lower()],
                emotion=_EMOTIONS[label],
                text=words.get(stem, ""),
                path=path,
            )
    unlabelled = [each for each in skipped if each.reason.startswith(_UNLABELLED)]
    if not found and unlabelled:
        raise KvoiceError(
            f"{root}: of no utterance is the emotion known; {unlabelled[0].file}: "
            f"{unlabelled[0].reason}"
        )
    if not found:
        raise unrecognised(
            "IEMOCAP",
            root,
            "SessionN/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav, with its emotion in "
            "SessionN/dialog/EmoEvaluation/Ses01F_impro01.txt",
        )
    return list(found.values()), skipped
