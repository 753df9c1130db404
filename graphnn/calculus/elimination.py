"""How an equality between subscripts determines an index: delta, stride, digits, quotient, remainder.

i + r == e                      delta        i = e - r
2*h + r == e                    stride       h = (e - r)//2, where (e - r) % 2 == 0
2*h + i == e, |i| = 2           digits       h = e//2, i = e % 2
i//2 == e                       quotient     i = 2*e + r, r < 2 a new index
i % 2 == e                      remainder    i = 2*q + e, q a new index
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from compiler.language.expression import Binder, Call, Expr, Index, Number, elements, free_indices
from compiler.language.integers import Polynomial, polynomial, simplify_integer

from .algebra import ONE, ZERO
from .binding import fresh
from .conditions import is_equality

__all__ = ["Solution", "solutions"]


@dataclass(frozen=True)
class Solution:
    """One way to satisfy an equality: what the indices are, under which conditions, with which new index."""

    law: str
    values: dict[Expr, Expr]
    conditions: tuple[Expr, ...]
    added: tuple[Binder, ...] = ()
    hard: int = 0


def _whole(value: Fraction | int) -> Expr:
    return Number(Fraction(value))


def _range(at: Expr, size: Expr) -> tuple[Expr, ...]:
    """0 <= at < size."""
    return Call(">=", (at, ZERO)), Call("<", (at, size))


def solutions(c: Expr, binders: tuple[Binder, ...]) -> Iterator[Solution]:
    """Every way in which the equality ``c`` determines a binder (or several, as digits)."""
    if not is_equality(c):
        return
    assert isinstance(c, Call)
    p = polynomial(c.arguments[0]) - polynomial(c.arguments[1])
    inside = {i for a in p.atoms() if not isinstance(a, Index) for i in free_indices(a)}
    plain = [b for b in binders if b.index in p.atoms() and b.index not in inside]
    digits = None if any(elements(c)) else _digits(p, plain)
    if digits is not None:
        yield digits
        return
    for index, size in plain:
        assert size is not None
        factor, rest = p.coefficient(index), p.without(index)
        if not factor.is_constant or index in rest.atoms():
            continue
        m = factor.constant
        value = rest.scaled(Fraction(-1) if m > 0 else Fraction(1)).expression()
        if abs(m) == 1:
            yield Solution("delta", {index: value}, _range(value, size))
            continue
        at, left = Call("//", (value, _whole(abs(m)))), Call("%", (value, _whole(abs(m))))
        yield Solution("stride", {index: at}, (Call("==", (left, ZERO)), *_range(at, size)), hard=1)
    if not plain:
        yield from _divided(p, binders)


def _digits(p: Polynomial, plain: list[Binder]) -> Solution | None:
    """``e == (h*|i| + i)*|j| + j`` writes e in a mixed radix: h, i, j are its digits."""
    if len(plain) < 2:
        return None
    rest, factors = p, []
    for index, size in plain:
        assert size is not None
        factors.append((p.coefficient(index), index, size))
        rest = rest.without(index)
    sign = Fraction(1)
    if any(c < 0 for f, _, _ in factors for _, c in f.terms):
        sign = Fraction(-1)
    value, step, values = rest.scaled(-sign).expression(), polynomial(ONE), dict[Expr, Expr]()
    conditions: tuple[Expr, ...] = ()
    left = [(f.scaled(sign), index, size) for f, index, size in factors]
    while left:
        found = next((k for k, (f, _, _) in enumerate(left) if not (f - step).terms), None)
        if found is None:
            return None
        _, index, size = left.pop(found)
        digit: Expr = value if step == polynomial(ONE) else Call("//", (value, step.expression()))
        if left:
            digit = Call("%", (digit, size))
        else:
            conditions = (Call(">=", (value, ZERO)), Call("<", (digit, size)))
        values[index] = digit
        step = step * polynomial(size)
    return Solution("digits", values, conditions)


def _divided(p: Polynomial, binders: tuple[Binder, ...]) -> Iterator[Solution]:
    """An index inside a quotient or a remainder by a number."""
    for atom, c in ((m[0], c) for m, c in p.terms if len(m) == 1 and abs(c) == 1):
        if not (isinstance(atom, Call) and atom.function in ("//", "%")):
            continue
        inner, divisor = polynomial(atom.arguments[0]), atom.arguments[1]
        rest = p.without(atom)
        for index, size in binders:
            step = inner.coefficient(index)
            others = {
                i for a in (*rest.atoms(), *inner.without(index).atoms()) for i in free_indices(a)
            }
            if not step.is_constant or abs(step.constant) != 1 or index in others:
                continue
            assert size is not None
            value, extra = rest.scaled(-c).expression(), fresh()
            before = inner.without(index).expression()
            if atom.function == "//":
                whole, new = divisor * value + extra, Binder(extra, divisor)
                conditions: tuple[Expr, ...] = ()
            elif inner.without(index).terms:
                continue
            else:
                count = simplify_integer((size + divisor - 1) // divisor, {})
                whole, new = divisor * extra + value, Binder(extra, count)
                conditions = _range(value, divisor)
            at = whole - before if step.constant == 1 else before - whole
            law = "quotient" if atom.function == "//" else "remainder"
            yield Solution(law, {index: at}, (*conditions, *_range(at, size)), (new,), hard=1)
            return
