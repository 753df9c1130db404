"""Sums of exponentials with their largest exponent apart: ``E = E.at(s)*exp(s)`` for any s.

    exp(a) + 2*exp(b)    has the peak  s = max(a, b)    and is  (exp(a - s) + 2*exp(b - s))*exp(s)

With its peak apart a sum neither overflows nor vanishes, so that quotients and logarithms of it are right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from ..language.expression import (
    Binder,
    Call,
    Constant,
    Expr,
    Number,
    Reduce,
    free_indices,
)
from ..language.match import DEPTH, Definitions, Sizes, inner_sizes, negated, rename_apart
from .exponents import Reach, of_logarithm
from .identities import call

__all__ = ["Scaled", "Sums"]

ZERO, ONE, INFINITY = Number(Fraction(0)), Number(Fraction(1)), Constant("inf")


@dataclass(frozen=True, slots=True)
class Scaled:
    """E linear in exponentials: ``at(s)`` is ``E*exp(-s)``, its largest exponent is ``peak``.

    ``is_sum``: it cannot vanish, so it may be divided by. ``divided``: it is ``A/D`` with a D that is
    a sum, whose largest exponent this is.
    """

    peak: Expr
    at: Callable[[Expr], Expr]
    is_sum: bool = False
    divided: Expr | None = None


class Sums:
    """Finds them, through the equations that define what is read; ``rewrite`` gives the form of all else."""

    def __init__(
        self, definitions: Definitions, reach: Reach, rewrite: Callable[[Expr, Sizes], Expr]
    ) -> None:
        self.definitions, self.reach, self.rewrite = definitions, reach, rewrite

    def exponential(self, e: Expr, sizes: Sizes, depth: int = DEPTH) -> Scaled | None:
        """``e`` as linear in exponentials; None if it is not, or is shifted already."""
        e = self.definitions.through(e, sizes, depth)
        if not isinstance(e, Number) and not self.reach(e):
            return None
        match e:
            case Call("exp", (argument,)):
                if self._is_shifted(argument, sizes):
                    return None
                product = of_logarithm(argument, sizes, self.definitions, self.reach, depth)
                if product is not None:
                    return self.exponential(product, sizes)
                exponent = self.rewrite(argument, sizes)
                return Scaled(
                    exponent, lambda s: ONE if s == exponent else call("exp", exponent - s)
                )
            case Number(value) if value > 0:
                return Scaled(ZERO, lambda s: e * call("exp", -s) if e != ONE else call("exp", -s))
            case Call("neg", (u,)):
                opposite = self.exponential(u, sizes, depth - 1)
                if opposite is None:
                    return None
                return replace(opposite, at=lambda s: -opposite.at(s), is_sum=False)
            case Call("*" | "/", (left, right)):
                return self._weighted(e.function, left, right, sizes, depth - 1)
            case Call("+" | "-", (left, right)):
                return self._added(e.function, left, right, sizes, depth - 1)
            case Call("**", (base, Number(power) as exponent)) if power >= 1:
                inner = self.exponential(base, sizes, depth - 1)
                if inner is None or not inner.is_sum:
                    return None
                peak = exponent * inner.peak
                return Scaled(peak, lambda s: inner.at(_divided(s, exponent)) ** exponent, True)
            case Call("where", (condition, left, right)) if ZERO in (left, right):
                return self._masked(condition, left, right, sizes, depth - 1)
            case Reduce("sum", body, binders):
                return self._summed(body, binders, sizes, depth - 1)
        return None

    def _weighted(
        self, function: str, left: Expr, right: Expr, sizes: Sizes, depth: int
    ) -> Scaled | None:
        """``exp(a)*c``, ``c*exp(a)``, ``exp(a)/c``; the weight c has no exponentials of its own."""
        scaled = [self.exponential(part, sizes, depth) for part in (left, right)]
        scaled = [s if s is not None and s.peak != ZERO else None for s in scaled]
        first, second = scaled
        if function == "/" and first is None and second is not None and second.is_sum:
            return self._quotient(left, second, sizes)
        if first is not None and second is None:
            weight = self.rewrite(right, sizes)
            return replace(first, at=lambda s: call(function, first.at(s), weight))
        if second is not None and first is None and function == "*":
            weight = self.rewrite(left, sizes)
            return replace(second, at=lambda s: weight * second.at(s))
        return None

    def _quotient(self, above: Expr, divisor: Scaled, sizes: Sizes) -> Scaled:
        """``A/D`` is ``A/D.at(s)*exp(-s)``: waiting for an exponential to be multiplied with."""
        shift, value = divisor.peak, self.rewrite(above, sizes)

        def at(s: Expr) -> Expr:
            waiting = value if s == -shift else value * call("exp", -shift - s)
            return waiting / divisor.at(shift)

        return Scaled(-shift, at, divided=shift)

    def _added(
        self, function: str, left: Expr, right: Expr, sizes: Sizes, depth: int
    ) -> Scaled | None:
        first, second = (self.exponential(part, sizes, depth) for part in (left, right))
        if first is None or second is None or first.peak == second.peak == ZERO:
            return None
        if first.divided or second.divided:
            return None
        peak = call("max", first.peak, second.peak)
        return Scaled(peak, lambda s: call(function, first.at(s), second.at(s)), function == "+")

    def _masked(
        self, condition: Expr, left: Expr, right: Expr, sizes: Sizes, depth: int
    ) -> Scaled | None:
        scaled = self.exponential(left if right == ZERO else right, sizes, depth)
        if scaled is None:
            return None
        condition = self.rewrite(condition, sizes)

        def masked(value: Expr, otherwise: Expr) -> Expr:
            branches = (value, otherwise) if right == ZERO else (otherwise, value)
            return call("where", condition, *branches)

        peak = masked(scaled.peak, -INFINITY)
        return replace(scaled, peak=peak, at=lambda s: masked(scaled.at(s), ZERO), is_sum=False)

    def _summed(
        self, body: Expr, binders: tuple[Binder, ...], sizes: Sizes, depth: int
    ) -> Scaled | None:
        scaled = self.exponential(body, inner_sizes(sizes, binders), depth)
        if scaled is None or scaled.peak == ZERO:
            return None
        indices = [b.index for b in binders]
        if not any(i in free_indices(scaled.peak) for i in indices):
            return replace(scaled, at=_sum(scaled.at, binders))
        peak = rename_apart(Reduce("max", scaled.peak, binders), inner_sizes(sizes, binders))
        return Scaled(peak, _sum(scaled.at, binders), True)

    def _is_shifted(self, exponent: Expr, sizes: Sizes) -> bool:
        """Is it ``u - max...`` as it stands?"""
        if not isinstance(exponent, Call) or exponent.function not in ("-", "+"):
            return False
        for part in exponent.arguments:
            inner = negated(part) if exponent.function == "+" else part
            whole = self.definitions.through(inner, sizes, DEPTH) if inner is not None else ZERO
            if isinstance(whole, Reduce) and whole.kind in ("max", "firstmax"):
                return True
        return False


def _sum(body: Callable[[Expr], Expr], binders: tuple[Binder, ...]) -> Callable[[Expr], Expr]:
    return lambda s: Reduce("sum", body(s), binders)


def _divided(s: Expr, power: Number) -> Expr:
    """``s/power``; ``power*u`` gives u."""
    if isinstance(s, Call) and s.function == "*" and s.arguments[0] == power:
        return s.arguments[1]
    return s / power
