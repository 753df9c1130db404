"""Copies of models: what `copy` and `pickle` make is what the model's file would be."""

import copy
import pickle

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Dense, Dropout

rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(20, 4)).astype("float32"), rng.integers(0, 3, 20)


def classifier(compiled=True):
    gn.set_seed(1)
    layers = [gn.Input((None, 4), "x"), Dense(5, "relu"), Dropout(0.5), Dense(3, "softmax")]
    model = gn.Sequential(layers, name="classifier")
    if compiled:
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        model.fit(X, LABELS, epochs=2, batch_size=7, verbose=0)
    return model


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_goes_on_by_itself(copied):
    """Trained, it does what the original does next, to the bit, and leaves the original as it is."""
    model = classifier()
    before = model.predict(X)
    other = copied(model)
    assert other.name == model.name and np.array_equal(other.predict(X), before)
    found = other.fit(X, LABELS, epochs=2, batch_size=7, verbose=0).history
    assert np.array_equal(model.predict(X), before)
    assert found == model.fit(X, LABELS, epochs=2, batch_size=7, verbose=0).history
    assert np.array_equal(model.predict(X), other.predict(X))


def test_models_of_ones_own_class_are_copied():
    """As the plain models that their files are."""

    class Own(gn.Model):
        def __init__(self):
            x = gn.Input((None, 4), "x")
            super().__init__(x, Dense(2)(x), name="own")

    model = Own()
    assert np.array_equal(copy.deepcopy(model).predict(X), model.predict(X))


def test_models_need_not_be_compiled_to_be_copied():
    """The copy is not compiled either; models within models are copied with them."""
    inner = classifier(compiled=False)
    x = gn.Input((None, 4), "given")
    model = gn.Model(x, Dense(2)(inner(x)))
    other = copy.deepcopy(model)
    assert np.array_equal(model.predict(X), other.predict(X))
    with pytest.raises(gn.GraphnnError, match="is not compiled"):
        other.fit(X, LABELS)


def test_compiled_functions_are_not_copied():
    """They hold machine code; the message says what to do."""
    x = gn.Input((2,))
    with pytest.raises(TypeError, match="make it anew"):
        copy.deepcopy(gn.function(x, 2 * x))
