"""Stages emit and lanes: the machine code is what the loops say."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import compiler
from compiler.language.expression import Call, Index, expr
from compiler.language.system import System
from compiler.options import Options
from compiler.pipeline import stages
from compiler.target import NAMES, named

from .build import (
    assert_compiled_is_interpreted,
    element,
    equation,
    matrix_product,
    reduction,
    tensor,
)

ROOT = Path(__file__).parent.parent.parent


def _stage(system: System, stage: str, target: str = "x86-64-v4") -> str:
    settings = Options(target=named(target), cache="off", threads=1).settle()
    return stages(system, settings)(stage)


def _hottest(assembly: str) -> str:
    """The loop with most multiply-adds."""
    loops = [block.split("\n\tj", 1)[0] for block in re.split(r"\n(?=\.LBB)", assembly)]
    return max(loops, key=lambda loop: loop.count("vfmadd"))


@pytest.mark.parametrize("size", [64, 100, 512])
def test_matrix_product_spills_nothing(size: int) -> None:
    """All accumulators of the innermost loop stay in registers, and it does little but multiply and add."""
    hot = _hottest(_stage(matrix_product(size, size, size), "assembly"))
    multiplies = hot.count("vfmadd")
    assert multiplies >= 8
    assert "(%rsp)" not in hot
    assert len(hot.splitlines()) < 2 * multiplies + 10


def _window(stride: int = 1) -> System:
    """``y[n, w, o] = sum[j, c](x[n, stride*w + j, c]*K[j, c, o])``."""
    product = element("x", "n", Index("w") * stride + Index("j"), "c") * element("K", "j", "c", "o")
    value = reduction("sum", product, j=3, c=48)
    return System(
        (
            tensor("x", 4, 28 * stride + 2, 48),
            tensor("K", 3, 48, 64),
            tensor("y", 4, 28, 64, role="output"),
        ),
        (equation(element("y", "n", "w", "o"), value, n=4, w=28, o=64),),
    )


def _window_gradient() -> System:
    """``K[j, c, o] = sum[n, w](x[n, w + j, c]*g[n, w, o])``."""
    product = element("x", "n", Index("w") + Index("j"), "c") * element("g", "n", "w", "o")
    value = reduction("sum", product, n=4, w=28)
    return System(
        (
            tensor("x", 4, 30, 48),
            tensor("g", 4, 28, 64),
            tensor("K", 3, 48, 64, role="output"),
        ),
        (equation(element("K", "j", "c", "o"), value, j=3, c=48, o=64),),
    )


def _recurrence() -> System:
    """``h[n, t, u] = tanh(x[n, t, u] + sum[k](h[n, t - 1, k]*U[k, u]))``."""
    before = element("h", "n", Index("t") - 1, "k") * element("U", "k", "u")
    value = Call("tanh", (element("x", "n", "t", "u") + reduction("sum", before, k=96),))
    return System(
        (
            tensor("x", 32, 10, 96),
            tensor("U", 96, 96),
            tensor("h", 32, 10, 96, role="output"),
        ),
        (equation(element("h", "n", "t", "u"), value, n=32, t=10, u=96),),
    )


@pytest.mark.parametrize(
    "system",
    [_window(), _window(2), _window_gradient(), _recurrence()],
    ids=["window", "strides", "gradient", "recurrence"],
)
def test_contractions_spill_nothing(system: System) -> None:
    """Nor does any other loop of multiply-adds: of windows, their gradients, recurrences."""
    assembly = _stage(system, "assembly")
    loops = [block.split("\n\tj", 1)[0] for block in re.split(r"\n(?=\.LBB)", assembly)]
    hot = [loop for loop in loops if loop.count("vfmadd231ps\t") >= 8 and "(%rsp)" in loop]
    assert _hottest(assembly).count("vfmadd") >= 8
    assert hot == []


def test_operands_of_products_have_one_register() -> None:
    """With a single vector of columns, rows are operands in memory: none is at the sum of two registers."""
    hot = _hottest(_stage(matrix_product(64, 32, 16), "assembly"))
    products = [line for line in hot.splitlines() if "vfmadd" in line]
    assert any("(%r" in line for line in products)
    assert not any(re.search(r"\(%\w+,", line) for line in products)


def _cell() -> System:
    """``h = sum[k](x[n, k]*U[k, u])`` and several products of it with the same three numbers."""
    h, o, m, f = (element(name, "n", "u") for name in "homf")
    values = {"a": h * o * m, "b": h * m * (1 - o), "c": h * o * (1 - f), "d": h * f * (1 - m)}
    total = reduction("sum", element("x", "n", "k") * element("U", "k", "u"), k=96)
    return System(
        (
            *(tensor(name, 32, 96) for name in "xomf"),
            tensor("U", 96, 96),
            tensor("h", 32, 96, role="local"),
            *(tensor(name, 32, 96, role="output") for name in values),
        ),
        (
            equation(h, total, n=32, u=96),
            *(equation(element(k, "n", "u"), v, n=32, u=96) for k, v in values.items()),
        ),
    )


def test_what_follows_a_sum_spills_little() -> None:
    """Some of its lanes are finished before the next ones begin: what these read need not wait in memory."""
    lines = _stage(_cell(), "assembly").splitlines()
    spilled = [line for line in lines if "zmm" in line and "(%rsp)" in line]
    assert len(spilled) < 24  # lanes; each has seven numbers in use at once
    assert_compiled_is_interpreted(_cell())


def test_only_the_last_vectors_of_a_sum_are_masked() -> None:
    """A sum of 1000 exponentials, no multiple of its vectors, compares no place with the end."""
    value = reduction("sum", Call("exp", (element("x", "n", "j"),)), j=1000)
    system = System(
        (tensor("x", 64, 1000), tensor("y", 64, role="output")),
        (equation(element("y", "n"), value, n=64),),
    )
    assert not re.search(r"icmp \w+ <\d+ x i32>", _stage(system, "emit"))


def _turned(columns: int, rows: int = 96) -> System:
    """``y[n, o] = sum[k](x[n, k]*W[o, k])``, for which W is turned before."""
    value = reduction("sum", element("x", "n", "k") * element("W", "o", "k"), k=1024)
    return System(
        (
            tensor("x", rows, 1024),
            tensor("W", columns, 1024),
            tensor("y", rows, columns, role="output"),
        ),
        (equation(element("y", "n", "o"), value, n=rows, o=columns),),
    )


@pytest.mark.parametrize(
    ("columns", "target", "is_past"),
    [(2048, "x86-64-v4", True), (1024, "x86-64-v4", False), (2048, "x86-64-v3", False)],
)
def test_what_no_cache_keeps_goes_past_them(columns: int, target: str, is_past: bool) -> None:
    """Lines of a large copy are written only, and all are there when the kernel is done; of a small one they stay."""
    text = _stage(_turned(columns), "emit", target)
    assert text.count("sfence()") == 2 * is_past
    assert ("!nontemporal" in text) == is_past


def test_what_goes_past_the_caches_is_right() -> None:
    """A copy of 8 MB, and the product that reads it, on several threads."""
    generator = np.random.default_rng(0)
    x, w = (generator.standard_normal((n, 1024), "float32") for n in (96, 2048))
    step = compiler.compile(_turned(2048), Options(cache="off", threads=3))
    np.testing.assert_allclose(step({"x": x, "W": w})["y"], x @ w.T, rtol=1e-3, atol=1e-3)


def test_lines_far_apart_are_asked_for_ahead() -> None:
    """A sum down a column reads another line in every turn, asked for some turns before; one along rows does not."""
    assert "prefetch" in _hottest(_stage(_window_gradient(), "assembly"))
    assert "prefetch" not in _hottest(_stage(matrix_product(64, 64, 64), "assembly"))


@pytest.mark.parametrize(("terms", "is_asked"), [(64, True), (8, False)])
def test_what_a_sum_is_added_to_is_asked_for_before(terms: int, is_asked: bool) -> None:
    """What is touched when a sum is done comes near while it runs, if it runs long enough."""
    total = reduction("sum", element("A", "i", "k") * element("B", "k", "j"), k=terms)
    system = System(
        (
            tensor("A", 64, terms),
            tensor("B", terms, 64),
            tensor("r", 64, 64),
            tensor("C", 64, 64, role="output"),
        ),
        (equation(element("C", "i", "j"), total + element("r", "i", "j"), i=64, j=64),),
    )
    assembly = _stage(system, "assembly")
    assert ("prefetch" in assembly) == is_asked
    assert "prefetch" not in _hottest(assembly)


def test_rows_are_asked_for_one_in_each_part_of_a_sum() -> None:
    """Many at once would hold up what the sum itself reads; of a sum that leaves no equal parts all come before it."""
    parts, whole = (matrix_product(64, terms, 64) for terms in (64, 61))
    rows, vectors = 8, 2
    assert f"{rows} rows" in _stage(parts, "schedule")
    assert f"{vectors} rows of" in _stage(parts, "schedule")
    assert _stage(parts, "assembly").count("prefetch") == vectors
    assert _stage(whole, "assembly").count("prefetch") == rows * vectors


@pytest.mark.parametrize("columns", [100, 1000])
def test_vectors_are_asked_for_by_their_ends(columns: int) -> None:
    """One may begin in a line that is near and end in one that is not: the next panel's, the results'."""
    lines = _stage(matrix_product(128, 512, columns), "emit").splitlines()
    places = [line for line, after in pairwise(lines) if "call void @llvm.prefetch" in after]
    ends = [re.search(r"getelementptr i8, .* i64 (\d+)$", place) for place in places]
    assert ends
    assert all(end is not None and int(end[1]) % 64 == 63 for end in ends)


@pytest.mark.parametrize(("more", "is_divided"), [(Fraction(1, 10**8), False), (Fraction(0), True)])
def test_quotients_by_a_root_and_more_are_products(more: Fraction, is_divided: bool) -> None:
    """Such a divisor is neither small nor very large, so that its inverse has all digits; a root alone may be zero."""
    x, v = element("x", "i"), element("v", "i")
    system = System(
        (tensor("x", 64), tensor("v", 64), tensor("y", 64, role="output")),
        (equation(element("y", "i"), x / (Call("sqrt", (v * v,)) + more), i=64),),
    )
    assert ("vdivps" in _stage(system, "assembly")) == is_divided
    assert_compiled_is_interpreted(system)


def test_equal_kernels_are_written_once() -> None:
    """Twenty layers of one size need the code of one."""
    names = ["x", *(f"z{k}" for k in range(20)), "y"]
    own = [
        equation(
            element(b, "i", "j"),
            reduction("sum", element(a, "i", "k") * element("W", "k", "j"), k=8),
            i=8,
            j=8,
        )
        for a, b in pairwise(names)
    ]
    tensors = [tensor(n, 8, 8, role="local") for n in names[1:-1]]
    system = System(
        (tensor("x", 8, 8), tensor("W", 8, 8), *tensors, tensor("y", 8, 8, role="output")),
        tuple(own),
    )
    text = _stage(system, "emit")
    assert text.count("define hidden") == 1
    assert text.count("call void @kernel") == 21


def test_code_does_not_grow_with_sizes() -> None:
    """Loops are not unrolled beyond their tile."""
    lengths = [_stage(matrix_product(n, n, n), "emit").count("\n") for n in (448, 448 * 2, 448 * 4)]
    assert max(lengths) < 1.2 * min(lengths)


@pytest.mark.parametrize("target", NAMES)
def test_every_target_gets_code(target: str) -> None:
    """Named machines compile to assembly, whatever their vectors are."""
    exponential = Call("exp", (element("x", "i"),))
    system = System(
        (tensor("x", 37), tensor("y", 37, role="output")),
        (equation(element("y", "i"), exponential / element("x", Index("i") - 1), i=37),),
    )
    assert "step:" in _stage(system, "assembly", target)


def test_only_contraction_relaxes_arithmetic() -> None:
    """No fast-math flag but ``contract`` stands in the code."""
    value = Call("max", (element("x", "i") * 2 + 1, expr(0)))
    system = System(
        (tensor("x", 37), tensor("y", role="output")),
        (equation(element("y"), reduction("sum", value, i=37)),),
    )
    assert not re.search(r"\b(fast|nnan|ninf|nsz|arcp|afn|reassoc)\b", _stage(system, "emit"))


def test_text_is_the_same_under_any_hash_seed() -> None:
    """No set is iterated into the output."""
    program = (
        "from random import Random\n"
        "from tests.systems import random_case\n"
        "from tests.compiler.test_emit import _stage\n"
        "from tests.compiler.test_groups import _window\n"
        "systems = [_window(16, 20, 24, 16), *(random_case(Random(s)).system for s in range(6))]\n"
        "print(*(_stage(system, 'emit') for system in systems))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


@pytest.mark.parametrize("columns", [5, 9, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kept", ["int32", "int64", "bool"])
def test_nothing_is_written_behind_a_row(kept: str, dtype: str, columns: int) -> None:
    """One column more than fills vectors: LLVM stored 8 bytes of a place of 4, which hurt whatever came next."""
    place = reduction("argmax", element("x", "n", "i", "c"), i=2)
    system = System(
        (
            tensor("x", 3, 2, columns, dtype=dtype),
            tensor("p", 3, columns, role="output", dtype=kept),
        ),
        (equation(element("p", "n", "c"), place, n=3, c=columns),),
    )
    executable = compiler.compile(system, Options(cache="off", threads=1))
    memory = np.ones(3 * columns + 8, kept)
    executable.bind("p", memory[:-8].reshape(3, columns))
    executable.step()
    assert memory[-8:].all()
    assert not memory[:-8].any()
