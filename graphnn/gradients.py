"""Gradients of a graph: from the loss back, the operations derived from each formula.

What comes out are ordinary nodes: they print, draw, compile and can be differentiated again.
Nothing is computed here and no derivative stands here; see `graphnn.calculus`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from compiler.language.expression import Element
from compiler.uncollected import uncollected

from .calculus.formulas import Derived, gradient_formula
from .calculus.naming import TwoBundlesError
from .errors import DtypeError, GraphnnError, ShapeError
from .functions import add, in_groups
from .graph.application import Application, Result
from .graph.graph import Graph
from .graph.node import Constant, Node, index_names, require_node
from .graph.operation import Operation, op
from .graph.surroundings import graph_role
from .notation import Formula, expand, is_generic, reads_bundle, select, symbolic

if TYPE_CHECKING:
    from .calculus.derivation import Derivation

__all__ = ["compute_gradients", "derivation", "derived_formulas"]


@uncollected()
def compute_gradients(
    loss: Node, wrt: Iterable[Node] | None = None, training: bool = True
) -> dict[Node, Node]:
    """``d loss / d w`` for each parameter ``w``, as nodes of the graph.

    ``loss`` is a scalar float node. ``wrt`` lists parameters or other nodes, by default all
    trainable parameters the loss depends on; one that it does not depend on gets an explicit zero.
    What is computed in one way in training and in another in inference is differentiated as in
    ``training``, unless that is False: for the gradients of what `predict` computes, say. Those for
    training are to be computed with ``function(..., training=True)``, as a step with updates is.
    Raises `ShapeError` for a loss that is not a scalar, `DtypeError` for the gradient of an integer
    tensor.
    """
    require_node(loss, "the loss")
    if loss.ndim:
        raise ShapeError(
            f"the loss must be a scalar, but {loss.name} is {loss.type}: take gn.mean or gn.sum of it first"
        )
    if not loss.dtype.startswith("float"):
        raise DtypeError(f"the loss must be a float, but {loss.name} is {loss.type}")
    graph = Graph([loss], training)
    chosen = _targets(graph, wrt)
    with graph_role("gradient"):
        found = _backward(graph, loss, chosen)
        return {node: found.get(node) or _zero(node) for node in chosen}


def _targets(graph: Graph, wrt: Iterable[Node] | None) -> list[Node]:
    if wrt is None:
        return [p for p in graph.parameters if p.trainable and p.dtype.startswith("float")]
    chosen = [
        require_node(node, "each entry of wrt")
        for node in ([wrt] if isinstance(wrt, Node) else wrt)
    ]
    for node in chosen:
        if not node.dtype.startswith("float"):
            raise DtypeError(f"{node.name} is {node.type}: an integer tensor has no gradient")
    return list(dict.fromkeys(chosen))


def _active(graph: Graph, chosen: Sequence[Node]) -> set[Node]:
    """Float nodes that depend on one of the chosen."""
    active: set[Node] = {graph.chosen(node) for node in chosen}
    for node in graph.nodes:
        if node.dtype.startswith("float") and any(graph.chosen(s) in active for s in node.inputs):
            active.add(node)
    return active


def _backward(graph: Graph, loss: Node, chosen: Sequence[Node]) -> dict[Node, Node]:
    active = _active(graph, chosen)
    kept = {graph.chosen(node): node for node in chosen}
    seed = Constant(1.0, name=f"d_{loss.name}", dtype=loss.dtype)
    parts: dict[Node, list[Node]] = {graph.chosen(loss): [seed]}
    for application in reversed(graph.applications):
        reached = [r for r in application.results.values() if r in parts and r in active]
        if not reached:
            continue
        incoming = {r.target: _total(r, parts[r]) for r in reached}
        for result in reached:
            parts[result] = [incoming[result.target]]
        operands = {k: graph.chosen(node) for k, node in application.operands.items()}
        smooth = [k for k, node in operands.items() if node in active]
        for operand, gradient in _apply(application, incoming, smooth, graph).items():
            parts.setdefault(operands[operand], []).append(gradient)
    return {node: _total(node, parts[at]) for at, node in kept.items() if at in parts}


def _apply(
    application: Application, incoming: dict[str, Node], operands: list[str], graph: Graph
) -> dict[str, Node]:
    """The gradient nodes of one application's operands, given those of its targets.

    For training they read choices, which update their parameters then; for inference what is chosen.
    """
    _, derived, formula = derived_formulas(application, tuple(incoming), operands)
    wanted = {o: derived.targets[o] for o in operands if derived.targets.get(o) in formula.outputs}
    if not wanted:  # the formula asks for the operands' sizes only
        return {}
    nodes: dict[str, Node] = {}
    for name in formula.operands:
        if name in derived.seeds:
            nodes[name] = incoming[derived.seeds[name]]
        else:
            node = application.operands.get(name) or application.result(name)
            nodes[name] = node if graph.training else graph.chosen(node)
    operation = Operation(f"d_{application.operation.name}", formula, application.attributes)
    dtypes = {target: application.operands[o].dtype for o, target in wanted.items()}
    backward = operation.apply(
        nodes,
        name=f"d_{application.name}",
        scope=application.scope,
        dtypes=dtypes,
        differentiates=application,
    )
    results: dict[str, Node] = {}
    for operand, target in wanted.items():
        source = nodes.get(_copied(formula, target) or "")
        if source and source in incoming.values() and source.dtype == dtypes[target]:
            results[operand] = source
        else:
            results[operand] = backward.result(target)
            results[operand].name = f"d_{application.operands[operand].name}"
    return results


def _copied(formula: Formula, target: str) -> str | None:
    """The operand that ``target`` merely copies, as the gradient of a sum does."""
    lines = [line for line in formula.lines if line.target == target]
    value = lines[0].value
    sizes = [b.size for b in lines[0].declared if b.size is not None]
    if len(lines) > 1 or lines[0].accumulate or sizes or not isinstance(value, Element):
        return None
    return value.tensor if value.subscripts == lines[0].subscripts else None


def derived_formulas(
    application: Application, outputs: tuple[str, ...], operands: list[str]
) -> tuple[Formula, Derived, Formula]:
    """The formula that was differentiated, its gradients, and the part of them that is needed.

    They hold for all ranks, unless ``...`` cannot express them, or what is needed does not say how
    many axes it stands for.
    """
    forward = application.formula
    while True:
        with suppress(TwoBundlesError):
            derived = gradient_formula(forward, outputs, application.attributes)
            targets = (derived.targets[o] for o in operands if o in derived.targets)
            formula = select(derived.formula, tuple(targets))
            if not is_generic(formula) or reads_bundle(formula):
                return forward, derived, formula
        forward = expand(forward, {k: node.dims for k, node in application.operands.items()})


def _total(node: Node, parts: list[Node]) -> Node:
    """The sum of the gradients that reach ``node`` on different ways."""
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        if isinstance(part, Result) and part.name == f"d_{node.name}":
            part.name += f"_via_{part.application.name.removeprefix('d_')}"
    total = in_groups(parts, _sum)
    total.name = f"d_{node.name}"
    return total


def _sum(parts: Sequence[Node]) -> Node:
    if len(parts) == 2:
        return add(*parts)
    terms = " + ".join(f"a{k}[...]" for k in range(len(parts)))
    result = op(f"y[...] = {terms}", "add")(*parts)
    assert isinstance(result, Result)
    return result


def _zero(node: Node) -> Node:
    """An explicit zero of the node's shape; the node itself is needed only where a size of it is open."""
    if node.ndim == 0:
        return Constant(0.0, name=f"d_{node.name}", dtype=node.dtype)
    names = enumerate(zip(index_names(node.ndim), node.shape, strict=True))
    sizes = ", ".join(f"{a}:{f'dim(x, {k})' if n is None else n}" for k, (a, n) in names)
    operands = [node] if None in node.shape else []
    result = op(f"y[{sizes}] = 0", "zero", dtype=node.dtype)(*operands)
    assert isinstance(result, Result)
    result.name = f"d_{node.name}"
    return result


def derivation(
    what: Operation | Node, wrt: str | Node | Sequence[str | Node] | None = None
) -> Derivation:
    """The steps from an operation's formula to its gradients, each with the name of the law used.

    ``what`` is an operation, or a node that one computes; ``wrt`` names operands of the formula, or
    gives nodes, by default all that have a gradient. The result prints, and typesets itself in
    Jupyter. Raises `GraphnnError`.

    >>> print(derivation(op("y[...] = exp(x[...])**2"), "x"))  # doctest: +ELLIPSIS
    y[...] = exp(x[...])**2 ...
    """
    from .calculus.derivation import derivation as derived  # lazy: imports sympy

    if isinstance(what, Result):
        formula, operands = what.application.formula, what.application.operands
    elif isinstance(what, Operation):
        formula, operands = what.formula, {}
    else:
        raise GraphnnError(f"expected an operation or a computed node, got {what!r}")
    if wrt is None:
        return derived(symbolic(formula))
    names = []
    for each in [wrt] if isinstance(wrt, (str, Node)) else wrt:
        found = [k for k, node in operands.items() if node is each]
        if isinstance(each, Node) and not found:
            raise GraphnnError(f"{each.name} is no operand of {formula.text}")
        names += found or [str(each)]
    return derived(symbolic(formula), names)
