"""Schedule: loops that compute one element at a time become loops over tiles.

Before:   for i in range(0, 512):
              for j in range(0, 512):
                  fold k in range(0, 512):
                      s = sum of A[512*i + k]*B[512*k + j]
                  C[512*i + j] = s
After:    for j in range(0, 512, 2 rows of 16):
              for i in range(0, 512, 13 rows overlapping):
                  fold k in range(0, 512): ...

In this order: loops that memory does not tell apart become one (`collapse`); `tiles` chooses lanes; the loops are
cut to them; short reductions are written out, turn by turn; long sums are cut into blocks whose results are added up,
so that rounding errors stay those of a pairwise sum; the loops of a long contraction are put in `blocks`.

Rows that do not fit the extent overlap: the last tile is moved back and computes some elements again, which costs
less than a second copy of the code. Where an element must be computed just once (it is added to, or it may replace
what it was computed from) the rest is a loop of its own, as it is for vectors, whose last one is masked.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..target import Target
from .blocks import in_blocks, nest
from .collapse import collapse
from .loops import (
    Accumulator,
    Apply,
    Fold,
    Kernel,
    Loop,
    Range,
    Register,
    Statement,
    loads,
    statements,
    values,
    walk,
)
from .rewrite import dependences, indices
from .sizes import BLOCK
from .tiles import Tile, choose, instructions

__all__ = ["schedule"]

NEAR = 1 << 16  # elements that stay near while a loop runs over them again and again
_PARALLEL_SUMS = 8  # accumulators that keep the processor busy
_FEW = 16  # terms of a sum that takes less time than to write it
_SHORT = 80  # operations of all turns and lanes of a reduction that needs no loop, at most


def schedule(kernel: Kernel, target: Target, once: frozenset[str] = frozenset()) -> Kernel:
    """The kernel in tiles; elements of the tensors in ``once`` are computed once only."""
    kernel = collapse(kernel)
    ranges: list[Range] = []
    body = kernel.body
    while len(body) == 1 and isinstance(body[0], Loop):
        ranges.append(body[0].range)
        body = body[0].body
    extents = {r.index: r.extent for r in ranges}
    tile = choose(extents, body, _element_bytes(body), target, _scattered(kernel, extents))
    body = tuple(_fold(s, tile, target) if isinstance(s, Fold) else s for s in body)
    exact = any(s.accumulate or s.tensor in once for s in kernel.stores)
    levels = []
    for index in _loop_order(extents, tile, body):
        lanes = tile.width if index == tile.vector else 1
        levels.append(_cut(Range(index, 0, extents[index]), tile.rows.get(index, 1), lanes, exact))
    body, panels = in_blocks(levels, body, once) or (
        nest(_moving_least(levels, tile, body), body),
        (),
    )
    return replace(kernel, body=body, panels=panels)


def _element_bytes(body: Sequence[Statement]) -> int:
    """8 where doubles are computed, else 4."""
    found = [v.type for s in statements(tuple(body)) for top in values(s) for v in walk(top)]
    return 8 if "double" in found else 4


def _scattered(kernel: Kernel, extents: Mapping[str, int]) -> frozenset[str]:
    """Indices along which two elements that are added to may be the same."""
    registers = dependences(kernel.body)
    found: frozenset[str] = frozenset()
    for store in kernel.stores:
        if store.accumulate:
            data = [v for v, _ in store.address.others]
            loose = frozenset(i for v in data for i in indices(v, registers))
            steps = dict(store.address.terms)
            found |= {i for i in extents if i in loose or steps.get(i) != 1}
    return found


def _loop_order(extents: Mapping[str, int], tile: Tile, body: Sequence[Statement]) -> list[str]:
    """Outside what is not tiled; then for reductions the vectors around the rows, else rows around vectors.

    So what a tile of a reduction loads as vectors stays near while the rows pass by. One of few terms is written row by
    row instead, as memory wants it, for that takes longer than to load all again. Vectors are around the rows also
    where they are loaded across them: then memory is read in its order, and by the thread that has written it.
    """
    tiled = [i for i in extents if tile.lanes(i) > 1]
    vector = tile.vector
    is_turned = vector is not None and tile.rows[vector] == 1 and extents[vector] > tile.width
    outside = is_turned or any(isinstance(s, Fold) and _is_long(s) for s in body)
    tiled.sort(key=lambda i: i == tile.vector, reverse=outside)
    return [*(i for i in extents if i not in tiled), *tiled]


def _is_long(fold: Fold) -> bool:
    nested = any(isinstance(s, Fold) for s in fold.body)
    return nested or math.prod(r.extent for r in fold.ranges) > _FEW


def _moving_least(
    levels: Sequence[Sequence[Range]], tile: Tile, body: Sequence[Statement]
) -> list[Sequence[Range]]:
    """The loops in an order in which less moves through memory: what is tiled in any order, inside what is not."""
    outer = [level for level in levels if tile.lanes(level[0].index) == 1]
    tiled = [level for level in levels if tile.lanes(level[0].index) > 1]
    return [*outer, *min(itertools.permutations(tiled), key=partial(_moved, body=body))]


def _moved(order: Sequence[Sequence[Range]], body: Sequence[Statement]) -> int:
    """Elements that come from afar in this order of loops: what is read again counts again unless it stayed near."""
    registers = dependences(body)
    folds = [s for s in statements(tuple(body)) if isinstance(s, Fold)]
    folded = {r.index: r.extent for fold in folds for r in fold.ranges}
    total = 0
    for load in {load: None for s in statements(tuple(body)) for load in loads(s)}:
        own = indices(load, registers)
        volume = math.prod(n for i, n in folded.items() if i in own)
        for level in reversed(order):
            if level[0].index in own:
                volume *= sum(r.extent for r in level)
            elif volume > NEAR:
                volume *= sum(r.turns for r in level)
        total += volume
    return total


def _cut(range_: Range, rows: int, width: int, exact: bool) -> list[Range]:
    """One range as tiles, and what is left over."""
    span, extent = rows * width, range_.extent
    whole = extent // span * span
    if whole == extent:
        return [replace(range_, rows=rows, width=width)]
    if width == 1 and whole and not exact:
        return [replace(range_, rows=rows, overlap=True)]
    left = replace(range_, start=whole, rows=math.ceil((extent - whole) / width), width=width)
    return [replace(range_, stop=whole, rows=rows, width=width), left] if whole else [left]


# --- folds -------------------------------------------------------------------------------------------------------


def _fold(fold: Fold, tile: Tile, target: Target) -> Fold:
    """A reduction with lanes of its own where that helps, in blocks where it is long."""
    if not fold.ranges:
        return fold
    ordered = any(a.position is not None for a in fold.accumulators)
    ranges = list(fold.ranges) if ordered else _near_last(fold)
    nested = any(isinstance(s, Fold) for s in fold.body)
    lanes = math.prod(tile.rows.values())
    if tile.inside_folds and not nested:
        k = ranges.index(max(ranges, key=lambda r: (_contiguous(fold, r.index), r.extent)))
        if ordered and k != len(ranges) - 1:
            k = -1
        if k >= 0:
            own = ranges.pop(k)
            width = min(target.lanes(_element_bytes((fold,))), 1 << (own.extent - 1).bit_length())
            rows = max(1, min(math.ceil(own.extent / width), _PARALLEL_SUMS // lanes))
            rows = math.ceil(own.extent / width / math.ceil(own.extent / width / rows))
            ranges.append(replace(own, rows=rows, width=width))
    elif not nested and lanes < _PARALLEL_SUMS // 2 and not ordered:
        last = ranges[-1]
        rows = next((n for n in (4, 2) if last.extent % n == 0 and last.extent > n), 1)
        ranges[-1] = replace(last, rows=rows)
    if not nested and _operations(fold) * lanes * math.prod(r.extent for r in ranges) <= _SHORT:
        return replace(fold, ranges=tuple(replace(r, unrolled=True) for r in ranges))
    fold = replace(fold, ranges=tuple(ranges))
    sums = all(a.kind == "sum" and a.register.type != "i64" for a in fold.accumulators)
    return _blocked(fold) if sums and not nested else fold


def _operations(fold: Fold) -> float:
    """Operations of one turn in one lane."""
    tops = (top for s in (fold, *fold.body) for top in values(s))
    own = sum(instructions(v) for top in tops for v in walk(top) if isinstance(v, Apply))
    return max(own, len(fold.accumulators))


def _near_last(fold: Fold) -> list[Range]:
    """The ranges of a fold, those that step far through memory outside."""
    read = [load.address for s in (fold, *fold.body) for load in loads(s)]
    return sorted(fold.ranges, key=lambda r: -sum(abs(a.coefficient(r.index)) for a in read))


def _contiguous(fold: Fold, index: str) -> int:
    return sum(
        load.address.coefficient(index) == 1 for s in (fold, *fold.body) for load in loads(s)
    )


def _blocked(fold: Fold) -> Fold:
    """A long sum as a sum of shorter ones."""
    turns = [math.ceil(r.extent / r.span) for r in fold.ranges]
    if math.prod(turns) <= BLOCK:
        return fold
    inner: list[Range] = []
    outer = list(fold.ranges)
    count = 1
    while outer and count * turns[len(outer) - 1] <= BLOCK:
        count *= turns[len(outer) - 1]
        inner.insert(0, outer.pop())
    if count < BLOCK // 16:
        cut = outer.pop()
        length = (
            math.ceil(turns[len(outer)] / math.ceil(turns[len(outer)] * count / BLOCK)) * cut.span
        )
        block = f"{cut.index}.block"
        outer.append(Range(block, cut.start, cut.stop, step=length))
        inner.insert(0, replace(cut, block=(block, length)))
    parts = tuple(
        Accumulator(Register(f"{a.register.name}.part", a.register.type), "sum", a.value)
        for a in fold.accumulators
    )
    sums = tuple(
        Accumulator(a.register, "sum", part.register)
        for a, part in zip(fold.accumulators, parts, strict=True)
    )
    inside = Fold(tuple(inner), fold.body, parts)
    return Fold(tuple(outer), (inside,), sums)
