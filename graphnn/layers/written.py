"""Activations inside formulas: what an activation does to one number, as text of the notation.

    relu  y[...] = max(0, x[...])      becomes, of z[n, t, u],      max(0, z[n, t, u])

So whatever works on each element by itself can be the activation of a gate, one's own operations too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from compiler.language.expression import (
    FUNCTIONS,
    Element,
    Expr,
    Index,
    Symbol,
    expr,
    substitute,
    walk,
)
from compiler.language.text import expression_text

from ..activations import Activation
from ..catalogue import CATALOGUE
from ..errors import GraphnnError
from ..graph.application import Result
from ..graph.node import Input
from ..graph.operation import Operation

__all__ = ["Written", "written"]

Written = Callable[[str], str]
_ARGUMENT = Symbol("argument")
_BUNDLE = (Index("..."),)


def written(activation: Activation | None) -> Written:
    """The text of ``activation`` of an argument.

    Raises `GraphnnError` if it is not one formula for each element.

    >>> from graphnn.activations import relu, sigmoid
    >>> written(relu)("z[n, u]"), written(sigmoid)("z[n, u]"), written(None)("z[n, u]")
    ('max(0, z[n, u])', 'sigmoid(z[n, u])', 'z[n, u]')
    """
    if activation is None:
        return lambda argument: argument
    operation = _operation(activation)
    known = CATALOGUE.get(operation.name)
    if operation.name in FUNCTIONS and known is not None and known.operation is operation:
        return lambda argument: f"{operation.name}({argument})"
    text = expression_text(_of_one_number(operation))
    return lambda argument: re.sub(rf"\b{_ARGUMENT.name}\b", _closed(argument), text)


def _closed(text: str) -> str:
    """In parentheses, but for a single element."""
    return text if re.fullmatch(r"\w+\[[^\][]*\]", text) else f"({text})"


def _operation(activation: Activation) -> Operation:
    """The one operation that an activation is, or applies."""
    if isinstance(activation, Operation):
        return activation
    x = Input((1,), "x")
    y = activation(x)
    if not isinstance(y, Result) or y.inputs != (x,):
        raise GraphnnError(f"the activation of a gate is one operation, {activation!r} is not")
    return y.application.operation


def _of_one_number(operation: Operation) -> Expr:
    """The value of the formula with a symbol in the place of its operand."""
    formula = operation.formula
    line = formula.lines[0]
    parts = list(walk(line.value))
    places = {e.subscripts for e in parts if isinstance(e, Element)}
    if len(formula.lines) > 1 or len(formula.operands) > 1 or places != {_BUNDLE}:
        raise GraphnnError(
            f"the activation of a gate works on each element by itself, as y[...] = f(x[...]):"
            f" {operation.name} is {formula.text}"
        )
    values: dict[Expr, Expr] = {Symbol(k): expr(v) for k, v in operation.attributes.items()}
    values |= {Element(formula.operands[0], _BUNDLE): _ARGUMENT}
    return substitute(line.value, values)
