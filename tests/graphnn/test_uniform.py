"""Random numbers in formulas: written, printed, typeset, differentiated, checked, drawn anew at
each step.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphnn as gn
from compiler.reference.philox import uniform
from graphnn.calculus.derive import derive
from graphnn.errors import DtypeError, NotationError
from graphnn.notation import parse, resolve, resolved_text, symbolic
from graphnn.notation.latex import equation_latex

MASK = "y[...] = where(uniform(seed, step, [...]) < keep, x[...]/keep, 0)"
KEEP = {"keep": 0.75}
SHAPES = st.lists(st.sampled_from([1, 2, 3, 7, 16, 17, 33]), max_size=3).map(tuple)
# A formula, and the gradients that are derived from it.
FORMULAS = {
    MASK: "d_x[...] = where(uniform(seed, step, [...]) < keep, g_y[...]/keep, 0)",
    "y[..., i] = where(uniform(seed, step, [..., i]) < keep, x[..., i], 0)": (
        "d_x[..., i] = where(uniform(seed, step, [...]*dim(x, -1) + i) < keep, g_y[..., i], 0)"
    ),
    "y[n] = sum[i](x[n, i]*uniform(seed, step, [n, i]))": (
        "d_x[n, i:dim(x, 1)] = g_y[n]*uniform(seed, step, n*dim(x, 1) + i)"
    ),
    "y[..., o] = sum[i](x[..., i]*where(uniform(seed, t[i], [i, o]) < keep, W[i, o], 0))": (
        "d_x[..., i] = sum[o](where(uniform(seed, t[i], i*dim(W, 1) + o) < keep, W[i, o]*g_y[..., o], 0))\n"
        "d_W[i, o] = where(uniform(seed, t[i], i*dim(W, 1) + o) < keep, sum[...](g_y[..., o]*x[..., i]), 0)"
    ),
}


@pytest.mark.parametrize("text", list(FORMULAS))
def test_the_mask_stays_in_the_gradient(text: str) -> None:
    """Random numbers are constants: they stay where they stood, and what draws them has no
    gradient.
    """
    assert resolved_text(derive(symbolic(parse(text, KEEP)))) == FORMULAS[text]


@pytest.mark.parametrize("text", [t for pair in FORMULAS.items() for t in pair])
def test_printed_formulas_are_read_back(text: str) -> None:
    """What is printed of a formula, and of its gradient, is the same formula again."""
    printed = resolved_text(symbolic(parse(text, KEEP)))
    assert resolved_text(symbolic(parse(printed, KEEP))) == printed


def test_a_group_is_the_place_of_its_indices() -> None:
    """``[n, i]`` counts row by row, and ``[...]`` over all axes that it stands for."""
    for text, shape, place in (
        ("y[n, i] = x[n, i] + [n, i]", (2, 3), "3*n + i"),
        ("y[i, n] = x[n, i] + [n, i]", (2, 3), "3*n + i"),
        ("y[...] = x[...] + [...]", (2, 3, 5), "15*n + 5*t + i"),
        ("y[...] = x[...] + [...]", (), "0"),
    ):
        value = resolved_text(resolve(parse(text), {"x": shape}))
        assert value.endswith((f"+ {place}", f"+ ({place})"))
    assert gn.op("y[n, i] = [i, n]*x[n, i]")(np.ones((2, 3))).shape == (2, 3)


def test_latex() -> None:
    """What determines the numbers stands below, the place in parentheses."""
    equations = symbolic(parse("y[...] = x[...]*uniform(k, t, [...])")).equations
    assert equation_latex(equations[0]) == (
        r"y_{\ldots} = x_{\ldots}\,\mathrm{uniform}_{k,t}(\ldots)"
    )


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("y[n] = x[n]*uniform(0, 0)", "takes 3 argument"),
        ("y[n] = x[n]*uniform(0.5, 0, n)", "three integer expressions"),
        ("y[n] = x[n]*uniform(exp(s), 0, n)", "three integer expressions"),
        ("y[n] = x[n]*uniform(0, 0, [...])", "'...' is not bound"),
        ("y[n] = x[n]*uniform(0, 0, [m])", "index m is not bound"),
        ("y[n] = x[n]*uniform(0, 0, [])", "not part of the notation"),
    ],
)
def test_mistakes_are_pointed_out(text: str, cause: str) -> None:
    """Wrong arguments are refused where they stand in the text."""
    with pytest.raises(NotationError, match=cause):
        parse(text)


@settings(max_examples=10, deadline=None)
@given(
    SHAPES, st.sampled_from(["float32", "float64"]), st.integers(0, 2**63 - 1), st.integers(0, 9)
)
def test_the_same_mask_forward_and_backward(
    shape: tuple[int, ...], dtype: str, seed: int, step: int
) -> None:
    """What was dropped gets no gradient, what was kept gets it whole; both are the reference's
    mask.
    """
    x = gn.Input(shape, dtype=dtype)
    key, counter = gn.Input((), dtype="int64"), gn.Input((), dtype="int64")
    y = gn.op(MASK, **KEEP)(key, counter, x)
    gradient = gn.compute_gradients(gn.sum(y) if shape else y, [x])[x]
    run = gn.function([key, counter, x], [y, gradient])
    values, slopes = run(seed, step, np.ones(shape, dtype))
    places = np.arange(values.size).reshape(shape)
    kept = uniform(seed, step, places, 24 if dtype == "float32" else 53) < 0.75
    expected = np.where(kept, 1 / np.asarray(0.75, dtype), 0)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    np.testing.assert_allclose(slopes, expected, rtol=1e-6)


def test_each_step_has_a_mask_of_its_own() -> None:
    """The counter alone makes a new mask; the same counter brings the old one back."""
    x, counter = gn.Input((50,)), gn.Input((), dtype="int64")
    run = gn.function([counter, x], gn.op(MASK, **KEEP)(3, counter, x))
    first, second, again = (run(step, np.ones(50, "float32")) for step in (0, 1, 0))
    assert np.array_equal(first, again) and not np.array_equal(first, second)


@pytest.mark.parametrize(
    "text",
    [
        "y[n] = sum[i](x[n, i]*uniform(s, 1, [n, i]))",
        "y[i] = sum[n](x[n, i]*uniform(s, 1, [n, i]))",
        "y[n, o] = sum[i](x[n, i]*where(uniform(s, 2, [n, o, i]) < 0.5, x[o, i], 0))",
        "y[n, i] = max[k:3](uniform(s, k, [n, i]))*x[n, i]",
        "y[t, i] = 0.5*y[t-1, i]*where(uniform(s, t, i) < 0.5, 1, 0) + x[t, i]",
    ],
)
def test_compiled_is_interpreted(text: str) -> None:
    """In sums, maxima and recurrences the kernels draw the numbers that the interpreter draws."""
    x = gn.Input((17, 37))
    y = gn.op(text)(x=x, s=-5)
    value = np.random.default_rng(0).normal(size=(17, 37)).astype("float32")
    found, expected = gn.function([x], y)(value), gn.evaluate(y, {x: value})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_proved() -> None:
    """Verification draws the numbers that the formula draws, in scalars and in 50 digits."""
    x = gn.Input((2, 3))
    y = gn.op("y[...] = x[...]**2*uniform(seed, 4, [...])")(x, 11)
    report = gn.check_gradients(gn.sum(y), [x])
    assert report.ok, str(report)
    assert report.verdicts[0].symbolic == "proved"


def test_dtypes() -> None:
    """Random numbers are real; what determines them is whole and has no gradient."""
    x, n = gn.Input((4,)), gn.Input((4,), dtype="int32")
    assert gn.op("y[n] = t[n] + uniform(0, 0, n)")(n).dtype == "float32"
    assert gn.op("y[n] = where(uniform(0, 0, n) < 0.5, t[n], 0)")(n).dtype == "int32"
    assert gn.op("y[n:3] = uniform(0, 0, n)", dtype="float64")().dtype == "float64"
    with pytest.raises(DtypeError, match="uniform takes integers, but s is float32"):
        gn.op("y[n] = x[n]*uniform(s[n], 0, n)")(x, x)
    with pytest.raises(DtypeError, match="has no gradient"):
        gn.compute_gradients(gn.sum(gn.op("y[n] = x[n]*uniform(t[n], 0, n)")(x, n)), [n])
