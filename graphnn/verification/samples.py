"""Small sizes and values at which a formula is tried out.

The sizes of a formula are symbols; here each gets a small number such that every index has a place, all different where
possible, so that a transposed axis shows. Values come without ties and without a random generator.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from compiler.language.expression import (
    COMPARISONS,
    Call,
    Element,
    Expr,
    Number,
    Size,
    children,
    elements,
    substitute,
    walk,
)
from compiler.language.integers import normalize

from ..errors import GraphnnError, ShapeError
from ..notation import Formula, Resolved, resolve, symbolic

__all__ = ["Sample", "sample", "weyl"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A formula at small sizes: its shapes, and a value for each operand."""

    resolved: Resolved
    shapes: Mapping[str, tuple[int, ...]]
    values: Mapping[str, np.ndarray]


def weyl(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers in (-1, 1) without ties, the same at every call: multiples of the golden ratio, wrapped."""
    count = int(np.prod(shape, dtype=np.int64))
    steps = (np.arange(1, count + 1) + 97 * seed) * 0.6180339887498949
    return (2 * (steps % 1.0) - 1).reshape(shape)


def sample(formula: Formula, integers: set[str], positive: bool = False, seed: int = 0) -> Sample:
    """The formula at the smallest sizes that fit; ``integers`` names its integer operands.

    ``positive`` takes all values from (0.2, 1). Raises `GraphnnError` when no small sizes fit.
    """
    pattern = symbolic(formula)
    for sizes in _assignments(pattern):
        shapes = {}
        try:
            for name in formula.operands:
                shapes[name] = tuple(_whole(substitute(n, sizes)) for n in pattern.shapes[name])
            resolved = resolve(formula, shapes)
        except ShapeError:
            continue
        values = {}
        for k, name in enumerate(formula.operands):
            numbers = weyl(shapes[name], k + seed)
            if name in integers:
                numbers = np.floor((numbers + 1) / 2 * _limit(name, resolved)).astype(np.int64)
            elif positive:
                numbers = 0.2 + 0.4 * (numbers + 1)
            values[name] = numbers
        return Sample(resolved, shapes, values)
    raise GraphnnError(f"no small sizes fit {formula.text}")


def _assignments(pattern: Resolved) -> Iterator[dict[Expr, Expr]]:
    """Numbers for the symbolic sizes, small ones first; sizes of windows stay smaller than what they move over."""
    symbols = list(
        dict.fromkeys(
            n
            for name in pattern.operands
            for size in pattern.shapes[name]
            for n in walk(size)
            if isinstance(n, Size)
        )
    )
    first = pattern.operands[0] if pattern.operands else ""
    least: dict[Expr, int] = {}
    for size, count in _read_at_numbers(pattern):
        least[size] = max(count, least.get(size, 1))
    # Written out, a recurrence doubles with each step: two steps of size one show all there is.
    smalls, larges = ((1,), (2, 3, 4)) if _recurs(pattern) else ((2, 1, 3), (3, 4, 5, 6, 8))
    for small, large in itertools.product(smalls, larges):
        sizes: dict[Expr, Expr] = {}
        for k, symbol in enumerate(symbols):
            number = (
                large
                if symbol.tensor == first and k
                else small + (k % 2 if small > 1 and large < 5 else 0)
            )
            sizes[symbol] = Number(Fraction(max(number, least.get(symbol, 1))))
        yield sizes


def _read_at_numbers(pattern: Resolved) -> Iterator[tuple[Expr, int]]:
    """How large an axis is at least, where something is read at a place that is a number: ``b[1, j]``."""
    parts = [e for q in pattern.equations for e in (q.value, *q.subscripts)]
    for element in (node for part in parts for node in elements(part)):
        shape = pattern.shapes[element.tensor]
        for subscript, size in zip(element.subscripts, shape, strict=True):
            if isinstance(subscript, Number):
                yield size, int(subscript.value) + 1


def _recurs(pattern: Resolved) -> bool:
    """Does an equation read what it, or a later one, defines?"""
    equations = pattern.equations
    return any(
        element.tensor in {later.target for later in equations[k:]}
        for k, equation in enumerate(equations)
        for element in elements(equation.value)
    )


def _whole(size: Expr) -> int:
    number = normalize(size)
    if not isinstance(number, Number) or number.value < 1:
        raise ShapeError("a size is not positive")
    return int(number.value)


def _limit(name: str, resolved: Resolved) -> int:
    """Values of an integer operand stay below the axes it points into, and below the indices it is compared with."""
    limits = []
    for equation in resolved.equations:
        sizes = dict(equation.sizes)
        for part in (equation.value, *equation.subscripts):
            for node in walk(part):
                if isinstance(node, Element):
                    for subscript, size in zip(
                        node.subscripts, resolved.shapes[node.tensor], strict=True
                    ):
                        if any(e.tensor == name for e in elements(subscript)):
                            limits.append(_whole(size))
                if isinstance(node, Call) and node.function in COMPARISONS:
                    limits += [_whole(sizes[i]) for i in children(node) if i in sizes]
        for place, size in zip(equation.subscripts, resolved.shapes[equation.target], strict=True):
            if any(e.tensor == name for e in elements(place)):
                limits.append(_whole(size))
    return min(limits, default=3)
