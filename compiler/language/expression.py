"""Scalar expressions over indexed tensors: the one language of formulas, gradients and compiler.

    expr      := Number(value)                            an exact rational
               | Constant(name)                           pi, inf
               | Index(name)                              a loop index, 0 .. its size - 1; "..." is a bundle of them
               | Symbol(name)                             an attribute or a size that is not a number yet
               | Size(tensor, axis)                       dim(x, 1); axis may be "..." (all axes of the bundle)
               | Element(tensor, (expr, ...))             x[n, 2*h + i]; a read out of range is zero
               | Call(function, (expr, ...))              + - * / // % ** neg, comparisons, and or not, where, exp, ...
               | Reduce(kind, body, (Binder, ...))        sum[i, j](body)
    Binder    := (Index, expr or None)                    an index and its size (None: not inferred yet)

Everything is immutable, compares by structure and keeps the form in which it was written: nothing is
simplified on construction, so ``0*x`` stays ``0*x`` and a NaN in ``x`` survives. sympy is not needed here; the
calculus converts to it and back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

__all__ = [
    "ARITHMETIC",
    "COMPARISONS",
    "ELLIPSIS",
    "FUNCTIONS",
    "GROUP",
    "LOGICAL",
    "REDUCTIONS",
    "Binder",
    "Call",
    "Constant",
    "Element",
    "Expr",
    "Index",
    "Number",
    "Reduce",
    "Size",
    "Symbol",
    "calls",
    "canonical",
    "children",
    "elements",
    "expr",
    "found_once",
    "free_indices",
    "fresh_index",
    "rebuild",
    "reduces",
    "renamed",
    "substitute",
    "transform",
    "walk",
]

T = TypeVar("T")
R = TypeVar("R")
ELLIPSIS = "..."
GROUP = "group"  # Call(GROUP, indices): their row-major position, written [n, i]; no System has one
ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**", "neg")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
LOGICAL = ("and", "or", "not")
# Scalar functions and how many arguments each takes (None: two or more). uniform(key, counter, position) is a random
# number in [0, 1) that three integers determine, see philox.py.
FUNCTIONS: Mapping[str, int | None] = {
    "where": 3,
    "max": None,
    "min": None,
    "exp": 1,
    "log": 1,
    "expm1": 1,
    "log1p": 1,
    "sqrt": 1,
    "sin": 1,
    "cos": 1,
    "tanh": 1,
    "sigmoid": 1,
    "erf": 1,
    "erfc": 1,
    "abs": 1,
    "sign": 1,
    "floor": 1,
    "round": 1,
    "uniform": 3,
}
# "max" splits a tie evenly in its gradient, "firstmax" gives all to the first in index order; values are equal.
REDUCTIONS = ("sum", "mean", "max", "min", "firstmax", "firstmin", "prod", "argmax", "argmin")


def found_once(slot: str) -> Callable[[Callable[[T], R]], Callable[[T], R]]:
    """What a function finds of something immutable is kept with it, in a slot that is no field."""

    def of_function(find: Callable[[T], R]) -> Callable[[T], R]:
        @wraps(find)
        def found(of: T) -> R:
            try:
                return getattr(of, slot)
            except AttributeError:
                value = find(of)
                object.__setattr__(of, slot, value)
                return value

        return found

    return of_function


class Expr:
    """Base of all expressions; the operators build Calls."""

    __slots__ = ("_calls", "_elements", "_free", "_hash", "_reduces")

    def __hash__(self) -> int:
        """Of kind and fields, found once: expressions are keys wherever something is looked up."""
        try:
            return self._hash  # type: ignore[attr-defined]
        except AttributeError:
            fields = (getattr(self, name) for name in self.__match_args__)  # type: ignore[attr-defined]
            found = hash((type(self), *fields))
            object.__setattr__(self, "_hash", found)
            return found

    def __add__(self, other: object) -> Call:
        return Call("+", (self, expr(other)))

    def __radd__(self, other: object) -> Call:
        return Call("+", (expr(other), self))

    def __sub__(self, other: object) -> Call:
        return Call("-", (self, expr(other)))

    def __rsub__(self, other: object) -> Call:
        return Call("-", (expr(other), self))

    def __mul__(self, other: object) -> Call:
        return Call("*", (self, expr(other)))

    def __rmul__(self, other: object) -> Call:
        return Call("*", (expr(other), self))

    def __truediv__(self, other: object) -> Call:
        return Call("/", (self, expr(other)))

    def __rtruediv__(self, other: object) -> Call:
        return Call("/", (expr(other), self))

    def __floordiv__(self, other: object) -> Call:
        return Call("//", (self, expr(other)))

    def __mod__(self, other: object) -> Call:
        return Call("%", (self, expr(other)))

    def __pow__(self, other: object) -> Call:
        return Call("**", (self, expr(other)))

    def __rpow__(self, other: object) -> Call:
        return Call("**", (expr(other), self))

    def __neg__(self) -> Call:
        return Call("neg", (self,))


@dataclass(frozen=True, slots=True)
class Number(Expr):
    value: Fraction
    __hash__ = Expr.__hash__

    @property
    def is_integer(self) -> bool:
        return self.value.denominator == 1


@dataclass(frozen=True, slots=True)
class Constant(Expr):
    name: str
    __hash__ = Expr.__hash__


@dataclass(frozen=True, slots=True)
class Index(Expr):
    name: str
    __hash__ = Expr.__hash__


@dataclass(frozen=True, slots=True)
class Symbol(Expr):
    name: str
    __hash__ = Expr.__hash__


@dataclass(frozen=True, slots=True)
class Size(Expr):
    tensor: str
    axis: int | str
    __hash__ = Expr.__hash__


@dataclass(frozen=True, slots=True)
class Element(Expr):
    tensor: str
    subscripts: tuple[Expr, ...]
    __hash__ = Expr.__hash__


@dataclass(frozen=True, slots=True)
class Call(Expr):
    function: str
    arguments: tuple[Expr, ...]
    __hash__ = Expr.__hash__


class Binder(NamedTuple):
    index: Index  # type: ignore[assignment]  # hides tuple.index, which nobody needs
    size: Expr | None

    @property
    def extent(self) -> int:
        """The size, where all sizes are numbers."""
        assert isinstance(self.size, Number)
        return int(self.size.value)


@dataclass(frozen=True, slots=True)
class Reduce(Expr):
    kind: str
    body: Expr
    binders: tuple[Binder, ...]
    __hash__ = Expr.__hash__

    @property
    def indices(self) -> tuple[Index, ...]:
        return tuple(b.index for b in self.binders)


def expr(value: object) -> Expr:
    """An expression from an expression or an exact Python number (a float counts as its shortest decimal)."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, Fraction):
        return Number(value)
    if isinstance(value, float):
        return Number(Fraction(repr(value)))
    raise TypeError(f"expected an expression or a number, got {value!r}")


@lru_cache(1 << 10)  # so that what is compared most is mostly the same object
def _integer(value: int) -> Number:
    return Number(Fraction(value))


def children(e: Expr) -> tuple[Expr, ...]:
    """Direct sub-expressions: subscripts, arguments, a reduction's body and the sizes of its binders."""
    if isinstance(e, Call):
        return e.arguments
    if isinstance(e, Element):
        return e.subscripts
    if isinstance(e, Reduce):
        return (e.body, *[b.size for b in e.binders if b.size is not None])
    return ()


def rebuild(e: Expr, fn: Callable[[Expr], Expr]) -> Expr:
    """``e`` with ``fn`` applied to each direct child; ``e`` itself when nothing changed."""
    if isinstance(e, Call):
        new = tuple(map(fn, e.arguments))
        return e if new == e.arguments else Call(e.function, new)
    if isinstance(e, Element):
        new = tuple(map(fn, e.subscripts))
        return e if new == e.subscripts else Element(e.tensor, new)
    if isinstance(e, Reduce):
        sized = tuple([Binder(i, None if n is None else fn(n)) for i, n in e.binders])
        inner = fn(e.body)
        return e if inner == e.body and sized == e.binders else Reduce(e.kind, inner, sized)
    return e


def transform(e: Expr, fn: Callable[[Expr], Expr]) -> Expr:
    """Rewrite bottom-up: children first, then ``fn`` on the node. ``fn`` must not capture indices."""
    return fn(rebuild(e, lambda child: transform(child, fn)))


def walk(e: Expr) -> Iterator[Expr]:
    """Every node, parents before children, left to right."""
    stack = [e]
    while stack:
        node = stack.pop()
        yield node
        stack += children(node)[::-1]


@found_once("_reduces")
def reduces(e: Expr) -> bool:
    """Is there a reduction in it? Most of what stages look for is within one."""
    return isinstance(e, Reduce) or any(map(reduces, children(e)))


@found_once("_elements")
def elements(e: Expr) -> tuple[Element, ...]:
    """Every tensor element read, those inside subscripts included, left to right."""
    return tuple(node for node in walk(e) if isinstance(node, Element))


@found_once("_calls")
def calls(e: Expr) -> frozenset[str]:
    """The functions that are called in it: a stage that looks for one need not look further."""
    return frozenset(node.function for node in walk(e) if isinstance(node, Call))


@found_once("_free")
def free_indices(e: Expr) -> Mapping[Index, None]:
    """Indices not bound by a reduction, in order of first appearance."""
    match e:
        case Index():
            return {e: None}
        case Reduce(_, body, binders):
            bound = {b.index for b in binders}
            inner = {i: None for i in free_indices(body) if i not in bound}
            return inner | {i: None for b in binders if b.size for i in free_indices(b.size)}
    found: dict[Index, None] = {}
    for child in children(e):
        found |= free_indices(child)
    return found


def renamed(e: Expr, names: Mapping[str, str]) -> Expr:
    """``e`` reading other tensors, where ``names`` has another one."""
    match e:
        case Index() | Number():  # nothing in it has a name
            return e
        case Element(tensor, subscripts):
            name, new = names.get(tensor, tensor), tuple([renamed(s, names) for s in subscripts])
            return e if name == tensor and new == subscripts else Element(name, new)
        case Size(tensor, axis):
            return Size(names.get(tensor, tensor), axis)
    return rebuild(e, lambda child: renamed(child, names))


def fresh_index(hint: str, taken: Mapping[Index, object] | set[Index]) -> Index:
    """``hint``, or ``hint`` with the first number from 2 on that is not taken."""
    base = Index(hint)
    number = 1
    while base in taken:
        number += 1
        base = Index(f"{hint}{number}")
    return base


def substitute(e: Expr, values: Mapping[Any, Expr]) -> Expr:
    """Replace leaves or whole sub-expressions; a bound index that would capture is renamed."""
    return _substituted(e, values) if values else e


def _substituted(e: Expr, values: Mapping[Any, Expr]) -> Expr:
    found = values.get(e)
    if found is not None:
        return found
    if not isinstance(e, Reduce):
        return rebuild(e, lambda child: _substituted(child, values))
    inner = {k: v for k, v in values.items() if k not in e.indices}
    incoming: dict[Index, None] = {}
    for value in inner.values():
        incoming |= free_indices(value)
    if any(i in incoming for i in e.indices):
        taken = {**incoming, **free_indices(e.body)}
        for i in e.indices:
            taken[i] = None
        for i in e.indices:
            if i in incoming:
                inner[i] = fresh_index(i.name.rstrip("0123456789") or i.name, taken)
                taken[inner[i]] = None  # type: ignore[index]
    binders = tuple(
        Binder(inner.get(i, i), None if n is None else substitute(n, values))  # type: ignore[arg-type]
        for i, n in e.binders
    )
    return Reduce(e.kind, substitute(e.body, inner), binders)


def canonical(e: Expr, depth: int = 0) -> Expr:
    """Bound indices renamed by nesting depth, so that expressions equal up to their names compare equal."""
    if not reduces(e):
        return e
    if isinstance(e, Reduce):
        names = {b.index: Index(f"#{depth}.{k}") for k, b in enumerate(e.binders)}
        binders = tuple(
            Binder(names[i], None if n is None else canonical(n, depth)) for i, n in e.binders
        )
        body = substitute(e.body, names)
        return Reduce(e.kind, canonical(body, depth + 1), binders)
    return rebuild(e, lambda child: canonical(child, depth))
