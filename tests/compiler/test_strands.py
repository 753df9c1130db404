"""Stage strands: rows of a recurrence that do not touch are done in blocks, by whichever thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import compiler
from compiler import Options, System
from compiler.language.expression import Call, Expr, Index
from compiler.options import Settings
from compiler.pipeline import stages

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor


def _settings() -> Settings:
    return Options(cache="off", threads=1).settle()


def _cell(rows: int, length: int, units: int, neighbour: int = 0) -> System:
    """``a = x + sum[k](h[n, t - 1, k]*U[k, u])``, ``h = tanh(a[.., u])*a[.., u + units]``."""
    before = element("h", Index("n") - neighbour, Index("t") - 1, "k") * element("U", "k", "j")
    total: Expr = element("x", "n", "t", "j") + reduction("sum", before, k=units)
    gate = Call("tanh", (element("a", "n", "t", "u"),))
    return System(
        (
            tensor("x", rows, length, 2 * units),
            tensor("U", units, 2 * units),
            tensor("a", rows, length, 2 * units, role="local"),
            tensor("h", rows, length, units, role="output"),
        ),
        (
            equation(element("a", "n", "t", "j"), total, n=rows, t=length, j=2 * units),
            equation(
                element("h", "n", "t", "u"),
                gate * element("a", "n", "t", Index("u") + units),
                n=rows,
                t=length,
                u=units,
            ),
        ),
    )


def _text(system: System, stage: str) -> str:
    return stages(system, _settings())(stage)


@pytest.mark.parametrize("rows", [16, 17, 32, 37, 64])
def test_strands_are_the_recurrence(rows: int) -> None:
    """The same values, whether the strands are equally long or not."""
    system = _cell(rows, 3, 5)
    assert "strands:" in _text(system, "strands")
    assert_compiled_is_interpreted(system)


def test_strands_differ_by_a_row() -> None:
    """Where their number does not divide the rows, the first strands have one more."""
    text = _text(_cell(38, 3, 5), "strands")
    assert "strand in range(0, 2)" in text and "strand*10 + n, t" in text
    assert "strand in range(2, 4)" in text and "strand*9 + 2 + n, t" in text


def test_threads_do_not_wait_within_strands() -> None:
    """There is no meeting in the loop, and no number of threads changes a bit."""
    system = _cell(37, 40, 64)
    lines = _text(system, "distribute").splitlines()
    assert lines[0] == "4 strands:"
    assert not any("wait" in line for line in lines if line.startswith(" "))
    random = np.random.default_rng(1)
    arrays = {
        "x": random.normal(size=(37, 40, 128)).astype("float32"),
        "U": (random.normal(size=(64, 128)) / 12).astype("float32"),
    }

    def results(threads: int) -> dict[str, Any]:
        run = compiler.compile(system, Options(cache="off", threads=threads))
        return {name: array.tobytes() for name, array in run(arrays).items()}

    alone = results(1)
    assert all(results(threads) == alone for threads in (2, 3, 4, 7))


def test_one_thread_does_what_is_not_worth_waking_others() -> None:
    """A state beside small strands is replaced once, not once by every thread."""
    cell = _cell(32, 3, 5)
    system = System(
        (*cell.tensors, tensor("c", 4, role="parameter"), tensor("more", 4, role="local")),
        (*cell.equations, equation(element("more", "i"), element("c", "i") + 1, i=4)),
        (("c", "more"),),
    )
    assert "strands:" in _text(system, "strands")
    run = compiler.compile(system, Options(cache="off", threads=3))
    arrays = {t.name: np.ones(t.shape, "float32") for t in system.tensors if t.role == "input"}
    for _ in range(20):
        assert (run({**arrays, "c": np.zeros(4, "float32")})["c"] == 1).all()


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        (_cell(32, 3, 5, neighbour=1), ""),
        (_cell(8, 3, 5), "its rows are few"),
        (_cell(32, 3, 512), "all rows read the same"),
    ],
    ids=["a row reads another", "few", "large"],
)
def test_strands_declines(system: System, reason: str) -> None:
    """Where rows touch, are few, or share so much that each strand would read it anew."""
    text = _text(system, "strands")
    assert "strands:" not in text
    assert reason in text
