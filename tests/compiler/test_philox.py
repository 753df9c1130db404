"""Random numbers: the published generator, the same bits in NumPy and in machine code, and no
pattern to be seen.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compiler
from compiler.errors import CompilerError
from compiler.language.expression import Call, Element, Expr, Index, expr
from compiler.language.system import System, Tensor
from compiler.options import Options
from compiler.reference.philox import ROUNDS, philox, uniform
from compiler.target import NAMES
from tests.compiler.build import element, equation, reduction, tensor
from tests.compiler.machine import NATIVE, RUNNABLE

# The known answers that come with the authors' own implementation (Random123, kat_vectors).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
BITS = {"float32": 24, "float64": 53}
WHOLE = st.integers(-(2**63), 2**63 - 1)
KEY, COUNTER = Element("key", ()), Element("counter", ())
Array = np.ndarray[Any, Any]


def drawn(key: object, counter: object, position: object) -> Call:
    """``uniform(key, counter, position)``."""
    return Call("uniform", (expr(key), expr(counter), expr(position)))


def table(rows: int, columns: int, dtype: str, offset: Expr = KEY - KEY) -> System:
    """``u[i, j]``: the numbers at all places of a table, counted row by row from ``offset``."""
    value = drawn(KEY, COUNTER, offset + Index("i") * columns + Index("j"))
    scalars = (tensor(name, dtype="int64") for name in ("key", "counter", "start"))
    tensors = (*scalars, tensor("u", rows, columns, role="output", dtype=dtype))
    return System(tensors, (equation(element("u", "i", "j"), value, i=rows, j=columns),))


def numbers(key: int, counter: int, start: int = 0) -> dict[str, Array]:
    """Arrays for a table."""
    named = {"key": key, "counter": counter, "start": start}
    return {name: np.array(value, np.int64) for name, value in named.items()}


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_the_published_words(
    counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    """Philox 4x32-10 is the generator of the paper, to the bit."""
    found = philox([np.array([c], np.uint64) for c in counter], key)
    assert tuple(int(word[0]) for word in found) == words


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_a_number_is_made_of_the_first_words(
    counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    """float32 has the first 24 bits, float64 53, of the words at (position, counter) under the key."""
    bits = words[0] << 32 | words[1]
    whole = [np.array(low | high << 32, np.uint64) for low, high in (key, counter[2:], counter[:2])]
    for count in (24, 53):
        found = uniform(*(w.astype(np.int64) for w in whole), count)
        assert Fraction(float(found)) == Fraction(bits >> (64 - count), 2**count)


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize("dtype", list(BITS))
@settings(max_examples=6, deadline=None)
@given(st.integers(1, 5), st.integers(1, 70), WHOLE, WHOLE, WHOLE)
def test_compiled_numbers_are_the_reference_to_the_bit(
    machine: str, dtype: str, rows: int, columns: int, key: int, counter: int, start: int
) -> None:
    """Every vector, every tail and every scalar has the number of its place, on every machine."""
    start = min(start, 2**63 - 1 - rows * columns)
    system, arrays = table(rows, columns, dtype, Element("start", ())), numbers(key, counter, start)
    places = start + np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    expected = uniform(key, counter, places, BITS[dtype]).astype(dtype)
    executable = compiler.compile(system, Options(target=NATIVE[machine], cache="off"))
    assert np.array_equal(executable(arrays)["u"], expected)
    assert np.array_equal(compiler.evaluate(system, arrays)["u"], expected)


@pytest.mark.parametrize("dtype", list(BITS))
def test_arguments_may_all_be_vectors(dtype: str) -> None:
    """Keys, counters and positions may differ from element to element."""
    n = Index("n")
    names = ("k", "c", "p")
    value = drawn(*(Element(name, (n,)) for name in names))
    tensors = (*(tensor(m, 37, dtype="int64") for m in names), Tensor("u", (37,), dtype, "output"))
    system = System(tensors, (equation(element("u", "n"), value, n=37),))
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(-(2**63), 2**63 - 1, 37) for name in names}
    expected = uniform(arrays["k"], arrays["c"], arrays["p"], BITS[dtype]).astype(dtype)
    assert np.array_equal(compiler.compile(system)(arrays)["u"], expected)
    assert np.array_equal(compiler.evaluate(system, arrays)["u"], expected)


def test_threads_and_readers_change_nothing() -> None:
    """A second reader in another kernel and other numbers of threads see the same numbers."""
    system, arrays = table(200, 333, "float32"), numbers(5, 6)
    first = compiler.compile(system, Options(threads=1))(arrays)["u"]
    assert np.array_equal(compiler.compile(system, Options(threads=3))(arrays)["u"], first)
    value = drawn(KEY, COUNTER, Index("i") * 333 + Index("j"))
    total = equation(element("t", "j"), reduction("sum", value, i=200), j=333)
    both = replace(
        system,
        tensors=(*system.tensors, tensor("t", 333, role="output")),
        equations=(*system.equations, total),
    )
    found = compiler.compile(both)(arrays)
    assert np.array_equal(found["u"], first)
    np.testing.assert_allclose(found["t"], first.sum(0), rtol=1e-5)


@pytest.mark.parametrize("precision", [None, "float64", 30])
def test_precision_does_not_change_the_numbers(precision: str | int | None) -> None:
    """A float32 equation draws the same 24 bits in whatever arithmetic it is evaluated."""
    system, arrays = table(3, 4, "float32"), numbers(1, 2)
    found = compiler.evaluate(system, arrays, precision)["u"]
    assert np.array_equal(found.astype(float), uniform(1, 2, np.arange(12).reshape(3, 4), 24))


def test_a_shared_number_is_drawn_once() -> None:
    """A number that fewer indices determine becomes an equation of its own."""
    value = element("x", "n", "i") * drawn(KEY, COUNTER, Index("i"))
    tensors = (
        *(tensor(name, dtype="int64") for name in ("key", "counter")),
        tensor("x", 6, 9),
        tensor("y", 6, 9, role="output"),
    )
    system = System(tensors, (equation(element("y", "n", "i"), value, n=6, i=9),))
    executable = compiler.compile(system)
    assert "y.uniform[i" in executable.explain("hoist")
    arrays = {"x": np.ones((6, 9), np.float32), **{k: np.array(3) for k in ("key", "counter")}}
    assert np.array_equal(executable(arrays)["y"], compiler.evaluate(system, arrays)["y"])


@pytest.mark.parametrize("name", list(NAMES))
@pytest.mark.parametrize("dtype", list(BITS))
def test_products_are_of_halves(name: str, dtype: str) -> None:
    """On every machine the products are those of 32-bit halves, which its vector unit has."""
    executable = compiler.compile(table(8, 64, dtype), Options(target=NAMES[name], cache="off"))
    text = executable.explain("assembly")
    assert sum(text.count(word) for word in ("pmuludq", "umull")) >= 2 * ROUNDS - 3


@pytest.mark.parametrize(
    ("argument", "cause"),
    [
        (expr(Fraction(1, 2)), "uniform takes integers, 0.5 is none"),
        (element("x", "n"), r"uniform takes integers, x\[n\] is none"),
        (expr(2**63), "does not fit into 64 bits"),
    ],
)
def test_only_integers_are_taken(argument: Expr, cause: str) -> None:
    """A real argument, or one that has no 64 bits, is refused by name."""
    system = System(
        (tensor("x", 4), tensor("u", 4, role="output")),
        (equation(element("u", "n"), drawn(0, argument, Index("n")), n=4),),
    )
    with pytest.raises(CompilerError, match=cause):
        compiler.compile(system)


@pytest.mark.parametrize("bits", [24, 53])
def test_numbers_look_random(bits: int) -> None:
    """Moments are those of the even distribution; neighbouring places, counters and keys have
    nothing in common.
    """
    count = 1 << 18
    places = np.arange(count)
    u = uniform(11, 4, places, bits)
    assert u.min() >= 0 and u.max() < 1
    noise = 5 / np.sqrt(count)  # five deviations of the mean of as many numbers of deviation one
    assert abs(u.mean() - 1 / 2) < noise * np.sqrt(1 / 12)
    assert abs(u.var() - 1 / 12) < noise * np.sqrt(1 / 180)
    shares = np.histogram(u, 64, (0, 1))[0] / count * 64
    assert np.abs(shares - 1).max() < 5 * np.sqrt(63 / count)
    others = {
        "place": uniform(11, 4, places + 1, bits),
        "far place": uniform(11, 4, places + 2**32, bits),
        "counter": uniform(11, 5, places, bits),
        "far counter": uniform(11, 4 + 2**32, places, bits),
        "key": uniform(12, 4, places, bits),
        "far key": uniform(11 + 2**32, 4, places, bits),
        "exchanged": uniform(11, places, 4, bits),
    }
    for other in others.values():
        assert abs(12 * np.mean((u - 1 / 2) * (other - 1 / 2))) < noise
