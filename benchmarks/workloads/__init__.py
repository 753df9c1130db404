"""The workloads: networks as layers, sizes, data and initial weights; the same for every framework.

A workload is a whole training step in float32: forward, cross-entropy of integer labels from
logits, gradients, Adam with a learning rate of 0.001. The files beside this one write it down, one
for each framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .layers import (
    Block,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    Layer,
    MaxPooling,
    Positions,
    Recurrent,
    Shape,
)

__all__ = ["WORKLOADS", "Batch", "Step", "Workload"]

# One training step; its value is the loss before the update, read back from the framework.
Step = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Batch:
    """What every framework starts from; weights in the order of the layers."""

    inputs: np.ndarray
    labels: np.ndarray
    weights: tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A network and how many samples of which shape it is trained on at once."""

    name: str
    batch: int
    sample: Shape
    layers: tuple[Layer, ...]

    def places(self) -> Iterator[tuple[Layer, Shape]]:
        """Each layer with the shape of what it is given."""
        shape = self.sample
        for layer in self.layers:
            yield layer, shape
            shape = layer.output(shape)

    def start(self, seed: int = 0) -> Batch:
        """Random inputs and labels, and weights that keep the variance of what flows through."""
        random = np.random.default_rng(seed)
        weights = []
        for layer, shape in self.places():
            for weight in layer.weights(shape):
                value = weight.mean + weight.deviation * random.standard_normal(weight.shape)
                weights.append(value.astype(np.float32))
        *steps, classes = layer.output(shape)
        labels = random.integers(0, classes, (self.batch, *steps), dtype=np.int32)
        return Batch(self._inputs(random), labels, tuple(weights))

    def _inputs(self, random: np.random.Generator) -> np.ndarray:
        shape = (self.batch, *self.sample)
        match self.layers[0]:
            case Embedding(vocabulary=vocabulary):
                return random.integers(0, vocabulary, shape, dtype=np.int32)
        return random.standard_normal(shape, dtype=np.float32)


def _perceptron(*widths: int) -> tuple[Layer, ...]:
    *hidden, classes = widths
    return (*(Dense(width, relu=True) for width in hidden), Dense(classes))


def _recurrent(*layers: Recurrent) -> tuple[Layer, ...]:
    return (Embedding(5000, 64), *layers, Dense(2))


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("mlp_tiny", 32, (64,), _perceptron(64, 32, 10)),
        Workload("mlp", 128, (784,), _perceptron(256, 128, 10)),
        Workload(
            "cnn28",
            64,
            (28, 28, 1),
            (
                *(Convolution(16), MaxPooling(), Convolution(32), MaxPooling()),
                *(Flatten(), *_perceptron(128, 10)),
            ),
        ),
        Workload(
            "cnn224",
            32,
            (224, 224, 3),
            (
                *(Convolution(32, padding="valid"), MaxPooling()),
                *(Convolution(64, padding="valid"), MaxPooling()),
                *(Flatten(), *_perceptron(128, 2)),
            ),
        ),
        Workload(
            "lstm",
            32,
            (64,),
            _recurrent(Recurrent("lstm", 128, whole=True), Recurrent("lstm", 128)),
        ),
        Workload("gru", 32, (64,), _recurrent(Recurrent("gru", 128))),
        Workload(
            "tfm",
            16,
            (64,),
            (Embedding(1000, 128), Positions(), Block(4, 512), Block(4, 512), Dense(1000)),
        ),
    )
}
