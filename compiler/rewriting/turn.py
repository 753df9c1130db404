"""Turn: an operand that a contraction would read against the grain is copied with its axes exchanged, once.

Before:   y[n, k] = sum[j](g[n, j]*W[k, j])                 neighbours of y need rows of W that lie far apart
After:    W.turned[j, k] = W[k, j]
          y[n, k] = sum[j](g[n, j]*W.turned[j, k])

All contractions then run along the last axis of their result, also those inside a recurrence, where the copy is made
before the loop. Declines where the elements are read too seldom to pay for the copy, and for what the recurrence
itself defines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TypeVar

from ..language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    Reduce,
    elements,
    expr,
    free_indices,
    rebuild,
    reduces,
    walk,
)
from ..language.form import of_alike
from ..language.integers import polynomial
from ..language.notes import Note, note
from ..language.system import Equation, System, Tensor
from .additions import Additions
from .order import cycles

__all__ = ["turn"]

T = TypeVar("T")

READS = 16  # of each element, that pay for a copy
LARGE = 1 << 15  # elements: such a copy does not stay in the nearest cache
READS_LARGE = 64
LANES = 8  # values of an index at least that are worth being neighbours


def turn(system: System, notes: list[Note] | None = None) -> System:
    """The system, with copies of operands that lie the wrong way."""
    tensors, copies = system.by_name, _Copies(system)
    inside = {id(e): {o.target for o in cycle} for cycle in cycles(system) for e in cycle}
    is_across = of_alike(lambda e: _is_across(e, tensors), system)
    equations = [
        e.valued(copies.visit(e.value, e, inside.get(id(e), set()))) if is_across(e) else e
        for e in system.equations
    ]
    for copy in copies.added.equations:
        note(notes, "turn", copy.target, copy.origin)
    return copies.added.to(system, equations)


def _is_across(equation: Equation, tensors: Mapping[str, Tensor]) -> bool:
    """Would it read a copy?"""
    sums = [e for e in walk(equation.value) if isinstance(e, Reduce)] * reduces(equation.value)
    return any(_axis(x, e, equation, tensors) is not None for e in sums for x in elements(e.body))


def _axis(
    element: Element, around: Reduce, equation: Equation, tensors: Mapping[str, Tensor]
) -> int | None:
    """The axis along which the result runs, if the sum around runs along the last one and a copy with both
    exchanged pays."""
    own, subscripts = tensors[element.tensor], element.subscripts
    if around.kind != "sum" or not equation.subscripts or not subscripts:
        return None
    along, last = _near(equation.subscripts[-1]), _near(subscripts[-1])
    if along is None or equation.extents.get(along, 0) < LANES:
        return None
    if last not in around.indices or along not in subscripts or along in walk(subscripts[-1]):
        return None
    apart = all(
        isinstance(s, Index) or not {along, last} & free_indices(s).keys() for s in subscripts[:-1]
    )
    if not apart or not own.dtype.startswith("float"):
        return None
    reads = prod(b.extent for b in (*equation.indices, *around.binders))
    worth = READS if prod(own.shape) < LARGE else READS_LARGE
    others = (x for x in elements(around.body) if x != element)
    if reads < worth * prod(own.shape) or any(along in free_indices(x) for x in others):
        return None
    return subscripts.index(along)


class _Copies:
    """Those made so far, and who reads them."""

    def __init__(self, system: System) -> None:
        self.added = Additions(system)
        self.made: dict[tuple[str, int], str] = {}

    def visit(self, e: Expr, equation: Equation, cycle: set[str]) -> Expr:
        """``e`` with the operands of its contractions read from copies where that pays."""
        if not reduces(e):
            return e
        e = rebuild(e, lambda child: self.visit(child, equation, cycle))
        if not isinstance(e, Reduce):
            return e
        return replace(e, body=self.operand(e.body, e, equation, cycle))

    def operand(self, part: Expr, within: Reduce, equation: Equation, cycle: set[str]) -> Expr:
        """Part of a contraction, the elements in it read from copies where that pays."""
        part = rebuild(part, lambda child: self.operand(child, within, equation, cycle))
        if not isinstance(part, Element) or part.tensor in cycle:
            return part
        axis = _axis(part, within, equation, self.added.known)
        return part if axis is None else self.turned(part, axis)

    def turned(self, element: Element, axis: int) -> Element:
        """The element of the copy."""
        subscripts = _exchanged(element.subscripts, axis)
        return Element(self.copy(element.tensor, axis), tuple(subscripts))

    def copy(self, tensor: str, axis: int) -> str:
        """The tensor with one axis and the last exchanged."""
        if (tensor, axis) not in self.made:
            shape = _exchanged(self.added.known[tensor].shape, axis)
            name = self.added.tensor(tensor, "turned", shape)
            indices = tuple(Binder(Index(f"i{k}"), expr(n)) for k, n in enumerate(shape))
            places = tuple(b.index for b in indices)
            value = Element(tensor, tuple(_exchanged(places, axis)))
            origin = f"axes {axis} and {len(shape) - 1} of {tensor} exchanged"
            self.added.equations.append(Equation(name, places, indices, value, origin=origin))
            self.made[tensor, axis] = name
        return self.made[tensor, axis]


def _exchanged(parts: Sequence[T], axis: int) -> list[T]:
    """With one and the last in each other's place."""
    found = list(parts)
    found[axis], found[-1] = found[-1], found[axis]
    return found


def _near(subscript: Expr) -> Index | None:
    """The one index whose neighbours are neighbours in memory: ``o2`` of ``16*o + o2``."""
    near = [
        monomial[0] for monomial, factor in polynomial(subscript).terms if monomial and factor == 1
    ]
    return near[0] if len(near) == 1 and isinstance(near[0], Index) else None
