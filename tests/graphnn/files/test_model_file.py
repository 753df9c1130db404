"""Whole models in files: what is read is what was written, without the Python that made it."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import load_file

import graphnn as gn
from graphnn.layers import Add, Concatenate, Dense

from .models import LABELS, LAYERS, X, classifier, layer_model, same, states, training_text


def again(model, path):
    model.save(path)
    return gn.load_model(path)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_comes_back(name, tmp_path):
    """Prints, summary, layers, weights, and the training step down to each equation are the same."""
    model = layer_model(name)
    model.compile(gn.optimizers.Adam(0.01), "mse")
    loaded = again(model, tmp_path / "model")
    assert str(loaded) == str(model)
    assert training_text(loaded) == training_text(model)
    tables = []
    model.summary(tables.append)
    loaded.summary(tables.append)
    assert tables[0] == tables[1]
    assert list(map(repr, loaded.layers)) == list(map(repr, model.layers))
    assert [p.name for p in loaded.weights] == [p.name for p in model.weights]
    assert [p.trainable for p in loaded.weights] == [p.trainable for p in model.weights]
    assert same(loaded.get_weights(), model.get_weights())
    for a, b in zip(loaded.layers, model.layers, strict=True):
        assert same(a.get_weights(), b.get_weights())


@pytest.mark.parametrize("name", LAYERS)
def test_a_second_trip_changes_nothing(name, tmp_path):
    """The file of a loaded model is the file it was loaded from, byte by byte."""
    model = layer_model(name)
    loaded = again(model, tmp_path / "first")
    loaded.save(tmp_path / "second")
    assert (tmp_path / "second").read_bytes() == (tmp_path / "first").read_bytes()


def test_predictions_are_the_same_bits(tmp_path):
    """predict and evaluate give what they gave, under any name of the file."""
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    for name in ("model", "model.gn", "model.safetensors", "mödel.keras"):
        loaded = again(model, tmp_path / name)
        assert same([loaded.predict(X)], [model.predict(X)])
    assert loaded.evaluate(X, LABELS, verbose=0) == model.evaluate(X, LABELS, verbose=0)
    assert same(states(loaded), states(model))


def test_an_operation_of_ones_own_needs_no_python(tmp_path):
    """A gn.op, a custom loss and a custom metric work in a process that never saw their code."""
    swish = gn.op("y[...] = x[...]/(1 + exp(-beta*x[...]))", name="swish", beta=1.5)
    x = gn.Input((None, 4), "x")
    hidden = Dense(3)(x)
    model = gn.Model(x, swish(hidden))
    scaled = gn.op("e[n] = sum[i](abs(t[n, i] - p[n, i])**1.5)", name="scaled")

    def loss(t, p):
        return gn.mean(scaled(t, p)) + 0.01 * gn.sum(hidden**2)

    def largest(t, p):
        return gn.max(gn.abs(t - p))

    model.compile(gn.optimizers.SGD(0.1), loss, [largest])
    y = np.eye(3, dtype="float32")[LABELS]
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "model")
    np.savez(tmp_path / "data.npz", x=X, y=y)
    expected = model.fit(X, y, batch_size=16, verbose=0).history
    program = f"""
import sys, numpy as np, graphnn as gn
data = np.load({str(tmp_path / "data.npz")!r})
model = gn.load_model({str(tmp_path / "model")!r})
print(model.fit(data["x"], data["y"], batch_size=16, verbose=0).history)
np.save({str(tmp_path / "after.npy")!r}, model.predict(data["x"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(expected), done.stderr
    assert same([np.load(tmp_path / "after.npy")], [model.predict(X)])


def test_shared_layers_stay_shared(tmp_path):
    """A layer used twice has one set of weights, before and after."""
    a, b = gn.Input((None, 4), "a"), gn.Input((None, 4), "b")
    shared = Dense(3, name="shared")
    model = gn.Model([a, b], Concatenate()([shared(a), shared(b)]))
    loaded = again(model, tmp_path / "model")
    assert len(loaded.weights) == 2
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    loaded.weights[0].assign(np.ones((4, 3)))
    p = loaded.predict([X, X])
    assert np.array_equal(p[:, :3], p[:, 3:])


def test_several_inputs_and_outputs(tmp_path):
    """Lists stay lists, dicts by input name work, each output keeps its loss and metrics."""
    a, b = gn.Input((None, 4), "a"), gn.Input((None, 4), "b")
    both = Add()([Dense(5)(a), Dense(5)(b)])
    model = gn.Model([a, b], [Dense(3, "softmax", name="kind")(both), Dense(1, name="size")(both)])
    sizes = X.sum(1, keepdims=True)
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"], [["acc"], ["mae"]])
    model.fit({"a": X, "b": X}, [LABELS, sizes], verbose=0)
    loaded = again(model, tmp_path / "model")
    assert same(loaded.predict([X, X]), model.predict([X, X]))
    expected = model.fit([X, X], [LABELS, sizes], verbose=0).history
    assert loaded.fit({"a": X, "b": X}, [LABELS, sizes], verbose=0).history == expected
    assert list(expected) == ["loss", "kind_loss", "size_loss", "kind_acc", "size_mae"]


def test_a_single_output_in_a_list_stays_in_it(tmp_path):
    """What predict returns does not change its kind."""
    x = gn.Input((None, 4), "x")
    loaded = again(gn.Model([x], [Dense(2)(x)]), tmp_path / "model")
    assert isinstance(loaded.predict(X), list)


def test_labels_of_another_kind_can_be_trained_on(tmp_path):
    """A loss of graphnn is known by its name and options, and chooses its formula anew."""
    loss = partial(gn.losses.sparse_categorical_crossentropy, from_logits=True)
    model = classifier(loss=loss)
    model.fit(X, LABELS, verbose=0)
    loaded = again(model, tmp_path / "model")
    for labels in (LABELS.astype("int32"), LABELS[:, None], LABELS):
        assert loaded.evaluate(X, labels, verbose=0) == model.evaluate(X, labels, verbose=0)


def test_a_layer_from_a_file_can_be_used_again(tmp_path):
    """Its formulas apply to new inputs, with the weights it has."""
    model = classifier()
    loaded = again(model, tmp_path / "model")
    z = gn.Input((None, 4), "z")
    features = gn.Model(z, loaded.layers[0](z))
    source = model.layers[0]
    expected = gn.Model(model.inputs, source(model.inputs[0])).predict(X)
    assert same([features.predict(X)], [expected])
    with pytest.raises(gn.GraphnnError, match="takes 1 inputs, got 2"):
        loaded.layers[0](z, z)


def test_a_layer_that_nothing_is_made_of(tmp_path):
    """An input that a layer ignores is in the summary as unused, before and after."""

    class First(gn.Layer):
        def call(self, *inputs):
            return inputs[0] * 2

    x = gn.Input((None, 4), "x")
    model = gn.Model(x, First()(Dense(2)(x), Dense(3, name="ignored")(x)))
    tables = []
    model.summary(tables.append)
    again(model, tmp_path / "model").summary(tables.append)
    assert tables[0] == tables[1]
    assert "ignored (Dense)" in tables[0]
    assert "unused" in tables[0]


def test_frozen_stays_frozen(tmp_path):
    """Layers that were not trainable are not after loading, and can be set free."""
    model = classifier()
    model.layers[0].trainable = False
    loaded = again(model, tmp_path / "model")
    assert [layer.trainable for layer in loaded.layers] == [False, True]
    assert len(loaded.parameters) == 2
    loaded.layers[0].trainable = True
    assert len(loaded.parameters) == 4


def test_a_graph_with_gradients_in_it(tmp_path):
    """A loss that contains a derivative (a differential equation's) is a graph as any other."""
    x = gn.Input((None, 1), "x")
    u = Dense(1)(Dense(6, "tanh")(x))
    slope = gn.compute_gradients(gn.sum(u), [x])[x]
    model = gn.Model(x, u)
    model.compile("adam", lambda t, p: gn.mean((slope + p - t) ** 2))
    model.fit(X[:, :1], X[:, 1:2], verbose=0)
    loaded = again(model, tmp_path / "model")
    model.fit(X[:, :1], X[:, 1:2], verbose=0)
    loaded.fit(X[:, :1], X[:, 1:2], verbose=0)
    assert same(states(loaded), states(model))


def test_constants_keep_their_values(tmp_path):
    """Arrays, numbers, infinities and whole numbers beside nodes are the same bits."""
    x = gn.Input((None, 4), "x")
    table = np.array([0.1, np.inf, -0.0, 3e-45], "float32")
    y = gn.minimum(x * table, np.float32(0.1)) + gn.maximum(x, float("-inf"))
    model = gn.Model(x, y)
    assert same([again(model, tmp_path / "model").predict(X)], [model.predict(X)])


def test_sequential_comes_back_as_a_model(tmp_path):
    """One that is not built yet has nothing to save and says so."""
    model = gn.Sequential([Dense(3, "relu"), Dense(2)])
    with pytest.raises(gn.GraphnnError, match="not built yet"):
        model.save(tmp_path / "model")
    model.build((None, 4))
    loaded = again(model, tmp_path / "model")
    assert same([loaded.predict(X)], [model.predict(X)])
    with pytest.raises(gn.GraphnnError, match="not compiled"):
        loaded.fit(X, X, verbose=0)


def test_float64_stays_float64(tmp_path):
    """dtypes of inputs, weights and states are kept."""
    x = gn.Input((None, 4), "x", "float64")
    kernel = gn.Parameter(np.eye(4), "kernel")
    model = gn.Model(x, x @ kernel)
    model.compile("rmsprop", "mse")
    model.fit(X.astype("float64"), X.astype("float64"), verbose=0)
    loaded = again(model, tmp_path / "model")
    assert loaded.weights[0].dtype == "float64"
    assert same(states(loaded), states(model))


def test_how_it_is_compiled_comes_back(tmp_path):
    """What was said about small numbers and windows holds for the loaded model."""
    model = gn.Sequential([gn.Input((None, 4)), gn.layers.Dense(2)])
    model.compile("sgd", "mse", ftz=True, windows="direct")
    loaded = again(model, tmp_path / "model")
    assert loaded.settings.options == {"ftz": True, "windows": "direct"}


def test_other_tools_read_the_weights(tmp_path):
    """The file is one of safetensors; beside the weights stand the optimizer's states."""
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.save(tmp_path / "model.safetensors")
    arrays = load_file(tmp_path / "model.safetensors")
    weights = {name: a for name, a in arrays.items() if not name.startswith("graphnn:")}
    assert list(weights) and same(
        [
            weights[f"{layer}.{kind}"]
            for layer in ("dense", "dense_1")
            for kind in ("kernel", "bias")
        ],
        model.get_weights(),
    )
    assert arrays["graphnn:adam.t" if "graphnn:adam.t" in arrays else _counter(arrays)] == 2


def _counter(arrays):
    return next(name for name in arrays if name.endswith(".t"))


def test_loading_does_not_disturb_randomness(tmp_path):
    """Random numbers and names of what is built next do not depend on files that were read."""
    classifier().save(tmp_path / "model")

    def built():
        return Dense(3)(gn.Input((None, 4))).inputs

    gn.set_seed(5)
    kernel = next(n for n in built() if isinstance(n, gn.Parameter)).value.copy()
    gn.set_seed(5)
    gn.load_model(tmp_path / "model")
    assert same([kernel], [next(n for n in built() if isinstance(n, gn.Parameter)).value])
