"""Corpora: the list of utterances, with their labels, of an argument of `--data`.

`NAME[:WHERE]`, joined by "+": `demo`, `demo:100` (speakers), `demo:25-224` (those of these
numbers), `espeak`, `folder:DIR`, and the name of a corpus in the layout of its download with its
directory: `READERS`. A path may contain ":" but not "+".

`items` reads only names, texts and tables; `recordings` reads or renders the sound of an utterance.
Every corpus maps its labels to the words of `EMOTIONS` and `GENDERS`, and its speakers to
"corpus/speaker", so that corpora can be joined.
"""

import contextlib
import dataclasses
import importlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence

from kvoice import audio
from kvoice.data.corpora import (
    arctic,
    commonvoice,
    cremad,
    emodb,
    esd,
    folder,
    iemocap,
    libri,
    ljspeech,
    ravdess,
    tess,
    tess_ravdess,
    vctk,
)
from kvoice.data.corpora.utterance import Item, Recording, Skipped
from kvoice.errors import KvoiceError, hint
from kvoice.files import expanded

LONGEST_S = 60.0  # of an utterance; a longer file becomes several
RENDERED = ("demo", "espeak")
ASSIGNED = ("tess-ravdess",)  # corpora that assign their utterances to splits themselves
OF_ONE_SPEAKER = ("ljspeech",)
# Corpora of which all is English; of a folder the language is not known.
ENGLISH = (
    *RENDERED,
    *ASSIGNED,
    "ravdess",
    "tess",
    "vctk",
    "libritts",
    "librispeech",
    "cremad",
    "iemocap",
    "ljspeech",
    "arctic",
)
READERS = {
    "folder": folder.items,
    "ravdess": ravdess.items,
    "tess": tess.items,
    "tess-ravdess": tess_ravdess.items,
    "vctk": vctk.items,
    "libritts": libri.libritts,
    "librispeech": libri.librispeech,
    "ljspeech": ljspeech.items,
    "arctic": arctic.items,
    "commonvoice": commonvoice.items,
    "cremad": cremad.items,
    "emodb": emodb.items,
    "esd": esd.items,
    "iemocap": iemocap.items,
}


def items(data: str) -> tuple[list[Item], list[Skipped]]:
    """The utterances of one or several corpora, and the files that were left out.

    Args:
        data: `NAME[:WHERE]`, joined by "+", as in the module's docstring.

    Raises:
        KvoiceError: If a name is unknown, a directory is missing or empty or has not the layout of
            the corpus, or a corpus is named twice (or two are named that share their speakers).
    """
    found, skipped, names = [], [], set()
    parts = [part.partition(":") for part in data.split("+")]
    for name, _, _ in parts:
        if name not in RENDERED and name not in READERS:
            if name == "prepared":
                raise KvoiceError(f"--data={data}: is prepared already; `kvoice train` takes it")
            if os.path.isdir(expanded(name)):
                raise KvoiceError(f"--data={data}: is a folder; did you mean folder:{data}?")
            plus = ' (a path may not contain "+")' if len(parts) > 1 else ""
            raise KvoiceError(
                f"--data={data}: there is no corpus {name!r}: "
                f"{hint(name, [*RENDERED, *READERS])}{plus}"
            )
    if {"librispeech", "libritts"} <= {name for name, _, _ in parts}:
        raise KvoiceError(
            f"--data={data}: LibriTTS has readers of LibriSpeech, who would be two speakers each, "
            "perhaps one in train and one in test: choose one of the two"
        )
    for name, _, where in parts:
        if name in RENDERED:
            found += _rendered(name, where)
        else:
            files, left_out = READERS[name](_directory(name, where))
            found += files
            skipped += left_out
    for item in found:
        if item.name in names:
            raise KvoiceError(
                f"--data={data}: two utterances are called {item.name}: "
                "join a corpus only once, and folders of different names"
            )
        names.add(item.name)
    return _once(found, skipped)


def _once(items, skipped):
    """Leaves out files that are there under another name too, of which links were made."""
    found, files = [], {}
    for item in items:
        if not item.path:
            found.append(item)
            continue
        with contextlib.suppress(OSError):  # what cannot be read is told when it is
            stat = os.stat(item.path)
            first = files.setdefault((stat.st_dev, stat.st_ino), item.path)
            if stat.st_ino and first != item.path:  # some file systems do not number their files
                skipped.append(Skipped(item.path, "the same file as another", intended=True))
                continue
        found.append(item)
    return found, skipped


def recordings(item: Item, sample_rate_hz: int, hop: int) -> Iterator[tuple[Item, Recording]]:
    """Reads or renders an utterance; a file longer than `LONGEST_S` is cut into several.

    A part ends at a quiet place. It is named by its start, "NAME#61.5" in s, and its text is
    unknown.

    Args:
        item: One of `items`.
        sample_rate_hz: Sample rate of the result, in Hz; files are resampled.
        hop: Hop of the frame labels, in samples, where the corpus has them.

    Yields:
        (The item, or that of a part; its sound).

    Raises:
        KvoiceError: If the file cannot be read; before the first part.
    """
    if not item.path:
        sound = _renderer(item.corpus).render(item.utterance, sample_rate_hz, hop)
        yield item, sound.at_speed(item.speed, hop)
        return
    parts = (wave for wave, _ in audio.parts(item.path, sample_rate_hz, LONGEST_S))
    first, second = next(parts), next(parts, None)
    if second is None:
        yield item, Recording(first, sample_rate_hz).at_speed(item.speed, hop)
        return
    start = 0
    for wave in itertools.chain([first, second], parts):
        part = dataclasses.replace(item, name=f"{item.name}#{start / sample_rate_hz:.1f}", text="")
        yield part, Recording(wave, sample_rate_hz).at_speed(item.speed, hop)
        start += len(wave)


def at_speeds(items: list[Item], speeds: Sequence[float]) -> list[Item]:
    """Copies of utterances at other speeds, whose speakers count as further ones.

    Source: speed perturbation, Ko et al. 2015, "Audio augmentation for speech recognition"; copies
    as further speakers: Yamamoto et al. 2019, "Speaker augmentation and bandwidth extension for
    deep speaker embedding".
    """
    return [
        dataclasses.replace(
            item,
            name=f"{item.name}@{speed:g}",
            speaker=item.speaker and f"{item.speaker}@{speed:g}",
            speed=speed,
        )
        for speed in speeds
        for item in items
    ]


def phones(data: str) -> tuple[str, ...]:
    """The names of the phones of a corpus, by the numbers in its frame labels; () where unknown.

    Raises:
        KvoiceError: If two joined corpora number their phones differently.
    """
    inventories = {
        name: tuple(getattr(_renderer(name), "PHONES", ()))
        for name in (part.partition(":")[0] for part in data.split("+"))
        if name in RENDERED
    }
    if len(set(filter(None, inventories.values()))) > 1:
        raise KvoiceError(
            f"--data={data}: {' and '.join(inventories)} number their phones "
            "differently: prepare them into two directories"
        )
    return max(inventories.values(), default=(), key=len)


def rendered(data: str) -> bool:
    """Whether all corpora of an argument of `--data` are rendered: none holds recordings."""
    return all(part.partition(":")[0] in RENDERED for part in data.split("+"))


def english(data: str) -> bool:
    """Whether all that is said in a corpus, as `--data` names it, is known to be English."""
    return all(part.partition(":")[0] in ENGLISH for part in data.split("+"))


def version(corpus: str) -> str:
    """The version of a rendered corpus, which changes whenever its sound does."""
    return getattr(_renderer(corpus), "VERSION", "")


def _renderer(name):
    return importlib.import_module(f"kvoice.data.synthetic.{name}")


def _rendered(name, where):
    """The utterances of a rendered corpus."""
    wanted = _speakers(name, where) if where else {}
    return [_renderer(name).item(utterance) for utterance in _renderer(name).utterances(**wanted)]


def _speakers(name, where):
    """The arguments of a renderer's `utterances` for `N`, or for `A-B` of demo's endless list."""
    numbers = re.fullmatch("([0-9]+)-([0-9]+)", where) if name == "demo" else None
    if not numbers:
        if not (re.fullmatch("[0-9]+", where) and int(where) > 0):
            some = f", {name}:100 or {name}:25-224" if name == "demo" else f" or {name}:12"
            raise KvoiceError(
                f"--data={name}:{where}: {where!r} is not a number of speakers: "
                f"say, for instance, {name}{some}"
            )
        return {"speakers": int(where)}
    first, last = int(numbers[1]), int(numbers[2])
    if not 1 <= first <= last:
        mistake = "speakers are numbered from 1" if first < 1 else "the last comes before the first"
        raise KvoiceError(f"--data={name}:{where}: {mistake}: say, for instance, {name}:25-224")
    return {"speakers": last - first + 1, "first": first}


def _directory(name, where):
    """The path of the directory of a corpus, which must exist."""
    path = expanded(where)
    if not where:
        raise KvoiceError(f"--data={name}: which directory? Say {name}:DIR")
    if not os.path.isdir(path):
        raise KvoiceError(f"--data={name}:{where}: there is no directory {path}")
    return path
