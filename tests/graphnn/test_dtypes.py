"""Dtypes follow from all of a formula's equations and from what a value is: whole, real or a truth."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Dense, Embedding

DOUBLE = gn.Input((8,), "x", dtype="float64")
WHOLE = gn.Input((3,), "i", dtype="int32")
NUMBERS = np.array([1, 2, 4], "int32")


@pytest.mark.parametrize(
    "text",
    [
        "y[i:9] = 0\ny[i+1] += x[i]",
        "y[0] = 0\ny[t+1] = 0.5*y[t] + x[t]",
        "y[t+1] = 0.5*y[t] + x[t]\ny[0] = 0",
        "h[i:8] = 0.1\ny[i] = h[i]*x[i]",
        "z[i:8] = 2*y[i-1]\ny[i] = z[i] + x[i]",
    ],
)
def test_no_target_of_a_float64_formula_is_less(text):
    """Whatever the order of the lines: numbers have no width, targets that read each other share theirs."""
    results = gn.op(text, outputs=("y",))(DOUBLE)
    assert set(results.application.dtypes.values()) == {"float64"}


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64")])
def test_dtypes_are_named_or_numpys_own(dtype):
    """Wherever one is given."""
    x, tokens = gn.Input((2,), "x", dtype), gn.Input((2,), "tokens", np.int32)
    made = [x, gn.cast(tokens, dtype), gn.op("y[i] = 2*t[i]", dtype=dtype)(tokens)]
    made.append(Embedding(3, 2, dtype=dtype)(tokens))
    assert {node.dtype for node in made} == {"float64"}


@pytest.mark.parametrize("name", ["max", "min", "mean"])
def test_gradients_of_float64_are_computed_in_float64(name):
    """The helpers of a gradient too: places of maxima, shared factors."""
    y = getattr(gn, name)(gn.exp(DOUBLE) * DOUBLE)
    gradient = gn.compute_gradients(y, [DOUBLE])[DOUBLE]
    found = gn.function([DOUBLE], gradient)
    x = np.linspace(0.1, 0.9, 8)
    slope = {
        "max": np.eye(8)[7],
        "min": np.eye(8)[0],
        "mean": np.full(8, 1 / 8),
    }[name]
    assert np.allclose(found(x), slope * np.exp(x) * (1 + x), rtol=1e-14)
    graph = gn.graph.graph.Graph([gradient])
    assert {d for a in graph.applications for d in a.dtypes.values()} == {"float64"}


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (gn.sigmoid, 1 / (1 + np.exp(-NUMBERS))),
        (gn.exp, np.exp(NUMBERS)),
        (gn.softmax, np.exp(NUMBERS) / np.exp(NUMBERS).sum()),
        (gn.mean, NUMBERS.mean()),
        (lambda i: i / 2, NUMBERS / 2),
        (lambda i: i * 1.5, NUMBERS * 1.5),
        (gn.op("y[i] = x[i]*1.5"), NUMBERS * 1.5),
        (gn.op("y[i] = c*x[i]", c=1.5), NUMBERS * 1.5),
    ],
)
def test_real_functions_of_whole_numbers_are_real(build, expected):
    """A quotient, an exponential, a mean, a number with a fraction: float32, nothing is cut off."""
    found = build(WHOLE)
    assert found.dtype == "float32"
    assert np.allclose(gn.evaluate(found, {WHOLE: NUMBERS}), expected, rtol=1e-6)
    assert np.allclose(gn.function([WHOLE], found)(NUMBERS), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "dtype"),
    [
        (lambda i: i * 2 + 1, "int32"),
        (gn.sum, "int32"),
        (gn.functions.abs, "int32"),
        (gn.op("y[i] = x[i]//2 + max(x[i], 3)"), "int32"),
        (gn.op("y[i] = x[i] > 1"), "bool"),
        (gn.op("y = 1 + argmax[i](x[i])"), "int32"),
    ],
)
def test_whole_functions_of_whole_numbers_are_whole(build, dtype):
    """Sums, products, quotients rounded down, maxima, positions; a number takes the dtype beside it."""
    assert build(WHOLE).dtype == dtype


def test_a_layer_on_whole_numbers_has_float_parameters():
    """The first float dtype among the inputs, else float32."""
    layer = Dense(3)
    assert layer(gn.Input((None, 4), dtype="int32")).dtype == "float32"
    assert layer.kernel.dtype == layer.bias.dtype == "float32"
    other = Dense(3)
    assert other(gn.Input((None, 4), dtype="float64")).dtype == other.bias.dtype == "float64"
