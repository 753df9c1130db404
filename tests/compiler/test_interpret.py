"""The reference evaluator: compared with NumPy, with loops, and with itself at other precisions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

import compiler
from compiler.errors import ArrayError, CompilerError
from compiler.language.expression import (
    FUNCTIONS,
    REDUCTIONS,
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    expr,
)
from compiler.language.system import Equation, System, Tensor
from compiler.language.validate import validate
from compiler.reference import interpret
from compiler.reference.interpret import evaluate

from ..systems import Case, cases

n, i, j, k, t = (Index(name) for name in "nijkt")
PRECISIONS = (None, "float64", 30)


def f(function: str, *arguments: object) -> Call:
    """A call of expressions or numbers."""
    return Call(function, tuple(map(expr, arguments)))


def at(tensor: str, *subscripts: object) -> Element:
    """An element."""
    return Element(tensor, tuple(map(expr, subscripts)))


def over(**sizes: int) -> tuple[Binder, ...]:
    """Binders with sizes."""
    return tuple(Binder(Index(name), expr(size)) for name, size in sizes.items())


def define(target: str, value: Expr, **sizes: int) -> Equation:
    """``target[...] = value`` over all the indices."""
    return Equation(target, tuple(map(Index, sizes)), over(**sizes), value)


def run(
    *equations: Equation, precision: str | int | None = None, dtype: str = "", **arrays: Any
) -> np.ndarray:
    """The target of the last equation, from arrays whose shapes and dtypes are those of the inputs."""
    given = {name: np.asarray(a) for name, a in arrays.items()}
    tensors = [Tensor(name, a.shape, str(a.dtype), "input") for name, a in given.items()]
    real = next((t.dtype for t in tensors if t.dtype.startswith("float")), "float32")
    targets = dict.fromkeys(q.target for q in equations)
    for target in targets:
        shape = next(
            tuple(q.extents[s] for s in q.subscripts if isinstance(s, Index))
            for q in equations
            if q.target == target
        )
        tensors.append(Tensor(target, shape, dtype or real, "output"))
    return evaluate(System(tuple(tensors), equations), given, precision)[equations[-1].target]


def scalar(
    e: Expr, precision: str | int | None = None, dtype: str = "float32", **values: Any
) -> Any:
    """One expression of scalars, in float64."""
    equation = Equation("y", (), (), e)
    tensors = [Tensor(name, (), str(np.asarray(v).dtype), "input") for name, v in values.items()]
    system = System((*tensors, Tensor("y", (), dtype, "output")), (equation,))
    result = evaluate(system, {name: np.asarray(v) for name, v in values.items()}, precision)["y"]
    return result if dtype == "bool" else float(result)


# --- functions ------------------------------------------------------------------------------------

POINTS = (-math.inf, -3.5, -2.5, -1.0, -0.25, 0.0, 0.5, 1.0, 1.5, 4.0, math.inf, math.nan)
ORACLE = {
    "exp": np.exp,
    "log": np.log,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": np.vectorize(math.erf),
    "erfc": np.vectorize(math.erfc),
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "round": np.rint,
    "max": np.maximum,
    "min": np.minimum,
    "where": lambda c, a, b: np.where(c != 0, a, b),
    "**": np.power,
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": lambda a, b: np.floor(a / b),
    "%": lambda a, b: a - b * np.floor(a / b),
    "neg": np.negative,
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("function", list(ORACLE))
def test_functions(function: str, precision: str | int | None) -> None:
    """Every function has IEEE's value at ordinary points, zero, infinities and NaN, in every mode."""
    count = FUNCTIONS.get(function) or (1 if function == "neg" else 2)
    points = np.array(list(itertools.product(POINTS, repeat=count)))
    if function in ("//", "%"):
        points = points[np.isfinite(points).all(1) & (points[:, -1] != 0)]
    value = Call(function, tuple(at("x", n, column) for column in range(count)))
    y = run(define("y", value, n=len(points)), precision=precision, x=points)
    with np.errstate(all="ignore"):
        expected = ORACLE[function](*points.T)
    np.testing.assert_allclose(y.astype(float), expected, rtol=1e-13, atol=1e-13)


def test_every_function_is_tested() -> None:
    """The table above has all scalar functions of real arguments; random numbers are tested in test_philox.py."""
    assert set(FUNCTIONS) <= {*ORACLE, "uniform"}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("row", [[1.0, 3.0, 3.0], [2.0, math.nan, 5.0], [-1.0, -1.0, -4.0], []])
def test_reductions(kind: str, row: list[float], precision: str | int | None) -> None:
    """Every reduction agrees with NumPy, at ties, with a NaN, and over nothing."""
    x = np.array([row])
    y = run(
        define("y", Reduce(kind, at("x", n, j), over(j=len(row))), n=1), precision=precision, x=x
    )
    empty = {"sum": 0, "prod": 1, "mean": math.nan, "max": -math.inf, "min": math.inf}
    name = kind.removeprefix("first")
    expected = getattr(np, name)(row) if row else empty.get(name, 0)
    np.testing.assert_array_equal(y.astype(float), [expected])


def test_argmax_counts_row_major() -> None:
    """argmax over two indices is the position in the flattened block, the first of equals."""
    x = np.array([[1, 5, 2], [5, 0, 5]], np.float32)
    y = run(define("y", Reduce("argmax", at("x", i, j), over(i=2, j=3))), dtype="int64", x=x)
    assert y == 1
    y = run(define("y", Reduce("argmax", at("x", i, j), over(j=3, i=2))), dtype="int64", x=x)
    assert y == 1  # column by column: 1 5 | 5 0 | 2 5


@pytest.mark.parametrize("precision", PRECISIONS)
def test_where_hides_the_other_branch(precision: str | int | None) -> None:
    """A NaN or an infinity in the branch not taken never shows, in any precision."""
    x = np.array([-1.0, 0.0, 4.0])
    value = f("where", f(">", at("x", n), 0), f("log", at("x", n)), 1 / f("min", at("x", n), 0) * 0)
    y = run(define("y", value, n=3), precision=precision, x=x).astype(float)
    np.testing.assert_allclose(y, [0, np.nan, math.log(4)], atol=1e-30)


def test_integers() -> None:
    """// floors, % has the sign of the divisor, both are 0 where the divisor is 0."""
    a, b = (g.ravel() for g in np.meshgrid(np.arange(-7, 8), np.arange(-3, 4)))
    for function in ("//", "%"):
        y = run(define("y", f(function, at("a", n), at("b", n)), n=a.size), dtype="int64", a=a, b=b)
        expected = [eval_integer(function, int(p), int(q)) for p, q in zip(a, b, strict=True)]
        np.testing.assert_array_equal(y, expected)


def eval_integer(function: str, a: int, b: int) -> int:
    """Python's own floor division and remainder."""
    return 0 if b == 0 else a // b if function == "//" else a % b


def test_types_of_expressions() -> None:
    """Integers stay exact beyond float32, / leaves them, comparisons are bool and count as 0 or 1."""
    big = np.int64(2**24 + 1)
    assert scalar(at("a") + 0, dtype="int64", a=big) == 2**24 + 1
    assert scalar(at("a") * 1.0 / 2, dtype="float64", a=big) == (2**24 + 1) / 2
    assert scalar(expr(7) / 2) == 3.5
    assert scalar(f(">", at("a"), 3), dtype="bool", a=big)
    assert scalar(f(">", at("a"), 3) + f("<", 1, 2), dtype="int64", a=big) == 2
    assert scalar(f("and", f(">", 1, 0), f("not", f(">", 0, 1))), dtype="bool")


def test_float32_is_computed_in_float32() -> None:
    """Without a precision each operation rounds to float32; float64 and digits do not."""
    x = np.float32(1e-4)
    value = (at("x") + 1) - 1
    assert scalar(value, x=x) == np.float32(1) + x - np.float32(1)
    assert scalar(value, "float64", x=x) == 1.0 + float(x) - 1.0
    assert scalar(value, 30, x=x) == float(x)


def test_constants() -> None:
    """pi and inf, in every precision."""
    for precision in PRECISIONS:
        assert scalar(Constant("pi"), precision, "float64") == math.pi
        assert scalar(-Constant("inf"), precision) == -math.inf


def test_digits() -> None:
    """With 60 digits, exp(1) has 60 digits."""
    system = System((Tensor("y", (), "float64", "output"),), (define("y", f("exp", 1)),))
    result = evaluate(system, {}, 60)["y"].item()
    assert mpmath.nstr(result, 60).startswith("2.7182818284590452353602874713526624977572470")


# --- tensors --------------------------------------------------------------------------------------


def test_contraction_with_window() -> None:
    """A strided window reads zero outside, as the loops written out do."""
    generator = np.random.default_rng(0)
    x, w = generator.normal(size=(2, 7)), generator.normal(size=3)
    value = Reduce("sum", at("x", n, 2 * i + j - 1) * at("w", j), over(j=3))
    y = run(define("y", value, n=2, i=4), x=x, w=w)
    expected = np.zeros((2, 4))
    for a, b, c in itertools.product(range(2), range(4), range(3)):
        if 0 <= 2 * b + c - 1 < 7:
            expected[a, b] += x[a, 2 * b + c - 1] * w[c]
    np.testing.assert_allclose(y, expected)


def test_parts_of_a_large_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed in parts or at once, the values are the same, bit for bit."""
    x = np.random.default_rng(0).normal(size=(17, 13)).astype(np.float32)
    value = Reduce("sum", at("x", n, j) * at("x", i, j), over(j=13))
    whole = run(define("y", value, n=17, i=17), x=x)
    monkeypatch.setattr(interpret, "POSITIONS", 60)
    np.testing.assert_array_equal(run(define("y", value, n=17, i=17), x=x), whole)


def test_recurrences_run_both_ways() -> None:
    """h[t] from h[t-1] and h[t] from h[t+1] are the loops forward and backward."""
    x = np.random.default_rng(0).normal(size=9)
    for step in (-1, 1):
        y = run(define("h", at("h", t + step) * 0.5 + at("x", t), t=9), x=x)
        expected, last = np.zeros(9), 0.0
        for place in range(9)[::-step]:
            last = expected[place] = last * 0.5 + x[place]
        np.testing.assert_allclose(y, expected)


def test_recurrence_with_an_initial_value() -> None:
    """h[0] = a, h[t+1] = h[t]*x[t]: two equations store disjoint parts of one tensor."""
    x = np.arange(1.0, 5.0)
    first = Equation("h", (expr(0),), (), expr(2))
    rest = Equation("h", (t + 1,), over(t=4), at("h", t) * at("x", t))
    system = System(
        (Tensor("x", (4,), "float64", "input"), Tensor("h", (5,), "float64", "output")),
        (rest, first),
    )
    np.testing.assert_array_equal(evaluate(system, {"x": x})["h"], [2, 2, 4, 12, 48])


@pytest.mark.parametrize(
    "value", [at("y", n) * 0.5 + 1, at("y", n) * 0, f("max", at("y", n), 0), at("y", 3 - n) + 1]
)
def test_interpret_declines_cycles_without_foundation(value: Expr) -> None:
    """A value that depends on itself is refused, even where sweeps would settle."""
    with pytest.raises(CompilerError, match="depends on itself"):
        run(define("y", value, n=4))


def test_accumulate_adds_into_the_plain_equations() -> None:
    """y[c[n]] += x[n] adds into what y is else, several times where c repeats."""
    plain = define("y", expr(10), k=3)
    more = Equation("y", (at("c", n),), over(n=4), at("x", n), accumulate=True)
    tensors = (
        Tensor("c", (4,), "int64", "input"),
        Tensor("x", (4,), "float32", "input"),
        Tensor("y", (3,), "float32", "output"),
    )
    arrays = {"c": np.array([0, 2, 2, 2]), "x": np.array([1, 2, 3, 4], np.float32)}
    y = evaluate(System(tensors, (more, plain)), arrays)["y"]
    np.testing.assert_array_equal(y, [11, 10, 19])


def test_accumulate_into_a_scalar() -> None:
    """y += x[n] adds all elements."""
    more = Equation("y", (), over(n=4), at("x", n), accumulate=True)
    tensors = (Tensor("x", (4,), "float32", "input"), Tensor("y", (), "float32", "output"))
    x = np.arange(4, dtype=np.float32)
    for precision in PRECISIONS:
        assert evaluate(System(tensors, (more,)), {"x": x}, precision)["y"] == 6


def test_states_take_their_new_values_at_once() -> None:
    """Two states may swap; what is given is not changed."""
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    tensors = tuple(Tensor(name, (2,), "float64", "parameter") for name in "ab")
    system = System(tensors, (), (("a", "b"), ("b", "a")))
    result = evaluate(system, {"a": a, "b": b})
    np.testing.assert_array_equal(result["a"], [3, 4])
    np.testing.assert_array_equal(result["b"], [1, 2])
    np.testing.assert_array_equal(a, [1, 2])


# --- refusals -------------------------------------------------------------------------------------

SYSTEM = System(
    (
        Tensor("x", (2, 3), "float32", "input"),
        Tensor("c", (2,), "int64", "input"),
        Tensor("y", (2,), "float32", "output"),
    ),
    (define("y", at("x", n, at("c", n)), n=2),),
)
X, C = np.zeros((2, 3), np.float32), np.array([0, 2])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"c: expected an array for c: i64\[2\] input, got none"),
        ({"x": X[0], "c": C}, r"x: expected x: f32\[2, 3\] input, got float32\[3\]"),
        ({"x": X.astype(np.float64), "c": C}, r"x: expected .*, got float64\[2, 3\]"),
        ({"x": X, "c": C, "z": X}, "z: expected one of x, c, got an unknown name"),
    ],
)
def test_wrong_arrays_are_refused(arrays: dict[str, Any], message: str) -> None:
    """The tensor, what it expects and what it got are named."""
    with pytest.raises(ArrayError, match=message):
        evaluate(SYSTEM, arrays)


def test_subscripts_out_of_range_are_refused() -> None:
    """A class outside its range is an IndexError that names tensor, position, value and range."""
    with pytest.raises(IndexError, match=r"c\[1\] is 3, .* of x only 0 to 2"):
        evaluate(SYSTEM, {"x": X, "c": np.array([0, 3])})


@pytest.mark.parametrize(
    ("equation", "cause"),
    [
        (define("z", expr(1)), "z is no tensor"),
        (define("x", expr(1), n=2, i=3), "no equation may define it"),
        (define("y", expr(1)), "y has 1 axes but 0 subscripts"),
        (define("y", at("x", n), n=2), "x has 2 axes but 1 subscripts"),
        (define("y", at("q", n), n=2), "q is no tensor"),
        (define("y", at("x", n, n**2), n=2), r"a subscript of x is an integer, n\*\*2 is none"),
        (define("y", at("x", n, at("x", n, n)), n=2), "a subscript of x is an integer"),
        (define("y", i + 1, n=2), "index i has no size"),
        (define("y", Symbol("s"), n=2), "s is not a number yet"),
        (define("y", Size("x", 0), n=2), "dim.* is not a number yet"),
        (define("y", Constant("e"), n=2), "e is no constant"),
        (define("y", f("cosh", 1), n=2), "cosh does not take 1 arguments"),
        (define("y", f("where", 1, 2), n=2), "where does not take 2 arguments"),
        (define("y", Reduce("median", j, over(j=2)), n=2), "median is no reduction"),
        (define("y", Reduce("sum", j, (Binder(j, None),)), n=2), "index j has no size"),
        (Equation("y", (n,), (*over(n=2), *over(n=2)), expr(1)), "listed twice"),
        (Equation("y", (n,), ((Binder(n, Number(expr(1).value / 2))),), expr(1)), "no size"),  # type: ignore[attr-defined]
    ],
)
def test_validate_names_equation_and_cause(equation: Equation, cause: str) -> None:
    """A system that is not valid is refused with the equation and what is wrong with it."""
    with pytest.raises(CompilerError, match=cause) as error:
        validate(System(SYSTEM.tensors, (equation,)))
    assert equation.target in str(error.value)


@pytest.mark.parametrize(
    ("tensors", "updates", "cause"),
    [
        ((Tensor("x", (1,)), Tensor("x", (1,))), (), "two tensors have this name"),
        ((Tensor("a b", (1,)),), (), "is not a name"),
        ((Tensor("x", (1,), "float16"),), (), "expected a dtype"),
        ((Tensor("x", (1,), role="weight"),), (), "expected a role"),
        ((Tensor("x", (-1,)),), (), "whole numbers"),
        ((Tensor("x", (1,)), Tensor("z", (1,))), (("x", "z"),), "only a parameter"),
        ((Tensor("x", (1,), role="parameter"), Tensor("z", (2,))), (("x", "z"),), "has shape"),
        ((Tensor("x", (1,), role="parameter"),), (("x", "z"),), "z is no tensor"),
        ((Tensor("x", (1,), role="parameter"),), (("x", "x"), ("x", "x")), "updated twice"),
    ],
)
def test_validate_names_tensors_and_updates(
    tensors: tuple[Tensor, ...], updates: tuple[tuple[str, str], ...], cause: str
) -> None:
    """Names, dtypes, roles, shapes and updates are looked at too."""
    with pytest.raises(CompilerError, match=cause):
        validate(System(tensors, (), updates))


# --- properties -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(cases())
def test_precisions_agree(case: Case) -> None:
    """float32 is float64 up to its rounding, in values and in which of them are there."""
    coarse, fine = evaluate(case.system, case.arrays), evaluate(case.system, case.arrays, "float64")
    assert list(coarse) == list(fine)
    for name, value in fine.items():
        assert np.isfinite(value).all()
        np.testing.assert_allclose(coarse[name], value, rtol=1e-3, atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(cases(volume=20))
def test_digits_agree(case: Case) -> None:
    """float64 is 30 digits up to its rounding."""
    fine, exact = (evaluate(case.system, case.arrays, p) for p in ("float64", 30))
    for name, value in fine.items():
        np.testing.assert_allclose(value, exact[name].astype(float), rtol=1e-9, atol=1e-9)


def test_reals_become_whole_numbers_as_in_compiled_code() -> None:
    """NaN is 0, what does not fit is the largest or least; both evaluators."""
    reals = np.array([1e20, np.nan, -np.inf, -1.9, 2.9], "float32")
    system = System(
        (Tensor("x", (5,), "float32", "input"), Tensor("y", (5,), "int64", "output")),
        (
            Equation(
                "y", (Index("i"),), (Binder(Index("i"), expr(5)),), Element("x", (Index("i"),))
            ),
        ),
    )
    expected = [2**63 - 1, 0, -(2**63), -1, 2]
    assert evaluate(system, {"x": reals})["y"].tolist() == expected
    assert compiler.compile(system)({"x": reals})["y"].tolist() == expected
