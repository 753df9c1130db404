"""Drive: a `Loop` of native code run by Python, with a team where its program is worth one, and the machine has room.

A step that threads share lasts as long as the slowest of them, and where other processes want the processors too, one
of them is away as a rule. The results are the same to the bit however many threads there are, so that this may be
decided anew for each call: `Choice` takes the time, of a step alone too, and goes on alone for a while where that is
faster. A team that sleeps is not woken for a short step, unless another one has just been.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import exp, inf
from time import perf_counter

from ..code.barrier import PATIENCE
from ..options import processors
from .jit import Library
from .loop import Bound, Loop, Move
from .native import address, native
from .team import Job, together

__all__ = ["Choice", "Drive", "useful"]

_MEMORY = 0.25  # seconds over which the time of a step is averaged
_DISTURBED = 2.0  # times the shortest such average, or longer than alone: worth a trial alone
_WARM = 3  # calls that count for nothing: memory is touched for the first time, threads wake
_ENOUGH = 0.05  # seconds of steps together before they are judged
_SHORT = 1e-4  # seconds of a step together, at least, that are worth waking a team for
_PAUSES = (0.25, 2.0)  # seconds to stay alone where that is faster: at first, and at most


def useful(threads: int) -> int:
    """Of so many threads; more than processors would only wait for one another."""
    return min(threads, processors())


class Choice:
    """Alone or together, by how long steps have taken."""

    def __init__(self) -> None:
        self._best = inf  # seconds of a step together, on average when that was shortest
        self._alone = inf  # seconds of a step alone, in the last trial
        self._until, self._pause = 0.0, _PAUSES[0]
        self._shortest = inf  # seconds of a step together
        self._ended = 0.0  # when the last step was over, alone or not
        self._is_trial = False
        self._begin()

    def _begin(self) -> None:
        """Steps together are seen with fresh eyes."""
        self._calls, self._passed = 0, 0.0
        self._seconds = self._steps = 0.0  # of late: what is long past weighs less

    def is_alone(self, now: float, steps: int = 1) -> bool:
        """What should the next call be, of so many steps?"""
        is_asleep = now - self._ended > 1e-9 * PATIENCE
        is_short = steps * min(self._shortest, self._alone) < _SHORT
        return self._is_trial or now < self._until or (is_asleep and is_short)

    def note(self, was_alone: bool, now: float, elapsed: float, steps: int) -> None:
        """So many steps took so many seconds."""
        steps, self._ended = max(steps, 1), now
        if was_alone:
            if self._is_trial:
                self._judge(elapsed / steps, now)
            return
        self._calls += 1
        if self._calls <= _WARM:
            return
        self._shortest = min(self._shortest, elapsed / steps)
        kept = exp(-elapsed / _MEMORY)
        self._seconds, self._steps = kept * self._seconds + elapsed, kept * self._steps + steps
        self._passed += elapsed
        if self._passed < _ENOUGH:
            return
        mean = self._seconds / self._steps
        self._best = min(self._best, mean)
        self._is_trial = self._alone == inf or mean > min(_DISTURBED * self._best, self._alone)
        if not self._is_trial:
            self._pause = _PAUSES[0]

    def _judge(self, alone: float, now: float) -> None:
        """After one call alone: is it better so?"""
        self._is_trial, self._alone = False, alone
        together = self._seconds / self._steps
        if alone < together:
            self._until, self._pause = now + self._pause, min(2 * self._pause, _PAUSES[1])
            self._begin()
        else:
            self._best = together


class Drive:
    """Call it to run ``loop``, of some moves and within some bounds, on so many threads.

    It keeps the ``library`` that has the step.
    """

    def __init__(
        self,
        loop: Loop,
        moves: Sequence[Move],
        bounds: Sequence[Bound],
        threads: int,
        library: Library,
    ) -> None:
        self.loop, self.threads, self._library = loop, threads, library
        self._moves, self._bounds = (Move * len(moves))(*moves), (Bound * len(bounds))(*bounds)
        loop.moves, loop.move = len(moves), ctypes.addressof(self._moves)
        loop.bounds, loop.bound = len(bounds), ctypes.addressof(self._bounds)
        self._address = ctypes.c_void_p(ctypes.addressof(loop))
        self._job = Job.of(address("drive"), ctypes.addressof(loop), self.threads)
        self._alone = native("alone")
        self._choice = Choice()

    def __call__(self) -> int:
        """0, or k + 1 if bound k was not kept."""
        if self.threads == 1:
            self._alone(self._address)
        else:
            start = perf_counter()
            steps = self.loop.stop - self.loop.first
            alone = self._choice.is_alone(start, steps) or not together(self._job)
            if alone:
                self._alone(self._address)
            now, steps = perf_counter(), self.loop.next - self.loop.first
            self._choice.note(alone, now, now - start, steps)
        return int(self.loop.refused)
