"""Caches: how many elements stay near, and the units in which what is larger goes through; for all stages that ask.

What one stage cuts another one must find small enough: blocks of `tiling` are those that `together` keeps near, `again`
computes once more what `groups` counts as lost, and adds up whole units of what these cut. So limits that several go by
stand here. They are rough: caches differ, and so do the bytes of an element.
"""

from __future__ import annotations

__all__ = ["FAR", "HEIGHT", "LINE", "NEAR", "PASSING", "is_far"]

PASSING = 160_000  # elements that pass from kernel to kernel in one block, beside which operands stay near, too
NEAR = 1 << 18  # elements that a core keeps near
FAR = 1 << 21  # elements of a tensor that no cache has when it is read again
HEIGHT, LINE = 32, 128  # rows, and elements of these, in a unit of what is cut both ways


def is_far(size: int) -> bool:
    """Does no cache have a tensor of this size when it is read again?"""
    return size >= FAR
