"""What a model file holds, and what stands in a loaded model for the Python that is not in it.

A layer is its nodes and parameters, a loss or metric of one's own the graph it gave: applied to
other nodes, both are that graph again, with other operands (`rebuilt`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import GraphnnError
from ..graph.application import Application, Result
from ..graph.dtypes import dtypes_of
from ..graph.node import Choice, Input, Node
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
    "exceptions",
    "rebuilt",
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

    @property
    def kind(self) -> str:
        return self._kind

    def call(self, *inputs: Node) -> Node:
        """The formulas of its first use, on other inputs."""
        before, output = self.uses[0]
        if len(inputs) != len(before):
            raise GraphnnError(f"{self.name} takes {len(before)} inputs, got {len(inputs)}")
        return rebuilt(output, dict(zip(before, inputs, strict=True)))


class SavedMeasure:
    """A loss or metric from a file, ``(y_true, y_pred) -> node``, under the name it had."""

    def __init__(self, name: str, templates: Sequence[Template]) -> None:
        self.__name__, self.templates = name, templates

    def __call__(self, y_true: Node, y_pred: Node) -> Node:
        fitting = [t for t in self.templates if _is_alike(t.truth, y_true)]
        template = (fitting or list(self.templates))[0]
        return rebuilt(template.value, {template.truth: y_true, template.prediction: y_pred})


def _is_alike(a: Node, b: Node) -> bool:
    return (a.dtype, a.shape[1:]) == (b.dtype, b.shape[1:])


def rebuilt(node: Node, replacements: Mapping[Node, Node]) -> Node:
    """``node`` as it would be with other nodes in places of some; what depends on none of them is shared."""
    done = dict(replacements)
    applications: dict[Application, Application] = {}
    stack = [(node, False)]
    while stack:
        here, ready = stack.pop()
        if here in done:
            continue
        sources = _sources(here)
        if not ready:
            stack.append((here, True))
            stack.extend((source, False) for source in sources)
        elif all(done[source] is source for source in sources):
            done[here] = here
        else:
            done[here] = _with_sources(here, done, applications)
    return done[node]


def _sources(node: Node) -> list[Node]:
    if isinstance(node, Choice):
        return [node.training, node.inference, *node.changes.values()]
    return list(node.inputs)


def _with_sources(
    node: Node, done: Mapping[Node, Node], applications: dict[Application, Application]
) -> Node:
    if isinstance(node, Choice):
        changes = {parameter: done[value] for parameter, value in node.changes.items()}
        return Choice(done[node.training], done[node.inference], changes)
    assert isinstance(node, Result)
    before = node.application
    if before not in applications:
        operands = {name: done[source] for name, source in before.operands.items()}
        applications[before] = before.operation.apply(
            operands, name=before.name, dtypes=exceptions(before)
        )
    result = applications[before].result(node.target)
    result.name = node.name
    return result


def exceptions(application: Application) -> dict[str, str]:
    """Targets whose dtype is not the one that follows from the operands."""
    given = {name: node.dtype for name, node in application.operands.items()}
    usual = dtypes_of(application.resolved, given, application.operation.dtype, {})
    targets = dict.fromkeys(e.target for e in application.resolved.equations)
    return {t: application.dtypes[t] for t in targets if application.dtypes[t] != usual[t]}
