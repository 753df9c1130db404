"""The contract between the two packages: a system of equations over index sets.

    System    := (Tensor, ...) + (Equation, ...) + ((state, new value), ...)
    Tensor    := name, shape, dtype, role             f32[64, 784], one of ROLES
    Equation  := target[subscripts] = value   for all values of the free indices   (+= where accumulate)

A system is a set of facts, not a program: the equations stand in no order. A recurrence is a cycle that one index
carries (``h[n, t, k]`` reads ``h[n, t-1, k]``). Several equations may define disjoint parts of a tensor, parts that
no equation defines are zero, a read out of range is zero. When a step is done every state takes its new value, all at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Any

from .dtypes import dtype_of
from .expression import Binder, Element, Expr, Index, Number, elements, expr, found_once
from .text import equation_text, system_text

__all__ = ["ROLES", "Equation", "System", "Tensor", "copying", "float_of", "fresh_name", "reads"]

# input: given anew at each call.  parameter: given, kept between calls (weights, moments, step counters).
# output: returned.  local: everything between.  A parameter that an update replaces is a state.
ROLES = ("input", "parameter", "output", "local")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array: ``Tensor("x", (64, 784), "float32", "input")`` prints as ``x: f32[64, 784] input``."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    role: str = "local"

    def __str__(self) -> str:
        short = dtype_of(self.dtype).short
        return f"{self.name}: {short}[{', '.join(map(str, self.shape))}] {self.role}"


def fresh_name(hint: str, taken: Container[str]) -> str:
    """``hint``, or ``hint`` with as many underscores as it takes to be no other tensor's name."""
    while hint in taken:
        hint += "_"
    return hint


class _Known:
    """What is found once of an equation and kept with it; what follows from its form is made when it is asked for."""

    __slots__ = ("_extents", "_form", "_names_read", "_reads", "_sizes")

    def __getattr__(self, name: str) -> Any:
        if name == "_form":  # nobody has asked for it
            raise AttributeError(name)
        own, names = self._form  # see form.py
        value = own.find(name, names)
        object.__setattr__(self, name, value)
        return value


@dataclass(frozen=True, slots=True)
class Equation(_Known):
    """``target[subscripts] = value`` for every value of ``indices``; ``origin`` names the node for messages."""

    target: str
    subscripts: tuple[Expr, ...]
    indices: tuple[Binder, ...]
    value: Expr
    accumulate: bool = False
    origin: str = field(default="", compare=False)

    @property
    @found_once("_sizes")
    def sizes(self) -> Mapping[Index, Expr]:
        """Size of each free index."""
        return {i: expr(n) for i, n in self.indices}

    @property
    @found_once("_extents")
    def extents(self) -> Mapping[Index, int]:
        """Size of each free index of an equation whose sizes are all numbers."""
        return {i: int(n.value) for i, n in self.indices if isinstance(n, Number)}

    @property
    def is_plain(self) -> bool:
        """Does it define its whole target, each subscript being a different free index?"""
        own = [b.index for b in self.indices]
        return not self.accumulate and list(self.subscripts) == own

    def valued(self, value: Expr) -> Equation:
        """The equation with another value; itself, and what is known of it, if that is the same."""
        return self if value is self.value else replace(self, value=value)

    def __str__(self) -> str:
        return equation_text(self)


class _Found:
    """What is found once of a system and kept with it."""

    __slots__ = ("_by_name", "_cycles", "_definitions", "_kinds", "_new_values", "_temporaries")


@dataclass(frozen=True, slots=True)
class System(_Found):
    """Tensors, equations, and which state takes which tensor's value when the step is done."""

    tensors: tuple[Tensor, ...]
    equations: tuple[Equation, ...]
    updates: tuple[tuple[str, str], ...] = ()

    @property
    @found_once("_by_name")
    def by_name(self) -> Mapping[str, Tensor]:
        return {t.name: t for t in self.tensors}

    @property
    @found_once("_kinds")
    def kinds(self) -> Mapping[str, int]:
        """A number of each tensor; those that differ in nothing but their names have the same."""
        numbers: dict[object, int] = {}
        return {
            t.name: numbers.setdefault((t.shape, t.dtype, t.role), len(numbers))
            for t in self.tensors
        }

    def names(self, *roles: str) -> tuple[str, ...]:
        """Names of the tensors with one of these roles, in order."""
        return tuple(t.name for t in self.tensors if t.role in roles)

    @property
    @found_once("_new_values")
    def new_values(self) -> frozenset[str]:
        """What states become when the step is done."""
        return frozenset(new for _, new in self.updates)

    @property
    @found_once("_temporaries")
    def temporaries(self) -> frozenset[str]:
        """What nobody asks for when the step is done."""
        return frozenset(self.names("local")) - self.new_values

    @found_once("_definitions")
    def definitions(self) -> Mapping[str, Sequence[Equation]]:
        """The equations that define each tensor, in order."""
        found: dict[str, list[Equation]] = {}
        for equation in self.equations:
            found.setdefault(equation.target, []).append(equation)
        return found

    def with_equations(self, equations: Iterable[Equation]) -> System:
        """The system with other equations; itself, and what is known of it, if they are the same."""
        found = tuple(equations)
        if len(found) == len(self.equations) and all(map(is_, found, self.equations)):
            return self
        changed = replace(self, equations=found)
        for slot in ("_by_name", "_kinds"):  # which are of tensors alone
            if hasattr(self, slot):
                object.__setattr__(changed, slot, getattr(self, slot))
        return changed

    def __str__(self) -> str:
        return system_text(self)


def copying(source: str, target: str, shape: Sequence[int], origin: str) -> Equation:
    """``target[i0, i1] = source[i0, i1]``"""
    indices = tuple(Binder(Index(f"i{k}"), expr(n)) for k, n in enumerate(shape))
    places = tuple(b.index for b in indices)
    return Equation(target, places, indices, Element(source, places), origin=origin)


@found_once("_reads")
def reads(equation: Equation) -> tuple[Element, ...]:
    """Every element an equation reads, those in the subscripts of its target included."""
    inside = [x for s in equation.subscripts if not isinstance(s, Index) for x in elements(s)]
    return (*elements(equation.value), *inside)


def float_of(equation: Equation, dtype: Callable[[str], str]) -> str:
    """The float type that an equation computes with: its target's, else the widest that is read."""
    own = dtype(equation.target)
    if own.startswith("float"):
        return own
    read = {dtype(e.tensor) for e in reads(equation)}
    return "float64" if "float64" in read else "float32"
