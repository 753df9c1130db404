"""A network within another: its outputs for other nodes, with the same weights."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import GraphnnError, ShapeError
from .functions import identity
from .graph.node import Input, Node
from .graph.rebuild import fresh_counters, rebuilt

__all__ = ["as_list", "check_nodes", "outputs_for", "require_built"]


def as_list(nodes: Node | Sequence[Node]) -> list[Node]:
    """One node as a list of it."""
    return [nodes] if isinstance(nodes, Node) else list(nodes)


def require_built(name: str, outputs: Sequence[Node]) -> None:
    """Raise `GraphnnError` for a model that has no input yet, and so neither graph nor weights."""
    if not outputs:
        raise GraphnnError(
            f"{name} is not built yet: begin with gn.Input((None, ...)), or call build(input_shape)"
        )


def check_nodes(name: str, inputs: Sequence[Input], given: Sequence[Node]) -> None:
    """Raise unless each node may stand in the place of an input."""
    if len(given) != len(inputs):
        raise GraphnnError(f"{name} takes {len(inputs)} inputs, got {len(given)}")
    for own, node in zip(inputs, given, strict=True):
        fits = own.ndim == node.ndim and all(
            None in pair or pair[0] == pair[1] for pair in zip(own.shape, node.shape, strict=True)
        )
        if not fits or own.dtype != node.dtype:
            raise ShapeError(
                f"{name}: expected {own.name}: {own.type}, got {node.name}: {node.type}"
            )


def outputs_for(
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    given: Sequence[Node],
    use: int,
    leaving: int = 0,
) -> list[Node]:
    """The outputs computed from the nodes given; random numbers are other ones at each ``use``.

    For ``leaving``, the number of layers that the outputs no longer belong to, see `rebuilt`.
    """
    others = fresh_counters(outputs, use) | dict(zip(inputs, given, strict=True))
    found = rebuilt(outputs, others, leaving)
    return [_renamable(new, old) for new, old in zip(found, outputs, strict=True)]


def _renamable(new: Node, old: Node) -> Node:
    """One that depends on no input is not made anew, and cannot bear two names."""
    if new is not old:
        return new
    copy = identity(old)
    assert isinstance(copy, Node)
    return copy
