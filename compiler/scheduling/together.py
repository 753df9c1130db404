"""Together: kernels that hand large tensors on are done block by block, so that these never leave the cache.

Before:   for n:32, t:1000, i:64:    V[n, t, i] = ...
          for n:32, t:1000, o:64:    M[n, t, o] = sum[i](V[n, t, i]*U[i, o])
          for n:32, o:64:            y[n, o] = max[t](M[n, t, o])
After:    together for n:32:
              for t:1000, i:64:      V[n, t, i] = ...                         all n in the same place
              for t:1000, o:64:      M[n, t, o] = sum[i](V[n, t, i]*U[i, o])
              for o:64:              y[n, o] = max[t](M[n, t, o])

Each kernel reads what another one defines only at the same values of some indices, and nobody else reads that. Those
indices become loops around all of them, which the threads share; each has memory for one block only. In the end they
are one kernel (see `joined`). What others read as well, or in other blocks, is left to `groups`, whose kernels remain
what they are.

Declines where the tensors are small as they are, or beside what else the kernels read and write; where a block of them
would still be too large to stay near; and for a sum of products that would be left with too few rows for what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import inf, prod
from typing import Any, NamedTuple

from ..caches import NEAR, PASSING
from ..language.expression import (
    Binder,
    Expr,
    Index,
    Number,
    Reduce,
    elements,
    free_indices,
    fresh_index,
    substitute,
    walk,
)
from ..language.notes import Note, note
from ..language.steps import Together
from ..language.system import Equation, System, reads
from ..rewriting.halo import Borders, has_border
from .fuse import Fusion, defined_by, read_by

__all__ = ["together"]


class _Limits(NamedTuple):
    """What is done together: ``far`` elements handed on, at least, in blocks of ``near``, or up to ``most``.

    Of each product ``rows`` must be left, at least, that read the same operand. No tensor that goes through memory
    anyway may be ``little`` times as large as all that is handed on: then there is little to be won.
    """

    far: int
    near: int
    most: int
    rows: float
    little: float


BLOCKS = _Limits(2 * NEAR, PASSING, PASSING, 6, 16)
# In a block: to stay in the nearest cache.
INNER = _Limits(1 << 12, 1 << 12, 1 << 13, inf, inf)

Members = tuple[int, ...]
Loops = list[dict[int, Index]]  # of each loop: the index of each member


def together(
    parts: Sequence[Any],
    system: System,
    borders: Mapping[str, Borders],
    notes: list[Note] | None = None,
) -> tuple[Any, ...]:
    """The program with such kernels as one part."""
    sizes = {t.name: prod(t.shape) for t in system.tensors}
    return tuple(_Groups(parts, system, borders, sizes, BLOCKS).program(notes))


class _Groups:
    """Which parts of a program are done together; ``sizes`` are those of all that one part may hand to another."""

    def __init__(
        self,
        parts: Sequence[Any],
        system: System,
        borders: Mapping[str, Borders],
        sizes: Mapping[str, int],
        limits: _Limits,
    ) -> None:
        self.parts, self.system, self.borders = parts, system, borders
        self.sizes, self.limits = sizes, limits
        self.written = [defined_by(part) for part in parts]
        self.read = [read_by(part) for part in parts]
        self.handed = self._handed(system, borders)
        if sum(self.sizes[n] for n in self.handed) < limits.far:
            self.handed = {}
        self.ranks = {name: k for k, name in enumerate(self.handed)}
        self.after = self._after() if self.handed else []
        self.group: dict[int, Members] = {k: (k,) for k in range(len(parts))}
        self.loops: dict[Members, Loops] = {}
        for name in sorted(self.handed, key=lambda n: -sizes[n]):
            self.unite(*self.handed[name])

    def _handed(self, system: System, borders: Mapping[str, Borders]) -> dict[str, tuple[int, int]]:
        """Tensors that one kernel defines and one later one reads, with the two."""
        temporaries = system.temporaries
        ends: dict[str, tuple[list[int], list[int]]] = {}
        for k, (written, read) in enumerate(zip(self.written, self.read, strict=True)):
            for own, side in ((written, 0), (read, 1)):
                for name in own:
                    ends.setdefault(name, ([], []))[side].append(k)
        return {
            t.name: (writers[0], readers[0])
            for t in system.tensors
            if t.name in temporaries and t.name in ends and t.dtype.startswith("float")
            for writers, readers in [ends[t.name]]
            if len(writers) == len(readers) == 1 and writers < readers
            if all(isinstance(self.parts[k], Fusion) for k in (*writers, *readers))
            if not any(e.accumulate for e in self.parts[writers[0]].equations)
            if not has_border(borders[t.name])
        }

    def _after(self) -> list[list[int]]:
        """Of each part those that must come after it."""
        found: list[list[int]] = [[] for _ in self.parts]
        touched: dict[str, list[tuple[int, bool]]] = {}
        for k in range(len(self.parts)):
            for name in dict.fromkeys((*self.read[k], *self.written[k])):
                writes = name in self.written[k]
                for other, wrote in touched.get(name, ()):
                    if writes or wrote:
                        found[other].append(k)
                touched.setdefault(name, []).append((k, writes))
        return found

    # --- which ---------------------------------------------------------------------------------------------------

    def unite(self, one: int, other: int) -> None:
        """Do two groups together if that is possible."""
        members = tuple(sorted({*self.group[one], *self.group[other]}))
        loops = self.around(members)
        if loops and self.is_whole(members):
            self.group |= dict.fromkeys(members, members)
            self.loops[members] = loops

    def is_whole(self, members: Members) -> bool:
        """Can they be done with nothing else in between?"""
        seen: set[int] = set()
        stack = [n for k in members for n in self.after[k] if n not in members]
        while stack:
            for k in self.group[stack.pop()]:
                if k in members:
                    return False
                if k not in seen:
                    seen.add(k)
                    stack += self.after[k]
        return True

    def within(self, members: Members) -> list[str]:
        """What one of them hands to another one."""
        own = {n for k in members for n in self.written[k] if n in self.handed}
        return sorted((n for n in own if self.handed[n][1] in members), key=self.ranks.__getitem__)

    def around(self, members: Members) -> Loops:
        """The loops around some kernels, the fewest that leave little enough inside; none if that cannot be."""
        handed = self.within(members)
        inside = {
            n
            for k in members
            for n in self.written[k]
            if any(n in self.read[m] for m in members if m != k)
        }
        left = sum(self.sizes[n] for n in handed)
        if inside != {*handed} or left < self.limits.far:
            return []
        if self.passed(members) >= self.limits.little * left:
            return []
        loops: Loops = []
        for each in self.common(members, handed):
            if left <= self.limits.near:
                break
            loops.append(each)
            left //= _extents(self.parts[members[0]])[each[members[0]]]
        if left > self.limits.most:
            return []
        taken = {k: {each[k] for each in loops} for k in members}
        worth = all(
            _is_worth(e, taken[k], handed, self.limits.rows)
            for k in members
            for e in self.parts[k].equations
        )
        return loops if worth else []

    def passed(self, members: Members) -> int:
        """Elements of the largest tensor that goes through memory anyway, in or out."""
        own = (n for k in members for n in (*self.written[k], *self.read[k]))
        handed = self.within(members)
        return max((self.sizes[n] for n in own if n not in handed), default=0)

    def common(self, members: Members, handed: Sequence[str]) -> Iterator[dict[int, Index]]:
        """Indices that all members have in common, as each calls it: at one axis of all that is handed on.

        None along which neighbours are written: those are computed together anyway.
        """
        for index in _extents(self.parts[members[0]]):
            known = {members[0]: index}
            for _ in members:  # as often as one could tell one more
                if not all(self.spread(known, name) for name in handed):
                    break
            else:
                if len(known) == len(members) and not any(
                    index in free_indices(e.subscripts[-1])
                    for k, index in known.items()
                    for e in self.parts[k].equations
                    if e.subscripts
                ):
                    yield known

    def spread(self, known: dict[int, Index], name: str) -> bool:
        """From one end of a tensor to the other: how is the index called there? False if there is none."""
        ends = self.handed[name]
        ours, theirs = (_places(self.parts[k], name) for k in ends)
        sizes = {k: _extents(self.parts[k]) for k in ends}
        for end, places, other, others in (
            (ends[0], ours, ends[1], theirs),
            (ends[1], theirs, ends[0], ours),
        ):
            if end not in known:
                continue
            for axis in range(len(places[0])):
                if any(place[axis] != known[end] for place in places):
                    continue
                (index, *more) = {place[axis] for place in others}
                if more or not isinstance(index, Index):
                    continue
                if sizes[other].get(index) != sizes[end][known[end]]:
                    continue
                if known.setdefault(other, index) == index:
                    return True
            return False
        return True

    # --- the program ---------------------------------------------------------------------------------------------

    def program(self, notes: list[Note] | None) -> Iterator[Any]:
        """All parts, each behind those that it needs."""
        before: list[list[int]] = [[] for _ in self.parts]
        for k, following in enumerate(self.after):
            for n in following:
                before[n].append(k)
        done: set[int] = set()
        for part in range(len(self.parts)):
            if part not in done:
                yield from self.emitted(part, before, done, notes)

    def emitted(
        self, part: int, before: Sequence[list[int]], done: set[int], notes: list[Note] | None
    ) -> Iterator[Any]:
        """A part and those that are done together with it, behind all that they need."""
        members = self.group[part]
        done.update(members)
        for k in members:
            for n in before[k]:
                if n not in done:
                    yield from self.emitted(n, before, done, notes)
        if len(members) == 1:
            yield self.parts[part]
            return
        made = self.made(members)
        last = self.parts[members[-1]].equations[0].target
        sizes = "*".join(str(n) for _, n in made.extents)
        note(notes, "together", last, f"{len(members)} kernels, {sizes} times")
        yield made

    def made(self, members: Members) -> Together:
        """Some kernels as one part, no two of their indices with the same name."""
        loops = self.loops[members]
        first = self.parts[members[0]]
        taken: dict[Index, object] = {}
        names = []
        for each in loops:
            names.append(fresh_index(each[members[0]].name, taken))
            taken[names[-1]] = None
        extents = dict(first.indices)
        binders = tuple(
            Binder(n, extents[each[members[0]]]) for n, each in zip(names, loops, strict=True)
        )
        steps = []
        for k in members:
            moved: dict[Index, Index] = {each[k]: n for n, each in zip(names, loops, strict=True)}
            for index in _extents(self.parts[k]):
                if index not in moved:
                    moved[index] = fresh_index(index.name, taken)
                    taken[moved[index]] = None
            steps.append(_inside(self.parts[k], moved, names))
        handed = self.within(members)
        axes = {n: self.axes(n, loops) for n in handed}
        turns = prod(b.extent for b in binders)
        sizes = {n: self.sizes[n] // turns for n in handed}
        inner = _Groups(steps, self.system, self.borders, {**self.sizes, **sizes}, INNER)
        return Together(binders, tuple(inner.program(None)), axes)

    def axes(self, name: str, loops: Loops) -> tuple[int, ...]:
        """The axes of a tensor that the loops count."""
        writer = self.handed[name][0]
        (place, *_) = _places(self.parts[writer], name)
        return tuple(place.index(each[writer]) for each in loops)


def _inside(fusion: Fusion, moved: Mapping[Index, Index], loops: Sequence[Index]) -> Fusion:
    """A kernel within loops."""
    values: dict[Any, Expr] = dict(moved)
    indices = tuple(Binder(moved[i], n) for i, n in fusion.indices if moved[i] not in loops)
    equations = tuple(
        replace(
            e,
            indices=indices,
            subscripts=tuple(substitute(s, values) for s in e.subscripts),
            value=substitute(e.value, values),
        )
        for e in fusion.equations
    )
    return replace(fusion, indices=indices, equations=equations)


def _is_worth(equation: Equation, loops: set[Index], handed: Sequence[str], least: float) -> bool:
    """Do enough rows of each product read the same, and does all that was handed on change within a block?"""
    left = {i: n for i, n in equation.extents.items() if i not in loops and n > 1}
    bound = {
        b.index: b.size for e in walk(equation.value) if isinstance(e, Reduce) for b in e.binders
    }
    moving = {*left, *(i for i, n in bound.items() if n != Number(Fraction(1)))}
    if any(e.tensor in handed and not moving & free_indices(e).keys() for e in reads(equation)):
        return False
    for sum_ in (e for e in walk(equation.value) if isinstance(e, Reduce) and e.kind == "sum"):
        operands = dict.fromkeys(elements(sum_.body))
        shared = [i for i in left if any(i not in free_indices(e) for e in operands)]
        rows = prod(left[i] for i in shared if i != equation.subscripts[-1])
        if len(operands) > 1 and rows < least:
            return False
    return True


def _places(fusion: Fusion, name: str) -> list[tuple[Expr, ...]]:
    """Where a kernel defines or reads a tensor."""
    written = [e.subscripts for e in fusion.equations if e.target == name]
    return written + [r.subscripts for e in fusion.equations for r in reads(e) if r.tensor == name]


def _extents(fusion: Fusion) -> Mapping[Index, int]:
    return fusion.equations[0].extents
