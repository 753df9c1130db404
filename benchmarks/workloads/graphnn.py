"""The workloads in graphnn: the step is one compiled function of a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import graphnn as gn

from . import Batch, Step, Workload
from .layers import (
    EPSILON,
    Block,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    Layer,
    MaxPooling,
    Normalization,
    Positions,
    Recurrent,
)

__all__ = ["build"]

Weights = Iterator[np.ndarray]


def build(workload: Workload, start: Batch) -> Step:
    """A step of graphnn; like the others it is given the same batch every time."""
    inputs = gn.Input(start.inputs.shape, dtype=start.inputs.dtype.name)
    labels = gn.Input(start.labels.shape, dtype="int32")
    loss = gn.losses.sparse_categorical_crossentropy(
        labels, _logits(workload, inputs, iter(start.weights)), from_logits=True
    )
    adam = gn.optimizers.Adam(learning_rate=1e-3, epsilon=1e-8)
    updates = adam.apply_gradients(gn.compute_gradients(loss))
    train = gn.function([inputs, labels], loss, updates=updates)

    def step() -> float:
        return float(train(start.inputs, start.labels))

    return step


def _logits(workload: Workload, hidden: gn.Node, weights: Weights) -> gn.Node:
    for layer in workload.layers:
        hidden = _apply(layer, hidden, weights)
    return hidden


def _apply(layer: Layer, x: gn.Node, weights: Weights) -> gn.Node:
    match layer:
        case Dense(width, relu):
            return _call(gn.layers.Dense(width, activation="relu" if relu else None), weights, x)
        case Convolution(filters, window, stride, padding, relu):
            activation = "relu" if relu else None
            conv = gn.layers.Conv2D(filters, window, stride, padding, activation=activation)
            return _call(conv, weights, x)
        case MaxPooling():
            return gn.layers.MaxPool2D(2)(x)
        case Flatten():
            return gn.layers.Flatten()(x)
        case Normalization():
            normalize = gn.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON)
            return gn.relu(_call(normalize, weights, x))
        case Embedding(vocabulary, width):
            return _call(gn.layers.Embedding(vocabulary, width), weights, x)
        case Positions():
            return x + gn.Parameter(next(weights), "positions")
        case Recurrent():
            return _recurrent(layer, x, weights)
        case Block():
            return _block(layer, x, weights)


def _recurrent(layer: Recurrent, x: gn.Node, weights: Weights) -> gn.Node:
    kind = {"lstm": gn.layers.LSTM, "gru": gn.layers.GRU}[layer.cell]
    first = _call(kind(layer.units, return_sequences=layer.whole), weights, x)
    if not layer.both:
        return first
    other = kind(layer.units, return_sequences=layer.whole, go_backwards=True)
    second = _call(other, weights, x)
    if layer.whole:
        second = gn.op("y[n, t:dim(x, 1), u] = x[n, dim(x, 1) - 1 - t, u]")(second)
    return gn.layers.Concatenate()([first, second])


def _block(layer: Block, x: gn.Node, weights: Weights) -> gn.Node:
    width = x.shape[-1]
    attend = gn.layers.MultiHeadAttention(layer.heads, width // layer.heads)
    seen = _call(attend, weights, x, x, use_causal_mask=layer.causal)
    x = _call(gn.layers.LayerNormalization(epsilon=EPSILON), weights, x + seen)
    hidden = _call(gn.layers.Dense(layer.hidden, activation="relu"), weights, x)
    hidden = _call(gn.layers.Dense(width), weights, hidden)
    return _call(gn.layers.LayerNormalization(epsilon=EPSILON), weights, x + hidden)


def _call(layer: gn.layers.Layer, weights: Weights, *inputs: gn.Node, **options: bool) -> gn.Node:
    """The layer's output; its weights are the next ones."""
    output = layer(*inputs, **options)
    for parameter in layer.learnt:
        parameter.value[...] = next(weights)
    return output
