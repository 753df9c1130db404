"""Stage order: a program that computes everything before it is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.errors import CompilerError
from compiler.language.expression import Call, Index
from compiler.language.steps import Recurrence, Window, equations, step_lines
from compiler.language.system import System
from compiler.rewriting.order import order
from compiler.rewriting.outside import outside

from .build import element, equation, reduction, tensor

T = Index("t")


def _recurrent(lag: int, role: str = "local") -> System:
    """``h[t, k] = tanh(z[t, k] + sum[j](h[t - lag, j]*U[j, k]))`` and ``z[t, k] = 2*x[t, k]``."""
    inner = reduction("sum", element("h", T - lag, "j") * element("U", "j", "k"), j=4)
    return System(
        (
            tensor("x", 5, 4),
            tensor("U", 4, 4),
            tensor("z", 5, 4, role="local"),
            tensor("h", 5, 4, role=role),
            tensor("y", 5, 4, role="output"),
        ),
        (
            equation(element("y", "t", "k"), element("h", "t", "k") * 3, t=5, k=4),
            equation(
                element("h", "t", "k"), Call("tanh", (element("z", "t", "k") + inner,)), t=5, k=4
            ),
            equation(element("z", "t", "k"), element("x", "t", "k") * 2, t=5, k=4),
        ),
    )


def test_order_puts_definitions_before_reads() -> None:
    """Equations given in any order come out with every tensor defined before it is read."""
    assert [e.target for e in equations(order(_recurrent(1)))] == ["z", "h", "y"]


def test_order_finds_the_index_that_carries_a_cycle() -> None:
    """Only the cycle is inside the loop; what it reads from outside is computed before it."""
    before, loop, after = order(_recurrent(1))
    assert isinstance(loop, Recurrence)
    assert (loop.index.name, loop.size, loop.backward) == ("t2", 5, False)
    assert [e.target for e in equations([loop])] == ["h"]
    assert "\n".join(step_lines([before, loop, after])).splitlines()[1] == "for t2 in range(5):"


def test_order_runs_backward_for_lags_into_the_future() -> None:
    """``h[t]`` from ``h[t + 1]`` is a loop from the end."""
    loop = order(_recurrent(-1))[1]
    assert isinstance(loop, Recurrence)
    assert loop.backward


def test_order_nests_cycles_of_two_indices() -> None:
    """``y[i, j]`` from ``y[i - 1, j]`` and ``y[i, j - 1]`` becomes two loops."""
    i, j = Index("i"), Index("j")
    value = element("y", i - 1, j) + element("y", i, j - 1) + element("x", i, j)
    system = System(
        (tensor("x", 3, 4), tensor("y", 3, 4, role="output")),
        (equation(element("y", i, j), value, i=3, j=4),),
    )
    (outer,) = order(system)
    assert isinstance(outer, Recurrence)
    (inner,) = outer.steps
    assert isinstance(inner, Recurrence)
    assert (outer.size, inner.size) == (3, 4)


def test_order_keeps_initial_values_outside() -> None:
    """``h[0] = h0; h[t + 1] = f(h[t])``: the start is set before the loop."""
    system = System(
        (tensor("s", 3), tensor("h", 6, 3, role="output")),
        (
            equation(element("h", T + 1, "k"), element("h", "t", "k") * 2, t=5, k=3),
            equation(element("h", 0, "k"), element("s", "k"), k=3),
        ),
    )
    first, loop = order(system)
    assert str(first).startswith("h[0, k")
    assert isinstance(loop, Recurrence)
    assert loop.size == 5


def test_order_guards_what_is_not_defined_everywhere() -> None:
    """Of two tensors in one cycle, the shorter has a window within the loop."""
    system = System(
        (tensor("x", 6), tensor("h", 6, role="output"), tensor("g", 5, role="local")),
        (
            equation(element("h", "t"), element("g", T - 1) + element("x", "t"), t=6),
            equation(element("g", "t"), element("h", "t") * 2, t=5),
        ),
    )
    (loop,) = order(system)
    assert isinstance(loop, Recurrence)
    windows = [step for step in loop.steps if isinstance(step, Window)]
    assert [(w.start, w.stop) for w in windows] == [(0, 5)]


def test_order_zeroes_what_no_equation_defines() -> None:
    """Parts without an equation are zero; where the parts cover everything nothing is zeroed."""
    x = element("x", "i")
    tensors = (tensor("x", 3), tensor("y", 6, role="output"))
    first, second = (equation(element("y", Index("i") + k), x, i=3) for k in (0, 3))
    assert [e.origin for e in equations(order(System(tensors, (first, second))))] == ["", ""]
    assert [e.origin for e in equations(order(System(tensors, (second,))))] == ["zeros of y", ""]


def test_order_adds_after_plain_equations() -> None:
    """Accumulating equations of a target follow its plain ones."""
    system = System(
        (tensor("x", 3), tensor("y", 3, role="output")),
        (
            equation(element("y", 0), element("x", "i"), add=True, i=3),
            equation(element("y", "i"), element("x", "i"), i=3),
        ),
    )
    assert [e.accumulate for e in equations(order(system))] == [False, True]


def test_order_declines_when_no_index_carries_the_cycle() -> None:
    """A value that depends on itself is refused, and the equations are named."""
    system = System(
        (tensor("a", 3, role="output"), tensor("b", 3, role="local")),
        (
            equation(element("a", "i"), element("b", "i") + 1, i=3),
            equation(element("b", "i"), element("a", "i") * 2, i=3),
        ),
    )
    with pytest.raises(CompilerError, match=r"a\[i.*b\[i"):
        order(system)


def test_outside_computes_at_once_what_the_cycle_does_not_need() -> None:
    """A product with the inputs leaves the loop, the one with the state stays."""
    system = _recurrent(1)
    h = element("h", "t", "k")
    product = reduction("sum", element("x", "t", "j") * element("U", "j", "k"), j=4)
    state = reduction("sum", element("h", T - 1, "j") * element("U", "j", "k"), j=4)
    own = equation(h, product + state, t=5, k=4)
    loosened = outside(replace(system, equations=(own,)))
    assert [e.target for e in equations(order(loosened))][-2:] == ["h.outside", "h"]
    assert str(loosened.equations[1].value).count("Reduce") == 1


def test_outside_takes_no_name_that_is_taken() -> None:
    """What is computed before the loop does not overwrite a tensor that is called so."""
    system = _recurrent(1)
    product = reduction("sum", element("x", "t", "j") * element("U", "j", "k"), j=4)
    own = equation(element("h", "t", "k"), product + element("h", T - 1, "k"), t=5, k=4)
    tensors = (*system.tensors, tensor("h.outside", 5, 4))
    loosened = outside(replace(system, tensors=tensors, equations=(own,)))
    assert [e.target for e in loosened.equations] == ["h.outside_", "h"]
    assert len(loosened.by_name) == len(loosened.tensors)


def test_outside_declines_for_what_has_no_reduction() -> None:
    """A product of two numbers costs less than the memory for it."""
    assert outside(_recurrent(1)) == _recurrent(1)
