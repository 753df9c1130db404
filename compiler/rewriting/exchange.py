"""Exchange: a sum over sums is added up the other way round where that has been done already.

Before:   y[t, d] = sum[u](p[t, u]*v[u, d])
          g[t, u] = sum[d](e[t, d]*v[u, d]);    r[t] = sum[u](p[t, u]*g[t, u])
After:    y[t, d] = sum[u](p[t, u]*v[u, d])
          g[t, u] = sum[d](e[t, d]*v[u, d]);    r[t] = sum[d](e[t, d]*y[t, d])

For r[t] is the sum of p[t, u]*e[t, d]*v[u, d] over all u and d, in any order. Few terms are then read in the place of
many, and nobody waits for the whole row of a large tensor.

Declines where the tensor is not large, where the terms would not be fewer, and where nobody has the other sum: all of
it, as one sum, with as many digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..language.expression import (
    Element,
    Expr,
    Index,
    Reduce,
    free_indices,
    rebuild,
    reduces,
    substitute,
)
from ..language.match import Definitions, Sizes, inner_sizes
from ..language.notes import Note, note
from ..language.system import Equation, System
from .again import is_large
from .cancel import factors, product

__all__ = ["exchange"]


def exchange(system: System, notes: list[Note] | None = None) -> System:
    """The system with sums over large tensors read from others."""
    large = {t.name for t in system.tensors if t.role == "local" and is_large(t)}
    if not large:
        return system
    reader = _Reader(system, large)
    equations = []
    for equation in system.equations:
        changed = equation.valued(reader.read(equation.value, equation.sizes))
        if changed is not equation:
            note(notes, "exchange", equation.target, "a sum is read from another one")
        equations.append(changed)
    return System(system.tensors, tuple(equations), system.updates)


class _Reader:
    """All sums of products, by the tensors whose elements they multiply."""

    def __init__(self, system: System, large: set[str]) -> None:
        self.large, self.definitions = large, Definitions(system)
        self.sums: dict[tuple[str, ...], list[Equation]] = {}
        for equation in self.definitions.equations.values():
            value = equation.value
            if isinstance(value, Reduce) and value.kind == "sum":
                parts = factors(value.body)
                if all(isinstance(part, Element) for part in parts):
                    self.sums.setdefault(_names(parts), []).append(equation)

    def read(self, e: Expr, sizes: Sizes) -> Expr:
        """The expression with such sums read from others."""
        if not reduces(e):
            return e
        if not isinstance(e, Reduce):
            return rebuild(e, lambda child: self.read(child, sizes))
        return self.exchanged(e, sizes) or e

    def exchanged(self, e: Reduce, sizes: Sizes) -> Expr | None:
        """The sum over a sum the other way round."""
        if e.kind != "sum" or len(e.binders) != 1 or reduces(e.body):
            return None
        (row,) = e.binders
        parts = factors(e.body)
        inside = inner_sizes(sizes, e.binders)
        for k, part in enumerate(parts):
            if not isinstance(part, Element) or part.tensor not in self.large:
                continue
            opened = self.definitions.open(part, inside)
            if not isinstance(opened, Reduce) or opened.kind != "sum":
                continue
            own = factors(opened.body)
            moving = [f for f in own if row.index in free_indices(f)]
            resting = [f for f in own if row.index not in free_indices(f)]
            terms = prod(b.extent for b in opened.binders)
            around = inner_sizes(sizes, opened.binders)
            known = self.known([*parts[:k], *parts[k + 1 :], *moving], e, around)
            if known is not None and terms < row.extent and self.are_alike(known, part):
                return Reduce("sum", product([*resting, known]), opened.binders)
        return None

    def are_alike(self, one: Element, other: Element) -> bool:
        """Are they kept with as many digits?"""
        tensors = self.definitions.tensors
        return tensors[one.tensor].dtype == tensors[other.tensor].dtype

    def known(self, parts: Sequence[Expr], e: Reduce, sizes: Sizes) -> Element | None:
        """The element that is the sum of a product over the indices of ``e``, for all values of the others."""
        if not all(isinstance(part, Element) for part in parts):
            return None
        for equation in self.sums.get(_names(parts), ()):
            found = _places(equation, parts, e)
            if found is not None:
                places = tuple(substitute(s, found) for s in equation.subscripts)
                element = Element(equation.target, places)
                if self.definitions.open(element, sizes) is not None:
                    return element
        return None


def _names(parts: Sequence[Expr]) -> tuple[str, ...]:
    return tuple(sorted(part.tensor for part in parts if isinstance(part, Element)))


def _places(equation: Equation, parts: Sequence[Expr], e: Reduce) -> dict[Index, Index] | None:
    """Which index each of the equation's is called by, if its sum is that of the parts over the index of ``e``."""
    value = equation.value
    assert isinstance(value, Reduce)
    if [b.size for b in value.binders] != [b.size for b in e.binders]:
        return None
    found = dict(zip(value.indices, e.indices, strict=True))
    own = {part.tensor: part for part in factors(value.body) if isinstance(part, Element)}
    if len(own) < len(parts):
        return None
    for part in parts:
        assert isinstance(part, Element)
        for here, there in zip(own[part.tensor].subscripts, part.subscripts, strict=True):
            if not isinstance(here, Index) or not isinstance(there, Index):
                return None
            if found.setdefault(here, there) != there:
                return None
    whole = equation.sizes.keys() <= found.keys()
    return found if whole and len({*found.values()}) == len(found) else None
