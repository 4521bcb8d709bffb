"""Files below a directory, and the texts and tables beside them."""

import os

from kvoice.data.corpora.utterance import GENDER_WORDS
from kvoice.errors import KvoiceError

AUDIO = (".wav", ".flac", ".ogg", ".mp3")
NO_TABLE = "not there: of no speaker is the gender known"


def audio_files(root, kinds=AUDIO):
    """Paths of the files below `root` whose names end in one of `kinds`, relative to it and sorted.

    Hidden files and folders are not followed: macOS leaves `._NAME` beside NAME in archives.
    """
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "." and name != "__MACOSX"]
        found += [
            os.path.relpath(os.path.join(folder, name), root)
            for name in files
            if name[0] != "." and name.lower().endswith(kinds)
        ]
    return sorted(found)


def unrecognised(corpus, root, expected):
    """The error for a directory that holds nothing of a corpus; shows the first file found."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        if files:
            first = os.path.relpath(os.path.join(folder, min(files)), root)
            return KvoiceError(
                f"{root} does not look like {corpus}: expected {expected}, "
                f"the first file found is {first}"
            )
    return KvoiceError(f"{root} is empty: {corpus} expects {expected}")


def stem_of(path):
    return os.path.splitext(os.path.basename(path))[0]


def genders_of(root, files, tables, row):
    """The genders of speakers: {as in the table: "female" or "male"}.

    The tables are looked for in the folders of the files and in the four above each, so that a part
    of a corpus (one subset of it) may be named alone.

    Args:
        files: Relative to `root`.
        tables: Names in lower case.
        row: Matches a row of a table: its speaker and its sex.
    """
    genders, seen = {}, set()
    for folder in sorted({os.path.dirname(os.path.abspath(os.path.join(root, file))) for file in files}):
        for _ in range(5):
            if folder in seen:
                break
            seen.add(folder)
            for name in sorted(next(os.walk(folder), ("", [], []))[2]):  # [] where it may not be read
                if name.lower() in tables:
                    rows = filter(None, map(row.match, lines_of(os.path.join(folder, name))))
                    genders = {of[1]: GENDER_WORDS[of[2].lower()] for of in rows} | genders
            folder = os.path.dirname(folder)
    return genders


def lines_of(path):
    """The lines of a text that are not empty, stripped; [] where there is no such file."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return [line.strip() for line in file if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        return []
