"""Stage inside: what only the turns of a recurrence need is computed by them, if it is large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import compiler
from compiler import Options, System
from compiler.language.expression import Call, Expr, Index
from compiler.pipeline import stages
from compiler.scheduling import inside

from .build import element, equation, reduction, tensor


def _cell(rows: int, terms: int, lag: int = 0, length: int = 5, units: int = 24) -> System:
    """``z = sum[i](x*W)``, ``h = tanh(z[n, t - lag, k] + sum[j](h[n, t - 1, j]*U[j, k]))``."""
    own = reduction("sum", element("x", "n", "t", "i") * element("W", "i", "k"), i=terms)
    before = element("h", "n", Index("t") - 1, "j") * element("U", "j", "k")
    total: Expr = element("z", "n", Index("t") - lag, "k") + reduction("sum", before, j=units)
    sizes = {"n": rows, "t": length, "k": units}
    return System(
        (
            tensor("x", rows, length, terms),
            tensor("W", terms, units),
            tensor("U", units, units),
            tensor("z", rows, length, units, role="local"),
            tensor("h", rows, length, units, role="output"),
        ),
        (
            equation(element("z", "n", "t", "k"), own, **sizes),
            equation(element("h", "n", "t", "k"), Call("tanh", (total,)), **sizes),
        ),
    )


def _read_later() -> System:
    """Another equation reads the result of all turns."""
    cell = _cell(32, 7)
    last = equation(element("y", "n"), element("z", "n", 4, 0), n=32)
    return System((*cell.tensors, tensor("y", 32, role="output")), (*cell.equations, last))


def _asked_for() -> System:
    """The caller asks for it."""
    cell = _cell(32, 7)
    tensors = (replace(t, role="output") if t.name == "z" else t for t in cell.tensors)
    return System(tuple(tensors), cell.equations)


def _added_to() -> System:
    """Another equation adds to it before the loop."""
    cell = _cell(32, 7)
    more = equation(element("z", "n", 1, "k"), element("v", "n", "k"), add=True, n=32, k=24)
    return System((*cell.tensors, tensor("v", 32, 24)), (*cell.equations, more))


def _called_alike() -> System:
    """One of its indices has the name that the loop will have."""
    cell = _cell(32, 7)
    own = reduction("sum", element("x", "n", "t", "i") * element("W", "i", "t2"), i=7)
    first = equation(element("z", "n", "t", "t2"), own, n=32, t=5, t2=24)
    return System(cell.tensors, (first, cell.equations[1]))


def _of_numbers() -> System:
    """A turn has no rows at all, but one number."""
    own = reduction("sum", element("x", "t", "i") * element("W", "i"), i=2)
    total = element("h", Index("t") - 1) / 2 + element("z", "t")
    return System(
        (
            tensor("x", 5, 2),
            tensor("W", 2),
            tensor("z", 5, role="local"),
            tensor("h", 5, role="output"),
        ),
        (equation(element("z", "t"), own, t=5), equation(element("h", "t"), total, t=5)),
    )


def _text(system: System, stage: str) -> str:
    return stages(system, Options(cache="off", threads=1).settle())(stage)


def _assert_values(system: System) -> None:
    """Compiled is interpreted, for weights that no rounding error grows by."""
    random = np.random.default_rng(0)
    arrays = {
        t.name: (random.normal(size=t.shape) / t.shape[0] ** 0.5).astype("float32")
        for t in system.tensors
        if t.role == "input"
    }
    expected = compiler.evaluate(system, arrays)
    for name, found in compiler.compile(system, Options(cache="off"))(arrays).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.fixture
def _every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "LARGE", 0)


@pytest.mark.usefixtures("_every_size")
@pytest.mark.parametrize("rows", [16, 37, 64])
def test_each_turn_computes_its_own(rows: int) -> None:
    """It stands first in the loop, its results lie in one place for all turns, and the values are the same."""
    system = _cell(rows, 7)
    lines = _text(system, "inside").splitlines()
    assert lines[0] == "# z: in each of 5 turns"
    assert lines[lines.index("for t2 in range(5):") + 1].startswith("    z[")
    stores = [line for line in _text(system, "lower").splitlines() if line.strip().startswith("z[")]
    assert stores and not any("t2" in line for line in stores)
    _assert_values(system)


@pytest.mark.usefixtures("_every_size")
def test_other_weights_may_come_from_afar() -> None:
    """Where a recurrence's own weights are large, those before it may be as many as the results of a turn."""
    system = _cell(20, 20, length=3, units=520)
    assert "# z: in each of 3 turns" in _text(system, "inside")
    assert "strands:" not in _text(system, "strands")
    _assert_values(system)


@pytest.mark.usefixtures("_every_size")
@pytest.mark.parametrize(
    ("system", "reason"),
    [
        (_cell(32, 25), "its sums are longer than its rows"),
        (_cell(8, 7), "rows are few"),
        (_cell(16, 20, length=3, units=520), "its weights would come from afar"),
        (_cell(32, 7, lag=1), ""),
        (_read_later(), ""),
        (_asked_for(), ""),
        (_added_to(), ""),
        (_called_alike(), ""),
        (_of_numbers(), "its sums are longer than its rows"),
    ],
    ids=[
        "long sums",
        "few rows",
        "weights",
        "another turn",
        "read later",
        "asked for",
        "added to",
        "alike",
        "numbers",
    ],
)
def test_inside_declines(system: System, reason: str) -> None:
    """Where all turns at once are faster, or where others need the result, too."""
    text = _text(system, "inside")
    assert "\nz[" in f"\n{text}" and "    z[" not in text
    assert reason in text
    _assert_values(system)


def test_inside_declines_what_caches_keep() -> None:
    """The limit is one of elements: a little more of it, and each turn computes its own."""
    least = inside.LARGE // (32 * 24)
    assert "declined: caches keep all of it" in _text(_cell(32, 7, length=least), "inside")
    assert f"in each of {least + 1} turns" in _text(_cell(32, 7, length=least + 1), "inside")
