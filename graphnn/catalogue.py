"""The catalogue: every operation, defined once, by its formula, where it belongs.

    relu = define("relu", "y[...] = max(0, x[...])", samples=[{"x": (3, 5)}])

What `define` returns is an `Operation`, ready to be applied; what it records is walked by the tests
(derived gradient = central difference, compiled = interpreted, prints = goldens), by the ready
derivations and by the guide. Adding an operation is adding such a line to the module it belongs to,
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from .errors import GraphnnError
from .graph.operation import Operation, op, unread

__all__ = ["CATALOGUE", "Entry", "define", "with_attributes"]

# What values an operand takes in samples: "real"; "positive"; "unit", between 0 and 1;
# "distribution", positive and of sum 1 along the last axis; "distinct", reals without ties; or an
# int n: whole numbers 0 .. n - 1.
Domain = str | int
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """An operation with what is needed to try it out: sample shapes, domains, its source."""

    operation: Operation
    samples: tuple[Mapping[str, Shape], ...]
    variants: tuple[Mapping[str, int | float], ...]
    domains: Mapping[str, Domain] = field(default_factory=dict)
    group: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        return self.operation.name

    def operations(self) -> list[Operation]:
        """The operation with its own attributes, then with those of each variant."""
        own = self.operation
        numbers = {k: float(v) if v.denominator != 1 else int(v) for k, v in own.attributes.items()}
        texts = [{**numbers, **variant} for variant in self.variants]
        outputs = own.formula.outputs
        return [own, *(op(own.formula.text, own.name, outputs, own.dtype, **t) for t in texts)]


CATALOGUE: dict[str, Entry] = {}


def define(
    name: str,
    text: str,
    *,
    samples: Sequence[Mapping[str, Shape]],
    domains: Mapping[str, Domain] | None = None,
    variants: Sequence[Mapping[str, int | float]] = (),
    outputs: tuple[str, ...] | None = None,
    dtype: str | None = None,
    group: str = "",
    source: str = "",
    **attributes: int | float,
) -> Operation:
    """Record and return an operation; ``samples``: operand shapes, ``variants``: attributes."""
    if name in CATALOGUE:
        raise GraphnnError(f"the catalogue has an operation {name} already")
    operation = unread(text, name, outputs, dtype, **attributes)
    CATALOGUE[name] = Entry(
        operation, tuple(samples), tuple(variants), dict(domains or {}), group, source
    )
    return operation


def with_attributes(operation: Operation, **attributes: int | float | Fraction) -> Operation:
    """The same formula with other numbers."""
    numbers = {**operation.attributes, **attributes}
    own = operation.formula
    return op(own.text, operation.name, own.outputs, operation.dtype, **numbers)
