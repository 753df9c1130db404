"""Rebuild: nodes once more, computed from other nodes in the places of some.

A model that is called on nodes is its graph again, a layer or a loss from a file likewise. Parameters are shared;
only the counters of random streams are not, so that every use draws numbers of its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from .application import Application, Result
from .dtypes import dtypes_of
from .graph import Graph
from .node import Choice, Node, Parameter
from .surroundings import current_scope, graph_role

__all__ = ["exceptions", "fresh_counters", "rebuilt"]

_LOW = (1 << 32) - 1  # of a counter: the number of its stream


def rebuilt(
    wanted: Sequence[Node], replacements: Mapping[Node, Node], leaving: int = 0
) -> list[Node]:
    """``wanted`` as they would be with other nodes in places of some; what depends on none of them is shared.

    What is made belongs to the layers it belonged to, but for the outermost so many it is ``leaving``, inside of
    those in which this is called.
    """
    copy = _Copy(dict(replacements), leaving)
    return [copy.of(node) for node in wanted]


class _Copy:
    def __init__(self, done: dict[Node, Node], leaving: int) -> None:
        self.done, self.leaving = done, leaving
        self.applications: dict[Application, Application] = {}

    def of(self, wanted: Node) -> Node:
        """The copy of a node, and before it of all that it depends on; iterative, so that depth is no limit."""
        stack = [(wanted, False)]
        while stack:
            node, ready = stack.pop()
            if node in self.done:
                continue
            sources = _sources(node)
            if not ready:
                stack.append((node, True))
                stack.extend((source, False) for source in sources)
            elif all(self.done[source] is source for source in sources):
                self.done[node] = node
            else:
                self.done[node] = self.new(node)
                self.done[node].name = node.name
        return self.done[wanted]

    def new(self, node: Node) -> Node:
        if isinstance(node, Choice):
            return self.choice(node)
        assert isinstance(node, Result)
        before = node.application
        if before not in self.applications:
            with graph_role(before.role):
                self.applications[before] = before.operation.apply(
                    {name: self.done[source] for name, source in before.operands.items()},
                    name=before.name,
                    scope=self.scope(before.scope),
                    dtypes=exceptions(before),
                )
        return self.applications[before].result(node.target)

    def choice(self, node: Choice) -> Choice:
        changes = {self.done[p]: self.done[value] for p, value in node.changes.items()}
        found = Choice(self.done[node.training], self.done[node.inference], changes)  # type: ignore[arg-type]
        found.scope, found.layer = self.scope(node.scope), node.layer
        found.always = found.always if node.always is None else node.always
        return found

    def scope(self, before: tuple[str, ...]) -> tuple[str, ...]:
        return (*current_scope(), *before[self.leaving :])


def _sources(node: Node) -> list[Node]:
    if isinstance(node, Choice):
        return [node.training, node.inference, *node.changes, *node.changes.values()]
    return list(node.inputs)


def fresh_counters(nodes: Sequence[Node], use: int) -> dict[Node, Node]:
    """For each counter of a random stream that ``nodes`` draw from another one, of a stream that depends on ``use``.

    A counter's lower half is the number of its stream, its upper half counts steps. The new number is a function of
    the old one, so that a network with seeds of its own draws the same numbers whatever was built before it.
    """
    counters = [p for choice in Graph(nodes, True).choices for p in choice.own_changes]
    return {p: _other_stream(p, use) for p in counters if p.dtype == "int64"}


def _other_stream(counter: Parameter, use: int) -> Parameter:
    value = int(counter.value)
    number = zlib.crc32(f"{value & _LOW} {use}".encode())
    return Parameter(np.array(value & ~_LOW | number, "int64"), counter.name, trainable=False)


def exceptions(application: Application) -> dict[str, str]:
    """Targets whose dtype is not the one that follows from the operands."""
    given = {name: node.dtype for name, node in application.operands.items()}
    usual = dtypes_of(application.resolved, given, application.operation.dtype, {})
    targets = dict.fromkeys(e.target for e in application.resolved.equations)
    return {t: application.dtypes[t] for t in targets if application.dtypes[t] != usual[t]}
