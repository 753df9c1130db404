"""The compiler agrees with the interpreter on every system: the promise that all stages share."""

from __future__ import annotations

import gc
import math
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import compiler
from compiler.language.expression import Call, Constant, Expr, Index, expr
from compiler.language.system import System
from compiler.options import Options
from compiler.pipeline import stages
from compiler.target import host, named
from compiler.uncollected import uncollected

from ..rounding import error_of, with_errors
from ..systems import Case, cases
from .build import element, equation, matrix_product, reduction, tensor

UNCACHED = Options(cache="off")
WIDTHS = (1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65)
ROW = Index("i")


def agree(system: System, arrays: dict[str, Any], options: Options = UNCACHED) -> None:
    """Each compiled number is as near to the truth as NumPy's own, up to four times its error and what rounding does.

    NumPy's error at one place may happen to be none; how far the formula itself carries the roundings of its terms to
    this place is `rounding.with_errors`; a truth in float64 is rounded as often as what is compared with it.
    """
    results = compiler.compile(system, options)(arrays)
    plain = compiler.evaluate(system, arrays)
    truth = compiler.evaluate(with_errors(system), arrays, precision="float64")
    assert list(results) == list(plain)
    sources = dict(system.updates)
    for name, result in results.items():
        assert result.dtype == plain[name].dtype
        if result.dtype.kind != "f":
            assert np.array_equal(result, plain[name]), name
            continue
        finite = np.isfinite(truth[name])
        assert np.array_equal(np.isnan(result), np.isnan(plain[name])), name
        other = ~finite & ~np.isnan(plain[name])
        assert np.array_equal(result[other], plain[name][other]), name
        error = truth[error_of(sources.get(name, name))] * (2 if result.dtype == "float64" else 1)
        allowed = 4 * np.abs(plain[name] - truth[name]) + error
        assert (np.abs(result - truth[name]) <= allowed)[finite].all(), name


def normal(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    """Float32 numbers around zero."""
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@settings(max_examples=60, deadline=None)
@given(cases())
def test_random_systems_agree(case: Case) -> None:
    """Any valid system computes what it means."""
    agree(case.system, case.arrays)


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="runs on these machines only")
@settings(max_examples=15, deadline=None)
@given(cases())
def test_random_systems_agree_with_narrow_vectors(case: Case) -> None:
    """Four lanes and no fused multiply-add change nothing but the last bits."""
    agree(case.system, case.arrays, Options(cache="off", target=named("x86-64")))


@pytest.mark.parametrize("seed", range(12))
def test_matrix_products_agree(seed: int) -> None:
    """Sizes around the vector widths, both operands also transposed."""
    random = Random(seed)
    rows, inner, columns = (random.choice((*WIDTHS, 127, 300)) for _ in range(3))
    left, right = random.choice(("ik", "ki")), random.choice(("kj", "jk"))
    sizes = {"i": rows, "k": inner, "j": columns}
    product = element("A", *left) * element("B", *right)
    own = equation(
        element("C", "i", "j"),
        reduction("sum", product, k=inner) + element("b", "j"),
        i=rows,
        j=columns,
    )
    a, b = (tensor(n, *(sizes[i] for i in axes)) for n, axes in (("A", left), ("B", right)))
    system = System((a, b, tensor("b", columns), tensor("C", rows, columns, role="output")), (own,))
    agree(system, {t.name: normal(k, *t.shape) for k, t in enumerate(system.tensors[:3])})


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min", "prod", "argmax", "argmin"])
def test_reductions_agree(kind: str, size: int) -> None:
    """Along rows, along columns and of everything, with ties."""
    x = element("x", "n", "i")
    dtype = "int32" if kind.startswith("arg") else "float32"
    system = System(
        (
            tensor("x", 5, size),
            tensor("rows", 5, role="output", dtype=dtype),
            tensor("columns", size, role="output", dtype=dtype),
            tensor("all", role="output", dtype=dtype),
        ),
        (
            equation(element("rows", "n"), reduction(kind, x, i=size), n=5),
            equation(element("columns", "i"), reduction(kind, x, n=5), i=size),
            equation(element("all"), reduction(kind, x, n=5, i=size)),
        ),
    )
    agree(system, {"x": np.round(normal(size, 5, size) * 2) / 2})


@pytest.mark.parametrize("size", [1, 5, 16, 40])
@pytest.mark.parametrize("kind", ["max", "min", "argmax", "argmin", "sum"])
def test_reductions_see_every_nan(kind: str, size: int) -> None:
    """A NaN anywhere comes out; argmax points at the first one."""
    dtype = "int32" if kind.startswith("arg") else "float32"
    rows = np.repeat(normal(1, 1, size), size, 0)
    np.fill_diagonal(rows, np.nan)
    rows[:, -1] = np.where(np.arange(size) % 2, rows[:, -1], np.nan)
    system = System(
        (tensor("x", size, size), tensor("y", size, role="output", dtype=dtype)),
        (equation(element("y", "n"), reduction(kind, element("x", "n", "i"), i=size), n=size),),
    )
    agree(system, {"x": rows})


@pytest.mark.parametrize("columns", [5, 16, 40])
@pytest.mark.parametrize("sign", ["max", "min"])
def test_an_extreme_and_its_place_are_found_together(sign: str, columns: int) -> None:
    """One loop finds both, with ties and wherever a NaN stands."""
    x = element("x", "n", "i", "c")
    names = {"y": f"first{sign}", "p": f"arg{sign}"}
    system = System(
        (
            tensor("x", 3, 4, columns),
            tensor("y", 3, columns, role="output"),
            tensor("p", 3, columns, role="output", dtype="int32"),
        ),
        tuple(
            equation(element(t, "n", "c"), reduction(kind, x, i=4), n=3, c=columns)
            for t, kind in names.items()
        ),
    )
    numbers = np.round(normal(1, 3, 4, columns) * 2) / 2
    numbers[1, 1::2, ::3] = np.nan
    agree(system, {"x": numbers})
    text = compiler.compile(system, UNCACHED).explain("schedule")
    assert text.count("fold ") == text.count(f" = {sign} of") == text.count(f" = arg{sign} of")


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_numbers_are_compared_as_they_are(dtype: str) -> None:
    """Also with some that fewer bits cannot hold."""
    edges = [sign * (2**k + more) for k in (7, 15, 31) for sign in (-1, 1) for more in (-1, 0, 1)]
    targets = [f"y{k}" for k in range(len(edges))]
    system = System(
        (
            tensor("x", 37, dtype=dtype),
            *(tensor(t, 37, role="output", dtype="bool") for t in targets),
        ),
        tuple(
            equation(element(t, "n"), Call("<=", (element("x", "n"), expr(edge))), n=37)
            for t, edge in zip(targets, edges, strict=True)
        ),
    )
    given = [edge for edge in edges if abs(edge) < 2**31] or [0]
    agree(system, {"x": np.resize(given, 37).astype(dtype)})


def test_values_without_an_index_agree_in_every_part_of_a_loop() -> None:
    """What does not change along a loop is computed anew for its masked rest."""
    value = Call("exp", (element("v"),))
    equations = (
        equation(element("z", "i"), value, i=35),
        equation(element("y", "i"), Call("sqrt", (element("z", "i"),)), i=35),
    )
    tensors = (tensor("v"), *(tensor(n, 35, role="output") for n in "zy"))
    agree(System(tensors, equations), {"v": normal(1)})


def test_what_is_added_many_times_counts_many_times() -> None:
    """An index that stands neither in the place nor in the value repeats the addition."""
    own = equation(element("y", 1, "e"), element("x", "e"), add=True, n=13, e=3)
    system = System((tensor("x", 3), tensor("y", 5, 3, role="output")), (own,))
    agree(system, {"x": normal(1, 3)})


@pytest.mark.parametrize("channels", [(1, 5), (3, 16), (17, 33)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_windows_agree(channels: tuple[int, int], stride: int, padding: int) -> None:
    """Sums over windows with borders and steps, and their transposes."""
    inner, outer = channels
    height = 9
    result = (height + 2 * padding - 3) // stride + 1
    h, w, j = Index("h"), Index("w"), Index("j")
    window = element("x", h * stride + ROW - padding, w * stride + j - padding, "c")
    forward = reduction("sum", window * element("K", "i", "j", "c", "o"), i=3, j=3, c=inner)
    weights = reduction("sum", window * element("y", "h", "w", "o"), h=result, w=result)
    back = element("K", "i", "j", "c", "o") * element("y", h - ROW, w - j, "o")
    system = System(
        (
            tensor("x", height, height, inner),
            tensor("K", 3, 3, inner, outer),
            tensor("y", result, result, outer, role="output"),
            tensor("d", 3, 3, inner, outer, role="output"),
            tensor("e", height, height, inner, role="output"),
        ),
        (
            equation(element("y", "h", "w", "o"), forward, h=result, w=result, o=outer),
            equation(element("d", "i", "j", "c", "o"), weights, i=3, j=3, c=inner, o=outer),
            equation(
                element("e", "h", "w", "c"),
                reduction("sum", back, i=3, j=3, o=outer),
                h=height,
                w=height,
                c=inner,
            ),
        ),
    )
    agree(system, {"x": normal(1, height, height, inner), "K": normal(2, 3, 3, inner, outer)})


def test_long_sums_stay_accurate() -> None:
    """A hundred thousand float32 numbers of one sign add up as NumPy's pairwise sum does."""
    size = 100003
    system = System(
        (tensor("x", size, 3), tensor("y", 3, role="output"), tensor("z", role="output")),
        (
            equation(element("y", "j"), reduction("sum", element("x", "i", "j"), i=size), j=3),
            equation(element("z"), reduction("sum", element("x", "i", "j"), i=size, j=3)),
        ),
    )
    x = np.abs(normal(3, size, 3))
    results = compiler.compile(system, UNCACHED)({"x": x})
    truth = x.astype("float64").sum(0)
    assert np.abs(results["y"] / truth - 1).max() < 2e-6
    assert abs(results["z"] / truth.sum() - 1) < 2e-6


def _scalar(value: Expr, dtype: str = "int64") -> System:
    return System(
        (
            tensor("a", 40, dtype=dtype),
            tensor("b", 40, dtype=dtype),
            tensor("y", 40, role="output", dtype=dtype),
        ),
        (equation(element("y", "i"), value, i=40),),
    )


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32", "float64"])
@pytest.mark.parametrize("function", ["//", "%"])
def test_divisions_round_down_and_never_trap(function: str, dtype: str) -> None:
    """Floor division and remainder with all signs; by zero an integer gives 0."""
    a = np.arange(-20, 20).astype(dtype) * 3
    b = (np.arange(40) % 7 - 3).astype(dtype)
    if dtype.startswith("float"):
        b = b + np.asarray(0.25, dtype)
    system = _scalar(Call(function, (element("a", "i"), element("b", "i"))), dtype)
    results = compiler.compile(system, UNCACHED)({"a": a, "b": b})
    assert np.array_equal(results["y"], compiler.evaluate(system, {"a": a, "b": b})["y"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ["//", "%"])
def test_divisions_of_any_reals_agree_at_any_precision(function: str, dtype: str) -> None:
    """Infinities, zeros, NaN, quotients that are not exact: Python's answers, an infinite number has none."""
    values = [0, 0.5, 1, -1, 3, -7.25, 1e6 + 1, math.inf, -math.inf, math.nan]
    a, b = (np.array(v, dtype).ravel() for v in np.meshgrid(values, values))
    tensors = (*(tensor(n, 100, dtype=dtype) for n in "ab"),)
    own = equation(element("y", "i"), Call(function, (element("a", "i"), element("b", "i"))), i=100)
    system = System((*tensors, tensor("y", 100, role="output", dtype=dtype)), (own,))
    arrays = {"a": a, "b": b}
    result = compiler.compile(system, UNCACHED)(arrays)["y"]
    np.testing.assert_array_equal(result, compiler.evaluate(system, arrays)["y"])
    exact = compiler.evaluate(system, arrays, precision=30)["y"].astype(dtype)
    np.testing.assert_array_equal(result, exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainders_are_smaller_than_the_divisor(dtype: str) -> None:
    """Also where the quotient has more digits than the number."""
    generator = np.random.default_rng(0)
    a = (generator.standard_normal(40) * 10.0 ** generator.integers(0, 12, 40)).astype(dtype)
    b = generator.standard_normal(40).astype(dtype)
    system = _scalar(Call("%", (element("a", "i"), element("b", "i"))), dtype)
    result = compiler.compile(system, UNCACHED)({"a": a, "b": b})["y"]
    expected = compiler.evaluate(system, {"a": a, "b": b})["y"]
    np.testing.assert_allclose(result, expected, rtol=0, atol=float(np.finfo(dtype).eps))


@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_any_real_becomes_the_same_whole_number(source: str, dtype: str) -> None:
    """Towards zero; NaN is 0; what is too large is the largest of 64 bits, of which 32 are stored."""
    ends = [0.5, -1.99, 3e9, -3e9, 1e18, 1e19, -1e19, math.inf, -math.inf, math.nan, 2.0**31]
    a = np.resize(np.array(ends, source), 40)
    own = equation(element("y", "i"), element("a", "i"), i=40)
    tensors = (tensor("a", 40, dtype=source), tensor("y", 40, role="output", dtype=dtype))
    system = System(tensors, (own,))
    result = compiler.compile(system, UNCACHED)({"a": a})["y"]
    np.testing.assert_array_equal(result, compiler.evaluate(system, {"a": a})["y"])


def test_least_integer_by_minus_one() -> None:
    """The one quotient that does not fit wraps instead of ending the process."""
    system = _scalar(Call("//", (element("a", "i"), element("b", "i"))))
    least = np.full(40, -(2**63))
    results = compiler.compile(system, UNCACHED)({"a": least, "b": np.full(40, -1)})
    assert np.array_equal(results["y"], least)


def test_unselected_branches_never_leak() -> None:
    """NaN and inf of the branch not taken do not show."""
    x = element("x", "i")
    value = Call("where", (Call(">", (x, expr(0))), Call("log", (x,)), Constant("inf") * 0 + 1))
    system = System(
        (tensor("x", 33), tensor("y", 33, role="output")),
        (equation(element("y", "i"), value, i=33),),
    )
    results = compiler.compile(system, UNCACHED)({"x": np.linspace(-1, 1, 33, dtype="float32")})
    assert np.isfinite(results["y"][17:]).all()


def test_recurrence_agrees() -> None:
    """A loop over time with a matrix product inside, its window shorter than the loop."""
    t = Index("t")
    inner = reduction("sum", element("h", "n", t - 1, "j") * element("U", "j", "k"), j=17)
    system = System(
        (
            tensor("x", 3, 6, 17),
            tensor("U", 17, 17),
            tensor("h", 3, 6, 17, role="output"),
        ),
        (
            equation(
                element("h", "n", "t", "k"),
                Call("tanh", (element("x", "n", "t", "k") + inner,)),
                n=3,
                t=6,
                k=17,
            ),
        ),
    )
    agree(system, {"x": normal(1, 3, 6, 17), "U": normal(2, 17, 17) / 4})


def test_empty_tensors_compile() -> None:
    """No elements, no work: sums over nothing are 0, means NaN, maxima -inf."""
    x = element("x", "i", "j")
    system = System(
        (
            tensor("x", 3, 0),
            *(tensor(n, 3, role="output") for n in "abc"),
            tensor("d", 3, 0, role="output"),
        ),
        (
            equation(element("a", "i"), reduction("sum", x, j=0), i=3),
            equation(element("b", "i"), reduction("mean", x, j=0), i=3),
            equation(element("c", "i"), reduction("max", x, j=0), i=3),
            equation(element("d", "i", "j"), x * 2, i=3, j=0),
        ),
    )
    results = compiler.compile(system, UNCACHED)({"x": np.zeros((3, 0), "float32")})
    assert np.array_equal(results["a"], np.zeros(3))
    assert np.isnan(results["b"]).all()
    assert np.array_equal(results["c"], np.full(3, -np.inf))
    assert results["d"].shape == (3, 0)


def test_every_stage_can_be_explained() -> None:
    """Each stage has a text of its own; an unknown one is refused by name."""
    executable = compiler.compile(matrix_product(4, 5, 6), UNCACHED)
    names = list(stages(matrix_product(4, 5, 6), UNCACHED.settle()).texts)
    assert names[:2] == ["system", "stabilize"] and names[-2:] == ["emit", "assembly"]
    assert all(map(executable.explain, names))
    assert executable.explain().count("===") == 2 * len(names)
    with pytest.raises(compiler.CompilerError, match="unknown stage 'linker'"):
        executable.explain("linker")


def test_the_collector_is_left_as_it_was() -> None:
    """It rests while a program is compiled, and is at work afterwards if it was before, errors or not."""
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), uncollected():
        raise ZeroDivisionError
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_nobody_has_any_more_is_found_soon() -> None:
    """Objects in a circle, such as those of a dropped model, do not count as old because something was compiled."""
    circle: list[object] = []
    circle.append(circle)
    with uncollected():
        made = [circle]
    young = {id(each) for each in gc.get_objects(0)}
    assert {id(circle), id(made)} <= young
    gc.freeze()
    try:
        with uncollected():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
