"""Feed: where batches come from, arrays of samples or anything that can be iterated over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np

from ..errors import GraphnnError
from ..function import Function
from ..random import Stream, permutation
from .data import Samples
from .steps import Steps
from .stretch import Stretch, stretches

__all__ = ["NO_BATCHES", "ArrayFeed", "Feed", "StreamFeed", "batches", "is_arrays", "unpacked"]

Batch = tuple[Steps, list[np.ndarray]]
NO_BATCHES = (
    "there are no batches, or no more: an iterator gives them once, so for several epochs, or for a"
    " second look at them, give a list or whatever can be iterated over anew"
)
_log = logging.getLogger("graphnn")


class Feed(Protocol):
    """Batches, epoch after epoch, each with the steps for its kind of labels."""

    @property
    def length(self) -> int | None: ...

    @property
    def names(self) -> list[str]: ...

    def epoch(self, order: Stream | None = None, first: int = 0) -> Iterator[Batch]: ...


@dataclass(frozen=True, slots=True)
class ArrayFeed:
    """Samples in memory, ``size`` at a time."""

    steps: Steps
    samples: Samples
    size: int

    @property
    def length(self) -> int | None:
        return -(-self.samples.count // self.size)

    @property
    def names(self) -> list[str]:
        """Of what is reported."""
        return self.steps.objective.names

    def epoch(self, order: Stream | None = None, first: int = 0) -> Iterator[Batch]:
        """In an order drawn from a random stream, if there is one, from batch ``first`` on."""
        rows = permutation(self.samples.count, order) if order else None
        for batch in self.samples.batches(self.size, rows, first):
            yield self.steps, batch

    def stretches(
        self, function: Function, order: Stream | None = None, first: int = 0
    ) -> Iterator[Stretch]:
        """The same batches, many at a time, for one of the functions of the steps."""
        rows = permutation(self.samples.count, order) if order else None
        return stretches(function, self.samples.arrays, self.size, rows, first)


@dataclass(frozen=True, slots=True)
class StreamFeed:
    """Batches as an iterable gives them, ``limit`` for an epoch; an iterator goes on where it was."""

    source: object
    ready: Callable[[object], Batch]
    limit: int | None

    @property
    def length(self) -> int | None:
        size = getattr(self.source, "__len__", None)
        return self.limit if self.limit is not None or size is None else size()

    @property
    def names(self) -> list[str]:
        """Not known before the first batch."""
        return []

    def epoch(self, order: Stream | None = None, first: int = 0) -> Iterator[Batch]:
        """Order and start are the source's own affair. Raises `GraphnnError` where it gives nothing (more)."""
        number = 0
        for number, batch in enumerate(batches(self.source, self.limit), 1):  # noqa: B007
            yield self.ready(batch)
        if not number:
            raise GraphnnError(NO_BATCHES)
        if self.limit is not None and number < self.limit:
            _log.warning("an epoch of %d steps ended with its source after %d", self.limit, number)


def is_arrays(data: object) -> bool:
    """Is this data for the inputs, rather than something that gives it batch by batch?"""
    return isinstance(data, (np.ndarray, list, tuple, Mapping)) or hasattr(data, "__array__")


def batches(source: Any, limit: int | None) -> Iterator[Any]:
    """The next batches: of an iterator, an iterable, or of a sequence such as Keras's data sets."""
    if isinstance(source, Iterable):
        return islice(source, limit)
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
        kind = type(source).__name__
        raise GraphnnError(f"expected arrays, or an iterable of batches, got {kind}")
    return islice((source[number] for number in range(len(source))), limit)


def unpacked(batch: object) -> tuple[object, object, object]:
    """``(x, y)`` or ``(x, y, sample_weight)``."""
    if not isinstance(batch, (list, tuple)) or len(batch) not in (2, 3):
        raise GraphnnError("a batch is a pair (x, y), or a triple (x, y, sample_weight)")
    return batch[0], batch[1], batch[2] if len(batch) == 3 else None
