"""Atomic writing of files and directories that replaces only what kvoice wrote itself.

A directory that a command writes, or writes into, has a hidden file `MADE`: a list of the files
that kvoice wrote there, with their digests. What is not in the list, or was changed since, is never
replaced.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator
from pathlib import Path

from kvoice.errors import KvoiceError

SEAL = "seal"  # field of a JSON object: the digest of the others
MADE = ".kvoice.json"  # in a directory: the files that kvoice wrote there
PENDING = "pending"  # in place of a digest: it is being written
# What version 0.1 wrote into directories, without such a list; the first ones name other files.
INDICES_OF_0_1 = (
    "conversions.json",
    "index.html",
    "maximization.json",
    "resynthesis.json",
    "samples.json",
    "traversal.json",
)
PAGE = 'name="generator" content="kvoice"'  # in each of its pages
OTHERS_OF_0_1 = ("evaluation.json", "noise.npz", "samples.png", "interpolation.png")


class OnDisk:
    """The bytes of a file, read at each slice: unlike a memory map it keeps none in memory.

    Threads may read it at the same time.

    Args:
        path: The file, which must not change meanwhile.

    Raises:
        OSError: If it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._size = os.fstat(self._file).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        first, last, _ = part.indices(self._size)
        return os.pread(self._file, max(0, last - first), first)


@contextlib.contextmanager
def replaced(path: str | os.PathLike) -> Iterator[io.BufferedWriter]:
    """Opens a binary file under a temporary name, which is renamed to `path` if the block succeeds.

    Raises:
        OSError: If the disk is full or forbids it; nothing is left behind.
    """
    directory = os.path.dirname(os.path.abspath(path))
    prefix = f".kvoice-{os.getpid()}-"
    handle, temporary = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=directory)
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


def write_json(path: str | os.PathLike, content: object, sealed: bool = False) -> None:
    """Writes JSON atomically.

    Args:
        path: The file.
        content: What it holds.
        sealed: Whether an object gets a field `SEAL` with the digest of the others, by which
            `read_json` notices a damage.
    """
    if sealed:
        content = {**content, SEAL: _seal(content)}
    with replaced(path) as file:
        # Names of files that are no Unicode are written as escapes.
        text = json.dumps(content, indent=1, ensure_ascii=False)
        file.write(text.encode(errors="backslashreplace") + b"\n")


def expanded(path: str | os.PathLike) -> str:
    """A path as a user gives it, with "~" and "~user" expanded."""
    return os.path.expanduser(path)


def sweep(directory: str | os.PathLike, locked: bool = False) -> None:
    """Deletes what an interrupted `replaced` left in a directory.

    Args:
        directory: The directory.
        locked: Whether no other process may be writing there; else what belongs to one that lives
            is left.
    """
    for path in Path(directory).glob(".kvoice-*.tmp"):
        owner = path.name.split("-")[1]
        if locked or not (owner.isdigit() and _alive(int(owner))):
            path.unlink(missing_ok=True)


def _alive(process):
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def read_json(path: str | os.PathLike) -> dict:
    """Reads a JSON file that holds an object.

    Raises:
        KvoiceError: If it holds anything else, is not as it was sealed, or may not be read.
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
    seal = content.pop(SEAL, None)
    if seal is not None and seal != _seal(content):
        raise KvoiceError(f"{path}: is damaged or was edited; put back a copy of it")
    return content


def _seal(content):
    """The digest of a JSON object, whatever the order of its fields."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest(path: str | os.PathLike) -> str:
    """The SHA-256 of the content of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- What kvoice wrote


def foreign(directory: str | os.PathLike, names: Collection[str] | None = None) -> list[str]:
    """Returns the files of a directory that kvoice did not write, or that were changed since.

    Version 0.1 kept no list: of its directories, those files count as written that its indices
    name.

    Args:
        directory: The directory; it may be missing.
        names: Paths in it, to which the answer is limited; None = all files in it.
    """
    directory = Path(directory)
    there = _there(directory) if names is None else names
    there = [name for name in there if os.path.lexists(directory / name)]
    if not there:
        return []
    if not (directory / MADE).exists():
        texts = {
            name: (directory / name).read_text(encoding="utf-8", errors="replace")
            for name in INDICES_OF_0_1
            if (directory / name).is_file()
        }
        if PAGE not in texts.get("index.html", PAGE):
            del texts["index.html"]
        words = "".join(texts.values())
        own = {*texts, *OTHERS_OF_0_1} if texts else set()
        return sorted(name for name in there if name not in own and Path(name).name not in words)
    made = _list(directory)
    return sorted(
        name
        for name in there
        if name not in made
        or not (directory / name).is_file()
        or made[name] not in (PENDING, digest(directory / name))
    )


def refuse_foreign(
    directory: str | os.PathLike, names: Collection[str] | str | None = None
) -> None:
    """Refuses to replace files of a directory, or the one named, that kvoice did not write.

    Raises:
        KvoiceError: If there are any (see `foreign`).
    """
    if others := foreign(directory, [names] if isinstance(names, str) else names):
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise KvoiceError(
            f"{Path(directory) / others[0]}{''.join(f', {name}' for name in others[1:3])}{more}: "
            "not written by kvoice, or changed since; move it away, choose another place, or give "
            "--overwrite"
        )


def claim(directory: str | os.PathLike, names: Collection[str] | None = None) -> None:
    """Notes files of a directory, all of them by default, as written by kvoice."""
    directory = Path(directory)
    names = _there(directory) if names is None else names
    noted = {name: digest(directory / name) for name in names if (directory / name).is_file()}
    if noted:
        write_json(directory / MADE, _list(directory) | noted)


@contextlib.contextmanager
def owned(
    directory: str | os.PathLike, names: Collection[str], overwrite: bool = False
) -> Iterator[None]:
    """A block that writes files into a directory, which is made if need be.

    Args:
        directory: The directory.
        names: The paths of the files in it.
        overwrite: Whether files that kvoice did not write may be replaced.

    Raises:
        KvoiceError: Before the block, if one of them is there and was not written by kvoice, or
            the directory cannot be written.
    """
    directory = Path(directory)
    if not overwrite:
        refuse_foreign(directory, names)
    new = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for folder in {directory, *((directory / name).parent for name in names)}:
            sweep(folder)
        # Where the block is killed, what it has written is known nevertheless.
        write_json(directory / MADE, _list(directory) | dict.fromkeys(names, PENDING))
    except (FileExistsError, NotADirectoryError):
        raise KvoiceError(f"{directory}: is a file, expected a directory") from None
    except OSError as error:
        raise KvoiceError(f"{directory}: cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        there = [name for name in names if (directory / name).is_file()]
        left = {name: each for name, each in _list(directory).items() if name not in names}
        if left or there:
            now = {name: digest(directory / name) for name in there}
            write_json(directory / MADE, left | now)
        else:
            (directory / MADE).unlink()
            if new:
                shutil.rmtree(directory)


def write_owned(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file atomically, as `owned` has it."""
    directory, name = os.path.split(os.path.abspath(path))
    with owned(directory, [name]), replaced(path) as file:
        file.write(content)


def _there(directory):
    """The paths of all files in a directory and below it, but the list."""
    paths = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    return [name for path in paths if (name := path.relative_to(directory).as_posix()) != MADE]


def _list(directory):
    """The content of the list of a directory: path in it -> digest, or `PENDING`."""
    try:
        return read_json(directory / MADE)
    except FileNotFoundError:
        return {}


@contextlib.contextmanager
def whole_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Creates a directory under a temporary name, which replaces `path` if the block succeeds.

    The previous content of `path` is deleted then, and kept if the block fails. Where the process
    was killed while the two were exchanged, the next call puts the previous content back first. A
    path that is a link stays one.

    Raises:
        KvoiceError: If there are files in it that kvoice did not write (see `foreign`), or the
            process works in it.
    """
    path = Path(os.path.realpath(path))
    if path in (Path.cwd(), *Path.cwd().parents):
        raise KvoiceError(
            f"{path}: the command runs in it, and it cannot be replaced; name another"
        )
    stem = f".kvoice-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}"  # never too long
    partial, previous = (path.with_name(f"{stem}.{ending}") for ending in ("partial", "previous"))
    if previous.exists() and not path.exists():
        previous.rename(path)
    refuse_foreign(path)
    for leftover in (partial, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        claim(partial)
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
