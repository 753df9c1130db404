"""Layers without a window: Dense, Activation, Flatten, Reshape, Add, Concatenate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from .. import activations, regularizers
from ..catalogue import define
from ..errors import GraphnnError, ShapeError
from ..functions import add, concat, reshape
from ..graph.node import Node, Parameter
from ..graph.operation import Operation
from ..initializers import Initializer
from .base import Layer, fixed_size, positive

__all__ = ["Activation", "Add", "Concatenate", "Dense", "Flatten", "Reshape"]

_PRODUCT = "y[..., o] = sum[i](x[..., i]*W[i, o])"
_SAMPLES: list[dict[str, tuple[int, ...]]] = [
    {"x": (4, 3), "W": (3, 5)},
    {"x": (2, 4, 3), "W": (3, 5)},
]

_dense = define(
    "dense",
    _PRODUCT + " + b[o]",
    samples=[{**shapes, "b": (5,)} for shapes in _SAMPLES],
    group="layer",
)
_dense_without_bias = define("dense_without_bias", _PRODUCT, samples=_SAMPLES, group="layer")
_flatten = define(
    "flatten",
    "y[n, [...]] = x[n, ...]",
    samples=[{"x": (2, 3, 4)}, {"x": (2, 3, 2, 2)}, {"x": (2, 3)}],
    group="layer",
)


class Dense(Layer):
    """``y[..., o] = sum[i](x[..., i]*W[i, o]) + b[o]``, then the activation.

    Shapes: x (batch, ..., inputs) -> y (batch, ..., ``units``); kernel W (inputs, units), bias b
    (units,).

    >>> from graphnn.graph.node import Input
    >>> Dense(10, activation="relu")(Input((None, 784))).shape
    (None, 10)
    """

    def __init__(
        self,
        units: int,
        activation: str | Callable[[Node], Node] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Operation | None = None,
        bias_regularizer: str | Operation | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.units = positive(units, f"{self.name}: units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel: Parameter | None = None
        self.bias: Parameter | None = None

    def build(self, *inputs: Node) -> None:
        (x,) = inputs
        shape = (fixed_size(x, -1, self), self.units)
        self.kernel = self.add_parameter(
            "kernel", shape, self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        if self.use_bias:
            self.bias = self.add_parameter(
                "bias", shape[1:], self.bias_initializer, regularizer=self.bias_regularizer
            )

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        operation = _dense if self.use_bias else _dense_without_bias
        return self.activate(self.apply(operation, x, self.kernel, self.bias), self.activation)


class Activation(Layer):
    """An activation, by name or as a function of a node, for "relu" ``y[...] = max(0, x[...])``."""

    def __init__(
        self, activation: str | Callable[[Node], Node], *, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.activation = activations.get(activation) or activations.linear

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        result = self.activation(x)
        assert isinstance(result, Node)
        return result


class Flatten(Layer):
    """``y[n, [...]] = x[n, ...]``: all axes but the batch become one, row-major.

    >>> from graphnn.graph.node import Input
    >>> Flatten()(Input((None, 7, 7, 64))).shape
    (None, 3136)
    """

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        return self.apply(_flatten, x)


class Reshape(Layer):
    """The same elements, row-major, in another shape; the batch stays and is not part of ``target_shape``.

    Of (batch, 12) the shape (3, 4) is ``y[n, a:3, b:4] = x[n, 4*a + b]``. One size may be -1. Raises
    `ShapeError` if the elements do not fit.
    """

    def __init__(self, target_shape: Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.target_shape = tuple(target_shape)

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        if not x.ndim:
            raise ShapeError(f"{self.name}: {x.name} is a scalar and has no batch axis")
        return reshape(x, (x.shape[0] or -1, *self.target_shape))


class Add(Layer):
    """``y[...] = a[...] + b[...]`` of two inputs or more: ``Add()([a, b])``."""

    def call(self, *inputs: Node) -> Node:
        return reduce(add, _several(inputs, self))


class Concatenate(Layer):
    """The inputs one behind the other along ``axis``, which for two matrices is

        y[n, i] = a[n, i]
        y[n, dim(a, 1) + i] = b[n, i]

    It is called as ``Concatenate()([a, b])``; all other sizes must agree.
    """

    def __init__(self, axis: int = -1, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.axis = axis

    def call(self, *inputs: Node) -> Node:
        return concat(_several(inputs, self), self.axis)


def _several(inputs: tuple[Node, ...], layer: Layer) -> tuple[Node, ...]:
    if len(inputs) < 2:
        raise GraphnnError(f"{layer.name} needs two inputs or more, got {len(inputs)}")
    return inputs
