"""find_nan: back from what is not finite to the first that is not, and what its formula has read."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Dense, MultiHeadAttention

share = gn.op("y[n, i] = x[n, i]/sum[j](x[n, j])", "share")
X = np.array([[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]], "float32")


def test_nothing_is_found_where_all_is_finite():
    """Infinities on the way count for nothing where what was asked for is finite."""
    p = gn.Input((2,), "p")
    entropy = -gn.sum(p * gn.log(p))
    assert gn.find_nan(entropy, {p: [0.0, 1.0]}) is None
    assert gn.find_nan([entropy, p], {p: [0.5, 0.5]}) is None


def test_a_formula_is_found_within_a_network():
    """Of a gradient, layers behind: the node, the place, and the values read there."""
    x = gn.Input((None, 2), "x")
    shares = share(Dense(2, use_bias=False, kernel_initializer="identity", name="d")(x))
    shares.name = "shares"
    y = Dense(1, "tanh", name="score")(shares)
    loss = gn.mean(y**2)
    gradients = list(gn.compute_gradients(loss).values())
    for wanted in (loss, gradients):
        found = gn.find_nan(wanted, {x: X}, training=True)
        assert str(found).splitlines()[1:] == [
            "shares[1, 0] = nan:  shares[n, i] = d[n, i]/sum[j](d[n, j])",
            "    d: values from 0 to 3",
        ]
        assert found.place == (1, 0)
        assert np.isnan(found.value)


def test_values_read_at_one_place_are_shown():
    """With the smallest and the largest of all."""
    a, b = gn.Input((None, 2), "a"), gn.Input((2,), "b")
    ratio = a / b
    found = gn.find_nan(ratio, {a: X, b: [1.0, 0.0]})
    assert (found.node, found.value) == (ratio, np.inf)
    assert [str(read) for read in found.reads] == [
        "a[0, 1] = 3, of values from 0 to 3",
        "b[1] = 0, of values from 0 to 1",
    ]


def test_data_and_weights_are_found():
    """They are given, and have no formula."""
    x, w = gn.Input((None, 2), "x"), gn.Parameter(np.array([1.0, np.inf], "float32"), "w")
    bad = np.where(X == 2, np.nan, X)
    assert str(gn.find_nan(x + 1, {x: bad})).endswith("x[2, 0] = nan:  given")
    assert str(gn.find_nan(x * w, {x: X})).endswith("w[1] = inf:  given")


def test_a_mask_is_not_to_blame():
    """Scores of -inf are meant; the NaN is in the sequence."""
    x = gn.Input((None, 3, 4), "x")
    values = np.ones((2, 3, 4), "float32")
    values[1, 2, 0] = np.nan
    found = gn.find_nan(MultiHeadAttention(1, 4)(x, x, use_causal_mask=True), {x: values})
    assert (found.node, found.place) == (x, (1, 2, 0))


def test_every_input_needs_a_value():
    """As `evaluate` says it."""
    x = gn.Input((None, 2), "x")
    with pytest.raises(gn.GraphnnError, match="no value given for input x"):
        gn.find_nan(x + 1)
