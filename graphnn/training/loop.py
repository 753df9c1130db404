"""The loop: epochs of batches through compiled steps, averaged over samples, told to callbacks."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphnnError
from ..layers.base import positive
from ..random import Stream
from .callbacks import Callback, History
from .feed import ArrayFeed, Feed
from .objective import Objective
from .progress import Progress
from .stretch import Stretch

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

    def add(self, objective: Objective, results: Sequence[np.ndarray], samples: int) -> None:
        """Take in what one batch gave, or several of so many samples each."""
        self.names = objective.names
        values, counts = objective.shares(results, samples)
        parts = np.concatenate([values * counts, counts], axis=1)
        before = np.zeros(parts.shape[1]) if self.sums is None else self.sums
        self.sums = np.add.accumulate(np.vstack([before, parts]))[-1]  # in order, as one by one

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
    if isinstance(feed, ArrayFeed):
        for stretch in feed.stretches(feed.steps.test):
            while stretch.left:
                stretch.go_on()
            averages.add(feed.steps.objective, stretch.values(), stretch.size)
    else:
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
    validation_freq: int | Container[int],
    callbacks: Iterable[Callback],
    style: str,
) -> History:
    """Train until ``epochs`` have been done; logs are those of before each batch's update."""
    is_due = _due(validation_freq)
    history, progress = History(), Progress(style)
    listeners = [history, *callbacks, progress]
    one_by_one = any(getattr(each, "hears_batches", True) for each in listeners)

    def tell(event: str, *arguments: object) -> None:
        for listener in listeners:
            getattr(listener, event)(*arguments)

    tell("set_model", model)
    validates = validate is not None
    tell("set_params", {"epochs": epochs, "steps": feed.length, "validates": validates})
    tell("on_train_begin", {})
    model.stop_training = False
    logs: dict[str, float] = {}
    for epoch in range(position.epoch, epochs):
        tell("on_epoch_begin", epoch, {})
        if shuffle and not position.batch and position.stream is None:
            position.stream = model.random.streams.next()
        averages = Averages(feed.names, position.sums)
        if isinstance(feed, ArrayFeed) and not one_by_one:
            turns = _many_at_once(feed, position, averages)
        else:
            turns = _one_by_one(feed, position, averages, tell)
        for _ in turns:
            progress.show(position.batch, averages.logs)
            if model.stop_training:
                break
        logs = averages.logs
        if not model.stop_training:
            position.next_epoch()
        if validate is not None and is_due(epoch):
            logs |= {f"val_{name}": value for name, value in validate().items()}
        tell("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    tell("on_train_end", logs)
    return history


def _due(frequency: int | Container[int]) -> Callable[[int], bool]:
    """Of an epoch: is it one of every so many, or one of these numbers, counted from 1?"""
    if isinstance(frequency, Container) and not isinstance(frequency, str):
        for each in frequency if isinstance(frequency, Iterable) else ():
            positive(each, "each epoch of validation_freq")
        return lambda epoch: epoch + 1 in frequency
    every = positive(frequency, "validation_freq")
    return lambda epoch: (epoch + 1) % every == 0


def _one_by_one(
    feed: Feed, position: Position, averages: Averages, tell: Callable[..., None]
) -> Iterator[None]:
    """The batches of an epoch, each of them told."""
    fed = feed.epoch(position.stream, position.batch)
    for number, (steps, batch) in enumerate(fed, position.batch):
        tell("on_train_batch_begin", number, {})
        averages.add(steps.objective, listed(steps.train(*batch)), len(batch[0]))
        position.batch, position.sums = number + 1, averages.sums
        tell("on_train_batch_end", number, averages.logs)
        yield


def _many_at_once(feed: ArrayFeed, position: Position, averages: Averages) -> Iterator[None]:
    """The same in native code, a short time at once; an interrupt finds the position after a whole batch."""

    def take(stretch: Stretch, start: int) -> None:
        """What was done since the position, which moves last and at once: so this may be begun again."""
        averages.sums = position.sums
        values = stretch.values(position.batch - start)
        if len(values[0]):
            averages.add(feed.steps.objective, values, stretch.size)
            position.batch, position.sums = position.batch + len(values[0]), averages.sums

    for stretch in feed.stretches(feed.steps.train, position.stream, position.batch):
        start = position.batch
        while stretch.left:
            try:
                stretch.go_on()
                take(stretch, start)
            except BaseException:
                take(stretch, start)
                raise
            yield
