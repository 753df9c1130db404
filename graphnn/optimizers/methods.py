"""The methods of optimization by name: their numbers, with Keras's defaults, and where they come from."""

from __future__ import annotations

from typing import Unpack

from ..catalogue import with_attributes
from ..errors import GraphnnError, unknown
from ..graph.operation import Operation
from ..graph.surroundings import unique_name
from . import rules
from .base import Clipping, Common, Optimizer
from .schedules import Schedule

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "RMSprop", "get"]


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


def _check_share(name: str, value: float, closed: bool = False) -> None:
    if not 0 <= value < 1 and not (closed and value == 1):
        raise GraphnnError(f"{name} must lie between 0 and 1, got {value}")


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
            own = "gn.Optimizer takes the formula of another"
            raise unknown("optimizer", optimizer, _BY_NAME, own)
        return _BY_NAME[optimizer.lower()]()
    if not isinstance(optimizer, Optimizer):
        raise GraphnnError(f"an optimizer is a name or a gn.optimizers object, got {optimizer!r}")
    return optimizer
