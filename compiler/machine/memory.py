"""Memory of an executable: the table of addresses that its code reads, and the arrays that stand behind it.

What a step writes must not be memory of anything else, so every array is checked before its address goes in.
"""

from __future__ import annotations

import ctypes
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArrayError
from ..language.system import DTYPES, Tensor
from .arrays import Array, aligned, aligned_array, converted
from .program import Program

__all__ = ["Memory", "described"]

_WORD = ctypes.sizeof(ctypes.c_void_p)
_LENT = 1 << 16  # bytes of an array from which on its address is found sooner than it is copied

_UNSEEN = 2  # references to the owner of memory that one array lies in, while they are counted


def described(array: Array) -> str:
    """``f32[64, 784]``"""
    return f"{DTYPES.get(str(array.dtype), array.dtype)}[{', '.join(map(str, array.shape))}]"


class Memory:
    """An array for every input, parameter and output, and the arena, with a part for each thread."""

    def __init__(self, program: Program, threads: int) -> None:
        self.tensors = {tensor.name: tensor for tensor in program.slots}
        self.dtypes = {tensor.name: np.dtype(tensor.dtype) for tensor in program.slots}
        self._types = {name: (t.shape, self.dtypes[name]) for name, t in self.tensors.items()}
        self.buffers: dict[str, Array] = {}
        self._positions = {tensor.name: k for k, tensor in enumerate(program.slots)}
        self._names = tuple(self.tensors)
        states = frozenset(program.states)
        self._writes = np.array(
            [t.role == "output" or t.name in states for t in program.slots], bool
        )
        self._edges: list[int] | None = None  # where what is written begins and ends, in order
        self._spares: dict[str, Array] = {}  # memory of what was given away last
        self.table = (ctypes.c_void_p * (len(program.slots) + 2))()
        self.arena = aligned(program.arena + threads * program.own)
        self.set_extra(0, self.arena)
        for tensor in program.slots:
            self.place(tensor.name, aligned_array(tensor.shape, tensor.dtype))
        outputs = (tensor.name for tensor in program.slots if tensor.role == "output")
        self._large = {name for name in outputs if self.buffers[name].nbytes >= _LENT}
        self._lengths = np.array([self.buffers[name].nbytes for name in self._names], np.uintp)

    def set_extra(self, number: int, array: Array) -> None:
        """The address after those of the tensors: of the arena, of the times."""
        self.table[len(self.tensors) + number] = array.ctypes.data

    def tensor(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise ArrayError(f"{name}: expected one of {', '.join(self.tensors)}")
        return self.tensors[name]

    def entry(self, name: str) -> int:
        """The address of a tensor's entry in the table."""
        return ctypes.addressof(self.table) + _WORD * self._positions[name]

    def is_written(self, name: str) -> bool:
        return bool(self._writes[self._positions[name]])

    def fitting(self, name: str, value: Any) -> Array:
        """``value`` as an array for this tensor. Raises `ArrayError` or `ArrayTypeError`."""
        array = np.asarray(value)
        if (array.shape, array.dtype) == self._types.get(name):
            return array
        tensor = self.tensor(name)
        if array.shape != tensor.shape:
            raise ArrayError(f"{name}: expected {tensor}, got {described(array)}")
        return converted(name, tensor.dtype, array)

    def place(self, name: str, array: Array) -> None:
        """From now on the tensor lies in this array, which is known to fit."""
        self.buffers[name] = array
        self.table[self._positions[name]] = array.ctypes.data
        self._edges = None

    def restore(self, names: Iterable[str] | None = None) -> None:
        """Tensors, by default all, lie in their own arrays again."""
        for name in self._names if names is None else names:
            self.table[self._positions[name]] = self.buffers[name].ctypes.data

    def lend(self, arrays: Mapping[str, Array]) -> list[str]:
        """Give tensors the values of fitting arrays; those named are not copied, but lie there until `restore`."""
        away = []
        for name, array in arrays.items():
            if array.nbytes >= _LENT and self._can_lend(name, array):
                self.table[self._positions[name]] = array.ctypes.data
                away.append(name)
            else:
                self.buffers[name][...] = array
        return away

    def fresh(self, names: Iterable[str]) -> dict[str, Array]:
        """Large outputs lie in arrays of their own until `restore`: to be given away, nothing copied.

        Memory in which nobody looks any more is used again, for the system is slow to find new one.
        """
        found = {}
        for name in self._large.intersection(names):
            own, spare = self.buffers[name], self._spares.get(name)
            if spare is None or sys.getrefcount(spare.base) > _UNSEEN:
                self._spares[name] = spare = aligned(own.nbytes)[:]  # a view of the owner
            array = spare[: own.nbytes].view(own.dtype).reshape(own.shape)
            self.table[self._positions[name]] = array.ctypes.data
            found[name] = array
        return found

    def _can_lend(self, name: str, array: Array) -> bool:
        """Is it an input, with an array as code wants it and apart from what is written?"""
        flags = array.flags
        if self.tensors[name].role != "input" or not (flags.c_contiguous and flags.aligned):
            return False
        if self._edges is None:
            own = [self.buffers[each] for each in self._names if self.is_written(each)]
            spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in own if a.nbytes)
            self._edges = [edge for span in spans for edge in span]
        start = array.ctypes.data
        before = bisect_right(self._edges, start)
        return before % 2 == 0 and before == bisect_left(self._edges, start + array.nbytes)

    def check_apart(self, name: str, array: Array) -> None:
        """`ArrayError` if a step would write to memory of something else."""
        start, own = array.ctypes.data, self._positions[name]
        starts = np.frombuffer(memoryview(self.table), np.uintp, len(self._lengths))
        shared = (starts < start + array.nbytes) & (starts + self._lengths > start)
        shared &= self._lengths > 0
        shared[own] = False
        for other in np.flatnonzero(shared if self._writes[own] else shared & self._writes):
            raise ArrayError(
                f"{name}: the array shares its memory with that of {self._names[other]}"
            )
