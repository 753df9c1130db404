"""Series: steps of one executable, each on the next rows of arrays, many of them in one native call.

    series = executable.series({"x": images, "t": labels}, {"loss": losses}, order)
    series.run(0, 100, seconds=0.05)       step n reads rows n*size to (n + 1)*size of ``order``, and writes losses[n]
    series.done                            the first step that was not done

What was compiled for a batch of ``size`` rows is fed from arrays of any number of rows. With an ``order`` they are
gathered; without, they are read where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from ..errors import ArrayError
from .arrays import Array, address
from .drive import Drive
from .loop import Move
from .memory import Memory, described
from .program import Limit

__all__ = ["Rows", "Series", "input_rows", "output_rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What the steps do with one array; ``size`` rows for each of ``steps``."""

    name: str
    array: Array
    size: int
    steps: int
    order: Array | None = None

    def move(self, memory: Memory) -> Move:
        length = self.array.nbytes // max(len(self.array), 1)
        order = None if self.order is None else address(self.order)
        return Move(
            entry=memory.entry(self.name),
            base=address(self.array),
            bytes=self.size * length,
            order=order,
            rows=self.size,
            length=length,
        )

    def of(self, step: int) -> Array:
        """A copy of the rows of one step."""
        part = slice(step * self.size, (step + 1) * self.size)
        return self.array[part if self.order is None else self.order[part]]


def input_rows(memory: Memory, name: str, array: Array, order: Array | None) -> Rows:
    """Rows of samples for an input. Raises `ArrayError`."""
    tensor = memory.tensor(name)
    if not tensor.shape or array.shape[1:] != tensor.shape[1:]:
        raise ArrayError(f"{name}: expected rows of {tensor}, got {described(array)}")
    _check(memory, name, array)
    if order is None:
        memory.check_apart(name, array)
    size, length = tensor.shape[0], len(array) if order is None else len(order)
    if order is not None and (order.dtype != np.int64 or not order.flags.c_contiguous):
        raise ArrayError(f"the order is an array of int64, got {described(order)}")
    if order is not None and length and not 0 <= order.min() <= order.max() < len(array):
        raise ArrayError(f"{name}: the order goes beyond the {len(array)} rows")
    return Rows(name, array, size, length // max(size, 1), order)


def output_rows(memory: Memory, name: str, array: Array) -> Rows:
    """A value of an output for each step. Raises `ArrayError`."""
    tensor = memory.tensor(name)
    if tensor.role != "output" or array.shape[1:] != tensor.shape:
        raise ArrayError(f"{name}: expected steps of {tensor}, got {described(array)}")
    _check(memory, name, array)
    memory.check_apart(name, array)
    return Rows(name, array, 1, len(array))


def _check(memory: Memory, name: str, array: Array) -> None:
    if array.dtype != memory.dtypes[name] or not (array.flags.c_contiguous and array.flags.aligned):
        tensor = memory.tensor(name)
        raise ArrayError(f"{name}: expected C-contiguous {tensor.dtype}, got {described(array)}")


class Series:
    """See above; made by `Executable.series`."""

    def __init__(
        self,
        memory: Memory,
        rows: Sequence[Rows],
        limits: Sequence[Limit],
        drive: Callable[[Sequence[Move]], Drive],
        lock: Lock,
        watch: Callable[[], None],
    ) -> None:
        self._memory, self._rows, self._limits = memory, rows, limits
        self._lock, self._watch = lock, watch
        self._drive = drive([each.move(memory) for each in rows])
        self.steps = min((each.steps for each in rows), default=0)

    @property
    def done(self) -> int:
        """The first step that was not done, whatever has ended the last `run`; at first 0."""
        return int(self._drive.loop.next)

    def run(self, first: int, stop: int, seconds: float) -> None:
        """Steps ``first`` to ``stop - 1``, but none is begun after so many seconds.

        IndexError if an input points outside in the step that is then next.
        """
        if not 0 <= first < stop <= self.steps:
            raise ArrayError(f"there are steps 0 to {self.steps - 1}, not {first} to {stop - 1}")
        loop = self._drive.loop
        with self._lock:
            loop.first, loop.stop, loop.next = first, stop, first
            loop.nanoseconds = int(seconds * 1e9)
            try:
                refused = self._drive()
            finally:
                self._memory.restore(each.name for each in self._rows)
            self._watch()
        if refused:
            limit = self._limits[refused - 1]
            for each in self._rows:
                if each.name == limit.input:
                    limit.check(each.of(self.done))
