"""Sound files below a directory, and the texts and tables beside them."""

import collections
import os
import re
import unicodedata
from collections.abc import Iterable

from kvoice import audio
from kvoice.data.corpora.utterance import GENDER_WORDS, Skipped
from kvoice.errors import KvoiceError

AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif")
UNREADABLE = (".m4a", ".aac", ".wma", ".amr", ".3gp")
NO_TABLE = "not there: of no speaker is the gender known"
NO_TEXTS = "not there: of no utterance is the text known"


def audio_files(root: str, kinds: tuple[str, ...] = AUDIO) -> tuple[list[str], list[Skipped]]:
    """The files of a directory and of all below it whose names end in one of `kinds`.

    Links are followed, but no folder is entered twice: a folder that is there itself counts under
    its own name, not under that of a link. Hidden files and folders are ignored: macOS leaves
    `._NAME` beside NAME in archives.

    Returns:
        The sorted paths, relative to `root`, and what is left out: sound files of other kinds,
        links that lead nowhere, files that are no regular files, and folders that may not be read.
    """
    found, left_out, seen = [], [], {}
    whole = os.path.realpath(root)

    def refused(error):
        left_out.append(Skipped(error.filename, f"may not be read ({error.strerror})"))

    for folder, folders, files in os.walk(root, onerror=refused, followlinks=True):
        real = os.path.realpath(folder)
        inside = os.path.relpath(real, whole)
        if os.path.islink(folder) and folder != root and _walked(inside):
            seen.setdefault(real, os.path.normpath(os.path.join(root, inside)))
        if seen.setdefault(real, folder) != folder:
            first = seen[real]
            left_out.append(Skipped(folder, f"the same folder as {first}", intended=True))
            folders[:] = []
            continue
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        for name in files:
            path, ending = os.path.join(folder, name), name.lower()
            if name[0] == "." or not ending.endswith((*kinds, *UNREADABLE)):
                continue
            if not ending.endswith(kinds):
                kind = os.path.splitext(name)[1]
                left_out.append(Skipped(path, f"{kind} cannot be read; convert it to wav or flac"))
            elif not os.path.exists(path):
                left_out.append(Skipped(path, "a link that leads nowhere"))
            elif not os.path.isfile(path):
                left_out.append(Skipped(path, "no regular file"))
            elif not _unicode(path):
                left_out.append(Skipped(path, "a name that is no text; rename it"))
            else:
                found.append(os.path.relpath(path, root))
    return sorted(found), left_out


def _walked(inside):
    """Whether a path from the root on is that of a folder below it that is no hidden one."""
    return not any(part[0] == "." or part == "__MACOSX" for part in inside.split(os.sep))


def _unicode(path):
    try:
        return bool(path.encode())
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False


def composed(name: str) -> str:
    """A name in composed Unicode (NFC); macOS decomposes the letters of file names."""
    return unicodedata.normalize("NFC", name)


def normalised(path: str) -> str:
    """A path of a table or of a file system in one form: `composed`, "/", no "./" or ".."."""
    return composed(os.path.normpath(path.replace("\\", "/")))


def unrecognised(corpus: str, root: str, expected: str) -> KvoiceError:
    """The error for a directory without files of a corpus; it shows the first file found."""
    if left_out := audio_files(root)[1]:
        return KvoiceError(
            f"{root} holds no file of {corpus} that can be read: expected {expected}; "
            f"{left_out[0].file}: {left_out[0].reason}"
        )
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


def is_pointer(path: str) -> bool:
    """Whether a file is a Git LFS pointer, which stands for a file that was not downloaded."""
    try:
        with open(path, "rb") as file:
            return file.read(len(audio.LFS_POINTER)) == audio.LFS_POINTER
    except OSError:
        return False


def commonest(texts: Iterable[tuple[object, str]]) -> dict:
    """The commonest text of each sentence, so that all who speak it have the same.

    Args:
        texts: Pairs of a sentence's name or number, and its text as one of several transcripts has
            it; of equally common ones the first counts.
    """
    counts = {}
    for sentence, text in texts:
        counts.setdefault(sentence, collections.Counter())[text] += 1
    return {sentence: counted.most_common(1)[0][0] for sentence, counted in counts.items()}
