"""Formula -> Resolved: a size for every index, a shape for every tensor.

The range of an index is, in this order: the size written with it (``h:28``); the axis it stands in alone (``x[n, i]``; two
such axes must agree); the largest range that keeps a subscript such as ``2*h + i`` inside its axis. Otherwise it has no
range and the formula is refused. Sizes may be symbols: the batch that is not fixed yet, or, in `symbolic`, all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction

from compiler.expression import (
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
from compiler.integers import (
    bounds,
    integer_difference,
    is_nonnegative,
    normalize,
    polynomial,
    simplify_integer,
)
from compiler.system import Equation
from compiler.text import expression_text

from ..errors import NotationError, ShapeError
from .expand import BUNDLE, expand
from .formula import Fact, Formula, Line, Resolved

__all__ = ["SizeMismatchError", "resolve", "symbolic"]

Shapes = Mapping[str, Sequence[int | Expr]]


def resolve(formula: Formula, shapes: Shapes) -> Resolved:
    """The equations of ``formula`` for operands of these shapes.

    Raises `ShapeError` (an index with two sizes, a wrong number of axes, a window that does not fit) or `NotationError` (an
    index without a range).
    """
    given = {name: tuple(expr(n) for n in shape) for name, shape in shapes.items()}
    missing = [name for name in formula.operands if name not in given]
    if missing:
        raise ShapeError(f"no shape given for operand {missing[0]} of {formula.text}")
    return _resolve(expand(formula, given), given)


def symbolic(formula: Formula) -> Resolved:
    """The equations with a symbol for every size, equal sizes being one symbol.

    ``...`` stays a single index of size ``dim(x, ...)``. Raises `ShapeError` when the formula has no such form because
    an operand is read with different numbers of subscripts.
    """
    shapes = _symbolic_shapes(formula)
    while True:
        try:
            return _resolve(formula, shapes)
        except SizeMismatchError as clash:
            old, new = clash.sizes
            if not isinstance(new, Size) or (isinstance(old, Size) and _later(old, new, formula)):
                old, new = new, old
            if not isinstance(new, Size):
                raise
            shapes = {
                name: tuple(normalize(substitute(n, {new: old})) for n in shape)
                for name, shape in shapes.items()
            }


def _later(a: Size, b: Size, formula: Formula) -> bool:
    """Is ``a`` the worse representative: does its tensor appear after ``b``'s?"""
    order = [*formula.operands]
    return order.index(a.tensor) > order.index(b.tensor)


def _symbolic_shapes(formula: Formula) -> dict[str, tuple[Expr, ...]]:
    shapes: dict[str, tuple[Expr, ...]] = {}
    parts = [e for line in formula.lines for e in (line.value, *line.subscripts)]
    parts += [e for fact in formula.facts for e in (fact.left, fact.right)]
    for element in (n for e in parts for n in elements(e)):
        if element.tensor not in formula.operands:
            continue
        shape = tuple(_symbolic_axes(element))
        if shapes.setdefault(element.tensor, shape) != shape:
            raise ShapeError(
                f"{element.tensor} is read with different subscripts in {formula.text}"
            )
    return shapes  # an operand of which only a size is asked for has none


def _symbolic_axes(element: Element) -> Iterator[Expr]:
    """dim(x, 0), dim(x, 1), ... counted from the right behind a bundle."""
    behind = False
    for axis, subscript in enumerate(element.subscripts):
        if subscript == BUNDLE:
            behind = True
            yield Size(element.tensor, "...")
        else:
            yield Size(element.tensor, axis - len(element.subscripts) if behind else axis)


class SizeMismatchError(ShapeError):
    """One index runs over two sizes; carries them, so that symbolic sizes can be made equal."""

    def __init__(self, message: str, sizes: tuple[Expr, Expr]) -> None:
        super().__init__(message)
        self.sizes = sizes


def _resolve(formula: Formula, given: Mapping[str, tuple[Expr, ...]]) -> Resolved:
    shapes = dict(given)
    equations: dict[int, Equation] = {}
    pending = list(enumerate(formula.lines))
    patient = True  # an index that another line will give a size is not given one by a window
    while pending:
        waiting = []
        for position, line in pending:
            unfinished = {other.target for k, other in pending if other.target not in given}
            reader = _Ranges(formula, line, shapes, unfinished, patient)
            equation = reader.resolve()
            if equation is None:
                waiting.append((position, line))
            else:
                equations[position] = equation
                _extend(shapes, equation)
        if len(waiting) == len(pending) and not patient:
            names = ", ".join(i.name for i in reader.without_range())
            message = f"no range for index {names}: give it as name:size"
            raise NotationError(message, waiting[0][1].source, waiting[0][1].number)
        pending, patient = waiting, len(waiting) < len(pending)
    made = {line.target for line in formula.lines if line.target not in given}
    for line in formula.lines:
        _Ranges(formula, line, shapes, made).check_targets(set(given))
    facts = tuple(_fact(fact, formula, shapes) for fact in formula.facts)
    ordered = tuple(equations[k] for k in sorted(equations))
    return Resolved(ordered, shapes, formula.operands, formula.outputs, facts)


def _extend(shapes: dict[str, tuple[Expr, ...]], equation: Equation) -> None:
    """The shape of a target covers every place its equations store to."""
    old = shapes.get(equation.target)
    sizes = equation.sizes
    new = []
    for axis, subscript in enumerate(equation.subscripts):
        known = None if old is None else old[axis]
        span = bounds(subscript, sizes)
        if span is None and known is None:
            raise NotationError(
                f"how far {expression_text(subscript)} reaches in {equation.target} cannot be told"
            )
        reach = known if span is None else normalize(span[1] + 1)
        assert reach is not None
        new.append(reach if known is None or not is_nonnegative(known - reach, {}) else known)
    shapes[equation.target] = tuple(new)


def _fact(fact: Fact, formula: Formula, shapes: dict[str, tuple[Expr, ...]]) -> Fact:
    both = Call("==", (fact.left, fact.right))
    line = Line(
        "fact", tuple(b.index for b in fact.indices), fact.indices, both, False, formula.text, 1
    )
    equation = _Ranges(formula, line, shapes, set()).resolve()
    if equation is None or not isinstance(equation.value, Call):
        raise NotationError("an index of this assert has no range", formula.text)
    left, right = equation.value.arguments
    return Fact(left, right, equation.indices)


class _Ranges:
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
                return next((n for n in self.shapes[tensor] if n == size), size)
        return normalize(rebuild(size, self.known))

    def separate(self, e: Expr) -> Expr:
        """A different name for every bound index (``k~1``), remembered in ``names``."""
        if isinstance(e, Size):
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
        for element in known:
            self.plain(element)
        while any([self.affine(element) for element in known]):
            pass

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
