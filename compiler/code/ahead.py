"""Ahead: what is touched when a fold is done comes near meanwhile, one row in each part of the fold.

Before:   for k in range(0, 256): 8 rows += ...         then 8 rows of old values are read, and of new ones written
After:    for part in range(0, 256, 32):                ask for what belongs to the next row
              for k in range(part, part + 32): 8 rows += ...

What a fold asks for itself (the next panel of a product, see `blocks`) comes in the same way.

A vector may begin in one line and end in the next, of what was read or written beside it before: so it is asked for by
its last byte.

A processor waits for few lines at a time: asked for all at once, they hold up one another and what the fold reads.
Only into the second cache, for the nearest one belongs to the fold.

Declines to part a fold where the parts would be short or of different lengths: then all is asked for before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..language.dtypes import BYTES
from ..scheduling.loops import Affine, Load, Range, Statement, Store, loads
from .assembler import Assembler
from .lanes import Lanes
from .nodes import Node, Nodes
from .values import Values

__all__ = ["Asked", "ask_at_once", "in_parts", "touched"]

_LEAST = 8  # turns of a part
_SECOND = 2  # how near: not into the first cache

Turn = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A vector in the first of some rows and its last byte; those in the others lie ``step`` bytes apart."""

    pointer: str
    last: int
    step: int
    rows: int


def touched(
    asked: Sequence[Load],
    following: Sequence[Statement],
    values: Values,
    nodes: Nodes,
    panels: set[str],
) -> list[Asked]:
    """The vectors that are asked for, and those that some statements read and write."""
    lanes, found = values.lanes, []
    row = next((i for i in lanes.rows if i != lanes.vector), "")
    for tensor, address, node in _places(asked, following, nodes):
        known = all(index in lanes.starts for index in node.indices) and tensor not in panels
        if not known or address.coefficient(lanes.vector or "") != 1:
            continue
        if any(lanes.is_wide(inner) for inner in node.inner):
            continue
        count = lanes.rows[row] if row in node.indices else 1
        step = address.coefficient(row) * BYTES[values.memory[tensor]]
        firsts = [lane for lane in lanes.over(node.indices) if lane.get(row, 0) == 0]
        last = lanes.width * BYTES[values.memory[tensor]] - 1
        pointers = [values.pointer(node, tensor, address, lane) for lane in firsts]
        found += [Asked(pointer, last, step, count) for pointer in pointers]
    return found


def _places(
    asked: Sequence[Load], following: Sequence[Statement], nodes: Nodes
) -> Iterator[tuple[str, Affine, Node]]:
    """Tensors and where in them, each place once; not what is touched under a condition."""
    found: dict[tuple[str, Affine], Load | Affine] = {(a.tensor, a.address): a for a in asked}
    for statement in following:
        for load in loads(statement):
            if load.condition is None:
                found.setdefault((load.tensor, load.address), load)
        if isinstance(statement, Store) and statement.condition is None:
            found.setdefault((statement.tensor, statement.address), statement.address)
    for (tensor, address), value in found.items():
        yield tensor, address, nodes.of(value)


def ask_at_once(a: Assembler, asked: Sequence[Asked]) -> None:
    """All rows of it."""
    for own in asked:
        for row in range(own.rows):
            a.ask(own.pointer, row * own.step + own.last, _SECOND)


def in_parts(
    lanes: Lanes,
    range_: Range,
    carried: Sequence[tuple[str, str]],
    turn: Turn,
    asked: Sequence[Asked],
) -> list[str]:
    """A loop, in parts where there are rows to be asked for: one row in each."""
    a, rows = lanes.a, max((own.rows for own in asked), default=1)
    parts = _parts(range_, rows)
    moving = [own for own in asked if own.rows > 1 and parts is not None]
    ask_at_once(a, [own for own in asked if own not in moving])
    if parts is None or not moving:
        return lanes.loop(range_, carried, turn)
    inner = replace(range_, block=(parts.index, parts.step))

    def part(states: Sequence[str]) -> list[str]:
        stepped = []
        for own, pointer in zip(moving, states[len(carried) :], strict=True):
            a.ask(pointer, own.last, _SECOND)
            stepped.append(a.offset(pointer, own.step))
        here = [(type_, state) for (type_, _), state in zip(carried, states, strict=False)]
        return [*lanes.loop(inner, here, turn), *stepped]

    return lanes.loop(parts, [*carried, *(("ptr", own.pointer) for own in moving)], part)


def _parts(range_: Range, rows: int) -> Range | None:
    """A range over parts of equal length, as many as there are rows or some more."""
    length = range_.block[1] if range_.block else range_.extent
    count = next((n for n in range(rows, 2 * rows + 1) if length % n == 0), 0)
    if rows == 1 or count == 0 or length // count < _LEAST or range_.span > 1 or range_.skip:
        return None
    return replace(range_, index=f"{range_.index}.part", step=length // count)
