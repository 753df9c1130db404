"""Layers with inputs to try them on: made alike from graphnn's layers and from Keras's, by the same arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import graphnn as gn
from graphnn.layers import Layer

__all__ = ["CASES", "IDS", "Case", "Found", "built", "found", "numbers"]


@dataclass(frozen=True)
class Case:
    """A layer's name and arguments, shapes of its inputs (with an int: whole numbers below it), options of the call."""

    kind: str
    arguments: Mapping[str, Any]
    inputs: Sequence[tuple[int, ...] | tuple[tuple[int, ...], int]]
    options: Mapping[str, Any] = field(default_factory=dict)
    named: Sequence[str] = ()  # the last inputs are given under these names

    def __str__(self) -> str:
        shown = {**self.arguments, **self.options, **dict.fromkeys(self.named, "...")}
        return (
            f"{self.kind}({', '.join(f'{k}={v}' for k, v in shown.items())}) on {list(self.inputs)}"
        )

    def arrays(self, dtype: str) -> list[np.ndarray]:
        """Values for the inputs."""
        return [
            numbers(*each[0], seed=k, below=each[1])
            if each and isinstance(each[0], tuple)
            else numbers(*each, seed=k).astype(dtype)  # type: ignore[arg-type]
            for k, each in enumerate(self.inputs)
        ]

    @property
    def differs(self) -> bool:
        """Is there a difference between training and inference?"""
        return self.kind == "BatchNormalization" or "dropout" in self.arguments

    def applied(self, layer: Any, inputs: Sequence[Any]) -> Any:
        """The layer's output: several inputs stand in a list, but for attention."""
        count = len(inputs) - len(self.named)
        named = dict(zip(self.named, inputs[count:], strict=True))
        plain = list(inputs[:count])
        if len(plain) == 1 or self.kind == "MultiHeadAttention":
            return layer(*plain, **named, **self.options)
        return layer(plain)


def numbers(*shape: int, seed: int = 0, below: int | None = None) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if below is not None:
        return generator.integers(0, below, shape).astype("int32")
    return generator.normal(0.3, 1.5, shape)


IMAGE = (2, 7, 5, 3)
POOLS: list[dict[str, Any]] = [
    {"pool_size": 2},
    {"pool_size": (3, 2), "strides": (2, 1)},
    {"pool_size": 3, "strides": 2, "padding": "same"},
    {"pool_size": (2, 3), "strides": (3, 2), "padding": "same"},
    {"pool_size": 2, "strides": 3},
    {"pool_size": 3, "strides": 1, "padding": "same"},
]
CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": (2, 3), "strides": (2, 1)},
    {"kernel_size": (3, 1), "padding": "same", "strides": (2, 3), "use_bias": False},
    {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
    {"kernel_size": 2, "dilation_rate": (2, 3), "activation": "tanh"},
]
# Without scores Keras's attention is JAX's, which computes in float32 and takes no values wider than keys.
SCORES = {"return_attention_scores": True}
CAUSAL = {"use_causal_mask": True, **SCORES}
SELF = {"num_heads": 2, "key_dim": 3}
WIDE = {**SELF, "value_dim": 5, "output_shape": 7, "use_bias": False}
CASES = [
    *(Case("AveragePool2D", options, [IMAGE]) for options in POOLS),
    *(Case("MaxPool2D", options, [IMAGE]) for options in POOLS),
    *(Case("Conv2D", {"filters": 3, **options}, [IMAGE]) for options in CONVOLUTIONS),
    Case("Conv2D", {"filters": 1, "kernel_size": 1}, [(1, 1, 1, 1)]),
    Case("Conv2D", {"filters": 6, "kernel_size": (2, 3), "groups": 3, "strides": 2}, [IMAGE]),
    Case("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "same", "use_bias": False}, [(2, 5, 4, 2)]),
    Case("Conv2D", {"filters": 16, "kernel_size": 2, "groups": 2, "strides": 2}, [(2, 5, 4, 6)]),
    Case("GlobalAveragePool2D", {}, [IMAGE]),
    Case("GlobalAveragePool2D", {"keepdims": True}, [(1, 1, 13, 2)]),
    *(Case("BatchNormalization", {}, [shape]) for shape in [(7, 5), (2, 3, 5), IMAGE, (5, 1)]),
    Case("BatchNormalization", {"axis": 1, "momentum": 0.5, "epsilon": 0.1}, [IMAGE]),
    Case("BatchNormalization", {"axis": 2, "center": False}, [IMAGE]),
    Case("BatchNormalization", {"scale": False}, [(13, 2)]),
    *(Case("LayerNormalization", {}, [shape]) for shape in [(1, 5), (2, 3, 7), (3, 1)]),
    Case("LayerNormalization", {"axis": (1, 2), "epsilon": 0.1}, [(2, 3, 5)]),
    Case("LayerNormalization", {"axis": 1, "scale": False}, [(2, 3, 5)]),
    Case("LayerNormalization", {"center": False}, [IMAGE]),
    Case("Embedding", {"input_dim": 11, "output_dim": 3}, [((2, 7), 11)]),
    Case("Embedding", {"input_dim": 1, "output_dim": 1}, [((1, 1), 1)]),
    Case("Embedding", {"input_dim": 5, "output_dim": 13}, [((3,), 5)]),
    Case("MultiHeadAttention", SELF, [(2, 3, 4), (2, 5, 4)], SCORES),
    Case("MultiHeadAttention", WIDE, [(2, 3, 4), (2, 5, 3), (2, 5, 2)], SCORES),
    Case("MultiHeadAttention", {**SELF, "dropout": 0.5}, [(2, 3, 4), (2, 3, 4)], SCORES),
    Case("MultiHeadAttention", SELF, [(2, 7, 4), (2, 7, 4)], CAUSAL),
    Case("MultiHeadAttention", {"num_heads": 1, "key_dim": 1}, [(1, 1, 1), (1, 1, 1)], SCORES),
    Case("MultiHeadAttention", SELF, [(2, 3, 4), (2, 5, 4), ((2, 3, 5), 2)], SCORES, ["attention_mask"]),
    Case("MultiHeadAttention", SELF, [(2, 3, 4), (2, 3, 4), ((2, 1, 3), 2)], CAUSAL, ["attention_mask"]),
    Case("MultiHeadAttention", SELF, [(2, 3, 4), (2, 5, 4), ((2, 5), 2)], SCORES, ["value_mask"]),
    Case("Dense", {"units": 3, "activation": "relu"}, [(1, 7)]),
    Case("Reshape", {"target_shape": (5, -1)}, [IMAGE]),
    Case("Flatten", {}, [IMAGE]),
    Case("Activation", {"activation": "softmax"}, [(3, 7)]),
    Case("Add", {}, [(2, 5), (2, 5), (2, 5)]),
    Case("Concatenate", {"axis": 1}, [(2, 1, 3), (2, 5, 3)]),
]  # fmt: skip
IDS = list(map(str, CASES))


@dataclass(frozen=True)
class Found:
    """What a layer gives: its outputs, its weights after that, and in training gradients by inputs and weights."""

    outputs: list[np.ndarray]
    gradients: list[np.ndarray]
    moved: list[np.ndarray]


def built(case: Case, dtype: str) -> tuple[Layer, list[gn.Input], list[gn.Node]]:
    """graphnn's layer, its inputs, and its outputs; weights without zeros and ones."""
    gn.set_seed(11)
    own = {"dtype": dtype} if case.kind == "Embedding" else {}
    layer = getattr(gn.layers, case.kind)(**case.arguments, **own)
    inputs = [
        gn.Input((None, *a.shape[1:]), f"x{k}", str(a.dtype))
        for k, a in enumerate(case.arrays(dtype))
    ]
    outputs = case.applied(layer, inputs)
    shapes = [p.value.shape for p in layer.parameters]
    layer.set_weights([abs(numbers(*s, seed=70 + k)) / 3 + 0.1 for k, s in enumerate(shapes)])
    return layer, inputs, list(outputs) if isinstance(outputs, tuple) else [outputs]


def found(case: Case, dtype: str, training: bool, run: Callable[..., list[np.ndarray]]) -> Found:
    """What ``run(inputs, nodes, arrays, training)`` computes of the layer."""
    layer, inputs, outputs = built(case, dtype)
    arrays = case.arrays(dtype)
    factors = gn.Input(outputs[0].shape, "factors", dtype)
    sizes = (len(arrays[0]) if n is None else n for n in outputs[0].shape)
    smooth = [n for n in inputs if n.dtype == dtype]
    learnt = [p for p in layer.parameters if p.trainable]
    loss = gn.sum(outputs[0] * factors)
    gradients = gn.compute_gradients(loss, [*smooth, *learnt]) if training else {}
    changes = gn.Graph(outputs, training=training).changes
    nodes = [*outputs, *gradients.values(), *changes.values()]
    given = [*arrays, numbers(*sizes, seed=9).astype(dtype)]
    values = iter(run([*inputs, factors], nodes, given, training))
    first, slopes = ([next(values) for _ in those] for those in (outputs, gradients))
    after = dict(zip(changes, values, strict=True))
    return Found(first, slopes, [after.get(p, p.value) for p in layer.parameters])
