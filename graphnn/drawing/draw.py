"""`draw`: a picture of a node, a model or updates: forward, with gradients, or the whole step."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import GraphnnError
from ..gradients import compute_gradients
from ..graph.graph import Graph
from ..graph.node import Node, is_integer
from ..nested import require_built
from .adapter import picture
from .drawing import Drawing

__all__ = ["draw"]

GRAPHS = ("forward", "gradient", "train")


def draw(
    what: object, graph: str = "forward", formulas: bool = True, depth: int | None = None
) -> Drawing:
    """A picture of ``what``: a node, a list of nodes, a model, or an optimizer's updates.

    ``graph`` is "forward"; "gradient", the forward graph with the gradients of all parameters (of
    all inputs, where there are none) beside it; or "train", with the updates as well (of a
    compiled model). ``formulas`` shows them in the boxes; ``depth`` draws each layer deeper than
    that as one box. The result saves itself as .svg, .png, .pdf, .dot or .html and shows itself in
    Jupyter.
    """
    if graph not in GRAPHS:
        raise GraphnnError(f"graph is one of {', '.join(GRAPHS)}, got {graph!r}")
    if depth is not None and (not is_integer(depth) or depth < 0):
        raise GraphnnError(f"depth is a whole number from 0 on, or None, got {depth!r}")
    nodes, loss, title = _subject(what, graph)
    if graph == "gradient" and loss is not None:
        nodes = [loss, *_gradients(loss)]
    return Drawing(
        picture(Graph(nodes, training=graph != "forward"), title, loss),
        formulas=formulas,
        depth=depth,
    )


def _gradients(loss: Node) -> list[Node]:
    """The gradients of all parameters; of the inputs, if it has no parameters."""
    found = compute_gradients(loss)
    if not found:
        inputs = [node for node in Graph([loss]).inputs if node.dtype.startswith("float")]
        found = compute_gradients(loss, inputs)
    return list(found.values())


def _subject(what: object, graph: str) -> tuple[list[Node], Node | None, str]:
    """The nodes to draw, the loss if there is one, and a title."""
    if isinstance(what, Node):
        return [what], what if graph == "gradient" else None, what.name
    if isinstance(what, Sequence) and all(isinstance(node, Node) for node in what):
        return list(what), None, ""
    if hasattr(what, "new_values"):
        return list(what.new_values.values()), None, "updates"
    if hasattr(what, "outputs"):
        title = getattr(what, "name", "") or ""
        require_built(title, what.outputs)
        if graph == "forward":
            return list(what.outputs), None, title
        loss: Node = getattr(what, "loss_node")  # of a model that is compiled; else it says so  # noqa: B009
        step = getattr(what, "updates").new_values.values() if graph == "train" else ()  # noqa: B009
        return [loss, *step], loss, title
    raise GraphnnError(f"expected a node, a model or updates to draw, got {type(what).__name__}")
