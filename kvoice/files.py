"""Atomic writing of files and directories; JSON and digests."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kvoice.errors import KvoiceError


@contextlib.contextmanager
def replaced(path: str | os.PathLike) -> Iterator[io.BufferedWriter]:
    """Opens a binary file under a temporary name, which is renamed to `path` if the block succeeds.

    Raises:
        OSError: If the disk is full or forbids it; nothing is left behind.
    """
    directory = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=".kvoice-", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp's 0600 would hide the file from others
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path: str | os.PathLike, content: object) -> None:
    """Writes JSON atomically."""
    with replaced(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def expanded(path: str | os.PathLike) -> str:
    """A path as a user gives it, with "~" and "~user" expanded."""
    return os.path.expanduser(path)


def sweep(directory: str | os.PathLike) -> None:
    """Deletes what an interrupted `replaced` left in a directory."""
    for path in Path(directory).glob(".kvoice-*.tmp"):
        path.unlink(missing_ok=True)


def read_json(path: str | os.PathLike) -> dict:
    """Reads a JSON file that holds an object.

    Raises:
        KvoiceError: If it holds anything else, or may not be read.
        FileNotFoundError, NotADirectoryError: If there is no such file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise KvoiceError(f"{path}: is damaged, no JSON ({error}); put back a copy of it") from None
    if not isinstance(content, dict):
        raise KvoiceError(f"{path}: is damaged, it holds no object; put back a copy of it")
    return content


def digest(path: str | os.PathLike) -> str:
    """The SHA-256 of the content of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def whole_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Creates a directory under a temporary name, which replaces `path` if the block succeeds.

    The previous content of `path` is deleted then, and kept if the block fails. Where the process
    was killed while the two were exchanged, the next call puts the previous content back first. A
    path that is a link stays one.
    """
    path = Path(os.path.realpath(path))
    stem = f".kvoice-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}"  # never too long
    partial, previous = (path.with_name(f"{stem}.{ending}") for ending in ("partial", "previous"))
    if previous.exists() and not path.exists():
        previous.rename(path)
    for leftover in (partial, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            path.rename(previous)
        try:
            partial.rename(path)
        except BaseException:
            if previous.exists():
                previous.rename(path)
            raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(previous, ignore_errors=True)
