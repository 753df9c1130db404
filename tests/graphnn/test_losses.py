"""Losses, metrics and activations: their values, right also at the extremes, and what they refuse."""

import math

import numpy as np
import pytest

import graphnn as gn

X = np.array([[2.0, 1.0, 0.1], [-1.0, 3.0, 0.5], [0.0, 0.0, 0.0], [5.0, -5.0, 1.0]])
T = np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
LABELS = T.argmax(1)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def value(loss, t, p, **options):
    """The loss of arrays, by the interpreter in float64."""
    truth = gn.Input((None, *t.shape[1:]), "t", "int32" if t.dtype.kind == "i" else "float64")
    prediction = gn.Input((None, *p.shape[1:]), "p", "float64")
    return float(gn.evaluate(loss(truth, prediction, **options), {truth: t, prediction: p}))


def test_the_guides_softmax_example():
    """Logits 2.0, 1.0, 0.1 give 0.659, 0.242, 0.099."""
    x = gn.Input((3,), "x")
    call = gn.function([x], gn.softmax(x))
    assert call([2.0, 1.0, 0.1]).round(3).tolist() == pytest.approx([0.659, 0.242, 0.099])


@pytest.mark.parametrize(
    ("activation", "formula"),
    [
        (gn.relu, lambda x: np.maximum(x, 0)),
        (gn.sigmoid, sigmoid),
        (gn.tanh, np.tanh),
        (gn.softmax, softmax),
        (gn.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
        (lambda x: gn.leaky_relu(x, negative_slope=0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
        (gn.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
        (lambda x: gn.elu(x, alpha=0.3), lambda x: np.where(x > 0, x, 0.3 * np.expm1(x))),
        (gn.silu, lambda x: x * sigmoid(x)),
        (gn.softplus, lambda x: np.logaddexp(0, x)),
        (gn.gelu, lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2),
        (gn.linear, lambda x: x),
    ],
)
def test_activations_have_the_guides_values(activation, formula):
    """Interpreted and compiled, the guide's formulas."""
    x = gn.Input((None, 3), "x", "float64")
    y = activation(x)
    assert np.allclose(gn.evaluate(y, {x: X}), formula(X), rtol=1e-14)
    assert np.allclose(gn.function([x], y)(X), formula(X), rtol=1e-14)


def test_mean_squared_error_is_a_mean_over_everything():
    """(1/n) times the sum of squares, for one column, several, or a sequence."""
    for shape in ((4,), (4, 1), (4, 3), (4, 2, 3)):
        a, b = np.random.default_rng(0).normal(size=(2, *shape))
        assert value(gn.mean_squared_error, a, b) == pytest.approx(((a - b) ** 2).mean(), rel=1e-14)
        assert value(gn.mean_absolute_error, a, b) == pytest.approx(abs(a - b).mean(), rel=1e-14)


@pytest.mark.parametrize("from_logits", [False, True])
def test_crossentropies_are_mean_negative_logarithms(from_logits):
    """Of probabilities, and of logits by way of softmax or sigmoid."""
    p = X if from_logits else softmax(X)
    expected = -(T * np.log(softmax(X))).sum(1).mean()
    found = value(gn.categorical_crossentropy, T, p, from_logits=from_logits)
    assert found == pytest.approx(expected, rel=1e-13)
    rows = np.eye(3)[LABELS]
    expected = -(rows * np.log(softmax(X))).sum(1).mean()
    for labels in (LABELS, LABELS[:, None]):
        found = value(gn.sparse_categorical_crossentropy, labels, p, from_logits=from_logits)
        assert found == pytest.approx(expected, rel=1e-13)
    p = X if from_logits else sigmoid(X)
    expected = -(T * np.log(sigmoid(X)) + (1 - T) * np.log(1 - sigmoid(X))).mean()
    found = value(gn.binary_crossentropy, T, p, from_logits=from_logits)
    assert found == pytest.approx(expected, rel=1e-12)


def test_labels_in_a_row_stand_for_a_column():
    """(B,) labels against (B, 1) predictions are not broadcast to (B, B)."""
    t, p = np.array([0.0, 1.0, 1.0]), np.array([[0.2], [0.6], [0.9]])
    expected = -np.log([0.8, 0.6, 0.9]).mean()
    assert value(gn.binary_crossentropy, t, p) == pytest.approx(expected)
    assert value(gn.mean_squared_error, t, p) == pytest.approx(((t[:, None] - p) ** 2).mean())


def test_sequences_average_over_all_steps():
    """Labels (B, T) with predictions (B, T, classes)."""
    p = softmax(np.random.default_rng(0).normal(size=(2, 5, 3)))
    t = np.random.default_rng(1).integers(0, 3, (2, 5))
    expected = -np.log(np.take_along_axis(p, t[..., None], 2)).mean()
    assert value(gn.sparse_categorical_crossentropy, t, p) == pytest.approx(expected)


def test_a_fixed_label_stands_for_every_sample():
    """The guide's [1, 0] beside a batch of probabilities."""
    p = gn.Input((None, 2), "p", "float64")
    given = np.array([[0.85, 0.15], [0.5, 0.5]])
    found = gn.evaluate(gn.categorical_crossentropy([1, 0], p), {p: given})
    assert found == pytest.approx(-np.log([0.85, 0.5]).mean())


@pytest.mark.parametrize("kind", ["categorical", "sparse"])
@pytest.mark.parametrize("from_logits", [True, False])
def test_softmax_crossentropy_is_right_where_the_formula_overflows(kind, from_logits):
    """Logits of +-1e4: loss and gradient are finite and exact, also through a softmax in the network."""
    x = gn.Input((None, 3), "x")
    logits = np.array([[1e4, -1e4, 0.0], [0.0, 1e4, -1e4]], "float32")
    y = x if from_logits else gn.softmax(x)
    if kind == "sparse":
        t, labels = gn.Input((None,), "t", "int32"), np.array([1, 1])
        loss = gn.sparse_categorical_crossentropy(t, y, from_logits=from_logits)
    else:
        t, labels = gn.Input((None, 3), "t"), np.eye(3, dtype="float32")[[1, 1]]
        loss = gn.categorical_crossentropy(t, y, from_logits=from_logits)
    call = gn.function([x, t], [loss, gn.compute_gradients(loss, [x])[x]])
    found, gradient = call(logits, labels)
    assert found == pytest.approx(1e4)
    assert np.allclose(gradient, [[0.5, -0.5, 0], [0, 0, 0]])


@pytest.mark.parametrize("from_logits", [True, False])
def test_sigmoid_crossentropy_is_right_where_the_formula_overflows(from_logits):
    """Logits of +-1e4 with either label."""
    x, t = gn.Input((None, 1), "x"), gn.Input((None, 1), "t")
    y = x if from_logits else gn.sigmoid(x)
    loss = gn.binary_crossentropy(t, y, from_logits=from_logits)
    call = gn.function([x, t], [loss, gn.compute_gradients(loss, [x])[x]])
    logits = np.array([[1e4], [-1e4], [1e4], [-1e4]], "float32")
    found, gradient = call(logits, np.array([[1.0], [1], [0], [0]]))
    assert found == pytest.approx(5e3)
    assert np.allclose(gradient, [[0], [-0.25], [0.25], [0]])


def test_zero_times_log_zero_is_zero():
    """One-hot targets with probabilities of exactly 0 and 1; a wrong certainty is infinite, not clipped."""
    p, t = gn.Input((None, 3), "p"), gn.Input((None, 3), "t")
    call = gn.function([t, p], gn.categorical_crossentropy(t, p))
    eye = np.eye(3, dtype="float32")
    assert call(eye, eye) == 0
    assert call(eye, eye[[1, 0, 2]]) == np.inf


def test_the_gradient_from_logits_is_p_minus_t():
    """The textbook's form comes out of the derivation, for any labels."""
    x, t = gn.Input((None, 3), "x", "float64"), gn.Input((None, 3), "t", "float64")
    loss = gn.categorical_crossentropy(t, x, from_logits=True)
    gradient = gn.compute_gradients(loss, [x])[x]
    expected = (softmax(X) * T.sum(1, keepdims=True) - T) / 4
    assert np.allclose(gn.evaluate(gradient, {x: X, t: T}), expected, atol=1e-15)
    half = T * 0.5  # labels that do not add up to 1 have an exact gradient, too
    expected = (softmax(X) * half.sum(1, keepdims=True) - half) / 4
    assert np.allclose(gn.evaluate(gradient, {x: X, t: half}), expected, atol=1e-15)


def scalar(shape, dtype="float32", name=None):
    return gn.Input(shape, name, dtype)


REFUSALS = [
    (gn.mean_squared_error, (None, 3), "float32", r"f32\[N, 3\].*f32\[N, 4\].*must be equal"),
    (gn.mean_squared_error, (None,), "float32", "must be equal"),
    (gn.categorical_crossentropy, (None,), "int32", "are for sparse_categorical_crossentropy"),
    (gn.categorical_crossentropy, (None, 1), "int32", "are for sparse_categorical_crossentropy"),
    (gn.metrics.top_k_categorical_accuracy, (None,), "int32", "are for sparse_top_k_categorical"),
    (gn.sparse_categorical_crossentropy, (None,), "float32", r"must be integers; .*astype"),
    (gn.sparse_categorical_crossentropy, (None, 4), "float32", "is for categorical_crossentropy"),
    (gn.sparse_categorical_crossentropy, (None, 4), "int32", "is for categorical_crossentropy"),
    (gn.sparse_categorical_crossentropy, (None, 2), "int32", "one class number for each row"),
]


@pytest.mark.parametrize(("loss", "shape", "dtype", "message"), REFUSALS)
def test_losses_refuse_truths_of_another_shape(loss, shape, dtype, message):
    """Nothing is broadcast silently; the message shows both."""
    with pytest.raises(gn.GraphnnError, match=message):
        loss(gn.Input(shape, dtype=dtype), gn.Input((None, 4)))


def test_unknown_names_are_refused():
    """A wrong name lists the right ones."""
    for get in (gn.losses.get, gn.metrics.get, gn.optimizers.get, gn.activations.get):
        with pytest.raises(gn.GraphnnError, match=r"unknown .* 'nonsense'; known are"):
            get("nonsense")


@pytest.mark.parametrize(
    ("shape", "dtype", "truth", "expected"),
    [
        ((None, 3), "float32", np.eye(3)[[0, 1, 0, 0]], 3 / 4),
        ((None,), "int32", np.array([0, 1, 2, 2]), 2 / 4),
        ((None, 1), "int64", np.array([[0], [1], [0], [0]]), 1.0),
    ],
)
def test_accuracy_is_chosen_by_the_shapes(shape, dtype, truth, expected):
    """One-hot rows, class numbers, class numbers in a column; ties count for the first class."""
    t, p = gn.Input(shape, "t", dtype), gn.Input((None, 3), "p")
    if expected == 3 / 4:
        truth = truth.copy()
        truth[3] = [0, 0, 1]
    assert gn.evaluate(gn.metrics.accuracy(t, p), {t: truth, p: X}) == pytest.approx(expected)


def test_binary_accuracy_compares_with_one_half():
    """Labels in a row or a column, integers or floats; exactly one half counts as 0."""
    p = gn.Input((None, 1), "p")
    given = np.array([[0.2], [0.5], [0.51], [0.9]], "float32")
    for shape, dtype in (((None,), "int32"), ((None, 1), "float32")):
        t = gn.Input(shape, "t", dtype)
        truth = np.array([0, 0, 1, 0], dtype).reshape([-1, *shape[1:]])
        assert gn.evaluate(gn.metrics.accuracy(t, p), {t: truth, p: given}) == pytest.approx(3 / 4)


def test_a_class_that_is_masked_out_costs_nothing():
    """0*log(0) and 0/0 are 0 where a probability and its truth are; a wrong one costs infinitely much."""
    z, t = gn.Input((None, 4), "z"), gn.Input((None, 4), "t")
    masked = gn.op("p[n, i] = where(i < 3, exp(z[n, i]), 0)/sum[j:3](exp(z[n, j]))")
    loss = gn.categorical_crossentropy(t, masked(z))
    nodes = [loss, gn.compute_gradients(loss, [z])[z]]
    logits = np.array([[1, 2, 3, 4], [300, 0, 0, 1]], "float32")
    truth = np.array([[0, 1, 0, 0], [1, 0, 0, 0]], "float32")
    p = np.array([[0.09003057, 0.24472847, 0.66524096, 0], [1, 0, 0, 0]])
    compiled = gn.function([z, t], nodes)(logits, truth)
    for value, gradient in (compiled, gn.evaluate(nodes, {z: logits, t: truth})):
        assert value == pytest.approx(-np.log(p[0, 1]) / 2, rel=1e-6)
        np.testing.assert_allclose(gradient, (p - truth) / 2, atol=1e-7)
    assert np.isposinf(gn.evaluate(loss, {z: logits, t: truth[:, ::-1]}))


@pytest.mark.parametrize("from_logits", [False, True])
def test_losses_are_those_of_keras(keras, from_logits):
    """Categorical, sparse and binary cross-entropy, and the squared error."""
    p = X if from_logits else softmax(X)
    kl = keras.losses
    found = value(gn.categorical_crossentropy, T, p, from_logits=from_logits)
    other = kl.CategoricalCrossentropy(from_logits=from_logits, dtype="float64")(T, p)
    assert found == pytest.approx(float(other), rel=1e-6)
    found = value(gn.sparse_categorical_crossentropy, LABELS, p, from_logits=from_logits)
    other = kl.SparseCategoricalCrossentropy(from_logits=from_logits, dtype="float64")(LABELS, p)
    assert found == pytest.approx(float(other), rel=1e-6)
    p = X if from_logits else sigmoid(X)
    found = value(gn.binary_crossentropy, T, p, from_logits=from_logits)
    other = kl.BinaryCrossentropy(from_logits=from_logits, dtype="float64")(T, p)
    assert found == pytest.approx(float(other), rel=1e-6)
    other = kl.MeanSquaredError(dtype="float64")(T, X)
    assert value(gn.mean_squared_error, T, X) == pytest.approx(float(other), rel=1e-6)
