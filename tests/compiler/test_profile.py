"""Profiles: what kernels have to do is counted right, and taking their times changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import compiler
from compiler import Options
from compiler.language.expression import Call
from compiler.language.system import System
from compiler.machine.profile import Profile
from compiler.pipeline import stages
from compiler.scheduling.cost import operations, traffic

from .build import element, equation, matrix_product, reduction, tensor


def _training(size: int) -> System:
    """``w`` takes the value of ``exp(w)*sum(x*w)`` at every step."""
    total = reduction("sum", element("x", "i", "k") * element("w", "k", "j"), k=size)
    return System(
        (
            tensor("x", size, size),
            tensor("w", size, size, role="parameter"),
            tensor("v", size, size, role="local"),
        ),
        (
            equation(
                element("v", "i", "j"),
                Call("tanh", (element("w", "i", "j"),)) * total,
                i=size,
                j=size,
            ),
        ),
        (("w", "v"),),
    )


def _profile(system: System, threads: int) -> Profile:
    return compiler.compile(system, Options(cache="off", threads=threads)).profile(steps=3)


@pytest.mark.parametrize(
    "sizes", [(64, 64, 64), (100, 37, 3), (512, 700, 96), (1, 5000, 1), (512, 512, 512)]
)
def test_a_product_is_two_operations_a_term(sizes: tuple[int, int, int]) -> None:
    """Operations are counted in elements, however the loops are cut."""
    rows, inner, columns = sizes
    settings = Options(cache="off").settle()
    timed = stages(matrix_product(*sizes), settings).timed()
    assert sum(map(operations, timed.kernels)) == pytest.approx(
        2 * rows * inner * columns, rel=0.01
    )
    (kernel,) = timed.kernels
    bytes_ = {"A": (rows * inner, 4), "B": (inner * columns, 4), "C": (rows * columns, 4)}
    assert traffic(kernel, bytes_) == 4 * sum(count for count, _ in bytes_.values())


@pytest.mark.parametrize("threads", [1, 3])
def test_every_kernel_has_its_row(threads: int) -> None:
    """Each kernel is called once a step, takes some time, and stands in the table."""
    profile = _profile(_training(200), threads)
    assert [row.calls for row in profile.rows] == [1.0] * len(profile.rows)
    assert all(row.microseconds > 0 for row in profile.rows)
    assert all(row.kernel in str(profile) for row in profile.rows)
    assert f"on {threads} threads" in str(profile)


def test_a_profile_changes_nothing() -> None:
    """Buffers and states are after a profile what they were before."""
    executable = compiler.compile(_training(150), Options(cache="off", threads=2))
    random = np.random.default_rng(6)
    for name in "xw":
        executable.buffer(name)[:] = random.normal(size=(150, 150)) / 20
    before = [executable.buffer(name).copy() for name in "xw"]
    executable.profile()
    for name, array in zip("xw", before, strict=True):
        np.testing.assert_array_equal(executable.buffer(name), array)


def test_debug_shows_the_kernels_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With GRAPHNN_DEBUG=1 the first step is followed by the table; later steps by nothing."""
    executable = compiler.compile(matrix_product(64, 64, 64), Options(cache=tmp_path, debug=1))
    assert capsys.readouterr().err == ""
    executable.step()
    assert "GFLOP/s" in capsys.readouterr().err
    executable.step()
    assert capsys.readouterr().err == ""


def test_a_program_from_the_cache_can_be_profiled(tmp_path: Path) -> None:
    """What was not compiled in this process is compiled for its profile."""
    for _ in range(2):
        executable = compiler.compile(matrix_product(32, 32, 32), Options(cache=tmp_path))
    assert len(executable.profile().rows) == 1
