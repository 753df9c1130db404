"""Layers as data: the shape of what they give, the weights they have, the work they do.

A sample is what a network computes for one element of the batch. Weights have Keras's layouts and
order: the kernel, inputs before outputs, then the bias; the gates of recurrent cells side by side,
i f a o and z r a; queries, keys, values, each with its heads as an axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

__all__ = [
    "EPSILON",
    "Averaging",
    "Block",
    "Convolution",
    "Dense",
    "Embedding",
    "Flatten",
    "Layer",
    "MaxPooling",
    "Normalization",
    "Positions",
    "Recurrent",
    "Shape",
    "Weight",
]

EPSILON = 1e-5  # of every normalization
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """What a weight starts from: normal numbers of a deviation around a mean."""

    shape: Shape
    deviation: float = 0.0
    mean: float = 0.0


def _kernel(inputs: Shape, outputs: Shape) -> Weight:
    """It keeps the variance of what flows through."""
    return Weight((*inputs, *outputs), prod(inputs) ** -0.5)


class Layer:
    """One layer for samples of any shape; by default it keeps their shape and has no weights."""

    __slots__ = ()

    def output(self, sample: Shape) -> Shape:
        return sample

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        return ()

    def products(self, sample: Shape) -> int:
        """Multiplications with additions that the defining formula takes, for one sample."""
        return 0


@dataclass(frozen=True, slots=True)
class Dense(Layer):
    """Fully connected along the last axis."""

    width: int
    relu: bool = False
    bias: bool = True

    def output(self, sample: Shape) -> Shape:
        return (*sample[:-1], self.width)

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        kernel = _kernel(sample[-1:], (self.width,))
        return (kernel, Weight((self.width,))) if self.bias else (kernel,)

    def products(self, sample: Shape) -> int:
        return prod(sample) * self.width


@dataclass(frozen=True, slots=True)
class Convolution(Layer):
    """A square window over an image (height, width, channels); relu unless told otherwise.

    Its places may be ``dilation`` apart; each of some ``groups`` of filters sees its share of the channels.
    """

    filters: int
    window: int = 3
    stride: int = 1
    padding: Literal["same", "valid"] = "same"
    relu: bool = True
    bias: bool = True
    groups: int = 1
    dilation: int = 1

    def output(self, sample: Shape) -> Shape:
        lost = 0 if self.padding == "same" else self.dilation * (self.window - 1)
        return (*((size - lost - 1) // self.stride + 1 for size in sample[:2]), self.filters)

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        kernel = _kernel((self.window, self.window, sample[-1] // self.groups), (self.filters,))
        return (kernel, Weight((self.filters,))) if self.bias else (kernel,)

    def products(self, sample: Shape) -> int:
        return prod(self.output(sample)) * self.window**2 * sample[-1] // self.groups


@dataclass(frozen=True, slots=True)
class MaxPooling(Layer):
    """The maximum of each 2x2 window of an image."""

    def output(self, sample: Shape) -> Shape:
        return (sample[0] // 2, sample[1] // 2, sample[2])


@dataclass(frozen=True, slots=True)
class Averaging(Layer):
    """The mean over all places of an image or a sequence."""

    def output(self, sample: Shape) -> Shape:
        return sample[-1:]


@dataclass(frozen=True, slots=True)
class Flatten(Layer):
    """A sample as one row, the channels of an image last."""

    def output(self, sample: Shape) -> Shape:
        return (prod(sample),)


@dataclass(frozen=True, slots=True)
class Normalization(Layer):
    """Batch normalization of channels, then relu."""

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        return Weight(sample[-1:], mean=1.0), Weight(sample[-1:])


@dataclass(frozen=True, slots=True)
class Embedding(Layer):
    """A row of a table for each token."""

    vocabulary: int
    width: int

    def output(self, sample: Shape) -> Shape:
        return (*sample, self.width)

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        return (Weight((self.vocabulary, self.width), 1.0),)


@dataclass(frozen=True, slots=True)
class Positions(Layer):
    """A learnt vector for each place of a sequence is added."""

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        return (Weight(sample, 0.02),)


@dataclass(frozen=True, slots=True)
class Recurrent(Layer):
    """LSTM or GRU along a sequence: the ``whole`` sequence of states, or the last one.

    With ``both`` directions there are two cells, and their states stand side by side; the last of
    the second is where it has read the beginning. The GRU resets after its product, so it has two
    biases (as in Keras and PyTorch); the LSTM has one.
    """

    cell: Literal["lstm", "gru"]
    units: int
    whole: bool = False
    both: bool = False

    @property
    def gates(self) -> int:
        return {"lstm": 4, "gru": 3}[self.cell]

    @property
    def directions(self) -> int:
        return 2 if self.both else 1

    def output(self, sample: Shape) -> Shape:
        return (*(sample[:1] if self.whole else ()), self.directions * self.units)

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        wide = self.gates * self.units
        bias = Weight((wide,) if self.cell == "lstm" else (2, wide))
        kernels = _kernel(sample[-1:], (wide,)), _kernel((self.units,), (wide,))
        return self.directions * (*kernels, bias)

    def products(self, sample: Shape) -> int:
        steps, features = sample
        return self.directions * steps * self.gates * self.units * (features + self.units)


@dataclass(frozen=True, slots=True)
class Block(Layer):
    """Attention, then two dense layers, each with a way around it and layer normalization after."""

    heads: int
    hidden: int
    causal: bool = False

    def weights(self, sample: Shape) -> tuple[Weight, ...]:
        width = sample[-1]
        heads = (self.heads, width // self.heads)
        projection = _kernel((width,), heads), Weight(heads)
        joined = _kernel(heads, (width,)), Weight((width,))
        normalization = Weight((width,), mean=1.0), Weight((width,))
        first = _kernel((width,), (self.hidden,)), Weight((self.hidden,))
        second = _kernel((self.hidden,), (width,)), Weight((width,))
        return (*3 * projection, *joined, *normalization, *first, *second, *normalization)

    def products(self, sample: Shape) -> int:
        steps, width = sample
        return steps * (4 * width**2 + 2 * steps * width + 2 * width * self.hidden)
