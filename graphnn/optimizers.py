"""Optimizers: formulas for the new value of a weight.

    w.new[...] = w[...] - a*g[...]                       w the weight, g its gradient, a the step size

Every other operand of such a formula is a state of the optimizer, one tensor for each weight, at
first zero, whose new value the formula gives as well: ``m`` and ``m.new``. Nothing more makes an
optimizer, so that one of your own is a line:

    signs = Optimizer("w.new[...] = w[...] - a*sign(g[...])", learning_rate=0.001)

The learning rate is a tensor of the graph, the number of steps done is another: neither needs
anything compiled again, nor does a schedule (`graphnn.schedules`), a formula in that number.

Every optimizer takes Keras's ``weight_decay`` (decoupled: ``w - rate*weight_decay*w`` is what is
updated) and one of ``clipvalue``, ``clipnorm`` (of each gradient) and ``global_clipnorm`` (of all
gradients together). All formulas stand in `graphnn.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TypedDict, Unpack

import numpy as np

from . import rules, schedules
from .catalogue import with_attributes
from .errors import GraphnnError, ShapeError
from .functions import add, cast
from .graph.application import Result
from .graph.node import Node, Parameter, graph_role, unique_name
from .graph.operation import Operation, op
from .schedules import Schedule
from .updates import Updates

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Common",
    "Optimizer",
    "RMSprop",
    "Updates",
    "get",
    "schedules",
]


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
    """Weights to new weights by a formula; see the module's text for what the names in it mean.

    ``update`` is the formula, as text or operation; ``step_size`` gives ``a`` from ``rate`` and the
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
        wanted = self.update.formula.operands
        results = self.update(**{name: given[name] for name in wanted})
        nodes = (results,) if isinstance(results, Result) else results
        new: dict[Parameter, Node] = {}
        for node in nodes:
            parameter = tensors[node.target.removesuffix(".new")]
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
        return f"<{type(self).__name__} {self.update.formula.text}>"


class SGD(Optimizer):
    """``w.new = w - a*g``; with momentum ``m.new = momentum*m - a*g`` and ``w.new = w + m.new``.

    Robbins, Monro: A Stochastic Approximation Method, 1951; momentum: Polyak, 1964; Nesterov's:
    Sutskever et al., 2013.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[Common],
    ) -> None:
        _check_share("momentum", momentum, closed=True)
        update = rules.SGD
        if momentum:
            update = with_attributes(
                rules.NESTEROV if nesterov else rules.MOMENTUM, momentum=momentum
            )
        super().__init__(update, learning_rate, **_named("sgd", common))


class Adam(Optimizer):
    """``w.new = w - a*m.new/(sqrt(v.new) + epsilon)`` with moving means ``m`` of ``g`` and ``v`` of ``g**2``.

    The step size corrects the means' start at zero: ``a = rate*sqrt(1 - beta_2**t)/(1 -
    beta_1**t)``. Kingma, Ba: Adam: A Method for Stochastic Optimization, 2015 (the form at the end
    of its section 2).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Common],
    ) -> None:
        operations = _adam(beta_1, beta_2, epsilon, amsgrad)
        super().__init__(operations[0], learning_rate, operations[1], **_named("adam", common))


class AdamW(Optimizer):
    """`Adam` of weights that decay: ``w - rate*weight_decay*w`` stands in its formula for ``w``.

    Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **clipping: Unpack[Clipping],
    ) -> None:
        operations = _adam(beta_1, beta_2, epsilon, amsgrad)
        common = _named("adamw", {"weight_decay": weight_decay, **clipping})
        super().__init__(operations[0], learning_rate, operations[1], **common)


class RMSprop(Optimizer):
    """``w.new = w - a*g/sqrt(v.new + epsilon)`` with a moving mean ``v`` of ``g**2``.

    ``centered`` divides by the root of the variance instead, ``v.new - c.new**2`` with a moving
    mean ``c`` of ``g``. Tieleman, Hinton: Lecture 6.5 of Neural Networks for Machine Learning,
    2012; centered: Graves: Generating Sequences With Recurrent Neural Networks, 2013.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Unpack[Common],
    ) -> None:
        _check_share("rho", rho)
        _check_share("momentum", momentum, closed=True)
        numbers = {"rho": rho, "epsilon": epsilon, **({"momentum": momentum} if momentum else {})}
        update = with_attributes(rules.RMSPROP[centered, momentum > 0], **numbers)
        super().__init__(update, learning_rate, **_named("rmsprop", common))


class Adagrad(Optimizer):
    """``w.new = w - a*g/sqrt(initial_accumulator_value + n.new + epsilon)`` with the sum ``n`` of all ``g**2``.

    Duchi, Hazan, Singer: Adaptive Subgradient Methods, 2011.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        numbers = {"initial_accumulator_value": initial_accumulator_value, "epsilon": epsilon}
        super().__init__(with_attributes(rules.ADAGRAD, **numbers), learning_rate, **common)


def _adam(
    beta_1: float, beta_2: float, epsilon: float, amsgrad: bool
) -> tuple[Operation, Operation]:
    """The update and the step size."""
    _check_share("beta_1", beta_1)
    _check_share("beta_2", beta_2)
    return (
        with_attributes(rules.ADAM[bool(amsgrad)], beta_1=beta_1, beta_2=beta_2, epsilon=epsilon),
        with_attributes(rules.ADAM_STEP, beta_1=beta_1, beta_2=beta_2),
    )


def _named(base: str, common: Common) -> Common:
    """With a name that does not depend on which of its formulas an optimizer uses."""
    return common if common.get("name") else {**common, "name": unique_name(base)}


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


def _check_share(name: str, value: float, closed: bool = False) -> None:
    if not 0 <= value < 1 and not (closed and value == 1):
        raise GraphnnError(f"{name} must lie between 0 and 1, got {value}")


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


_BY_NAME: dict[str, type[SGD] | type[Adagrad] | type[Adam] | type[AdamW] | type[RMSprop]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}


def get(optimizer: str | Optimizer) -> Optimizer:
    """The optimizer of that name with its defaults, or the optimizer itself.

    >>> get("adam").learning_rate
    0.001
    """
    if isinstance(optimizer, str):
        if optimizer.lower() not in _BY_NAME:
            raise GraphnnError(f"unknown optimizer {optimizer!r}; known are {', '.join(_BY_NAME)}")
        return _BY_NAME[optimizer.lower()]()
    if not isinstance(optimizer, Optimizer):
        raise GraphnnError(f"an optimizer is a name or a gn.optimizers object, got {optimizer!r}")
    return optimizer
