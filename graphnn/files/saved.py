"""What a model file holds, and what stands in a loaded model for the Python that is not in it.

A layer is its nodes and parameters, a loss or metric of one's own the graph it gave: applied to
other nodes, both are that graph again, with other operands (see `graph.rebuild`). A model within the
model is a model again (see `loading`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import GraphnnError
from ..graph.node import Input, Node, Parameter
from ..graph.rebuild import rebuilt
from ..layers.base import Layer, LayerCall
from ..nested import as_list, outputs_for
from ..optimizers import Optimizer
from ..random import Streams
from ..training.loop import Position

__all__ = [
    "Measure",
    "Saved",
    "SavedLayer",
    "SavedMeasure",
    "Template",
    "Training",
]


@dataclass(frozen=True, slots=True)
class Template:
    """What a loss or metric gave for this truth and this prediction."""

    truth: Node
    prediction: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Measure:
    """A loss or metric, reported as ``label``: a ``function`` of graphnn by name and options, or templates."""

    label: str
    function: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    templates: Sequence[Template] = ()


@dataclass(frozen=True, slots=True)
class Training:
    """What a model was compiled with; losses with their weights and metrics for each output."""

    optimizer: Optimizer
    losses: Sequence[Measure | None]
    metrics: Sequence[Sequence[Measure]]
    loss_weights: Sequence[float]
    weighted_metrics: Sequence[Sequence[Measure]]
    ftz: bool = False
    windows: str = "auto"


@dataclass(frozen=True, slots=True)
class Saved:
    """A model as its file describes it."""

    name: str
    inputs: Sequence[Input]
    outputs: Sequence[Node]
    single_output: bool
    training: Training | None
    streams: Streams
    position: Position | None


class SavedLayer(Layer):
    """A layer from a file: formulas and parameters, under the name and kind it had.

    It is none of the Python class of that name, and has none of its options.
    """

    def __init__(
        self, name: str, kind: str, calls: int, trainable: bool, weights: Mapping[Parameter, bool]
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.built = True
        self.uses: list[LayerCall] = []  # those of the model that was saved
        self._kind, self._calls = kind, calls
        self._weights = list(weights)
        for weight, is_learnt in weights.items():
            self.adopt(weight, is_learnt)

    def remember(self, use: LayerCall) -> None:
        """One of the model that was saved."""
        self.uses.append(use)
        self._use = self._use or use

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def weights(self) -> list[Parameter]:
        """In the order of the layer that was saved."""
        return list(self._weights)

    def call(self, *inputs: Node) -> Any:
        """The formulas of its first use with such inputs, on these; as many outputs as that use had."""
        use = self._use_like(inputs)
        if use.output is None:
            raise GraphnnError(f"{self.name} gave no nodes when it was saved: it cannot be called")
        given = as_list(use.output)
        nodes = outputs_for(use.inputs, given, inputs, self.calls + 1, leaving=1)
        return nodes[0] if isinstance(use.output, Node) else nodes

    def _use_like(self, inputs: Sequence[Node]) -> LayerCall:
        """The first use with so many inputs, in which nodes were one only where they are one here."""
        counts = dict.fromkeys(len(use.inputs) for use in self.uses)
        if len(inputs) not in counts:
            known = " or ".join(map(str, counts))
            raise GraphnnError(f"{self.name} takes {known or 'no'} inputs, got {len(inputs)}")
        for use in self.uses:
            if len(use.inputs) == len(inputs) and _is_function(use.inputs, inputs):
                return use
        raise GraphnnError(
            f"{self.name} was given one node as several of its inputs when it was saved, and can"
            f" only be called so again; got {', '.join(node.name for node in inputs)}"
        )


def _is_function(before: Sequence[Node], after: Sequence[Node]) -> bool:
    """Does each node of ``before`` stand where one and the same node of ``after`` does?"""
    found: dict[Node, Node] = {}
    return all(found.setdefault(a, b) is b for a, b in zip(before, after, strict=True))


class SavedMeasure:
    """A loss or metric from a file, ``(y_true, y_pred) -> node``, under the name it had."""

    def __init__(self, name: str, templates: Sequence[Template]) -> None:
        self.__name__, self.templates = name, templates

    def __call__(self, y_true: Node, y_pred: Node) -> Node:
        fitting = [t for t in self.templates if _is_alike(t.truth, y_true)]
        template = (fitting or list(self.templates))[0]
        given = {template.truth: y_true, template.prediction: y_pred}
        return rebuilt([template.value], given)[0]


def _is_alike(a: Node, b: Node) -> bool:
    return (a.dtype, a.shape[1:]) == (b.dtype, b.shape[1:])
