"""Stage distribute: threads share what is worth it, wait where they must, and change no bit."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

import compiler
from compiler import Options, System
from compiler.language.expression import Call, Element, Expr, Index
from compiler.options import Settings
from compiler.pipeline import stages
from compiler.scheduling import distribute

from ..systems import random_case
from .build import element, equation, matrix_product, reduction, tensor

TEAMS = (2, 3, 4, 7)


def _settings() -> Settings:
    return Options(cache="off", threads=1).settle()


def _plan(system: System) -> list[str]:
    return stages(system, _settings())("distribute").splitlines()


def _results(system: System, arrays: dict[str, Any], threads: int) -> dict[str, bytes]:
    executable = compiler.compile(system, Options(cache="off", threads=threads))
    for _ in range(2):
        found = executable(arrays)
    return {name: array.tobytes() for name, array in found.items()}


def _gather(rows: int, length: int, columns: int) -> tuple[System, dict[str, Any]]:
    """``E[t[n], e] += x[n, e]``: adds into rows that the data choose."""
    row = Element("t", (Index("n"),))
    target = Element("E", (row, Index("e")))
    system = System(
        (
            tensor("t", length, dtype="int32"),
            tensor("x", length, columns),
            tensor("E", rows, columns, role="output"),
        ),
        (equation(target, element("x", "n", "e"), add=True, n=length, e=columns),),
    )
    random = np.random.default_rng(3)
    arrays = {
        "t": random.integers(0, rows, length).astype("int32"),
        "x": random.normal(size=(length, columns)).astype("float32"),
    }
    return system, arrays


def _recurrence(batch: int, length: int, units: int) -> System:
    """``h[n, t, k] = tanh(x[n, t, k] + sum[j](h[n, t - 1, j]*U[j, k]))``."""
    before = element("h", "n", Index("t") - 1, "j") * element("U", "j", "k")
    value: Expr = element("x", "n", "t", "k") + reduction("sum", before, j=units)
    return System(
        (
            tensor("x", batch, length, units),
            tensor("U", units, units),
            tensor("h", batch, length, units, role="output"),
        ),
        (
            equation(
                element("h", "n", "t", "k"), Call("tanh", (value,)), n=batch, t=length, k=units
            ),
        ),
    )


def _share_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that may be is shared, two loops together wherever there are two."""
    for limit in ("WORTH", "WORTH_WAKING", "_LITTLE_GAIN"):
        monkeypatch.setattr(distribute, limit, 0.0)


@pytest.mark.parametrize("seed", range(40))
def test_random_systems_do_not_depend_on_threads(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared wherever it is allowed at all, the results are the same to the bit for any number of threads."""
    _share_all(monkeypatch)
    case = random_case(Random(seed))
    alone = _results(case.system, case.arrays, 1)
    for threads in TEAMS:
        assert _results(case.system, case.arrays, threads) == alone


def test_a_product_is_shared() -> None:
    """The tiles of a matrix product are shared, and nobody waits for anybody."""
    (line,) = _plan(matrix_product(512, 256, 512))
    assert line.startswith("kernel_0: ") and int(line.split()[1]) >= 8


@pytest.mark.parametrize("columns", [768, 784])
def test_a_product_with_a_column_left_over_is_shared(columns: int) -> None:
    """Sums that wait keep no group of columns from the others, also not the one that is narrower."""
    assert any("turns" in line for line in _plan(matrix_product(128, 512, columns)))


def test_sums_that_wait_for_loops_inside_a_turn_keep_it_from_no_thread() -> None:
    """``W[i, c, o] = sum[h, w](x[h + i, w, c]*g[h, w, o])`` is shared, and the same for any number of threads."""
    terms = element("x", Index("h") + Index("i"), "w", "c") * element("g", "h", "w", "o")
    system = System(
        (
            tensor("x", 19, 19, 112),
            tensor("g", 17, 19, 100),
            tensor("W", 3, 112, 100, role="output"),
        ),
        (
            equation(
                element("W", "i", "c", "o"), reduction("sum", terms, h=17, w=17), i=3, c=112, o=100
            ),
        ),
    )
    explanation = stages(system, _settings())
    assert "sum.waiting" in explanation("schedule") and "turns" in explanation("distribute")
    random = np.random.default_rng(5)
    shapes = {"x": (19, 19, 112), "g": (17, 19, 100)}
    arrays = {name: random.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    assert _results(system, arrays, 1) == _results(system, arrays, 3)


@pytest.mark.parametrize("rows", [7, 3])
def test_few_turns_are_shared_with_those_of_a_loop_inside(rows: int) -> None:
    """Of seven samples the last is shared too: no thread waits for as long as a sample takes."""
    value = reduction("sum", element("x", "n", "i", "k") * element("w", "n", "k", "o"), k=64)
    system = System(
        (
            tensor("x", rows, 89, 64),
            tensor("w", rows, 64, 100),
            tensor("y", rows, 89, 100, role="output"),
        ),
        (equation(element("y", "n", "i", "o"), value, n=rows, i=89, o=100),),
    )
    (kernel,) = _plan(system)
    assert int(kernel.split()[1]) in (rows * n for n in range(2, 100))
    arrays = {
        name: np.random.default_rng(5).normal(size=shape).astype("float32")
        for name, shape in (("x", (rows, 89, 64)), ("w", (rows, 64, 100)))
    }
    alone = _results(system, arrays, 1)
    expected = np.einsum("nik,nko->nio", arrays["x"], arrays["w"])
    found = np.frombuffer(alone["y"], "float32").reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert all(_results(system, arrays, threads) == alone for threads in TEAMS)


@pytest.mark.parametrize("sizes", [(13, 65), (5, 300), (30, 100)])
def test_a_loop_inside_may_have_a_single_turn(
    sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then each turn of the loop around it is one thread's."""
    _share_all(monkeypatch)
    monkeypatch.setattr(distribute, "PIECE", 100.0)
    rows, columns = sizes
    generator = np.random.default_rng(2)
    arrays = {
        name: generator.normal(size=shape).astype("float32")
        for name, shape in (("A", (rows, 64)), ("B", (64, columns)))
    }
    system = matrix_product(rows, 64, columns)
    alone = _results(system, arrays, 1)
    assert all(_results(system, arrays, threads) == alone for threads in TEAMS)


def test_declines_when_the_work_is_small() -> None:
    """A small program is the same function as without threads."""
    explanation = stages(matrix_product(32, 32, 32), _settings())
    assert not explanation.program().for_team
    assert explanation("distribute") == "kernel_0"
    assert "@wait" not in explanation("emit")


@pytest.mark.parametrize("rows", [1, 4])
def test_a_large_matrix_times_few_vectors_is_shared(rows: int) -> None:
    """The instructions are few, but what they wait for comes from afar."""
    assert any("turns" in line for line in _plan(matrix_product(rows, 1024, 1024)))
    assert not any("turns" in line for line in _plan(matrix_product(rows, 256, 256)))


def test_one_waits_for_what_another_wrote() -> None:
    """Two products of which the second reads the first have one meeting between them."""
    one = reduction("sum", element("A", "i", "k") * element("B", "k", "j"), k=256)
    two = reduction("sum", element("C", "i", "k") * element("B", "k", "j"), k=256)
    other = reduction("sum", element("B", "i", "k") * element("A", "k", "j"), k=256)
    sizes = {"i": 256, "j": 256}
    tensors = (tensor("A", 256, 256), tensor("B", 256, 256), tensor("C", 256, 256, role="output"))
    chained = System(
        (*tensors, tensor("D", 256, 256, role="output")),
        (
            equation(element("C", "i", "j"), one, **sizes),
            equation(element("D", "i", "j"), two, **sizes),
        ),
    )
    assert _plan(chained).count("wait") == 1
    apart = System(
        (*tensors, tensor("D", 256, 256, role="output")),
        (
            equation(element("C", "i", "j"), one, **sizes),
            equation(element("D", "i", "j"), other, **sizes),
        ),
    )
    assert _plan(apart).count("wait") == 0


def test_sums_into_chosen_rows_are_shared_along_the_columns() -> None:
    """Where data choose the rows that are added to, threads take columns; the order of the sums stays."""
    system, arrays = _gather(50, 10_000, 256)
    text = stages(system, _settings())("distribute")
    assert "turns" in text
    alone = _results(system, arrays, 1)
    assert all(_results(system, arrays, threads) == alone for threads in TEAMS)


def test_declines_when_all_may_add_into_one_place() -> None:
    """Rows of one column, chosen by data, are one thread's work."""
    system, _ = _gather(50, 200_000, 1)
    assert "turns" not in stages(system, _settings())("distribute")


def test_a_recurrence_is_shared_within_its_turns() -> None:
    """A turn waits for the one before; results do not depend on the number of threads."""
    system = _recurrence(8, 5, 512)  # too few rows for strands
    lines = _plan(system)
    (head,) = (k for k, line in enumerate(lines) if line.startswith("for t"))
    assert lines[head + 1].strip() == "wait"
    random = np.random.default_rng(4)
    arrays = {
        "x": random.normal(size=(8, 5, 512)).astype("float32"),
        "U": (random.normal(size=(512, 512)) / 24).astype("float32"),
    }
    alone = _results(system, arrays, 1)
    assert all(_results(system, arrays, threads) == alone for threads in TEAMS)


def test_a_turn_of_one_row_is_shared_if_it_reads_much() -> None:
    """Each of its multiply-adds has a weight of its own, which takes longer to come than to be used."""
    assert any("turns" in line for line in _plan(_recurrence(1, 50, 256)))
    assert not any("turns" in line for line in _plan(_recurrence(1, 50, 64)))


def test_a_short_recurrence_is_one_threads() -> None:
    """Turns that are over at once are not shared: nobody waits in them."""
    assert "wait" not in "\n".join(_plan(_recurrence(2, 50, 4)))


def test_code_does_not_depend_on_threads() -> None:
    """The same objects for any number of threads."""
    system = matrix_product(256, 256, 256)
    objects = [
        stages(system, Options(cache="off", threads=n).settle()).program().objects
        for n in (1, 2, 7)
    ]
    assert objects[0] == objects[1] == objects[2]
