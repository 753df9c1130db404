"""Conventions where arithmetic has no answer: ``t*log(p)`` is 0 where t and p are, and so are its slopes.

So ``x[i]*log(x[i])`` is read as ``where(x[i] != 0, x[i]*log(x[i]), 0)`` before it is differentiated.
"""

from __future__ import annotations

from collections.abc import Collection

from compiler.language.expression import Call, Element, Expr, Number, elements

from .algebra import ZERO, Term, terms
from .conditions import joined

__all__ = ["unless_both_zero", "zero_times_log"]


def zero_times_log(e: Expr, given: Collection[str]) -> Expr:
    """``t*log(p)`` is 0 where t and p are, and so are its slopes; p is `_given`."""
    match e:
        case Call("*", (t, Call("log", (p,)))) | Call("*", (Call("log", (p,)), t)):
            if _given(p, given) and any(elements(t)):
                return unless_both_zero(t, p, e)
    return e


def unless_both_zero(t: Expr, p: Expr, value: Expr) -> Expr:
    """``value``, but 0 where t and p are."""
    both = joined(tuple(dict.fromkeys((_is_zero(t), _is_zero(p)))))
    return Call("where", (both, ZERO, value))


def _is_zero(e: Expr) -> Expr:
    """``1 - p == 0`` as ``p == 1``, ``2*p**2 == 0`` as ``p == 0``."""
    match terms(e):
        case (Term(_, ((base, q),), ()),) if q > 0:
            e = base
    match e:
        case Call("-", (Number() as number, u)):
            return Call("==", (u, number))
    return Call("==", (e, ZERO))


def _given(p: Expr, given: Collection[str]) -> bool:
    """Is it an element of an operand, or ``1 - p`` of one? Not a quotient of exponentials, which is never 0."""
    match p:
        case Call("-", (Number(), u)):
            return _given(u, given)
        case Element(name):
            return name in given
    return False
