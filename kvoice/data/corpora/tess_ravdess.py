"""`tess-ravdess:DIR`: both corpora, split as a published protocol splits them."""

import bisect
import collections
import dataclasses
import functools

from kvoice.data.corpora import ravdess, tess
from kvoice.data.corpora.layout import stem_of
from kvoice.data.corpora.utterance import Item, Skipped
from kvoice.errors import KvoiceError

_PROTOCOL_EMOTIONS = ("neutral", "happy", "sad", "angry")
_TESS_WORDS = 200


def items(root: str) -> tuple[list[Item], list[Skipped]]:
    """The clips of TESS and RAVDESS in a published protocol of emotion classification.

    Both corpora may be in any folders below `root`. There are four emotions: neutral (RAVDESS' calm
    counts as neutral), happy, sad, angry. Complete corpora have 2464 clips, 1600 of TESS and 864 of
    RAVDESS: 2000 are in train, 232 in valid, 232 in test, none in judge.

    TESS is split by its 200 words in alphabetical order: the first 160 are in train, the next 20 in
    valid, the last 20 in test. A word is ranked among all words of the corpus, so that a missing
    file moves no word into another split. RAVDESS is split by actor: 1 to 20 are in train, 21 and
    22 in valid, 23 and 24 in test.

    The splits are not disjoint, as published: both speakers of TESS are in all three (160 of the
    232 test clips are of training speakers), and so are both sentences of RAVDESS. Results of this
    protocol can only be compared with each other; only the 72 test clips of RAVDESS are of unseen
    speakers.

    The one pair of takes with the same bytes is kept, as published (both are in train).

    Source: the earlier work on activation maximisation over voices (see `models.classifier`).
    """
    readers = {"TESS": tess.items, "RAVDESS": functools.partial(ravdess.items, repeated=True)}
    found, not_of = [], {}
    for corpus, reader in readers.items():
        try:
            own, left_out = reader(root)
        except KvoiceError as error:
            raise KvoiceError(
                f"--data=tess-ravdess:{root}: {corpus} is missing: {error}: "
                "put TESS and RAVDESS both below one directory"
            ) from None
        found += own
        not_of[corpus] = {skip.file: skip for skip in left_out}
    skipped = []
    for file in sorted(not_of["TESS"].keys() & not_of["RAVDESS"].keys()):  # each skips the other's
        if tess.NAME.fullmatch(stem_of(file)):
            skipped.append(not_of["TESS"][file])
        elif ravdess.NAME.fullmatch(stem_of(file)):
            skipped.append(not_of["RAVDESS"][file])
        else:
            skipped.append(Skipped(file, "a name neither of TESS nor of RAVDESS"))
    words = _tess_words(root, [item for item in found if item.corpus == "tess"])
    used = []
    for item in found:
        emotion = "neutral" if item.emotion == "calm" else item.emotion
        if emotion not in _PROTOCOL_EMOTIONS:
            skipped.append(
                Skipped(item.path, "an emotion that the protocol does not use", intended=True)
            )
            continue
        if item.corpus == "tess":
            split = _thresholds(bisect.bisect_left(words, _tess_word(item)), 160, 180)
        else:
            split = _thresholds(int(item.speaker[-2:]) - 1, 20, 22)
        used.append(dataclasses.replace(item, emotion=emotion, split=split))
    return used, skipped


def _thresholds(rank, valid, test):
    return "train" if rank < valid else "valid" if rank < test else "test"


def _tess_word(item):
    return item.text.rpartition(" ")[2]


def _tess_words(root, items):
    """The 200 words of TESS in alphabetical order.

    They are the most frequent ones, so that a misspelt file name moves no other word.
    """
    counts = collections.Counter(_tess_word(item) for item in sorted(items, key=_tess_word))
    if len(counts) < _TESS_WORDS:
        raise KvoiceError(
            f"--data=tess-ravdess:{root}: TESS has {len(counts)} of its {_TESS_WORDS} words there, "
            "and the protocol splits it by their order: download the rest, or split what there is "
            f"otherwise with --data=tess:{root}+ravdess:{root}"
        )
    return sorted(word for word, _ in counts.most_common(_TESS_WORDS))
