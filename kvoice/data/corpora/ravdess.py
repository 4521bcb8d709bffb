"""`ravdess:DIR`: RAVDESS as downloaded."""

import filecmp
import os
import re

from kvoice.data.corpora.layout import audio_files, stem_of, unrecognised
from kvoice.data.corpora.utterance import Item, Skipped

_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_TEXTS = ("Kids are talking by the door", "Dogs are sitting by the door")
NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")


def items(root: str, repeated: bool = False) -> tuple[list[Item], list[Skipped]]:
    """The utterances `Actor_NN/03-01-EE-II-SS-RR-NN.wav`, and the files left out.

    The fields of a name are modality, channel, emotion, intensity, statement, repetition and actor
    (odd = male). Songs and the sound of videos are left out (a video repeats the sound of its audio
    file), as are second copies: archives hold the tree twice, and one actor's two repetitions of
    one sentence are the same bytes.

    Args:
        root: The directory of the corpus.
        repeated: Whether both of these two repetitions are kept.

    Source: Livingstone & Russo 2018, doi:10.1371/journal.pone.0196391.
    """
    expected = "Actor_NN/03-01-05-01-01-01-NN.wav (speech, audio only)"
    files, skipped = audio_files(root)
    found = {}
    for file in files:
        path, stem = os.path.join(root, file), stem_of(file)
        fields = NAME.fullmatch(stem)
        if not fields:
            skipped.append(Skipped(path, "not a name of RAVDESS"))
            continue
        modality, channel, emotion, _, statement, repetition, actor = fields.groups()
        folder = re.fullmatch(r"actor_(\d+)", os.path.basename(os.path.dirname(path)).lower())
        first_take = f"{stem[:15]}01-{actor}" if repetition == "02" else stem
        if modality != "03":
            skipped.append(Skipped(path, "the sound of a video", intended=True))
        elif channel != "01":
            skipped.append(Skipped(path, "song, not speech", intended=True))
        elif folder and int(folder[1]) != int(actor):
            skipped.append(Skipped(path, "the folder names another actor than the file"))
        elif stem in found:
            skipped.append(Skipped(path, "a second copy", intended=True))
        elif (
            not repeated
            and first_take != stem
            and first_take in found
            and filecmp.cmp(path, found[first_take].path, shallow=False)
        ):
            skipped.append(Skipped(path, "the same bytes as the other repetition", intended=True))
        else:
            found[stem] = Item(
                corpus="ravdess",
                name=f"ravdess/{stem}",
                speaker=f"ravdess/{actor}",
                gender="male" if int(actor) % 2 else "female",
                emotion=_EMOTIONS[int(emotion) - 1],
                text=_TEXTS[int(statement) - 1],
                path=path,
            )
    if not found:
        raise unrecognised("RAVDESS", root, expected)
    return list(found.values()), skipped
