"""Stage exchange: sums over sums are read from those that have been added up the other way round."""

from __future__ import annotations

import numpy as np
import pytest

import compiler
from compiler import System, caches
from compiler.language.expression import Expr
from compiler.language.notes import Note
from compiler.language.system import Equation
from compiler.rewriting.exchange import exchange

from .build import element, equation, reduction, tensor

ROWS, COLUMNS, DEPTH = 12, 20, 3


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large."""
    monkeypatch.setattr(caches, "FAR", ROWS * COLUMNS)


def _system(
    weights: Expr | None = None,
    depth: int = DEPTH,
    known: tuple[str, str] = ("p", "v"),
    lines: tuple[int, int] | None = None,
    more: tuple[Equation, ...] = (),
    dtype: str = "float32",
) -> System:
    """``r`` weighs products of vectors that have been weighed already, if the two of ``known`` say so.

    So many ``lines`` of them have been, by default all, and are kept as ``dtype``; ``more`` are further equations.
    """
    p, v, g = element("p", "t", "u"), element("v", "u", "d"), element("g", "t", "u")
    first, second = (element(n, *("tu" if n in "pq" else "ud")) for n in known)
    lines = lines or (ROWS, depth)
    vectors, pairs = dict(zip("td", lines, strict=True)), {"t": ROWS, "u": COLUMNS}
    body = (p if weights is None else weights) * g
    return System(
        (
            tensor("p", ROWS, COLUMNS),
            tensor("q", ROWS, COLUMNS),
            tensor("v", COLUMNS, depth),
            tensor("e", ROWS, depth),
            tensor("y", *lines, role="output", dtype=dtype),
            tensor("g", ROWS, COLUMNS, role="local"),
            tensor("f", ROWS, COLUMNS, role="output"),
            tensor("r", ROWS, role="output"),
        ),
        (
            equation(
                element("y", "t", "d"), reduction("sum", second * first, u=COLUMNS), **vectors
            ),
            equation(g, reduction("sum", element("e", "t", "d") * v, d=depth), **pairs),
            equation(element("f", "t", "u"), g * 2, **pairs),
            equation(element("r", "t"), 3 + reduction("sum", body, u=COLUMNS), t=ROWS),
            *more,
        ),
    )


def _sum_of(system: System) -> Equation:
    return next(e for e in system.equations if e.target == "r")


def test_a_sum_that_somebody_has_is_read() -> None:
    """Few terms are read in the place of a row, and the value is the same."""
    system, notes = _system(), list[Note]()
    found = exchange(system, notes)
    assert str(_sum_of(found)) == "r[t:12] = 3 + sum[d:3](e[t, d]*y[t, d])"
    assert [n.equation for n in notes] == ["r"]
    random = np.random.default_rng(0)
    arrays = {t.name: random.normal(size=t.shape) for t in system.tensors if t.role == "input"}
    arrays = {name: array.astype("float32") for name, array in arrays.items()}
    expected, other = compiler.evaluate(system, arrays), compiler.evaluate(found, arrays)
    np.testing.assert_allclose(other["r"], expected["r"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "system",
    [
        _system(weights=element("q", "t", "u")),
        _system(weights=element("p", "t", "u") * element("p", "t", "u")),
        _system(known=("q", "v")),
        _system(weights=element("p", 0, "u")),
        _system(depth=COLUMNS),
        _system(lines=(ROWS - 1, DEPTH)),
        _system(lines=(ROWS, DEPTH - 1)),
        _system(dtype="float64"),
        _system(more=(equation(element("y", 0, 0), 5, add=True),)),
    ],
    ids=["other weights", "a square", "another sum", "another place", "as many terms",
         "fewer rows", "less depth", "other digits", "something is added"],
)  # fmt: skip
def test_declines_when_nobody_has_that_sum_or_it_is_no_shorter(system: System) -> None:
    """Whatever else is weighed stays as it was written."""
    assert str(_sum_of(exchange(system))) == str(_sum_of(system))


def test_declines_when_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cache holds may be read again."""
    monkeypatch.setattr(caches, "FAR", ROWS * COLUMNS + 1)
    system = _system()
    assert exchange(system) is system
