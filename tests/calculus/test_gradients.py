"""Derived gradients: exact, in textbook form, and read back from their own text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from graphnn.calculus.derive import derive
from graphnn.notation import parse, resolve, resolved_text, symbolic

from .numeric import directional_error, gradients, symbolic_gradient
from .operations import OPERATIONS, Case
from .random_gradients import gradient_shapes, random_error


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient_is_the_derivative(name: str) -> None:
    """Along a random direction the gradient agrees with 50-digit differences of the formula to 1e-12."""
    assert directional_error(OPERATIONS[name]) < 1e-12


def test_textbook_forms(golden: Callable[[str, str], None]) -> None:
    """Gradients come out as people write them."""
    blocks = []
    for name, case in OPERATIONS.items():
        blocks.append(f"{name}\n{case.text}\n\n{resolved_text(symbolic_gradient(case))}\n")
    golden("calculus/gradients", "\n\n".join(blocks))


def gradient_of(text: str) -> str:
    return resolved_text(derive(symbolic(parse(text))))


@pytest.mark.parametrize(
    ("text", "gradient"),
    [
        ("y[...] = max(0, x[...])", "d_x[...] = where(x[...] > 0, g_y[...], 0)"),
        ("y[...] = 1/(1 + exp(-x[...]))", "d_x[...] = g_y[...]*y[...]*(1 - y[...])"),
        (
            "y[...] = (exp(x[...]) - exp(-x[...]))/(exp(x[...]) + exp(-x[...]))",
            "d_x[...] = g_y[...]*(1 - y[...]**2)",
        ),
        (
            "y[..., i] = exp(x[..., i])/sum[j](exp(x[..., j]))",
            "d_x[..., i] = y[..., i]*(g_y[..., i] - sum[j](g_y[..., j]*y[..., j]))",
        ),
        ("y[...] = log(1 + exp(x[...]))", "d_x[...] = g_y[...]*sigmoid(x[...])"),
        (
            "y[n, h, w, c] = mean[i:2, j:2](x[n, 2*h + i, 2*w + j, c])",
            "d_x[n, a:dim(x, 1), b:dim(x, 2), c] = g_y[n, a // 2, b // 2, c]/4",
        ),
    ],
)
def test_famous_gradients(text: str, gradient: str) -> None:
    """The formulas of the guide have the gradients of the textbooks."""
    assert gradient_of(text) == gradient


def test_softmax_with_cross_entropy_is_one_formula() -> None:
    """p - t where t is known to sum to one, and the exact p*sum(t) - t where nothing is known."""
    text = (
        "p[..., i] = exp(x[..., i])/sum[j](exp(x[..., j]))\n"
        "L = -mean[...](sum[i](t[..., i]*log(p[..., i])))"
    )
    plain, known = gradient_of(text), gradient_of(text + "\nassert sum[i](t[..., i]) == 1")
    assert "d_x[..., i] = g_L*(p[..., i] - t[..., i])/dim(x, ...)" in known
    assert "d_x[..., i] = g_L*(p[..., i]*sum[j](t[..., j]) - t[..., i])/dim(x, ...)" in plain


def test_sparse_labels_have_no_gradient() -> None:
    """What serves as a subscript is a whole number; with softmax the rest is p - [t == i]."""
    text = "p[..., i] = exp(x[..., i])/sum[j](exp(x[..., j]))\nL = -mean[...](log(p[..., t[...]]))"
    assert gradient_of(text) == (
        "d_x[..., i] = g_L*(p[..., i] - where(t[...] == i, 1, 0))/dim(x, ...)"
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_text_is_read_back(name: str) -> None:
    """The printed gradient parses, and prints again as the same text but for names of equal sizes."""
    text = resolved_text(symbolic_gradient(OPERATIONS[name]))
    again = resolved_text(symbolic(parse(text, OPERATIONS[name].attributes)))
    assert [line.split("[")[0] for line in again.splitlines()] == [
        line.split("[")[0] for line in text.splitlines()
    ]


def slope_at(text: str, points: list[float]) -> list[float]:
    case = Case(text, {"x": (len(points),)})
    found = gradients(case, {"x": np.array(points)}, {"g_y": np.ones(len(points))})
    return [float(v) for v in found["d_x"]]


@pytest.mark.parametrize(
    ("function", "slopes"),
    [
        ("max(0, x[i])", [0, 0, 1]),
        ("max(x[i], 0)", [0, 1, 1]),
        ("max(0.25*x[i], x[i])", [0.25, 0.25, 1]),
        ("min(x[i], 1)", [1, 1, 0]),
        ("abs(x[i])", [-1, 0, 1]),
        ("sign(x[i])", [0, 0, 0]),
        ("floor(x[i])", [0, 0, 0]),
        ("round(x[i])", [0, 0, 0]),
    ],
)
def test_kinks(function: str, slopes: list[float]) -> None:
    """At a kink the first of equals wins; what jumps has slope zero (at -2, 0 and 2)."""
    assert slope_at(f"y[i] = {function}", [-2.0, 0.0, 2.0]) == slopes


def test_root_of_zero_is_infinitely_steep() -> None:
    """sqrt'(0) = inf."""
    assert slope_at("y[i] = sqrt(x[i])", [0.0]) == [float("inf")]


@pytest.mark.parametrize(("kind", "shares"), [("max", [0, 0.5, 0.5]), ("firstmax", [0, 1, 0])])
def test_ties(kind: str, shares: list[float]) -> None:
    """A tie is split evenly by max; firstmax gives all to the first."""
    case = Case(f"y = {kind}[i](x[i])", {"x": (3,)})
    found = gradients(case, {"x": np.array([1.0, 2.0, 2.0])}, {"g_y": np.array(1.0)})
    assert [float(v) for v in found["d_x"]] == shares


def test_unselected_branch_never_leaks() -> None:
    """log(0) and 1/0 in a branch not taken leave the gradient finite."""
    assert slope_at("y[i] = where(x[i] > 0, log(x[i]) + 1/x[i], 0)", [0.0, -1.0]) == [0, 0]


@pytest.mark.parametrize(
    ("formula", "slope"),
    [
        ("x[i]*log(x[i])", 2),
        ("log(x[i])*x[i]", 2),
        ("3*x[i]*log(x[i])", 6),
        ("x[i]**2*log(x[i])", 2 * np.e + np.e),
        ("sqrt(x[i])*log(x[i])", 1.5 / np.sqrt(np.e)),
    ],
)
def test_zero_times_log_of_zero_has_slope_zero(formula: str, slope: float) -> None:
    """By the convention, and not 0/0, also where both are one operand; at e it is the derivative."""
    assert slope_at(f"y[i] = {formula}", [0.0, np.e]) == pytest.approx([0, slope])


@pytest.mark.parametrize(
    ("text", "slopes"),
    [
        ("y[i] = where(x[i] > 2, b[i]*(1 + exp(x[i])), 0)", [0, 0, 3 * np.e**3]),
        (
            "y[i] = where(x[i] > 2, exp(x[i])/(b[i] - 3 + x[i]), 0)",
            [0, 0, np.e**3 * (1 / 3 - 1 / 9)],
        ),
        ("y[i] = where(x[i] == 0, 0, b[i]/x[i])", [0, -3, -1 / 3]),
        ("y[i] = where(x[i] > 0, sqrt(x[i])*sum[j](b[j]), 0)", [0, 4.5, 4.5 / np.sqrt(3)]),
    ],
)
def test_slopes_by_way_of_results_keep_their_guards(text: str, slopes: list[float]) -> None:
    """Where a result is 0 because its condition fails, nothing is inferred from it, nor divided by it."""
    case = Case(text, {"x": (3,), "b": (3,)})
    x, b = np.array([0.0, 1.0, 3.0]), np.full(3, 3.0)
    found = gradients(case, {"x": x, "b": b}, {"g_y": np.ones(3)})
    assert [float(v) for v in found["d_x"]] == pytest.approx(slopes)


def test_what_may_overflow_keeps_its_guard() -> None:
    """An exponential is finite, but not in the numbers that are computed with: 0 times it need not be 0."""
    text = gradient_of("y[i] = where(x[i] < 50, (1 + exp(x[i]))*sum[j](b[j]), 0)")
    assert "sum[i](where(x[i] < 50, e_y[i]*(1 + exp(x[i])), 0))" in text


def test_recurrence_runs_backward() -> None:
    """The gradient of a recurrence is a recurrence over the steps in reverse."""
    text = "h[t, u] = tanh(x[t, u] + sum[k](h[t-1, k]*U[k, u]))"
    assert gradient_of(text).splitlines()[0] == (
        "d_h[t, u] = g_h[t, u] + sum[k](U[u, k]*e_h[t + 1, k])"
    )


def test_gather_of_rows_scatters() -> None:
    """A subscript from data is scattered where a gather would search through all data."""
    assert "d_E[t[...], e] += g_y[..., e]" in gradient_of("y[..., e] = E[t[...], e]")


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in ("embedding", "scatter")])
def test_nothing_else_scatters(name: str) -> None:
    """Every other gradient is a gather: each element of the result is computed at one place."""
    assert "+=" not in resolved_text(symbolic_gradient(OPERATIONS[name]))


def test_what_nothing_depends_on_is_zero() -> None:
    """An operand read only in conditions has a gradient of zeros."""
    assert "d_z[i] = 0" in gradient_of("y[i] = where(z[i] > 0, x[i], 0)").replace(
        ":dim(z, 0)", ""
    ).replace(":dim(x, 0)", "")


@pytest.mark.parametrize(
    "name",
    ["tanh", "softmax", "matrix product", "conv stride 2", "layer norm", "silu", "simple rnn"],
)
def test_second_derivative(name: str) -> None:
    """Gradients are formulas like any other: differentiated again they agree with 50-digit differences."""
    case = OPERATIONS[name]
    seed = "g_h" if name == "simple rnn" else "g_y"
    forward = resolve(parse(case.text, case.attributes), case.shapes)
    shape = tuple(int(n.value) for n in forward.shapes[seed.removeprefix("g_")])  # type: ignore[attr-defined]
    text = f"{case.text}\n{resolved_text(symbolic_gradient(case))}"
    twice = replace(case, text=text, shapes={**case.shapes, seed: shape}, outputs=("d_x",))
    assert directional_error(twice) < 1e-12


def test_names_of_second_derivatives() -> None:
    """g_d_x arrives at d_x; where d_x is taken the gradient of x is dd_x."""
    first = derive(symbolic(parse("y[i] = x[i]**3")))
    second = derive(first)
    assert first.operands == ("x", "g_y")
    assert second.operands == ("x", "g_y", "g_d_x")
    assert second.outputs == ("dd_x", "d_g_y")


@pytest.mark.parametrize("seed", range(40))
def test_random_systems(seed: int) -> None:
    """The gradients of systems that nobody has thought of agree with 50-digit differences."""
    error = random_error(seed)
    assert error is None or error < 1e-12


@pytest.mark.parametrize("seed", range(12))
def test_random_systems_of_gradients(seed: int) -> None:
    """So do the gradients of what computes their gradients."""
    error = random_error(seed, order=2)
    assert error is None or error < 1e-12


@pytest.mark.parametrize("seed", range(40))
def test_random_formulas(seed: int) -> None:
    """Through text and back, as the graph derives them, gradients are as large as their operands."""
    for own, gradient in gradient_shapes(seed):
        assert own == gradient
