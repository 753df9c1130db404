"""The reference evaluator: what a system means, computed slowly and plainly with NumPy.

Each equation is computed over its whole index grid at once: an index is an array along an axis of
its own, a reduction puts the axes of its binders in front and folds them away. Nothing here is
shared with the stages that lower a system to machine code, not even the order of the equations: a
tensor is computed when all it reads is known, and a recurrence by sweeps,

    start from anything; recompute every tensor of the cycle; stop when no bit changes,

because where each value finally rests on values outside the cycle, n sweeps settle all chains of n
links, whatever the start. Two starts that end differently show a cycle without foundation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ArrayError, CompilerError
from ..language.expression import (
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    children,
    free_indices,
)
from ..language.system import Equation, System, Tensor, reads
from ..language.validate import validate
from .reals import FLOAT32, FLOAT64, Array, Reals, apply, multiprecision, reduce_last

__all__ = ["evaluate"]

POSITIONS = 1 << 24  # an equation whose grid is larger is computed in parts


def evaluate(
    system: System, arrays: Mapping[str, Any], precision: str | int | None = None
) -> dict[str, Array]:
    """Outputs and new values of the states, from the inputs and parameters.

    ``precision``: None computes each equation in its own float type, ``"float64"`` all reals in
    float64, an integer with that many decimal digits (for small systems: the results are arrays of
    mpmath numbers). A read out of range is zero; so is what no equation defines.
    """
    validate(system)
    numbers = multiprecision() if isinstance(precision, int) else None
    machine = _Machine(system, numbers or (FLOAT64 if precision == "float64" else None))
    with np.errstate(all="ignore"), _digits(precision):
        for tensor in system.tensors:
            if tensor.role in ("input", "parameter"):
                given = _given(tensor, arrays)
                machine.values[tensor.name] = machine.convert(given, tensor)
        _check_names(system, arrays)
        _check_subscripts(system, arrays)
        for group in _groups(system):
            machine.compute(group)
        results = {name: machine.values[name].copy() for name in system.names("output")}
        for state, new in system.updates:
            results[state] = machine.convert(machine.values[new], machine.tensors[state]).copy()
    return results


def _digits(precision: str | int | None) -> Any:
    if not isinstance(precision, int):
        if precision not in (None, "float64"):
            raise CompilerError(
                f"precision is None, 'float64' or a number of digits, got {precision!r}"
            )
        return nullcontext()
    from mpmath import workdps  # see reals.multiprecision

    return workdps(precision)


def _given(tensor: Tensor, arrays: Mapping[str, Any]) -> Array:
    if tensor.name not in arrays:
        raise ArrayError(f"{tensor.name}: expected an array for {tensor}, got none")
    array = np.asarray(arrays[tensor.name])
    if array.shape != tensor.shape or array.dtype != np.dtype(tensor.dtype):
        got = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
        raise ArrayError(f"{tensor.name}: expected {tensor}, got {got}")
    return array


def _check_names(system: System, arrays: Mapping[str, Any]) -> None:
    known = system.names("input", "parameter")
    for name in arrays:
        if name not in known:
            raise ArrayError(f"{name}: expected one of {', '.join(known)}, got an unknown name")


def _check_subscripts(system: System, arrays: Mapping[str, Any]) -> None:
    """Integer inputs that are subscripts themselves must lie inside the axis they point into."""
    tensors = system.by_name
    for equation in system.equations:
        for place in (Element(equation.target, equation.subscripts), *reads(equation)):
            for subscript, size in zip(place.subscripts, tensors[place.tensor].shape, strict=True):
                if isinstance(subscript, Element) and tensors[subscript.tensor].role == "input":
                    data = np.asarray(arrays[subscript.tensor])
                    wrong = np.argwhere((data < 0) | (data >= size))
                    if len(wrong):
                        at = tuple(map(int, wrong[0]))
                        raise IndexError(
                            f"{subscript.tensor}[{', '.join(map(str, at))}] is {data[at]}, "
                            f"but as a subscript of {place.tensor} only 0 to {size - 1} are allowed"
                        )


# --- the order ------------------------------------------------------------------------------------


def _groups(system: System) -> Iterator[list[str]]:
    """Tensors in an order in which all that one reads comes before it; cycles together."""
    defined = {t.name: None for t in system.tensors if t.role in ("output", "local")}
    needs: dict[str, dict[str, None]] = {name: {} for name in defined}
    for equation in system.equations:
        for element in reads(equation):
            if element.tensor in defined:
                needs[equation.target][element.tensor] = None
    while needs:
        ready = [name for name, operands in needs.items() if not any(o in needs for o in operands)]
        group = [[name] for name in ready] or [_knot(next(iter(needs)), needs)]
        yield from group
        for name in (n for names in group for n in names):
            del needs[name]


def _knot(name: str, needs: Mapping[str, Mapping[str, None]]) -> list[str]:
    """A cycle, all tensors of it, that needs no other cycle: from ``name`` down what it reads."""
    reached = _reach(name, needs)
    for other in reached:
        if len(_reach(other, needs)) < len(reached):
            return _knot(other, needs)
    return [n for n in needs if n in reached]


def _reach(name: str, needs: Mapping[str, Mapping[str, None]]) -> dict[str, None]:
    """``name`` and all that is still needed for it, directly or not."""
    reached, stack = {name: None}, [name]
    while stack:
        for operand in needs[stack.pop()]:
            if operand in needs and operand not in reached:
                reached[operand] = None
                stack.append(operand)
    return reached


# --- tensors --------------------------------------------------------------------------------------


class _Machine:
    """The values computed so far."""

    def __init__(self, system: System, reals: Reals | None) -> None:
        self.tensors = system.by_name
        self.definitions = system.definitions()
        self.everywhere = reals  # None: each equation has its own float type
        self.values: dict[str, Array] = {}

    def convert(self, array: Array, tensor: Tensor) -> Array:
        """As it is stored in ``tensor``."""
        if tensor.dtype.startswith("float") and self.everywhere is not None:
            return self.everywhere.array(array)
        wanted = np.dtype(tensor.dtype)
        return saturated(array, wanted) if wanted.kind == "i" else array.astype(wanted)

    def blank(self, tensor: Tensor, value: float = 0) -> Array:
        return self.convert(np.full(tensor.shape, value), tensor)

    def compute(self, names: Sequence[str]) -> None:
        """Give these tensors their values; if they read each other, by sweeps."""
        own = [e for name in names for e in self.definitions.get(name, [])]
        if not any(element.tensor in names for e in own for element in reads(e)):
            self.values[names[0]] = self.tensor(names[0])
            return
        settled = []
        for start in (0.0, math.nan):
            for name in names:
                real = self.tensors[name].dtype.startswith("float")
                self.values[name] = self.blank(self.tensors[name], start if real else start != 0)
            self.sweep(names)
            settled.append({name: self.values[name] for name in names})
        if not all(_same(settled[0][name], settled[1][name]) for name in names):
            raise CompilerError(
                f"{_listed(own)}: a value depends on itself; no index carries the recurrence"
            )

    def sweep(self, names: Sequence[str]) -> None:
        longest = sum(math.prod(self.tensors[name].shape) for name in names)
        for _ in range(longest + 2):
            changed = False
            for name in names:
                new = self.tensor(name)
                changed |= not _same(new, self.values[name])
                self.values[name] = new
            if not changed:
                return
        own = [e for name in names for e in self.definitions[name]]
        raise CompilerError(
            f"{_listed(own)}: the recurrence does not settle; a value depends on itself"
        )

    def tensor(self, name: str) -> Array:
        """What the equations of a tensor define; zero elsewhere."""
        tensor = self.tensors[name]
        result = self.blank(tensor)
        for equation in sorted(self.definitions.get(name, []), key=lambda e: e.accumulate):
            for ranges in _parts(equation):
                self.store(equation, ranges, result)
        return result

    def store(self, equation: Equation, ranges: Mapping[Index, range], result: Array) -> None:
        rank = len(ranges)
        places = {
            index: np.arange(r.start, r.stop).reshape((-1,) + (1,) * (rank - 1 - axis))
            for axis, (index, r) in enumerate(ranges.items())
        }
        scope = _Scope(self.values, self.reals(equation), places, rank)
        grid = tuple(len(r) for r in ranges.values())
        value = self.convert(_value(equation.value, scope), self.tensors[equation.target])
        value = np.broadcast_to(value, grid)
        where = [np.broadcast_to(_value(s, scope), grid) for s in equation.subscripts]
        if not where:  # a scalar is stored as a tensor of one element
            result, where = result.reshape(1), [np.zeros(grid, np.int64)]
        inside = _inside(where, result.shape, grid)
        target = tuple(w[inside] for w in where)
        if equation.accumulate:
            np.add.at(result, target, value[inside])
        else:
            result[target] = value[inside]

    def reals(self, equation: Equation) -> Reals:
        """The kind of reals an equation computes with: the target's, else the widest it reads.

        In any precision its random numbers stay those of its own float type.
        """
        own = self.tensors[equation.target].dtype
        read = (
            [own]
            if own.startswith("float")
            else [self.tensors[e.tensor].dtype for e in reads(equation)]
        )
        usual = FLOAT64 if "float64" in read else FLOAT32
        if self.everywhere is None:
            return usual
        return replace(self.everywhere, random_bits=usual.random_bits)


def _listed(equations: Sequence[Equation]) -> str:
    return "; ".join(map(str, equations))


def _same(a: Array, b: Array) -> bool:
    """Equal in every position, NaN being equal to NaN."""
    return bool(np.all((a == b) | ((a != a) & (b != b))))


# --- expressions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where an expression is computed: index values, each along one of ``rank`` axes."""

    values: Mapping[str, Array]
    reals: Reals
    places: Mapping[Index, Array]
    rank: int

    def bind(self, binders: Sequence[Binder]) -> _Scope:
        """The scope of a reduction's body: one more axis in front for each binder."""
        rank = self.rank + len(binders)
        new = {
            b.index: np.arange(b.extent).reshape((-1,) + (1,) * (rank - 1 - axis))
            for axis, b in enumerate(binders)
        }
        return replace(self, places={**self.places, **new}, rank=rank)


def _value(e: Expr, scope: _Scope) -> Array:
    """The values of an expression over the grid; axes that it does not depend on have length 1."""
    match e:
        case Number(value):
            return scope.reals.literal(value)
        case Constant(name):
            return scope.reals.constant(name)
        case Index():
            return scope.places[e]
        case Element(tensor, subscripts):
            return _read(scope, tensor, [_value(s, scope) for s in subscripts])
        case Call(function, arguments):
            return np.asarray(apply(function, [_value(a, scope) for a in arguments], scope.reals))
        case Reduce(kind, body, binders):
            sizes = tuple(b.extent for b in binders)
            values = _value(body, scope.bind(binders))
            values = values.reshape((1,) * (scope.rank + len(sizes) - values.ndim) + values.shape)
            rest = values.shape[len(sizes) :]
            values = np.broadcast_to(values, sizes + rest).reshape((math.prod(sizes), *rest))
            return reduce_last(kind, np.ascontiguousarray(np.moveaxis(values, 0, -1)), scope.reals)
    raise CompilerError(f"{e!r} has no value")


def _read(scope: _Scope, tensor: str, subscripts: Sequence[Array]) -> Array:
    """Elements of a tensor; zero outside it."""
    data = scope.values[tensor]
    if data.dtype.kind == "i":
        data = data.astype(np.int64)
    elif data.dtype.kind != "b":
        data = scope.reals.array(data)
    if not subscripts:
        return data
    inside = _inside(subscripts, data.shape, np.broadcast_shapes(*(s.shape for s in subscripts)))
    if data.size == 0:
        return np.zeros(inside.shape, data.dtype)
    nearest = tuple(np.clip(s, 0, n - 1) for s, n in zip(subscripts, data.shape, strict=True))
    zero = np.zeros((), data.dtype if data.dtype.kind in "bi" else np.int64)
    zero = zero if data.dtype.kind in "bi" else scope.reals.array(zero)
    return np.where(inside, data[nearest], zero)


def _inside(subscripts: Sequence[Array], shape: Sequence[int], grid: tuple[int, ...]) -> Array:
    inside = np.ones(grid, bool)
    for subscript, size in zip(subscripts, shape, strict=True):
        inside &= (subscript >= 0) & (subscript < size)
    return inside


# --- parts of a large grid ------------------------------------------------------------------------


def _parts(equation: Equation) -> Iterator[dict[Index, range]]:
    """The grid of an equation, halved until no intermediate array is larger than POSITIONS."""
    whole = {index: range(size) for index, size in equation.extents.items()}
    spans = [equation.extents, *_spans(equation.value, equation.extents)]
    todo = [whole]
    while todo:
        ranges = todo.pop()
        sizes = {index: len(r) for index, r in ranges.items()}
        costs = [math.prod(sizes.get(i, n) for i, n in span.items()) for span in spans]
        largest = spans[costs.index(max(costs))]
        index = next((i for i in ranges if i in largest and sizes[i] > 1), None)
        if max(costs) <= POSITIONS or index is None:
            yield ranges
            continue
        middle = (ranges[index].start + ranges[index].stop) // 2
        todo.append({**ranges, index: range(middle, ranges[index].stop)})
        todo.append({**ranges, index: range(ranges[index].start, middle)})


def _spans(e: Expr, sizes: Mapping[Index, int]) -> Iterator[dict[Index, int]]:
    """For each reduction, the sizes of the indices that its body spans."""
    if isinstance(e, Reduce):
        sizes = {**sizes, **{b.index: b.extent for b in e.binders}}
        yield {i: sizes[i] for i in (*e.indices, *free_indices(e.body))}
    for child in children(e):
        yield from _spans(child, sizes)


def saturated(array: Array, wanted: np.dtype[Any]) -> Array:
    """Whole numbers from reals, by way of 64 bits: towards zero, NaN is 0, what is too large the
    largest there is; then as many bits as the tensor has.
    """
    if array.dtype.kind != "f":
        return array.astype(wanted)
    limits = np.iinfo(np.int64)
    inside = (array > float(limits.min)) & (array < float(limits.max))
    ends = np.where(array > 0, limits.max, limits.min)
    truncated = np.where(inside, array, 0).astype(np.int64)
    return np.where(inside, truncated, np.where(np.isnan(array), 0, ends)).astype(wanted)
