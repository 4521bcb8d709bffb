"""Sound files below a directory, and the texts and tables beside them."""

import os
import re

from kvoice.data.corpora.utterance import GENDER_WORDS
from kvoice.errors import KvoiceError

AUDIO = (".wav", ".flac", ".ogg", ".mp3")
NO_TABLE = "not there: of no speaker is the gender known"


def audio_files(root: str, kinds: tuple[str, ...] = AUDIO) -> list[str]:
    """The sorted paths, relative to `root`, of the files in it whose names end in one of `kinds`.

    Hidden files and folders are ignored: macOS leaves `._NAME` beside NAME in archives.
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


def unrecognised(corpus: str, root: str, expected: str) -> KvoiceError:
    """The error for a directory without files of a corpus; it shows the first file found."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        if files:
            first = os.path.relpath(os.path.join(folder, min(files)), root)
            return KvoiceError(
                f"{root} does not look like {corpus}: expected {expected}, "
                f"the first file found is {first}"
            )
    return KvoiceError(f"{root} is empty: {corpus} expects {expected}")


def stem_of(path: str) -> str:
    """The name of a file without its folder and extension."""
    return os.path.splitext(os.path.basename(path))[0]


def genders_of(
    root: str, files: list[str], tables: tuple[str, ...], row: re.Pattern
) -> dict[str, str]:
    """The gender, "female" or "male", of each speaker that a table of the corpus names.

    Tables are searched in the folders of the files and in the four folders above each, so that a
    subset of a corpus can be named alone.

    Args:
        root: The directory of the corpus.
        files: Paths of its files, relative to `root`.
        tables: Names of the tables, in lower case.
        row: A pattern for a row of a table, whose groups are the speaker and the gender.
    """
    genders, seen = {}, set()
    for folder in sorted(
        {os.path.dirname(os.path.abspath(os.path.join(root, file))) for file in files}
    ):
        for _ in range(5):
            if folder in seen:
                break
            seen.add(folder)
            for name in sorted(
                next(os.walk(folder), ("", [], []))[2]
            ):  # [] where it may not be read
                if name.lower() in tables:
                    rows = filter(None, map(row.match, lines_of(os.path.join(folder, name))))
                    genders = {of[1]: GENDER_WORDS[of[2].lower()] for of in rows} | genders
            folder = os.path.dirname(folder)
    return genders


def lines_of(path: str) -> list[str]:
    """The lines of a text that are not empty, stripped; [] where there is no such file."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return [line.strip() for line in file if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        return []
