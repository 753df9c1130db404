"""Partial: a long sum with few results becomes sums of its parts, which threads can share.

Before:   b[o] = sum[n, i](g[n, i, o])                          64 x 784 terms, 16 results
After:    b.parts[p, o] = sum[n:4, i](g[4*p + n, i, o])         p:16
          b[o] = sum[p](b.parts[p, o])

Where what a part reads does not stay near, it is added up in pieces that do: all tiles of the results may pass over a
piece, and so may whoever has just computed it (see `groups`).

          w.parts[p, c, o] += sum[i](x[4*p + n, i, c]*g[4*p + n, i, o])         p:16, n:4, c, o

How many parts there are depends on the sizes alone, and they are added up in their order: so the sum is the same for
any number of threads. Declines where the terms are few; where the results are many, or each has a row to itself, for
then they are shared themselves, unless the operands are much larger; where no range of the sum can be cut into equal
parts; and inside a recurrence, where a sum is short or waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, prod

from ..language.expression import (
    Binder,
    Element,
    Expr,
    Index,
    Reduce,
    children,
    elements,
    expr,
    free_indices,
    fresh_index,
    rebuild,
    reduces,
    substitute,
)
from ..language.form import of_alike
from ..language.integers import polynomial
from ..language.notes import Note, note
from ..language.system import Equation, System, Tensor
from .additions import Additions
from .order import cycles

__all__ = ["partial"]

Tensors = Mapping[str, Tensor]

FEW = 2048  # results, about as many as a few tiles hold
MANY = 1 << 16  # results that stay near while pieces of their sums pass
TERMS = 1 << 17  # of all results together: some microseconds of work
LARGE = 1 << 19  # elements of the operands: to read them again and again takes longer than the work
READS = 16  # of each element on average
NEAR = 1 << 16  # elements that stay near
LEAST = 48  # terms of a piece that pay for adding its sums to those before
PARTS = 16  # at most
LONG = 8 * PARTS  # terms of each result: parts of a few terms cost more than they save
ROWS = 4 * PARTS  # results, each of a row of its own, that threads share as they are
SPARE = 4 * PARTS  # elements of large operands for each result: parts must be written and read too
ENOUGH = 8  # parts; a range that gives these is not passed over for one further inside


def partial(system: System, notes: list[Note] | None = None) -> System:
    """The system, its long sums in parts."""
    tensors, added = system.by_name, Additions(system)
    inside = {id(e) for cycle in cycles(system) for e in cycle}
    is_long = of_alike(lambda e: any(_cut(s, e, tensors) for s in _sums(e.value)), system)
    equations = [
        e.valued(_visit(e.value, e, added)) if is_long(e) and id(e) not in inside else e
        for e in system.equations
    ]
    for part in added.equations:
        note(notes, "partial", part.target, part.origin)
    return added.to(system, equations)


# --- which -------------------------------------------------------------------------------------------------------


def _sums(e: Expr) -> Iterator[Reduce]:
    """The outermost reductions."""
    if isinstance(e, Reduce):
        yield e
    elif reduces(e):
        for child in children(e):
            yield from _sums(child)


def _cut(e: Reduce, equation: Equation, tensors: Tensors) -> tuple[int, int] | None:
    """Which range of a sum is cut into how many parts, if it should be."""
    used = free_indices(e)
    is_real = tensors[equation.target].dtype.startswith("float")
    is_simple = e.kind in ("sum", "mean") and not reduces(e.body)
    if not is_real or not is_simple or not all(i in equation.extents for i in used):
        return None
    results = prod(n for i, n in equation.extents.items() if i in used)
    terms = prod(b.extent for b in e.binders)
    sizes = {**equation.extents, **{b.index: b.extent for b in e.binders}}
    volume = _volume(e.body, sizes, tensors)
    large = volume >= max(LARGE, SPARE * results)
    again = results <= MANY and large and results * terms >= READS * volume
    if terms < LONG or results * terms < TERMS or not (results <= FEW or again):
        return None
    if results >= ROWS and _is_by_rows(e, results, tensors):
        return None
    found = [(_divisor(b.extent), axis) for axis, b in enumerate(e.binders)]
    enough = [(count, axis) for count, axis in found if count >= ENOUGH]
    count, axis = enough[0] if enough else max(found, key=lambda each: each[0], default=(1, 0))
    return (axis, count) if count > 1 else None


def _is_by_rows(e: Reduce, results: int, tensors: Tensors) -> bool:
    """Has each result a row of the operands to itself? Then the rows are shared."""
    used = free_indices(e)
    large = (x for x in elements(e.body) if prod(tensors[x.tensor].shape) > results)
    return not any(used.keys() & free_indices(x.subscripts[-1]).keys() for x in large)


def _volume(e: Expr, extents: Mapping[Index, int], tensors: Tensors) -> int:
    """How many elements an expression reads while these indices run."""
    found: dict[str, int] = {}
    for element in elements(e):
        shape = tensors[element.tensor].shape
        places = (_places(s, extents) for s in element.subscripts)
        found[element.tensor] = prod(map(min, places, shape))
    return sum(found.values())


def _places(subscript: Expr, extents: Mapping[Index, int]) -> int:
    """How many values a subscript takes, at most."""
    form, used = polynomial(subscript), free_indices(subscript)
    steps = {i: abs(form.coefficient(i).constant) or 1 for i in used}
    reach = 1 + sum(steps[i] * (extents.get(i, 1) - 1) for i in used)
    return min(ceil(reach), prod(extents.get(i, 1) for i in used))


def _divisor(size: int) -> int:
    """The greatest number of equal parts."""
    return next(n for n in range(PARTS, 0, -1) if size % n == 0)


# --- into parts --------------------------------------------------------------------------------------------------


def _visit(e: Expr, equation: Equation, added: Additions) -> Expr:
    """The expression with its long sums read from their parts."""
    if not reduces(e):
        return e
    if not isinstance(e, Reduce):
        return rebuild(e, lambda child: _visit(child, equation, added))
    cut = _cut(e, equation, added.known)
    return e if cut is None else _in_parts(e, equation, *cut, added)


def _in_parts(e: Reduce, equation: Equation, axis: int, count: int, added: Additions) -> Expr:
    """The sum of the parts, which get an equation of their own."""
    binders = list(e.binders)
    index, length = binders[axis].index, binders[axis].extent // count
    part = fresh_index("p", dict.fromkeys((*equation.sizes, *(b.index for b in binders))))
    used = free_indices(e)
    parts = (Binder(part, expr(count)),)
    results = tuple(b for b in equation.indices if b.index in used)
    binders[axis] = Binder(index, expr(length))
    binders = sorted(binders, key=lambda b: b.index != index)  # what was cut is outermost
    body = substitute(e.body, {index: part * length + index})
    tensor = added.tensor(equation.target, "parts", [b.extent for b in (*parts, *results)])
    places = tuple(b.index for b in (*parts, *results))
    body, binders, pieces = _in_pieces(body, binders, results, added.known)
    indices = (*parts, *binders[:pieces], *results)
    value = Reduce("sum", body, tuple(binders[pieces:]))
    origin = f"a sum in {count} parts" + ", each in pieces" * (pieces > 0)
    added.equations.append(Equation(tensor, places, indices, value, pieces > 0, origin=origin))
    total = Reduce("sum", Element(tensor, places), parts)
    return total / prod(b.extent for b in e.binders) if e.kind == "mean" else total


def _in_pieces(
    body: Expr, binders: list[Binder], results: Sequence[Binder], tensors: Tensors
) -> tuple[Expr, list[Binder], int]:
    """A part's sum, and how many of its ranges go around the results, so that what is inside stays near.

    The last of these is cut where all of it would be too much, or would leave too few terms inside.
    """
    count = 0
    while count < len(binders):
        extents = {b.index: b.extent for b in (*binders[count:], *results)}
        volume = _volume(body, extents, tensors)
        if volume <= NEAR:
            break
        index, size = binders[count].index, binders[count].extent
        rest = prod(b.extent for b in binders[count + 1 :])
        if rest < LEAST:
            least, most = ceil(volume / NEAR), size * rest // LEAST
            number = next((n for n in range(least, most + 1) if size % n == 0), None)
            if number is None:
                break
            outer = fresh_index("q", dict.fromkeys((*extents, *free_indices(body))))
            body = substitute(body, {index: outer * (size // number) + index})
            binders[count : count + 1] = [
                Binder(outer, expr(number)),
                Binder(index, expr(size // number)),
            ]
        count += 1
    return body, binders, count
