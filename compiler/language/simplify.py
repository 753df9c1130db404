"""Exact simplification of expressions whose sizes are numbers.

    2 + 3, x*1, x + 0, x**1, -(-x)      5, x, x, x, x           never x*0, x - x: NaN survives
    tanh(0), exp(0)                     0, 1                    where the value is exact
    (2*a + r)//2 with 0 <= r < 2        a                       integers only, by integers.py
    where(0 <= i, u, v)                 u                       conditions that the ranges decide
    mean[j:5](u)                        sum[j:5](u)/5
    sum[j:1](u)                         u at j = 0
    max(0, i), max(i - 9, 0) for i < 9  i, 0

A decided condition is written ``0 == 0`` or ``0 != 0``: the language has no literal of truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from .expression import (
    COMPARISONS,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    expr,
    rebuild,
    substitute,
)
from .integers import is_nonnegative, simplify_integer
from .match import Sizes, inner_sizes
from .system import Tensor

__all__ = ["FALSE", "TRUE", "kind_of", "simplify"]

ZERO, ONE = Number(Fraction(0)), Number(Fraction(1))
TRUE, FALSE = Call("==", (ZERO, ZERO)), Call("!=", (ZERO, ZERO))
Tensors = Mapping[str, Tensor]


def kind_of(e: Expr, tensors: Tensors) -> str:
    """``"integer"``, ``"bool"`` or ``"real"``: what an expression is computed as."""
    match e:
        case Number():
            return "integer" if e.is_integer else "real"
        case Index() | Size():
            return "integer"
        case Element(tensor, _):
            dtype = tensors[tensor].dtype
            return "bool" if dtype == "bool" else "integer" if dtype.startswith("int") else "real"
        case Reduce("argmax" | "argmin"):
            return "integer"
        case Reduce("mean"):
            return "real"
        case Reduce(_, body, _):
            return "real" if kind_of(body, tensors) == "real" else "integer"
        case Call(function, arguments):
            if function in (*COMPARISONS, "and", "or", "not"):
                return "bool"
            if function == "where":
                kinds = {kind_of(a, tensors) for a in arguments[1:]}
                return "real" if "real" in kinds else "bool" if kinds == {"bool"} else "integer"
            if function in ("+", "-", "*", "//", "%", "neg", "abs", "max", "min"):
                real = any(kind_of(a, tensors) == "real" for a in arguments)
                return "real" if real else "integer"
    return "real"


def simplify(e: Expr, sizes: Sizes, tensors: Tensors) -> Expr:
    """An equal expression; bound indices must differ from those around them."""
    if isinstance(e, Reduce):
        return _reduction(e, sizes, tensors)
    e = rebuild(e, lambda child: simplify(child, sizes, tensors))
    if not isinstance(e, Call):
        return e
    function, arguments = e.function, e.arguments
    if function in COMPARISONS:
        return _comparison(e, sizes, tensors)
    if function in ("and", "or", "not"):
        return _logical(e)
    if function == "where":
        condition, left, right = arguments
        chosen = left if condition == TRUE or left == right else right
        return chosen if condition in (TRUE, FALSE) or left == right else e
    if kind_of(e, tensors) == "integer":
        if function in ("+", "-", "*", "//", "%", "neg"):
            return _integer(e, sizes, tensors)
        if function in ("max", "min"):
            return _extreme(e, sizes, tensors)
    return _real(e, tensors)


def _integer(e: Call, sizes: Sizes, tensors: Tensors) -> Expr:
    """The normal form; what is no integer polynomial is hidden, so that it stays as it is."""
    if any(kind_of(a, tensors) != "integer" for a in e.arguments):
        return e
    hidden: dict[Expr, Expr] = {}

    def hide(part: Expr) -> Expr:
        if isinstance(part, (Number, Index)):
            return part
        if isinstance(part, Call) and part.function in ("+", "-", "*", "//", "%", "neg"):
            return rebuild(part, hide)
        return hidden.setdefault(part, Element(f"#{len(hidden)}", ()))

    simple = simplify_integer(hide(e), sizes)
    return substitute(simple, {stand_in: part for part, stand_in in hidden.items()})


def _extreme(e: Call, sizes: Sizes, tensors: Tensors) -> Expr:
    """max or min of integers whose order is known."""
    if len(e.arguments) != 2 or any(kind_of(a, tensors) != "integer" for a in e.arguments):
        return e
    left, right = e.arguments
    if is_nonnegative(left - right, sizes):
        return left if e.function == "max" else right
    if is_nonnegative(right - left, sizes):
        return right if e.function == "max" else left
    return e


def _comparison(e: Call, sizes: Sizes, tensors: Tensors) -> Expr:
    left, right = e.arguments
    if isinstance(left, Number) and isinstance(right, Number):
        return TRUE if _COMPARE[e.function](left.value, right.value) else FALSE
    if any(kind_of(a, tensors) != "integer" for a in e.arguments):
        return e
    less = is_nonnegative(right - left - 1, sizes)
    more = is_nonnegative(left - right - 1, sizes)
    not_more = less or is_nonnegative(right - left, sizes)
    not_less = more or is_nonnegative(left - right, sizes)
    same = not_more and not_less
    true, false = {
        "<": (less, not_less),
        "<=": (not_more, more),
        ">": (more, not_more),
        ">=": (not_less, less),
        "==": (same, less or more),
        "!=": (less or more, same),
    }[e.function]
    return TRUE if true else FALSE if false else e


_COMPARE: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def _logical(e: Call) -> Expr:
    if e.function == "not":
        return FALSE if e.arguments[0] == TRUE else TRUE if e.arguments[0] == FALSE else e
    neutral, final = (TRUE, FALSE) if e.function == "and" else (FALSE, TRUE)
    if final in e.arguments:
        return final
    left = tuple(dict.fromkeys(a for a in e.arguments if a != neutral))
    if len(left) > 1:
        return Call(e.function, left)
    return Call("!=", (left[0], ZERO)) if left and not _is_truth(left[0]) else (*left, neutral)[0]


def _is_truth(e: Expr) -> bool:
    return isinstance(e, Call) and e.function in (*COMPARISONS, "and", "or", "not")


# What functions are at 0, exactly; of any other number, most are only nearly what can be written.
_AT_ZERO: Mapping[str, Fraction] = {
    **dict.fromkeys(("expm1", "log1p", "sqrt", "sin", "tanh", "erf", "abs", "sign"), Fraction(0)),
    **dict.fromkeys(("exp", "cos", "erfc"), Fraction(1)),
    "sigmoid": Fraction(1, 2),
}


def _real(e: Call, tensors: Tensors) -> Expr:
    """Numbers are computed, neutral elements dropped."""
    match e.function, e.arguments:
        case function, (Number(Fraction(numerator=0)),) if function in _AT_ZERO:
            return Number(_AT_ZERO[function])
        case "neg", (Number(a),):
            return Number(-a)
        case "neg", (Call("neg", (u,)),) if kind_of(u, tensors) != "bool":
            return u
        case ("+" | "-" | "*" | "/") as function, (Number(a), Number(b)) if function != "/" or b:
            return Number({"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[function])
        case "**", (Number(a), Number(b)) if b.denominator == 1 and abs(b) <= 64 and (a or b >= 0):
            return Number(a ** int(b))
        case ("+" | "*") as function, (u, v) if _neutral(function) in (u, v):
            other = u if v == _neutral(function) else v
            return e if kind_of(other, tensors) == "bool" else other
        case "-", (u, v) if v == ZERO and kind_of(u, tensors) != "bool":
            return u
        case "/" | "**", (u, v) if v == ONE and kind_of(u, tensors) == "real":
            return u
    return e


def _neutral(function: str) -> Number:
    return ZERO if function == "+" else ONE


def _reduction(e: Reduce, sizes: Sizes, tensors: Tensors) -> Expr:
    """A mean is a sum divided by a number; an index of one value is that value."""
    if e.kind == "mean":
        count = Fraction(1)
        for binder in e.binders:
            count *= binder.size.value if isinstance(binder.size, Number) else 1
        total = _reduction(Reduce("sum", e.body, e.binders), sizes, tensors)
        return total if count == 1 and kind_of(total, tensors) == "real" else total / expr(count)
    single: dict[Expr, Expr] = {b.index: ZERO for b in e.binders if b.size == ONE}
    if kind_of(e.body, tensors) == "bool":
        single = {}  # a sum of one truth is a number
    binders = tuple(b for b in e.binders if b.index not in single)
    body = simplify(substitute(e.body, single), inner_sizes(sizes, binders), tensors)
    if binders:
        return Reduce(e.kind, body, binders)
    return ZERO if e.kind in ("argmax", "argmin") else body
