"""Convolution: a window of the image times a kernel, for every place of the window.

``s`` is the step of the window, ``d`` the distance of its elements, ``p`` how far it starts before
the border; what lies outside of the image is zero, as every read out of range is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import activations
from ..catalogue import define, with_attributes
from ..errors import GraphnnError, ShapeError
from ..graph.node import Node, Parameter
from ..graph.operation import Operation
from ..initializers import Initializer
from .base import Layer, fixed_size, pair, positive

__all__ = ["Conv2D", "border", "image", "padding_of"]

_VALID = "y[n, h, w, o] = sum[i, j, c](x[n, s0*h + d0*i, s1*w + d1*j, c]*K[i, j, c, o])"
_SAME = (
    "y[n, h:(dim(x, 1) + s0 - 1)//s0, w:(dim(x, 2) + s1 - 1)//s1, o]"
    " = sum[i, j, c](x[n, s0*h + d0*i - p0, s1*w + d1*j - p1, c]*K[i, j, c, o])"
)
_SHAPES = {"x": (1, 5, 6, 2), "K": (2, 3, 2, 2)}
_STEPS: dict[str, Any] = {"s0": 1, "s1": 1, "d0": 1, "d1": 1}
_BORDERS: dict[str, Any] = {"p0": 1, "p1": 0}
_VARIANTS = [{"s0": 2, "s1": 3}, {"d0": 2}, {"s0": 3, "s1": 2, "d1": 2}]


def _conv2d(name: str, text: str, **numbers: Any) -> dict[bool, Operation]:
    """The operation with a bias and without."""
    return {
        bias: define(
            name if bias else f"{name}_without_bias",
            text + (" + b[o]" if bias else ""),
            samples=[{**_SHAPES, "b": (2,)} if bias else _SHAPES],
            variants=_VARIANTS,
            group="layer",
            **numbers,
        )
        for bias in (True, False)
    }


_OPERATIONS = {
    "valid": _conv2d("conv2d", _VALID, **_STEPS),
    "same": _conv2d("conv2d_same", _SAME, **_STEPS, **_BORDERS),
}


class Conv2D(Layer):
    """``y[n, h, w, o] = sum[i, j, c](x[n, s*h + d*i, s*w + d*j, c]*K[i, j, c, o]) + b[o]``, then the activation.

    Shapes: x (batch, height, width, channels) -> y (batch, height', width', ``filters``); kernel K
    (rows, columns, channels, filters), bias b (filters,). Padding "valid" keeps the window inside;
    "same" reads zeros around the image, so that height' = ceil(height/stride). Raises `ShapeError`
    where the window does not fit.

    >>> from graphnn.graph.node import Input
    >>> Conv2D(32, 3, strides=2, padding="same")(Input((None, 28, 28, 1))).shape
    (None, 14, 14, 32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        *,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: str | Callable[[Node], Node] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.filters = positive(filters, f"{self.name}: filters")
        self.kernel_size = pair(kernel_size, f"{self.name}: kernel_size")
        self.strides = pair(strides, f"{self.name}: strides")
        self.dilation_rate = pair(dilation_rate, f"{self.name}: dilation_rate")
        self.padding = padding_of(padding, self)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel: Parameter | None = None
        self.bias: Parameter | None = None

    def build(self, *inputs: Node) -> None:
        x = image(inputs, self)
        shape = (*self.kernel_size, fixed_size(x, -1, self), self.filters)
        self.kernel = self.add_parameter("kernel", shape, self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_parameter("bias", shape[-1:], self.bias_initializer)

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        steps = dict(zip(_STEPS, (*self.strides, *self.dilation_rate), strict=True))
        if self.padding == "same":
            reach = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)]
            steps["p0"], steps["p1"] = (
                border(x, axis, reach[axis - 1], self.strides[axis - 1], self) for axis in (1, 2)
            )
        operation = with_attributes(_OPERATIONS[self.padding][self.use_bias], **steps)
        return self.activate(self.apply(operation, x, self.kernel, self.bias), self.activation)


def image(inputs: tuple[Node, ...], layer: Layer) -> Node:
    """The one input, if it has the axes of images."""
    (x,) = inputs
    if x.ndim != 4:
        raise ShapeError(
            f"{layer.name}: expected images (batch, height, width, channels), {x.name} is {x.type}"
        )
    return x


def padding_of(padding: str, layer: Layer) -> str:
    """ "valid" or "same", in small letters."""
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise GraphnnError(f"{layer.name}: padding is 'valid' or 'same', got {padding!r}")
    return padding.lower()


def border(x: Node, axis: int, reach: int, stride: int, layer: Layer) -> int:
    """How many places before the image the first window starts with padding "same", Keras's rule.

    The windows need ``(ceil(size/stride) - 1)*stride + reach + 1`` places; what is missing is
    shared, the greater half behind.
    """
    if stride == 1:
        return reach // 2
    size = fixed_size(x, axis, layer)
    missing = (-(-size // stride) - 1) * stride + reach + 1 - size
    return max(missing, 0) // 2
