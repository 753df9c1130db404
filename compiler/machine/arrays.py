"""Arrays as a step wants them: on a cache line, and in the dtype of their tensor.

aligned_array((64, 784), "float32")      zeros, C-contiguous
address(array)                           of its first element
converted("x", "float32", [[1, 2]])      any real for a float, whole numbers for an integer, 0 and 1 for a truth
"""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArrayError, ArrayTypeError

__all__ = ["Array", "address", "aligned", "aligned_array", "converted"]

Array = np.ndarray[Any, Any]
ALIGNMENT = 64
_ACCEPTED = {"b": "biu", "i": "biu", "f": "biuf"}  # kinds of arrays, for each kind of tensor
_HUGE = 2 << 20  # from here on memory comes in huge pages where the system has them


def address(array: Array) -> int:
    """Where its elements are: what ``array.ctypes.data`` says, which takes as long as a small step."""
    if array.flags.writeable and array.flags.c_contiguous and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    return int(array.ctypes.data)


def aligned(length: int) -> Array:
    """Zeroed bytes on a 64-byte boundary, their number rounded up to one. Raises MemoryError."""
    length = max(-(-length // ALIGNMENT) * ALIGNMENT, ALIGNMENT)
    if length < _HUGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return _from(np.zeros(length + ALIGNMENT, np.uint8), ALIGNMENT, length)
    # Private memory: what processes share comes in huge pages nowhere, and a forked child would write to ours.
    try:
        pages = mmap.mmap(-1, length + _HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError):
        raise MemoryError(f"{length} bytes are more than there are") from None
    pages.madvise(mmap.MADV_HUGEPAGE)
    return _from(np.frombuffer(pages, np.uint8), _HUGE, length)


def _from(memory: Array, alignment: int, length: int) -> Array:
    """So many bytes of it from the first address that is a multiple of ``alignment``."""
    start = -memory.ctypes.data % alignment
    return memory[start : start + length]


def aligned_array(shape: Sequence[int], dtype: str) -> Array:
    """A C-contiguous array of zeros that starts on a cache line."""
    length = math.prod(shape) * np.dtype(dtype).itemsize
    return aligned(length)[:length].view(dtype).reshape(tuple(shape))


def converted(name: str, dtype: str, value: Any) -> Array:
    """``value`` in this dtype, itself if it is so already. Raises `ArrayTypeError` or `ArrayError`."""
    array, wanted = np.asarray(value), np.dtype(dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in _ACCEPTED[wanted.kind]:
        raise ArrayTypeError(f"{name}: expected {dtype}, got an array of {array.dtype}")
    if wanted.kind != "f" and array.size:
        low, high = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
        if int(array.min()) < low or int(array.max()) > high:
            raise ArrayError(f"{name}: {array.dtype} values do not fit {dtype}")
    with np.errstate(over="ignore"):  # beyond the range of the type lies infinity
        return array.astype(wanted)
