"""Losses and metrics in a file: those of graphnn by name, others as the graph that they gave."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from .. import metrics
from ..errors import FormatError, GraphnnError
from ..graph.node import Input, Node
from ..losses import configured
from ..reduction import unwrapped
from .saved import Measure, SavedMeasure, Template

__all__ = ["Lookup", "described_measure", "measure_function", "metric"]

Function = Callable[..., Node]
Lookup = Callable[[str], Function]


def described_measure(
    label: str, function: Function, lookup: Lookup, output: Node, truths: Sequence[Input]
) -> Measure:
    """``function`` by its name and options if ``lookup`` knows it, else what it gives for an output and its truths."""
    plain, args, options = unwrapped(function)
    name = getattr(plain, "__name__", "")
    if not args and _is_known(name, plain, lookup) and all(map(_is_plain, options.values())):
        return Measure(label, name, options)
    if isinstance(function, SavedMeasure):
        return Measure(label, templates=function.templates)
    return Measure(label, templates=[Template(t, output, function(t, output)) for t in truths])


def measure_function(measure: Measure, lookup: Lookup) -> Function:
    """The loss or metric that a file describes. Raises `FormatError`."""
    if measure.templates:
        return SavedMeasure(measure.label, measure.templates)
    try:
        found = lookup(measure.function)
        if not all(map(_is_plain, measure.options.values())):
            raise TypeError("options are numbers and texts")
        inspect.signature(found).bind(None, None, **measure.options)
    except (GraphnnError, TypeError) as error:
        raise FormatError(f"loss or metric {measure.label!r}: {error}") from None
    return configured(found, measure.options, measure.label)


def metric(name: str) -> Function:
    """The function of a metric by its name."""
    return metrics.get(name)[1]


def _is_known(name: str, function: Function, lookup: Lookup) -> bool:
    try:
        return lookup(name) is function
    except GraphnnError:
        return False


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
