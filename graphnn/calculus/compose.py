"""What is done to a derived system as a whole, after each of its equations has been tidied.

    inline      an equation read in one place goes into its reader where both together get cheaper; copies always do
    zero read   a condition is dropped where, if it fails, a factor is read out of range and hence zero
    prune       what no gradient needs is left out; what is needed comes first

A zero read is no reason to substitute: sigmoid(x[t-1]) is 1/2 where y[t-1] is 0. So the conditions stay until nothing
is rewritten any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from compiler.language.expression import (
    Call,
    Element,
    Expr,
    Number,
    Reduce,
    elements,
    rebuild,
    substitute,
    walk,
)
from compiler.language.integers import integer_difference
from compiler.language.system import Equation

from .algebra import ZERO
from .binding import bind, opened
from .conditions import conjuncts, excess, is_total, joined
from .laws import Scope
from .measure import cost

__all__ = ["inlined", "is_zero_read", "pruned", "unguarded"]

Shapes = Mapping[str, tuple[Expr, ...]]
IsZero = Callable[[Element, Expr], bool]


# ---- inline


def inlined(
    equations: list[Equation], outputs: Collection[str], tidy: Callable[[Equation], Equation]
) -> list[Equation]:
    """Equations put into their readers; ``tidy`` makes the result as cheap as it can be."""
    tried: set[tuple[str, Expr]] = set()
    while True:
        step = next(_inlinings(equations, outputs, tidy, tried), None)
        if step is None:
            return equations
        equations = step


def _inlinings(
    equations: list[Equation],
    outputs: Collection[str],
    tidy: Callable[[Equation], Equation],
    tried: set[tuple[str, Expr]],
) -> Iterator[list[Equation]]:
    for source in equations:
        single = sum(e.target == source.target for e in equations) == 1
        if not (single and source.is_plain) or source.target in outputs:
            continue
        readers = [
            e for e in equations if any(_reads(p, source.target) for p in (e.value, *e.subscripts))
        ]
        if source in readers or not readers or (source.target, source.value) in tried:
            continue
        copy = source.value == ZERO or (isinstance(source.value, Element) and _is_copy(source))
        if not copy and len(readers) > 1:
            continue
        tried.add((source.target, source.value))
        new = {
            id(e): tidy(replace(e, value=_put(e.value, source, Scope(e.sizes)))) for e in readers
        }
        if copy or _is_better(source, readers[0], new[id(readers[0])]):
            yield [new.get(id(e), e) for e in equations if e is not source]


def _reads(e: Expr, tensor: str) -> bool:
    return any(x.tensor == tensor for x in elements(e))


def _is_copy(e: Equation) -> bool:
    """Same element, same place: out of range both are zero."""
    return isinstance(e.value, Element) and e.value.subscripts == e.subscripts


def _is_better(source: Equation, reader: Equation, new: Equation) -> bool:
    """Cheaper in all, and no reduction moved into more loops."""
    if _reductions(new.value) > _reductions(reader.value):
        return False
    return cost(new.value) < cost(reader.value) + cost(source.value)


def _reductions(e: Expr) -> int:
    return sum(isinstance(n, Reduce) for n in walk(e))


def _put(e: Expr, source: Equation, scope: Scope) -> Expr:
    """``e`` with the elements of source's target replaced by what they are, zero where out of range."""
    match e:
        case Element(tensor, subscripts) if tensor == source.target:
            value = substitute(source.value, dict(zip(source.subscripts, subscripts, strict=True)))
            for at, (_, size) in zip(subscripts, source.indices, strict=True):
                if size is not None and not scope.inside(at, size):
                    value = Call("where", (Call("<", (at, size)), value, ZERO))
                    value = Call("where", (Call(">=", (at, ZERO)), value, ZERO))
            return value
        case Reduce(kind, _, _):
            body, binders = opened(e)
            return bind(kind, _put(body, source, scope.bind(binders)), binders)
        case Call("where", (c, a, b)):
            then = _put(a, source, scope.given(c))
            return Call("where", (_put(c, source, scope), then, _put(b, source, scope)))
    return rebuild(e, lambda child: _put(child, source, scope))


# ---- zero reads


def unguarded(e: Expr, is_zero: IsZero) -> Expr:
    """``e`` without the conditions but for which a factor is zero: ``is_zero(element, condition)`` says of which."""
    e = rebuild(e, lambda child: unguarded(child, is_zero))
    match e:
        case Call("where", (c, a, Number(value))) if value == 0 and is_total(a):
            left = [x for x in conjuncts(c) if not _vanishes(a, x, is_zero)]
            return Call("where", (joined(left), a, ZERO)) if left else a
    return e


def is_zero_read(element: Element, c: Expr, shapes: Shapes) -> bool:
    """Is it read out of range wherever ``c`` fails?"""
    need = excess(c)
    if need is None or len(need) != 1:
        return False
    for at, size in zip(element.subscripts, shapes[element.tensor], strict=True):
        for room in (at, size - 1 - at):
            distance = integer_difference(need[0], room)
            if distance is not None and distance >= 0:
                return True
    return False


def _vanishes(e: Expr, c: Expr, is_zero: IsZero) -> bool:
    """Is ``e`` zero wherever ``c`` fails?"""
    match e:
        case Element():
            return is_zero(e, c)
        case Call("*", (a, b)):
            return _vanishes(a, c, is_zero) or _vanishes(b, c, is_zero)
        case Call("+" | "-", (a, b)) | Call("where", (_, a, b)):
            return all(x == ZERO or _vanishes(x, c, is_zero) for x in (a, b))
        case Call("/", (a, _)) | Call("neg", (a,)):
            return _vanishes(a, c, is_zero)
        case Reduce("sum", body, _):
            return _vanishes(body, c, is_zero)
    return False


# ---- prune


def pruned(equations: list[Equation], outputs: Collection[str]) -> list[Equation]:
    """The equations that outputs need, each after what it reads (but for recurrences)."""
    ordered: dict[int, Equation] = {}
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        own = [e for e in equations if e.target == name]
        for e in own:
            for part in (e.value, *e.subscripts):
                for element in elements(part):
                    visit(element.tensor)
        ordered.update((id(e), e) for e in own)

    for name in outputs:
        visit(name)
    return list(ordered.values())
