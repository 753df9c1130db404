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
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import losses, optimizers
from .errors import GraphnnError
from .files.model_file import save_model
from .files.weights import load_weights, save_weights
from .function import Function, as_input
from .graph.graph import Graph
from .graph.node import Input, Node, Parameter, require_node
from .graph.updates import Updates
from .layers.base import Layer, positive
from .layers.order import ordered_layers, ordered_parameters
from .nested import as_list, check_nodes, outputs_for
from .optimizers import Optimizer
from .random import Source
from .summary import model_text, summary_text
from .training.callbacks import Callback, History, listeners
from .training.data import arrays_of, truth_input, weight_input
from .training.feed import ArrayFeed, Feed
from .training.feeding import (
    feed_of,
    predictions,
    samples_of,
    split_feed,
    start_of,
    validation_feed,
)
from .training.loop import Position, listed, run, train
from .training.objective import (
    Losses,
    Metrics,
    Settings,
    guessed_truth,
    measures_of,
    objective,
    per_output,
)
from .training.progress import shown, text, write
from .training.steps import Steps, batch_values, kind_of, plain
from .training.trained import Trained, noted

__all__ = ["Model"]


class Model(Layer):
    """The network from ``inputs`` to ``outputs`` (nodes, or lists of them).

    A model is a layer, too: called on other nodes it gives its outputs for those, with the same weights.
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
        super().__init__(name=name)
        self.built = True  # with its graph
        self.stop_training = False
        self.history = History()  # of the last `fit`
        self.settings: Settings | None = None
        self._trained = Trained()
        self.random = Source()
        self.position: Position | None = None
        self._define(inputs, outputs)

    def _define(self, inputs: Node | Sequence[Node], outputs: Node | Sequence[Node]) -> None:
        self.single_output = isinstance(outputs, Node)
        self.inputs = [as_input(node) for node in as_list(inputs)]
        self.outputs = [require_node(node, "each output of a model") for node in as_list(outputs)]
        self.graph = Graph(self.outputs)
        for node in self.graph.inputs:
            if node not in self.inputs:
                raise GraphnnError(f"{self.name}: the outputs need {node!r}, which is not an input")
        self.network_ends = self.inputs, outputs
        self._steps: dict[tuple[object, ...], Steps] = {}
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

    @property
    def trainable(self) -> bool:
        """Is any layer trained? Setting it sets that of all; it counts from the next `compile` on."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

    def get_layer(self, name: str) -> Layer:
        """The layer of that name."""
        layers = {layer.name: layer for layer in self.layers}
        if name not in layers:
            raise GraphnnError(f"{self.name} has no layer {name}; there are {', '.join(layers)}")
        return layers[name]

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table of the layers, their output shapes and numbers of parameters."""
        print_fn(summary_text(self))

    def __str__(self) -> str:
        """The inputs, the outputs, and the equations of each layer."""
        return model_text(self)

    # --- as a layer ----------------------------------------------------------------------------

    def call(self, *inputs: Node) -> Any:
        """The outputs for other inputs; weights are shared, masks of dropout are drawn anew."""
        check_nodes(self.name, self.inputs, inputs)
        nodes = outputs_for(self.inputs, self.outputs, inputs, self.calls + 1)
        return nodes[0] if self.single_output else nodes

    @property
    def learnt(self) -> list[Parameter]:
        return [p for layer in self.layers for p in layer.learnt]

    # --- training ------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: str | Optimizer = "rmsprop",
        loss: Losses | None = None,
        metrics: Metrics | None = None,
        *,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        weighted_metrics: Metrics | None = None,
        ftz: bool = False,
        windows: str = "auto",
    ) -> None:
        """Choose how to train: names as in Keras, `gn.optimizers` objects, functions ``(y_true, y_pred) -> node``.

        For several outputs ``loss`` and ``loss_weights`` are lists with one for each, or dicts by the outputs' names,
        ``metrics`` lists or dicts of lists; an output whose loss is None is not trained. ``weighted_metrics`` count
        samples by the weights that `fit` is given. For ``ftz`` and ``windows`` see `function`.
        """
        outputs = [node.name for node in self.outputs] or [self.name]  # one, if not built yet
        wanted = per_output(loss, outputs, "loss")
        chosen = [each if each is None else losses.get(each) for each in wanted]
        if all(each is None for each in chosen):
            raise GraphnnError(f"{self.name}: compile needs a loss, for example loss='mse'")
        factors = 1.0 if loss_weights is None else loss_weights
        self.settings = Settings(
            optimizers.get(optimizer),
            chosen,
            measures_of(metrics, outputs, "metrics"),
            [float(each) for each in per_output(factors, outputs, "loss_weights")],
            measures_of(weighted_metrics, outputs, "weighted_metrics"),
            ftz,
            windows,
        )
        self._trained = noted(self.layers, self.weights, self.graph)
        self.position = self._inference = None
        self._steps = {}

    @property
    def optimizer(self) -> Optimizer:
        return self.compiled().optimizer

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
        y: object = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: object = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: object = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Container[int] = 1,
        *,
        resume: bool = False,
    ) -> History:
        """Train on samples, ``batch_size`` (32) at a time, and return the `History`.

        ``x`` and ``y`` are arrays, lists of them or dicts by name, or ``x`` alone gives batches
        ``(x, y)`` or ``(x, y, sample_weight)``: any iterable, ``steps_per_epoch`` of it for each
        epoch. ``validation_data`` is like either, ``validation_split`` keeps the last share of the samples instead;
        both serve after each ``validation_freq``-th epoch, or those in it. ``sample_weight`` has a weight for each
        sample, or each step of each (a mask is one of 0 and 1), ``class_weight`` one for each class, in training only.

        ``resume`` goes on where the last `fit` on arrays stood, or stood when the model was saved,
        be it within an epoch: the same arguments then lead to the same result as if there had been
        no break. Raises before anything is trained: `GraphnnError` if the model is not compiled,
        `ShapeError` and `DtypeError` where arrays do not fit, IndexError for labels and tokens out
        of range.
        """
        style = shown(verbose)
        feed = feed_of(self, x, y, sample_weight, class_weight, batch_size, steps_per_epoch)
        positive(epochs, "epochs")
        validation: Feed | None = None
        if validation_data is not None:
            size = batch_size if validation_batch_size is None else validation_batch_size
            validation = validation_feed(self, validation_data, size, validation_steps)
        elif validation_split:
            plain_feed = feed_of(self, x, y, sample_weight, None, batch_size, validation_steps)
            feed, _ = split_feed(feed, validation_split)
            _, validation = split_feed(plain_feed, validation_split, validation_batch_size)
        for each in (feed, validation):
            if isinstance(each, ArrayFeed):
                each.steps.train.check(each.samples.arrays, min(each.size, each.samples.count))
        return train(
            self,
            feed,
            epochs=epochs,
            callbacks=listeners(callbacks),
            shuffle=shuffle and isinstance(feed, ArrayFeed),
            position=start_of(self, feed, resume, initial_epoch),
            validate=partial(run, validation) if validation is not None else None,
            validation_freq=validation_freq,
            style=style,
        )

    def train_on_batch(
        self,
        x: object,
        y: object,
        sample_weight: object = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on these samples; the loss (with metrics: a list of it and those) before the update."""
        steps, samples = samples_of(self, x, y, sample_weight, class_weight)
        return batch_values(steps, listed(steps.train(*samples.arrays)), samples, return_dict)

    def test_on_batch(
        self, x: object, y: object, sample_weight: object = None, return_dict: bool = False
    ) -> Any:
        """The loss (with metrics: a list of it and those) of these samples; no weight changes."""
        steps, samples = samples_of(self, x, y, sample_weight)
        return batch_values(steps, listed(steps.test(*samples.arrays)), samples, return_dict)

    def predict_on_batch(self, x: object) -> Any:
        """The outputs for these samples, all at once; no weight changes."""
        return self.predict(x, batch_size=len(arrays_of(x, self.inputs, "x")[0]))

    def evaluate(
        self,
        x: object,
        y: object = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: object = None,
        steps: int | None = None,
        *,
        return_dict: bool = False,
    ) -> Any:
        """The loss (with metrics: a list of it and those, or a dict) over all samples; no weight changes."""
        style = shown(verbose)
        logs = run(feed_of(self, x, y, sample_weight, None, batch_size, steps))
        if style != "nothing":
            write(text(logs))
        return logs if return_dict else plain(list(logs.values()))

    def predict(
        self,
        x: object,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
    ) -> Any:
        """The outputs for these samples, or for the batches of an iterable (the first entries of tuples)."""
        shown(verbose)
        found = predictions(self, x, batch_size, steps)
        return found[0] if self.single_output else found

    @property
    def inference(self) -> Function:
        """From inputs to outputs, writing no weight."""
        if self._inference is None:
            how = self.settings.options if self.settings else {}
            with self._trained.held():
                self._inference = Function(self.inputs, self.outputs, training=False, **how)
        return self._inference

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

    def meet(self, x: object) -> None:
        """Data are about to be used: a model that is not defined yet may take its input's shape from them."""

    def compiled(self) -> Settings:
        """What `compile` was told; `GraphnnError` before that."""
        if self.settings is None:
            raise GraphnnError(f"{self.name} is not compiled: call compile(optimizer, loss) first")
        return self.settings

    def steps_for(self, truth: Sequence[np.ndarray], weights: Sequence[np.ndarray | None]) -> Steps:
        """The steps for labels and weights of this kind, made when they are first met."""
        key = kind_of(truth, weights)
        if key not in self._steps:
            pairs = zip(weights, self.outputs, strict=True)
            self._steps[key] = self._new_steps(
                list(map(truth_input, truth, self.outputs)),
                [None if w is None else weight_input(w, output) for w, output in pairs],
            )
        return self._steps[key]

    def _default_steps(self) -> Steps:
        """Those that were made first; before there are labels, for labels as the losses want them."""
        if not self._steps:
            truths = list(map(guessed_truth, self.outputs, self.compiled().losses))
            self._steps[()] = self._new_steps(truths, [None] * len(truths))
        return next(iter(self._steps.values()))

    def _new_steps(self, truths: list[Input], weights: list[Input | None]) -> Steps:
        settings = self.compiled()
        with self._trained.held():
            goal = objective(settings, self.outputs, truths, weights, self.losses)
        return Steps(self.inputs, goal, settings.optimizer, settings.options, self._trained)
