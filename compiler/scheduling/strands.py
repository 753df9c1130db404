"""Strands: a recurrence whose rows do not touch one another is done block of rows by block of rows.

Before:   for t in range(64):
              for n:32, u:128:    h[n, t, u] = tanh(z[n, t, u] + sum[k](h[n, t - 1, k]*U[k, u]))
After:    for strand in range(4):
              for t in range(64):
                  for n:8, u:128:     h[8*strand + n, t, u] = ...

Threads share the strands and do not wait for one another before the end, and what a turn leaves behind is still near
when the next one asks for it. Into how many strands is decided by the number of rows alone; where that does not divide
them, the first strands are a row longer. Declines where some equation reads a row that another one defines; where the
rows are too few; and where what all rows share is so large that it should be read once a turn, not once for each
strand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from ..caches import NEAR
from ..language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    expr,
    fresh_index,
    substitute,
    transform,
)
from ..language.integers import normalize
from ..language.notes import Note, note
from ..language.steps import Recurrence, Strand, Strands
from ..language.system import Equation, System, reads
from .fuse import Fusion, fusions

__all__ = ["moved", "only", "shared_by_rows", "strands"]

ROWS = 8  # of a strand at least
COUNTS = (16, 8, 4, 2)  # strands: powers of two, as numbers of threads mostly are


class _Rows(NamedTuple):
    """The axis of each tensor that a recurrence defines, and the index of each kernel, that count its rows."""

    axes: dict[str, int]
    indices: dict[Fusion, Index]
    size: int


def strands(
    parts: Sequence[Any], system: System, notes: list[Note] | None = None
) -> tuple[Any, ...]:
    """The program with its recurrences in strands where that is possible."""
    return tuple(
        _divided(part, system, notes)
        if isinstance(part, Recurrence)
        else part
        if isinstance(part, Fusion)
        else replace(part, steps=strands(part.steps, system, notes))
        for part in parts
    )


def _divided(part: Recurrence, system: System, notes: list[Note] | None) -> Any:
    """A recurrence in strands, or as it was."""
    kernels = list(fusions([part]))
    name = kernels[0].equations[0].target
    rows = _rows(kernels)
    if rows is None:
        note(notes, "strands", name, "declined: some row reads another one")
        return part
    count, shared = _count(rows), _shared(kernels, rows, system)
    if count == 0 or shared > NEAR:
        few = "its rows are few" if count == 0 else f"all rows read the same {shared} elements"
        note(notes, "strands", name, f"declined: {few}")
        return part
    note(notes, "strands", name, f"{rows.size} rows in {count} strands")
    length, longer = divmod(rows.size, count)
    index = fresh_index("strand", _indices(part))
    pieces = [(0, longer, 0, length + 1), (longer, count, longer, length)]
    return Strands(
        count,
        tuple(
            Strand(index, start, stop, (_only(part, rows.indices, index, first, each),))
            for start, stop, first, each in pieces
            if start < stop
        ),
    )


def shared_by_rows(kernels: Sequence[Fusion], system: System) -> int | None:
    """Elements that a turn of a recurrence reads whatever the row; None where rows are few or read one another."""
    rows = _rows(kernels)
    return _shared(kernels, rows, system) if rows is not None and _count(rows) else None


def _count(rows: _Rows) -> int:
    return next((c for c in COUNTS if rows.size >= c * ROWS), 0)


# --- which rows --------------------------------------------------------------------------------------------------


def _rows(kernels: Sequence[Fusion]) -> _Rows | None:
    """Rows such that each kernel reads what the others define only in its own row."""
    first = kernels[0].equations[0]
    defined = dict.fromkeys(e.target for kernel in kernels for e in kernel.equations)
    for axis in range(len(first.subscripts)):
        rows = _spread(kernels, defined, first.target, axis)
        if rows is not None:
            return rows
    return None


def _spread(
    kernels: Sequence[Fusion], defined: Mapping[str, None], start: str, axis: int
) -> _Rows | None:
    """The rows of all kernels, given the axis of one tensor; None where some row reads another."""
    axes, indices = {start: axis}, {}
    for _ in defined:  # as often as a tensor could lead to one more
        for kernel in kernels:
            places = [p for e in kernel.equations for p in _places(e) if p.tensor in defined]
            found = {p.subscripts[axes[p.tensor]] for p in places if p.tensor in axes}
            if not found:
                continue
            row = found.pop()
            if found or not isinstance(row, Index) or row not in kernel.equations[0].extents:
                return None
            indices[kernel] = row
            for place in places:
                if place.tensor not in axes:
                    if row not in place.subscripts:
                        return None
                    axes[place.tensor] = place.subscripts.index(row)
    sizes = {kernel.equations[0].extents[row] for kernel, row in indices.items()}
    whole = len(axes) == len(defined) and len(indices) == len(kernels) and len(sizes) == 1
    return _Rows(axes, indices, sizes.pop()) if whole else None


def _places(equation: Equation) -> Iterator[Element]:
    yield Element(equation.target, equation.subscripts)
    yield from reads(equation)


def _shared(kernels: Sequence[Fusion], rows: _Rows, system: System) -> int:
    """Elements that a turn reads whatever the row."""
    tensors = system.by_name
    found: dict[str, int] = {}
    for kernel in kernels:
        for element in (e for equation in kernel.equations for e in reads(equation)):
            if element.tensor not in rows.axes and rows.indices[kernel] not in element.subscripts:
                found[element.tensor] = prod(tensors[element.tensor].shape)
    return sum(found.values())


# --- some of them ------------------------------------------------------------------------------------------------


def _indices(part: Any) -> dict[Index, None]:
    """All that count something in a part."""
    if isinstance(part, Fusion):
        return dict.fromkeys(part.equations[0].extents)
    found = {part.index: None}
    for step in part.steps:
        found |= _indices(step)
    return found


def _only(part: Any, rows: Mapping[Fusion, Index], strand: Index, first: int, length: int) -> Any:
    """A part for the rows of one strand: ``length`` of them, from ``first + length*strand`` on."""
    if not isinstance(part, Fusion):
        steps = tuple(_only(step, rows, strand, first, length) for step in part.steps)
        return replace(part, steps=steps)
    start = strand * length + first if first else strand * length
    return only(part, rows[part], start, length)


def only(part: Fusion, row: Index, start: Expr, length: int) -> Fusion:
    """A kernel for so many values of an index, from ``start`` on."""
    moved: dict[Expr, Expr] = {row: start + row}
    resized = tuple(Binder(i, expr(length) if i == row else n) for i, n in part.indices)
    return replace(
        part,
        indices=resized,
        equations=tuple(
            replace(
                equation,
                indices=resized,
                subscripts=tuple(substitute(s, moved) for s in equation.subscripts),
                value=substitute(equation.value, moved),
            )
            for equation in part.equations
        ),
    )


def moved(part: Fusion, own: Mapping[str, tuple[int, int] | None], index: Index) -> Fusion:
    """A kernel of whose tensors some begin with a block: of each of ``own`` the axis, and the places of a block."""

    def place(e: Expr) -> Expr:
        lies = own[e.tensor] if isinstance(e, Element) else None
        if not isinstance(e, Element) or lies is None:
            return e
        axis, places = lies
        subscripts = list(e.subscripts)
        subscripts[axis] = normalize(subscripts[axis] - index * places)
        return Element(e.tensor, tuple(subscripts))

    equations = []
    for equation in part.equations:
        target = place(Element(equation.target, equation.subscripts))
        assert isinstance(target, Element)
        value = transform(equation.value, place)
        equations.append(replace(equation, subscripts=target.subscripts, value=value))
    return replace(part, equations=tuple(equations))
