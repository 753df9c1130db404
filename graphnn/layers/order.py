"""The layers of a network in the order in which Keras lists them, and their weights.

Layers far from the outputs come first; of layers equally far, those that are met first on the way
back from the outputs. A use of an operation outside of any layer counts as a layer of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.language.expression import Call, walk

from ..graph.application import Application, Result
from ..graph.graph import Graph
from ..graph.node import Choice, Node, Parameter
from .base import Layer, LayerCall

__all__ = ["ordered_layers", "ordered_parameters"]

Use = LayerCall | Application


def ordered_layers(outputs: Sequence[Node]) -> list[Layer | Application]:
    """Layers, and applications outside of layers, each once."""
    finished: list[Use] = []
    found: dict[Layer | Application, int] = {}
    for entering, use in _walk(outputs):
        if entering:
            found.setdefault(_what(use), len(found))
        else:
            finished.append(use)
    use_depths: dict[Use, int] = {}
    depths: dict[Layer | Application, int] = {}
    for use in reversed(finished):
        depth = max(use_depths.get(use, 0), depths.get(_what(use), 0))
        depths[_what(use)] = depth
        for source in _sources(use):
            use_depths[source] = max(use_depths.get(source, 0), depth + 1)
    return sorted(found, key=lambda what: (-depths[what], found[what]))


def ordered_parameters(outputs: Sequence[Node]) -> list[Parameter]:
    """The weights of layers in the order of these, then those of none; keys and counters of random streams are none."""
    parameters: dict[Parameter, None] = {}
    for what in ordered_layers(outputs):
        own = what.weights if isinstance(what, Layer) else what.operands.values()
        parameters |= {p: None for p in own if isinstance(p, Parameter)}
    graph = Graph(outputs)
    streams = {p for application in graph.applications for p in _streams(application)}
    parameters |= {p: None for p in graph.parameters if p not in streams}
    return list(parameters)


def _streams(application: Application) -> Iterator[Parameter]:
    """The whole numbers that a formula with random numbers reads."""
    values = (equation.value for equation in application.resolved.equations)
    called = {e.function for value in values for e in walk(value) if isinstance(e, Call)}
    if "uniform" in called:
        for operand in application.operands.values():
            if isinstance(operand, Parameter) and operand.dtype.startswith("int"):
                yield operand


def _walk(outputs: Sequence[Node]) -> Iterator[tuple[bool, Use]]:
    """Depth first from the outputs back: each use when it is entered (True) and when it is left (False)."""
    seen: set[Use] = set()
    stack = [(True, use) for use in reversed(_uses(outputs))]
    while stack:
        entering, use = stack.pop()
        if entering and use in seen:
            continue
        yield entering, use
        if entering:
            seen.add(use)
            stack.append((False, use))
            stack.extend((True, source) for source in reversed(_sources(use)))


def _what(use: Use) -> Layer | Application:
    return use.layer if isinstance(use, LayerCall) else use


def _sources(use: Use) -> list[Use]:
    return _uses(use.inputs if isinstance(use, LayerCall) else tuple(use.operands.values()))


def _uses(nodes: Sequence[Node]) -> list[Use]:
    """What made these nodes; inputs, parameters and constants are made by nothing."""
    found = (_use(node) for node in nodes)
    return [use for use in found if use is not None]


def _use(node: Node) -> Use | None:
    if isinstance(node, (Choice, Result)) and isinstance(node.owner, LayerCall):
        return node.owner
    if isinstance(node, Choice):
        return _use(node.inference)
    return node.application if isinstance(node, Result) else None
