"""`emodb:DIR`: the Berlin Database of Emotional Speech (EmoDB) as downloaded."""

import os
import re

from kvoice.data.corpora.layout import audio_files, stem_of, unrecognised
from kvoice.data.corpora.utterance import GENDER_WORDS, Item, Skipped

_GENDERS = dict(zip("03 08 09 10 11 12 13 14 15 16".split(), "MFFMMMFFMF"))
_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
_NAME = re.compile(rf"({'|'.join(_GENDERS)})({'|'.join(_TEXTS)})([WLEAFTN])([a-z])", re.I)


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances `wav/SSTTTEV.wav`, in any folders, and the files left out.

    The fields of a name are speaker, text, emotion (the initial of the German word) and version.
    They are read in upper and lower case, because copies have names in lower case. Ten actors
    speak the same ten sentences: the texts are parallel.

    Source: Burkhardt et al. 2005, "A database of German emotional speech", Interspeech.
    """
    files, skipped = audio_files(root)
    found = {}
    for file in files:
        path = os.path.join(root, file)
        fields = _NAME.fullmatch(stem_of(file))
        if not fields:
            skipped.append(Skipped(path, "not a name of EmoDB"))
            continue
        speaker, text, emotion, version = fields.groups()
        text, emotion = text.lower(), emotion.upper()
        name = f"emodb/{speaker}{text}{emotion}{version.lower()}"
        if name in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
            continue
        found[name] = Item(
            corpus="emodb",
            name=name,
            speaker=f"emodb/{speaker}",
            gender=GENDER_WORDS[_GENDERS[speaker].lower()],
            emotion=_EMOTIONS[emotion],
            text=_TEXTS[text],
            path=path,
        )
    if not found:
        raise unrecognised("EmoDB", root, "wav/03a01Fa.wav (speaker, text, emotion, version)")
    return list(found.values()), skipped
