"""Order: a system is a set of facts; here it becomes a program.

Before:   h[n, t, k] = tanh(z[n, t, k] + sum[j](h[n, t - 1, j]*U[j, k]));   z[n, t, k] = sum[i](x[n, t, i]*W[i, k])
After:    z[n, t, k] = ...
          for t in range(T):
              h[n, t, k] = ...

Step      := Equation | Recurrence(index, size, backward, (Step, ...)) | Window(index, start, stop, (Step, ...))
             | Strands(count, (Strand(index, start, stop, (Step, ...)), ...))
(later stages put kernels in the place of the equations, and make the strands)

Equations that read one another in a cycle become a `Recurrence`: one axis of each tensor in the cycle is found such
that all lags along it have one sign; what a step reads of itself (lag 0) is ordered by the same rule again, so cycles
carried by two indices nest. Everything else stays outside. A `Window` holds equations that are defined for some values
of the carried index only. Declines with CompilerError where no axis carries a cycle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from .components import components
from .errors import CompilerError
from .expression import Binder, Element, Expr, Index, Number, expr, fresh_index, substitute, walk
from .integers import integer_difference, normalize, polynomial
from .system import Equation, System, Tensor, reads

__all__ = [
    "Recurrence",
    "Step",
    "Strand",
    "Strands",
    "Window",
    "carriers",
    "cycles",
    "equations",
    "order",
    "step_lines",
]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Steps done for ``index`` = 0 .. size - 1 one after the other, or the other way round."""

    index: Index
    size: int
    backward: bool
    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Steps done only where ``start <= index < stop``."""

    index: Index
    start: int
    stop: int
    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Strand:
    """Steps done for ``start <= index < stop`` in any order: none needs what another one does."""

    index: Index
    start: int
    stop: int
    steps: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Strands:
    """All of ``count`` strands; each of the ``steps`` is a `Strand` that does some of them."""

    count: int
    steps: tuple[Any, ...]


Step = Equation | Recurrence | Window | Strands


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
    """The equations of a system as a program, with zeros first where a target is not defined everywhere."""
    return _order([_Placed(e) for e in (*_zeros(system), *system.equations)], ())


def cycles(system: System) -> list[list[Equation]]:
    """Sets of equations that read one another."""
    after = _dependences(system.equations, ())
    return [
        [system.equations[node] for node in part]
        for part in sorted(components(after))
        if len(part) > 1 or part[0] in after[part[0]]
    ]


def equations(steps: Sequence[Step]) -> Iterator[Equation]:
    """All equations of a program in order."""
    for step in steps:
        if isinstance(step, Equation):
            yield step
        else:
            yield from equations(step.steps)


def step_lines(steps: Sequence[Step]) -> Iterator[str]:
    """A program as pseudo-Python."""
    for step in steps:
        match step:
            case Recurrence(index, size, backward, inner):
                count = f"reversed(range({size}))" if backward else f"range({size})"
                yield f"for {index.name} in {count}:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Window(index, start, stop, inner):
                yield f"if {start} <= {index.name} < {stop}:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Strands(count, inner):
                yield f"{count} strands:"
                yield from (f"    {line}" for line in step_lines(inner))
            case Strand(index, start, stop, inner):
                yield f"for {index.name} in range({start}, {stop}):"
                yield from (f"    {line}" for line in step_lines(inner))
            case _:
                yield str(step)


# --- zeros -------------------------------------------------------------------------------------------------------


def _zeros(system: System) -> Iterator[Equation]:
    """``y[i, j] = 0`` for each target that its plain equations do not surely cover."""
    definitions = system.definitions()
    for tensor in system.tensors:
        if tensor.role not in ("output", "local"):
            continue
        plain = [e for e in definitions.get(tensor.name, []) if not e.accumulate]
        counts = [_covered(e, tensor) for e in plain]
        total = sum(c for c in counts if c is not None)
        if None in counts or total != _volume(tensor):
            indices = tuple(
                Binder(Index(f"i{axis}"), expr(size)) for axis, size in enumerate(tensor.shape)
            )
            subscripts = tuple(index for index, _ in indices)
            origin = f"{_ZEROS}{tensor.name}"
            yield Equation(tensor.name, subscripts, indices, expr(0), origin=origin)


def _volume(tensor: Tensor) -> int:
    volume = 1
    for size in tensor.shape:
        volume *= size
    return volume


def _covered(equation: Equation, tensor: Tensor) -> int | None:
    """How many elements an equation defines, each once and inside; None where that cannot be told."""
    extents = equation.extents
    left = dict(extents)
    count = 1
    for subscript, size in zip(equation.subscripts, tensor.shape, strict=True):
        p = polynomial(subscript)
        terms = [(m[0] if len(m) == 1 else None, int(c)) for m, c in p.terms if m]
        reach = 1  # values that the smaller terms fill without a gap
        low = high = int(p.constant)
        for index, factor in sorted(terms, key=_size_of_term):
            if not isinstance(index, Index) or index not in left or abs(factor) < reach:
                return None
            extent = left.pop(index)
            count *= extent
            reach = abs(factor) * (extent - 1) + reach
            low, high = low + min(factor, 0) * (extent - 1), high + max(factor, 0) * (extent - 1)
        if low < 0 or high >= size:
            return None
    return count if all(extent == 1 for extent in left.values()) else None


def _size_of_term(term: tuple[Expr | None, int]) -> int:
    return abs(term[1])


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
        for element in reads(equation):
            for writer in writers.get(element.tensor, ()):
                if all(_may_meet(own[writer], element, axes) for axes in carried):
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


def _may_meet(writer: Equation, element: Element, axes: Axes) -> bool:
    """May the element be one that the writer defines at the same value of the carried index?"""
    if element.tensor not in axes:
        return True
    axis = axes[element.tensor]
    return integer_difference(writer.subscripts[axis], element.subscripts[axis]) == 0


# --- recurrences -------------------------------------------------------------------------------------------------


def _recurrence(placed: Sequence[_Placed], carried: Sequence[Axes]) -> Recurrence:
    """The loop that solves equations which read one another."""
    cycle = [p.equation for p in placed]
    for axes, lags in carriers(cycle):
        if all(lag >= 0 for lag in lags) or all(lag <= 0 for lag in lags):
            return _loop(placed, axes, carried, backward=any(lag < 0 for lag in lags))
    listed = "; ".join(str(e) + (f" ({e.origin})" if e.origin else "") for e in cycle)
    raise CompilerError(
        f"these equations read one another in a cycle, and no index carries it in one direction: {listed}"
    )


def carriers(cycle: Sequence[Equation]) -> Iterator[tuple[Axes, list[int]]]:
    """Axes along which the equations of a cycle read what others define, at constant lags that are not all zero."""
    names = list(dict.fromkeys(e.target for e in cycle))
    first = cycle[0]
    for axis in range(len(first.subscripts)):
        axes = _spread(cycle, names, first.target, axis)
        lags = None if axes is None else _lags(cycle, axes)
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
    axes = {start: axis}
    for _ in names:
        for equation in cycle:
            inner = [e for e in reads(equation) if e.tensor in names]
            places = [(equation.target, equation.subscripts)]
            places += [(e.tensor, e.subscripts) for e in inner]
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


def _lags(cycle: Sequence[Equation], axes: Axes) -> list[int] | None:
    """How far back each read within the cycle reaches, or None where that is no constant."""
    lags = []
    for equation in cycle:
        own = _moving(equation.subscripts[axes[equation.target]], equation.sizes)
        if own is None:
            return None
        for element in reads(equation):
            if element.tensor in axes:
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
        moving = _moving(equation.subscripts[axes[equation.target]], equation.sizes)
        assert moving is not None
        index, sign, offset = moving
        extent = equation.extents[index]
        start = offset if sign > 0 else offset - extent + 1
        spans.append((index, sign, offset, start, start + extent))
    low, high = min(s[3] for s in spans), max(s[4] for s in spans)
    taken = {n: None for e, _ in cycle for n in _all_indices(e)}
    time = fresh_index(spans[0][0].name, taken)
    body = []
    for (equation, windows), (index, sign, offset, start, stop) in zip(cycle, spans, strict=True):
        value = normalize(Number(Fraction(sign)) * (time + (low - offset)))
        fixed = replace(
            equation,
            subscripts=tuple(substitute(s, {index: value}) for s in equation.subscripts),
            indices=tuple(b for b in equation.indices if b.index != index),
            value=substitute(equation.value, {index: value}),
        )
        if (start, stop) != (low, high):
            windows = ((time, start - low, stop - low), *windows)
        body.append(_Placed(fixed, windows))
    return Recurrence(time, high - low, backward, _order(body, (*carried, axes)))


def _all_indices(equation: Equation) -> dict[Index, None]:
    found = dict.fromkeys(b.index for b in equation.indices)
    for e in (equation.value, *equation.subscripts):
        found |= {n: None for n in walk(e) if isinstance(n, Index)}
        for n in walk(e):
            if hasattr(n, "binders"):
                found |= dict.fromkeys(b.index for b in n.binders)
    return found
