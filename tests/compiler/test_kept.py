"""Stage kept: comparisons ask what is stored anyway."""

from __future__ import annotations

import numpy as np
import pytest

import compiler
from compiler import Options
from compiler.language.expression import Call, Expr, expr
from compiler.language.system import System
from compiler.rewriting.kept import kept

from .build import element, equation, tensor


def _system(function: str, sign: str, bound: float, more: Expr | None = None) -> System:
    """``z = x*2;  y = max(bound, z);  g = where(z > bound, d, 0) + more``."""
    z, d = element("z", "n", "i"), element("d", "n", "i")
    chosen = Call("where", (Call(sign, (z, expr(bound))), d, expr(0)))
    sizes = {"n": 3, "i": 17}
    return System(
        (
            tensor("x", 3, 17),
            tensor("d", 3, 17),
            tensor("z", 3, 17, role="local"),
            tensor("y", 3, 17, role="output"),
            tensor("g", 3, 17, role="output"),
        ),
        (
            equation(element("z", "n", "i"), element("x", "n", "i") * 2, **sizes),
            equation(element("y", "n", "i"), Call(function, (expr(bound), z)), **sizes),
            equation(element("g", "n", "i"), chosen if more is None else chosen + more, **sizes),
        ),
    )


@pytest.mark.parametrize(("function", "sign", "bound"), [("max", ">", 0), ("min", "<", 0.5)])
def test_kept_asks_the_bounded_value(function: str, sign: str, bound: float) -> None:
    """Nobody but the bound reads z any more, and all values stay, NaN and signed zeros included."""
    system = _system(function, sign, bound)
    asking = kept(system)
    assert "z" not in str(asking.equations[2].value)
    x = np.zeros((3, 17), np.float32)
    x[0, :6] = [np.nan, -0.0, 0.25, np.inf, -np.inf, 0.2]
    arrays = {"x": x, "d": np.ones((3, 17), np.float32)}
    expected = compiler.evaluate(system, arrays)
    for found in (
        compiler.evaluate(asking, arrays),
        compiler.compile(system, Options(cache="off"))(arrays),
    ):
        assert all(np.array_equal(found[k], v, equal_nan=True) for k, v in expected.items())


@pytest.mark.parametrize(
    "system",
    [
        _system("max", "<", 0),
        _system("max", ">", 0, element("z", "n", "i")),
        _system("max", ">", 0, Call("where", (Call(">", (element("z", "n", "i"), expr(1))),) * 3)),
    ],
    ids=["the other side", "read elsewhere", "another number"],
)
def test_kept_declines_when_more_is_asked(system: System) -> None:
    """Where z must be stored anyway, or its bound does not tell, nothing changes."""
    assert kept(system) == system
