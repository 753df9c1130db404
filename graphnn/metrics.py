"""Metrics: how good predictions are, as formulas in the graph; called as ``f(y_true, y_pred)`` on nodes.

Most give one value per sample, whose mean is taken. "accuracy" and "top_k" choose by the shapes, as
Keras does: class numbers (sparse), one-hot rows (categorical), or one probability (binary).
"precision" and "recall" are ratios of counts; over several batches it is the counts that are added
up. A loss can be a metric, too. Keras's class names set options, and the name under which a metric is
reported: ``Precision(thresholds=0.8, name="sure")``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .catalogue import define, with_attributes
from .errors import GraphnnError, unknown
from .graph.application import Result
from .graph.node import Node
from .graph.operation import Operation
from .graph.surroundings import unique_name
from .losses import (
    ALIASES,
    LOSSES,
    binary_crossentropy,
    by_operands,
    categorical_crossentropy,
    labels_of,
    matching,
    mean_absolute_error,
    mean_squared_error,
    names_of,
    options_of,
    sparse_categorical_crossentropy,
    values_of,
)
from .reduction import averaged, values_by

__all__ = [
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "Recall",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "count_of",
    "counted_of",
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
    """Which elements are counted, and which of them are right: found, and there to be found."""
    return define(
        name,
        "hits[...] = where(p[...] > threshold and t[...] > 0, 1, 0)\n"
        f"counted[...] = where({counted}, 1, 0)",
        samples=[{"t": (4, 1), "p": (4, 1)}],
        domains={"t": 2, "p": "unit"},
        outputs=("hits", "counted"),
        threshold=0.5,
        group="metric",
    )


_precision = _ratio("precision", "p[...] > threshold")
_recall = _ratio("recall", "t[...] > 0")
_share = define(
    "share",
    "count = sum[...](counted[...])\ny = where(count == 0, 0, sum[...](hits[...])/count)",
    samples=[{"hits": (4, 1), "counted": (4, 1)}],
    domains={"hits": 2, "counted": 2},
    outputs=("y", "count"),
    group="metric",
)


def counted_of(values: Node) -> Node | None:
    """Which of a metric's values count; None if all do."""
    return _second(values, ("hits", "counted"))


def _share_of(hits: Node) -> Node:
    """The share of what counts that are hits."""
    counted = counted_of(hits)
    assert counted is not None
    return _share.apply({"hits": hits, "counted": counted}).result("y")


def count_of(metric: Node) -> Node | None:
    """What a ratio was divided by: over several batches it is averaged with these as weights."""
    return _second(metric, ("y", "count"))


def _second(node: Node, outputs: tuple[str, str]) -> Node | None:
    if isinstance(node, Result) and node.application.formula.outputs == outputs:
        return node.application.result(outputs[1])
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


@averaged("precision", over=_share_of)
def precision(y_true: Node, y_pred: Node, thresholds: float = 0.5) -> Node:
    """Of all ``p > thresholds`` the share whose ``t`` is 1; 0 if there are none."""
    return _hits(_precision, y_true, y_pred, thresholds)


@averaged("recall", over=_share_of)
def recall(y_true: Node, y_pred: Node, thresholds: float = 0.5) -> Node:
    """Of all whose ``t`` is 1 the share of ``p > thresholds``; 0 if there are none."""
    return _hits(_recall, y_true, y_pred, thresholds)


def _values(metric: Callable[..., Node], y_true: Node, y_pred: Node, **options: int) -> Node:
    return values_by(metric)(y_true, y_pred, **options)


def _hits(operation: Operation, y_true: Node, y_pred: Node, threshold: float) -> Node:
    truth = matching(y_true, y_pred, operation.name)
    chosen = with_attributes(operation, threshold=threshold)
    name = unique_name(operation.name)
    return chosen.apply(chosen.bind((), {"t": truth, "p": y_pred}), name=name).result("hits")


_NAMED = (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    precision,
    recall,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k,
    top_k_categorical_accuracy,
    *LOSSES,
)
_BY_NAME: dict[str, Metric] = {"acc": accuracy, **ALIASES, **names_of(_NAMED)}

BinaryAccuracy = options_of(binary_accuracy)
BinaryCrossentropy = options_of(binary_crossentropy)
CategoricalAccuracy = options_of(categorical_accuracy)
CategoricalCrossentropy = options_of(categorical_crossentropy)
MeanAbsoluteError = options_of(mean_absolute_error)
MeanSquaredError = options_of(mean_squared_error)
Precision = options_of(precision)
Recall = options_of(recall)
SparseCategoricalAccuracy = options_of(sparse_categorical_accuracy)
SparseCategoricalCrossentropy = options_of(sparse_categorical_crossentropy)
SparseTopKCategoricalAccuracy = options_of(sparse_top_k_categorical_accuracy)
TopKCategoricalAccuracy = options_of(top_k_categorical_accuracy)


def get(metric: str | Metric) -> tuple[str, Metric]:
    """The name under which a metric is reported, and its function ``(y_true, y_pred) -> node``.

    >>> get("acc")[1] is accuracy
    True
    """
    if isinstance(metric, str):
        if metric not in _BY_NAME:
            own = "any function (y_true, y_pred) -> node is one, too"
            raise unknown("metric", metric, _BY_NAME, own)
        return metric, _BY_NAME[metric]
    if not callable(metric):
        raise GraphnnError(
            f"a metric is a name or a function (y_true, y_pred) -> node, got {metric!r}"
        )
    plain = metric.func if isinstance(metric, partial) else metric
    named = metric if hasattr(metric, "__name__") else plain
    name = metric.name if isinstance(metric, Operation) else type(metric).__name__
    return getattr(named, "__name__", name), by_operands(metric)
