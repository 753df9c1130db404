"""Comparisons and choices: NumPy's values, shapes and broadcasting; what is not chosen leaks nothing."""

import numpy as np
import pytest

import graphnn as gn

NAMES = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
A = np.array([[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]])
B = np.array([1.0, -1.0, 3.0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", [B, 1.0, A.T.reshape(3, 2)[:2, :1]])
def test_comparisons_are_numpys(name, other):
    """Truths, of nodes, of nodes and arrays, and of nodes and numbers on either side."""
    a = gn.Input((2, 3), "a", "float64")
    for x, y in ((a, other), (other, a)):
        values = [A if each is a else each for each in (x, y)]
        found = gn.function(a, getattr(gn, name)(x, y))(A)
        assert found.dtype == bool
        assert np.array_equal(found, getattr(np, name)(*values))


def test_whole_numbers_are_compared():
    """Padding of tokens is found so."""
    tokens = gn.Input((None, 3), "tokens", "int32")
    found = gn.function(tokens, gn.not_equal(tokens, 0))(np.array([[7, 1, 0]]))
    assert found.tolist() == [[True, True, False]]


def test_where_is_numpys():
    """With broadcasting of all three, truths and whole numbers as condition, numbers on either side."""
    a = gn.Input((2, 3), "a", "float64")
    for condition, nodes in (
        (A > 0, (a, B)),
        (np.array([[1], [0]]), (a, 0)),
        (np.array([True, False, True]), (2.5, a)),
    ):
        values = [A if each is a else each for each in nodes]
        found = gn.function(a, gn.where(condition, *nodes))(A)
        assert np.array_equal(found, np.where(condition, *values))


def test_a_loss_may_change_its_form():
    """Huber's: value and slope of each side, and none of the other's infinities."""
    e = gn.Input((4,), "e", "float64")
    size = gn.abs(e)
    loss = gn.sum(gn.where(gn.less(size, 1), gn.square(e) / 2, size - 0.5))
    root = gn.sum(gn.where(gn.greater(e, 0), gn.log(e), 0))
    errors = np.array([-3.0, -0.5, 0.25, 2.0])
    slopes = [gn.compute_gradients(each, [e])[e] for each in (loss, root)]
    values = gn.function(e, [loss, *slopes])(errors)
    assert values[0] == 2.5 + 0.125 + 0.03125 + 1.5
    assert values[1].tolist() == [-1.0, -0.5, 0.25, 1.0]
    assert values[2].tolist() == [0.0, 0.0, 4.0, 0.5]


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_places_of_extremes_are_numpys(name, axis):
    """Along an axis or in all; of several equal ones the first."""
    values = np.random.default_rng(0).integers(0, 3, (3, 4, 5)).astype("float32")
    x = gn.Input(values.shape, "x")
    found = gn.function(x, getattr(gn, name)(x, axis))(values)
    assert np.array_equal(found, getattr(np, name)(values, axis))
    assert found.dtype.kind == "i"


def test_clip_is_numpys():
    """From outside nothing of a gradient arrives."""
    a = gn.Input((2, 3), "a", "float64")
    clipped = gn.clip(a, -1.5, 2)
    slope = gn.compute_gradients(gn.sum(clipped), [a])[a]
    found = gn.function(a, [clipped, slope])(A)
    assert np.array_equal(found[0], np.clip(A, -1.5, 2))
    assert np.array_equal(found[1], (A > -1.5) & (A < 2))


def test_an_if_of_nodes_is_refused():
    """It would be decided once, when the graph is built; the message names what decides for each element."""
    a = gn.Input((2, 3), "a")
    for compare in (lambda: a > 0, lambda: a > 0, lambda: max(a, a), lambda: a <= A):
        with pytest.raises(TypeError, match=r"a is a node .* gn.where\(condition, a, b\) chooses"):
            compare()
