"""Optimizers: formulas for the new value of a weight.

    w.new[...] = w[...] - a*g[...]                       w the weight, g its gradient, a the step size

Every other operand of such a formula is a state of the optimizer, one tensor for each weight, at
first zero, whose new value the formula gives as well: ``m`` and ``m.new``. Nothing more makes an
optimizer, so that one of your own is a line:

    signs = Optimizer("w.new[...] = w[...] - a*sign(g[...])", learning_rate=0.001)

The learning rate is a tensor of the graph, the number of steps done is another: neither needs
anything compiled again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .catalogue import define, with_attributes
from .errors import GraphnnError, ShapeError
from .functions import cast
from .graph.application import Result
from .graph.graph import Graph
from .graph.node import Node, Parameter, unique_name
from .graph.operation import Operation, op

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "Updates", "get"]

_W = {"w": (3, 5), "g": (3, 5), "a": ()}
_HEAVY_BALL = "m.new[...] = momentum*m[...] - a*g[...]\n"
_MOVED = ("m.new", "w.new")

_count = define("count", "t.new = t + 1", samples=[{"t": ()}], domains={"t": 10}, group="optimizer")
_sgd = define("sgd", "w.new[...] = w[...] - a*g[...]", samples=[_W], group="optimizer")
_momentum = define(
    "momentum",
    _HEAVY_BALL + "w.new[...] = w[...] + m.new[...]",
    samples=[{**_W, "m": (3, 5)}],
    outputs=_MOVED,
    momentum=0.9,
    group="optimizer",
    source="Polyak: Some methods of speeding up the convergence of iteration methods, 1964",
)
_nesterov = define(
    "nesterov",
    _HEAVY_BALL + "w.new[...] = w[...] + momentum*m.new[...] - a*g[...]",
    samples=[{**_W, "m": (3, 5)}],
    outputs=_MOVED,
    momentum=0.9,
    group="optimizer",
    source="Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum, 2013",
)
_rmsprop = define(
    "rmsprop",
    "v.new[...] = rho*v[...] + (1 - rho)*g[...]**2\n"
    "w.new[...] = w[...] - a*g[...]/sqrt(v.new[...] + epsilon)",
    samples=[{**_W, "v": (3, 5)}],
    domains={"v": "positive"},
    outputs=("v.new", "w.new"),
    rho=0.9,
    epsilon=1e-7,
    group="optimizer",
    source="Tieleman, Hinton: Lecture 6.5 of Neural Networks for Machine Learning, 2012",
)
_rmsprop_momentum = define(
    "rmsprop_momentum",
    "v.new[...] = rho*v[...] + (1 - rho)*g[...]**2\n"
    "m.new[...] = momentum*m[...] + a*g[...]/sqrt(v.new[...] + epsilon)\n"
    "w.new[...] = w[...] - m.new[...]",
    samples=[{**_W, "v": (3, 5), "m": (3, 5)}],
    domains={"v": "positive"},
    outputs=("v.new", "m.new", "w.new"),
    rho=0.9,
    momentum=0.9,
    epsilon=1e-7,
    group="optimizer",
    source="Tieleman, Hinton: Lecture 6.5 of Neural Networks for Machine Learning, 2012",
)
_adam = define(
    "adam",
    "m.new[...] = m[...] + (1 - beta_1)*(g[...] - m[...])\n"
    "v.new[...] = v[...] + (1 - beta_2)*(g[...]**2 - v[...])\n"
    "w.new[...] = w[...] - a*m.new[...]/(sqrt(v.new[...]) + epsilon)",
    samples=[{**_W, "m": (3, 5), "v": (3, 5)}],
    domains={"v": "positive"},
    outputs=("m.new", "v.new", "w.new"),
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    group="optimizer",
    source="Kingma, Ba: Adam: A Method for Stochastic Optimization, 2015",
)
_adam_step = define(
    "adam_step",
    "a = rate*sqrt(1 - beta_2**t)/(1 - beta_1**t)",
    samples=[{"rate": (), "t": ()}],
    domains={"rate": "positive", "t": 10},
    beta_1=0.9,
    beta_2=0.999,
    group="optimizer",
    source="Kingma, Ba: Adam: A Method for Stochastic Optimization, 2015",
)


@dataclass(frozen=True, slots=True)
class Updates:
    """What a training step changes: the node with the new value of each weight and each state, in order."""

    new_values: Mapping[Parameter, Node]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.new_values)

    def __len__(self) -> int:
        return len(self.new_values)

    def __str__(self) -> str:
        return str(Graph(self.new_values.values()))


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
        learning_rate: float,
        step_size: Operation | None = None,
        name: str | None = None,
    ) -> None:
        self.update = update if isinstance(update, Operation) else _own_update(update)
        self.step_size = step_size
        self.name = name or unique_name(self.update.name)
        self.rate = Parameter(np.zeros((), "float64"), f"{self.name}.rate", trainable=False)
        self.iterations = Parameter(np.zeros((), "int64"), f"{self.name}.t", trainable=False)
        self.states: dict[Parameter, dict[str, Parameter]] = {}
        self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """May be set at any time; the next step uses it."""
        return float(self.rate.value)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if not isinstance(value, (int, float, np.number)) or not value >= 0:
            raise GraphnnError(f"the learning rate must be a number from 0 on, got {value!r}")
        self.rate.value[...] = value

    def apply_gradients(self, gradients: Mapping[Node, Node]) -> Updates:
        """The new value of each weight in ``gradients`` (as `compute_gradients` gives them) and of each state.

        The result is a graph: nothing is changed before it is compiled with `function` and run.
        Raises `GraphnnError` for what is not a parameter, `ShapeError` for a gradient of another
        shape.
        """
        weights = [_checked(node, gradient) for node, gradient in gradients.items()]
        if not weights:
            raise GraphnnError("there are no gradients: the loss depends on no trainable parameter")
        step = _result(_count(self.iterations), f"{self.iterations.name}.new")
        new: dict[Parameter, Node] = {self.iterations: step}
        rate: Node = self.rate
        if self.step_size is not None:
            rate = _result(self.step_size(rate=rate, t=step), f"{self.name}.a")
        steps = {w.dtype: self._step_in(w.dtype, rate) for w in weights}
        for weight in weights:
            new |= self._new_values(weight, gradients[weight], steps[weight.dtype])
        return Updates(new)

    def _step_in(self, dtype: str, rate: Node) -> Node:
        """The step size, which is computed in float64, for weights of this dtype."""
        step = cast(rate, dtype)
        if step is not rate:
            step.name = f"{self.name}.{dtype}"
        return step

    def _new_values(self, weight: Parameter, gradient: Node, step: Node) -> dict[Parameter, Node]:
        tensors = {"w": weight, **self._states_of(weight)}
        given: dict[str, Node] = {**tensors, "g": gradient, "a": step}
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
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str | None = None,
    ) -> None:
        _check_share("momentum", momentum, closed=True)
        update = _sgd
        if momentum:
            update = with_attributes(_nesterov if nesterov else _momentum, momentum=momentum)
        super().__init__(update, learning_rate, name=name or unique_name("sgd"))


class Adam(Optimizer):
    """``w.new = w - a*m.new/(sqrt(v.new) + epsilon)`` with moving means ``m`` of ``g`` and ``v`` of ``g**2``.

    The step size corrects the means' start at zero: ``a = rate*sqrt(1 - beta_2**t)/(1 -
    beta_1**t)``. Kingma, Ba: Adam: A Method for Stochastic Optimization, 2015 (the form at the end
    of its section 2).
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = None,
    ) -> None:
        _check_share("beta_1", beta_1)
        _check_share("beta_2", beta_2)
        update = with_attributes(_adam, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        step_size = with_attributes(_adam_step, beta_1=beta_1, beta_2=beta_2)
        super().__init__(update, learning_rate, step_size, name)


class RMSprop(Optimizer):
    """``w.new = w - a*g/sqrt(v.new + epsilon)`` with a moving mean ``v`` of ``g**2``.

    Tieleman, Hinton: Lecture 6.5 of Neural Networks for Machine Learning, 2012.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        name: str | None = None,
    ) -> None:
        _check_share("rho", rho)
        _check_share("momentum", momentum, closed=True)
        if momentum:
            numbers = {"rho": rho, "momentum": momentum, "epsilon": epsilon}
            update = with_attributes(_rmsprop_momentum, **numbers)
        else:
            update = with_attributes(_rmsprop, rho=rho, epsilon=epsilon)
        super().__init__(update, learning_rate, name=name or unique_name("rmsprop"))


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


def _result(result: Result | tuple[Result, ...], name: str) -> Node:
    assert isinstance(result, Result)
    result.name = name
    return result


_BY_NAME: dict[str, type[SGD] | type[Adam] | type[RMSprop]] = {
    "adam": Adam,
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
