"""Products of exponentials as ``factor*exp(exponent)``: exponents are added up, like terms collected.

    (exp(a)/S)*(exp(b)/S)      with S = exp(m)*s      is      exp(a + b - 2*m)/(s*s)

So what is large in one factor and small in another is never computed: the exponents cancel as terms
do, not as numbers. ``max[i](x[n, i])`` and ``max[j](x[n, j])`` are the same term, and elements are
read as what they are defined by, where that is a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from ..language.expression import (
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    free_indices,
    rebuild,
    substitute,
)
from ..language.form import form, names_of_form
from ..language.match import DEPTH, Definitions, Sizes, decided, inner_sizes, rename_apart
from ..language.system import Equation
from .cancel import is_positive
from .identities import call

__all__ = ["Power", "Powers", "Reach", "collected", "of_logarithm"]

OPENED = 2  # definitions inside one another that are compared; a sum of many terms has many
ZERO, ONE, INFINITY = Number(Fraction(0)), Number(Fraction(1)), Constant("inf")


@dataclass(frozen=True, slots=True)
class Power:
    """``factor*exp(exponent)``, as a product or quotient of ``count`` exponentials.

    ``may_overflow``: one of these may be infinite by itself. ``is_positive``: it may be divided by. ``condition``:
    where it fails the factor is 0, and what the exponent has ``within`` counts for nothing, be it infinite or a NaN.
    """

    factor: Expr
    exponent: Expr
    count: int = 1
    may_overflow: bool = True
    is_positive: bool = False
    condition: Expr | None = None
    within: Expr = ZERO


def _multiplied(left: Power, right: Power) -> Power:
    """The product of two."""
    return Power(
        _product(left.factor, right.factor),
        _added(left.exponent, right.exponent),
        left.count + right.count,
        left.may_overflow or right.may_overflow,
        left.is_positive and right.is_positive,
        _both(left.condition, right.condition),
        _added(left.within, right.within),
    )


def _inverse(power: Power) -> Power:
    """``1/power``, whose factor is the divisor still."""
    return Power(ONE / power.factor, -power.exponent, power.count, is_positive=True)


def _raised(power: Power, exponent: Number) -> Power:
    """``power**exponent`` for a number above 0."""
    return Power(
        power.factor**exponent,
        exponent * power.exponent,
        power.count,
        power.may_overflow,
        power.is_positive,
    )


def _masked(power: Power, condition: Expr) -> Power:
    """What is zero where a condition fails."""
    return replace(
        power,
        factor=call("where", condition, power.factor, ZERO),
        is_positive=False,
        condition=_both(power.condition, condition),
        within=power.exponent,
    )


class Reach:
    """Tells quickly in what no exponentials are to be found, through however many definitions."""

    def __init__(self, definitions: Definitions) -> None:
        self.equations = definitions.equations
        self.kinds: dict[str, str | None] = {}
        self.known: dict[Hashable, str | None] = {}
        for name in self.equations:  # in order, so that each finds what it reads
            self.of(name)

    def __call__(self, e: Expr) -> bool:
        """False where `Powers` and sums of exponentials surely find none."""
        return self._kind(e) == "exponential"

    def _kind(self, e: Expr) -> str | None:
        match e:
            case Element(tensor):
                return self.of(tensor)
            case Call("exp" | "sigmoid"):
                return "exponential"
            case Call(function, arguments):
                kinds = set(map(self._kind, arguments))
                if kinds == {"number"}:
                    return "number"
                may_be = function in ("neg", "*", "/", "**", "where") or (
                    function in ("+", "-") and None not in kinds
                )
                return "exponential" if may_be and "exponential" in kinds else None
            case Reduce("sum", body):
                return self._kind(body)
            case Number() | Constant() | Index():
                return "number"
        return None

    def of(self, name: str) -> str | None:
        """What the elements of a tensor are."""
        if name not in self.kinds:
            self.kinds[name] = None  # what defines itself is not opened
            equation = self.equations.get(name)
            self.kinds[name] = None if equation is None else self._defined(equation)
        return self.kinds[name]

    def _defined(self, equation: Equation) -> str | None:
        """What it defines, found once for equations that are alike and read what is alike."""
        own, _ = form(equation)
        key = own, tuple(map(self.of, _looked_at(equation)))
        if key not in self.known:
            self.known[key] = self._kind(equation.value)
        return self.known[key]


@names_of_form
def _looked_at(equation: Equation) -> Iterator[str]:
    """The tensors that `Reach` looks at."""
    stack = [equation.value]
    while stack:
        match stack.pop():
            case Element(tensor):
                yield tensor
            case Call(function, arguments) if function not in ("exp", "sigmoid"):
                stack += arguments[::-1]
            case Reduce("sum", body):
                stack.append(body)


class Powers:
    """Expressions as powers, through the equations that define what they read.

    ``rewrite`` gives the form of what is no exponential; ``exponential`` finds powers in sums.
    """

    def __init__(
        self,
        definitions: Definitions,
        reach: Reach,
        rewrite: Callable[[Expr, Sizes], Expr],
        exponential: Callable[[Expr, Sizes], Power | None],
    ) -> None:
        self.definitions, self.reach = definitions, reach
        self.rewrite, self.exponential = rewrite, exponential
        self.known: dict[tuple[object, ...], Power | None] = {}

    def whole(self, e: Expr, sizes: Sizes) -> Expr | None:
        """``e`` with its exponents added up; None where there is one only, or none that may overflow."""
        power = self.power(e, sizes)
        if power is None or power.count < 2 or not power.may_overflow:
            return None
        exponent = collected(power.exponent, sizes, self.definitions)
        if exponent == ZERO:
            return power.factor
        if power.condition is not None:
            others = collected(power.exponent - power.within, sizes, self.definitions)
            exponent = call("where", power.condition, exponent, _added(others, -INFINITY))
        return power.factor * call("exp", exponent)

    def power(self, e: Expr, sizes: Sizes, depth: int = 2 * DEPTH) -> Power | None:
        """``e`` as a factor and an exponential; None if nothing of it is one."""
        if not self.reach(e):
            return None
        key = (e, tuple(sizes.items()), depth)
        if key not in self.known:
            self.known[key] = (
                self._opened_power(e, sizes, depth)
                if isinstance(e, Element)
                else self._power(e, sizes, depth)
            )
        return self.known[key]

    def _opened_power(self, e: Element, sizes: Sizes, depth: int) -> Power | None:
        opened = self.definitions.open(e, sizes) if depth else None
        found = None if opened is None else self.power(decided(opened), sizes, depth - 1)
        if found is None or found.count < 2:
            return found
        # a quotient whose exponents balance is right as it stands: it counts as one exponential
        if not _is_balanced(found.exponent, sizes, self.definitions):
            return found
        return replace(found, count=1, may_overflow=False)

    def _power(self, e: Expr, sizes: Sizes, depth: int) -> Power | None:
        match e:
            case Call("neg", (u,)):
                inner = self.power(u, sizes, depth)
                return inner and replace(inner, factor=-inner.factor, is_positive=False)
            case Call(("*" | "/") as function, (u, v)):
                left, right = self.power(u, sizes, depth), self.power(v, sizes, depth)
                if left is None and right is None:
                    return None
                left = left or self._as_factor(u, sizes)
                right = right or self._as_factor(v, sizes)
                if function == "*":
                    return _multiplied(left, right)
                if right.exponent != ZERO and not right.is_positive:
                    return None
                return _multiplied(left, _inverse(right))
            case Call("**", (u, Number(k) as number)) if k >= 1:
                inner = self.power(u, sizes, depth)
                return _raised(inner, number) if inner and inner.is_positive else None
            case Call("sigmoid", (a,)):
                return self._sigmoid(self.rewrite(a, sizes))
            case Call("-", (one, u)) if one == ONE:
                match self.definitions.through(u, sizes, DEPTH):
                    case Call("sigmoid", (a,)):
                        return self._sigmoid(-self.rewrite(a, sizes))
            case Call("where", (condition, u, v)) if ZERO in (u, v):
                inner = self.power(u if v == ZERO else v, sizes, depth)
                if inner is not None:
                    holds = condition if v == ZERO else call("not", condition)
                    return _masked(inner, self.rewrite(holds, sizes))
            case Reduce("sum"):
                return self._summed(e, sizes, depth)
            case Call("exp", (argument,)):
                product = of_logarithm(argument, sizes, self.definitions, self.reach, depth)
                if product is not None:
                    return self.power(product, sizes, depth - 1)
        return self.exponential(e, sizes)

    def _summed(self, e: Reduce, sizes: Sizes, depth: int) -> Power | None:
        """``sum(f*exp(a))`` with an exponent apart that is the same for all terms: ``a``, or the largest of all."""
        inside = inner_sizes(sizes, e.binders)
        inner = self.power(e.body, inside, depth)
        if inner is None:
            return self.exponential(e, sizes)
        exponent = collected(inner.exponent, inside, self.definitions)
        if exponent == ZERO:  # what there was has cancelled
            return None
        condition = inner.condition
        if not any(b.index in free_indices(exponent) for b in e.binders) and condition is None:
            return replace(inner, factor=replace(e, body=inner.factor), exponent=exponent)
        if inner.count < 2 or not inner.may_overflow:
            return self.exponential(e, sizes)

        def masked(value: Expr) -> Expr:
            return value if condition is None else call("where", condition, value, -INFINITY)

        peak = rename_apart(replace(e, kind="max", body=masked(exponent)), inside)
        terms = inner.factor * call("exp", masked(exponent - peak))
        return Power(replace(e, body=terms), peak, is_positive=inner.is_positive)

    def _as_factor(self, e: Expr, sizes: Sizes) -> Power:
        return Power(self.rewrite(e, sizes), ZERO, count=0, may_overflow=False)

    def _sigmoid(self, a: Expr) -> Power:
        """``sigmoid(a) = exp(-max(0, -a))/(1 + exp(-abs(a)))``."""
        factor = ONE / (1 + call("exp", -call("abs", a)))
        return Power(factor, -call("max", ZERO, -a), may_overflow=False, is_positive=True)


def of_logarithm(
    exponent: Expr, sizes: Sizes, definitions: Definitions, reach: Reach, depth: int
) -> Expr | None:
    """``exp(u - log(s))`` as ``exp(u)/s``, for an s that is positive and has exponentials."""
    match definitions.through(exponent, sizes, depth):
        case Call(("+" | "-") as function, (u, v)):
            match definitions.through(v, sizes, depth):
                case Call("log", (s,)) if reach(s) and is_positive(s, sizes, definitions):
                    return Call("*" if function == "+" else "/", (call("exp", u), s))
    return None


def _is_balanced(e: Expr, sizes: Sizes, definitions: Definitions) -> bool:
    """Is it a difference, ``a - m``, so that adding a number to all exponents of the power changes nothing?"""
    return sum(number for _, number in _terms(e, sizes, definitions)) == 0


def collected(e: Expr, sizes: Sizes, definitions: Definitions) -> Expr:
    """A sum with like terms collected: ``a - 2*m + m`` is ``a - m``."""
    result: Expr = ZERO
    for term, number in sorted(_terms(e, sizes, definitions), key=lambda pair: pair[1] < 0):
        scaled = term if abs(number) == 1 else Number(abs(number)) * term
        if result == ZERO:
            result = scaled if number > 0 else -scaled
        else:
            result = result + scaled if number > 0 else result - scaled
    return result


def _terms(e: Expr, sizes: Sizes, definitions: Definitions) -> list[tuple[Expr, Fraction]]:
    """Terms with the numbers they are multiplied by; elements are opened where that leaves fewer."""
    closed = _collect(e, sizes, definitions, 0)
    opened = _collect(e, sizes, definitions, OPENED) if len(closed) > 1 else closed
    return opened if len(opened) < len(closed) else closed


def _collect(
    e: Expr, sizes: Sizes, definitions: Definitions, depth: int
) -> list[tuple[Expr, Fraction]]:
    """Terms and numbers, none of which is zero; ``depth`` definitions are opened, one inside the other."""
    terms: dict[Expr, tuple[Expr, Fraction]] = {}  # by what they are called in `_nameless`
    stack = [(e, Fraction(1), depth)]
    while stack:
        here, times, left = stack.pop()
        opened, left = _opened(here, sizes, definitions, left)
        match opened:
            case Number(value) if value == 0:
                pass
            case Call("neg", (u,)):
                stack.append((u, -times, left))
            case Call(("+" | "-") as function, (u, v)):
                stack += [(v, times if function == "+" else -times, left), (u, times, left)]
            case Call("*", (Number(value), u)) | Call("*", (u, Number(value))):
                stack.append((u, value * times, left))
            case Call("/", (u, Number(value))) if value != 0:
                stack.append((u, times / value, left))
            case _:
                key = _nameless(opened, sizes, definitions, left)
                terms[key] = here, terms.get(key, (here, Fraction(0)))[1] + times
    return [(term, number) for term, number in terms.values() if number != 0]


def _opened(e: Expr, sizes: Sizes, definitions: Definitions, depth: int) -> tuple[Expr, int]:
    """An element that is defined as a sum, as that sum, and how many definitions may be opened then."""
    if isinstance(e, Element) and depth:
        whole = definitions.through(e, sizes, DEPTH)
        if isinstance(whole, Call) and whole.function in ("neg", "+", "-", "*", "/"):
            return whole, depth - 1
    return e, depth


def _nameless(e: Expr, sizes: Sizes, definitions: Definitions, depth: int, inside: int = 0) -> Expr:
    """``e`` opened, with bound indices named by where they are bound."""
    e, depth = _opened(e, sizes, definitions, depth)
    if not isinstance(e, Reduce):
        return rebuild(e, lambda child: _nameless(child, sizes, definitions, depth, inside))
    names = {b.index: Index(f"{inside} {k}") for k, b in enumerate(e.binders)}
    binders = tuple(Binder(names[b.index], b.size) for b in e.binders)
    within = inner_sizes(sizes, binders)
    body = _nameless(substitute(e.body, names), within, definitions, depth, inside + 1)
    return Reduce(e.kind, body, binders)


def _added(left: Expr, right: Expr) -> Expr:
    """``a + 0`` as ``a``."""
    return right if left == ZERO else left if right == ZERO else left + right


def _both(left: Expr | None, right: Expr | None) -> Expr | None:
    """Both conditions, where None always holds."""
    return call("and", left, right) if left and right else left or right


def _product(left: Expr, right: Expr) -> Expr:
    """``(1/p)*a`` as ``a/p``."""
    for one, other in ((left, right), (right, left)):
        if one == ONE:
            return other
        match one:
            case Call("/", (above, below)) if above == ONE:
                return other / below
    return left * right
