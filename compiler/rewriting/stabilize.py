"""Stage "stabilize": right in real numbers but wrong in floating point becomes an equal form.

    before   y[n, i] = exp(x[n, i])/sum[j](exp(x[n, j]))
             z[n] = log(y[n, t[n]])
    after    y[n, i] = exp(x[n, i] - max[k](x[n, k]))/sum[j](exp(x[n, j] - max[k](x[n, k])))
             z[n] = x[n, t[n]] - max[k](x[n, k]) - log(sum[j](exp(x[n, j] - max[k](x[n, k]))))

Rules go by the shape of formulas and read through equations, as ``z`` reads through ``y``:

    identities     between scalar expressions    (identities.py)
    exponentials   what is linear in exponentials is exp(s)*m with the largest exponent s apart, so
                   that quotients and logarithms never overflow    (`_Stabilizer.exponential`)
    products       the exponents of a product are added up before anything is computed, through all
                   equations: exp(a)*(A/sum(exp(a'))) neither overflows nor is 0/0    (exponents.py)
    cancelling     (A/p)*p = A for positive p, through sums and equations    (cancel.py)
    0*log(0)       is 0 by convention, where both factors are zero    (`_Stabilizer.product`)

Declines where a read may lie out of range (it is zero there, not the equation's value), where the
exponentials are shifted by a maximum already, and where p may be zero.
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
    rebuild,
    substitute,
)
from ..language.match import DEPTH, Definitions, Sizes, inner_sizes, match, negated, rename_apart
from ..language.notes import Note, note
from ..language.system import System
from .cancel import cancel, factors, is_positive, product
from .exponents import Power, Powers, Reach
from .identities import FUNCTIONS, RULES, Rule, call

__all__ = ["stabilize"]

ZERO, ONE, INFINITY = Number(Fraction(0)), Number(Fraction(1)), Constant("inf")


def stabilize(system: System, notes: list[Note] | None = None) -> System:
    """Forms that neither overflow nor cancel; ``notes`` tells which rule fired where."""
    apart = [replace(q, value=rename_apart(q.value, q.sizes)) for q in system.equations]
    system = replace(system, equations=tuple(apart))
    for rules in (FUNCTIONS, RULES):
        definitions = Definitions(system)
        reach = Reach(definitions)
        equations = []
        for equation in system.equations:
            stabilizer = _Stabilizer(definitions, reach, rules, equation.target, notes)
            value = stabilizer.rewrite(equation.value, equation.sizes)
            equations.append(replace(equation, value=value))
        system = replace(system, equations=tuple(equations))
    return system


@dataclass(frozen=True, slots=True)
class _Scaled:
    """E linear in exponentials: ``at(s)`` is ``E*exp(-s)``, its largest exponent is ``peak``.

    ``is_sum``: it cannot vanish, so it may be divided by. ``divided``: it is ``A/D`` with a D that is
    a sum, whose largest exponent this is.
    """

    peak: Expr
    at: Callable[[Expr], Expr]
    is_sum: bool = False
    divided: Expr | None = None


@dataclass(frozen=True, slots=True)
class _Logarithm:
    """A logarithm in two parts: what may be large, and what is left; None counts as zero."""

    large: Expr | None
    rest: Expr | None


class _Stabilizer:
    """The rules, at work on one equation."""

    def __init__(
        self,
        definitions: Definitions,
        reach: Reach,
        rules: tuple[Rule, ...],
        target: str,
        notes: list[Note] | None,
    ) -> None:
        self.definitions = definitions
        self.reach = reach
        self.rules = rules
        self.target = target
        self.notes = notes
        self.known: dict[tuple[object, ...], Expr] = {}
        # what products are made of is looked at more often than anything comes of it: nothing is told of that
        quiet = self if notes is None else _Stabilizer(definitions, reach, rules, target, None)
        self.powers = Powers(definitions, reach, quiet.rewrite, quiet.as_power)

    def fired(self, name: str) -> None:
        note(self.notes, "stabilize", self.target, name)

    def rewrite(self, e: Expr, sizes: Sizes) -> Expr:
        """Rules on the node first, then on its parts; each part once, though several rules ask."""
        key = (e, tuple(sizes.items()))
        if key not in self.known:
            self.known[key] = self.rewritten(e, sizes)
        return self.known[key]

    def rewritten(self, e: Expr, sizes: Sizes) -> Expr:
        for rule in self.rules if isinstance(e, Call) else ():
            definitions = self.definitions if rule.through else None
            found = match(rule.before, e, sizes, definitions, {})
            if found is not None:
                self.fired(rule.name)
                parts = {symbol: self.rewrite(part, sizes) for symbol, part in found.items()}
                return substitute(rule.after, parts)
        new = None if self.rules is FUNCTIONS else self.restructure(e, sizes)
        if isinstance(e, Reduce):
            sizes = inner_sizes(sizes, e.binders)
        return rebuild(e, lambda child: self.rewrite(child, sizes)) if new is None else new

    def restructure(self, e: Expr, sizes: Sizes) -> Expr | None:
        """The rules that no pattern can say; None where none applies."""
        match e:
            case Call("log", (argument,)):
                return self.log(argument, sizes)
            case Call("/", (above, below)):
                return self.quotient(above, below, sizes)
            case Call("*", _):
                return self.product(e, sizes)
        return None

    # --- exponentials with their largest exponent apart -------------------------------------------

    def exponential(self, e: Expr, sizes: Sizes, depth: int = DEPTH) -> _Scaled | None:
        """``e`` as linear in exponentials; None if it is not, or is shifted already."""
        e = self.definitions.through(e, sizes, depth)
        if not isinstance(e, Number) and not self.reach(e):
            return None
        match e:
            case Call("exp", (argument,)):
                if self.is_shifted(argument, sizes):
                    return None
                exponent = self.rewrite(argument, sizes)
                return _Scaled(
                    exponent, lambda s: ONE if s == exponent else call("exp", exponent - s)
                )
            case Number(value) if value > 0:
                return _Scaled(ZERO, lambda s: e * call("exp", -s) if e != ONE else call("exp", -s))
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
                return _Scaled(peak, lambda s: inner.at(_divided(s, exponent)) ** exponent, True)
            case Call("where", (condition, left, right)) if ZERO in (left, right):
                return self._masked(condition, left, right, sizes, depth - 1)
            case Reduce("sum", body, binders):
                return self._summed(body, binders, sizes, depth - 1)
        return None

    def _weighted(
        self, function: str, left: Expr, right: Expr, sizes: Sizes, depth: int
    ) -> _Scaled | None:
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

    def _quotient(self, above: Expr, divisor: _Scaled, sizes: Sizes) -> _Scaled:
        """``A/D`` is ``A/D.at(s)*exp(-s)``: waiting for an exponential to be multiplied with."""
        shift, value = divisor.peak, self.rewrite(above, sizes)

        def at(s: Expr) -> Expr:
            waiting = value if s == -shift else value * call("exp", -shift - s)
            return waiting / divisor.at(shift)

        return _Scaled(-shift, at, divided=shift)

    def _added(
        self, function: str, left: Expr, right: Expr, sizes: Sizes, depth: int
    ) -> _Scaled | None:
        first, second = (self.exponential(part, sizes, depth) for part in (left, right))
        if first is None or second is None or first.peak == second.peak == ZERO:
            return None
        if first.divided or second.divided:
            return None
        peak = call("max", first.peak, second.peak)
        return _Scaled(peak, lambda s: call(function, first.at(s), second.at(s)), function == "+")

    def _masked(
        self, condition: Expr, left: Expr, right: Expr, sizes: Sizes, depth: int
    ) -> _Scaled | None:
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
    ) -> _Scaled | None:
        scaled = self.exponential(body, inner_sizes(sizes, binders), depth)
        if scaled is None or scaled.peak == ZERO:
            return None
        indices = [b.index for b in binders]
        if not any(i in free_indices(scaled.peak) for i in indices):
            return replace(scaled, at=_sum(scaled.at, binders))
        peak = rename_apart(Reduce("max", scaled.peak, binders), inner_sizes(sizes, binders))
        return _Scaled(peak, _sum(scaled.at, binders), True)

    def is_shifted(self, exponent: Expr, sizes: Sizes) -> bool:
        """Is it ``u - max...`` as it stands?"""
        if not isinstance(exponent, Call) or exponent.function not in ("-", "+"):
            return False
        for part in exponent.arguments:
            inner = negated(part) if exponent.function == "+" else part
            whole = self.definitions.through(inner, sizes, DEPTH) if inner is not None else ZERO
            if isinstance(whole, Reduce) and whole.kind in ("max", "firstmax"):
                return True
        return False

    def quotient(self, above: Expr, below: Expr, sizes: Sizes) -> Expr | None:
        """``exp(a)/sum(exp(a'))  ->  exp(a - s)/sum(exp(a' - s))`` with ``s = max(a')``."""
        divisor = self.exponential(below, sizes)
        if divisor is None or not divisor.is_sum:
            return None
        dividend = self.exponential(above, sizes)
        if dividend is None or dividend.peak == ZERO or dividend.divided:
            return self.reunited(above / below, sizes)
        self.fired("quotient of exponentials shifted by the largest exponent")
        return dividend.at(divisor.peak) / divisor.at(divisor.peak)

    # --- logarithms -------------------------------------------------------------------------------

    def log(self, argument: Expr, sizes: Sizes) -> Expr | None:
        """``log(exp(a)/sum(exp(a')))  ->  a - s - log(sum(exp(a' - s)))`` and its like."""
        scaled = self.exponential(argument, sizes)
        if scaled is not None and scaled.is_sum:
            self.fired("logarithm of a sum of exponentials")
            finite = call(
                "<", call("abs", scaled.peak), INFINITY
            )  # log(0 + 0) and log(inf) stay so
            shift = call("where", finite, scaled.peak, ZERO)
            return shift + call("log", scaled.at(shift))
        parts = self.logarithm(argument, sizes, DEPTH)
        if parts is None:
            return None
        self.fired("logarithm of a quotient of exponentials")
        return _plus(parts.large, parts.rest, "+") or ZERO

    def logarithm(self, e: Expr, sizes: Sizes, depth: int) -> _Logarithm | None:
        """log(e) where e is positive and built of exponentials; None where nothing is gained."""
        e = self.definitions.through(e, sizes, depth)
        match e:
            case Call("exp", (argument,)):
                return _Logarithm(self.rewrite(argument, sizes), None)
            case Call(("*" | "/") as function, (left, right)):
                first, second = (self.logarithm(part, sizes, depth - 1) for part in (left, right))
                if first is None and second is None:
                    return None
                if not is_positive(right, sizes, self.definitions, depth):
                    return None
                first, second = (
                    first or self._plain(left, sizes),
                    second or self._plain(right, sizes),
                )
                sign = "+" if function == "*" else "-"
                large = _plus(first.large, second.large, sign)
                return _Logarithm(large, _plus(first.rest, second.rest, sign))
            case Call("where", (condition, left, right)) if ZERO in (left, right):
                inner = self.logarithm(left if right == ZERO else right, sizes, depth - 1)
                if inner is None:
                    return None
                value = _plus(inner.large, inner.rest, "+") or ZERO
                branches = (value, -INFINITY) if right == ZERO else (-INFINITY, value)
                return _Logarithm(call("where", self.rewrite(condition, sizes), *branches), None)
        scaled = self.exponential(e, sizes, depth)
        if scaled is None or not scaled.is_sum:
            return None
        return _Logarithm(scaled.peak, call("log", scaled.at(scaled.peak)))

    def _plain(self, e: Expr, sizes: Sizes) -> _Logarithm:
        return _Logarithm(None, None if e == ONE else self.rewrite(call("log", e), sizes))

    # --- products ---------------------------------------------------------------------------------

    def product(self, e: Call, sizes: Sizes) -> Expr | None:
        """``(A/p)*p -> A`` for positive p, or one of the rules below."""
        parts = factors(e)
        for place, factor in enumerate(parts):
            if isinstance(factor, Number) or not is_positive(factor, sizes, self.definitions):
                continue
            for other, candidate in enumerate(parts):
                new = None if other == place else cancel(candidate, factor, sizes, self.definitions)
                if new is not None:
                    self.fired("division and multiplication by the same positive value cancelled")
                    rest = [f for k, f in enumerate(parts) if k not in (place, other)]
                    return self.rewrite(product([*rest, new]), sizes)
        return self.reunited(e, sizes) or self._zero_times_log(e, sizes)

    def reunited(self, e: Expr, sizes: Sizes) -> Expr | None:
        """``exp(a)*(A/sum(exp(a')))  ->  A/sum(exp(a' - s))*exp(a - s)``, through all definitions."""
        whole = self.powers.whole(e, sizes)
        if whole is not None:
            self.fired("exponentials of a product added up")
        return whole

    def as_power(self, e: Expr, sizes: Sizes) -> Power | None:
        """What is linear in exponentials, as the largest of them and what is left."""
        scaled = self.exponential(e, sizes)
        if scaled is None or scaled.peak == ZERO or scaled.divided:
            return None
        positive = scaled.is_sum or (isinstance(e, Call) and e.function == "exp")
        return Power(scaled.at(scaled.peak), scaled.peak, is_positive=positive)

    def _zero_times_log(self, e: Call, sizes: Sizes) -> Expr | None:
        """``t*log(p)  ->  where(t == 0 and p == 0, 0, t*log(p))``; a NaN in either still shows."""
        for weight, logarithm in (e.arguments, e.arguments[::-1]):
            match logarithm:
                case Call("log", (p,)):
                    if isinstance(weight, Number) or is_positive(p, sizes, self.definitions):
                        continue
                    self.fired("0*log(0) is 0")
                    weight, p = self.rewrite(weight, sizes), self.rewrite(p, sizes)
                    both = call("and", call("==", weight, ZERO), call("==", p, ZERO))
                    value = weight * self.rewrite(call("log", p), sizes)
                    return call("where", both, ZERO, value)
        return None


# --- small words ----------------------------------------------------------------------------------


def _sum(body: Callable[[Expr], Expr], binders: tuple[Binder, ...]) -> Callable[[Expr], Expr]:
    return lambda s: Reduce("sum", body(s), binders)


def _divided(s: Expr, power: Number) -> Expr:
    """``s/power``; ``power*u`` gives u."""
    if isinstance(s, Call) and s.function == "*" and s.arguments[0] == power:
        return s.arguments[1]
    return s / power


def _plus(left: Expr | None, right: Expr | None, sign: str) -> Expr | None:
    """``left + right`` or ``left - right``, where None is zero."""
    if left is None or right is None:
        return left if right is None else right if sign == "+" else -right
    if sign == "+" and isinstance(right, Call) and right.function == "neg":
        return left - right.arguments[0]
    return call(sign, left, right)
