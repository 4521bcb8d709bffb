"""What commands say of files that were used and left out."""

from kvoice.errors import KvoiceError, printable


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
