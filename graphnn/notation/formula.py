"""What a formula is, before and after its index ranges are known.

Formula   the text as a tree: lines, names, sizes where they were written
Resolved  the same with a size for every index and a shape for every tensor
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.language.expression import Binder, Expr
from compiler.language.system import Equation

__all__ = ["Fact", "Formula", "Line", "Resolved"]


@dataclass(frozen=True, slots=True)
class Line:
    """One equation as written: ``declared`` are the target's indices with the sizes given in the text, ``columns`` says
    where in ``source`` each expression stands."""

    target: str
    subscripts: tuple[Expr, ...]
    declared: tuple[Binder, ...]
    value: Expr
    accumulate: bool
    source: str
    number: int
    columns: Mapping[Expr, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Fact:
    """``left == right`` for every value of the indices left free; used only to tidy derivatives."""

    left: Expr
    right: Expr
    indices: tuple[Binder, ...] = ()


@dataclass(frozen=True, slots=True)
class Formula:
    """Lines and facts of a text; operands in order of first appearance, outputs in order of definition."""

    text: str
    lines: tuple[Line, ...]
    facts: tuple[Fact, ...]
    operands: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Equations with sizes, and the shape of every tensor in them (locals included)."""

    equations: tuple[Equation, ...]
    shapes: Mapping[str, tuple[Expr, ...]]
    operands: tuple[str, ...]
    outputs: tuple[str, ...]
    facts: tuple[Fact, ...] = ()
