"""The workloads in graphnn: each task is one compiled function of a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import graphnn as gn

from . import Batch, Step, Task, Workload
from .layers import (
    EPSILON,
    Averaging,
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

__all__ = ["apply", "differentiate", "function", "predict", "train"]

Weights = Iterator[np.ndarray]


def train(workload: Workload, start: Batch) -> Step:
    """A training step; like the others it is given the same batch every time."""
    compiled, given = function("train", workload, start)
    return lambda: [float(compiled(*given))]


def predict(workload: Workload, start: Batch) -> Step:
    """`Model.predict` of one batch."""
    model = gn.Model(*_network(workload, start))
    return lambda: [model.predict(start.inputs, batch_size=workload.batch)]


def apply(workload: Workload, start: Batch) -> Step:
    """A compiled function of the input."""
    compiled, given = function("apply", workload, start)
    return lambda: compiled(*given)


def differentiate(workload: Workload, start: Batch) -> Step:
    """A compiled function with gradients among its results."""
    compiled, given = function("differentiate", workload, start)
    return lambda: compiled(*given)


def function(
    task: Task, workload: Workload, start: Batch
) -> tuple[gn.Function, tuple[np.ndarray, ...]]:
    """What is compiled for a task, and what it is given."""
    inputs, logits = _network(workload, start)
    match task:
        case "train":
            # Keras adds epsilon before it corrects the bias of moments: the same in the first step.
            adam = gn.optimizers.Adam(learning_rate=1e-3, epsilon=1e-8 * 0.001**0.5)
            labels = gn.Input(start.labels.shape, dtype="int32")
            loss = gn.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            updates = adam.apply_gradients(gn.compute_gradients(loss))
            compiled = gn.function([inputs, labels], loss, updates, ftz=True)
            return compiled, (start.inputs, start.labels)
        case "predict" | "apply":
            return gn.function([inputs], [logits]), (start.inputs,)
        case "differentiate":
            upstream = gn.Input(logits.shape)
            wanted = [inputs, *gn.Model(inputs, logits).parameters]
            gradients = gn.compute_gradients(gn.sum(logits * upstream), wanted)
            compiled = gn.function([inputs, upstream], [logits, *gradients.values()])
            return compiled, (start.inputs, start.gradient)


def _network(workload: Workload, start: Batch) -> tuple[gn.Input, gn.Node]:
    inputs = gn.Input(start.inputs.shape, dtype=start.inputs.dtype.name)
    hidden, weights = inputs, iter(start.weights)
    for layer in workload.layers:
        hidden = _apply(layer, hidden, weights)
    return inputs, hidden


def _apply(layer: Layer, x: gn.Node, weights: Weights) -> gn.Node:
    match layer:
        case Dense(width, relu, bias):
            dense = gn.layers.Dense(width, "relu" if relu else None, use_bias=bias)
            return _call(dense, weights, x)
        case Convolution(filters, window, stride, padding, relu, bias):
            options = {"activation": "relu" if relu else None, "use_bias": bias}
            options |= {"groups": layer.groups, "dilation_rate": layer.dilation}
            return _call(gn.layers.Conv2D(filters, window, stride, padding, **options), weights, x)
        case MaxPooling():
            return gn.layers.MaxPool2D(2)(x)
        case Averaging():
            return gn.mean(x, axis=tuple(range(1, len(x.shape) - 1)))
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
