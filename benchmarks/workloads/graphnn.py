"""The workloads in graphnn: the step is one compiled function of a batch."""

from __future__ import annotations

import graphnn as gn

from . import Batch, ImageNetwork, Perceptron, Step, Workload

__all__ = ["build"]


def build(workload: Workload, start: Batch) -> Step:
    """A step of graphnn; like the others it is given the same batch every time."""
    inputs = gn.Input(start.inputs.shape)
    labels = gn.Input(start.labels.shape, dtype="int32")
    logits = _logits(workload, inputs)
    loss = gn.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    adam = gn.optimizers.Adam(learning_rate=1e-3, epsilon=1e-8)
    updates = adam.apply_gradients(gn.compute_gradients(loss))
    gn.Model(inputs, logits).set_weights(list(start.weights))
    train = gn.function([inputs, labels], loss, updates=updates)

    def step() -> float:
        return float(train(start.inputs, start.labels))

    return step


def _logits(workload: Workload, inputs):
    match workload.network:
        case Perceptron(widths):
            hidden, widths = inputs, widths[1:]
        case ImageNetwork(channels=channels, padding=padding) as network:
            hidden = inputs
            for filters in channels[1:]:
                hidden = gn.layers.Conv2D(filters, 3, padding=padding, activation="relu")(hidden)
                hidden = gn.layers.MaxPool2D(2)(hidden)
            hidden, widths = gn.layers.Flatten()(hidden), (network.hidden, network.classes)
    for width in widths[:-1]:
        hidden = gn.layers.Dense(width, activation="relu")(hidden)
    return gn.layers.Dense(widths[-1])(hidden)
