"""The chapters of the guide in the order in which they are read."""

from types import ModuleType

from . import (
    activations,
    architectures,
    derivations,
    layers,
    losses,
    optimizers,
    softmax,
    tensors,
    training,
)

__all__ = ["CHAPTERS"]

CHAPTERS: tuple[ModuleType, ...] = (
    tensors,
    layers,
    activations,
    softmax,
    losses,
    optimizers,
    training,
    architectures,
    derivations,
)
