"""A convention: what is divided by its own norm is 0 where the norm is 0.

    before   y[n] = sqrt(sum[i](x[n, i]**2))
             d[n, i] = g[n]*x[n, i]/y[n]
    after    d[n, i] = where(y[n] == 0, 0, g[n]*x[n, i]/y[n])

So the gradient of a norm, of a distance and of ``sqrt(x**2)`` is 0 at 0, as that of ``abs`` is, and no NaN.
Products are looked at through the equations that define their factors. Declines where anything is added to the squares.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from itertools import product

from ..language.expression import (
    Call,
    Element,
    Expr,
    Number,
    Reduce,
    calls,
    elements,
    free_indices,
    substitute,
    walk,
)
from ..language.form import names_read, of_alike
from ..language.match import DEPTH, Definitions, Sizes, inner_sizes
from ..language.once import Once
from ..language.system import Equation

__all__ = ["Norms", "squared"]

TWO, HALF = Number(Fraction(2)), Fraction(1, 2)


class Norms:
    """Finds the norms of what products are made of."""

    def __init__(self, definitions: Definitions, kinds: Mapping[str, Hashable]) -> None:
        self.definitions, self.kinds = definitions, kinds

    @cached_property
    def read(self) -> set[str]:
        """The tensors that norms are of."""
        once, found = Once(self.definitions, self.kinds.__getitem__, self._own), set[str]()
        has_roots = of_alike(lambda equation: bool(calls(equation.value) & {"sqrt", "**"}))
        for equation in self.definitions.equations.values():
            if has_roots(equation):
                own, _ = once(equation)
                found |= set(names_read(own)) if own is not equation else set()
        return found

    def _own(self, equation: Equation) -> tuple[Equation, tuple[str, ...]]:
        """What there are norms of in an equation; its value if there are none."""
        norms = (
            self._squares(part.arguments[0], equation.sizes)
            for part in walk(equation.value)
            if isinstance(part, Call) and _is_root(part)
        )
        found = tuple(norm[0] for norm in norms if norm)
        return equation.valued(Call("max", found) if found else equation.value), ()

    def divided_by(self, e: Expr, sizes: Sizes) -> Expr | None:
        """What ``e`` divides by that is 0 exactly where the norm of one of its factors is."""
        own = [factor for factor, above in self._factors(e, sizes, True, 0) if above]
        own = [factor for factor in own if any(x.tensor in self.read for x in elements(factor))]
        for factor, above in self._factors(e, sizes, True, DEPTH) if own else ():
            if not _is_root(self.definitions.form(factor)):
                continue
            match self.definitions.through(factor, sizes, DEPTH):
                case Call("sqrt", (squares,)) if not above:
                    norm = factor
                case Call("**", (squares, power)) if (_number(power) == HALF) != above:
                    norm = squares
                case _:
                    continue
            found = self._squares(squares, sizes)
            if found is not None and any(_is_among(u, *found) for u in own):
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
        opened = self.definitions.open(e, sizes) if isinstance(e, Element) and depth else e
        depth -= opened is not e
        match opened:
            case Call("neg", (u,)):
                yield from self._factors(u, sizes, above, depth)
            case Call(("*" | "/") as function, (u, v)):
                yield from self._factors(u, sizes, above, depth)
                yield from self._factors(v, sizes, above == (function == "*"), depth)
            case Element() as other if other is not e:
                yield from self._factors(other, sizes, above, depth)


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


def _is_root(e: Expr) -> bool:
    """Is it a square root, or one over such?"""
    match e:
        case Call("sqrt"):
            return True
        case Call("**", (_, power)):
            return _number(power) in (HALF, -HALF)
    return False


def _number(e: Expr) -> Fraction | None:
    """The value of a number, or of a difference of two."""
    match e:
        case Number(value):
            return value
        case Call("-", (Number(a), Number(b))):
            return a - b
    return None
