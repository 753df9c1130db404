"""Patterns of scalar expressions, matched through the equations that define what is read.

    1/(1 + exp(-a))   matches   1/q[n]   where   q[n] = exp(-x[n]) + 1   with   a = x[n]

A `Symbol` in a pattern stands for any expression, the same one wherever it appears; sums and
products match in either order; ``-a`` matches whatever shows a minus sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from .expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Symbol,
    fresh_index,
    rebuild,
    reduces,
    substitute,
)
from .form import of_alike
from .integers import is_nonnegative
from .system import Equation, System, Tensor, reads

__all__ = [
    "DEPTH",
    "Definitions",
    "Sizes",
    "covers",
    "decided",
    "inner_sizes",
    "match",
    "negated",
    "rename_apart",
]

DEPTH = 5  # how many definitions are read through, one inside the other
Sizes = Mapping[Index, Expr]
Found = Mapping[Expr, Expr]


class Definitions:
    """Equations to read through: each the only one of its tensor, and defining all of it."""

    def __init__(self, system: System) -> None:
        self.tensors = system.by_name
        self.equations: dict[str, Equation] = {}
        self.asked: dict[str, None] = {}  # whose equations were asked for, see `Once`
        self.opened: dict[tuple[object, ...], Expr | None] = {}
        is_definition = of_alike(lambda q: _is_definition(q, self.tensors[q.target]), system)
        for name, (equation, *others) in system.definitions().items():
            if not others and is_definition(equation):
                self.equations[name] = equation

    def of(self, name: str) -> Equation | None:
        """The equation of a tensor."""
        self.asked[name] = None
        return self.equations.get(name)

    def open(self, element: Element, sizes: Sizes) -> Expr | None:
        """What an element is equal to; None where it may lie outside or has no definition."""
        equation = self.of(element.tensor)
        if equation is None:
            return None
        key = (element, *sizes.items())
        if key not in self.opened:
            self.opened[key] = self._opened(equation, element, sizes)
        return self.opened[key]

    def _opened(self, equation: Equation, element: Element, sizes: Sizes) -> Expr | None:
        shape = self.tensors[element.tensor].shape
        pairs = zip(element.subscripts, shape, strict=True)
        if not all(self._inside(subscript, n, sizes) for subscript, n in pairs):
            return None
        read = zip(equation.subscripts, element.subscripts, strict=True)
        own = {index: subscript for index, subscript in read if isinstance(index, Index)}
        return rename_apart(substitute(equation.value, own), sizes)

    def through(self, e: Expr, sizes: Sizes, depth: int) -> Expr:
        """``e``, or what its equation says it is, or what the equation of that says."""
        while isinstance(e, Element) and depth > 0:
            value = self.open(e, sizes)
            if value is None:
                break
            e, depth = decided(value), depth - 1
        return e

    def form(self, e: Expr, depth: int = DEPTH) -> Expr:
        """What `through` may lead to, indices as they stand there: to be looked at, and cheap."""
        while isinstance(e, Element) and depth > 0 and (equation := self.of(e.tensor)):
            e, depth = equation.value, depth - 1
        return e

    def _inside(self, subscript: Expr, size: int, sizes: Sizes) -> bool:
        if isinstance(subscript, Element):  # these are checked before anything is computed
            return self.tensors[subscript.tensor].role == "input"
        if isinstance(subscript, Index):  # nearly all are: no polynomials for these
            extent = sizes.get(subscript)
            return isinstance(extent, Number) and extent.value <= size
        last = Number(Fraction(size - 1))
        return is_nonnegative(subscript, sizes) and is_nonnegative(last - subscript, sizes)


def inner_sizes(sizes: Sizes, binders: Iterable[Binder]) -> dict[Index, Expr]:
    """The sizes known inside a reduction."""
    return {**sizes, **{b.index: b.size for b in binders if b.size is not None}}


def rename_apart(e: Expr, taken: Mapping[Index, object]) -> Expr:
    """``e`` with bound indices renamed so that none is called like one around it."""
    if not reduces(e):
        return e
    if not isinstance(e, Reduce):
        return rebuild(e, lambda child: rename_apart(child, taken))
    names: dict[Index, Index] = {}
    for index in e.indices:
        names[index] = fresh_index(index.name, {**taken, **dict.fromkeys(names.values())})
    binders = tuple(Binder(names[b.index], b.size) for b in e.binders)
    body = substitute(e.body, {old: new for old, new in names.items() if old != new})
    body = rename_apart(body, {**taken, **dict.fromkeys(names.values())})
    return e if body is e.body else Reduce(e.kind, body, binders)


def covers(equation: Equation, tensor: Tensor) -> bool:
    """Does the equation define every element of its target, each once?"""
    extents = equation.extents
    shape = tuple(extents[s] for s in equation.subscripts if isinstance(s, Index) and s in extents)
    return equation.is_plain and shape == tensor.shape


def _is_definition(equation: Equation, tensor: Tensor) -> bool:
    """Is it of real numbers, all that there is to say of its target, and not of itself?"""
    itself = any(element.tensor == tensor.name for element in reads(equation))
    return tensor.dtype.startswith("float") and not itself and _defines_all(equation, tensor)


def _defines_all(equation: Equation, tensor: Tensor) -> bool:
    """Does it cover its target, but that an axis of size 1 may be written at 0?"""
    fixed = [
        isinstance(s, Number) and n == 1
        for s, n in zip(equation.subscripts, tensor.shape, strict=True)
    ]
    if not any(fixed):
        return covers(equation, tensor)
    own = [s for s, is_fixed in zip(equation.subscripts, fixed, strict=True) if not is_fixed]
    shape = [n for n, is_fixed in zip(tensor.shape, fixed, strict=True) if not is_fixed]
    sizes = [equation.extents.get(s) if isinstance(s, Index) else None for s in own]
    return not equation.accumulate and list(equation.sizes) == own and sizes == shape


def decided(e: Expr) -> Expr:
    """``where(0 == 0, u, v)`` as u: what a condition on an axis of size 1 comes to."""
    match e:
        case Call("where", (Call("==", (left, right)), u, _)) if left == right:
            return u
    return e


def negated(e: Expr) -> Expr | None:
    """``u`` where ``e`` is visibly ``-u``."""
    match e:
        case Call("neg", (u,)):
            return u
        case Number(value) if value < 0:
            return Number(-value)
        case Call(("*" | "/") as function, (u, v)):
            positive = negated(u)
            if positive == Number(Fraction(1)) and function == "*":
                return v
            return None if positive is None else Call(function, (positive, v))
    return None


def match(
    pattern: Expr, e: Expr, sizes: Sizes, definitions: Definitions | None, found: Found
) -> Found | None:
    """What each symbol of the pattern stands for; None if ``e`` is not of that form."""
    if isinstance(pattern, Symbol):
        known = found.get(pattern, e)
        return {**found, pattern: e} if known == e else None
    if isinstance(pattern, Number):
        return found if e == pattern else None
    if not isinstance(pattern, Call):
        return None
    if isinstance(e, Element) and definitions is not None:
        opened = definitions.open(e, sizes)
        return None if opened is None else match(pattern, opened, sizes, definitions, found)
    if pattern.function == "neg":
        positive = negated(e)
        inner = pattern.arguments[0]
        return None if positive is None else match(inner, positive, sizes, definitions, found)
    if not isinstance(e, Call) or e.function != pattern.function:
        return None
    orders = [e.arguments, e.arguments[::-1]] if e.function in ("+", "*") else [e.arguments]
    for arguments in orders:
        result: Found | None = found if len(arguments) == len(pattern.arguments) else None
        for part, argument in zip(pattern.arguments, arguments, strict=False):
            if result is not None:
                result = match(part, argument, sizes, definitions, result)
        if result is not None:
            return result
    return None
