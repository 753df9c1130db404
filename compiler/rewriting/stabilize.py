"""Stage "stabilize": right in real numbers but wrong in floating point becomes an equal form.

    before   y[n, i] = exp(x[n, i])/sum[j](exp(x[n, j]))
             z[n] = log(y[n, t[n]])
    after    y[n, i] = exp(x[n, i] - max[k](x[n, k]))/sum[j](exp(x[n, j] - max[k](x[n, k])))
             z[n] = x[n, t[n]] - max[k](x[n, k]) - log(sum[j](exp(x[n, j] - max[k](x[n, k]))))

Rules go by the shape of formulas and read through equations, as ``z`` reads through ``y``:

    identities     between scalar expressions    (identities.py)
    exponentials   what is linear in exponentials is exp(s)*m with the largest exponent s apart, so
                   that quotients and logarithms never overflow    (sums.py)
    products       the exponents of a product are added up before anything is computed, through all
                   equations: exp(a)*(A/sum(exp(a'))) neither overflows nor is 0/0    (exponents.py)
    cancelling     (A/p)*p = A for positive p, through sums and equations    (cancel.py)
    differences    of logarithms, and of squares that are a variance    (differences.py)
    complements    c - c*f is c*(1 - f), wherever its terms stand in a sum    (complements.py)
    0*log(0)       is 0 by convention, where both factors are zero    (`_Stabilizer.product`)
    norms          what is divided by its own norm is 0 where that is, by convention    (norms.py)

Declines where a read may lie out of range (it is zero there, not the equation's value), where the
exponentials are shifted by a maximum already, and where p may be zero.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction

from ..language.expression import (
    Call,
    Constant,
    Expr,
    Number,
    Reduce,
    rebuild,
    substitute,
)
from ..language.form import of_alike
from ..language.match import DEPTH, Definitions, Sizes, inner_sizes, match, rename_apart
from ..language.notes import Note, note
from ..language.once import Once
from ..language.system import Equation, System
from .cancel import cancel, factors, is_positive, product
from .complements import complement
from .differences import difference
from .exponents import Power, Powers, Reach
from .identities import FUNCTIONS, RULES, Rule, call
from .norms import Norms
from .sums import Sums

__all__ = ["stabilize"]

ZERO, ONE, INFINITY = Number(Fraction(0)), Number(Fraction(1)), Constant("inf")


def stabilize(system: System, notes: list[Note] | None = None) -> System:
    """Forms that neither overflow nor cancel; ``notes`` tells which rule fired where."""
    is_apart = of_alike(lambda q: rename_apart(q.value, q.sizes) is q.value)
    system = system.with_equations(
        q if is_apart(q) else q.valued(rename_apart(q.value, q.sizes)) for q in system.equations
    )
    for rules in (FUNCTIONS, RULES):
        system = _stabilized(system, rules, notes)
    return system


def _stabilized(system: System, rules: tuple[Rule, ...], notes: list[Note] | None) -> System:
    """All equations by some rules."""
    definitions = Definitions(system)
    reach, norms = Reach(definitions), Norms(definitions, system.kinds)

    def rewrite(equation: Equation) -> tuple[Equation, tuple[str, ...]]:
        said: list[Note] = []
        stabilizer = _Stabilizer(definitions, reach, norms, rules, equation.target, said)
        value = stabilizer.rewrite(equation.value, equation.sizes)
        return equation.valued(value), tuple(each.message for each in said)

    def facts(name: str) -> Hashable:
        tensor = definitions.tensors[name]
        in_norm = rules is not FUNCTIONS and name in norms.read  # which nobody asks before
        return tensor.shape, tensor.dtype, tensor.role, reach.of(name), in_norm

    once, equations = Once(definitions, facts, rewrite), []
    for equation in system.equations:
        stable, said = once(equation)
        equations.append(stable)
        for message in said:
            note(notes, "stabilize", equation.target, message)
    return system.with_equations(equations)


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
        norms: Norms,
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
        self.norms = norms
        self.sums = Sums(definitions, reach, self.rewrite)
        # what products are made of is looked at more often than anything comes of it: nothing is told of that
        quiet = (
            self if notes is None else _Stabilizer(definitions, reach, norms, rules, target, None)
        )
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
            if found is not None and not (rule.factor and self.reach(found[rule.factor])):
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
                return self.quotient(above, below, sizes) or self.by_norm(e, sizes)
            case Call("*", _):
                return self.product(e, sizes) or self.by_norm(e, sizes)
            case Call("exp", _):
                return self.reunited(e, sizes)
            case Call("+" | "-", _):
                return self.difference(e, sizes)
        return None

    def by_norm(self, e: Call, sizes: Sizes) -> Expr | None:
        """``u/sqrt(sum(u**2))  ->  where(sqrt(sum(u**2)) == 0, 0, u/sqrt(sum(u**2)))``"""
        norm = self.norms.divided_by(e, sizes)
        if norm is None:
            return None
        self.fired("a share of a norm that is 0 is 0")
        value = rebuild(e, lambda child: self.rewrite(child, sizes))
        return call("where", call("==", self.rewrite(norm, sizes), ZERO), ZERO, value)

    def quotient(self, above: Expr, below: Expr, sizes: Sizes) -> Expr | None:
        """``exp(a)/sum(exp(a'))  ->  exp(a - s)/sum(exp(a' - s))`` with ``s = max(a')``."""
        divisor = self.sums.exponential(below, sizes)
        if divisor is None or not divisor.is_sum:
            return self.reunited(above / below, sizes)
        dividend = self.sums.exponential(above, sizes)
        if dividend is None or dividend.peak == ZERO or dividend.divided:
            return self.reunited(above / below, sizes)
        self.fired("quotient of exponentials shifted by the largest exponent")
        return dividend.at(divisor.peak) / divisor.at(divisor.peak)

    def difference(self, e: Call, sizes: Sizes) -> Expr | None:
        """Large numbers that are nearly equal, subtracted before the digits are lost."""
        whole = complement(e, sizes, self.rewrite)
        if whole is not None:
            self.fired("a number less a share of it")
            return whole
        found = difference(e, sizes, self.definitions, self.rewrite)
        if found is None:
            return None
        self.fired(found[0])
        return found[1]

    # --- logarithms -------------------------------------------------------------------------------

    def log(self, argument: Expr, sizes: Sizes) -> Expr | None:
        """``log(exp(a)/sum(exp(a')))  ->  a - s - log(sum(exp(a' - s)))`` and its like."""
        scaled = self.sums.exponential(argument, sizes)
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
            case Call("sigmoid", (argument,)):
                a = self.rewrite(argument, sizes)
                return _Logarithm(
                    call("min", a, ZERO), -call("log1p", call("exp", -call("abs", a)))
                )
            case Call("-", (one, u)) if one == ONE:
                match self.definitions.through(u, sizes, depth):
                    case Call("sigmoid", (argument,)):
                        return self.logarithm(call("sigmoid", -argument), sizes, depth - 1)
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
        scaled = self.sums.exponential(e, sizes, depth)
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
        scaled = self.sums.exponential(e, sizes)
        if scaled is None or scaled.peak == ZERO or scaled.divided:
            return None
        positive = scaled.is_sum or (isinstance(e, Call) and e.function == "exp")
        return Power(scaled.at(scaled.peak), scaled.peak, is_positive=positive)

    def _zero_times_log(self, e: Call, sizes: Sizes) -> Expr | None:
        """``t*log(p)  ->  where(t == 0 and p == 0, 0, t*log(p))``; a NaN in either still shows."""
        for weight, logarithm in (e.arguments, e.arguments[::-1]):
            form = self.definitions.form(logarithm)
            if not (isinstance(form, Call) and form.function == "log"):
                continue
            match self.definitions.through(logarithm, sizes, DEPTH):
                case Call("log", (p,)):
                    number = self.definitions.through(weight, sizes, DEPTH)
                    if isinstance(number, Number) or is_positive(p, sizes, self.definitions):
                        continue
                    self.fired("0*log(0) is 0")
                    weight, p = self.rewrite(weight, sizes), self.rewrite(p, sizes)
                    both = call("and", call("==", weight, ZERO), call("==", p, ZERO))
                    return call("where", both, ZERO, weight * self.rewrite(logarithm, sizes))
        return None


# --- small words ----------------------------------------------------------------------------------


def _plus(left: Expr | None, right: Expr | None, sign: str) -> Expr | None:
    """``left + right`` or ``left - right``, where None is zero."""
    if left is None or right is None:
        return left if right is None else right if sign == "+" else -right
    if sign == "+" and isinstance(right, Call) and right.function == "neg":
        return left - right.arguments[0]
    return call(sign, left, right)
