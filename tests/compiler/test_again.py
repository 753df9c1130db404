"""Stage again: what is large and waits is computed again, block by block, and is the same."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

import compiler
from compiler import Options, System, Tensor, caches
from compiler.language.expression import Call, Constant, Expr, Index, expr
from compiler.language.notes import Note
from compiler.language.system import Equation, reads
from compiler.pipeline import stages
from compiler.rewriting import again as stage
from compiler.rewriting.again import again
from compiler.scheduling import cuts, group, groups, reach

from .build import element, equation, reduction

LENGTH, DEPTH = 48, 3
SETTINGS = Options(cache="off", threads=1).settle()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever may be computed again is, and goes in blocks."""
    monkeypatch.setattr(caches, "FAR", 4 * LENGTH * LENGTH)
    monkeypatch.setattr(stage, "PIECE", 8 * LENGTH)
    monkeypatch.setattr(stage, "ROWS", 8)
    monkeypatch.setattr(groups, "HANDED", 0)
    for module in (cuts, groups):
        monkeypatch.setattr(module, "LARGE", 0)
    for name in ("OFTEN", "OFTEN_LARGE", "SMALL"):
        monkeypatch.setattr(group, name, 0)
    monkeypatch.setattr(group, "ASIDE", 16)
    for module in (stage, cuts):
        monkeypatch.setattr(module, "HEIGHT", 4)
    for module in (stage, cuts, group):
        monkeypatch.setattr(module, "LINE", 8)
    monkeypatch.setattr(reach, "LINE", 4)
    monkeypatch.setattr(reach, "STEP", 4)


def _means(
    is_causal: bool = False,
    heads: int = 4,
    depth: int = DEPTH,
    between: bool = True,
    is_whole: bool = False,
    length: int = LENGTH,
    band: int = 0,
) -> System:
    """Means weighted by the scores of all pairs of places, a product, and gradients that ask for the weights again.

    ``is_whole``: these ask for a sum over whole rows that nobody else has; ``band``: only so many places before count.
    """
    pairs = {"h": heads, "t": length, "u": length}
    rows, vectors = {"h": heads, "t": length}, {"h": heads, "d": depth}
    here, there = ("t", "h", "d"), ("u", "h", "d")
    z, p, g, f = (element(name, "h", "t", "u") for name in "zpgf")
    m, n, r = (element(name, "h", "t") for name in "mnr")
    y, e, o, dq = (element(name, *here) for name in ("y", "e", "o", "dq"))
    v, dk, dv = (element(name, *there) for name in ("v", "dk", "dv"))
    wanted = e if between else element("x", *here)
    score = reduction("sum", element("q", *here) * element("k", *there), d=depth)
    before, none = Call("<=", (Index("u"), Index("t"))), -Constant("inf")
    if is_causal:
        score = Call("where", (before, score, none))
    if band:
        score = Call("where", (Call("<", (Index("t"), Index("u") + band)), score, none))
    shifted: Expr = Call("exp", (z - m,))
    weight, slope = shifted / n, p * (g - r)
    if is_causal:  # then gradients ask for the scores by themselves, too
        weight = Call("where", (Call("==", (z, none)), expr(0), weight))
        slope = Call("where", (before, p * g - shifted * r / n, expr(0)))
    mixed = element("y", "t", "i", "j") * element("w", "i", "j", "h", "d")
    return System(
        tensors=(
            *(Tensor(name, (length, heads, depth), role="input") for name in "qkvx"),
            Tensor("w", (heads, depth, heads, depth), role="input"),
            *(Tensor(name, (heads, length, length)) for name in "zpgf"),
            *(Tensor(name, (heads, length)) for name in "mnr"),
            *(Tensor(name, (length, heads, depth)) for name in "ye"),
            *(Tensor(name, (length, heads, depth), role="output") for name in ("o", "dq", "dk", "dv")),
        ),
        equations=(
            equation(z, score, **pairs),
            equation(m, reduction("max", z, u=length), **rows),
            equation(n, reduction("sum", shifted, u=length), **rows),
            equation(p, weight, **pairs),
            equation(y, reduction("sum", p * v, u=length), t=length, **vectors),
            equation(e, reduction("sum", mixed, i=heads, j=depth), t=length, **vectors),
            equation(o, e * 2, t=length, **vectors),
            equation(g, reduction("sum", wanted * v, d=depth), **pairs),
            equation(r, reduction("sum", g * p * p if is_whole else g * p, u=length), **rows),
            equation(f, slope, **pairs),
            equation(dq, reduction("sum", f * element("k", *there), u=length), t=length, **vectors),
            equation(dk, reduction("sum", f * element("q", *here), t=length), u=length, **vectors),
            equation(dv, reduction("sum", p * wanted, t=length), u=length, **vectors),
        ),
    )  # fmt: skip


def _arrays(system: System) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    inputs = (t for t in system.tensors if t.role == "input")
    return {t.name: random.normal(size=t.shape).astype("float32") for t in inputs}


@pytest.mark.parametrize(
    ("is_causal", "is_whole"), [(False, False), (True, False), (False, True), (True, True)]
)
def test_what_waits_is_computed_again_and_never_stored(is_causal: bool, is_whole: bool) -> None:
    """Of scores, weights and their gradients each thread has a few rows, and results are the same."""
    system = _means(is_causal, is_whole=is_whole)
    plan = stages(system, SETTINGS)("plan")
    assert all(f"{name}: own" in plan for name in ("z", "p", "p.again", "f"))
    assert _arena(plan) < 4 * 4 * LENGTH * LENGTH
    _agree(system)


def _arena(plan: str) -> int:
    """Bytes."""
    return int(plan.split("arena of ")[1].split()[0])


def test_rows_are_as_long_as_what_is_left_of_them() -> None:
    """Of a band, rows begin and end where comparisons say, and all is as it was."""
    system = _means(is_causal=True, length=2 * LENGTH, band=20)
    notes = [n for n in stages(system, SETTINGS).notes if n.stage == "reach"]
    assert next(n.equation for n in notes if "declined" not in n.message) == "z"
    _agree(system)


def _agree(system: System) -> None:
    """As the interpreter says, and the same bits for any number of threads."""
    arrays = _arrays(system)
    alone = compiler.compile(system, Options(cache="off", threads=1))(arrays)
    for name, expected in compiler.evaluate(system, arrays).items():
        np.testing.assert_allclose(alone[name], expected, rtol=2e-5, atol=2e-5, err_msg=name)
    for threads in (2, 3):
        found = compiler.compile(system, Options(cache="off", threads=threads))(arrays)
        assert all(found[name].tobytes() == alone[name].tobytes() for name in alone)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near is so little that later blocks have a part of some rows."""
    monkeypatch.setattr(group, "NEAR", 4000)
    monkeypatch.setattr(group, "NEAR_LARGE", 4000)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.usefixtures("narrow")
def test_rows_are_cut_where_nobody_waits_for_them(is_causal: bool) -> None:
    """Blocks of rows and columns follow one another, sums go along with both, and all is as it was.

    Blocks that are masked throughout are passed over.
    """
    system = _means(is_causal, length=4 * LENGTH)
    lines = stages(system, SETTINGS)("idle").splitlines()
    assert sum(line.startswith(" " * 20 + "for block") for line in lines) == 1
    assert any(line.strip().startswith("if ") for line in lines) == is_causal
    _agree(system)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.usefixtures("narrow")
def test_memory_grows_with_the_number_of_places_not_of_pairs(is_causal: bool) -> None:
    """However many there are, a step keeps less than ten vectors for each, and never a row."""
    for length in (2 * LENGTH, 4 * LENGTH):
        plan = stages(_means(is_causal, length=length), SETTINGS)("plan")
        assert _arena(plan) < 10 * length * 4 * DEPTH * 4


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
    monkeypatch.setattr(caches, "FAR", 4 * LENGTH * LENGTH + 1)
    system = _means()
    assert again(system) is system


def _chain(random: Random, steps: int = 9) -> System:
    """Pairs of places, rows and vectors, each made of some of those before by a product or place by place."""
    shapes = {"pair": (16, 16), "row": (16,), "vector": (16, 2)}
    indices = {"pair": ("t", "u"), "row": ("t",), "vector": ("t", "d")}
    made = {kind: [f"{kind}{k}" for k in range(2)] for kind in ("row", "vector")} | {"pair": []}
    equations: list[Equation] = []

    def one(kind: str, *at: str) -> Expr:
        return element(random.choice(made[kind]), *(at or indices[kind]))

    values: dict[str, list[Callable[[], Expr]]] = {
        "pair": [
            lambda: reduction("sum", one("vector") * one("vector", "u", "d"), d=2),
            lambda: one("pair") * one("pair") + one("row"),
            lambda: Call("tanh", (one("pair") - one("row"),)),
        ],
        "row": [lambda: reduction("max", one("pair"), u=16)],
        "vector": [
            lambda: reduction("sum", one("pair") * one("vector", "u", "d"), u=16),
            lambda: reduction("sum", one("pair", "u", "t") * one("vector", "u", "d"), u=16),
        ],
    }
    for _ in range(steps):
        kind = random.choice([*values, "vector"]) if made["pair"] else "pair"
        value = random.choice(values[kind]) if made["pair"] else values["pair"][0]
        name = f"{kind}{len(equations) + 2}"
        sizes = dict(zip(indices[kind], shapes[kind], strict=True))
        equations.append(equation(element(name, *indices[kind]), value(), **sizes))
        made[kind].append(name)
    read = {e.tensor for own in equations for e in reads(own)}
    targets = {own.target for own in equations}
    roles = {n: "input" if n not in targets else "local" if n in read else "output"
             for names in made.values() for n in names}  # fmt: skip
    tensors = (
        Tensor(n, shapes[kind], role=roles[n]) for kind, names in made.items() for n in names
    )
    return System(tuple(tensors), tuple(equations))


def test_random_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed again, in pieces or not: the interpreter finds the same numbers."""
    monkeypatch.setattr(caches, "FAR", 256)
    for name, value in {"LARGER": 1, "PIECE": 64, "ROWS": 1}.items():
        monkeypatch.setattr(stage, name, value)
    changed = cut = 0
    for seed in range(400):
        system = _chain(Random(seed))
        other = again(system)
        if other is system:
            continue
        changed, cut = changed + 1, cut + any(e.accumulate for e in other.equations)
        arrays = _arrays(system)
        found = compiler.evaluate(other, arrays)
        for name, expected in compiler.evaluate(system, arrays).items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4, err_msg=name)
    assert changed > 20 and cut > 5
