"""Regularizers: formulas of weights that a model's loss grows by."""

import numpy as np
import pytest

import graphnn as gn
from graphnn import layers, regularizers
from graphnn.layers import Dense

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 4)).astype("float32")
T = rng.normal(size=(20, 2)).astype("float32")
OPTIONS = [
    ("Dense", (4,), {"units": 2, "kernel_regularizer": "l1", "bias_regularizer": "l2"}),
    ("Conv2D", (5, 5, 2), {"filters": 2, "kernel_size": 2, "kernel_regularizer": "l2", "bias_regularizer": "l1"}),
    ("LSTM", (3, 2), {"units": 2, "kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"}),
    ("BatchNormalization", (3,), {"gamma_regularizer": "l1", "beta_regularizer": "l2"}),
    ("LayerNormalization", (3,), {"gamma_regularizer": "l1", "beta_regularizer": "l2"}),
]  # fmt: skip


def penalized(module, start, model, given):
    """Two layers with regularizers, by names, objects and their classes."""
    kinds = module.regularizers
    hidden = module.layers.Dense(
        5, "tanh", kernel_regularizer=kinds.L1L2(0.01, 0.02), bias_regularizer="l2"
    )
    top = module.layers.Dense(2, kernel_regularizer=kinds.l1(0.03))
    x = start(given)
    return model(x, top(hidden(x)))


def test_training_with_penalties_is_kerass(keras, tmp_path):
    """The losses of fit and evaluate, and the weights; after loading they are the same."""
    theirs = penalized(keras, keras.Input, keras.Model, (4,))
    ours = penalized(gn, gn.Input, gn.Model, (None, 4))
    weights = [rng.normal(size=w.shape).astype("float32") for w in ours.get_weights()]
    options = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    found = []
    for model, module in ((ours, gn), (theirs, keras)):
        model.set_weights(weights)
        model.compile(module.optimizers.SGD(0.1), "mse", metrics=["mae"])
        found += model.fit(X, T, **options).history["loss"], model.evaluate(X, T, verbose=0)
    assert found[0] == pytest.approx(found[2], rel=1e-5)
    assert found[1] == pytest.approx(found[3], rel=1e-5)
    for mine, expected in zip(ours.weights, theirs.weights, strict=True):
        assert np.allclose(mine.value, expected.value, atol=1e-6)
    ours.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    assert loaded.evaluate(X, T, verbose=0) == ours.evaluate(X, T, verbose=0)
    ours.trainable = False
    assert not ours.losses


@pytest.mark.parametrize(("kind", "shape", "options"), OPTIONS, ids=[o[0] for o in OPTIONS])
def test_penalties_of_layers_are_kerass(keras, kind, shape, options):
    """The same weights cost the same."""
    ours, theirs = getattr(layers, kind)(**options), getattr(keras.layers, kind)(**options)
    ours(gn.Input((None, *shape)))
    theirs.build((None, *shape))
    theirs.set_weights(ours.get_weights())
    costs = [float(gn.evaluate(node)) for node in ours.losses]
    assert len(costs) == len(options) - sum(
        k in options for k in ("units", "filters", "kernel_size")
    )
    assert sum(costs) == pytest.approx(sum(map(float, theirs.losses)), rel=1e-5)


def test_embeddings_and_attention_have_penalties_too():
    """Tables of tokens, and all four projections."""
    table = layers.Embedding(5, 3, embeddings_regularizer="l2")
    x = table(gn.Input((None, 4), dtype="int32"))
    heads = layers.MultiHeadAttention(2, 2, kernel_regularizer="l1", bias_regularizer="l2")
    heads(x, x)
    assert (len(table.losses), len(heads.losses)) == (1, 8)


def test_a_regularizer_of_ones_own_is_a_formula():
    """Added to the loss once, however often the layer is used, and derived like all else."""
    layer = Dense(4, kernel_regularizer=gn.op("y = 0.5*sum[...](w[...]**4)"))
    x = gn.Input((None, 4))
    model = gn.Model(x, layer(layer(x)))
    model.compile("sgd", "mse")
    assert len(model.losses) == 1
    kernel = model.weights[0]
    gradient = gn.compute_gradients(model.losses[0])[kernel]
    assert np.allclose(gn.evaluate(gradient), 2 * kernel.value**3, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("l3", "unknown regularizer 'l3'; known are l1, l1_l2, l2"),
        (0.01, "a regularizer is a name or a formula"),
        (gn.op("y[...] = w[...]**2"), "one number of one operand"),
        (gn.op("y = sum[...](w[...]*v[...])"), "one number of one operand"),
    ],
)
def test_what_is_no_regularizer(given, error):
    """A name that is not known, a number, a formula with another result or more operands."""
    with pytest.raises(gn.GraphnnError, match=error):
        Dense(3, kernel_regularizer=given)
    with pytest.raises(gn.GraphnnError, match="l2 must be a number from 0 on"):
        regularizers.L2(-1.0)
