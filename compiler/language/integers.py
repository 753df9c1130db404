"""Integer expressions of indices and sizes: normal form, range, and what can be known of their sign.

Subscripts, sizes and conditions are integer polynomials in indices and sizes, with ``//`` and ``%`` as opaque atoms.

    (2*a + r)//2, 0 <= r < 2   becomes   a                 simplify_integer
    h + i, h < H - 2, i < 3    lies in   0 .. H - 1        bounds
    H - 1 - h  with  h < H     is        >= 0              is_nonnegative

Sizes (``Size`` and ``Symbol``) count as integers from 1 on, as shapes are; every answer "known" holds for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from .expression import Call, Expr, Index, Number, Size, Symbol, expr, rebuild

__all__ = [
    "Polynomial",
    "bounds",
    "integer_difference",
    "is_nonnegative",
    "normalize",
    "polynomial",
    "simplify_integer",
]

Monomial = tuple[Expr, ...]  # atoms, sorted; () is the constant's
Rational = int | Fraction  # a whole number is kept as int: ten times faster to calculate with
Sizes = Mapping[Index, Expr]
MAX_TERMS = 200


def _sort_key(atom: Expr) -> str:
    return repr(atom)


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A sum of rational multiples of products of atoms; ``terms`` keeps the order of first appearance."""

    terms: tuple[tuple[Monomial, Rational], ...]

    @property
    def constant(self) -> Fraction:
        return Fraction(next((c for m, c in self.terms if not m), 0))

    @property
    def is_constant(self) -> bool:
        return not any(m for m, _ in self.terms)

    def coefficient(self, atom: Expr) -> Polynomial:
        """What multiplies ``atom`` (each monomial with one factor ``atom`` taken out)."""
        found = []
        for monomial, factor in self.terms:
            if atom in monomial:
                rest = list(monomial)
                rest.remove(atom)
                found.append((tuple(rest), factor))
        return Polynomial(tuple(found))

    def without(self, atom: Expr) -> Polynomial:
        """The monomials in which ``atom`` does not appear as a factor."""
        return Polynomial(tuple((m, c) for m, c in self.terms if atom not in m))

    def atoms(self) -> dict[Expr, None]:
        return {a: None for m, _ in self.terms for a in m}

    def __add__(self, other: Polynomial) -> Polynomial:
        return _collect([*self.terms, *other.terms])

    def __sub__(self, other: Polynomial) -> Polynomial:
        return _collect([*self.terms, *((m, -c) for m, c in other.terms)])

    def __mul__(self, other: Polynomial) -> Polynomial:
        return _collect((_merged(a, b), p * q) for a, p in self.terms for b, q in other.terms)

    def scaled(self, factor: Rational) -> Polynomial:
        return self if factor == 1 else _collect((m, c * factor) for m, c in self.terms)

    def expression(self) -> Expr:
        """Back to an expression, positive terms first, constants last: ``2*h + i - 1``."""
        ordered = sorted(self.terms, key=lambda t: (t[0] == (), t[1] < 0))
        if ordered and ordered[0][0] != () and ordered[0][1] < 0 and ordered[-1][1] > 0:
            ordered = [ordered[-1], *ordered[:-1]]  # 1 - i rather than -i + 1
        result: Expr | None = None
        for monomial, factor in ordered:
            size = abs(Fraction(factor))
            product: Expr | None = None if size == 1 and monomial else Number(size)
            for atom in monomial:
                product = atom if product is None else product * atom
            assert product is not None
            if result is None:
                result = product if factor > 0 else Call("neg", (product,))
                if factor < 0 and isinstance(product, Number):
                    result = Number(-product.value)
            else:
                result = result + product if factor > 0 else result - product
        return Number(Fraction(0)) if result is None else result


def _collect(terms: Iterable[tuple[Monomial, Rational]]) -> Polynomial:
    total: dict[Monomial, Rational] = {}
    for monomial, factor in terms:
        total[monomial] = total.get(monomial, 0) + factor
    return Polynomial(tuple((m, _exact(c)) for m, c in total.items() if c))


def _exact(c: Rational) -> Rational:
    return c if isinstance(c, int) or c.denominator != 1 else c.numerator


def _merged(a: Monomial, b: Monomial) -> Monomial:
    return tuple(sorted(a + b, key=_sort_key)) if a and b else a or b


ZERO = Polynomial(())
ONE = Polynomial((((), 1),))


def _single(atom: Expr) -> Polynomial:
    return Polynomial((((atom,), 1),))


@lru_cache(1 << 14)  # each stage asks for the same subscripts
def polynomial(e: Expr) -> Polynomial:
    """Normal form; whatever is not ``+ - * neg`` or division by a number is an atom.

    So is a product that would have more than `MAX_TERMS` terms: they grow without bound.
    """
    match e:
        case Number(value):
            return Polynomial((((), _exact(value)),)) if value else ZERO
        case Call("+", (a, b)):
            return polynomial(a) + polynomial(b)
        case Call("-", (a, b)):
            return polynomial(a) - polynomial(b)
        case Call("neg", (a,)):
            return polynomial(a).scaled(-1)
        case Call("*", (a, b)):
            left, right = polynomial(a), polynomial(b)
            if len(left.terms) * len(right.terms) <= MAX_TERMS:
                return left * right
        case Call(("//" | "%") as function, (a, b)):
            return _divide(function, polynomial(a), polynomial(b))
    return _single(e)


def _divide(function: str, a: Polynomial, b: Polynomial) -> Polynomial:
    """Floor division and remainder: numbers are computed, whole multiples of the divisor taken out."""
    if not b.is_constant or b.constant.denominator != 1 or b.constant <= 0:
        atom = Call(function, (a.expression(), b.expression()))
        return _single(atom)
    m = b.constant.numerator
    whole = [(t, c) for t, c in a.terms if t != () and c % m == 0]
    offset = a.constant // m
    left = [(t, c) for t, c in a.terms if t != () and c % m != 0]
    rest = _collect([*left, ((), a.constant - offset * m)])
    quotient = _collect([*((t, c // m) for t, c in whole), ((), offset)])
    if rest.is_constant:  # 0 <= rest < m
        return quotient if function == "//" else rest
    atom = Call(function, (rest.expression(), Number(Fraction(m))))
    single = _single(atom)
    return quotient + single if function == "//" else single


def normalize(e: Expr) -> Expr:
    """The one spelling of an integer expression."""
    return polynomial(e).expression()


def integer_difference(a: Expr, b: Expr) -> Fraction | None:
    """``a - b`` when it is the same number for all values of indices and sizes."""
    difference = polynomial(a) - polynomial(b)
    return difference.constant if difference.is_constant else None


def bounds(e: Expr, sizes: Sizes) -> tuple[Expr, Expr] | None:
    """Least and greatest value of ``e`` over the indices in ``sizes``; None when that cannot be told."""
    return _known_bounds(e, tuple(sizes.items()))


@lru_cache(1 << 14)  # each stage asks for the same subscripts
def _known_bounds(e: Expr, sizes: tuple[tuple[Index, Expr], ...]) -> tuple[Expr, Expr] | None:
    found = _bounds(polynomial(e), dict(sizes))
    return None if found is None else (found[0].expression(), found[1].expression())


def _bounds(p: Polynomial, sizes: Sizes) -> tuple[Polynomial, Polynomial] | None:
    low = high = ZERO
    for monomial, factor in p.terms:
        lowest = highest = ONE
        for atom in monomial:
            span = _atom_bounds(atom, sizes)
            if span is None:
                return None
            lowest, highest = lowest * span[0], highest * span[1]
            if not _positive(lowest):  # only products of nonnegative factors are monotone
                return None
        if factor < 0:
            lowest, highest = highest, lowest
        low, high = low + lowest.scaled(factor), high + highest.scaled(factor)
    return low, high


def _atom_bounds(atom: Expr, sizes: Sizes) -> tuple[Polynomial, Polynomial] | None:
    if isinstance(atom, Index) and atom in sizes:
        return ZERO, polynomial(sizes[atom]) - ONE
    if isinstance(atom, (Size, Symbol)):
        return polynomial(atom), polynomial(atom)
    if isinstance(atom, Call) and atom.function in ("//", "%"):
        inner, divisor = polynomial(atom.arguments[0]), polynomial(atom.arguments[1])
        if not _is_positive_size(divisor):
            return None
        if atom.function == "%":
            return ZERO, divisor - ONE
        span = _bounds(inner, sizes)
        if span is not None and _positive(span[0]):
            return _divide("//", span[0], divisor), _divide("//", span[1], divisor)
    return None


def _positive(p: Polynomial) -> bool:
    """Is ``p >= 0`` for all sizes from 1 on? (Each size is written 1 + something >= 0.)"""
    if all(c > 0 for _, c in p.terms):
        return all(_natural(a) for m, _ in p.terms for a in m)
    shifted = ZERO
    for monomial, factor in p.terms:
        product = ONE
        for atom in monomial:
            unit = _single(atom)
            is_size = isinstance(atom, (Size, Symbol))
            product = product * (unit + ONE if is_size else unit)
        shifted = shifted + product.scaled(factor)
    return all(c > 0 and all(map(_natural, m)) for m, c in shifted.terms)


def _is_positive_size(p: Polynomial) -> bool:
    """Is a divisor built of numbers and sizes alone, and at least 1?"""
    sizes = all(isinstance(atom, (Size, Symbol)) for atom in p.atoms())
    return sizes and _positive(p - ONE)


def _natural(atom: Expr) -> bool:
    """Atoms that are never negative: indices, sizes, remainders, and quotients of such."""
    if isinstance(atom, Call) and atom.function in ("//", "%"):
        inner, divisor = map(polynomial, atom.arguments)
        return _is_positive_size(divisor) and (atom.function == "%" or _positive(inner))
    return isinstance(atom, (Size, Symbol, Index))


def is_nonnegative(e: Expr, sizes: Sizes, known: Iterable[Expr] = ()) -> bool:
    """Is ``e >= 0`` for all values of the indices, given that each expression in ``known`` is ``>= 0``?"""
    p = polynomial(e)
    for fact in (Number(Fraction(0)), *known):
        span = _bounds(p - polynomial(fact), sizes)
        if span is not None and _positive(span[0]):
            return True
    return False


def simplify_integer(e: Expr, sizes: Sizes) -> Expr:
    """Normal form with ``//`` and ``%`` resolved where the ranges allow it; elements inside are kept as atoms."""
    e = rebuild(e, lambda child: simplify_integer(child, sizes))
    if isinstance(e, Call) and e.function in ("//", "%"):
        p = polynomial(e)
        for atom in p.atoms():
            if isinstance(atom, Call) and atom.function in ("//", "%"):
                inner, divisor = atom.arguments
                below = expr(divisor) - inner - 1
                if is_nonnegative(inner, sizes) and is_nonnegative(below, sizes):
                    value = Number(Fraction(0)) if atom.function == "//" else inner
                    p = p.without(atom) + p.coefficient(atom) * polynomial(value)
        return p.expression()
    if isinstance(e, Call) and e.function in ("+", "-", "*", "neg"):
        return normalize(e)
    return e
