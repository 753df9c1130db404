"""Random numbers that are a function of where they stand: Philox 4x32-10, in NumPy's integers.

    philox(counter, key)                      four 32-bit words of a counter of four, a key of two
    uniform(key, counter, position, bits)     their first ``bits`` bits as a fraction in [0, 1)

Such a generator has no state to carry on: the number at a place is the same however many others are
drawn, in whatever order, on however many threads; what needs it twice computes it twice. The three
integers of `uniform` are taken as 64 bits each: the key's two words, and the counter's four, those
of the position first. A float32 has 24 bits, a float64 has 53 of the same number: both are exact.
`vectorphilox` is the same in machine code.

Source: Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["BLOCK", "MULTIPLIERS", "ROUNDS", "WEYL", "halves", "philox", "uniform", "unit"]

Array = np.ndarray[Any, Any]

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85  # golden ratio, sqrt(3) - 1: added to the key each round
BLOCK = 1 << 13  # counters worked on at a time: in cache, and no pages are asked of the system
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: Sequence[Array], key: Sequence[Array | int]) -> tuple[Array, ...]:
    """Philox 4x32-10: four words for each position of the four counter arrays (all uint64 below
    2**32).
    """
    a, b, c, d = counter
    k, m = (np.asarray(word, np.uint64) for word in key)
    first, second = map(np.uint64, MULTIPLIERS)
    for _ in range(ROUNDS):
        p, q = first * a, second * c
        high, other = q >> _SHIFT, p >> _SHIFT
        high ^= b  # in place: half of the time would go to making arrays
        high ^= k
        other ^= d
        other ^= m
        q &= _LOW
        p &= _LOW
        a, b, c, d = high, q, other, p
        k, m = (k + np.uint64(WEYL[0])) & _LOW, (m + np.uint64(WEYL[1])) & _LOW
    return a, b, c, d


def halves(numbers: Array) -> tuple[Array, Array]:
    """The low and the high word of 64-bit integers."""
    bits = numbers.astype(np.uint64)
    return bits & _LOW, bits >> _SHIFT


def unit(high: Array, low: Array, bits: int) -> Array:
    """The first ``bits`` bits of two words as float64 in [0, 1)."""
    whole = ((high << _SHIFT) | low) >> np.uint64(64 - bits)
    return np.asarray(whole.astype(np.float64) * 2.0**-bits)


def uniform(key: Any, counter: Any, position: Any, bits: int) -> Array:
    """Numbers in [0, 1), exact in ``bits`` bits, for integers or arrays of them that broadcast.

    >>> uniform(7, 0, np.arange(3), 24)
    array([0.95459712, 0.40696037, 0.00607508])
    """
    given = np.broadcast_arrays(*(np.asarray(a, np.int64) for a in (key, counter, position)))
    keys, counters, positions = (a.reshape(-1) for a in given)
    result = np.empty(len(positions))
    for start in range(0, len(result), BLOCK):
        part = slice(start, start + BLOCK)
        words = *halves(positions[part]), *halves(counters[part])
        high, low, _, _ = philox(words, halves(keys[part]))
        result[part] = unit(high, low, bits)
    return result.reshape(given[0].shape)
