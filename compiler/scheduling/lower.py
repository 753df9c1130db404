"""Lower: equations to loops, folds and addresses.

Before:   y[n, o] = max(0, sum[i](x[n, i]*W[i, o]))
After:    for n in range(0, 64):
              for o in range(0, 10):
                  fold i in range(0, 784):
                      s = sum of x[784*n + i]*W[10*i + o]
                  y[10*n + o] = max(0, s)

Types become explicit: an expression built of integers is an i64, a comparison an i1, all else is of the equation's
float type. A read out of range is zero: where the ranges of the indices do not prove a subscript inside (the borders of
its storage included), the load gets a condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count

from ..errors import CompilerError
from ..language.dtypes import dtype_of
from ..language.expression import (
    COMPARISONS,
    LOGICAL,
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    expr,
    fresh_index,
    substitute,
)
from ..language.integers import bounds, polynomial, simplify_integer
from ..language.system import Equation, Tensor, float_of
from .fuse import Fusion
from .layout import Layout
from .loops import (
    Accumulator,
    Affine,
    Apply,
    Fold,
    Kernel,
    Let,
    Literal,
    Load,
    Loop,
    Range,
    Register,
    Statement,
    Store,
    Value,
)
from .rewrite import rewrite, rewrite_affine

__all__ = ["Storage", "lower"]

_EXTREMES = ({"max", "argmax"}, {"min", "argmin"})  # found together
_ARGUMENTS_MAY_BE_INTEGER = ("+", "-", "*", "//", "%", "neg", "abs", "max", "min")


@dataclass(frozen=True, slots=True)
class Storage:
    """How a tensor lies in memory: in what order, with zeros (before, after) around each axis as its ``borders``."""

    tensor: Tensor
    borders: tuple[tuple[int, int], ...]
    layout: Layout

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with its borders."""
        return tuple(
            size + before + after
            for size, (before, after) in zip(self.tensor.shape, self.borders, strict=True)
        )

    @property
    def strides(self) -> tuple[int, ...]:
        """In elements."""
        return self.layout.strides(self.shape)[0]

    @property
    def size(self) -> int:
        """Elements from the first to the last, what lies between rows included."""
        return self.layout.strides(self.shape)[1]

    @property
    def origin(self) -> int:
        """Elements before the first one inside the borders."""
        return sum(b * stride for (b, _), stride in zip(self.borders, self.strides, strict=True))


def lower(
    fusion: Fusion,
    name: str,
    storages: Mapping[str, Storage],
    outer: Mapping[Index, int],
    numbers: Iterator[int] | None = None,
) -> Kernel:
    """One kernel; ``outer`` are the indices around it with their sizes, ``numbers`` those of its registers."""
    lowering = _Lowering(storages, outer, fusion, numbers or count(1))
    body: tuple[Statement, ...] = lowering.statements(fusion)
    for index, size in reversed([*fusion.equations[0].extents.items()]):
        body = (Loop(Range(index.name, 0, size), body),)
    return Kernel(name, tuple((index.name, size) for index, size in outer.items()), body)


class _Lowering:
    """The kernel in the making: values of one equation after the other."""

    def __init__(
        self,
        storages: Mapping[str, Storage],
        outer: Mapping[Index, int],
        fusion: Fusion,
        numbers: Iterator[int],
    ) -> None:
        self.storages = storages
        self.sizes: dict[Index, Expr] = {i: expr(n) for i, n in outer.items()}
        self.sizes |= {i: n for i, n in fusion.indices if n is not None}
        self.passed: dict[Element, Value] = {}  # elements that equations before left in registers
        self.body: list[Statement] = []
        self.real = "float"
        self.numbers = numbers

    def statements(self, fusion: Fusion) -> tuple[Statement, ...]:
        for equation in fusion.equations:
            self.equation(equation, store=equation.target not in fusion.kept)
        return tuple(self.body)

    def equation(self, equation: Equation, store: bool) -> None:
        storage = self.storages[equation.target]
        real = float_of(equation, lambda name: self.storages[name].tensor.dtype)
        self.real = dtype_of(real).computed_as
        type_ = dtype_of(storage.tensor.dtype).computed_as
        value = _convert(self.value(equation.value), type_)
        if storage.tensor.dtype == "int32":
            value = Apply("wrap", (value,), "i64")
        register = self.register(type_)
        self.body.append(Let(register, value))
        place = Element(equation.target, equation.subscripts)
        address, condition = self.address(place, with_borders=False)
        if store:
            accumulate = equation.accumulate
            self.body.append(Store(place.tensor, address, register, accumulate, condition))
        if not equation.accumulate:
            zero = _convert(Literal(Fraction(0), "i64"), type_)
            inside = condition and Apply("where", (condition, register, zero), type_)
            self.passed[place] = inside or register

    def register(self, type_: str) -> Register:
        return Register(f"v{next(self.numbers)}", type_)

    # --- expressions ---------------------------------------------------------------------------------------------

    def value(self, e: Expr) -> Value:
        match e:
            case Number(number):
                return Literal(number, "i64" if e.is_integer else self.real)
            case Constant(name):
                return Literal(math.pi if name == "pi" else math.inf, self.real)
            case Index(name):
                return Affine(0, ((name, 1),))
            case Element():
                return self.element(e)
            case Reduce():
                return self.reduction(e)
            case Call("uniform", arguments):  # affine, so that collapse sees through the position
                return Apply("uniform", tuple(self.place(a)[0] for a in arguments), self.real)
            case Call(function, arguments):
                return self.call(function, [self.value(a) for a in arguments])
        raise CompilerError(f"{e!r} has no value")

    def call(self, function: str, arguments: list[Value]) -> Value:
        if function in LOGICAL:
            truths = [_convert(a, "i1") for a in arguments]
            return _chain(function, truths)
        if function == "where":
            condition, *branches = arguments
            yes, no = self.alike(branches)
            return Apply("where", (_convert(condition, "i1"), yes, no), yes.type)
        if function in COMPARISONS:
            return Apply(function, tuple(self.alike(arguments)), "i1")
        integer = all(a.type in ("i64", "i1") for a in arguments)
        type_ = "i64" if integer and function in _ARGUMENTS_MAY_BE_INTEGER else self.real
        same = [_convert(a, type_) for a in arguments]
        if function == "neg":
            return _negated(same[0])
        if function == "**" and isinstance(arguments[1], Literal) and arguments[1].type == "i64":
            return Apply("**", (same[0], arguments[1]), type_)
        return _chain(function, same)

    def alike(self, arguments: Sequence[Value]) -> list[Value]:
        """All real if one is, else all integer, unless all are boolean."""
        types = {a.type for a in arguments}
        type_ = "i1" if types == {"i1"} else "i64" if types <= {"i1", "i64"} else self.real
        return [_convert(a, type_) for a in arguments]

    def reduction(self, e: Reduce) -> Value:
        binders, body = self.opened(e)
        sizes = [_number(b.size) for b in binders]
        outside, self.body = self.body, []
        value = self.value(body)
        kind = {"firstmax": "max", "firstmin": "min", "mean": "sum"}.get(e.kind, e.kind)
        if value.type == "i1" or e.kind == "mean":
            value = _convert(value, self.real if e.kind == "mean" else "i64")
        ranges = tuple(Range(b.index.name, 0, n) for b, n in zip(binders, sizes, strict=True))
        position = None
        if kind.startswith("arg"):
            position = Affine(0)
            for axis, binder in enumerate(binders):
                position += Affine(0, ((binder.index.name, math.prod(sizes[axis + 1 :])),))
        register = self.register("i64" if position else value.type)
        accumulator = Accumulator(register, kind, value, position)
        fold = Fold(ranges, tuple(self.body), (accumulator,))
        self.body = _with(outside, fold)
        if e.kind == "mean":
            count = Literal(Fraction(math.prod(sizes)), self.real)
            return Apply("/", (register, count), self.real)
        return register

    def opened(self, e: Reduce) -> tuple[tuple[Binder, ...], Expr]:
        """The binders and body of a reduction, with names that no index of the kernel has."""
        names: dict[Expr, Expr] = {}
        binders = []
        for index, size in e.binders:
            new = fresh_index(index.name, self.sizes)
            assert size is not None
            self.sizes[new] = size
            if new != index:
                names[index] = new
            binders.append(Binder(new, size))
        return tuple(binders), substitute(e.body, names)

    # --- elements ------------------------------------------------------------------------------------------------

    def element(self, e: Element) -> Value:
        if e in self.passed:
            return self._as_read(self.passed[e])
        tensor = self.storages[e.tensor].tensor
        if 0 in tensor.shape:
            return _convert(Literal(Fraction(0), "i64"), dtype_of(tensor.dtype).computed_as)
        address, condition = self.address(e, with_borders=True)
        return self._as_read(Load(e.tensor, address, dtype_of(tensor.dtype).computed_as, condition))

    def _as_read(self, value: Value) -> Value:
        """Reals are read as reals of the equation."""
        return _convert(value, self.real) if value.type in ("float", "double") else value

    def address(self, e: Element, with_borders: bool) -> tuple[Affine, Value | None]:
        """Where an element lies, and the condition under which it exists."""
        storage = self.storages[e.tensor]
        address, strides = Affine(storage.origin), storage.strides
        conditions: list[Value] = []
        for axis, subscript in enumerate(e.subscripts):
            size = storage.tensor.shape[axis]
            before, after = storage.borders[axis] if with_borders else (0, 0)
            place, (low, high) = self.place(subscript)
            address += place.scaled(strides[axis])
            if low is None or low < -before or high is None or high >= size + after:
                conditions.append(Apply("inside", (place, Literal(Fraction(size), "i64")), "i1"))
        if not conditions:
            return address, None
        return address, conditions[0] if len(conditions) == 1 else _chain("and", conditions)

    def place(self, subscript: Expr) -> tuple[Affine, tuple[int | None, int | None]]:
        """A subscript as an affine value, with its least and greatest value as far as known."""
        if isinstance(subscript, Index):  # most are, and take no thought
            return Affine(0, ((subscript.name, 1),)), (0, _number(self.sizes[subscript]) - 1)
        simple = simplify_integer(subscript, self.sizes)
        span = bounds(simple, self.sizes)
        low = high = None
        if span is not None and isinstance(span[0], Number) and isinstance(span[1], Number):
            low, high = int(span[0].value), int(span[1].value)
        result = Affine(0)
        for monomial, factor in polynomial(simple).terms:
            term: Affine = Affine(1)
            if len(monomial) == 1 and isinstance(monomial[0], Index):
                term = Affine(0, ((monomial[0].name, 1),))
            elif monomial:
                values = [_convert(self.value(atom), "i64") for atom in monomial]
                term = Affine(0, (), ((_chain("*", values), 1),))
            result += term.scaled(int(factor))
        return result, (low, high)


def _with(before: list[Statement], fold: Fold) -> list[Statement]:
    """Statements and one more reduction, which shares the loops of one that finds the same extreme, or its place."""
    (new,) = fold.accumulators
    for k, other in enumerate(before):
        if not isinstance(other, Fold) or fold.body or other.body or len(other.accumulators) > 1:
            continue
        (old,) = other.accumulators
        pairs = list(zip(fold.ranges, other.ranges, strict=False))
        names = {ours.index: Affine(0, ((theirs.index, 1),)) for ours, theirs in pairs}
        is_same = [r.extent for r in other.ranges] == [r.extent for r in fold.ranges]
        if is_same and {old.kind, new.kind} in _EXTREMES and old.value == rewrite(new.value, names):
            position = new.position and rewrite_affine(new.position, names)
            both = (old, replace(new, value=old.value, position=position))
            return [*before[:k], replace(other, accumulators=both), *before[k + 1 :]]
    return [*before, fold]


def _number(size: Expr | None) -> int:
    assert isinstance(size, Number)
    return int(size.value)


# --- typed values ------------------------------------------------------------------------------------------------


def _convert(value: Value, type_: str) -> Value:
    if value.type == type_:
        return value
    if isinstance(value, Literal):
        if type_ == "i1":
            return Literal(Fraction(value.value != 0), "i1")
        if type_ == "i64" and value.type != "i1":
            return Apply("convert", (value,), type_)
        return Literal(value.value, type_)
    if isinstance(value, Apply) and value.function == "where" and value.type == "i64":
        condition, *numbers = value.arguments
        if type_ != "i1" and all(isinstance(n, Literal) for n in numbers):  # need no i64 at all
            return Apply("where", (condition, *(_convert(n, type_) for n in numbers)), type_)
    return Apply("convert", (value,), type_)


def _chain(function: str, arguments: Sequence[Value]) -> Value:
    """A function of one or two arguments, or of many from the left."""
    if len(arguments) == 1 and function not in ("*", "and", "or"):
        return Apply(function, (arguments[0],), arguments[0].type)
    result = arguments[0]
    for argument in arguments[1:]:
        result = _pair(function, result, argument)
    return result


def _pair(function: str, a: Value, b: Value) -> Value:
    if isinstance(a, Affine) or isinstance(b, Affine):
        x, y = _as_affine(a), _as_affine(b)
        if x is not None and y is not None and function in ("+", "-"):
            return x + (y if function == "+" else y.scaled(-1))
    return Apply(function, (a, b), a.type)


def _as_affine(value: Value) -> Affine | None:
    if isinstance(value, Affine):
        return value
    if isinstance(value, Literal) and isinstance(value.value, Fraction):
        return Affine(int(value.value))
    return None


def _negated(value: Value) -> Value:
    match value:
        case Affine():
            return value.scaled(-1)
        case Literal(number, type_):
            return Literal(-number, type_)
    return Apply("neg", (value,), value.type)
