"""Keras 3 and graphnn on the same numbers: losses with gradients, twenty steps of optimizers, metrics over batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Dense

TOLERANCES = {"float64": 1e-9, "float32": 2e-5}
QUIET = {"verbose": 0}
SHAPES = [(1, 2), (3, 2, 7)]  # of predictions: one sample, steps of sequences
rng = np.random.default_rng(0)


def largest_error(found: Any, expected: Any) -> float:
    """Relative to the largest, or to 0.01 where all is smaller."""
    expected = np.asarray(expected, "float64")
    return float(np.abs(np.asarray(found) - expected).max() / max(np.abs(expected).max(), 0.01))


def alternately(cases: list[Any]) -> list[Any]:
    """Each case with one of the dtypes."""
    return [(*case, dtype) for case, dtype in zip(cases, cycle(TOLERANCES), strict=False)]


# --- losses ---------------------------------------------------------------------------------------

LOSSES = [
    ("MeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    *(
        (kind, {"from_logits": True, "label_smoothing": s}, "share")
        for kind in ("BinaryCrossentropy", "CategoricalCrossentropy")
        for s in (0.0, 0.1)
    ),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "share"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "label"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "column"),
]  # fmt: skip


def truth_for(kind: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    labels = rng.integers(0, shape[-1], shape[:-1])
    match kind:
        case "real":
            return rng.normal(size=shape).astype(dtype)
        case "share":
            shares = rng.uniform(0.1, 1, shape)
            return (shares / shares.sum(-1, keepdims=True)).astype(dtype)
        case "label":
            return labels
    return labels[..., None]


@pytest.mark.parametrize(("kind", "options", "labels", "dtype"), alternately(LOSSES), ids=str)
def test_losses_and_their_gradients(
    keras: ModuleType, jax: ModuleType, kind: str, options: dict[str, Any], labels: str, dtype: str
) -> None:
    """For batches and sizes of 1, prime sizes, sequences; also with a weight for each sample."""
    for shape in SHAPES:
        logits = "from_logits" in options or labels == "real"
        p = (rng.normal(size=shape) if logits else rng.uniform(0.1, 0.9, shape)).astype(dtype)
        truth, weights = truth_for(labels, shape, dtype), rng.uniform(0, 2, shape[0]).astype(dtype)
        x = gn.Input((None, *shape[1:]), "x", dtype)
        t = gn.Input((None, *truth.shape[1:]), "t", str(truth.dtype))
        mine = getattr(gn.losses, kind)(**options)
        node = mine(t, x)
        theirs = getattr(keras.losses, kind)(**options, dtype=dtype)
        broad = weights.reshape(-1, *[1] * (len(shape) - 2))  # Keras does not do so by itself

        def both(given: Any) -> Any:
            return theirs(truth, given), theirs(truth, given, sample_weight=broad)  # noqa: B023

        slope = jax.jit(jax.value_and_grad(both, has_aux=True))
        (expected, weighted), gradient = slope(p)
        found = gn.function([x, t], [node, gn.compute_gradients(node, [x])[x]])(p, truth)
        for one, other in zip(found, (expected, gradient), strict=True):
            assert largest_error(one, other) <= TOLERANCES[dtype], shape
        model = gn.Model(x, 1.0 * x)
        model.compile("sgd", mine)
        value = model.test_on_batch(p, truth, sample_weight=weights)
        assert largest_error(value, weighted) <= TOLERANCES[dtype], shape


# --- optimizers -----------------------------------------------------------------------------------

RATE = {"learning_rate": 0.0625}  # exact in float32, in which Keras keeps it
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.125}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.8, "momentum": 0.5, "centered": True, "clipvalue": 0.5}),
    ("Adagrad", {"initial_accumulator_value": 0.25, "global_clipnorm": 0.5}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3, "amsgrad": True, "clipnorm": 0.5}),
    ("AdamW", {"weight_decay": 0.125}),
    ("AdamW", {"amsgrad": True, "global_clipnorm": 0.25}),
]


@cache
def slope_by(jax: ModuleType) -> Callable[..., Any]:
    """The gradients of the model below, compiled once for all optimizers."""

    def loss(weights: Any, inputs: Any, truth: Any) -> Any:
        a, b, c, d = weights
        return ((jax.numpy.tanh(inputs @ a + b) @ c + d - truth) ** 2).mean()

    return jax.jit(jax.grad(loss))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("kind", "options", "dtype"), alternately(OPTIMIZERS), ids=str)
def test_weights_after_twenty_steps(
    keras: ModuleType, jax: ModuleType, kind: str, options: dict[str, Any], dtype: str
) -> None:
    """Of two layers trained by batches of another size each, the last of one sample."""
    gn.set_seed(0)
    x = gn.Input((None, 5), "x", dtype)
    model = gn.Model(x, Dense(1)(Dense(7, "tanh")(x)))
    model.compile(getattr(gn.optimizers, kind)(**RATE, **options), "mse")
    variables = [keras.Variable(w, dtype=dtype) for w in model.get_weights()]
    theirs = getattr(keras.optimizers, kind)(**RATE, **options)
    theirs.build(variables)
    slope, step = slope_by(jax), jax.jit(theirs.stateless_apply)
    weights, states = [v.value for v in variables], [v.value for v in theirs.variables]
    numbers = np.random.default_rng(1)
    for rows in [3, 1] * 10:
        inputs = numbers.normal(size=(rows, 5)).astype(dtype)
        truth = numbers.normal(size=(rows, 1)).astype(dtype)
        model.train_on_batch(inputs, truth)
        weights, states = step(states, slope(weights, inputs, truth), weights)
    for mine, other in zip(model.get_weights(), weights, strict=True):
        assert largest_error(mine, other) <= TOLERANCES[dtype]


# --- metrics --------------------------------------------------------------------------------------

CLASSES = rng.integers(0, 7, 23)
MEASURED: list[tuple[int, str, np.ndarray, list[str]]] = [
    (7, "softmax", CLASSES, ["accuracy", "SparseTopKCategoricalAccuracy"]),
    (7, "softmax", CLASSES[:, None], ["accuracy", "sparse_categorical_accuracy"]),
    (7, "softmax", np.eye(7)[CLASSES], ["accuracy", "TopKCategoricalAccuracy", "Precision", "Recall", "mae"]),
    (1, "sigmoid", CLASSES % 2, ["accuracy", "Precision", "Recall", "mae"]),
    (1, "sigmoid", (CLASSES % 2)[:, None].astype("float32"), ["binary_accuracy", "Recall"]),
]  # fmt: skip


@pytest.mark.parametrize(("units", "activation", "truth", "metrics"), MEASURED, ids=range(5))
def test_metrics_over_batches(
    keras: ModuleType, units: int, activation: str, truth: np.ndarray, metrics: list[str]
) -> None:
    """Evaluated in uneven batches, with and without weights of samples; trained with weights of classes."""
    features = rng.normal(size=(23, 5)).astype("float32")
    weights = rng.uniform(0, 2, 23).astype("float32")
    kind = "binary" if units == 1 else "sparse_categorical" if truth.size == 23 else "categorical"
    weighted = ["mse"] if units == 1 else None
    found: list[Any] = []
    initial: list[np.ndarray] = []
    for module, start in ((gn, (None, 5)), (keras, (5,))):
        x = module.Input(start)
        model = module.Model(x, module.layers.Dense(units, activation)(x))
        initial = initial or model.get_weights()
        model.set_weights(initial)
        named = [getattr(module.metrics, m)() if m[0].isupper() else m for m in metrics]
        how = {"metrics": named, "weighted_metrics": weighted}
        model.compile(module.optimizers.SGD(0.5), f"{kind}_crossentropy", **how)
        logs = [
            list(model.evaluate(features, truth, batch_size=10, sample_weight=w, **QUIET))
            for w in (None, weights)
        ]
        given = {"batch_size": 10, "shuffle": False, "epochs": 2, **QUIET}
        model.fit(features, truth, class_weight={0: 2.0, 1: 0.5}, **given)
        logs.append(model.fit(features, truth, sample_weight=weights, **given).history["loss"])
        found.append(logs)
        found.append([np.asarray(w.value) for w in model.weights])
    for one, other in zip(found[0] + found[1], found[2] + found[3], strict=True):
        assert np.allclose(one, other, rtol=2e-5, atol=2e-6)
