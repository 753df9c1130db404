"""The equations of an application in the names of its graph rather than those of its formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from compiler.language.expression import (
    Call,
    Element,
    Expr,
    Symbol,
    expr,
    rebuild,
    substitute,
)
from compiler.language.form import names_read, of_others
from compiler.language.system import Equation

from ..notation import Resolved
from .node import Constant

if TYPE_CHECKING:
    from .application import Application

__all__ = ["named_equations", "needed_equations"]

ONE = expr(1)


def named_equations(
    application: Application, names: Mapping[str, str], resolved: Resolved | None = None
) -> list[Equation]:
    """Equations with tensors renamed, and the values of attributes and scalar constants put in.

    ``resolved`` gives them at other sizes than the graph's own.
    """
    values: dict[Expr, Expr] = {Symbol(k): expr(v) for k, v in application.attributes.items()}
    for operand, node in application.operands.items():
        if isinstance(node, Constant) and node.is_number:
            values[Element(operand, ())] = node.number

    put_in = tuple(values.items())
    return [
        of_others(_with_values(e, put_in), names, application.name)
        for e in (resolved or application.resolved).equations
    ]


def needed_equations(equations: Sequence[Equation], targets: Sequence[str]) -> list[Equation]:
    """Those of ``equations`` that the targets depend on, in their order."""
    defined: dict[str, list[Equation]] = {}
    for equation in equations:
        defined.setdefault(equation.target, []).append(equation)
    needed, todo = set(targets), list(targets)
    while todo:
        for equation in defined.get(todo.pop(), ()):
            fresh = [name for name in names_read(equation) if name not in needed]
            needed |= set(fresh)
            todo += fresh
    return [e for e in equations if e.target in needed]


@lru_cache(1 << 12)  # the same formula has the same attributes nearly always
def _with_values(equation: Equation, values: tuple[tuple[Expr, Expr], ...]) -> Equation:
    def put_in(e: Expr) -> Expr:
        return _without_ones(substitute(e, dict(values)))

    subscripts = tuple(map(put_in, equation.subscripts))
    return replace(equation, subscripts=subscripts, value=put_in(equation.value))


def _without_ones(e: Expr) -> Expr:
    """``1*x``, ``x*1``, ``x/1`` as ``x``: what a gradient's first factor, 1, leaves behind."""
    e = rebuild(e, _without_ones)
    match e:
        case Call("*", (a, b)) if b == ONE:
            return a
        case Call("*", (a, b)) if a == ONE:
            return b
        case Call("/", (a, b)) if b == ONE:
            return a
    return e
