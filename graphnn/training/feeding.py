"""What is given to fit, evaluate and the rest, as batches that are known to fit the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GraphnnError
from ..function import check_axes
from ..graph.node import is_integer
from ..layers.base import positive
from .data import Samples, arrays_of, check_numbers, fitting, weights_of
from .feed import NO_BATCHES, ArrayFeed, Feed, StreamFeed, batches, is_arrays, unpacked
from .loop import Position, listed
from .steps import Steps
from .stretch import stretches

if TYPE_CHECKING:
    from ..model import Model

__all__ = [
    "feed_of",
    "predictions",
    "samples_of",
    "split_feed",
    "start_of",
    "validation_feed",
]


def feed_of(
    model: Model,
    x: object,
    y: object,
    sample_weight: object,
    class_weight: Mapping[int, float] | None,
    batch_size: int | None,
    limit: int | None,
) -> Feed:
    """The batches, found to fit if they are in memory."""
    if y is not None:
        _check_limit(limit, arrays=True)
        size = _batch_size(batch_size)
        return ArrayFeed(*samples_of(model, x, y, sample_weight, class_weight, size), size)
    model.compiled()
    if _is_data(x) or (isinstance(x, (list, tuple)) and any(map(_is_data, x))):
        raise GraphnnError(f"{model.name}: y is missing; without it x gives batches (x, y)")
    if batch_size is not None or sample_weight is not None:
        raise GraphnnError("batches of an iterable bring their own size and sample_weight")
    _check_limit(limit)

    def ready(batch: object) -> tuple[Steps, list[np.ndarray]]:
        steps, samples = samples_of(model, *unpacked(batch), class_weight)
        return steps, list(samples.arrays)

    return StreamFeed(x, ready, limit)


def _is_data(x: object) -> bool:
    """Is it samples, and no batch with their truth?"""
    return isinstance(x, Mapping) or hasattr(x, "__array__")


def _check_limit(limit: int | None, arrays: bool = False) -> None:
    """A number of steps is one of batches that something gives."""
    if limit is not None and arrays:
        raise GraphnnError("a number of steps goes with an iterable of batches, not arrays")
    if limit is not None:
        positive(limit, "the number of steps")


def samples_of(
    model: Model,
    x: object,
    y: object,
    sample_weight: object = None,
    class_weight: Mapping[int, float] | None = None,
    batch_size: int | None = None,
) -> tuple[Steps, Samples]:
    """The steps for labels and weights of this kind, and the samples, found to fit."""
    model.compiled()
    model.meet(x)
    given = arrays_of(x, model.inputs, "x")
    for node, array in zip(model.inputs, given, strict=True):
        check_axes(node, array)  # before the truth's axes, which follow from these
    truth = arrays_of(y, model.outputs, "y")
    weights = weights_of(sample_weight, class_weight, truth, model.outputs)
    check_numbers(truth, "y_true")
    check_numbers(weights, "sample_weight")
    steps = model.steps_for(truth, weights)
    arrays = [*given, *truth, *(w for w in weights if w is not None)]
    return steps, fitting(arrays, steps.inputs, batch_size or max(len(arrays[0]), 1))


def predictions(
    model: Model, x: object, batch_size: int | None, limit: int | None
) -> list[np.ndarray]:
    """The outputs for arrays, or for the batches of an iterable, first entries of tuples, one after the other."""
    arrays = is_arrays(x)
    _check_limit(limit, arrays)
    if arrays:
        size = _batch_size(batch_size)
        known = _known(model, x, size)
        if known is not None:
            return known
        found = list(_outputs(model, x, size))
    else:
        given = (batch[0] if isinstance(batch, tuple) else batch for batch in batches(x, limit))
        found = [part for batch in given for part in _outputs(model, batch, None)]
    if not found:
        raise GraphnnError(NO_BATCHES)
    return [
        np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*found, strict=True)
    ]


def _known(model: Model, x: object, size: int) -> list[np.ndarray] | None:
    """The outputs for one array like one that has been found to fit before: nothing is asked twice."""
    if not isinstance(x, np.ndarray):
        return None
    fits = x.ndim > 0 and len(x) <= size and x.dtype.kind in "biuf"
    return model.inference.again([x]) if fits else None


def _outputs(model: Model, x: object, batch_size: int | None) -> Iterator[list[np.ndarray]]:
    """Those for so many rows at a time, or for all at once."""
    model.meet(x)
    arrays = arrays_of(x, model.inputs, "x")
    size = batch_size or max(len(arrays[0]), 1)
    known = model.inference.again(arrays) if len(arrays[0]) <= size else None
    if known is not None:  # such arrays have been found to fit
        yield known
        return
    samples = fitting(arrays, model.inputs, size)
    if samples.count <= size:
        yield listed(model.inference(*samples.arrays))
        return
    for stretch in stretches(model.inference, samples.arrays, size):
        while stretch.left:
            stretch.go_on()
        yield [values.reshape(-1, *values.shape[2:]) for values in stretch.values()]


def start_of(model: Model, feed: Feed, resume: bool, initial_epoch: int = 0) -> Position:
    """Where training begins; `position` says from then on how far it is, on arrays."""
    if not is_integer(initial_epoch) or initial_epoch < 0:
        raise GraphnnError(f"initial_epoch is a whole number from 0 on, got {initial_epoch!r}")
    if resume and initial_epoch:
        raise GraphnnError("resume knows its epoch: initial_epoch cannot be given, too")
    if not isinstance(feed, ArrayFeed):
        if resume:
            raise GraphnnError("resume goes on with arrays, not with an iterable of batches")
        model.position = None
        return Position(0, 0, initial_epoch)
    samples, batch_size = feed.samples.count, feed.size
    if not resume or model.position is None:
        model.position = Position(samples, batch_size, initial_epoch)
    elif (model.position.samples, model.position.batch_size) != (samples, batch_size):
        raise GraphnnError(
            f"{model.name} goes on with {model.position.samples} samples in batches of"
            f" {model.position.batch_size}, got {samples} in batches of {batch_size}"
        )
    return model.position


def _batch_size(given: int | None) -> int:
    return 32 if given is None else positive(given, "batch_size")


def validation_feed(
    model: Model, validation_data: Any, batch_size: int | None, limit: int | None
) -> Feed:
    """Arrays, or what gives batches, and nothing else."""
    if not is_arrays(validation_data):
        return feed_of(model, validation_data, None, None, None, None, limit)
    if isinstance(validation_data, (list, tuple)) and len(validation_data) in (2, 3):
        x, y, weights = unpacked(validation_data)
        if y is not None:
            return feed_of(model, x, y, weights, None, batch_size, limit)
    raise GraphnnError("validation_data is a pair (x, y), or gives batches of such pairs")


def split_feed(feed: Feed, share: float, size: int | None = None) -> tuple[Feed, Feed]:
    """All but the last share of the samples, and those, in batches of another size if there is one."""
    if not isinstance(feed, ArrayFeed):
        raise GraphnnError("validation_split takes the last of arrays, not of an iterable")
    first, last = feed.samples.split(share)
    size = feed.size if size is None else _batch_size(size)
    return replace(feed, samples=first), replace(feed, samples=last, size=size)
