"""Cancelling a positive value that is divided by in one place and multiplied with in another.

    before   d[n, i] = -t[n, i]/p[n, i]                       p = exp(...)/sum(exp(...)), say
             e[n, i] = (d[n, i] - sum[k](d[n, k]*p[n, k]))*p[n, i]
    after    e[n, i] = -t[n, i] - sum[k](-t[n, k])*p[n, i]

``e*p`` is spread over sums and conditions, and definitions are read through, until the division is
met. Declines where p may be zero: there ``(A/p)*p`` is NaN, and has to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ..language.expression import Call, Element, Expr, Number, Reduce, free_indices, substitute
from ..language.match import DEPTH, Definitions, Sizes, inner_sizes

__all__ = ["cancel", "factors", "is_positive", "product"]

ZERO, ONE = Number(Fraction(0)), Number(Fraction(1))


def factors(e: Expr) -> list[Expr]:
    """``a*(b*c)`` as a, b, c."""
    if isinstance(e, Call) and e.function == "*":
        return [f for argument in e.arguments for f in factors(argument)]
    return [e]


def product(parts: list[Expr]) -> Expr:
    """``a*b*c`` from a, b, c."""
    result = parts[0]
    for factor in parts[1:]:
        result = result * factor
    return result


def cancel(
    e: Expr, p: Expr, sizes: Sizes, definitions: Definitions, depth: int = DEPTH
) -> Expr | None:
    """``e*p`` with a division by p in ``e`` cancelled; None if there is none."""
    if depth == 0:
        return None
    if isinstance(e, Element):
        opened = None if e == p else definitions.open(e, sizes)
        return None if opened is None else cancel(opened, p, sizes, definitions, depth - 1)

    def within(part: Expr) -> Expr | None:
        return cancel(part, p, sizes, definitions, depth)

    match e:
        case Call("neg", (u,)):
            new = within(u)
            return None if new is None else -new
        case Call("/", (u, v)):
            divisors = factors(v)
            if (place := _place(p, divisors, sizes, definitions)) is not None:
                del divisors[place]
                return u / product(divisors) if divisors else u
            new = within(u)
            return None if new is None else new / v
        case Call("*", (u, v)):
            left = within(u)
            right = None if left is not None else within(v)
            return left * v if left is not None else None if right is None else u * right
        case Call(("+" | "-") as function, (u, v)):
            left, right = within(u), within(v)
            if left is None and right is None:
                return None
            return Call(function, (_times(left, u, p), _times(right, v, p)))
        case Call("where", (condition, u, v)):
            there = substitute(p, _equalities(condition))  # p as it may be written in that branch
            left = within(u) or cancel(u, there, sizes, definitions, depth)
            right = within(v)
            if left is None and right is None:
                return None
            return Call("where", (condition, _times(left, u, p), _times(right, v, p)))
        case Reduce("sum", body, binders) if not any(i in free_indices(p) for i in e.indices):
            new = cancel(body, p, inner_sizes(sizes, binders), definitions, depth)
            return None if new is None else Reduce("sum", new, binders)
    return None


def is_positive(e: Expr, sizes: Sizes, definitions: Definitions, depth: int = DEPTH) -> bool:
    """Is ``e > 0`` in real numbers?"""
    e = definitions.through(e, sizes, depth)
    match e:
        case Number(value):
            return value > 0
        case Call("exp" | "sigmoid"):
            return True
        case Call("-", (Number(value), u)) if value >= 1:
            inner = definitions.through(u, sizes, depth)
            return isinstance(inner, Call) and inner.function == "sigmoid"
        case Call("+" | "*" | "/" | "max" | "min", arguments):
            return all(is_positive(a, sizes, definitions, depth - 1) for a in arguments)
        case Call("sqrt", (u,)):
            return is_positive(u, sizes, definitions, depth - 1)
        case Call("where", (_, u, v)):
            return all(is_positive(a, sizes, definitions, depth - 1) for a in (u, v))
        case Reduce(kind, body, binders) if kind in ("sum", "mean", "max", "min", "prod"):
            whole = all(isinstance(b.size, Number) and b.size.value > 0 for b in binders)
            return whole and is_positive(body, inner_sizes(sizes, binders), definitions, depth - 1)
    return False


def _place(p: Expr, divisors: list[Expr], sizes: Sizes, definitions: Definitions) -> int | None:
    """Where p stands among these, or what is defined as the same."""
    if p in divisors:
        return divisors.index(p)
    whole = definitions.through(p, sizes, DEPTH)
    found = (k for k, d in enumerate(divisors) if definitions.through(d, sizes, DEPTH) == whole)
    return next(found, None)


def _times(cancelled: Expr | None, whole: Expr, p: Expr) -> Expr:
    if cancelled is not None:
        return cancelled
    return ZERO if whole == ZERO else p if whole == ONE else whole * p


def _equalities(condition: Expr) -> Mapping[Expr, Expr]:
    """Indices that a condition holds equal to something: ``i == t[n]`` gives i -> t[n]."""
    match condition:
        case Call("==", (left, right)):
            pair = (right, left) if right in free_indices(right) else (left, right)
            return {pair[0]: pair[1]} if pair[0] in free_indices(pair[0]) else {}
        case Call("and", arguments):
            return {k: v for a in arguments for k, v in _equalities(a).items()}
    return {}
