"""A compiled system that can be called: memory, checks, and one foreign call per step.

    executable({"x": x, "W": W})       arrays in, fresh arrays out
    executable.bind("x", x)            or: put arrays in place once ...
    executable.step()                  ... and run on them as often as needed, nothing copied

All addresses stand in one table made beforehand, so that a step costs one foreign call; where its work is worth
several threads, that call is made with a team. Every check comes before the first write. One lock per executable:
threads may share it, steps do not mix.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from . import jit
from .arrays import Array, aligned, aligned_array, converted
from .errors import ArrayError
from .profile import Profile, TimedProgram
from .program import TEAM_SYMBOL, Limit, Program
from .system import DTYPES, Tensor
from .team import Job, together

__all__ = ["Executable"]


def _show(array: Array) -> str:
    return f"{DTYPES.get(str(array.dtype), array.dtype)}[{', '.join(map(str, array.shape))}]"


class Executable:
    """A system as a function; made by ``compiler.compile``."""

    def __init__(
        self,
        program: Program,
        explain: Callable[[str | None], str],
        threads: int = 1,
        timed: Callable[[], TimedProgram] | None = None,
        is_watched: bool = False,
    ) -> None:
        self.program = program
        self.explain = explain
        self.threads = threads
        self._timed = timed
        self._is_watched = is_watched  # then the first step is followed by a profile on stderr
        self._lock = Lock()
        self._tensors = {tensor.name: tensor for tensor in program.slots}
        self._positions = {tensor.name: k for k, tensor in enumerate(program.slots)}
        self._given = [t for t in program.slots if t.role in ("input", "parameter")]
        self._results = [t.name for t in program.slots if t.role == "output"]
        self._results += [name for name in program.states if name not in self._results]
        self._table = (ctypes.c_void_p * (len(program.slots) + 2))()
        self._arena = aligned(program.arena)
        self._table[len(program.slots)] = self._arena.ctypes.data
        self._buffers: dict[str, Array] = {}
        for tensor in program.slots:
            self._place(tensor, aligned_array(tensor.shape, tensor.dtype))
        self._written = [n for n, t in self._tensors.items() if self._is_written(t)]
        self._library: jit.Library | None = None
        self._step: Callable[[ctypes.c_void_p], None] = self._load_and_step
        self._context = ctypes.c_void_p(ctypes.addressof(self._table))

    def __call__(self, arrays: Mapping[str, Any]) -> dict[str, Array]:
        """Outputs and new values of the states, from arrays for all inputs and parameters."""
        self._check_names(arrays)
        names = [tensor.name for tensor in self._given]
        found = self.run({name: arrays[name] for name in names}, self._results)
        return dict(zip(self._results, found, strict=True))

    def run(self, arrays: Mapping[str, Any], results: Sequence[str]) -> list[Array]:
        """Run once on these arrays, and on the buffers of what is not given: fresh arrays of some results.

        Threads may share it: no call sees what another one has put in place.
        """
        given = {name: self._fitting(name, array) for name, array in arrays.items()}
        with self._lock:
            for limit in self.program.limits:
                _check_limit(limit, given.get(limit.input, self._buffers[limit.input]))
            for name, array in given.items():
                np.copyto(self._buffers[name], array)
            self._step(self._context)
            return [self._buffers[name].copy() for name in results]

    def step(self) -> None:
        """Run once on the buffers as they stand; states are updated in place."""
        with self._lock:
            for limit in self.program.limits:
                _check_limit(limit, self._buffers[limit.input])
            self._step(self._context)

    def profile(self, steps: int = 10) -> Profile:
        """The time of every kernel, averaged over some steps on the buffers as they stand; states stay as they are."""
        with self._lock:
            for limit in self.program.limits:
                _check_limit(limit, self._buffers[limit.input])
            return self._profile(steps)

    def _profile(self, steps: int) -> Profile:
        """Another program in the same memory, but for what a step writes."""
        assert self._timed is not None, "made without the stages"
        timed = self._timed()
        times = np.zeros((len(timed.kernels), 2), np.int64)
        other = Executable(timed.program, self.explain, self.threads)
        other._table[len(self.program.slots)] = self._arena.ctypes.data
        other._table[len(self.program.slots) + 1] = times.ctypes.data
        for name, tensor in self._tensors.items():
            if self._is_written(tensor):
                np.copyto(other._buffers[name], self._buffers[name])
            else:
                other._place(tensor, self._buffers[name])
        other._step(other._context)
        times[:] = 0
        for _ in range(steps):
            other._step(other._context)
        return Profile.of(timed, times.tolist(), steps, self.threads)

    def check(self, name: str, array: Array) -> None:
        """IndexError if a number in an array for this input, with any number of rows, points outside."""
        for limit in self.program.limits:
            if limit.input == name:
                _check_limit(limit, array)

    def bind(self, name: str, array: Array) -> None:
        """Use the memory of ``array`` for this input, parameter or output from now on."""
        tensor = self._tensor(name)
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name}: expected a NumPy array, got {type(array).__name__}")
        if array.shape != tensor.shape or array.dtype != np.dtype(tensor.dtype):
            raise ArrayError(f"{name}: expected {tensor}, got {_show(array)}")
        if not array.flags.c_contiguous or not array.flags.aligned:
            raise ArrayError(f"{name}: expected an array that is C-contiguous and aligned")
        if self._is_written(tensor) and not array.flags.writeable:
            raise ArrayError(f"{name}: a step writes to it, but the array is read-only")
        with self._lock:
            self._check_apart(tensor, array)
            self._place(tensor, array)

    def buffer(self, name: str) -> Array:
        """The memory of an input, parameter or output as it stands."""
        return self._buffers[self._tensor(name).name]

    def _load_and_step(self, context: ctypes.c_void_p) -> None:
        """The first step: code for another machine can be explained without being loaded here."""
        program = self.program
        symbols = [program.symbol, *([TEAM_SYMBOL] if program.for_team else [])]
        self._library = jit.load(program.objects, symbols)
        alone = self._step = jit.function(self._library, program.symbol, ctypes.c_void_p)
        if program.for_team and self.threads > 1:
            address = self._library.addresses[TEAM_SYMBOL]
            job = Job.of(address, ctypes.addressof(self._table), self.threads)

            def step(context: ctypes.c_void_p) -> None:
                if not together(job):
                    alone(context)

            self._step = step
        self._step(context)
        if self._is_watched:
            sys.stderr.write(f"{self._profile(steps=10)}\n")

    def _place(self, tensor: Tensor, array: Array) -> None:
        self._buffers[tensor.name] = array
        self._table[self._positions[tensor.name]] = array.ctypes.data

    def _tensor(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise ArrayError(f"{name}: expected one of {', '.join(self._tensors)}")
        return self._tensors[name]

    def _fitting(self, name: str, value: Any) -> Array:
        tensor, array = self._tensor(name), np.asarray(value)
        if array.shape != tensor.shape:
            raise ArrayError(f"{name}: expected {tensor}, got {_show(array)}")
        return converted(name, tensor.dtype, array)

    def _is_written(self, tensor: Tensor) -> bool:
        return tensor.role == "output" or tensor.name in self.program.states

    def _check_apart(self, tensor: Tensor, array: Array) -> None:
        """What a step writes must not be memory of anything else."""
        for name in self._buffers if self._is_written(tensor) else self._written:
            if name != tensor.name and np.may_share_memory(array, self._buffers[name]):
                raise ArrayError(f"{tensor.name}: the array shares its memory with that of {name}")

    def _check_names(self, arrays: Mapping[str, Any]) -> None:
        for tensor in self._given:
            if tensor.name not in arrays:
                raise ArrayError(f"{tensor.name}: expected an array for {tensor}, got none")
        for name in arrays:
            if name not in self._tensors or self._tensors[name].role == "output":
                known = ", ".join(t.name for t in self._given)
                raise ArrayError(f"{name}: expected one of {known}, got an unknown name")


def _check_limit(limit: Limit, array: Array) -> None:
    """IndexError naming the first element that points outside."""
    unsigned = array.view(f"u{array.itemsize}")  # negative numbers are then the greatest ones
    if array.size == 0 or unsigned.max() < limit.size:
        return
    position = tuple(map(int, np.argwhere((array < 0) | (array >= limit.size))[0]))
    subscripts = ", ".join(map(str, position))
    raise IndexError(
        f"{limit.input}[{subscripts}] is {array[position]}, but it is a subscript of {limit.tensor}, "
        f"where 0 to {limit.size - 1} are allowed"
    )
