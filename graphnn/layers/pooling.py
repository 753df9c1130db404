"""Pooling: one value for each window of an image, channel by channel; what lies outside of the image is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..catalogue import define, with_attributes
from ..graph.node import Node
from ..graph.operation import Operation
from .base import Layer, pair
from .convolution import border, image, padding_of

__all__ = ["AveragePool2D", "GlobalAveragePool2D", "MaxPool2D"]

_SAMPLES = [{"x": (2, 6, 7, 2)}]
_STEPS: dict[str, Any] = {"k0": 2, "k1": 2, "s0": 2, "s1": 2}
_VARIANTS = [{"k0": 3, "s0": 1}, {"k0": 1, "k1": 3, "s0": 3}]
_SAME_VARIANTS = [{"k0": 3, "s0": 1, "p0": 1}, {"k0": 3, "k1": 3, "s0": 3, "p1": 1}]
_SAME = "y[n, h:(dim(x, 1) + s0 - 1)//s0, w:(dim(x, 2) + s1 - 1)//s1, c] = "

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
    _SAME + "firstmax[i:k0, j:k1](where("
    "0 <= s0*h + i - p0 < dim(x, 1) and 0 <= s1*w + j - p1 < dim(x, 2), "
    "x[n, s0*h + i - p0, s1*w + j - p1, c], -inf))",
    samples=_SAMPLES,
    variants=_SAME_VARIANTS,
    domains={"x": "distinct"},
    p0=0,
    p1=0,
    group="layer",
    **_STEPS,
)
_average_pool2d = define(
    "average_pool2d",
    "y[n, h, w, c] = mean[i:k0, j:k1](x[n, s0*h + i, s1*w + j, c])",
    samples=_SAMPLES,
    variants=_VARIANTS,
    group="layer",
    **_STEPS,
)
_average_pool2d_same = define(
    "average_pool2d_same",
    _SAME + "sum[i:k0, j:k1](x[n, s0*h + i - p0, s1*w + j - p1, c])"
    "/((min(s0*h + k0 - p0, dim(x, 1)) - max(s0*h - p0, 0))"
    "*(min(s1*w + k1 - p1, dim(x, 2)) - max(s1*w - p1, 0)))",
    samples=_SAMPLES,
    variants=_SAME_VARIANTS,
    p0=0,
    p1=0,
    group="layer",
    **_STEPS,
)
_GLOBAL = "mean[h, w](x[n, h, w, c])"
_global_average_pool2d = {
    keepdims: define(name, f"{target} = {_GLOBAL}", samples=_SAMPLES, group="layer")
    for keepdims, name, target in (
        (False, "global_average_pool2d", "y[n, c]"),
        (True, "global_average_pool2d_keepdims", "y[n, 0, 0, c]"),
    )
}


class _Pool2D(Layer):
    """A window of ``pool_size`` that moves in ``strides``, by default from one window to the next."""

    operations: ClassVar[dict[str, Operation]]  # by padding

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.pool_size = pair(pool_size, f"{self.name}: pool_size")
        self.strides = self.pool_size
        if strides is not None:
            self.strides = pair(strides, f"{self.name}: strides")
        self.padding = padding_of(padding, self)

    def call(self, *inputs: Node) -> Node:
        x = image(inputs, self)
        numbers = dict(zip(_STEPS, (*self.pool_size, *self.strides), strict=True))
        if self.padding == "same":
            numbers["p0"], numbers["p1"] = (
                border(x, axis, self.pool_size[axis - 1] - 1, self.strides[axis - 1], self)
                for axis in (1, 2)
            )
        return self.apply(with_attributes(self.operations[self.padding], **numbers), x)


class MaxPool2D(_Pool2D):
    """``y[n, h, w, c] = firstmax[i:k, j:k](x[n, s*h + i, s*w + j, c])``: the largest value of each window.

    Shapes: x (batch, height, width, channels) -> y (batch, height', width', channels). Padding
    "same" ignores what lies outside of the image, so that height' = ceil(height/stride). Of equal
    values the first takes the whole gradient. Raises `ShapeError` where the window does not fit.

    >>> from graphnn.graph.node import Input
    >>> MaxPool2D()(Input((None, 28, 28, 32))).shape
    (None, 14, 14, 32)
    """

    operations: ClassVar = {"valid": _max_pool2d, "same": _max_pool2d_same}


class AveragePool2D(_Pool2D):
    """``y[n, h, w, c] = mean[i:k, j:k](x[n, s*h + i, s*w + j, c])``: the mean of each window.

    Shapes: x (batch, height, width, channels) -> y (batch, height', width', channels). Padding
    "same" counts only what lies in the image, so that height' = ceil(height/stride). Raises
    `ShapeError` where the window does not fit.

    >>> from graphnn.graph.node import Input
    >>> AveragePool2D(3, strides=2, padding="same")(Input((None, 28, 27, 32))).shape
    (None, 14, 14, 32)
    """

    operations: ClassVar = {"valid": _average_pool2d, "same": _average_pool2d_same}


class GlobalAveragePool2D(Layer):
    """``y[n, c] = mean[h, w](x[n, h, w, c])``: the mean of each channel over the whole image.

    Shapes: x (batch, height, width, channels) -> y (batch, channels), with ``keepdims``
    (batch, 1, 1, channels).

    >>> from graphnn.graph.node import Input
    >>> GlobalAveragePool2D()(Input((None, 7, 7, 64))).shape
    (None, 64)
    """

    def __init__(self, *, keepdims: bool = False, name: str | None = None) -> None:
        super().__init__(name=name)
        self.keepdims = keepdims

    def call(self, *inputs: Node) -> Node:
        return self.apply(_global_average_pool2d[self.keepdims], image(inputs, self))
