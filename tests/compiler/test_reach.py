"""Stage reach: rows end where comparisons leave nothing of them, if nobody misses what lies beyond."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import compiler
from compiler.language.expression import Call, Constant, Element, Expr, Index, expr
from compiler.language.notes import Note
from compiler.language.steps import Strand, Strands
from compiler.language.system import System
from compiler.machine.run import Executable
from compiler.options import Options
from compiler.pipeline import stages
from compiler.scheduling import reach as stage
from compiler.scheduling.fuse import Fusion
from compiler.scheduling.reach import reach

from .build import binders, element, equation, reduction, tensor

BLOCKS, ROWS, COLUMNS = 6, 4, 24
A, T, S, R = (Index(name) for name in "atsr")
ROW = A * ROWS + T
NONE = -Constant("inf")
BEFORE, NEAR = Call("<=", (S, ROW)), Call("<", (ROW, S + 6))
D, Z, P = element("d", ROW, "s"), element("z", "t", "s"), element("p", "t", "s")
M, N = element("m", ROW), element("n", ROW)
ALONG = element("z", "t", "r")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of four, and a range for each block."""
    monkeypatch.setattr(stage, "LINE", 4)
    monkeypatch.setattr(stage, "STEP", 4)


def _place(target: Element, value: Expr, add: bool = False) -> Fusion:
    """A value for all pairs of a block."""
    own = equation(target, value, add=add, t=ROWS, s=COLUMNS)
    return Fusion(binders(t=ROWS, s=COLUMNS), (own,))


def _along(target: Element, kind: str, body: Expr, length: int = COLUMNS) -> Fusion:
    """What comes of each row, or of its beginning."""
    own = equation(target, reduction(kind, body, r=length), t=ROWS)
    return Fusion(binders(t=ROWS), (own,))


def _scores(condition: Expr = BEFORE, other: object = NONE) -> Fusion:
    return _place(Z, Call("where", (condition, D, expr(other))))


MOST = _along(M, "max", ALONG)
SUM = _along(N, "sum", Call("exp", (ALONG - M,)))
WEIGHTS = _place(P, Call("where", (Call("==", (Z, NONE)), expr(0), Call("exp", (Z - M,)) / N)))
MIXED = _along(element("y", ROW), "sum", element("p", "t", "r") * element("v", "r"))


def _rows(*kernels: Fusion) -> list[int]:
    """How far the rows of each range of blocks reach in all kernels."""
    notes: list[Note] = []
    (part,) = reach((Strands(BLOCKS, (Strand(A, 0, BLOCKS, kernels),)),), {"z", "p"}, notes)
    assert len(notes) == (len(part.steps) > 1) or "declined" in notes[0].message
    found = []
    for strand in part.steps:
        columns = {
            b.extent
            for kernel in strand.steps
            for b in (*kernel.indices, *getattr(kernel.equations[0].value, "binders", ()))
            if b.index in (S, R)
        }
        assert len(columns) == 1
        found += columns
    return found


def test_rows_reach_as_far_as_a_comparison_may_hold() -> None:
    """A maximum, a sum of exponentials, weights and what they weigh are as long as the last row of a range."""
    found = _rows(_scores(), MOST, SUM, WEIGHTS, MIXED)
    assert found == [4, 8, 12, 16, 20, 24]


def test_rows_begin_where_a_comparison_may_hold() -> None:
    """Of a band both ends are left away; what is read and written moves with its first column."""
    band = Call("where", (NEAR, Call("where", (BEFORE, D, NONE)), NONE))
    found = _rows(_place(Z, band), MOST, SUM)
    assert found == [4, 8, 12, 12, 12, 12]
    (part,) = reach((Strand(A, 5, 6, (_scores(NEAR), MOST)),), {"z"})
    scores, most = part.steps
    assert scores.equations[0].subscripts == (T, S + 12)
    assert most.equations[0].value == reduction("max", element("z", "t", R + 12), r=12)


def test_something_of_a_row_is_always_left() -> None:
    """Where nothing is left of a row its maximum says so, and its sum is none."""
    assert _rows(_scores(Call("<=", (S, ROW - 8))), MOST, SUM) == [4, 4, 4, 8, 12, 16]


@pytest.mark.parametrize(
    "kernels",
    [
        (_scores(other=0), MOST),
        (_scores(), _along(N, "sum", Call("exp", (ALONG,)) + 1)),
        (_scores(), SUM),
        (_scores(), _along(M, "max", element("x", "t", "r") + ALONG * 0), SUM),
        (_scores(), _along(element("m", ROW - 1), "max", ALONG), SUM),
        (_scores(), _along(N, "min", ALONG)),
        (_scores(), _along(N, "argmax", ALONG)),
        (_scores(), MOST, _place(element("x", "t", "s"), Z)),
        (_scores(), MOST, _place(element("g", "s"), Z, add=True)),
        (_scores(), _along(N, "sum", element("z", "t", R + 1) * 0)),
        (_scores(Call("<=", (element("k", "s"), ROW))), MOST),
        (_scores(Call("<=", (S * S, ROW))), MOST),
        (_scores(Call("<=", (S, Index("o"))),), MOST),
    ],
    ids=["another value", "more than nothing", "no maximum", "another maximum", "of another row",
         "a minimum", "a place", "leaves the block", "is added", "moved", "data", "a square",
         "of what is not known"],
)  # fmt: skip
def test_declines_when_what_lies_beyond_is_missed(kernels: tuple[Fusion, ...]) -> None:
    """All rows are whole."""
    assert len(_rows(*kernels)) == 1


@pytest.mark.parametrize("kind", ["max", "sum"])
def test_declines_when_somebody_asks_for_a_part_of_a_row(kind: str) -> None:
    """The beginning of a row does not end where the row does."""
    body = ALONG if kind == "max" else Call("exp", (ALONG - M,))
    parts = (Strand(A, 0, BLOCKS, (_scores(), MOST, _along(element("y", ROW), kind, body, 8))),)
    assert reach(parts, {"z"}) == parts


def test_declines_when_the_maximum_is_that_of_a_column() -> None:
    """A column that has nothing has it beyond the reach of a row only."""
    most = equation(element("c", "s"), reduction("max", element("z", "r", "s"), r=ROWS), s=COLUMNS)
    sums = _along(N, "sum", Call("exp", (ALONG - element("c", "r"),)))
    parts = (Strand(A, 0, BLOCKS, (_scores(), Fusion(binders(s=COLUMNS), (most,)), sums)),)
    assert reach(parts, {"z", "c"}) == parts


def _masked(random: Random) -> System:
    """Places that one or two comparisons leave, their weights and means; somebody may ask for less of a row."""
    rows, columns = random.choice((16, 24, 33)), random.choice((16, 32, 40))

    def along(kind: str, body: Expr) -> Expr:
        length = columns if random.random() < 0.9 else random.randint(1, columns)
        return reduction(kind, body, r=length)

    z, z_of_r = element("z", "t", "s"), element("z", "t", "r")
    m, n, p = element("m", "t"), element("n", "t"), element("p", "t", "s")
    values: Expr = element("d", "t", "s")
    for _ in range(random.choice((1, 1, 2))):
        sides = S * random.choice((1, 1, 2)), T * random.choice((1, 1, 2)) + random.randint(-9, 9)
        sign = random.choice(("<", "<=", ">", ">="))
        values = Call("where", (Call(sign, random.choice((sides, sides[::-1]))), values, NONE))
    weight = Call("where", (Call("==", (z, NONE)), expr(0), Call("exp", (z - m,)) / n))
    mean = along("sum", element("p", "t", "r") * element("v", "r", "e"))
    equations = (
        equation(z, values, t=rows, s=columns),
        equation(m, along("max", z_of_r), t=rows),
        equation(n, along("sum", Call("exp", (z_of_r - m,))), t=rows),
        equation(p, weight, t=rows, s=columns),
        equation(element("y", "t", "e"), mean, t=rows, e=3),
    )
    tensors = (
        *(tensor(name, rows, columns, role="local") for name in "zp"),
        *(tensor(name, rows, role="local") for name in "mn"),
        tensor("d", rows, columns),
        tensor("v", columns, 3),
        tensor("y", rows, 3, role="output"),
    )
    return System(tensors, equations)


def test_random_rows_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comparisons leave of them, and whoever asks for how much; those of many systems do end."""
    for limit in ("group.FEWEST", "cuts.FEWEST"):
        monkeypatch.setattr(f"compiler.scheduling.{limit}", 2)
    for limit in ("groups.HANDED", "group.SMALL", "group.OFTEN"):
        monkeypatch.setattr(f"compiler.scheduling.{limit}", 0)
    monkeypatch.setattr("compiler.scheduling.group.COUNT", 5)
    ended = 0
    for seed in range(12):
        system, generator = _masked(Random(seed)), np.random.default_rng(seed)
        shapes = {t.name: t.shape for t in system.tensors if t.role == "input"}
        arrays = {n: generator.normal(size=shape).astype("f4") for n, shape in shapes.items()}
        explanation = stages(system, Options(cache="off", threads=1).settle())
        expected = compiler.evaluate(system, arrays)["y"]
        found = Executable(explanation.program(), explanation)(arrays)["y"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        ended += "ranges" in "".join(n.message for n in explanation.notes if n.stage == "reach")
    assert ended > 3
