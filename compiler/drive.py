"""Drive: a `Loop` of native code run by Python, with a team where its program is worth one."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from .jit import Library
from .loop import Bound, Loop, Move
from .native import address, native
from .team import Job, together

__all__ = ["Drive"]


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
        self._job = Job.of(address("drive"), ctypes.addressof(loop), threads)
        self._alone = native("alone")

    def __call__(self) -> int:
        """0, or k + 1 if bound k was not kept."""
        if self.threads == 1 or not together(self._job):
            self._alone(self._address)
        return int(self.loop.refused)
