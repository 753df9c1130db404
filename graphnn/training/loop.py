"""The loop: epochs of batches through compiled steps, averaged over samples, told to callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..function import Function
from ..random import permutation
from .callbacks import Callback, History
from .data import Samples
from .progress import Progress

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["Averages", "run", "train"]


class Averages:
    """Means over samples, of values that are means over batches: the last, smaller batch counts less."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.sums = np.zeros(len(self.names))
        self.count = 0

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
    for epoch in range(epochs):
        tell("on_epoch_begin", epoch, {})
        order = permutation(samples.count, model.random.streams.next()) if shuffle else None
        averages = Averages(names)
        for number, batch in enumerate(samples.batches(batch_size, order)):
            tell("on_train_batch_begin", number, {})
            averages.add(function(*batch), len(batch[0]))  # type: ignore[arg-type]
            tell("on_train_batch_end", number, averages.logs)
            if model.stop_training:
                break
        logs = averages.logs
        if validate is not None:
            logs |= {f"val_{name}": value for name, value in validate().items()}
        tell("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    tell("on_train_end", logs)
    return history
