"""JSON -> model: the graph with the same nodes again (see `decode_graph`), and the state of its training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compiler.options import WINDOWS

from ..errors import FormatError, GraphnnError
from ..graph.node import Parameter
from ..optimizers import Optimizer
from ..optimizers.schedules import Schedule
from ..random import Stream, Streams
from ..training.loop import Position
from .decode_graph import GraphDecoder, Nest
from .encode import VERSION
from .limits import DEFAULT, Limits
from .record import Record
from .saved import Measure, Saved, Template, Training

__all__ = ["decode"]


def decode(
    described: object, arrays: Mapping[str, np.ndarray], nest: Nest, limits: Limits = DEFAULT
) -> Saved:
    """The model that a file describes, those within it made by ``nest``. Raises `FormatError`."""
    top = Record.of(described, "model")
    if top.values.get("version") != VERSION:
        found = str(top.values.get("version"))[:20]
        raise FormatError(f"the file is of version {found}; this graphnn reads version {VERSION}")
    try:
        return _Decoder(top, arrays, nest, limits).model()
    except FormatError:
        raise
    except (GraphnnError, ArithmeticError, RecursionError) as error:
        raise FormatError(f"a formula cannot be applied: {error}") from None


class _Decoder(GraphDecoder):
    """With what is around the graph."""

    def model(self) -> Saved:
        self.read_graph()
        top = self.top
        inputs, outputs = self.boundary(top)
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
