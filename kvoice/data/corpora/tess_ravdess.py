"""`tess-ravdess:DIR`: both corpora, split as a published protocol splits them."""

import bisect
import collections
import dataclasses
import functools

from kvoice.data.corpora import ravdess, tess
from kvoice.data.corpora.layout import stem_of
from kvoice.data.corpora.utterance import Skipped
from kvoice.errors import KvoiceError

_PROTOCOL_EMOTIONS = ("neutral", "happy", "sad", "angry")
_TESS_WORDS = 200


def items(root):
    """TESS and RAVDESS in any folders, as a published protocol of emotion classification has them.

    Four emotions: neutral (RAVDESS' calm counts as neutral), happy, sad, angry. 2464 clips where
    both are complete, 1600 of TESS and 864 of RAVDESS: 2000 train, 232 valid, 232 test, none judge.

    TESS: of its 200 words in alphabetical order the first 160 train, the next 20 valid, the last 20
    test. A word is ranked among all words of the corpus, so that a file which a copy lacks moves no
    word into another split. RAVDESS: actors 1 to 20 train, 21 and 22 valid, 23 and 24 test.

    The sets leak, as published: both speakers of TESS are in all three (160 of the 232 test clips
    are of speakers that were trained on), and so are both sentences of RAVDESS. Numbers of this
    protocol compare with others of it only; how a classifier fares with new speakers shows in the
    72 test clips of RAVDESS alone.

    The one pair of takes with the same bytes is kept, as published (both train).

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
        not_of[corpus] = {skip.file: skip.reason for skip in left_out}
    skipped = []
    for file in sorted(not_of["TESS"].keys() & not_of["RAVDESS"].keys()):  # each skips the other's
        if tess.NAME.fullmatch(stem_of(file)):
            reason = not_of["TESS"][file]
        elif ravdess.NAME.fullmatch(stem_of(file)):
            reason = not_of["RAVDESS"][file]
        else:
            reason = "a name neither of TESS nor of RAVDESS"
        skipped.append(Skipped(file, reason))
    words = _tess_words(root, [item for item in found if item.corpus == "tess"])
    used = []
    for item in found:
        emotion = "neutral" if item.emotion == "calm" else item.emotion
        if emotion not in _PROTOCOL_EMOTIONS:
            skipped.append(Skipped(item.path, "an emotion that the protocol does not use"))
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

    They are the ones that most speakers and emotions have: a stray spelling moves no other word.
    """
    counts = collections.Counter(_tess_word(item) for item in sorted(items, key=_tess_word))
    if len(counts) < _TESS_WORDS:
        raise KvoiceError(
            f"--data=tess-ravdess:{root}: TESS has {len(counts)} of its {_TESS_WORDS} words there, "
            "and the protocol splits it by their order: download the rest, or split what there is "
            f"otherwise with --data=tess:{root}+ravdess:{root}"
        )
    return sorted(word for word, _ in counts.most_common(_TESS_WORDS))
