"""Steps: what a model does with a batch of one kind of labels, compiled when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..function import Function
from ..gradients import compute_gradients
from ..graph.node import Input
from ..optimizers import Optimizer
from ..updates import Updates
from .data import Samples
from .objective import Objective

__all__ = ["Steps", "batch_values", "plain"]


@dataclass(frozen=True)
class Steps:
    """Training and testing; both give the values of the objective's nodes."""

    given: list[Input]
    objective: Objective
    optimizer: Optimizer
    options: Mapping[str, Any] = field(default_factory=dict)  # of `Function`

    @property
    def inputs(self) -> list[Input]:
        """Those of the model, then truths, then weights."""
        weights = [weight for weight in self.objective.weights if weight is not None]
        return [*self.given, *self.objective.truths, *weights]

    @cached_property
    def updates(self) -> Updates:
        return self.optimizer.apply_gradients(compute_gradients(self.objective.loss))

    @cached_property
    def train(self) -> Function:
        return Function(
            self.inputs, self.objective.nodes, self.updates, training=True, **self.options
        )

    @cached_property
    def test(self) -> Function:
        return Function(self.inputs, self.objective.nodes, training=False, **self.options)


def batch_values(steps: Steps, results: list[np.ndarray], samples: Samples, as_dict: bool) -> Any:
    """Of one batch."""
    values = steps.objective.shares(results, samples.count)[0][0].tolist()
    return dict(zip(steps.objective.names, values, strict=True)) if as_dict else plain(values)


def plain(values: list[float]) -> float | list[float]:
    """The loss alone, or with the metrics."""
    return values if len(values) > 1 else values[0]
