"""Idle: a block in which a condition makes everything zero is passed over.

Before:   for block in range(0, 32):
              for block2 in range(0, 4):
                  for t:64, s:512:    z[t, s] = where(512*block2 + s <= 64*block + t, d[t, s], 0)
                  for s:512, o:32:    g[512*block2 + s, o] += sum[t:64](z[t, s]*x[64*block + t, o])
After:    for block in range(0, 32):
              for block2 in range(0, 4):
                  if 64*block - 512*block2 + 63 >= 0:
                      for t:64, s:512:    z[t, s] = ...

A comparison of indices that holds nowhere in a block is one of the numbers of blocks. Tensors that have one value
everywhere then are read as that value; where all sums that leave the block come to zero, it need not be done. Zero
times anything counts as zero.

Declines where something else leaves the block, and where the comparison depends on data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from math import ceil, floor
from typing import Any

from ..language.expression import (
    Call,
    Expr,
    Index,
    children,
)
from ..language.form import of_form
from ..language.integers import polynomial
from ..language.notes import Note, note
from ..language.steps import Guard, Strand, Strands
from ..language.system import Equation
from .fuse import Fusion
from .known import ZERO, Extents, Known, inside, is_literal

__all__ = ["idle"]

Terms = tuple[tuple[Index, int], ...]
Form = tuple[Terms, int]  # what is not negative where a comparison holds somewhere


@of_form
def _forms_of(equation: Equation) -> list[Form]:
    """Where comparisons in an equation hold for some values of the indices that run within a block."""
    return [form for form in _forms(equation.value, equation.extents) if form[0]]


def idle(parts: Sequence[Any], own: Set[str], notes: list[Note] | None = None) -> tuple[Any, ...]:
    """The program, of whose blocks only those are done that change something; ``own`` are tensors within blocks."""
    found = []
    for part in parts:
        if isinstance(part, Strand) and all(isinstance(step, Fusion) for step in part.steps):
            form = _form_of(part.steps, own)
            if form is not None:
                part = replace(part, steps=(Guard(*form, part.steps),))
                name = part.steps[0].steps[0].equations[0].target
                note(notes, "idle", name, "blocks without anything are passed over")
        elif isinstance(part, (Strands, Strand)):
            part = replace(part, steps=idle(part.steps, own, notes))
        found.append(part)
    return tuple(found)


def _form_of(kernels: Sequence[Fusion], own: Set[str]) -> Form | None:
    """Where some kernels have to be done, if that is not everywhere."""
    equations = [e for kernel in kernels for e in kernel.equations]
    kept = frozenset(own).union(*(kernel.kept for kernel in kernels))
    forms = [form for equation in equations for form in _forms_of(equation)]
    return next((f for f in dict.fromkeys(forms) if _Block(f, kept).is_zero(equations)), None)


def _forms(e: Expr, extents: Extents) -> Iterator[Form]:
    """Where comparisons hold for some values of the indices that run within a block."""
    form = _form(e, extents)
    if form is not None:
        yield form
    for child in children(e):
        yield from _forms(child, inside(e, extents))


def _form(e: Expr, extents: Extents) -> Form | None:
    match e:
        case Call("<=" | "<", (a, b)) | Call(">=" | ">", (b, a)):
            difference = polynomial(b - a)
        case _:
            return None
    terms, most = [], difference.constant
    for monomial, factor in difference.terms:
        match monomial:
            case ():
                continue
            case (Index() as index,) if isinstance(factor, int):
                if index in extents:
                    most += max(0, factor * (extents[index] - 1))
                else:
                    terms.append((index, factor))
            case _:
                return None
    constant = floor(most) if "=" in e.function else ceil(most) - 1  # all else are whole numbers
    return tuple(sorted(terms, key=lambda term: term[0].name)), constant


class _Block(Known):
    """A block in which a comparison holds nowhere: which tensors have one value then."""

    def __init__(self, form: Form, own: Set[str]) -> None:
        super().__init__()
        self.form, self.own = form, own

    def is_zero(self, equations: Sequence[Equation]) -> bool:
        """Does nothing leave the block but sums, and are these all zero?"""
        targets = [e.target for e in equations]
        for equation in equations:
            value = self.value(equation.value, equation.extents)
            if equation.accumulate:
                if value != ZERO:
                    return False
            elif equation.target not in self.own:
                return False
            elif targets.count(equation.target) == 1 and is_literal(value):
                self.values[equation.target] = value
        return any(e.accumulate for e in equations)

    def holds(self, e: Expr, extents: Extents) -> bool | None:
        return False if _form(e, extents) == self.form else None
