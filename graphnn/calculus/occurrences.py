"""Where an equation reads what, and the derivative of its value by each such element.

    y[n] = max[i](x[n, i])        x[n, i]: where(x[n, i] == y[n], 1/ties_y[n], 0)
                                  ties_y[n] = sum[i](where(x[n, i] == y[n], 1, 0))

sympy differentiates scalar expressions; what is defined here is how a reduction depends on its body: each term of a sum
with slope 1, of a product with the product of the others, of a maximum with 1 where it is attained (a tie is split
evenly, but `firstmax` gives all to the first place).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from compiler.language.expression import (
    COMPARISONS,
    Binder,
    Call,
    Element,
    Expr,
    Reduce,
    children,
    free_indices,
)
from compiler.language.system import Equation

from .algebra import ONE, ZERO, normal
from .binding import bind, opened
from .conditions import joined
from .naming import unused_name
from .scalar import slopes

__all__ = ["Helpers", "Part", "occurrences", "real_reads", "whole_reads"]

Shapes = dict[str, tuple[Expr, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """One occurrence of a tensor in an equation, with the derivative by it; ``loops`` are all indices around it."""

    element: Element
    slope: Expr
    loops: tuple[Binder, ...]


@dataclass
class Helpers:
    """Equations for what gradients need beside the forward tensors: places of maxima, shared factors."""

    shapes: Shapes
    equations: list[Equation] = field(default_factory=list)

    def define(self, wish: str, value: Expr, indices: tuple[Binder, ...]) -> Element:
        """``wish[indices] = value``, or the helper that is defined so already."""
        place = tuple(b.index for b in indices)
        for known in self.equations:
            if known.value == value and known.subscripts == place:
                return Element(known.target, place)
        name = unused_name(wish, self.shapes)
        self.shapes[name] = tuple(b.size for b in indices if b.size is not None)
        self.equations.append(Equation(name, place, indices, value))
        return Element(name, place)

    def over(self, wish: str, value: Expr, loops: tuple[Binder, ...]) -> Element:
        """A helper over those of the indices that its value depends on."""
        used = free_indices(value)
        return self.define(wish, value, tuple(b for b in loops if b.index in used))


def occurrences(
    equation: Equation, active: Mapping[str, object], helpers: Helpers
) -> Iterator[Part]:
    """Every active element that the equation's value reads, with the derivative by it; reductions are opened."""

    def inside(e: Expr, slope: Expr, loops: tuple[Binder, ...]) -> Iterator[Part]:
        for leaf, inner in slopes(e).items():
            if isinstance(leaf, Element) and leaf.tensor in active:
                yield Part(leaf, slope * inner, loops)
            elif isinstance(leaf, Reduce) and any(n in active for n in real_reads(leaf)):
                body, binders = opened(leaf)
                factor = _by_body(leaf, body, binders, equation, loops, helpers)
                yield from inside(body, slope * inner * factor, (*loops, *binders))

    yield from inside(equation.value, ONE, equation.indices)


def _by_body(
    leaf: Reduce,
    body: Expr,
    binders: tuple[Binder, ...],
    equation: Equation,
    loops: tuple[Binder, ...],
    helpers: Helpers,
) -> Expr:
    """The derivative of a reduction by its body at one place of its indices."""
    other, again = opened(leaf)
    match leaf.kind:
        case "prod":
            here = [Call("==", (a.index, b.index)) for a, b in zip(binders, again, strict=True)]
            return bind("prod", Call("where", (joined(here), ONE, other)), again)
        case "max" | "min":
            best: Expr = Element(equation.target, equation.subscripts)
            if leaf != equation.value or equation.accumulate:
                best = helpers.over(f"{leaf.kind}_{equation.target}", leaf, loops)
            ties = bind("sum", Call("where", (Call("==", (other, best)), ONE, ZERO)), again)
            count = helpers.over(f"ties_{equation.target}", ties, loops)
            return Call("where", (Call("==", (body, best)), 1 / count, ZERO))
        case "firstmax" | "firstmin":
            position = bind("arg" + leaf.kind.removeprefix("first"), other, again)
            at = helpers.over(f"at_{equation.target}", position, loops)
            flat: Expr = ZERO
            for index, size in binders:
                assert size is not None
                flat = flat * size + index
            return Call("where", (Call("==", (normal(flat), at)), ONE, ZERO))
    return ONE


def real_reads(e: Expr) -> Iterator[str]:
    """Tensors that ``e`` depends on smoothly: not through subscripts, conditions and whole numbers."""
    if isinstance(e, Reduce):
        if not e.kind.startswith("arg"):
            yield from real_reads(e.body)
        return
    for leaf in slopes(e):
        if isinstance(leaf, Element):
            yield leaf.tensor
        else:
            yield from real_reads(leaf)


def whole_reads(e: Expr) -> Iterator[str]:
    """Tensors read as subscripts, as conditions or by ``uniform``: whole numbers and truth values
    have no gradient.
    """
    match e:
        case Element(_, subscripts):
            yield from (inner.tensor for s in subscripts for inner in _made_of(s))
        case Call("where" | "and" | "or" | "not", arguments):
            logical = arguments[:1] if e.function == "where" else arguments
            yield from (a.tensor for a in logical if isinstance(a, Element))
        case Call("uniform", arguments):
            yield from (inner.tensor for a in arguments for inner in _made_of(a))
    for child in children(e):
        yield from whole_reads(child)


def _made_of(e: Expr) -> Iterator[Element]:
    """Elements that a whole number is made of; what is only compared, or searched for its extreme, is not."""
    match e:
        case Reduce("argmax" | "argmin"):
            return
        case Call(function, _) if function in COMPARISONS:
            return
        case Element():
            yield e
    for child in children(e):
        yield from _made_of(child)
