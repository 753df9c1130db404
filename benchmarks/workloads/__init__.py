"""The workloads: networks as layers, sizes, data and initial weights; the same for every framework.

The files beside this one write them down, one for each framework, with a function for each task:

    train           forward, cross-entropy of integer labels from logits, gradients, Adam at 0.001
    predict         logits, in the way in which users of the framework predict
    apply           the same as a bare function
    differentiate   the same with the gradients of the input and of all weights

Everything is float32. Subnormal numbers count as zero in training, as JAX always has it: a batch
that is trained on again and again leads to little else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

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

__all__ = [
    "WORKLOADS",
    "Batch",
    "Step",
    "Task",
    "Workload",
    "perceptron",
    "reader",
    "transformer",
]

Task = Literal["train", "predict", "apply", "differentiate"]
# Does the task once; its results are read back: the loss before the update, or all results.
Step = Callable[[], Sequence[np.ndarray | float]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What every framework starts from: weights in the order of the layers, and for `differentiate`
    the gradient of the outputs.
    """

    inputs: np.ndarray
    labels: np.ndarray
    weights: tuple[np.ndarray, ...]
    gradient: np.ndarray


@dataclass(frozen=True, slots=True)
class Workload:
    """A network and how many samples of which shape it is given at once."""

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
        outputs = (self.batch, *layer.output(shape))
        labels = random.integers(0, outputs[-1], outputs[:-1], dtype=np.int32)
        gradient = random.standard_normal(outputs, dtype=np.float32)
        return Batch(self._inputs(random), labels, tuple(weights), gradient)

    def _inputs(self, random: np.random.Generator) -> np.ndarray:
        shape = (self.batch, *self.sample)
        match self.layers[0]:
            case Embedding(vocabulary=vocabulary):
                return random.integers(0, vocabulary, shape, dtype=np.int32)
        return random.standard_normal(shape, dtype=np.float32)

    def operations(self, task: Task) -> int:
        """Floating-point operations of the products, as the formulas define them.

        Each product has two gradients that take as many; nobody needs that of a network's input.
        """
        forward = [layer.products(shape) for layer, shape in self.places()]
        unused = forward[0] if task == "train" else 0
        passes = 3 if task in ("train", "differentiate") else 1
        return 2 * self.batch * (passes * sum(forward) - unused)

    def traffic(self, task: Task) -> int:
        """Bytes that move at least, if no cache keeps them from one step to the next: the inputs and
        the weights, in training with their two moments, which are read and written.
        """
        weights = [prod(w.shape) for layer, shape in self.places() for w in layer.weights(shape)]
        passes = {"train": 6, "differentiate": 2}.get(task, 1)
        return 4 * (passes * sum(weights) + self.batch * prod(self.sample))


def perceptron(*widths: int) -> tuple[Layer, ...]:
    """Fully connected layers with relu between them."""
    *hidden, classes = widths
    return (*(Dense(width, relu=True) for width in hidden), Dense(classes))


def reader(*layers: Recurrent) -> tuple[Layer, ...]:
    """Recurrent layers read a text and tell two classes apart."""
    return (Embedding(5000, 64), *layers, Dense(2))


def transformer(
    vocabulary: int, width: int, depth: int, heads: int, causal: bool = False
) -> tuple[Layer, ...]:
    """Logits of a token for each place of a sequence."""
    blocks = depth * (Block(heads, 4 * width, causal),)
    return (Embedding(vocabulary, width), Positions(), *blocks, Dense(vocabulary))


def _images(*filters: int, padding: Literal["same", "valid"] = "same") -> Iterator[Layer]:
    for count in filters:
        yield from (Convolution(count, padding=padding), MaxPooling())
    yield Flatten()


WORKLOADS = {
    "mlp_tiny": Workload(32, (64,), perceptron(64, 32, 10)),
    "mlp": Workload(128, (784,), perceptron(256, 128, 10)),
    "cnn28": Workload(64, (28, 28, 1), (*_images(16, 32), *perceptron(128, 10))),
    "cnn224": Workload(32, (224, 224, 3), (*_images(32, 64, padding="valid"), *perceptron(128, 2))),
    "lstm": Workload(32, (64,), reader(Recurrent("lstm", 128, whole=True), Recurrent("lstm", 128))),
    "gru": Workload(32, (64,), reader(Recurrent("gru", 128))),
    "tfm": Workload(16, (64,), transformer(1000, 128, 2, heads=4)),
}
