"""By tiles: the equations of one sum over windows, to points, products there, and back, as `winograd` shows them.

For a gradient with respect to the window, points of all tiles are added up, in parts that threads may share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

from ..language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    Reduce,
    expr,
    fresh_index,
    substitute,
)
from ..language.integers import normalize
from ..language.system import Equation
from .additions import Additions
from .interpolation import Matrix, combined, interpolation
from .tiling import Tiling

__all__ = ["ByTiles"]

PARTS = 16  # of a sum over blocks, at most
FEW = 8  # parts, that as many threads can share; more of them if each has so many blocks:
WORTH = 4  # each part is cleared, written and read again
MANY = 1 << 22  # elements of all parts of a sum

Axes = tuple[Binder, ...]
Places = Sequence[Expr]
Read = Callable[[Places], Expr]
Finish = Callable[[Places, Expr], None]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values of an index, ``size`` at a time: ``outer`` count the blocks, ``inner`` the values in one."""

    outer: Axes
    inner: Axes
    size: int

    @property
    def first(self) -> Expr:
        """Where a block begins."""
        total: Expr = expr(0)
        for index, count in self.outer:
            total = total * expr(count) + index
        return normalize(total * self.size)

    @property
    def place(self) -> Expr:
        return normalize(self.first + self.inner[0].index) if self.inner else self.first


@dataclass(frozen=True, slots=True)
class _Side:
    """An axis of an operand: all ``raw`` places of a block, of which those of a tile begin at ``stride*tile``."""

    raw: Binder
    tile: Axes = ()
    stride: int = 0

    def term(self, k: int) -> Expr:
        """The k-th place of a tile."""
        return normalize(self.tile[0].index * self.stride + k) if self.tile else expr(k)


class ByTiles:
    """One sum by tiles: to points, products there, and back."""

    def __init__(self, added: Additions, equation: Equation, tiling: Tiling) -> None:
        self.added, self.equation, self.outputs = added, equation, tiling.outputs
        self.equations: list[Equation] = []
        self.labels: dict[str, str] = {}  # of new tensors
        product = self.product = tiling.product
        self.transforms = interpolation(tiling.outputs, product.length)
        self.taken: dict[Index, object] = dict.fromkeys(product.extents)
        self.points = tuple(self.binder("p", len(self.transforms.data)) for _ in product.windows)
        self.channels, self.filters = (
            tuple(Binder(i, expr(product.extents[i])) for i in own)
            for own in (product.channels, product.filters)
        )
        along = (*product.rows, *(w.place for w in product.windows))
        self.axes = [
            self.axis(i, n, size)
            for i, n, size in zip(along, tiling.counts, tiling.sizes, strict=True)
        ]
        self.parts = self.in_parts() if product.to_window else ()
        self.outer = tuple(b for axis in self.axes for b in axis.outer)
        self.inner = tuple(b for axis in self.axes for b in axis.inner)
        self.tiles = self.axes[len(product.rows) :]
        self.rows: dict[Expr, Expr] = {
            i: axis.place for i, axis in zip(product.rows, self.axes, strict=False)
        }
        (self.write_steps if product.to_window else self.write_places)()

    def binder(self, hint: str, size: int) -> Binder:
        """A new index."""
        index = fresh_index(hint, self.taken)
        self.taken[index] = None
        return Binder(index, expr(size))

    def axis(self, index: Index, count: int, size: int) -> _Axis:
        blocks = ceil(count / size)
        outer = (self.binder(f"{index.name}b", blocks),) if blocks > 1 else ()
        return _Axis(outer, (self.binder(index.name, size),) if size > 1 else (), size)

    def in_parts(self) -> Axes:
        """The parts of a sum over blocks: some blocks along the first axis that can be cut."""
        most = MANY // prod(b.extent for b in (*self.points, *self.channels, *self.filters))
        for k, axis in enumerate(self.axes):
            blocks = prod(b.extent for b in axis.outer)
            few = min(PARTS, most, max(blocks // WORTH, min(FEW, blocks // 2)))
            count = next((n for n in range(few, 1, -1) if blocks % n == 0), 1)
            if count > 1:
                part = self.binder("part", count)
                rest = Binder(axis.outer[0].index, expr(blocks // count))
                self.axes[k] = replace(axis, outer=(part, rest))
                return (part,)
        return ()

    def write_places(self) -> None:
        """The results are places: the points of each tile become those."""
        product = self.product
        tiles = self.tiled("tiles", self.data, self.transforms.data, self.channels)
        own = (*self.channels, *self.filters)
        steps = [_Side(self.binder(w.step.name, product.length)) for w in product.windows]
        other = product.other
        if other.subscripts[-1] in product.channels:  # the transforms write more than this copy
            axes = (*(Binder(w.step, expr(product.length)) for w in product.windows), *own)
            other = self.define("turned", axes, other)

        def at(steps: Places) -> Expr:
            return substitute(other, self.stepped(steps))

        window = self.spread("window", at, steps, self.transforms.window, ((), (), own))
        beside = (*self.inner, *self.filters)
        value: Expr = tiles * window
        if self.channels:
            value = Reduce("sum", value, self.channels)
        space = (*self.outer, *self.points, *beside)
        points = self.define("points", space, value)
        axes = tuple(self.binder("a", self.outputs) for _ in product.windows)

        def finish(places: Places, found: Expr) -> None:
            moved: dict[Expr, Expr] = dict(self.rows)
            for w, axis, place in zip(product.windows, self.tiles, places, strict=True):
                moved[w.place] = normalize(axis.place * self.outputs + place)
            self.result(moved, found, (*self.outer, *axes[:-1], *beside))

        self.gather("places", points, space, axes, _transposed(self.transforms.outputs), finish)

    def write_steps(self) -> None:
        """The results are steps of the window: the points of all tiles are added up before they become those."""
        product = self.product
        tiles = self.tiled("tiles", self.data, self.transforms.data, self.channels)
        given = self.tiled("given", self.given, self.transforms.outputs, self.filters)
        value: Expr = tiles * given
        if self.inner:
            value = Reduce("sum", value, self.inner)
        results = (*self.points, *self.channels, *self.filters)
        rest = tuple(b for b in self.outer if b not in self.parts)
        points = self.define("parts", (*self.parts, *results), value, rest)
        if self.parts:
            points = self.define("points", results, Reduce("sum", points, self.parts))
        axes = tuple(self.binder(w.step.name, product.length) for w in product.windows)

        def finish(steps: Places, found: Expr) -> None:
            self.result(self.stepped(steps), found, (*axes[:-1], *self.channels, *self.filters))

        self.gather("steps", points, results, axes, _transposed(self.transforms.window), finish)

    # --- operands ------------------------------------------------------------------------------------------------

    def data(self, places: Places) -> Expr:
        """The data at places of a block."""
        subscripts = [substitute(s, self.rows) for s in self.product.data.subscripts]
        for w, axis, place in zip(self.product.windows, self.tiles, places, strict=True):
            offset = w.offset - (self.product.length - 1 if w.sign < 0 else 0)
            subscripts[w.axis] = normalize(axis.first * self.outputs + place + offset)
        return Element(self.product.data.tensor, tuple(subscripts))

    def given(self, places: Places) -> Expr:
        """The other operand at places of a block."""
        moved = dict(self.rows)
        for w, axis, place in zip(self.product.windows, self.tiles, places, strict=True):
            moved[w.place] = normalize(axis.first * self.outputs + place)
        return substitute(self.product.other, moved)

    def stepped(self, steps: Places) -> dict[Expr, Expr]:
        """Steps of the window, in the direction in which it moves through the data."""
        last, pairs = self.product.length - 1, zip(self.product.windows, steps, strict=True)
        return {w.step: s if w.sign > 0 else normalize(last - s) for w, s in pairs}

    # --- transforms ----------------------------------------------------------------------------------------------

    def tiled(self, name: str, read: Read, matrix: Matrix, last: Axes) -> Element:
        """The points of all tiles of a block."""
        rows = len(self.product.rows)
        reach = len(matrix[0]) - self.outputs
        sides = [
            _Side(
                self.binder(w.place.name, self.outputs * axis.size + reach),
                axis.inner,
                self.outputs,
            )
            for w, axis in zip(self.product.windows, self.tiles, strict=True)
        ]
        inner = tuple(b for axis in self.axes[:rows] for b in axis.inner)
        return self.spread(name, read, sides, matrix, (self.outer, inner, last))

    def spread(
        self,
        name: str,
        read: Read,
        sides: Sequence[_Side],
        matrix: Matrix,
        around: tuple[Axes, Axes, Axes],
    ) -> Element:
        """Terms become points along one axis after the other; ``around`` is before, between and behind them."""
        outer, rows, last = around
        for k, side in enumerate(sides):
            later = tuple(s.raw for s in sides[k + 1 :])
            done = tuple(b for s in sides[: k + 1] for b in s.tile)
            terms = [read((side.term(n), *_indices(later))) for n in range(len(matrix[0]))]
            before, after = (*outer, *self.points[:k]), (*rows, *done, *later, *last)
            label = name if k == len(sides) - 1 else f"{name}.{k + 1}"
            element = self.each(label, before, self.points[k], after, combined(matrix, terms))
            read = _reader(element, later)
        return element

    def gather(
        self, name: str, points: Element, space: Axes, axes: Axes, matrix: Matrix, finish: Finish
    ) -> None:
        """Points become results along one axis after the other; ``finish`` takes those of the last."""
        element = points
        for k, axis in enumerate(axes):
            at, read = space.index(self.points[k]), _reader(element, (self.points[k],))
            values = combined(matrix, [read((expr(n),)) for n in range(len(matrix[0]))])
            if k == len(axes) - 1:
                for n, value in enumerate(values):
                    finish((*_indices(axes[:k]), expr(n)), value)
            else:
                before, after = space[:at], space[at + 1 :]
                element = self.each(f"{name}.{k + 1}", before, axis, after, values)
                space = (*before, axis, *after)

    # --- equations -----------------------------------------------------------------------------------------------

    def each(
        self, name: str, before: Axes, axis: Binder, after: Axes, values: Sequence[Expr]
    ) -> Element:
        """A new tensor, with an equation for each of its places along one axis."""
        space = (*before, axis, *after)
        tensor = self.tensor(name, space)
        for n, value in enumerate(values):
            places = (*_indices(before), expr(n), *_indices(after))
            self.add(Equation(tensor, places, (*before, *after), value))
        return Element(tensor, _indices(space))

    def define(self, name: str, space: Axes, value: Expr, blocks: Axes = ()) -> Element:
        """A new tensor with one equation, which adds up what some blocks give."""
        tensor = self.tensor(name, space)
        first = tuple(b for b in space if b in self.outer)
        indices = (*first, *blocks, *(b for b in space if b not in first))
        self.add(Equation(tensor, _indices(space), indices, value, accumulate=bool(blocks)))
        return Element(tensor, _indices(space))

    def result(self, moved: Mapping[Expr, Expr], value: Expr, space: Axes) -> None:
        """The equation itself at some places, where its sum is known."""
        known = {self.product.sum: value, **moved}
        subscripts = tuple(substitute(s, moved) for s in self.equation.subscripts)
        whole = substitute(self.equation.value, known)
        self.add(replace(self.equation, subscripts=subscripts, indices=space, value=whole))

    def tensor(self, label: str, axes: Axes) -> str:
        name = self.added.tensor(self.equation.target, label, [b.extent for b in axes])
        self.labels[name] = label
        return name

    def add(self, equation: Equation) -> None:
        self.equations.append(replace(equation, origin=self.equation.origin))


def _reader(element: Element, axes: Axes) -> Read:
    """The element at other places along some axes."""

    def read(places: Places) -> Expr:
        return substitute(element, dict(zip(_indices(axes), places, strict=True)))

    return read


def _indices(axes: Axes) -> tuple[Expr, ...]:
    return tuple(b.index for b in axes)


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))
