"""The splits train, valid, judge and test, which have no speaker in common.

Or no text, or they are those that the corpus assigns itself, whatever these have in common. The
split judge is for the classifiers and speaker encoders that evaluate other models.
"""

import collections
import zlib

import numpy as np

from kvoice.data.corpora import ASSIGNED, OF_ONE_SPEAKER
from kvoice.data.corpora.utterance import SPLITS, Item
from kvoice.errors import KvoiceError

SHARES = {"valid": 0.10, "test": 0.15, "judge": 0.25}  # the rest is train
WAYS = ("speaker", "text", "corpus")


def default(data: str, condition: str = "") -> str:
    """The default way in which a corpus is split, one of `WAYS`.

    Args:
        data: The argument of `--data`; see `corpora`.
        condition: The label that the model predicts or is conditioned on: "speaker", "gender",
            "emotion" or "". For "speaker", every split needs every speaker, and the split is by
            text.

    Returns:
        "corpus" where one of the corpora assigns its utterances to splits itself, whatever the
        label; else "text" for the condition "speaker" and for a corpus of one speaker, and
        "speaker" for all others.
    """
    names = {part.partition(":")[0] for part in data.split("+")}
    if names & {*ASSIGNED}:
        return "corpus"
    return "text" if condition == "speaker" or names <= {*OF_ONE_SPEAKER} else "speaker"


def split_of(items: list[Item], by: str, seed: int) -> dict[str, str]:
    """The split of each utterance by its name, so that no speaker (or text) is in two splits.

    By speaker, a random stratified split: the speakers of each corpus and gender are distributed by
    `SHARES`; a gender of fewer than four speakers is put together with the larger one. A corpus of
    fewer than four speakers is in train as a whole where it is joined to a larger one. By text, the
    texts are distributed; where texts are unknown, the utterances of each speaker. Splits that the
    corpus itself assigned (`Item.split`) stay. By corpus, only these count: speakers and texts may
    be in several splits, and splits may be empty.

    Args:
        items: The utterances of `corpora.items`.
        by: One of `WAYS`.
        seed: Seed of the random split; not used by corpus.

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
            raise KvoiceError(
                _not_disjoint(by, group[item.name], {given[group[item.name]], item.split})
            )
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
    split = given | _distributed(stratum, seed)
    return {name: split[key] for name, key in group.items()}


def _distributed(stratum, seed):
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


def _not_disjoint(by, group, splits):
    """The message for a speaker or text that the corpus puts into two splits."""
    allowed = "--split=text or --split=corpus" if by == "speaker" else "--split=corpus"
    return (
        f"the corpus itself puts the {by} {group!r} into {' and '.join(sorted(splits))}: "
        f"allow it with {allowed}, or give it one split (in the metadata.csv of folder:)"
    )


def _too_few(by, count):
    """The message for fewer speakers or texts than splits."""
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
