"""Corpora: what `--data` names, turned into a list of utterances with their labels.

`NAME[:WHERE]`, joined by "+": `demo`, `demo:100` (speakers), `demo:25-224` (those of these numbers),
`espeak`, `folder:DIR`, `ravdess:DIR`, `tess:DIR`, `tess-ravdess:DIR`, `vctk:DIR`, `libritts:DIR`,
`librispeech:DIR`. A path may contain ":" but not "+".

Nothing is read here but names, texts and tables: `recording` reads or renders one utterance. Every
corpus maps its labels to the words of `EMOTIONS` and `GENDERS`, and its speakers to
"corpus/speaker", so that corpora can be joined.
"""

import importlib
import os
import re

from kvoice import audio
from kvoice.data.corpora import folder, libri, ravdess, tess, tess_ravdess, vctk
from kvoice.data.corpora.utterance import Recording
from kvoice.errors import KvoiceError, hint

RENDERED = ("demo", "espeak")
ASSIGNED = ("tess-ravdess",)  # corpora that say themselves which split an utterance is in
READERS = {
    "folder": folder.items,
    "ravdess": ravdess.items,
    "tess": tess.items,
    "tess-ravdess": tess_ravdess.items,
    "vctk": vctk.items,
    "libritts": libri.libritts,
    "librispeech": libri.librispeech,
}


def items(data):
    """(the utterances of a corpus or of several, the files left out).

    Args:
        data: `NAME[:WHERE]`, joined by "+", as in the module's docstring.

    Raises:
        KvoiceError: If a name is unknown, a directory missing or empty, its layout not the
            corpus', or a corpus named twice (or two that share their speakers).
    """
    found, skipped, names = [], [], set()
    parts = [part.partition(":") for part in data.split("+")]
    for name, _, _ in parts:
        if name not in RENDERED and name not in READERS:
            plus = ' (a path may not contain "+")' if len(parts) > 1 else ""
            raise KvoiceError(
                f"--data={data}: there is no corpus {name!r}: "
                f"{hint(name, [*RENDERED, *READERS])}{plus}"
            )
    if {"librispeech", "libritts"} <= {name for name, _, _ in parts}:
        raise KvoiceError(
            f"--data={data}: LibriTTS has readers of LibriSpeech, who would be two speakers each, "
            "perhaps one to learn from and one to be tested on: choose one of the two"
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
    return found, skipped


def recording(item, sample_rate_hz, hop):
    """Reads or renders an utterance.

    Args:
        item: One of `items`.
        sample_rate_hz: Of the result; files are resampled.
        hop: Samples between the frame labels, where the corpus brings them.

    Raises:
        KvoiceError: If the file cannot be read.
    """
    if item.path:
        return Recording(*audio.read(item.path, sample_rate_hz))
    return _renderer(item.corpus).render(item.utterance, sample_rate_hz, hop)


def phones(data):
    """The names of the phones that the frame labels of a corpus number; () where it has none.

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


def version(corpus):
    """The version of a corpus that is rendered: another one sounds otherwise."""
    return getattr(_renderer(corpus), "VERSION", "")


def _renderer(name):
    return importlib.import_module(f"kvoice.data.synthetic.{name}")


def _rendered(name, where):
    """The utterances of a corpus that is rendered, not read."""
    wanted = _speakers(name, where) if where else {}
    return [_renderer(name).item(utterance) for utterance in _renderer(name).utterances(**wanted)]


def _speakers(name, where):
    """What `N`, or `A-B` of demo's endless list, asks of a renderer: arguments of its `utterances`."""
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
    path = os.path.expanduser(where)
    if not where:
        raise KvoiceError(f"--data={name}: which directory? Say {name}:DIR")
    if not os.path.isdir(path):
        raise KvoiceError(f"--data={name}:{where}: there is no directory {path}")
    return path
