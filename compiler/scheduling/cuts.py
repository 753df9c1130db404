"""Cuts: the ways in which the indices of a kernel may be cut, if its blocks are done one by one with those of others.

    z[n, h, o]      n in blocks that threads share; or these, each in blocks of h, in order
                    large: all values of n around, one by one, and in each h in blocks that threads share
                           or blocks of h and o, in order, of whole units, where threads share n

A level of a group is made of each cut (see `group`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Literal, NamedTuple

from ..caches import FAR, HEIGHT, LINE
from ..language.expression import Index
from .regions import Work

__all__ = ["AROUND", "FEWEST", "IN_ORDER", "LARGE", "SHARED", "Cut", "Kind", "choices"]

FEWEST = 8  # blocks that threads share
FEW = 4  # of them, in large tensors
FEWER = 2  # of them, where lines are cut
LARGE = FAR // 2  # elements of a tensor that is worth levels around

Kind = Literal["around", "shared", "in order"]
AROUND: Kind = "around"
SHARED: Kind = "shared"
IN_ORDER: Kind = "in order"


class Cut(NamedTuple):
    """An index that is cut into so many units at least, of so many values at least."""

    row: Index
    kind: Kind
    fewest: int = 2
    length: int = 1


def choices(work: Work, sizes: Mapping[str, int]) -> Iterator[tuple[bool, tuple[Cut, ...]]]:
    """Indices whose blocks threads may share, alone and with others; is it for a large tensor?

    Vectors are left whole, but for large tensors of which threads have rows of their own in many blocks.
    """
    extents, every = work.extents, list(work.extents)
    if 0 in extents.values():
        return
    outer, last = every[: max(1, len(every) - 1)], every[-1:]
    many = [i for i in outer if extents[i] >= FEWEST][:3]
    yield from ((False, (Cut(i, SHARED, FEWEST),)) for i in many)
    pairs = combinations(many, 2)
    yield from ((False, (Cut(i, SHARED, FEWEST), Cut(j, IN_ORDER))) for i, j in pairs)
    if work.most(sizes) <= LARGE:
        return
    several = [i for i in outer if extents[i] > 1]
    whole = ((), *((Cut(i, IN_ORDER),) for i in several))
    lines = [Cut(i, IN_ORDER, length=LINE) for i in last]
    apart = ((Cut(i, IN_ORDER, length=HEIGHT), *lines) for i in several)
    for inner in (*whole, *apart):
        taken = [cut.row for cut in inner]
        for shared in (i for i in several if i not in taken):
            around = [Cut(i, AROUND) for i in several if i not in (shared, *taken)]
            few = FEW if len(inner) < 2 else FEWER
            yield True, (*around, Cut(shared, SHARED, few), *inner)
