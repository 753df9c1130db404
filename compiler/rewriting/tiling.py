"""Tiling: how large the tiles are in which a sum over windows leaves the least to do, and how many of them are a block.

Counted are the products, and what is moved from one equation to the next, for all tiles: those that reach over the end
are computed whole. A block is as large as what passes between its equations can be and still stay near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from .windows import LENGTH, Windows

__all__ = ["Tiling", "tiling"]

OUTPUTS = (4, 2)  # places of a tile along each axis
NEAR = 160_000  # elements between the equations of one block
LEAST = 1 << 22  # products that are worth it
GAIN = 1.2  # by how much less must be done
MOVED = 4  # products that take as long as an element from one equation to the next


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
    axes = len(product.windows)
    channels, filters = (
        prod(product.extents[i] for i in own) for own in (product.channels, product.filters)
    )
    rows = prod(product.extents[i] for i in product.rows)
    places = prod(product.extents[w.place] for w in product.windows)
    direct = rows * places * LENGTH**axes * channels * filters
    if is_choice and direct < LEAST:
        return f"declined: only {direct} products"
    plans = []
    for outputs in OUTPUTS:
        points = (outputs + LENGTH - 1) ** axes
        counts = _counts(product, outputs)
        between = points * (axes * channels + (axes if product.to_window else 2) * filters)
        sizes = _sizes(counts, len(product.rows), max(1, NEAR // between))
        tiles = prod(ceil(n / size) * size for n, size in zip(counts, sizes, strict=True))
        work = tiles * (points * channels * filters + MOVED * between)
        if product.to_window:
            work += tiles // prod(sizes) * MOVED * points * channels * filters
        plans.append(Tiling(product, outputs, sizes, work / direct))
    best = min(plans, key=lambda plan: plan.share)
    if is_choice and best.share * GAIN > 1:
        return f"declined: {best.share:.0%} of the work would be left"
    return best


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
