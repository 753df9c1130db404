"""What somebody probably meant who wrote what the notation does not have: the second half of an error."""

from __future__ import annotations

import ast
from difflib import get_close_matches

from compiler.language.expression import ELLIPSIS, FUNCTIONS, REDUCTIONS

__all__ = ["bound_already", "hint", "unknown_function"]


# Functions that other notations have, and how a formula says the same.
_PRODUCT = "sum[i](x[n, i]*w[i, o])"
_ELSEWHERE = {
    "ln": "log(x)",
    "pow": "x**a",
    "power": "x**a",
    "square": "x**2",
    "relu": "max(0, x)",
    "maximum": "max(a, b)",
    "minimum": "min(a, b)",
    "clip": "min(max(x, low), high)",
    "softmax": "exp(x[i])/sum[j](exp(x[j]))",
    "dot": _PRODUCT,
    "matmul": _PRODUCT,
}


def hint(node: ast.expr) -> str:
    """The notation's way to say what a piece of Python stands for elsewhere, after a colon."""
    match node:
        case ast.BinOp(op=ast.MatMult()):
            return ": a matrix product is sum[i](x[n, i]*w[i, o])"
        case ast.BinOp(op=ast.BitXor()):
            return ": a power is written x**2"
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(op=ast.Invert()):
            return ": conditions are joined with and, or, not"
        case ast.IfExp():
            return ": a choice is where(condition, yes, no)"
        case ast.Call(func=ast.Attribute(attr=name)) if name in (*FUNCTIONS, *REDUCTIONS):
            return f": {name} stands alone, without a module or a tensor before it"
        case ast.Call(keywords=[_, *_]):
            return ": functions take no named arguments"
        case ast.Attribute(attr="T"):
            return ": a transposed tensor is read as x[j, i]"
        case ast.Attribute(attr="shape"):
            return ": the size of an axis is dim(x, 0)"
        case ast.Constant(value=bool()):
            return ": truth values are comparisons such as 1 == 1"
    return ""


def unknown_function(name: str) -> str:
    """That there is no such function, and which there are."""
    if name in _ELSEWHERE:
        return f"unknown function {name}: write {_ELSEWHERE[name]}"
    if name in REDUCTIONS:
        return f"{name} runs over indices, which stand in brackets: {name}[i](...)"
    near = get_close_matches(name, [*FUNCTIONS, *REDUCTIONS], n=1)
    guess = f", perhaps {near[0]} is meant" if near else ""
    return (
        f"unknown function {name}{guess}; known are {', '.join(FUNCTIONS)}, dim and the reductions"
    )


def bound_already(name: str, in_value: bool) -> str:
    """That an index is bound a second time, and what to write instead."""
    if name == ELLIPSIS and in_value:
        return (
            "'...' stands for the axes of the left side here: what is reduced over all axes gets"
            " a line of its own, such as s = sum[...](x[...])"
        )
    if in_value:
        return f"index {name} is already bound here: give the reduction an index of its own"
    return (
        f"index {name} is already bound here: on the left side an index stands once;"
        f" a diagonal is where({name} == j, ..., 0)"
    )
