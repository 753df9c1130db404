"""Graph -> System: what the compiler gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from compiler.language.expression import Expr, Number, Symbol, substitute
from compiler.language.form import names_read
from compiler.language.integers import normalize
from compiler.language.system import Equation, System, Tensor
from compiler.language.text import expression_text

from ..errors import GraphnnError, NotationError, ShapeError
from .application import Application, Result
from .equations import needed_equations
from .graph import Graph
from .node import Constant, Input, Node, Parameter
from .operation import refusal, resolve_cached

__all__ = ["Lowered", "lower", "lower_graph"]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A system, the tensor name of every node, and the node of every tensor that is given."""

    system: System
    names: Mapping[Node, str]
    leaves: Mapping[str, Node]


def lower(
    outputs: Sequence[Node],
    updates: Mapping[Parameter, Node] | None = None,
    sizes: Mapping[Symbol, int] | None = None,
    training: bool = False,
) -> Lowered:
    """The system of ``outputs`` and ``updates``, with a number for every size that the graph leaves open.

    Raises `GraphnnError` when one is missing.
    """
    changes = dict(updates or {})
    graph = Graph([*outputs, *changes.values(), *changes], training)
    return lower_graph(graph, outputs, changes, sizes)


def lower_graph(
    graph: Graph,
    outputs: Sequence[Node],
    changes: Mapping[Parameter, Node],
    sizes: Mapping[Symbol, int] | None = None,
) -> Lowered:
    """The same for a graph of ``outputs``, changes and what these change."""
    numbers: dict[Expr, Expr] = {k: Number(Fraction(n)) for k, n in (sizes or {}).items()}
    writer = _Lowering(graph, numbers, {graph.chosen(node) for node in outputs})
    for node in graph.nodes:
        if not isinstance(node, Result):
            writer.leaf(node)
    for application in graph.applications:
        writer.application(application)
    states = tuple((graph.symbols[p], graph.symbols[n]) for p, n in changes.items())
    system = writer.system(states)
    given = set(system.names("input", "parameter"))
    leaves = {graph.symbols[n]: n for n in graph.nodes if graph.symbols[n] in given}
    return Lowered(system, graph.symbols, leaves)


class _Lowering:
    def __init__(self, graph: Graph, numbers: Mapping[Expr, Expr], outputs: set[Node]) -> None:
        self.graph, self.numbers, self.outputs = graph, numbers, outputs
        self.dims: dict[Node, tuple[Expr, ...]] = {}
        self.tensors: list[Tensor] = []
        self.equations: list[Equation] = []

    def leaf(self, node: Node) -> None:
        self.dims[node] = tuple(normalize(substitute(n, self.numbers)) for n in node.dims)
        role = "input" if isinstance(node, Input) else "parameter"
        if not (isinstance(node, Constant) and node.is_number):
            self.tensor(self.graph.symbols[node], self.dims[node], node.dtype, role)

    def application(self, application: Application) -> None:
        operands = application.operands.items()
        shapes = tuple((k, self.dims[self.graph.chosen(node)]) for k, node in operands)
        try:
            resolved = resolve_cached(application.formula, shapes)
        except (ShapeError, NotationError) as error:  # of sizes that have only now been given
            types = {k: (n, self.dims[self.graph.chosen(n)]) for k, n in operands}
            raise refusal(application.name, error, types) from None
        self.equations += self.graph.equations(application, resolved)
        for target in dict.fromkeys(e.target for e in resolved.equations):
            node = application.results.get(target)
            role = "output" if node in self.outputs else "local"
            name = self.graph.names[application][target]
            self.tensor(name, resolved.shapes[target], application.dtypes[target], role)
            if node is not None:
                self.dims[node] = resolved.shapes[target]

    def tensor(self, name: str, dims: tuple[Expr, ...], dtype: str, role: str) -> None:
        shape = []
        for size in dims:
            if not isinstance(size, Number):
                raise GraphnnError(f"{name}: the size {expression_text(size)} is not known yet")
            shape.append(int(size.value))
        self.tensors.append(Tensor(name, tuple(shape), dtype, role))

    def system(self, states: tuple[tuple[str, str], ...]) -> System:
        """Equations of results nobody needs stay out, and so do leaves that nobody reads."""
        outputs = [t.name for t in self.tensors if t.role == "output"]
        roots = [*outputs, *(name for pair in states for name in pair)]
        equations = needed_equations(self.equations, roots)
        read = {name for equation in equations for name in names_read(equation)}
        needed = {*roots, *read, *(e.target for e in equations)}
        return System(
            tuple(t for t in self.tensors if t.name in needed or t.role == "input"),
            tuple(equations),
            states,
        )
