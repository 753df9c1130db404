"""Split: what is different along parts of an index is an equation for each of them.

Before:   y[n, j:8] = a[n, j]**2 + b[n, j - 4]        a and b have 4 columns: beyond them they are zero
After:    y[n, j:4] = a[n, j]**2
          y[n, j + 4:8] = b[n, j]

The cuts are where a subscript leaves its tensor and where a condition changes. Declines where little would be saved:
for a border of a few elements a test is cheaper than another kernel, and along the index of a recurrence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import prod

from ..language.expression import (
    COMPARISONS,
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    calls,
    children,
    elements,
    expr,
    free_indices,
    rebuild,
    substitute,
    walk,
)
from ..language.form import each_of_alike, of_alike
from ..language.integers import bounds, polynomial, simplify_integer
from ..language.match import Sizes, inner_sizes, rename_apart
from ..language.notes import Note, note
from ..language.simplify import simplify
from ..language.system import Equation, System, Tensor
from .order import carriers, cycles

__all__ = ["carrying", "piece", "split"]

MOST_CUTS = 7
WORTH = Fraction(3, 4)  # of the work: less than that must be left

# Where a comparison of a whole number with 0 changes: from -1 to 0, from 0 to 1, or both.
_CHANGES = {"<": (0,), ">=": (0,), "<=": (1,), ">": (1,), "==": (0, 1), "!=": (0, 1)}
Tensors = Mapping[str, Tensor]


def split(system: System, notes: list[Note] | None = None) -> System:
    """The same system, its equations cut where that saves work."""
    tensors, whole = system.by_name, carrying(system)
    axes: dict[str, frozenset[int]] = {}  # that stay whole, of each tensor
    for name, axis in whole:
        axes[name] = axes.get(name, frozenset()) | {axis}
    equations: list[Equation] = []
    is_whole = of_alike(lambda equation: _is_whole(equation, tensors), system)

    def cut(equation: Equation) -> Iterator[Equation]:
        value = rename_apart(equation.value, equation.sizes)
        return _parts(equation.valued(value), tensors, whole)

    parts_of = each_of_alike(cut, system, lambda name: axes.get(name))
    for equation in system.equations:
        if is_whole(equation):
            equations.append(equation)
            continue
        parts = parts_of(equation)
        if len(parts) > 1:
            note(notes, "split", equation.target, f"in {len(parts)} parts")
        equations += parts
    return system.with_equations(equations)


def carrying(system: System) -> set[tuple[str, int]]:
    """Axes (tensor, number) along which recurrences run: these stay whole."""
    axes = [axes for cycle in cycles(system) for axes, _ in carriers(cycle)]
    return {(tensor, axis) for each in axes for tensor, axis in each.items()}


def _is_whole(equation: Equation, tensors: Tensors) -> bool:
    """Is it the same everywhere, and called as it is to be?"""
    is_apart = rename_apart(equation.value, equation.sizes) is equation.value
    return is_apart and not any(
        _cuts(equation, *each, tensors) for each in equation.extents.items()
    )


def _parts(equation: Equation, tensors: Tensors, whole: set[tuple[str, int]]) -> Iterator[Equation]:
    """The equation, or what it is cut into along one index after the other."""
    for index, extent in equation.extents.items():
        if any(
            (equation.target, axis) in whole and index in walk(subscript)
            for axis, subscript in enumerate(equation.subscripts)
        ):
            continue
        cuts = sorted(_cuts(equation, index, extent, tensors))
        if equation.accumulate or not cuts or len(cuts) > MOST_CUTS:
            continue
        places = pairwise([0, *cuts, extent])
        pieces = [piece(equation, index, start, stop, tensors) for start, stop in places]
        if sum(map(_work, pieces)) < WORTH * _work(equation):
            for each in pieces:
                yield from _parts(each, tensors, whole)
            return
    yield equation


def _cuts(equation: Equation, index: Index, extent: int, tensors: Tensors) -> set[int]:
    """Values of the index, which has so many, from which on something is different."""
    found: set[int] = set()
    for element in elements(equation.value):
        for subscript, size in zip(element.subscripts, tensors[element.tensor].shape, strict=True):
            if index in free_indices(subscript):
                found |= _passes(subscript, index, (0, size))
    for e in walk(equation.value) if calls(equation.value) & _CHANGES.keys() else ():
        match e:
            case Call(function, (a, b)) if function in COMPARISONS:
                found |= _passes(a - b, index, _CHANGES[function])
    return {value for value in found if 0 < value < extent}


def _passes(e: Expr, index: Index, places: tuple[int, ...]) -> set[int]:
    """The values of the index at which ``index + c`` or ``c - index`` comes to a place, or goes over it."""
    if isinstance(e, Index):  # most are, and take no thought
        return set(places) if e == index else set()
    p = polynomial(e)
    sign = dict(p.terms).get((index,))
    if sign not in (1, -1) or len(p.terms) > 1 + (p.constant != 0) or p.constant.denominator != 1:
        return set()
    if sign == 1:
        return {place - int(p.constant) for place in places}
    return {int(p.constant) - place + 1 for place in places}


def piece(equation: Equation, index: Index, start: int, stop: int, tensors: Tensors) -> Equation:
    """The equation for ``start <= index < stop``."""
    single = stop - start == 1
    moved: dict[Expr, Expr] = {index: expr(start) if single else index + start}
    resized = (Binder(i, expr(stop - start) if i == index else n) for i, n in equation.indices)
    indices = tuple(b for b in resized if not (single and b.index == index))
    sizes = {i: n for i, n in indices if n is not None}
    value = rename_apart(substitute(equation.value, moved), sizes)
    return replace(
        equation,
        indices=indices,
        subscripts=tuple(
            simplify_integer(substitute(s, moved), sizes) for s in equation.subscripts
        ),
        value=simplify(_inside(value, sizes, tensors), sizes, tensors),
    )


def _inside(e: Expr, sizes: Sizes, tensors: Tensors) -> Expr:
    """Zero for every element that is never inside its tensor."""
    if isinstance(e, Reduce):
        sizes = inner_sizes(sizes, e.binders)
    e = rebuild(e, lambda child: _inside(child, sizes, tensors))
    if isinstance(e, Element) and tensors[e.tensor].dtype.startswith("float"):
        pairs = zip(e.subscripts, tensors[e.tensor].shape, strict=True)
        if any(_misses(subscript, size, sizes) for subscript, size in pairs):
            return expr(0)
    return e


def _misses(subscript: Expr, size: int, sizes: Sizes) -> bool:
    span = bounds(simplify_integer(subscript, sizes), sizes)
    if span is None or not isinstance(span[0], Number) or not isinstance(span[1], Number):
        return False
    return span[1].value < 0 or span[0].value >= size


def _work(equation: Equation) -> int:
    """How many elements are read and functions computed."""
    return prod(equation.extents.values()) * _weight(equation.value)


def _weight(e: Expr) -> int:
    if isinstance(e, Element):
        return 1 + sum(1 for s in e.subscripts for _ in elements(s))
    inner = sum(_weight(child) for child in children(e))
    if isinstance(e, Reduce):
        return inner * prod(b.extent for b in e.binders)
    return inner + isinstance(e, Call)
