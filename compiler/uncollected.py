"""Uncollected: while a program is compiled, nobody looks for objects that refer to one another in a circle.

Almost all that is made is needed to the end, and the rest is freed at once: going through all of it again and again
finds nothing, and takes a seventh of the time. Nor is it gone through when the collector is at work again: what has
been made counts as old, and is looked at when all that is old is.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["uncollected"]


@dataclass(slots=True)
class _State:
    is_off: bool = False  # by one who will turn it on again


_state = _State()


@contextmanager
def uncollected() -> Iterator[None]:
    """What is done meanwhile is not interrupted by the collector, if that is at work at all."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    _state.is_off = True
    try:
        yield
    finally:
        _age()
        _on()


def _age() -> None:
    """What is young is old: frozen and thawed, which only links lists; not where somebody has frozen something."""
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()


def _on() -> None:
    """Collect again; in a forked child, too, to which another thread that has compiled has not come along."""
    if _state.is_off:
        _state.is_off = False
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_on)
