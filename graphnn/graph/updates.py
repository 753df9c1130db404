"""Updates: the graph of a training step, as what takes which new value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .graph import Graph
from .node import Node, Parameter

__all__ = ["Updates"]


@dataclass(frozen=True, slots=True)
class Updates:
    """What a training step changes: the node with the new value of each weight and each state, in order."""

    new_values: Mapping[Parameter, Node]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.new_values)

    def __len__(self) -> int:
        return len(self.new_values)

    def __str__(self) -> str:
        return str(Graph(self.new_values.values()))
