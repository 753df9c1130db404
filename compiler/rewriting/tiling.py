"""Tiling: how large the tiles are in which a sum over windows leaves the least to do, and how many of them are a block.

Counted are the products, and what is moved from one equation to the next, for all tiles: those that reach over the end
are computed whole. A block is as large as what passes between its equations can be and still stay near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from ..caches import PASSING
from .windows import Windows

__all__ = ["Tiling", "tiling"]

POINTS = (6, 7, 4)  # of a tile along each axis, the usual ones first: more round worse
WINDOW = 1 << 18  # elements of a window's points, which each block reads: more do not stay near
LARGE = 1 << 25  # elements between the equations, in one block, that there is memory for
LEAST = 1 << 22  # products that are worth it
GAIN = 1.35  # by how much less must be done: the count is rough, and direct sums round better
CLEAR = 1.05  # by how much less another tile must leave to do than those before it
START = 5_000_000  # products that could be done while some more kernels begin and end
LANES = 16  # channels or filters that are computed in lockstep
READ = 2  # products that take as long as an element of a window's points, read for each block
MOVED = 4  # products that take as long as an element of these written and read,
MOVED_FAR = 20  # where they do not stay near


@dataclass(frozen=True, slots=True)
class Tiling:
    """A tile has ``outputs`` places along each axis; ``sizes`` are those of a block: of the rows, then of the tiles."""

    product: Windows
    outputs: int
    sizes: tuple[int, ...]
    share: float  # of the work, that is left

    def __str__(self) -> str:
        tile = "x".join([str(self.outputs)] * len(self.product.windows))
        return f"{tile} places at once, {prod(self.sizes)} tiles in a block, {self.share:.0%} of the work"

    @property
    def counts(self) -> tuple[int, ...]:
        """All rows and tiles."""
        return _counts(self.product, self.outputs)


def _counts(product: Windows, outputs: int) -> tuple[int, ...]:
    rows = (product.extents[i] for i in product.rows)
    tiles = (ceil(product.extents[w.place] / outputs) for w in product.windows)
    return (*rows, *tiles)


def tiling(product: Windows, is_choice: bool) -> Tiling | str:
    """The tiles that leave the least to do, or why there are none."""
    direct = prod(product.extents.values())
    if is_choice and direct < LEAST:
        return f"declined: only {direct} products"
    outputs = [points - product.length + 1 for points in POINTS]
    best, *others = (_tiling(product, n) for n in outputs if n > 1)
    for each in others:
        if each.share * CLEAR < best.share:
            best = each
    if is_choice and best.share * GAIN > 1:
        return f"declined: {best.share:.0%} of the work would be left"
    return best


def _tiling(product: Windows, outputs: int) -> Tiling:
    """Tiles of so many places along each axis, and how they are done in blocks.

    If what is read for every block is large, all of them are one.
    """
    axes, counts = len(product.windows), _counts(product, outputs)
    channels, filters = (
        prod(product.extents[i] for i in own) for own in (product.channels, product.filters)
    )
    wide, terms = ceil(filters / LANES) * LANES, outputs + product.length - 1
    points = terms**axes
    window = points * channels * wide
    sides = axes * ceil(channels / LANES) * LANES + (axes if product.to_window else 2) * wide
    between = points * sides
    sizes = _sizes(counts, len(product.rows), max(1, PASSING // between))
    if window > WINDOW and prod(counts) * between <= LARGE:
        sizes = counts
    tiles = prod(ceil(n / size) * size for n, size in zip(counts, sizes, strict=True))
    again = tiles // prod(sizes) if product.to_window else axes
    moved = (MOVED_FAR if window > WINDOW else MOVED) * again * window
    products = tiles * window + READ * window * (tiles // prod(sizes))
    transforms = tiles * between * (2 + terms) // 2  # one is moved, and made of half of the terms
    work = START + products + transforms + moved
    return Tiling(
        product, outputs, sizes, work / (prod(product.extents.values()) // filters * wide)
    )


def _sizes(counts: Sequence[int], rows: int, most: int) -> tuple[int, ...]:
    """How many rows and tiles a block has: whole axes from the last one on, as far as there is room.

    Rows are cut into equal parts; of tiles some may lie behind the end, the fewer the better.
    """
    sizes = [1] * len(counts)
    for axis in reversed(range(len(counts))):
        count, largest = counts[axis], min(counts[axis], most)
        least = 1 if axis < rows else ceil(largest / 2)
        sizes[axis] = -min((ceil(count / n) * n, -n) for n in range(least, largest + 1))[1]
        if sizes[axis] < count:
            break
        most //= count
    return tuple(sizes)
