"""Distribute: which thread does what, and where the threads wait for one another.

Before:   for n in range(0, 4096, 13 rows overlapping): ...
          for o in range(0, 10, 10 lanes): ...
After:    for n in range(0, 4096, 13 rows overlapping) shared: ...     the threads take pieces of it, some turns each
          wait
          alone: for o in range(0, 10, 10 lanes): ...                  the first thread; too short to be shared

Step := Kernel (by all threads) | Alone((Step, ...)) | Wait() | Recurrence | Window | Strands (by all threads)
        | Timed(number, (Step, ...))

All threads run the same program. The turns of a kernel are the tiles that were chosen from its shape alone, each tile
is computed by one thread, and how many threads there are changes no tile: so the results are the same to the last bit
for any number of them. Neighbouring turns are a piece, and who is done with his own pieces takes one of another
thread's, which is slower, or away. A loop is shared only where no two of its turns add into the same place. The threads
wait where one of them reads, or overwrites, what another has touched since they waited last; memory is compared, not
names, for tensors take each other's places.

Declines to share a kernel of few cycles, for it is over before another thread has noticed; and anything in a program
of few cycles, for which no thread is worth waking.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..language.steps import Recurrence, Strand, Strands, Window, step_lines
from .alike import Alike, read_and_written
from .cost import cycles
from .loops import Kernel, Loop, Range, Statement, Store, loads, statements
from .plan import OWN, Plan
from .waiting import waited_for

__all__ = [
    "Alone",
    "Timed",
    "Wait",
    "distribute",
    "distributed_lines",
    "is_for_team",
    "pieces",
    "share",
]

WORTH = 6_000.0  # cycles, about two microseconds
PIECE = 20_000.0  # cycles, about: to take a piece from another thread costs some hundreds
MOST_PIECES = 32  # of one kernel
WORTH_WAKING = 80_000.0  # cycles of all that is shared, about twenty-five microseconds
_LEAST_GAIN = 1.2  # by how much better balanced an inner loop must be to be preferred
_LITTLE_GAIN = 1.05  # or two loops together


@dataclass(frozen=True, slots=True)
class Alone:
    """Steps that the first thread does."""

    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Every thread waits here until all have come."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Steps whose time is taken; see `profile`."""

    number: int
    steps: tuple[Any, ...]


def distribute(parts: Sequence[Any], plan: Plan) -> tuple[Any, ...]:
    """The program for all threads; as it was where nothing is worth sharing."""
    shared = _each(parts, Alike(lambda kernel, _: share(kernel)))
    if _shared_cycles(shared) < WORTH_WAKING or not is_for_team(shared):
        return tuple(parts)
    return tuple(_Distribution(plan).steps(shared))


def is_for_team(parts: Sequence[Any]) -> bool:
    """Is there anything that threads share?"""
    return any(
        part.shares
        if isinstance(part, Kernel)
        else part.shared
        if isinstance(part, Strands)
        else not isinstance(part, Wait) and is_for_team(part.steps)
        for part in parts
    )


def _each(parts: Sequence[Any], change: Callable[[Kernel], Kernel]) -> tuple[Any, ...]:
    """The parts with their kernels shared, but for those of strands, which are shared as a whole."""
    found: list[Any] = []
    for part in parts:
        match part:
            case Kernel():
                found.append(change(part))
            case Strands():
                found.append(replace(part, shared=True))
            case _:
                found.append(replace(part, steps=_each(part.steps, change)))
    return tuple(found)


def _shared_cycles(parts: Sequence[Any], times: int = 1, of_all: bool = False) -> float:
    """Cycles of a step's shared kernels, about; ``of_all``: of the others too."""
    total = 0.0
    for part in parts:
        match part:
            case Kernel():
                total += times * cycles(part) if part.shares or of_all else 0.0
            case Recurrence(_, size, _, steps):
                total += _shared_cycles(steps, times * size, of_all)
            case Strand(_, start, stop, steps):
                total += _shared_cycles(steps, times * (stop - start), True)
            case _:
                total += _shared_cycles(part.steps, times, of_all)
    return total


def _kernels(parts: Sequence[Any]) -> Iterator[Kernel]:
    for part in parts:
        if isinstance(part, Kernel):
            yield part
        elif not isinstance(part, Wait):
            yield from _kernels(part.steps)


def pieces(part: Kernel | Strands) -> int:
    """Into how many pieces its turns go, one after the other to whoever is free; see `pieces` beside `emit`."""
    if isinstance(part, Strands):
        return min(part.turns, MOST_PIECES)
    return int(min(part.shares, MOST_PIECES, 1 + cycles(part) / PIECE))


def distributed_lines(parts: Sequence[Any]) -> Iterator[str]:
    """The program as text: a line for each kernel."""
    for part in parts:
        match part:
            case Kernel():
                yield f"{part.name}: {part.shares} turns" if part.shares else part.name
            case Wait():
                yield "wait"
            case Alone(steps):
                yield "alone:"
                yield from (f"    {line}" for line in distributed_lines(steps))
            case _:
                yield next(step_lines([replace(part, steps=())]))
                yield from (f"    {line}" for line in distributed_lines(part.steps))


# --- one kernel --------------------------------------------------------------------------------------------------


def share(kernel: Kernel) -> Kernel:
    """The kernel with one of its loops shared, if that is worth it."""
    if cycles(kernel) < WORTH:
        return kernel
    levels = _levels(kernel)
    loops = (s.range for s in statements(kernel.body) if isinstance(s, Loop))
    extents = {r.index: r.stop for r in loops}
    adding = [s for s in kernel.stores if s.accumulate]
    best, chosen = 0.0, ""
    free = {  # turns of the loops that may be shared
        level[0].index: sum(r.turns for r in level)
        for level in levels
        if level[0].block is None
        and all(_is_apart(store, level[0].index, extents) for store in adding)
    }
    for index, turns in free.items():
        if turns > 1 and _balance(turns) > best * _LEAST_GAIN:
            best, chosen = _balance(turns), index
    if not chosen:
        return kernel
    inside = list(free)[list(free).index(chosen) + 1 :]
    even = (i for i in inside if _balance(free[chosen] * free[i]) > best * _LITTLE_GAIN)
    return replace(kernel, body=_shared(kernel.body, chosen, next(even, "")))


def _levels(kernel: Kernel) -> list[list[Range]]:
    """The loops around everything else, from the outside in; a level has a rest beside it where tiles do not fit."""
    levels = []
    body, panels = kernel.body, {panel.name for panel in kernel.panels}
    while body and all(isinstance(s, Loop) for s in body):
        loops = [s for s in body if isinstance(s, Loop)]
        if len({loop.range.index for loop in loops}) > 1:  # copies, and what reads them
            break
        if any(_read(loop) & panels - _written(loop) for loop in loops):  # filled by the one before
            break
        if any(map(_adds_on, loops)):
            break
        levels.append([loop.range for loop in loops])
        body = loops[0].body
    return levels


def _adds_on(loop: Loop) -> bool:
    """Does a turn read what the turn before has written? Not what has waited over loops inside it."""
    if loop.range.turns == 1:
        return False
    own, inside = {loop.range.index}, set()  # and what runs inside its turns
    for statement in statements(loop.body):
        if isinstance(statement, Loop):
            inside.add(statement.range.index)
            if (block := statement.range.block) and block[0] in own:
                own.add(statement.range.index)
        elif isinstance(statement, Store):
            read = [load for load in loads(statement) if load.tensor == statement.tensor]
            again = any(not (blocks := waited_for(load)) or blocks - inside for load in read)
            if again and not any(index in own for index, _ in statement.address.terms):
                return True
    return False


def _read(loop: Loop) -> set[str]:
    return {load.tensor for s in statements(loop.body) for load in loads(s)}


def _written(loop: Loop) -> set[str]:
    return {s.tensor for s in statements(loop.body) if isinstance(s, Store)}


def _balance(turns: int) -> float:
    """How well two threads are used, and four."""
    return math.prod(turns / (n * math.ceil(turns / n)) for n in (2, 4))


def _shared(body: Sequence[Statement], index: str, inside: str = "") -> tuple[Statement, ...]:
    """The loops over an index shared, those side by side numbered on; with each turn those over one ``inside``."""
    found: list[Statement] = []
    number = 0
    for statement in body:
        if isinstance(statement, Loop) and statement.range.index == index:
            ranges = (s.range for s in statements(statement.body) if isinstance(s, Loop))
            within = max(1, sum(r.turns for r in ranges if r.index == inside))
            inner = _shared(statement.body, inside) if within > 1 else statement.body
            range_ = replace(statement.range, share=number, within=within)
            number += range_.turns * within
            found.append(Loop(range_, inner))
        elif isinstance(statement, Loop):
            found.append(replace(statement, body=_shared(statement.body, index, inside)))
        else:
            found.append(statement)
    return tuple(found)


def _is_apart(store: Store, index: str, extents: Mapping[str, int]) -> bool:
    """Does the place tell the index, whatever the other indices and the data in the subscripts are?

    It does if the place modulo the greatest common step of some terms leaves ``index`` and smaller terms, which
    together do not reach over one step of ``index``.
    """
    terms = dict(store.address.terms)
    own = abs(terms.pop(index, 0))
    if own == 0 or any(factor < 0 for factor in terms.values()):
        return False
    below = {i: c for i, c in terms.items() if c * extents[i] <= own}
    rest = [c for i, c in terms.items() if i not in below]
    rest += [factor for _, factor in store.address.others]
    reach = sum(c * (extents[i] - 1) for i, c in below.items())
    return reach < own and (not rest or own * extents[index] <= math.gcd(*rest))


# --- all together ------------------------------------------------------------------------------------------------

_Region = tuple[int, int, int]  # slot, from byte, to byte


@dataclass(frozen=True, slots=True)
class _Use:
    """The memory that a step touches, and whether by all threads or by the first alone."""

    by_all: bool
    read: tuple[_Region, ...]
    written: tuple[_Region, ...]


@dataclass(slots=True)
class _Memory:
    """Regions of memory: of each slot, in order, where those begin and end that do not overlap."""

    slots: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)

    def add(self, region: _Region) -> None:
        """One more region; those that it overlaps become one with it."""
        slot, start, stop = region
        starts, stops = self.slots.setdefault(slot, ([], []))
        first, last = bisect_right(stops, start), bisect_left(starts, stop)
        start, stop = min([start, *starts[first:last]]), max([stop, *stops[first:last]])
        starts[first:last], stops[first:last] = [start], [stop]

    def meets(self, region: _Region) -> bool:
        slot, start, stop = region
        starts, stops = self.slots.get(slot, ((), ()))
        last = bisect_left(starts, stop) - 1
        return last >= 0 and stops[last] > start


class _Open:
    """What was done since all threads waited last."""

    def __init__(self, uses: Iterable[_Use] = ()) -> None:
        self.uses: list[_Use] = []
        self.read, self.written = _Memory(), _Memory()
        self.read_by_all, self.written_by_all = _Memory(), _Memory()
        for use in uses:
            self.add(use)

    def add(self, use: _Use) -> None:
        self.uses.append(use)
        for region in use.read:
            self.read.add(region)
            if use.by_all:
                self.read_by_all.add(region)
        for region in use.written:
            self.written.add(region)
            if use.by_all:
                self.written_by_all.add(region)

    def hinders(self, use: _Use) -> bool:
        """Must all threads have done this before one may do something else?

        What the first thread alone does may follow what it alone has done.
        """
        read, written = self.read_by_all, self.written_by_all
        if use.by_all:
            read, written = self.read, self.written
        return any(map(written.meets, (*use.written, *use.read))) or any(
            map(read.meets, use.written)
        )


@dataclass(slots=True)
class _Distribution:
    """The program in the making; ``open`` is what was done since all waited last."""

    plan: Plan
    open: _Open = field(default_factory=_Open)

    def steps(self, parts: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for part in parts:
            if not is_for_team([part]):
                self.meet(found, self.use([part], by_all=False))
                before = found.pop().steps if found and isinstance(found[-1], Alone) else ()
                found.append(Alone((*before, part)))
            elif isinstance(part, (Kernel, Strands)):
                self.meet(found, self.use([part], by_all=True))
                found.append(part)
            elif isinstance(part, Window):  # may be passed over, and what waits in it with it
                before_it = list(self.open.uses)
                found.append(replace(part, steps=tuple(self.steps(part.steps))))
                self.open = _Open([*before_it, self.use([part], by_all=True)])
            else:
                found.append(self.recurrence(part))
        return found

    def meet(self, found: list[Any], use: _Use) -> None:
        """One more use; all wait before it if some use that is open hinders it."""
        if self.open.hinders(use):
            found.append(Wait())
            self.open = _Open()
        self.open.add(use)

    def recurrence(self, part: Recurrence) -> Recurrence:
        """All wait before every turn: it reads what the turn before has written."""
        self.open = _Open()
        steps = (Wait(), *self.steps(part.steps))
        self.open = _Open([self.use([part], by_all=True)])
        return replace(part, steps=steps)

    def use(self, parts: Sequence[Any], by_all: bool) -> _Use:
        touched = [read_and_written(kernel) for kernel in _kernels(parts)]
        read = dict.fromkeys(name for names, _ in touched for name in names)
        written = dict.fromkeys(name for _, names in touched for name in names)
        return _Use(by_all, self.regions(read), self.regions(written))

    def regions(self, names: Mapping[str, None]) -> tuple[_Region, ...]:
        found = []
        for name in names:
            slot, offset = self.plan.places[name]
            if slot != OWN:
                found.append((slot, offset, offset + self.plan.sizes[name]))
        return tuple(dict.fromkeys(found))
