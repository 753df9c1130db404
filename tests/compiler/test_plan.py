"""Stage plan: memory is shared where nobody notices."""

from __future__ import annotations

from itertools import pairwise, permutations
from random import Random

import numpy as np
import pytest

import compiler
from compiler.language.expression import Call, Index
from compiler.language.system import System
from compiler.scheduling.plan import lowest_gap, with_own_values

from .build import element, equation, matrix_product, reduction, tensor


def _chain(length: int) -> System:
    """Every second tensor is a transposed copy, so that the chain does not become one kernel."""
    names = ["x", *(f"z{k}" for k in range(length)), "y"]
    tensors = [tensor("x", 64, 64), *(tensor(n, 64, 64, role="local") for n in names[1:-1])]
    own = [
        equation(
            element(b, "i", "j"),
            reduction("sum", element(a, "i", "k") * element("x", "k", "j"), k=64),
            i=64,
            j=64,
        )
        for a, b in pairwise(names)
    ]
    return System((*tensors, tensor("y", 64, 64, role="output")), tuple(own))


def test_plan_reuses_memory_of_dead_tensors() -> None:
    """The arena of a chain holds two tensors however long the chain is."""
    arenas = [compiler.compile(_chain(length)).program.arena for length in (2, 8)]
    assert arenas == [2 * 64 * 64 * 4] * 2


def test_plan_gives_threads_memory_of_their_own() -> None:
    """Panels lie behind the arena, one part for each thread, and count as memory; no code takes any from a stack."""
    executable = compiler.compile(matrix_product(512, 512, 512), compiler.Options(threads=3))
    program = executable.program
    assert program.own >= 256 * 2 * 16 * 4
    assert executable.memory == 3 * 512 * 512 * 4 + program.arena + 3 * program.own
    assert "alloca" not in executable.explain("emit")


def _update(new: str, value: object) -> System:
    return System(
        (tensor("w", 40, role="parameter"), tensor("g", 40), tensor(new, 40, role="local")),
        (equation(element(new, "i"), value, i=40),),
        (("w", new),),
    )


@pytest.mark.parametrize("seed", range(4))
def test_plan_takes_the_lowest_place_that_is_free(seed: int) -> None:
    """No two tensors that live at the same time overlap, and each lies as low as those before it allow."""
    random = Random(seed)
    taken: list[tuple[int, int, int, int]] = []
    for _ in range(60):
        size, first = random.randint(1, 9), random.randint(0, 20)
        last = first + random.randint(0, 6)
        offset = lowest_gap(size, first, last, sorted(taken))
        others = [(a, b) for a, b, f, t in taken if f <= last and first <= t]
        free = [p for p in range(offset + 1) if all(p + size <= a or b <= p for a, b in others)]
        assert free == [offset]
        taken.append((offset, offset + size, first, last))


def test_plan_updates_a_state_in_place() -> None:
    """An elementwise update writes over the state: no memory, no copy."""
    executable = compiler.compile(_update("w.new", element("w", "i") - element("g", "i")))
    assert executable.program.arena == 0
    assert executable.explain("schedule").count("def ") == 1


def test_plan_declines_in_place_when_neighbours_are_read() -> None:
    """A state whose new value mixes elements is copied at the end, and right."""
    value = element("w", Index("i") - 1) + element("g", "i")
    system = _update("w.new", value)
    executable = compiler.compile(system)
    assert executable.explain("schedule").count("def ") == 2
    arrays = {"w": np.arange(40, dtype="float32"), "g": np.ones(40, "float32")}
    assert np.array_equal(executable(arrays)["w"], compiler.evaluate(system, arrays)["w"])


def test_plan_declines_in_place_when_the_old_value_is_read_later() -> None:
    """What has been and what is now, side by side: the old value is there as long as somebody asks for it."""
    x, w, now = (element(name, "i") for name in ("x", "w", "w.new"))
    system = System(
        (
            tensor("w", 40, role="parameter"),
            tensor("x", 40),
            tensor("w.new", 40, role="local"),
            tensor("y", 40, role="output"),
        ),
        (equation(now, x * 2, i=40), equation(element("y", "i"), now - w, i=40)),
        (("w", "w.new"),),
    )
    executable = compiler.compile(system)
    assert executable.explain("schedule").count("def ") == 2
    arrays = {"w": np.arange(40, dtype="float32"), "x": np.ones(40, "float32")}
    result = executable(arrays)
    assert np.array_equal(result["y"], 2 - arrays["w"])
    assert np.array_equal(result["w"], np.full(40, 2, "float32"))


def test_plan_swaps_states() -> None:
    """Each state takes the old value of the other."""
    a, b = (tensor(n, 3, role="parameter") for n in "ab")
    system = System((a, b), (), (("a", "b"), ("b", "a")))
    one, two = np.arange(3, dtype="float32"), np.full(3, 9, "float32")
    result = compiler.compile(system)({"a": one, "b": two})
    assert np.array_equal(result["a"], two)
    assert np.array_equal(result["b"], one)


@pytest.mark.parametrize("size", [3, 8, 200])
@pytest.mark.parametrize("states", list(permutations("pq")))
@pytest.mark.parametrize("turn", [1, -1])
def test_plan_overwrites_no_state_that_is_read_later(
    size: int, states: tuple[str, str], turn: int
) -> None:
    """Of equations that share a kernel each reads the old values, whichever of them comes first."""
    p, q, x = (element(name, "i") for name in "pqx")
    system = System(
        (
            tensor("x", size),
            *(tensor(name, size, role="parameter") for name in states),
            tensor("a", size, role="local"),
            tensor("b", size, role="output"),
        ),
        (
            equation(element("a", "i"), q * q - x, i=size),
            equation(element("b", "i"), x * p + 1, i=size),
        )[::turn],
        (("p", "a"), ("q", "b")),
    )
    arrays = {name: np.linspace(k, k + 2, size, dtype="float32") for k, name in enumerate("xpq")}
    found, wanted = compiler.compile(system)(arrays), compiler.evaluate(system, arrays)
    assert all(np.allclose(found[name], wanted[name], rtol=1e-6) for name in wanted)


@pytest.mark.parametrize("size", [200, 512, 1000])
def test_plan_updates_in_place_what_is_cut(size: int) -> None:
    """A rest, or the first rows of a block, are other elements: nobody reads there what has been replaced."""
    w, rate = element("w", "i", "o"), element("r")
    gradient = reduction("sum", element("x", "n", "i") * element("g", "n", "o"), n=64)
    system = System(
        (
            tensor("x", 64, size),
            tensor("g", 64, size),
            tensor("r"),
            tensor("w", size, size, role="parameter"),
            tensor("w.new", size, size, role="local"),
        ),
        (equation(element("w.new", "i", "o"), w - rate * gradient, i=size, o=size),),
        (("w", "w.new"),),
    )
    assert compiler.compile(system).explain("plan").count("w.new: w + 0") == 1


def test_plan_keeps_borders_zero() -> None:
    """Borders stay zero over many steps, although other tensors come and go."""
    window = reduction("sum", element("z", Index("i") + Index("j") - 1), j=3)
    system = System(
        (tensor("x", 50), tensor("z", 50, role="local"), tensor("y", 50, role="output")),
        (
            equation(element("z", "i"), Call("exp", (element("x", "i"),)), i=50),
            equation(element("y", "i"), window, i=50),
        ),
    )
    executable = compiler.compile(system)
    for value in (0.0, 3.0, 0.0):
        arrays = {"x": np.full(50, value, "float32")}
        want = compiler.evaluate(system, arrays)["y"]
        assert np.allclose(executable(arrays)["y"], want, rtol=1e-6)


def test_with_own_values_changes_nothing_that_is_right_already() -> None:
    """Only shared, given or differently typed new values get a tensor of their own."""
    system = _update("w.new", element("g", "i"))
    assert with_own_values(system) == system
