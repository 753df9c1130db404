"""Partial: a long sum with few results becomes sums of its parts, which threads can share.

Before:   b[o] = sum[n, i](g[n, i, o])                          64 x 784 terms, 16 results
After:    b.parts[p, o] = sum[n:4, i](g[4*p + n, i, o])         p:16
          b[o] = sum[p](b.parts[p, o])

How many parts there are depends on the sizes alone, and they are added up in their order: so the sum is the same for
any number of threads. Declines where the results are many, for then they are shared themselves; where the terms are
few; where no range of the sum can be cut into equal parts; and inside a recurrence, where a sum is short or waited for.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from .expression import (
    Binder,
    Element,
    Expr,
    Number,
    Reduce,
    expr,
    free_indices,
    fresh_index,
    rebuild,
    substitute,
    walk,
)
from .notes import Note, note
from .order import cycles
from .system import Equation, System, Tensor

__all__ = ["partial"]

FEW = 2048  # results, about as many as a few tiles hold
TERMS = 1 << 18  # of all results together: some microseconds of work
PARTS = 16  # at most
ENOUGH = 8  # parts; a range that gives these is not passed over for one further inside


def partial(system: System, notes: list[Note] | None = None) -> System:
    """The system, its long sums in parts."""
    writer = _Writer(system)
    inside = {id(e) for cycle in cycles(system) for e in cycle}
    equations = [
        e if id(e) in inside else replace(e, value=writer.visit(e.value, e))
        for e in system.equations
    ]
    for part in writer.equations:
        note(notes, "partial", part.target, part.origin)
    tensors = (*system.tensors, *writer.tensors)
    return System(tensors, (*writer.equations, *equations), system.updates)


class _Writer:
    """The equations for parts that were made so far."""

    def __init__(self, system: System) -> None:
        self.known = dict(system.by_name)
        self.tensors: list[Tensor] = []
        self.equations: list[Equation] = []

    def visit(self, e: Expr, equation: Equation) -> Expr:
        """The expression with its long sums read from their parts."""
        if not isinstance(e, Reduce):
            return rebuild(e, lambda child: self.visit(child, equation))
        is_real = self.known[equation.target].dtype.startswith("float")
        count = _parts(e, equation) if is_real else None
        return e if count is None else self.in_parts(e, equation, *count)

    def in_parts(self, e: Reduce, equation: Equation, axis: int, count: int) -> Expr:
        """The sum of the parts, which get an equation of their own."""
        binders = list(e.binders)
        index, length = binders[axis].index, _size(binders[axis]) // count
        part = fresh_index("p", dict.fromkeys((*equation.sizes, *(b.index for b in binders))))
        used = free_indices(e)
        indices = (
            Binder(part, expr(count)),
            *(b for b in equation.indices if b.index in used),
        )
        binders[axis] = Binder(index, expr(length))
        body = substitute(e.body, {index: part * length + index})
        tensor = self.tensor(equation, tuple(_size(b) for b in indices))
        places = tuple(b.index for b in indices)
        value = Reduce("sum", body, tuple(binders))
        origin = f"a sum in {count} parts"
        self.equations.append(Equation(tensor, places, indices, value, origin=origin))
        total = Reduce("sum", Element(tensor, places), indices[:1])
        return total / prod(map(_size, e.binders)) if e.kind == "mean" else total

    def tensor(self, equation: Equation, shape: tuple[int, ...]) -> str:
        """A new tensor for parts of a value of the equation."""
        name = f"{equation.target}.parts"
        while name in self.known:
            name += "_"
        self.known[name] = Tensor(name, shape, self.known[equation.target].dtype)
        self.tensors.append(self.known[name])
        return name


def _parts(e: Reduce, equation: Equation) -> tuple[int, int] | None:
    """Which range of a sum is cut into how many parts, if it should be."""
    used = free_indices(e)
    results = prod(n for i, n in equation.extents.items() if i in used)
    terms = prod(map(_size, e.binders))
    simple = not any(isinstance(inner, Reduce) for inner in walk(e.body))
    known = all(i in equation.extents for i in used)
    if e.kind not in ("sum", "mean") or not simple or not known:
        return None
    if results > FEW or results * terms < TERMS:
        return None
    found = [(_divisor(_size(b)), axis) for axis, b in enumerate(e.binders)]
    enough = [(count, axis) for count, axis in found if count >= ENOUGH]
    count, axis = enough[0] if enough else max(found, key=lambda each: each[0], default=(1, 0))
    return (axis, count) if count > 1 else None


def _divisor(size: int) -> int:
    """The greatest number of equal parts."""
    return next(n for n in range(PARTS, 0, -1) if size % n == 0)


def _size(binder: Binder) -> int:
    assert isinstance(binder.size, Number)
    return int(binder.size.value)
