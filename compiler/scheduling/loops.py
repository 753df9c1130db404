"""Loops over lanes: the small closed language between equations and machine code.

    Kernel      := name, tensors it touches, outer indices, (Statement, ...), (Panel, ...)
    Panel       := name, type, length                     memory of each thread while the kernel runs
    Statement   := Loop(range, body)                       parallel: its iterations may come in any order
                 | Fold(ranges, body, accumulators, asked) sequential: reductions that share their loops
                 | Let(register, value)
                 | Store(tensor, address, value, accumulate, condition)
    Range       := index, start, stop, rows, width, ...    see there
    Accumulator := register, kind, value, position         sum prod max min argmax argmin
    Value       := Literal(value) | Affine(...) | Load(tensor, address, condition) | Register(name)
                 | Apply(function, arguments)              each with its type: float double i64 i1

The one idea is lanes. A range that covers ``rows x width`` values of its index at a time runs its body once for all of
them in lockstep: ``width`` lanes are one vector, ``rows`` are unrolled. A value is computed once for each lane of the
indices that it depends on, and no more. So in

    for i in range(0, 512, 12 rows):
        for o in range(0, 512, 2 rows of 16):
            s = sum of A[512*i + k]*B[512*k + o] for k in range(0, 512)

``A[...]`` is 12 scalars, ``B[...]`` 2 vectors, their product 24 multiply-adds into 24 registers: the register tile of a
matrix product, without a word for it. Addresses are affine in the indices, so that lanes differ by constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

__all__ = [
    "Accumulator",
    "Affine",
    "Apply",
    "Fold",
    "Kernel",
    "Let",
    "Literal",
    "Load",
    "Loop",
    "Panel",
    "Range",
    "Register",
    "Statement",
    "Store",
    "Value",
    "loads",
    "operands",
    "statements",
    "value_text",
    "values",
    "walk",
]


class Value:
    """Base of all values; every one has a ``type``: float, double, i64 or i1."""

    __slots__ = ()
    type: str


@dataclass(frozen=True, slots=True)
class Literal(Value):
    value: Fraction | float
    type: str


@dataclass(frozen=True, slots=True)
class Affine(Value):
    """``constant + sum of coefficient*index + sum of coefficient*value``, an i64."""

    constant: int
    terms: tuple[tuple[str, int], ...] = ()
    others: tuple[tuple[Value, int], ...] = ()

    @property
    def type(self) -> str:  # type: ignore[override]
        return "i64"

    def coefficient(self, index: str) -> int:
        return dict(self.terms).get(index, 0)

    def __add__(self, other: Affine) -> Affine:
        terms, others = dict(self.terms), dict(self.others)
        for index, factor in other.terms:
            terms[index] = terms.get(index, 0) + factor
        for value, factor in other.others:
            others[value] = others.get(value, 0) + factor
        return Affine(
            self.constant + other.constant,
            tuple((i, c) for i, c in terms.items() if c),
            tuple((v, c) for v, c in others.items() if c),
        )

    def scaled(self, factor: int) -> Affine:
        if factor == 0:
            return Affine(0)
        return Affine(
            self.constant * factor,
            tuple((i, c * factor) for i, c in self.terms),
            tuple((v, c * factor) for v, c in self.others),
        )


@dataclass(frozen=True, slots=True)
class Load(Value):
    """An element of a tensor's memory; zero where the condition does not hold."""

    tensor: str
    address: Affine
    type: str
    condition: Value | None = None


@dataclass(frozen=True, slots=True)
class Register(Value):
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Apply(Value):
    """A function of `expression`, or ``convert``, ``wrap`` (to 32 bits), ``inside`` (0 <= a < b)."""

    function: str
    arguments: tuple[Value, ...]
    type: str


@dataclass(frozen=True, slots=True)
class Range:
    """``index`` from ``start`` to ``stop``, ``rows*width`` values at a time in lockstep.

    ``step``     how far it advances, where that is not rows*width: the lanes are filled by an inner range
    ``block``    (index, length): from there on at most ``length`` values below ``stop``, but not the first ``skip``
    ``share``    its turns are shared among the threads; the number of the first one, as ranges side by side count on
    ``within``   so many turns of a loop inside are shared with each of its own, and count instead of it
    ``overlap``  a last tile that would reach over the end is moved back instead; else its lanes are masked off
    ``unrolled`` its turns are written out one after the other
    """

    index: str
    start: int
    stop: int
    rows: int = 1
    width: int = 1
    step: int = 0
    block: tuple[str, int] | None = None
    skip: int = 0
    overlap: bool = False
    share: int | None = None
    within: int = 1
    unrolled: bool = False

    @property
    def span(self) -> int:
        return self.rows * self.width

    @property
    def advance(self) -> int:
        return self.step or self.span

    @property
    def extent(self) -> int:
        return max(self.stop - self.start, 0)

    @property
    def turns(self) -> int:
        return -(-self.extent // self.advance)

    @property
    def is_single(self) -> bool:
        """One iteration at most?"""
        return self.block is None and self.extent <= self.advance

    def __str__(self) -> str:
        first = f"{self.block[0]}" if self.block else f"{self.start}"
        stop = f"min({first} + {self.block[1]}, {self.stop})" if self.block else f"{self.stop}"
        start = f"{first} + {self.skip}" if self.skip else first
        lanes = f"{self.rows} rows" if self.rows > 1 else ""
        if self.width > 1:
            lanes = f"{lanes} of {self.width}" if lanes else f"{self.width} lanes"
        more = f", {self.step or lanes}" if self.step or lanes else ""
        kind = " overlapping" * self.overlap + " unrolled" * self.unrolled
        shared = "" if self.share is None else " shared"
        return f"{self.index} in range({start}, {stop}{more}){kind}{shared}"


@dataclass(frozen=True, slots=True)
class Accumulator:
    """``position`` is the row-major place of the value among all, for argmax and argmin."""

    register: Register
    kind: str
    value: Value
    position: Affine | None = None


@dataclass(frozen=True, slots=True)
class Loop:
    range: Range
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    ranges: tuple[Range, ...]
    body: tuple[Statement, ...]
    accumulators: tuple[Accumulator, ...]
    asked: tuple[Load, ...] = ()  # is read later, and comes near meanwhile


@dataclass(frozen=True, slots=True)
class Let:
    register: Register
    value: Value


@dataclass(frozen=True, slots=True)
class Store:
    tensor: str
    address: Affine
    value: Value
    accumulate: bool = False
    condition: Value | None = None


Statement = Loop | Fold | Let | Store


@dataclass(frozen=True, slots=True)
class Panel:
    """Memory that a kernel has for itself, in each thread: loaded and stored like a tensor."""

    name: str
    type: str
    length: int


@dataclass(frozen=True)  # no slots: what is asked of it is found once
class Kernel:
    """Code for one group of equations; ``outer`` are the indices of recurrences around it, with their sizes."""

    name: str
    outer: tuple[tuple[str, int], ...]
    body: tuple[Statement, ...]
    panels: tuple[Panel, ...] = ()

    def __getattr__(self, attribute: str) -> tuple[Statement, ...]:
        """The body of a kernel that is like another one is ``written`` when somebody asks for it."""
        if attribute != "body":
            raise AttributeError(attribute)
        body: tuple[Statement, ...] = vars(self)["written"]()
        return vars(self).setdefault("body", body)

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """All tensors touched, panels aside, in order of first appearance."""
        found: dict[str, None] = {}
        for statement in statements(self.body):
            found |= {load.tensor: None for load in loads(statement)}
            if isinstance(statement, Store):
                found[statement.tensor] = None
        own = {panel.name for panel in self.panels}
        return tuple(name for name in found if name not in own)

    @cached_property
    def shares(self) -> int:
        """How many turns the threads share; 0: one thread runs all of it."""
        loops = (s.range for s in statements(self.body) if isinstance(s, Loop))
        return max((r.share + r.turns * r.within for r in loops if r.share is not None), default=0)

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        found = (load for statement in statements(self.body) for load in loads(statement))
        return tuple(load for load in found if load.tensor in self.tensors)

    @cached_property
    def stores(self) -> tuple[Store, ...]:
        found = (s for s in statements(self.body) if isinstance(s, Store))
        return tuple(s for s in found if s.tensor in self.tensors)

    def __str__(self) -> str:
        outer = "".join(f", {index}:{size}" for index, size in self.outer)
        lines = [f"def {self.name}({', '.join(self.tensors)}{outer}):"]
        lines += [f"    {p.name} = {p.type}[{p.length}]" for p in self.panels]
        lines += [f"    {line}" for s in self.body for line in _statement_lines(s)]
        return "\n".join(lines)


# --- walking -------------------------------------------------------------------------------------------------


def operands(value: Value) -> tuple[Value, ...]:
    """The values directly inside a value."""
    match value:
        case Affine(_, _, others):
            return tuple(v for v, _ in others)
        case Load(_, address, _, condition):
            return operands(address) + (() if condition is None else (condition,))
        case Apply(_, arguments):
            return arguments
    return ()


def walk(value: Value) -> Iterator[Value]:
    """Every value inside a value, itself first."""
    yield value
    for inner in operands(value):
        yield from walk(inner)


def loads(statement: Statement) -> Iterator[Load]:
    """What a statement itself reads from memory, as often as it is written."""
    for top in values(statement):
        yield from (value for value in walk(top) if isinstance(value, Load))


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """Every statement, outer before inner."""
    for statement in body:
        yield statement
        if isinstance(statement, (Loop, Fold)):
            yield from statements(statement.body)


def values(statement: Statement) -> Iterator[Value]:
    """The values that a statement itself computes, those of its body not."""
    match statement:
        case Let(_, value):
            yield value
        case Store(_, address, value, _, condition):
            yield from (address, value) if condition is None else (address, value, condition)
        case Fold(_, _, accumulators):
            yield from (v for a in accumulators for v in (a.value, a.position) if v is not None)


# --- pseudo-Python -----------------------------------------------------------------------------------------------


def _affine_text(value: Affine) -> str:
    terms = [(i, c) for i, c in value.terms] + [(value_text(v), c) for v, c in value.others]
    parts = [(c, name if abs(c) == 1 else f"{abs(c)}*{name}") for name, c in terms]
    if value.constant or not parts:
        parts.append((value.constant, str(abs(value.constant))))
    text = "".join(f" {'-' if c < 0 else '+'} {part}" for c, part in parts)
    return f"-{text[3:]}" if parts[0][0] < 0 else text[3:]


def value_text(value: Value) -> str:
    """``exp(x[256*n + i] - m)``."""
    match value:
        case Literal(number):
            return _number_text(number)
        case Affine():
            return _affine_text(value)
        case Register(name):
            return name
        case Load(tensor, address, _, condition):
            text = f"{tensor}[{_affine_text(address)}]"
            return text if condition is None else f"({text} if {value_text(condition)} else 0)"
        case Apply("inside", (a, b)):
            return f"0 <= {value_text(a)} < {value_text(b)}"
        case Apply("convert", (a,), type_):
            return f"{type_}({value_text(a)})"
        case Apply(function, (a, b)) if not function[0].isalpha() or function in ("and", "or"):
            return f"({value_text(a)} {function} {value_text(b)})"
        case Apply(function, arguments):
            return f"{function}({', '.join(map(value_text, arguments))})"
    raise AssertionError(value)


def _number_text(number: Fraction | float) -> str:
    if isinstance(number, float) or (number.denominator == 1 and abs(number) < 10**15):
        return str(number)
    return repr(float(number)) if math.isfinite(float(number)) else str(number)


def _statement_lines(statement: Statement) -> Iterator[str]:
    match statement:
        case Loop(range_, body):
            yield f"for {range_}:"
            yield from (f"    {line}" for s in body for line in _statement_lines(s))
        case Fold(ranges, body, accumulators, asked):
            yield f"fold {' for '.join(f'{r}' for r in ranges)}:"
            yield from (f"    ask for {value_text(load)}" for load in asked)
            yield from (f"    {line}" for s in body for line in _statement_lines(s))
            for a in accumulators:
                yield f"    {a.register.name} = {a.kind} of {value_text(a.value)}"
        case Let(register, value):
            yield f"{register.name} = {value_text(value)}"
        case Store(tensor, address, value, accumulate, condition):
            when = "" if condition is None else f"if {value_text(condition)}: "
            place = f"{when}{tensor}[{_affine_text(address)}]"
            yield f"{place} {'+=' if accumulate else '='} {value_text(value)}"
