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
    "softmax as 1/(exp(-x)*sum)": (
        lambda x, t: 1 / (gn.exp(-x) * total(x)),
        lambda row, t: shares(row),
    ),
    "log-softmax as a difference": (
        lambda x, t: x - gn.log(total(x)),
        lambda row, t: [log(p) for p in shares(row)],
    ),
    "softmax as exp(x - log(sum))": (
        lambda x, t: gn.exp(x - gn.log(total(x))),
        lambda row, t: shares(row),
    ),
    "sigmoid as exp(-softplus)": (
        lambda x, t: gn.exp(-gn.log(1 + gn.exp(-x))),
        each(lambda a: 1 / (1 + exp(-a))),
    ),
    "logit of sigmoid": (lambda x, t: gn.log(sigmoid(x) / (1 - sigmoid(x))), each(lambda a: a)),
    "x*sigmoid(x)": (lambda x, t: x * sigmoid(x), each(lambda a: a / (1 + exp(-a)))),
    "tanh as 1 - 2/(exp + 1)": (lambda x, t: 1 - 2 / (gn.exp(2 * x) + 1), each(mpmath.tanh)),
    "log-sum-exp of a pair": (
        lambda x, t: gn.log(gn.exp(x) + gn.exp(2 * x)),
        each(lambda a: log(exp(a) + exp(2 * a))),
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


# --- tails ----------------------------------------------------------------------------------------------------------


def logistic(a):
    return 1 / (1 + exp(-a))


def normal(a):
    return mpmath.erfc(-a / mpmath.sqrt(2)) / 2


def density(a):
    return exp(-a * a / 2) / mpmath.sqrt(2 * mpmath.pi)


def soft(a):
    return mpmath.log1p(exp(a))


# its value; the terms of its slope; from where on no exponential in it is too small for all digits
TAILS = {
    "gelu": (gn.gelu, lambda a: a * normal(a), lambda a: (normal(a), a * density(a)), -12.9),
    "gelu, as a sum": (
        gn.op("y[...] = x[...]/2 + x[...]*erf(x[...]/2**0.5)/2"),
        lambda a: a * normal(a),
        lambda a: (normal(a), a * density(a)),
        -12.9,
    ),
    "gelu, step by step": (
        lambda x: x * (1 + gn.erf(x / np.sqrt(2))) / 2,
        None,
        lambda a: (normal(a), a * density(a)),
        -3.0,  # the first step's result is rounded: what it has lost the next one does not know
    ),
    "silu": (
        gn.silu,
        lambda a: a * logistic(a),
        lambda a: (logistic(a), a * logistic(a) * logistic(-a)),
        -86.0,
    ),
    "softplus": (gn.softplus, soft, lambda a: (logistic(a),), -86.0),
    "elu": (
        gn.elu,
        lambda a: a if a > 0 else mpmath.expm1(a),
        lambda a: (1 if a > 0 else exp(a),),
        -86.0,
    ),
    "log(sigmoid)": (
        gn.op("y[...] = log(1/(1 + exp(-x[...])))"),
        lambda a: -soft(-a),
        lambda a: (logistic(-a),),
        -86.0,
    ),
    "1 - erf": (
        gn.op("y[...] = 1 - erf(x[...])"),
        mpmath.erfc,
        lambda a: (-2 / mpmath.sqrt(mpmath.pi) * exp(-a * a),),
        -9.0,
    ),
    "bell": (
        gn.op("y[...] = exp(-x[...]**2/2)"),
        lambda a: exp(-a * a / 2),
        lambda a: (-a * exp(-a * a / 2),),
        -13.0,
    ),
}


@pytest.mark.parametrize("name", TAILS)
def test_tails_keep_their_digits(name):
    """Values err by at most 4 units, slopes by 4 units of their greatest term, however small they are."""
    written, true, terms, low = TAILS[name]
    random = np.random.default_rng(0)
    points = np.concatenate(
        [random.uniform(low, -low, 60), random.uniform(-3, 3, 60), [1e-30, -1e-30, 0]]
    )
    points = points.astype("float32")
    x = gn.Input((None,), "x")
    y = written(x)
    run = gn.function([x], [y, gn.compute_gradients(gn.sum(y), [x])[x]])
    with mpmath.workdps(60):
        for point, value, slope in zip(points, *run(points), strict=True):
            a = mpmath.mpf(float(point))
            parts = terms(a)
            pairs = [(slope, sum(parts), max(map(abs, parts)))]
            pairs += [] if true is None else [(value, true(a), abs(true(a)))]
            for found, exact, size in pairs:
                unit = mpmath.mpf(float(np.spacing(np.float32(size))))
                assert abs(mpmath.mpf(float(found)) - exact) <= 4 * unit, point


# --- what is settled by convention, since the formula says 0*inf or 0/0 -------------------------------------------

PROBABILITIES = np.array([[0, 1, 0.5], [0, 1, 0.25]], "float32")
LABELS = np.array([[0, 1, 1], [1, 0, 0]], "float32")
BINARY = {
    "by hand": lambda t, p: gn.sum(-(t * gn.log(p) + (1 - t) * gn.log(1 - p))),
    "in one formula": lambda t, p: 3 * gn.binary_crossentropy(t, p),
}


@pytest.mark.parametrize("written", BINARY)
def test_certain_and_right_costs_nothing(written):
    """Where p = t = 0 or 1 the loss is 0 and its slope that of the other term; certain and wrong is infinite."""
    p, t = gn.Input((None, 3), "p"), gn.Input((None, 3), "t")
    loss = BINARY[written](t, p)
    run = gn.function([p, t], [loss, gn.compute_gradients(loss, [p])[p]])
    value, slope = run(PROBABILITIES[:1], LABELS[:1])
    assert np.isclose(value, np.log(2)) and np.allclose(slope, [[1, -1, -2]])
    value, slope = run(PROBABILITIES[1:], LABELS[1:])
    assert value == np.inf and np.allclose(slope, [[-np.inf, np.inf, 4 / 3]])


def test_classes_without_a_share_cost_nothing():
    """A probability of 0 for a class that is not there: no loss, no slope; for one that is there, infinite."""
    p, t = gn.Input((None, 3), "p"), gn.Input((None, 3), "t")
    for loss in (3 * gn.categorical_crossentropy(t, p), -gn.sum(t * gn.log(p)) * 3):
        run = gn.function([p, t], [loss, gn.compute_gradients(loss, [p])[p]])
        value, slope = run([[0, 0.25, 0.75]], [[0, 1, 0]])
        assert np.isclose(value, 3 * np.log(4)) and np.allclose(slope, [[0, -12, 0]])
        value, slope = run([[0, 0.25, 0.75]], [[1, 0, 0]])
        assert value == np.inf and np.allclose(slope, [[-np.inf, 0, 0]])


NORMS = {
    "root of a sum": lambda x: gn.sqrt(gn.sum(x**2, 1)),
    "power of a sum": lambda x: gn.sum(x * x, 1) ** 0.5,
    "root of a mean": lambda x: gn.sqrt(3 * gn.mean(x**2, 1)),
    "one formula": gn.op("y[n] = sqrt(sum[i](x[n, i]**2))"),
    "distance": lambda x: gn.sqrt(gn.sum((1 - (x + 1)) ** 2, 1)),
}


@pytest.mark.parametrize("written", NORMS)
def test_gradient_of_a_norm_at_zero_is_zero(written):
    """The norm has no tangent there; elsewhere its gradient is x over the norm."""
    x = gn.Input((None, 3), "x")
    y = NORMS[written](x)
    slope = gn.compute_gradients(gn.sum(y), [x])[x]
    found = gn.function([x], [y, slope])(np.array([[0, 0, 0], [0, 3, 4]]))
    assert np.allclose(found[0], [0, 5]) and np.allclose(found[1], [[0, 0, 0], [0, 0.6, 0.8]])
