"""Streams: addresses that move with the innermost loop of a fold become pointers that step along.

Before:   for k in range(512):    s += x[512*n + k]*w[16*k + o]
After:    a, b = &x[512*n], &w[o]
          for k in range(512):    s += *a * *b;   a, b = a + 1, b + 16

Memory that the processor would not foresee, for its lines lie far apart, is asked for some turns before it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from ..language.dtypes import BYTES
from ..scheduling.loops import Affine, Fold, Load, Range, Store
from ..scheduling.loops import values as values_of
from .values import Values

__all__ = ["AHEAD", "Stream", "step", "streams"]

AHEAD = 32  # turns of a fold in which a line comes from afar
_NEARER = 8  # in which one comes that was asked for before
_LINE = 64  # bytes that come together; the next line comes by itself


@dataclass(frozen=True, slots=True)
class Stream:
    """A pointer that moves ``step`` bytes with every turn of a loop, and where it starts.

    ``asked``: how many turns ahead, and which bytes, counted from where it is.
    """

    load: Load
    step: int
    start: str
    turns: int
    asked: tuple[int, ...]


def streams(fold: Fold, range_: Range, values: Values, panels: Set[str]) -> list[Stream]:
    """The addresses that move with a range, each once."""
    lanes, a = values.lanes, values.a
    found: dict[object, Stream] = {}
    nearer = {load.tensor for load in fold.asked}
    begin = range_.start if range_.block is None else lanes.starts[range_.block[0]]
    for load in _loads(fold, values):
        factor = load.address.coefficient(range_.index)
        known = all(i in lanes.starts for i, _ in load.address.terms if i != range_.index)
        if not factor or load.address.others or not known:
            continue
        lanes.starts[range_.index] = begin
        _, moving = values.split(Affine(0, load.address.terms), {})
        del lanes.starts[range_.index]
        key = (load.tensor, factor, *moving)
        if key not in found:
            bytes_ = BYTES[values.memory[load.tensor]]
            base = values.pointers[load.tensor]
            for operand, c in moving:
                base = a.offset(base, values.times(operand, c * bytes_))
            if isinstance(begin, int) and begin:
                base = a.offset(base, begin * factor * bytes_)
            own = factor * range_.advance * bytes_
            is_seen = abs(own) <= _LINE or range_.span > 1 or load.tensor in panels
            asked = () if is_seen else _unforeseen(load, fold, values)
            turns = _NEARER if load.tensor in nearer else AHEAD
            found[key] = Stream(load, own, base, turns, asked)
    return list(found.values())


def _unforeseen(load: Load, fold: Fold, values: Values) -> tuple[int, ...]:
    """Bytes that every turn reads far from those of the turn before: the last one of each line, see `ahead`.

    What runs in vectors counts while it is copied into a panel: from there it comes the other times.
    """
    lanes = values.lanes
    if lanes.vector is None or not load.address.coefficient(lanes.vector):
        return (0,)
    if all(isinstance(s, Store) and s.value != load for s in fold.body):
        return ()
    bytes_ = lanes.rows.get(lanes.vector, 1) * lanes.width * BYTES[load.type]
    return tuple([min(end, bytes_) - 1 for end in range(_LINE, bytes_ + _LINE, _LINE)])


def step(own: Sequence[Stream], pointers: Sequence[str], values: Values) -> list[str]:
    """Where the pointers are in the next turn; in this one addresses are found from them."""
    stepped = []
    for stream, pointer in zip(own, pointers, strict=True):
        split = values.split(Affine(0, stream.load.address.terms), {})[1]
        values.lanes.keep((stream.load.tensor, *split), pointer)  # what `pointer` looks for
        stepped.append(values.a.stepped(pointer, stream.step))
        for place in stream.asked:
            values.a.ask(pointer, stream.turns * stream.step + place)
    return stepped


def _loads(fold: Fold, values: Values) -> Iterator[Load]:
    """What one turn of a fold reads."""
    stack = [values.nodes.of(v) for s in reversed((fold, *fold.body)) for v in values_of(s)]
    while stack:
        node = stack.pop()
        if isinstance(node.value, Load):
            yield node.value
        stack.extend(reversed(node.inner))
