"""Formula -> Resolved: a size for every index, a shape for every tensor.

Lines are resolved in whatever order they allow: one that reads a tensor of another line waits for
that line. An index that finds no range makes the formula refused. Sizes may be symbols: the batch
that is not fixed yet, or, in `symbolic`, all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from compiler.language.expression import (
    Binder,
    Call,
    Element,
    Expr,
    Number,
    Size,
    elements,
    expr,
    substitute,
    walk,
)
from compiler.language.integers import (
    bounds,
    is_nonnegative,
    normalize,
)
from compiler.language.places import defined_twice
from compiler.language.system import Equation
from compiler.language.text import expression_text
from compiler.rewriting.order import uncarried

from ..errors import NotationError, ShapeError
from .expand import BUNDLE, expand
from .formula import Fact, Formula, Line, Resolved
from .ranges import Ranges, SizeMismatchError

__all__ = ["resolve", "symbolic"]

Shapes = Mapping[str, Sequence[int | Expr]]
MAX_SIZE = 1 << 62  # of an axis: what a machine can count


def resolve(formula: Formula, shapes: Shapes) -> Resolved:
    """The equations of ``formula`` for operands of these shapes.

    Raises `ShapeError` (an index with two sizes, a wrong number of axes, a window that does not fit)
    or `NotationError` (an index without a range, an element that is defined twice or by itself).
    """
    given = {name: tuple(expr(n) for n in shape) for name, shape in shapes.items()}
    missing = [name for name in formula.operands if name not in given]
    if missing:
        raise ShapeError(f"no shape given for operand {missing[0]} of {formula.text}")
    resolved = _resolve(expand(formula, given), given)
    _check(resolved.equations, formula.lines)
    return resolved


def _check(equations: Sequence[Equation], lines: Sequence[Line]) -> None:
    """Every element has one definition, and none that leads back to itself."""
    twice = defined_twice(equations)
    if twice:
        line = lines[equations.index(twice[0])]
        raise NotationError(twice[1], line.source, line.number)
    cycle = [lines[k] for k in uncarried(equations)]
    if cycle:
        listed = "; ".join(line.source.strip() for line in cycle)
        raise NotationError(
            f"values depend on themselves, for no index carries this cycle in one direction: {listed}."
            " A recurrence reads only earlier places of one index, such as y[t-1], or only later ones",
            cycle[0].source,
            cycle[0].number,
        )


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
            if not isinstance(new, Size) or new in walk(old):
                raise
            equal: dict[Expr, Expr] = {new: old}
            shapes = {
                name: tuple(normalize(substitute(n, equal)) for n in shape)
                for name, shape in shapes.items()
            }
            # Where only the size of a tensor is asked for, it stands in the lines alone.
            formula = replace(formula, lines=tuple(_replaced(x, equal) for x in formula.lines))


def _replaced(line: Line, equal: Mapping[Expr, Expr]) -> Line:
    """The line with sizes written as others that are known to be equal."""
    declared = tuple(
        Binder(i, None if n is None else substitute(n, equal)) for i, n in line.declared
    )
    subscripts = tuple(substitute(s, equal) for s in line.subscripts)
    value = substitute(line.value, equal)
    return replace(line, subscripts=subscripts, declared=declared, value=value)


def _later(a: Size, b: Size, formula: Formula) -> bool:
    """Is ``a`` the worse representative: does its tensor appear after ``b``'s?"""
    order = [*formula.operands]
    return order.index(a.tensor) > order.index(b.tensor)


def _symbolic_shapes(formula: Formula) -> dict[str, tuple[Expr, ...]]:
    shapes: dict[str, tuple[Expr, ...]] = {}
    parts = [e for line in formula.lines for e in (line.value, *line.subscripts)]
    parts += [e for fact in formula.facts for e in (fact.left, fact.right)]
    read = [n for e in parts for n in elements(e) if n.tensor in formula.operands]
    generic = {n.tensor for n in read if BUNDLE in n.subscripts}
    bundle = next((Size(name, "...") for name in formula.operands if name in generic), None)
    for element in read:
        shape = tuple(_symbolic_axes(element, bundle))
        if shapes.setdefault(element.tensor, shape) != shape:
            raise ShapeError(
                f"{element.tensor} is read with different subscripts in {formula.text}"
            )
    for name in formula.operands:
        if name not in shapes:
            shapes[name] = tuple(_asked_axes(name, formula, bundle))
    return shapes


def _asked_axes(name: str, formula: Formula, bundle: Size | None) -> Iterator[Expr]:
    """The axes of an operand of which only sizes are asked for: no more than asked."""
    sizes = [b.size for line in formula.lines for b in line.declared if b.size is not None]
    parts = [e for line in formula.lines for e in (line.value, *line.subscripts)]
    asked = [
        n.axis
        for e in (*sizes, *parts)
        for n in walk(e)
        if isinstance(n, Size) and n.tensor == name
    ]
    axes = [axis for axis in asked if isinstance(axis, int)]
    yield from (Size(name, k) for k in range(max(axes, default=-1) + 1))
    if len(axes) < len(asked):
        yield bundle or Size(name, "...")
    yield from (Size(name, k) for k in range(min(axes, default=0), 0))


def _symbolic_axes(element: Element, bundle: Size | None) -> Iterator[Expr]:
    """dim(x, 0), dim(x, 1), ... counted from the right behind the formula's one bundle."""
    behind = False
    for axis, subscript in enumerate(element.subscripts):
        if subscript == BUNDLE and bundle is not None:
            behind = True
            yield bundle
        else:
            yield Size(element.tensor, axis - len(element.subscripts) if behind else axis)


def _resolve(formula: Formula, given: Mapping[str, tuple[Expr, ...]]) -> Resolved:
    shapes = dict(given)
    equations: dict[int, Equation] = {}
    pending = list(enumerate(formula.lines))
    patient = True  # an index that another line will give a size is not given one by a window
    lines = Counter(line.target for line in formula.lines)
    plain = {line.target for line in formula.lines if not line.accumulate}
    while pending:
        waiting: list[tuple[int, Ranges]] = []
        unfinished = {line.target for _, line in pending} - set(given)
        for position, line in pending:
            reader = Ranges(formula, line, shapes, unfinished, patient)
            equation = reader.resolve()
            if equation is None:
                waiting.append((position, reader))
                continue
            equations[position] = equation
            if not (line.accumulate and line.target in plain):
                _extend(shapes, equation)
            if lines[line.target] == 1:  # of several lines, each sees what stood before this round
                unfinished.discard(line.target)
        if len(waiting) == len(pending) and not patient:
            first = waiting[0][1]
            names = ", ".join(i.name for i in first.without_range())
            message = f"no range for index {names}: give it as name:size"
            raise NotationError(message, first.line.source, first.line.number)
        patient = len(waiting) < len(pending)
        pending = [(position, reader.line) for position, reader in waiting]
    made = {line.target for line in formula.lines if line.target not in given}
    for line in formula.lines:
        Ranges(formula, line, shapes, made).check_targets(set(given))
    facts = tuple(_fact(fact, formula, shapes) for fact in formula.facts)
    ordered = tuple(equations[k] for k in sorted(equations))
    return Resolved(ordered, shapes, formula.operands, formula.outputs, facts)


def _extend(shapes: dict[str, tuple[Expr, ...]], equation: Equation) -> None:
    """The shape of a target covers every place its equations store to.

    What is only added to (``+=``) does not grow: outside there is nothing to add to, and it is dropped.
    """
    old = shapes.get(equation.target)
    sizes = equation.sizes
    new = []
    for axis, subscript in enumerate(equation.subscripts):
        known = None if old is None else old[axis]
        span = bounds(subscript, sizes)
        if span is None and known is None:
            raise NotationError(
                f"how far {expression_text(subscript)} reaches in {equation.target} cannot be told:"
                f" give {equation.target} its size by a line such as {equation.target}[i:10] = 0,"
                f" and add into it with '+='"
            )
        reach = known if span is None else normalize(span[1] + 1)
        assert reach is not None
        if isinstance(reach, Number) and reach.value > MAX_SIZE:
            raise NotationError(
                f"{equation.target} has more than {MAX_SIZE} places along axis {axis}"
            )
        new.append(reach if known is None or not is_nonnegative(known - reach, {}) else known)
    shapes[equation.target] = tuple(new)


def _fact(fact: Fact, formula: Formula, shapes: dict[str, tuple[Expr, ...]]) -> Fact:
    both = Call("==", (fact.left, fact.right))
    line = Line(
        "fact", tuple(b.index for b in fact.indices), fact.indices, both, False, formula.text, 1
    )
    equation = Ranges(formula, line, shapes, set()).resolve()
    if equation is None or not isinstance(equation.value, Call):
        raise NotationError("an index of this assert has no range", formula.text)
    left, right = equation.value.arguments
    return Fact(left, right, equation.indices)
