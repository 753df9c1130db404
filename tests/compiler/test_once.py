"""Equations that differ in names only are rewritten once, and each gets its own names back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings

import graphnn as gn
from compiler.language.expression import elements
from compiler.language.match import Definitions
from compiler.language.once import Once
from compiler.language.system import Equation, System
from compiler.rewriting.stabilize import stabilize
from graphnn.graph.lower import lower

from ..systems import Case, cases
from .build import element, equation, tensor


def _blocks(count: int) -> System:
    """A training step of so many equal blocks."""
    x = gn.Input((4, 6))
    h = x
    for _ in range(count):
        h = gn.layers.LayerNormalization()(h + gn.layers.Dense(6, activation="softmax")(h))
    loss = gn.mean(h * h)
    updates = gn.optimizers.Adam().apply_gradients(gn.compute_gradients(loss))
    return lower([loss, *updates.new_values.values()], training=True).system


def _each(system: System) -> System:
    """The stage, each equation rewritten for itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Once, "__call__", lambda self, equation: self.rewrite(equation))
        return stabilize(system)


def test_equal_blocks_are_the_same_whether_rewritten_once_or_each() -> None:
    """Every equation of a network of equal blocks comes out as it does by itself."""
    system = _blocks(4)
    assert str(stabilize(system)) == str(_each(system))


@settings(max_examples=30)
@given(case=cases())
def test_any_system_is_the_same_whether_rewritten_once_or_each(case: Case) -> None:
    """So does every equation of a system with gathers, windows, recurrences."""
    assert str(stabilize(case.system)) == str(_each(case.system))


def test_the_number_of_rewritings_does_not_grow_with_the_number_of_blocks() -> None:
    """Five equal blocks and nine take the same number of equations to be looked at."""
    assert _rewritten(_blocks(5)) == _rewritten(_blocks(9))


def _rewritten(system: System) -> int:
    """How many equations were looked at."""
    with pytest.MonkeyPatch.context() as patch:
        learn, count = Once.learn, itertools.count()
        patch.setattr(Once, "learn", lambda *given: (next(count), learn(*given))[1])
        stabilize(system)
    return next(count)


def test_equations_are_told_apart_by_which_of_their_tensors_are_the_same() -> None:
    """``y*y`` is no ``u*v``, and so it is behind definitions that are asked for."""
    x = [tensor(f"x{k}", 4) for k in range(4)]
    local = [tensor(f"{name}", 4, role="local") for name in "abcd"]
    outputs = [tensor(f"{name}", 4, role="output") for name in "yz"]
    sources = {"a": "x0", "b": "x0", "c": "x1", "d": "x2"}
    system = System(
        (*x, *local, *outputs),
        (
            *(equation(element(n, "i"), element(s, "i"), i=4) for n, s in sources.items()),
            equation(element("y", "i"), element("a", "i") * element("b", "i"), i=4),
            equation(element("z", "i"), element("c", "i") * element("d", "i"), i=4),
        ),
    )
    definitions, rewritten = Definitions(system), []

    def rewrite(own: Equation) -> tuple[Equation, tuple[str, ...]]:
        rewritten.append(own.target)
        for read in elements(own.value):
            definitions.of(read.tensor)
        return own, ()

    once = Once(definitions, lambda name: definitions.tensors[name].role, rewrite)
    for each in system.equations:
        once(each)
    assert rewritten == ["a", "y", "z"]
