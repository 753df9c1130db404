"""The workloads in JAX: each task is one jitted function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import Batch, Step, Workload
from .layers import (
    EPSILON,
    Averaging,
    Block,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    Layer,
    MaxPooling,
    Normalization,
    Positions,
    Recurrent,
)

__all__ = ["apply", "differentiate", "predict", "train"]

Weights = Iterator[jax.Array]


def train(workload: Workload, start: Batch) -> Step:
    """A step that updates weights and moments in place, as far as XLA can: buffers are donated."""
    inputs, labels = jnp.asarray(start.inputs), jnp.asarray(start.labels)

    def loss_of(weights, inputs, labels):
        logits = jax.nn.log_softmax(_logits(workload, weights, inputs))
        return -jnp.take_along_axis(logits, labels[..., None], -1).mean()

    def update(weights, first, second, count, inputs, labels):
        loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, labels)
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradients, strict=True)]
        weights = [
            w - 1e-3 * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
            for w, m, v in zip(weights, first, second, strict=True)
        ]
        return (weights, first, second, count), loss

    compiled = jax.jit(update, donate_argnums=(0, 1, 2, 3))
    weights = [jnp.asarray(weight) for weight in start.weights]
    first, second = [[jnp.zeros_like(weight) for weight in weights] for _ in range(2)]
    state = (weights, first, second, jnp.float32(0))

    def step() -> list[float]:
        nonlocal state
        state, loss = compiled(*state, inputs, labels)
        return [float(loss)]

    return step


def predict(workload: Workload, start: Batch) -> Step:
    """A jitted function of the input: weights that are constants are a little faster."""
    weights, inputs = jax.tree.map(jnp.asarray, (start.weights, start.inputs))
    compiled = jax.jit(lambda inputs: _logits(workload, weights, inputs))
    return lambda: [np.asarray(compiled(inputs))]


def apply(workload: Workload, start: Batch) -> Step:
    """A jitted function of weights and input."""
    weights, inputs = jax.tree.map(jnp.asarray, (start.weights, start.inputs))
    compiled = jax.jit(lambda weights, inputs: _logits(workload, weights, inputs))
    return lambda: [np.asarray(compiled(weights, inputs))]


def differentiate(workload: Workload, start: Batch) -> Step:
    """The vector-Jacobian product beside the value, jitted."""
    given = jax.tree.map(jnp.asarray, (start.weights, start.inputs, start.gradient))

    @jax.jit
    def compiled(weights, inputs, gradient):
        logits, pull = jax.vjp(lambda w, x: _logits(workload, w, x), weights, inputs)
        of_weights, of_inputs = pull(gradient)
        return logits, of_inputs, *of_weights

    return lambda: [np.asarray(result) for result in compiled(*given)]


def _logits(workload: Workload, weights: Sequence[jax.Array], hidden: jax.Array) -> jax.Array:
    following = iter(weights)
    for layer in workload.layers:
        hidden = _apply(layer, hidden, following)
    return hidden


def _apply(layer: Layer, x: jax.Array, weights: Weights) -> jax.Array:
    match layer:
        case Dense(relu=relu, bias=bias):
            return _finished(x @ next(weights), weights, bias, relu)
        case Convolution(stride=stride, padding=padding, relu=relu, bias=bias):
            dilation = (layer.dilation, layer.dilation)
            y = lax.conv_general_dilated(
                x,
                next(weights),
                (stride, stride),
                padding.upper(),
                rhs_dilation=dilation,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=layer.groups,
            )
            return _finished(y, weights, bias, relu)
        case MaxPooling():
            window = (1, 2, 2, 1)
            return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
        case Averaging():
            return x.mean(range(1, x.ndim - 1))
        case Flatten():
            return x.reshape(len(x), -1)
        case Normalization():
            return jax.nn.relu(_normalize(x, weights, tuple(range(x.ndim - 1))))
        case Embedding():
            return next(weights)[x]
        case Positions():
            return x + next(weights)
        case Recurrent():
            return _recurrent(layer, x, weights)
        case Block():
            return _block(layer, x, weights)


def _finished(y: jax.Array, weights: Weights, bias: bool, relu: bool) -> jax.Array:
    y = y + next(weights) if bias else y
    return jax.nn.relu(y) if relu else y


def _normalize(x: jax.Array, weights: Weights, axes: tuple[int, ...]) -> jax.Array:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + EPSILON) * next(weights) + next(weights)


def _recurrent(layer: Recurrent, x: jax.Array, weights: Weights) -> jax.Array:
    x = x.swapaxes(0, 1)
    cell = {"lstm": _lstm, "gru": _gru}[layer.cell]
    first = cell(x, next(weights), next(weights), next(weights), False)
    if not layer.both:
        return first.swapaxes(0, 1) if layer.whole else first[-1]
    second = cell(x, next(weights), next(weights), next(weights), True)
    if layer.whole:
        return jnp.concatenate([first, second], -1).swapaxes(0, 1)
    return jnp.concatenate([first[-1], second[0]], -1)


def _lstm(x: jax.Array, K: jax.Array, U: jax.Array, b: jax.Array, reverse: bool) -> jax.Array:
    """All states, the time first; the input's part of the gates is one product before the loop."""

    def step(state, p):
        h, c = state
        i, f, a, o = jnp.split(p + h @ U, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(a)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], len(U)))
    return lax.scan(step, (zeros, zeros), x @ K + b, reverse=reverse)[1]


def _gru(x: jax.Array, K: jax.Array, U: jax.Array, b: jax.Array, reverse: bool) -> jax.Array:
    units = len(U)

    def step(h, p):
        q = h @ U + b[1]
        zr = jax.nn.sigmoid(p[:, : 2 * units] + q[:, : 2 * units])
        z, r = jnp.split(zr, 2, -1)
        h = z * h + (1 - z) * jnp.tanh(p[:, 2 * units :] + r * q[:, 2 * units :])
        return h, h

    return lax.scan(step, jnp.zeros((x.shape[1], units)), x @ K + b[0], reverse=reverse)[1]


def _block(layer: Block, x: jax.Array, weights: Weights) -> jax.Array:
    batch, steps, width = x.shape
    size = width // layer.heads

    def heads() -> jax.Array:
        y = x @ next(weights).reshape(width, width) + next(weights).reshape(width)
        return y.reshape(batch, steps, layer.heads, size).swapaxes(1, 2)

    q, k, v = heads(), heads(), heads()
    scores = q @ k.swapaxes(-1, -2) * size**-0.5
    if layer.causal:
        scores = jnp.where(jnp.tri(steps, dtype=bool), scores, -jnp.inf)
    mixed = (jax.nn.softmax(scores) @ v).swapaxes(1, 2).reshape(x.shape)
    x = x + mixed @ next(weights).reshape(width, width) + next(weights)
    x = _normalize(x, weights, (-1,))
    hidden = jax.nn.relu(x @ next(weights) + next(weights))
    return _normalize(x + hidden @ next(weights) + next(weights), weights, (-1,))
