"""Known: what expressions come to where a comparison of indices is known, for `idle` and `reach`.

z[t, s] = where(s <= t, d[t, s], -inf)                -inf, where no s <= t
p[t, s] = where(z[t, s] == -inf, 0, exp(z[t, s]))     0
p[t, s]*x[t]                                          0: zero times anything counts as zero
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction

from ..language.expression import Call, Constant, Element, Expr, Index, Number, Reduce

__all__ = ["NONE", "ZERO", "Extents", "Known", "inside", "is_literal"]

ZERO = Number(Fraction(0))
NONE = -Constant("inf")
Extents = Mapping[Index, int]


class Known(ABC):
    """Tensors that have one value everywhere, and with their help expressions; who asks says which comparisons hold."""

    def __init__(self) -> None:
        self.values: dict[str, Expr] = {}

    @abstractmethod
    def holds(self, e: Expr, extents: Extents) -> bool | None:
        """Whether a comparison of indices holds, if that is known."""

    def value(self, e: Expr, extents: Extents) -> Expr:
        """The expression as a number, if it is one."""
        match e:
            case Element(tensor, _):
                return self.values.get(tensor, e)
            case Call("where", (condition, yes, no)):
                truth = self.truth(condition, extents)
                return e if truth is None else self.value(yes if truth else no, extents)
            case Call("*", arguments):
                return ZERO if ZERO in (self.value(a, extents) for a in arguments) else e
            case Call("+" | "-" | "neg", arguments):
                return ZERO if all(self.value(a, extents) == ZERO for a in arguments) else e
            case Reduce("sum", body, _):
                return ZERO if self.value(body, inside(e, extents)) == ZERO else e
        return e

    def truth(self, e: Expr, extents: Extents) -> bool | None:
        """Whether a condition holds, if that is known."""
        match e:
            case Call("==", (left, right)):
                left, right = self.value(left, extents), self.value(right, extents)
                return True if left == right and is_literal(left) else None
        return self.holds(e, extents)


def inside(e: Expr, extents: Extents) -> Extents:
    """The indices that run inside an expression."""
    return (
        {**extents, **{b.index: b.extent for b in e.binders}} if isinstance(e, Reduce) else extents
    )


def is_literal(e: Expr) -> bool:
    """Is it a number, or infinite?"""
    match e:
        case Call("neg", (inner,)):
            return is_literal(inner)
    return isinstance(e, (Number, Constant))
