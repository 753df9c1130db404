"""A group: kernels that are done block by block, how they are cut, and whether one more may join.

Level := around | shared | in order            each with one axis of each tensor, and one index of each kernel

A group has one level that threads share; blocks of one ``in order`` come one after the other inside. Levels ``around``
are for large tensors, of whose rows a block has too many if it has those of all other indices; of these, lines may be
cut as well, by a second level ``in order``:

    4 times:                                                     around: one unit at a time
        for strand in range(0, 4):
            16 strands:                                          shared, together with those of all other units around
                for block in range(0, 16):
                    for t:64, s:1024:    z[strand, 64*block + t, s] = ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import compress
from math import ceil, prod
from typing import Any

from ..caches import LINE, NEAR, is_far
from ..language.expression import Index, fresh_index
from ..language.steps import Strand, Strands
from .cuts import AROUND, FEWEST, IN_ORDER, SHARED, Kind, choices
from .fuse import AlikeFusions, Fusion, fusion_form
from .regions import Work
from .strands import moved, only

__all__ = ["Group", "starts"]

MANY = 32  # blocks that threads share, of which one more or less is little
COUNT = 16  # blocks that threads share, where there are as many rows
NEAR_LARGE = 5 * NEAR // 2  # elements of a block whose tensors would go through memory else
SMALL = 1 << 15  # elements that all blocks may read
ASIDE = 64  # times as large is a tensor beside which another one is small, too
OFTEN = 128  # operations with an element that pay for reading it once more
OFTEN_LARGE = 24  # where large tensors would go through memory else,
CACHED = 1 << 20  # and a cache has what is read again


def starts(
    work: Work,
    shapes: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
    alike: AlikeFusions,
) -> Iterator[Group]:
    """A kernel as a group of its own, in all ways that it may be cut."""
    for is_large, cuts in choices(work, sizes):
        levels = [_Level(work.extents[c.row] // c.length, c.kind, c.fewest) for c in cuts]
        group = Group(shapes, levels, is_large, sizes, alike)
        is_enough = all(level.units >= level.fewest for level in levels)
        if is_enough and group.joins(work, [cut.row for cut in cuts]):
            yield group


@dataclass(slots=True)
class _Level:
    """How a group is cut along one axis of each tensor, and one index of each member."""

    units: int
    kind: Kind
    fewest: int  # units
    more: int = 0  # units that some member has besides those that all have
    rows: dict[Work, Index] = field(default_factory=dict)
    axes: dict[str, int] = field(default_factory=dict)

    def row(self, work: Work, defined: Mapping[str, None]) -> Index | None:
        """The index of a kernel that moves along what the others define, or else read."""
        touched = dict.fromkeys(p.tensor for p in work.places if p.tensor in self.axes)
        first = next((name for name in touched if name in defined), next(iter(touched), None))
        return None if first is None else work.row(first, self.axes[first])


@dataclass(slots=True)
class Group:
    """Kernels that are done block by block, and what is done before and after."""

    shapes: Mapping[str, tuple[int, ...]]
    levels: list[_Level]
    is_large: bool
    sizes: Mapping[str, int]  # of the shapes
    alike: AlikeFusions
    members: list[Work] = field(default_factory=list)
    large: list[Work] = field(default_factory=list)  # members that touch what is not small
    users: dict[str, list[Work]] = field(default_factory=dict)  # the members that touch a tensor
    defined: dict[str, None] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)  # elements of each tensor in a unit
    volume: int = 0  # elements of a unit
    own: dict[str, tuple[int, ...]] = field(default_factory=dict)
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)
    unseen: Sequence[Any] = ()  # and after these what nobody has asked yet

    @property
    def touched(self) -> Set[str]:
        """What the members define or read."""
        return self.users.keys()

    @property
    def received(self) -> dict[str, None]:
        """What one member defines and another one reads."""
        read = ((w, p.tensor) for w in self.members for p in w.places if not p.is_written)
        return {n: None for work, n in read if n in self.defined and n not in work.written}

    @property
    def handed(self) -> int:
        """Elements that one member finds near since another one defines or reads them."""
        cut = set.intersection(*(set(level.axes) for level in self.levels))
        far = (name for name in cut - self.defined.keys() if is_far(self.sizes[name]))
        again = (n for n in far if sum(n in work.tensors for work in self.members) > 1)
        return sum(self.sizes[name] for name in (*self.received, *again))

    # --- joining -------------------------------------------------------------------------------------------------

    def meets(self, work: Work) -> bool:
        """Does it touch what is cut? Else it has no blocks."""
        return not any(level.axes.keys().isdisjoint(work.tensors) for level in self.levels)

    def joins(self, work: Work, rows: Sequence[Index] = (), is_first: bool = False) -> bool:
        """One more member, done after the others or before, if it keeps to its blocks and these stay near."""
        if not rows:
            found = (level.row(work, self.defined) for level in self.levels)
            rows = [row for row in found if row is not None]
            if len(set(rows)) < len(self.levels):
                return False
        most = max(self.sizes[name] for name in work.tensors)
        large = [p for p in work.places if self.sizes[p.tensor] > max(SMALL, most // ASIDE)]
        whole = (work.extents[r] < LINE * n.units for n, r in zip(self.levels, rows, strict=True))
        short = list(compress(rows, whole))
        if any(place.is_along(row) for place in large for row in short):
            return False
        new = replace(self, members=[*self.members, work], defined=self.defined | work.written)
        new.levels, before = [], self.defined.keys()
        for level, row in zip(self.levels, rows, strict=True):
            cut = new.cut(level, row, work.written.keys() - before)
            if cut is None:
                return False
            new.levels.append(cut)
        is_same = all(a.units == b.units for a, b in zip(self.levels, new.levels, strict=True))
        new.most = new.unit([work], self.most) if is_same else new.unit(new.members, {})
        new.volume = new.touched_in_unit()
        new.large = (
            [*self.large, work] if any(self.sizes[n] > SMALL for n in work.tensors) else self.large
        )
        if not new.volume or not new.is_near() or not new.is_worth():
            return False
        self.members, self.levels, self.defined = new.members, new.levels, new.defined
        self.volume, self.most, self.large = new.volume, new.most, new.large
        for name in work.tensors:
            self.users.setdefault(name, []).append(work)
        if is_first:
            self.members.insert(0, self.members.pop())
        return True

    def cut(self, level: _Level, row: Index, defined: Set[str]) -> _Level | None:
        """The level with the last member's row, or None if some member would not keep to its blocks.

        ``defined`` is what only this member defines. While there are as many units as before, what is known of the
        other members holds but where they touch what has changed.
        """
        last = self.members[-1]
        rows, axes = {**level.rows, last: row}, dict(level.axes)
        units = min(level.units, last.extents[row])
        if units < level.fewest:
            return None
        for place in last.places:
            if place.tensor not in axes:
                axis = place.axis(self.shapes[place.tensor], row, last.extents[row], units)
                if axis is not None:
                    axes[place.tensor] = axis
        is_same = units == level.units
        known = level.axes.keys() if is_same else ()
        for work in self.of(axes.keys() - known) if is_same else self.members:
            own = rows[work]
            for place in work.places:
                axis = axes.get(place.tensor)
                if axis is None or (work is not last and place.tensor in known):
                    continue
                if not place.keeps(axis, self.shapes[place.tensor], own, work.extents[own], units):
                    del axes[place.tensor]
        lost = (level.axes.keys() - axes.keys()) | defined
        for work in self.of(lost):
            for p in work.places:
                is_apart = p.tensor not in axes and p.tensor in self.defined
                if is_apart and not (level.kind == IN_ORDER and p.is_added):
                    return None
        extents = [work.extents[rows[work]] for work in ([last] if is_same else self.members)]
        more = max(ceil(extent % units / (extent // units)) for extent in extents)
        more = max(more, level.more) if is_same else more
        return replace(level, units=units, more=more, rows=rows, axes=axes)

    def of(self, tensors: Set[str]) -> dict[Work, None]:
        """The members that touch some tensors, and the last one."""
        found = {work: None for name in tensors for work in self.users.get(name, ())}
        return {**found, self.members[-1]: None}

    def is_near(self) -> bool:
        """Do some units of everything stay near, and the last block, which takes what is left over, nearly so?"""
        if self.least > self.near:
            return False
        most = max(2 * NEAR, self.near)
        return self.volume * prod(map(self.last_units, range(len(self.levels)))) <= most

    @property
    def least(self) -> int:
        """Elements of the smallest block that is worth it."""
        last = self.levels[-1]
        units = min(FEWEST, last.units // self.fewest_blocks) if last.kind == SHARED else 1
        return max(1, units) * self.volume

    def saved(self, users: Mapping[str, set[int]]) -> int:
        """Elements that are not read from far away, or written there; of large blocks half of that is won."""
        own = sum(self.sizes[name] for name in self.inside(users))
        return (self.handed + own) // (1 if self.least <= NEAR else 2)

    @property
    def is_even(self) -> bool:
        """Do two threads, or four, have equally many of the blocks that are shared, or so many that one is little?"""
        kinds = enumerate(level.kind for level in self.levels)
        shared = prod(self.count(k) for k, kind in kinds if kind != IN_ORDER)
        return shared % 4 == 0 or shared >= MANY

    @property
    def near(self) -> int:
        """Elements of a block, at most."""
        return NEAR_LARGE if self.is_large else NEAR

    @property
    def fewest_blocks(self) -> int:
        """Of the level that threads share, if it is the last."""
        return COUNT if len(self.levels) == 1 else FEWEST

    def unit(self, members: Sequence[Work], known: Mapping[str, int]) -> dict[str, int]:
        """Elements of each tensor that members touch in one unit; ``known`` are those of the other members."""
        most, ones = dict(known), [1] * len(self.levels)
        for work in members:
            for place, touched in work.volumes(self.shapes, self.lengths(work, ones)):
                most[place.tensor] = max(most.get(place.tensor, 0), touched)
        return most

    def touched_in_unit(self) -> int:
        """Elements of one unit without what all share; of large tensors, of all units that are in one around."""
        first, *others = self.levels[-1:] if self.is_large else self.levels
        cut: Set[str] = first.axes.keys()
        for level in others:
            cut = cut | level.axes.keys()
        return sum(map(self.most.__getitem__, cut))

    def lengths(self, work: Work, units: Sequence[int]) -> dict[Index, int]:
        """How many values the rows of a member have, with so many units of each level."""
        return {
            level.rows[work]: n * (work.extents[level.rows[work]] // level.units)
            for level, n in zip(self.levels, units, strict=True)
        }

    def is_worth(self) -> bool:
        """Does each member read little more than once, or do much with it?"""
        units, blocks = [self.units(k) for k in range(len(self.levels))], self.blocks
        for work in self.large:
            cost = 0
            for place, touched in work.volumes(self.shapes, self.lengths(work, units)):
                if touched > SMALL and not place.is_written:
                    often = OFTEN_LARGE if self.is_large and touched <= CACHED else OFTEN
                    cost += often * max(0, blocks * touched - self.sizes[place.tensor])
            if cost > work.operations:
                return False
        return True

    # --- blocks --------------------------------------------------------------------------------------------------

    def units(self, k: int) -> int:
        """How many units a block of a level has."""
        is_whole = sum(level.kind == IN_ORDER for level in self.levels) < 2
        units, near = self.levels[k].units, max(1, (self.near if is_whole else NEAR) // self.volume)
        if k + 1 < len(self.levels):
            return 1
        if self.levels[k].kind == SHARED:
            near = max(1, min(units // self.fewest_blocks, near))
        return _divisor(units, min(units, near))

    def count(self, k: int) -> int:
        return self.levels[k].units // self.units(k)

    @property
    def blocks(self) -> int:
        """Of all levels."""
        return prod(map(self.count, range(len(self.levels))))

    def last_units(self, k: int) -> int:
        """How many units the last block of a level has."""
        level = self.levels[k]
        return level.units - (self.count(k) - 1) * self.units(k) + level.more

    def inside(self, users: Mapping[str, set[int]]) -> list[str]:
        """What only members touch, each block by itself."""
        members = {id(work.fusion) for work in self.members}
        found = (n for n in self.received if all(n in level.axes for level in self.levels))
        return [n for n in found if users[n] <= members and self.sizes[n] >= SMALL]

    def places(self, name: str, k: int) -> int:
        """How many places along the axis of a level a block has, the last one aside."""
        level = self.levels[k]
        return self.units(k) * (self.shapes[name][level.axes[name]] // level.units)

    def block(self, name: str) -> tuple[int, ...]:
        """The shape of the largest block of a tensor."""
        shape = list(self.shapes[name])
        for k, level in enumerate(self.levels):
            shape[level.axes[name]] -= (self.count(k) - 1) * self.places(name, k)
        return tuple(shape)

    def piece(
        self, kernel: Fusion, k: int, index: Index, row: Index, step: int, length: int
    ) -> Fusion:
        """A kernel for so many values of its row, which begin where the block does."""
        names, axes = fusion_form(kernel)[1], self.levels[k].axes
        lies = tuple([(axes[n], self.places(n, k)) if n in self.own else None for n in names])
        return self.alike(
            kernel,
            (index, row, step, length, lies),
            lambda kernel: moved(
                only(kernel, row, index * step, length), dict(zip(names, lies, strict=True)), index
            ),
        )

    def strands(self) -> Strands:
        """The blocks as strands, those of the second level inside those of the first."""
        taken = {i: None for work in self.members for i in work.extents}
        kernels = [work.fusion for work in self.members]
        return self.cut_at(0, kernels, taken)

    def cut_at(self, k: int, kernels: Sequence[Fusion], taken: Mapping[Index, None]) -> Strands:
        level, units, count = self.levels[k], self.units(k), self.count(k)
        index = fresh_index("strand" if k == 0 else "block", taken)
        rows = [level.rows[work] for work in self.members]
        sizes = [work.extents[row] for work, row in zip(self.members, rows, strict=True)]
        steps = [units * (size // level.units) for size in sizes]
        rests = [size - (count - 1) * step for size, step in zip(sizes, steps, strict=True)]
        pieces = [(0, count, steps)]
        if rests != steps:
            pieces = [(0, count - 1, steps), (count - 1, count, rests)]
        strands = []
        for start, stop, lengths in pieces:
            own: Sequence[Any] = [
                self.piece(kernel, k, index, row, step, length)
                for kernel, row, step, length in zip(kernels, rows, steps, lengths, strict=True)
            ]
            if k + 1 < len(self.levels):
                own = [self.cut_at(k + 1, own, {**taken, index: None})]
            strands.append(Strand(index, start, stop, tuple(own)))
        return Strands(count, tuple(strands), nested=level.kind == AROUND)


@lru_cache
def _divisor(size: int, most: int) -> int:
    """The greatest number of units up to ``most`` that leaves no rest, if that is not far less than it could be."""
    found = next(n for n in range(most, 0, -1) if size % n == 0)
    return found if 2 * found >= most else most
