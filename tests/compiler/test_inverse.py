"""Stage inverse: numbers are multiplied by inverses where these are as good as divisors, and nowhere else."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import compiler
from compiler import System
from compiler.language.expression import (
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    calls,
    expr,
    walk,
)
from compiler.rewriting.inverse import inverse

from .build import element, equation, reduction, tensor

ROWS, COLUMNS = 5, 9
X, S, M = element("x", "n", "i"), element("s", "n"), element("m", "n")


def _sum(body: Expr) -> Reduce:
    return reduction("sum", body, i=COLUMNS)


SQUARES = Call("sqrt", (_sum(X * X),))
EXPONENTIALS = _sum(Call("exp", (X - M,)))


def _system(
    divisor: Expr,
    most: str = "max",
    columns: int = COLUMNS,
    place: Element = S,
    dtype: str = "float32",
) -> System:
    """``y[n, i] = x[n, i]/place``, where ``s`` is the divisor."""
    rows = {"n": ROWS}
    largest = reduction(most, element("x", "n", "j"), j=COLUMNS)
    return System(
        (
            tensor("x", ROWS, COLUMNS),
            tensor("m", ROWS, role="local"),
            tensor("s", ROWS, role="local"),
            tensor("y", ROWS, columns, role="output", dtype=dtype),
        ),
        (
            equation(element("m", "n"), largest, **rows),
            equation(element("s", "n"), divisor, **rows),
            equation(element("y", "n", "i"), X / place, **rows, i=columns),
        ),
    )


def _divides(system: System) -> bool:
    (quotient,) = (e.value for e in system.equations if e.target == "y")
    return "/" in calls(quotient)


@pytest.mark.parametrize("divisor", [SQUARES, EXPONENTIALS], ids=["roots", "exponentials"])
def test_quotients_by_few_divisors_become_products(divisor: Expr) -> None:
    """What is a number, infinite or none as a quotient is that as a product, too."""
    system = _system(divisor)
    changed = inverse(system)
    assert not _divides(changed) and len(changed.equations) == len(system.equations) + 1
    rows = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype("f4")
    rows[1], rows[2, :2], rows[3, 0], rows[4] = 0, np.inf, np.nan, rows[4] * 1e-25
    for given in (rows, -rows, rows * 1e18, np.full_like(rows, -np.inf)):
        expected = compiler.evaluate(system, {"x": given})["y"]
        found = compiler.evaluate(changed, {"x": given})["y"]
        np.testing.assert_allclose(found, expected, rtol=3e-7)


def test_a_number_is_computed_when_it_is_compiled() -> None:
    """A number of many digits in the place of the root."""
    for place, square in (
        (Call("sqrt", (expr(32),)), 32.0),
        (Call("sqrt", (expr(2),)) * Call("sqrt", (Constant("pi"),)), 2 * np.pi),
        (expr(3) ** 0.5, 3.0),
    ):
        changed = inverse(_system(SQUARES, place=place))  # type: ignore[arg-type]
        (number,) = (p for p in walk(changed.equations[-1].value) if isinstance(p, Number))
        assert changed.equations[-1].value == X * number
        assert abs(1 / number.value**2 / Fraction(square) - 1) < (
            1e-15 if square == 2 * np.pi else 1e-38
        )


@pytest.mark.parametrize(
    "system",
    [
        _system(_sum(X)),
        _system(_sum(Call("exp", (X,)))),
        _system(EXPONENTIALS, most="min"),
        _system(_sum(Call("exp", (X - element("m", Index("n") * 0),)))),
        _system(SQUARES, columns=2),
        _system(SQUARES, place=element("s", Index("n") - 1)),
        _system(SQUARES, place=Call("sqrt", (expr(2) ** 250,))),  # type: ignore[arg-type]
        _system(SQUARES, dtype="float64"),
    ],
    ids=["any sum", "any exponentials", "of another maximum", "of another row", "few quotients",
         "zero outside", "a very large number", "quotients of more digits"],
)  # fmt: skip
def test_inverse_declines_when_an_inverse_may_be_no_number(system: System) -> None:
    """Very small divisors have none, very large ones lose digits; and few quotients are not worth it."""
    assert inverse(system) == system
