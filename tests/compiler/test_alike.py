"""Kernels that differ in names only are scheduled once, and each gets its own names back."""

from __future__ import annotations

from collections.abc import Callable

from compiler.language.system import System
from compiler.scheduling.alike import Alike, Lowered, anonymous, of_all_alike, read_and_written
from compiler.scheduling.fuse import Fusion
from compiler.scheduling.layout import Layout
from compiler.scheduling.loops import Kernel
from compiler.scheduling.lower import Storage, lower
from compiler.scheduling.schedule import schedule
from compiler.target import named

from .build import element, equation, matrix_product, reduction, tensor

TARGET = named("x86-64-v4")


def _storages(*systems: System) -> dict[str, Storage]:
    return {
        t.name: Storage(t, ((0, 0),) * len(t.shape), Layout(tuple(range(len(t.shape)))))
        for system in systems
        for t in system.tensors
    }


def _fusion(system: System) -> Fusion:
    (own,) = system.equations
    return Fusion(own.indices, (own,))


def _lowered(system: System, name: str = "kernel") -> Kernel:
    return lower(_fusion(system), name, _storages(system), {})


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


def _doubled(source: str, target: str, n: int) -> System:
    """``target[i] = 2*source[i]``"""
    value = element(source, "i") * 2
    return System(
        (tensor(source, n), tensor(target, n, role="output")),
        (equation(element(target, "i"), value, i=n),),
    )


def test_equations_that_are_alike_are_lowered_once() -> None:
    """A kernel made of one that is alike is what lowering gives, also where a tensor is called like an index."""
    systems = [
        _doubled(source, target, n)
        for source, target, n in (("a", "b", 8), ("c", "d", 8), ("i", "v1", 8), ("e", "f", 9))
    ]
    storages, calls = _storages(*systems), []

    def lowered(fusion: Fusion, name: str, outer: object) -> Kernel:
        calls.append(name)
        return lower(fusion, name, storages, {})

    facts = {n: (s.tensor.shape, s.tensor.dtype) for n, s in storages.items()}
    once = Lowered(facts, lowered)
    for k, system in enumerate(systems):
        own, name = _fusion(system), f"kernel_{k}"
        found, alone = once(own, name, ()), lower(own, name, storages, {})
        assert found == alone
        assert found.tensors == alone.tensors
        assert anonymous(found) == anonymous(alone)
        assert read_and_written(found) == read_and_written(alone)
    assert calls == ["kernel_0", "kernel_2", "kernel_3"]


def test_a_fact_is_found_once_for_kernels_that_are_alike() -> None:
    """What a kernel is called plays no part."""
    asked = []

    @of_all_alike
    def stores(kernel: Kernel) -> int:
        asked.append(kernel)
        return len(kernel.stores)

    storages = _storages(*(_doubled(s, t, 8) for s, t in (("a", "b"), ("c", "d"))))
    once = Lowered(dict.fromkeys(storages), lambda own, name, outer: lower(own, name, storages, {}))
    kernels = [once(_fusion(_doubled(s, t, 8)), "kernel", ()) for s, t in (("a", "b"), ("c", "d"))]
    assert [stores(kernel) for kernel in kernels] == [1, 1]
    assert len(asked) == 1


def test_facts_are_told_apart_from_others_of_the_same_name() -> None:
    """Two functions that are called alike, in different files, do not get each other's answers."""

    def asked(number: int) -> Callable[[Kernel], int]:
        def fact(kernel: Kernel) -> int:
            return number

        return of_all_alike(fact)

    kernel = _lowered(_doubled("a", "b", 8))
    assert [asked(number)(kernel) for number in (1, 2)] == [1, 2]
