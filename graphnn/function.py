"""Function: a graph compiled to one native call; `evaluate`: the same, interpreted.

A function is compiled once for each set of sizes it meets (the batch, as a rule: the full one and
the last, smaller one). Parameters are never copied: the native step works in `Parameter.value`
itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol

import numpy as np

import compiler
from compiler.language.expression import Number, Symbol
from compiler.language.text import expression_text
from compiler.machine import arrays
from compiler.machine.call import Call
from compiler.machine.locks import lock
from compiler.uncollected import uncollected

from .errors import DtypeError, GraphnnError, ShapeError
from .functions import identity
from .graph.application import Result
from .graph.graph import Graph
from .graph.lower import lower, lower_graph
from .graph.node import Constant, Input, Node, Parameter, require_node
from .graph.updates import Updates

__all__ = ["Function", "as_input", "evaluate", "explain", "function"]


def function(
    inputs: Node | Sequence[Node],
    outputs: Node | Sequence[Node],
    updates: Updates | None = None,
    training: bool | None = None,
    ftz: bool = False,
    windows: str = "auto",
) -> Function:
    """Compile ``outputs`` (and ``updates``) as a function of arrays for ``inputs``.

    ``training`` None means training behaviour if there are updates, else inference. ``ftz`` flushes
    to zero what is too small to be a normal number (below 1.2e-38 in float32), for which processors
    take up to a hundred times as long; by default it is computed exactly. ``windows`` chooses how
    sums over windows are computed: "direct", as they are written; "winograd", for tiles of places at
    once, with fewer multiplications and other rounding errors (`compiler.Options` has the figures);
    "auto", the faster of the two in float32, direct otherwise. Raises `GraphnnError` when an input
    that the graph needs is not listed.

    >>> x = Input((None, 3))
    >>> double = function([x], 2 * x)
    >>> double(np.ones((2, 3), "float32")).tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """
    return Function(inputs, outputs, updates, training, ftz, windows)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """One executable; its tensors for inputs, with the number of the input, and for outputs."""

    executable: compiler.Executable
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[str, ...]
    call: Call


class Function:
    """A compiled graph; call it with one array for each input, in order. See `function`."""

    @uncollected()
    def __init__(
        self,
        inputs: Node | Sequence[Node],
        outputs: Node | Sequence[Node],
        updates: Updates | None = None,
        training: bool | None = None,
        ftz: bool = False,
        windows: str = "auto",
    ) -> None:
        self.single = isinstance(outputs, Node)
        wanted = [outputs] if isinstance(outputs, Node) else list(outputs)
        self.outputs = [_computed(require_node(node, "each output")) for node in wanted]
        given = [inputs] if isinstance(inputs, Node) else inputs
        self.inputs = [as_input(node) for node in given]
        self._dtypes = [np.dtype(node.dtype) for node in self.inputs]
        self._arrays = [np.ndarray] * len(self.inputs)
        for k, node in enumerate(self.inputs):
            if node in self.inputs[:k]:
                raise GraphnnError(f"input {node.name} is given twice")
        if not isinstance(updates, (Updates, type(None))):
            kind = type(updates).__name__
            raise GraphnnError(f"updates are what optimizer.apply_gradients gives, got {kind}")
        self.updates = dict(updates.new_values) if updates is not None else {}
        self.training = bool(self.updates) if training is None else training
        self.options = compiler.Options(ftz=ftz, windows=windows)
        self.graph = self._graph()
        self._add_changes("changes" if self.updates else "draws")
        for node in self.graph.inputs:
            if node not in self.inputs:
                raise GraphnnError(f"the outputs need {node!r}, which is not among the inputs")
        self._compiled: dict[tuple[tuple[int, ...], ...], _Compiled] = {}
        self.lock = lock()  # updates of several batch sizes write to the same parameters

    def _add_changes(self, which: Literal["changes", "draws"]) -> None:
        """Statistics and counters move with every training step; without updates only the counters of
        dropout move that is told to work always. They may bring in others.
        """
        while not set(changes := getattr(self.graph, which)) <= set(self.updates):
            self.updates = {**changes, **self.updates}
            self.graph = self._graph()

    def _graph(self) -> Graph:
        return Graph([*self.outputs, *self.updates.values(), *self.updates], self.training)

    def __call__(self, *given: object) -> np.ndarray | list[np.ndarray]:
        """Fresh arrays for the outputs; parameters take their new values if there are updates.

        Raises `ShapeError`, `DtypeError` or IndexError (a label or token out of range) before
        anything is written.
        """
        results = self.again(given)
        if results is None:
            self._check_count(given)
            values = list(map(given_array, self.inputs, given))
            results = self._run(self.prepare(values), values)
        return results[0] if self.single else results

    def again(self, given: Sequence[Any]) -> list[np.ndarray] | None:
        """The outputs, if these are arrays, and there were some of the same shapes before: nothing is asked twice."""
        if [type(each) for each in given] != self._arrays:
            return None
        known = self._compiled.get(tuple([array.shape for array in given]))
        return None if known is None else self._run(known, given)

    def _run(self, compiled: _Compiled, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        if [array.dtype for array in values] != self._dtypes:
            values = list(map(converted, values, self.inputs))
        if not self.updates:  # what it writes is its own
            return compiled.call(values)
        with self.lock:
            return compiled.call(values)

    def prepare(self, values: Sequence[np.ndarray]) -> _Compiled:
        """The executable for arrays of these shapes, compiled when they are met for the first time."""
        key = tuple([a.shape for a in values])
        known = self._compiled.get(key)
        if known is not None:
            return known
        self._check_count(values)
        with self.lock:
            if key not in self._compiled:
                self._compiled[key] = self._compile(bind_sizes(self.inputs, values))
            return self._compiled[key]

    def _check_count(self, given: Sequence[object]) -> None:
        if len(given) != len(self.inputs):
            names = ", ".join(node.name for node in self.inputs)
            raise GraphnnError(f"expected an array for each input ({names}), got {len(given)}")

    def check(self, arrays: Sequence[np.ndarray], rows: int) -> None:
        """IndexError if a label or token is out of range; samples come ``rows`` at a time."""
        compiled = self.prepare([array[:rows] for array in arrays])
        for name, k in compiled.inputs:
            compiled.executable.check(name, arrays[k])

    @uncollected()
    def _compile(self, sizes: Mapping[Symbol, int]) -> _Compiled:
        lowered = lower_graph(self.graph, self.outputs, self.updates, sizes)
        own = {
            name: node.value
            for name, node in lowered.leaves.items()
            if isinstance(node, (Parameter, Constant))
        }
        executable = compiler.compile(lowered.system, self.options, own)
        needed = set(lowered.leaves.values())
        inputs = tuple(
            (lowered.names[node], k) for k, node in enumerate(self.inputs) if node in needed
        )
        outputs = tuple(lowered.names[node] for node in self.outputs)
        return _Compiled(executable, inputs, outputs, executable.call(inputs, outputs))

    def explain(self, stage: str | None = None) -> str:
        """The compiler's stages as text, for the sizes met last."""
        return self._latest().explain(stage)

    @property
    def memory(self) -> int:
        """Bytes that a step works in, for the sizes met last: inputs, weights, results, and all between."""
        return self._latest().memory

    def _latest(self) -> compiler.Executable:
        """What was compiled last."""
        if not self._compiled:
            sizes = {n: 1 for node in self.inputs for n in node.dims if isinstance(n, Symbol)}
            if sizes:
                raise GraphnnError("call the function once first: its sizes are not known yet")
            self._compiled[tuple(tuple(n or 0 for n in node.shape) for node in self.inputs)] = (
                self._compile({})
            )
        return list(self._compiled.values())[-1].executable

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a compiled function is neither copied nor pickled: make it anew, or pickle a model"
        )

    def __str__(self) -> str:
        return str(self.graph)


class Explainable(Protocol):
    """What can be explained: a `Function`, a model."""

    def explain(self, stage: str | None = None) -> str: ...


def explain(what: Explainable, stage: str | None = None) -> str:
    """The stages from equations to assembly as text, or one of them, of a function or a model."""
    if isinstance(what, Node):
        raise GraphnnError(f"{what!r} is not compiled: explain gn.function([inputs], node)")
    return what.explain(stage)


def as_input(node: object) -> Input:
    """The node if it is an input."""
    if not isinstance(node, Input):
        given = repr(node) if isinstance(node, Node) else type(node).__name__
        raise GraphnnError(f"expected gn.Input nodes as inputs, got {given}")
    return node


def _computed(node: Node) -> Node:
    """An output that is given rather than computed is copied."""
    if isinstance(node, Result):
        return node
    copy = identity(node)
    assert isinstance(copy, Result)
    return copy


def bind_sizes(inputs: Sequence[Input], arrays: Sequence[np.ndarray]) -> dict[Symbol, int]:
    """The open sizes that these arrays settle. Raises `ShapeError`: input, expected, got."""
    sizes: dict[Symbol, int] = {}
    owner: dict[Symbol, str] = {}
    for node, array in zip(inputs, arrays, strict=True):
        check_axes(node, array)
        for axis, (size, given) in enumerate(zip(node.dims, array.shape, strict=True)):
            if isinstance(size, Number):
                if given != size.value:
                    raise _misfit(node, array, f"axis {axis} must be {size.value}")
            elif isinstance(size, Symbol):
                if given == 0:
                    raise _misfit(node, array, f"axis {axis} is empty")
                if sizes.setdefault(size, given) != given:
                    name = expression_text(size)
                    other = f"{name} is {sizes[size]} in {owner[size]}"
                    raise _misfit(node, array, f"{other}, here {given}")
                owner.setdefault(size, node.name)
    return sizes


def check_axes(node: Input, array: np.ndarray) -> None:
    """Raise `ShapeError` where an array has another number of axes: input, expected, got, what to write."""
    if array.ndim == node.ndim:
        return
    advice = ""
    if array.shape[1:] == node.shape:
        advice = f"; its samples have that shape: begin with gn.Input({(None, *node.shape)})"
    elif array.shape == node.shape[1:]:
        advice = "; one sample x is given as x[None]"
    raise _misfit(node, array, f"{array.ndim} axes instead of {node.ndim}{advice}")


def _misfit(node: Node, array: np.ndarray, why: str) -> ShapeError:
    """Expected, got, why."""
    expected = f"{node.name}: expected an array for {node.type}, got shape {array.shape}"
    return ShapeError(f"{expected}: {why}")


def given_array(node: Node, value: object) -> np.ndarray:
    """What was given for a node as an array of numbers. Raises `GraphnnError`: input, expected, got."""
    expected = f"{node.name}: expected an array for {node.type}"
    if isinstance(value, Node):
        raise GraphnnError(f"{expected}, got the node {value.name}")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ShapeError(f"{expected}, got rows of different lengths") from None
    if array.dtype.kind in "OSU" and not isinstance(value, np.ndarray):
        raise DtypeError(f"{expected}, got {type(value).__name__} without numbers")
    return array


def converted(array: np.ndarray, node: Node) -> np.ndarray:
    """The array in the node's dtype. Raises `DtypeError` where it cannot be."""
    try:
        return arrays.converted(node.name, node.dtype, array)
    except compiler.ArrayError as error:
        raise DtypeError(str(error)) from None


def evaluate(
    node: Node | Sequence[Node],
    values: Mapping[Node, object] | None = None,
    precision: str | int | None = None,
    training: bool = False,
    literal: bool = False,
) -> np.ndarray | list[np.ndarray]:
    """The value of a node (or several) by the slow reference interpreter: the same meaning, no
    machine code.

    ``values`` gives an array for each input. ``precision`` "float64" or a number of decimal digits
    computes more exactly. Formulas that overflow or cancel are computed in the equal forms that
    compiled code uses, see `compiler.stabilize`; ``literal`` computes them as they are written:

    >>> from graphnn import op
    >>> softmax = op("y[i] = exp(x[i]) / sum[j](exp(x[j]))")
    >>> y = softmax([300.0, 0.0])
    >>> evaluate(y), evaluate(y, literal=True)
    (array([1., 0.], dtype=float32), array([nan,  0.], dtype=float32))
    """
    single = isinstance(node, Node)
    wanted = [_computed(n) for n in ([node] if isinstance(node, Node) else node)]
    graph = Graph(wanted, training)
    given = {
        require_node(k, "each key of values"): given_array(k, v) for k, v in (values or {}).items()
    }
    missing = [n for n in graph.inputs if n not in given]
    if missing:
        raise GraphnnError(f"no value given for input {missing[0]}")
    inputs = graph.inputs
    sizes = bind_sizes(inputs, [given[n] for n in inputs])
    lowered = lower(wanted, sizes=sizes, training=training)
    leaves = {}
    for name, leaf in lowered.leaves.items():
        leaves[name] = converted(given[leaf], leaf) if leaf in given else leaf.value  # type: ignore[attr-defined]
    system = lowered.system if literal else compiler.stabilize(lowered.system)
    found = compiler.evaluate(system, leaves, precision)
    results = [found[lowered.names[n]] for n in wanted]
    return results[0] if single else results
