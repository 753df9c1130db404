"""Inverse: what many numbers are divided by is inverted once, and they are multiplied.

Before:   s[n] = sum[i](exp(x[n, i] - m[n]));    y[n, i] = exp(x[n, i] - m[n])/s[n]
          z[n, i] = x[n, i]/sqrt(2*pi)
After:    s.inverse[n] = 1/s[n];                 y[n, i] = exp(x[n, i] - m[n])*s.inverse[n]
          z[n, i] = x[n, i]*0.3989422804014326779399460599343818684759

A processor divides a vector while it could multiply sixteen or more. Results differ from quotients by no more than
rounding: the inverse must be a number wherever the divisor is one, and none of those that are kept with fewer digits,
so it has the float type of the quotients.
So it is with roots, which are neither very large nor very small, infinite where these are zero, as quotients are; and
with sums of exponentials of which the greatest is 1, or that are no numbers at all. Numbers that are no fractions are
computed here, with more digits than any type holds: what a product with them loses by that is known (`code.lost`).

Declines for all other divisors, and where there are not many quotients of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from math import prod

from ..language.expression import (
    Call,
    Constant,
    Element,
    Expr,
    Number,
    Reduce,
    free_indices,
    rebuild,
    substitute,
    walk,
)
from ..language.form import of_form
from ..language.match import Definitions, Sizes, inner_sizes
from ..language.notes import Note, note
from ..language.system import Equation, System, copying, float_of
from .additions import Additions

__all__ = ["inverse"]

MANY = 8  # quotients of each divisor
MOST = 1 << 100  # of a divisor that is a number: it and its inverse have all digits then
DIGITS = 40
PI = Fraction("3.1415926535897932384626433832795028841971693993751")
ONE = Number(Fraction(1))


def inverse(system: System, notes: list[Note] | None = None) -> System:
    """The system with products in the place of quotients."""
    if not any(map(_has_quotients, system.equations)):
        return system
    writer = _Writer(system, notes)
    changed = [
        writer.multiplied(equation) if _has_quotients(equation) else equation
        for equation in system.equations
    ]
    equations = [e for own in changed for e in (own, writer.equations.get(own.target)) if e]
    tensors = (*system.tensors, *writer.added.tensors)
    return System(tensors, tuple(equations), system.updates)


@of_form
def _has_quotients(equation: Equation) -> bool:
    """Is anything divided by an element, or is there a number to be computed?"""
    for part in walk(equation.value):
        match part:
            case Call("/", (_, Element())):
                return True
            case Call() | Constant() if _real(part) is not None:
                return True
    return False


_ARITHMETIC: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}


def _number(e: Expr) -> Fraction | None:
    """What roots, powers, products and quotients of positive numbers are, if that is neither very small nor large."""
    match e:
        case Number(value):
            found = value
        case Constant("pi"):
            found = PI
        case Call("sqrt", (u,)):
            return _number(Call("**", (u, Number(Fraction(1, 2)))))
        case Call(("*" | "/" | "**") as function, (u, v)):
            left, right = _number(u), _number(v)
            if left is None or right is None or (function == "**" and right > DIGITS):
                return None
            with localcontext(prec=DIGITS):
                numbers = (Decimal(n.numerator) / n.denominator for n in (left, right))
                found = Fraction(_ARITHMETIC[function](*numbers))
        case _:
            return None
    return found if Fraction(1, MOST) < found < MOST else None


def _real(e: Expr) -> Fraction | None:
    """Such a number; but neither it nor its inverse is whole, for whole numbers are of another kind."""
    number = _number(e)
    return None if number is None or 1 in number.as_integer_ratio() else number


class _Writer:
    """The inverses asked for so far, each to stand behind its divisor."""

    def __init__(self, system: System, notes: list[Note] | None) -> None:
        self.definitions, self.notes = Definitions(system), notes
        self.added = Additions(system)
        self.equations: dict[str, Equation] = {}

    def multiplied(self, equation: Equation) -> Equation:
        """The equation with products in the place of quotients."""
        real = float_of(equation, lambda name: self.added.known[name].dtype)
        return equation.valued(self.value(equation.value, equation.sizes, real))

    def value(self, e: Expr, sizes: Sizes, real: str) -> Expr:
        """The expression with products in the place of quotients, which are of this float type."""
        number = _real(e) if isinstance(e, (Call, Constant)) else None
        if number is not None:
            return Number(number)
        match e:
            case Call("/", (u, Call() as divisor)) if (found := _real(ONE / divisor)) is not None:
                return self.value(u, sizes, real) * Number(found)
        inside = inner_sizes(sizes, e.binders) if isinstance(e, Reduce) else sizes
        e = rebuild(e, lambda child: self.value(child, inside, real))
        match e:
            case Call("/", (u, Element() as shared)) if self.is_shared(shared, sizes, real):
                return u * self.inverse(shared)
        return e

    def is_shared(self, divisor: Element, sizes: Sizes, real: str) -> bool:
        """Has it many quotients, and an inverse with as many digits?"""
        if self.added.known[divisor.tensor].dtype != real:
            return False
        own = free_indices(divisor)
        others = (n.value for i, n in sizes.items() if i not in own and isinstance(n, Number))
        value = self.definitions.open(divisor, sizes) if prod(others) >= MANY else None
        match value:
            case Call("sqrt"):
                return True
            case Reduce("sum", Call("exp", (Call("-", (x, Element() as most)),)), binders):
                found = self.definitions.open(most, inner_sizes(sizes, binders))
                return found is not None and _is_most_of(found, x, value)
        return False

    def inverse(self, divisor: Element) -> Element:
        """The inverse at the place of its divisor."""
        name = divisor.tensor
        if name not in self.equations:
            shape = self.added.known[name].shape
            new = self.added.tensor(name, "inverse", shape)
            each = copying(name, new, shape, self.definitions.equations[name].origin)
            self.equations[name] = each.valued(ONE / each.value)
            note(self.notes, "inverse", name, "is inverted once")
        return Element(self.equations[name].target, divisor.subscripts)


def _is_most_of(most: Expr, x: Expr, total: Reduce) -> bool:
    """Is it the maximum of what a sum runs over?"""
    match most:
        case Reduce("max", body, binders) if len(binders) == len(total.binders):
            same = [b.size for b in binders] == [b.size for b in total.binders]
            names = dict(zip(most.indices, total.indices, strict=True))
            return same and substitute(body, names) == x
    return False
