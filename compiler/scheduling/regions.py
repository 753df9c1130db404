"""Regions: which part of a tensor a kernel touches while its indices run over blocks.

An axis of a tensor and an index of a kernel are cut into the same number of units, the last of which takes what is
left over. The kernel keeps to its units if in each it touches only that unit of the axis:

    y[n, h, c] = max[i:2](x[n, 2*h + i, c])        units of one h, and of two rows of x
    p[b, o] = sum[n:4](d[4*b + n, o])              units of one b, and of four rows of d
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from ..language.expression import Element, Expr, Index, Reduce, children
from ..language.integers import polynomial
from .fuse import Fusion

__all__ = ["Place", "Work", "work_of"]

Sizes = Mapping[Index, int]


@dataclass(frozen=True, slots=True)
class Linear:
    """``constant + sum of factor*index``, with the number of values of each index."""

    constant: int
    terms: tuple[tuple[Index, int, int], ...]

    def factor(self, index: Index) -> int:
        for i, factor, _ in self.terms:
            if i.name == index.name:  # quicker to compare than indices, and asked most
                return factor
        return 0

    def span(self, lengths: Sizes) -> tuple[int, int]:
        """Least and greatest value; ``lengths`` says of which indices only the first few values are meant."""
        reach = [factor * (lengths.get(i, size) - 1) for i, factor, size in self.terms]
        low = self.constant + sum(r for r in reach if r < 0)
        return low, self.constant + sum(r for r in reach if r > 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Elements of a tensor that a kernel touches: for each axis a subscript, None where that is data."""

    tensor: str
    axes: tuple[Linear | None, ...]
    is_written: bool = False
    is_added: bool = False

    def keeps(self, axis: int, shape: Sequence[int], row: Index, size: int, units: int) -> bool:
        """Does it touch one unit of the axis while ``row``, of ``size`` values, runs over one of its units?"""
        own = self.axes[axis]
        factor = own.factor(row) if own else 0
        rows, places = size // units, shape[axis] // units
        if own is None or factor * rows != places or places == 0:
            return False
        low, high = own.span({row: rows})
        return low >= 0 and high < places

    def axis(self, shape: Sequence[int], row: Index, size: int, units: int) -> int | None:
        """An axis along which it keeps to units."""
        axes = range(len(self.axes))
        return next((a for a in axes if self.keeps(a, shape, row, size, units)), None)

    def is_along(self, row: Index) -> bool:
        """Does ``row`` move from one neighbour in a line to the next?"""
        last = self.axes[-1] if len(self.axes) > 1 else None
        return last is not None and last.factor(row) == 1

    def volume(self, shape: Sequence[int], lengths: Sizes) -> int:
        """Elements touched while some indices run over their first few values only."""
        total = 1
        for own, size in zip(self.axes, shape, strict=True):
            low, high = (0, size - 1) if own is None else own.span(lengths)
            total *= min(size, high - low + 1)
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A kernel, the number of values of its indices, the elements in memory that it touches, its operations."""

    fusion: Fusion
    extents: Sizes
    places: tuple[Place, ...]
    operations: int
    tensors: frozenset[str]
    known: dict[object, tuple[int, ...]] = field(default_factory=dict)

    def volumes(
        self, shapes: Mapping[str, Sequence[int]], lengths: Sizes
    ) -> Iterator[tuple[Place, int]]:
        """The places, and how many elements of each are touched while some indices run over a few values only.

        A kernel that has joined others is asked again whenever a further one does.
        """
        key = tuple(lengths.items())
        if key not in self.known:
            self.known[key] = tuple(p.volume(shapes[p.tensor], lengths) for p in self.places)
        return zip(self.places, self.known[key], strict=True)

    @property
    def written(self) -> dict[str, None]:
        return {p.tensor: None for p in self.places if p.is_written}

    def most(self, sizes: Mapping[str, int]) -> int:
        """Elements of the largest tensor that it writes; 0 where nobody asks for what it computes."""
        return max((sizes[name] for name in self.written), default=0)

    def row(self, tensor: str, axis: int) -> Index | None:
        """The index that moves furthest along an axis of a tensor."""
        for place in self.places:
            own = place.axes[axis] if place.tensor == tensor else None
            if own is not None:
                moving = [(factor, k, i) for k, (i, factor, _) in enumerate(own.terms)]
                known = [each for each in moving if each[2] in self.extents]
                return max(known)[2] if known else None
        return None

    def like(self, fusion: Fusion, names: Mapping[str, str]) -> Work:
        """The same of a kernel that differs in the names of tensors only, whose shapes are the same."""
        places = tuple(
            Place(names[p.tensor], p.axes, p.is_written, p.is_added) for p in self.places
        )
        tensors = frozenset(place.tensor for place in places)
        return Work(fusion, self.extents, places, self.operations, tensors, self.known)


def work_of(fusion: Fusion) -> Work:
    """What a kernel does."""
    extents = fusion.equations[0].extents
    found: dict[Place, None] = {}
    most = 1
    for equation in fusion.equations:
        target = Element(equation.target, equation.subscripts)
        found[_place(target, extents, True, equation.accumulate)] = None
        for e in (equation.value, *equation.subscripts):
            for element, sizes in _elements(e, extents):
                found[_place(element, sizes)] = None
                most = max(most, prod(sizes.values()))
    own = tuple(place for place in found if place.tensor not in fusion.kept)
    return Work(fusion, extents, own, most, frozenset(place.tensor for place in own))


def _elements(e: Expr, sizes: Sizes) -> Iterator[tuple[Element, Sizes]]:
    """All that is read, with the indices that run there."""
    if isinstance(e, Element):
        yield e, sizes
    if isinstance(e, Reduce):
        sizes = {**sizes, **{b.index: b.extent for b in e.binders}}
    for child in children(e):
        yield from _elements(child, sizes)


def _place(e: Element, sizes: Sizes, is_written: bool = False, is_added: bool = False) -> Place:
    return Place(e.tensor, tuple(_linear(s, sizes) for s in e.subscripts), is_written, is_added)


def _linear(subscript: Expr, sizes: Sizes) -> Linear | None:
    if isinstance(subscript, Index) and subscript in sizes:  # most are
        return Linear(0, ((subscript, 1, sizes[subscript]),))
    p, terms = polynomial(subscript), []
    for monomial, factor in p.terms:
        match monomial:
            case ():
                continue
            case (Index() as index,) if index in sizes and isinstance(factor, int):
                terms.append((index, factor, sizes[index]))
            case _:
                return None
    return Linear(int(p.constant), tuple(terms))
