"""Sequential: a model that is a list of layers, each applied to the output of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .errors import GraphnnError
from .graph.node import Input, Node
from .graph.surroundings import outermost
from .layers.base import Layer
from .model import Model
from .training.data import first_array

__all__ = ["Sequential"]

Step = Callable[[Node], Node]


class Sequential(Model):
    """Layers in a row; anything that makes a node of a node may be one of them, a `gn.op` for example.

    The first entry may be an `Input`. Without one the model is built when it first meets data, for
    samples of their shape.

    >>> from graphnn.layers import Dense
    >>> model = Sequential([Input((None, 3)), Dense(5, activation="relu"), Dense(2)])
    >>> model.outputs[0].shape
    (None, 2)
    """

    def __init__(
        self, layers: Sequence[Input | Step] | None = None, name: str | None = None
    ) -> None:
        super().__init__([], [], name)
        self._chain: list[Step] = []
        if isinstance(layers, (Layer, Node)):
            raise GraphnnError(f"{self.name}: layers stand in a list, got {layers!r} alone")
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Input | Step) -> None:
        """Append a layer. Raises `GraphnnError` once the model is a part of others, which would not change with it."""
        if self.calls:
            raise GraphnnError(
                f"{self.name} has been called on nodes: add layers to it before that"
            )
        if isinstance(layer, Input):
            if self._chain or self.inputs:
                raise GraphnnError(f"{self.name}: an Input comes first, and there is one of it")
            self._define(layer, layer)
            return
        if not callable(layer):
            raise GraphnnError(f"{self.name}: expected a layer, got {layer!r}")
        if self.inputs:
            self._define(self.inputs, layer(self.outputs[0]))
        self._chain.append(layer)

    def build(self, input_shape: Sequence[int | None], dtype: str | None = None) -> None:  # type: ignore[override]
        """Make the input, batch included and first, and with it all parameters."""
        if self.inputs:
            raise GraphnnError(f"{self.name} is built already")
        if not self._chain:
            raise GraphnnError(f"{self.name} has no layers yet")
        with outermost():
            source = Input(input_shape, dtype=dtype or self.input_dtype)
            node: Node = source
            for layer in self._chain:
                node = layer(node)
        self._define(source, node)

    def use(self, inputs: Sequence[Node], training: bool | None = None, **options: Any) -> Any:
        """As of every model; one that has no input yet is built for samples of this shape and dtype."""
        if not self.inputs and inputs and isinstance(inputs[0], Node):
            self.build((None, *inputs[0].shape[1:]), inputs[0].dtype)
        return super().use(inputs, training, **options)

    @property
    def input_dtype(self) -> str:  # type: ignore[override]
        """Of the input that is there, or that the first layer would take."""
        if self.inputs:
            return self.inputs[0].dtype
        first = self._chain[0] if self._chain else None
        if isinstance(first, Model) and first.inputs:
            return first.inputs[0].dtype
        return getattr(first, "input_dtype", "float32")

    @property
    def layers(self) -> list[Layer]:
        """The layers in their order, built or not."""
        return list(dict.fromkeys(each for each in self._chain if isinstance(each, Layer)))

    def meet(self, x: object) -> None:
        if not self.inputs:
            self.build((None, *first_array(x).shape[1:]))
