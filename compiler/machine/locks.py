"""Locks that a forked child finds open: whoever held one in its parent was another thread, and has not come along."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from weakref import WeakKeyDictionary

__all__ = ["lock"]

_locks: WeakKeyDictionary[Lock, Callable[[], None]] = WeakKeyDictionary()


def lock(tidy: Callable[[], None] = lambda: None) -> Lock:
    """A new lock; ``tidy`` puts in order, in a child, what whoever held it may have left half done."""
    found = Lock()
    _locks[found] = tidy
    return found


def _in_child() -> None:
    for each, tidy in list(_locks.items()):
        if each.locked():
            tidy()
            each.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
