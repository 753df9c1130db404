"""Stage split: what is different along parts of an index is an equation for each of them."""

from __future__ import annotations

from compiler.language.expression import Call, Expr, Index, expr
from compiler.language.system import System
from compiler.rewriting.order import order
from compiler.rewriting.split import split
from compiler.scheduling.fuse import fuse, fusions

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

J, T = Index("j"), Index("t")


def _system(value: Expr, *, columns: int = 8) -> System:
    tensors = (
        tensor("a", 3, 4),
        tensor("b", 3, 4),
        tensor("W", 4, 4),
        tensor("y", 3, columns, role="output"),
    )
    return System(tensors, (equation(element("y", "n", "j"), value, n=3, j=columns),))


def _lines(system: System) -> list[str]:
    assert_compiled_is_interpreted(system)
    return [str(e) for e in split(system).equations]


def test_split_where_reads_leave_their_tensor() -> None:
    """Each part reads only what is there."""
    assert _lines(_system(element("a", "n", "j") ** 2 + element("b", "n", J - 4))) == [
        "y[n:3, j:4] = a[n, j]**2",
        "y[n:3, j + 4] = b[n, j]",
    ]


def test_split_where_conditions_change() -> None:
    """A condition is decided in every part; a part of one element has no index."""
    inner = Call("where", (Call("<", (J, expr(5))), element("a", "n", 0), expr(0)))
    value = Call("where", (Call("==", (J, expr(7))), element("b", "n", 0), inner))
    assert _lines(_system(value)) == [
        "y[n:3, j:5] = a[n, 0]",
        "y[n:3, j + 5] = 0",
        "y[n:3, 7] = b[n, 0]",
    ]


def test_split_where_an_index_runs_the_other_way() -> None:
    """The cuts are found all the same."""
    assert _lines(_system(element("a", "n", 3 - J) + element("b", "n", 7 - J))) == [
        "y[n:3, j:4] = a[n, 3 - j]",
        "y[n:3, j + 4] = b[n, 3 - j]",
    ]


def test_split_declines_when_little_is_saved() -> None:
    """A border of one element stays a test."""
    assert len(_lines(_system(element("a", "n", J - 1), columns=4))) == 1


def test_split_declines_when_the_bound_index_leaves() -> None:
    """A window that runs over the edge is no part of an index."""
    k = Index("k")
    product = reduction("sum", element("a", "n", J + k - 1) * element("W", "k", "j"), k=3)
    assert len(_lines(_system(product, columns=4))) == 1


def test_split_declines_when_the_index_carries_a_recurrence() -> None:
    """``h[0]`` and ``h[t + 1]`` would be two loops that wait for each other."""
    first = Call(
        "where", (Call("==", (T, expr(0))), element("a", 0, "u"), element("h", T - 1, "u"))
    )
    system = System(
        (tensor("a", 3, 4), tensor("h", 2, 4, role="output")),
        (equation(element("h", "t", "u"), Call("tanh", (first,)), t=2, u=4),),
    )
    assert len(_lines(system)) == 1


def test_split_parts_share_a_kernel() -> None:
    """Parts of a tensor that read the same are stored by one kernel."""
    system = System(
        (tensor("x", 3, 4), tensor("z", 3, 4, role="local"), tensor("y", 3, 8, role="output")),
        (
            equation(element("z", "n", "u"), element("x", "n", "u") * 2, n=3, u=4),
            equation(
                element("y", "n", "j"),
                element("z", "n", "j") ** 2 + element("z", "n", J - 4),
                n=3,
                j=8,
            ),
        ),
    )
    assert_compiled_is_interpreted(system)
    parts = split(system)
    assert len(list(fusions(fuse(order(parts), parts)))) == 1
