"""Convolution: a window of the image times a kernel, for every place of the window.

``s`` is the step of the window, ``d`` the distance of its elements, ``p`` how far it starts before
the border; what lies outside of the image is zero, as every read out of range is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import activations, regularizers
from ..catalogue import define, with_attributes
from ..errors import GraphnnError, ShapeError
from ..graph.node import Node, Parameter
from ..graph.operation import Operation
from ..initializers import Initializer
from .base import Layer, fixed_size, pair, positive

__all__ = ["Conv2D", "border", "image", "padding_of"]

_VALID = "y[n, h, w, o] = sum[i, j, c](x[n, s0*h + d0*i, s1*w + d1*j, {c}]*K[i, j, c, o])"
_SAME = (
    "y[n, h:(dim(x, 1) + s0 - 1)//s0, w:(dim(x, 2) + s1 - 1)//s1, o]"
    " = sum[i, j, c](x[n, s0*h + d0*i - p0, s1*w + d1*j - p1, {c}]*K[i, j, c, o])"
)
_CHANNEL = {False: "c", True: "dim(K, 2)*(o//m) + c"}  # of groups of m filters each
_STEPS: dict[str, Any] = {"s0": 1, "s1": 1, "d0": 1, "d1": 1}
_BORDERS: dict[str, Any] = {"p0": 1, "p1": 0}
_VARIANTS = [{"s0": 2, "s1": 3}, {"d0": 2}, {"s0": 3, "s1": 2, "d1": 2}]


def _conv2d(name: str, text: str, grouped: bool, bias: bool, **numbers: Any) -> Operation:
    wide = 4 if grouped else 2
    numbers |= {"m": 2} if grouped else {}
    shapes = {"x": (1, 5, 6, wide), "K": (2, 3, 2, wide)}
    return define(
        name + "_grouped" * grouped + "_without_bias" * (not bias),
        text.format(c=_CHANNEL[grouped]) + " + b[o]" * bias,
        samples=[{**shapes, "b": (wide,)} if bias else shapes],
        variants=_VARIANTS,
        group="layer",
        **numbers,
    )


_OPERATIONS = {
    (padding, grouped, bias): _conv2d(name, text, grouped, bias, **numbers)
    for padding, name, text, numbers in (
        ("valid", "conv2d", _VALID, _STEPS),
        ("same", "conv2d_same", _SAME, _STEPS | _BORDERS),
    )
    for grouped in (False, True)
    for bias in (True, False)
}


class Conv2D(Layer):
    """``y[n, h, w, o] = sum[i, j, c](x[n, s*h + d*i, s*w + d*j, c]*K[i, j, c, o]) + b[o]``, then the activation.

    Shapes: x (batch, height, width, channels) -> y (batch, height', width', ``filters``); kernel K
    (rows, columns, channels, filters), bias b (filters,). Padding "valid" keeps the window inside;
    "same" reads zeros around the image, so that height' = ceil(height/stride). Raises `ShapeError`
    where the window does not fit. With ``groups`` the filters of each read their own share of the
    channels, ``x[..., dim(K, 2)*(o//m) + c]`` for groups of m filters.

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
        groups: int = 1,
        activation: str | Callable[[Node], Node] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Operation | None = None,
        bias_regularizer: str | Operation | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.filters = positive(filters, f"{self.name}: filters")
        self.kernel_size = pair(kernel_size, f"{self.name}: kernel_size")
        self.strides = pair(strides, f"{self.name}: strides")
        self.dilation_rate = pair(dilation_rate, f"{self.name}: dilation_rate")
        self.padding = padding_of(padding, self)
        self.groups = positive(groups, f"{self.name}: groups")
        if self.filters % self.groups:
            raise GraphnnError(f"{self.name}: {filters} filters do not make {groups} equal groups")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel: Parameter | None = None
        self.bias: Parameter | None = None

    def build(self, *inputs: Node) -> None:
        x = image(inputs, self)
        channels = fixed_size(x, -1, self)
        if channels % self.groups:
            raise ShapeError(
                f"{self.name}: the {channels} channels of {x.name} do not make"
                f" {self.groups} equal groups"
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_parameter(
            "kernel", shape, self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        if self.use_bias:
            self.bias = self.add_parameter(
                "bias", shape[-1:], self.bias_initializer, regularizer=self.bias_regularizer
            )

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        steps = dict(zip(_STEPS, (*self.strides, *self.dilation_rate), strict=True))
        if self.padding == "same":
            reach = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)]
            steps["p0"], steps["p1"] = (
                border(x, axis, reach[axis - 1], self.strides[axis - 1], self) for axis in (1, 2)
            )
        if self.groups > 1:
            steps["m"] = self.filters // self.groups
        operation = _OPERATIONS[self.padding, self.groups > 1, self.use_bias]
        operation = with_attributes(operation, **steps)
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
