"""Reduction: one number of the values that a loss or metric has for each sample, and the way back to those.

loss = averaged("loss")(values)         the mean of values(y_true, y_pred)
loss = reduced("loss")(values)          the same, or what ``reduction`` says
values_by(loss)                         values
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec

from .errors import GraphnnError
from .functions import mean, sum
from .graph.node import Node
from .graph.surroundings import unique_name

__all__ = [
    "averaged",
    "check_reduction",
    "reduced",
    "reduction_of",
    "sample_values",
    "unwrapped",
    "values_by",
]

P = ParamSpec("P")
Function = Callable[..., Node]

_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
_ALL = (*_MEANS, "sum", "none", None)
_VALUES: dict[Function, Function] = {}
_BY_ELEMENT: set[Function] = set()  # losses that have a value for each feature


def averaged(
    name: str, over: Callable[[Node], Node] = mean
) -> Callable[[Callable[P, Node]], Callable[P, Node]]:
    """Of a function that gives a value for each sample make one that gives their mean, as a node of that name."""

    def decorate(values: Callable[P, Node]) -> Callable[P, Node]:
        @wraps(values)
        def average(*args: P.args, **options: P.kwargs) -> Node:
            result = over(values(*args, **options))
            result.name = unique_name(name)
            return result

        _VALUES[average] = values
        return average

    return decorate


def reduced(name: str, by_element: bool = False) -> Callable[[Function], Function]:
    """The same for losses, whose ``reduction`` may be another one; ``by_element``: of a sample the mean is taken."""

    def decorate(values: Function) -> Function:
        @wraps(values)
        def loss(*args: Any, reduction: str | None = "sum_over_batch_size", **options: Any) -> Node:
            check_reduction(reduction)
            result = values(*args, **options)
            if reduction in _MEANS:
                result = mean(result)
            else:
                result = sample_values(loss, result)
                result = sum(result) if reduction == "sum" else result
            result.name = unique_name(name)
            return result

        signature = inspect.signature(values)
        kind = inspect.Parameter.KEYWORD_ONLY
        extra = inspect.Parameter("reduction", kind, default="sum_over_batch_size")
        loss.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*signature.parameters.values(), extra]
        )
        _VALUES[loss] = values
        if by_element:
            _BY_ELEMENT.add(loss)
        return loss

    return decorate


def check_reduction(reduction: object) -> None:
    """Raise `GraphnnError` unless it is one of Keras's."""
    if reduction not in _ALL:
        raise GraphnnError(f"reduction is one of {', '.join(map(repr, _ALL))}, got {reduction!r}")


def unwrapped(function: Function) -> tuple[Function, tuple[Any, ...], dict[str, Any]]:
    """What a `partial`, of another one as well, calls in the end, with which arguments and options."""
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}
    while isinstance(function, partial):
        args, options = (*function.args, *args), function.keywords | options
        function = function.func
    return function, args, options


def values_by(function: Function) -> Function:
    """The function that gives a value for each sample, where this one gives their mean; else itself."""
    plain, args, options = unwrapped(function)
    if plain not in _VALUES:
        return function
    options.pop("reduction", None)
    return partial(_VALUES[plain], *args, **options)


def reduction_of(function: Function) -> str | None:
    """What a loss was told to make of its values; raises `GraphnnError` for what it cannot make."""
    plain, _, options = unwrapped(function)
    reduction = options.get("reduction", "sum_over_batch_size") if plain in _VALUES else None
    check_reduction(reduction)
    return reduction


def sample_values(function: Function, values: Node) -> Node:
    """Of a loss that has values for features, their mean for each sample."""
    plain, _, _ = unwrapped(function)
    return mean(values, axis=-1) if plain in _BY_ELEMENT and values.ndim > 1 else values
