"""Losses: how wrong predictions are, one number for a batch; called as ``f(y_true, y_pred)`` on nodes.

Each is a formula that gives one value per sample (in a sequence one per step), whose mean is taken,
in training with a weight for each sample if there are any: ``t`` stands for the truth, ``p`` for
the prediction, ``x`` for logits. Probabilities are neither normalised nor clipped: 0 where the truth
is 1 costs infinitely much, and 0*log(0) is 0, slope included, so that being certain and right costs
nothing. With ``from_logits=True`` the activation is part of the formula, so that its gradient comes out as the
textbook's ``p - t``. ``reduction`` may be "sum" instead, or None for a value of each sample, see `reduction`.
Keras's class names make such a function with its options set:

    model.compile("adam", CategoricalCrossentropy(from_logits=True))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from .catalogue import Domain, define, with_attributes
from .errors import DtypeError, GraphnnError, ShapeError, unknown
from .graph.application import Result
from .graph.node import Node, require_node
from .graph.operation import Operation, op
from .graph.surroundings import unique_name
from .reduction import check_reduction, reduced, reduction_of

__all__ = [
    "ALIASES",
    "LOSSES",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "configured",
    "get",
    "labels_of",
    "matching",
    "mean_absolute_error",
    "mean_squared_error",
    "names_of",
    "options_of",
    "sparse_categorical_crossentropy",
    "values_of",
]

Loss = Callable[[Node, Node], Node]
Shape = tuple[int, ...]

_SIGMOID = "p[...] = 1/(1 + exp(-x[...]))\n"
_SOFTMAX = "p[..., i] = exp(x[..., i])/sum[j](exp(x[..., j]))\n"

_squared_error = define(
    "mean_squared_error",
    "y[...] = (p[...] - t[...])**2",
    samples=[{"p": (4, 3), "t": (4, 3)}],
    group="loss",
)
_absolute_error = define(
    "mean_absolute_error",
    "y[...] = abs(p[...] - t[...])",
    samples=[{"p": (4, 3), "t": (4, 3)}],
    group="loss",
)


def _crossentropy(
    name: str,
    text: str,
    activation: str,
    smoothing: str,
    shapes: Sequence[Shape],
    domains: Mapping[str, Domain],
) -> dict[tuple[bool, bool], Operation]:
    """The operation by whether it takes logits, and whether its labels are smoothed, ``s`` from ``t``."""
    found = {}
    for logits in (False, True):
        operand = "x" if logits else "p"
        before = activation if logits else ""
        for smooth in (False, True):
            formula = before + (smoothing + text.replace("t[", "s[") if smooth else text)
            numbers: dict[str, Any] = {"smoothing": 0.1} if smooth else {}
            found[logits, smooth] = define(
                name + "_from_logits" * logits + "_smoothed" * smooth,
                formula,
                samples=[{operand: shape, "t": shape} for shape in shapes],
                domains={key: domains[key] for key in ("t", operand) if key in domains},
                outputs=("y",),
                group="loss",
                **numbers,
            )
    return found


_binary = _crossentropy(
    "binary_crossentropy",
    "y[...] = -(t[...]*log(p[...]) + (1 - t[...])*log(1 - p[...]))",
    _SIGMOID,
    "s[...] = (1 - smoothing)*t[...] + smoothing/2\n",
    [(4, 1)],
    {"t": "unit", "p": "unit"},
)
_categorical = _crossentropy(
    "categorical_crossentropy",
    "y[...] = -sum[i](t[..., i]*log(p[..., i]))",
    _SOFTMAX,
    "s[..., i] = (1 - smoothing)*t[..., i] + smoothing/dim(t, -1)\n",
    [(4, 3), (2, 5, 3)],
    {"t": "distribution", "p": "distribution"},
)
_SPARSE = "y[...] = -log(p[..., t[...]])"
_LABELS = {"t": (4,), "p": (4, 3), "x": (4, 3)}
_COLUMN = {"t": (4, 1), "p": (4, 3), "x": (4, 3)}


def _sparse(name: str, text: str, domain: str) -> tuple[Operation, Operation]:
    """The operation for labels of shape (B,), and the one for labels of shape (B, 1)."""
    operand = "p" if domain == "distribution" else "x"
    found = []
    for suffix, shapes, labels in (("", _LABELS, "t[...]"), ("_column", _COLUMN, "t[..., 0]")):
        found.append(
            define(
                name + suffix,
                text.replace("t[...]", labels),
                samples=[{operand: shapes[operand], "t": shapes["t"]}],
                domains={operand: domain, "t": 3},
                group="loss",
            )
        )
    return found[0], found[1]


_sparse_categorical = _sparse("sparse_categorical_crossentropy", _SPARSE, "distribution")
_sparse_categorical_logits = _sparse(
    "sparse_categorical_crossentropy_from_logits", _SOFTMAX + _SPARSE, "real"
)
_column = op("y[..., i:1] = x[...]", "column")


def values_of(operation: Operation, each: str, **operands: object) -> Node:
    """What an operation gives for ``each`` sample."""
    application = operation.apply(operation.bind((), operands), name=unique_name(each))
    (target,) = application.formula.outputs
    return application.result(target)


@reduced("loss", by_element=True)
def mean_squared_error(y_true: object, y_pred: Node) -> Node:
    """``mean((p - t)**2)`` over everything."""
    return values_of(
        _squared_error, "losses", t=matching(y_true, y_pred, "mean_squared_error"), p=y_pred
    )


@reduced("loss", by_element=True)
def mean_absolute_error(y_true: object, y_pred: Node) -> Node:
    """``mean(abs(p - t))`` over everything."""
    return values_of(
        _absolute_error, "losses", t=matching(y_true, y_pred, "mean_absolute_error"), p=y_pred
    )


@reduced("loss", by_element=True)
def binary_crossentropy(
    y_true: object, y_pred: Node, from_logits: bool = False, label_smoothing: float = 0.0
) -> Node:
    """``mean(-(t*log(p) + (1 - t)*log(1 - p)))``; from logits ``p = sigmoid(x)``.

    Smoothed labels are ``(1 - label_smoothing)*t + label_smoothing/2``.
    """
    truth = matching(y_true, y_pred, "binary_crossentropy")
    return _entropy(_binary, truth, y_pred, from_logits, label_smoothing)


@reduced("loss")
def categorical_crossentropy(
    y_true: object, y_pred: Node, from_logits: bool = False, label_smoothing: float = 0.0
) -> Node:
    """``mean(-sum[i](t[i]*log(p[i])))``; from logits ``p = softmax(x)``. ``y_true`` holds a share for each class.

    Smoothed labels are ``(1 - label_smoothing)*t[i] + label_smoothing/dim(t, -1)``.
    """
    truth = matching(y_true, y_pred, "categorical_crossentropy")
    return _entropy(_categorical, truth, y_pred, from_logits, label_smoothing)


def _entropy(
    operations: Mapping[tuple[bool, bool], Operation],
    truth: object,
    prediction: Node,
    logits: bool,
    smoothing: float,
) -> Node:
    if not 0 <= smoothing <= 1:
        raise GraphnnError(f"label_smoothing must lie between 0 and 1, got {smoothing!r}")
    operation = operations[bool(logits), smoothing > 0]
    if smoothing:
        operation = with_attributes(operation, smoothing=smoothing)
    return values_of(operation, "losses", **{"x" if logits else "p": prediction, "t": truth})


@reduced("loss")
def sparse_categorical_crossentropy(
    y_true: object, y_pred: Node, from_logits: bool = False
) -> Node:
    """``mean(-log(p[t]))``; from logits ``p = softmax(x)``. ``y_true`` holds class numbers, of shape (B,) or (B, 1).

    >>> from graphnn.graph.node import Input
    >>> x, t = Input((None, 3)), Input((None,), dtype="int32")
    >>> sparse_categorical_crossentropy(t, x, from_logits=True).shape
    ()
    """
    truth, column = labels_of(y_true, y_pred, "sparse_categorical_crossentropy")
    if from_logits:
        return values_of(_sparse_categorical_logits[column], "losses", x=y_pred, t=truth)
    return values_of(_sparse_categorical[column], "losses", p=y_pred, t=truth)


def matching(y_true: object, y_pred: Node, name: str) -> object:
    """The truth in the shape of the prediction: (B,) stands for (B, 1). What is not a node is broadcast.

    Raises `ShapeError` where the shapes differ: broadcasting one against the other would give a
    number, and a wrong one.
    """
    prediction = require_node(y_pred, f"y_pred of {name}")
    if not isinstance(y_true, Node):
        return y_true
    if y_true.ndim + 1 == prediction.ndim and prediction.shape[-1] == 1:
        y_true = _column(y_true)
        assert isinstance(y_true, Result)
    if y_true.dims != prediction.dims:
        raise ShapeError(
            f"{name}: {y_true.name} is {y_true.type}, y_pred {prediction.name} is"
            f" {prediction.type}; their shapes must be equal{_instead(y_true, prediction, name)}"
        )
    return y_true


def _instead(y_true: Node, prediction: Node, name: str) -> str:
    """What to do about class numbers where a loss or metric takes a number for each class."""
    column = y_true.ndim == prediction.ndim and y_true.shape[-1] == 1
    rows = y_true.dims[:-1] if column else y_true.dims
    if "categorical_" in name and y_true.dtype.startswith("int") and rows == prediction.dims[:-1]:
        return f". Class numbers are for sparse_{name}"
    return ""


def labels_of(y_true: object, y_pred: Node, name: str) -> tuple[object, bool]:
    """Class numbers for predictions, and whether they stand in a column, (B, 1) rather than (B,)."""
    prediction = require_node(y_pred, f"y_pred of {name}")
    if not isinstance(y_true, Node):
        return y_true, False
    is_row = y_true.dims == prediction.dims
    others = f"; a number for each class is for {name.removeprefix('sparse_')}" if is_row else ""
    if not y_true.dtype.startswith("int"):
        advice = others or "; labels.astype('int64') makes them"
        raise DtypeError(
            f"{name}: {y_true.name} is {y_true.type}; class numbers must be integers{advice}"
        )
    column = y_true.ndim == prediction.ndim and y_true.shape[-1] == 1
    batch = y_true.dims[:-1] if column else y_true.dims
    if not prediction.ndim or batch != prediction.dims[:-1]:
        raise ShapeError(
            f"{name}: {y_true.name} is {y_true.type}, y_pred {prediction.name} is"
            f" {prediction.type}; expected one class number for each row of y_pred{others}"
        )
    return y_true, column


def options_of(function: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    """A class of Keras's: called with options it gives ``function`` with those set, reported as ``name``."""

    def build(*options: object, name: str | None = None, **named: object) -> Callable[..., Any]:
        try:
            given = inspect.signature(function).bind(None, None, *options, **named).arguments
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from None
        check_reduction(given.get("reduction"))
        return configured(function, dict(list(given.items())[2:]), name)

    build.__doc__ = f"`{function.__name__}` with these options."
    return build


def configured(
    function: Callable[..., Any], options: Mapping[str, Any], name: str | None = None
) -> Callable[..., Any]:
    """A loss or metric with options, and the name under which it is reported."""
    if not options and name in (None, function.__name__):
        return function
    found = partial(function, **options)
    found.__name__ = name or function.__name__  # type: ignore[attr-defined]
    return found


BinaryCrossentropy = options_of(binary_crossentropy)
CategoricalCrossentropy = options_of(categorical_crossentropy)
MeanAbsoluteError = options_of(mean_absolute_error)
MeanSquaredError = options_of(mean_squared_error)
SparseCategoricalCrossentropy = options_of(sparse_categorical_crossentropy)


def names_of(functions: Sequence[Callable[..., Node]]) -> dict[str, Callable[..., Node]]:
    """Functions by their names and by those of Keras's classes.

    >>> list(names_of([mean_squared_error]))
    ['mean_squared_error', 'MeanSquaredError']
    """
    own = {function.__name__: function for function in functions}
    return own | {name.title().replace("_", ""): function for name, function in own.items()}


ALIASES: dict[str, Callable[..., Node]] = {
    "bce": binary_crossentropy,
    "BCE": binary_crossentropy,
    "mae": mean_absolute_error,
    "MAE": mean_absolute_error,
    "mse": mean_squared_error,
    "MSE": mean_squared_error,
}
LOSSES = (
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)
_BY_NAME = names_of(LOSSES) | ALIASES


def get(loss: str | Loss) -> Loss:
    """The loss of that name, or the function ``(y_true, y_pred) -> node`` itself.

    >>> get("mse") is mean_squared_error
    True
    """
    if isinstance(loss, str):
        if loss not in _BY_NAME:
            own = "any function (y_true, y_pred) -> node is one, too"
            raise unknown("loss", loss, _BY_NAME, own)
        return _BY_NAME[loss]
    if not callable(loss):
        raise GraphnnError(f"a loss is a name or a function (y_true, y_pred) -> node, got {loss!r}")
    reduction_of(loss)
    return by_operands(loss)


def by_operands(measure: Callable[..., Any]) -> Callable[..., Any]:
    """An operation on ``y_true`` and ``y_pred`` takes them by these names, in whichever order it reads them."""
    if not isinstance(measure, Operation):
        return measure
    if sorted(measure.formula.operands) != ["y_pred", "y_true"]:
        return measure

    def named(y_true: object, y_pred: object) -> Any:
        return measure(y_true=y_true, y_pred=y_pred)

    named.__name__ = measure.name
    return named
