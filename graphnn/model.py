"""Model: a network from inputs to outputs with the training that users of Keras know.

    image = Input((None, 784))
    model = Model(image, Dense(10, activation="softmax")(Dense(128, activation="relu")(image)))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=10, validation_split=0.1)

A training step is one graph, forward, backward and update, compiled together when the data are first seen; inference is
another, of the same nodes, which writes no weight.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from . import losses, optimizers
from . import metrics as metrics_module
from .errors import GraphnnError
from .files.model_file import save_model
from .files.weights import load_weights, save_weights
from .function import Function
from .gradients import compute_gradients
from .graph.graph import Graph
from .graph.node import Input, Node, Parameter, require_node, unique_name
from .layers.base import Layer, LayerCall, assign_all, positive
from .layers.order import ordered_layers, ordered_parameters
from .losses import Loss
from .metrics import Metric
from .optimizers import Optimizer, Updates
from .random import Source
from .summary import summary_text
from .training.callbacks import Callback, History
from .training.data import Samples, arrays_of, fitting, truth_input
from .training.loop import Position, run, train
from .training.objective import Objective, guessed_truth, objective, per_output
from .training.progress import shown, text, write

__all__ = ["Model"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What `Model.compile` was told."""

    optimizer: Optimizer
    losses: list[Loss]
    metrics: list[list[tuple[str, Metric]]]


@dataclass(frozen=True)
class _Steps:
    """Training and testing on labels of one kind; each is compiled when it is first used."""

    inputs: list[Input]
    objective: Objective
    optimizer: Optimizer

    @cached_property
    def updates(self) -> Updates:
        return self.optimizer.apply_gradients(compute_gradients(self.objective.loss))

    @cached_property
    def train(self) -> Function:
        return Function(self.inputs, self.objective.nodes, self.updates, training=True)

    @cached_property
    def test(self) -> Function:
        return Function(self.inputs, self.objective.nodes, training=False)


class Model:
    """The network from ``inputs`` to ``outputs`` (nodes, or lists of them).

    Raises `GraphnnError` where an output needs an input that is not listed.

    >>> from graphnn.layers import Dense
    >>> x = Input((None, 3), name="x")
    >>> print(Model(x, Dense(2, name="line")(x), name="fit"))
    fit: x f32[N, 3] -> line f32[N, 2]
    <BLANKLINE>
    line (Dense)
        line[n, o] = sum[i](x[n, i]*line_kernel[i, o]) + line_bias[o]
    """

    def __init__(
        self,
        inputs: Node | Sequence[Node],
        outputs: Node | Sequence[Node],
        name: str | None = None,
    ) -> None:
        self.name = name or unique_name("model")
        self.stop_training = False
        self.settings: Settings | None = None
        self.random = Source()
        self.position: Position | None = None
        self._define(inputs, outputs)

    def _define(self, inputs: Node | Sequence[Node], outputs: Node | Sequence[Node]) -> None:
        self.single_output = isinstance(outputs, Node)
        self.inputs = [_input(node) for node in _listed(inputs)]
        self.outputs = [require_node(node, "each output of a model") for node in _listed(outputs)]
        self.graph = Graph(self.outputs)
        for node in self.graph.inputs:
            if node not in self.inputs:
                raise GraphnnError(f"{self.name}: the outputs need {node!r}, which is not an input")
        self._steps: dict[tuple[tuple[object, ...], ...], _Steps] = {}
        self._inference: Function | None = None

    # --- what it consists of -------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers in Keras's order: far from the outputs first, then by first use."""
        return [what for what in ordered_layers(self.outputs) if isinstance(what, Layer)]

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, layer by layer, kernel before bias."""
        return ordered_parameters(self.outputs)

    @property
    def parameters(self) -> list[Parameter]:
        """The trainable parameters, in the order of `weights`."""
        return [p for p in self.weights if p.trainable]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of `weights`."""
        return [p.value.copy() for p in self.weights]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Overwrite the values of `weights`. Raises `ShapeError` before anything is written."""
        assign_all(self.weights, weights, self.name)

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table of the layers, their output shapes and numbers of parameters."""
        print_fn(summary_text(self))

    def __str__(self) -> str:
        """The inputs, the outputs, and the equations of each layer."""
        ends = (
            ", ".join(f"{n.name} {n.type}" for n in ends) for ends in (self.inputs, self.outputs)
        )
        parts = [f"{self.name}: {' -> '.join(ends)}"]
        heading = ""
        for application in self.graph.applications:
            owner = next(iter(application.results.values())).owner
            layer = owner.layer if isinstance(owner, LayerCall) else None
            title = f"{layer.name} ({layer.kind})" if layer else application.name
            if title != heading:
                parts += ["", title]
                heading = title
            parts += [f"    {line}" for line in self.graph.lines(application)]
        return "\n".join(parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    # --- training ------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: str | Optimizer = "rmsprop",
        loss: str | Loss | Sequence[str | Loss] | None = None,
        metrics: Sequence[str | Metric | Sequence[str | Metric]] | None = None,
    ) -> None:
        """Choose how to train: names as in Keras, `gn.optimizers` objects, functions ``(y_true, y_pred) -> node``.

        For several outputs ``loss`` is a list with one for each, ``metrics`` a list of lists.
        """
        if loss is None:
            raise GraphnnError(f"{self.name}: compile needs a loss, for example loss='mse'")
        count = len(self.outputs) or 1  # a Sequential that is not built yet will have one
        wanted = list(metrics or [])
        nested = wanted and all(isinstance(m, (list, tuple)) for m in wanted)
        measures: list[Any] = per_output(wanted, count, "metrics") if nested else [wanted] * count
        chosen = [losses.get(each) for each in per_output(loss, count, "loss")]
        named = [[metrics_module.get(each) for each in several] for several in measures]
        self.settings = Settings(optimizers.get(optimizer), chosen, named)
        self.position = None
        self._steps = {}

    @property
    def optimizer(self) -> Optimizer:
        return self._settings().optimizer

    @property
    def loss_node(self) -> Node:
        """The loss as a node, with an input for the truth."""
        return self._default_steps().objective.loss

    @property
    def updates(self) -> Updates:
        """The training step as a graph: the new value of every weight and of every state of the optimizer."""
        return self._default_steps().updates

    def fit(
        self,
        x: object,
        y: object,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[object, object] | None = None,
        shuffle: bool = True,
        resume: bool = False,
    ) -> History:
        """Train on arrays of samples, ``batch_size`` (32) at a time, and return the `History`.

        ``validation_split`` keeps the last share of the samples for validation. ``resume`` goes on
        where the last `fit` stood, or stood when the model was saved, be it within an epoch: the
        same arguments then lead to the same result as if there had been no break. Raises before
        anything is trained: `GraphnnError` if the model is not compiled, `ShapeError` and
        `DtypeError` where arrays do not fit, IndexError for labels and tokens out of range.
        """
        size, style = _batch_size(batch_size), shown(verbose)
        steps, samples = self._samples(x, y, size)
        positive(epochs, "epochs")
        validation: Samples | None = None
        if validation_data is not None:
            validation = self._samples(*_pair(validation_data), size)[1]
        elif validation_split:
            samples, validation = samples.split(validation_split)
        for part in (samples, validation):
            if part is not None:
                steps.train.check(part.arrays, min(size, part.count))
        names, validate = steps.objective.names, None
        if validation is not None:
            validate = partial(run, steps.test, names, validation, size)
        return train(
            self,
            steps.train,
            names,
            samples,
            batch_size=size,
            epochs=epochs,
            shuffle=shuffle,
            position=self._start(samples.count, size, resume),
            validate=validate,
            callbacks=list(callbacks or ()),
            style=style,
        )

    def train_on_batch(self, x: object, y: object) -> float | list[float]:
        """One step on these samples; the loss (with metrics: a list of it and those) before the update."""
        steps, samples = self._samples(x, y, None)
        return _plain([float(value) for value in steps.train(*samples.arrays)])

    def evaluate(
        self,
        x: object,
        y: object,
        batch_size: int | None = None,
        verbose: int | str = "auto",
    ) -> float | list[float]:
        """The loss (with metrics: a list of it and those) over all samples; no weight changes."""
        size = _batch_size(batch_size)
        style = shown(verbose)
        steps, samples = self._samples(x, y, size)
        logs = run(steps.test, steps.objective.names, samples, size)
        if style != "nothing":
            write(text(logs))
        return _plain(list(logs.values()))

    def predict(
        self, x: object, batch_size: int | None = None, verbose: int | str = 0
    ) -> np.ndarray | list[np.ndarray]:
        """The outputs for these samples; no weight changes."""
        size = _batch_size(batch_size)
        shown(verbose)
        self._meet(x)
        samples = fitting(arrays_of(x, self.inputs, "x"), self.inputs, size)
        if self._inference is None:
            self._inference = Function(self.inputs, self.outputs, training=False)
        parts = [self._inference(*batch) for batch in samples.batches(size)]
        found = [np.concatenate([part[k] for part in parts]) for k in range(len(self.outputs))]
        return found[0] if self.single_output else found

    # --- files ---------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one file, of any name: graph, weights, optimizer, random streams.

        `load_model` reads it, without the Python that built the model. Raises OSError, and then the
        old file is as it was.
        """
        save_model(self, path)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights alone: as .npz if the path ends so, else as safetensors."""
        save_weights(self, path)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read the weights from such a file, or from one of `save`; none is written unless all fit.

        Raises `FormatError`, `GraphnnError` for other names, `ShapeError` for other shapes.
        """
        load_weights(self, path)

    @property
    def truths(self) -> list[tuple[Input, ...]]:
        """The inputs for the truth, one tuple for each kind of labels met so far."""
        return [steps.objective.truths for steps in self._steps.values()]

    def explain(self, stage: str | None = None) -> str:
        """The compiler's stages for the training step, or for inference if nothing was trained yet."""
        trained = [steps.train for steps in self._steps.values() if "train" in vars(steps)]
        functions = [*trained, *([self._inference] if self._inference else [])]
        if not functions:
            raise GraphnnError(f"{self.name}: call fit or predict first: nothing is compiled yet")
        return functions[0].explain(stage)

    def _meet(self, x: object) -> None:
        """Data are about to be used: a model that is not defined yet may take its input's shape from them."""

    def _settings(self) -> Settings:
        if self.settings is None:
            raise GraphnnError(f"{self.name} is not compiled: call compile(optimizer, loss) first")
        return self.settings

    def _samples(self, x: object, y: object, batch_size: int | None) -> tuple[_Steps, Samples]:
        """The steps for labels of this kind, and the samples, found to fit."""
        self._settings()
        self._meet(x)
        given = arrays_of(x, self.inputs, "x")
        truth = arrays_of(y, self.outputs, "y")
        key = tuple((a.dtype.kind, a.dtype.itemsize, *a.shape[1:]) for a in truth)
        if key not in self._steps:
            self._steps[key] = self._new_steps(list(map(truth_input, truth, self.outputs)))
        steps = self._steps[key]
        arrays = [*given, *truth]
        return steps, fitting(arrays, steps.inputs, batch_size or len(arrays[0]))

    def _start(self, samples: int, batch_size: int, resume: bool) -> Position:
        """Where training begins; `position` says from then on how far it is."""
        if not resume or self.position is None:
            self.position = Position(samples, batch_size)
        elif (self.position.samples, self.position.batch_size) != (samples, batch_size):
            raise GraphnnError(
                f"{self.name} goes on with {self.position.samples} samples in batches of"
                f" {self.position.batch_size}, got {samples} in batches of {batch_size}"
            )
        return self.position

    def _default_steps(self) -> _Steps:
        if not self._steps:
            return self._new_steps(list(map(guessed_truth, self.outputs, self._settings().losses)))
        return next(iter(self._steps.values()))

    def _new_steps(self, truths: list[Input]) -> _Steps:
        settings = self._settings()
        goal = objective(self.outputs, truths, settings.losses, settings.metrics)
        return _Steps([*self.inputs, *truths], goal, settings.optimizer)


def _listed(nodes: Node | Sequence[Node]) -> list[Node]:
    return [nodes] if isinstance(nodes, Node) else list(nodes)


def _input(node: Node) -> Input:
    if not isinstance(node, Input):
        raise GraphnnError(f"the inputs of a model are gn.Input nodes, got {node!r}")
    return node


def _batch_size(given: int | None) -> int:
    return 32 if given is None else positive(given, "batch_size")


def _pair(validation_data: tuple[object, object]) -> tuple[object, object]:
    if not isinstance(validation_data, (list, tuple)) or len(validation_data) != 2:
        raise GraphnnError("validation_data is a pair (x, y)")
    x, y = validation_data
    return x, y


def _plain(values: list[float]) -> float | list[float]:
    """The loss alone, or with the metrics."""
    return values if len(values) > 1 else values[0]
