"""The formulas of the optimizers, with the paper of each: see `graphnn.optimizers` for what the names in them mean.

Besides the updates there are rules for what enters them: gradients are clipped, ``y`` from ``g``
(and from ``s``, the sum of the squares of all gradients), weights decay, ``y`` from ``w``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalogue import define, with_attributes
from ..errors import GraphnnError
from ..graph.operation import Operation

__all__ = [
    "ADAGRAD",
    "ADAM",
    "ADAM_STEP",
    "CLIPPINGS",
    "COUNT",
    "MOMENTUM",
    "NESTEROV",
    "RMSPROP",
    "SGD",
    "SQUARES",
    "WEIGHT_DECAY",
    "clipping",
    "decay",
]

_W = {"w": (3, 5), "g": (3, 5), "a": ()}
_HEAVY_BALL = "m.new[...] = momentum*m[...] - a*g[...]\n"
_MOVED = ("m.new", "w.new")

COUNT = define("count", "t.new = t + 1", samples=[{"t": ()}], domains={"t": 10}, group="optimizer")
SGD = define("sgd", "w.new[...] = w[...] - a*g[...]", samples=[_W], group="optimizer")
MOMENTUM = define(
    "momentum",
    _HEAVY_BALL + "w.new[...] = w[...] + m.new[...]",
    samples=[{**_W, "m": (3, 5)}],
    outputs=_MOVED,
    momentum=0.9,
    group="optimizer",
    source="Polyak: Some methods of speeding up the convergence of iteration methods, 1964",
)
NESTEROV = define(
    "nesterov",
    _HEAVY_BALL + "w.new[...] = w[...] + momentum*m.new[...] - a*g[...]",
    samples=[{**_W, "m": (3, 5)}],
    outputs=_MOVED,
    momentum=0.9,
    group="optimizer",
    source="Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum, 2013",
)


def _rmsprop(centered: bool, momentum: bool) -> Operation:
    """Divided by the root of the mean square, or of the variance; with or without a heavy ball."""
    lines, states = ["v.new[...] = rho*v[...] + (1 - rho)*g[...]**2"], ["v"]
    square = "v.new[...]"
    numbers: dict[str, Any] = {"rho": 0.9, "epsilon": 1e-7}
    if centered:
        lines.append("c.new[...] = rho*c[...] + (1 - rho)*g[...]")
        states.append("c")
        square = "v.new[...] - c.new[...]**2"
    move = f"a*g[...]/sqrt({square} + epsilon)"
    if momentum:
        lines.append(f"m.new[...] = momentum*m[...] + {move}")
        states.append("m")
        numbers["momentum"] = 0.9
        move = "m.new[...]"
    return define(
        "rmsprop" + "_centered" * centered + "_momentum" * momentum,
        "\n".join([*lines, f"w.new[...] = w[...] - {move}"]),
        samples=[{**_W, **dict.fromkeys(states, (3, 5))}],
        domains={"v": "positive", **({"c": "unit"} if centered else {})},
        outputs=(*(f"{state}.new" for state in states), "w.new"),
        group="optimizer",
        source="Tieleman, Hinton: Lecture 6.5 of Neural Networks for Machine Learning, 2012"
        + "; centered: Graves: Generating Sequences With Recurrent Neural Networks, 2013"
        * centered,
        **numbers,
    )


RMSPROP = {
    (centered, momentum): _rmsprop(centered, momentum)
    for centered in (False, True)
    for momentum in (False, True)
}
ADAGRAD = define(
    "adagrad",
    "n.new[...] = n[...] + g[...]**2\n"
    "w.new[...] = w[...] - a*g[...]/sqrt(initial_accumulator_value + n.new[...] + epsilon)",
    samples=[{**_W, "n": (3, 5)}],
    domains={"n": "positive"},
    outputs=("n.new", "w.new"),
    initial_accumulator_value=0.1,
    epsilon=1e-7,
    group="optimizer",
    source="Duchi, Hazan, Singer: Adaptive Subgradient Methods, 2011",
)


def _adam(amsgrad: bool) -> Operation:
    """Divided by the root of the mean square, or of the largest that there ever was."""
    moments = (
        "m.new[...] = m[...] + (1 - beta_1)*(g[...] - m[...])\n"
        "v.new[...] = v[...] + (1 - beta_2)*(g[...]**2 - v[...])\n"
    )
    largest = "u.new[...] = max(u[...], v.new[...])\n" if amsgrad else ""
    square, states = ("u", ["m", "v", "u"]) if amsgrad else ("v", ["m", "v"])
    source = "Kingma, Ba: Adam: A Method for Stochastic Optimization, 2015"
    if amsgrad:
        source += "; Reddi, Kale, Kumar: On the Convergence of Adam and Beyond, 2018"
    return define(
        "adam" + "_amsgrad" * amsgrad,
        f"{moments}{largest}w.new[...] = w[...] - a*m.new[...]/(sqrt({square}.new[...]) + epsilon)",
        samples=[{**_W, **dict.fromkeys(states, (3, 5))}],
        domains={state: "positive" for state in states if state != "m"},
        outputs=(*(f"{state}.new" for state in states), "w.new"),
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        group="optimizer",
        source=source,
    )


ADAM = {amsgrad: _adam(amsgrad) for amsgrad in (False, True)}
ADAM_STEP = define(
    "adam_step",
    "a = rate*sqrt(1 - beta_2**t)/(1 - beta_1**t)",
    samples=[{"rate": (), "t": ()}],
    domains={"rate": "positive", "t": 10},
    beta_1=0.9,
    beta_2=0.999,
    group="optimizer",
    source="Kingma, Ba: Adam: A Method for Stochastic Optimization, 2015",
)
WEIGHT_DECAY = define(
    "weight_decay",
    "y[...] = w[...] - rate*weight_decay*w[...]",
    samples=[{"w": (3, 5), "rate": ()}],
    weight_decay=0.1,
    group="optimizer",
    source="Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019",
)
SQUARES = define("squares", "y = sum[...](g[...]**2)", samples=[{"g": (3, 5)}], group="optimizer")
CLIPPINGS = {
    "clipvalue": define(
        "clip_by_value",
        "y[...] = min(max(g[...], -clipvalue), clipvalue)",
        samples=[{"g": (3, 5)}],
        clipvalue=0.5,
        group="optimizer",
    ),
    "clipnorm": define(
        "clip_by_norm",
        "s = sum[...](g[...]**2)\ny[...] = g[...]*(clipnorm/max(sqrt(s), clipnorm))",
        samples=[{"g": (3, 5)}],
        outputs=("y",),
        clipnorm=0.5,
        group="optimizer",
        source="Pascanu, Mikolov, Bengio: On the difficulty of training recurrent neural networks, 2013",
    ),
    "global_clipnorm": define(
        "clip_by_global_norm",
        "y[...] = g[...]*(global_clipnorm/max(sqrt(s), global_clipnorm))",
        samples=[{"g": (3, 5), "s": ()}],
        domains={"s": "positive"},
        global_clipnorm=0.5,
        group="optimizer",
        source="Pascanu, Mikolov, Bengio: On the difficulty of training recurrent neural networks, 2013",
    ),
}


def clipping(given: Mapping[str, float | None]) -> Operation | None:
    """The rule for gradients, of which there may be one."""
    wanted = {name: bound for name, bound in given.items() if bound is not None}
    if len(wanted) > 1:
        raise GraphnnError(f"only one of clipnorm, clipvalue and global_clipnorm, got {wanted}")
    for name, bound in wanted.items():
        if not bound > 0:
            raise GraphnnError(f"{name} must be above 0, got {bound}")
        return with_attributes(CLIPPINGS[name], **wanted)
    return None


def decay(weight_decay: float | None) -> Operation | None:
    """The rule for weights that decay."""
    if not weight_decay:
        return None
    if not weight_decay > 0:
        raise GraphnnError(f"weight_decay must be a number from 0 on, got {weight_decay!r}")
    return with_attributes(WEIGHT_DECAY, weight_decay=weight_decay)
