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
Of large tensors a block of rows may have one value only of all other indices (see `group`): then what all rows of one
such value read stays near, too.

A kernel joins a group if it touches what the others define only in its own block (see `regions`), of large tensors
whole lines, and may be done after all that they need: what does not join is done before the group, or after it. Into
how many blocks is decided by sizes alone.

What was put before joins after all if what it defines is read in the same blocks only, and then more may follow; what
no member needs is done after the group.

Declines where a block would not stay near, where little is handed over or read by several, and where a kernel would
read again and again what all blocks share, without doing much with it.

What nobody outside a group touches is as large as one block, and each thread has its own. Unlike kernels that are done
`together`, members stay kernels of their own: they may read a block at other places, and others what they define.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

from ..caches import NEAR, is_far
from ..language.notes import Note, note
from ..language.system import System
from ..rewriting.halo import Borders, has_border
from .cuts import LARGE
from .fuse import AlikeFusions, Fusion, defined_by, fusion_form, fusions, read_by
from .group import Group, starts
from .regions import Work, work_of
from .vain import Vain

__all__ = ["groups"]

HANDED = NEAR  # elements handed from one kernel to another: fewer stay near anyway
MUCH = 4  # times as large is what a kernel writes that has nothing from those before
AHEAD = 24  # kernels passed by in search of the next one


def groups(
    parts: Sequence[Any],
    system: System,
    borders: Mapping[str, Borders],
    notes: list[Note] | None = None,
) -> tuple[tuple[Any, ...], dict[str, tuple[int, ...]]]:
    """The program with its kernels in groups where that keeps rows near, and the shapes of what lies in one block."""
    finder = _Finder(system, parts, borders)
    return tuple(finder.program(parts, notes)), finder.own


class _Finder:
    """What is known of the kernels of a program."""

    def __init__(
        self, system: System, parts: Sequence[Any], borders: Mapping[str, Borders]
    ) -> None:
        self.shapes = {t.name: t.shape for t in system.tensors}
        self.sizes = {name: prod(shape) for name, shape in self.shapes.items()}
        self.states = system.new_values  # their places are asked of single kernels
        self.is_far = any(map(is_far, self.sizes.values()))
        self.free = {n for n in system.names("local") if not has_border(borders[n])}
        self.own: dict[str, tuple[int, ...]] = {}
        self.works: dict[int, Work] = {}
        self.known: dict[Hashable, tuple[Work, tuple[str, ...]]] = {}
        self.alike = AlikeFusions()
        self.vain = Vain(lambda name: (self.shapes[name], name in self.states))
        self.sources: dict[int, bool] = {}
        self.names: dict[int, tuple[set[str], set[str]]] = {}
        self.users: dict[str, set[int]] = {}
        self.places = {id(part): k for k, part in enumerate(parts)}
        for part in parts:
            for name in set().union(*self.touched(part)):
                self.users.setdefault(name, set()).add(id(part))

    def program(self, parts: Sequence[Any], notes: list[Note] | None) -> Iterator[Any]:
        """The parts with their kernels in groups."""
        rest, left = list(parts), self.most(parts)
        while rest:
            group = self.best(rest) if self.is_far or left > HANDED else None
            if group is None or self.is_better_without(group, rest):
                left -= self.most(rest[:1])
                yield rest.pop(0)
                continue
            yield from self.program(group.before, notes)
            group.own = {n: group.block(n) for n in group.inside(self.users) if n in self.free}
            self.own |= group.own
            blocks = " of ".join(str(group.count(k)) for k in range(len(group.levels)))
            name = group.members[0].fusion.equations[0].target
            note(notes, "groups", name, f"{len(group.members)} kernels in {blocks} blocks")
            yield group.strands()
            rest = [*group.after, *group.unseen]
            left -= self.most(group.before) + self.most([work.fusion for work in group.members])

    def work(self, fusion: Fusion) -> Work:
        if id(fusion) not in self.works:
            self.works[id(fusion)] = self.found(fusion)
        return self.works[id(fusion)]

    def found(self, fusion: Fusion) -> Work:
        """The work, found once for kernels that are alike."""
        own, names = fusion_form(fusion)
        key = own, tuple([self.shapes[name] for name in names])
        if key not in self.known:
            self.known[key] = work_of(fusion), names
            return self.known[key][0]
        work, others = self.known[key]
        return work.like(fusion, dict(zip(others, names, strict=True)))

    def touched(self, part: Any) -> tuple[set[str], set[str]]:
        """What a part writes, and what must be there before."""
        if id(part) not in self.names:
            equations = (e for fusion in fusions([part]) for e in fusion.equations)
            added = {e.target for e in equations if e.accumulate}
            self.names[id(part)] = set(defined_by(part)), {*read_by(part), *added}
        return self.names[id(part)]

    def most(self, parts: Sequence[Any]) -> int:
        """Elements that parts may hand on, at most, where no tensor is so large that reads of it count as well."""
        written = (name for part in parts for name in self.touched(part)[0])
        return sum(self.sizes[name] for name in written if len(self.users[name]) > 1)

    def best(self, parts: Sequence[Any]) -> Group | None:
        """The group that begins with the first part and saves most, in half as many blocks if it can.

        Those that threads share unevenly count twice.
        """
        if not isinstance(parts[0], Fusion) or self.touched(parts[0])[0] & self.states:
            return None
        if self.vain.begins(parts):
            return None
        first, best, most = self.work(parts[0]), None, (0, 0)
        seen, is_vain, more = 1, True, len(parts) + 1  # more than all: also that none follows
        for group in starts(first, self.shapes, self.sizes, self.alike):
            self.grow(group, parts[1:])
            seen = max(seen, more - len(group.unseen))
            while self.gather(group):  # then more may follow
                rest, group.after = [*group.after, *group.unseen], []
                self.grow(group, rest)
                seen = max(seen, more - len(group.unseen))
            if group.handed <= HANDED:
                continue
            is_vain = False
            blocks = group.blocks if group.is_even else 2 * group.blocks
            saved = group.saved(self.users), -blocks.bit_length()
            if saved > most:
                best, most = group, saved
        if is_vain:
            self.vain.add(parts, seen)
        return best

    def is_better_without(self, group: Group, parts: Sequence[Any]) -> bool:
        """Would a large tensor be handed on to more kernels if the first one were left out?"""
        for work in group.members:
            if work.fusion is not parts[0] and work.most(self.sizes) > LARGE:
                start = next(k for k, part in enumerate(parts) if part is work.fusion)
                other = self.best(parts[start:])
                return other is not None and other.handed > group.handed
        return False

    def grow(self, group: Group, parts: Sequence[Any]) -> None:
        """Take in what may follow, in order; the rest is done before the group or after it."""
        passed: set[str] = set()  # what is defined after the group
        awaited: set[str] = set()  # what is read after it
        count, group.unseen = 0, ()
        for k, part in enumerate(parts):
            written, needed = self.touched(part)
            free = passed.isdisjoint(written) and passed.isdisjoint(needed)
            free = free and awaited.isdisjoint(written) and self.states.isdisjoint(written)
            if free and self.follows(part, group):
                count = 0
                continue
            count += 1
            if count > AHEAD:
                group.unseen = parts[k:]
                return
            apart = needed.isdisjoint(group.defined) and written.isdisjoint(group.touched)
            if free and apart:
                group.before.append(part)
            else:
                group.after.append(part)
                passed |= written
                awaited |= needed

    def follows(self, part: Any, group: Group) -> bool:
        """Does it join a group, as the last one?"""
        if not isinstance(part, Fusion):
            return False
        work = self.work(part)
        return group.meets(work) and not self.is_source(work) and group.joins(work)

    def is_source(self, work: Work) -> bool:
        """Does it make much from little? Then it has nothing from those before."""
        if id(work) not in self.sources:
            self.sources[id(work)] = self.makes_much(work)
        return self.sources[id(work)]

    def makes_much(self, work: Work) -> bool:
        read = sum(self.sizes[name] for name in work.tensors if name not in work.written)
        return work.most(self.sizes) > max(LARGE, MUCH * read)

    def gather(self, group: Group) -> bool:
        """Of what would be done before: what hands on to members joins them, what none of them needs comes after.

        Has any joined?
        """
        before, after, count = list[Any](), list[Any](), len(group.members)
        written, needed, asked = set[str](), set[str](), group.touched
        for part in reversed(group.before):
            own, read = self.touched(part)
            if own.isdisjoint(asked):
                after.append(part)
                continue
            free = all(own.isdisjoint(names) for names in (written, needed, self.states))
            free = free and written.isdisjoint(read)
            is_near = free and not own.isdisjoint(group.touched) and isinstance(part, Fusion)
            if is_near and group.joins(self.work(part), is_first=True):
                asked |= read
                continue
            before.append(part)
            written |= own
            needed |= read
            asked |= own | read
        group.before = before[::-1]
        group.after = sorted((*after, *group.after), key=lambda part: self.places[id(part)])
        return len(group.members) > count
