"""Every element has one definition: what is accepted is so, what is refused is told with an example."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

import compiler
from compiler.errors import CompilerError
from compiler.language.expression import Binder, Expr, Index, Number, Symbol, expr, substitute
from compiler.language.integers import simplify_integer
from compiler.language.places import defined_twice
from compiler.language.system import Equation, System

from .build import element, equation, tensor

A, B, C, K, T = map(Index, "abcit")


def _places(own: Equation) -> list[tuple[int, ...]]:
    """All places of an equation, by substituting numbers."""
    found = []
    for values in product(*(range(n) for n in own.extents.values())):
        numbers = {i: expr(k) for i, k in zip(own.extents, values, strict=True)}
        place = [simplify_integer(substitute(s, numbers), {}) for s in own.subscripts]
        found.append(tuple(int(n.value) for n in place if isinstance(n, Number)))
    return found


def _subscript(random: Random) -> Expr:
    index, other = random.choice((A, B, C)), random.choice((A, B, C))
    step, divisor = random.randint(1, 6), random.randint(2, 4)
    return random.choice(
        (
            index,
            index + random.randint(0, 4),
            expr(random.randint(0, 3)),
            index * step + random.randint(0, 3),
            index * step + other,
            5 - index,
            index // divisor,
            index % divisor,
            (index * step + other) // divisor,
            index // divisor % 2,
            (A * 4 + B) * 3 + C,
        )
    )


@pytest.mark.parametrize("seed", range(150))
def test_what_is_accepted_defines_every_element_once(seed: int) -> None:
    """One or two equations with random subscripts, all their places listed."""
    random = Random(seed)
    axes = random.randint(1, 3)
    own = [
        equation(
            element("y", *(_subscript(random) for _ in range(axes))),
            1,
            **{i: random.randint(1, 5) for i in "abc"},
        )
        for _ in range(random.randint(1, 2))
    ]
    places = [place for e in own for place in _places(e)]
    if defined_twice(own) is None:
        assert len(places) == len(set(places))


@pytest.mark.parametrize(
    "subscripts",
    [
        [(A, B, C)],
        [(C, A, B)],
        [(A * 12 + B * 3 + C,)],
        [(11 - A * 4 - B, C)],
        [(A * 100 + B, C // 2, C % 2)],
        [((A * 4 + B) // 5, (A * 4 + B) % 5, C)],
        [(A, B // 2 % 2, B % 2, B // 4, C)],
        [(A, B, C, element("t", "a"))],
        [(A, B, C + element("t", "a"))],
        [(2 * A, B, C), (2 * A + 1, B, C)],
        [(A, B, C), (A, B, C + 3), (A, B + 4, C), (A, B, C + 6)],
        [(A, A + B + 1, C), (A, A - B, C)],
    ],
)
def test_what_defines_every_element_once_is_accepted(subscripts: list[tuple[Expr, ...]]) -> None:
    """Radix, quotient with remainder, data beside an index, other parity, other range, other diagonals."""
    own = [equation(element("y", *s), 1, a=3, b=4, c=3) for s in subscripts]
    assert defined_twice(own) is None


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ([(A // 2, B)], r"y\[0, 0\] is defined at a = 0, b = 0 and again at a = 1, b = 0"),
        ([(A * 3 + B,)], r"y\[3\] is defined at a = 0, b = 3 and again at a = 1, b = 0"),
        ([(A,)], r"y\[0\] is defined at a = 0, b = 0 and again at a = 0, b = 1"),
        ([(element("t", "a"), B)], "equal numbers in t name the same element"),
        ([(A, B), (A, 3 - B)], r"y\[a, b\] = ... and y\[a, 3 - b\] = ... overlap: y\[0, 3\] is"),
        ([(A, B), (A + 2, B + 3)], r"y\[2, 3\] is defined by the one at a = 2, b = 3"),
    ],
)
def test_what_defines_an_element_twice_is_refused_with_an_example(
    subscripts: list[tuple[Expr, ...]], message: str
) -> None:
    """By the compiler and by the interpreter, before anything is computed; both say what to do."""
    shape = (9,) * len(subscripts[0])
    given = () if "t " not in message else (tensor("t", 3, dtype="int32"),)
    own = tuple(equation(element("y", *s), 1, a=3, b=4) for s in subscripts)
    system = System((*given, tensor("y", *shape, role="output")), own)
    for evaluate in (compiler.compile, lambda s: compiler.evaluate(s, {})):
        with pytest.raises(CompilerError, match=message) as caught:
            evaluate(system)
        assert "'+='" in str(caught.value)


def test_open_sizes_are_proved_for_all_values() -> None:
    """``y[i]`` and ``y[N + t]`` are apart for every N, ``y[N - 1 + t]`` is not."""
    size = Symbol("N")

    def stored(place: Expr, **sizes: Expr) -> Equation:
        indices = tuple(Binder(Index(name), n) for name, n in sizes.items())
        return Equation("y", (place,), indices, expr(1))

    first = stored(K, i=size)
    assert defined_twice([first, stored(size + T, t=expr(6))]) is None
    assert defined_twice([stored(T * size + K, t=expr(6), i=size)]) is None
    found = defined_twice([first, stored(size - 1 + T, t=expr(6))])
    assert found is not None
    assert "y[0] (for N = 1)" in found[1]


def test_what_is_added_may_meet() -> None:
    """``+=`` is for what meets."""
    own = [equation(element("y", K // 2), 1, add=True, i=6)]
    assert defined_twice([equation(element("y", "i"), 0, i=3), *own, *own]) is None
