"""Locks that a forked child finds open, whoever held them in its parent: another thread, which has not come along.

lock()               what it guards can be begun anew
lock(tidy)           what it guards must not be copied half done: whoever forks waits until it is open. If that is
                     in vain (it is the thread itself, called in the middle), the child puts in order what it can
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock, local
from weakref import WeakKeyDictionary

__all__ = ["lock"]

# How often whoever forks asks, and how many seconds it waits each time. A single long wait would be over as soon as a
# process that was stopped goes on, with all the others who were stopped as well still in the middle.
_PATIENCE = 100
_WAIT = 0.1

_locks: WeakKeyDictionary[Lock, Callable[[], None] | None] = WeakKeyDictionary()


class _Held(local):
    """The locks that a thread holds while it forks the process; two that fork take them in the same order."""

    def __init__(self) -> None:
        self.locks: set[Lock] = set()


_held = _Held()


def lock(tidy: Callable[[], None] | None = None) -> Lock:
    """A new lock."""
    found = Lock()
    _locks[found] = tidy
    return found


def _all() -> list[tuple[Lock, Callable[[], None] | None]]:
    """Listed at once, for other threads may make more meanwhile."""
    made = (found() for found in _locks.keyrefs())
    return [(each, _locks.get(each)) for each in made if each is not None]


def _before() -> None:
    """Wait for the threads that are at what must be done as a whole, and for those that begin meanwhile."""
    left = _PATIENCE
    while some := [each for each, tidy in _all() if tidy and each not in _held.locks]:
        for each in some:
            while not each.acquire(timeout=_WAIT):
                left -= 1
                if not left:
                    return
            _held.locks.add(each)


def _in_parent() -> None:
    while _held.locks:
        _held.locks.pop().release()


def _in_child() -> None:
    for each, tidy in _all():
        if each.locked():
            if tidy and each not in _held.locks:
                tidy()
            each.release()
    _held.locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
