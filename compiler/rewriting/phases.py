"""Phases: what asks for the remainder of an index is an equation for each remainder.

Before:   d[n, a:6, c] = where(a % 2 == p[n, a // 2, c], g[n, a // 2, c], 0)
After:    d[n, 2*a, c] = where(0 == p[n, a, c], g[n, a, c], 0)                                  a:3
          d[n, 2*a + 1, c] = where(1 == p[n, a, c], g[n, a, c], 0)

Before:   d[a:7, c] = sum[i:3, o](where((a - i) % 2 == 0, g[(a - i) // 2, o]*K[i, c, o], 0))
After:    d[2*a, c] = sum[i:2, o](g[a - i, o]*K[2*i, c, o])                                     a:4
          d[2*a + 1, c] = sum[i:1, o](g[a - i, o]*K[2*i + 1, c, o])                             a:3

Nothing is divided any more, conditions are decided, and of a sum only the terms are left that count. All remainders
read what they share at one place, so that they become one kernel; there the rest of an extent that is no multiple is
an equation of its own. An equation that only one other reads, where it is written, first becomes part of that one.
Declines for large divisors; along the last axis, whose neighbours would no longer be written together; and along the
index of a recurrence.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

from ..language.expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    calls,
    expr,
    free_indices,
    rebuild,
    reduces,
    substitute,
    walk,
)
from ..language.form import of_alike
from ..language.integers import polynomial, simplify_integer
from ..language.match import Definitions, rename_apart
from ..language.notes import Note, note
from ..language.simplify import simplify
from ..language.system import Equation, System, Tensor, reads
from .split import carrying, piece

__all__ = ["inlined", "phases"]

LARGEST = 4  # divisor
MOST = 16  # equations that one becomes

Tensors = Mapping[str, Tensor]


def phases(system: System, notes: list[Note] | None = None) -> System:
    """The same system, its equations cut by remainders."""
    divides = of_alike(lambda equation: any(True for _ in _divisions(equation.value)))
    if not any(map(divides, system.equations)):
        return system
    whole, tensors = carrying(system), system.by_name
    system = inlined(system, lambda e: divides(e) and _remainder(e, whole) is not None)
    equations: list[Equation] = []
    for equation in system.equations:
        if not divides(equation):
            equations.append(equation)
            continue
        parts, rests = _parts(equation, tensors, whole, MOST)
        parts += rests  # last, for what becomes one kernel must stand together
        if len(parts) > 1:
            note(notes, "phases", equation.target, f"in {len(parts)} parts")
        equations += parts
    return system.with_equations(equations)


def _remainder(equation: Equation, whole: set[tuple[str, int]]) -> tuple[Index, int] | None:
    """An index and the number that its remainders are asked for."""
    if equation.accumulate or not equation.subscripts:
        return None
    fixed = dict(free_indices(equation.subscripts[-1]))
    for axis, subscript in enumerate(equation.subscripts):
        if (equation.target, axis) in whole:
            fixed |= free_indices(subscript)
    extents = equation.extents
    for divided, divisor in _divisions(equation.value):
        for index in _odd(divided, divisor):
            if index in extents and index not in fixed and extents[index] >= 2 * divisor:
                return index, divisor
    return None


def _divisions(e: Expr) -> Iterator[tuple[Expr, int]]:
    """What is divided by which small number."""
    for part in walk(e) if calls(e) & {"//", "%"} else ():
        match part:
            case Call("//" | "%", (divided, Number(divisor))) if 1 < divisor <= LARGEST:
                yield divided, int(divisor)


def _odd(e: Expr, divisor: int) -> list[Index]:
    """The indices whose factors are no multiples of the divisor."""
    terms = [(m[0], c) for m, c in polynomial(e).terms if len(m) == 1]
    return [i for i, c in terms if isinstance(i, Index) and c % divisor != 0]


def _parts(
    equation: Equation, tensors: Tensors, whole: set[tuple[str, int]], most: int
) -> tuple[list[Equation], list[Equation]]:
    """The equation, or what it is cut into by one index after the other; and the rests of extents."""
    found = _remainder(equation, whole)
    if found is None or found[1] > most:
        return [equation], []
    index, divisor = found
    extent = equation.extents[index]
    value = rename_apart(equation.value, equation.sizes)
    sums = reduces(value)
    equation = replace(equation, value=_parted(value, index, divisor))
    parts: list[Equation] = []
    rests: list[Equation] = []
    for r in range(divisor):
        own = -(-(extent - r) // divisor) if sums else extent // divisor
        phase = _phase(equation, index, divisor, r, own, tensors)
        inner, left = _parts(phase, tensors, whole, most // divisor)
        parts, rests = parts + inner, rests + left
    if not sums and extent % divisor:
        rests.append(piece(equation, index, extent - extent % divisor, extent, tensors))
    return parts, rests


def _phase(
    equation: Equation, index: Index, divisor: int, r: int, extent: int, tensors: Tensors
) -> Equation:
    """The equation for ``divisor*index + r``."""
    indices = tuple(Binder(i, expr(extent) if i == index else n) for i, n in equation.indices)
    sizes = {i: n for i, n in indices if n is not None}
    moved: dict[Expr, Expr] = {index: index * divisor + r}
    return replace(
        equation,
        indices=indices,
        subscripts=tuple(
            simplify_integer(substitute(s, moved), sizes) for s in equation.subscripts
        ),
        value=_without_nothing(simplify(substitute(equation.value, moved), sizes, tensors)),
    )


def _parted(e: Expr, index: Index, divisor: int) -> Expr:
    """The expression, its sums in parts by the remainders of what is divided together with the index."""
    e = rebuild(e, lambda child: _parted(child, index, divisor))
    if not isinstance(e, Reduce) or e.kind != "sum":
        return e
    together = {
        i: None
        for divided, n in _divisions(e.body)
        if n == divisor and index in (odd := _odd(divided, n))
        for i in odd
    }
    own = [b.index for b in e.binders if b.index in together]
    if not own or divisor ** len(own) > MOST:
        return e
    parts = []
    for remainders in itertools.product(range(divisor), repeat=len(own)):
        moved = dict(zip(own, remainders, strict=True))
        binders = [
            Binder(b.index, expr(-(-(b.extent - moved[b.index]) // divisor)))
            if b.index in moved
            else b
            for b in e.binders
        ]
        if prod(b.extent for b in binders) > 0:
            values: dict[Expr, Expr] = {i: i * divisor + r for i, r in moved.items()}
            parts.append(Reduce("sum", substitute(e.body, values), tuple(binders)))
    return _sum(parts)


def _without_nothing(e: Expr) -> Expr:
    """The expression without sums of zeros."""
    e = rebuild(e, _without_nothing)
    match e:
        case Reduce("sum", Number(zero), _) if zero == 0:
            return expr(0)
        case Call("+", (a, b)) if expr(0) in (a, b):
            return b if a == expr(0) else a
    return e


def _sum(parts: Sequence[Expr]) -> Expr:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


# --- what only one other equation reads --------------------------------------------------------------------------


def inlined(system: System, is_cut: Callable[[Equation], bool]) -> System:
    """Equations that will be cut, as parts of the pointwise ones that alone read them."""
    cut = {equation.target for equation in system.equations if is_cut(equation)}
    if not cut:
        return system
    definitions, tensors = Definitions(system), system.by_name
    readers: dict[str, list[Equation]] = {}
    for equation in system.equations:
        for element in reads(equation):
            readers.setdefault(element.tensor, []).append(equation)
    new = {value for _, value in system.updates}
    gone: set[str] = set()
    for name in definitions.equations:
        if len(readers.get(name, ())) == 1 and name in cut:
            (reader,) = readers[name]
            local = tensors[name].role == "local" and name not in new
            if local and _is_pointwise(reader, name):
                gone.add(name)
    if not gone:
        return system

    def opened(e: Expr, equation: Equation) -> Expr:
        e = rebuild(e, lambda child: opened(child, equation))
        if isinstance(e, Element) and e.tensor in gone:
            value = definitions.open(e, equation.sizes)
            assert value is not None
            return opened(value, equation)
        return e

    equations = tuple(
        e.valued(opened(e.value, e)) for e in system.equations if e.target not in gone
    )
    left = tuple(t for t in system.tensors if t.name not in gone)
    return replace(system, tensors=left, equations=equations)


def _is_pointwise(reader: Equation, name: str) -> bool:
    """Does it read the tensor at its own place only, and reduce nothing?"""
    sums = reduces(reader.value)
    places = [e.subscripts for e in reads(reader) if e.tensor == name]
    return not sums and not reader.accumulate and places == [reader.subscripts] and reader.is_plain
