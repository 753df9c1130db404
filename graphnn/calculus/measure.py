"""What an expression costs, and what it divides by where: the two measures by which forms are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from compiler.language.expression import COMPARISONS, Call, Expr, Number, Reduce, children

from .algebra import normal, terms
from .conditions import conjuncts, negate

__all__ = ["Divisor", "cost", "divisors"]


@lru_cache(maxsize=1 << 14)
def cost(e: Expr) -> int:
    """How much there is to read and to compute; what stands in a reduction counts twice."""
    inner = sum(map(cost, children(e)))
    match e:
        case Call("/" | "where"):
            return 2 + inner
        case Call("+" | "-" | "*" | "neg" | "and" | "or" | "not" | "//" | "%"):
            return 1 + inner
        case Call(function) if function in COMPARISONS:
            return 1 + inner
        case Call("**", (a, Number())):
            return 1 + cost(a)
        case Call():
            return 4 + inner
        case Reduce(_, body, _):
            return 3 + 2 * cost(body)
    return 1


@dataclass(frozen=True, slots=True)
class Divisor:
    """What is divided by, or a logarithm that is taken, and the conditions under which."""

    value: Expr
    given: frozenset[Expr] = frozenset()


def divisors(e: Expr, given: frozenset[Expr] = frozenset()) -> dict[Divisor, None]:
    """Everything that ``e`` divides by, every logarithm that it takes: what need not be finite."""
    if isinstance(e, Call) and e.function == "where":
        condition, a, b = e.arguments
        chosen, other = conjuncts(condition), conjuncts(negate(condition))
        return {
            **divisors(condition, given),
            **divisors(a, given.union(chosen)),
            **divisors(b, given.union(other)),
        }
    found = dict.fromkeys(Divisor(value, given) for value in _own_divisors(e))
    for child in children(e):
        found |= divisors(child, given)
    return found


def _own_divisors(e: Expr) -> Iterator[Expr]:
    match e:
        case Call("/", (_, b)):
            for t in terms(b):
                yield from (base for base, q in t.factors if q > 0)
            if len(terms(b)) > 1:
                yield normal(b)
        case Call("**", (a, b)) if not isinstance(b, Number) or b.value < 0:
            yield a
        case Call("log", _):
            yield e
