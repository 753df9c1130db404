"""Order: a system is a set of facts; here it becomes a program.

Before:   h[n, t, k] = tanh(z[n, t, k] + sum[j](h[n, t - 1, j]*U[j, k]));   z[n, t, k] = sum[i](x[n, t, i]*W[i, k])
After:    z[n, t, k] = ...
          for t in range(T):
              h[n, t, k] = ...

Equations that read one another in a cycle become a `Recurrence`: one axis of each tensor in the cycle is found such
that all lags along it have one sign; what a step reads of itself (lag 0) is ordered by the same rule again, so cycles
carried by two indices nest. Everything else stays outside. A `Window` holds equations that are defined for some values
of the carried index only. Declines with CompilerError where no axis carries a cycle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from typing import NamedTuple

from ..errors import CompilerError
from ..language.components import components
from ..language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    Number,
    expr,
    found_once,
    fresh_index,
    substitute,
    walk,
)
from ..language.form import names_read, of_alike
from ..language.integers import bounds, integer_difference, normalize, polynomial
from ..language.match import covers
from ..language.steps import Recurrence, Step, Window, equations
from ..language.system import Equation, System, Tensor, reads

__all__ = [
    "at",
    "carriers",
    "cycles",
    "order",
    "uncarried",
]


class _Placed(NamedTuple):
    """An equation, and the values of carried indices for which it is defined."""

    equation: Equation
    windows: tuple[tuple[Index, int, int], ...] = ()

    @property
    def step(self) -> Step:
        step: Step = self.equation
        for index, start, stop in reversed(self.windows):
            step = Window(index, start, stop, (step,))
        return step


_ZEROS = "zeros of "
Axes = Mapping[str, int]  # the axis that carries, of each tensor in a cycle


def order(system: System) -> tuple[Step, ...]:
    """The equations of a system as a program, with zeros before where a target is not defined everywhere."""
    zeros = tuple(_zeros(system))
    return tuple(_late(_order([_Placed(e) for e in (*zeros, *system.equations)], ()), zeros))


@found_once("_cycles")
def cycles(system: System) -> list[list[Equation]]:
    """Sets of equations that read one another."""
    own = _unsettled(system.equations)
    after = _dependences(own, ())
    return [
        [own[node] for node in part]
        for part in sorted(components(after))
        if len(part) > 1 or part[0] in after[part[0]]
    ]


def _unsettled(own: Sequence[Equation]) -> list[Equation]:
    """Equations without those that read, through however many others, nothing that is defined by itself."""
    defined = {equation.target for equation in own}
    waiting, readers = dict.fromkeys(defined, 0), dict[str, list[str]]()
    for equation in own:
        for name in defined.intersection(names_read(equation)):
            waiting[equation.target] += 1
            readers.setdefault(name, []).append(equation.target)
    settled = [name for name, count in waiting.items() if not count]
    for name in settled:  # which grows
        for reader in readers.get(name, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                settled.append(reader)
    return [equation for equation in own if waiting[equation.target]]


def uncarried(own: Sequence[Equation], carried: Sequence[Axes] = ()) -> list[int]:
    """Places of the equations of a cycle that no index carries in one direction; none if every cycle is carried.

    Sizes may be symbols."""
    after = _dependences(own, carried)
    for part in components(after):
        if len(part) == 1 and part[0] not in after[part[0]]:
            continue
        cycle = [own[node] for node in part]
        carrier = _carrier(cycle, carried)
        if carrier is None:
            return part
        time = _time(cycle, carrier[0])
        inside = [_at(equation, carrier[0], time, 0) for equation in cycle]
        found = uncarried(inside, (*carried, carrier[0]))
        if found:
            return [part[k] for k in found]
    return []


# --- zeros -------------------------------------------------------------------------------------------------------


def _zeros(system: System) -> Iterator[Equation]:
    """``y[i, j] = 0`` for each target that its plain equations do not surely cover."""
    definitions, tensors = system.definitions(), system.by_name
    covered = of_alike(lambda e: _covered(e, tensors[e.target]), system)
    for tensor in system.tensors:
        if tensor.role not in ("output", "local"):
            continue
        plain = [e for e in definitions.get(tensor.name, []) if not e.accumulate]
        counts = list(map(covered, plain))
        total = sum(c for c in counts if c is not None)
        if None in counts or total != prod(tensor.shape):
            indices = tuple(
                Binder(Index(f"i{axis}"), expr(size)) for axis, size in enumerate(tensor.shape)
            )
            subscripts = tuple(index for index, _ in indices)
            origin = f"{_ZEROS}{tensor.name}"
            yield Equation(tensor.name, subscripts, indices, expr(0), origin=origin)


def _late(steps: Sequence[Step], zeros: Sequence[Equation]) -> Iterator[Step]:
    """The steps with zeros right before those that ask for them; first are zeros that nobody asks for."""
    waiting = {e.target: e for e in zeros}
    asked: list[tuple[Step, dict[str, Equation]]] = []
    for step in steps:
        own = list(equations([step]))
        if waiting.get(own[0].target) is own[0]:
            continue
        names = (name for e in own for name in (e.target, *names_read(e)))
        asked.append((step, {n: waiting.pop(n) for n in dict.fromkeys(names) if n in waiting}))
    yield from waiting.values()
    for step, own_zeros in asked:
        yield from own_zeros.values()
        yield step


def _covered(equation: Equation, tensor: Tensor) -> int | None:
    """How many elements an equation defines, no two at one place; None where that is not known."""
    if covers(equation, tensor):  # nearly all do
        return prod(tensor.shape)
    left = dict(equation.extents)
    total = 1
    for subscript, size in zip(equation.subscripts, tensor.shape, strict=True):
        span = bounds(subscript, equation.sizes)
        if span is None or not all(isinstance(end, Number) for end in span):
            return None
        if span[0].value < 0 or span[1].value >= size:  # type: ignore[attr-defined]
            form = polynomial(subscript)
            atoms = form.atoms()
            if not atoms.keys() <= left.keys() or any(len(m) > 1 for m, _ in form.terms):
                return None  # divided, multiplied, or an index of two subscripts
            total *= _inside(subscript, {i: left.pop(i) for i in atoms}, size)  # type: ignore[call-overload, misc]
    return total * prod(left.values())


def _inside(subscript: Expr, extents: Mapping[Index, int], size: int) -> int:
    """How many values of an affine subscript are places of an axis."""
    form = polynomial(subscript)
    ranges = ([int(c) * k for k in range(extents[m[0]])] for m, c in form.terms if m)  # type: ignore[index]
    first = int(form.constant)
    return sum(0 <= first + sum(steps) < size for steps in product(*ranges))


# --- ordering ----------------------------------------------------------------------------------------------------


def _order(own: Sequence[_Placed], carried: Sequence[Axes]) -> tuple[Step, ...]:
    after = _dependences([placed.equation for placed in own], carried)
    steps: list[Step] = []
    for part in components(after):
        cycle = [own[node] for node in part]
        if len(part) > 1 or part[0] in after[part[0]]:
            steps.append(_recurrence(cycle, carried))
        else:
            steps.append(cycle[0].step)
    return tuple(steps)


def _dependences(own: Sequence[Equation], carried: Sequence[Axes]) -> list[dict[int, None]]:
    """Of each equation those after it: they read what it defines, or add into it."""
    after: list[dict[int, None]] = [{} for _ in own]
    writers: dict[str, list[int]] = {}
    for node, equation in enumerate(own):
        writers.setdefault(equation.target, []).append(node)
    for reader, equation in enumerate(own):
        for name in names_read(equation):
            for writer in writers.get(name, ()):
                if _may_read(equation, own[writer], carried):
                    after[writer][reader] = None
    for nodes in writers.values():  # zeros first, sums last and one after the other
        first = nodes[0]
        if own[first].origin.startswith(_ZEROS):
            after[first] |= dict.fromkeys(nodes[1:])
        sums = [n for n in nodes if own[n].accumulate]
        for n in nodes:
            if not own[n].accumulate:
                after[n] |= dict.fromkeys(sums)
        for n, following in pairwise(sums):
            after[n][following] = None
    return after


def _may_read(reader: Equation, writer: Equation, carried: Sequence[Axes]) -> bool:
    """May one read what the other, whose target it reads, defines at the same values of the carried indices?"""
    return not carried or any(_meet(writer, element, carried) for element in reads(reader))


def _meet(writer: Equation, element: Element, carried: Sequence[Axes]) -> bool:
    """May the element be one that the writer defines at the same values of the carried indices?"""
    if element.tensor != writer.target:
        return False
    for axes in carried:
        axis = axes.get(element.tensor)
        if axis is not None:
            there, here = writer.subscripts[axis], element.subscripts[axis]
            if integer_difference(there, here) != 0:
                return False
    return True


# --- recurrences -------------------------------------------------------------------------------------------------


def _recurrence(placed: Sequence[_Placed], carried: Sequence[Axes]) -> Recurrence:
    """The loop that solves equations which read one another."""
    cycle = [p.equation for p in placed]
    carrier = _carrier(cycle, carried)
    if carrier is not None:
        return _loop(placed, carrier[0], carried, backward=carrier[1])
    listed = "; ".join(str(e) + (f" ({e.origin})" if e.origin else "") for e in cycle)
    raise CompilerError(
        f"these equations read one another in a cycle, and no index carries it in one direction: {listed}"
    )


def _carrier(cycle: Sequence[Equation], carried: Sequence[Axes]) -> tuple[Axes, bool] | None:
    """Axes that carry a cycle in one direction, and whether that is backward."""
    for axes, lags in carriers(cycle, carried):
        if all(lag >= 0 for lag in lags) or all(lag <= 0 for lag in lags):
            return axes, any(lag < 0 for lag in lags)
    return None


def carriers(
    cycle: Sequence[Equation], carried: Sequence[Axes] = ()
) -> Iterator[tuple[Axes, list[int]]]:
    """Axes along which the equations of a cycle read what others define, at constant lags that are not all zero.

    What lies at another value of an index that is ``carried`` already is known by then."""
    names = list(dict.fromkeys(e.target for e in cycle))
    first = cycle[0]
    for axis in range(len(first.subscripts)):
        axes = _spread(cycle, names, first.target, axis)
        lags = None if axes is None else _lags(cycle, axes, carried)
        if axes is not None and lags is not None and any(lags):
            yield axes, lags


def _moving(subscript: Expr, own: Mapping[Index, object]) -> tuple[Index, int, int] | None:
    """``sign*index + offset`` with an index of the equation, or None."""
    p = polynomial(subscript)
    terms = [(m, c) for m, c in p.terms if m]
    if len(terms) != 1 or len(terms[0][0]) != 1 or abs(terms[0][1]) != 1:
        return None
    atom = terms[0][0][0]
    if not isinstance(atom, Index) or atom not in own:
        return None
    return atom, int(terms[0][1]), int(p.constant)


def _spread(cycle: Sequence[Equation], names: list[str], start: str, axis: int) -> Axes | None:
    """The carrying axis of every tensor, given that of one: the axes at which the same index stands."""
    axes, before = {start: axis}, 0
    while before < len(axes) < len(names):  # one leads to the next
        before = len(axes)
        for equation in cycle:
            inner = [e for e in reads(equation) if e.tensor in names]
            places = [(equation.target, equation.subscripts)]
            places += [(e.tensor, e.subscripts) for e in inner]
            if all(tensor in axes for tensor, _ in places):
                continue
            found = [
                m for t, s in places if t in axes and (m := _moving(s[axes[t]], equation.sizes))
            ]
            for tensor, subscripts in places:
                if found and tensor not in axes:
                    for k, subscript in enumerate(subscripts):
                        moving = _moving(subscript, equation.sizes)
                        if moving and moving[:2] == found[0][:2]:
                            axes[tensor] = k
                            break
    return axes if len(axes) == len(names) else None


def _lags(cycle: Sequence[Equation], axes: Axes, carried: Sequence[Axes]) -> list[int] | None:
    """How far back each read within the cycle reaches, or None where that is no constant."""
    lags = []
    for equation in cycle:
        own = _moving(equation.subscripts[axes[equation.target]], equation.sizes)
        if own is None:
            return None
        for element in reads(equation):
            if any(_meet(writer, element, carried) for writer in cycle):
                moving = _moving(element.subscripts[axes[element.tensor]], equation.sizes)
                if moving is None or moving[:2] != own[:2]:
                    return None
                lags.append(own[2] - moving[2])
    return lags


def _loop(
    cycle: Sequence[_Placed], axes: Axes, carried: Sequence[Axes], backward: bool
) -> Recurrence:
    """One sequential loop over all positions along the carrying axes."""
    spans = []
    for equation, _ in cycle:
        index, sign, offset = _carrying(equation, axes)
        extent = equation.extents[index]
        start = offset if sign > 0 else offset - extent + 1
        spans.append((start, start + extent))
    low, high = min(s[0] for s in spans), max(s[1] for s in spans)
    time = _time([placed.equation for placed in cycle], axes)
    body = []
    for (equation, windows), (start, stop) in zip(cycle, spans, strict=True):
        if (start, stop) != (low, high):
            windows = ((time, start - low, stop - low), *windows)
        body.append(_Placed(_at(equation, axes, time, low), windows))
    return Recurrence(time, high - low, backward, _order(body, (*carried, axes)))


def _carrying(equation: Equation, axes: Axes) -> tuple[Index, int, int]:
    """What stands at the carrying axis of the target."""
    moving = _moving(equation.subscripts[axes[equation.target]], equation.sizes)
    assert moving is not None
    return moving


def _time(cycle: Sequence[Equation], axes: Axes) -> Index:
    """A new index for the positions along the carrying axes."""
    taken = {n: None for e in cycle for n in _all_indices(e)}
    return fresh_index(_carrying(cycle[0], axes)[0].name, taken)


def _at(equation: Equation, axes: Axes, time: Index, low: int) -> Equation:
    """The equation at position ``time + low`` of the carrying axis, its index gone."""
    index, sign, offset = _carrying(equation, axes)
    return at(equation, index, normalize(Number(Fraction(sign)) * (time + (low - offset))))


def at(equation: Equation, index: Index, place: Expr) -> Equation:
    """The equation where one of its indices, which is gone, has a value."""
    return replace(
        equation,
        subscripts=tuple(substitute(s, {index: place}) for s in equation.subscripts),
        indices=tuple(b for b in equation.indices if b.index != index),
        value=substitute(equation.value, {index: place}),
    )


def _all_indices(equation: Equation) -> dict[Index, None]:
    found = dict.fromkeys(b.index for b in equation.indices)
    for e in (equation.value, *equation.subscripts):
        found |= {n: None for n in walk(e) if isinstance(n, Index)}
        for n in walk(e):
            if hasattr(n, "binders"):
                found |= dict.fromkeys(b.index for b in n.binders)
    return found
