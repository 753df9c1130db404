"""Product: a sum of products of two elements, found in the loops around it.

Before:   for j in range(0, 512, 2 rows of 16):
              for i in range(0, 1024, 8 rows):
                  fold k in range(0, 256):
                      s = sum of A[256*i + k]*B[512*k + j]
                  C[512*i + j] = s
After:    what is done for a tile before the sum, the sum, and after it; ``A`` is read across the rows, ``B`` along
          the columns

Declines for sums that hold other work, or several values, or a product of three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .loops import Affine, Apply, Fold, Load, Range, Register, Statement

__all__ = ["Product", "number_among", "product_of"]

Levels = Sequence[Sequence[Range]]


@dataclass(frozen=True, slots=True)
class Product:
    """``sum of across*along``: vectors come from ``along``, the scalars of the rows from ``across``."""

    before: tuple[Statement, ...]
    outer: tuple[Range, ...]  # blocks of the sum, if it is cut
    inner: Fold
    result: Register
    after: tuple[Statement, ...]
    across: Load
    along: Load

    @property
    def around(self) -> tuple[Statement, ...]:
        """All that is done for a tile but the sum."""
        return (*self.before, *self.after)

    @property
    def ranges(self) -> list[Range]:
        """The ranges of the whole sum, uncut."""
        found = (*self.outer, *self.inner.ranges)
        return [replace(r, block=None) for r in found if not r.step]


def product_of(levels: Levels, body: tuple[Statement, ...]) -> Product | None:
    """The product that a body is, or None: vectors of columns around tiles of rows."""
    places = [k for k, s in enumerate(body) if isinstance(s, Fold)]
    if len(levels) < 2 or len(places) != 1:
        return None
    rows, columns = levels[-1][0], levels[-2][0]
    fold = body[places[0]]
    outer: tuple[Range, ...] = ()
    assert isinstance(fold, Fold)
    result = fold.accumulators[0].register
    if len(fold.body) == 1 and isinstance(fold.body[0], Fold):
        fold, outer = fold.body[0], fold.ranges
    if rows.width > 1 or columns.width == 1:
        return None
    if fold.body or len(fold.accumulators) > 1 or any(r.span > 1 for r in (*outer, *fold.ranges)):
        return None
    match fold.accumulators[0].value:
        case Apply("*", (Load(condition=None) as x, Load(condition=None) as y)) if not (
            x.address.others or y.address.others
        ):
            across, along = (x, y) if y.address.coefficient(columns.index) else (y, x)
        case _:
            return None
    apart = across.address.coefficient(columns.index) == along.address.coefficient(rows.index) == 0
    if not apart or along.address.coefficient(columns.index) != 1:
        return None
    k = places[0]
    return Product(body[:k], tuple(outer), fold, result, body[k + 1 :], across, along)


def number_among(ranges: Sequence[Range], step: int) -> Affine:
    """A term's number among those of the ranges, in row-major order, ``step`` apart."""
    result = Affine(0)
    for r in reversed(ranges):
        first = Affine(-r.start) if r.block is None else Affine(0, ((r.block[0], -1),))
        result += (Affine(0, ((r.index, 1),)) + first).scaled(step)
        step *= r.extent if r.block is None else r.block[1]
    return result
