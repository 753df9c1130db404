"""Sums of products: the form in which the laws of the calculus read and write expressions.

    Sum   := (Term, ...)                                  x - 2*y*where(c, 1, 0)/sqrt(z)
    Term  := coefficient * [conditions] * base**exponent ...

A condition that fails makes its term zero whatever the factors are, so conditions are printed as a ``where`` around
the product: nothing leaks from the branch not taken. A sum inside a product stays one factor (nothing is multiplied
out unless asked), so ``N/D`` is still recognized after differentiation. Terms and factors are sorted and bound indices
renamed by nesting height, hence equal expressions are equal structures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache, lru_cache, reduce
from math import gcd, lcm
from typing import NamedTuple

from compiler.language.expression import (
    COMPARISONS,
    LOGICAL,
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
)
from compiler.language.integers import normalize
from compiler.language.text import expression_text

from .binding import bind, opened
from .conditions import conjuncts, is_integer, is_total, joined, negate

__all__ = [
    "ONE",
    "ZERO",
    "Sum",
    "Term",
    "collect",
    "divided",
    "expression",
    "is_sum",
    "multiply",
    "normal",
    "power",
    "product",
    "shared",
    "size_of",
    "terms",
]

ONE, ZERO = Number(Fraction(1)), Number(Fraction(0))
_HALF = Fraction(1, 2)


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class Term(NamedTuple):
    """``coefficient * Π base**exponent`` where all conditions hold, else zero."""

    coefficient: Fraction
    factors: tuple[tuple[Expr, Fraction], ...] = ()
    conditions: tuple[Expr, ...] = ()


Sum = tuple[Term, ...]


# ---- expression -> sum


@lru_cache(maxsize=1 << 14)
def terms(e: Expr) -> Sum:
    """``e`` as a sum of products; products of sums are not multiplied out."""
    match e:
        case Number(value):
            return (Term(value),) if value else ()
        case Call("+", (a, b)):
            return collect(terms(a) + terms(b))
        case Call("-", (a, b)):
            return collect(terms(a) + _scaled(terms(b), Fraction(-1)))
        case Call("neg", (a,)):
            return _scaled(terms(a), Fraction(-1))
        case Call("*", (a, b)):
            return product([terms(a), terms(b)])
        case Call("/", (a, b)):
            return product([terms(a), power(terms(b), Fraction(-1))])
        case Call("**", (a, Number(value))):
            return power(terms(a), value)
        case Call("sqrt", (a,)):
            return power(terms(a), _HALF)
        case Call("where", (c, a, b)):
            return _choice(_condition(c), terms(a), terms(b))
        case Call():
            return _atom(_condition(e))
        case Element(tensor, subscripts):
            return _atom(Element(tensor, tuple(map(_subscript, subscripts))))
        case Reduce("mean", body, binders):
            return product(
                [terms(Reduce("sum", body, binders)), power(terms(size_of(binders)), Fraction(-1))]
            )
        case Reduce(kind, body, binders):
            inner, fresh_binders = opened(e)
            return _atom(bind(kind, normal(inner), fresh_binders))
    return _atom(e)


def _atom(e: Expr) -> Sum:
    return (Term(Fraction(1), ((e, Fraction(1)),)),)


def _subscript(e: Expr) -> Expr:
    return normalize(e) if isinstance(e, Call) else e


def _condition(e: Expr) -> Expr:
    """A call other than arithmetic, with its arguments in normal form."""
    if isinstance(e, Call) and e.function in ("//", "%"):
        return normalize(e)
    if isinstance(e, Call):
        arguments = tuple(map(_argument, e.arguments))
        if e.function in _MIRRORED and isinstance(arguments[0], Number):
            return Call(_MIRRORED[e.function], arguments[::-1])
        return Call(e.function, arguments)
    return normal(e)


def _argument(e: Expr) -> Expr:
    if is_integer(e):
        return normalize(e)
    logical = isinstance(e, Call) and e.function in (*LOGICAL, *COMPARISONS)
    return _condition(e) if logical else normal(e)


def _choice(c: Expr, a: Sum, b: Sum) -> Sum:
    if a == b:
        return a
    if not b:
        return tuple(_given(t, conjuncts(c)) for t in a)
    if not a:
        return tuple(_given(t, conjuncts(negate(c))) for t in b)
    return _atom(Call("where", (c, expression(a), expression(b))))


def _given(t: Term, conditions: Iterable[Expr]) -> Term:
    return t._replace(conditions=tuple(dict.fromkeys([*t.conditions, *conditions])))


def normal(e: Expr) -> Expr:
    """The one spelling of an expression under the rules above; values are unchanged."""
    return expression(terms(e))


def size_of(binders: Iterable[Binder]) -> Expr:
    """How many values the binders take together."""
    return expression(product([terms(n) for _, n in binders if n is not None]))


# ---- arithmetic


def collect(total: Iterable[Term]) -> Sum:
    """Like terms added, zero terms dropped, sorted."""
    found: dict[tuple[object, object], Fraction] = {}
    for t in total:
        key = (t.factors, t.conditions)
        found[key] = found[key] + t.coefficient if key in found else t.coefficient
    kept = [Term(c, *key) for key, c in found.items() if c]  # type: ignore[arg-type]
    return tuple(sorted(kept, key=_term_key)) if len(kept) > 1 else tuple(kept)


def _scaled(total: Iterable[Term], factor: Fraction) -> Sum:
    return tuple(t._replace(coefficient=t.coefficient * factor) for t in total)


def multiply(*given: Term) -> Term:
    """The product of terms: exponents of equal bases add up."""
    exponents: dict[Expr, Fraction] = {}
    coefficient = Fraction(1)
    conditions: dict[Expr, None] = {}
    for t in given:
        coefficient *= t.coefficient
        conditions |= dict.fromkeys(t.conditions)
        for base, exponent in t.factors:
            exponents[base] = exponents[base] + exponent if base in exponents else exponent
    kept = []
    for base, q in exponents.items():
        if isinstance(base, Number) and q.denominator == 1:
            coefficient *= base.value ** int(q)
        elif q:
            kept.append((base, q))
    kept.sort(key=lambda f: _key(f[0]))
    return Term(coefficient, tuple(kept), tuple(conditions))


def product(sums: Iterable[Sum]) -> Sum:
    """The product, each sum of several terms kept as one factor."""
    result = multiply(*[_single(s) for s in sums])
    return (result,) if result.coefficient else ()


def power(total: Sum, q: Fraction) -> Sum:
    """``total**q``. Only whole powers go to the factors: sqrt(a*b) is not sqrt(a)*sqrt(b) for negative a."""
    if not total or q == 1:
        return total if q else (Term(Fraction(1)),)
    t = _single(total)
    if q.denominator == 1 and (q > 0 or not t.conditions):
        factors = tuple((b, e * q) for b, e in t.factors)
        return (multiply(Term(t.coefficient ** int(q), factors, t.conditions)),)
    if t.coefficient == 1 and not t.conditions and len(t.factors) == 1 and t.factors[0][1] == 1:
        return (Term(Fraction(1), ((t.factors[0][0], q),)),)
    return (Term(Fraction(1), ((expression(total), q),)),)


def _single(total: Sum) -> Term:
    """One term: what all terms share, times a sum whose first term has coefficient +1 times a whole number."""
    if len(total) == 1:
        return total[0]
    if not total:
        return Term(Fraction(0))
    outside = shared(total, denominators=False)
    inside = collect(divided(t, outside) for t in total)
    if len(inside) == 1:
        return multiply(outside, inside[0])
    if inside[0].coefficient < 0:
        outside, inside = multiply(outside, Term(Fraction(-1))), _scaled(inside, Fraction(-1))
    return multiply(outside, Term(Fraction(1), ((_added(inside), Fraction(1)),)))


def shared(total: Sequence[Term], denominators: bool) -> Term:
    """The greatest common factor; with ``denominators`` also every divisor of any term.

    A divisor, or a factor that need not be finite, leaves no guard: some term has it under the shared conditions alone.
    """
    first = total[0]
    conditions = [c for c in first.conditions if all(c in t.conditions for t in total)]
    guards = len(conditions)
    sizes = [abs(t.coefficient) for t in total]
    coefficient = Fraction(1)
    if denominators or all(s.denominator == 1 for s in sizes):
        above, below = [s.numerator for s in sizes], [s.denominator for s in sizes]
        coefficient = Fraction(reduce(gcd, above), reduce(lcm, below))
    elif len(set(sizes)) == 1:
        coefficient = sizes[0]
    if first.coefficient < 0:
        coefficient = -coefficient
    bases = {b: None for t in total for b, _ in t.factors} if denominators else dict(first.factors)
    factors = []
    for base in bases:
        exponents = [dict(t.factors).get(base, Fraction(0)) for t in total]
        bare = [q for q, t in zip(exponents, total, strict=True) if len(t.conditions) == guards]
        low = max(exponents) if max(exponents) < 0 and not denominators else min(exponents)
        if low < 0:
            low = max(low, min(bare, default=Fraction(0)))
        elif not bare and not (low.denominator == 1 and is_total(base)):
            continue
        if low and (denominators or all(e * low > 0 for e in exponents)):
            factors.append((base, low))
    return Term(coefficient, tuple(sorted(factors, key=lambda f: _key(f[0]))), tuple(conditions))


def divided(t: Term, by: Term) -> Term:
    inverse = Term(1 / by.coefficient, tuple((b, -e) for b, e in by.factors))
    rest = multiply(t, inverse)
    return rest._replace(conditions=tuple(c for c in t.conditions if c not in by.conditions))


def is_sum(e: Expr) -> bool:
    """Is it one, or a difference?"""
    return isinstance(e, Call) and e.function in ("+", "-")


# ---- sum -> expression


def expression(total: Sum) -> Expr:
    """A sum as an expression; terms under the same conditions share one ``where``."""
    groups: dict[tuple[Expr, ...], list[Term]] = {}
    for t in total:
        groups.setdefault(t.conditions, []).append(t._replace(conditions=()))
    parts: list[tuple[bool, Sum, tuple[Expr, ...]]] = []
    for conditions, found in groups.items():
        pieces = [tuple(found)] if conditions else [(t,) for t in found]
        parts += [(all(t.coefficient < 0 for t in p), p, conditions) for p in pieces]
    result: Expr | None = None
    for negative, group, conditions in sorted(parts, key=lambda part: part[0]):
        flip = negative and result is not None
        piece = _added(_scaled(group, Fraction(-1)) if flip else group)
        if conditions:
            piece = Call("where", (joined(conditions), piece, ZERO))
        result = piece if result is None else Call("-" if flip else "+", (result, piece))
    return ZERO if result is None else result


def _added(total: Sum) -> Expr:
    """A sum of terms without conditions of their own, or one with: ``expression`` sorts those out."""
    if any(t.conditions for t in total):
        return expression(total)
    ordered = sorted(total, key=lambda t: t.coefficient < 0)
    result = _product(ordered[0])
    for t in ordered[1:]:
        piece = _product(t._replace(coefficient=abs(t.coefficient)))
        result = Call("+" if t.coefficient > 0 else "-", (result, piece))
    return result


def _product(t: Term) -> Expr:
    """``2*a*(b - c)/(3*d)``; a minus sign goes into the first sum that can take it."""
    factors = list(t.factors)
    sign = t.coefficient < 0
    for k, (base, q) in enumerate(factors):
        if sign and q == 1 and is_sum(base):
            factors[k], sign = (_added(_scaled(terms(base), Fraction(-1))), q), False
    c = abs(t.coefficient)
    decimal = c.denominator % 5 == 0 and 10 ** len(str(c.denominator)) % c.denominator == 0
    above = [_raised(b, q) for b, q in factors if q > 0]
    below = [_raised(b, -q) for b, q in factors if q < 0]
    if decimal or ((c.numerator != 1 or not above) and c != 1 and c.numerator != 1):
        above.insert(0, Number(c if decimal else Fraction(c.numerator)))
    if c.denominator != 1 and not decimal:
        below.insert(0, Number(Fraction(c.denominator)))
    upper = reduce(lambda a, b: Call("*", (a, b)), above) if above else ONE
    if sign:
        upper = Number(-upper.value) if isinstance(upper, Number) else _negative(upper)
    if not below:
        return upper
    return Call("/", (upper, reduce(lambda a, b: Call("*", (a, b)), below)))


def _negative(e: Expr) -> Expr:
    """``-a*b`` as Python reads it: the minus binds to the first factor."""
    if isinstance(e, Call) and e.function == "*":
        return Call("*", (_negative(e.arguments[0]), e.arguments[1]))
    return Number(-e.value) if isinstance(e, Number) else Call("neg", (e,))


def _raised(base: Expr, q: Fraction) -> Expr:
    if q == 1:
        return base
    if q.denominator == 2:
        root = Call("sqrt", (base,))
        return root if q == _HALF else Call("**", (root, Number(q * 2)))
    return Call("**", (base, Number(q)))


@cache
def _key(e: Expr) -> tuple[int, str]:
    """Where a factor stands in a product: sizes, elements, functions, sums, reductions."""
    match e:
        case Number() | Constant():
            rank = 0
        case Symbol() | Size() | Index():
            rank = 1
        case Element():
            rank = 2
        case Reduce():
            rank = 5
        case Call("+" | "-" | "*" | "/" | "neg"):
            rank = 4
        case _:
            rank = 3
    return rank, expression_text(e)


def _term_key(t: Term) -> tuple[object, ...]:
    factors = tuple((_key(b), -q) for b, q in t.factors)
    return len(t.conditions) > 0, factors, tuple(map(_key, t.conditions))
