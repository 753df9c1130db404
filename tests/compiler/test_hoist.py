"""Stage "hoist": each value is computed once, over the indices it depends on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from compiler.language.expression import Binder, Call, Element, Expr, Index, Reduce, expr
from compiler.language.notes import Note
from compiler.language.simplify import FALSE, TRUE, simplify
from compiler.language.system import Equation, System, Tensor
from compiler.language.text import expression_text
from compiler.language.validate import validate
from compiler.reference.interpret import evaluate
from compiler.rewriting.hoist import hoist
from compiler.rewriting.stabilize import stabilize

from ..systems import Case, cases

N, D = 3, 5
n, i, j, k, m = (Index(name) for name in "nijkm")
ROWS = (Binder(n, expr(N)),)
GRID = (*ROWS, Binder(i, expr(D)))


def f(function: str, *arguments: object) -> Call:
    """A call of expressions or numbers."""
    return Call(function, tuple(map(expr, arguments)))


def at(tensor: str, *subscripts: object) -> Element:
    """An element."""
    return Element(tensor, tuple(map(expr, subscripts)))


def total(body: Expr, index: Index, kind: str = "sum", size: int = D) -> Reduce:
    """A reduction over one index."""
    return Reduce(kind, body, (Binder(index, expr(size)),))


def define(target: str, value: Expr, binders: tuple[Binder, ...] = GRID) -> Equation:
    """``target[...] = value`` over all the binders."""
    return Equation(target, tuple(b.index for b in binders), binders, value)


def system(*equations: Equation, outputs: str = "y") -> System:
    """Equations over the inputs x, w: f32[3, 5] and v: f32[5, 5]."""
    inputs = [Tensor("x", (N, D), role="input"), Tensor("w", (N, D), role="input")]
    inputs.append(Tensor("v", (D, D), role="input"))
    tensors = [
        Tensor(
            q.target,
            tuple(q.extents[b.index] for b in q.indices),
            role="output" if q.target in outputs.split() else "local",
        )
        for q in equations
    ]
    return validate(System((*inputs, *tensors), equations))


def lines(before: System) -> list[str]:
    """The equations after the stage, as text; the stage leaves a valid system of equal values."""
    after = validate(hoist(before))
    generator = np.random.default_rng(0)
    shapes = {"x": (N, D), "w": (N, D), "v": (D, D)}
    arrays: dict[str, Any] = {
        name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }
    expected, found = (evaluate(s, arrays, "float64") for s in (before, after))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12)
    return [str(q).replace(":3", "").replace(":5", "") for q in after.equations]


# --- hoist ----------------------------------------------------------------------------------------


def test_row_values_get_equations() -> None:
    """A maximum and a sum per row are computed once per row, not once per element."""
    y = define("y", f("exp", at("x", n, i)) / total(f("exp", at("x", n, j)), j))
    assert lines(stabilize(system(y))) == [
        "y.max[n] = max[k](x[n, k])".replace("k", "j2"),
        "y.sum[n] = sum[j](exp(x[n, j] - y.max[n]))",
        "y[n, i] = exp(x[n, i] - y.max[n])/y.sum[n]",
    ]


def test_mean_and_variance_are_linear() -> None:
    """A mean inside the body of a variance is its own equation, shared with the one outside."""

    def mean(body: Expr, index: Index) -> Expr:
        return total(body, index, "mean")

    average = mean(at("x", n, j), j)
    variance = mean((at("x", n, k) - mean(at("x", n, m), m)) ** 2, k)
    y = define("y", (at("x", n, i) - average) / f("sqrt", variance + 1))
    assert lines(system(y)) == [
        "y.sum[n] = sum[j](x[n, j])/5",
        "y.sum2[n] = sqrt(sum[k]((x[n, k] - y.sum[n])**2)/5 + 1)",
        "y[n, i] = (x[n, i] - y.sum[n])/y.sum2[n]",
    ]


def test_nested_reduction_is_hoisted() -> None:
    """A sum inside a sum is an equation of its own, though it depends on all indices around it."""
    inner = total(at("x", n, j) * at("v", j, k), j)
    y = define("y", total(f("tanh", inner) * at("w", n, k), k), ROWS)
    assert lines(system(y)) == [
        "y.sum[n, k] = sum[j](x[n, j]*v[j, k])",
        "y[n] = sum[k](tanh(y.sum[n, k])*w[n, k])",
    ]


def test_expensive_factor_is_hoisted_out_of_a_contraction() -> None:
    """exp(x[n, j]) in a sum over j for every i is computed once per n and j."""
    y = define("y", total(f("exp", at("x", n, j)) * at("v", j, i), j))
    assert lines(system(y)) == [
        "y.exp[n, j] = exp(x[n, j])",
        "y[n, i] = sum[j](y.exp[n, j]*v[j, i])",
    ]


def test_reduction_of_two_equations_is_shared() -> None:
    """The same contraction in two equations, with other names of indices, is computed once."""
    y = define("y", f("tanh", total(at("x", n, j) * at("v", j, i), j)))
    z = define("z", total(at("x", n, m) * at("v", m, i), m) + 1)
    assert lines(system(y, z, outputs="y z")) == [
        "y.sum[n, i] = sum[j](x[n, j]*v[j, i])",
        "y[n, i] = tanh(y.sum[n, i])",
        "z[n, i] = y.sum[n, i] + 1",
    ]


def test_existing_equation_is_read() -> None:
    """A reduction that an equation defines already is read there, transposed if need be."""
    s = define("s", total(at("v", i, j) * at("x", n, j), j), GRID[::-1])
    y = define("y", f("tanh", total(at("v", i, j) * at("x", n, j), j)))
    assert lines(system(s, y, outputs="s y")) == [
        "s[i, n] = sum[j](v[i, j]*x[n, j])",
        "y[n, i] = tanh(s[i, n])",
    ]


def test_hoist_declines_for_cheap_parts() -> None:
    """A product that depends on fewer indices is not worth an equation."""
    y = define("y", at("x", n, 0) * at("w", n, 1) * at("v", i, 0))
    assert hoist(system(y)) == system(y)


def test_hoist_declines_for_a_contraction_alone() -> None:
    """A reduction over all indices of its equation stays where it is, with what is added to it."""
    y = define("y", total(at("x", n, j) * at("v", j, i), j) + at("v", 0, i))
    assert hoist(system(y)) == system(y)


# --- share, drop ----------------------------------------------------------------------------------


def test_equal_equations_become_one() -> None:
    """Readers of the second of two equal tensors read the first, and so on down the line."""
    a = define("a", at("x", n, i) + at("w", n, i))
    b = define("b", at("x", n, i) + at("w", n, i))
    c, d = define("c", f("tanh", at("a", n, i))), define("d", f("tanh", at("b", n, i)))
    y = define("y", at("c", n, i) * at("d", n, i))
    assert lines(system(y, d, c, b, a)) == [
        "y[n, i] = c[n, i]*c[n, i]",
        "c[n, i] = tanh(a[n, i])",
        "a[n, i] = x[n, i] + w[n, i]",
    ]


def test_copies_are_read_at_their_source() -> None:
    """A copy of the same shape disappears; its readers keep reading zero outside."""
    c = define("c", at("x", n, i))
    y = define("y", at("c", n, i - 1))
    assert lines(system(c, y)) == ["y[n, i] = x[n, i - 1]"]


def test_hoist_declines_to_forward_a_part() -> None:
    """A shifted copy is no copy: it is zero where its source is not."""
    c = define("c", at("x", n, i + 1))
    y = define("y", at("c", n, i - 1))
    assert len(lines(system(c, y))) == 2


def test_outputs_keep_their_equations() -> None:
    """Two equal outputs are both given, the contraction being computed once."""
    y, z = (define(t, total(at("x", n, j) * at("v", j, i), j)) for t in ("y", "z"))
    assert lines(system(y, z, outputs="y z")) == [
        "y[n, i] = sum[j](x[n, j]*v[j, i])",
        "z[n, i] = y[n, i]",
    ]


def test_dead_equations_are_dropped() -> None:
    """What neither outputs nor updates need goes, and is noted."""
    notes: list[Note] = []
    after = hoist(system(define("d", at("x", n, i) + 1), define("y", at("w", n, i) + 1)), notes)
    assert [q.target for q in after.equations] == ["y"]
    assert "d" not in after.by_name
    assert [str(note) for note in notes] == ["hoist: d: nothing needs it"]


# --- simplify -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (at("x", n, i) * 1 + 0, "x[n, i]"),
        (at("x", n, i) / 1, "x[n, i]"),
        (f("neg", f("neg", at("x", n, i))), "x[n, i]"),
        (at("x", n, i) * (expr(1) / 4), "x[n, i]*0.25"),
        (at("x", n, i) * 0, "x[n, i]*0"),
        (at("x", n, i) + expr(0) * f("tanh", 0), "x[n, i]"),
        (at("x", n, i) * f("exp", 0), "x[n, i]"),
        (f("exp", 1), "exp(1)"),
        (at("x", n, i) - at("x", n, i), "x[n, i] - x[n, i]"),
        (f("max", 0, at("x", n, i)), "max(0, x[n, i])"),
        (f("max", 0, i), "i"),
        (f("min", i - 4, 0), "i - 4"),
        (at("x", n, (2 * i + 1) // 2), "x[n, i]"),
        (at("x", n, i % 5), "x[n, i]"),
        (at("x", n, (i * 3 + n) % 3), "x[n, n]"),
        (f("where", f("<=", 0, i), at("x", n, i), 0), "x[n, i]"),
        (f("where", f("and", f("<=", 0, i), f("<", i, 4)), 1, 0), "where(i < 4, 1, 0)"),
        (f("where", f("==", i, i + 7), 1, at("x", n, i)), "x[n, i]"),
        (f("where", f("not", f("<", i, 5)), 1, at("x", n, i)), "x[n, i]"),
        (total(at("x", n, j), j, "mean"), "sum[j:5](x[n, j])/5"),
        (total(at("x", n, 5 * j + i), j, "max", 1), "x[n, i]"),
        (total(at("x", n, j), j, "argmax", 1), "0"),
        (expr(7) // 0, "7 // 0"),
    ],
    ids=str,
)
def test_simplify(before: Expr, after: str) -> None:
    """Numbers, neutral elements, integers and decided conditions go; NaN is never simplified away."""
    tensors = {"x": Tensor("x", (N, D))}
    assert expression_text(simplify(before, {n: expr(N), i: expr(D)}, tensors)) == after


@pytest.mark.parametrize("function", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("distance", range(-6, 7))
def test_comparisons_are_decided_rightly(function: str, distance: int) -> None:
    """A comparison of i and i2 + d is decided just when it has one answer for all values."""
    compare = {
        "<": int.__lt__,
        "<=": int.__le__,
        ">": int.__gt__,
        ">=": int.__ge__,
        "==": int.__eq__,
        "!=": int.__ne__,
    }[function]
    answers = {compare(a, b + distance) for a in range(D) for b in range(N)}
    e = simplify(f(function, i, n + distance), {n: expr(N), i: expr(D)}, {})
    assert (e in (TRUE, FALSE)) == (len(answers) == 1)
    assert e not in (TRUE, FALSE) or (e == TRUE) in answers


# --- properties -----------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(cases())
def test_values_are_kept(case: Case) -> None:
    """Any system has the same values after the stage, is valid, and a second run changes nothing."""
    after = validate(hoist(case.system))
    expected, found = (evaluate(s, case.arrays, "float64") for s in (case.system, after))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9)
    assert hoist(after) == after


def test_time_is_linear() -> None:
    """A chain of 400 equal layers gives 400 times the equations of one, found without recursion."""
    chain = [define("h0", at("x", n, i))]
    for layer in range(1, 400):
        row = total(at(f"h{layer - 1}", n, j), j)
        chain.append(define(f"h{layer}", at(f"h{layer - 1}", n, i) / row))
    after = hoist(system(*chain, outputs="h399"))
    assert len(after.equations) == 2 * 399


def test_constants_are_read_as_numbers() -> None:
    """A tensor that is one number everywhere needs no memory, and its readers do not wait for it."""
    whole = system(define("c", expr(0.25)), define("y", at("c", n, i) * at("x", n, i)))
    assert lines(whole) == ["y[n, i] = 0.25*x[n, i]"]


def test_constants_stay_where_a_read_may_lie_outside() -> None:
    """Before the first column there is zero, not the constant."""
    outside = system(define("c", expr(0.25)), define("y", at("c", n, i - 1) * at("x", n, i)))
    assert [line[0] for line in lines(outside)] == ["c", "y"]


def test_constants_stay_where_they_are_whole_numbers() -> None:
    """A real 7 is not the integer 7: 7/2 and 7//2 differ."""
    whole = system(define("c", expr(7)), define("y", at("c", n, i) + at("x", n, i)))
    assert "c" in [q.target for q in hoist(whole).equations]
    square = system(define("c", expr(7)), define("y", at("c", n, i) * at("c", n, i) / 2))
    assert "c" in [q.target for q in hoist(square).equations]


def test_constant_factors_of_what_is_real_are_read_as_numbers() -> None:
    """A gradient of ones costs no pass over memory, and what it is multiplied with is no copy."""
    ones = system(
        define("c", expr(1)),
        define("g", at("c", n, i) * at("x", n, i)),
        define("y", f("exp", at("g", n, i))),
    )
    assert lines(ones) == ["y[n, i] = exp(x[n, i])"]


def test_constants_stay_where_the_reader_is_more_precise() -> None:
    """What was rounded to float32 is not the number that was written."""
    rounded = system(define("c", expr(0.1)), define("y", at("c", n, i) * at("x", n, i)))
    wide = tuple(replace(t, dtype="float64") if t.name == "y" else t for t in rounded.tensors)
    assert "c" in [q.target for q in hoist(replace(rounded, tensors=wide)).equations]
