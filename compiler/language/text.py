"""Expressions, equations and systems as text in the notation; what is printed can be parsed again.

    Equation(...)   y[n, o] = sum[i](x[n, i]*W[i, o]) + b[o]

The size of an index is printed (``a:28``) only where nothing on the right-hand side says it, see ``equation_text``.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from .expression import (
    GROUP,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    elements,
)

if TYPE_CHECKING:
    from .system import Equation, System

__all__ = ["decimal", "equation_text", "expression_text", "system_text"]

# Python's own binding strengths, so that the parser reads back the same tree.
_STRENGTH = {"or": 1, "and": 2, "not": 3}
_STRENGTH |= dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), 4)
_STRENGTH |= {"+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6, "neg": 7, "**": 8}
_ATOM = 9
_TIGHT = ("*", "/", "**")  # written without blanks around them

Shapes = Mapping[str, tuple[Expr, ...]]


def decimal(value: Fraction) -> str:
    """``0.01`` rather than ``1/100`` where the decimal is exact, else ``p/q``."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    if abs(value) < Fraction(1, 10_000):
        exponent = 0
        while abs(value) < 1:
            value, exponent = value * 10, exponent + 1
        return f"{decimal(value)}e-{exponent:02d}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def expression_text(e: Expr, shapes: Shapes | None = None) -> str:
    """One expression. ``shapes`` tells which sizes of bound indices need not be printed."""
    return _Printer(shapes or {}).show(e)[0]


def equation_text(
    equation: Equation, shapes: Shapes | None = None, known: Container[str] | None = None
) -> str:
    """One equation; ``shapes`` (of the tensors read) as in `expression_text`.

    ``known`` are the tensors whose shape the reader has, by default all in ``shapes``.
    """
    printer = _Printer(shapes or {}, known)
    left = equation.target
    if equation.subscripts:
        left += f"[{', '.join(printer.place(equation))}]"
    sign = "+=" if equation.accumulate else "="
    return f"{left} {sign} {printer.show(equation.value)[0]}"


def system_text(system: System) -> str:
    """Tensors, equations, updates: one line each."""
    shapes = {t.name: tuple(Number(Fraction(n)) for n in t.shape) for t in system.tensors}
    lines = [str(t) for t in system.tensors if t.role != "local"]
    lines += [equation_text(e, shapes) for e in system.equations]
    lines += [f"{state} <- {value}" for state, value in system.updates]
    return "\n".join(lines)


class _Printer:
    def __init__(self, shapes: Shapes, known: Container[str] | None = None) -> None:
        self.shapes = shapes
        self.known: Container[str] = shapes if known is None else known
        self.declared: dict[Expr, str] = {}  # sizes still to be printed, on the left side

    def place(self, equation: Equation) -> list[str]:
        """The subscripts of a target, with sizes where indices stand alone: ``d[t[i:3], j]``."""
        data = [e for s in equation.subscripts for e in elements(s)]
        body = Call("+", (equation.value, *data))
        sizes: dict[Expr, str] = {i: self.size(i, n, body) for i, n in equation.sizes.items()}
        self.declared = {i: n for i, n in sizes.items() if i not in equation.subscripts}
        places = [self.show(s)[0] + sizes.get(s, "") for s in equation.subscripts]
        self.declared = {}
        return places

    def item(self, subscript: Expr) -> str:
        """A subscript of an element, on the left side with the size of an index that has none yet."""
        declared = self.declared.pop(subscript, "")
        return self.show(subscript)[0] + declared

    def size(self, index: Index, size: Expr | None, body: Expr) -> str:
        """``:size`` unless elements are read at the plain index, all of just that size, and one is known."""
        if size is None or index.name == "...":
            return ""
        told = False
        for element in elements(body):
            shape = self.shapes.get(element.tensor, ())
            for subscript, dimension in zip(element.subscripts, shape, strict=False):
                if subscript == index and len(shape) == len(element.subscripts):
                    if dimension != size:
                        return ":" + self.show(size)[0]
                    told = told or element.tensor in self.known
        return "" if told else ":" + self.show(size)[0]

    def show(self, e: Expr) -> tuple[str, int]:
        """Text and binding strength."""
        match e:
            case Number(value):
                text = decimal(value)
                return text, _STRENGTH["neg"] if value < 0 else 6 if "/" in text else _ATOM
            case Constant(name) | Index(name) | Symbol(name):
                return name, _ATOM
            case Size(tensor, axis):
                return f"dim({tensor}, {axis})", _ATOM
            case Element(tensor, subscripts):
                inner = ", ".join(map(self.item, subscripts))
                return (f"{tensor}[{inner}]" if subscripts else tensor), _ATOM
            case Reduce(kind, body, binders):
                bound = ", ".join(i.name + self.size(i, n, body) for i, n in binders)
                return f"{kind}[{bound}]({self.show(body)[0]})", _ATOM
            case Call(function, arguments):
                return self.call(function, arguments)
        raise TypeError(f"not an expression: {e!r}")

    def call(self, function: str, arguments: tuple[Expr, ...]) -> tuple[str, int]:
        if function == GROUP:
            return f"[{', '.join(self.show(a)[0] for a in arguments)}]", _ATOM
        strength = _STRENGTH.get(function)
        if strength is None:
            return f"{function}({', '.join(self.show(a)[0] for a in arguments)})", _ATOM
        if function in ("neg", "not"):
            sign = "-" if function == "neg" else "not "
            return sign + self.inside(arguments[0], strength), strength
        word = function if function in _TIGHT else f" {function} "
        if function == "**":  # binds to the right, and tighter than a minus on its left
            left, right = self.inside(arguments[0], strength + 1), self.inside(arguments[1], 7)
            return f"{left}**{right}", strength
        right_strength = strength + (function not in ("and", "or"))
        left_strength = strength + (function in ("<", "<=", ">", ">=", "==", "!="))
        parts = [self.inside(arguments[0], left_strength)]
        parts += [self.inside(a, right_strength) for a in arguments[1:]]
        return word.join(parts), strength

    def inside(self, e: Expr, least: int) -> str:
        text, strength = self.show(e)
        return text if strength >= least else f"({text})"
