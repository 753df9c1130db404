"""Sequential: a model that is a list of layers, each applied to the output of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import GraphnnError
from .graph.node import Input, Node
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
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Input | Step) -> None:
        """Append a layer."""
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

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the input, batch included and first, and with it all parameters."""
        if self.inputs:
            raise GraphnnError(f"{self.name} is built already")
        if not self._chain:
            raise GraphnnError(f"{self.name} has no layers yet")
        first = self._chain[0]
        node: Node = Input(input_shape, dtype=getattr(first, "input_dtype", "float32"))
        source = node
        for layer in self._chain:
            node = layer(node)
        self._define(source, node)

    @property
    def layers(self) -> list[Layer]:
        """The layers in their order, built or not."""
        return list(dict.fromkeys(each for each in self._chain if isinstance(each, Layer)))

    def meet(self, x: object) -> None:
        if not self.inputs:
            self.build((None, *first_array(x).shape[1:]))
