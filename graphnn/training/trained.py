"""Trained: what a model trains is what was to be trained when it was compiled, whatever is frozen or freed afterwards.

So a network and another one that it is a part of may train different layers, each in its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from ..graph.graph import Graph
from ..graph.node import Choice, Parameter
from ..graph.surroundings import noted_as_trained
from ..layers.base import Layer

__all__ = ["Trained", "noted"]


@dataclass(frozen=True, slots=True)
class Trained:
    """Is it trained? For each layer that consists of no others, and for each parameter that is there."""

    layers: Mapping[Layer, bool] = field(default_factory=dict)
    parameters: Mapping[Parameter, bool] = field(default_factory=dict)

    def held(self) -> AbstractContextManager[None]:
        """Graphs that are made in here are made as it was noted; parameters made since are as their layers."""
        own = {p: trained for layer, trained in self.layers.items() for p in layer.learnt}
        return noted_as_trained({**own, **self.layers, **self.parameters})


def noted(layers: Iterable[Layer], parameters: Iterable[Parameter], graph: Graph) -> Trained:
    """What is trained now, of layers and those that make choices in the graph, and of parameters."""
    choosing = [node.layer for node in graph.symbols if isinstance(node, Choice)]
    found = [*_all(layers), *(each for each in choosing if isinstance(each, Layer))]
    return Trained({each: each.trainable for each in found}, {p: p.trainable for p in parameters})


def _all(layers: Iterable[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield from _all(layer.layers) if layer.layers else (layer,)
