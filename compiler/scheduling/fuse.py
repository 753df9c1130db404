"""Fuse: equations over one index space that read each other at the same place become one kernel.

Before:   z[n, o] = sum[i](x[n, i]*W[i, o]) + b[o];    y[m, k] = max(0, z[m, k])
After:    for n, o:   z = sum[i](x[n, i]*W[i, o]) + b[o];    y[n, o] = max(0, z)

The value passes in a register; it is stored only if someone else reads it. An equation joins the last kernel that it
depends on, or, side by side with others, a later one that reads what it reads too (the gates of a cell become one
kernel): so nothing has to move past anything. Declines, with the reason kept in ``Fusion.declined``, where the
index spaces differ, where a value is read at another place, where both sides reduce (they would compete for
registers; a maximum and its place read the same, and do not), side by side where one does or defines but a part of its
target, where a value would be stored across the rows of a sum, and for accumulating equations, whose places may
coincide.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from math import gcd
from typing import Any, NamedTuple

from ..language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    Number,
    expr,
    found_once,
    free_indices,
    reduces,
    substitute,
    walk,
)
from ..language.form import form, names_read, of_form, of_others
from ..language.integers import bounds, integer_difference, polynomial
from ..language.steps import Recurrence, Window, equations, step_lines
from ..language.system import Equation, System, reads
from ..rewriting.chosen import among_the_same

__all__ = [
    "AlikeFusions",
    "Fusion",
    "defined_by",
    "fuse",
    "fusion_form",
    "fusion_lines",
    "fusions",
    "read_by",
]

MOST_TENSORS = 16  # that a kernel may touch: pointers to more of them do not fit into registers


class _Known:
    """What is found once of a kernel and kept with it."""

    __slots__ = ("_form",)


@dataclass(frozen=True, slots=True)
class Fusion(_Known):
    """Equations over the same indices, in order; the targets in ``kept`` stay in registers."""

    indices: tuple[Binder, ...]
    equations: tuple[Equation, ...]
    kept: tuple[str, ...] = ()
    declined: str = field(default="", compare=False)


@found_once("_form")
def fusion_form(fusion: Fusion) -> tuple[Hashable, tuple[str, ...]]:
    """The forms of a kernel's equations with numbers for the names of tensors, and these in order."""
    numbers: dict[str, int] = {}

    def numbered(names: Iterable[str]) -> tuple[int, ...]:
        return tuple([numbers.setdefault(name, len(numbers)) for name in names])

    found: list[Hashable] = []
    for equation in fusion.equations:  # the first of which has the indices of all
        own, names = form(equation)
        found += (own, numbered(names))
    return (*found, numbered(fusion.kept)), tuple(numbers)


class AlikeFusions:
    """A change of kernels, made once for those that are alike up to the names of tensors."""

    def __init__(self) -> None:
        self.known: dict[Hashable, tuple[Fusion, tuple[str, ...]]] = {}

    def __call__(
        self, fusion: Fusion, about: Hashable, change: Callable[[Fusion], Fusion]
    ) -> Fusion:
        """``about`` is all that the change goes by, besides the kernel."""
        own, names = fusion_form(fusion)
        if (own, about) not in self.known:
            self.known[own, about] = change(fusion), names
            return self.known[own, about][0]
        changed, others = self.known[own, about]
        new = dict(zip(others, names, strict=True))
        pairs = zip(changed.equations, fusion.equations, strict=True)
        equations = tuple(of_others(each, new, before.origin) for each, before in pairs)
        return replace(fusion, indices=changed.indices, equations=equations)


def _names_of_alike(find: Callable[[Fusion], Iterable[str]]) -> Callable[[Fusion], list[str]]:
    """Which of the tensors of a kernel: found once for those that are alike."""
    known: dict[Hashable, list[int]] = {}

    def found(fusion: Fusion) -> list[str]:
        own, names = fusion_form(fusion)
        if own not in known:
            known[own] = [names.index(name) for name in find(fusion)]
        return [names[number] for number in known[own]]

    return found


def fuse(steps: Sequence[Any], system: System) -> tuple[Any, ...]:
    """The program with its equations grouped into kernels."""
    parts = _group(steps, _Joining())
    return _keep(parts, system.temporaries & _inside(parts))


def fusions(parts: Sequence[Any]) -> Iterator[Fusion]:
    """All kernels of a program in order."""
    for part in parts:
        if isinstance(part, Fusion):
            yield part
        else:
            yield from fusions(part.steps)


def defined_by(part: Any) -> dict[str, None]:
    """What the kernels of a part define, in order."""
    return {e.target: None for fusion in fusions([part]) for e in fusion.equations}


def read_by(part: Any) -> dict[str, None]:
    """What the kernels of a part read, but for what stays in their registers."""
    return {
        name: None
        for fusion in fusions([part])
        for e in fusion.equations
        for name in names_read(e)
        if name not in fusion.kept
    }


def fusion_lines(parts: Sequence[Any]) -> Iterator[str]:
    """What became one kernel, and why its last equation did not join the one before."""
    for part in parts:
        if not isinstance(part, Fusion):
            yield next(step_lines([replace(part, steps=())]))
            yield from (f"    {line}" for line in fusion_lines(part.steps))
            continue
        own = ", ".join(f"{i.name}:{n}" for i, n in _sizes(part).items())
        yield f"for {own}:" + (f"    # declined: {part.declined}" if part.declined else "")
        for equation in part.equations:
            kept = "    # in a register" if equation.target in part.kept else ""
            yield f"    {equation}{kept}"


def _sizes(fusion: Fusion) -> Mapping[Index, int]:
    return fusion.equations[0].extents


# --- grouping ----------------------------------------------------------------------------------------------------


class _Declined(NamedTuple):
    """Why an equation does not join a kernel: a text, and the tensors that it names."""

    reason: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.reason.format(*self.names)


class _Joining:
    """Kernels with one more equation, found once for those that are alike up to the names of tensors."""

    def __init__(self) -> None:
        self.known: dict[Hashable, tuple[Fusion | _Declined, Equation, tuple[str, ...]]] = {}

    def __call__(self, host: Fusion, equation: Equation) -> Fusion | _Declined:
        """The kernel, or why there is none."""
        (hosting, names), (joining, own) = fusion_form(host), form(equation)
        numbers = {name: k for k, name in enumerate(names)}
        key = hosting, joining, tuple([numbers.setdefault(name, len(numbers)) for name in own])
        if key not in self.known:
            self.known[key] = _join(host, equation), equation, tuple(numbers)
            return self.known[key][0]
        found, other, others = self.known[key]
        new = dict(zip(others, numbers, strict=True))
        if isinstance(found, _Declined):
            return found._replace(names=tuple([new[name] for name in found.names]))
        joined = found.equations[-1]
        joined = equation if joined is other else of_others(joined, new, equation.origin)
        return replace(host, equations=(*host.equations, joined))


def _group(steps: Sequence[Any], join: _Joining) -> list[Any]:
    parts: list[Any] = []
    written: dict[str, int] = {}  # the last part that writes a tensor
    read: dict[str, int] = {}  # the last part that reads it
    for step in steps:
        if isinstance(step, (Recurrence, Window)):
            parts.append(replace(step, steps=tuple(_group(step.steps, join))))
            place = len(parts) - 1
        else:
            place = _place(step, parts, written, read, join)
        for equation in equations([step]):
            written[equation.target] = max(written.get(equation.target, 0), place)
            for tensor in names_read(equation):
                read[tensor] = max(read.get(tensor, 0), place)
    return parts


def _place(
    equation: Equation,
    parts: list[Any],
    written: Mapping[str, int],
    read: Mapping[str, int],
    join: _Joining,
) -> int:
    """Put an equation into the last part that it depends on, or beside another reader, or behind all."""
    tensors = names_read(equation)
    last = max((written.get(t, -1) for t in (equation.target, *tensors)), default=-1)
    beside = max((read.get(t, -1) for t in tensors), default=-1)
    reason = ""
    for place in dict.fromkeys((last, max(last, beside) if _is_whole(equation) else last)):
        if place >= 0 and isinstance(parts[place], Fusion):
            joined = join(parts[place], equation)
            if isinstance(joined, Fusion):
                parts[place] = joined
                return place
            reason = str(joined) if place == last else reason
    parts.append(Fusion(equation.indices, (equation,), declined=reason))
    return len(parts) - 1


@of_form
def _is_whole(equation: Equation) -> bool:
    """Is its target defined along all axes?"""
    return not any(isinstance(s, Number) for s in equation.subscripts)


def _join(host: Fusion, equation: Equation) -> Fusion | _Declined:
    """The kernel with one more equation, or why not."""
    if equation.accumulate or any(e.accumulate for e in host.equations):
        return _Declined("it adds into places that may coincide")
    apart = not {e.tensor for e in reads(equation)} & {e.target for e in host.equations}
    reducing = [e for e in (equation, *host.equations) if _reduces(e)]
    same = apart and all(among_the_same(equation, e) for e in reducing)
    if len(reducing) > (0 if apart else 1) and not same:
        return _Declined("one of them reduces" if apart else "both reduce")
    members = (*host.equations, equation)
    tensors = {e.tensor for each in members for e in reads(each)} | {e.target for e in members}
    if len(tensors) > MOST_TENSORS:
        return _Declined("too many tensors")
    renamed = _matching(host, equation)
    if isinstance(renamed, str):
        return _Declined(renamed)
    joined = equation
    if list(equation.indices) != list(host.indices):
        moved = {own: other for own, other in renamed.items() if own != other}
        joined = replace(
            equation,
            indices=host.indices,
            subscripts=tuple(substitute(s, moved) for s in equation.subscripts),
            value=substitute(equation.value, moved),
        )
    if _is_across(host, joined):
        ends = (equation.target, host.equations[0].target)
        return _Declined("{} lies across the rows of {}", ends)
    for writer in host.equations:
        own = Element(joined.target, joined.subscripts)
        if writer.target == joined.target and not _is_elsewhere(own, writer):
            return _Declined("{} is already written there", (equation.target,))
        for element in reads(joined):
            if element.tensor == writer.target and not _is_settled(element, writer):
                return _Declined("{} is read at another place", (element.tensor,))
    return replace(host, equations=(*host.equations, joined))


def _reduces(equation: Equation) -> bool:
    return reduces(equation.value)


def _is_across(host: Fusion, joined: Equation) -> bool:
    """Would it be stored element by element, while the sums of the kernel come in vectors?"""
    along = [free_indices(s) for e in (host.equations[0], joined) for s in e.subscripts[-1:]]
    together = len(along) < 2 or along[0].keys() & along[1].keys()
    return any(map(_reduces, host.equations)) and not together


def _matching(host: Fusion, equation: Equation) -> dict[Expr, Expr] | str:
    """The host's index for each index of the equation, told by what it reads of the host."""
    own, extents = equation.extents, host.equations[0].extents
    found: dict[Expr, Expr] = {}
    pairs = [(e, w) for e in reads(equation) for w in host.equations if e.tensor == w.target]
    for element, writer in pairs:
        for s, t in zip(element.subscripts, writer.subscripts, strict=True):
            if isinstance(s, Index) and isinstance(t, Index) and s in own and t in extents:
                if own[s] != extents[t]:
                    return f"{s.name} runs over {own[s]} places, {t.name} over {extents[t]}"
                found.setdefault(s, t)
    if not pairs and list(own.values()) == list(extents.values()):
        found = dict(zip(own, extents, strict=True))
    if len(found) != len(own) or len(set(found.values())) != len(extents):
        return "the index spaces differ"
    return found


def _is_settled(element: Element, writer: Equation) -> bool:
    """Read where it is written (a register), or surely elsewhere (an earlier turn of the recurrence)."""
    return element.subscripts == writer.subscripts or _is_elsewhere(element, writer)


def _is_elsewhere(element: Element, writer: Equation) -> bool:
    """Is the element none that the writer writes, as the two keep a distance along some axis, or a remainder?"""
    own = writer.sizes
    for s, t in zip(element.subscripts, writer.subscripts, strict=True):
        distance = integer_difference(s, t)
        steps = [int(factor) for monomial, factor in polynomial(t).terms if monomial]
        if distance is not None and distance % (gcd(*steps) or 1):
            return True
        outer = {i: expr(1) for i in walk(t) if isinstance(i, Index) and i not in own}
        span = bounds(t, {**own, **outer})
        if distance is None or span is None:
            continue
        reach = integer_difference(span[1], span[0])
        if reach is not None and abs(distance) > reach:
            return True
    return False


# --- what need not be stored -------------------------------------------------------------------------------------


def _inside(parts: Sequence[Any]) -> set[str]:
    """Tensors that one equation writes and that are read only where that writes them."""
    homes: dict[str, Fusion] = {}
    shared: set[str] = set()
    for fusion in fusions(parts):
        for equation in fusion.equations:
            if equation.target in homes:
                shared.add(equation.target)
            homes[equation.target] = fusion
    elsewhere = _names_of_alike(_read_elsewhere)
    for fusion in fusions(parts):
        shared.update(elsewhere(fusion))
        names = (name for equation in fusion.equations for name in names_read(equation))
        shared.update(name for name in names if homes.get(name) is not fusion)
    return homes.keys() - shared


def _read_elsewhere(fusion: Fusion) -> Iterator[str]:
    """What a kernel defines and reads at another place."""
    writers = {equation.target: equation for equation in fusion.equations}
    for element in (e for equation in fusion.equations for e in reads(equation)):
        writer = writers.get(element.tensor)
        if writer is not None and element.subscripts != writer.subscripts:
            yield element.tensor


def _keep(parts: Sequence[Any], inside: Set[str]) -> tuple[Any, ...]:
    return tuple(
        replace(p, kept=tuple(e.target for e in p.equations if e.target in inside))
        if isinstance(p, Fusion)
        else replace(p, steps=_keep(p.steps, inside))
        for p in parts
    )
