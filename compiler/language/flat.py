"""Expressions as flat lists, which can be read in one way only: equal where the expressions are equal up to names.

    sum[i:5](x[n, i]*2)      becomes      "sum", (i:5), "*", 2, "[", "x", 2, n, i, 2

They are to be compared and looked up, and quicker to make than other expressions. So is an equation: its target, its
indices, then its expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from .expression import Binder, Call, Element, Expr, Index, Reduce
from .system import Equation

__all__ = ["flat", "flat_equation"]


def flat(
    e: Expr,
    tensor: Callable[[str], Hashable] = str,
    indices: Mapping[Index, Hashable] | None = None,
) -> list[Hashable]:
    """``tensor`` gives what stands for a tensor, ``indices`` what stands for an index.

    Where ``indices`` are given, bound ones are named by where they are bound.
    """
    found: list[Hashable] = []
    _visit(e, found, tensor, indices, 0)
    return found


def _visit(
    e: Expr,
    found: list[Hashable],
    tensor: Callable[[str], Hashable],
    indices: Mapping[Index, Hashable] | None,
    depth: int,
) -> None:
    match e:
        case Element(name, subscripts):
            found.extend(("[", tensor(name), len(subscripts)))
            for part in subscripts:
                _visit(part, found, tensor, indices, depth)
        case Call(function, arguments):
            found.extend((function, len(arguments)))
            for part in arguments:
                _visit(part, found, tensor, indices, depth)
        case Reduce(kind, body, binders):
            found.append(kind)
            if indices is None:
                found.append(_named(binders))
            else:
                found.append(tuple([b.size for b in binders]))
                indices = {**indices, **{b.index: (depth, k) for k, b in enumerate(binders)}}
            _visit(body, found, tensor, indices, depth + 1)
        case Index(name):  # a name is looked up faster than an index
            found.append(("i", name) if indices is None else indices.get(e, e))
        case _:
            found.append(e)


def _named(binders: tuple[Binder, ...]) -> tuple[Hashable, ...]:
    return tuple([(index.name, size) for index, size in binders])


def flat_equation(equation: Equation, tensor: Callable[[str], Hashable]) -> list[Hashable]:
    """``tensor`` gives what stands for a tensor, of the target first."""
    found = [tensor(equation.target), len(equation.subscripts), equation.accumulate]
    found.append(_named(equation.indices))
    for e in (*equation.subscripts, equation.value):
        _visit(e, found, tensor, None, 0)
    return found
