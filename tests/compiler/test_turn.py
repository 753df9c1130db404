"""Stage turn: operands of contractions lie the right way round."""

from __future__ import annotations

from compiler.language.expression import Index
from compiler.language.system import System
from compiler.rewriting.turn import turn

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

T = Index("t")


def _transposed(rows: int, inner: int, columns: int) -> System:
    """``C[i, j] = sum[k](A[i, k]*B[j, k])``."""
    product = element("A", "i", "k") * element("B", "j", "k")
    return System(
        (
            tensor("A", rows, inner),
            tensor("B", columns, inner),
            tensor("C", rows, columns, role="output"),
        ),
        (equation(element("C", "i", "j"), reduction("sum", product, k=inner), i=rows, j=columns),),
    )


def test_turn_exchanges_the_axes_of_an_operand() -> None:
    """Neighbours of the result come from neighbours of the operand."""
    system = _transposed(32, 20, 17)
    assert_compiled_is_interpreted(system)
    copy, product = turn(system).equations
    assert str(copy) == "B.turned[i0:20, i1:17] = B[i1, i0]"
    assert str(product) == "C[i:32, j:17] = sum[k:20](A[i, k]*B.turned[k, j])"


def test_turn_sees_the_neighbours_within_a_group() -> None:
    """Where the result is written at ``16*a + b``, the neighbours are those of ``b``."""
    a = Index("a") * 16
    product = element("K", "b", a + Index("o")) * element("g", "n", a + Index("o"))
    system = System(
        (tensor("K", 16, 64), tensor("g", 20, 64), tensor("d", 20, 64, role="output")),
        (
            equation(
                element("d", "n", a + Index("b")), reduction("sum", product, o=16), n=20, a=4, b=16
            ),
        ),
    )
    assert_compiled_is_interpreted(system)
    _, product_of_groups = turn(system).equations
    assert "K.turned[a*16 + o, b]" in str(product_of_groups)


def test_turn_copies_once() -> None:
    """Two contractions with one operand read one copy."""
    system = _transposed(32, 20, 17)
    again = equation(
        element("D", "i", "j"),
        reduction("sum", element("A", "i", "k") * element("B", "j", "k") * 2, k=20),
        i=32,
        j=17,
    )
    twice = System(
        (*system.tensors, tensor("D", 32, 17, role="output")), (*system.equations, again)
    )
    assert len(turn(twice).equations) == 3


def test_turn_copies_before_a_recurrence() -> None:
    """What a loop reads in each turn is copied before it, however small a turn is."""
    inner = reduction("sum", element("h", T - 1, "k") * element("U", "u", "k"), k=8)
    system = System(
        (tensor("x", 20, 8), tensor("U", 8, 8), tensor("h", 20, 8, role="output")),
        (equation(element("h", "t", "u"), element("x", "t", "u") + inner / 8, t=20, u=8),),
    )
    assert_compiled_is_interpreted(system)
    assert [e.target for e in turn(system).equations] == ["U.turned", "h"]


def test_turn_declines_when_elements_are_read_too_seldom() -> None:
    """A copy costs as much as a few reads."""
    assert turn(_transposed(4, 20, 17)).equations == _transposed(4, 20, 17).equations


def test_turn_declines_when_the_recurrence_defines_the_operand() -> None:
    """What is not there before the loop cannot be copied before it."""
    inner = reduction("sum", element("h", T - 1, "u", "k") * element("x", "t", "k"), k=8)
    system = System(
        (tensor("x", 20, 8), tensor("h", 20, 8, 8, role="output")),
        (
            equation(
                element("h", "t", "v", "u"), inner / 8 + element("x", "t", "v"), t=20, v=8, u=8
            ),
        ),
    )
    assert_compiled_is_interpreted(system)
    assert len(turn(system).equations) == 1
