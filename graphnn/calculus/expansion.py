"""Expansion: a sum of products in its two extreme forms, between which the cheapest is sought.

multiplied out          (x + z)**2                  x**2 + 2*x*z + z**2
over one denominator    1/(1 + x) - x/(1 + x)**2    1/(1 + x)**2
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from .algebra import Sum, Term, collect, divided, is_sum, multiply, product, shared, terms

__all__ = ["expand", "factored"]


def expand(total: Iterable[Term]) -> Sum:
    """Whole positive powers of sums multiplied out."""
    result: list[Term] = []
    for t in total:
        parts: list[Term] = [t._replace(factors=())]
        for base, q in t.factors:
            whole = q.denominator == 1 and 0 < q <= 4
            inner = expand(terms(base)) if whole and is_sum(base) else ()
            if len(inner) > 1:
                for _ in range(int(q)):
                    parts = [multiply(p, i) for p in parts for i in inner]
            else:
                parts = [multiply(p, Term(Fraction(1), ((base, q),))) for p in parts]
        result += parts
    return collect(result)


def factored(total: Sum) -> Sum:
    """Over one denominator, with all that the terms share in front: ``1/(1+x) - x/(1+x)**2`` is ``1/(1+x)**2``."""
    if len(total) < 2:
        return total
    outside = shared(total, denominators=True)
    inside = expand([divided(t, outside) for t in total])
    return product([(outside,), inside])
