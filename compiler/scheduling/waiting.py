"""Waiting: where the sums of a block of terms wait for those of the next one.

Before:   s = sum of sums
          C[512*i + j] = s
After:    for k.block in range(0, 512, 256):
              s.part = sum
              C[512*i + j] = (C[512*i + j] if k.block > 0 else 0) + s.part

They wait in the result, if there is one for each of them that nobody here reads: what is done with the whole sum finds
it there. Else they wait in a panel. The first block reads zeros, so that nobody has to write them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from fractions import Fraction
from functools import reduce

from .loops import (
    Affine,
    Apply,
    Let,
    Literal,
    Load,
    Range,
    Register,
    Statement,
    Store,
    Value,
    loads,
    walk,
)

__all__ = ["added", "is_all", "place_in_result", "waited_for"]


def place_in_result(
    around: Sequence[Statement],
    after: Sequence[Statement],
    type_: str,
    used: Container[str],
    column: str,
    row: str,
) -> Load | None:
    """What is stored for every sum in a place of its own, in a tensor that is neither read there nor ``used``.

    It is stored ``after`` the sum has been taken from there: what was stored before would be in its place.
    """
    stored = [s.tensor for s in around if isinstance(s, Store)]
    read = {load.tensor for s in around for load in loads(s)}
    for statement in after:
        match statement:
            case Store(tensor, Affine(_, _, ()) as address, value, False, None) if (
                tensor not in read
                and tensor not in used
                and stored.count(tensor) == 1
                and value.type == type_
                and address.coefficient(column) == 1
                and address.coefficient(row) != 0
            ):
                return Load(tensor, address, type_)
    return None


def added(place: Load, part: Register, blocks: Sequence[Range]) -> Store:
    """The sum of a block of terms, added to those that wait; none do in the first of the blocks."""
    begun: list[Value] = [
        Apply(">", (Affine(0, ((r.index, 1),)), Literal(Fraction(r.start), "i64")), "i1")
        for r in blocks
    ]
    some = reduce(lambda a, b: Apply("or", (a, b), "i1"), begun)
    before = Load(place.tensor, place.address, place.type, some)
    return Store(place.tensor, place.address, Apply("+", (before, part), part.type))


def waited_for(load: Load) -> frozenset[str] | None:
    """The blocks over which what is read has waited: nothing is read in the first turn of all of them."""
    found = set()
    for value in walk(load.condition) if load.condition is not None else ():
        match value:
            case Apply(">", (Affine(_, ((index, 1),), ()), Literal())):
                found.add(index)
            case Apply("or") | Affine() | Literal():
                pass
            case _:
                return None
    return frozenset(found) or None


def is_all(around: Sequence[Statement], sum_: Register, tensor: str) -> bool:
    """Is nothing done around a sum but to store it in this tensor?"""
    *lets, last = around
    same = {sum_}
    for statement in lets:
        match statement:
            case Let(register, Register() as value) if value in same:
                same.add(register)
            case _:
                return False
    return isinstance(last, Store) and last.tensor == tensor and last.value in same
