"""The loop: epochs of batches through compiled steps, averaged over samples, told to callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphnnError
from ..random import Stream
from .callbacks import Callback, History
from .feed import Feed
from .objective import Objective
from .progress import Progress

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["Averages", "Position", "listed", "run", "train"]


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
    """Means of what batches give, each counted as its objective says: by samples, as a rule."""

    def __init__(self, names: Sequence[str] = (), sums: np.ndarray | None = None) -> None:
        self.names = list(names)
        self.sums = None if sums is None else sums.copy()  # totals, then counts

    def add(self, objective: Objective, results: Sequence[np.ndarray], samples: int) -> list[float]:
        """Take a batch in, and give what it gave."""
        self.names = objective.names
        values, counts = objective.shares(results, samples)
        parts = [v * n for v, n in zip(values, counts, strict=True)] + counts
        self.sums = np.array(parts) + (0 if self.sums is None else self.sums)
        return values

    @property
    def logs(self) -> dict[str, float]:
        if self.sums is None or not self.names:
            raise GraphnnError("there are no batches")
        totals, counts = self.sums.reshape(2, -1).tolist()
        means = (t / n if n else 0.0 for t, n in zip(totals, counts, strict=True))
        return dict(zip(self.names, means, strict=True))


def run(feed: Feed) -> dict[str, float]:
    """Loss and metrics over all batches; nothing is trained."""
    averages = Averages()
    for steps, batch in feed.epoch():
        averages.add(steps.objective, listed(steps.test(*batch)), len(batch[0]))
    return averages.logs


def listed(results: np.ndarray | list[np.ndarray]) -> list[np.ndarray]:
    return results if isinstance(results, list) else [results]


def train(
    model: Model,
    feed: Feed,
    *,
    epochs: int,
    shuffle: bool,
    position: Position,
    validate: Callable[[], dict[str, float]] | None,
    callbacks: Iterable[Callback],
    style: str,
) -> History:
    """Train until ``epochs`` have been done; logs are those of before each batch's update."""
    history = History()
    listeners = [history, *callbacks, Progress(style)]

    def tell(event: str, *arguments: object) -> None:
        for listener in listeners:
            getattr(listener, event)(*arguments)

    tell("set_model", model)
    tell("set_params", {"epochs": epochs, "steps": feed.length})
    tell("on_train_begin", {})
    model.stop_training = False
    logs: dict[str, float] = {}
    for epoch in range(position.epoch, epochs):
        tell("on_epoch_begin", epoch, {})
        if shuffle and not position.batch:
            position.stream = model.random.streams.next()
        averages = Averages(feed.names, position.sums)
        fed = feed.epoch(position.stream, position.batch)
        for number, (steps, batch) in enumerate(fed, position.batch):
            tell("on_train_batch_begin", number, {})
            averages.add(steps.objective, listed(steps.train(*batch)), len(batch[0]))
            position.batch, position.sums = number + 1, averages.sums
            tell("on_train_batch_end", number, averages.logs)
            if model.stop_training:
                break
        logs = averages.logs
        if not model.stop_training:
            position.next_epoch()
        if validate is not None:
            logs |= {f"val_{name}": value for name, value in validate().items()}
        tell("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    tell("on_train_end", logs)
    return history
