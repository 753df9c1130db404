"""Blocks: a long contraction in blocks that stay in the caches, its operands copied together where they lie apart.

Before:   for j in range(0, 512, 2 rows of 16):
              for i in range(0, 1024, 8 rows):
                  fold k in range(0, 256):
                      s = sum of A[256*i + k]*B[512*k + j]
                  C[512*i + j] = s
After:    for i.block in range(0, 1024, 128):
              for j.block in range(0, 512, 32):
                  for j in range(j.block, min(j.block + 32, 512), 2 rows of 16):
                      for i in range(i.block, min(i.block + 8, 1024), 8 rows):
                          fold k in range(0, 256):
                              ask for B[512*k' + j + 32] for 16 k' of its own
                              B.panel[32*k + j - j.block] = B[512*k + j]
                              s = sum of A[256*i + k]*B[512*k + j]
                          C[512*i + j] = s
                      for i in range(i.block + 8, min(i.block + 128, 1024), 8 rows):
                          fold k in range(0, 256):
                              ask for B[512*k' + j + 32] for 16 k' of its own
                              s = sum of A[256*i + k]*B.panel[32*k + j - j.block]
                          C[512*i + j] = s

A block of rows is read from afar once, not once for every vector of columns. The threads share the blocks: the rows of
one result are the rows of the next one's operand, so that each finds in its own cache what it has computed itself.

A panel is what a tile reads as vectors, for one block of the sum. It fits into the nearest cache and lies in one piece,
where rows of the operand may lie so that a cache can keep but a few of them. The first tile of rows fills it with what
it reads itself: its arithmetic goes on while memory comes from afar. Every tile asks for some of what the next panel
will be filled from. The results of a block of the sum wait for the next one (see `waiting`), those of a group of
columns together, so that a block of rows is read for all of them while it is near. An operand that is read across its
rows (a weight gradient's) has a panel for each block of rows, with all terms: tile by tile, as it will be read.

Columns that stay near as they lie need no panel; the rows are around them, so that results are written row by row.
Rows that are left over, where none may be computed twice, come after the blocks.

A window has few rows in its innermost loop. Where its columns are too many to stay near, the loops around (lines,
samples) go inside: their rows are all done with one panel before the next one is filled.

Declines where rows are too few to pay for a copy (fewer, if all comes from afar), and for what is no product of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from .loops import (
    Affine,
    Apply,
    Fold,
    Let,
    Literal,
    Load,
    Loop,
    Panel,
    Range,
    Statement,
    Store,
)
from .product import Product, number_among, product_of
from .rewrite import rewrite_affine
from .sizes import (
    ACROSS,
    AGAIN,
    BLOCK,
    CLOSE,
    LINE,
    NEAR,
    ROWS,
    SHARED,
    SHORT,
    SPARE,
    STAY,
    WAITING,
    evenly,
    fewest,
)
from .waiting import added, is_all, place_in_result

__all__ = ["in_blocks", "nest"]

Levels = Sequence[Sequence[Range]]
Body = tuple[Statement, ...]


def in_blocks(
    levels: Levels, body: tuple[Statement, ...], once: frozenset[str] = frozenset()
) -> tuple[tuple[Statement, ...], tuple[Panel, ...]] | None:
    """The loops around a contraction in blocks, and the panels that they fill; None where it declines.

    What is stored ``once`` only may lie where something else is read.
    """
    product = product_of(levels, body)
    if product is None:
        return None
    blocks = _Blocks(product, levels[-2:], body, once)
    if blocks.rows.extent < ROWS:
        blocks.gather(levels[:-2])
        if blocks.height < fewest(blocks.bytes_along):
            return None
    outer = levels[: len(levels) - 2 - len(blocks.around)]
    return nest(outer, blocks.statements()), tuple(blocks.panels)


def nest(levels: Levels, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The loops of each level around a body, those side by side each around the same."""
    for level in reversed(levels):
        body = tuple(Loop(r, body) for r in level)
    return body


class _Blocks:
    """The loops over the columns and rows of one product."""

    def __init__(self, product: Product, levels: Levels, body: Body, once: frozenset[str]) -> None:
        self.product, self.body, self.once = product, body, once
        self.columns, (self.rows, *self.left) = levels
        self.around: tuple[Range, ...] = ()  # loops over more rows, inside that over the columns
        self.tile: Range | None = None  # where each tile has a part of a panel for itself
        self.panels: list[Panel] = []
        self.bytes = 8 if product.inner.accumulators[0].register.type == "double" else 4
        self.terms = math.prod(r.extent for r in product.ranges)
        self.block = self._block()

    def _block(self) -> Range | None:
        """The blocks of rows, if there are some: as many rows as stay near, and in a panel across."""
        rows, tiles = self.rows, self.rows.turns
        terms = min(self.terms, BLOCK) if self.waits else self.terms
        count = math.ceil(tiles * rows.span * terms * self.bytes / NEAR)
        room = ACROSS // ((self.terms + SPARE) * self.bytes) - LINE
        if count > 1 and self.turned and room >= ROWS:
            count = max(count, math.ceil(tiles / (room // rows.span)))
        if rows.extent >= SHARED * ROWS:
            count = math.ceil(count / SHARED) * SHARED
        if count == 1:
            return None
        length = math.ceil(tiles / count) * rows.span
        return Range(f"{rows.index}.block", rows.start, rows.stop, step=length)

    @property
    def turned(self) -> bool:
        """Is there an operand that is read across its rows, and often enough to pay for a panel?"""
        across = self.product.across.address.coefficient(self.rows.index) == 1
        return across and sum(c.turns for c in self.columns) >= AGAIN

    @property
    def is_near(self) -> bool:
        """Do all columns stay near, so that they need no panel?"""
        most = NEAR // 2 if self.terms <= SHORT else CLOSE
        return self.terms * self.columns[-1].stop * self.bytes <= most

    @property
    def waits(self) -> bool:
        """Do the sums of a block wait for the next one? Rows that overlap would be added twice."""
        return bool(self.product.outer) and not self.rows.overlap

    @property
    def bytes_along(self) -> int:
        """Of the operand that is read as vectors."""
        return self.terms * self.columns[-1].stop * self.bytes

    @property
    def height(self) -> int:
        """Rows of a block."""
        own = self.rows.extent if self.block is None else self.block.step
        return own * math.prod(r.extent for r in self.around)

    @property
    def last(self) -> int:
        """Rows of the last block in its innermost loop."""
        count = self.rows.extent
        return count if self.block is None else (count - 1) % self.block.step + 1

    def gather(self, outer: Levels) -> None:
        """The rows of a window are few, but many such loops may read the same columns, if these are too many to stay.

        As many loops are taken as there is room for the sums that wait.
        """
        if self.bytes_along <= STAY or not self.waits:
            return
        for level in reversed(outer):
            r = level[0]
            waiting = self.height * r.extent * self.columns[0].span * self.bytes
            used = self.product.along.address.coefficient(r.index)
            if used or len(level) > 1 or r.span > 1 or waiting > WAITING // 2:
                return
            self.around = (r, *self.around)

    def over(self, rows: Range, *body: Statement) -> Statement:
        """All loops over rows."""
        return nest([[r] for r in self.around], (self.in_tiles(rows, body),))[0]

    def in_tiles(self, rows: Range, body: Body) -> Loop:
        """A loop over rows, in which the first one of a tile has a name where a panel across asks for it."""
        if self.tile is None:
            return Loop(rows, body)
        tile = replace(self.tile, block=rows.block, skip=rows.skip)
        return Loop(tile, (Loop(replace(rows, block=(tile.index, tile.step), skip=0), body),))

    def statements(self) -> tuple[Statement, ...]:
        rows = self.rows
        if self.block is not None:
            rows = replace(rows, block=(self.block.index, self.block.step))
        across, copy = self.across(rows)
        is_near = self.is_near and not copy
        if is_near:
            loops = [Loop(rows, nest([self.columns], self.whole(self.product.inner)))]
        else:
            loops = [self.column(c, rows, across) for c in self.columns]
        if self.block is not None:
            last = [replace(self.block, start=r.start, stop=r.stop) for r in self.left]
            left = nest([last, self.columns, self.left], self.body)
            return (Loop(self.block, (*copy, *loops)), *left)
        if is_near:
            return (*loops, *nest([self.left, self.columns], self.body))
        return tuple(map(self.with_left, loops, self.columns))

    def with_left(self, loop: Loop, column: Range) -> Loop:
        """A loop over some columns, in which the rows that are left over come last."""
        if not self.left:
            return loop
        own = replace(column, block=(loop.range.index, loop.range.step))
        levels = [[r] for r in (own, *self.around) if r.index != loop.range.index]
        return replace(loop, body=(*loop.body, *nest([*levels, self.left], self.body)))

    def across(self, rows: Range) -> tuple[Load, tuple[Statement, ...]]:
        """What is read across its rows from a panel for the block, and the loops that fill it."""
        load, lanes, terms = self.product.across, self.columns[0].width, self.terms + SPARE
        if self.block is None or terms * (self.height + LINE) * self.bytes > ACROSS:
            return load, ()
        if not self.turned or self.last < rows.span:  # then its last tile begins before the block
            return load, ()
        ranges, name = self.product.ranges, f"{load.tensor}.across"
        width = min(lanes, rows.span & -rows.span)
        if width < 4 or self.around:
            address = self.offset(rows) + number_among(ranges, self.height + LINE)
            count = math.gcd(self.height // lanes, 4) if self.height % lanes == 0 else 1
            side = replace(rows, rows=count, width=lanes, overlap=False)
        else:
            self.tile = Range(f"{rows.index}.tile", rows.start, rows.stop, step=rows.span)
            before, tile = _at(self.block), _at(self.tile)
            address = (tile + before.scaled(-1)).scaled(terms) + tile.scaled(-1) + _at(rows)
            address += number_among(ranges, rows.span)
            side = replace(rows, rows=rows.span // width, width=width)
        panel = self.panel(name, load.type, terms * (self.height + LINE))
        copy: Statement = self.in_tiles(side, (Store(panel, address, load),))
        for r in reversed(ranges):
            copy = Loop(r, (copy,))
        return replace(load, tensor=panel, address=address), (copy,)

    def column(self, column: Range, rows: Range, across: Load) -> Loop:
        """The loops for some vectors of columns."""
        product, inner = self.product, self.product.inner
        block = Range(f"{column.index}.block", column.start, column.stop, step=column.span)
        place = Affine(0, ((column.index, 1), (block.index, -1)))
        along, copy = self.along(column, place)
        (sum_,) = inner.accumulators
        value = Apply("*", (across, along), along.type)
        fold = replace(inner, accumulators=(replace(sum_, value=value),))
        if not copy:
            return Loop(column, (self.over(rows, *self.whole(fold)),))
        group = self.group(column) if self.waits else None
        fold = replace(fold, asked=self.asked(rows, block, column, group))
        filling = self.filling(along, (across, product.along), fold)
        if group is None:
            loops = self.filled(rows, copy, self.whole(fold), self.whole(filling))
            return self.apart(block, column, loops)
        block = replace(block, block=(group.index, group.step))
        waiting = self.waiting(column, group, rows)
        add = added(waiting, sum_.register, product.outer)
        loops = self.filled(rows, copy, (fold, add), (filling, add))
        parts: Statement = self.apart(block, column, loops)
        for r in reversed(product.outer):
            parts = Loop(r, (parts,))
        if is_all(product.around, product.result, waiting.tensor):
            return Loop(group, (parts,))
        whole = (*product.before, Let(product.result, waiting), *product.after)
        beside = replace(column, block=(group.index, group.step))  # row by row, as memory wants it
        return Loop(group, (parts, self.over(rows, Loop(beside, whole))))

    def waiting(self, column: Range, group: Range, rows: Range) -> Load:
        """Where a sum waits for more terms."""
        product, type_ = self.product, self.product.result.type
        read = {product.across.tensor, product.along.tensor, *self.once}
        names = column.index, rows.index
        place = place_in_result(product.around, product.after, type_, read, *names)
        if place is not None:
            return place
        panel = self.panel("sum.waiting", type_, self.height * group.step)
        at = self.offset(rows).scaled(group.step)
        return Load(panel, at + Affine(0, ((column.index, 1), (group.index, -1))), type_)

    def filled(self, rows: Range, copy: Body, body: Body, filling: Body) -> Body:
        """The loops over rows that read a panel: the first tile fills it, or a copy before all of them."""
        if self.around or self.last < 2 * rows.span:
            return (*copy, self.over(rows, *body))
        if self.block is None:
            first = replace(rows, stop=rows.start + rows.span, overlap=False)
            return Loop(first, filling), Loop(replace(rows, start=first.stop), body)
        first = replace(rows, block=(self.block.index, rows.span))
        rest = replace(rows, skip=rows.span)
        return self.in_tiles(first, filling), self.in_tiles(rest, body)

    def filling(self, along: Load, operands: tuple[Load, Load], fold: Fold) -> Fold:
        """The fold of a tile that reads its columns where they lie, and leaves them in their panel."""
        (sum_,) = fold.accumulators
        value = Apply("*", operands, along.type)
        store = Store(along.tensor, along.address, operands[1])
        return replace(fold, body=(store,), accumulators=(replace(sum_, value=value),))

    def asked(
        self, rows: Range, block: Range, column: Range, group: Range | None
    ) -> tuple[Load, ...]:
        """What the next panel will be filled from, a few of its terms for each row.

        The next one is beside this one; after the last of a group, the first one for more terms.
        """
        load, ranges = self.product.along, self.product.inner.ranges
        if len(ranges) != 1 or self.around or rows.rows == 1:
            return ()
        (r,) = ranges
        length = r.block[1] if r.block else r.extent
        if self.height > 2 * length:
            return ()
        if group is None and (self.product.outer or block.turns == 1):
            return ()
        here, first = _at(block), Affine(block.start)
        after, count = first, block.extent
        if group is not None:
            first, count = _at(group), group.step
            after = first + Affine(length * load.address.coefficient(r.index))
        left = Apply(
            "<", (here + first.scaled(-1), Literal(Fraction(count - block.step), "i64")), "i1"
        )
        start = Apply("where", (left, here + Affine(block.step), after), "i64")
        place = _at(column) + here.scaled(-1) + Affine(0, (), ((start, 1),))
        each = math.ceil(length / self.height)
        term = self.offset(rows).scaled(each)
        term += Affine(r.start) if r.block is None else Affine(0, ((r.block[0], 1),))
        places = ({column.index: place, r.index: term + Affine(number)} for number in range(each))
        return tuple(replace(load, address=rewrite_affine(load.address, p)) for p in places)

    def whole(self, fold: Fold) -> Body:
        """All that is done for a tile."""
        return (*self.product.before, self.summed(fold), *self.product.after)

    def group(self, column: Range) -> Range:
        """The columns whose sums wait together: so often is a block of rows read while it is near."""
        tiles, bytes_ = column.turns, self.height * column.span * self.bytes
        most = tiles if self.block else math.ceil(tiles / SHARED)
        most = max(1, min(most, WAITING // bytes_))
        count = math.ceil(tiles / most) if self.block else math.ceil(tiles / evenly(tiles, most))
        step = math.ceil(tiles / count) * column.span
        return Range(f"{column.index}.group", column.start, column.stop, step=step)

    def summed(self, inner: Fold) -> Fold:
        """The whole sum of a tile, around the sum of a block of it."""
        (sum_,) = inner.accumulators
        if not self.product.outer:
            return inner
        total = replace(sum_, register=self.product.result, value=sum_.register)
        return Fold(self.product.outer, (inner,), (total,))

    def apart(self, block: Range, column: Range, body: tuple[Statement, ...]) -> Loop:
        """A loop in which the first of some columns has a name: their panel begins with it."""
        own = column if column.is_single else replace(column, block=(block.index, column.span))
        return Loop(block, (Loop(own, body),))

    def along(self, column: Range, place: Affine) -> tuple[Load, tuple[Statement, ...]]:
        """What is read as vectors from a panel for a block of the sum, and the loops that fill it."""
        load, ranges = self.product.along, self.product.inner.ranges
        if not self.waits:
            ranges = tuple(self.product.ranges)
        length = math.prod(r.block[1] if r.block else r.extent for r in ranges)
        if self.bytes_along <= CLOSE or length * column.span * self.bytes > NEAR:
            return load, ()
        panel = self.panel(f"{load.tensor}.along", load.type, length * column.span)
        address = number_among(ranges, column.span) + place
        copy: Statement = Store(panel, address, load)
        for k, r in enumerate(reversed(ranges)):
            pieces = (r.extent, r.block[1] if r.block else r.extent)
            at_once = math.gcd(*pieces, 4) if k == 0 else 1
            copy = Loop(replace(r, rows=at_once), (copy,))
        return replace(load, tensor=panel, address=address), (copy,)

    def offset(self, rows: Range) -> Affine:
        """A row's number in its block."""
        return number_among((*self.around, rows), 1)

    def panel(self, name: str, type_: str, length: int) -> str:
        """A panel, one for all vectors of columns: they come one after the other, the widest first."""
        if all(p.name != name for p in self.panels):
            self.panels.append(Panel(name, type_, length))
        return name


def _at(range_: Range) -> Affine:
    return Affine(0, ((range_.index, 1),))
