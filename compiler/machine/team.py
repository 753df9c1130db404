"""The threads of this process that run steps together; see `barrier` for what they run.

They are started when a step first needs them, are shared by all executables, and wait inside one foreign call, without
the interpreter's lock. One step at a time has the team. Whoever finds it busy (another Python thread, or a process that
is about to end) runs its step alone: the result is the same, to the bit.

A forked child has none of the threads and starts its own. At the end of the process they are sent home.
"""

from __future__ import annotations

import atexit
import ctypes
import mmap
import os
from dataclasses import dataclass, field
from threading import RLock, Thread

from ..options import processors
from .native import address, native

__all__ = ["Job", "together"]

_MOST = 1024
_TIGHT = 100_000  # nanoseconds in a tight loop, where each thread has a processor
_SECONDS = 1.0  # that the end of the process waits for a step of another thread
_turn = RLock()


class Job(ctypes.Structure):
    """What `barrier`'s ``run`` is given."""

    _fields_ = (
        ("function", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
        ("threads", ctypes.c_int64),
        ("tight", ctypes.c_int64),
    )

    @classmethod
    def of(cls, function: int, context: int, threads: int) -> Job:
        """``function(context, team, thread, threads)`` on so many threads."""
        return cls(function, context, threads, _TIGHT if threads <= processors() else 0)


@dataclass(slots=True)
class _Team:
    """Memory that the threads meet in, and the threads besides the caller."""

    memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 256 + 64 * _MOST))
    threads: list[Thread] = field(default_factory=list)
    address: int = 0

    def __post_init__(self) -> None:
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        for offset, symbol in ((0, "barrier"), (16, "take")):
            ctypes.c_void_p.from_address(self.address + offset).value = address(symbol)

    def grow(self, threads: int) -> None:
        """Start what is missing of so many threads, the caller among them."""
        while len(self.threads) < threads - 1:
            place = len(self.threads) + 1
            name = f"graphnn.{place}"
            thread = Thread(target=self.serve, args=(place,), name=name, daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, place: int) -> None:
        """What a thread does: it keeps the memory, and with it the work, until it is sent home."""
        native("work")(self.address, place)

    def dismiss(self) -> None:
        """Every thread returns as soon as it looks."""
        for place in range(1, len(self.threads) + 1):
            native("give")(self.address, place, None)


@dataclass(slots=True)
class _State:
    team: _Team | None = None
    is_over: bool = False


_state = _State()


def together(job: Job) -> bool:
    """Run a job on its threads; False where they are not to be had now."""
    if not _turn.acquire(blocking=False):
        return False
    try:
        team = _ready(job.threads)
        if team is None:
            return False
        native("run")(team.address, ctypes.addressof(job))
        return True
    finally:
        _turn.release()


def _ready(threads: int) -> _Team | None:
    """The team, with at least so many threads."""
    team = _state.team
    if team is not None and len(team.threads) >= threads - 1:
        return team
    if _state.is_over or threads > _MOST:
        return None
    team = team or _Team()
    _state.team = None  # whatever stops us now: half a team is none
    try:
        team.grow(threads)
    except RuntimeError:  # no more threads to be had
        team.dismiss()
        return None
    except BaseException:
        team.dismiss()
        raise
    _state.team = team
    return team


def _end() -> None:
    """The threads return before the interpreter takes their code away."""
    if not _turn.acquire(timeout=_SECONDS):
        return
    _state.is_over, team, _state.team = True, _state.team, None
    _turn.release()
    if team is not None:
        team.dismiss()
        for thread in team.threads:
            thread.join(_SECONDS)


def _in_child() -> None:
    """None of the threads came along."""
    _state.team = None
    _turn.release()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_turn.acquire, after_in_parent=_turn.release, after_in_child=_in_child
    )
