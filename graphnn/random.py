"""Random numbers that are a function of (seed, stream, position): Philox 4x32-10, in NumPy's integers.

    words = philox(counter, key)        four 32-bit words for each counter of four, under a key of two

A counter-based generator has no state to carry on: element k of stream s is the same number however
many others are drawn, in whatever order, on however many threads. The key is the seed; a stream is
one drawn tensor (a weight's first values, the order of one epoch), numbered since `set_seed`.
NumPy's and Python's own generators are neither used nor moved.

Source: Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from .errors import GraphnnError

__all__ = ["next_stream", "permutation", "philox", "set_seed", "truncated_normal", "uniform"]

Stream = tuple[int, int]  # seed, number since the seed was set

_ROUNDS = 10
_BLOCK = 1 << 14  # counters worked on at a time: they stay in cache
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = (
    np.uint64(0x9E3779B9),
    np.uint64(0xBB67AE85),
)  # golden ratio, sqrt(3) - 1: added to the key each round
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


class _Streams:
    seed = 0
    numbers = itertools.count()


def set_seed(seed: int) -> None:
    """Start all randomness anew: two models built after the same `set_seed` are equal and train alike."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise GraphnnError(f"a seed is a whole number from 0 to 2**64 - 1, got {seed!r}")
    _Streams.seed, _Streams.numbers = int(seed), itertools.count()


def next_stream(seed: int | None = None) -> Stream:
    """A stream that nobody has drawn from since `set_seed`; with a seed of its own, that seed's first."""
    return (_Streams.seed, next(_Streams.numbers)) if seed is None else (int(seed), 0)


def philox(counter: Sequence[np.ndarray], key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Philox 4x32-10: four words for each position of the four counter arrays (all uint64 below 2**32)."""
    a, b, c, d = counter
    k, m = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(_ROUNDS):
        p, q = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (q >> _SHIFT) ^ b ^ k, q & _LOW, (p >> _SHIFT) ^ d ^ m, p & _LOW
        k, m = (k + _WEYL[0]) & _LOW, (m + _WEYL[1]) & _LOW
    return a, b, c, d


def _words(positions: np.ndarray, stream: Stream, part: int = 0) -> tuple[np.ndarray, ...]:
    """Four words for each position of a stream; ``part`` tells further words for the same position apart."""
    seed, number = stream
    same = np.zeros_like(positions)
    counter = (
        positions & _LOW,
        (positions >> _SHIFT) | np.uint64(part << 16),
        same + np.uint64(number & 0xFFFFFFFF),
        same + np.uint64(number >> 32),
    )
    return philox(counter, (seed & 0xFFFFFFFF, seed >> 32))


def _unit(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Two words as a float64 in [0, 1), of 53 bits."""
    return ((high << np.uint64(21)) | (low >> np.uint64(11))).astype(np.float64) * 2.0**-53


def uniform(shape: Sequence[int], low: float, high: float, stream: Stream) -> np.ndarray:
    """float64 numbers spread evenly over [low, high).

    >>> some, more = uniform((3,), 0, 1, (7, 0)), uniform((2, 9), 0, 1, (7, 0))
    >>> bool((some == more[0, :3]).all())
    True
    """
    count = math.prod(shape)
    pairs = np.empty((-(-count // 2), 2))
    for start in range(0, len(pairs), _BLOCK):
        positions = np.arange(start, min(start + _BLOCK, len(pairs)), dtype=np.uint64)
        a, b, c, d = _words(positions, stream)
        block = pairs[start : start + _BLOCK]
        block[:, 0], block[:, 1] = _unit(a, b), _unit(c, d)
    pairs *= high - low
    pairs += low
    return pairs.reshape(-1)[:count].reshape(tuple(shape))


def normal(shape: Sequence[int], mean: float, deviation: float, stream: Stream) -> np.ndarray:
    """Normally distributed float64 numbers."""
    return (mean + deviation * _normal(_positions(shape), stream)).reshape(tuple(shape))


def truncated_normal(
    shape: Sequence[int], mean: float, deviation: float, stream: Stream
) -> np.ndarray:
    """Normally distributed numbers; those beyond two ``deviation`` are drawn again, each for itself."""
    positions = _positions(shape)
    values = _normal(positions, stream)
    for part in itertools.count(1):
        beyond = np.abs(values) > 2
        if not beyond.any():
            break
        values[beyond] = _normal(positions[beyond], stream, part)
    return (mean + deviation * values).reshape(tuple(shape))


def _normal(positions: np.ndarray, stream: Stream, part: int = 0) -> np.ndarray:
    """Box and Muller's transform of two uniform numbers."""
    a, b, c, d = _words(positions, stream, part)
    radius = np.sqrt(-2 * np.log(1 - _unit(a, b)))
    return radius * np.cos(2 * math.pi * _unit(c, d))


def permutation(count: int, stream: Stream) -> np.ndarray:
    """The numbers 0 .. count - 1 in random order: sorted by 64 random bits each, ties by position."""
    a, b, _, _ = _words(_positions((count,)), stream)
    return np.argsort((a << _SHIFT) | b, kind="stable")


def _positions(shape: Sequence[int]) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.uint64)
