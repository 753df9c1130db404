"""Layout: in which order the axes of a tensor lie in memory, and how far apart its rows.

Before:   h[n, t, u] lies as n, t, u        a turn of t reads and writes 512 bytes here and there, 32 KB apart
After:    h[n, t, u] lies as t, n, u        a turn reads and writes one piece

The index of a recurrence comes first, so that each turn finds what it needs side by side. What only the turn that
writes it reads lies in one place for all turns, and never leaves the cache. What is multiplied with the rows of such
tensors, before the recurrence or after it, has its own in the same order: two loops over them are one.

Long rows begin with a cache line, so that no vector lies in two. Those of a multiple of 1 KB are a line longer: a cache
would have to keep the same columns of all rows in the same few places. So, by more, are the operands and results of
many products of the same shape within a block, whose places are used together. What a formula says does not change,
only addresses do. Declines for tensors that the caller sees, whose order is his.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from math import prod
from typing import Any

from ..language.expression import Element, reduces, walk
from ..language.form import names_read, of_form
from ..language.steps import Recurrence
from ..language.system import Equation, System, reads

__all__ = ["Layout", "apart", "layout"]

CROWDED = 256  # elements: rows whose lengths are multiples of it meet in few places of a cache
LINE = 16  # elements
LONG = 128  # elements of a row, beside which the rest of a line is little
APART = 80  # elements: some lines more, for there what is used together are runs of lines
PRODUCT = 3  # elements that a product touches: two operands and the result
LARGE = 16_384  # elements that do not fit into the nearest cache

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The axes, the one outermost in memory first; ``padding`` elements lie between two rows of the innermost.

    All places along the axes ``again`` are one; those along the axes ``apart`` belong to products of their own.
    """

    axes: Axes
    padding: int = 0
    again: Axes = ()
    apart: Axes = ()

    def strides(self, shape: Sequence[int]) -> tuple[tuple[int, ...], int]:
        """How far apart neighbours along each axis lie, and how long all is, in elements."""
        strides, step = [0] * len(self.axes), 1
        for axis in reversed(self.axes):
            if axis in self.again:
                continue
            if axis in self.apart and step % CROWDED == 0:
                step += APART
            strides[axis] = step
            step = step * shape[axis] + (self.padding if step == 1 else 0)
        return tuple(strides), step


def layout(steps: Sequence[Any], system: System) -> dict[str, Layout]:
    """How each tensor lies."""
    free = system.temporaries
    axes = _with_their_rows(steps, free, _carried_first(steps, system, free))
    again = _of_one_turn(steps, free)
    found = {}
    for t in system.tensors:
        rows = len(t.shape) > 1 and t.name in free and prod(t.shape) >= LARGE
        padding = _padding(t.shape[axes[t.name][-1]]) if rows else 0
        found[t.name] = Layout(axes[t.name], padding, again.get(t.name, ()))
    return found


def _padding(length: int) -> int:
    """Elements behind a row of so many, for the next one to begin with a line and in other places of a cache."""
    whole = length + (-length % LINE if length >= LONG else 0)
    return whole - length + (LINE if whole % CROWDED == 0 else 0)


def apart(equations: Iterable[Equation], tensor: str) -> Axes:
    """The axes of a tensor along which each place belongs to a product of its own: all that it is of, and it, move."""
    found: dict[int, None] = {}
    for equation in equations:
        if not _is_product(equation):
            continue
        touched = _touched(equation)
        for index in equation.extents:
            if all(index in element.subscripts for element in touched):
                own = (e.subscripts for e in touched if e.tensor == tensor)
                found |= dict.fromkeys(subscripts.index(index) for subscripts in own)
    return tuple(found)


@of_form
def _is_product(equation: Equation) -> bool:
    return reduces(equation.value) and len(_touched(equation)) >= PRODUCT


def _touched(equation: Equation) -> tuple[Element, ...]:
    return (Element(equation.target, equation.subscripts), *reads(equation))


def _carried_first(steps: Sequence[Any], system: System, free: Set[str]) -> dict[str, Axes]:
    """The axes of each tensor, along which a recurrence runs before all others."""
    axes = {t.name: tuple(range(len(t.shape))) for t in system.tensors}
    for loop, equation in _turns(steps, None):
        if loop is None:
            continue
        for element in _touched(equation):
            moving = [k for k, s in enumerate(element.subscripts) if loop.index in walk(s)]
            own = axes[element.tensor]
            if element.tensor in free and len(moving) == 1 and own == tuple(range(len(own))):
                axes[element.tensor] = (moving[0], *(k for k in own if k != moving[0]))
    return axes


def _with_their_rows(
    steps: Sequence[Any], free: Set[str], axes: Mapping[str, Axes]
) -> dict[str, Axes]:
    """The axes, and those of tensors that all products touch beside the same rows of another one that is turned."""
    found, orders = dict(axes), dict[str, dict[Axes | None, None]]()
    if not any(own[:1] > (0,) for own in axes.values()):
        return found
    for _, equation in _turns(steps, None):
        if not _is_product(equation):
            continue
        touched = _touched(equation)
        turned = [e for e in touched if (0,) < axes[e.tensor][:1] < (len(e.subscripts) - 1,)]
        for element in touched:
            rows = element.subscripts[:-1]
            beside = (axes[e.tensor] for e in turned if e.subscripts[:-1] == rows)
            orders.setdefault(element.tensor, {})[next(beside, None)] = None
    for name, (order, *others) in orders.items():
        if order and not others and name in free and axes[name][:1] == (0,):
            found[name] = order
    return found


def _of_one_turn(steps: Sequence[Any], free: Set[str]) -> dict[str, Axes]:
    """The carried axis of each tensor of which every turn writes a part that no other turn reads."""
    found: dict[str, dict[tuple[int, int | None], None]] = {}  # in which loops, along which axis
    for loop, equation in _turns(steps, None):
        if loop is None:
            for name in (equation.target, *names_read(equation)):
                found.setdefault(name, {})[id(loop), None] = None
            continue
        for element in _touched(equation):
            moving = [k for k, s in enumerate(element.subscripts) if loop.index in walk(s)]
            here = moving and element.subscripts[moving[0]] == loop.index
            axis = moving[0] if here and len(moving) == 1 else None
            places = found.setdefault(element.tensor, {})
            places[id(loop), axis] = None
    return {
        tensor: (axis,)
        for tensor, places in found.items()
        for _, axis in places
        if tensor in free and len(places) == 1 and axis is not None
    }


def _turns(
    steps: Sequence[Any], loop: Recurrence | None
) -> Iterator[tuple[Recurrence | None, Equation]]:
    """All equations, with the innermost recurrence around them."""
    for step in steps:
        if isinstance(step, Equation):
            yield loop, step
        else:
            yield from _turns(step.steps, step if isinstance(step, Recurrence) else loop)
