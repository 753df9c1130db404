"""The workloads: sizes, data and initial weights; the files beside this one write the networks.

A workload is a whole training step in float32: forward, cross-entropy of integer labels from
logits, gradients, Adam with a learning rate of 0.001. Weights have Keras's layouts and order: per
layer the kernel, inputs before outputs, then the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

__all__ = ["WORKLOADS", "Batch", "ImageNetwork", "Perceptron", "Step", "Workload"]

# One training step; its value is the loss before the update, read back from the framework.
Step = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Perceptron:
    """Fully connected layers with relu between them; ``widths`` go from the input to the logits."""

    widths: tuple[int, ...]

    @property
    def sample(self) -> tuple[int, ...]:
        return self.widths[:1]

    @property
    def kernels(self) -> tuple[tuple[int, ...], ...]:
        return tuple(pairwise(self.widths))


@dataclass(frozen=True, slots=True)
class ImageNetwork:
    """3x3 convolutions, each with relu and 2x2 max pooling, then fully connected layers."""

    size: int
    channels: tuple[int, ...]  # of the image, then of each convolution
    padding: str
    hidden: int
    classes: int

    @property
    def sample(self) -> tuple[int, ...]:
        return (self.size, self.size, self.channels[0])

    @property
    def pooled(self) -> tuple[int, int, int]:
        """Height, width and channels of what the first fully connected layer reads."""
        size = self.size
        for _ in self.channels[1:]:
            size = (size if self.padding == "same" else size - 2) // 2
        return (size, size, self.channels[-1])

    @property
    def kernels(self) -> tuple[tuple[int, ...], ...]:
        windows = tuple((3, 3, *pair) for pair in pairwise(self.channels))
        return (*windows, *pairwise((prod(self.pooled), self.hidden, self.classes)))


@dataclass(frozen=True, slots=True)
class Batch:
    """What every framework starts from."""

    inputs: np.ndarray
    labels: np.ndarray
    weights: tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A network and how many samples it is trained on at once."""

    name: str
    batch: int
    network: Perceptron | ImageNetwork

    def start(self, seed: int = 0) -> Batch:
        """Random inputs and labels, and weights that keep the variance of what flows through."""
        random = np.random.default_rng(seed)
        weights: list[np.ndarray] = []
        for shape in self.network.kernels:
            scale = prod(shape[:-1]) ** -0.5
            weights.append((scale * random.standard_normal(shape)).astype(np.float32))
            weights.append(np.zeros(shape[-1], np.float32))
        inputs = random.standard_normal((self.batch, *self.network.sample)).astype(np.float32)
        labels = random.integers(0, self.network.kernels[-1][-1], self.batch, dtype=np.int32)
        return Batch(inputs, labels, tuple(weights))


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("mlp_tiny", 32, Perceptron((64, 64, 32, 10))),
        Workload("mlp", 128, Perceptron((784, 256, 128, 10))),
        Workload("cnn28", 64, ImageNetwork(28, (1, 16, 32), "same", 128, 10)),
    )
}
