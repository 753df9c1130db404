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
from ..language.dtypes import DTYPES
from ..language.system import Tensor
from .arrays import Array, address, aligned, aligned_array, converted
from .program import Program
from .room import check_room, shortage

__all__ = ["Memory", "described"]

_WORD = ctypes.sizeof(ctypes.c_void_p)
_UNSEEN = 2  # references to the owner of memory that one array lies in, while they are counted


def described(array: Array) -> str:
    """``f32[64, 784]``"""
    name = str(array.dtype)
    short = DTYPES[name].short if name in DTYPES else name
    return f"{short}[{', '.join(map(str, array.shape))}]"


class Memory:
    """An array for every input, parameter and output, some of them given, and the arena, with a part for each thread.

    Raises MemoryError where there is no room for them, as far as the system says so.
    """

    def __init__(
        self, program: Program, threads: int, given: Mapping[str, Array] | None = None
    ) -> None:
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
        # Memory of what was given away last, and before that.
        self._spares: dict[str, list[Array]] = {}
        self._own: dict[str, int] = {}  # addresses of the buffers
        self.table = (ctypes.c_void_p * (len(program.slots) + 2))()
        arrays = given or {}
        for name, array in arrays.items():
            self.check(name, array)
        check_room(program, threads)
        try:
            self.arena = aligned(program.arena + threads * program.own)
            self.set_extra(0, self.arena)
            for t in program.slots:
                known = arrays.get(t.name)
                self.place(t.name, aligned_array(t.shape, t.dtype) if known is None else known)
        except MemoryError:
            raise MemoryError(shortage(program, threads)) from None
        self._lengths = np.array([self.buffers[name].nbytes for name in self._names], np.uintp)
        self._check_given(arrays)

    def set_extra(self, number: int, array: Array) -> None:
        """The address after those of the tensors: of the arena, of the times."""
        self.table[len(self.tensors) + number] = address(array)

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
        self.table[self._positions[name]] = self._own[name] = address(array)
        self._edges = None

    def restore(self, names: Iterable[str] | None = None) -> None:
        """Tensors, by default all, lie in their own arrays again."""
        for name in self._names if names is None else names:
            self.table[self._positions[name]] = self._own[name]

    def lend(self, name: str, array: Array) -> bool:
        """Until `restore` the tensor lies in this array, which fits; False where it cannot, and must be copied."""
        if not self._can_lend(array):
            return False
        self.table[self._positions[name]] = address(array)
        return True

    def fresh(self, name: str) -> Array:
        """Until `restore` the tensor lies in an array of its own, to be given away, nothing copied.

        Memory in which nobody looks any more is used again, for the system is slow to find new one.
        """
        shape, dtype = self._types[name]
        array: Array = np.ndarray(shape, dtype, self._spare(name))
        self.table[self._positions[name]] = address(array)
        return array

    def _spare(self, name: str) -> Array:
        """Of the last two that were given away for this tensor one that nobody has, or a new one."""
        spares = self._spares.setdefault(name, [])
        for spare in spares:
            if sys.getrefcount(spare.base) <= _UNSEEN:
                return spare
        spares.insert(0, aligned(self.buffers[name].nbytes)[:])  # a view of the owner
        del spares[2:]
        return spares[0]

    def _can_lend(self, array: Array) -> bool:
        """Is it as code wants it, and apart from what is written?"""
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned):
            return False
        if self._edges is None:
            own = [self.buffers[each] for each in self._names if self.is_written(each)]
            spans = sorted((address(a), address(a) + a.nbytes) for a in own if a.nbytes)
            self._edges = [edge for span in spans for edge in span]
        start = address(array)
        before = bisect_right(self._edges, start)
        return before % 2 == 0 and before == bisect_left(self._edges, start + array.nbytes)

    def check(self, name: str, array: Array) -> None:
        """TypeError or `ArrayError` if it cannot be this tensor's memory, whatever that of the others is."""
        tensor = self.tensor(name)
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name}: expected a NumPy array, got {type(array).__name__}")
        if array.shape != tensor.shape or array.dtype != self.dtypes[name]:
            raise ArrayError(f"{name}: expected {tensor}, got {described(array)}")
        if not array.flags.c_contiguous or not array.flags.aligned:
            raise ArrayError(f"{name}: expected an array that is C-contiguous and aligned")
        if self.is_written(name) and not array.flags.writeable:
            raise ArrayError(f"{name}: a step writes to it, but the array is read-only")

    def _check_given(self, arrays: Mapping[str, Array]) -> None:
        """The same as `check_apart` for many arrays, which have their places, in order of their addresses."""
        spans = sorted(
            (address(array), array.nbytes, name) for name, array in arrays.items() if array.nbytes
        )
        ends = {False: (0, ""), True: (0, "")}  # of what is only read, and of what is written
        for start, length, name in spans:
            writes = self.is_written(name)
            end, other = max(ends.values()) if writes else ends[True]
            if end > start:
                raise _shared(name, other)
            ends[writes] = max(ends[writes], (start + length, name))

    def check_apart(self, name: str, array: Array) -> None:
        """`ArrayError` if a step would write to memory of something else."""
        start, own = address(array), self._positions[name]
        starts = np.frombuffer(memoryview(self.table), np.uintp, len(self._lengths))
        shared = (starts < start + array.nbytes) & (starts + self._lengths > start)
        shared &= self._lengths > 0
        shared[own] = False
        for other in np.flatnonzero(shared if self._writes[own] else shared & self._writes):
            raise _shared(name, self._names[other])


def _shared(name: str, other: str) -> ArrayError:
    return ArrayError(f"{name}: the array shares its memory with that of {other}")
