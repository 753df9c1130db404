"""Stage partial: long sums with few results in parts, the same numbers up to rounding."""

from __future__ import annotations

import numpy as np
import pytest

import compiler
from compiler import Options
from compiler.language.expression import Binder, Call, Expr, Index, Reduce, expr, walk
from compiler.language.system import System
from compiler.rewriting.partial import PARTS, partial

from .build import element, equation, reduction, tensor


def _sums(kind: str, rows: int, inner: int, columns: int) -> System:
    """``y[o] = exp(kind[n, i](x[n, i, o])/100)``."""
    total = reduction(kind, element("x", "n", "i", "o"), n=rows, i=inner)
    return System(
        (tensor("x", rows, inner, columns), tensor("y", columns, role="output")),
        (equation(element("y", "o"), Call("exp", (total / 100,)), o=columns),),
    )


def _windows(batch: int, size: int, channels: int) -> System:
    """``k[i, c] = sum[n, h](x[n, h + i - 1, c]*g[n, h, c])``: a sum that reads beyond the edge."""
    product: Expr = element("x", "n", Index("h") + Index("i") - 1, "c") * element(
        "g", "n", "h", "c"
    )
    return System(
        (
            tensor("x", batch, size, channels),
            tensor("g", batch, size, channels),
            tensor("k", 3, channels, role="output"),
        ),
        (
            equation(
                element("k", "i", "c"), reduction("sum", product, n=batch, h=size), i=3, c=channels
            ),
        ),
    )


def _rows(rows: int, length: int) -> System:
    """``y[n] = sum[i](x[n, i])``: threads share the rows."""
    total = reduction("sum", element("x", "n", "i"), i=length)
    return System(
        (tensor("x", rows, length), tensor("y", rows, role="output")),
        (equation(element("y", "n"), total, n=rows),),
    )


def _gradients(batch: int, size: int, channels: int, filters: int) -> System:
    """``k[i, c, o] = sum[n, h](x[n, h + i, c]*g[n, h, o])``: many results, of operands much larger still."""
    x = element("x", "n", Index("h") + Index("i"), "c")
    total = reduction("sum", x * element("g", "n", "h", "o"), n=batch, h=size)
    return System(
        (
            tensor("x", batch, size + 2, channels),
            tensor("g", batch, size, filters),
            tensor("k", 3, channels, filters, role="output"),
        ),
        (equation(element("k", "i", "c", "o"), total, i=3, c=channels, o=filters),),
    )


@pytest.mark.parametrize(
    "system",
    [
        _sums("sum", 64, 300, 16),
        _sums("mean", 48, 700, 10),
        _sums("sum", 1, 300_000, 1),
        _sums("sum", 37, 1024, 8),
        _windows(32, 500, 7),
    ],
    ids=["sum", "mean", "one result", "prime rows", "windows"],
)
def test_parts_add_up(system: System) -> None:
    """In parts, a sum is what it was, and the same to the bit for any number of threads."""
    assert len(partial(system).equations) == 2
    random = np.random.default_rng(7)
    arrays = {
        t.name: random.normal(size=t.shape).astype("float32")
        for t in system.tensors
        if t.role == "input"
    }
    (name,) = system.names("output")
    exact = {name: array.astype("float64") for name, array in arrays.items()}
    if "g" in exact:
        padded = np.pad(exact["x"], ((0, 0), (1, 1), (0, 0)))
        size = exact["g"].shape[1]
        expected = np.stack([(padded[:, i : i + size] * exact["g"]).sum((0, 1)) for i in range(3)])
    else:
        mean = "mean" in str(system)
        expected = np.exp((exact["x"].mean((0, 1)) if mean else exact["x"].sum((0, 1))) / 100)
    found = [
        compiler.compile(system, Options(cache="off", threads=n))(arrays)[name] for n in (1, 2, 5)
    ]
    np.testing.assert_allclose(found[0], expected, rtol=2e-5, atol=2e-4)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


def test_parts_are_equal_and_few() -> None:
    """The outermost range that gives enough equal parts is cut."""
    parts, total = partial(_sums("sum", 64, 300, 16)).equations
    assert parts.extents == {Index("p"): PARTS, Index("o"): 16}
    (total_binder,) = (b for e in walk(total.value) if isinstance(e, Reduce) for b in e.binders)
    assert total_binder == Binder(Index("p"), expr(PARTS))
    assert total.target == "y"


@pytest.mark.parametrize(
    "system",
    [
        _sums("sum", 8, 8, 16),
        _sums("sum", 8, 8, 2048),
        _sums("max", 64, 300, 16),
        _sums("sum", 64, 300, 4096),
        _sums("sum", 131, 2003, 1),
        _gradients(64, 32, 128, 128),
        _rows(128, 4000),
    ],
    ids=[
        "few terms",
        "few for each",
        "no sum",
        "many results",
        "prime ranges",
        "not much larger",
        "rows",
    ],
)
def test_declines_when_parts_are_of_no_use(system: System) -> None:
    """Short sums, other reductions, many results and ranges without divisors stay whole."""
    assert partial(system).equations == system.equations


def test_the_batch_is_shared() -> None:
    """What was one thread's becomes parts that the threads share."""
    text = compiler.compile(_sums("sum", 64, 12_000, 16), Options(cache="off")).explain(
        "distribute"
    )
    assert f"{PARTS} turns" in text


def test_parts_with_many_results_are_added_up_in_pieces() -> None:
    """What all tiles read again and again is cut until it stays near; the numbers are the same to the bit."""
    system = _gradients(48, 600, 24, 40)
    parts, _ = partial(system).equations
    assert parts.accumulate
    assert [i.name for i in parts.extents] == ["p", "n", "i", "c", "o"]
    random = np.random.default_rng(3)
    arrays = {
        t.name: random.normal(size=t.shape).astype("float32")
        for t in system.tensors
        if t.role == "input"
    }
    x, g = (arrays[name].astype("float64") for name in "xg")
    expected = np.stack([np.einsum("nhc,nho->co", x[:, i : i + 600], g) for i in range(3)])
    found = [
        compiler.compile(system, Options(cache="off", threads=n))(arrays)["k"] for n in (1, 2, 5)
    ]
    np.testing.assert_allclose(found[0], expected, rtol=2e-5, atol=1e-3)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


def test_what_is_read_at_steps_counts_as_it_is() -> None:
    """A sum over all of an operand is large whether its columns have one index or two."""

    def parts(columns: dict[str, int]) -> int:
        column = Index("a") * 16 + Index("b") if len(columns) > 1 else Index("a")
        product = element("x", "n", "c") * element("g", "n", column)
        tensors = (
            tensor("x", 8192, 40),
            tensor("g", 8192, 64),
            tensor("y", 40, 64, role="output"),
        )
        total = reduction("sum", product, n=8192)
        return len(
            partial(
                System(tensors, (equation(element("y", "c", column), total, c=40, **columns),))
            ).equations
        )

    assert parts({"a": 64}) == parts({"a": 4, "b": 16}) == 2
