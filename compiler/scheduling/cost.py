"""Cost: how much work a kernel is, counted in its loops.

`cycles` guesses how long a kernel runs on one core; whether it is worth waking others for depends on it.
`operations` and `traffic` are what a profile divides the measured time by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from .alike import of_all_alike
from .loops import (
    Accumulator,
    Affine,
    Apply,
    Fold,
    Kernel,
    Load,
    Loop,
    Range,
    Statement,
    Store,
    loads,
    statements,
    values,
    walk,
)
from .tiles import instructions

__all__ = ["cycles", "operations", "traffic"]

_AT_ONCE = 2.0  # vector instructions that begin in one cycle
_CHAINED = 2.0  # slots that an instruction takes where the next one waits for its result
_MOVED = 4.0  # slots that a vector takes from or to memory
_SHARED = 0.2  # of a slot: a load in a contraction that lanes share
_FAR = 1 << 20  # bytes that the nearer caches do not keep
_RATE = 8.0  # of them a cycle
_BYTES = 4  # of an element, mostly
_MOVES = ("convert", "wrap", "inside", "where")


@of_all_alike
def cycles(kernel: Kernel) -> float:
    """Cycles of one call, about: of its instructions, or of what it moves if that comes from far away."""
    moved = _touched(kernel) * _BYTES
    total = moved / _RATE * _AT_ONCE if moved > _FAR else 0.0
    return max(total, _instructions(kernel)) / _AT_ONCE


def _instructions(kernel: Kernel) -> float:
    """Slots for instructions that one call takes, about."""
    total = 0.0
    for statement, turns, _, around in _weighed(kernel.body, (), 1.0, 1.0):
        own = sum(map(instructions, _applied(statement)))
        if isinstance(statement, Fold) and all(map(_is_product, statement.accumulators)):
            own += sum(_loaded(load, around) for load in loads(statement))
        else:
            places = [load.address for load in loads(statement)]
            places += [statement.address] if isinstance(statement, Store) else []
            own = _CHAINED * own + _MOVED * sum(_moves(place, around) for place in places)
        total += own * turns
    return total


def _loaded(load: Load, around: Sequence[Range]) -> float:
    """Slots of a load in a contraction, for each multiply-add: where no lanes share it, all that a vector takes."""
    lanes = [r for r in around if r.span > 1]
    alone = all(load.address.coefficient(r.index) for r in lanes)
    return _MOVED if alone and any(r.width > 1 for r in lanes) else _SHARED


def _touched(kernel: Kernel) -> int:
    """Elements of all tensors that one call reads or writes, but for those that data choose."""
    ranges = [s.range for s in statements(kernel.body) if isinstance(s, Loop)]
    ranges += [r for s in statements(kernel.body) if isinstance(s, Fold) for r in s.ranges]
    extents = {r.index: r.stop for r in ranges}  # of what is left over, too, which comes last
    found: dict[str, int] = {}
    places = [(load.tensor, load.address) for load in kernel.loads]
    for tensor, address in (*places, *((s.tensor, s.address) for s in kernel.stores)):
        count = math.prod(extents.get(i, 1) for i, _ in address.terms)
        found[tensor] = max(count, found.get(tensor, 0))
    return sum(found.values())


def operations(kernel: Kernel) -> int:
    """Arithmetic on elements in one call: a multiply-add is two, an exponential one."""
    total = 0.0
    for statement, _, elements, _ in _weighed(kernel.body, (), 1.0, 1.0):
        own = sum(v.function not in _MOVES for v in _applied(statement))
        own += len(statement.accumulators) if isinstance(statement, Fold) else 0
        own += isinstance(statement, Store) and statement.accumulate
        total += own * elements
    return round(total)


def traffic(kernel: Kernel, sizes: Mapping[str, tuple[int, int]]) -> int:
    """Bytes that one call must move at least; ``sizes`` gives elements and bytes of one for each tensor.

    What is read where it is written too was near.
    """
    places = {(s.tensor, s.address) for s in kernel.stores}
    touched: dict[tuple[str, bool], float] = {}
    for statement, _, elements, _ in _weighed(kernel.body, (), 1.0, 1.0):
        read = (a for a in loads(statement) if (a.tensor, a.address) not in places)
        for tensor in {load.tensor: None for load in read}:
            touched[tensor, False] = touched.get((tensor, False), 0.0) + elements
        if isinstance(statement, Store):
            touched[statement.tensor, True] = touched.get((statement.tensor, True), 0.0) + elements
    own = {panel.name for panel in kernel.panels}
    moved = ((sizes[t], n) for (t, _), n in touched.items() if t in sizes and t not in own)
    return round(sum(min(n, elements) * item for (elements, item), n in moved))


def _is_product(accumulator: Accumulator) -> bool:
    """Is its addition part of a multiply-add?"""
    value = accumulator.value
    return accumulator.kind == "sum" and isinstance(value, Apply) and value.function == "*"


def _moves(address: Affine, around: Sequence[Range]) -> int:
    """Instructions that bring a vector from or to memory: one, or one for each lane."""
    wide = next((r for r in around if r.width > 1), None)
    return 1 if wide is None or address.coefficient(wide.index) in (0, 1) else wide.width


def _applied(statement: Statement) -> list[Apply]:
    return [v for top in values(statement) for v in walk(top) if isinstance(v, Apply)]


def _weighed(
    body: Sequence[Statement], around: tuple[Range, ...], turns: float, elements: float
) -> Iterator[tuple[Statement, float, float, tuple[Range, ...]]]:
    """Every statement with how often it runs, counted in vectors and in elements, and the ranges around it."""
    for statement in body:
        match statement:
            case Loop(range_, inner):
                more, each = _counts((range_,), around)
                yield from _weighed(inner, (*around, range_), turns * more, elements * each)
            case Fold(ranges, inner, _):
                more, each = _counts(ranges, around)
                yield statement, turns * more, elements * each, around
                yield from _weighed(inner, (*around, *ranges), turns * more, elements * each)
            case _:
                yield statement, turns, elements, around


def _counts(ranges: Sequence[Range], around: Sequence[Range]) -> tuple[float, float]:
    """How many vectors and elements some ranges have; of one that is cut into blocks, those of a block."""
    turns = elements = 1.0
    for range_ in ranges:
        count: float = range_.turns if range_.step else range_.extent
        if range_.block is not None:
            index, length = range_.block
            count /= next(r.turns for r in (*around, *ranges) if r.index == index)
            step = range_.step or 1
            count = min(count, length / step) - range_.skip / step
        elements *= count
        turns *= count if range_.step else math.ceil(count / range_.width)
    return turns, elements
