"""Call: one step on given arrays, with fresh ones as results. What can be settled before is settled when it is made.

    call = executable.call((("x", 0), ("W", 1)), ("y",))
    (y,) = call([x, W])                  arrays with the shapes and dtypes of their tensors

Small arrays are copied to where the code expects them and from where it leaves them, which is sooner done than to find
out where they are. Large inputs are read where they lie, large outputs written to where they stay. Where threads share
a step fewer arrays are small: what one thread has copied the others must fetch from its cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from .arrays import Array
from .memory import Memory
from .program import Limit

__all__ = ["Call"]

_SMALL = 1 << 16  # bytes
_SMALL_SHARED = 1 << 14  # where threads share the step


class Call:
    """See above; made by `Executable.call`, for the arrays in places of what is given and for some results."""

    def __init__(
        self,
        memory: Memory,
        inputs: Sequence[tuple[str, int]],
        results: Sequence[str],
        step: Callable[[], int],
        lock: Lock,
        limits: Sequence[Limit],
        is_shared: bool,
    ) -> None:
        small = _SMALL_SHARED if is_shared else _SMALL
        self._memory, self._step, self._lock = memory, step, lock
        self._inputs = inputs
        roles = {name: memory.tensor(name).role for name in (*dict(inputs), *results)}

        def is_large(name: str, role: str) -> bool:
            return roles[name] == role and memory.buffers[name].nbytes > small

        self._lent = [(name, k) for name, k in inputs if is_large(name, "input")]
        self._copied = [pair for pair in inputs if pair not in self._lent]
        self._fresh = [name for name in dict.fromkeys(results) if is_large(name, "output")]
        self._away = [*(name for name, _ in self._lent), *self._fresh]
        # Who asks for a result twice has it twice: the second one is copied.
        self._results = [
            (name, name in self._fresh and name not in results[:k])
            for k, name in enumerate(results)
        ]
        self._limits = limits
        # Once a parameter is copied, the check before a step comes too late.
        self._is_late = bool(limits) and any(roles[name] != "input" for name, _ in inputs)

    def __call__(self, values: Sequence[Array]) -> list[Array]:
        """The results; IndexError before anything is written if an element points outside."""
        with self._lock:
            if self._is_late:
                self._check(values, self._limits)
            buffers = self._memory.buffers
            for name, k in self._copied:
                buffers[name][...] = values[k]
            if self._lent or self._fresh:
                fresh = self._in_place(values)
                return [
                    fresh[name] if is_given else fresh.get(name, buffers[name]).copy()
                    for name, is_given in self._results
                ]
            if refused := self._step():
                self._check(values, self._limits[refused - 1 :])
            return [buffers[name].copy() for name, _ in self._results]

    def _in_place(self, values: Sequence[Array]) -> dict[str, Array]:
        """A step on large arrays where they are; the outputs among them."""
        memory = self._memory
        try:
            for name, k in self._lent:
                if not memory.lend(name, values[k]):
                    memory.buffers[name][...] = values[k]
            fresh = {name: memory.fresh(name) for name in self._fresh}
            if refused := self._step():
                self._check(values, self._limits[refused - 1 :])
        finally:
            memory.restore(self._away)
        return fresh

    def _check(self, values: Sequence[Array], limits: Sequence[Limit]) -> None:
        given = {name: values[k] for name, k in self._inputs}
        for limit in limits:
            limit.check(given.get(limit.input, self._memory.buffers[limit.input]))
