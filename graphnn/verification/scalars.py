"""A formula written out in scalars: every element a sympy expression in the elements of the
operands.

    y[n] = sum[i](x[n, i]**2),  x of shape (1, 2)     is     y[0] = x_0_0**2 + x_0_1**2

Each value is carried twice, as an expression and as a number at one sample point; the number
decides which branch of a ``where`` or which side of a ``max`` counts. What is shown with the
expressions holds on the whole region of points that take the same branches. Recurrences need no
order: an element is worked out when it is asked for.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import mpmath
import numpy as np
import sympy

from compiler.language.expression import (
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Symbol,
)
from compiler.language.system import Equation
from compiler.reference.philox import uniform

from ..notation import Resolved

__all__ = ["Scalar", "Scalars", "symbol"]

Position = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, as an expression and as a number at the sample point."""

    symbolic: Any
    number: Any


ZERO, ONE = Scalar(sympy.S.Zero, mpmath.mpf(0)), Scalar(sympy.S.One, mpmath.mpf(1))
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_WHOLE: Mapping[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
# What sympy and mpmath call the functions of the notation; the others are written out in
# `Scalars.call`.
_SAME = ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf", "erfc")


class Scalars:
    """The elements of all tensors of a resolved formula, given those of its operands."""

    def __init__(
        self,
        resolved: Resolved,
        attributes: Mapping[str, object],
        given: Mapping[str, Callable[[Position], Scalar]],
    ) -> None:
        self.attributes, self.given = attributes, given
        self.shapes = {k: tuple(_whole(n) for n in v) for k, v in resolved.shapes.items()}
        self.known: dict[tuple[str, Position], Scalar] = {}
        self.places: dict[tuple[str, Position], list[tuple[Equation, dict[Index, int]]]] = {}
        for equation in resolved.equations:
            for place, environment in self.grid(equation):
                self.places.setdefault((equation.target, place), []).append((equation, environment))

    def grid(self, equation: Equation):  # type: ignore[no-untyped-def]
        ranges = [range(_whole(n)) for _, n in equation.indices]
        for values in itertools.product(*ranges):
            environment = {b.index: v for b, v in zip(equation.indices, values, strict=True)}
            place = tuple(self.integer(s, environment) for s in equation.subscripts)
            yield place, environment

    def element(self, tensor: str, position: Position) -> Scalar:
        """The value at one position; zero where it is out of range or nothing defines it."""
        shape = self.shapes[tensor]
        if not all(0 <= p < n for p, n in zip(position, shape, strict=True)):
            return ZERO
        if tensor in self.given:
            return self.given[tensor](position)
        key = (tensor, position)
        if key not in self.known:
            parts = [self.value(q.value, env) for q, env in self.places.get(key, ())]
            self.known[key] = reduce(_add, parts, ZERO)
        return self.known[key]

    def integer(self, e: Expr, environment: Mapping[Index, int]) -> int:
        """A whole number; most of them are sums and multiples of indices, which need no symbols."""
        match e:
            case Index():
                return environment[e]
            case Number(value) if value.denominator == 1:
                return value.numerator
            case Call("+" | "-" | "*" as function, (a, b)):
                return _WHOLE[function](self.integer(a, environment), self.integer(b, environment))
        return int(self.value(e, environment).number)

    def value(self, e: Expr, environment: Mapping[Index, int]) -> Scalar:
        match e:
            case Number(value):
                exact = sympy.Rational(value.numerator, value.denominator)
                return Scalar(exact, mpmath.mpf(value.numerator) / value.denominator)
            case Constant("pi"):
                return Scalar(sympy.pi, mpmath.pi())
            case Constant():
                return Scalar(sympy.oo, mpmath.inf)
            case Symbol(name):
                number = self.attributes[name]
                exact = sympy.Rational(str(number))
                return Scalar(exact, mpmath.mpf(exact.p) / exact.q)
            case Index():
                return Scalar(sympy.Integer(environment[e]), mpmath.mpf(environment[e]))
            case Element(tensor, subscripts):
                return self.element(tensor, tuple(self.integer(s, environment) for s in subscripts))
            case Reduce():
                return self.reduction(e, environment)
            case Call("where", (condition, a, b)):
                return self.value(
                    a if self.value(condition, environment).number else b, environment
                )
            case Call(function, arguments):
                return self.call(function, [self.value(a, environment) for a in arguments])
        raise TypeError(f"not a scalar: {e!r}")

    def reduction(self, e: Reduce, environment: Mapping[Index, int]) -> Scalar:
        ranges = [range(self.integer(n, environment)) for _, n in e.binders if n is not None]
        values = []
        for position in itertools.product(*ranges):
            inner = {b.index: v for b, v in zip(e.binders, position, strict=True)}
            values.append(self.value(e.body, {**environment, **inner}))
        match e.kind:
            case "sum":
                return reduce(_add, values, ZERO)
            case "mean":
                total = reduce(_add, values, ZERO)
                return Scalar(total.symbolic / len(values), total.number / len(values))
            case "prod":
                return reduce(_multiply, values, ONE)
            case "argmax" | "argmin":
                best = _best(e.kind == "argmax", values)
                return Scalar(sympy.Integer(best), mpmath.mpf(best))
        return values[_best(e.kind in ("max", "firstmax"), values)]

    def call(self, function: str, values: list[Scalar]) -> Scalar:
        if function in _COMPARE:
            truth = _COMPARE[function](values[0].number, values[1].number)
            return ONE if truth else ZERO
        if function in ("max", "min"):
            return values[_best(function == "max", values)]
        if function in ("abs", "sign", "floor", "round"):
            return _piece(function, values[0])
        if function in ("//", "%"):
            return _divided(function, *values)
        if function == "uniform":
            key, counter, position = (int(v.number) for v in values)
            drawn = float(uniform(key, counter, position, bits=53))
            return Scalar(sympy.Rational(drawn), mpmath.mpf(drawn))
        symbolic = _apply(function, [v.symbolic for v in values], sympy)
        number = _apply(function, [v.number for v in values], mpmath)
        return Scalar(symbolic, number)


def _piece(function: str, a: Scalar) -> Scalar:
    """Functions made of pieces, on the piece that the sample point lies on."""
    if function == "abs":
        return a if a.number > 0 else Scalar(-a.symbolic, -a.number)
    whole = {"sign": mpmath.sign, "floor": mpmath.floor, "round": mpmath.nint}[function](a.number)
    return Scalar(sympy.Integer(int(whole)), whole)


def _divided(function: str, a: Scalar, b: Scalar) -> Scalar:
    """Floor division or its remainder, on the piece that the sample point lies on."""
    if b.number == 0:
        return ZERO
    quotient = _piece("floor", Scalar(a.symbolic / b.symbolic, a.number / b.number))
    if function == "//":
        return quotient
    rest = a.number - quotient.number * b.number
    return Scalar(a.symbolic - quotient.symbolic * b.symbolic, rest)


def _apply(function: str, a: list[Any], library: Any) -> Any:
    """One function in sympy's or in mpmath's numbers."""
    one = library.mpf(1) if library is mpmath else sympy.S.One
    match function:
        case "+" | "-" | "*" | "/" | "**":
            return _arithmetic(function, *a)
        case "neg":
            return -a[0]
        case "and":
            return one * int(all(a))
        case "or":
            return one * int(any(a))
        case "not":
            return one * int(not a[0])
        case "sigmoid":
            return 1 / (1 + library.exp(-a[0]))
        case "expm1":
            return library.exp(a[0]) - 1
        case "log1p":
            return library.log(1 + a[0])
    if function in _SAME:
        return getattr(library, function)(a[0])
    raise ValueError(f"{function} is not written out in scalars")


def _arithmetic(function: str, a: Any, b: Any) -> Any:
    match function:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
    return a**b


def _add(a: Scalar, b: Scalar) -> Scalar:
    return Scalar(a.symbolic + b.symbolic, a.number + b.number)


def _multiply(a: Scalar, b: Scalar) -> Scalar:
    return Scalar(a.symbolic * b.symbolic, a.number * b.number)


def _best(largest: bool, values: list[Scalar]) -> int:
    """Position of the first largest (or smallest) number."""
    chosen = (max if largest else min)(v.number for v in values)
    return next(k for k, v in enumerate(values) if v.number == chosen)


def _whole(size: Expr | None) -> int:
    assert isinstance(size, Number)
    return int(size.value)


def symbol(tensor: str, position: Position, numbers: np.ndarray) -> Scalar:
    """The element of an operand: a symbol named after its place, or the number itself where it is
    whole.
    """
    number = mpmath.mpf(float(numbers[position]))
    if numbers.dtype.kind == "i":
        return Scalar(sympy.Integer(int(numbers[position])), number)
    name = "_".join([tensor, *map(str, position)])
    return Scalar(sympy.Symbol(name, real=True), number)
