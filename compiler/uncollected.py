"""Uncollected: while a program is compiled, nobody looks for objects that refer to one another in a circle.

Almost all that is made is needed to the end, and the rest is freed at once: going through all of it again and again
finds nothing, and takes a seventh of the time. Afterwards it is at work as it was. What has been made counts as young:
were it old, nobody would look for it, nor for the weights that a dropped model has, as compiling makes little else.
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
        _on()


def _on() -> None:
    """Collect again; in a forked child, too, to which another thread that has compiled has not come along."""
    if _state.is_off:
        _state.is_off = False
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_on)
