"""Digits: an index of whose quotient a sum asks is written with two digits.

Before:   y[n, o:64] = sum[c:16](x[n, 16*(o // 16) + c]*K[c, o])
After:    y[n, 16*o + o2] = sum[c:16](x[n, 16*o + c]*K[c, 16*o + o2])                          o:4, o2:16

Before:   d[n, a:64] = sum[o:64](K[a - 16*(o // 16), o]*g[n, o])        K has 16 rows, beyond them it is zero
After:    d[n, 16*a + a2] = sum[o:16](K[a2, 16*a + o]*g[n, 16*a + o])                          a:4, a2:16

So each group of columns is a product of its own, whose vectors lie within the group, and nothing is divided. Of a sum
over quotients only the one is left for which a factor lies inside its tensor. An equation that only one other reads,
where it is written, first becomes part of that one.
Declines for small groups, which fill no vector; where the extent is no multiple; where a remainder is asked for beside
the quotient, as where axes are joined; and along the index of a recurrence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ..language.expression import (
    Binder,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    elements,
    expr,
    fresh_index,
    rebuild,
    reduces,
    substitute,
    walk,
)
from ..language.form import of_alike
from ..language.integers import bounds, polynomial, simplify_integer
from ..language.match import Sizes, inner_sizes, rename_apart
from ..language.notes import Note, note
from ..language.simplify import simplify
from ..language.system import Equation, System, Tensor
from .phases import inlined
from .split import carrying

__all__ = ["digits"]

SMALLEST = 8  # columns of a group

Tensors = Mapping[str, Tensor]


def digits(system: System, notes: list[Note] | None = None) -> System:
    """The same system, its groups as indices of their own."""
    asks = of_alike(lambda equation: _asked(equation.value, equation.sizes) is not None)
    if not any(map(asks, system.equations)):
        return system
    whole = carrying(system)

    def is_grouped(equation: Equation) -> bool:
        return asks(equation) and _may_be_cut(equation, whole)

    system = inlined(system, is_grouped)
    tensors = system.by_name
    equations = []
    for equation in system.equations:
        if is_grouped(equation):
            note(notes, "digits", equation.target, "quotients are indices of their own")
            equation = _written(equation, tensors)
        equations.append(equation)
    return system.with_equations(equations)


def _may_be_cut(equation: Equation, whole: set[tuple[str, int]]) -> bool:
    """May every index of it be?"""
    axes = range(len(equation.subscripts))
    return not equation.accumulate and not any((equation.target, k) in whole for k in axes)


def _asked(e: Expr, sizes: Sizes) -> tuple[Reduce, Index, int] | None:
    """A sum that asks for the quotient of an index, that index, and the divisor."""
    if not reduces(e):
        return None
    for part in walk(e):
        if isinstance(part, Reduce) and part.kind == "sum" and not reduces(part.body):
            own = inner_sizes(sizes, part.binders)
            for element in elements(part.body):
                for index, divisor in _quotients(element):
                    extent = own.get(index)
                    if isinstance(extent, Number) and extent.value % divisor == 0:
                        return part, index, divisor
    return None


def _quotients(element: Element) -> Iterator[tuple[Index, int]]:
    """Indices that an element is asked for by their quotients alone."""
    inner = [part for subscript in element.subscripts for part in walk(subscript)]
    for part in inner:
        match part:
            case Call("//", (Index() as index, Number(divisor))) if divisor >= SMALLEST:
                if not any(
                    isinstance(p, Call) and p.function == "%" and index in walk(p) for p in inner
                ):
                    yield index, int(divisor)


def _written(equation: Equation, tensors: Tensors) -> Equation:
    """The equation without such quotients."""
    equation = replace(equation, value=rename_apart(equation.value, equation.sizes))
    while found := _asked(equation.value, equation.sizes):
        asking, index, divisor = found
        rest = fresh_index(index.name, _names(equation))
        moved: dict[Expr, Expr] = {index: index * divisor + rest}
        if index in equation.sizes:
            indices = tuple(_cut(equation.indices, index, divisor, rest))
            value = substitute(equation.value, moved)
        else:
            binders = tuple(_cut(asking.binders, index, divisor, rest))
            new = Reduce("sum", substitute(asking.body, moved), binders)
            indices, value = equation.indices, _replaced(equation.value, asking, new)
        sizes = {i: expr(n) for i, n in indices}
        at = (simplify_integer(substitute(s, moved), sizes) for s in equation.subscripts)
        value = _chosen(simplify(value, sizes, tensors), sizes, tensors)
        equation = replace(equation, indices=indices, subscripts=tuple(at), value=value)
    return equation


def _names(equation: Equation) -> set[Index]:
    """All indices, bound ones too."""
    parts = list(walk(equation.value))
    bound = {i for part in parts if isinstance(part, Reduce) for i in part.indices}
    return bound | set(equation.sizes) | {part for part in parts if isinstance(part, Index)}


def _cut(binders: Iterable[Binder], index: Index, divisor: int, rest: Index) -> Iterator[Binder]:
    """Binders, that of the index as those of quotient and remainder."""
    for binder in binders:
        if binder.index != index:
            yield binder
            continue
        yield Binder(index, expr(binder.extent // divisor))
        yield Binder(rest, expr(divisor))


def _replaced(e: Expr, old: Expr, new: Expr) -> Expr:
    """The expression with another part; indices of others that are called the same stay."""
    return new if e == old else rebuild(e, lambda child: _replaced(child, old, new))


# --- quotients that alone count ----------------------------------------------------------------------------------


def _chosen(e: Expr, sizes: Sizes, tensors: Tensors) -> Expr:
    """The expression, its sums without an index of which one value alone counts."""
    if not isinstance(e, Reduce):
        return rebuild(e, lambda child: _chosen(child, sizes, tensors))
    own = inner_sizes(sizes, e.binders)
    if e.kind != "sum" or reduces(e.body):
        return e
    for factor in _factors(e.body):
        for index in e.indices:
            only = _only(factor, index, own, tensors)
            if only is not None:
                left = tuple(b for b in e.binders if b.index != index)
                body = simplify(substitute(e.body, {index: only}), own, tensors)
                return _chosen(Reduce("sum", body, left) if left else body, sizes, tensors)
    return e


def _factors(e: Expr) -> Iterator[Element]:
    """Elements without which a term is zero."""
    match e:
        case Call("*", (a, b)):
            yield from _factors(a)
            yield from _factors(b)
        case Element():
            yield e


def _only(factor: Element, index: Index, sizes: Sizes, tensors: Tensors) -> Expr | None:
    """The one value of an index for which ``factor``, read at ``a - k*index`` of at most k places, is inside."""
    tensor = tensors[factor.tensor]
    if not tensor.dtype.startswith("float"):
        return None
    for subscript, extent in zip(factor.subscripts, tensor.shape, strict=True):
        place = polynomial(subscript)
        step = place.coefficient(index)
        if not step.is_constant or not extent <= -step.constant:
            continue
        rest = substitute(subscript, {index: expr(0)})
        only = simplify_integer(Call("//", (rest, expr(int(-step.constant)))), sizes)
        if index not in walk(only) and _is_below(only, sizes[index], sizes):
            return only
    return None


def _is_below(e: Expr, size: Expr, sizes: Sizes) -> bool:
    """Does it lie between 0 and size - 1 for certain?"""
    match bounds(e, sizes), size:
        case (Number(low), Number(high)), Number(count):
            return low >= 0 and high < count
    return False
