"""Graph: the nodes that some outputs need, and their equations in the graph's own names.

A training step is one graph like any other: loss, gradients and updates are nodes, so ancestors,
order, isomorphism and export come from networkx, and printing, drawing and compiling need no
special case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from compiler.language.system import Equation
from compiler.language.text import equation_text

from ..notation import Resolved
from .application import Application, Result
from .equations import named_equations
from .node import Choice, Input, Node, Parameter, identifier

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Graph"]


class Graph:
    """Everything that ``outputs`` depend on, in ``training`` or in inference.

    ``nodes`` in topological order; ``network`` the networkx graph (edges run with the data);
    ``symbols`` the name of each node in equations; ``names`` for each application the graph's name
    of every tensor in its formula.
    """

    def __init__(self, outputs: Iterable[Node], training: bool = False) -> None:
        self.training = training
        self.outputs = tuple(dict.fromkeys(outputs))
        self._sides: dict[Choice, Node] = {}  # what layers are frozen later changes nothing here
        self.nodes = self._topological()
        self.choices = [c for c in self._sides if c.trains(training)]
        self._taken: set[str] = set()
        self.symbols = {node: self._unique(node.name) for node in self.nodes}
        self.symbols |= {choice: self.symbols[self.chosen(choice)] for choice in self._sides}
        self.names = {a: self._tensor_names(a) for a in self.applications}

    def chosen(self, node: Node) -> Node:
        """The node that stands for ``node`` in this graph: of a choice, the side that this graph is
        made for.
        """
        while isinstance(node, Choice):
            node = self._sides.get(node) or node.side(self.training)
        return node

    @cached_property
    def network(self) -> nx.DiGraph:
        """The nodes as a networkx graph."""
        import networkx as nx  # lazy: importing it takes as long as compiling a small network

        network = nx.DiGraph()
        network.add_nodes_from(self.nodes)
        for node in self.nodes:
            network.add_edges_from((self.chosen(source), node) for source in node.inputs)
        return network

    @cached_property
    def changes(self) -> dict[Parameter, Node]:
        """The new value of each parameter that a step changes by the way; of several changes each starts from
        the one before. In inference nothing is learnt: there, it is `draws` alone.
        """
        return (
            self._changed([(c, c.changes) for c in self.choices]) if self.training else self.draws
        )

    @cached_property
    def draws(self) -> dict[Parameter, Node]:
        """Those of the random streams that are drawn from whatever the graph is made for: their counters."""
        return self._changed([(c, c.own_changes) for c in self.choices if c.always])

    def _changed(
        self, given: Iterable[tuple[Choice, Mapping[Parameter, Node]]]
    ) -> dict[Parameter, Node]:
        found: dict[Parameter, Node] = {}
        place = {node: k for k, node in enumerate(self.nodes)}
        for _, changes in sorted(given, key=lambda each: place[self.chosen(each[0])]):
            for parameter, new in changes.items():
                before = found.get(parameter)
                found[parameter] = new if before is None else _starting_from(before, parameter, new)
        return found

    def _topological(self) -> tuple[Node, ...]:
        """Nodes, operands before their readers; the choices met are made. Iterative, so that depth is no limit."""
        done: dict[Node, None] = {}
        stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(self.outputs)]
        while stack:
            node, ready = stack.pop()
            while isinstance(node, Choice):
                node = self._sides.setdefault(node, node.side(self.training))
            if node in done:
                continue
            if ready:
                done[node] = None
                continue
            stack.append((node, True))
            stack += [(source, False) for source in reversed(node.inputs) if source not in done]
        return tuple(done)

    def _unique(self, base: str) -> str:
        suffix = ".new" if base.endswith(".new") else ""
        stem = identifier(base.removesuffix(suffix))
        name, number = stem + suffix, 0
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}{suffix}"
        self._taken.add(name)
        return name

    def _tensor_names(self, application: Application) -> dict[str, str]:
        names = {operand: self.symbols[node] for operand, node in application.operands.items()}
        for target in dict.fromkeys(line.target for line in application.formula.lines):
            node = application.results.get(target)
            known = None if node is None else self.symbols.get(node)
            names[target] = known or self._unique(f"{application.name}_{target}")
        return names

    @property
    def inputs(self) -> list[Input]:
        return [node for node in self.nodes if isinstance(node, Input)]

    @property
    def parameters(self) -> list[Parameter]:
        return [node for node in self.nodes if isinstance(node, Parameter)]

    @property
    def applications(self) -> list[Application]:
        """Uses of operations, each once, in topological order."""
        return list(dict.fromkeys(n.application for n in self.nodes if isinstance(n, Result)))

    def equations(
        self, application: Application, resolved: Resolved | None = None
    ) -> list[Equation]:
        """The equations of one application in the graph's names, with its attributes and scalar
        constants put in.
        """
        return named_equations(application, self.names[application], resolved)

    def __str__(self) -> str:
        """One equation a line, in the notation."""
        return "\n".join(line for a in self.applications for line in self.lines(a))

    def lines(self, application: Application) -> list[str]:
        """The equations of one application as text."""
        names = self.names[application]
        shapes = {names[t]: shape for t, shape in application.resolved.shapes.items()}
        return [equation_text(e, shapes) for e in self.equations(application)]


def _starting_from(before: Node, parameter: Parameter, new: Node) -> Node:
    """``new``, a formula of ``parameter``, as a formula of ``before`` in its place."""
    if not isinstance(new, Result):
        return new
    application = new.application
    operands = {k: before if n is parameter else n for k, n in application.operands.items()}
    applied = application.operation.apply(operands, name=application.name, scope=application.scope)
    return applied.result(new.target)
