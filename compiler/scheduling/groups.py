"""Groups: kernels that hand rows to one another run block of rows by block of rows.

Before:   for n:64, o:512:    z[n, o] = sum[i](x[n, i]*W[i, o])          all rows, which then lie far away
          for n:64:           m[n] = max[o](z[n, o])
          for n:64, o:512:    y[n, o] = exp(z[n, o] - m[n])
After:    16 strands:
              for strand in range(0, 16):
                  for n:4, o:512:    z[n, o] = ...                       4 rows, which the next kernels find near
                  for n:4:           m[n] = ...
                  for n:4, o:512:    y[4*strand + n, o] = ...

Threads share the blocks and do not wait for one another before the end. Where one index leaves too much in a block, a
second one cuts it further; these blocks come one after the other, so that a sum over them can be added up on the way.
A kernel joins a group if it touches what the others define only in its own block (see `regions`), of large tensors
whole lines, and may be done after all that they need: what does not join is done before the group, or after it. Into
how many blocks is decided by sizes alone.

Declines where a block would not stay near, where little is handed over, and where a kernel would read again and again
what all blocks share, without doing much with it.

What nobody outside a group touches is as large as one block, and each thread has its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import prod
from typing import Any

from ..language.expression import Element, Expr, Index, fresh_index, transform
from ..language.integers import normalize
from ..language.notes import Note, note
from ..language.steps import Strand, Strands
from ..language.system import System, reads
from .fuse import Fusion, fusions
from .regions import Work, work_of
from .strands import only

__all__ = ["groups"]

COUNT = 16  # blocks that threads share, where there are as many rows
FEWEST = 8  # of them
NEAR = 1 << 18  # elements of a block, which a core keeps near
SMALL = 1 << 15  # elements that all blocks may read
OFTEN = 128  # operations with an element that pay for reading it once more
HANDED = 1 << 18  # elements handed from one kernel to another: fewer stay near anyway
Borders = Mapping[str, tuple[tuple[int, int], ...]]
AHEAD = 24  # kernels passed by in search of the next one


def groups(
    parts: Sequence[Any], system: System, borders: Borders, notes: list[Note] | None = None
) -> tuple[tuple[Any, ...], dict[str, tuple[int, ...]]]:
    """The program with its kernels in groups where that keeps rows near, and the shapes of what lies in one block."""
    finder = _Finder(system, parts)
    free = {
        n for n in system.names("local") if not any(side for axis in borders[n] for side in axis)
    }
    rest, found = list(parts), []
    own: dict[str, tuple[int, ...]] = {}
    while rest:
        group = finder.best(rest)
        if group is None:
            found.append(rest.pop(0))
            continue
        group.own = {n: group.block(n) for n in group.inside(finder.users) if n in free}
        own |= group.own
        found += [*group.before, group.strands()]
        rest = group.after
        blocks = " of ".join(str(group.count(k)) for k in range(len(group.levels)))
        name = group.members[0].fusion.equations[0].target
        note(notes, "groups", name, f"{len(group.members)} kernels in {blocks} blocks")
    return tuple(found), own


class _Finder:
    """What is known of the kernels of a program."""

    def __init__(self, system: System, parts: Sequence[Any]) -> None:
        self.shapes = {t.name: t.shape for t in system.tensors}
        self.states = {new for _, new in system.updates}  # their places are asked of single kernels
        self.works: dict[int, Work] = {}
        self.names: dict[int, tuple[set[str], set[str]]] = {}
        self.users: dict[str, set[int]] = {}
        for part in parts:
            for name in set().union(*self.touched(part)):
                self.users.setdefault(name, set()).add(id(part))

    def work(self, fusion: Fusion) -> Work:
        if id(fusion) not in self.works:
            self.works[id(fusion)] = work_of(fusion)
        return self.works[id(fusion)]

    def touched(self, part: Any) -> tuple[set[str], set[str]]:
        """What a part writes, and what must be there before."""
        if id(part) not in self.names:
            equations = [e for fusion in fusions([part]) for e in fusion.equations]
            needed = {element.tensor for e in equations for element in reads(e)}
            needed |= {e.target for e in equations if e.accumulate}
            self.names[id(part)] = ({e.target for e in equations}, needed)
        return self.names[id(part)]

    def best(self, parts: Sequence[Any]) -> _Group | None:
        """The group that begins with the first part and hands over most."""
        if not isinstance(parts[0], Fusion) or self.touched(parts[0])[0] & self.states:
            return None
        first, best = self.work(parts[0]), None
        for rows in _choices(first.extents):
            group = _Group(
                self.shapes, [_Level(first.extents[row], k > 0) for k, row in enumerate(rows)]
            )
            if group.joins(first, rows):
                self.grow(group, parts[1:])
                if group.handed > max(HANDED, best.handed if best else 0):
                    best = group
        return best

    def grow(self, group: _Group, parts: Sequence[Any]) -> None:
        """Take in what may follow, in order; the rest is done before the group or after it."""
        passed: set[str] = set()  # what is defined after the group
        awaited: set[str] = set()  # what is read after it
        count = 0
        for k, part in enumerate(parts):
            written, needed = self.touched(part)
            free = not (written | needed) & passed and not written & (awaited | self.states)
            if free and isinstance(part, Fusion) and group.joins(self.work(part)):
                count = 0
                continue
            count += 1
            if count > AHEAD:
                group.after += parts[k:]
                return
            if free and not needed & group.defined.keys() and not written & group.touched:
                group.before.append(part)
            else:
                group.after.append(part)
                passed |= written
                awaited |= needed


def _choices(extents: Mapping[Index, int]) -> Iterator[tuple[Index, ...]]:
    """Indices whose blocks threads may share, alone and with a further one inside; vectors are left whole."""
    outer = list(extents)[: max(1, len(extents) - 1)]
    many = [i for i in outer if extents[i] >= FEWEST][:3]
    if 0 not in extents.values():
        yield from ((i,) for i in many)
        yield from combinations(many, 2)


@dataclass(slots=True)
class _Level:
    """How a group is cut along one axis of each tensor, and one index of each member."""

    units: int
    in_order: bool  # blocks come one after the other
    rows: list[Index] = field(default_factory=list)
    axes: dict[str, int] = field(default_factory=dict)

    def row(self, work: Work, defined: Mapping[str, None]) -> Index | None:
        """The index of a kernel that moves along what the others define, or else read."""
        touched = dict.fromkeys(p.tensor for p in work.places if p.tensor in self.axes)
        first = next((name for name in touched if name in defined), next(iter(touched), None))
        return None if first is None else work.row(first, self.axes[first])


@dataclass(slots=True)
class _Group:
    """Kernels that are done block by block, and what is done before and after."""

    shapes: Mapping[str, tuple[int, ...]]
    levels: list[_Level]
    members: list[Work] = field(default_factory=list)
    defined: dict[str, None] = field(default_factory=dict)
    received: dict[str, None] = field(default_factory=dict)
    volume: int = 0  # elements of a unit
    own: dict[str, tuple[int, ...]] = field(default_factory=dict)
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)

    @property
    def touched(self) -> set[str]:
        """What the members define or read."""
        return {place.tensor for work in self.members for place in work.places}

    @property
    def handed(self) -> int:
        """Elements that one member defines and another one reads."""
        return sum(prod(self.shapes[name]) for name in self.received)

    # --- joining -------------------------------------------------------------------------------------------------

    def joins(self, work: Work, rows: Sequence[Index] = ()) -> bool:
        """One more member, if it keeps to its blocks and these stay near."""
        if not rows:
            found = (level.row(work, self.defined) for level in self.levels)
            rows = [row for row in found if row is not None]
            if len(set(rows)) < len(self.levels):
                return False
        large = [p for p in work.places if prod(self.shapes[p.tensor]) > SMALL]
        if any(place.is_along(row) for place in large for row in rows):
            return False
        new = replace(self, members=[*self.members, work], defined=self.defined | work.written)
        new.levels, new.volume = [], 0
        for level, row in zip(self.levels, rows, strict=True):
            cut = new.cut(level, row)
            if cut is None:
                return False
            new.levels.append(cut)
        new.volume = new.unit()
        if not new.is_near() or not new.is_worth():
            return False
        read = {p.tensor: None for p in work.places if not p.is_written}
        self.received |= {name: None for name in read if name in self.defined}
        self.members, self.levels, self.volume = new.members, new.levels, new.volume
        self.defined = new.defined
        return True

    def cut(self, level: _Level, row: Index) -> _Level | None:
        """The level with the last member's row, or None if some member would not keep to its blocks."""
        rows = [*level.rows, row]
        units = min(work.extents[r] for work, r in zip(self.members, rows, strict=True))
        if units < (2 if level.in_order else FEWEST):
            return None
        axes = dict(level.axes)
        for place in self.members[-1].places:
            if place.tensor not in axes:
                axis = place.axis(
                    self.shapes[place.tensor], row, self.members[-1].extents[row], units
                )
                if axis is not None:
                    axes[place.tensor] = axis
        for work, own in zip(self.members, rows, strict=True):
            known = units == level.units and work is not self.members[-1]
            for place in work.places:
                axis = axes.get(place.tensor)
                if axis is None or (known and place.tensor in level.axes):
                    continue
                if not place.keeps(axis, self.shapes[place.tensor], own, work.extents[own], units):
                    del axes[place.tensor]
        apart = [p for work in self.members for p in work.places if p.tensor not in axes]
        if any(p.tensor in self.defined and not (level.in_order and p.is_added) for p in apart):
            return None
        return _Level(units, level.in_order, rows, axes)

    def is_near(self) -> bool:
        """Do some units of everything stay near?"""
        least = min(FEWEST, self.levels[0].units // COUNT) if len(self.levels) == 1 else 1
        return max(1, least) * self.volume <= NEAR

    def unit(self) -> int:
        """Elements touched in one unit, without what all share."""
        most: dict[str, int] = {}
        ones = [1] * len(self.levels)
        for work, lengths in zip(self.members, self.lengths(*ones), strict=True):
            for place, own in work.volumes(self.shapes, lengths):
                most[place.tensor] = max(most.get(place.tensor, 0), own)
        cut = {tensor for level in self.levels for tensor in level.axes}
        return sum(own for tensor, own in most.items() if tensor in cut)

    def lengths(self, *units: int) -> Iterator[dict[Index, int]]:
        """How many values the rows of each member have, with so many units of each level."""
        for k, work in enumerate(self.members):
            yield {
                level.rows[k]: n * (work.extents[level.rows[k]] // level.units)
                for level, n in zip(self.levels, units, strict=True)
            }

    def is_worth(self) -> bool:
        """Does each member read little more than once, or do much with it?"""
        units = [self.units(k) for k in range(len(self.levels))]
        blocks = prod(level.units // n for level, n in zip(self.levels, units, strict=True))
        for work, lengths in zip(self.members, self.lengths(*units), strict=True):
            again = 0
            for place, touched in work.volumes(self.shapes, lengths):
                if touched > SMALL and not place.is_written:
                    again += max(0, blocks * touched - prod(self.shapes[place.tensor]))
            if OFTEN * again > work.operations:
                return False
        return True

    # --- blocks --------------------------------------------------------------------------------------------------

    def units(self, k: int) -> int:
        """How many units a block of a level has."""
        units, near = self.levels[k].units, max(1, NEAR // self.volume)
        if len(self.levels) == 1:
            return _divisor(units, max(1, min(units // COUNT, near)))
        return _divisor(units, min(units, near)) if k else 1

    def count(self, k: int) -> int:
        return self.levels[k].units // self.units(k)

    def inside(self, users: Mapping[str, set[int]]) -> list[str]:
        """What only members touch, each block by itself."""
        members = {id(work.fusion) for work in self.members}
        found = (n for n in self.received if all(n in level.axes for level in self.levels))
        return [n for n in found if users[n] <= members and prod(self.shapes[n]) >= SMALL]

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

    def moved(self, kernel: Fusion, k: int, index: Index) -> Fusion:
        """A kernel whose own tensors begin with the block."""

        def place(e: Expr) -> Expr:
            if not isinstance(e, Element) or e.tensor not in self.own:
                return e
            subscripts = list(e.subscripts)
            axis = self.levels[k].axes[e.tensor]
            subscripts[axis] = normalize(subscripts[axis] - index * self.places(e.tensor, k))
            return Element(e.tensor, tuple(subscripts))

        equations = []
        for equation in kernel.equations:
            target = place(Element(equation.target, equation.subscripts))
            assert isinstance(target, Element)
            value = transform(equation.value, place)
            equations.append(replace(equation, subscripts=target.subscripts, value=value))
        return replace(kernel, equations=tuple(equations))

    def strands(self) -> Strands:
        """The blocks as strands, those of the second level inside those of the first."""
        taken = {i: None for work in self.members for i in work.extents}
        kernels = [work.fusion for work in self.members]
        return self.cut_at(0, kernels, taken)

    def cut_at(self, k: int, kernels: Sequence[Fusion], taken: Mapping[Index, None]) -> Strands:
        level, units, count = self.levels[k], self.units(k), self.count(k)
        index = fresh_index("strand" if k == 0 else "block", taken)
        sizes = [work.extents[row] for work, row in zip(self.members, level.rows, strict=True)]
        steps = [units * (size // level.units) for size in sizes]
        rests = [size - (count - 1) * step for size, step in zip(sizes, steps, strict=True)]
        pieces = [(0, count, steps)]
        if rests != steps:
            pieces = [(0, count - 1, steps), (count - 1, count, rests)]
        strands = []
        for start, stop, lengths in pieces:
            own: Sequence[Any] = [
                self.moved(only(kernel, row, index * step, length), k, index)
                for kernel, row, step, length in zip(
                    kernels, level.rows, steps, lengths, strict=True
                )
            ]
            if k + 1 < len(self.levels):
                own = [self.cut_at(k + 1, own, {**taken, index: None})]
            strands.append(Strand(index, start, stop, tuple(own)))
        return Strands(count, tuple(strands))


def _divisor(size: int, most: int) -> int:
    """The greatest number of units up to ``most`` that leaves no rest, if that is not far less than it could be."""
    found = next(n for n in range(most, 0, -1) if size % n == 0)
    return found if 2 * found >= most else most
