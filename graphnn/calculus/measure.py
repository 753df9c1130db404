"""What an expression costs, and what it divides by: the two measures by which forms are chosen."""

from __future__ import annotations

from functools import lru_cache

from compiler.language.expression import COMPARISONS, Call, Expr, Number, Reduce, children, walk

from .algebra import normal, terms

__all__ = ["cost", "divisors"]


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


def divisors(e: Expr) -> dict[Expr, None]:
    """Everything that ``e`` divides by, or takes the logarithm of."""
    found: dict[Expr, None] = {}
    for node in walk(e):
        match node:
            case Call("/", (_, b)):
                for t in terms(b):
                    found |= {base: None for base, q in t.factors if q > 0}
                    if len(terms(b)) > 1:
                        found[normal(b)] = None
            case Call("**", (a, b)) if not isinstance(b, Number) or b.value < 0:
                found[a] = None
            case Call("log", (a,)):
                found[a] = None
    return found
