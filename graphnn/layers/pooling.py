"""Pooling: one value for each window of an image, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..catalogue import define, with_attributes
from ..errors import ShapeError
from ..graph.node import Node
from .base import Layer, pair
from .convolution import border, padding_of

__all__ = ["MaxPool2D"]

_SAMPLES = [{"x": (2, 6, 7, 2)}]
_STEPS: dict[str, Any] = {"k0": 2, "k1": 2, "s0": 2, "s1": 2}
_VARIANTS = [{"k0": 3, "s0": 1}, {"k0": 1, "k1": 3, "s0": 3}]

_max_pool2d = define(
    "max_pool2d",
    "y[n, h, w, c] = firstmax[i:k0, j:k1](x[n, s0*h + i, s1*w + j, c])",
    samples=_SAMPLES,
    variants=_VARIANTS,
    domains={"x": "distinct"},
    group="layer",
    **_STEPS,
)
_max_pool2d_same = define(
    "max_pool2d_same",
    "y[n, h:(dim(x, 1) + s0 - 1)//s0, w:(dim(x, 2) + s1 - 1)//s1, c] = firstmax[i:k0, j:k1](where("
    "0 <= s0*h + i - p0 < dim(x, 1) and 0 <= s1*w + j - p1 < dim(x, 2), "
    "x[n, s0*h + i - p0, s1*w + j - p1, c], -inf))",
    samples=_SAMPLES,
    variants=[{"k0": 3, "s0": 1, "p0": 1}, {"k0": 3, "k1": 3, "s0": 3, "p1": 1}],
    domains={"x": "distinct"},
    p0=0,
    p1=0,
    group="layer",
    **_STEPS,
)


class MaxPool2D(Layer):
    """``y[n, h, w, c] = firstmax[i, j](x[n, s*h + i, s*w + j, c])``: the largest value of each window.

    Shapes: x (batch, height, width, channels) -> y (batch, height', width', channels). Padding
    "same" ignores what lies outside of the image. Of equal values the first takes the whole
    gradient.

    >>> from graphnn.graph.node import Input
    >>> MaxPool2D()(Input((None, 28, 28, 32))).shape
    (None, 14, 14, 32)
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.pool_size = pair(pool_size, f"{self.name}: pool_size")
        self.strides = self.pool_size
        if strides is not None:
            self.strides = pair(strides, f"{self.name}: strides")
        self.padding = padding_of(padding, self)

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        if x.ndim != 4:
            raise ShapeError(
                f"{self.name}: expected images (batch, height, width, channels), {x.name} is {x.type}"
            )
        numbers = dict(zip(_STEPS, (*self.pool_size, *self.strides), strict=True))
        operation = _max_pool2d
        if self.padding == "same":
            operation = _max_pool2d_same
            numbers["p0"], numbers["p1"] = (
                border(x, axis, self.pool_size[axis - 1] - 1, self.strides[axis - 1], self)
                for axis in (1, 2)
            )
        return self.apply(with_attributes(operation, **numbers), x)
