"""JSON -> nodes, operations and layers, made by applying the formulas; nothing of it is run.

An entry may only refer to entries before it, so that no file holds a cycle. Every formula goes
through the parser of the notation, every application through the same checks as one that a program
makes, so that a graph that was read is as good as one that was built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np

from compiler.language.dtypes import DTYPES
from compiler.language.expression import Expr, Number, Symbol, expr

from .. import regularizers
from ..errors import FormatError
from ..graph.application import Application
from ..graph.node import Choice, Constant, Input, Node, Parameter
from ..graph.operation import Operation
from ..graph.surroundings import graph_role
from ..layers.base import Layer, LayerCall
from ..notation import parse, select
from .limits import Limits
from .record import Record
from .saved import SavedLayer

__all__ = ["GraphDecoder", "Nest"]

# inputs, outputs, name, kind, calls -> a model within the model
Nest = Callable[[Sequence[Node], Node | Sequence[Node], str, str, int], Layer]

Kind = TypeVar("Kind", bound=Node)

_ROLES = ("forward", "gradient", "update")
_FRACTION = re.compile(r"-?[0-9]{1,1000}(/[0-9]{1,1000})?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)


class GraphDecoder:
    """The tables of a file, and what was made of them so far."""

    def __init__(
        self, top: Record, arrays: Mapping[str, np.ndarray], nest: Nest, limits: Limits
    ) -> None:
        self.top, self.arrays, self.nest, self.limits = top, arrays, nest, limits
        names = ("operations", "layers", "calls", "applications", "nodes")
        self.records = {name: top.records(name) for name in names}
        self.text = 0
        self.operations: dict[int, Operation] = {}
        self.layers: dict[int, Layer] = {}
        self.sizes: dict[
            Layer, int
        ] = {}  # of models within: the models in them and they themselves
        self.calls: dict[int, LayerCall] = {}
        self.applications: dict[int, Application] = {}
        self.nodes: list[Node] = []

    def read_graph(self) -> None:
        """Make all nodes, and what each layer was used for."""
        if len(self.records["nodes"]) > self.limits.nodes:
            raise FormatError(f"the graph has more than the limit of {self.limits.nodes} nodes")
        for record in self.records["nodes"]:
            self.nodes.append(self.node(record))
        for number, call in self.calls.items():
            if isinstance(call.layer, SavedLayer):
                call.output = self.output(self.records["calls"][number])
                call.layer.remember(call)

    # --- references ----------------------------------------------------------------------------

    def at(self, record: Record, number: object) -> Node:
        """The node of that number, which must have been read before."""
        if type(number) is not int or not 0 <= number < len(self.nodes):
            raise FormatError(f"{record.where}: {str(number)[:20]} is no node that stands before")
        return self.nodes[number]

    def a(self, kind: type[Kind], record: Record, number: object) -> Kind:
        node = self.at(record, number)
        if not isinstance(node, kind):
            raise FormatError(f"{record.where}: node {number} must be of kind {kind.__name__}")
        return node

    def entry(self, table: str, record: Record, key: str) -> tuple[int, Record]:
        entries = self.records[table]
        number = record.natural(key, len(entries))
        return number, entries[number]

    def boundary(self, record: Record) -> tuple[list[Input], list[Node]]:
        """The inputs and outputs of a model."""
        inputs = [self.a(Input, record, number) for number in record.items("inputs")]
        outputs = [self.at(record, number) for number in record.items("outputs")]
        if not outputs:
            raise record.wrong("outputs", "one node or more")
        if record.flag("single_output") and len(outputs) > 1:
            raise record.wrong("single_output", "false, for there are several")
        return inputs, outputs

    # --- nodes ---------------------------------------------------------------------------------

    def node(self, record: Record) -> Node:
        node = self.new_node(record)
        node.name = record.text("name")
        if record.has("scope"):
            node.scope = record.texts("scope")
        if record.has("call"):
            node.owner = self.call(*self.entry("calls", record, "call"))
        fixed = [int(n.value) for n in node.dims if isinstance(n, Number)]
        if math.prod(fixed) > self.limits.size:
            raise FormatError(f"{record.where}: {node.type} is larger than the limit")
        return node

    def new_node(self, record: Record) -> Node:
        match record.values.get("kind"):
            case "input":
                return self.input(record)
            case "parameter":
                return self.parameter(record)
            case "constant":
                return self.constant(record)
            case "choice":
                return self.choice(record)
            case "result":
                application = self.application(*self.entry("applications", record, "application"))
                target = record.text("target")
                if target not in application.dtypes or target in application.operands:
                    raise record.wrong("target", "a tensor that the formula computes")
                if target in application.results:
                    raise record.wrong("target", "one that is not a node already")
                return application.result(target)
        raise record.wrong("kind", "input, parameter, constant, choice or result")

    def input(self, record: Record) -> Input:
        shape = record.items("shape")
        dims: list[Expr] = []
        for size in shape[: self.limits.rank + 1]:
            if type(size) is int and 0 < size < 1 << 63:
                dims.append(expr(size))
            elif isinstance(size, str) and len(size) < self.limits.name and _WORD.fullmatch(size):
                dims.append(Symbol(size))
            else:
                raise record.wrong("shape", "a list of sizes and their names")
        if len(dims) > self.limits.rank:
            raise record.wrong("shape", f"of at most {self.limits.rank} sizes")
        node = Input((), record.text("name"), record.one_of("dtype", tuple(DTYPES)))
        node.dims = tuple(dims)
        return node

    def parameter(self, record: Record) -> Parameter:
        penalty = None
        if record.has("regularizer"):
            penalty = regularizers.get(
                self.operation(*self.entry("operations", record, "regularizer"))
            )
        return Parameter(
            self.array(record),
            record.text("name"),
            trainable=record.flag("trainable"),
            regularizer=penalty,
        )

    def array(self, record: Record, key: str = "array") -> np.ndarray:
        name = record.text(key, self.limits.name)
        if name not in self.arrays:
            raise record.wrong(key, f"the name of a tensor of the file, which {name!r} is not")
        if str(self.arrays[name].dtype) not in DTYPES:
            raise record.wrong(key, f"of a dtype among {', '.join(DTYPES)}")
        return self.arrays[name]

    def constant(self, record: Record) -> Constant:
        name = record.text("name")
        if "array" in record.values:
            return Constant(self.array(record), name)
        dtype = record.one_of("dtype", tuple(DTYPES))
        value = record.values.get("value")
        is_real = dtype.startswith("float") and type(value) in (int, float)
        is_whole = dtype.startswith("int") and type(value) is int and -(1 << 63) <= value < 1 << 63
        if not is_real and not is_whole and not (dtype == "bool" and isinstance(value, bool)):
            raise record.wrong("value", f"a number of dtype {dtype}")
        return Constant(value, name, dtype)

    def choice(self, record: Record) -> Choice:
        changes: dict[Parameter, Node] = {}
        for pair in record.items("changes"):
            if not isinstance(pair, list) or len(pair) != 2:
                raise record.wrong("changes", "pairs of a parameter and its new value")
            parameter, value = self.a(Parameter, record, pair[0]), self.at(record, pair[1])
            if (parameter.dims, parameter.dtype) != (value.dims, value.dtype):
                raise record.wrong("changes", "new values of the parameters' shapes and dtypes")
            changes[parameter] = value
        sides = [self.at(record, record.values.get(side)) for side in ("training", "inference")]
        if sides[0].dtype != sides[1].dtype:
            raise record.wrong("inference", "of the same dtype as training")
        found = Choice(sides[0], sides[1], changes)
        found.always = record.flag("always") if record.has("always") else None
        if record.has("layer"):
            found.layer = self.layer(*self.entry("layers", record, "layer"))
            if not isinstance(found.layer, SavedLayer):
                raise record.wrong("layer", "a layer that is no model")
        return found

    # --- operations ----------------------------------------------------------------------------

    def application(self, number: int, record: Record) -> Application:
        if number in self.applications:
            return self.applications[number]
        operation = self.operation(*self.entry("operations", record, "operation"))
        self.text += len(operation.formula.text)
        if self.text > self.limits.text:
            raise FormatError(f"the formulas have more than {self.limits.text} characters")
        given = {name: self.at(record, node) for name, node in record.pairs("operands")}
        operands = operation.bind((), given)
        dtypes = {} if not record.has("dtypes") else dict(record.pairs("dtypes"))
        if not all(isinstance(d, str) and d in DTYPES for d in dtypes.values()):
            raise record.wrong("dtypes", "dtypes by target")
        base = None
        if record.has("differentiates"):
            base = self.applications.get(record.natural("differentiates", 1 << 63))
        with graph_role(record.one_of("role", _ROLES)):
            found = operation.apply(
                operands,
                name=record.text("name"),
                scope=record.texts("scope"),
                dtypes=dtypes,
                differentiates=base,
            )
        self.applications[number] = found
        return found

    def operation(self, number: int, record: Record) -> Operation:
        if number in self.operations:
            return self.operations[number]
        attributes = {}
        for name, value in record.pairs("attributes"):
            if not isinstance(value, str) or not _FRACTION.fullmatch(value):
                raise record.wrong("attributes", "fractions by name")
            attributes[name] = Fraction(value)
        dtype = record.one_of("dtype", tuple(DTYPES)) if record.has("dtype") else None
        outputs, operands = record.texts("outputs"), record.texts("operands")
        formula = parse(record.text("formula", 1 << 20), attributes, outputs)
        if formula.operands != operands:
            formula = select(formula, outputs)
        if formula.operands != operands or formula.outputs != outputs or not outputs:
            raise record.wrong("operands", f"those of the formula: {', '.join(formula.operands)}")
        found = Operation(record.text("name"), formula, attributes, dtype)
        self.operations[number] = found
        return found

    # --- layers --------------------------------------------------------------------------------

    def call(self, number: int, record: Record) -> LayerCall:
        if number not in self.calls:
            layer = self.layer(*self.entry("layers", record, "layer"))
            inputs = tuple(self.at(record, node) for node in record.items("inputs"))
            self.calls[number] = LayerCall(layer, inputs)
        return self.calls[number]

    def output(self, record: Record) -> Node | list[Node] | None:
        """What a call gave."""
        match record.values.get("output"):
            case None:
                return None
            case [_, *_] as several:
                return [self.at(record, number) for number in several]
            case number:
                return self.at(record, number)

    def layer(self, number: int, record: Record) -> Layer:
        if number not in self.layers:
            self.layers[number] = (
                self.nested(record) if "outputs" in record.values else self.plain_layer(record)
            )
        return self.layers[number]

    def plain_layer(self, record: Record) -> SavedLayer:
        learnt = {self.a(Parameter, record, node) for node in record.items("learnt")}
        weights = [self.a(Parameter, record, node) for node in record.items("weights")]
        if len({*weights}) != len(weights):
            raise record.wrong("weights", "each a parameter of its own")
        return SavedLayer(
            record.text("name"),
            record.text("kind"),
            record.natural("calls", 1 << 63),
            record.flag("trainable"),
            {weight: weight in learnt for weight in weights},
        )

    def nested(self, record: Record) -> Layer:
        """A model. How many there are bounds how deep they nest, their sizes what it takes to go through them."""
        inputs, outputs = self.boundary(record)
        model = self.nest(
            inputs,
            outputs[0] if record.flag("single_output") else outputs,
            record.text("name"),
            record.text("kind"),
            record.natural("calls", 1 << 63),
        )
        size = 1 + sum(self.sizes.get(layer, 0) for layer in model.layers)
        self.sizes[model] = size
        if len(self.sizes) > self.limits.models or size > self.limits.models**2:
            raise FormatError(f"the model has more than the limit of {self.limits.models} in it")
        return model
