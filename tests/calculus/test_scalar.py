"""Derivatives of scalar functions are sympy's, and agree with differences in 50 digits."""

from __future__ import annotations

import mpmath
import pytest

from compiler.language.expression import FUNCTIONS, Call, Constant, Element, Expr, Number, expr
from graphnn.calculus.algebra import normal
from graphnn.calculus.scalar import DEFINITIONS, defined, slopes

_X = Element("x", ())
_JUMPS = ("sign", "floor", "round")
_MPMATH = {
    "expm1": mpmath.expm1,
    "log1p": mpmath.log1p,
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)),
}


_PLAIN = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "neg": lambda a: -a,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "abs": abs,
}


def value(e: Expr, x: mpmath.mpf) -> mpmath.mpf:
    """``e`` for this value of its one element."""
    match e:
        case Element():
            return x
        case Number(number):
            return mpmath.mpf(number.numerator) / number.denominator
        case Constant("pi"):
            return +mpmath.pi
        case Call("where", (c, a, b)):
            return value(a if value(c, x) else b, x)
        case Call(name, arguments):
            function = (_PLAIN | _MPMATH).get(name) or getattr(mpmath, name)
            return function(*(value(a, x) for a in arguments))
    raise TypeError(e)


@pytest.mark.parametrize(
    "name", [n for n, count in FUNCTIONS.items() if count == 1 and n not in _JUMPS]
)
def test_function_has_the_derivative_of_its_values(name: str) -> None:
    """Of every scalar function the derivative agrees with differences."""
    with mpmath.workdps(50):
        x, h = mpmath.mpf("0.37"), mpmath.mpf(10) ** -12
        function = Call(name, (_X,))
        slope = slopes(function)[_X]
        difference = (value(function, x + h) - value(function, x - h)) / (2 * h)
        assert abs(value(normal(slope), x) - difference) < 1e-20


@pytest.mark.parametrize("name", _JUMPS)
def test_what_jumps_has_no_slope(name: str) -> None:
    """sign, floor and round are constant where they do not jump."""
    assert not slopes(Call(name, (_X,)))


@pytest.mark.parametrize("name", [n for n in DEFINITIONS if n not in ("max", "min", "%")])
def test_definition_has_the_values_of_the_function(name: str) -> None:
    """What a function is defined as has its values."""
    with mpmath.workdps(50):
        for x in (mpmath.mpf("-0.4"), mpmath.mpf("0.7")):
            assert abs(value(defined(name, (_X,)), x) - value(Call(name, (_X,)), x)) < 1e-40


def test_equal_elements_are_one_variable() -> None:
    """x*x has one slope, 2*x; exponentials are not merged."""
    assert normal(slopes(_X * _X)[_X]) == normal(2 * _X)
    e = Call("exp", (_X,))
    assert len(slopes(e * Call("exp", (2 * _X,)))) == 1


def test_conditions_are_not_differentiated() -> None:
    """An element in a condition or a subscript has no slope."""
    t = Element("t", ())
    choice = Call("where", (Call(">", (t, expr(0))), _X, expr(0)))
    assert list(slopes(choice)) == [_X]
