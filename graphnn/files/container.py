"""Named arrays and texts in one file, as the format safetensors has it, so that other tools can read it.

    file    := length of the header (8 bytes, little endian) + header + data
    header  := JSON {name: {"dtype", "shape", "data_offsets": [start, end]}, "__metadata__": {key: text}}

Reading trusts nothing: sizes are compared with the file's before anything is allocated, the arrays
must cover the data exactly, without gap or overlap. What graphnn writes bears a SHA-256 digest of
header and data among the metadata, in whose place zeros stand while it is computed.

Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from ..errors import FormatError
from .limits import DEFAULT, Limits

__all__ = ["Contents", "is_text", "pack", "parse_json", "read_container", "unpack"]

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_METADATA = "__metadata__"
_DIGEST = "sha256"
_BLANK = "0" * 64


@dataclass(frozen=True, slots=True)
class Contents:
    """What stands in a file; ``arrays`` are read-only views of one block of memory."""

    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, str]

    @property
    def is_checked(self) -> bool:
        """Does it bear a digest (which then is right)?"""
        return _DIGEST in self.metadata


def pack(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> list[memoryview]:
    """The bytes of a file with these contents, in parts; the arrays are not copied where they are contiguous."""
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)  # so that all are aligned
    records: dict[str, Any] = {_METADATA: {_DIGEST: _BLANK, **metadata}}
    parts, start = [], 0
    for name, array in ordered:
        block = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        end = start + block.nbytes
        records[name] = {
            "dtype": _CODES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        parts.append(block.reshape(-1).view(np.uint8).data)
        start = end
    text = json.dumps(records, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    header = text + b" " * (-len(text) % 8)
    header = header.replace(_blank_entry(), _entry(_digest(header, parts)), 1)
    return [memoryview(len(header).to_bytes(8, "little")), memoryview(header), *parts]


def _entry(digest: str) -> bytes:
    return f'"{_DIGEST}":"{digest}"'.encode()


def _blank_entry() -> bytes:
    return _entry(_BLANK)


def _digest(header: bytes, parts: list[memoryview]) -> str:
    digest = hashlib.sha256(header)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def read_container(path: str | os.PathLike[str], limits: Limits = DEFAULT) -> Contents:
    """What stands in the file. Raises OSError if there is none, `FormatError` if it is not whole."""
    with open(path, "rb") as file:
        try:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FormatError("not a regular file")
            return _read(file, status.st_size, limits)
        except FormatError as error:
            raise FormatError(f"{os.fspath(path)}: {error}") from None


def unpack(contents: bytes, limits: Limits = DEFAULT) -> Contents:
    """The same for a file's bytes."""
    return _read(BytesIO(contents), len(contents), limits)


def _read(file: BinaryIO, total: int, limits: Limits) -> Contents:
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= total - 8:
        raise FormatError("damaged, unfinished, or not a file of graphnn or safetensors")
    if length > limits.header:
        raise FormatError(f"the header has {length} bytes, more than the limit of {limits.header}")
    header = file.read(length)
    if header.count(b",") + header.count(b"[") + header.count(b"{") > limits.values:
        raise FormatError(f"the header has more than the limit of {limits.values} values")
    records = parse_json(header, "the header")
    if not isinstance(records, dict):
        raise FormatError("the header is not a JSON object")
    metadata = _metadata(records.pop(_METADATA, {}))
    if len(records) > limits.tensors:
        raise FormatError(f"{len(records)} tensors, more than the limit of {limits.tensors}")
    places = [_place(name, record, limits) for name, record in records.items()]
    size = total - 8 - length
    _check_cover(places, size)
    try:
        data = np.empty(size, np.uint8)
    except MemoryError:
        raise FormatError(f"{size} bytes of tensors are more than there is memory for") from None
    if file.readinto(data.data) != size:  # type: ignore[attr-defined]
        raise FormatError("the file was cut off while it was read")
    if _DIGEST in metadata:
        _check_digest(header, data, metadata[_DIGEST])
    data.setflags(write=False)
    return Contents({place.name: _array(data, place) for place in places}, metadata)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array stands in the data."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    end: int


def _place(name: str, record: object, limits: Limits) -> _Place:
    label = f"tensor {name[:80]!r}"
    if len(name) > limits.name or not is_text(name):
        raise FormatError(f"{label}: a name is a text of at most {limits.name} characters")
    if not isinstance(record, dict) or set(record) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{label}: expected dtype, shape and data_offsets")
    dtype, shape, offsets = record["dtype"], record["shape"], record["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise FormatError(f"{label}: dtype {str(dtype)[:20]!r} is not one of {', '.join(_DTYPES)}")
    if not _are_naturals(shape) or len(shape) > limits.rank:
        raise FormatError(f"{label}: the shape is no list of at most {limits.rank} sizes")
    if not _are_naturals(offsets) or len(offsets) != 2:
        raise FormatError(f"{label}: the offsets are not two positions")
    kind = np.dtype(_DTYPES[dtype]).newbyteorder("<")
    start, end = offsets
    if math.prod(max(n, 1) for n in shape) >= 1 << 60:
        raise FormatError(f"{label}: {shape} are more elements than there can be")
    if math.prod(shape) * kind.itemsize != end - start:
        raise FormatError(f"{label}: {dtype}{shape} does not fit into bytes {start} to {end}")
    return _Place(name, kind, tuple(shape), start, end)


def _array(data: np.ndarray, place: _Place) -> np.ndarray:
    block = data[place.start : place.end]
    if place.dtype == np.bool_ and block.max(initial=0) > 1:
        raise FormatError(f"tensor {place.name[:80]!r} has truth values other than 0 and 1")
    return block.view(place.dtype).reshape(place.shape)


def _are_naturals(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in values)


def _check_cover(places: list[_Place], size: int) -> None:
    """The arrays stand one behind the other and fill the data."""
    end = 0
    for place in sorted(places, key=lambda p: (p.start, p.end)):
        if place.start != end:
            raise FormatError(f"tensor {place.name[:80]!r} overlaps another, or leaves a gap")
        end = place.end
    if end != size:
        raise FormatError(f"the tensors have {end} bytes, the file has {size} for them")


def _metadata(found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(is_text(v) for v in found.values()):
        raise FormatError("the metadata are not texts by name")
    return found


def _check_digest(header: bytes, data: np.ndarray, digest: str) -> None:
    entry = f'"{_DIGEST}":"{digest}"'.encode(errors="replace")
    blank = header.replace(entry, _blank_entry(), 1)
    if _digest(blank, [data.data]) != digest:
        raise FormatError("damaged: the contents do not agree with their digest")


def is_text(value: object) -> bool:
    """A string that can be written: without halves of characters, which JSON can spell."""
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


def parse_json(text: bytes | str, what: str) -> Any:
    """JSON without duplicate names, NaN, or anything that exhausts the reader. Raises `FormatError`."""
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        return json.loads(plain, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise FormatError(f"{what} is nested too deeply") from None
    except FormatError:
        raise
    except ValueError as error:  # wrong syntax, wrong UTF-8, a number of thousands of digits
        raise FormatError(f"{what} is not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("a name stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise FormatError(f"{name} is not a number of JSON")
