"""Random arrays that are a function of (seed, stream, shape), drawn by the compiler's generator, Philox.

A counter-based generator has no state to carry on: element k of stream s is the same number however
many others are drawn, in whatever order, on however many threads. The key is the seed; a stream is
one drawn tensor (a weight's first values, the order of one epoch), numbered since `set_seed`.
NumPy's and Python's own generators are neither used nor moved.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compiler.reference.philox import BLOCK, halves, philox, unit

from .errors import GraphnnError

__all__ = [
    "Source",
    "Stream",
    "Streams",
    "next_stream",
    "permutation",
    "set_seed",
    "truncated_normal",
    "uniform",
]

Stream = tuple[int, int]  # seed, number since the seed was set

_BITS = 53  # of a uniform number


@dataclass(slots=True)
class Streams:
    """A seed and the number of streams drawn under it: all the state that random numbers have."""

    seed: int = 0
    number: int = 0

    def next(self) -> Stream:
        """A stream that nobody has drawn from yet."""
        self.number += 1
        return self.seed, self.number - 1


_shared = Streams()


def set_seed(seed: int) -> None:
    """Start all randomness anew: two models built after the same `set_seed` are equal, and train alike."""
    global _shared
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise GraphnnError(f"a seed is a whole number from 0 to 2**64 - 1, got {seed!r}")
    _shared = Streams(int(seed))


class Source:
    """Streams of one's own until `set_seed` is called, from then on those that all draw from."""

    def __init__(self, own: Streams | None = None) -> None:
        self._own, self._shared_then = own or _shared, _shared

    @property
    def streams(self) -> Streams:
        return self._own if self._shared_then is _shared else _shared


def next_stream(seed: int | None = None) -> Stream:
    """A stream that nobody has drawn from since `set_seed`; with a seed of its own, that seed's first."""
    return _shared.next() if seed is None else (int(seed), 0)


def _words(positions: np.ndarray, stream: Stream, part: int = 0) -> tuple[np.ndarray, ...]:
    """Four words for each position of a stream; ``part`` tells further words for the same position apart."""
    seed, number = stream
    low, high = halves(positions)
    counter = low, high | np.uint64(part << 16), *halves(np.full_like(positions, number))
    return philox(counter, halves(np.array(seed, np.uint64)))


def uniform(shape: Sequence[int], low: float, high: float, stream: Stream) -> np.ndarray:
    """float64 numbers spread evenly over [low, high).

    >>> some, more = uniform((3,), 0, 1, (7, 0)), uniform((2, 9), 0, 1, (7, 0))
    >>> bool((some == more[0, :3]).all())
    True
    """
    count = math.prod(shape)
    pairs = np.empty((-(-count // 2), 2))
    for start in range(0, len(pairs), BLOCK):
        positions = np.arange(start, min(start + BLOCK, len(pairs)), dtype=np.uint64)
        a, b, c, d = _words(positions, stream)
        block = pairs[start : start + BLOCK]
        block[:, 0], block[:, 1] = unit(a, b, _BITS), unit(c, d, _BITS)
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
    values = np.empty(len(positions))
    for start in range(0, len(values), BLOCK):
        block = slice(start, start + BLOCK)
        a, b, c, d = _words(positions[block], stream, part)
        radius = np.sqrt(-2 * np.log(1 - unit(a, b, _BITS)))
        values[block] = radius * np.cos(2 * math.pi * unit(c, d, _BITS))
    return values


def permutation(count: int, stream: Stream) -> np.ndarray:
    """The numbers 0 .. count - 1 in random order: sorted by 64 random bits each, ties by position."""
    a, b, _, _ = _words(_positions((count,)), stream)
    return np.argsort((a << np.uint64(32)) | b, kind="stable")


def _positions(shape: Sequence[int]) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.uint64)
