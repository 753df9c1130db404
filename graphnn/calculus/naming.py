"""Names: of gradients, and of the indices in their formulas.

``d_x`` is the gradient of x, ``g_y`` what arrives at the output y. Differentiating a gradient again needs other names
for the tensors whose ``d_`` name is taken: ``dd_x`` beside ``d_x``. ``g_d_x`` then arrives at d_x, ``d_g_y`` is g_y's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from compiler.language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    Reduce,
    Symbol,
    elements,
    rebuild,
    substitute,
    walk,
)
from compiler.language.system import Equation

from ..errors import ShapeError
from ..notation.formula import Resolved

__all__ = ["TwoBundlesError", "gradient_name", "readable", "seed_name", "unused_name"]

_LETTERS = "abdkpqrlmuvefgstijz"


class TwoBundlesError(ShapeError):
    """A gradient that ``...`` cannot express: it is derived for a known number of axes instead."""


def gradient_name(resolved: Resolved, tensor: str) -> str:
    """The name of a tensor's gradient in what `derive` makes of ``resolved``."""
    return unused_name(f"d_{tensor}", resolved.shapes)


def seed_name(resolved: Resolved, output: str) -> str:
    """The name of the gradient that arrives at an output."""
    return unused_name(f"g_{output}", resolved.shapes)


def unused_name(wish: str, taken: Collection[str]) -> str:
    """``wish``, its first letter repeated until nothing has that name."""
    while wish in taken:
        wish = wish[0] + wish
    return wish


def readable(
    equations: Iterable[Equation], forward: Resolved, shapes: Mapping[str, tuple[Expr, ...]]
) -> list[Equation]:
    """The equations with indices named as in the forward formula wherever an axis or a size had a name there."""
    known = _Names(forward, shapes)
    return [known.equation(e) for e in equations]


class _Names:
    """The names that axes and sizes have in the forward formula."""

    def __init__(self, forward: Resolved, shapes: Mapping[str, tuple[Expr, ...]]) -> None:
        self.taken = {*shapes}
        self.axes: dict[tuple[str, int], dict[str, None]] = {}
        self.sizes: dict[Expr, dict[str, None]] = {}
        self.shapes = shapes
        for equation in forward.equations:
            for part in (equation.value, *equation.subscripts):
                self.taken |= {n.name for n in walk(part) if isinstance(n, Symbol)}
            reads = [Element(equation.target, equation.subscripts), *elements(equation.value)]
            for element in reads:
                for axis, subscript in enumerate(element.subscripts):
                    if isinstance(subscript, Index):
                        self.axes.setdefault((element.tensor, axis), {})[subscript.name] = None
            binders = [b for n in walk(equation.value) if isinstance(n, Reduce) for b in n.binders]
            for index, size in (*equation.indices, *binders):
                if size is not None:
                    self.sizes.setdefault(size, {})[index.name] = None

    def equation(self, e: Equation) -> Equation:
        places = {b.index: k for k, b in enumerate(e.indices)}
        names: dict[Expr, Expr] = {}
        used: set[str] = set()
        target = Element(e.target, e.subscripts)
        for index, size in e.indices:
            uses = [target, *elements(e.value)] if places else []
            name = index.name if index.name[0] not in "#~" else self.choose(index, size, uses, used)
            used.add(name)
            names[index] = Index(name)
        value = self.bound(substitute(e.value, names), used)
        subscripts = tuple(substitute(s, names) for s in e.subscripts)
        indices = tuple(Binder(names[i], n) for i, n in e.indices)  # type: ignore[arg-type]
        return replace(e, subscripts=subscripts, indices=indices, value=value)

    def bound(self, e: Expr, used: set[str]) -> Expr:
        if not isinstance(e, Reduce):
            return rebuild(e, lambda child: self.bound(child, used))
        names: dict[Expr, Expr] = {}
        inner = set(used)
        for index, size in e.binders:
            name = self.choose(index, size, list(elements(e.body)), inner)
            inner.add(name)
            names[index] = Index(name)
        binders = tuple(Binder(names[i], n) for i, n in e.binders)  # type: ignore[arg-type]
        return Reduce(e.kind, self.bound(substitute(e.body, names), inner), binders)

    def choose(self, index: Index, size: Expr | None, uses: list[Element], used: set[str]) -> str:
        for name in self.candidates(index, size, uses):
            if name not in used and (name == "..." or name not in self.taken):
                return name
        raise AssertionError("unreachable: there is always another number")

    def candidates(self, index: Index, size: Expr | None, uses: list[Element]) -> Iterator[str]:
        if getattr(size, "axis", None) == "...":
            yield "..."
        for element in uses:
            for axis, subscript in enumerate(element.subscripts):
                if subscript == index:
                    tensor = element.tensor.lstrip("dge").removeprefix("_")
                    yield from self.axes.get((element.tensor, axis), {})
                    yield from self.axes.get((tensor, axis), {})
        if size is not None:
            yield from (n for n in self.sizes.get(size, {}) if n != "...")
        used = {name for names in self.sizes.values() for name in names}
        yield from (letter for letter in _LETTERS if letter not in used)
        yield from _LETTERS
        number = 2
        while True:
            yield f"i{number}"
            number += 1
