"""Layout: in memory the index of a recurrence comes first, so that each of its turns finds what it needs side by side.

Before:   h[n, t, u] lies as n, t, u        a turn reads and writes 512 bytes here and there, 32 KB apart
After:    h[n, t, u] lies as t, n, u        a turn reads and writes one piece

What a formula says does not change, only addresses do. Declines for tensors that the caller sees, whose order is his.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .expression import Element, Index, walk
from .order import Recurrence
from .system import Equation, System, reads

__all__ = ["layout"]

Axes = tuple[int, ...]


def layout(steps: Sequence[Any], system: System) -> dict[str, Axes]:
    """The axes of each tensor, the one outermost in memory first."""
    axes = {t.name: tuple(range(len(t.shape))) for t in system.tensors}
    free = set(system.names("local")) - {new for _, new in system.updates}
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
