"""Stage idle: blocks in which a condition makes everything zero are passed over, and no others."""

from __future__ import annotations

from fractions import Fraction

import pytest

from compiler.language.expression import Call, Constant, Expr, Index, expr
from compiler.language.notes import Note
from compiler.language.steps import Guard, Strand, Strands
from compiler.scheduling.fuse import Fusion
from compiler.scheduling.idle import idle

from .build import binders, element, equation, reduction

ROWS, COLUMNS = 4, 8
A, B, T, S = (Index(name) for name in "abts")
ROW, COLUMN = A * ROWS + T, B * COLUMNS + S
D, P, Z = element("d", ROW, COLUMN), element("p", "t", "s"), element("z", "t", "s")
BEFORE, NONE = Call("<=", (COLUMN, ROW)), -Constant("inf")


def _where(condition: Expr, value: Expr, other: object) -> Expr:
    return Call("where", (condition, value, expr(other)))


def _place(name: str, value: Expr) -> Fusion:
    """What has a value for all pairs of a block."""
    own = equation(element(name, "t", "s"), value, t=ROWS, s=COLUMNS)
    return Fusion(binders(t=ROWS, s=COLUMNS), (own,))


def _sum(value: Expr, add: bool = True) -> Fusion:
    """What columns get from the rows of a block."""
    body = reduction("sum", value * element("w", ROW, "o"), t=ROWS)
    own = equation(element("g", COLUMN, "o"), body, add=add, s=COLUMNS, o=5)
    return Fusion(binders(s=COLUMNS, o=5), (own,))


def _guard(*kernels: Fusion) -> tuple[tuple[Index, int], ...] | None:
    """The terms of the condition for a block, and its constant."""
    notes: list[Note] = []
    inner = Strands(3, (Strand(B, 0, 3, kernels),))
    (part,) = idle((Strands(6, (Strand(A, 0, 6, (inner,)),)),), {"z", "p"}, notes)
    (step, *_) = part.steps[0].steps[0].steps[0].steps
    assert len(notes) == isinstance(step, Guard)
    return (*step.terms, step.constant) if isinstance(step, Guard) else None


LAST_ROW = ROWS - 1


@pytest.mark.parametrize(
    ("condition", "constant"),
    [
        (BEFORE, LAST_ROW),
        (Call("<", (COLUMN, ROW)), LAST_ROW - 1),
        (Call(">=", (ROW, COLUMN)), LAST_ROW),
        (Call(">", (ROW + 2, COLUMN)), LAST_ROW + 1),
        (Call("<", (COLUMN, ROW + Fraction(5, 2))), LAST_ROW + 2),
        (Call("<=", (COLUMN, ROW - Fraction(5, 2))), LAST_ROW - 3),
    ],
)
def test_a_block_is_done_where_a_condition_holds_for_some_pair(
    condition: Expr, constant: int
) -> None:
    """The least column is compared with the greatest row."""
    found = _guard(_place("z", _where(condition, D, 0)), _sum(Z))
    assert found == ((A, ROWS), (B, -COLUMNS), constant)


def test_what_has_one_value_is_read_as_that_value() -> None:
    """Weights of masked scores are zero, whatever else they would be."""
    weight = _where(Call("==", (Z, NONE)), expr(0), Call("exp", (Z,)))
    assert _guard(_place("z", _where(BEFORE, D, NONE)), _place("p", weight), _sum(P)) is not None


@pytest.mark.parametrize(
    "kernels",
    [
        (_place("z", D), _sum(Z)),
        (_place("z", _where(BEFORE, D, 1)), _sum(Z)),
        (_place("z", _where(BEFORE, D, 0)), _sum(Z, add=False)),
        (_place("z", _where(BEFORE, D, 0)), _sum(Z), _sum(D)),
        (_place("z", _where(BEFORE, D, 0)), _place("x", Z), _sum(Z)),
        (_place("z", _where(Call("<=", (element("k", COLUMN), ROW)), D, 0)), _sum(Z)),
        (_place("z", _where(Call("<=", (COLUMN * COLUMN, ROW)), D, 0)), _sum(Z)),
        (_place("z", _where(Call("<=", (S, T)), D, 0)), _sum(Z)),
        (_place("z", _where(BEFORE, D, 0) + 1), _sum(Z)),
        (_place("z", _where(BEFORE, D, NONE)), _sum(Call("exp", (Z,)))),
        (_place("z", _where(BEFORE, D, 0)),),
    ],
    ids=["no condition", "another value", "defined", "another sum", "leaves the block", "data",
         "a square", "the same in all blocks", "more", "of another function", "no sum"],
)  # fmt: skip
def test_declines_when_something_leaves_the_block(kernels: tuple[Fusion, ...]) -> None:
    """All blocks are done."""
    assert _guard(*kernels) is None
