"""Plan: where every tensor lies.

Inputs, parameters and outputs lie where the caller says. Local tensors lie in one arena, 64-byte aligned, and take the
place of others that are no longer read; those with borders of zeros keep their place for themselves, for nobody writes
the borders again. The new value of a state is written into the state itself where all who read the old value have done
so (or read just the element that they replace); otherwise it is copied at the end of the step.

Behind the arena every thread has memory of its own: the panels of the kernel that it runs, always in the same place,
which therefore stays near; behind those the blocks that kernels hand on. It is no stack, for who calls may have a small
one.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, NamedTuple

from ..language.dtypes import BYTES, dtype_of
from ..language.system import Equation, System, Tensor, copying, fresh_name
from .alike import anonymous, of_all_alike
from .loops import Affine, Fold, Kernel, Loop, Statement, Store, loads, statements
from .lower import Storage

__all__ = [
    "OWN",
    "Plan",
    "copies",
    "in_place",
    "lowest_gap",
    "panel_places",
    "plan",
    "with_own_values",
]

ALIGNMENT = 64
PAGE = 4096
OWN = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """Place of each tensor: (slot, offset in bytes); the slot after the last is the arena, `OWN` each thread's own."""

    slots: tuple[Tensor, ...]
    places: Mapping[str, tuple[int, int]]
    sizes: Mapping[str, int]  # in bytes, borders included
    arena: int
    own: int  # bytes from what is one thread's own to what is the next one's
    zeros: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        lines = [f"arena of {self.arena} bytes, and {self.own} for each thread"]
        for name, (slot, offset) in self.places.items():
            names = [*(t.name for t in self.slots), "arena", "own"]
            where = names[slot]
            lines.append(f"{name}: {where} + {offset}")
        return "\n".join(lines)


def plan(
    parts: Sequence[Any],
    storages: Mapping[str, Storage],
    system: System,
    shared: Mapping[str, str],
    own: Iterable[str] = (),
) -> Plan:
    """Places for all tensors that the kernels touch.

    ``shared`` gives new values the place of their state; of what is ``own`` each thread has a block to itself.
    """
    slots = tuple(t for t in system.tensors if t.role != "local")
    places = {t.name: (k, 0) for k, t in enumerate(slots)}
    places |= {new: places[state] for new, state in shared.items()}
    lives: dict[str, tuple[int, int]] = {}
    for time, part in enumerate(parts):
        for name in (t for kernel in _kernels([part]) for t in kernel.tensors):
            if name not in places:
                lives[name] = (lives.get(name, (time, time))[0], time)
    ends = [max((panel_places(k)[-1] for k in _kernels([part])), default=0) for part in parts]
    for name in own:
        time, _ = lives.pop(name)
        places[name] = (OWN, ends[time])
        ends[time] += _bytes(storages[name])
    taken: list[tuple[int, int, int, int]] = []  # offset, end, first use, last use; in this order
    zeros = []
    for name in sorted(lives, key=lambda n: -_bytes(storages[n])):  # the largest first
        first, last = lives[name]
        size = _bytes(storages[name])
        if storages[name].origin or storages[name].shape != storages[name].tensor.shape:
            first, last = 0, len(parts)
        offset = lowest_gap(size, first, last, taken)
        insort(taken, (offset, offset + size, first, last))
        places[name] = (len(slots), offset)
        if (first, last) == (0, len(parts)):
            zeros.append((offset, size))
    sizes = {name: _bytes(storages[name]) for name in places}
    arena = max((end for _, end, _, _ in taken), default=0)
    return Plan(slots, places, sizes, arena, _apart(max(ends, default=0)), tuple(zeros))


def panel_places(kernel: Kernel) -> list[int]:
    """Where its panels begin in what is a thread's own, and where the last one ends."""
    lengths = (_aligned(BYTES[panel.type] * panel.length) for panel in kernel.panels)
    return list(accumulate(lengths, initial=0))


def _apart(length: int) -> int:
    """Threads that share a cache should not want the same places in it."""
    return -(-length // PAGE) * PAGE + PAGE // 2 if length else 0


def _bytes(storage: Storage) -> int:
    return _aligned(max(storage.size, 1) * dtype_of(storage.tensor.dtype).bytes)


def _aligned(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT


def lowest_gap(size: int, first: int, last: int, taken: list[tuple[int, int, int, int]]) -> int:
    """The first place between those that are taken at the same time."""
    offset = 0
    for start, end, since, until in taken:
        if end > offset and since <= last and first <= until:
            if start - offset >= size:
                break
            offset = end
    return offset


def _kernels(parts: Sequence[Any]) -> Iterator[Kernel]:
    for part in parts:
        if isinstance(part, Kernel):
            yield part
        else:
            yield from _kernels(part.steps)


# --- states ------------------------------------------------------------------------------------------------------


def with_own_values(system: System) -> System:
    """Every state takes the value of a local tensor of its own and of its dtype (so that no copy can hurt another)."""
    tensors, equations, updates = list(system.tensors), list(system.equations), []
    known = dict(system.by_name)
    taken: set[str] = set()
    for state, new in system.updates:
        tensor = known[state]
        if known[new].role != "local" or known[new].dtype != tensor.dtype or new in taken:
            name = fresh_name(f"{state}.value", known)
            tensors.append(replace(tensor, name=name, role="local"))
            known[name] = tensors[-1]
            equations.append(_copy(tensors[-1], new))
            new = name
        taken.add(new)
        updates.append((state, new))
    return System(tuple(tensors), tuple(equations), tuple(updates))


def copies(system: System, shared: Mapping[str, str]) -> list[Equation]:
    """What is left to do at the end of a step: ``state = new value``."""
    known = dict(system.by_name)
    return [_copy(known[state], new) for state, new in system.updates if new not in shared]


def _copy(target: Tensor, source: str) -> Equation:
    return copying(source, target.name, target.shape, f"new value of {target.name}")


def in_place(
    parts: Sequence[Any], storages: Mapping[str, Storage], system: System
) -> dict[str, str]:
    """New values that may be written over their state: {new value: state}."""
    uses: dict[str, list[int]] = {}
    for time, part in enumerate(parts):
        for name in dict.fromkeys(t for kernel in _kernels([part]) for t in kernel.tensors):
            uses.setdefault(name, []).append(time)
    return {
        new: state
        for state, new in system.updates
        if storages[new].shape == storages[state].shape and _may_replace(parts, uses, state, new)
    }


def _may_replace(parts: Sequence[Any], uses: Mapping[str, list[int]], state: str, new: str) -> bool:
    """Is everybody done with the old value when the new one is first written, or reads just what it replaces?"""
    if new not in uses:
        return False
    first, last = uses[new][0], uses.get(state, [-1])[-1]
    if last < first:
        return True
    kernel = parts[first]
    return (
        last == first
        and isinstance(kernel, Kernel)
        and not _overlaps(kernel)
        and _same_element(kernel, state, new)
    )


@of_all_alike
def _overlaps(kernel: Kernel) -> bool:
    """Is anything computed twice, as the last tile is moved back?"""
    return any(isinstance(s, Loop) and s.range.overlap for s in statements(kernel.body))


def _same_element(kernel: Kernel, state: str, new: str) -> bool:
    """Does the kernel read of the old value only the element that it replaces, and before it does?"""
    common, names = anonymous(kernel)
    old, new = names[state], names[new]
    stored, loaded, late = common.fact(_touched)
    if new in loaded or (old, new) in late:
        return False
    return len(stored[new] | loaded.get(old, set())) == 1


class _Touched(NamedTuple):
    """Where each tensor is stored and loaded; ``late``: which one is loaded after which other one was stored."""

    stored: dict[str, set[Affine]]
    loaded: dict[str, set[Affine]]
    late: set[tuple[str, str]]


def _touched(kernel: Kernel) -> _Touched:
    """Of loops side by side that store a tensor each has elements of its own: so these load nothing late."""
    found = _Touched({}, {}, set())
    _touch(kernel.body, found)
    return found


def _touch(body: Sequence[Statement], found: _Touched) -> tuple[set[str], set[str]]:
    """What statements store and load, in any order; their places, and what is late, are put to what was found."""
    stored, loaded = set[str](), set[str]()
    for statement in body:
        own, read = set[str](), set[str]()
        if isinstance(statement, (Loop, Fold)):
            own, read = _touch(statement.body, found)
        elif isinstance(statement, Store):
            own.add(statement.tensor)
            found.stored.setdefault(statement.tensor, set()).add(statement.address)
        for load in loads(statement):
            read.add(load.tensor)
            found.loaded.setdefault(load.tensor, set()).add(load.address)
        found.late.update((old, new) for new in stored - own for old in read)
        stored |= own
        loaded |= read
    return stored, loaded
