"""What a reduction starts from and how two partial results become one.

A state is ``[value]``, for argmax and argmin ``[value, position]``, of as many types. Partial results are always
combined in the same tree, which depends on the shape alone, so that results do not depend on how the work was shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..scheduling.loops import Accumulator, Range
from .assembler import Assembler, element_type, lanes, like, vector
from .lanes import Lane
from .nodes import Node
from .scalars import apply

__all__ = ["Slot", "combine", "horizontal", "identity", "state_types"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One accumulator in one lane; slots with one key are combined at the end, as are the lanes of spread ones.

    ``best`` is the key of a maximum that is found together with its place.
    """

    accumulator: Accumulator
    node: Node
    lane: Lane
    key: object
    best: object
    types: tuple[str, ...]  # of its state
    is_spread: bool


def state_types(a: Accumulator, type_: str, ranges: Sequence[Range]) -> tuple[str, ...]:
    """The types of an accumulator's state: a place among few takes no more bits than a value does."""
    if a.position is None:
        return (type_,)
    last = {r.index: r.stop - 1 for r in ranges}
    known = all(index in last for index, _ in a.position.terms)
    few = known and sum(last[index] * factor for index, factor in a.position.terms) < 1 << 31
    return type_, "i32" if few and type_ == "float" else "i64"


def identity(a: Assembler, kind: str, type_: str) -> str:
    """What changes nothing: 0, 1, -inf, inf."""
    if kind in ("sum", "prod"):
        return a.constant(type_, 0 if kind == "sum" else 1)
    sign = -1 if kind in ("max", "argmax") else 1
    if element_type(type_) == "i64":
        return a.constant(type_, -(2**63) if sign < 0 else 2**63 - 1)
    return a.constant(type_, sign * math.inf)


def combine(
    a: Assembler,
    kind: str,
    types: Sequence[str],
    states: Sequence[Sequence[str]],
    ordered: bool = False,
) -> list[str]:
    """All states as one, pairwise; ``ordered``: the positions in each come before those in the next."""
    rest = [list(state) for state in states]
    while len(rest) > 1:
        pairs = [
            _pair(a, kind, types, rest[k], rest[k + 1], ordered) for k in range(0, len(rest) - 1, 2)
        ]
        rest = pairs + rest[len(pairs) * 2 :]
    return rest[0]


def _pair(
    a: Assembler, kind: str, types: Sequence[str], x: list[str], y: list[str], ordered: bool
) -> list[str]:
    if not kind.startswith("arg"):
        function = {"sum": "+", "prod": "*"}.get(kind, kind)
        return [apply(a, function, types[0], (x[0], y[0]))]
    takes = _is_better(a, kind, types, x, y, ordered)
    return [
        apply(a, "where", type_, (takes, yes, no))
        for type_, yes, no in zip(types, y, x, strict=True)
    ]


def _is_better(
    a: Assembler, kind: str, types: Sequence[str], x: list[str], y: list[str], ordered: bool
) -> str:
    """Does ``y`` replace ``x``: is it greater, or equal and nearer the front? A NaN beats all but an earlier one."""
    type_, places = types
    bits = like(type_, "i1")
    sign = "gt" if kind == "argmax" else "lt"
    if element_type(type_) == "i64":
        better = a.op(f"icmp s{sign} {type_} {y[0]}, {x[0]}")
        tie = "" if ordered else a.op(f"icmp eq {type_} {y[0]}, {x[0]}")
    else:
        above = a.op(f"fcmp u{sign} {type_} {y[0]}, {x[0]}")
        number = a.op(f"fcmp ord {type_} {x[0]}, {x[0]}")
        better = a.op(f"and {bits} {above}, {number}")
        tie = ""
        if not ordered:
            equal = a.op(f"fcmp ueq {type_} {y[0]}, {x[0]}")
            other = a.op(f"fcmp uno {type_} {y[0]}, {y[0]}")
            alike = a.op(f"or {bits} {number}, {other}")
            tie = a.op(f"and {bits} {equal}, {alike}")
    if ordered:
        return better
    nearer = a.op(f"icmp slt {places} {y[1]}, {x[1]}")
    nearer = a.op(f"and {bits} {tie}, {nearer}")
    return a.op(f"or {bits} {better}, {nearer}")


def horizontal(a: Assembler, kind: str, types: Sequence[str], state: Sequence[str]) -> list[str]:
    """The lanes of a vector as one: halves are combined until one lane is left."""
    elements, count = [element_type(type_) for type_ in types], lanes(types[0])
    now = list(state)
    while count > 1:
        half = count // 2
        parts: list[list[str]] = [[], []]
        for value, each in zip(now, elements, strict=True):
            given = vector(each, count)
            for side, part in enumerate(parts):
                picks = ", ".join(f"i32 {side * half + k}" for k in range(half))
                if half == 1:
                    part.append(a.op(f"extractelement {given} {value}, i64 {side}"))
                else:
                    part.append(
                        a.op(
                            f"shufflevector {given} {value}, {given} poison, <{half} x i32> <{picks}>"
                        )
                    )
        halves = [vector(each, half) for each in elements]
        now = _pair(a, kind, halves, parts[0], parts[1], False)
        count = half
    return now
