"""Conditions: joined, split, turned round, as inequalities between whole numbers; what needs none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from compiler.language.expression import (
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    elements,
    walk,
)

__all__ = ["conjuncts", "excess", "is_equality", "is_integer", "is_total", "joined", "negate"]

_NEGATED = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}


def conjuncts(c: Expr) -> tuple[Expr, ...]:
    """The conditions that ``c`` joins by "and"."""
    if isinstance(c, Call) and c.function == "and":
        return tuple(x for a in c.arguments for x in conjuncts(a))
    return (c,)


def negate(c: Expr) -> Expr:
    """``not c`` with comparisons turned round (a NaN on either side counts as the branch it gives)."""
    match c:
        case Call("not", (a,)):
            return a
        case Call("and", arguments):
            return Call("or", tuple(map(negate, arguments)))
        case Call("or", arguments):
            return Call("and", tuple(map(negate, arguments)))
        case Call(function, arguments) if function in _NEGATED:
            return Call(_NEGATED[function], arguments)
    return Call("not", (c,))


def joined(conditions: Sequence[Expr]) -> Expr:
    """All conditions, at least one, in one."""
    return reduce(lambda a, b: Call("and", (a, b)), conditions)


def is_equality(c: Expr) -> bool:
    """Is it ``a == b``?"""
    return isinstance(c, Call) and c.function == "=="


def is_integer(e: Expr) -> bool:
    """Built of indices, sizes and whole numbers only."""
    match e:
        case Number():
            return e.is_integer
        case Index() | Size() | Symbol():
            return True
        case Call("+" | "-" | "*" | "//" | "%" | "neg" | "group", arguments):
            return all(map(is_integer, arguments))
    return False


def excess(c: Expr) -> tuple[Expr, ...] | None:
    """Integer expressions that are all ``>= 0`` exactly when ``c`` holds; None when there are none."""
    if not (isinstance(c, Call) and len(c.arguments) == 2 and all(map(is_integer, c.arguments))):
        return None
    a, b = c.arguments
    match c.function:
        case ">=":
            return (a - b,)
        case ">":
            return (a - b - 1,)
        case "<=":
            return (b - a,)
        case "<":
            return (b - a - 1,)
        case "==":
            return a - b, b - a
    return None


def is_total(e: Expr) -> bool:
    """Is ``e`` finite for all elements of usual sizes? Only then is zero times it zero, whatever guards it."""
    for node in walk(e):
        match node:
            case Call("/" | "**", (_, b)) if any(isinstance(n, (Element, Reduce)) for n in walk(b)):
                return False
            case Call("exp" | "log" | "sqrt" | "log1p", (a,)) if any(elements(a)):
                return False
    return True
