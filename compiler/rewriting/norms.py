"""A convention: what is divided by its own norm is 0 where the norm is 0.

    before   y[n] = sqrt(sum[i](x[n, i]**2))
             d[n, i] = g[n]*x[n, i]/y[n]
    after    d[n, i] = where(y[n] == 0, 0, g[n]*x[n, i]/y[n])

So the gradient of a norm, of a distance and of ``sqrt(x**2)`` is 0 at 0, as that of ``abs`` is, and no NaN.
Products are looked at through the equations that define their factors. Declines where anything is added to the squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from ..language.expression import (
    Call,
    Element,
    Expr,
    Number,
    Reduce,
    free_indices,
    substitute,
    walk,
)
from ..language.match import DEPTH, Definitions, Sizes, inner_sizes

__all__ = ["Norms", "squared"]

TWO, HALF = Number(Fraction(2)), Fraction(1, 2)


class Norms:
    """Finds the norms of what products are made of."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.are_there = any(
            self._squares(part.arguments[0], equation.sizes) is not None
            for equation in definitions.equations.values()
            for part in walk(equation.value)
            if isinstance(part, Call) and part.function in ("sqrt", "**")
        )

    def divided_by(self, e: Expr, sizes: Sizes) -> Expr | None:
        """What ``e`` divides by that is 0 exactly where the norm of one of its factors is."""
        if not self.are_there:
            return None
        above: list[Expr] = []
        below: list[tuple[Expr, Expr]] = []
        for factor, is_above in self._factors(e, sizes, True, DEPTH):
            whole = self.definitions.through(factor, sizes, DEPTH)
            match whole:
                case Call("sqrt", (squares,)) if not is_above:
                    below.append((factor, squares))
                case Call("**", (squares, power)) if _number(power) == (
                    -HALF if is_above else HALF
                ):
                    below.append((squares, squares))
            if is_above:
                above.append(factor)
        for norm, squares in below:
            found = self._squares(squares, sizes)
            if found is not None and any(_is_among(u, *found) for u in above):
                return norm
        return None

    def _squares(self, e: Expr, sizes: Sizes) -> tuple[Expr, Reduce | None] | None:
        """u of ``u**2``, or of a sum or mean of such, and that sum; a number may be a factor of it."""
        whole = self.definitions.through(e, sizes, DEPTH)
        match whole:
            case Call("*" | "/", (part, Number(value))) | Call("*", (Number(value), part)) if (
                value > 0
            ):
                return self._squares(part, sizes)
        if isinstance(whole, Reduce) and whole.kind in ("sum", "mean"):
            u = squared(whole.body, inner_sizes(sizes, whole.binders), self.definitions)
            return None if u is None else (u, whole)
        u = squared(whole, sizes, self.definitions)
        return None if u is None else (u, None)

    def _factors(
        self, e: Expr, sizes: Sizes, above: bool, depth: int
    ) -> Iterator[tuple[Expr, bool]]:
        """Factors, and whether they stand above; those that are products by definition taken apart, too."""
        yield e, above
        match self.definitions.open(e, sizes) if isinstance(e, Element) and depth else e:
            case Call("neg", (u,)):
                yield from self._factors(u, sizes, above, depth - 1)
            case Call(("*" | "/") as function, (u, v)):
                yield from self._factors(u, sizes, above, depth - 1)
                yield from self._factors(v, sizes, above == (function == "*"), depth - 1)
            case Element() as other if other is not e:
                yield from self._factors(other, sizes, above, depth - 1)


def squared(e: Expr, sizes: Sizes, definitions: Definitions) -> Expr | None:
    """u of ``u**2`` or ``u*u``."""
    match definitions.through(e, sizes, DEPTH):
        case Call("**", (u, power)) if power == TWO:
            return u
        case Call("*", (u, v)) if u == v:
            return u
    return None


def _is_among(factor: Expr, u: Expr, total: Reduce | None) -> bool:
    """Is it u, or -u, for some values of the indices that are summed over?"""
    candidates = {factor}
    if isinstance(factor, Call) and factor.function == "-":
        candidates.add(Call("-", factor.arguments[::-1]))
    bound = [] if total is None else list(total.indices)
    places = product(free_indices(factor), repeat=len(bound))
    return any(substitute(u, dict(zip(bound, p, strict=True))) in candidates for p in places)


def _number(e: Expr) -> Fraction | None:
    """The value of a number, or of a difference of two."""
    match e:
        case Number(value):
            return value
        case Call("-", (Number(a), Number(b))):
            return a - b
    return None
