"""Which utterances train, validate, judge and test: four sets without a speaker in common."""

import collections
import zlib

import numpy as np

from kvoice.data.corpora import SPLITS
from kvoice.errors import KvoiceError

SHARES = {"valid": 0.10, "test": 0.15, "judge": 0.25}  # the rest is train


def split_of(items, by, seed):
    """The split of each utterance by its name, so that no speaker (or text) is in two splits.

    Speakers are shared out by `SHARES` within each corpus and gender, at random; a gender of fewer
    than four speakers is shared out together with the larger one. A corpus of fewer than four
    speakers goes to train whole when it is joined to a larger one. By text, the texts are shared
    out; where texts are unknown, the utterances of each speaker. What the corpus itself assigned
    (`Item.split`) stays.

    Args:
        items: Of `corpora.items`.
        by: "speaker" or "text".
        seed: Of the draw.

    Raises:
        KvoiceError: If there are fewer than four speakers (or texts), or the corpus puts one into
            two splits.
    """
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
    way_out = "give it one, or allow it with --split=text" if by == "speaker" else "give it one"
    return f"metadata.csv puts the {by} {group!r} into {' and '.join(sorted(splits))}: {way_out}"


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
