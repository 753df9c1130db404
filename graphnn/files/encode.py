"""Graph -> JSON: nodes and applications by number, formulas as their text, arrays by name.

nodes         input | parameter | constant | result | choice, each after those it depends on
applications  an operation, its operands as numbers of nodes
operations    the text of a formula, the values of its attributes
layers        name, kind, parameters; of a model within the model its inputs and outputs instead
calls         a layer, its inputs, its output: a node, a list of nodes, or null
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from compiler.language.expression import Number, Symbol

from ..errors import GraphnnError
from ..graph.application import Application, Result
from ..graph.node import Choice, Constant, Input, Node, Parameter
from ..graph.operation import Operation
from ..graph.rebuild import exceptions
from ..layers.base import Layer, LayerCall
from ..nested import as_list
from ..optimizers import Optimizer
from ..training.loop import Position
from .saved import Measure, Saved, Template, Training
from .weights import PRIVATE, unique

__all__ = ["VERSION", "encode"]

VERSION = 1

Json = dict[str, Any]


def encode(saved: Saved, weights: Mapping[str, Parameter]) -> tuple[Json, dict[str, np.ndarray]]:
    """The model as JSON and the arrays that it names; ``weights`` gives the names of some of them."""
    return _Encoder(weights).model(saved)


class _Encoder:
    def __init__(self, weights: Mapping[str, Parameter]) -> None:
        self.array_names: dict[Node, str] = {p: name for name, p in weights.items()}
        self.arrays = {name: p.value for name, p in weights.items()}
        self.numbers: dict[Hashable, int] = {}
        self.calls: list[LayerCall] = []
        self.tables: dict[str, list[Json]] = {
            name: [] for name in ("operations", "layers", "calls", "applications", "nodes")
        }

    def model(self, saved: Saved) -> tuple[Json, dict[str, np.ndarray]]:
        described = {
            "version": VERSION,
            "name": saved.name,
            "inputs": self.nodes(saved.inputs),
            "outputs": self.nodes(saved.outputs),
            "single_output": saved.single_output,
            "random": asdict(saved.streams),
            "position": None if saved.position is None else self.position(saved.position),
            "training": None,
        }
        if saved.training is not None:
            described["training"] = self.training(saved.training)
        self.outputs()
        return described | self.tables, self.arrays

    def entry(self, table: str, key: Hashable, described: Json) -> int:
        """The number of a new entry of a table."""
        self.tables[table].append(described)
        number = self.numbers[table, key] = len(self.tables[table]) - 1
        return number

    def nodes(self, wanted: Sequence[Node]) -> list[int]:
        """Numbers of nodes; they, and before them all that they depend on, are entered where need be."""
        stack = [(node, False) for node in reversed(wanted)]
        while stack:
            node, ready = stack.pop()
            if ("nodes", node) in self.numbers:
                continue
            if ready:
                self.entry("nodes", node, {"name": node.name, **self.node(node)})
            else:
                stack.append((node, True))
                stack.extend((source, False) for source in reversed(_dependences(node)))
        return [self.numbers["nodes", node] for node in wanted]

    def node(self, node: Node) -> Json:
        match node:
            case Input():
                return {"kind": "input", "shape": _dims(node), "dtype": node.dtype} | _scope(node)
            case Parameter():
                array = self.array(node, node.value)
                described = {"kind": "parameter", "array": array, "trainable": node.trainable}
                if node.regularizer is not None:
                    described["regularizer"] = self.operation(node.regularizer)
                return described | _scope(node)
            case Constant():
                if node.is_number:
                    value = {"value": node.value.item(), "dtype": node.dtype}
                else:
                    value = {"array": self.array(node, node.value)}
                return {"kind": "constant", **value} | _scope(node)
            case Choice():
                described = {
                    "kind": "choice",
                    "training": self.nodes([node.training])[0],
                    "inference": self.nodes([node.inference])[0],
                    "changes": [self.nodes(pair) for pair in node.changes.items()],
                }
                if node.always is not None:
                    described["always"] = node.always
                if isinstance(node.layer, Layer) and node.layer.network_ends is None:
                    described["layer"] = self.layer(node.layer)
                return described | self.owner(node) | _scope(node)
            case Result():
                number = self.application(node.application)
                described = {"kind": "result", "application": number, "target": node.target}
                return described | self.owner(node)
        raise GraphnnError(f"{node.name}: a {type(node).__name__} cannot be saved")

    def array(self, node: Node, value: np.ndarray) -> str:
        if node not in self.array_names:
            self.array_names[node] = unique(PRIVATE + node.name, self.arrays)
        name = self.array_names[node]
        self.arrays[name] = value
        return name

    def application(self, application: Application) -> int:
        number = self.numbers.get(("applications", application))
        if number is not None:
            return number
        operands = application.operands
        described: Json = {
            "name": application.name,
            "operation": self.operation(application.operation),
            "operands": dict(zip(operands, self.nodes(list(operands.values())), strict=True)),
            "scope": list(application.scope),
            "role": application.role,
        }
        if found := exceptions(application):
            described["dtypes"] = found
        derived = self.numbers.get(("applications", application.differentiates))
        if derived is not None:
            described["differentiates"] = derived
        return self.entry("applications", application, described)

    def operation(self, operation: Operation) -> int:
        formula = operation.formula
        described = {
            "name": operation.name,
            "formula": formula.text,
            "operands": list(formula.operands),
            "outputs": list(formula.outputs),
            "attributes": {name: str(value) for name, value in operation.attributes.items()},
            "dtype": operation.dtype,
        }
        key = repr(described)
        known = self.numbers.get(("operations", key))
        return self.entry("operations", key, described) if known is None else known

    def owner(self, node: Node) -> Json:
        """The use of a layer that a node belongs to."""
        call = node.owner
        if not isinstance(call, LayerCall):
            return {}
        number = self.numbers.get(("calls", call))
        if number is None:
            described = {
                "layer": self.layer(call.layer),
                "inputs": self.nodes(call.inputs),
            }
            number = self.entry("calls", call, described)
            self.calls.append(call)
        return {"call": number}

    def outputs(self) -> None:
        """Of each call of a layer, also those that nothing is made of; they may bring further calls."""
        for described, call in zip(self.tables["calls"], self.calls, strict=True):
            match call.output:
                case _ if call.layer.network_ends:
                    pass  # it knows what it gives
                case Node():
                    (described["output"],) = self.nodes([call.output])
                case [*several] if several and all(isinstance(node, Node) for node in several):
                    described["output"] = self.nodes(several)

    def layer(self, layer: Layer) -> int:
        known = self.numbers.get(("layers", layer))
        if known is not None:
            return known
        described: Json = {"name": layer.name, "kind": layer.kind, "calls": layer.calls}
        if layer.network_ends:
            inputs, outputs = layer.network_ends
            described["inputs"] = self.nodes(inputs)
            described["outputs"] = self.nodes(as_list(outputs))
            described["single_output"] = isinstance(outputs, Node)
        else:
            described["trainable"] = layer.trainable
            described["weights"] = self.nodes(layer.weights)
            described["learnt"] = self.nodes(layer.learnt)
        return self.entry("layers", layer, described)

    def training(self, training: Training) -> Json:
        return {
            "optimizer": self.optimizer(training.optimizer),
            "losses": [each and self.measure(each) for each in training.losses],
            "loss_weights": list(training.loss_weights),
            "metrics": [[self.measure(m) for m in each] for each in training.metrics],
            "weighted_metrics": [
                [self.measure(m) for m in each] for each in training.weighted_metrics
            ],
            "ftz": training.ftz,
            "windows": training.windows,
        }

    def optimizer(self, optimizer: Optimizer) -> Json:
        rules = {
            "step_size": optimizer.step_size,
            "schedule": optimizer.schedule and optimizer.schedule.formula,
            "clipping": optimizer.clipping,
            "decay": optimizer.decay,
        }
        rate, iterations = self.nodes([optimizer.rate, optimizer.iterations])
        return {
            "name": optimizer.name,
            "update": self.operation(optimizer.update),
            **{key: rule and self.operation(rule) for key, rule in rules.items()},
            "rate": rate,
            "iterations": iterations,
            "states": [
                {
                    "weight": self.nodes([weight])[0],
                    "states": dict(zip(states, self.nodes(list(states.values())), strict=True)),
                }
                for weight, states in optimizer.states.items()
            ],
        }

    def position(self, position: Position) -> Json:
        described: Json = {
            "samples": position.samples,
            "batch_size": position.batch_size,
            "epoch": position.epoch,
            "batch": position.batch,
        }
        if position.stream is not None:
            described |= dict(zip(("seed", "number"), position.stream, strict=True))
        if position.sums is not None:
            described["sums"] = unique(PRIVATE + "sums", self.arrays)
            self.arrays[described["sums"]] = position.sums
        return described

    def measure(self, measure: Measure) -> Json:
        if measure.templates:
            templates = [self.template(each) for each in measure.templates]
            return {"label": measure.label, "templates": templates}
        options = dict(measure.options)
        return {"label": measure.label, "function": measure.function, "options": options}

    def template(self, template: Template) -> Json:
        parts = (template.truth, template.prediction, template.value)
        return dict(zip(("truth", "prediction", "value"), self.nodes(parts), strict=True))


def _dependences(node: Node) -> list[Node]:
    """What a node is made of; of a node in a layer also the layer's inputs and what it consists of."""
    sources = list(node.inputs)
    if isinstance(node, Choice):
        sources = [node.training, node.inference]
        for parameter, value in node.changes.items():
            sources += [parameter, value]
        sources += _parts(node.layer) if isinstance(node.layer, Layer) else []
    if isinstance(node, (Choice, Result)) and isinstance(node.owner, LayerCall):
        sources += [*node.owner.inputs, *_parts(node.owner.layer)]
    return sources


def _parts(layer: Layer) -> list[Node]:
    if not layer.network_ends:
        return list(layer.weights)
    inputs, outputs = layer.network_ends
    return [*inputs, *as_list(outputs)]


def _dims(node: Node) -> list[int | str]:
    found: list[int | str] = []
    for size in node.dims:
        if isinstance(size, Number):
            found.append(int(size.value))
        elif isinstance(size, Symbol):
            found.append(size.name)
        else:
            raise GraphnnError(f"{node.name}: the shape {node.type} cannot be saved")
    return found


def _scope(node: Node) -> Json:
    return {"scope": list(node.scope)} if node.scope else {}
