"""Vectors across memory: loaded as they lie and turned in registers."""

from __future__ import annotations

import numpy as np
import pytest

import compiler
from compiler.language.system import System
from compiler.options import Options
from compiler.pipeline import stages
from compiler.target import named

from .build import element, equation, tensor
from .machine import NATIVE, RUNNABLE

SHAPES = ((1, 8), (17, 21), (32, 16), (33, 3))  # a whole vector, more, less; with a rest


def _turned(*shapes: tuple[int, int], dtype: str = "float32") -> System:
    """``y[j, i] = x[i, j]``, of some sizes."""
    tensors, equations = [], []
    for k, (i, j) in enumerate(shapes):
        tensors += [
            tensor(f"x{k}", i, j, dtype=dtype),
            tensor(f"y{k}", j, i, role="output", dtype=dtype),
        ]
        value = element(f"x{k}", "i", "j")
        equations.append(equation(element(f"y{k}", "j", "i"), value, j=j, i=i))
    return System(tuple(tensors), tuple(equations))


def _stage(system: System, stage: str) -> str:
    settings = Options(target=named("x86-64-v4"), cache="off", threads=1).settle()
    return stages(system, settings)(stage)


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_every_element_changes_its_axes(dtype: str, machine: str) -> None:
    """For sizes around those of a vector, of any type, on any machine."""
    system = _turned(*SHAPES, dtype=dtype)
    given = {
        f"x{k}": np.arange(i * j).reshape(i, j).astype(dtype) for k, (i, j) in enumerate(SHAPES)
    }
    found = compiler.compile(system, Options(target=NATIVE[machine], cache="off"))(given)
    for k in range(len(SHAPES)):
        np.testing.assert_array_equal(found[f"y{k}"], given[f"x{k}"].T)


@pytest.mark.parametrize(("rows", "is_gathered"), [(96, False), (90, True)])
def test_no_element_is_loaded_by_itself(rows: int, is_gathered: bool) -> None:
    """Declines only where lanes of a vector do not count."""
    assert ("gather" in _stage(_turned((rows, 128)), "assembly")) == is_gathered


def test_memory_is_read_in_its_order() -> None:
    """What is copied is read by the thread that has written it, neighbours after one another."""
    text = _stage(_turned((128, 64)), "schedule")
    assert text.index("in range(0, 128, 16 lanes)") < text.index("in range(0, 64, 16 rows)")
