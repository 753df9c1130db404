"""Layers of a loaded model: called, frozen and looked into, they do what those that were saved do."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import LSTM, BatchNormalization, Dense, Dropout, MultiHeadAttention

from .models import X, same

Y = X[:, :2]
SEQUENCES = np.stack([X[:, :3], X[:, 1:], -X[:, :3]], 1)


def again(model, path):
    model.save(path)
    return gn.load_model(path)


def outer_model():
    """A network in a network in a network, with what training and inference do differently."""
    gn.set_seed(2)
    layers = [Dense(5), BatchNormalization(), Dropout(0.5), Dense(3)]
    chain = gn.Sequential([gn.Input((None, 4)), *layers], name="chain")
    i = gn.Input((None, 4), "i")
    inner = gn.Model(i, Dense(2, name="last")(chain(i)), name="inner")
    k = gn.Input((None, 4), "k")
    return gn.Model(k, inner(k), name="outer")


def values_of(layer, *arrays):
    """What a layer gives for arrays, as a list."""
    inputs = [gn.Input((None, *a.shape[1:])) for a in arrays]
    given = layer(*inputs)
    nodes = [given] if isinstance(given, gn.Node) else given
    return gn.function(inputs, nodes, training=False)(*arrays)


def test_a_network_in_a_loaded_one_is_a_model(tmp_path):
    """It has its layers, predicts, prints as before and can be saved alone."""
    model = outer_model()
    loaded = again(model, tmp_path / "model")
    pairs = [
        (m.get_layer("inner"), m.get_layer("inner").get_layer("chain")) for m in (model, loaded)
    ]
    for ours, theirs in zip(*pairs, strict=True):
        assert isinstance(theirs, gn.Model)
        assert repr(theirs) == repr(ours)
        assert str(theirs) == str(ours)
        assert same([theirs.predict(X)], [ours.predict(X)])
        assert same([again(theirs, tmp_path / "part").predict(X)], [ours.predict(X)])
    loaded.save(tmp_path / "second")
    assert (tmp_path / "second").read_bytes() == (tmp_path / "model").read_bytes()


@pytest.mark.parametrize("names", [("inner",), ("inner", "chain"), ("inner", "chain", "batch")])
def test_freezing_a_part_after_loading(names, tmp_path):
    """Losses and all weights, moving statistics included, become those of the model that was saved."""
    model = outer_model()
    loaded = again(model, tmp_path / "model")
    losses = []
    for each in (model, loaded):
        part = each
        for name in names:
            part = next(layer for layer in part.layers if layer.name.startswith(name))
        part.trainable = False
        assert not any(p in part.weights for p in each.parameters)
        if not each.parameters:
            part.layers[-1].trainable = True
        each.compile("sgd", "mse")
        losses.append([each.train_on_batch(X, Y) for _ in range(3)])
    assert losses[0] == losses[1]
    assert same(loaded.get_weights(), model.get_weights())


def test_a_network_with_several_outputs_gives_as_many(tmp_path):
    """Also where the model that was saved makes something of one of them only."""
    i = gn.Input((None, 4), "i")
    h = Dense(5, "tanh", name="h")(i)
    inner = gn.Model(i, [h, Dense(2, name="o")(h)], name="inner")
    k = gn.Input((None, 4), "k")
    model = gn.Model(k, inner(k)[0])
    loaded = again(model, tmp_path / "model").get_layer("inner")
    assert [node.shape for node in loaded(k)] == [(None, 5), (None, 2)]
    assert same(values_of(loaded, X), values_of(inner, X))


@pytest.mark.parametrize("used", [[0], [1], [2, 0]])
def test_a_layer_with_several_outputs_gives_all_in_their_order(used, tmp_path):
    """Whichever of them the model that was saved makes something of."""
    layer = LSTM(3, return_state=True, name="l")
    s = gn.Input((None, 3, 3), "s")
    outputs = layer(s)
    model = gn.Model(s, [outputs[place] for place in used])
    loaded = again(model, tmp_path / "model").get_layer("l")
    assert same(values_of(loaded, SEQUENCES), values_of(layer, SEQUENCES))
    assert len(values_of(loaded, SEQUENCES)) == 3


def test_a_layer_gives_what_it_gave_and_not_what_it_made_last(tmp_path):
    """The output of a call is recorded, not guessed, be it an input or made early."""

    class Odd(gn.Layer):
        def call(self, *inputs):
            (x,) = inputs
            early = x * 2
            return early, early + 1, x

    odd, k = Odd(name="odd"), gn.Input((None, 4), "k")
    early, late, _ = odd(k)
    loaded = again(gn.Model(k, early + late), tmp_path / "model").get_layer("odd")
    assert same(values_of(loaded, X), [2 * X, 2 * X + 1, X])


def test_a_layer_that_gave_no_nodes_says_so(tmp_path):
    """A dict is nothing that a file holds."""

    class Named(gn.Layer):
        def call(self, *inputs):
            return {"double": inputs[0] * 2}

    k = gn.Input((None, 4), "k")
    model = gn.Model(k, Named(name="named")(k)["double"])
    loaded = again(model, tmp_path / "model")
    assert same([loaded.predict(X)], [2 * X])
    with pytest.raises(gn.GraphnnError, match="named gave no nodes when it was saved"):
        loaded.get_layer("named")(k)


def test_a_layer_given_one_node_twice_takes_no_two(tmp_path):
    """A formula of one input is not that of two; of two it is also that of one."""
    s, t = gn.Input((None, 3, 3), "s"), gn.Input((None, 3, 3), "t")
    layer = MultiHeadAttention(1, 2, name="attention")
    alone = again(gn.Model(s, layer(s, s)), tmp_path / "one").get_layer("attention")
    assert alone(t, t, t).shape == (None, 3, 3)
    with pytest.raises(gn.GraphnnError, match="one node as several of its inputs"):
        alone(s, t, t)
    both = again(gn.Model([s, t], layer(s, t)), tmp_path / "two").get_layer("attention")
    inputs = gn.function([s, t], [both(s, t, t), both(s, s, s)])(SEQUENCES, -SEQUENCES)
    expected = gn.function([s, t], [layer(s, t), layer(s, s)])(SEQUENCES, -SEQUENCES)
    assert same(inputs, expected)


@pytest.mark.parametrize("kind", ["layer", "model"])
def test_a_use_after_loading_draws_numbers_of_its_own(kind, tmp_path):
    """Neither those of a use before saving nor those of another one; its nodes have new names, too."""
    gn.set_seed(0)
    x = gn.Input((None, 50), "x")
    lost = Dropout(0.5, name="lost")
    part = gn.Sequential([gn.Input((None, 50)), lost], name="lost") if kind == "model" else lost
    loaded = again(gn.Model(x, [part(x), part(x)]), tmp_path / "model")
    part = loaded.get_layer("lost")
    nodes = [*loaded.outputs, part(loaded.inputs[0]), part(loaded.inputs[0])]
    masks = gn.function(loaded.inputs, nodes, training=True)(np.ones((4, 50), "float32"))
    assert len({mask.tobytes() for mask in masks}) == 4
    assert [node.name for node in nodes] == ["lost", *(f"lost.call_{k}" for k in (2, 3, 4))]


def test_deep_nesting(tmp_path):
    """Names of weights are found once for each layer, so that models in one another cost no more than beside."""
    k = gn.Input((None, 4), "k")
    model = gn.Model(k, Dense(4)(Dense(4)(k)))
    for _ in range(12):
        k = gn.Input((None, 4), "k")
        model = gn.Model(k, model(k))
    loaded = again(model, tmp_path / "model")
    assert same([loaded.predict(X)], [model.predict(X)])
    assert str(loaded) == str(model)
