"""Small imitations of corpora on disk, and what is read of them."""

import collections
import os
import zlib

import numpy as np
import soundfile

from kvoice.data import corpora


def place(root, *paths, channels=1):
    """Writes a short, distinct wav at each path below `root`."""
    for path in paths:
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = np.sin(np.arange(800) * (0.05 + 0.01 * (zlib.crc32(path.name.encode()) % 17)))
        soundfile.write(path, np.stack([tone] * channels, 1), 8000)


def by_name(data):
    found, _ = corpora.items(data)
    return {item.name: item for item in found}


def reasons(data):
    _, skipped = corpora.items(data)
    return {os.path.basename(skip.file): skip.reason for skip in skipped}


def faults(data):
    _, skipped = corpora.items(data)
    return sorted(os.path.basename(skip.file) for skip in skipped if not skip.intended)


def empty(root, *paths):
    """Empty files: `items` reads names only."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def count(values):
    return dict(collections.Counter(values))


def texts(root, contents):
    """Text files below `root`: {path: what it holds}."""
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")


def fields(item):
    return item.speaker, item.gender, item.text
