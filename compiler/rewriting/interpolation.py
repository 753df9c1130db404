"""Interpolation: correlations with few multiplications, for any number of outputs and any length of the window.

    y[a] = sum[i](d[a + i]*g[i])        m outputs, r terms each:  m*r products
    y = A^T ((G g) * (B^T d))           the same numbers:  m + r - 1 products

A product of polynomials is known from its values at as many points as it has coefficients, one of them infinity
(Toom and Cook); the transpose of that algorithm is a correlation (Winograd). Row k belongs to the point ``a_k``:

    outputs    powers of a_k, from which each output adds up
    window     powers of a_k over prod[j != k](a_k - a_j)
    data       coefficients of prod[j != k](x - a_j)

Points are evenly spread on the circle of all numbers with infinity, ``a = tan(angle)``: so their powers differ as much
as they can, which keeps rounding errors small. They come in pairs, ``a`` and ``-a``, whose combinations share half of
their work, or, where results are combined from them, whose sums and differences are shared by all results.
S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural
Networks (2016); B. Barabasz and others, Error Analysis and Improving the Accuracy of Winograd Convolution (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import pi, tan

from ..language.expression import Call, Expr, Number

__all__ = ["Interpolation", "Matrix", "combined", "interpolation"]

SMALL = 5  # denominators of points, at most: larger ones make errors no smaller
Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True, slots=True)
class Interpolation:
    """A row for each point: of ``data`` with its terms, of ``window`` and ``outputs`` with theirs."""

    data: Matrix
    window: Matrix
    outputs: Matrix

    @property
    def points(self) -> int:
        return len(self.data)


@cache
def interpolation(outputs: int, window: int) -> Interpolation:
    """The transforms for so many outputs of a window of some length."""
    count = outputs + window - 1
    points = _spread(count)
    data, factors = [], []
    for k in range(count):
        others = points[:k] + points[k + 1 :]
        data.append(_from_roots(others, count))
        scale = Fraction(1)
        if k < len(points):
            for other in others:
                scale *= points[k] - other
        factors.append(scale)
    return Interpolation(
        tuple(data),
        tuple(
            tuple(c / f for c in row)
            for row, f in zip(_powers(points, window), factors, strict=True)
        ),
        _powers(points, outputs),
    )


def _spread(count: int) -> list[Fraction]:
    """So many points without the one at infinity, in pairs of both signs, and 0 if one is left."""
    angles = [pi * (k / count - 1 / 2) for k in range(count // 2 + 1, count)]
    sizes = [Fraction(tan(angle)).limit_denominator(SMALL) for angle in angles]
    middle = [Fraction(0)] if count % 2 == 0 else []
    return [*middle, *(p for size in sizes for p in (size, -size))]


def _from_roots(roots: Sequence[Fraction], length: int) -> tuple[Fraction, ...]:
    """Coefficients of the polynomial with these roots, the constant first."""
    found = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *found]
        found = [s - root * f for s, f in zip(shifted, [*found, Fraction(0)], strict=True)]
    return (*found, *[Fraction(0)] * (length - len(found)))


def _powers(points: Sequence[Fraction], count: int) -> Matrix:
    """Powers of each point; those of infinity are all zero but the last."""
    infinity = (*[Fraction(0)] * (count - 1), Fraction(1))
    return (*(tuple(p**k for k in range(count)) for p in points), infinity)


def combined(rows: Matrix, terms: Sequence[Expr]) -> list[Expr]:
    """The linear combinations of some terms; rows, or else columns, that differ by signs alone share their halves."""
    columns = list(zip(*rows, strict=True))
    pairs = _twins(columns)
    if pairs:
        return _of_sums(rows, terms, pairs)
    found = {k: _sum(row, terms) for k, row in enumerate(rows)}
    for pair in _twins(rows):
        one, other = (rows[k] for k in pair)
        same = _sum([a if a == b else Fraction(0) for a, b in zip(one, other, strict=True)], terms)
        rest = _sum([a if a != b else Fraction(0) for a, b in zip(one, other, strict=True)], terms)
        found |= {k: Call(sign, (same, rest)) for k, sign in zip(pair, "+-", strict=True)}
    return [found[k] for k in range(len(rows))]


def _of_sums(rows: Matrix, terms: Sequence[Expr], pairs: Sequence[tuple[int, int]]) -> list[Expr]:
    """Combinations of the sums and differences of terms whose columns are twins, and of all other terms."""
    single = [k for k in range(len(terms)) if not any(k in pair for pair in pairs)]
    values = [terms[k] for k in single]
    values += [Call(sign, (terms[one], terms[other])) for one, other in pairs for sign in "+-"]
    found = []
    for row in rows:
        factors = [row[k] for k in single]
        for one, other in pairs:
            is_sum = row[one] == row[other]
            factors += [row[one] if is_sum else Fraction(0), Fraction(0) if is_sum else row[one]]
        found.append(_sum(factors, values))
    return found


def _twins(rows: Sequence[Sequence[Fraction]]) -> list[tuple[int, int]]:
    """Pairs of rows that differ by the signs of some terms, not all."""
    found: list[tuple[int, int]] = []
    for k, n in combinations(range(len(rows)), 2):
        if not any({k, n} & {*pair} for pair in found) and _are_twins(rows[k], rows[n]):
            found.append((k, n))
    return found


def _are_twins(row: Sequence[Fraction], other: Sequence[Fraction]) -> bool:
    pairs = list(zip(row, other, strict=True))
    signs = {a == b for a, b in pairs if a}
    return all(abs(a) == abs(b) for a, b in pairs) and signs == {True, False}


def _sum(row: Sequence[Fraction], terms: Sequence[Expr]) -> Expr:
    total: Expr | None = None
    pairs = [(c, t) for c, t in zip(row, terms, strict=True) if c]
    for factor, term in sorted(
        pairs, key=lambda pair: pair[0] < 0
    ):  # a plus first, if there is one
        size = abs(factor)
        value = term if size == 1 else Number(size) * term
        if total is None:
            total = value if factor > 0 else -value
        else:
            total = total + value if factor > 0 else total - value
    assert total is not None
    return total
