"""Dropout: in training some elements are zero, other ones at each step.

Which ones is a random function of a key, the step and the place, computed wherever it is needed:
forward and backward have the same mask, and none is ever stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..catalogue import define
from ..errors import GraphnnError, ShapeError
from ..functions import add
from ..graph.node import Choice, Node, Parameter, index_names
from ..graph.operation import op
from ..random import next_stream
from .base import Layer

__all__ = ["Dropout", "dropped"]

_STEP = 1 << 32  # the counter's upper half counts steps, its lower half is the number of the stream


def _text(place: str = "...", x: str = "...") -> str:
    """``place`` has the axes of x along which the mask is drawn."""
    return f"y[{x}] = where(uniform(key, step, [{place}]) < keep, x[{x}]/keep, 0)"


define(
    "dropout",
    _text(),
    samples=[{"key": (), "step": (), "x": (3, 5)}],
    domains={"key": 7, "step": 7},
    group="layer",
    source="Srivastava et al.: Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014",
    keep=0.75,
)


class Dropout(Layer):
    """``y[...] = where(uniform(key, step, [...]) < keep, x[...]/keep, 0)`` in training, x itself in inference.

    ``keep`` = 1 - ``rate``, so that the expected value of y is x. A new mask is drawn at each training
    step, the same for the value and its gradient. ``noise_shape`` has a 1 where one mask is to serve a whole
    axis, None or the size elsewhere. With a ``seed`` the masks are the same whatever `gn.set_seed` says.

    Shapes: x (batch, ...) -> y, the same. Raises `GraphnnError` for a rate that is not in [0, 1).

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting, 2014.

    >>> from graphnn.graph.node import Input
    >>> Dropout(0.5)(Input((None, 64))).shape
    (None, 64)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.rate, self.seed = checked_rate(rate, self.name), seed
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        return dropped(x, self.rate, self, self.noise_shape, self.seed)


def checked_rate(rate: float, owner: str) -> float:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise GraphnnError(f"{owner}: the rate of what is dropped lies in [0, 1), got {rate!r}")
    return rate


def dropped(
    x: Node,
    rate: float,
    layer: Layer,
    noise_shape: Sequence[int | None] | None = None,
    seed: int | None = None,
) -> Node:
    """``x`` with elements dropped in training, by a stream of random numbers that nobody else draws from."""
    if rate == 0:
        return x
    key, number = next_stream(seed)
    if seed is not None:
        number += layer.calls
    state = {
        name: Parameter(np.asarray(value).astype("int64"), f"{layer.name}.{name}", trainable=False)
        for name, value in (("key", np.uint64(key)), ("step", number))
    }
    text = _text() if noise_shape is None else _shared(x, noise_shape, layer)
    drop = op(text, "dropout", keep=1 - Fraction(str(rate)))
    y = layer.apply_named(drop, x=x, **state)
    y.name = f"{x.name}.dropped"
    return Choice(y, x, {state["step"]: add(state["step"], _STEP)})


def _shared(x: Node, noise_shape: Sequence[int | None], layer: Layer) -> str:
    """One mask along the axes for which ``noise_shape`` says 1."""
    if len(noise_shape) != x.ndim or any(
        given not in (1, None, size) for given, size in zip(noise_shape, x.shape, strict=False)
    ):
        raise ShapeError(
            f"{layer.name}: noise_shape {tuple(noise_shape)} does not fit {x.name}: {x.type};"
            f" sizes are 1, None or those of the input"
        )
    names = index_names(x.ndim)
    drawn = [n for n, given in zip(names, noise_shape, strict=True) if given != 1]
    text = _text(", ".join(drawn), ", ".join(names))
    return text if drawn else text.replace("[]", "0")
