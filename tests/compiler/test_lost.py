"""What the argument of a steep function has lost by rounding is made good, whatever product it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import compiler
from compiler import Options, System
from compiler.language.expression import Call, Constant, Expr, expr
from compiler.target import NAMES

from .build import element, equation, tensor

X = element("x", "n")
ROOT = Call("sqrt", (expr(2),))
# an argument, what it is, and for which x exp of it is a number
ARGUMENTS: dict[str, tuple[Expr, Callable[[Any], Any], float]] = {
    "a square": (-(X**2) / 2, lambda x: -x * x / 2, 13),
    "a product of itself": (-(X * X), lambda x: -x * x, 9),
    "a number of many digits": (X * 0.3, lambda x: x * 3 / 10, 250),
    "a quotient by one": (X / 0.3, lambda x: x * 10 / 3, 25),
    "a root": (X / ROOT, lambda x: x / mp.sqrt(2), 120),
    "a product of products": (-(X * 0.7 * (X * 1.1)), lambda x: -x * x * 77 / 100, 10),
    "a quotient of a square": (-(X**2) / 1.7, lambda x: -x * x * 10 / 17, 12),
    "pi": (X * Constant("pi"), lambda x: x * mp.pi, 25),
    "without a sign": (-2 * Call("abs", (X * 1.1,)), lambda x: -abs(x) * 22 / 10, 38),
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": mp.exp,
    "sigmoid": lambda u: 1 / (1 + mp.exp(-u)),
    "erfc": mp.erfc,
}


def run(function: str, argument: Expr, x: np.ndarray[Any, Any], machine: str = "") -> Any:
    """``y[n] = function(argument)``, compiled."""
    dtype, count = str(x.dtype), len(x)
    tensors = (tensor("x", count, dtype=dtype), tensor("y", count, role="output", dtype=dtype))
    value = Call(function, (argument,))
    system = System(tensors, (equation(element("y", "n"), value, n=count),))
    options = Options(target=NAMES[machine]) if machine else Options()
    return compiler.compile(system, options)({"x": x})["y"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_nothing_of_a_product_is_lost(name: str, dtype: str) -> None:
    """Errors stay within three units where that of the argument alone makes up to hundreds."""
    argument, true, reach = ARGUMENTS[name]
    for function, exact in FUNCTIONS.items():
        near = 9 / abs(float(true(mpf(1)))) ** (1 if reach > 13 else 0.5) / 1.01
        most = min(reach / 3, near) if function == "erfc" else reach
        x = np.random.default_rng(0).uniform(-most, most, 61).astype(dtype)
        found = run(function, argument, x)
        with mp.workprec(160):
            for value, result in zip(x, found, strict=True):
                wanted = exact(true(mpf(float(value))))
                assert abs(mpf(float(result)) - wanted) <= 3 * mpf(float(np.spacing(result))), value


@pytest.mark.parametrize("machine", ["", "x86-64"])
def test_infinite_products_have_lost_nothing(machine: str) -> None:
    """Zero, infinity and NaN come out where they would without what was lost."""
    if machine and not compiler.target.host().triple.startswith("x86_64"):
        pytest.skip("another kind of machine")
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 0.0], "f4")
    for sign in (1, -1):
        found = run("exp", sign * X**2 / 3, x, machine)
        end = np.inf if sign > 0 else 0
        assert np.array_equal(found, [end, end, np.nan, end, end, 1], equal_nan=True)
    for function, high, low, middle in (("sigmoid", 1, 0, 0.5), ("erfc", 0, 2, 1)):
        found = run(function, X * 1.7, x, machine)
        assert np.array_equal(found, [high, low, np.nan, high, low, middle], equal_nan=True)


def test_declines_when_the_argument_is_a_sum() -> None:
    """Its terms have been rounded before: the code is that of any other number."""
    texts = []
    for argument in (X - 1, X):
        tensors = (tensor("x", 64), tensor("y", 64, role="output"))
        value = Call("exp", (argument,))
        system = System(tensors, (equation(element("y", "n"), value, n=64),))
        texts.append(compiler.compile(system).explain("emit"))
    assert texts[0].count("call") == texts[1].count("call")
