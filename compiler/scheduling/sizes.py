"""Sizes: how large blocks of a contraction are, and for whom they pay; what the nearer caches have room for."""

from __future__ import annotations

import math

__all__ = [
    "ACROSS",
    "AGAIN",
    "BLOCK",
    "CLOSE",
    "LINE",
    "NEAR",
    "ROWS",
    "SHARED",
    "SHORT",
    "SPARE",
    "STAY",
    "WAITING",
    "evenly",
    "fewest",
]

BLOCK = 256  # terms that one accumulator adds up before its result goes into the next one
NEAR = 1 << 19  # bytes of an operand's rows that stay in the nearer caches beside all else
ACROSS = 1 << 20  # bytes of a panel that is read across, at most
CLOSE = 3 << 15  # bytes of an operand's columns that need no panel to stay in the nearer caches
STAY = 3 << 18  # bytes of an operand's columns that stay in the nearer caches while rows pass by
SHORT = 64  # terms of a sum, at most, for which results count more than columns, which need not be as close then
ROWS = 64  # at least, that share a panel
FEW = 16  # are enough where the columns come from afar for each tile of them
SHARED = 8  # blocks, or a multiple of it: as many as some threads share without a rest
AGAIN = 6  # vectors of columns, at least, for which a panel is read across
WAITING = 1 << 19  # bytes of sums that may wait for the next block of terms
LINE = 16  # elements between two rows of a panel that is read across
SPARE = 2  # terms between two tiles of one: these lie in other places of a cache, and the last may be moved back


def fewest(bytes_: int) -> int:
    """Rows that pay for panels of an operand of so many bytes."""
    return ROWS if bytes_ <= STAY else FEW


def evenly(tiles: int, most: int) -> int:
    """How many tiles, up to so many, go together if of two threads, and of four, each is to have about as many."""

    def longest(together: int) -> int:
        turns = math.ceil(tiles / together)
        return sum(n * math.ceil(turns / n) * together for n in (2, 4))

    least = min(map(longest, range(1, most + 1)))
    return next(n for n in range(most, 0, -1) if 8 * longest(n) <= 9 * least)
