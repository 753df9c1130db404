"""The workloads in JAX: one jitted function whose buffers are reused from step to step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from . import Batch, ImageNetwork, Perceptron, Step, Workload

__all__ = ["build"]


def build(workload: Workload, start: Batch) -> Step:
    """A step that updates weights and moments in place, as far as XLA can."""
    inputs, labels = jnp.asarray(start.inputs), jnp.asarray(start.labels)

    def loss_of(weights, inputs, labels):
        logits = jax.nn.log_softmax(_logits(workload, weights, inputs))
        return -jnp.take_along_axis(logits, labels[:, None], -1).mean()

    def train(weights, first, second, count, inputs, labels):
        loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, labels)
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradients, strict=True)]
        weights = [
            w - 1e-3 * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
            for w, m, v in zip(weights, first, second, strict=True)
        ]
        return (weights, first, second, count), loss

    compiled = jax.jit(train, donate_argnums=(0, 1, 2, 3))
    weights = [jnp.asarray(weight) for weight in start.weights]
    first, second = [[jnp.zeros_like(weight) for weight in weights] for _ in range(2)]
    state = (weights, first, second, jnp.float32(0))

    def step() -> float:
        nonlocal state
        state, loss = compiled(*state, inputs, labels)
        return float(loss)

    return step


def _logits(workload: Workload, weights, inputs):
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    match workload.network:
        case Perceptron():
            return _fully_connected(pairs, inputs)
        case ImageNetwork(channels=channels, padding=padding):
            depth = len(channels) - 1
            hidden = inputs
            for kernel, bias in pairs[:depth]:
                hidden = lax.conv_general_dilated(
                    hidden,
                    kernel,
                    (1, 1),
                    padding.upper(),
                    dimension_numbers=("NHWC", "HWIO", "NHWC"),
                )
                hidden = _max_pool(jax.nn.relu(hidden + bias))
            return _fully_connected(pairs[depth:], hidden.reshape(len(inputs), -1))


def _fully_connected(pairs, hidden):
    for kernel, bias in pairs[:-1]:
        hidden = jax.nn.relu(hidden @ kernel + bias)
    kernel, bias = pairs[-1]
    return hidden @ kernel + bias


def _max_pool(image):
    window = (1, 2, 2, 1)
    return lax.reduce_window(image, -jnp.inf, lax.max, window, window, "VALID")
