"""An optimizer: formulas for the new value of a weight.

    w.new[...] = w[...] - a*g[...]                       w the weight, g its gradient, a the step size

Every other operand of such a formula is a state of the optimizer, one tensor for each weight, at
first zero, whose new value the formula gives as well: ``m`` and ``m.new``. Nothing more makes an
optimizer, so that one of your own is a line:

    signs = Optimizer("w.new[...] = w[...] - a*sign(g[...])", learning_rate=0.001)

The learning rate is a tensor of the graph, the number of steps done is another: neither needs
anything compiled again, nor does a schedule (`schedules`), a formula in that number.

Every optimizer takes Keras's ``weight_decay`` (decoupled: ``w - rate*weight_decay*w`` is what is
updated) and one of ``clipvalue``, ``clipnorm`` (of each gradient) and ``global_clipnorm`` (of all
gradients together). All formulas stand in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TypedDict

import numpy as np

from ..errors import GraphnnError, ShapeError
from ..functions import add, cast
from ..graph.application import Result
from ..graph.node import Node, Parameter
from ..graph.operation import Operation, op
from ..graph.surroundings import graph_role, unique_name
from ..graph.updates import Updates
from . import rules
from .schedules import Schedule

__all__ = ["Clipping", "Common", "Optimizer"]


class Clipping(TypedDict, total=False):
    """How gradients are clipped, and what an optimizer is called."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    name: str


class Common(Clipping, total=False):
    """What every optimizer of Keras's takes besides its own arguments."""

    weight_decay: float | None


class Optimizer:
    """Weights to new weights by a formula.

        m.new[...] = 0.9*m[...] + g[...]
        w.new[...] = w[...] - a*m.new[...]

    ``update`` is the formula, as text or operation: ``w`` is the weight, ``g`` its gradient, ``a`` the step size, every
    other operand a state that begins with zeros, here ``m``. ``step_size`` gives ``a`` from ``rate`` and the
    number ``t`` of this step (1, 2, ...), by default the rate itself.

    >>> Optimizer("w.new[...] = w[...] - a*sign(g[...])", learning_rate=0.001).learning_rate
    0.001
    """

    def __init__(
        self,
        update: Operation | str,
        learning_rate: float | Schedule,
        step_size: Operation | None = None,
        name: str | None = None,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **others: object,
    ) -> None:
        if others:
            every = ", ".join(["learning_rate", *Common.__annotations__])
            raise TypeError(f"{type(self).__name__} takes no {', '.join(others)}; all take {every}")
        self.update = update if isinstance(update, Operation) else _own_update(update)
        self.step_size = step_size
        self.clipping = rules.clipping(
            {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        )
        self.decay = rules.decay(weight_decay)
        self.schedule = learning_rate if isinstance(learning_rate, Schedule) else None
        self.name = name or unique_name(self.update.name)
        self.rate = Parameter(np.zeros((), "float64"), f"{self.name}.rate", trainable=False)
        self.iterations = Parameter(np.zeros((), "int64"), f"{self.name}.t", trainable=False)
        self.states: dict[Parameter, dict[str, Parameter]] = {}
        if not isinstance(learning_rate, Schedule):
            self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """That of the next step. It may be set at any time, unless it follows a schedule."""
        if self.schedule is not None:
            return self.schedule(int(self.iterations.value))
        return float(self.rate.value)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if self.schedule is not None:
            raise GraphnnError(f"{self.name} follows a schedule: its learning rate cannot be set")
        if not isinstance(value, (int, float, np.number)) or not value >= 0:
            raise GraphnnError(f"the learning rate must be a number from 0 on, got {value!r}")
        self.rate.value[...] = value

    @graph_role("update")
    def apply_gradients(self, gradients: Mapping[Node, Node]) -> Updates:
        """The new value of each weight in ``gradients`` (as `compute_gradients` gives them) and of each state.

        The result is a graph: nothing is changed before it is compiled with `function` and run.
        Raises `GraphnnError` for what is not a parameter, `ShapeError` for a gradient of another
        shape.
        """
        if not isinstance(gradients, Mapping):
            kind = type(gradients).__name__
            raise GraphnnError(
                f"gradients are a dict from parameters, as gn.compute_gradients gives it, got {kind}"
            )
        weights = [_checked(node, gradient) for node, gradient in gradients.items()]
        if not weights:
            raise GraphnnError("there are no gradients: the loss depends on no trainable parameter")
        count = _result(rules.COUNT(self.iterations), f"{self.iterations.name}.new")
        new: dict[Parameter, Node] = {self.iterations: count}
        rate, step = self._rate_and_step(count)
        dtypes = list(dict.fromkeys(w.dtype for w in weights))
        steps = {dtype: self._in(dtype, step) for dtype in dtypes}
        rates = steps if rate is step else {dtype: self._in(dtype, rate) for dtype in dtypes}
        clipped = self._clipped({w: gradients[w] for w in weights})
        for weight in weights:
            kept = self._decayed(weight, rates[weight.dtype])
            new |= self._new_values(weight, kept, clipped[weight], steps[weight.dtype])
        return Updates(new)

    def _rate_and_step(self, count: Node) -> tuple[Node, Node]:
        """The learning rate and the step size ``a``, both in float64."""
        rate: Node = self.rate
        if self.schedule is not None:
            formula = self.schedule.formula
            given = {"t": self.iterations} if formula.formula.operands else {}
            rate = _result(formula(**given), f"{self.name}.rate")
        if self.step_size is None:
            return rate, rate
        return rate, _result(self.step_size(rate=rate, t=count), f"{self.name}.a")

    def _clipped(self, gradients: Mapping[Parameter, Node]) -> Mapping[Parameter, Node]:
        """The gradients as they enter the update; a formula that reads ``s`` gets the sum of all squares."""
        if self.clipping is None:
            return gradients
        shared: dict[str, Node] = {}
        if "s" in self.clipping.formula.operands:
            widest = max(w.dtype for w in gradients)
            shared["s"] = reduce(
                add, (cast(_single(rules.SQUARES(g)), widest) for g in gradients.values())
            )
        return {
            weight: _result(
                self.clipping(
                    g=gradient, **{k: cast(node, weight.dtype) for k, node in shared.items()}
                ),
                f"{gradient.name}.clipped",
            )
            for weight, gradient in gradients.items()
        }

    def _decayed(self, weight: Parameter, rate: Node) -> Node:
        """What the update takes for the weight."""
        if self.decay is None:
            return weight
        return _result(self.decay(w=weight, rate=rate), f"{weight.name}.decayed")

    def _in(self, dtype: str, number: Node) -> Node:
        """The rate or step size, which is computed in float64, for weights of this dtype."""
        converted = cast(number, dtype)
        if converted is not number:
            converted.name = f"{self.name}.{dtype}"
        return converted

    def _new_values(
        self, weight: Parameter, kept: Node, gradient: Node, step: Node
    ) -> dict[Parameter, Node]:
        tensors = {"w": weight, **self._states_of(weight)}
        given: dict[str, Node] = {**tensors, "w": kept, "g": gradient, "a": step}
        operands = {name: given[name] for name in self.update.formula.operands}
        application = self.update.apply(operands, name=unique_name(self.name))
        new: dict[Parameter, Node] = {}
        for target in application.formula.outputs:
            node = application.result(target)
            parameter = tensors[target.removesuffix(".new")]
            node.name = f"{parameter.name}.new"
            new[parameter] = node
        return new

    def _states_of(self, weight: Parameter) -> dict[str, Parameter]:
        """The states kept for a weight, made when it is met for the first time."""
        if weight not in self.states:
            names = [n for n in self.update.formula.operands if n not in ("w", "g", "a")]
            self.states[weight] = {
                name: Parameter(
                    np.zeros_like(weight.value), f"{weight.name}.{name}", trainable=False
                )
                for name in names
            }
        return self.states[weight]

    def __repr__(self) -> str:
        numbers = {k: float(value) for k, value in self.update.attributes.items()}
        rate = self.schedule or self.learning_rate
        settings = ", ".join(f"{k}={v}" for k, v in {"learning_rate": rate, **numbers}.items())
        lines = "; ".join(self.update.formula.text.splitlines())
        return f"<{type(self).__name__}({settings}): {lines}>"


def _own_update(text: str) -> Operation:
    """A formula given as text: its outputs are the targets called ``.new``."""
    targets = dict.fromkeys(line.target for line in op(text).formula.lines)
    outputs = tuple(t for t in targets if t.endswith(".new"))
    operation = op(text, "optimizer", outputs or None)
    wanted = {f"{n}.new" for n in operation.formula.operands if n not in ("g", "a")}
    if wanted != set(outputs) or "w.new" not in outputs:
        raise GraphnnError(
            f"an update gives w.new, and the new value of each state it reads besides g and a: {text}"
        )
    return operation


def _checked(node: Node, gradient: Node) -> Parameter:
    if not isinstance(node, Parameter):
        raise GraphnnError(f"only a parameter can be updated, got {node!r}")
    if node.dims != gradient.dims:
        raise ShapeError(f"the gradient of {node.name}: {node.type} is {gradient.type}")
    return node


def _single(result: Result | tuple[Result, ...]) -> Result:
    assert isinstance(result, Result)
    return result


def _result(result: Result | tuple[Result, ...], name: str) -> Node:
    found = _single(result)
    found.name = name
    return found
