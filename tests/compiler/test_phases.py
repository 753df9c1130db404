"""Stage phases: an equation for each remainder, the same values without a division."""

from __future__ import annotations

from math import prod

import pytest

from compiler.language.expression import Call, Element, Expr, Index, Reduce, expr, walk
from compiler.language.system import Equation, System
from compiler.rewriting.order import order
from compiler.rewriting.phases import phases
from compiler.scheduling.fuse import fuse, fusions

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

A, B, H = Index("a"), Index("b"), Index("h")


def _chosen(size: int, divisor: int = 2) -> System:
    """``d[n, a, c] = where(a % k == at[n, a//k, c], g[n, a//k, c], 0); y = where(x > 0, d, 0)``, at from x."""
    count = size // divisor
    window = element("x", "n", H * divisor + Index("i"), "c")
    at = reduction("argmax", window, i=divisor)
    place = ("n", A // divisor, "c")
    is_here = Call("==", (A % divisor, element("at", *place)))
    d = Call("where", (is_here, element("g", *place), expr(0)))
    positive = Call(">", (element("x", "n", "a", "c"), expr(0)))
    y = Call("where", (positive, element("d", "n", "a", "c"), expr(0)))
    sizes = {"n": 3, "a": size, "c": 20}
    return System(
        (
            tensor("x", 3, size, 20),
            tensor("g", 3, count, 20),
            tensor("at", 3, count, 20, role="local", dtype="int32"),
            tensor("d", 3, size, 20, role="local"),
            tensor("y", 3, size, 20, role="output"),
        ),
        (
            equation(element("at", "n", "h", "c"), at, n=3, h=count, c=20),
            equation(element("d", "n", "a", "c"), d, **sizes),
            equation(element("y", "n", "a", "c"), y, **sizes),
        ),
    )


def _strided(size: int, window: int, step: int) -> System:
    """The gradient of a window at every step-th place: terms count where ``a - i`` and ``b - j`` are multiples."""
    i, j = Index("i"), Index("j")
    count = (size - window) // step + 1
    fits = Call(
        "and",
        (Call("==", ((A - i) % step, expr(0))), Call("==", ((B - j) % step, expr(0)))),
    )
    product = element("g", (A - i) // step, (B - j) // step, "o") * element("K", "i", "j", "c", "o")
    body = Call("where", (fits, product, expr(0)))
    total = reduction("sum", body, i=window, j=window, o=5)
    return System(
        (
            tensor("g", count, count, 5),
            tensor("K", window, window, 17, 5),
            tensor("d", size, size, 17, role="output"),
        ),
        (equation(element("d", "a", "b", "c"), total, a=size, b=size, c=17),),
    )


def _divides(e: Expr) -> bool:
    return any(isinstance(part, Call) and part.function in ("//", "%") for part in walk(e))


def _any_divides(equations: tuple[Equation, ...]) -> bool:
    return any(_divides(e.value) or any(map(_divides, e.subscripts)) for e in equations)


@pytest.mark.parametrize(
    "system",
    [
        *(_chosen(8), _chosen(9), _chosen(11, 3), _chosen(16, 4)),
        *(_strided(9, 3, 2), _strided(8, 2, 2), _strided(11, 3, 3), _strided(12, 5, 2)),
        _strided(9, 2, 3),
    ],
)
def test_phases_leave_no_division(system: System) -> None:
    """Whatever the rest of an extent is, nothing is divided and nothing asked, and the values stay."""
    cut = phases(system)
    assert not _any_divides(cut.equations)
    assert_compiled_is_interpreted(system)


def test_phases_keep_only_the_terms_that_count() -> None:
    """A sum over a 3x3 window at every second place is sums over 2x2, 2x1, 1x2 and 1x1."""
    cut = phases(_strided(9, 3, 2))
    sums = [part for e in cut.equations for part in walk(e.value) if isinstance(part, Reduce)]
    terms = [prod(n.value for i, n in s.binders if i.name != "o") for s in sums]  # type: ignore[union-attr]
    assert sorted(terms) == [1, 2, 2, 4]
    assert "where" not in str(cut)


def test_phases_and_what_they_share_are_one_kernel() -> None:
    """The place of a maximum and all places that ask for it: it is not stored; only the rest is on its own."""
    system = phases(_chosen(9))
    parts = list(fusions(fuse(order(system), system)))
    assert [len(p.equations) for p in parts] == [3, 1]
    assert parts[0].kept == ("at",)
    assert "d" not in system.by_name


def test_phases_decline_along_the_last_axis() -> None:
    """Neighbours that vectors write together stay neighbours."""
    own = equation(element("y", "n", "a"), element("x", "n", A // 2), n=4, a=32)
    system = System((tensor("x", 4, 16), tensor("y", 4, 32, role="output")), (own,))
    assert phases(system) == system


def test_phases_decline_for_large_divisors() -> None:
    """A change of shape is no choice between a few remainders."""
    place = Element("x", (A // 9, A % 9, Index("c")))
    own = equation(element("y", "a", "c"), place, a=36, c=8)
    system = System((tensor("x", 4, 9, 8), tensor("y", 36, 8, role="output")), (own,))
    assert phases(system) == system
