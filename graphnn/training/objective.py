"""Objective: what training makes small and what it reports, as nodes on top of a model's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from ..errors import GraphnnError
from ..functions import add, mean
from ..graph.node import Input, Node
from ..losses import Loss
from ..metrics import Metric

__all__ = ["Objective", "guessed_truth", "objective", "per_output"]


@dataclass(frozen=True, slots=True)
class Objective:
    """Inputs for the truth, the loss, and the metrics by the names under which they are reported."""

    truths: tuple[Input, ...]
    loss: Node
    metrics: dict[str, Node]

    @property
    def names(self) -> list[str]:
        return ["loss", *self.metrics]

    @property
    def nodes(self) -> list[Node]:
        return [self.loss, *self.metrics.values()]


def objective(
    outputs: Sequence[Node],
    truths: Sequence[Input],
    loss: Sequence[Loss],
    measures: Sequence[Sequence[tuple[str, Metric]]],
) -> Objective:
    """Loss and metrics of each output; losses are added, metrics of several outputs bear the outputs' names."""
    pairs = list(zip(truths, outputs, strict=True))
    parts = [_scalar(f(t, p), "loss") for f, (t, p) in zip(loss, pairs, strict=True)]
    reported: dict[str, Node] = {}
    for (truth, output), wanted in zip(pairs, measures, strict=True):
        for name, function in wanted:
            label = name if len(outputs) == 1 else f"{output.name}_{name}"
            reported[label] = _scalar(function(truth, output), f"metric {name}")
    return Objective(tuple(truths), reduce(add, parts), reported)


def per_output(given: Any, count: int, what: str) -> list[Any]:
    """One entry for each output, from a list of them or from one for all."""
    if not isinstance(given, (list, tuple)):
        return [given] * count
    if len(given) != count:
        raise GraphnnError(f"the model has {count} outputs, got {len(given)} for {what}")
    return list(given)


def guessed_truth(output: Node, loss: Loss) -> Input:
    """The truth that a loss probably takes before data are there: of the output's shape, or else class numbers."""
    truth = Input(output.shape, "y_true", output.dtype)
    try:
        loss(truth, output)
    except GraphnnError:
        return Input(output.shape[:-1], "y_true", "int32")
    return truth


def _scalar(value: object, what: str) -> Node:
    """A loss or metric of one's own may give a value for each sample."""
    if not isinstance(value, Node):
        raise GraphnnError(f"the {what} must give a node, got {type(value).__name__}")
    return mean(value) if value.ndim else value
