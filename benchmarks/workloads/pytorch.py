"""The workloads in PyTorch: eager, and with the model compiled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

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
    Shape,
)

__all__ = [
    "apply",
    "differentiate",
    "predict",
    "predict_compiled",
    "train",
    "train_compiled",
]

Weights = Iterator[torch.Tensor]


def train(workload: Workload, start: Batch) -> Step:
    """A step of eager PyTorch."""
    model = _model(workload, start)
    return _training(model, model.parameters(), start)


def train_compiled(workload: Workload, start: Batch) -> Step:
    """A step whose forward and backward passes torch.compile has compiled."""
    model = _model(workload, start)
    return _training(torch.compile(model), model.parameters(), start)


def _training(forward, parameters, start: Batch) -> Step:
    torch.set_flush_denormal(True)
    inputs = _channels_first(start.inputs)
    labels = torch.from_numpy(start.labels.astype(np.int64)).flatten()
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)

    def step() -> list[float]:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(forward(inputs).flatten(0, -2), labels)
        loss.backward()
        optimizer.step()
        return [loss.item()]

    return step


def predict(workload: Workload, start: Batch) -> Step:
    """Eager, without anything that gradients would need."""
    return _predicting(_model(workload, start).eval(), start)


def predict_compiled(workload: Workload, start: Batch) -> Step:
    """Compiled with the weights as constants, which may then be laid out for the kernels."""
    from torch._inductor import config  # slow to import, and only needed here

    config.freezing = True
    return _predicting(torch.compile(_model(workload, start).eval()), start)


def _predicting(forward, start: Batch) -> Step:
    inputs = _channels_first(start.inputs)

    def step() -> list[np.ndarray]:
        with torch.inference_mode():
            return [forward(inputs).numpy()]

    return step


apply = predict


def differentiate(workload: Workload, start: Batch) -> Step:
    """The gradients of the outputs times what is given."""
    model = _model(workload, start)
    inputs, gradient = (
        _channels_first(start.inputs).requires_grad_(),
        _channels_first(start.gradient),
    )
    wanted = [inputs, *model.parameters()]

    def step() -> list[np.ndarray]:
        outputs = model(inputs)
        found = torch.autograd.grad(outputs, wanted, gradient)
        return [tensor.numpy() for tensor in (outputs.detach(), *found)]

    return step


def _channels_first(array: np.ndarray) -> torch.Tensor:
    """Images are (batch, channels, height, width), but stay as they are in memory: it is faster."""
    tensor = torch.from_numpy(array)
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def _model(workload: Workload, start: Batch) -> nn.Module:
    weights = map(torch.from_numpy, start.weights)
    with torch.no_grad():
        layers = [m for layer, shape in workload.places() for m in _modules(layer, shape, weights)]
    model = nn.Sequential(*layers)
    images = len(workload.sample) == 3
    return model.to(memory_format=torch.channels_last) if images else model


def _modules(layer: Layer, sample: Shape, weights: Weights) -> list[nn.Module]:
    match layer:
        case Dense(width, relu, bias):
            dense = _dense(sample[-1], width, weights, bias)
            return [dense, nn.ReLU()] if relu else [dense]
        case Convolution(filters, window, stride, padding, relu, bias):
            more = {"dilation": layer.dilation, "groups": layer.groups, "bias": bias}
            conv = nn.Conv2d(sample[-1], filters, window, stride, padding, **more)
            conv.weight.copy_(next(weights).permute(3, 2, 0, 1))
            if bias:
                conv.bias.copy_(next(weights))
            return [conv, nn.ReLU()] if relu else [conv]
        case MaxPooling():
            return [nn.MaxPool2d(2)]
        case Averaging():
            return [_Averaging(len(sample) == 3)]
        case Flatten():
            return [_Flatten()]
        case Normalization():
            return [_copied(nn.BatchNorm2d(sample[-1], EPSILON), weights), nn.ReLU()]
        case Embedding(vocabulary, width):
            return [_copied(nn.Embedding(vocabulary, width), weights)]
        case Positions():
            return [_Positions(next(weights))]
        case Recurrent():
            return [_Recurrent(layer, sample[-1], weights)]
        case Block():
            return [_Block(layer, sample[-1], weights)]


def _dense(inputs: int, outputs: int, weights: Weights, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias)
    linear.weight.copy_(next(weights).reshape(inputs, outputs).T)
    if bias:
        linear.bias.copy_(next(weights).flatten())
    return linear


def _copied(module: nn.Module, weights: Weights) -> nn.Module:
    for parameter in module.parameters():
        parameter.copy_(next(weights))
    return module


class _Flatten(nn.Module):
    """Channels last, as they are in memory."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class _Averaging(nn.Module):
    """Channels of an image come first."""

    def __init__(self, of_images: bool) -> None:
        super().__init__()
        self.axes = (2, 3) if of_images else (1,)

    def forward(self, x):
        return x.mean(self.axes)


class _Positions(nn.Module):
    def __init__(self, places: torch.Tensor) -> None:
        super().__init__()
        self.places = nn.Parameter(places.clone())

    def forward(self, x):
        return x + self.places


class _Recurrent(nn.Module):
    def __init__(self, layer: Recurrent, features: int, weights: Weights) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[layer.cell]
        self.layer = layer
        self.cell = kind(features, layer.units, batch_first=True, bidirectional=layer.both)
        for suffix in ("l0", "l0_reverse")[: layer.directions]:
            self._copy(suffix, next(weights), next(weights), next(weights))

    def _copy(self, suffix: str, K: torch.Tensor, U: torch.Tensor, b: torch.Tensor) -> None:
        """PyTorch's GRU has r before z; its LSTM has a second bias, which is left at zero."""
        gates = (1, 0, 2) if self.layer.cell == "gru" else range(4)
        biases = b if b.ndim == 2 else torch.stack([b, torch.zeros_like(b)])
        values = {"weight_ih": K.T, "weight_hh": U.T, "bias_ih": biases[0], "bias_hh": biases[1]}
        for name, value in values.items():
            parts = value.chunk(len(gates))
            getattr(self.cell, f"{name}_{suffix}").copy_(torch.cat([parts[g] for g in gates]))
        getattr(self.cell, f"bias_hh_{suffix}").requires_grad = b.ndim == 2

    def forward(self, x):
        states, last = self.cell(x)
        if self.layer.whole:
            return states
        last = last[0] if self.layer.cell == "lstm" else last
        return last.transpose(0, 1).flatten(1)


class _Block(nn.Module):
    def __init__(self, layer: Block, width: int, weights: Weights) -> None:
        super().__init__()
        self.layer = layer
        self.query, self.key, self.value, self.joined = (
            _dense(width, width, weights) for _ in range(4)
        )
        self.first = _copied(nn.LayerNorm(width, EPSILON), weights)
        self.wide = _dense(width, layer.hidden, weights)
        self.narrow = _dense(layer.hidden, width, weights)
        self.second = _copied(nn.LayerNorm(width, EPSILON), weights)

    def forward(self, x):

        def heads(y):
            return y.unflatten(-1, (self.layer.heads, -1)).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.layer.causal)
        x = self.first(x + self.joined(mixed.transpose(1, 2).reshape(x.shape)))
        return self.second(x + self.narrow(functional.relu(self.wide(x))))
