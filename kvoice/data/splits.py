"""Which utterances train, validate, judge and test: four sets without a speaker in common.

Or without a text in common, or as the corpus itself says, whatever its sets have in common.
"""

import collections
import zlib

import numpy as np

from kvoice.data.corpora import ASSIGNED
from kvoice.data.corpora.utterance import SPLITS
from kvoice.errors import KvoiceError

SHARES = {"valid": 0.10, "test": 0.15, "judge": 0.25}  # the rest is train
WAYS = ("speaker", "text", "corpus")


def default(data, condition=""):
    """The way in which a corpus is split where nobody says one, of `WAYS`.

    Args:
        data: What `--data` says; see `corpora`.
        condition: The label that is learned: "speaker", "gender", "emotion" or "". Speakers that
            are learned have to be in every split, so that texts are kept apart then.

    Returns:
        "corpus" where one of the corpora assigns its utterances to splits itself, whatever the
        label.
    """
    if any(part.partition(":")[0] in ASSIGNED for part in data.split("+")):
        return "corpus"
    return "text" if condition == "speaker" else "speaker"


def split_of(items, by, seed):
    """The split of each utterance by its name, so that no speaker (or text) is in two splits.

    Speakers are shared out by `SHARES` within each corpus and gender, at random; a gender of fewer
    than four speakers is shared out together with the larger one. A corpus of fewer than four
    speakers goes to train whole when it is joined to a larger one. By text, the texts are shared
    out; where texts are unknown, the utterances of each speaker. What the corpus itself assigned
    (`Item.split`) stays. By corpus, nothing else counts: speakers and texts may be in several
    splits, and splits be empty.

    Args:
        items: Of `corpora.items`.
        by: One of `WAYS`.
        seed: Of the draw; by corpus, nothing is drawn.

    Raises:
        KvoiceError: If there are fewer than four speakers (or texts), or the corpus puts one into
            two splits; by corpus, if an utterance has no split of its own.
    """
    if by == "corpus":
        for item in items:
            if not item.split:
                raise KvoiceError(
                    f"{item.name} has no split of its own, as --split=corpus wants: give every "
                    "utterance one in the metadata.csv of folder:, or say --split=speaker or "
                    "--split=text"
                )
        return {item.name: item.split for item in items}
    group = {
        item.name: item.speaker if by == "speaker" else item.text.strip().casefold() or item.name
        for item in items
    }
    given = {}
    for item in items:
        if item.split and given.setdefault(group[item.name], item.split) != item.split:
            raise KvoiceError(_leak(by, group[item.name], {given[group[item.name]], item.split}))
    stratum = {}
    for item in items:
        if group[item.name] not in given:
            own = (
                (item.corpus, item.gender)
                if by == "speaker"
                else ("", "" if item.text else item.speaker)
            )
            stratum.setdefault(group[item.name], own)
    if not given and len(stratum) < len(SPLITS):
        raise KvoiceError(_too_few(by, len(stratum)))
    split = given | _shared_out(stratum, seed)
    return {name: split[key] for name, key in group.items()}


def _shared_out(stratum, seed):
    """The split of each group, given its stratum (corpus, kind)."""
    sizes = collections.Counter(corpus for corpus, _ in stratum.values())
    if (
        max(sizes.values(), default=0) < len(SPLITS) <= len(stratum)
    ):  # all corpora are small: take them as one
        stratum = {group: ("", kind) for group, (_, kind) in stratum.items()}
        sizes = {"": len(stratum)}
    split = {}
    for corpus, size in sorted(sizes.items()):
        if size < len(SPLITS):
            split |= {group: "train" for group, own in stratum.items() if own[0] == corpus}
            continue
        kinds = {}
        for group, own in stratum.items():
            if own[0] == corpus:
                kinds.setdefault(own[1], []).append(group)
        largest = max(sorted(kinds), key=lambda kind: len(kinds[kind]))
        for kind in sorted(set(kinds) - {largest}):
            if len(kinds[kind]) < len(SPLITS):
                kinds[largest] += kinds.pop(kind)
        for kind, groups in sorted(kinds.items()):
            rng = np.random.default_rng([seed, zlib.crc32(f"{corpus}/{kind}".encode())])
            split |= dict(
                zip(rng.permutation(sorted(groups)).tolist(), _row_of_splits(len(groups)))
            )
    return split


def _row_of_splits(count):
    """The splits of `count` speakers, each at least once."""
    counts = {name: max(1, round(share * count)) for name, share in SHARES.items()}
    row = [name for name, share in counts.items() for _ in range(share)]
    return row + ["train"] * (count - len(row))


def _leak(by, group, splits):
    allowed = "--split=text or --split=corpus" if by == "speaker" else "--split=corpus"
    return (
        f"the corpus itself puts the {by} {group!r} into {' and '.join(sorted(splits))}: "
        f"allow it with {allowed}, or give it one split (in the metadata.csv of folder:)"
    )


def _too_few(by, count):
    way_out = (
        "`kvoice prepare --split=text` splits by text instead, for --data=prepared:DIR (the judge "
        "then knows the speakers)"
        if by == "speaker"
        else "give each utterance a split in the metadata.csv of folder:"
    )
    return (
        f"the corpus has {count} {by}{'s' * (count != 1)}, but four disjoint sets "
        f"(train, valid, judge, test) need at least four: {way_out}"
    )
