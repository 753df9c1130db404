"""Turn: an operand that a contraction would read against the grain is copied with its axes exchanged, once.

Before:   y[n, k] = sum[j](g[n, j]*W[k, j])                 neighbours of y need rows of W that lie far apart
After:    W.turned[j, k] = W[k, j]
          y[n, k] = sum[j](g[n, j]*W.turned[j, k])

All contractions then run along the last axis of their result, also those inside a recurrence, where the copy is made
before the loop. Declines where the elements are read too seldom to pay for the copy, and for what the recurrence
itself defines.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ..language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    Reduce,
    expr,
    free_indices,
    rebuild,
    reduces,
    walk,
)
from ..language.form import of_alike
from ..language.integers import polynomial
from ..language.notes import Note, note
from ..language.system import Equation, System, Tensor, fresh_name
from .order import cycles

__all__ = ["turn"]

READS = 16  # of each element, that pay for a copy
LARGE = 1 << 22  # elements: such a copy waits for memory
READS_LARGE = 64
LANES = 8  # values of an index at least that are worth being neighbours


def turn(system: System, notes: list[Note] | None = None) -> System:
    """The system, with copies of operands that lie the wrong way."""
    writer, trial = _Writer(system), _Writer(system)
    inside = {id(e): {o.target for o in cycle} for cycle in cycles(system) for e in cycle}
    is_across = of_alike(lambda e: trial.visit(e.value, e, set()) != e.value, system)
    equations = [
        e.valued(writer.visit(e.value, e, inside.get(id(e), set()))) if is_across(e) else e
        for e in system.equations
    ]
    for copy in writer.copies:
        note(notes, "turn", copy.target, copy.origin)
    if not writer.copies:
        return system
    tensors = (*system.tensors, *writer.tensors)
    return System(tensors, (*writer.copies, *equations), system.updates)


class _Writer:
    """The copies made so far."""

    def __init__(self, system: System) -> None:
        self.known = dict(system.by_name)
        self.made: dict[tuple[str, int], str] = {}
        self.tensors: list[Tensor] = []
        self.copies: list[Equation] = []

    def visit(self, e: Expr, equation: Equation, cycle: set[str]) -> Expr:
        """``e`` with the operands of its contractions read from copies where that pays."""
        if not reduces(e):
            return e
        e = rebuild(e, lambda child: self.visit(child, equation, cycle))
        if not isinstance(e, Reduce) or e.kind != "sum" or not equation.subscripts:
            return e
        along = _near(equation.subscripts[-1])
        if along is None or equation.extents.get(along, 0) < LANES:
            return e

        def operand(part: Expr) -> Expr:
            part = rebuild(part, operand)
            if isinstance(part, Element) and part.tensor not in cycle:
                return self.turned(part, along, e, equation)
            return part

        return replace(e, body=operand(e.body))

    def turned(self, element: Element, along: Index, around: Reduce, equation: Equation) -> Element:
        """The element of a copy in which ``along`` is the last axis, or the element as it is."""
        own, subscripts = self.known[element.tensor], list(element.subscripts)
        last = _near(subscripts[-1]) if subscripts else None
        if last not in around.indices or along not in subscripts or along in walk(subscripts[-1]):
            return element
        apart = all(
            isinstance(s, Index) or not {along, last} & free_indices(s).keys()
            for s in subscripts[:-1]
        )
        if not apart or not own.dtype.startswith("float"):
            return element
        reads = prod(b.extent for b in (*equation.indices, *around.binders))
        others = [e for e in walk(around.body) if isinstance(e, Element) and e != element]
        worth = READS if prod(own.shape) < LARGE else READS_LARGE
        if reads < worth * prod(own.shape) or any(along in free_indices(e) for e in others):
            return element
        axis = subscripts.index(along)
        subscripts[axis], subscripts[-1] = subscripts[-1], subscripts[axis]
        return Element(self.copy(own, axis), tuple(subscripts))

    def copy(self, tensor: Tensor, axis: int) -> str:
        """The tensor with one axis and the last exchanged."""
        if (tensor.name, axis) not in self.made:
            name = fresh_name(f"{tensor.name}.turned", self.known)
            shape = list(tensor.shape)
            shape[axis], shape[-1] = shape[-1], shape[axis]
            indices = [Binder(Index(f"i{k}"), expr(n)) for k, n in enumerate(shape)]
            source = [b.index for b in indices]
            source[axis], source[-1] = source[-1], source[axis]
            self.known[name] = Tensor(name, tuple(shape), tensor.dtype)
            self.tensors.append(self.known[name])
            places = tuple(b.index for b in indices)
            value = Element(tensor.name, tuple(source))
            origin = f"axes {axis} and {len(shape) - 1} of {tensor.name} exchanged"
            self.copies.append(Equation(name, places, tuple(indices), value, origin=origin))
            self.made[tensor.name, axis] = name
        return self.made[tensor.name, axis]


def _near(subscript: Expr) -> Index | None:
    """The one index whose neighbours are neighbours in memory: ``o2`` of ``16*o + o2``."""
    near = [
        monomial[0] for monomial, factor in polynomial(subscript).terms if monomial and factor == 1
    ]
    return near[0] if len(near) == 1 and isinstance(near[0], Index) else None
