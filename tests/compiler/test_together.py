"""Stage together: what kernels hand on stays in the cache, block by block."""

from __future__ import annotations

import numpy as np
import pytest

import compiler
from compiler import Options, System
from compiler.language.expression import Call, Expr, Index
from compiler.options import Settings
from compiler.pipeline import stages
from compiler.scheduling.together import BLOCKS

from .build import assert_compiled_is_interpreted, element, equation, reduction, tensor

ROWS = 24
COLUMNS = 480
BATCH = 2 * BLOCKS.far // (ROWS * COLUMNS)


def _settings() -> Settings:
    return Options(cache="off", threads=1).settle()


def _chain(
    batch: int = BATCH, rows: int = ROWS, role: str = "local", back: int = 0, inner: int = 8
) -> System:
    """``z[n, t, o] = exp(sum[i](x[n, t, i]*w[i, o])/9)``, ``y[n, t] = sum[o](z[n, t, o]*v[o]) + z[n - back, t, 0]``."""
    product = reduction("sum", element("x", "n", "t", "i") * element("w", "i", "o"), i=inner)
    total: Expr = reduction("max", element("z", Index("n") - back, "t", "j"), j=COLUMNS)
    return System(
        (
            tensor("x", batch, rows, inner),
            tensor("w", inner, COLUMNS),
            tensor("z", batch, rows, COLUMNS, role=role),
            tensor("y", batch, rows, role="output"),
        ),
        (
            equation(
                element("z", "n", "t", "o"), Call("exp", (product / 9,)), n=batch, t=rows, o=COLUMNS
            ),
            equation(element("y", "n", "t"), total, n=batch, t=rows),
        ),
    )


def _text(system: System, stage: str) -> str:
    return stages(system, _settings())(stage)


def test_together_kernels_are_the_kernels() -> None:
    """The same values; what is handed on has no place in the arena, only a panel for one block."""
    system = _chain()
    assert f"together for n:{BATCH}:" in _text(system, "together")
    assert f"z = float[{ROWS * COLUMNS}]" in _text(system, "schedule")
    assert "z:" not in _text(system, "plan")
    assert_compiled_is_interpreted(system)


def test_together_is_shared() -> None:
    """Threads share the blocks; no number of them changes a bit."""
    system = _chain()
    assert f"{BATCH} turns" in _text(system, "distribute")
    random = np.random.default_rng(5)
    arrays = {
        t.name: random.normal(size=t.shape).astype("float32")
        for t in system.tensors
        if t.role == "input"
    }
    one, two, three = (
        compiler.compile(system, Options(cache="off", threads=n))(arrays)["y"] for n in (1, 2, 3)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize(
    "system",
    [
        _chain(batch=4),
        _chain(batch=2, rows=2 * BLOCKS.near // COLUMNS),
        _chain(batch=2 * BLOCKS.far // COLUMNS, rows=1),
        _chain(role="output"),
        _chain(back=1),
        _chain(inner=16 * COLUMNS),
    ],
    ids=["small", "large blocks", "few rows", "seen by the caller", "another row", "little"],
)
def test_together_declines_when(system: System) -> None:
    """What is small, what would not stay near, what has few rows, what is needed elsewhere or lies elsewhere;
    and what is little beside that which it comes from."""
    assert "together" not in _text(system, "together")


def test_together_goes_by_what_is_read_beside() -> None:
    """A little less of it, and blocks are worth it."""
    assert "together for n" in _text(_chain(inner=15 * COLUMNS), "together")


@pytest.mark.parametrize("batch", [BATCH - 5, BATCH + 3])
def test_together_declines_when_fewer_or_more_are_read(batch: int) -> None:
    """A kernel for some of the samples, or for more, does not run along with one for all."""
    system = _chain()
    first, second = system.equations
    cut = equation(element("y", "n", "t"), second.value, n=batch, t=ROWS)
    tensors = (*system.tensors[:3], tensor("y", batch, ROWS, role="output"))
    assert "together for n" not in _text(System(tensors, (first, cut)), "together")
