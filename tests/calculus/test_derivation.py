"""Derivations tell every step with the name of its law."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphnn.calculus.derivation import derivation
from graphnn.errors import GraphnnError
from graphnn.notation import parse, symbolic

from .operations import OPERATIONS

_SHOWN = (
    "softmax",
    "conv stride 2",
    "simple rnn",
    "max pool",
    "embedding",
    "softmax + sparse cross-entropy",
)


@pytest.mark.parametrize("name", _SHOWN)
def test_derivation_prints(name: str, golden: Callable[[str, str], None]) -> None:
    """A derivation prints as one equation a line, its law at the right."""
    case = OPERATIONS[name]
    told = derivation(symbolic(parse(case.text, case.attributes)))
    golden(f"calculus/derivation {name}", str(told))


def test_derivation_names_the_laws() -> None:
    """Differentiate, go through the output, apply the chain rule, add up."""
    told = derivation(symbolic(parse(OPERATIONS["softmax"].text)))
    laws = [law for step in told.steps for law in step.laws]
    for law in (
        "formula",
        "differentiate",
        "through the output",
        "chain rule",
        "delta",
        "occurrences add",
        "result",
    ):
        assert law in laws


def test_derivation_by_one_operand() -> None:
    """``wrt`` leaves out what the other gradients need."""
    told = derivation(symbolic(parse(OPERATIONS["dense"].text)), ["W"])
    assert [s.equation.target for s in told.steps if s.laws == ("result",)] == ["d_W"]


def test_derivation_refuses_whole_numbers() -> None:
    """A label has no gradient, and the message says what has."""
    with pytest.raises(GraphnnError, match="t is no operand with a gradient"):
        derivation(symbolic(parse(OPERATIONS["embedding"].text)), ["t"])


def test_derivation_typesets() -> None:
    """The same steps as LaTeX, for a notebook."""
    told = derivation(symbolic(parse(OPERATIONS["relu"].text)))
    assert told.latex.startswith(r"\begin{aligned}")
    assert r"\frac{\partial y}{\partial x" in told.latex
    assert told._repr_latex_() == f"$${told.latex}$$"


def test_a_derivation_of_long_lines_alone_prints() -> None:
    """Laws stand behind each line; none is short enough to say where the others' begin."""
    body = " + ".join(f"a{k}[n]*b{k}[n]" for k in range(8))
    told = derivation(symbolic(parse(f"y[n] = x[n]*({body})*({body})")), ["x"])
    assert all(len(line) > 80 for line in str(told).splitlines())
    assert str(told).splitlines()[0].endswith("    formula")
