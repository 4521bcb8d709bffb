"""Reads files of `torch.save` and safetensors without PyTorch; files are data here, never programs.

A pickle is a program that may call anything. Of this one nothing is looked up by its name but the
few functions below, which make tensors, texts and containers of what they are given, and classes of
modules, which only remember what they held; each size is checked against the bytes that are there
before it is used.

Formats:
    Since PyTorch 1.6 a zip: FOLDER/data.pkl, and each storage, uncompressed, in FOLDER/data/KEY.
    The safetensors library's: the length of a header (uint64), the header, a JSON object of name ->
    type, shape and place, and the numbers.
    Before (0.1.10 on): five pickles in a row - a magic number, the version, the machine, the
    content, the keys of the storages - and then for each key the count of its numbers (int64) and
    the numbers. In both a pickle names a storage as ("storage", type, key, place, count), in the
    second with a sixth value, `None` or (key, offset, count) of a part of it, and there it also
    names a module, before its values, as ("module", class, file of its source, source).
"""

import collections
import contextlib
import io
import json
import math
import mmap
import pickle
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kvoice.errors import KvoiceError

LARGEST = 1 << 32  # bytes of a member of a zip; the largest published weights have a tenth
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
MODULES, DEEPEST = 10_000, 100  # within a module; with more of them, or deeper, it may hold itself
# Packages, beside PyTorch's layers, whose classes may be modules: those of published vocoders.
PACKAGES = ("glow", "glow_old", "waveglow", "tacotron2", "common")
NUMBERS = (
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
STORAGES = {
    "Bool": "bool",
    "Byte": "uint8",
    "Char": "int8",
    "Short": "int16",
    "Int": "int32",
    "Long": "int64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Float": "float32",
    "Double": "float64",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "Untyped": "uint8",
}


SAFETENSORS = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}


class Module:
    """A pickled module of PyTorch: its attributes, without any behaviour.

    Attributes:
        kind: The name of its class, such as "glow.WaveGlow".
        state: A dict from the names of its attributes to their values.
    """

    kind = ""

    def __new__(cls, *_):
        module = super().__new__(cls)
        module.state = {}
        return module

    def tensors(self) -> dict[str, np.ndarray]:
        """Returns the named tensors, as `state_dict()` does: dotted name -> array.

        Raises:
            KvoiceError: If a module is damaged, or modules hold each other without end.
        """
        found, waiting, seen = {}, [("", self)], 0
        while waiting:
            prefix, module = waiting.pop()
            seen += 1
            if seen > MODULES or prefix.count(".") > DEEPEST:
                raise KvoiceError(f"holds a {_shown(self.kind)} of modules in modules without end")
            passing = module.state.get("_non_persistent_buffers_set", set())
            parameters, buffers, inner = (
                module.state.get(name, {}) for name in ("_parameters", "_buffers", "_modules")
            )
            if not isinstance(passing, set) or not all(
                isinstance(held, dict) and all(isinstance(name, str) for name in held)
                for held in (parameters, buffers, inner)
            ):
                raise KvoiceError(f"holds a damaged {_shown(module.kind)}")
            kept = {name: value for name, value in buffers.items() if name not in passing}
            found |= {
                f"{prefix}{name}": value
                for name, value in (parameters | kept).items()
                if isinstance(value, np.ndarray)
            }
            waiting += [
                (f"{prefix}{name}.", value)
                for name, value in reversed(inner.items())
                if isinstance(value, Module)
            ]
        return found


def _shown(text):
    """A text of a file, in a message: one line, not without end."""
    return ascii(text)[1:-1][:100]


def read(path: str | Path, member: str = "") -> object:
    """Reads a file as `torch.load` does, with NumPy arrays for tensors and `Module`s for modules.

    The arrays lie in the file, which is mapped, and cannot be written to; those of bfloat16 are
    float32. Parameters are their tensors; a type of numbers or a device is a text.

    Args:
        path: The file, written by `torch.save` in either of its formats.
        member: The name of such a file in the zip at `path`; "" = `path` is it.

    Raises:
        KvoiceError: If the file is missing, damaged, of another format, or holds anything else.
    """
    with opened(path, member) as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if reason := _other_kind(mapped[:64]):
                raise KvoiceError(reason)
            if mapped[8:10] == b'{"':
                return _safetensors(mapped)
            return _zipped(file, mapped) if mapped[:4] == b"PK\3\4" else _in_a_row(mapped)
        except KvoiceError as error:
            raise KvoiceError(f"{path}: {error}") from None
        except MemoryError:
            raise
        except Exception:  # of as many kinds as there are ways to be damaged
            raise KvoiceError(
                f"{path}: no PyTorch file, or a damaged one; expected what torch.save wrote"
            ) from None


@contextlib.contextmanager
def opened(path: str | Path, member: str = "") -> Iterator[BinaryIO]:
    """Opens a file, or a member of a zip such as a wheel; nothing else of the zip is unpacked.

    Args:
        path: The file or the zip.
        member: The name of the member; "" = the file itself.

    Raises:
        KvoiceError: If the file is missing, is no zip or has no such member, or the member is
            damaged or larger than `LARGEST`.
    """
    path = Path(path)
    if not path.is_file():
        raise KvoiceError(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; expected a file "
            "that torch.save wrote"
        )
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(path, "rb"))
        if member:
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            try:
                with zipfile.ZipFile(file) as archive:
                    if archive.getinfo(member).file_size > LARGEST:
                        raise KvoiceError(f"{path}: {member} in it is too large for weights")
                    with archive.open(member) as packed:
                        shutil.copyfileobj(packed, unpacked)
            except KeyError:
                raise KvoiceError(f"{path}: there is no {member} in it") from None
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
                raise KvoiceError(f"{path}: no zip, or a damaged one; download it again") from None
            unpacked.seek(0)
            file = unpacked
        yield file


def _other_kind(head):
    """What a file is by its first bytes, and what is wanted; "" if it may be weights."""
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, not the weights; download the file itself"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights; run `git lfs pull` there"
    if head.startswith(b"\x89HDF"):
        return "is an HDF5 file, as Keras writes; expected what torch.save wrote"
    return ""


# --- The formats


def _safetensors(mapped):
    """The named tensors of a file in the format of the safetensors library: name -> array."""
    (size,) = struct.unpack("<Q", mapped[:8])
    if size > len(mapped) - 8:
        raise ValueError("a header that is cut off")
    data, found = memoryview(mapped)[8 + size :], {}
    for name, entry in json.loads(mapped[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        kind = _known(SAFETENSORS.get(entry["dtype"], str(entry["dtype"])))
        (first, last), shape = entry["data_offsets"], tuple(entry["shape"])
        if not 0 <= first <= last <= len(data):
            raise ValueError("beyond the data")
        found[name] = _numbers(data[first:last], kind).reshape(shape)
    return found


def _zipped(file, mapped):
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
    if sum(member.compress_size for member in members.values()) > len(mapped):
        raise ValueError("members that overlap")
    (pickled,) = (name for name in members if name.count("/") == 1 and name.endswith("/data.pkl"))
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}constants.pkl" in members:
        raise KvoiceError(
            "is a TorchScript archive, a program; expected the weights alone, as "
            "torch.save(module.state_dict(), FILE) writes them"
        )
    order = f"{folder}byteorder"
    if order in members and _member(mapped, members[order]) != b"little":
        raise KvoiceError(
            "was written by a machine with another order of bytes; load it with PyTorch there, "
            "and save it with torch.save(..., _use_new_zipfile_serialization=False)"
        )
    content = io.BytesIO(_member(mapped, members[pickled]))
    return _Unpickler(
        content, lambda key, *_: _member(mapped, members[f"{folder}data/{key}"])
    ).load()


def _member(mapped, member):
    """The bytes of a member of a zip, where they lie."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise KvoiceError(
            "is compressed, which torch.save never does; unpack it, and pack it uncompressed "
            "(zip -0 -r)"
        )
    names = struct.unpack("<26x2H", mapped[member.header_offset : member.header_offset + 30])
    start = member.header_offset + 30 + sum(names)
    return memoryview(mapped)[start : start + member.compress_size]


def _in_a_row(mapped):
    if mapped[:2] == b"\x1f\x8b" or mapped[257:262] == b"ustar":
        raise KvoiceError(
            "is in the format of PyTorch before 0.1.10, which is too old; load and save it again "
            "with a PyTorch that reads it"
            if mapped[:8] == b"sys_info"
            else "is an archive; unpack it with tar -xf FILE, and give the file of weights in it, "
            "such as NeMo's model_weights.ckpt"
        )
    if [_Unpickler(mapped).load() for _ in range(3)][:2] != [MAGIC, VERSION]:
        raise ValueError("another kind of pickle")
    content, sizes, places = mapped.tell(), {}, {}

    def sized(key, count, itemsize):  # the bytes follow the pickle, which begins with their number
        sizes.setdefault(key, (count, itemsize))

    _Unpickler(mapped, sized).load()
    keys = _Unpickler(mapped).load()
    place = mapped.tell()
    for key in keys:
        count, itemsize = sizes[key]
        if struct.unpack("<q", mapped[place : place + 8]) != (count,):
            raise ValueError("another count of numbers")
        start, place = place + 8, place + 8 + count * itemsize
        places[key] = memoryview(mapped)[start:place]
    mapped.seek(content)
    return _Unpickler(mapped, lambda key, *_: places[key]).load()


# --- What a pickle may ask for


def _numbers(data, kind):
    """Shapes: bytes -> [as many numbers as there are]."""
    if kind == "bfloat16":  # the first half of a float32
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, kind)


def _tensor(storage, offset, size, stride, *_):
    """The view of a storage that a tensor is; `None` while the storage is not at hand."""
    if storage is None:
        return None
    if not (isinstance(storage, np.ndarray) and storage.ndim == 1 and storage.flags.c_contiguous):
        raise ValueError("no storage")
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride) or not all(
        type(value) is int and value >= 0 for value in (offset, *size, *stride)
    ):
        raise ValueError("no place in a storage")
    count = math.prod(size)
    if not count:
        return np.zeros(size, storage.dtype)
    if offset + sum((length - 1) * step for length, step in zip(size, stride)) >= len(storage):
        raise ValueError("beyond the storage")
    if count > len(storage):  # a copy of it would take memory that nothing in the file stands for
        raise KvoiceError(
            "holds a tensor that repeats its numbers (stride 0); save it after .contiguous()"
        )
    steps = [step * storage.itemsize if length > 1 else 0 for length, step in zip(size, stride)]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False)


def _typed_tensor(storage, offset, size, stride, requires_grad, hooks, kind, *_):
    """A tensor whose type has no storage of its own: the storage is of bytes."""
    return _tensor(storage if storage is None else storage.view(_known(kind)), offset, size, stride)


def _known(kind):
    if not isinstance(kind, str):
        raise ValueError("no type")
    if kind not in NUMBERS:
        raise KvoiceError(
            f"holds a tensor of type {_shown(kind)}, which is not read; expected one of "
            f"{', '.join(NUMBERS)}"
        )
    return kind


def _parameter(data=None, *_):
    return data


def _tuple(items=()):
    return tuple(items)


def _set(items=()):
    return set(plain(items))


def _ordered(pairs=()):
    """An OrderedDict, from pairs as Python 2 wrote it."""
    pairs = [(key, value) for key, value in pairs]
    plain(key for key, _ in pairs)
    return collections.OrderedDict(pairs)


def _text(*parts):
    """torch.device("cuda", 1) -> "cuda:1"."""
    if not all(isinstance(part, (str, int)) for part in parts):
        raise ValueError("no device")
    return ":".join(map(str, parts))


_ASKED = {
    ("collections", "OrderedDict"): _ordered,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch", "Size"): _tuple,
    ("torch", "device"): _text,
    ("torch.serialization", "_get_layout"): _text,
    ("__builtin__", "set"): _set,
    ("builtins", "set"): _set,
}
_ASKED |= {("torch", kind): kind for kind in NUMBERS}
_ASKED |= {
    (place, f"{name}Storage"): kind
    for name, kind in STORAGES.items()
    for place in ("torch", "torch.cuda", "torch.storage")
}
_NOT_PLAIN = {
    ("torch._utils", "_rebuild_sparse_tensor"): "sparse tensor",
    ("torch._utils", "_rebuild_qtensor"): "quantised tensor",
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): "tensor without values",
}


class BoundedUnpickler(pickle._Unpickler):
    """Python's own, written in Python, whose steps can be replaced one by one.

    It takes time and memory for what is in the file only: the one that is written in C makes room
    for as many objects as a number in the file says, and the hash of a tuple of tuples may take for
    ever.
    """

    # Without those that take what others registered.
    dispatch = {
        code: step
        for code, step in pickle._Unpickler.dispatch.items()
        if bytes([code]) not in (pickle.EXT1, pickle.EXT2, pickle.EXT4)
    }

    def load_bytearray8(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))  # which reads no more than there is

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._fill(items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._fill([key, value])

    def load_setitems(self) -> None:
        self._fill(self.pop_mark())

    def load_additems(self) -> None:
        items = self.pop_mark()
        self.stack[-1].update(plain(items))

    def load_frozenset(self) -> None:
        self.append(frozenset(plain(self.pop_mark())))

    def _fill(self, items):
        self.stack[-1].update(zip(plain(items[::2]), items[1::2]))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset


def plain(keys: Iterable) -> list:
    """Returns keys as a list.

    Raises:
        ValueError: If one is neither a text nor a number.
    """
    keys = list(keys)
    if not all(isinstance(key, (str, bytes, int, float)) for key in keys):
        raise ValueError("keys that are neither texts nor numbers")
    return keys


class _Unpickler(BoundedUnpickler):
    """Makes what `_ASKED` names.

    Args:
        file: The file of the pickle; what follows it is not read.
        data: Key of a storage, count of its numbers and bytes of each -> its bytes, or `None` where
            they are not at hand yet.
    """

    def __init__(self, file, data=None):
        super().__init__(file, encoding="utf-8")
        self.data, self.storages, self.kinds = data, {}, {}

    def find_class(self, module, name):
        if (module, name) in _ASKED:
            return _ASKED[module, name]
        if (module, name) in _NOT_PLAIN:
            raise KvoiceError(f"holds a {_NOT_PLAIN[module, name]}; save it as a plain one")
        if f"{module}.".startswith("torch.nn.") or module.split(".")[0] in PACKAGES:
            kind = f"{module}.{name}"
            return self.kinds.setdefault(kind, type("Module", (Module,), {"kind": kind}))
        raise KvoiceError(
            f"asks for {_shown(f'{module}.{name}')}, and only tensors are read, so nothing of "
            "it was run; if it is a whole module, save its weights alone: "
            "torch.save(module.state_dict(), FILE)"
        )

    def persistent_load(self, pid):
        what, *values = pid
        if what == "module":
            return values[0]
        if what != "storage":
            raise ValueError("neither a storage nor a module")
        kind, key, _, count, *part = values
        if not isinstance(key, str):
            raise ValueError("no key")
        itemsize = 2 if _known(kind) == "bfloat16" else np.dtype(kind).itemsize
        data = self.data(key, count, itemsize)
        if data is None:
            return None
        if not 0 <= count * itemsize <= len(data):
            raise ValueError("fewer numbers than declared")
        if (key, kind) not in self.storages:
            self.storages[key, kind] = _numbers(data, kind)
        first = 0
        if part and part[0]:
            _, first, size = part[0]
            if not 0 <= first <= first + size <= count:
                raise ValueError("a part beyond the storage")
            count = size
        return self.storages[key, kind][first : first + count]

    def load_build(self):
        """What an object holds: a module keeps it, an OrderedDict does without."""
        state, built = self.stack.pop(), self.stack[-1]
        if isinstance(built, Module):
            built.state = state if isinstance(state, dict) else {}
        elif not isinstance(built, collections.OrderedDict):
            raise ValueError("state of what has none")

    dispatch = {**BoundedUnpickler.dispatch, pickle.BUILD[0]: load_build}
