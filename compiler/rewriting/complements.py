"""Complements: what is left of a number by a share of it, wherever its terms stand in a sum.

    1 + u + tanh(v)         ->  u + 2*sigmoid(2*v)
    1 + x - x*sigmoid(x)    ->  1 + x*sigmoid(-x)
    x/2 + x*erf(v)/2        ->  x/2*erfc(-v)

``c + c*f`` and ``c - c*f`` are ``c*(1 + f)`` and ``c*(1 - f)``, for which there are identities.
Declines for ``c + c*sigmoid(v)``, where no digits are lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import reduce
from itertools import permutations

from ..language.expression import Call, Expr, Number, calls
from ..language.match import Sizes

__all__ = ["complement"]

SHARES = {"erf": (1, -1), "tanh": (1, -1), "sigmoid": (-1,)}  # and the signs with which 1 has one
ONE = Number(Fraction(1))


def complement(e: Call, sizes: Sizes, rewrite: Callable[[Expr, Sizes], Expr]) -> Expr | None:
    """A sum in which a number and its share are one term; None if there are no such two."""
    if calls(e).isdisjoint(SHARES):
        return None
    terms = list(_terms(e, 1))
    for one, other in permutations(range(len(terms)), 2):
        (sign, whole), (own, share) = terms[one], terms[other]
        found = _share(whole, share)
        if found is None or found[0] * sign * own not in SHARES[found[1].function]:
            continue
        left = ONE + found[1] if found[0] * sign * own > 0 else ONE - found[1]
        pair = rewrite(left if whole == ONE else whole * left, sizes)
        others = [t for k, t in enumerate(terms) if k not in (one, other)]  # equal ones stay
        if not others:
            return pair if sign > 0 else -pair
        total = rewrite(_sum(others), sizes)
        return total + pair if sign > 0 else total - pair
    return None


def _terms(e: Expr, sign: int) -> Iterator[tuple[int, Expr]]:
    """The terms of a sum with their signs."""
    match e:
        case Call("+", (left, right)):
            yield from _terms(left, sign)
            yield from _terms(right, sign)
        case Call("-", (left, right)):
            yield from _terms(left, sign)
            yield from _terms(right, -sign)
        case Call("neg", (u,)):
            yield from _terms(u, -sign)
        case _:
            yield sign, e


def _sum(terms: list[tuple[int, Expr]]) -> Expr:
    (sign, first), *rest = terms
    start = first if sign > 0 else -first
    return reduce(lambda total, t: total + t[1] if t[0] > 0 else total - t[1], rest, start)


def _share(whole: Expr, part: Expr) -> tuple[Fraction, Call] | None:
    """1 or -1, and f, where the part is plus or minus ``whole*f``."""
    number, factors = _product(part)
    scale, known = _product(whole)
    shares = [f for f in factors if isinstance(f, Call) and f.function in SHARES]
    for f in shares if abs(number) == abs(scale) > 0 else ():
        if factors == known + Counter[Expr]([f]):
            return number / scale, f
    return None


def _product(e: Expr) -> tuple[Fraction, Counter[Expr]]:
    """A product as a number and the factors that are none."""
    match e:
        case Number(value):
            return value, Counter()
        case Call("neg", (u,)):
            number, factors = _product(u)
            return -number, factors
        case Call("*", (u, v)):
            (first, left), (second, right) = _product(u), _product(v)
            return first * second, left + right
        case Call("/", (u, Number(value))) if value:
            number, factors = _product(u)
            return number / value, factors
    return Fraction(1), Counter([e])
