"""What is looked up: the quick reference, and the whole catalogue by groups."""

from __future__ import annotations

from dataclasses import dataclass

from ..catalogue import CATALOGUE
from .facts import Formula, formula, result

__all__ = ["QUICK", "SIGNS", "Group", "Quick", "Sign", "groups"]

_GROUPS = {
    "layer": "Layers",
    "activation": "Activations",
    "loss": "Losses",
    "regularizer": "Regularizers",
    "optimizer": "Optimizers",
    "schedule": "Schedules of the learning rate",
    "metric": "Metrics",
    "": "Arithmetic and reductions",
}


@dataclass(frozen=True, slots=True)
class Quick:
    concept: str
    purpose: str
    example: str
    link: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign that formulas use."""

    latex: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    title: str
    formulas: tuple[Formula, ...]


QUICK: tuple[Quick, ...] = (
    Quick("Tensor", "holds data", "images (32, 224, 224, 3)", "tensors.html#images"),
    Quick("Weight", "is learnt", "dense layer (784, 128)", "tensors.html#weights"),
    Quick("Bias", "shifts a result", "one for each output", "tensors.html#weights"),
    Quick("Layer", "transforms data", "Dense, Conv2D, LSTM", "layers.html"),
    Quick("Activation", "bends lines", "ReLU, softmax", "activations.html"),
    Quick("Loss", "measures the error", "cross-entropy", "losses.html"),
    Quick("Gradient", "says where the loss grows", "∂L/∂w", "derivations.html"),
    Quick("Optimizer", "changes the weights", "Adam", "optimizers.html"),
    Quick("Learning rate", "size of a step", "0.001, 0.01", "optimizers.html#learning-rate"),
    Quick("Batch size", "samples for each step", "32, 64, 128", "optimizers.html#batch-size"),
    Quick("Epoch", "all data once", "1875 steps of 32", "optimizers.html#batch-size"),
    Quick("Inference", "predicts, changes nothing", "model.predict(x)", "training.html#modes"),
)


SIGNS: tuple[Sign, ...] = (
    Sign(
        "x_{n,i}",
        "The element of x at the indices n and i; three dots stand for any number of them.",
    ),
    Sign(
        r"\sum_{i} x_{n,i}",
        "The sum over all values of i; how many there are follows from the shape of x.",
    ),
    Sign("[i = j]", "1 where the condition holds, else 0."),
    Sign("g^{(y)}", "The gradient that arrives from the output y: how the loss changes with y."),
    Sign(
        r"\frac{\partial\mathcal{L}}{\partial x_{n,i}}",
        "How the loss changes with this element of x: what a derivation ends with.",
    ),
    Sign(r"\mathrm{dim}_{0}(U)", "The size of the first axis of U."),
    Sign(r"w^{\mathrm{new}}", "The value that w has after the step."),
)


def groups() -> list[Group]:
    """Every operation of the catalogue with its gradient, in groups; unknown groups come last."""
    names = dict.fromkeys([*_GROUPS, *(entry.group for entry in CATALOGUE.values())])
    found = []
    for name in names:
        operations = [e.operation for e in CATALOGUE.values() if e.group == name]
        if operations:
            title = _GROUPS.get(name, name.capitalize())
            made = tuple(formula(o, gradient=result(o)) for o in operations)
            found.append(Group(name or "arithmetic", title, made))
    return found
