"""Steps: what to do in which order.

Step      := Equation | Recurrence(index, size, backward, (Step, ...)) | Window(index, start, stop, (Step, ...))
             | Strands(count, (Strand(index, start, stop, (Step, ...)), ...))
(later stages put kernels in the place of the equations, and make the strands)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .expression import Index
from .system import Equation

__all__ = ["Recurrence", "Step", "Strand", "Strands", "Window", "equations", "step_lines"]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Steps done for ``index`` = 0 .. size - 1 one after the other, or the other way round."""

    index: Index
    size: int
    backward: bool
    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Steps done only where ``start <= index < stop``."""

    index: Index
    start: int
    stop: int
    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Strand:
    """Steps done for ``start <= index < stop`` in any order: none needs what another one does."""

    index: Index
    start: int
    stop: int
    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Strands:
    """All of ``count`` strands; each of the ``steps`` is a `Strand` that does some of them."""

    count: int
    steps: tuple[Any, ...]


Step = Equation | Recurrence | Window | Strands


def equations(steps: Sequence[Step]) -> Iterator[Equation]:
    """All equations of a program in order."""
    for step in steps:
        if isinstance(step, Equation):
            yield step
        else:
            yield from equations(step.steps)


def step_lines(steps: Sequence[Step]) -> Iterator[str]:
    """A program as pseudo-Python."""
    for step in steps:
        match step:
            case Recurrence(index, size, backward, inner):
                count = f"reversed(range({size}))" if backward else f"range({size})"
                yield f"for {index.name} in {count}:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Window(index, start, stop, inner):
                yield f"if {start} <= {index.name} < {stop}:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Strands(count, inner):
                yield f"{count} strands:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Strand(index, start, stop, inner):
                yield f"for {index.name} in range({start}, {stop}):"
                yield from (f"    {line}" for line in step_lines(inner))
            case _:
                yield str(step)
