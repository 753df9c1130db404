"""Metrics: how good predictions are, as formulas in the graph; called as ``f(y_true, y_pred)`` on nodes.

Each gives one value per sample, whose mean is taken. "accuracy" chooses by the shapes, as Keras
does: class numbers (sparse), one-hot rows (categorical), or one probability (binary).
"""

from __future__ import annotations

from collections.abc import Callable

from .catalogue import define
from .errors import GraphnnError
from .graph.node import Node
from .losses import labels_of, matching, mean_absolute_error, mean_of, mean_squared_error

__all__ = [
    "Metric",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "get",
    "sparse_categorical_accuracy",
]

Metric = Callable[[Node, Node], Node]

_binary = define(
    "binary_accuracy",
    "y[...] = where(t[...] == where(p[...] > threshold, 1, 0), 1, 0)",
    samples=[{"t": (4, 1), "p": (4, 1)}],
    domains={"t": 2, "p": "unit"},
    threshold=0.5,
    group="metric",
)
_categorical = define(
    "categorical_accuracy",
    "y[...] = where(argmax[i](t[..., i]) == argmax[i](p[..., i]), 1, 0)",
    samples=[{"t": (4, 3), "p": (4, 3)}],
    group="metric",
)
_sparse = {
    column: define(
        "sparse_categorical_accuracy" + ("_column" if column else ""),
        f"y[...] = where({label} == argmax[i](p[..., i]), 1, 0)",
        samples=[{"t": (4, 1) if column else (4,), "p": (4, 3)}],
        domains={"t": 3},
        group="metric",
    )
    for column, label in ((False, "t[...]"), (True, "t[..., 0]"))
}


def binary_accuracy(y_true: Node, y_pred: Node) -> Node:
    """The share of ``t == where(p > 0.5, 1, 0)``."""
    return mean_of(
        _binary, "hits", "accuracy", t=matching(y_true, y_pred, "binary_accuracy"), p=y_pred
    )


def categorical_accuracy(y_true: Node, y_pred: Node) -> Node:
    """The share of ``argmax[i](t[i]) == argmax[i](p[i])``."""
    return mean_of(
        _categorical,
        "hits",
        "accuracy",
        t=matching(y_true, y_pred, "categorical_accuracy"),
        p=y_pred,
    )


def sparse_categorical_accuracy(y_true: Node, y_pred: Node) -> Node:
    """The share of ``t == argmax[i](p[i])``; labels are class numbers, of shape (B,) or (B, 1)."""
    truth, column = labels_of(y_true, y_pred, "sparse_categorical_accuracy")
    return mean_of(_sparse[column], "hits", "accuracy", t=truth, p=y_pred)


def accuracy(y_true: Node, y_pred: Node) -> Node:
    """Binary, categorical or sparse accuracy, whichever the shapes call for."""
    if y_pred.ndim and y_pred.shape[-1] == 1:
        return binary_accuracy(y_true, y_pred)
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return sparse_categorical_accuracy(y_true, y_pred)
    return categorical_accuracy(y_true, y_pred)


_BY_NAME: dict[str, Metric] = {
    "acc": accuracy,
    "accuracy": accuracy,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "mae": mean_absolute_error,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "mse": mean_squared_error,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
}


def get(metric: str | Metric) -> tuple[str, Metric]:
    """The name under which a metric is reported, and its function ``(y_true, y_pred) -> node``.

    >>> get("acc")[1] is accuracy
    True
    """
    if isinstance(metric, str):
        if metric not in _BY_NAME:
            raise GraphnnError(f"unknown metric {metric!r}; known are {', '.join(_BY_NAME)}")
        return metric, _BY_NAME[metric]
    if not callable(metric):
        raise GraphnnError(
            f"a metric is a name or a function (y_true, y_pred) -> node, got {metric!r}"
        )
    return getattr(metric, "__name__", type(metric).__name__), metric
