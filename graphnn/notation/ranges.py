"""The sizes of the indices of one line.

declared    the size that is written with the index           h:28
plain       the axis that the index stands in alone           x[n, i]; two such axes must agree
affine      the largest that keeps a subscript in its axis    2*h + i
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction

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
    expr,
    free_indices,
    rebuild,
    substitute,
    walk,
)
from compiler.language.integers import (
    bounds,
    integer_difference,
    is_nonnegative,
    normalize,
    polynomial,
    simplify_integer,
)
from compiler.language.system import Equation
from compiler.language.text import expression_text

from ..errors import ShapeError
from .expand import BUNDLE
from .formula import Formula, Line

__all__ = ["Ranges", "SizeMismatchError"]

_WHOLE = ("+", "-", "*", "//", "%", "neg")  # functions that make whole numbers of such


class SizeMismatchError(ShapeError):
    """One index runs over two sizes; carries them, so that symbolic sizes can be made equal."""

    def __init__(self, message: str, sizes: tuple[Expr, Expr]) -> None:
        super().__init__(message)
        self.sizes = sizes


class Ranges:
    """Sizes of the indices of one line. Bound indices get unique names while sizes are collected."""

    def __init__(
        self,
        formula: Formula,
        line: Line,
        shapes: Mapping[str, tuple[Expr, ...]],
        unfinished: set[str],
        patient: bool = True,
    ) -> None:
        self.formula, self.line, self.shapes, self.unfinished = formula, line, shapes, unfinished
        self.patient = patient
        self.sizes: dict[Index, Expr] = {}
        self.declared: dict[Index, Expr] = {}
        self.indices: list[Index] = []
        self.names: dict[Index, Index] = {}
        for binder in line.declared:
            self.note(binder.index, binder.size)
        self.subscripts = tuple(self.separate(s) for s in line.subscripts)
        self.value = self.separate(line.value)

    def error(self, kind: type[ShapeError], message: str, at: Expr | None = None) -> ShapeError:
        column = None if at is None else self.line.columns.get(at)
        pointer = f"\n  {' ' * column}^" if column is not None else ""
        return kind(f"{message}\n  {self.line.source}{pointer}")

    def note(self, index: Index, size: Expr | None) -> None:
        self.indices.append(index)
        if size is not None:
            self.sizes[index] = self.declared[index] = self.known(size)

    def known(self, size: Expr) -> Expr:
        """A size as written, with dim(x, 1) replaced by what is known of x."""
        match size:
            case Size(tensor, axis) if tensor in self.shapes and axis != "...":
                assert isinstance(axis, int)
                shape = self.shapes[tensor]
                if not -len(shape) <= axis < len(shape):
                    raise self.error(
                        ShapeError,
                        f"{tensor} has {len(shape)} axes: there is no dim({tensor}, {axis})",
                    )
                return shape[axis]
            case Size(tensor, "...") if tensor in self.shapes:
                return next(filter(is_bundle, self.shapes[tensor]), size)
        return normalize(rebuild(size, self.known))

    def separate(self, e: Expr) -> Expr:
        """A different name for every bound index (``k~1``), remembered in ``names``."""
        if _is_size(e):
            return self.known(e)
        if not isinstance(e, Reduce):
            return rebuild(e, self.separate)
        unique = {
            b.index: Index(f"{b.index.name}~{len(self.names) + k}") for k, b in enumerate(e.binders)
        }
        self.names |= {new: old for old, new in unique.items()}
        for index, size in e.binders:
            self.note(unique[index], size)
        body = self.separate(substitute(e.body, dict(unique)))
        return Reduce(e.kind, body, tuple(Binder(unique[i], None) for i, _ in e.binders))

    def written(self, e: Expr) -> Expr:
        """With the names that bound indices have in the text."""
        return substitute(e, dict(self.names))

    def without_range(self) -> list[Index]:
        return [self.names.get(i, i) for i in self.indices if i not in self.sizes]

    def resolve(self) -> Equation | None:
        """The equation with its sizes; None when they depend on lines that are not resolved yet."""
        self.resolve_sizes({name for name in self.shapes if name not in self.unfinished})
        if self.without_range():
            return None
        sizes = self.sizes
        subscripts = tuple(simplify_integer(self.grouped(s), sizes) for s in self.subscripts)
        indices = tuple(Binder(b.index, sizes[b.index]) for b in self.line.declared)
        value = self.finish(self.value)
        return Equation(self.line.target, subscripts, indices, value, self.line.accumulate)

    def resolve_sizes(self, finished: set[str]) -> None:
        """Collect sizes from the elements of tensors whose shape is final."""
        reads = [e for part in (self.value, *self.subscripts) for e in elements(part)]
        known = [e for e in reads if e.tensor in finished]
        for element in known:
            self.check_rank(element)
            self.check_inside(element)
        for element in known:
            self.plain(element)
        while any(self.affine(element) for element in known):
            pass
        self.bundled()

    def bundled(self) -> None:
        """One bundle in one formula: where nothing says how large ``...`` is, any tensor does."""
        size = next((n for shape in self.shapes.values() for n in shape if is_bundle(n)), None)
        if size is not None:
            for index in self.indices:
                if self.names.get(index, index) == BUNDLE:
                    self.sizes.setdefault(index, size)

    def check_targets(self, operands: set[str]) -> None:
        """Elements of tensors that were not known when the line was resolved: ranks and sizes must fit too.

        An index of the left side that only stands in something like t+1 may run over less than the axis."""
        self.resolve_sizes(operands)
        shifted = {b.index for b in self.line.declared if b.index not in self.subscripts}
        for element in (e for part in (self.value, *self.subscripts) for e in elements(part)):
            self.check_rank(element)
            if element.tensor not in operands:
                self.plain(element, exempt=shifted)

    def check_rank(self, element: Element) -> None:
        if element.tensor not in self.shapes:
            return
        rank, given = len(self.shapes[element.tensor]), len(element.subscripts)
        if rank != given:
            axes = "axis" if rank == 1 else "axes"
            raise self.error(
                ShapeError,
                f"{element.tensor} has {rank} {axes}, the formula gives it {given} subscript{'s' * (given != 1)}",
            )

    def check_inside(self, element: Element) -> None:
        """What lies outside is zero; a place that is written as a number and lies there is a mistake."""
        for axis, (subscript, size) in enumerate(
            zip(element.subscripts, self.shapes[element.tensor], strict=True)
        ):
            place = normalize(subscript)
            if not isinstance(place, Number):
                continue
            if place.value < 0 or (isinstance(size, Number) and place.value >= size.value):
                last = f"dim({element.tensor}, {axis}) - 1"
                raise self.error(
                    ShapeError,
                    f"{expression_text(self.written(element))} lies outside {element.tensor}: axis {axis} has"
                    f" places 0 to {expression_text(normalize(size - 1))}, the last is written {last}",
                )

    def plain(self, element: Element, exempt: Collection[Index] = ()) -> None:
        for subscript, size in zip(element.subscripts, self.shapes[element.tensor], strict=True):
            if not isinstance(subscript, Index) or subscript in self.declared:
                continue
            if subscript in exempt:
                continue
            known = self.sizes.setdefault(subscript, size)
            if integer_difference(known, size) != 0:
                self.clash(subscript, known, element.tensor, size)

    def clash(self, index: Index, known: Expr, tensor: str, size: Expr) -> None:
        name = self.names.get(index, index).name
        other = next(
            (
                e.tensor
                for part in (self.value, *self.subscripts)
                for e in elements(part)
                for s, n in zip(e.subscripts, self.shapes.get(e.tensor, ()), strict=False)
                if s == index and n == known
            ),
            "the left side",
        )
        a, b = expression_text(known), expression_text(size)
        message = f"index {name} of {tensor} is {b}, of {other} is {a}"
        raise SizeMismatchError(str(self.error(ShapeError, message)), (known, size))

    def affine(self, element: Element) -> bool:
        """Give a range to the one index without a range in a subscript such as s*h + i."""
        found = False
        for subscript, size in zip(element.subscripts, self.shapes[element.tensor], strict=True):
            todo = [i for i in free_indices(subscript) if i not in self.sizes]
            if len(todo) != 1 or any(isinstance(n, (Element, Reduce)) for n in walk(subscript)):
                continue
            form = polynomial(subscript)
            step, rest = form.coefficient(todo[0]), form.without(todo[0])
            if todo[0] in rest.atoms() or not step.is_constant or step.constant < 1:
                continue
            span = bounds(rest.expression(), self.sizes)
            if span is None or (self.patient and self.stands_alone(todo[0])):
                continue
            self.sizes[todo[0]] = self.fitting(
                subscript, element.tensor, todo[0], size, span, step.constant
            )
            found = True
        return found

    def stands_alone(self, index: Index) -> bool:
        """Is the index a subscript of a tensor that is not resolved yet, and will tell its size?"""
        reads = (e for part in (self.value, *self.line.subscripts) for e in elements(part))
        return any(e.tensor in self.unfinished and index in e.subscripts for e in reads)

    def fitting(
        self,
        at: Expr,
        tensor: str,
        index: Index,
        size: Expr,
        span: tuple[Expr, Expr],
        step: Fraction,
    ) -> Expr:
        name, text = self.names.get(index, index).name, expression_text(self.written(at))
        if not is_nonnegative(span[0], {}):
            raise self.error(
                ShapeError,
                f"the subscript {text} starts below 0: give the range of {name} as {name}:size",
                at,
            )
        count = normalize((size - 1 - span[1]) // step + 1)
        if isinstance(count, Number) and count.value < 1:
            reach = expression_text(normalize(span[1] + 1))
            raise self.error(
                ShapeError,
                f"no place for index {name}: {text} needs {reach} positions of {tensor},"
                f" whose axis has {expression_text(size)}",
                at,
            )
        return count

    def grouped(self, e: Expr, keep: bool = False) -> Expr:
        """A group becomes a place: [a, b, c] is (a*|b| + b)*|c| + c. A bundle may ``keep`` [...]."""
        if not (isinstance(e, Call) and e.function == GROUP):
            return e
        total: Expr = expr(0)
        for index in e.arguments:
            if not isinstance(index, Index):
                raise self.error(ShapeError, "a group [a, b] fuses plain indices")
            kept = keep and self.names.get(index, index) == BUNDLE
            total = total * self.sizes[index] + (Call(GROUP, (index,)) if kept else index)
        return normalize(total)

    def finish(self, e: Expr) -> Expr:
        """Sizes into the reductions, the written names back, integer subscripts in normal form."""
        match e:
            case Reduce(kind, body, binders):
                back = {i: self.names[i] for i, _ in binders}
                sized = tuple(Binder(back[i], self.sizes[i]) for i, _ in binders)
                return Reduce(kind, substitute(self.finish(body), dict(back)), sized)
            case Element(tensor, subscripts):
                plain = (self.finish(self.grouped(s)) for s in subscripts)
                return Element(tensor, tuple(simplify_integer(s, self.sizes) for s in plain))
            case Call("group"):
                return self.grouped(e, keep=True)
        return rebuild(e, self.finish)


def _is_size(e: Expr) -> bool:
    """Is it computed from sizes, and so one number where they are: ``dim(x, 1) - 1``?"""
    if isinstance(e, Call) and e.function in _WHOLE:
        return any(map(_is_size, e.arguments)) and all(
            (isinstance(a, Number) and a.is_integer) or _is_size(a) for a in e.arguments
        )
    return isinstance(e, Size)


def is_bundle(size: Expr) -> bool:
    """Is it the size of ``...``, all of its axes together?"""
    return isinstance(size, Size) and size.axis == ELLIPSIS
