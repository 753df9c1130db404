"""Callbacks: what is told how training goes, and may stop it; Keras's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import GraphnnError

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["Callback", "History", "listeners"]

Logs = Mapping[str, float]


class Callback:
    """Base of all callbacks: override what you want to hear of.

    ``model`` is the model in training; setting ``model.stop_training`` ends it after the batch.
    ``params`` says how many ``epochs`` and ``steps`` there are, and whether anything ``validates``.
    ``logs`` holds the loss and the metrics so far in this epoch, by name.
    """

    model: Model
    params: Mapping[str, Any] = MappingProxyType({})

    @property
    def hears_batches(self) -> bool:
        """Is it to be told of every batch? Training then stops after each, else it goes on for a while."""
        mine = (self.on_train_batch_begin, self.on_train_batch_end)
        return any(getattr(method, "__func__", None) not in _SILENT for method in mine)

    def set_model(self, model: Model) -> None:
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch; ``logs`` holds the validation's results too, as ``val_loss`` and so on."""

    def on_train_batch_begin(self, batch: int, logs: Logs) -> None:
        """Before a batch, counted from 0."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After a batch."""


def listeners(given: Callback | Iterable[Callback] | None) -> list[Callback]:
    """One callback or several, or none. Raises `GraphnnError` for what hears of nothing."""
    found = list(given) if isinstance(given, Iterable) else [] if given is None else [given]
    for each in found:
        if isinstance(each, type) or not hasattr(each, "on_train_begin"):
            raise GraphnnError(f"expected a callback, an object of gn.Callback, got {each!r}")
    return found


_SILENT = (Callback.on_train_batch_begin, Callback.on_train_batch_end)


class History(Callback):
    """What `fit` returns: ``history["loss"]`` is the list of the epochs' losses, and so on for each metric.

    It is ``model.history``, too, also where `fit` was interrupted.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def set_model(self, model: Model) -> None:
        model.history = self

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def plot(self, path: str | Path | None = None) -> Any:
        """The curves, training solid and validation dashed: saved to ``path`` (which is returned), or the figure."""
        from matplotlib.figure import (
            Figure,
        )  # takes a second to load, and training needs none of it

        names = [name for name in self.history if not name.startswith("val_")]
        figure = Figure(figsize=(4.5 * max(len(names), 1), 3.2), layout="constrained")
        epochs = [number + 1 for number in self.epoch]
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(1, len(names), place)
            axes.plot(epochs, self.history[name], label="training")
            if f"val_{name}" in self.history:
                axes.plot(epochs, self.history[f"val_{name}"], "--", label="validation")
            axes.set(title=name, xlabel="epoch")
            axes.legend()
        if path is None:
            return figure
        figure.savefig(path)
        return Path(path)

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"
