"""JSON -> graph: the same nodes again, made by applying the formulas; nothing of it is run.

An entry may only refer to entries before it, so that no file holds a cycle. Every formula goes
through the parser of the notation, every application through the same checks as one that a program
makes, so that a graph that was read is as good as one that was built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import TypeVar

import numpy as np

from compiler.language.expression import Expr, Number, Symbol, expr
from compiler.language.system import DTYPES
from compiler.options import WINDOWS

from .. import regularizers
from ..errors import FormatError, GraphnnError
from ..graph.application import Application
from ..graph.node import Choice, Constant, Input, Node, Parameter, graph_role
from ..graph.operation import Operation
from ..layers.base import LayerCall
from ..notation import parse, select
from ..optimizers import Optimizer
from ..random import Stream, Streams
from ..schedules import Schedule
from ..training.loop import Position
from .encode import VERSION
from .limits import DEFAULT, Limits
from .record import Record
from .saved import Measure, Saved, SavedLayer, Template, Training

__all__ = ["decode"]

Kind = TypeVar("Kind", bound=Node)

_ROLES = ("forward", "gradient", "update")
_FRACTION = re.compile(r"-?[0-9]{1,1000}(/[0-9]{1,1000})?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)


def decode(described: object, arrays: Mapping[str, np.ndarray], limits: Limits = DEFAULT) -> Saved:
    """The model that a file describes. Raises `FormatError`."""
    top = Record.of(described, "model")
    if top.values.get("version") != VERSION:
        found = str(top.values.get("version"))[:20]
        raise FormatError(f"the file is of version {found}; this graphnn reads version {VERSION}")
    try:
        return _Decoder(top, arrays, limits).model()
    except FormatError:
        raise
    except (GraphnnError, ArithmeticError, RecursionError) as error:
        raise FormatError(f"a formula cannot be applied: {error}") from None


class _Decoder:
    def __init__(self, top: Record, arrays: Mapping[str, np.ndarray], limits: Limits) -> None:
        self.top, self.arrays, self.limits = top, arrays, limits
        names = ("operations", "layers", "calls", "applications", "nodes")
        self.records = {name: top.records(name) for name in names}
        self.text = 0
        self.operations: dict[int, Operation] = {}
        self.layers: dict[int, SavedLayer] = {}
        self.calls: dict[int, LayerCall] = {}
        self.applications: dict[int, Application] = {}
        self.nodes: list[Node] = []

    def model(self) -> Saved:
        if len(self.records["nodes"]) > self.limits.nodes:
            raise FormatError(f"the graph has more than the limit of {self.limits.nodes} nodes")
        last: dict[LayerCall, Node] = {}
        for record in self.records["nodes"]:
            node = self.node(record)
            self.nodes.append(node)
            if isinstance(node.owner, LayerCall):
                last[node.owner] = node
        for call, node in last.items():
            assert isinstance(call.layer, SavedLayer)
            call.layer.uses.append((call.inputs, node))
        top = self.top
        inputs = [self.a(Input, top, number) for number in top.items("inputs")]
        outputs = [self.at(top, number) for number in top.items("outputs")]
        if not outputs:
            raise top.wrong("outputs", "one node or more")
        training = self.training(top.record("training")) if top.has("training") else None
        return Saved(
            top.text("name"),
            inputs,
            outputs,
            top.flag("single_output"),
            training,
            Streams(*_stream(top.record("random"))),
            self.position(top.record("position")) if top.has("position") else None,
        )

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

    def layer(self, number: int, record: Record) -> SavedLayer:
        if number not in self.layers:
            layer = SavedLayer(record.text("name"), record.text("kind"), record.flag("trainable"))
            learnt = {self.a(Parameter, record, node) for node in record.items("learnt")}
            weights = [self.a(Parameter, record, node) for node in record.items("weights")]
            for weight in weights:
                layer.adopt(weight, weight in learnt)
            names = record.texts("names")
            if len({*weights}) != len(names):
                raise record.wrong("names", "one for each weight")
            layer.names = dict(zip(weights, names, strict=True))
            self.layers[number] = layer
        return self.layers[number]

    # --- training ------------------------------------------------------------------------------

    def training(self, record: Record) -> Training:
        losses = [
            None if each is None else self.measure(Record.of(each, record.where))
            for each in record.items("losses")
        ]
        weights = record.items("loss_weights")
        if len(weights) != len(losses) or not all(
            type(w) in (int, float) and abs(w) < 1e100 for w in weights
        ):
            raise record.wrong("loss_weights", "a number for each loss")
        return Training(
            self.optimizer(record.record("optimizer")),
            losses,
            self.measures(record, "metrics"),
            weights,
            self.measures(record, "weighted_metrics"),
            record.has("ftz") and record.flag("ftz"),
            record.one_of("windows", WINDOWS) if record.has("windows") else "auto",
        )

    def measures(self, record: Record, key: str) -> list[list[Measure]]:
        """Those of each output."""
        return [
            [self.measure(Record.of(each, record.where)) for each in several]
            for several in record.items(key)
            if isinstance(several, list)
        ]

    def optimizer(self, record: Record) -> Optimizer:
        found = {
            key: self.operation(*self.entry("operations", record, key))
            for key in ("update", "step_size", "schedule", "clipping", "decay")
            if key == "update" or record.has(key)
        }
        rate = Schedule(found["schedule"]) if "schedule" in found else 0.0
        optimizer = Optimizer(
            found["update"],
            rate,
            found.get("step_size"),
            record.text("name"),
        )
        optimizer.clipping, optimizer.decay = found.get("clipping"), found.get("decay")
        optimizer.rate = self.scalar(record, "rate", "float64")
        optimizer.iterations = self.scalar(record, "iterations", "int64")
        kept = [name for name in optimizer.update.formula.operands if name not in ("w", "g", "a")]
        if {*optimizer.update.formula.outputs} != {f"{name}.new" for name in ("w", *kept)}:
            raise record.wrong("update", "a formula of w.new and the new value of each state")
        for each in record.records("states"):
            weight = self.a(Parameter, each, each.values.get("weight"))
            states = {k: self.a(Parameter, each, number) for k, number in each.pairs("states")}
            alike = [(p.dims, p.dtype) == (weight.dims, weight.dtype) for p in states.values()]
            if set(states) != set(kept) or not all(alike):
                raise each.wrong("states", f"{', '.join(kept)} for {weight.name}, and like it")
            optimizer.states[weight] = states
        return optimizer

    def position(self, record: Record) -> Position:
        position = Position(
            record.natural("samples", 1 << 63), record.natural("batch_size", 1 << 63)
        )
        position.epoch = record.natural("epoch", 1 << 63)
        position.batch = record.natural("batch", 1 << 63)
        if position.batch * position.batch_size >= position.samples + position.batch_size:
            raise record.wrong("batch", "one of those that the samples make")
        if record.has("seed"):
            position.stream = _stream(record)
        if position.batch:
            position.sums = self.array(record, "sums")
            if position.sums.ndim != 1 or position.sums.dtype != np.float64:
                raise record.wrong("sums", "a row of float64")
        return position

    def scalar(self, record: Record, key: str, dtype: str) -> Parameter:
        parameter = self.a(Parameter, record, record.values.get(key))
        if parameter.dims or parameter.dtype != dtype:
            raise record.wrong(key, f"a single {dtype}")
        return parameter

    def measure(self, record: Record) -> Measure:
        label = record.text("label")
        if record.has("templates"):
            return Measure(label, templates=list(map(self.template, record.records("templates"))))
        return Measure(label, record.text("function"), dict(record.pairs("options")))

    def template(self, record: Record) -> Template:
        keys = ("truth", "prediction", "value")
        return Template(*(self.at(record, record.values.get(key)) for key in keys))


def _stream(record: Record) -> Stream:
    return record.natural("seed", 1 << 64), record.natural("number", 1 << 63)
