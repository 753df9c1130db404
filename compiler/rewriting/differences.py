"""Differences of large numbers that are nearly equal, taken before the digits are lost.

    logarithms    x - log(sum(exp(x)))        ->  (x - max(x)) - log(sum(exp(x - max(x))))
    variances     mean(u**2) - mean(u)**2     ->  mean((u - mean(u))**2)

The first is the sum of three terms in another order, once a logarithm is in two parts: what may be large, and what is
left. Declines where the means are not over the same indices.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ..language.expression import Call, Expr, Number, Reduce, canonical
from ..language.match import DEPTH, Definitions, Sizes, inner_sizes, negated, rename_apart
from .identities import call
from .norms import squared

__all__ = ["difference"]

Rewrite = Callable[[Expr, Sizes], Expr]
TWO = Number(Fraction(2))


def difference(
    e: Call, sizes: Sizes, definitions: Definitions, rewrite: Rewrite
) -> tuple[str, Expr] | None:
    """A sum or difference in a form that keeps its digits, and which rule says so."""
    left, right = e.arguments
    if e.function == "-" and (new := _variance(left, right, sizes, definitions)) is not None:
        return "variance as the mean of squared differences", rewrite(new, sizes)
    if e.function == "+" and negated(left) is None and negated(right) is None:
        return None
    for place, (part, other) in enumerate(((left, right), (right, left))):
        logarithm = _logarithm(part, sizes, definitions, rewrite)
        if logarithm is None:
            continue
        large, sign, rest = logarithm
        near = [large, rewrite(other, sizes)]
        if place == 1:
            near.reverse()
            sign = sign if e.function == "+" else {"+": "-", "-": "+"}[sign]
        return "logarithm taken apart", call(sign, call(e.function, *near), rest)
    return None


def _logarithm(
    e: Expr, sizes: Sizes, definitions: Definitions, rewrite: Rewrite
) -> tuple[Expr, str, Expr] | None:
    """A logarithm as ``large + rest`` or ``large - rest``, if it becomes such."""
    form = definitions.form(e)
    if not (isinstance(form, Call) and form.function == "log"):
        return None
    match rewrite(definitions.through(e, sizes, DEPTH), sizes):
        case Call(("+" | "-") as sign, (large, rest)):
            return large, sign, rest
    return None


def _variance(squares: Expr, square: Expr, sizes: Sizes, definitions: Definitions) -> Expr | None:
    """``mean((u - m)**2)`` of ``mean(u**2)`` and ``m**2``, where m is the mean of u."""
    if not isinstance(definitions.form(squares), Reduce):
        return None
    whole = definitions.through(squares, sizes, DEPTH)
    mean = squared(square, sizes, definitions)
    if mean is None or not (isinstance(whole, Reduce) and whole.kind == "mean"):
        return None
    u = squared(whole.body, inner_sizes(sizes, whole.binders), definitions)
    average = definitions.through(mean, sizes, DEPTH)
    if u is None or not isinstance(average, Reduce):
        return None
    own = Reduce("mean", u, whole.binders)
    if _opened(own, sizes, definitions) != _opened(average, sizes, definitions):
        return None
    return rename_apart(Reduce("mean", (u - mean) ** TWO, whole.binders), sizes)


def _opened(e: Reduce, sizes: Sizes, definitions: Definitions) -> Expr:
    """To be compared: what is reduced opened, bound indices named by where they are bound."""
    body = definitions.through(e.body, inner_sizes(sizes, e.binders), DEPTH)
    return canonical(Reduce(e.kind, body, e.binders))
