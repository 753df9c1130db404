"""A model from its file, without any Python of whoever made it.

What is pickled, sent to another process, or copied by ``copy.deepcopy`` goes the same way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from . import losses
from .errors import FormatError, GraphnnError
from .files.limits import DEFAULT, Limits
from .files.measures import measure_function, metric
from .files.model_file import packed_model, read_model, unpacked_model
from .files.saved import Measure, Saved
from .graph.node import Node
from .model import Model
from .random import Source
from .training.loop import Position

__all__ = ["NestedModel", "load_model", "model_of"]


class NestedModel(Model):
    """A model within one that was read, under the kind it had: a `Sequential` is no list to add to any more."""

    def __init__(
        self,
        inputs: Sequence[Node],
        outputs: Node | Sequence[Node],
        name: str,
        kind: str,
        calls: int,
    ) -> None:
        super().__init__(inputs, outputs, name)
        self._kind, self._calls = kind, calls

    @property
    def kind(self) -> str:
        return self._kind


def load_model(path: str | os.PathLike[str], limits: Limits = DEFAULT) -> Model:
    """The model that `Model.save` wrote: it predicts, and goes on with training where it stopped.

    It is a `Model`, and so are the models within it; their layers have the names, kinds, formulas and parameters of
    those that were saved, and can be called and frozen, but are none of the Python classes that made them.
    Nothing in the file is run; ``limits`` bounds what it may ask for. Raises OSError if there is no
    such file, `FormatError` if it is damaged or of another kind.
    """
    saved = read_model(path, NestedModel, limits)
    try:
        return _built(saved)
    except GraphnnError as error:
        raise FormatError(f"{os.fspath(path)}: {error}") from None


def model_of(contents: bytes) -> Model:
    """The model whose file has these bytes. Raises `FormatError`."""
    return _built(unpacked_model(contents, NestedModel))


def _reduced(model: Model) -> tuple[Callable[[bytes], Model], tuple[bytes]]:
    return model_of, (b"".join(packed_model(model)),)


setattr(Model, "__reduce__", _reduced)  # noqa: B010  # a copy, or a pickled model, is what its file is


def _built(saved: Saved) -> Model:
    outputs = saved.outputs[0] if saved.single_output else saved.outputs
    model = Model(saved.inputs, outputs, saved.name)
    model.random = Source(saved.streams)
    if saved.training is not None:
        model.compile(
            saved.training.optimizer,
            [
                measure_function(each, losses.get) if each else None
                for each in saved.training.losses
            ],
            _metrics(saved.training.metrics),
            loss_weights=saved.training.loss_weights,
            weighted_metrics=_metrics(saved.training.weighted_metrics),
            ftz=saved.training.ftz,
            windows=saved.training.windows,
        )
        model.position = _fitting(saved.position, model.compiled().count)
    return model


def _fitting(position: Position | None, measures: int) -> Position | None:
    if position and position.sums is not None and len(position.sums) != 2 * measures:
        raise FormatError(f"expected sums of {measures} measures, got {len(position.sums)}")
    return position


def _metrics(measures: Sequence[Sequence[Measure]]) -> list[list[Callable[..., Node]]]:
    return [[measure_function(each, metric) for each in several] for several in measures]
