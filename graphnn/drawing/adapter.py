"""Graph -> Picture: one box for each application, input and parameter, arrows named by the operand they feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping

from compiler.language.expression import Element, Expr, Index, elements
from compiler.language.text import expression_text

from ..graph.application import Application, Result
from ..graph.equations import named_equations
from ..graph.graph import Graph
from ..graph.node import Constant, Input, Node, Parameter
from ..notation.latex import equation_latex
from .picture import Arrow, Box, Picture

__all__ = ["picture"]

_LEAVES = ((Input, "input"), (Parameter, "parameter"), (Constant, "parameter"))
_ROLES = {"forward": "operation", "gradient": "gradient", "update": "update"}


def picture(graph: Graph, title: str = "", loss: Node | None = None) -> Picture:
    """All of ``graph``; the application that computes ``loss`` is marked."""
    readers = _readers(graph)
    boxes = [_leaf(graph, node, readers) for node in graph.nodes if _is_leaf(node)]
    named = Counter((a.scope, a.name) for a in graph.applications)
    alike = {a for a in graph.applications if named[a.scope, a.name] > 1}
    boxes += [_box(graph, a, loss, _title(graph, a, alike)) for a in graph.applications]
    arrows = [arrow for a in graph.applications for arrow in _arrows(graph, a)]
    pairs = [(_id(graph, a.differentiates), _id(graph, a)) for a in _gradients(graph)]
    pairs += _updated(graph)
    return Picture(tuple(boxes), tuple(arrows), title, tuple(pairs))


def _is_leaf(node: Node) -> bool:
    return not isinstance(node, Result) and not (isinstance(node, Constant) and node.is_number)


def _gradients(graph: Graph) -> list[Application]:
    """Gradients of what is in the picture too."""
    shown = set(graph.applications)
    return [a for a in graph.applications if a.differentiates in shown]


def _updated(graph: Graph) -> list[tuple[str, str]]:
    """Gradients with what makes updates of them, unless it reads those of several boxes."""
    found = []
    for application in graph.applications:
        operands = (n for n in application.operands.values() if isinstance(n, Result))
        gradients = {n.application: None for n in operands if n.application.role == "gradient"}
        if application.role == "update" and len(gradients) == 1:
            found.append((_id(graph, next(iter(gradients))), _id(graph, application)))
    return found


def _id(graph: Graph, application: Application | None) -> str:
    """The name of its first result: names of applications are not unique, a layer may have several."""
    assert application is not None
    return next(graph.symbols[r] for r in application.results.values() if r in graph.symbols)


def _readers(graph: Graph) -> dict[Node, list[Application]]:
    """The applications that read a node."""
    found: dict[Node, list[Application]] = {}
    for application in graph.applications:
        for node in dict.fromkeys(application.operands.values()):
            found.setdefault(node, []).append(application)
    return found


def _leaf(graph: Graph, node: Node, readers: Mapping[Node, list[Application]]) -> Box:
    kind = next(word for cls, word in _LEAVES if isinstance(node, cls))
    reading = readers.get(node, ())
    if kind == "parameter" and reading and all(a.role == "update" for a in reading):
        kind = "state"
    # a weight of a model that was called on nodes is drawn within that model, whoever else reads it
    scopes = dict.fromkeys(a.scope for a in reading if a.role == "forward")
    own = [h for h in scopes if node.scope and h[-len(node.scope) :] == node.scope]
    place = own[0] if len(own) == 1 else node.scope
    return Box(graph.symbols[node], node.name, node.type, (), kind, place, repr(node))


def _box(graph: Graph, application: Application, loss: Node | None, title: str) -> Box:
    names = {tensor: tensor for tensor in application.resolved.shapes}
    equations = named_equations(application, names)
    results = [r for r in application.results.values() if r in graph.symbols]
    kind = "loss" if loss in results else _ROLES[application.role]
    types = ", ".join(r.type for r in results)
    lines = "\n".join(map(str, graph.equations(application)))
    return Box(
        _id(graph, application),
        title,
        types,
        tuple(equation_latex(e) for e in equations),
        kind,
        application.scope,
        lines,
    )


def _title(graph: Graph, application: Application, alike: Container[Application]) -> str:
    """Its name in prints, which outside of layers is that of its one result, and so in a layer of several
    boxes of one name; of several results the last. A gradient is called after its forward."""
    forward = application.differentiates
    if forward is not None and (not application.scope or forward in alike):
        return f"d_{_title(graph, forward, alike)}"
    results = [r for r in application.results.values() if r in graph.symbols]
    is_plain = not application.scope and len(results) == 1
    if application.role == "forward" and (is_plain or application in alike):
        return results[-1].name
    return application.name


def _arrows(graph: Graph, application: Application) -> list[Arrow]:
    """From what the formula reads; of an operand that it only asks for its sizes the box says them."""
    kind = "forward" if application.role == "forward" else application.role
    arrows: dict[tuple[str, str], Arrow] = {}
    read = {e.tensor for e in _reads(application)}
    for operand, given in application.operands.items():
        node = graph.chosen(given)
        if (isinstance(node, Constant) and node.is_number) or (read and operand not in read):
            continue
        source = _id(graph, node.application) if isinstance(node, Result) else graph.symbols[node]
        label = f"{operand}[{_indices(application, operand, node.dims)}]" if node.dims else operand
        arrows[source, operand] = Arrow(source, _id(graph, application), label, kind)
    return list(arrows.values())


def _reads(application: Application) -> Iterator[Element]:
    return (e for q in application.resolved.equations for e in elements(q.value))


def _indices(application: Application, operand: str, dims: tuple[Expr, ...]) -> str:
    """``n:N, h:26, w:26, o:32``: the index the formula reads each axis with, and its size."""
    names: list[str | None] = [None] * len(dims)
    for element in _reads(application):
        if element.tensor == operand:
            for axis, subscript in enumerate(element.subscripts):
                if isinstance(subscript, Index) and names[axis] is None:
                    names[axis] = subscript.name
    sizes = map(expression_text, dims)
    return ", ".join(f"{n}:{size}" if n else size for n, size in zip(names, sizes, strict=True))
