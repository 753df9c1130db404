"""What a model file holds, and what stands in a loaded model for the Python that is not in it.

A layer is its nodes and parameters, a loss or metric of one's own the graph it gave: applied to
other nodes, both are that graph again, with other operands (see `graph.rebuild`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import GraphnnError
from ..graph.node import Input, Node, Parameter
from ..graph.rebuild import fresh_counters, rebuilt
from ..layers.base import Layer
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
    """A layer from a file: formulas and parameters, under the name and kind it had."""

    def __init__(self, name: str, kind: str, trainable: bool) -> None:
        super().__init__(name=name, trainable=trainable)
        self.built = True
        self.uses: list[tuple[tuple[Node, ...], Node]] = []  # inputs and output
        self._kind = kind
        self.names: dict[Parameter, str] = {}  # in files

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def weights(self) -> list[Parameter]:
        """In the order of the layer that was saved, which may have been a whole model."""
        return list(self.names)

    def call(self, *inputs: Node) -> Node:
        """The formulas of its first use, on other inputs."""
        before, output = self.uses[0]
        if len(inputs) != len(before):
            raise GraphnnError(f"{self.name} takes {len(before)} inputs, got {len(inputs)}")
        others = fresh_counters([output], self.calls)
        return rebuilt([output], others | dict(zip(before, inputs, strict=True)), leaving=1)[0]


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
