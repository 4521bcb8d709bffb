"""The one exception that a user is meant to read; what goes into its text."""

import difflib
import errno
import os
from collections.abc import Collection


class KvoiceError(ValueError):
    """A user's mistake or bad input: its text is the one line that the command shows.

    The text names the file or field, says what was expected, and the way out.
    """


def printable(text: object) -> str:
    """A text in which characters that control a terminal are escaped, as names of files may be."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode()
        for each in str(text)
    )


def hint(word: str, known: Collection[str]) -> str:
    """The way out for a word that is none of `known`."""
    close = difflib.get_close_matches(word, known, 1)
    return (
        f"did you mean {close[0]}?" if close else f"choose among {', '.join(filter(None, known))}"
    )


def near(word: str, known: Collection[str]) -> str:
    """Returns ', did you mean "..."?' if one of `known` is like the word, whatever its case."""
    close = difflib.get_close_matches(word.lower(), list(known), 1)
    return f', did you mean "{close[0]}"?' if close else ""


def system_line(error: Exception) -> str:
    """One line for a full disk or a file that the system refuses; "" for anything else."""
    full = os.strerror(errno.ENOSPC)  # libraries keep only this text
    if getattr(error, "errno", None) == errno.ENOSPC or full in str(error):
        where = getattr(error, "filename", None)
        return f"{full}{f': {where}' if where else ''}; make room, then give the same command again"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return ""
