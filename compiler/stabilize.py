"""Stage "stabilize": right in real numbers but wrong in floating point becomes an equal form.

    before   y[n, i] = exp(x[n, i])/sum[j](exp(x[n, j]))
             z[n] = log(y[n, t[n]])
    after    y[n, i] = exp(x[n, i] - max[k](x[n, k]))/sum[j](exp(x[n, j] - max[k](x[n, k])))
             z[n] = x[n, t[n]] - max[k](x[n, k]) - log(sum[j](exp(x[n, j] - max[k](x[n, k]))))

Rules go by the shape of formulas and read through equations, as ``z`` reads through ``y``:

    FUNCTIONS      functions written out in exponentials get their names
    RULES          other identities between scalar expressions
    exponentials   what is linear in exponentials is exp(s)*m with the largest exponent s apart, so
                   that quotients and logarithms never overflow    (`_Stabilizer.exponential`)
    cancelling     (A/p)*p = A for positive p, through sums and equations    (cancel.py)
    0*log(0)       is 0 by convention, where both factors are zero    (`_Stabilizer.product`)

Declines where a read may lie out of range (it is zero there, not the equation's value), where the
exponentials are shifted by a maximum already, and where p may be zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from .cancel import cancel, factors, is_positive, product
from .expression import (
    Binder,
    Call,
    Constant,
    Expr,
    Number,
    Reduce,
    Symbol,
    free_indices,
    rebuild,
    substitute,
)
from .match import DEPTH, Definitions, Sizes, inner_sizes, match, negated, rename_apart
from .notes import Note, note
from .system import System

__all__ = ["FUNCTIONS", "RULES", "Rule", "stabilize"]

ZERO, ONE, INFINITY = Number(Fraction(0)), Number(Fraction(1)), Constant("inf")


@dataclass(frozen=True, slots=True)
class Rule:
    """``before = after`` for all real numbers that the symbols may stand for."""

    name: str
    before: Expr
    after: Expr
    through: bool = True  # does it read through the definitions of other equations?


def _f(function: str, *arguments: Expr) -> Call:
    return Call(function, arguments)


_a, _b = Symbol("a"), Symbol("b")
_exp, _log_far = _f("exp", _a), _f("log1p", _f("exp", -_f("abs", _a)))
_tail = _f("exp", Number(Fraction(-2)) * _f("abs", _a))
_slope = 4 * _tail / (1 + _tail) ** 2

# Functions written out in exponentials: found first, so that the other rules see them by name.
FUNCTIONS: tuple[Rule, ...] = (
    Rule("tanh", (_exp - _f("exp", -_a)) / (_exp + _f("exp", -_a)), _f("tanh", _a)),
    Rule("sigmoid", 1 / (1 + _f("exp", -_a)), _f("sigmoid", _a)),
    Rule("sigmoid of exp(a)", _exp / (1 + _exp), _f("sigmoid", _a)),
    Rule("sigmoid of -a", 1 / (1 + _exp), _f("sigmoid", -_a)),
)
RULES: tuple[Rule, ...] = (
    Rule("log(sigmoid)", _f("log", _f("sigmoid", _a)), _f("min", _a, ZERO) - _log_far),
    Rule("log(1 - sigmoid)", _f("log", 1 - _f("sigmoid", _a)), -_f("max", _a, ZERO) - _log_far),
    Rule("log(1 + exp)", _f("log", 1 + _exp), _f("max", _a, ZERO) + _log_far),
    Rule("log1p(exp)", _f("log1p", _exp), _f("max", _a, ZERO) + _log_far),
    Rule("log1p", _f("log", 1 + _a), _f("log1p", _a), False),
    Rule("log1p of -a", _f("log", 1 - _a), _f("log1p", -_a), False),
    Rule("expm1", _exp - 1, _f("expm1", _a), False),
    Rule("1 - sigmoid", 1 - _f("sigmoid", _a), _f("sigmoid", -_a), False),
    Rule("1 - tanh**2", 1 - _f("tanh", _a) ** 2, _slope, False),
    Rule("1 - tanh*tanh", 1 - _f("tanh", _a) * _f("tanh", _a), _slope, False),
)


def stabilize(system: System, notes: list[Note] | None = None) -> System:
    """Forms that neither overflow nor cancel; ``notes`` tells which rule fired where."""
    apart = [replace(q, value=rename_apart(q.value, q.sizes)) for q in system.equations]
    system = replace(system, equations=tuple(apart))
    for rules in (FUNCTIONS, RULES):
        definitions = Definitions(system)
        equations = []
        for equation in system.equations:
            stabilizer = _Stabilizer(definitions, rules, equation.target, notes)
            value = stabilizer.rewrite(equation.value, equation.sizes)
            equations.append(replace(equation, value=value))
        system = replace(system, equations=tuple(equations))
    return system


@dataclass(frozen=True, slots=True)
class _Scaled:
    """E linear in exponentials: ``at(s)`` is ``E*exp(-s)``, its largest exponent is ``peak``."""

    peak: Expr
    at: Callable[[Expr], Expr]
    is_sum: bool = False


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
        rules: tuple[Rule, ...],
        target: str,
        notes: list[Note] | None,
    ) -> None:
        self.definitions = definitions
        self.rules = rules
        self.target = target
        self.notes = notes

    def fired(self, name: str) -> None:
        note(self.notes, "stabilize", self.target, name)

    def rewrite(self, e: Expr, sizes: Sizes) -> Expr:
        """Rules on the node first, then on its parts."""
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
        match e:
            case Call("exp", (argument,)):
                if self.is_shifted(argument, sizes):
                    return None
                exponent = self.rewrite(argument, sizes)
                return _Scaled(exponent, lambda s: _f("exp", exponent - s))
            case Number(value) if value > 0:
                return _Scaled(ZERO, lambda s: e * _f("exp", -s) if e != ONE else _f("exp", -s))
            case Call("*" | "/", (left, right)):
                return self._weighted(e.function, left, right, sizes, depth - 1)
            case Call("+", (left, right)):
                return self._added(left, right, sizes, depth - 1)
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
        if first is not None and second is None:
            weight = self.rewrite(right, sizes)
            return replace(first, at=lambda s: _f(function, first.at(s), weight))
        if second is not None and first is None and function == "*":
            weight = self.rewrite(left, sizes)
            return replace(second, at=lambda s: weight * second.at(s))
        return None

    def _added(self, left: Expr, right: Expr, sizes: Sizes, depth: int) -> _Scaled | None:
        first, second = (self.exponential(part, sizes, depth) for part in (left, right))
        if first is None or second is None or first.peak == second.peak == ZERO:
            return None
        peak = _f("max", first.peak, second.peak)
        return _Scaled(peak, lambda s: first.at(s) + second.at(s), True)

    def _masked(
        self, condition: Expr, left: Expr, right: Expr, sizes: Sizes, depth: int
    ) -> _Scaled | None:
        scaled = self.exponential(left if right == ZERO else right, sizes, depth)
        if scaled is None:
            return None
        condition = self.rewrite(condition, sizes)

        def masked(value: Expr, otherwise: Expr) -> Expr:
            branches = (value, otherwise) if right == ZERO else (otherwise, value)
            return _f("where", condition, *branches)

        return _Scaled(masked(scaled.peak, -INFINITY), lambda s: masked(scaled.at(s), ZERO))

    def _summed(
        self, body: Expr, binders: tuple[Binder, ...], sizes: Sizes, depth: int
    ) -> _Scaled | None:
        scaled = self.exponential(body, inner_sizes(sizes, binders), depth)
        if scaled is None or scaled.peak == ZERO:
            return None
        indices = [b.index for b in binders]
        if not any(i in free_indices(scaled.peak) for i in indices):
            return None if scaled.peak == ZERO else replace(scaled, at=_sum(scaled.at, binders))
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
        if dividend is None or dividend.peak == ZERO:
            return None
        self.fired("quotient of exponentials shifted by the largest exponent")
        return dividend.at(divisor.peak) / divisor.at(divisor.peak)

    # --- logarithms -------------------------------------------------------------------------------

    def log(self, argument: Expr, sizes: Sizes) -> Expr | None:
        """``log(exp(a)/sum(exp(a')))  ->  a - s - log(sum(exp(a' - s)))`` and its like."""
        scaled = self.exponential(argument, sizes)
        if scaled is not None and scaled.is_sum:
            self.fired("logarithm of a sum of exponentials")
            finite = _f("<", _f("abs", scaled.peak), INFINITY)  # log(0 + 0) and log(inf) stay so
            shift = _f("where", finite, scaled.peak, ZERO)
            return shift + _f("log", scaled.at(shift))
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
                return _Logarithm(_f("where", self.rewrite(condition, sizes), *branches), None)
        scaled = self.exponential(e, sizes, depth)
        if scaled is None or not scaled.is_sum:
            return None
        return _Logarithm(scaled.peak, _f("log", scaled.at(scaled.peak)))

    def _plain(self, e: Expr, sizes: Sizes) -> _Logarithm:
        return _Logarithm(None, None if e == ONE else self.rewrite(_f("log", e), sizes))

    # --- products ---------------------------------------------------------------------------------

    def product(self, e: Call, sizes: Sizes) -> Expr | None:
        """``(A/p)*p -> A`` for positive p; ``t*log(p)`` is 0 where both are 0."""
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
        for weight, logarithm in (e.arguments, e.arguments[::-1]):
            match logarithm:
                case Call("log", (p,)) if self.logarithm(p, sizes, DEPTH) is None:
                    if isinstance(weight, Number) or is_positive(p, sizes, self.definitions):
                        continue
                    self.fired("0*log(0) is 0")
                    weight, p = self.rewrite(weight, sizes), self.rewrite(p, sizes)
                    both = _f("and", _f("==", weight, ZERO), _f("==", p, ZERO))
                    value = weight * self.rewrite(_f("log", p), sizes)
                    return _f("where", both, ZERO, value)
        return None


# --- small words ----------------------------------------------------------------------------------


def _sum(body: Callable[[Expr], Expr], binders: tuple[Binder, ...]) -> Callable[[Expr], Expr]:
    return lambda s: Reduce("sum", body(s), binders)


def _plus(left: Expr | None, right: Expr | None, sign: str) -> Expr | None:
    """``left + right`` or ``left - right``, where None is zero."""
    if left is None or right is None:
        return left if right is None else right if sign == "+" else -right
    if sign == "+" and isinstance(right, Call) and right.function == "neg":
        return left - right.arguments[0]
    return _f(sign, left, right)
