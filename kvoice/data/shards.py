"""Shards: TFRecord files of utterances, written and read without TensorFlow.

A shard is a sequence of records, each framed as `length (uint64), masked CRC32C of the length,
bytes, masked CRC32C of the bytes`, all little-endian; the bytes are a `tf.train.Example`, whose
protocol-buffer form is spelt out here in a few lines. `tf.data.TFRecordDataset` and
`tf.io.parse_single_example` read the same files.

An utterance is a dict of `wave`, `f0`, `phone`, `speaker`, `gender`, `emotion`, `text`, `name` and
`rate`, as in `FIELDS`.

Source: the framing is that of TensorFlow's `record_writer`, the message that of `example.proto`.
"""

import os
import struct
from collections.abc import Iterable

import google_crc32c
import numpy as np

from kvoice.errors import KvoiceError
from kvoice.files import OnDisk, replaced

FIELDS = {
    "wave": np.dtype("<i2"),  # [samples], 32768 = full scale
    "f0": np.dtype("<f4"),  # [label frames] Hz, 0 = unvoiced; empty = unknown
    "phone": np.dtype("<i4"),  # [label frames] index; empty = unknown
    "speaker": int,  # index in the manifest's labels; -1 = unknown
    "gender": int,
    "emotion": int,
    "rate": float,  # phones per second; 0 = unknown
    "text": str,
    "name": str,
}
FULL_SCALE = 32768

_BYTES, _FLOATS, _INTS = 1, 2, 3  # the fields of the message Feature
_DELIMITED = 2  # the wire type of everything but numbers
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")


def write(path: str | os.PathLike, examples: Iterable[dict]) -> None:
    """Writes a shard under a temporary name, then renames it: a shard that exists is whole.

    Args:
        path: The path of the shard.
        examples: The utterances, dicts with the keys of `FIELDS`.

    Raises:
        OSError: If the disk is full or not writable; nothing is left behind.
    """
    with replaced(path) as file:
        for example in examples:
            file.write(framed(encoded(example)))


def index(path: str | os.PathLike) -> np.ndarray:
    """The byte offsets of the records of a shard, from their lengths alone.

    Shapes: -> int64 [records].

    Raises:
        KvoiceError: If the shard is missing, truncated, or a length fails its checksum.
    """
    offsets, offset = [], 0
    data = _opened(path)
    while offset < len(data):
        offsets.append(offset)
        start, length = _extent(data, offset, path)
        offset = start + length + _CRC.size
    return np.array(offsets, np.int64)


def read(path: str | os.PathLike, offset: int) -> dict:
    """The utterance whose record begins at `offset`.

    Raises:
        KvoiceError: If the record is truncated or fails its checksum.
    """
    return Shard(path).utterance(offset)


class Shard:
    """A shard held open, for many reads from any thread."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = path
        self._data = _opened(path)

    def utterance(self, offset: int) -> dict:
        """The utterance whose record begins at `offset`; see `read`."""
        start, length = _extent(self._data, int(offset), self.path)
        data = self._data[start : start + length + _CRC.size]
        message = data[:length]
        (crc,) = _CRC.unpack(data[length:])
        if crc != masked_crc(message):
            raise _damaged(self.path, "a record fails its checksum")
        try:
            return decoded(message)
        except KeyError as missing:
            raise KvoiceError(
                f"{self.path}: a record without {missing}: another program wrote "
                "this shard; run prepare into a new directory"
            ) from None


def framed(message: bytes) -> bytes:
    """The bytes of one TFRecord."""
    length = struct.pack("<Q", len(message))
    return b"".join(
        (length, _CRC.pack(masked_crc(length)), message, _CRC.pack(masked_crc(message)))
    )


def masked_crc(data: bytes) -> int:
    """CRC32C of `data`, rotated and offset as TFRecord files hold it."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def encoded(example: dict) -> bytes:
    """A `tf.train.Example` of one utterance, in the order of `FIELDS`."""
    entries = []
    for name, kind in FIELDS.items():
        value = _feature(example[name], kind)
        entries.append(_delimited(1, _delimited(1, name.encode()) + _delimited(2, value)))
    return _delimited(1, b"".join(entries))


def decoded(message: bytes) -> dict:
    """The utterance in a `tf.train.Example`, the inverse of `encoded`.

    Raises:
        KeyError: If a field of `FIELDS` is missing.
    """
    found = {}
    for _, features in _parts(memoryview(message)):
        for _, entry in _parts(features):
            pair = dict(_parts(entry))
            found[str(pair[1], "utf-8")] = pair[2]
    return {name: _value(found[name], kind) for name, kind in FIELDS.items()}


def _feature(value, kind):
    """The message Feature with one value."""
    if kind is int:
        return _delimited(_INTS, _delimited(1, _varint(int(value) & 0xFFFFFFFFFFFFFFFF)))
    if kind is float:
        return _delimited(_FLOATS, _delimited(1, struct.pack("<f", value)))
    data = value.encode() if kind is str else np.ascontiguousarray(value, kind).tobytes()
    return _delimited(_BYTES, _delimited(1, data))


def _value(feature, kind):
    """The one value of a message Feature, whose numbers are packed."""
    ((_, values),) = _parts(feature)
    ((_, data),) = _parts(values)
    if kind is int:
        number = _read_varint(data, 0)[0]
        return number - (1 << 64) if number >= 1 << 63 else number
    if kind is float:
        return struct.unpack("<f", data)[0]
    return str(data, "utf-8") if kind is str else np.frombuffer(data, kind)


def _delimited(field, data):
    return _varint(field << 3 | _DELIMITED) + _varint(len(data)) + data


def _varint(number):
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _read_varint(view, position):
    """(the number that begins at `position`, the position after it)."""
    number = shift = 0
    while True:
        digit = view[position]
        number |= (digit & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if digit < 0x80:
            return number, position


def _parts(view):
    """Yields (field, bytes) of a message whose fields are all length-delimited."""
    position = 0
    while position < len(view):
        key, position = _read_varint(view, position)
        length, position = _read_varint(view, position)
        yield key >> 3, view[position : position + length]
        position += length


def _opened(path):
    """The bytes of a file that are read when they are asked for."""
    try:
        return OnDisk(path)
    except FileNotFoundError:
        raise KvoiceError(f"{path}: this shard is missing: run prepare again") from None


def _extent(data, offset, path):
    """(start, length) of the bytes of the record that begins at `offset`."""
    start = offset + _HEADER.size
    if start > len(data):
        raise _damaged(path, "it is truncated")
    header = data[offset:start]
    length, crc = _HEADER.unpack(header)
    if crc != masked_crc(header[:8]):
        raise _damaged(path, "the length of a record fails its checksum")
    if start + length + _CRC.size > len(data):
        raise _damaged(path, "it is truncated")
    return start, length


def _damaged(path, what):
    return KvoiceError(f"{path}: {what}: delete it and run prepare again")
