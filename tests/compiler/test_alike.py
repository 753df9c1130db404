"""Kernels that differ in names only are scheduled once, and each gets its own names back."""

from __future__ import annotations

from compiler.language.system import System
from compiler.scheduling.alike import Alike, anonymous
from compiler.scheduling.fuse import Fusion
from compiler.scheduling.layout import Layout
from compiler.scheduling.loops import Kernel
from compiler.scheduling.lower import Storage, lower
from compiler.scheduling.schedule import schedule
from compiler.target import named

from .build import element, equation, matrix_product, reduction, tensor

TARGET = named("x86-64-v4")


def _lowered(system: System, name: str = "kernel") -> Kernel:
    storages = {
        t.name: Storage(t, ((0, 0),) * len(t.shape), Layout(tuple(range(len(t.shape)))))
        for t in system.tensors
    }
    (own,) = system.equations
    return lower(Fusion(own.indices, (own,)), name, storages, {})


def _renamed(n: int) -> System:
    """The product of `matrix_product` under other names."""
    product = element("left", "row", "inner") * element("right", "inner", "column")
    return System(
        (tensor("left", n, n), tensor("right", n, n), tensor("result", n, n, role="output")),
        (
            equation(
                element("result", "row", "column"),
                reduction("sum", product, inner=n),
                row=n,
                column=n,
            ),
        ),
    )


def test_alike_kernels_are_changed_once_and_keep_their_names() -> None:
    """What `Alike` gives is what the stage itself gives, panels and blocks included."""
    calls = []

    def change(kernel: Kernel, marked: frozenset[str]) -> Kernel:
        calls.append(kernel)
        return schedule(kernel, TARGET, marked)

    alike = Alike(change, frozenset({"C"}))
    for n in (24, 512):
        for name, system in (("first", matrix_product(n, n, n)), ("second", _renamed(n))):
            kernel = _lowered(system, name)
            assert str(alike(kernel)) == str(schedule(kernel, TARGET, alike.marked))
            assert str(alike(kernel)) == str(alike(kernel))
    assert len(calls) == 4  # two sizes, and C is marked where ``result`` is not
    assert all(kernel.tensors[0].startswith("_") for kernel in calls)


def test_kernels_are_alike_up_to_names() -> None:
    """Other names make the same kernel, other sizes another."""
    first, second, other = (
        anonymous(_lowered(system))[0]
        for system in (matrix_product(24, 24, 24), _renamed(24), _renamed(25))
    )
    assert first == second != other
