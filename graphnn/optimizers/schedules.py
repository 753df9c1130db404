"""Schedules: the learning rate as a formula in the number of steps done; Keras's names and arguments.

    rate = initial_learning_rate*decay_rate**(t/decay_steps)

``t`` counts the steps, 0 at the first. It is a tensor of the training graph, so that the rate of
each step is computed there and nothing is compiled again:

    Adam(learning_rate=CosineDecay(0.001, decay_steps=1000))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..catalogue import define, with_attributes
from ..errors import GraphnnError
from ..function import evaluate
from ..graph.application import Result
from ..graph.node import Constant
from ..graph.operation import Operation, op

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
]

_DECAY: dict[str, Any] = {"initial_learning_rate": 0.1, "decay_steps": 20}


def _define(name: str, text: str, **attributes: Any) -> Operation:
    return define(
        name,
        text,
        samples=[{"t": ()}],
        domains={"t": 100},
        dtype="float64",
        group="schedule",
        **attributes,
    )


_exponential = _define(
    "exponential_decay",
    "rate = initial_learning_rate*decay_rate**(t/decay_steps)",
    decay_rate=0.9,
    **_DECAY,
)
_exponential_stairs = _define(
    "exponential_decay_stairs",
    "rate = initial_learning_rate*decay_rate**(t//decay_steps)",
    decay_rate=0.9,
    **_DECAY,
)
_inverse = _define(
    "inverse_time_decay",
    "rate = initial_learning_rate/(1 + decay_rate*t/decay_steps)",
    decay_rate=0.9,
    **_DECAY,
)
_inverse_stairs = _define(
    "inverse_time_decay_stairs",
    "rate = initial_learning_rate/(1 + decay_rate*(t//decay_steps))",
    decay_rate=0.9,
    **_DECAY,
)
_FALLING = (
    "rate = end_learning_rate + (initial_learning_rate - end_learning_rate)*(1 - part)**power"
)
_polynomial = _define(
    "polynomial_decay",
    "part = min(t, decay_steps)/decay_steps\n" + _FALLING,
    end_learning_rate=0.0001,
    power=2,
    **_DECAY,
)
_polynomial_cycle = _define(
    "polynomial_decay_cycle",
    "part = t/(decay_steps*max(1, (t + decay_steps - 1)//decay_steps))\n" + _FALLING,
    end_learning_rate=0.0001,
    power=2,
    **_DECAY,
)
_WAVE = "((1 - alpha)*(1 + cos(pi*part))/2 + alpha)"
_cosine = _define(
    "cosine_decay",
    f"part = min(t, decay_steps)/decay_steps\nrate = initial_learning_rate*{_WAVE}",
    alpha=0.1,
    **_DECAY,
)
_cosine_warm = _define(
    "cosine_decay_after_warmup",
    "part = min(max(t - warmup_steps, 0), decay_steps)/decay_steps\n"
    "warm = initial_learning_rate + (warmup_target - initial_learning_rate)*t/warmup_steps\n"
    f"rate = where(t < warmup_steps, warm, warmup_target*{_WAVE})",
    alpha=0.1,
    warmup_target=0.2,
    warmup_steps=5,
    **_DECAY,
)


class Schedule:
    """A learning rate ``rate`` from the number ``t`` of steps done, by a formula, given as text or operation.

    >>> Schedule("rate = 0.1/sqrt(1 + t)")(3)
    0.05
    """

    def __init__(self, formula: Operation | str) -> None:
        if isinstance(formula, str):
            formula = op(formula, "schedule", outputs=("rate",), dtype="float64")
        if formula.formula.operands not in ((), ("t",)):
            raise GraphnnError(f"a schedule is a formula in t alone: {formula.formula.text}")
        self.formula = formula

    def __call__(self, step: int) -> float:
        """The rate of the step before which ``step`` steps have been done."""
        count = Constant(np.asarray(step, "int64"), "t")
        given = {"t": count} if self.formula.formula.operands else {}
        rate = self.formula(**given)
        assert isinstance(rate, Result)
        return float(evaluate(rate))  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.formula.formula.text}>"


class ExponentialDecay(Schedule):
    """``rate = initial_learning_rate*decay_rate**(t/decay_steps)``; a ``staircase`` takes whole powers.

    >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        super().__init__(
            with_attributes(
                _exponential_stairs if staircase else _exponential,
                **_checked(initial_learning_rate, decay_steps),
                decay_rate=decay_rate,
            )
        )


class InverseTimeDecay(Schedule):
    """``rate = initial_learning_rate/(1 + decay_rate*t/decay_steps)``; a ``staircase`` counts whole parts."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        super().__init__(
            with_attributes(
                _inverse_stairs if staircase else _inverse,
                **_checked(initial_learning_rate, decay_steps),
                decay_rate=decay_rate,
            )
        )


class PolynomialDecay(Schedule):
    """From the first rate to ``end_learning_rate`` as ``(1 - t/decay_steps)**power``.

    ``cycle`` starts anew, with a longer stretch, each time the end is reached.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        super().__init__(
            with_attributes(
                _polynomial_cycle if cycle else _polynomial,
                **_checked(initial_learning_rate, decay_steps),
                end_learning_rate=end_learning_rate,
                power=power,
            )
        )


class CosineDecay(Schedule):
    """Half a cosine from the first rate to ``alpha`` of it, after a straight rise to ``warmup_target``, if given,
    which in no ``warmup_steps`` is the first rate itself.

    Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts, 2017.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        numbers = {**_checked(initial_learning_rate, decay_steps), "alpha": alpha}
        if warmup_target is not None and warmup_steps:
            numbers |= {"warmup_target": warmup_target, "warmup_steps": warmup_steps}
            super().__init__(with_attributes(_cosine_warm, **numbers))
        else:
            if warmup_target is not None:
                numbers["initial_learning_rate"] = warmup_target
            super().__init__(with_attributes(_cosine, **numbers))


class PiecewiseConstantDecay(Schedule):
    """The first of ``values`` up to and with the first of ``boundaries``, the next up to the second, and so on.

    >>> rate = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
    >>> rate(10), rate(11), rate(21)
    (1.0, 0.5, 0.25)
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        if len(values) != len(boundaries) + 1 or list(boundaries) != sorted(boundaries):
            raise GraphnnError(
                "a piecewise constant rate has rising boundaries and one value more than those,"
                f" got {list(boundaries)} and {list(values)}"
            )
        text = f"v{len(boundaries)}"
        numbers: dict[str, Any] = {f"v{k}": value for k, value in enumerate(values)}
        for k in reversed(range(len(boundaries))):
            text = f"where(t <= b{k}, v{k}, {text})"
            numbers[f"b{k}"] = boundaries[k]
        super().__init__(
            op(f"rate = {text}", "piecewise_constant_decay", dtype="float64", **numbers)
        )


def _checked(initial_learning_rate: float, decay_steps: int) -> dict[str, float]:
    if decay_steps <= 0:
        raise GraphnnError(f"decay_steps must be above 0, got {decay_steps}")
    return {"initial_learning_rate": initial_learning_rate, "decay_steps": decay_steps}
