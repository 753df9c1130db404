"""Stage again: what is large and waits is computed again, block by block, and is the same."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import compiler
from compiler import Options, System, Tensor
from compiler.language.expression import Call, Constant, Expr, Index
from compiler.language.notes import Note
from compiler.pipeline import stages
from compiler.rewriting import again as stage
from compiler.rewriting.again import again
from compiler.scheduling import group, groups

from ..systems import random_case
from .build import element, equation, reduction

LENGTH, DEPTH = 48, 3
SETTINGS = Options(cache="off", threads=1).settle()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever may be computed again is, and goes in blocks."""
    monkeypatch.setattr(stage, "LARGE", 1000)
    monkeypatch.setattr(stage, "PIECE", 8 * LENGTH)
    monkeypatch.setattr(stage, "ROWS", 8)
    monkeypatch.setattr(groups, "HANDED", 0)
    monkeypatch.setattr(groups, "LARGE", 0)
    for name in ("OFTEN", "OFTEN_LARGE", "SMALL", "LARGE", "FAR"):
        monkeypatch.setattr(group, name, 0)
    monkeypatch.setattr(group, "ASIDE", 16)


def _means(
    is_causal: bool = False, heads: int = 4, depth: int = DEPTH, between: bool = True
) -> System:
    """Means weighted by the scores of all pairs of places, a product, and gradients that ask for the weights again."""
    pairs = {"h": heads, "t": LENGTH, "u": LENGTH}
    rows, vectors = {"h": heads, "t": LENGTH}, {"h": heads, "d": depth}
    here, there = ("t", "h", "d"), ("u", "h", "d")
    z, p, g, f = (element(name, "h", "t", "u") for name in "zpgf")
    m, n, r = (element(name, "h", "t") for name in "mnr")
    y, e, o, dq = (element(name, *here) for name in ("y", "e", "o", "dq"))
    v, dk, dv = (element(name, *there) for name in ("v", "dk", "dv"))
    wanted = e if between else element("x", *here)
    score = reduction("sum", element("q", *here) * element("k", *there), d=depth)
    if is_causal:
        score = Call("where", (Call("<=", (Index("u"), Index("t"))), score, -Constant("inf")))
    shifted: Expr = Call("exp", (z - m,))
    mixed = element("y", "t", "i", "j") * element("w", "i", "j", "h", "d")
    return System(
        tensors=(
            *(Tensor(name, (LENGTH, heads, depth), role="input") for name in "qkvx"),
            Tensor("w", (heads, depth, heads, depth), role="input"),
            *(Tensor(name, (heads, LENGTH, LENGTH)) for name in "zpgf"),
            *(Tensor(name, (heads, LENGTH)) for name in "mnr"),
            *(Tensor(name, (LENGTH, heads, depth)) for name in "ye"),
            *(Tensor(name, (LENGTH, heads, depth), role="output") for name in ("o", "dq", "dk", "dv")),
        ),
        equations=(
            equation(z, score, **pairs),
            equation(m, reduction("max", z, u=LENGTH), **rows),
            equation(n, reduction("sum", shifted, u=LENGTH), **rows),
            equation(p, shifted / n, **pairs),
            equation(y, reduction("sum", p * v, u=LENGTH), t=LENGTH, **vectors),
            equation(e, reduction("sum", mixed, i=heads, j=depth), t=LENGTH, **vectors),
            equation(o, e * 2, t=LENGTH, **vectors),
            equation(g, reduction("sum", wanted * v, d=depth), **pairs),
            equation(r, reduction("sum", g * p, u=LENGTH), **rows),
            equation(f, p * (g - r), **pairs),
            equation(dq, reduction("sum", f * element("k", *there), u=LENGTH), t=LENGTH, **vectors),
            equation(dk, reduction("sum", f * element("q", *here), t=LENGTH), u=LENGTH, **vectors),
            equation(dv, reduction("sum", p * wanted, t=LENGTH), u=LENGTH, **vectors),
        ),
    )  # fmt: skip


def _arrays(system: System) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    inputs = (t for t in system.tensors if t.role == "input")
    return {t.name: random.normal(size=t.shape).astype("float32") for t in inputs}


@pytest.mark.parametrize("is_causal", [False, True])
def test_what_waits_is_computed_again_and_never_stored(is_causal: bool) -> None:
    """Of scores, weights and their gradients each thread has a few rows; the bits are those of any other number of
    threads."""
    system = _means(is_causal)
    arrays = _arrays(system)
    plan = stages(system, SETTINGS)[1]("plan")
    assert all(f"{name}: own" in plan for name in ("p", "p.again", "f"))
    assert int(plan.split("arena of ")[1].split()[0]) < 4 * 4 * LENGTH * LENGTH
    alone = compiler.compile(system, Options(cache="off", threads=1))(arrays)
    for name, expected in compiler.evaluate(system, arrays).items():
        np.testing.assert_allclose(alone[name], expected, rtol=2e-5, atol=2e-5, err_msg=name)
    for threads in (2, 3):
        found = compiler.compile(system, Options(cache="off", threads=threads))(arrays)
        assert all(found[name].tobytes() == alone[name].tobytes() for name in alone)


def test_declines_when_it_comes_from_much() -> None:
    """Scores of long vectors are as much to read as to compute; the reason is told."""
    notes: list[Note] = []
    system = _means(depth=LENGTH)
    assert again(system, notes) is system
    assert any("declined" in str(n) for n in notes)


def test_declines_when_nothing_is_waited_for() -> None:
    """Where no product lies between those who ask for the weights, they are near anyway."""
    system = _means(between=False)
    assert again(system) is system


def test_declines_when_rows_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of long rows a block has too few for what they all read."""
    monkeypatch.setattr(stage, "ROWS", 9)
    system = _means()
    assert again(system) is system


def test_declines_when_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cache holds is kept."""
    monkeypatch.setattr(stage, "LARGE", 4 * LENGTH * LENGTH + 1)
    system = _means()
    assert again(system) is system


@pytest.mark.parametrize("seed", range(20))
def test_random_systems(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed again or not: the interpreter finds the same numbers."""
    monkeypatch.setattr(stage, "LARGE", 1)
    monkeypatch.setattr(stage, "LARGER", 0)
    case = random_case(Random(seed), 2000)
    found = compiler.evaluate(again(case.system), case.arrays)
    for name, expected in compiler.evaluate(case.system, case.arrays).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)
