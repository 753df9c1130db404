"""Regularizers: what a model's loss grows by for large weights; each is a formula of the weight ``w``.

layers.Dense(10, kernel_regularizer="l2")
layers.Dense(10, kernel_regularizer=regularizers.L1L2(l1=1e-5, l2=1e-4))
layers.Dense(10, kernel_regularizer=gn.op("y = 0.01*sum[...](w[...]**4)"))
"""

from __future__ import annotations

import numpy as np

from .catalogue import define, with_attributes
from .errors import GraphnnError, unknown
from .graph.operation import Operation

__all__ = ["L1", "L1L2", "L2", "get", "l1", "l1_l2", "l2"]

_L1 = define(
    "l1",
    "y = l1*sum[...](abs(w[...]))",
    samples=[{"w": (3, 5)}],
    l1=0.01,
    group="regularizer",
    source="Tibshirani: Regression Shrinkage and Selection via the Lasso, 1996",
)
_L2 = define(
    "l2",
    "y = l2*sum[...](w[...]**2)",
    samples=[{"w": (3, 5)}],
    l2=0.01,
    group="regularizer",
    source="Hoerl, Kennard: Ridge Regression, 1970",
)
_L1_L2 = define(
    "l1_l2",
    "y = l1*sum[...](abs(w[...])) + l2*sum[...](w[...]**2)",
    samples=[{"w": (3, 5)}],
    l1=0.01,
    l2=0.01,
    group="regularizer",
    source="Zou, Hastie: Regularization and Variable Selection via the Elastic Net, 2005",
)


def l1(l1: float = 0.01) -> Operation:
    """``y = l1*sum[...](abs(w[...]))``

    >>> print(l1(0.5))
    y = l1*sum[...](abs(w[...]))
    """
    return with_attributes(_L1, l1=_factor("l1", l1))


def l2(l2: float = 0.01) -> Operation:
    """``y = l2*sum[...](w[...]**2)``"""
    return with_attributes(_L2, l2=_factor("l2", l2))


def l1_l2(l1: float = 0.0, l2: float = 0.0) -> Operation:
    """``y = l1*sum[...](abs(w[...])) + l2*sum[...](w[...]**2)``"""
    return with_attributes(_L1_L2, l1=_factor("l1", l1), l2=_factor("l2", l2))


L1, L2, L1L2 = l1, l2, l1_l2  # Keras has both names


def _factor(name: str, value: float) -> float:
    if isinstance(value, np.number):
        value = float(str(value))  # 0.1, not the binary fraction next to it
    if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise GraphnnError(f"{name} must be a number from 0 on, got {value!r}")
    return value


_BY_NAME = {"l1": _L1, "l2": _L2, "l1_l2": _L1_L2, "L1": _L1, "L2": _L2}


def get(regularizer: str | Operation | None) -> Operation | None:
    """The regularizer of that name with factors of 0.01, or the operation itself.

    Raises `GraphnnError` for what is not a formula of one operand with one result.

    >>> get("l2") is get(get("l2"))
    True
    """
    if regularizer is None:
        return None
    if isinstance(regularizer, str):
        if regularizer not in _BY_NAME:
            raise unknown("regularizer", regularizer, _BY_NAME)
        return _BY_NAME[regularizer]
    if not isinstance(regularizer, Operation):
        raise GraphnnError(
            "a regularizer is a name or a formula of a weight, such as"
            f' gn.op("y = 0.01*sum[...](w[...]**2)"), got {regularizer!r}'
        )
    formula = regularizer.formula
    given = [line for line in formula.lines if line.target in formula.outputs]
    if len(formula.operands) != 1 or len(formula.outputs) != 1 or given[0].subscripts:
        raise GraphnnError(
            f"a regularizer makes one number of one operand, which {formula.text} does not"
        )
    return regularizer
