"""Dtypes: what the elements of a tensor are, in prints, in memory and while one computes. A new one is one line here.

y: f32[64, 10]     elements of 4 bytes in memory, a float in a register
p: i32[64]         elements of 4 bytes in memory, an i64 in a register
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BYTES", "DTYPES", "Dtype", "dtype_of"]


@dataclass(frozen=True, slots=True)
class Dtype:
    """The elements in prints, the type of one in memory and its bytes there, and the type that it is computed as."""

    short: str
    memory: str
    bytes: int
    computed_as: str


# Every dtype the notation knows.
DTYPES: Mapping[str, Dtype] = {
    "float32": Dtype("f32", "float", 4, "float"),
    "float64": Dtype("f64", "double", 8, "double"),
    "int32": Dtype("i32", "i32", 4, "i64"),
    "int64": Dtype("i64", "i64", 8, "i64"),
    "bool": Dtype("b8", "i8", 1, "i1"),
}
# These, and what the compiler itself keeps in bytes.
_KEPT: Mapping[str, Dtype] = {**DTYPES, "int8": Dtype("i8", "i8", 1, "i64")}
# Of a value in memory.
BYTES: Mapping[str, int] = {dtype.memory: dtype.bytes for dtype in _KEPT.values()}


def dtype_of(name: str) -> Dtype:
    """``dtype_of("float32").bytes`` is 4."""
    return _KEPT[name]
