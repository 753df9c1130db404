"""Stage digits: groups are indices of their own, the same values without a quotient."""

from __future__ import annotations

import pytest

from compiler.language.expression import Call, Expr, Index, expr, walk
from compiler.language.system import System
from compiler.rewriting.digits import digits

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

A, C, COLUMN = Index("a"), Index("c"), Index("o")


def _grouped(groups: int, columns: int, channels: int = 3) -> System:
    """``y[n, o] = max(0, sum[c](x[n, channels*(o//columns) + c]*K[c, o]))``."""
    product = element("x", "n", COLUMN // columns * channels + C) * element("K", "c", "o")
    sizes = {"n": 5, "o": groups * columns}
    z = reduction("sum", product, c=channels)
    return System(
        (
            tensor("x", 5, groups * channels),
            tensor("K", channels, groups * columns),
            tensor("z", 5, groups * columns, role="local"),
            tensor("y", 5, groups * columns, role="output"),
        ),
        (
            equation(element("z", "n", "o"), z, **sizes),
            equation(
                element("y", "n", "o"), Call("max", (expr(0), element("z", "n", "o"))), **sizes
            ),
        ),
    )


def _gradient(groups: int, columns: int, channels: int) -> System:
    """``d[n, a] = sum[o](K[a - channels*(o//columns), o]*g[n, o])``, K zero beyond its rows."""
    kernel = element("K", A - COLUMN // columns * channels, "o")
    total = reduction("sum", kernel * element("g", "n", "o"), o=groups * columns)
    return System(
        (
            tensor("K", channels, groups * columns),
            tensor("g", 5, groups * columns),
            tensor("d", 5, groups * channels, role="output"),
        ),
        (equation(element("d", "n", "a"), total, n=5, a=groups * channels),),
    )


def _joined() -> System:
    """``y[n, k] = sum[i](x[n, i//16, i%16]*W[i, k])``."""
    i = Index("i")
    total = reduction("sum", element("x", "n", i // 16, i % 16) * element("W", "i", "k"), i=64)
    return System(
        (tensor("x", 5, 4, 16), tensor("W", 64, 20), tensor("y", 5, 20, role="output")),
        (equation(element("y", "n", "k"), total, n=5, k=20),),
    )


def _ragged() -> System:
    """``y[n, o:40] = sum[c](x[n, o//16, c]*K[c, o])``."""
    total = reduction("sum", element("x", "n", COLUMN // 16, "c") * element("K", "c", "o"), c=3)
    return System(
        (tensor("x", 5, 3, 3), tensor("K", 3, 40), tensor("y", 5, 40, role="output")),
        (equation(element("y", "n", "o"), total, n=5, o=40),),
    )


def _quotients(system: System) -> list[Expr]:
    parts = (part for e in system.equations for part in walk(e.value))
    return [p for p in parts if isinstance(p, Call) and p.function in ("//", "%")]


def test_a_group_is_an_index() -> None:
    """Nothing is divided, and what alone reads the sum is computed with it."""
    cut = digits(_grouped(4, 16))
    assert not _quotients(cut)
    assert [str(e) for e in cut.equations] == [
        "y[n:5, 16*o + o2] = max(0, sum[c:3](x[n, 3*o + c]*K[c, 16*o + o2]))"
    ]


def test_only_the_own_group_counts() -> None:
    """Of a sum over all columns those of one group are left: the others would read zeros."""
    cut = digits(_gradient(4, 16, 16))
    assert not _quotients(cut)
    assert [str(e) for e in cut.equations] == [
        "d[n:5, 16*a + a2] = sum[o2:16](K[a2, 16*a + o2]*g[n, 16*a + o2])"
    ]


@pytest.mark.parametrize(
    "system",
    [
        _grouped(4, 16),
        _grouped(3, 9, 5),
        _grouped(2, 40, 1),
        _gradient(4, 16, 16),
        _gradient(3, 9, 12),
        _gradient(2, 32, 3),
    ],
)
def test_groups_have_the_same_values(system: System) -> None:
    """Compiled or cut, forward and backward, groups wider and narrower than a vector."""
    assert_compiled_is_interpreted(system)
    cut = digits(system)
    assert len(cut.equations) == 1
    assert_compiled_is_interpreted(cut)


def test_other_sums_over_an_index_of_that_name_stay() -> None:
    """Each sum has indices of its own, whatever they are called, and however long they are."""
    asking = reduction("sum", element("x", "n", COLUMN // 16) * element("g", "n", "o"), o=64)
    beside = reduction("sum", element("g", "n", "o"), o=60)
    system = System(
        (tensor("x", 5, 4), tensor("g", 5, 64), tensor("y", 5, role="output")),
        (equation(element("y", "n"), asking + beside, n=5),),
    )
    assert [str(e) for e in digits(system).equations] == [
        "y[n:5] = sum[o:4, o2:16](x[n, o]*g[n, 16*o + o2]) + sum[o:60](g[n, o])"
    ]
    assert_compiled_is_interpreted(system)


@pytest.mark.parametrize(
    "system",
    [
        pytest.param(_grouped(8, 4), id="groups too small for a vector"),
        pytest.param(_joined(), id="axes joined: the remainder is asked for, too"),
        pytest.param(_ragged(), id="the last group is not whole"),
    ],
)
def test_digits_declines(system: System) -> None:
    """The same system comes back."""
    assert digits(system) == system
    assert_compiled_is_interpreted(system)
