"""Transposition: from vectors that lie beside one another in memory to vectors across them, all in registers.

Before:   x[0..7] at 8 places of memory          8 loads of 8 neighbours each
After:    8 vectors, the k-th of element k of every place

A vector across is otherwise one load for every lane. Halves, quarters ... of pairs of vectors are exchanged until every
element stands where its vector's number was (Eklundh, A fast computer method for matrix transposing, 1972). Vectors
with more lanes than neighbours are loaded together hold several such squares side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

from .assembler import Assembler, vector

__all__ = ["transposed"]


def transposed(a: Assembler, element: str, rows: Sequence[str], size: int) -> list[str]:
    """Vectors of one element of each row; rows have ``size`` elements, a power of two that divides their number."""
    count = len(rows)
    squares = [_joined(a, element, rows[k::size], size) for k in range(size)]
    step = size // 2
    while step:
        for k in range(size):
            if not k & step:
                squares[k], squares[k + step] = _exchanged(
                    a, vector(element, count), squares[k], squares[k + step], step, count
                )
        step //= 2
    return squares


def _joined(a: Assembler, element: str, parts: Sequence[str], size: int) -> str:
    """Vectors of ``size`` lanes, a power of two of them, as one."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [_picked(a, vector(element, size), x, y, range(2 * size)) for x, y in pairs]
        size *= 2
    return parts[0]


def _exchanged(a: Assembler, type_: str, x: str, y: str, step: int, count: int) -> tuple[str, str]:
    """Every other ``step`` lanes of ``x`` change places with those before them in ``y``."""
    low = [k + count - step if k & step else k for k in range(count)]
    high = [k + count if k & step else k + step for k in range(count)]
    return _picked(a, type_, x, y, low), _picked(a, type_, x, y, high)


def _picked(a: Assembler, type_: str, x: str, y: str, picks: Sequence[int]) -> str:
    """These lanes of two vectors: first those of one, then those of the other have numbers."""
    lanes = ", ".join(f"i32 {k}" for k in picks)
    return a.op(f"shufflevector {type_} {x}, {type_} {y}, <{len(picks)} x i32> <{lanes}>")
