"""Formulas written by hand, out of single functions: right where the literal formula overflows, in value and gradient.

The truth is computed with 60 digits, gradients from differences of it.
"""

import mpmath
import numpy as np
import pytest

import graphnn as gn

LOGITS = np.array(
    [[1e4, -1e4, 0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [3, -2, 0.5], [88, 90, -90]], "float32"
)
TRUTH = np.eye(3, dtype="float32")[[1, 0, 2, 1, 0]]
exp, log = mpmath.exp, mpmath.log


def total(x):
    return gn.sum(gn.exp(x), 1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + gn.exp(-x))


def shares(row):
    return [exp(a) / sum(map(exp, row)) for a in row]


def each(function):
    return lambda row, truth: [function(a) for a in row]


def entropy(row, truth):
    return [-sum(t * log(p) for t, p in zip(truth, shares(row), strict=True) if t)]


def binary(row, truth):
    return [log(1 + exp(a)) - t * a for a, t in zip(row, truth, strict=True)]


# how a user writes it, and what it is
CASES = {
    "softmax": (lambda x, t: gn.exp(x) / total(x), lambda row, t: shares(row)),
    "softmax of x/T": (
        lambda x, t: gn.exp(x / 0.5) / total(x / 0.5),
        lambda row, t: shares([2 * a for a in row]),
    ),
    "log(softmax)": (
        lambda x, t: gn.log(gn.exp(x) / total(x)),
        lambda row, t: [log(p) for p in shares(row)],
    ),
    "log-sum-exp": (lambda x, t: gn.log(total(x)), lambda row, t: [log(sum(map(exp, row)))]),
    "sigmoid": (lambda x, t: sigmoid(x), each(lambda a: 1 / (1 + exp(-a)))),
    "sigmoid of exp": (
        lambda x, t: gn.exp(x) / (gn.exp(x) + 1),
        each(lambda a: 1 / (1 + exp(-a))),
    ),
    "1 - sigmoid": (lambda x, t: 1 - sigmoid(x), each(lambda a: 1 / (1 + exp(a)))),
    "log(sigmoid)": (lambda x, t: gn.log(sigmoid(x)), each(lambda a: -log(1 + exp(-a)))),
    "log(1 - sigmoid)": (lambda x, t: gn.log(1 - sigmoid(x)), each(lambda a: -log(1 + exp(a)))),
    "softplus": (lambda x, t: gn.log(1 + gn.exp(x)), each(lambda a: log(1 + exp(a)))),
    "tanh": (
        lambda x, t: (gn.exp(x) - gn.exp(-x)) / (gn.exp(x) + gn.exp(-x)),
        each(mpmath.tanh),
    ),
    "tanh of 2*x": (
        lambda x, t: (gn.exp(2 * x) - 1) / (gn.exp(2 * x) + 1),
        each(mpmath.tanh),
    ),
    "swish": (lambda x, t: x / (1 + gn.exp(-x)), each(lambda a: a / (1 + exp(-a)))),
    "cross-entropy": (lambda x, t: -gn.sum(t * gn.log(gn.exp(x) / total(x)), 1), entropy),
    "binary cross-entropy": (
        lambda x, t: -(t * gn.log(sigmoid(x)) + (1 - t) * gn.log(1 - sigmoid(x))),
        binary,
    ),
    "norm": (
        lambda x, t: gn.sqrt(gn.sum(x**2, 1)),
        lambda row, t: [mpmath.sqrt(sum(a * a for a in row))],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_hand_written_formulas_are_right(name):
    """Logits of +-1e4, equal ones, ordinary ones: value and gradient to float32's precision."""
    written, true = CASES[name]
    x, t = gn.Input((None, 3), "x"), gn.Input((None, 3), "t")
    y = written(x, t)
    gradient = gn.compute_gradients(gn.sum(y), wrt=[x])[x]
    value, slope = gn.function([x, t], [y, gradient])(LOGITS, TRUTH)
    with mpmath.workdps(60):
        step = mpmath.mpf(10) ** -25
        for row, truth, got, slopes in zip(
            LOGITS.tolist(), TRUTH.tolist(), value.reshape(5, -1), slope, strict=True
        ):
            row = list(map(mpmath.mpf, row))
            assert np.allclose(got, [float(v) for v in true(row, truth)], rtol=1e-6, atol=1e-7)
            for place in range(3):
                moved = [[a + s * (k == place) for k, a in enumerate(row)] for s in (step, -step)]
                ahead, behind = (sum(true(each, truth)) for each in moved)
                expected = float((ahead - behind) / (2 * step))
                assert slopes[place] == pytest.approx(expected, rel=1e-6, abs=1e-6)
