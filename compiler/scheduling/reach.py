"""Reach: rows end where a comparison of indices leaves nothing of them.

Before:   for block in range(0, 64):
              for t:64, s:4096:    z[t, s] = where(s <= 64*block + t, d[64*block + t, s], -inf)
              for t:64:            m[t] = max[s:4096](z[t, s])
              for t:64:            n[t] = sum[s:4096](exp(z[t, s] - m[t]))
After:    for block in range(0, 8):
              for t:64, s:512:     z[t, s] = where(s <= 64*block + t, d[64*block + t, s], -inf)
              for t:64:            m[t] = max[s:512](z[t, s])
              for t:64:            n[t] = sum[s:512](exp(z[t, s] - m[t]))
          for block in range(8, 16):                                        and so on, up to s:4096

Blocks of rows go in some ranges, and in each of them rows are as long as its blocks need, at most. What lies beyond is
known there: a maximum finds nothing in it, and sums come to zero. ``-inf - m[t]``, where ``m[t]`` is the maximum of the
row, counts as infinite: a row that has nothing has it within its reach, too, as there is always something of it left.

Declines where what lies beyond is no number that is known, or is seen by others than the kernels of the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any, NamedTuple

from ..language.expression import (
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Reduce,
    children,
    expr,
    rebuild,
    reduces,
    substitute,
    walk,
)
from ..language.form import of_form
from ..language.integers import polynomial
from ..language.notes import Note, note
from ..language.steps import Strand, Strands
from ..language.system import Equation, reads
from .fuse import Fusion
from .known import NONE, ZERO, Extents, Known, inside, is_literal

__all__ = ["reach"]

RANGES = 8  # of blocks, at most: nine sixteenths are done of a square of which one half is left
STEP = 128  # elements, at least, by which the reach of one and of the next differ
LINE = 64  # elements of a row, whole vectors of which are kept
NEUTRAL = {"sum": ZERO, "max": NONE, "min": Constant("inf")}
Span = tuple[int, int]  # the first, and the first that is not


def reach(
    parts: Sequence[Any],
    own: Set[str],
    notes: list[Note] | None = None,
    around: Mapping[Index, Span] | None = None,
) -> tuple[Any, ...]:
    """The program, of whose rows only as much is done as may hold something; ``own`` are tensors within blocks."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, Strand):
            inner = {**(around or {}), part.index: (part.start, part.stop)}
            if all(isinstance(step, Fusion) for step in part.steps):
                found += _ranges(part, own, inner, notes)
                continue
            part = replace(part, steps=reach(part.steps, own, notes, inner))
        elif isinstance(part, Strands):
            part = replace(part, steps=reach(part.steps, own, notes, around))
        found.append(part)
    return tuple(found)


def _ranges(
    part: Strand, own: Set[str], around: Mapping[Index, Span], notes: list[Note] | None
) -> list[Strand]:
    """The blocks in ranges, each with its own reach; as they were where that is no gain."""
    turns = part.stop - part.start
    for kernel in part.steps:
        for bound in _bounds(kernel, around):
            count = max(1, min(RANGES, turns, bound.size // STEP))
            ends = [part.start + turns * k // count for k in range(count + 1)]
            spans = [{**around, part.index: span} for span in pairwise(ends)]
            limits = [bound.limits(each) for each in spans]
            if all(limit == (0, bound.size) for limit in limits):
                continue
            name = kernel.equations[0].target
            rows = _Rows(part.steps, kernel, bound, own)
            pairs = list(zip(spans, limits, strict=True))
            if not all(rows.may_end(each, limit) for each, limit in pairs):
                note(notes, "reach", name, "declined: what lies beyond is asked for")
                continue
            note(notes, "reach", name, f"in {count} ranges, as far as there may be anything")
            return [
                replace(part, start=start, stop=stop, steps=rows.steps(limit))
                for (start, stop), limit in zip(pairwise(ends), limits, strict=True)
            ]
    return [part]


# --- how far a comparison reaches --------------------------------------------------------------------------------


class _Bound(NamedTuple):
    """An index of a kernel, its size, and what is not negative where comparisons hold."""

    column: Index
    size: int
    differences: tuple[Expr, ...]
    extents: Extents

    def limits(self, around: Mapping[Index, Span]) -> Span:
        """Between which values all comparisons may hold, in whole lines; something is always left."""
        spans = {**around, **_spans(self.extents), self.column: (0, 1)}
        first, last = 0, self.size
        for difference in self.differences:
            factor = dict(polynomial(difference).terms)[self.column,]
            _, most = _least_and_most(difference, spans) or (0, 0)
            if factor > 0:
                first = max(first, ceil(-most / factor))
            else:
                last = min(last, floor(-most / factor) + 1)
        first = min(first, self.size - 1) // LINE * LINE
        last = max(first + 1, last)
        return first, min(self.size, last + -last % LINE)


def _bounds(kernel: Fusion, around: Mapping[Index, Span]) -> Iterator[_Bound]:
    """The indices of its places that comparisons bound."""
    extents = kernel.equations[0].extents
    found: dict[Index, dict[Expr, None]] = {}
    for equation in kernel.equations:
        for difference in _differences(equation):
            if _least_and_most(difference, {**around, **_spans(extents)}) is None:
                continue
            terms = dict(polynomial(difference).terms)
            for index in extents:
                if (index,) in terms and index in equation.subscripts:
                    found.setdefault(index, {})[difference] = None
    for index, differences in found.items():
        yield _Bound(index, extents[index], tuple(differences), extents)


def _spans(extents: Extents) -> dict[Index, Span]:
    return {index: (0, size) for index, size in extents.items()}


@of_form
def _differences(equation: Equation) -> list[Expr]:
    """What is not negative where its comparisons hold."""
    return list(filter(None, map(_difference, walk(equation.value))))


def _difference(e: Expr) -> Expr | None:
    """What is not negative where a comparison holds."""
    match e:
        case Call("<=" | "<", (a, b)) | Call(">=" | ">", (b, a)):
            return b - a
    return None


def _least_and_most(e: Expr, spans: Mapping[Index, Span]) -> tuple[Fraction, Fraction] | None:
    """Between which values a sum of multiples of indices lies; None for what is none, or of others."""
    sums = polynomial(e)
    least = most = sums.constant
    for monomial, factor in sums.terms:
        match monomial:
            case ():
                continue
            case (Index() as index,) if index in spans:
                start, stop = spans[index]
                ends = factor * start, factor * (stop - 1)
                least, most = least + min(ends), most + max(ends)
            case _:
                return None
    return least, most


# --- what lies beyond --------------------------------------------------------------------------------------------


class _Rows:
    """The rows that an index of a kernel runs along, in all kernels of a block that touch them."""

    def __init__(
        self, kernels: Sequence[Fusion], first: Fusion, bound: _Bound, own: Set[str]
    ) -> None:
        self.kernels, self.own, self.size = kernels, own, bound.size
        self.axes: dict[str, int] = {}  # of each tensor, that which lies along the rows
        self.columns: list[dict[Index, None]] = []  # the indices of each kernel that run along them
        self.is_known = True
        for kernel in kernels:
            self.columns.append({bound.column: None} if kernel is first else {})
            count = -1
            while count < len(self.axes):  # what one equation defines the next one may read
                count = len(self.axes)
                for equation in kernel.equations:
                    self.follow(equation, self.columns[-1], kernel.equations[0].extents)
            found = [b.extent for b in _binders(kernel) if b.index in self.columns[-1]]
            self.is_known &= all(n == self.size for n in found)  # nobody asks for a part of a row

    def follow(self, equation: Equation, columns: dict[Index, None], extents: Extents) -> None:
        """Find the indices that run along rows which are known, and the rows that they run along."""
        for element in reads(equation):
            if element.tensor in self.axes:
                index = element.subscripts[self.axes[element.tensor]]
                self.is_known &= isinstance(index, Index)
                if isinstance(index, Index):
                    columns[index] = None
        for index in columns.keys() & extents.keys():
            self.is_known &= equation.accumulate or equation.subscripts.count(index) == 1
            if self.is_known and not equation.accumulate:
                self.axes[equation.target] = equation.subscripts.index(index)

    def may_end(self, around: Mapping[Index, Span], limit: Span) -> bool:
        """Is all that lies beyond the limits nothing to anybody?"""
        beyond = [span for span in ((0, limit[0]), (limit[1], self.size)) if span[0] < span[1]]
        return self.is_known and all(_Beyond(self, around, span).is_nothing() for span in beyond)

    def steps(self, limit: Span) -> tuple[Fusion, ...]:
        """The kernels with rows between the limits."""
        pairs = zip(self.kernels, self.columns, strict=True)
        return tuple(_within(kernel, columns, *limit) for kernel, columns in pairs)


class _Beyond(Known):
    """What some kernels come to in a part of the rows in which a comparison holds nowhere."""

    def __init__(self, rows: _Rows, around: Mapping[Index, Span], span: Span) -> None:
        super().__init__()
        self.rows, self.around, self.span = rows, around, span
        self.columns: Mapping[Index, None] = {}
        self.maxima: dict[str, Equation] = {}

    def is_nothing(self) -> bool:
        """Does nobody miss it?"""
        pairs = zip(self.rows.kernels, self.rows.columns, strict=True)
        targets = [e.target for kernel in self.rows.kernels for e in kernel.equations]
        for kernel, self.columns in pairs:
            own = self.rows.own | set(kernel.kept)
            for equation in kernel.equations:
                if not all(self.is_neutral(*each) for each in self.sums(equation)):
                    return False
                value = self.value(equation.value, equation.extents)
                if self.columns.keys() & equation.extents.keys():
                    if value != ZERO if equation.accumulate else equation.target not in own:
                        return False
                    if is_literal(value) and targets.count(equation.target) == 1:
                        self.values[equation.target] = value
                if isinstance(equation.value, Reduce) and equation.value.kind == "max":
                    self.maxima[equation.target] = equation
        return True

    def sums(self, equation: Equation) -> Iterator[tuple[Reduce, Extents]]:
        """The reductions along rows."""
        for e, extents in _reductions(equation.value, equation.extents):
            if self.columns.keys() & set(e.indices):
                yield e, extents

    def is_neutral(self, e: Reduce, extents: Extents) -> bool:
        """Does it come to the same without what lies beyond?"""
        return self.value(e.body, inside(e, extents)) == NEUTRAL.get(e.kind)

    def holds(self, e: Expr, extents: Extents) -> bool | None:
        difference = _difference(e)
        spans = {**self.around, **_spans(extents), **dict.fromkeys(self.columns, self.span)}
        found = None if difference is None else _least_and_most(difference, spans)
        if found is None:
            return None
        return False if found[1] < 0 else True if found[0] > 0 else None

    def value(self, e: Expr, extents: Extents) -> Expr:
        match e:
            case Call("exp", (x,)) if self.value(x, extents) == NONE:
                return ZERO
            case Call("-", (Element() as x, Element() as most)) if self.is_most(most, x):
                return self.value(x, extents)
        return super().value(e, extents)

    def is_most(self, most: Element, x: Element) -> bool:
        """Is it the maximum of the row in which an element lies, which is infinite here?"""
        equation = self.maxima.get(most.tensor)
        if equation is None or self.values.get(x.tensor) != NONE:
            return False
        match equation.value:
            case Reduce("max", Element(tensor, places)) as whole if tensor == x.tensor:
                if places[self.rows.axes[tensor]] not in whole.indices:
                    return False
                pairs = zip(places, x.subscripts, strict=True)
                names = {a: b for a, b in pairs if isinstance(a, Index)}
                same = [substitute(s, names) for s in (*places, *equation.subscripts)]
                return same == [*x.subscripts, *most.subscripts]
        return False


def _reductions(e: Expr, extents: Extents) -> Iterator[tuple[Reduce, Extents]]:
    if isinstance(e, Reduce):
        yield e, extents
    for child in children(e):
        yield from _reductions(child, inside(e, extents))


def _binders(kernel: Fusion) -> Iterator[Binder]:
    """The indices of its places, and those of all reductions there."""
    yield from kernel.indices
    for equation in kernel.equations:
        for e in walk(equation.value):
            if isinstance(e, Reduce):
                yield from e.binders


def _within(kernel: Fusion, columns: Mapping[Index, None], start: int, stop: int) -> Fusion:
    """The kernel for some values of the indices that run along the rows."""
    moved = {index: index + start for index in columns} if start else {}

    def short(binders: Sequence[Binder]) -> tuple[Binder, ...]:
        return tuple(
            b._replace(size=expr(stop - start)) if b.index in columns else b for b in binders
        )

    def visit(e: Expr) -> Expr:
        if isinstance(e, Reduce):
            own = {i: moved[i] for i in e.indices if i in moved}
            e = Reduce(e.kind, substitute(e.body, own), short(e.binders))
        return rebuild(e, visit) if reduces(e) else e

    indices = short(kernel.indices)
    equations = tuple(
        replace(
            equation,
            indices=indices,
            subscripts=tuple(substitute(s, moved) for s in equation.subscripts),
            value=visit(substitute(equation.value, moved)),
        )
        for equation in kernel.equations
    )
    return replace(kernel, indices=indices, equations=equations)
