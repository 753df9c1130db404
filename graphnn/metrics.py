"""Metrics: how good predictions are, as formulas in the graph; called as ``f(y_true, y_pred)`` on nodes.

Most give one value per sample, whose mean is taken. "accuracy" and "top_k" choose by the shapes, as
Keras does: class numbers (sparse), one-hot rows (categorical), or one probability (binary).
"precision" and "recall" are ratios of counts; over several batches it is the counts that are added
up. Keras's class names set options: ``Precision(thresholds=0.8)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .catalogue import define, with_attributes
from .errors import GraphnnError
from .graph.application import Result
from .graph.node import Node
from .graph.operation import Operation
from .losses import (
    averaged,
    labels_of,
    matching,
    mean_absolute_error,
    mean_squared_error,
    options_of,
    values_by,
    values_of,
)

__all__ = [
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "Metric",
    "Precision",
    "Recall",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "count_of",
    "get",
    "precision",
    "recall",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k",
    "top_k_categorical_accuracy",
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
# A class is among the first k if fewer than k others are more probable.
_AHEAD = "y[...] = where(sum[j](where(p[..., j] <= p[..., {}], 0, 1)) < k, 1, 0)"
_top_k = define(
    "top_k_categorical_accuracy",
    "label[...] = argmax[i](t[..., i])\n" + _AHEAD.format("label[...]"),
    samples=[{"t": (4, 3), "p": (4, 3)}],
    k=2,
    group="metric",
)


def _sparse_pair(name: str, text: str, **attributes: Any) -> dict[bool, Operation]:
    """The operation for labels of shape (B,), and the one for labels in a column, (B, 1)."""
    return {
        column: define(
            name + ("_column" if column else ""),
            text.format("t[..., 0]" if column else "t[...]"),
            samples=[{"t": (4, 1) if column else (4,), "p": (4, 3)}],
            domains={"t": 3},
            group="metric",
            **attributes,
        )
        for column in (False, True)
    }


_sparse = _sparse_pair(
    "sparse_categorical_accuracy", "y[...] = where({} == argmax[i](p[..., i]), 1, 0)"
)
_sparse_top_k = _sparse_pair("sparse_top_k_categorical_accuracy", _AHEAD, k=2)


def _ratio(name: str, counted: str) -> Operation:
    """The share of ``counted`` that are right: found, and there to be found."""
    return define(
        name,
        "hits = sum[...](where(p[...] > threshold and t[...] > 0, 1, 0))\n"
        f"count = sum[...](where({counted}, 1, 0))\n"
        "y = where(count == 0, 0, hits/count)",
        samples=[{"t": (4, 1), "p": (4, 1)}],
        domains={"t": 2, "p": "unit"},
        outputs=("y", "count"),
        threshold=0.5,
        group="metric",
    )


_precision = _ratio("precision", "p[...] > threshold")
_recall = _ratio("recall", "t[...] > 0")


def count_of(metric: Node) -> Node | None:
    """What a ratio was divided by: over several batches it is averaged with these as weights."""
    if isinstance(metric, Result) and metric.application.formula.outputs == ("y", "count"):
        return metric.application.result("count")
    return None


@averaged("accuracy")
def binary_accuracy(y_true: Node, y_pred: Node, threshold: float = 0.5) -> Node:
    """The share of ``t == where(p > threshold, 1, 0)``."""
    operation = with_attributes(_binary, threshold=threshold)
    return values_of(operation, "hits", t=matching(y_true, y_pred, "binary_accuracy"), p=y_pred)


@averaged("accuracy")
def categorical_accuracy(y_true: Node, y_pred: Node) -> Node:
    """The share of ``argmax[i](t[i]) == argmax[i](p[i])``."""
    truth = matching(y_true, y_pred, "categorical_accuracy")
    return values_of(_categorical, "hits", t=truth, p=y_pred)


@averaged("accuracy")
def sparse_categorical_accuracy(y_true: Node, y_pred: Node) -> Node:
    """The share of ``t == argmax[i](p[i])``; labels are class numbers, of shape (B,) or (B, 1)."""
    truth, column = labels_of(y_true, y_pred, "sparse_categorical_accuracy")
    return values_of(_sparse[column], "hits", t=truth, p=y_pred)


@averaged("accuracy")
def accuracy(y_true: Node, y_pred: Node) -> Node:
    """Binary, categorical or sparse accuracy, whichever the shapes call for."""
    if y_pred.ndim and y_pred.shape[-1] == 1:
        return _values(binary_accuracy, y_true, y_pred)
    sparse = y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1
    return _values(sparse_categorical_accuracy if sparse else categorical_accuracy, y_true, y_pred)


@averaged("top_k")
def top_k_categorical_accuracy(y_true: Node, y_pred: Node, k: int = 5) -> Node:
    """The share in which fewer than ``k`` classes are more probable than the right one."""
    truth = matching(y_true, y_pred, "top_k_categorical_accuracy")
    return values_of(with_attributes(_top_k, k=k), "hits", t=truth, p=y_pred)


@averaged("top_k")
def sparse_top_k_categorical_accuracy(y_true: Node, y_pred: Node, k: int = 5) -> Node:
    """The same for labels that are class numbers."""
    truth, column = labels_of(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    return values_of(with_attributes(_sparse_top_k[column], k=k), "hits", t=truth, p=y_pred)


@averaged("top_k")
def top_k(y_true: Node, y_pred: Node, k: int = 5) -> Node:
    """Categorical or sparse, whichever the shapes call for."""
    sparse = y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1
    kind = sparse_top_k_categorical_accuracy if sparse else top_k_categorical_accuracy
    return _values(kind, y_true, y_pred, k=k)


def precision(y_true: Node, y_pred: Node, thresholds: float = 0.5) -> Node:
    """Of all ``p > thresholds`` the share whose ``t`` is 1; 0 if there are none."""
    return _share(_precision, y_true, y_pred, thresholds)


def recall(y_true: Node, y_pred: Node, thresholds: float = 0.5) -> Node:
    """Of all whose ``t`` is 1 the share of ``p > thresholds``; 0 if there are none."""
    return _share(_recall, y_true, y_pred, thresholds)


def _values(metric: Callable[..., Node], y_true: Node, y_pred: Node, **options: int) -> Node:
    return values_by(metric)(y_true, y_pred, **options)


def _share(operation: Operation, y_true: Node, y_pred: Node, threshold: float) -> Node:
    truth = matching(y_true, y_pred, operation.name)
    chosen = with_attributes(operation, threshold=threshold)
    application = chosen.apply(chosen.bind((), {"t": truth, "p": y_pred}))
    return application.result("y")


BinaryAccuracy = options_of(binary_accuracy)
CategoricalAccuracy = options_of(categorical_accuracy)
Precision = options_of(precision)
Recall = options_of(recall)
SparseCategoricalAccuracy = options_of(sparse_categorical_accuracy)
SparseTopKCategoricalAccuracy = options_of(sparse_top_k_categorical_accuracy)
TopKCategoricalAccuracy = options_of(top_k_categorical_accuracy)

_NAMED = (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    mean_absolute_error,
    mean_squared_error,
    precision,
    recall,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k,
    top_k_categorical_accuracy,
)
_BY_NAME: dict[str, Metric] = {
    "acc": accuracy,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    **{metric.__name__: metric for metric in _NAMED},
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
    plain = metric.func if isinstance(metric, partial) else metric
    return getattr(plain, "__name__", type(metric).__name__), metric
