"""Models to save: small ones of every kind of layer, and what shows that two are the same."""

from __future__ import annotations

import re
from itertools import product

import numpy as np

import graphnn as gn
from graphnn.graph.lower import lower
from graphnn.graph.node import BATCH
from graphnn.layers import Dense

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
LABELS = (X @ rng.normal(size=(4, 3))).argmax(1)

LAYERS = [
    name
    for name in gn.layers.__all__
    if name != "Layer" and getattr(gn.layers, name).__name__ == name
]
ARGUMENTS = ((), (0.5,), (3,), (2, 3), ("tanh",), ((-1,),))
INPUTS = (
    [((None, 6), "float32")],
    [((None, 6, 5), "float32")],
    [((None, 8, 8, 2), "float32")],
    [((None, 5), "int32")],
    [((None, 6), "float32")] * 2,
    [((None, 6, 5), "float32")] * 2,
)


def layer_model(name):
    """A model with one use of the layer of this name, on the first inputs that it takes."""
    for arguments, inputs in product(ARGUMENTS, INPUTS):
        try:
            layer = getattr(gn.layers, name)(*arguments)
            nodes = [gn.Input(shape, f"x{k}", dtype) for k, (shape, dtype) in enumerate(inputs)]
            y = layer(*nodes)
            assert isinstance(y, gn.Node)
        except (TypeError, ValueError, AssertionError):
            continue
        return gn.Model(nodes, Dense(2)(gn.functions.cast(y, "float32")))
    raise AssertionError(f"no arguments and inputs found for {name}: add some")


def classifier(optimizer="adam", metrics=("accuracy",), loss="sparse_categorical_crossentropy"):
    """A small network, compiled, the same at each call."""
    gn.set_seed(1)
    x = gn.Input((None, 4), "x")
    y = Dense(3, activation="softmax")(Dense(5, activation="tanh")(x))
    model = gn.Model(x, y, name="classifier")
    model.compile(optimizer, loss, list(metrics))
    return model


def training_text(model):
    """The whole training step as the compiler gets it, without the numbers of names made at each use."""
    system = lower(
        [model.loss_node], model.updates.new_values, sizes={BATCH: 2}, training=True
    ).system
    return re.sub(r"\b((d_)?loss(es)?|hits|accuracy|column|mean|y_true)(_\d+)+", r"\1", str(system))


def same(a, b):
    """Are all arrays equal, bit for bit?"""
    return all(p.tobytes() == q.tobytes() for p, q in zip(a, b, strict=True))


def states(model):
    """Copies of everything that training changes."""
    optimizer = model.optimizer
    kept = [p for slots in optimizer.states.values() for p in slots.values()]
    every = [*model.weights, *kept, optimizer.iterations, optimizer.rate]
    return [p.value.copy() for p in every]
