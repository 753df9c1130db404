"""Halo: a tensor that is read beyond its edge gets borders of zeros, so that nobody has to ask where the edge is.

Before:   y[n, h] = sum[i](x[n, h + i - 1]*K[i])          every read of x must be checked
After:    x.wide[n, h] = x[n, h]                          x.wide lies in memory with one zero before and behind each row
          y[n, h] = sum[i](x.wide[n, h + i - 1]*K[i])

A local tensor just gets its borders; an input or parameter is copied first, and an output is computed in such a
tensor and copied from it, if reads within reductions are enough to pay for the copy. The borders are never written,
only zeroed when the memory is made. Declines where the borders would be larger than the tensor, and for new values of
states, which want to replace the old ones where they lie.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..language.expression import (
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    children,
    renamed,
)
from ..language.form import form, of_alike
from ..language.integers import bounds, simplify_integer
from ..language.system import Equation, System, Tensor, copying, fresh_name

__all__ = ["Borders", "halo", "has_border"]

Borders = tuple[tuple[int, int], ...]
_WORTH = 3  # reads per element that pay for a copy
_MOST_GROWTH = 2


@dataclass(frozen=True, slots=True)
class _Read:
    """The bounds of subscripts, which are constant, and how often an element is read in a reduction."""

    borders: Borders
    times: int


def has_border(borders: Borders) -> bool:
    """Lies anything around the tensor?"""
    return any(side for axis in borders for side in axis)


def halo(system: System) -> tuple[System, dict[str, Borders]]:
    """The system, with copies where they pay, and the borders of every tensor."""
    tensors = system.by_name
    fixed = system.new_values
    found: dict[str, list[_Read]] = {}
    beyond = of_alike(lambda equation: _beyond(equation, tensors), system)
    for equation in system.equations:
        for number, read in beyond(equation):
            found.setdefault(form(equation)[1][number], []).append(read)
    borders = {name: ((0, 0),) * len(t.shape) for name, t in tensors.items()}
    copied: dict[str, Tensor] = {}
    for name, reads in found.items():
        tensor = tensors[name]
        wide = tuple(
            (max(r.borders[k][0] for r in reads), max(r.borders[k][1] for r in reads))
            for k in range(len(tensor.shape))
        )
        volume = math.prod(tensor.shape)
        grown = math.prod(n + a + b for n, (a, b) in zip(tensor.shape, wide, strict=True))
        if name in fixed or grown > _MOST_GROWTH * volume:
            continue
        if tensor.role == "local":
            borders[name] = wide
        elif sum(r.times for r in reads) >= _WORTH * volume:
            copied[name] = replace(tensor, name=fresh_name(f"{name}.wide", tensors), role="local")
            borders[copied[name].name] = wide
    return _with_copies(system, copied), borders


def _with_copies(system: System, copied: Mapping[str, Tensor]) -> System:
    """Every read of a tensor that has a copy reads the copy; an output is computed there and copied from it."""
    if not copied:
        return system
    names = {name: copy.name for name, copy in copied.items()}
    outputs = {name: names[name] for name in system.names("output") if name in names}
    equations = [
        replace(
            e,
            target=outputs.get(e.target, e.target),
            value=renamed(e.value, names),
            subscripts=tuple(renamed(s, names) for s in e.subscripts),
        )
        for e in system.equations
    ]
    copies = [
        copying(*ends, own.shape, "borders")
        for name, own in copied.items()
        for ends in [(own.name, name) if name in outputs else (name, own.name)]
    ]
    tensors = (*system.tensors, *copied.values())
    return System(tensors, (*copies, *equations), system.updates)


def _beyond(equation: Equation, tensors: Mapping[str, Tensor]) -> list[tuple[int, _Read]]:
    """The reads beyond an edge, each with the number of its tensor in the form of the equation."""
    names = form(equation)[1]
    reads = _inside(equation.value, equation.sizes, tensors, False)
    return [(names.index(name), read) for name, read in reads if any(map(any, read.borders))]


def _inside(
    e: Expr, sizes: Mapping[Index, Expr], tensors: Mapping[str, Tensor], folded: bool
) -> Iterator[tuple[str, _Read]]:
    """The reads in an expression whose subscripts have known bounds."""
    if isinstance(e, Reduce):
        sizes = {**sizes, **{i: n for i, n in e.binders if n is not None}}
        folded = True
    if isinstance(e, Element):
        sides = [
            _sides(s, n, sizes) for s, n in zip(e.subscripts, tensors[e.tensor].shape, strict=True)
        ]
        borders = tuple(s for s in sides if s is not None)
        if len(borders) == len(sides):
            extents = [int(n.value) for n in sizes.values() if isinstance(n, Number)]
            yield e.tensor, _Read(borders, math.prod(extents) if folded else 0)
    for child in children(e):
        yield from _inside(child, sizes, tensors, folded)


def _sides(subscript: Expr, size: int, sizes: Mapping[Index, Expr]) -> tuple[int, int] | None:
    """How far a subscript reaches over either edge, if that is known."""
    if isinstance(subscript, Index):  # most are, and take no thought
        extent = sizes[subscript]
        return (0, max(0, int(extent.value) - size)) if isinstance(extent, Number) else None
    span = bounds(simplify_integer(subscript, sizes), sizes)
    if span is None or not isinstance(span[0], Number) or not isinstance(span[1], Number):
        return None
    low, high = int(span[0].value), int(span[1].value)
    return max(0, -low), max(0, high - size + 1)
