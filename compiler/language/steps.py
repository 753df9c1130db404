"""Steps: what to do in which order.

Step      := Equation | Recurrence(index, size, backward, (Step, ...)) | Window(index, start, stop, (Step, ...))
             | Strands(count, (Strand(index, start, stop, (Step, ...)), ...)) | Guard(terms, constant, (Step, ...))
             | Together(indices, (Step, ...), axes)
(later stages put kernels in the place of the equations, and make the last three)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .expression import Binder, Index
from .system import Equation

__all__ = [
    "Guard",
    "Recurrence",
    "Step",
    "Strand",
    "Strands",
    "Together",
    "Window",
    "equations",
    "step_lines",
]


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
    """All of ``count`` strands; each of the ``steps`` is a `Strand` that does some of them; threads may share them.

    ``nested``: in each is nothing but strands again, and it is those that are shared, all together.
    """

    count: int
    steps: tuple[Any, ...]
    shared: bool = False
    nested: bool = False

    @property
    def inner(self) -> int:
        """Turns of each strand."""
        return int(self.steps[0].steps[0].turns) if self.nested else 1

    @property
    def turns(self) -> int:
        """How many strands there are to be shared."""
        return self.count * self.inner


@dataclass(frozen=True, slots=True)
class Guard:
    """Steps done only where ``sum of factor*index + constant`` is not negative."""

    terms: tuple[tuple[Index, int], ...]
    constant: int
    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Steps done one after the other for each value of some indices, these in any order.

    What they hand on to one another lies in one place for all values; ``axes`` are those that the indices count.
    """

    indices: tuple[Binder, ...]
    steps: tuple[Any, ...]
    axes: Mapping[str, tuple[int, ...]]

    @property
    def extents(self) -> tuple[tuple[Index, int], ...]:
        return tuple((b.index, b.extent) for b in self.indices)


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
                yield f"{count} times:" if step.nested else f"{count} strands:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Strand(index, start, stop, inner):
                yield f"for {index.name} in range({start}, {stop}):"
                yield from (f"    {line}" for line in step_lines(inner))
            case Guard(terms, constant, inner):
                form = " + ".join(f"{factor}*{index.name}" for index, factor in terms)
                yield f"if {form} + {constant} >= 0:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Together(_, inner):
                sizes = ", ".join(f"{i.name}:{n}" for i, n in step.extents)
                yield f"together for {sizes}:"
                yield from (f"    {line}" for line in step_lines(inner))
            case _:
                yield str(step)
