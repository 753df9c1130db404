"""Layer: parameters made for the first input they meet, and formulas applied to them.

    class Dense(Layer):
        def build(self, x):  self.kernel = self.add_parameter("kernel", (x.shape[-1], 10), "glorot_uniform")
        def call(self, x):   return self.apply(_dense, x, self.kernel)

A layer may be called several times and then shares its parameters. Nodes made inside ``call``
belong to the layer: they bear its name, and the last one is called as the layer is.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from compiler.language.dtypes import DTYPES

from .. import initializers, regularizers
from ..activations import Activation
from ..errors import GraphnnError, ShapeError
from ..graph.application import Result
from ..graph.node import Choice, Node, Parameter, require_node
from ..graph.operation import Operation
from ..graph.surroundings import Trainable, layer_scope, unique_name
from ..initializers import Initializer
from .options import check_options

__all__ = [
    "Layer",
    "LayerCall",
    "assign_all",
    "fixed_size",
    "flat",
    "pair",
    "positive",
    "snake_case",
]

_LARGEST = 1 << 58  # elements; NumPy cannot count the bytes of more


@dataclass(eq=False, slots=True)
class LayerCall:
    """One use of a layer: the ``owner`` of every node made in it. ``output`` is what it gave."""

    layer: Layer
    inputs: tuple[Node, ...]
    output: Any = None


class Layer(Trainable, ABC):
    """Base of all layers. ``name`` is unique unless given; ``trainable`` False freezes the parameters.

    A layer of one's own makes its parameters in `build`, once the inputs' shapes are known, and applies formulas or
    other layers to nodes in `call`:

    >>> from graphnn import Input, op
    >>> distances = op("y[n, k] = sum[i]((x[n, i] - c[k, i])**2)")
    >>> class Distances(Layer):
    ...     def __init__(self, count, **options):
    ...         super().__init__(**options)
    ...         self.count = count
    ...     def build(self, x):
    ...         self.centres = self.add_parameter("centres", (self.count, x.shape[-1]), "glorot_uniform")
    ...     def call(self, x):
    ...         return self.apply(distances, x, self.centres)
    >>> Distances(3)(Input((None, 2))).shape
    (None, 3)
    """

    input_dtype = "float32"  # of the input that a Sequential model makes for its first layer
    # of a model its inputs and its outputs, one or several
    network_ends: tuple[Sequence[Node], Node | Sequence[Node]] | None = None

    def __new__(cls, *_: object, **options: object) -> Self:
        if options:
            check_options(cls, options)
        return super().__new__(cls)

    def __init__(self, *given: object, name: str | None = None, trainable: bool = True) -> None:
        if given:
            raise TypeError(f"{self.kind} is made first and called on nodes then: {self.kind}()(x)")
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.built = False
        self.parameter_dtype = "float32"
        self._learnt: list[Parameter] = []
        self._kept: list[Parameter] = []
        self._trainable = trainable
        self._calls = 0
        self._use: LayerCall | None = None  # the first

    def build(self, *inputs: Node) -> None:
        """Make the parameters, once the shapes of the inputs are known; called before the first `call`."""

    @abstractmethod
    def call(self, *inputs: Node) -> Any:
        """The output for these inputs; of some layers several."""

    def __call__(self, *inputs: Node | Sequence[Node], training: bool | None = None) -> Any:
        """The output node (of some layers several). Raises `ShapeError` where an input does not fit.

        ``training`` True has the layer always work as it does in training, False as in inference, None as the
        graph says that it is a part of; so for all layers within it that are not told otherwise. Dropout that
        is told True draws another mask at every call of `predict`, too, and for each batch of it.
        """
        return self.use(flat(inputs), training)

    def use(self, inputs: Sequence[Node], training: bool | None = None, **options: Any) -> Any:
        """The output of `call` with its options, in the name of the layer, which is built before its first use."""
        if not isinstance(training, (bool, type(None))):
            raise GraphnnError(f"{self.name}: training is True, False or None, got {training!r}")
        if "name" not in vars(self):
            raise GraphnnError(f"{self.kind}.__init__ calls super().__init__() before all else")
        nodes = tuple(require_node(n, f"each input of {self.name}") for n in inputs)
        call = LayerCall(self, nodes)
        with layer_scope(self.name, call, training):
            if not self.built:
                floats = [node.dtype for node in nodes if node.dtype.startswith("float")]
                self.parameter_dtype = floats[0] if floats else "float32"
                self.build(*nodes)
                self.built = True
            output = call.output = self.call(*nodes, **options)
        self._calls += 1
        self._use = self._use or call
        self._name(output, nodes)
        return output

    def _name(self, output: Any, inputs: Sequence[Node]) -> None:
        """One output is called as the layer is, several keep their names; from the second use on with its number."""
        several = isinstance(output, (list, tuple))
        suffix = "" if self._calls == 1 else f".call_{self._calls}"
        for node in dict.fromkeys(output) if several else (output,):
            sides = (node, node.training, node.inference) if isinstance(node, Choice) else (node,)
            for side in sides:
                if isinstance(side, (Choice, Result)) and side not in inputs:
                    side.name = f"{side.name if several else self.name}{suffix}"

    def apply(self, operation: Operation, *operands: Node | None) -> Result:
        """The operation's one result, in the name of the layer; operands that are None are left out."""
        given = tuple(node for node in operands if node is not None)
        application = operation.apply(operation.bind(given, {}), name=self.name)
        (target,) = application.formula.outputs
        return application.result(target)

    def apply_named(self, operation: Operation, **operands: Node | None) -> Result:
        """The same with operands by name; those that the formula does not read are left out."""
        read = operation.formula.operands
        return self.apply(operation, *(operands[name] for name in read))

    def activate(self, z: Node, activation: Activation | None) -> Node:
        """``activation(z)``, where there is one."""
        if activation is None:
            return z
        z.name = f"{self.name}.z"
        return activation(z)

    def add_parameter(
        self,
        name: str,
        shape: Sequence[int],
        initializer: str | Initializer,
        dtype: str | None = None,
        trainable: bool = True,
        regularizer: str | Operation | None = None,
    ) -> Parameter:
        """A new parameter of this layer, by default in the first float dtype among its inputs, else
        float32; those that are not ``trainable`` are kept, not learnt. Models add what the
        ``regularizer`` makes of it to their loss.
        """
        dtype = dtype or self.parameter_dtype
        try:
            if math.prod(shape) >= _LARGEST:
                raise MemoryError
            value = initializers.get(initializer)(tuple(shape), dtype)
        except MemoryError:
            sizes = ", ".join(map(str, shape))
            raise MemoryError(
                f"{self.name}.{name}: no room for {DTYPES[dtype].short}[{sizes}]"
            ) from None
        if np.shape(value) != tuple(shape):
            raise ShapeError(
                f"{self.name}.{name}: the initializer gave shape {np.shape(value)}, not {tuple(shape)}"
            )
        learnt = trainable and self._trainable
        parameter = Parameter(
            np.asarray(value, dtype),
            f"{self.name}.{name}",
            trainable=learnt,
            regularizer=regularizers.get(regularizer),
        )
        self.adopt(parameter, trainable)
        return parameter

    def adopt(self, parameter: Parameter, trainable: bool = True) -> None:
        """Count a parameter among the layer's own."""
        (self._learnt if trainable else self._kept).append(parameter)

    @property
    def calls(self) -> int:
        """How often it has been called."""
        return self._calls

    @property
    def input(self) -> Any:
        """The node, or nodes, that its one call was given; of a model its inputs. Raises as `output`."""
        return self._ends[0]

    @property
    def output(self) -> Any:
        """The node, or nodes, that its one call gave; of a model its outputs.

        Raises `GraphnnError` for a layer that was called never or several times.
        """
        return self._ends[1]

    @property
    def _ends(self) -> tuple[Any, Any]:
        inputs, outputs = self.network_ends or ((), ())
        if not inputs:
            if self._use is None or self._calls != 1:
                raise GraphnnError(
                    f"{self.name} was called {self._calls} times, so that no output is the one:"
                    " keep what its calls give"
                )
            inputs, outputs = self._use.inputs, self._use.output
        return inputs[0] if len(inputs) == 1 else list(inputs), outputs

    @property
    def kind(self) -> str:
        """``Dense``, ``Conv2D``, ...: what prints and summaries call it."""
        return type(self).__name__

    @property
    def weights(self) -> list[Parameter]:
        """All parameters in the order in which they were added, those that are never learnt last."""
        return [*self._learnt, *self._kept]

    @property
    def layers(self) -> list[Layer]:
        """Of a model those that it consists of."""
        return []

    @property
    def parameters(self) -> list[Parameter]:
        """The same as `weights`; of a model those that are trained."""
        return self.weights

    @property
    def losses(self) -> list[Node]:
        """What the regularizers of trained parameters add to a loss, a node for each."""
        return [p.regularizer(p) for p in self.weights if p.regularizer and p.trainable]  # type: ignore[misc]

    @property
    def learnt(self) -> list[Parameter]:
        """Those that are learnt unless the layer is frozen."""
        return list(self._learnt)

    def _set_trainable(self, value: bool) -> None:
        super()._set_trainable(value)
        for parameter in self._learnt:
            parameter.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the parameters' values, kernel before bias."""
        return [parameter.value.copy() for parameter in self.weights]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Overwrite the parameters' values, in the order of `get_weights`."""
        assign_all(self.weights, weights, self.name)

    def count_params(self) -> int:
        """How many numbers its weights hold."""
        return sum(parameter.value.size for parameter in self.weights)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


def assign_all(parameters: Sequence[Parameter], values: Sequence[np.ndarray], owner: str) -> None:
    """Give every parameter its value, after all of them have been found to fit."""
    if len(parameters) != len(values):
        raise ShapeError(f"{owner} has {len(parameters)} weights, got {len(values)}")
    checked = [p.checked(v) for p, v in zip(parameters, values, strict=True)]
    for parameter, value in zip(parameters, checked, strict=True):
        parameter.value[...] = value


def fixed_size(x: Node, axis: int, layer: Layer) -> int:
    """The size of an axis that a parameter's shape depends on."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"{layer.name}: {x.name} is {x.type} and has no axis {axis}")
    size = x.shape[axis]
    if size is None:
        raise ShapeError(f"{layer.name}: axis {axis} of {x.name}: {x.type} must have a fixed size")
    return size


def positive(value: object, what: str) -> int:
    """``value`` if it is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise GraphnnError(f"{what} must be a whole number above 0, got {value!r}")
    return int(value)


def pair(value: int | Sequence[int], what: str) -> tuple[int, int]:
    """One number for both axes of an image, or one for each."""
    both = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    if len(both) != 2:
        raise GraphnnError(f"{what} must be one number or two, got {value!r}")
    return positive(both[0], what), positive(both[1], what)


def flat(inputs: tuple[Node | Sequence[Node], ...]) -> list[Node]:
    """``layer(a, b)`` and ``layer([a, b])`` are the same."""
    found: list[Node] = []
    for each in inputs:
        if isinstance(each, (list, tuple)):
            found.extend(each)
        else:
            found.append(each)  # type: ignore[arg-type]
    return found


def snake_case(name: str) -> str:
    """``MaxPool2D`` as ``max_pool2d``, the name of such a layer that is not given one."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name).lower()
