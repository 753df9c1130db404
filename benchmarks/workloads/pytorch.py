"""The workloads in PyTorch, eager and through torch.compile."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import Batch, ImageNetwork, Perceptron, Step, Workload

__all__ = ["build", "build_compiled"]


def build(workload: Workload, start: Batch) -> Step:
    """A step of eager PyTorch."""
    model = _model(workload, start)
    return _step(model, model.parameters(), workload, start)


def build_compiled(workload: Workload, start: Batch) -> Step:
    """A step whose forward and backward passes torch.compile has compiled."""
    model = _model(workload, start)
    return _step(torch.compile(model), model.parameters(), workload, start)


def _step(forward, parameters, workload: Workload, start: Batch) -> Step:
    inputs = torch.from_numpy(_channels_first(start.inputs))
    labels = torch.from_numpy(start.labels.astype(np.int64))
    optimizer = torch.optim.Adam(parameters, lr=1e-3, foreach=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(forward(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _model(workload: Workload, start: Batch) -> nn.Module:
    match workload.network:
        case Perceptron(widths):
            layers = _fully_connected(widths)
        case ImageNetwork(channels=channels, padding=padding) as network:
            layers = []
            for before, after in pairwise(channels):
                layers += [nn.Conv2d(before, after, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2)]
            widths = (int(np.prod(network.pooled)), network.hidden, network.classes)
            layers += [nn.Flatten(), *_fully_connected(widths)]
    model = nn.Sequential(*layers)
    _load(model, workload, start.weights)
    return model


def _fully_connected(widths: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]


def _load(model: nn.Module, workload: Workload, weights: tuple[np.ndarray, ...]) -> None:
    """Copy weights from Keras's layouts; PyTorch flattens an image with its channels first."""
    flattened = isinstance(workload.network, ImageNetwork)
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        match weight.ndim:
            case 4:
                weight = weight.transpose(3, 2, 0, 1)
            case 2 if flattened:
                image = weight.reshape(*workload.network.pooled, -1)
                weight, flattened = image.transpose(3, 2, 0, 1).reshape(weight.shape[::-1]), False
            case 2:
                weight = weight.T
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(weight)))


def _channels_first(inputs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if inputs.ndim == 4 else inputs
