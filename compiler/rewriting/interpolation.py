"""Interpolation: correlations with few multiplications, for any number of outputs and any length of the window.

    y[a] = sum[i](d[a + i]*g[i])        m outputs, r terms each:  m*r products
    y = A^T ((G g) * (B^T d))           the same numbers:  m + r - 1 products

A product of polynomials is known from its values at as many points as it has coefficients, one of them infinity
(Toom and Cook); the transpose of that algorithm is a correlation (Winograd). Row k belongs to the point ``a_k``:

    outputs    powers of a_k, from which each output adds up
    window     powers of a_k over prod[j != k](a_k - a_j)
    data       coefficients of prod[j != k](x - a_j), whole numbers

Points are small, of both signs: rounding errors grow with them, and rows of ``a`` and ``-a`` share half of their work.
S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural
Networks (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from ..language.expression import Call, Expr, Number

__all__ = ["Interpolation", "Matrix", "combined", "interpolation"]

POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))
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
    points = [Fraction(p) for p in POINTS[: count - 1]]
    assert len(points) == count - 1, "more points are needed"
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
    """The linear combinations of some terms; rows that differ by signs alone share their halves."""
    found: list[Expr] = []
    for k, row in enumerate(rows):
        twin = next((r for n, r in enumerate(rows) if n != k and _are_twins(row, r)), None)
        if twin is None:
            found.append(_sum(row, terms))
            continue
        first = max(row, twin)  # of the two, the one that is written with a plus
        same = [
            a if a == b else Fraction(0)
            for a, b in zip(first, twin if first == row else row, strict=True)
        ]
        other = [a - b for a, b in zip(first, same, strict=True)]
        found.append(Call("+" if first == row else "-", (_sum(same, terms), _sum(other, terms))))
    return found


def _are_twins(row: Sequence[Fraction], other: Sequence[Fraction]) -> bool:
    """Do two rows differ by the signs of some terms, not all?"""
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
