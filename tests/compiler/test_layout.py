"""Layout: what a turn of a recurrence needs lies side by side."""

from __future__ import annotations

from compiler.expression import Call, Index
from compiler.layout import layout
from compiler.order import order
from compiler.system import System

from .build import assert_compiled_is_interpreted, element, equation, tensor

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
    axes = layout(order(system), system)
    assert axes == {"x": (0, 1, 2), "z": (1, 0, 2), "h": (1, 0, 2), "y": (0, 1, 2)}


def test_layout_declines_for_what_the_caller_sees() -> None:
    """Outputs lie as the caller expects them."""
    system = _running("output")
    assert_compiled_is_interpreted(system)
    assert layout(order(system), system)["h"] == (0, 1, 2)
