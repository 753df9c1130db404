"""Callbacks: what happens beside training, with Keras's names, arguments and defaults.

    model.fit(x, y, validation_split=0.1, callbacks=[EarlyStopping(patience=5, restore_best_weights=True)])

Each hears of the events of `Callback`. "auto" takes what has "acc", "precision", "recall" or "top_k"
in its name to be better when greater, all else when smaller.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import GraphnnError
from .training.callbacks import Callback, History, Logs
from .training.progress import write

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]

_GREATER = ("acc", "precision", "recall", "top_k")


def _comes_later(name: str, logs: Logs, params: Mapping[str, Any]) -> bool:
    """Is it what validation gives, of which these logs have only what training gives?"""
    validated = name.startswith("val_") and bool(params.get("validates"))
    return validated and name.removeprefix("val_") in logs


class Monitor:
    """The best value so far of one of the logs, and whether another is better by more than ``min_delta``."""

    def __init__(self, name: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise GraphnnError(f"mode is 'auto', 'min' or 'max', got {mode!r}")
        greater = mode == "max" or (mode == "auto" and any(word in name for word in _GREATER))
        self.name, self.sign, self.min_delta = name, 1.0 if greater else -1.0, abs(min_delta)
        self.best: float | None = None

    def value(self, logs: Logs, params: Mapping[str, Any]) -> float | None:
        """None after an epoch that was not validated; raises `GraphnnError` where the name is never logged."""
        if self.name in logs:
            return logs[self.name]
        if _comes_later(self.name, logs, params):
            return None
        advice = ""
        if self.name.startswith("val_") and not params.get("validates"):
            advice = "; give fit validation_data or validation_split"
        raise GraphnnError(f"{self.name} is not among what is logged: {', '.join(logs)}{advice}")

    def is_better(self, value: float, than: float | None) -> bool:
        return than is None or self.sign * (value - than) > self.min_delta

    def improves(self, value: float) -> bool:
        """Is it the best so far? Then it is kept."""
        better = not math.isnan(value) and self.is_better(value, self.best)
        if better:
            self.best = value
        return better


class EarlyStopping(Callback):
    """Stops when ``monitor`` has not improved for ``patience`` epochs, if asked with the best epoch's weights."""

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        Monitor(monitor, mode)
        self.monitor, self.min_delta, self.mode = monitor, min_delta, mode
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch

    def on_train_begin(self, logs: Logs) -> None:
        self.watched = Monitor(self.monitor, self.mode, self.min_delta)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[np.ndarray] | None = None

    @property
    def best(self) -> float | None:
        """The best value of this training."""
        return self.watched.best

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = self.watched.value(logs, self.params)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.watched.improves(value):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.watched.is_better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        if self.stopped_epoch and self.verbose:
            write(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                write(f"Restored the weights of epoch {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Callback):
    """Saves the model, or its weights, after each epoch (or number of batches) or when ``monitor`` improves.

    ``filepath`` may name the epoch and the logs: ``"run-{epoch:02d}-{val_loss:.2f}.gn"``. Where it names what
    validation gives, or ``monitor`` does, epochs without validation are not saved. A file is replaced as a
    whole or not at all.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            raise GraphnnError(f"save_freq is 'epoch' or a number of batches, got {save_freq!r}")
        self.filepath, self.verbose, self.save_freq = os.fspath(filepath), verbose, save_freq
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.watched = Monitor(monitor, mode)
        self.watched.best = initial_value_threshold
        self.batches = self.epoch = 0

    @property
    def hears_batches(self) -> bool:
        return self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        self.batches += 1
        if self.save_freq != "epoch" and self.batches % int(self.save_freq) == 0:
            self._save(logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.save_freq == "epoch":
            self._save(logs)

    def _save(self, logs: Logs) -> None:
        params = self.params if self.save_freq == "epoch" else {}  # no batch is validated
        if self.save_best_only:
            value = self.watched.value(logs, params)
            if value is None or not self.watched.improves(value):
                return
        try:
            path = Path(self.filepath.format(epoch=self.epoch + 1, **logs))
        except KeyError as error:
            if _comes_later(error.args[0], logs, params):
                return
            raise GraphnnError(
                f"{self.filepath} names {error}, which is not logged: {', '.join(logs)}"
            ) from None
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            write(f"Epoch {self.epoch + 1}: saved to {path}")


class LearningRateScheduler(Callback):
    """Before each epoch the learning rate becomes ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, optimizer.learning_rate)
        except TypeError:  # Keras's older form
            rate = self.schedule(epoch)
        optimizer.learning_rate = float(rate)
        if self.verbose:
            write(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")


class ReduceLROnPlateau(Callback):
    """When ``monitor`` has not improved for ``patience`` epochs the learning rate is multiplied by ``factor``."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise GraphnnError(f"factor must lie between 0 and 1, got {factor}")
        Monitor(monitor, mode)
        self.monitor, self.mode, self.min_delta = monitor, mode, min_delta
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr

    def on_train_begin(self, logs: Logs) -> None:
        self.watched = Monitor(self.monitor, self.mode, self.min_delta)
        self.wait = self.resting = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = self.watched.value(logs, self.params)
        if value is None:
            return
        if self.resting:
            self.resting, self.wait = self.resting - 1, 0
        if self.watched.improves(value):
            self.wait = 0
            return
        if self.resting:
            return
        self.wait += 1
        optimizer = self.model.optimizer
        if self.wait >= self.patience and optimizer.learning_rate > self.min_lr:
            optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
            self.resting, self.wait = self.cooldown, 0
            if self.verbose:
                write(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")


class CSVLogger(Callback):
    """A line for each epoch, written at once: the epoch, counted from 0, and all logs by name."""

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.path, self.separator, self.append = Path(filename), separator, append
        self.file: IO[str] | None = None
        self.names: list[str] = []

    def on_train_begin(self, logs: Logs) -> None:
        going_on = self.append and self.path.exists() and self.path.stat().st_size > 0
        if going_on:
            with self.path.open(newline="", encoding="utf-8") as file:
                self.names = next(csv.reader(file, delimiter=self.separator))[1:]
        else:
            self.names = []
        self.file = self.path.open("a" if self.append else "w", newline="", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        assert self.file is not None
        writer = csv.writer(self.file, delimiter=self.separator)
        if not self.names:
            names = [name for name in logs if not name.startswith("val_")]
            validated = [f"val_{name}" for name in names] if self.params.get("validates") else []
            self.names = [*names, *validated]
            writer.writerow(["epoch", *self.names])
        writer.writerow([epoch, *(logs.get(name, "NA") for name in self.names)])
        self.file.flush()

    def on_train_end(self, logs: Logs) -> None:
        assert self.file is not None
        self.file.close()


class TerminateOnNaN(Callback):
    """Stops after a batch whose loss is NaN or infinite."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        if not math.isfinite(logs["loss"]):
            write(f"Batch {batch}: the loss is {logs['loss']}, training stops")
            self.model.stop_training = True


class LambdaCallback(Callback):
    """Functions for events by their names: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        events = [name for name in vars(Callback) if name.startswith("on_")]
        for event, function in functions.items():
            if event not in events:
                raise GraphnnError(f"there is no event {event}; events are {', '.join(events)}")
            setattr(self, event, function)
