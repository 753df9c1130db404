"""Joined: kernels that are done together become one, when each of them has been scheduled on its own.

Before:   together for n:32:
              def V(x, V, n:32):    for t:1000, i:64:    V[64*t + i] = ...            no word of n: see `of_one_block`
              def y(V, U, y, n:32): for o:64:            y[64*n + o] = max of ... V[64*t + i]
After:    def V(x, U, y):
              V = float[64000]                           a panel: memory for one block, of each thread
              for n in range(0, 32):
                  for t:1000, i:64:    V[64*t + i] = ...
                  for o:64:            y[64*n + o] = max of ... V[64*t + i]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..language.dtypes import dtype_of
from ..language.steps import Together
from .fuse import fusions
from .layout import Layout, apart
from .loops import Kernel, Loop, Panel, Range
from .lower import Storage

__all__ = ["joined", "of_one_block"]


def of_one_block(parts: Sequence[Any], lies: Mapping[str, Layout]) -> dict[str, Layout]:
    """How tensors lie, those that are handed on within a block with room for one block."""
    found = dict(lies)
    for part in parts:
        if isinstance(part, Together):
            for name, axes in part.axes.items():
                own = [e for fusion in fusions([part]) for e in fusion.equations]
                again = (*found[name].again, *axes)
                found[name] = replace(found[name], again=again, apart=apart(own, name))
            found = of_one_block(part.steps, found)
    return found


def joined(parts: Sequence[Any], storages: Mapping[str, Storage]) -> tuple[Any, ...]:
    """The program with one kernel for all that are done together."""
    return tuple(_joined(p, storages) if isinstance(p, Together) else p for p in parts)


def _joined(part: Together, storages: Mapping[str, Storage]) -> Kernel:
    panels = {}
    for name in part.axes:
        storage = storages[name]
        panels[name] = Panel(name, dtype_of(storage.tensor.dtype).computed_as, storage.size)
    kernels = [p for (p,) in (joined([step], storages) for step in part.steps)]
    for panel in (p for kernel in kernels for p in kernel.panels):
        before = panels.get(panel.name, panel)
        panels[panel.name] = replace(panel, length=max(panel.length, before.length))
    body = tuple(s for kernel in kernels for s in kernel.body)
    for index, size in reversed(part.extents):
        body = (Loop(Range(index.name, 0, size), body),)
    return Kernel(kernels[0].name, (), body, tuple(panels.values()))
