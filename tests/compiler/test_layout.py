"""Layout: what a turn of a recurrence needs lies side by side."""

from __future__ import annotations

import pytest

from compiler.language.expression import Call, Index
from compiler.language.system import System
from compiler.rewriting.order import order
from compiler.scheduling.layout import Layout, apart, layout

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

T = Index("t")


def _running(role: str) -> System:
    """``h[n, t, u] = tanh(h[n, t - 1, u] + z[n, t, u])``, ``z = 2*x``, ``y = h + z``."""
    here, shape = ("n", "t", "u"), {"n": 3, "t": 5, "u": 4}
    before = element("h", "n", T - 1, "u")
    return System(
        (
            tensor("x", 3, 5, 4),
            tensor("z", 3, 5, 4, role="local"),
            tensor("h", 3, 5, 4, role=role),
            tensor("y", 3, 5, 4, role="output"),
        ),
        (
            equation(element("z", *here), element("x", *here) * 2, **shape),
            equation(element("h", *here), Call("tanh", (before + element("z", *here),)), **shape),
            equation(element("y", *here), element("h", *here) + element("z", *here), **shape),
        ),
    )


def test_layout_puts_the_carried_index_outermost() -> None:
    """For what the loop defines and for what it reads; the result is the same."""
    system = _running("local")
    assert_compiled_is_interpreted(system)
    axes = {name: lies.axes for name, lies in layout(order(system), system).items()}
    assert axes == {"x": (0, 1, 2), "z": (1, 0, 2), "h": (1, 0, 2), "y": (0, 1, 2)}


@pytest.mark.parametrize(("row", "first"), [("t", 1), (4 - T, 0)])
def test_layout_turns_what_is_multiplied_with_the_same_rows(row: str | Index, first: int) -> None:
    """``z[n, t, u] = sum[e](x[n, t, e]*W[e, u])``: the rows of x lie as those of z; other rows lie as they were."""
    system = _running("local")
    shape = {"n": 3, "t": 5}
    product = reduction("sum", element("v", "n", row, "e") * element("w", "e", "u"), e=4)
    system = System(
        (*system.tensors, tensor("v", 3, 5, 4, role="local"), tensor("w", 4, 4)),
        (
            equation(element("v", "n", "t", "e"), element("x", "n", "t", "e") + 1, **shape, e=4),
            equation(element("z", "n", "t", "u"), product, **shape, u=4),
            *system.equations[1:],
        ),
    )
    assert_compiled_is_interpreted(system)
    assert layout(order(system), system)["v"].axes[0] == first


def test_layout_declines_for_what_the_caller_sees() -> None:
    """Outputs lie as the caller expects them."""
    system = _running("output")
    assert_compiled_is_interpreted(system)
    assert layout(order(system), system)["h"] == Layout((0, 1, 2))


@pytest.mark.parametrize(
    ("columns", "padding"), [(512, 16), (500, 28), (490, 6), (250, 22), (480, 0)]
)
def test_layout_keeps_rows_out_of_step(columns: int, padding: int) -> None:
    """Where the caller does not see it, long rows begin with a line and are no multiple of 1 KB."""
    rows, y = 20_000 // columns, element("y", "k", "j")
    column = reduction("sum", element("z", "n", "j") * element("x", "n", "k"), n=rows)
    system = System(
        (
            tensor("x", rows, columns),
            tensor("z", rows, columns, role="local"),
            tensor("y", columns, columns, role="output"),
        ),
        (
            equation(element("z", "n", "j"), element("x", "n", "j") * 2, n=rows, j=columns),
            equation(y, column, k=columns, j=columns),
        ),
    )
    assert_compiled_is_interpreted(system)
    assert [lies.padding for lies in layout(order(system), system).values()] == [0, padding, 0]


def test_layout_keeps_one_turn_of_what_no_other_reads() -> None:
    """A value that only its own turn reads has one place for all turns; one that the next turn reads has not."""
    here, shape = ("n", "t", "u"), {"n": 3, "t": 5, "u": 4}
    total = reduction("sum", element("h", "n", T - 1, "k") * element("U", "k", "u"), k=4)
    system = System(
        (
            tensor("x", 3, 5, 4),
            tensor("U", 4, 4),
            tensor("z", 3, 5, 4, role="local"),
            tensor("h", 3, 5, 4, role="local"),
            tensor("y", 3, 5, 4, role="output"),
        ),
        (
            equation(element("z", *here), element("x", *here) + total, **shape),
            equation(element("h", *here), Call("tanh", (element("z", *here),)), **shape),
            equation(element("y", *here), element("h", *here) * 2, **shape),
        ),
    )
    assert_compiled_is_interpreted(system)
    again = {name: lies.again for name, lies in layout(order(system), system).items()}
    assert again == {"x": (), "U": (), "z": (1,), "h": (), "y": ()}


def test_layout_keeps_products_apart() -> None:
    """Operands of many products of one shape lie out of step, their rows as they were."""
    product = element("A", "p", "i", "k") * element("B", "p", "k", "j")
    own = equation(element("C", "p", "i", "j"), reduction("sum", product, k=16), p=36, i=32, j=16)
    assert [apart([own], name) for name in "ABC"] == [(0,), (0,), (0,)]
    (stride, *inner), size = Layout((0, 1, 2), apart=(0,)).strides((36, 32, 16))
    assert inner == [16, 1]
    assert stride % 256
    assert size == 36 * stride


def test_layout_keeps_rows_of_one_product_together() -> None:
    """What all rows read is no product of each row's own."""
    product = element("A", "n", "i", "k") * element("B", "k", "j")
    own = equation(element("C", "n", "i", "j"), reduction("sum", product, k=16), n=4, i=32, j=16)
    assert [apart([own], name) for name in "ABC"] == [(), (), ()]
