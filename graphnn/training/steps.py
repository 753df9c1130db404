"""Steps: what a model does with a batch of one kind of labels, compiled when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..function import Function
from ..gradients import compute_gradients
from ..graph.node import Input
from ..graph.updates import Updates
from ..optimizers import Optimizer
from .data import Samples
from .objective import Objective
from .trained import Trained

__all__ = ["Steps", "batch_values", "kind_of", "plain"]


@dataclass(frozen=True)
class Steps:
    """Training and testing; both give the values of the objective's nodes."""

    given: list[Input]
    objective: Objective
    optimizer: Optimizer
    options: Mapping[str, Any] = field(default_factory=dict)  # of `Function`
    trained: Trained = field(default_factory=Trained)

    @property
    def inputs(self) -> list[Input]:
        """Those of the model, then truths, then weights."""
        weights = [weight for weight in self.objective.weights if weight is not None]
        return [*self.given, *self.objective.truths, *weights]

    @cached_property
    def updates(self) -> Updates:
        with self.trained.held():
            return self.optimizer.apply_gradients(compute_gradients(self.objective.loss))

    @cached_property
    def train(self) -> Function:
        return self._function(True, self.updates)

    @cached_property
    def test(self) -> Function:
        return self._function(False)

    def _function(self, training: bool, updates: Updates | None = None) -> Function:
        with self.trained.held():
            return Function(
                self.inputs, self.objective.nodes, updates, training=training, **self.options
            )


def kind_of(
    truth: Sequence[np.ndarray], weights: Sequence[np.ndarray | None]
) -> tuple[object, ...]:
    """Equal for labels and weights that the same steps are for."""
    return (
        tuple((a.dtype.kind, a.dtype.itemsize, *a.shape[1:]) for a in truth),
        tuple(None if w is None else w.shape[1:] for w in weights),
    )


def batch_values(steps: Steps, results: list[np.ndarray], samples: Samples, as_dict: bool) -> Any:
    """Of one batch."""
    values = steps.objective.shares(results, samples.count)[0][0].tolist()
    return dict(zip(steps.objective.names, values, strict=True)) if as_dict else plain(values)


def plain(values: list[float]) -> float | list[float]:
    """The loss alone, or with the metrics."""
    return values if len(values) > 1 else values[0]
