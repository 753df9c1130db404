"""Narrow: a place among few is kept in a byte.

Before:   p: i32[64, 14, 14, 16] local    with    p[n, h, w, c] = argmax[i:2, j:2](x[n, 2*h + i, 2*w + j, c])
After:    p: i8[64, 14, 14, 16] local     with the same equation

A quarter of it passes through memory on the way to those who ask where the maximum was. Declines for what is seen from
outside; where rows are no whole vectors; and where somebody reads it otherwise than row by row: bytes that lie apart,
or are fewer than a vector has, come one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod

from ..language.expression import Element, Index, Number, Reduce
from ..language.form import names_read
from ..language.notes import Note, note
from ..language.system import Equation, System, Tensor, reads

__all__ = ["narrow"]

PLACES = 128  # that a byte with a sign can tell apart
LANES = 16  # elements of a row that come together


def narrow(system: System, notes: list[Note] | None = None) -> System:
    """The system, places among few in bytes."""
    written: dict[str, list[Equation]] = {}
    asked: dict[str, list[tuple[Element, Equation]]] = {}
    for equation in system.equations:
        written.setdefault(equation.target, []).append(equation)
    states = system.new_values
    integers = {t.name for t in system.tensors if t.dtype in ("int32", "int64")}
    for equation in system.equations:
        if not integers.isdisjoint(names_read(equation)):
            for element in reads(equation):
                asked.setdefault(element.tensor, []).append((element, equation))

    def kept(tensor: Tensor) -> Tensor:
        own = written.get(tensor.name, [])
        is_ours = tensor.role == "local" and tensor.name in integers
        if not own or not is_ours or tensor.name in states or not all(map(_is_place, own)):
            return tensor
        is_whole = bool(tensor.shape) and tensor.shape[-1] % LANES == 0
        if not is_whole or not _are_along(own, asked.get(tensor.name, ())):
            note(notes, "narrow", tensor.name, "declined: it is not read in whole rows")
            return tensor
        note(notes, "narrow", tensor.name, "places in bytes")
        return replace(tensor, dtype="int8")

    return replace(system, tensors=tuple(map(kept, system.tensors)))


def _is_place(equation: Equation) -> bool:
    """Is its value a place among few?"""
    match equation.value:
        case Reduce("argmax" | "argmin", _, binders) if not equation.accumulate:
            known = all(isinstance(b.size, Number) for b in binders)
            return known and prod(b.extent for b in binders) <= PLACES
    return False


def _are_along(written: Iterable[Equation], asked: Iterable[tuple[Element, Equation]]) -> bool:
    """Do all move along the rows as their own results do?"""
    here = all(isinstance(e.subscripts[-1], Index) for e in written)
    return here and all(
        equation.subscripts and element.subscripts[-1] == equation.subscripts[-1]
        for element, equation in asked
    )
