"""A compiled system that can be called: memory, checks, and one foreign call per step.

    executable({"x": x, "W": W})       arrays in, fresh arrays out
    executable.bind("x", x)            or: put arrays in place once ...
    executable.step()                  ... and run on them as often as needed, nothing copied
    executable.series({"x": data})     or: many steps, each on other rows of the data

All addresses stand in one table made beforehand, so that a step costs one foreign call; where its work is worth
several threads, that call is made with a team. What is wrong with arrays is found before a step begins. One lock per
executable: threads may share it, steps do not mix.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArrayError
from . import jit
from .arrays import Array
from .call import Call
from .drive import Drive, useful
from .locks import lock
from .loop import Bound, Loop, Move
from .memory import Memory
from .profile import Profile, TimedProgram
from .program import Program
from .series import Series, input_rows, output_rows

__all__ = ["Executable"]


class Executable:
    """A system as a function; made by ``compiler.compile``."""

    def __init__(
        self,
        program: Program,
        explain: Callable[[str | None], str],
        threads: int = 1,
        timed: Callable[[], TimedProgram] | None = None,
        is_watched: bool = False,
        ftz: bool = False,
        arrays: Mapping[str, Array] | None = None,
    ) -> None:
        self.program = program
        self.explain = explain
        self.threads = useful(threads) if program.for_team else 1
        self._ftz = ftz
        self._timed = timed
        self._is_watched = is_watched  # then the first step is followed by a profile on stderr
        self._memory = Memory(program, self.threads, arrays)
        self._lock = lock(self._memory.restore)
        self._given = [t.name for t in program.slots if t.role in ("input", "parameter")]
        self._results = [t.name for t in program.slots if t.role == "output"]
        self._results += [name for name in program.states if name not in self._results]
        self._library: jit.Library | None = None
        self._drive: Drive | None = None

    @property
    def memory(self) -> int:
        """Bytes that a step works in."""
        return self.program.memory(self.threads)

    def __call__(self, arrays: Mapping[str, Any]) -> dict[str, Array]:
        """Outputs and new values of the states, from arrays for all inputs and parameters."""
        self._check_names(arrays)
        found = self.run({name: arrays[name] for name in self._given}, self._results)
        return dict(zip(self._results, found, strict=True))

    def run(self, arrays: Mapping[str, Any], results: Sequence[str]) -> list[Array]:
        """Run once on these arrays, and on the buffers of what is not given: fresh arrays of some results.

        Threads may share it: no call sees what another one has put in place.
        """
        fitting = self._memory.fitting
        values = [fitting(name, array) for name, array in arrays.items()]
        return self.call([(name, k) for k, name in enumerate(arrays)], results)(values)

    def call(self, inputs: Sequence[tuple[str, int]], results: Sequence[str]) -> Call:
        """The same for arrays in these places of a list, known to have the shapes and dtypes of their tensors."""
        limits, is_shared = self.program.limits, self.threads > 1
        return Call(self._memory, inputs, results, self._step, self._lock, limits, is_shared)

    def step(self) -> None:
        """Run once on the buffers as they stand; states are updated in place."""
        with self._lock:
            if refused := self._step():
                limit = self.program.limits[refused - 1]
                limit.check(self._memory.buffers[limit.input])

    def series(
        self,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        order: Array | None = None,
    ) -> Series:
        """Steps on rows of arrays, which must have the tensors' dtypes; see `series`.

        What is not given stays as it is bound. Raises `ArrayError` where an array does not fit.
        """
        memory = self._memory
        rows = [input_rows(memory, name, array, order) for name, array in inputs.items()]
        rows += [output_rows(memory, name, array) for name, array in outputs.items()]
        return Series(memory, rows, self.program.limits, self._driven, self._lock, self._watch)

    def profile(self, steps: int = 10) -> Profile:
        """The time of every kernel, averaged over some steps on the buffers as they stand; states stay as they are."""
        with self._lock:
            return self._profile(steps)

    def _profile(self, steps: int) -> Profile:
        """Another program in the same arena, on copies: pages that nothing was written to would be read for free."""
        assert self._timed is not None, "made without the stages"
        timed, memory = self._timed(), self._memory
        times = np.zeros((len(timed.kernels), 2), np.int64)
        other = Executable(timed.program, self.explain, self.threads, ftz=self._ftz)
        other._memory.set_extra(0, memory.arena)
        other._memory.set_extra(1, times)
        for name, buffer in memory.buffers.items():
            np.copyto(other._memory.buffers[name], buffer)
        other._step()
        times[:] = 0
        for _ in range(steps):
            other._step()
        return Profile.of(timed, times.tolist(), steps, self.threads)

    def check(self, name: str, array: Array) -> None:
        """IndexError if a number in an array for this input, with any number of rows, points outside."""
        for limit in self.program.limits:
            if limit.input == name:
                limit.check(array)

    def bind(self, name: str, array: Array) -> None:
        """Use the memory of ``array`` for this input, parameter or output from now on; of many, give them to
        ``compiler.compile``.
        """
        memory = self._memory
        memory.check(name, array)
        with self._lock:
            memory.check_apart(name, array)
            memory.place(name, array)

    def buffer(self, name: str) -> Array:
        """The memory of an input, parameter or output as it stands."""
        return self._memory.buffers[self._memory.tensor(name).name]

    def _step(self) -> int:
        """One step on memory as it stands; k + 1 if it was not begun because limit k would not have been kept."""
        if self._drive is None:
            self._drive = self._driven(())
        refused = self._drive()
        if self._is_watched:
            self._watch()
        return refused

    def _watch(self) -> None:
        """After the first step: its profile, if somebody has asked."""
        if self._is_watched:
            self._is_watched = False
            sys.stderr.write(f"{self._profile(steps=10)}\n")

    def _driven(self, moves: Sequence[Move]) -> Drive:
        """The step with some moves before it. Loaded only now: code for another machine can be explained."""
        program, memory = self.program, self._memory
        if self._library is None:
            self._library = jit.load(program.objects, [program.symbol])
        loop = Loop(
            step=self._library.addresses[program.symbol],
            context=ctypes.addressof(memory.table),
            stop=1,
            flushing=self._ftz,
        )
        bounds = [
            Bound(memory.entry(n), memory.buffers[n].size, memory.dtypes[n].itemsize, limit.size)
            for limit in program.limits
            for n in (limit.input,)
        ]
        return Drive(loop, moves, bounds, self.threads, self._library)

    def _check_names(self, arrays: Mapping[str, Any]) -> None:
        tensors = self._memory.tensors
        for name in self._given:
            if name not in arrays:
                raise ArrayError(f"{name}: expected an array for {tensors[name]}, got none")
        for name in arrays:
            if name not in tensors or tensors[name].role == "output":
                known = ", ".join(self._given)
                raise ArrayError(f"{name}: expected one of {known}, got an unknown name")
