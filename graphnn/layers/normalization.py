"""Normalization: mean 0 and variance 1, over the batch or within each sample, then a learnt scale and shift.

    m[c] = mean[...](x[..., c])
    v[c] = mean[...]((x[..., c] - m[c])**2)
    y[..., c] = gamma[c]*(x[..., c] - m[c])/sqrt(v[c] + epsilon) + beta[c]

The variance is the mean of squared deviations: the difference of two large means would lose its digits.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import regularizers
from ..catalogue import define, with_attributes
from ..errors import GraphnnError, ShapeError
from ..graph.node import Choice, Node, Parameter, index_names
from ..graph.operation import Operation, op
from ..initializers import Initializer
from .base import Layer, fixed_size

__all__ = ["BatchNormalization", "LayerNormalization"]

_EPSILON = 1e-3


# --- formulas ---------------------------------------------------------------------------------------------------


def _scaled(x: str, kept: str, own: str, scale: bool, center: bool) -> str:
    """The normalized value: ``kept`` are the indices of the moments, ``own`` those of gamma and beta."""
    factor = f"gamma[{own}]*" if scale else ""
    shift = f" + beta[{own}]" if center else ""
    return f"y[{x}] = {factor}(x[{x}] - m[{kept}])/sqrt(v[{kept}] + epsilon){shift}"


def _normalized(x: str, kept: str, own: str, over: str, scale: bool, center: bool) -> str:
    """The same with moments taken ``over`` indices of x."""
    return f"""\
m[{kept}] = mean[{over}](x[{x}])
v[{kept}] = mean[{over}]((x[{x}] - m[{kept}])**2)
{_scaled(x, kept, own, scale, center)}"""


def _record(name: str, text: str, shapes: Sequence[str], source: str) -> None:
    """An operation on x (2, 3, 2) that reads also the named vectors (2,)."""
    samples = [{"x": (2, 3, 2), **dict.fromkeys(shapes, (2,))}]
    domains = {"v": "positive"} if "v" in shapes else {}
    define(
        name,
        text,
        samples=samples,
        domains=domains,
        group="layer",
        source=source,
        epsilon=_EPSILON,
    )


_IOFFE = (
    "Ioffe, Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing"
    " Internal Covariate Shift, 2015"
)
_BA = "Ba, Kiros, Hinton: Layer Normalization, 2016"
_BATCH, _LAYER = ("..., c", "c", "c", "..."), ("..., i", "...", "i", "i")
_LEARNT = ("gamma", "beta")
_record("batch_normalization", _normalized(*_BATCH, True, True), _LEARNT, _IOFFE)
_record(
    "batch_normalization_inference",
    _scaled(*_BATCH[:3], True, True),
    ("m", "v", *_LEARNT),
    _IOFFE,
)
_record("layer_normalization", _normalized(*_LAYER, True, True), _LEARNT, _BA)
_moving_average = define(
    "moving_average",
    "y[...] = momentum*old[...] + (1 - momentum)*new[...]",
    samples=[{"old": (3,), "new": (3,)}],
    group="layer",
    momentum=0.99,
)


# --- layers -----------------------------------------------------------------------------------------------------


class _Normalization(Layer):
    """What both have in common: which axes they scale and shift, and with what."""

    def __init__(
        self,
        axis: int | Sequence[int],
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: str | Initializer,
        gamma_initializer: str | Initializer,
        beta_regularizer: str | Operation | None,
        gamma_regularizer: str | Operation | None,
        name: str | None,
        trainable: bool,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        if not epsilon > 0:
            raise GraphnnError(f"{self.name}: epsilon must be above 0, got {epsilon!r}")
        self.axis, self.epsilon = axis, epsilon
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.gamma: Parameter | None = None
        self.beta: Parameter | None = None

    def axes(self, x: Node) -> tuple[int, ...]:
        """The axes of the weights, counted from the front."""
        given = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        for axis in given:
            if axis in (0, -x.ndim):
                raise ShapeError(
                    f"{self.name}: axis {self.axis} of {x.name}: {x.type} must leave out the batch"
                )
            fixed_size(x, axis, self)
        return tuple(sorted({axis % x.ndim for axis in given}))

    def build(self, *inputs: Node) -> None:
        (x,) = inputs
        shape = [fixed_size(x, axis, self) for axis in self.axes(x)]
        if self.scale:
            self.gamma = self.add_parameter(
                "gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_parameter(
                "beta", shape, self.beta_initializer, regularizer=self.beta_regularizer
            )

    def operation(self, text: str, name: str) -> Operation:
        return op(text, name, ("y",), epsilon=self.epsilon)


class BatchNormalization(_Normalization):
    """Each channel normalized over the batch, in training; by its moving statistics in inference.

        m[c] = mean[...](x[..., c])
        v[c] = mean[...]((x[..., c] - m[c])**2)
        y[..., c] = gamma[c]*(x[..., c] - m[c])/sqrt(v[c] + epsilon) + beta[c]

    In inference m and v are the moving mean and variance; each training step moves them:
    ``moving = momentum*moving + (1 - momentum)*now``. A layer that is not trainable works as in
    inference always.

    Shapes: x (batch, ..., channels) -> y, the same; ``axis`` says where the channels are. Weights:
    gamma, beta, moving mean and moving variance, each (channels,).

    Source: Ioffe, Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift, 2015.

    >>> from graphnn.graph.node import Input
    >>> BatchNormalization()(Input((None, 28, 28, 32))).shape
    (None, 28, 28, 32)
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = _EPSILON,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Initializer = "zeros",
        gamma_initializer: str | Initializer = "ones",
        moving_mean_initializer: str | Initializer = "zeros",
        moving_variance_initializer: str | Initializer = "ones",
        beta_regularizer: str | Operation | None = None,
        gamma_regularizer: str | Operation | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            name,
            trainable,
        )
        if not isinstance(axis, int):
            raise GraphnnError(f"{self.name}: axis must be one number, got {axis!r}")
        if not 0 <= momentum <= 1:
            raise GraphnnError(f"{self.name}: momentum must lie between 0 and 1, got {momentum!r}")
        self.momentum = momentum
        self.initializers = (moving_mean_initializer, moving_variance_initializer)
        self.moving_mean: Parameter | None = None
        self.moving_variance: Parameter | None = None

    def build(self, *inputs: Node) -> None:
        super().build(*inputs)
        (x,) = inputs
        shape = [fixed_size(x, axis, self) for axis in self.axes(x)]
        self.moving_mean, self.moving_variance = (
            self.add_parameter(name, shape, initializer, trainable=False)
            for name, initializer in zip(
                ("moving_mean", "moving_variance"), self.initializers, strict=True
            )
        )

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        (axis,) = self.axes(x)
        front = ", ".join(index_names(axis, taken="c"))
        last = axis == x.ndim - 1
        place, over = ("..., c", "...") if last else (f"{front}, c, ...", f"{front}, ...")
        learnt = {"scale": self.scale, "center": self.center}
        assert self.moving_mean is not None
        assert self.moving_variance is not None
        batch = self.operation(_normalized(place, "c", "c", over, **learnt), "batch_normalization")
        saved = self.operation(_scaled(place, "c", "c", **learnt), "batch_normalization_inference")
        weights = {"gamma": self.gamma, "beta": self.beta}
        trained = self.apply_named(batch, x=x, **weights)
        moving = {"m": self.moving_mean, "v": self.moving_variance}
        inferred = self.apply_named(saved, x=x, **moving, **weights)
        average = with_attributes(_moving_average, momentum=self.momentum)
        changes = {
            statistic: self.apply(average, statistic, trained.application.result(now))
            for now, statistic in moving.items()
        }
        return Choice(trained, inferred, changes)


class LayerNormalization(_Normalization):
    """Each sample, or each step of a sequence, normalized over its features.

        m[...] = mean[i](x[..., i])
        v[...] = mean[i]((x[..., i] - m[...])**2)
        y[..., i] = gamma[i]*(x[..., i] - m[...])/sqrt(v[...] + epsilon) + beta[i]

    Shapes: x (batch, ..., features) -> y, the same; ``axis`` may name other axes than the last, or
    several. Weights: gamma and beta, of the shape of those axes.

    Source: Ba, Kiros, Hinton: Layer Normalization, 2016.

    >>> from graphnn.graph.node import Input
    >>> LayerNormalization()(Input((None, 20, 64))).shape
    (None, 20, 64)
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = _EPSILON,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Initializer = "zeros",
        gamma_initializer: str | Initializer = "ones",
        beta_regularizer: str | Operation | None = None,
        gamma_regularizer: str | Operation | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            name,
            trainable,
        )

    def call(self, *inputs: Node) -> Node:
        (x,) = inputs
        axes = self.axes(x)
        if axes == (x.ndim - 1,):
            indices = _LAYER
        else:
            names = index_names(x.ndim)
            own = ", ".join(names[axis] for axis in axes)
            kept = ", ".join(n for axis, n in enumerate(names) if axis not in axes)
            indices = (", ".join(names), kept, own, own)
        text = _normalized(*indices, self.scale, self.center)
        operation = self.operation(text, "layer_normalization")
        return self.apply_named(operation, x=x, gamma=self.gamma, beta=self.beta)
