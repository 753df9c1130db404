"""Straight: statements without loops, some lanes at a time, where no lane reads what another one stores."""

from __future__ import annotations

import re

import pytest

from compiler.code.kernels import kernel_function
from compiler.scheduling.loops import Affine, Kernel, Load, Loop, Range, Store
from compiler.target import NAMES


def _stores(shift: int, rows: int = 4, width: int = 8) -> list[str]:
    """In which order two tensors are stored by ``y[i] = x[i]; z[i] = y[i + shift]``, some rows of vectors at a time."""
    here, there = Affine(0, (("i", 1),)), Affine(shift, (("i", 1),))
    body = (
        Store("y", Affine(0, (("i", 1), ("n", 8))), Load("x", here, "float")),
        Store(
            "z", Affine(0, (("i", 1), ("n", 8))), Load("y", there + Affine(0, (("n", 8),)), "float")
        ),
    )
    lanes = Loop(Range("i", 0, 8, width=width), body)
    kernel = Kernel("kernel", (), (Loop(Range("n", 0, 64, rows=rows), (lanes,)),))
    text, _ = kernel_function(kernel, dict.fromkeys("xyz", "float32"), NAMES["x86-64-v4"], "kernel")
    names = dict(zip(re.findall(r"ptr (%a\d)", text), kernel.tensors, strict=False))
    bases = dict(re.findall(r"(%r\d+) = getelementptr inbounds i8, ptr (%[ar]\d+)", text))
    found = []
    for pointer in re.findall(r"store <8 x float> %r\d+, ptr (%[ar]\d+)", text):
        while pointer in bases:
            pointer = bases[pointer]
        found.append(names[pointer])
    return found


@pytest.mark.parametrize("shift", [512, -512])
def test_rows_are_done_one_after_the_other(shift: int) -> None:
    """What is read of a stored tensor lies beyond all lanes: each row is finished before the next one begins."""
    assert _stores(shift) == ["y", "z"] * 4


@pytest.mark.parametrize("shift", [0, 8, -31])
def test_straight_declines_where_another_lane_may_have_stored_it(shift: int) -> None:
    """Then each statement is done in all lanes before the next one."""
    assert _stores(shift) == ["y"] * 4 + ["z"] * 4
