"""Activations: each its formula, called on nodes.

`get` finds one by the name that Keras gives it. The formulas are the textbook's; that ``exp``
overflows where the value itself does not is the business of the compiler's first stage.
"""

from __future__ import annotations

from collections.abc import Callable

from .catalogue import define, with_attributes
from .errors import GraphnnError, unknown
from .graph.application import Result
from .graph.node import Node
from .graph.operation import Operation

__all__ = [
    "Activation",
    "elu",
    "gelu",
    "get",
    "leaky_relu",
    "linear",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

Activation = Callable[[Node], Node]
_SAMPLES = [{"x": (3, 5)}]

relu = define("relu", "y[...] = max(0, x[...])", samples=_SAMPLES, group="activation")
sigmoid = define("sigmoid", "y[...] = 1/(1 + exp(-x[...]))", samples=_SAMPLES, group="activation")
tanh = define(
    "tanh",
    "y[...] = (exp(x[...]) - exp(-x[...]))/(exp(x[...]) + exp(-x[...]))",
    samples=_SAMPLES,
    group="activation",
)
softmax = define(
    "softmax",
    "y[..., i] = exp(x[..., i])/sum[j](exp(x[..., j]))",
    samples=[{"x": (3, 5)}, {"x": (2, 3, 4)}],
    group="activation",
)
softplus = define("softplus", "y[...] = log(1 + exp(x[...]))", samples=_SAMPLES, group="activation")
silu = define(
    "silu",
    "y[...] = x[...]/(1 + exp(-x[...]))",
    samples=_SAMPLES,
    group="activation",
    source="Elfwing, Uchibe, Doya: Sigmoid-Weighted Linear Units, 2017",
)
gelu = define(
    "gelu",
    "y[...] = x[...]*(1 + erf(x[...]/sqrt(2)))/2",
    samples=_SAMPLES,
    group="activation",
    source="Hendrycks, Gimpel: Gaussian Error Linear Units, 2016",
)
_elu = define(
    "elu",
    "y[...] = where(x[...] > 0, x[...], alpha*(exp(x[...]) - 1))",
    samples=_SAMPLES,
    alpha=1,
    group="activation",
    source="Clevert, Unterthiner, Hochreiter: Fast and Accurate Deep Network Learning by ELUs, 2015",
)
linear = define("linear", "y[...] = x[...]", samples=_SAMPLES, group="activation")
_leaky_relu = define(
    "leaky_relu",
    "y[...] = max(slope*x[...], x[...])",
    samples=_SAMPLES,
    slope=0.01,
    group="activation",
    source="Maas, Hannun, Ng: Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013",
)


def leaky_relu(x: Node, negative_slope: float = 0.01) -> Node:
    """``y[...] = max(slope*x[...], x[...])``; at 0 the slope is that of the negative side.

    Raises `GraphnnError` unless 0 <= ``negative_slope`` <= 1, where the formula is a leaky
    rectifier.
    """
    if not 0 <= negative_slope <= 1:
        raise GraphnnError(f"negative_slope must lie between 0 and 1, got {negative_slope}")
    result = with_attributes(_leaky_relu, slope=negative_slope)(x)
    assert isinstance(result, Result)
    return result


def elu(x: Node, alpha: float = 1) -> Node:
    """``y[...] = where(x[...] > 0, x[...], alpha*(exp(x[...]) - 1))``."""
    result = with_attributes(_elu, alpha=alpha)(x)
    assert isinstance(result, Result)
    return result


_BY_NAME: dict[str, Operation | Activation] = {
    "elu": elu,
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "relu": relu,
    "sigmoid": sigmoid,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "swish": silu,
    "tanh": tanh,
}


def get(activation: str | Callable[[Node], object] | None) -> Activation | None:
    """The activation of that name, or the function itself; None for None and "linear", which change nothing.

    >>> get("relu").formula.text
    'y[...] = max(0, x[...])'
    """
    if activation is None or activation == "linear":
        return None
    if isinstance(activation, str):
        if activation not in _BY_NAME:
            own = "any formula is one, too: gn.op('y[...] = x[...]*sigmoid(x[...])')"
            raise unknown("activation", activation, _BY_NAME, own)
        activation = _BY_NAME[activation]
    if not callable(activation):
        raise GraphnnError(f"an activation is a name or a function of a node, got {activation!r}")
    return activation  # type: ignore[return-value]
