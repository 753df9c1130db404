"""Past: what is large and read late goes to memory past the caches.

Before:   turned[2064*i0 + i1] = v1        each line is brought from memory, written, and brought back
After:    turned[2064*i0 + i1] = v1        written only; what the caches hold stays there

Whole lines at once, by kernels that only move or change single elements: a sum has results that wait, or are read next.
The processor puts such stores in no order with others, so that a fence stands at the end of the kernel.

Declines for what caches may still have when it is read (see `caches`), for memory of the caller, which begins anywhere,
and where vectors are no lines.
"""

from __future__ import annotations

from math import prod

from ..caches import is_far
from ..language.dtypes import BYTES
from ..scheduling.alike import anonymous
from ..scheduling.loops import Affine, Fold, Kernel, Loop, statements
from ..scheduling.plan import Plan
from ..target import Target
from .assembler import Assembler

__all__ = ["fence", "is_line", "past", "store_past"]

_LINE = 64  # bytes


def past(kernel: Kernel, plan: Plan, target: Target) -> frozenset[str]:
    """The tensors of the arena that a kernel writes past the caches."""
    common, names = anonymous(kernel)
    found = common.fact(_late) if target.vector_bytes == _LINE else ()
    arena = len(plan.slots)
    return frozenset(
        old for old, new in names.items() if new in found and plan.places[old][0] == arena
    )


def _late(kernel: Kernel) -> frozenset[str]:
    """The tensors that a kernel may write past the caches, wherever they lie."""
    inside = list(statements(kernel.body))
    if kernel.outer or any(isinstance(s, Fold) for s in inside):
        return frozenset()
    ranges = [s.range for s in inside if isinstance(s, Loop)]
    if any(r.start % r.width for r in ranges):
        return frozenset()
    extents = {r.index: r.stop for r in ranges}
    read = {load.tensor for load in kernel.loads}
    return frozenset(
        s.tensor
        for s in kernel.stores
        if s.tensor not in read and not s.accumulate
        if is_far(prod(extents.get(i, 1) for i, _ in s.address.terms))
    )


def is_line(address: Affine, vector: str | None, width: int, element: str) -> bool:
    """Is a vector of such an address a whole line, in whichever turn?"""
    steps = (c for i, c in address.terms if i != vector)
    whole = width * BYTES[element] == _LINE and not address.others
    return whole and all(c % width == 0 for c in (address.constant, *steps))


def store_past(a: Assembler, type_: str, value: str, pointer: str) -> None:
    """A line goes to memory."""
    a.declare("!0 = !{i32 1}")
    a.line(f"store {type_} {value}, ptr {pointer}, align {_LINE}, !nontemporal !0")


def fence(a: Assembler) -> None:
    """All that went past the caches is there before anything that comes after."""
    a.declare("declare void @llvm.x86.sse.sfence()")
    a.line("call void @llvm.x86.sse.sfence()")
