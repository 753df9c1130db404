"""Summary: a model as a table of its layers, their shapes and numbers of parameters, or as its equations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph.application import Application
from .graph.node import Node, Parameter
from .layers.base import Layer, LayerCall
from .layers.order import ordered_layers

if TYPE_CHECKING:
    from .model import Model

__all__ = ["model_text", "summary_text"]


def summary_text(model: Model) -> str:
    """One line for each input and layer, then the totals."""
    rows = [("Layer (type)", "Output shape", "Parameters")]
    rows += [(f"{n.name} (Input)", _shape_text(n), "0") for n in model.inputs]
    counted = {parameter for layer in model.layers for parameter in layer.weights}
    missing = "unused" if model.outputs else "not built"
    for what in ordered_layers(model.outputs) or model.layers:
        kind = what.kind if isinstance(what, Layer) else what.operation.name
        own = what.count_params() if isinstance(what, Layer) else _count_new(what, counted)
        last = _last_node(model, what)
        shape = missing if last is None else _shapes_text(last)
        rows.append((f"{what.name} ({kind})", shape, f"{own:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    line = "-" * (sum(widths) + 4)
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    learnt = sum(p.value.size for p in model.parameters)
    totals = f"Parameters: {model.count_params():,}, of which {learnt:,} are trainable"
    return "\n".join([f"Model {model.name}", line, lines[0], line, *lines[1:], line, totals])


def _count_new(application: Application, counted: set[Parameter]) -> int:
    """How many numbers the parameters hold that an operation reads and that no row before it has counted."""
    read = dict.fromkeys(n for n in application.operands.values() if isinstance(n, Parameter))
    new = [parameter for parameter in read if parameter not in counted]
    counted.update(new)
    return sum(parameter.value.size for parameter in new)


def model_text(model: Model) -> str:
    """The inputs, the outputs, and the equations of each layer."""
    ends = (", ".join(f"{n.name} {n.type}" for n in ends) for ends in (model.inputs, model.outputs))
    parts = [f"{model.name}: {' -> '.join(ends)}" if model.outputs else f"{model.name}: not built"]
    heading = ""
    for application in model.graph.applications:
        owner = next(iter(application.results.values())).owner
        layer = owner.layer if isinstance(owner, LayerCall) else None
        title = f"{layer.name} ({layer.kind})" if layer else application.name
        if title != heading:
            parts += ["", title]
            heading = title
        parts += [f"    {line}" for line in model.graph.lines(application)]
    return "\n".join(parts)


def _last_node(model: Model, what: Layer | Application) -> Node | None:
    """The node that a layer gave when it was used last; none if another layer makes nothing of it."""
    graph = model.graph
    place = {node: k for k, node in enumerate(graph.nodes)}
    found = [
        node
        for node in graph.symbols  # nodes and choices
        if (isinstance(node.owner, LayerCall) and node.owner.layer is what)
        or getattr(node, "application", None) is what
    ]
    given = [node for node in found if not isinstance(node, Parameter)]
    return max(given, key=lambda node: place[graph.chosen(node)], default=None)


def _shapes_text(last: Node) -> str:
    """The shapes of all that was given together with this node."""
    given = last.owner.output if isinstance(last.owner, LayerCall) else last
    nodes = [n for n in given if isinstance(n, Node)] if isinstance(given, (list, tuple)) else []
    return ", ".join(map(_shape_text, nodes or [last]))


def _shape_text(node: Node) -> str:
    return f"({', '.join(str(n) for n in node.shape)})"
