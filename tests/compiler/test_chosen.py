"""Stage chosen: what is asked of the element that a maximum has chosen is asked of the maximum."""

from __future__ import annotations

import numpy as np
import pytest

import compiler
from compiler import Options
from compiler.language.expression import Call, Element, Expr, Index, expr
from compiler.language.system import Equation, System
from compiler.rewriting.chosen import chosen
from compiler.rewriting.hoist import simplified
from compiler.rewriting.order import order
from compiler.scheduling.fuse import Fusion, fuse

from .build import element, equation, reduction, tensor

PAIRS = {"n": 3, "w": 4, "c": 17}
ALL = {"n": 3, "v": 8, "c": 17}


def _x(k: object) -> Element:
    """The k-th of a pair."""
    return element("x", "n", Index("w") * 2 + k, "c")


def _where(condition: Expr, value: Expr) -> Expr:
    return Call("where", (condition, value, expr(0)))


def _asking(k: int, place_first: bool, compared: Expr) -> Equation:
    """``d = g`` where the k-th is the greatest of its pair, and this holds of it."""
    place = Call("==", (expr(k), element("p", "n", "w", "c")))
    first, second = (place, compared) if place_first else (compared, place)
    value = _where(first, _where(second, element("g", "n", "w", "c")))
    return equation(element("d", "n", Index("w") * 2 + k, "c"), value, **PAIRS)


def _system(
    kind: str = "max", role: str = "local", place_first: bool = False, other: Expr | None = None
) -> System:
    """``x = 2*u`` in pairs, the greatest of each with its place, and what is asked of both behind it."""
    among = reduction(kind, _x(Index("j")), j=2)
    places = reduction(f"arg{kind.removeprefix('first')}", _x(Index("j")), j=2)
    return System(
        (
            tensor("u", 3, 8, 17),
            tensor("g", 3, 4, 17),
            tensor("x", 3, 8, 17, role=role),
            tensor("y", 3, 4, 17, role="output"),
            tensor("p", 3, 4, 17, dtype="int32", role="output"),
            tensor("d", 3, 8, 17, role="output"),
        ),
        (
            equation(element("x", "n", "v", "c"), element("u", "n", "v", "c") * 2, **ALL),
            equation(element("y", "n", "w", "c"), among, **PAIRS),
            equation(element("p", "n", "w", "c"), places, **PAIRS),
            _asking(0, place_first, Call(">", (_x(0), expr(0)))),
            _asking(1, place_first, Call(">", (other or _x(1), expr(0)))),
        ),
    )


@pytest.mark.parametrize("place_first", [False, True])
@pytest.mark.parametrize("kind", ["max", "firstmax", "min"])
def test_chosen_asks_the_maximum(kind: str, place_first: bool) -> None:
    """Nobody but the maximum and its place reads x, and all values stay: ties, NaN and signed zeros included."""
    system = _system(kind, place_first=place_first)
    asking = chosen(system)
    assert all("x[" not in str(e.value) for e in asking.equations[3:])
    u = np.random.default_rng(0).integers(-2, 3, (3, 8, 17)).astype(np.float32)
    u[0] = np.random.default_rng(1).choice([np.nan, -0.0, 0.0, np.inf, -np.inf], (8, 17))
    arrays = {"u": u, "g": np.random.default_rng(2).normal(size=(3, 4, 17)).astype(np.float32)}
    expected = compiler.evaluate(system, arrays)
    for found in (
        compiler.evaluate(asking, arrays),
        compiler.compile(system, Options(cache="off"))(arrays),
    ):
        assert all(np.array_equal(found[k], v, equal_nan=True) for k, v in expected.items())


@pytest.mark.parametrize(
    "system",
    [
        _system(role="output"),
        _system(other=_x(0)),
        _system(other=_x(1) + 1),
    ],
    ids=["it is asked for", "of the other one", "of its sum"],
)
def test_chosen_declines_when_more_is_asked(system: System) -> None:
    """What is kept anyway may be asked as well as the maximum."""
    assert chosen(system) is system


def _beside(
    at: Expr,
    asked: Expr,
    number: int,
    maxima: int = 4,
    asking: int = 4,
    dtype: str = "float64",
    add: bool = False,
    truths: bool = False,
) -> System:
    """``d = 1`` where the maximum at some place was found first or last and something holds of x, else -1 or 0."""
    place = Call("==", (expr(number), Element("p", (at,))))
    value = Call("where", (Call(">", (Element("x", (asked,)), expr(0))), expr(1), expr(-1)))
    step = 3 if truths else 2
    among, w, more = element("x", Index("w") * step + Index("j")), Index("w"), element("q", "w")
    return System(
        (
            tensor("u", 11, dtype="float64"),
            tensor("q", maxima, dtype=dtype),
            tensor("x", 11, dtype="float64", role="local"),
            tensor("y", maxima, dtype=dtype, role="output"),
            tensor("p", 4, dtype="bool" if truths else "int32", role="output"),
            tensor("d", asking, dtype="float64", role="output"),
        ),
        (
            equation(element("x", "v"), element("u", "v") * 2, v=11),
            equation(element("y", "w"), reduction("max", among, j=step), w=maxima),
            equation(element("p", "w"), reduction("argmax", among, j=step), w=4),
            equation(element("d", w), _where(place, value), w=asking),
            *([equation(element("y", "w"), more, add=True, w=maxima)] if add else []),
        ),
    )


_W = Index("w")


@pytest.mark.parametrize(
    "system",
    [
        _beside(_W, _W * 2, 0, dtype="float32"),
        _beside(_W, _W * 2 + 1, 1, maxima=3),
        _beside(_W, _W * 2 + 1, 1, add=True),
        _beside(_W + 1, _W * 2 + 2, 0),
        _beside(_W // 4, expr(1), 1, asking=8),
        _beside(_W, _W * 2 + 2, 2),
        _beside(_W, _W * 3 + 1, 1, truths=True),
    ],
    ids=["other digits", "fewer maxima", "added to", "outside", "another range", "none", "truths"],
)
def test_chosen_declines_where_the_maximum_may_be_another_number(system: System) -> None:
    """Compiled and interpreted ask the same, whatever is asked beside the maxima."""
    system = simplified(system)
    arrays = {t.name: np.full(t.shape, -9, t.dtype) for t in system.tensors if t.name == "q"}
    for u in (
        np.arange(-2, 9),
        np.arange(-1, 10),
        np.arange(1, 12),
        np.arange(11, 0, -1),
        np.full(11, 1e-60),
    ):
        arrays["u"] = u * np.array([1.0, 1, 1, 1, -1, -1, 1, 1, 1, 1, 1])
        expected = compiler.evaluate(system, arrays)
        for found in (
            compiler.evaluate(chosen(system), arrays),
            compiler.compile(system, Options(cache="off"))(arrays),
        ):
            assert all(np.array_equal(found[k], v) for k, v in expected.items())


def test_a_maximum_and_its_place_become_one_kernel() -> None:
    """They read the same, though both reduce; a sum of it stands apart."""
    system = _system()
    total = equation(element("s", "n", "w", "c"), reduction("sum", _x(Index("j")), j=2), **PAIRS)
    more = System(
        (*system.tensors, tensor("s", 3, 4, 17, role="output")), (*system.equations, total)
    )
    kernels = [k for k in fuse(order(chosen(more)), more) if isinstance(k, Fusion)]
    targets = [{e.target for e in k.equations} for k in kernels]
    assert {"y", "p"} in [t - {"d"} for t in targets]
    assert {"s"} in targets
