"""The rule for ``...`` and for broadcasting: a rank-generic formula becomes one with plain indices.

In one application of a formula ``...`` stands for one bundle of indices, as many as the operand
with most axes has there. The operands' bundles are aligned at the right, as in NumPy: an axis that
is missing, or that is 1 where another operand's is larger, is read at 0 (a missing one has no
subscript at all).

    y[...] = a[...] + b[...]     with a (64, 10), b (10,)     is     y[n, i] = a[n, i] + b[i]
    y[..., i] = x[..., i]/s[...] with x (64, 8, 3), s (1, 8)  is     y[n, t, i] = x[n, t, i]/s[0, t]

Nothing else is ever broadcast: an index written in the formula has one size.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce

from compiler.language.expression import (
    ELLIPSIS,
    GROUP,
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    elements,
    rebuild,
    walk,
)

from ..errors import ShapeError
from .formula import Fact, Formula, Line

__all__ = ["BUNDLE", "broadcasts", "expand", "is_generic", "reads_bundle"]

BUNDLE = Index(ELLIPSIS)
Shape = tuple[Expr, ...]
# Names given to the indices of a bundle, by its length: alone in its subscripts, or with others
# beside it.
_ALONE = {1: "n", 2: "ni", 3: "nti", 4: "nhwc"}
_BESIDE = {1: "n", 2: "nt", 3: "nhw"}
_SPARE = "abdefgjklmpqruvz"


def is_generic(formula: Formula) -> bool:
    """Does the formula contain ``...``?"""
    return any(BUNDLE in walk(e) for line in formula.lines for e in (line.value, *line.subscripts))


def reads_bundle(formula: Formula) -> bool:
    """Is an operand read with ``...``, so that its rank says how many indices that is?"""
    found = (n for line in formula.lines for n in elements(line.value))
    return any(e.tensor in formula.operands and _position(e) is not None for e in found)


def expand(formula: Formula, shapes: Mapping[str, Sequence[Expr]]) -> Formula:
    """The formula for operands of these shapes, without ``...``. Raises `ShapeError` where ranks do
    not fit.
    """
    if not is_generic(formula):
        return formula
    bundles = _bundles(formula, shapes)
    length = max((len(b) for b in bundles.values()), default=0)
    names = _names(formula, length, alone=_is_alone(formula))
    positions = _positions(formula)
    full, sizes = _broadcast(bundles, positions, length, formula)
    writer = _Expansion(names, full, sizes, bundles, positions)
    lines = tuple(writer.line(line) for line in formula.lines)
    facts = tuple(writer.fact(fact) for fact in formula.facts)
    return Formula(formula.text, lines, facts, formula.operands, formula.outputs)


def broadcasts(formula: Formula, shapes: Mapping[str, Sequence[Expr]]) -> bool:
    """Do the operands' bundles differ, so that the formula must be expanded before anything is
    derived from it?
    """
    bundles = list(_bundles(formula, shapes).values())
    return any(b != bundles[0] for b in bundles)


def _expressions(formula: Formula) -> Iterable[Expr]:
    for line in formula.lines:
        yield from (line.value, *line.subscripts)
    for fact in formula.facts:
        yield from (fact.left, fact.right)


def _bundles(formula: Formula, shapes: Mapping[str, Sequence[Expr]]) -> dict[str, Shape]:
    """The part of each operand's shape that ``...`` stands for."""
    found: dict[str, Shape] = {}
    for e in _expressions(formula):
        for element in elements(e):
            position = _position(element)
            if element.tensor not in shapes or position is None:
                continue
            shape = tuple(shapes[element.tensor])
            others = len(element.subscripts) - 1
            if others > len(shape):
                wanted = f"at least {others} axes"
                raise ShapeError(
                    f"{element.tensor} has {len(shape)} axes, the formula needs {wanted}: {formula.text}"
                )
            found[element.tensor] = shape[position : len(shape) - (others - position)]
    return found


def _position(element: Element) -> int | None:
    """Where in an element's subscripts the bundle stands."""
    return next((k for k, s in enumerate(element.subscripts) if _spans(s)), None)


def _positions(formula: Formula) -> dict[str, int]:
    found = [n for e in _expressions(formula) for n in elements(e)]
    found += [Element(line.target, line.subscripts) for line in formula.lines]
    return {e.tensor: at for e in found if (at := _position(e)) is not None}


def _spans(subscript: Expr) -> bool:
    """Is it the bundle, or a group with the bundle in it?"""
    if isinstance(subscript, Call) and subscript.function == GROUP:
        return BUNDLE in subscript.arguments
    return subscript == BUNDLE


def _is_alone(formula: Formula) -> bool:
    return all(len(line.subscripts) <= 1 for line in formula.lines)


def _broadcast(
    bundles: Mapping[str, Shape], positions: Mapping[str, int], length: int, formula: Formula
) -> tuple[Shape, Shape]:
    """The common bundle by NumPy's rule, aligned at the right; and the ``dim(x, k)`` that each size is."""
    one = Number(Fraction(1))
    full: list[Expr] = [one] * length
    owner = [""] * length
    sizes: list[Expr] = [one] * length
    for tensor, bundle in bundles.items():
        skipped = length - len(bundle)
        for axis, size in enumerate(bundle, start=skipped):
            if full[axis] == one:
                full[axis], owner[axis] = size, tensor
                sizes[axis] = Size(tensor, positions[tensor] + axis - skipped)
            elif size not in (one, full[axis]):
                raise ShapeError(
                    f"'...' of {owner[axis]} has size {_show(full[axis])} where that of {tensor} has"
                    f" {_show(size)}: {formula.text}"
                )
    return tuple(full), tuple(sizes)


def _show(size: Expr) -> str:
    return str(size.value) if isinstance(size, Number) else getattr(size, "name", "unknown")


def _names(formula: Formula, length: int, *, alone: bool) -> tuple[Index, ...]:
    taken = {*formula.operands, *formula.outputs}
    for e in _expressions(formula):
        for node in walk(e):
            if isinstance(node, Index):
                taken.add(node.name)
            elif isinstance(node, Reduce):
                taken |= {b.index.name for b in node.binders}
            elif isinstance(node, Element):
                taken.add(node.tensor)
    for line in formula.lines:
        taken |= {line.target, *(b.index.name for b in line.declared)}
    wanted = (_ALONE if alone else _BESIDE).get(length, "n" + _SPARE)
    names: list[str] = []
    for letter in wanted[:length].ljust(length, "n"):
        candidates = [letter, *_SPARE, *(f"a{k}" for k in range(100))]
        names.append(next(c for c in candidates if c not in taken and c not in names))
    return tuple(map(Index, names))


class _Expansion:
    """Rewrites expressions, given the names and sizes of the bundle's indices and each operand's
    own bundle.
    """

    def __init__(
        self,
        names: tuple[Index, ...],
        full: Shape,
        sizes: Shape,
        bundles: Mapping[str, Shape],
        positions: Mapping[str, int],
    ) -> None:
        self.names, self.full, self.bundles, self.positions = names, full, bundles, positions
        self.sizes: dict[Index, Expr] = dict(zip(names, sizes, strict=True)) if bundles else {}

    def line(self, line: Line) -> Line:
        subscripts = tuple(new for s in line.subscripts for new in self.subscript(s, line.target))
        columns = {self.expression(e): column for e, column in line.columns.items() if e != BUNDLE}
        value = self.expression(line.value)
        said = {s for part in (value, *subscripts) for e in elements(part) for s in e.subscripts}
        unsaid = {i: size for i, size in self.sizes.items() if i not in said}
        declared = (
            b if b.size else Binder(b.index, unsaid.get(b.index))
            for b in self.binders(line.declared)
        )
        return Line(
            line.target,
            subscripts,
            tuple(declared),
            value,
            line.accumulate,
            line.source,
            line.number,
            columns,
        )

    def fact(self, fact: Fact) -> Fact:
        return Fact(
            self.expression(fact.left), self.expression(fact.right), self.binders(fact.indices)
        )

    def binders(self, binders: tuple[Binder, ...]) -> tuple[Binder, ...]:
        return tuple(new for b in binders for new in self.binder(b))

    def binder(self, binder: Binder) -> tuple[Binder, ...]:
        if binder.index == BUNDLE:
            return tuple(Binder(i, None) for i in self.names)
        size = None if binder.size is None else self.expression(binder.size)
        return (Binder(binder.index, size),)

    def expression(self, e: Expr) -> Expr:
        match e:
            case Element(tensor, subscripts):
                return Element(
                    tensor, tuple(n for s in subscripts for n in self.subscript(s, tensor))
                )
            case Reduce(kind, body, binders):
                inner = self.binders(binders)
                return (
                    Reduce(kind, self.expression(body), inner) if inner else self.expression(body)
                )
            case Call("group", arguments):  # a place, not a subscript: among all of the bundle
                parts = (self.names if a == BUNDLE else (self.expression(a),) for a in arguments)
                return Call(GROUP, tuple(n for part in parts for n in part))
            case Size(tensor, axis) if axis == ELLIPSIS:
                start, count = (
                    self.positions.get(tensor, 0),
                    len(self.bundles.get(tensor, self.full)),
                )
                sizes: list[Expr] = [Size(tensor, start + k) for k in range(count)]
                return reduce(operator.mul, sizes) if sizes else Number(Fraction(1))
        return rebuild(e, self.expression)

    def subscript(self, e: Expr, tensor: str) -> tuple[Expr, ...]:
        """What a subscript becomes: several where it is the bundle, one otherwise."""
        if e == BUNDLE:
            return self.bundle(tensor)
        if isinstance(e, Call) and e.function == GROUP:
            return (Call(GROUP, tuple(n for a in e.arguments for n in self.subscript(a, tensor))),)
        return (self.expression(e),)

    def bundle(self, tensor: str) -> tuple[Expr, ...]:
        if tensor not in self.bundles:
            return self.names
        own = self.bundles[tensor]
        start = len(self.names) - len(own)
        zero = Number(Fraction(0))
        return tuple(
            name if size == full else zero
            for name, size, full in zip(self.names[start:], own, self.full[start:], strict=True)
        )
