"""Parts of nodes are those that NumPy takes of arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import basic_indices

import graphnn as gn
from graphnn.layers import Dense

SHAPE = (3, 5, 4)
X = np.arange(60.0).reshape(SHAPE)
x = gn.Input(SHAPE, "x", "float64")
words = gn.Input((None, 5, 4), "words", "float64")


@pytest.mark.parametrize("key", [None, np.s_[None, ..., None], np.s_[...], ()])
def test_parts_of_a_number(key):
    """New axes alone."""
    number = gn.Input((), "number")
    assert np.array_equal(gn.evaluate(number[key], {number: 3}), np.array(3)[key])


@settings(max_examples=60, deadline=None)
@given(basic_indices(SHAPE, allow_newaxis=True, min_dims=0).filter(lambda key: X[key].size))
def test_parts_are_numpys(key):
    """Numbers, slices, ``...`` and new axes: shape and values."""
    found = x[key]
    assert found.shape == X[key].shape
    assert np.array_equal(gn.evaluate(found, {x: X}), X[key])


@pytest.mark.parametrize("key", [np.s_[:, 0], np.s_[:, -1, 1:], np.s_[-1], np.s_[0:, ::-2]])
def test_parts_of_a_batch_of_open_size(key):
    """Compiled; the gradient is 1 at what is taken and 0 elsewhere."""
    found = words[key]
    assert np.array_equal(gn.function(words, found)(X), X[key])
    slope = gn.compute_gradients(gn.sum(found), [words])[words]
    expected = np.zeros(SHAPE)
    expected[key] = 1
    assert np.array_equal(gn.evaluate(slope, {words: X}), expected)


REFUSALS = [
    (np.s_[:, 5], IndexError, r"words is f64\[N, 5, 4\]: axis 1 has no place 5"),
    (np.s_[:, 0, 0, 0], IndexError, "too many subscripts"),
    (np.s_[1], gn.ShapeError, "axis 0, whose size is not fixed"),
    (np.s_[:2], gn.ShapeError, "axis 0, whose size is not fixed"),
    (np.s_[:, 3:3], gn.ShapeError, "leaves nothing of axis 1"),
    (np.s_[:, ::0], ValueError, "step cannot be zero"),
    (np.s_[:, [0, 1]], gn.GraphnnError, "a tensor is one in a formula"),
]


@pytest.mark.parametrize(("key", "error", "message"), REFUSALS)
def test_parts_that_are_not_there_are_refused(key, error, message):
    """With the node's shape."""
    with pytest.raises(error, match=message):
        words[key]


@pytest.mark.parametrize("use", [list, np.mean, np.asarray, lambda n: 1 in n])
def test_nodes_are_no_sequences_of_numbers(use):
    """Where Python or NumPy would look into a node they say so at once."""
    with pytest.raises(TypeError, match="not iterable|has no numbers: write gn"):
        use(words)


def test_the_output_of_a_layer(tmp_path):
    """Of a model's layer, loaded too, what it gave; of one that was called never or twice there is none."""
    hidden = Dense(3, "relu", name="hidden")
    assert hidden(words) is hidden.output
    model = gn.Model(words, Dense(2)(hidden.output))
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    inside = gn.Model(loaded.inputs, loaded.get_layer("hidden").output)
    assert np.array_equal(inside.predict(X), gn.Model(words, hidden.output).predict(X))
    for layer in (Dense(3), hidden):
        if layer is hidden:
            hidden(words)
        with pytest.raises(gn.GraphnnError, match="keep what its calls give"):
            layer.output  # noqa: B018


def test_a_network_goes_on_from_the_ends_of_another(tmp_path):
    """Of a model its inputs and outputs are its ends, one or several, called or not; of a layer what it was given."""
    tags = gn.Input((None, 2), "tags")
    hidden = Dense(3, "relu", name="hidden")
    one = gn.Model(words, hidden(words))
    two = gn.Model([words, tags], [one(words), Dense(2)(tags)])
    assert (one.input, one.output, hidden.input) == (words, one.outputs[0], words)
    assert (two.input, two.output) == (two.inputs, two.outputs)
    one.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    more = gn.Model(loaded.input, Dense(1)(loaded.output))
    assert more.predict(X).shape == (*one.predict(X).shape[:-1], 1)
    with pytest.raises(gn.GraphnnError, match="was called 0 times"):
        gn.Sequential([Dense(3)]).output  # noqa: B018
