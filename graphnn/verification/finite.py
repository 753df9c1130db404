"""Where a NaN or an infinity comes from: the first node that has one, its formula, and what it has read.

loss is not finite; it comes from
divide[1, 0] = nan:  divide[n, i] = a[n, i]/b[n, i]
    a[1, 0] = 0, of values from 0 to 2
    b[1, 0] = 0, of values from 0 to 3
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compiler.language.expression import elements

from ..errors import GraphnnError
from ..function import Function
from ..graph.application import Result
from ..graph.graph import Graph
from ..graph.node import Constant, Node, Parameter, identifier

__all__ = ["NotFinite", "Read", "find_nan"]

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """An operand: its smallest and largest value, and the one at ``place``, if the formula reads one place alone."""

    name: str
    low: float
    high: float
    place: Place | None = None
    value: float | None = None

    def __str__(self) -> str:
        here = "" if self.place is None else f"{_at(self.name, self.place)} = {self.value:.6g}, of "
        return f"{here or self.name + ': '}values from {self.low:.6g} to {self.high:.6g}"


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first of ``node``'s values, at ``place``, that is no finite number; ``formula`` is "" for what is given."""

    wanted: str
    node: Node
    place: Place
    value: float
    formula: str
    reads: tuple[Read, ...]

    def __str__(self) -> str:
        head = f"{self.wanted} is not finite; it comes from\n{_at(self.node.name, self.place)} = {self.value}:  "
        lines = [head + (self.formula or "given"), *(f"    {read}" for read in self.reads)]
        return "\n".join(lines)


def find_nan(
    node: Node | Sequence[Node], values: Mapping[Node, object] | None = None, training: bool = False
) -> NotFinite | None:
    """Where the first NaN or infinity of a node (or several) comes from; None if all are finite.

    ``values`` gives an array for each input, as for `evaluate`; everything that the nodes are computed from is
    computed, by native code, and looked at, back from the node to where all that is read is finite.

    >>> from graphnn import Input, log, mean
    >>> p = Input((3,), "p")
    >>> logs = log(p)
    >>> loss = mean(logs)
    >>> logs.name, loss.name = "logs", "loss"
    >>> print(find_nan(loss, {p: [0.5, 0.0, 0.5]}))
    loss is not finite; it comes from
    logs[1] = -inf:  logs[n] = log(p[n])
        p[1] = 0, of values from 0 to 0.5
    """
    wanted = [node] if isinstance(node, Node) else list(node)
    graph = Graph(wanted, training)
    known = _values(graph, values or {})
    bad = [n for n in wanted if not _is_finite(known[graph.chosen(n)])]
    if not bad:
        return None
    cause = graph.chosen(bad[0])
    while worse := [s for n in cause.inputs if not _is_finite(known[s := graph.chosen(n)])]:
        cause = next((s for s in worse if np.isnan(known[s]).any()), worse[0])
    place = tuple(int(k) for k in np.argwhere(~np.isfinite(known[cause]))[0])
    value = float(known[cause][place])
    if not isinstance(cause, Result):
        return NotFinite(bad[0].name, cause, place, value, "", ())
    reads = tuple(_reads(cause, place, graph, known))
    return NotFinite(bad[0].name, cause, place, value, str(cause.formula), reads)


def _values(graph: Graph, given: Mapping[Node, object]) -> dict[Node, np.ndarray]:
    """The arrays of all nodes, given, kept or computed."""
    missing = [n for n in graph.inputs if n not in given]
    if missing:
        raise GraphnnError(f"no value given for input {missing[0]}")
    arrays = [np.asarray(given[n]) for n in graph.inputs]
    known: dict[Node, np.ndarray] = dict(zip(graph.inputs, arrays, strict=True))
    known |= {n: n.value for n in graph.nodes if isinstance(n, (Constant, Parameter))}
    results = [n for n in graph.nodes if isinstance(n, Result)]
    found = Function(graph.inputs, results, training=graph.training)(*arrays)
    return known | dict(zip(results, found, strict=True))


def _is_finite(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all())


def _reads(
    node: Result, place: Place, graph: Graph, known: Mapping[Node, np.ndarray]
) -> Iterator[Read]:
    """What the formula reads; where its subscripts are indices of the result, the value there."""
    equation = node.formula.equations[-1]
    at = dict(zip(equation.subscripts, place, strict=True))
    for operand in dict.fromkeys(graph.chosen(n) for n in node.inputs):
        array, name = known[operand], identifier(operand.name)
        places = {e.subscripts for e in elements(equation.value) if e.tensor == name}
        read = places.pop() if len(places) == 1 else ()
        here = tuple(at[s] for s in read if s in at)
        is_one = len(here) == array.ndim
        value = float(array[here]) if is_one else None
        yield Read(name, float(array.min()), float(array.max()), here if is_one else None, value)


def _at(name: str, place: Place) -> str:
    return f"{name}[{', '.join(map(str, place))}]" if place else name
