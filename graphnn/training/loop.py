"""The loop: epochs of batches through compiled steps, averaged over samples, told to callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..function import Function
from ..random import Stream, permutation
from .callbacks import Callback, History
from .data import Samples
from .progress import Progress

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["Averages", "Position", "run", "train"]


@dataclass(slots=True)
class Position:
    """Where a `fit` stands: before ``batch`` of ``epoch``, whose order was drawn from ``stream``, with what
    its batches up to there gave."""

    samples: int
    batch_size: int
    epoch: int = 0
    batch: int = 0
    stream: Stream | None = None
    sums: np.ndarray | None = None

    def next_epoch(self) -> None:
        self.epoch, self.batch, self.stream, self.sums = self.epoch + 1, 0, None, None


class Averages:
    """Means over samples, of values that are means over batches: the last, smaller batch counts less."""

    def __init__(
        self, names: Sequence[str], sums: np.ndarray | None = None, count: int = 0
    ) -> None:
        self.names = list(names)
        self.sums = np.zeros(len(self.names)) if sums is None else sums.copy()
        self.count = count

    def add(self, values: Sequence[np.ndarray], samples: int) -> None:
        self.sums += [float(value) * samples for value in values]
        self.count += samples

    @property
    def logs(self) -> dict[str, float]:
        return {n: float(v) / self.count for n, v in zip(self.names, self.sums, strict=True)}


def run(
    function: Function, names: Sequence[str], samples: Samples, batch_size: int
) -> dict[str, float]:
    """The outputs of a function averaged over all samples; nothing is trained."""
    averages = Averages(names)
    for batch in samples.batches(batch_size):
        averages.add(function(*batch), len(batch[0]))  # type: ignore[arg-type]
    return averages.logs


def train(
    model: Model,
    function: Function,
    names: Sequence[str],
    samples: Samples,
    *,
    batch_size: int,
    epochs: int,
    shuffle: bool,
    position: Position,
    validate: Callable[[], dict[str, float]] | None,
    callbacks: Iterable[Callback],
    style: str,
) -> History:
    """Train for some epochs; ``function`` does one step on a batch and gives the loss and the metrics before it."""
    history = History()
    listeners = [history, *callbacks, Progress(style)]

    def tell(event: str, *arguments: object) -> None:
        for listener in listeners:
            getattr(listener, event)(*arguments)

    tell("set_model", model)
    tell("set_params", {"epochs": epochs, "steps": -(-samples.count // batch_size)})
    tell("on_train_begin", {})
    model.stop_training = False
    logs: dict[str, float] = {}
    for epoch in range(position.epoch, epochs):
        tell("on_epoch_begin", epoch, {})
        if shuffle and not position.batch:
            position.stream = model.random.streams.next()
        order = permutation(samples.count, position.stream) if position.stream else None
        averages = Averages(names, position.sums, min(position.batch * batch_size, samples.count))
        for number, batch in enumerate(
            samples.batches(batch_size, order, position.batch), position.batch
        ):
            tell("on_train_batch_begin", number, {})
            averages.add(function(*batch), len(batch[0]))  # type: ignore[arg-type]
            position.batch, position.sums = number + 1, averages.sums
            tell("on_train_batch_end", number, averages.logs)
            if model.stop_training:
                break
        if not model.stop_training:
            position.next_epoch()
        logs = averages.logs
        if validate is not None:
            logs |= {f"val_{name}": value for name, value in validate().items()}
        tell("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    tell("on_train_end", logs)
    return history
