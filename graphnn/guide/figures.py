"""Figures that are computed: functions with their gradients, losses, the ways of optimizers, the two modes.

Each takes an entry's subject and gives an SVG, or a table, to stand in the page. All values come from compiled
functions.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np

import graphnn as gn
from graphnn.drawing import Drawing
from graphnn.graph.node import Input, Node
from graphnn.optimizers import SGD, Optimizer, schedules

from .entry import Figure, Subject
from .facts import graph
from .plots import Curve, Plot, bars, svg

__all__ = [
    "decays",
    "differences",
    "edges_found",
    "function_and_gradient",
    "loss_curve",
    "loss_of_prediction",
    "path",
    "rates",
    "softmax_bars",
    "step",
    "temperatures",
]

_START, _CURVATURES, _STEPS = (-4.0, 1.6), (1.0, 18.0), 50
_BATCH = 32


def function_and_gradient(subject: Subject) -> str:
    """A function of one number and its derivative."""
    node, x = _with_input(subject)
    places = np.linspace(-5, 5, 801, dtype="float32")
    value, slope = _values(gn.sum(node), x, places, node)
    curves = (Curve("y", places, value), Curve("∂y/∂x", places, slope, "gradient"))
    low, high = min(value.min(), slope.min()), max(value.max(), slope.max())
    spare = 0.08 * (high - low)
    window = (max(float(low - spare), -2.2), min(float(high + spare), 2.6))
    return svg(Plot(f"{node.name} and its derivative", curves, y_range=window))


def loss_of_prediction(subject: Subject) -> str:
    """The loss of one sample whose truth is 1, as a function of the prediction, and its derivative."""
    assert isinstance(subject, Node)
    truth, prediction = _inputs(subject)
    is_probability = "crossentropy" in graph(subject).applications[0].operation.name
    places = np.linspace(0.02, 1, 400) if is_probability else np.linspace(-1, 3, 401)
    slope = gn.compute_gradients(subject, wrt=[prediction])[prediction]
    run = gn.function([truth, prediction], [subject, slope])
    pairs = [run(np.ones((1, 1)), np.full((1, 1), p)) for p in places]
    value, gradient = (np.array([float(pair[k].sum()) for pair in pairs]) for k in (0, 1))
    curves = (Curve("L", places, value), Curve("∂L/∂p", places, gradient, "gradient"))
    window = (-6.0, 4.5) if is_probability else (-4.2, 4.4)
    return svg(Plot("loss and its derivative", curves, "p", y_range=window))


def softmax_bars(subject: Subject) -> str:
    """Logits and probabilities of the guide's example."""
    node, x = _with_input(subject)
    logits = [2.0, 1.0, 0.1]
    probabilities = gn.function([x], node)([logits])[0]
    groups = [("logits", logits), ("probabilities", [float(p) for p in probabilities])]
    return bars("softmax of three logits", groups, ["class 0", "class 1", "class 2"])


def temperatures(_: Subject) -> str:
    """Probabilities of three classes over the temperature."""
    x = gn.Input((None, 3), name="x")
    softmax = gn.function([x], gn.softmax(x))
    degrees = np.linspace(0.05, 5, 300)
    found = np.asarray(softmax(np.array([[2.0, 1.0, 0.1]]) / degrees[:, None]))
    looks = ("value", "gradient", "other")
    curves = tuple(Curve(f"class {k}", degrees, found[:, k], looks[k]) for k in range(3))
    return svg(Plot("softmax over temperature", curves, "temperature", "probability"))


def path(name: str, make: Callable[[], Optimizer]) -> Figure:
    """The way of an optimizer down a narrow valley, with lines of equal loss and plain SGD to compare."""

    def figure(_: Subject) -> str:
        levels = [_ellipse(height) for height in (0.15, 0.6, 1.5, 3, 6, 11, 19)]
        plain = _way(SGD(0.09))
        way = _way(make())
        curves = [*levels]
        if not np.array_equal(way, plain):
            curves.append(Curve("SGD", plain[:, 0], plain[:, 1], "faint", dots=True))
        curves.append(Curve(name, way[:, 0], way[:, 1], "gradient", dots=True))
        title = f"{name} in a valley"
        return svg(Plot(title, tuple(curves), "w₀", "w₁", (-4.6, 1.9), (-1.9, 1.9)))

    return figure


def rates(_: Subject) -> str:
    """The loss of SGD at several learning rates, over steps."""
    looks = ("faint", "other", "value", "gradient")
    curves = []
    for rate, look in zip((0.001, 0.01, 0.1, 0.12), looks, strict=True):
        way = _way(SGD(rate), 60)
        loss = 0.5 * (way**2 @ np.array(_CURVATURES))
        curves.append(Curve(f"{rate:g}", np.arange(len(loss)), loss, look))
    return svg(Plot("loss over steps", tuple(curves), "step", "loss", logarithmic=True))


def decays(_: Subject) -> str:
    """The learning rates of three schedules."""
    steps = np.arange(101)
    made = (
        ("exponential", schedules.ExponentialDecay(0.1, 25, 0.5), "value"),
        ("polynomial", schedules.PolynomialDecay(0.1, 100, 0.0), "gradient"),
        ("cosine", schedules.CosineDecay(0.1, 100), "other"),
    )
    curves = (Curve(n, steps, [float(rate(int(t))) for t in steps], k) for n, rate, k in made)
    return svg(Plot("learning rate over steps", tuple(curves), "step", "rate"))


def step(subject: Subject) -> Drawing:
    """The picture of a whole training step."""
    return gn.draw(subject, graph="train")


def loss_curve(subject: Subject) -> str:
    """What a training has recorded."""
    assert isinstance(subject, gn.History)
    history = subject.history
    epochs = np.arange(1, len(history["loss"]) + 1)
    curves = (
        Curve("training", epochs, history["loss"]),
        Curve("validation", epochs, history["val_loss"], "gradient"),
    )
    return svg(Plot("loss over epochs", curves, "epoch", "loss"))


def differences(subject: Subject) -> str:
    """What the graphs of training and of inference are made of, as a table."""
    assert isinstance(subject, gn.Model)
    loss, updates = subject.loss_node, subject.updates.new_values
    changes = gn.Graph([loss], training=True).changes
    training = gn.Graph([loss, *updates.values(), *changes.values()], training=True)
    inference = gn.Graph(subject.outputs, training=False)
    forward = gn.Graph([loss], training=True).applications
    gradients = [a for a in training.applications if a.role == "gradient"]
    others = len(training.applications) - len(forward) - len(gradients)
    names = [{a.operation.name for a in g.applications} for g in (training, inference)]
    truth = [node for node in training.inputs if node not in subject.inputs]
    functions = (
        gn.function([*subject.inputs, *truth], loss, subject.updates),
        gn.function(subject.inputs, subject.outputs),
    )
    memory = [f"{_memory(each):,} bytes" for each in functions]

    def either(name: str, yes: str, no: str) -> tuple[str, ...]:
        return tuple(yes if name in each else no for each in names)

    return _table(
        [
            ("", "training", "inference"),
            ("Forward and loss", f"{len(forward)} operations", f"{len(inference.applications)}"),
            ("Gradients", f"{len(gradients)} operations", "none"),
            ("Updates", f"{others} operations", "none"),
            ("Tensors that change", str(len({*updates, *changes})), "none"),
            (f"Memory for {_BATCH} samples", *memory),
            ("Dropout", *either("dropout", "drops", "does nothing")),
            ("Statistics used", *either("batch_normalization", "those of the batch", "saved ones")),
            ("Saved statistics", *either("moving_average", "move", "stay")),
        ]
    )


def _memory(function: gn.Function) -> int:
    """Bytes for a batch of zeros."""
    function(*[np.zeros([n or _BATCH for n in node.shape], node.dtype) for node in function.inputs])
    return function.memory


def edges_found(_: Subject) -> str:
    """A drawn square, and what two kernels of differences make of it."""
    image = np.zeros((1, 22, 22, 1), "float32")
    image[0, 6:16, 5:15] = 1
    x = gn.Input((1, 22, 22, 1), name="image")
    layer = gn.layers.Conv2D(2, 3, use_bias=False)
    y = layer(x)
    columns = np.array([[-1, 0, 1]] * 3, "float32")
    layer.set_weights([np.stack([columns, columns.T], -1)[:, :, None]])
    found = gn.function([x], y)(image)[0]
    pictures = [image[0, 1:-1, 1:-1, 0], found[..., 0], found[..., 1]]
    return _images(pictures, ["image", "right − left", "bottom − top"])


def _images(pictures: list[np.ndarray], names: list[str]) -> str:
    size, gap = 160.0, 20.0
    parts = []
    for k, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        cell, left = size / len(picture), k * (size + gap)
        largest = float(np.abs(picture).max())
        parts.append(
            f'<rect class="ground" x="{left:g}" y="0" width="{size:g}" height="{size:g}"/>'
        )
        for row, column in np.argwhere(picture):
            value = float(picture[row, column]) / largest
            look = "look-gradient" if value < 0 else "look-value"
            parts.append(
                f'<rect class="bar {look}" x="{left + column * cell:.2f}" y="{row * cell:.2f}"'
                f' width="{cell:.2f}" height="{cell:.2f}" opacity="{abs(value):.2f}"/>'
            )
        parts.append(
            f'<text class="tick" x="{left + size / 2:g}" y="180" text-anchor="middle">{name}</text>'
        )
    body = "\n".join(parts)
    return f'<svg class="plot" viewBox="0 0 520 186" role="img" aria-label="edges">\n{body}\n</svg>'


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(c)}</td>" for c in rest)}</tr>'
        for first, *rest in body
    )
    return f'<table class="plain"><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>'


def _inputs(node: Node) -> list[Input]:
    return graph(node).inputs


def _with_input(subject: Subject) -> tuple[Node, Input]:
    assert isinstance(subject, Node)
    (x,) = _inputs(subject)
    return subject, x


def _values(total: Node, x: Input, places: np.ndarray, node: Node) -> tuple[np.ndarray, np.ndarray]:
    slope = gn.compute_gradients(total, wrt=[x])[x]
    value, gradient = gn.function([x], [node, slope])(places)
    return value, gradient


def _way(optimizer: Optimizer, steps: int = _STEPS) -> np.ndarray:
    """The places an optimizer comes by on ``0.5*sum[i](c[i]*w[i]**2)``."""
    w = gn.Parameter(np.array(_START), "w")
    valley = gn.op("y = 0.5*sum[i](c[i]*w[i]**2)", name="valley")
    loss = valley(np.array(_CURVATURES), w)
    assert isinstance(loss, Node)
    updates = optimizer.apply_gradients(gn.compute_gradients(loss))
    run = gn.function([], loss, updates)
    places = [w.value.copy()]
    for _ in range(steps):
        run()
        places.append(w.value.copy())
    return np.array(places)


def _ellipse(height: float) -> Curve:
    """Where the loss of the valley has this height."""
    angle = np.linspace(0, 2 * np.pi, 181)
    wide, high = (np.sqrt(2 * height / c) for c in _CURVATURES)
    return Curve("", wide * np.cos(angle), high * np.sin(angle), "level")
