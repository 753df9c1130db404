"""Layout: in which order the axes of a tensor lie in memory, and how far apart its rows.

Before:   h[n, t, u] lies as n, t, u        a turn of t reads and writes 512 bytes here and there, 32 KB apart
After:    h[n, t, u] lies as t, n, u        a turn reads and writes one piece

The index of a recurrence comes first, so that each turn finds what it needs side by side. Rows of a multiple of 1 KB
are a cache line longer: a cache would have to keep the same columns of all rows in the same few places. What a
formula says does not change, only addresses do. Declines for tensors that the caller sees, whose order is his.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from .expression import Element, Index, walk
from .order import Recurrence
from .system import Equation, System, reads

__all__ = ["Layout", "layout"]

CROWDED = 256  # elements: rows whose lengths are multiples of it meet in few places of a cache
LINE = 16  # elements
LARGE = 16_384  # elements that do not fit into the nearest cache

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The axes, the one outermost in memory first; ``padding`` elements lie between two rows of the innermost."""

    axes: Axes
    padding: int = 0


def layout(steps: Sequence[Any], system: System) -> dict[str, Layout]:
    """How each tensor lies."""
    free = set(system.names("local")) - {new for _, new in system.updates}
    axes = _carried_first(steps, system, free)
    found = {}
    for t in system.tensors:
        rows = len(t.shape) > 1 and t.name in free and prod(t.shape) >= LARGE
        crowded = rows and t.shape[axes[t.name][-1]] % CROWDED == 0
        found[t.name] = Layout(axes[t.name], LINE if crowded else 0)
    return found


def _carried_first(steps: Sequence[Any], system: System, free: set[str]) -> dict[str, Axes]:
    """The axes of each tensor, along which a recurrence runs before all others."""
    axes = {t.name: tuple(range(len(t.shape))) for t in system.tensors}
    for index, equation in _turns(steps, None):
        for element in (Element(equation.target, equation.subscripts), *reads(equation)):
            moving = [k for k, s in enumerate(element.subscripts) if index in walk(s)]
            own = axes[element.tensor]
            if element.tensor in free and len(moving) == 1 and own == tuple(range(len(own))):
                axes[element.tensor] = (moving[0], *(k for k in own if k != moving[0]))
    return axes


def _turns(steps: Sequence[Any], index: Index | None) -> Iterator[tuple[Index, Equation]]:
    """The equations inside recurrences, with the index of the innermost one around."""
    for step in steps:
        if isinstance(step, Equation):
            if index is not None:
                yield index, step
        else:
            yield from _turns(step.steps, step.index if isinstance(step, Recurrence) else index)
