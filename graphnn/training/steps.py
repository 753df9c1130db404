"""Steps: what a model does with a batch of one kind of labels, compiled when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..function import Function
from ..gradients import compute_gradients
from ..graph.node import Input
from ..optimizers import Optimizer, Updates
from .objective import Objective

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps:
    """Training and testing; both give the values of the objective's nodes."""

    given: list[Input]
    objective: Objective
    optimizer: Optimizer

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
        return Function(self.inputs, self.objective.nodes, self.updates, training=True)

    @cached_property
    def test(self) -> Function:
        return Function(self.inputs, self.objective.nodes, training=False)
