"""What commands say of files that were used and left out."""

import os

from kvoice.errors import KvoiceError, printable
from kvoice.files import claim

OVERWRITE = "replace files that kvoice did not write, too"


def allow(overwrite, *paths):
    """Lets a command replace what is at some paths, files or folders, whoever wrote it."""
    for path in filter(os.path.exists, paths if overwrite else ()):
        if os.path.isdir(path):
            claim(path)
        else:
            folder, name = os.path.split(os.path.abspath(path))
            claim(folder, [name])


def tell_left_out(lines, used, source):
    """Tells which files of a source were left out, and refuses one of which none was used."""
    for line in lines:
        print(f"left out: {printable(line)}")
    if not used:
        raise KvoiceError(f"{source}: no file of it could be used")


def end(lines, used):
    """Ends a command with status 1 where files were left out; the others are finished then.

    Raises:
        KvoiceError: If there are any.
    """
    if lines:
        files = len(lines) + len(used)
        raise KvoiceError(f"{len(lines)} of {files} files were left out, as named above")


def counted(used, left_out):
    """How many files were used and left out: "2 files, 1 left out"."""
    return f"{len(used)} {'file' if len(used) == 1 else 'files'}" + (
        f", {len(left_out)} left out" if left_out else ""
    )
