"""Kernels that differ in nothing but names are worked on once.

    def kernel_7(h_3, W_3): ... z_3[256*n + o] = s        becomes   def kernel(_0, _1): ... _5[256*_2 + _3] = _4
    def kernel_9(h_4, W_4): ... z_4[256*n2 + o2] = s2     becomes the same

Tensors, panels, indices and registers are renamed by where they first appear. What a stage makes of
such a kernel holds for all that are alike, once their names are put back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ..language.expression import Index
from ..language.facts import InCommon
from .fuse import Fusion, fusion_form
from .loops import (
    Accumulator,
    Affine,
    Apply,
    Fold,
    Kernel,
    Let,
    Load,
    Loop,
    Panel,
    Range,
    Register,
    Statement,
    Store,
    Value,
)

__all__ = ["Alike", "Lowered", "anonymous", "of_all_alike", "read_and_written"]

Names = Mapping[str, str]
Outer = Sequence[tuple[Index, int]]
T = TypeVar("T")


class Nameless(InCommon[Kernel]):
    """A kernel without names, to be looked up: its hash is found once."""

    __slots__ = ("hash",)

    def __init__(self, nameless: Kernel) -> None:
        super().__init__(nameless)
        self.hash = hash(nameless)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nameless) and self.nameless == other.nameless


class Alike:
    """A change of kernels, made once for those that are alike; tensors in ``marked`` are told apart from others."""

    def __init__(
        self,
        change: Callable[[Kernel, frozenset[str]], Kernel],
        marked: frozenset[str] = frozenset(),
    ) -> None:
        self.change, self.marked = change, marked
        self.known: dict[tuple[Nameless, frozenset[str]], Kernel] = {}

    def __call__(self, kernel: Kernel) -> Kernel:
        common, names = anonymous(kernel)
        marked = frozenset([new for old, new in names.items() if old in self.marked])
        changed = self.known.get((common, marked))
        if changed is None:
            changed = self.known[common, marked] = self.change(common.nameless, marked)
        if changed is common.nameless:
            return kernel
        return _renamed(changed, {new: old for old, new in names.items()}, kernel.name)


def anonymous(kernel: Kernel) -> tuple[Nameless, Names]:
    """The kernel with the names of others that are alike, and how its own were replaced; found once."""
    found: tuple[Nameless, Names] | None = vars(kernel).get("anonymous")
    if found is None:
        names: dict[str, str] = {}
        nameless = _Renamer(lambda name: names.setdefault(name, f"_{len(names)}")).kernel(kernel)
        found = Nameless(replace(nameless, name="kernel")), names
        vars(kernel)["anonymous"] = found
    return found


def of_all_alike(fact: Callable[[Kernel], T]) -> Callable[[Kernel], T]:
    """A fact of kernels that has nothing to do with names: found once for those that are alike."""

    def found(kernel: Kernel) -> T:
        common, _ = anonymous(kernel)
        return common.fact(fact)

    return found


def read_and_written(kernel: Kernel) -> tuple[list[str], list[str]]:
    """The tensors that a kernel reads, and those that it writes, panels aside."""
    common, names = anonymous(kernel)
    own = {new: old for old, new in names.items()}
    read = dict.fromkeys(load.tensor for load in common.nameless.loads)
    written = dict.fromkeys(store.tensor for store in common.nameless.stores)
    return [own[name] for name in read], [own[name] for name in written]


def _renamed(kernel: Kernel, names: Names, name: str) -> Kernel:
    """A kernel that differs from another one in names only, and what is known of that."""
    new = _New(names)
    return _known(kernel, _Renamer(new.__getitem__), new, name)


def _known(kernel: Kernel, renamer: _Renamer, new: _New, name: str) -> Kernel:
    """A renamed kernel, knowing what was found out about the one before; hardly anybody reads its statements."""
    common, own = anonymous(kernel)
    found = object.__new__(Kernel)
    vars(found).update(
        name=name,
        outer=renamer.outer(kernel),
        panels=renamer.panels(kernel),
        written=lambda: renamer.body(kernel),
        anonymous=(common, {new[old]: number for old, number in own.items()}),
        tensors=tuple([new[tensor] for tensor in kernel.tensors]),
        shares=kernel.shares,
    )
    return found


class Lowered:
    """Kernels of equations, made once for those that are alike up to the names of tensors.

    ``facts`` are all that is asked of a tensor.
    """

    def __init__(
        self, facts: Mapping[str, Hashable], lower: Callable[[Fusion, str, Outer], Kernel]
    ) -> None:
        self.lower = lower
        numbers: dict[Hashable, int] = {}
        self.facts = {name: numbers.setdefault(own, len(numbers)) for name, own in facts.items()}
        self.known: dict[Hashable, tuple[Kernel, tuple[str, ...], frozenset[str]]] = {}

    def __call__(self, fusion: Fusion, name: str, outer: Outer) -> Kernel:
        shape, names = fusion_form(fusion)
        key = shape, tuple([self.facts[each] for each in names]), tuple(outer)
        if key not in self.known:
            kernel, others = self.lower(fusion, name, outer), dict[str, str]()
            _Renamer(lambda other: others.setdefault(other, other), str).kernel(kernel)
            self.known[key] = kernel, names, frozenset(others)
            return kernel
        kernel, own, taken = self.known[key]
        if not taken.isdisjoint((*names, *own)):  # a tensor is called like something else
            return self.lower(fusion, name, outer)
        new = _New(zip(own, names, strict=True))
        return _known(kernel, _Renamer(str, new.__getitem__), new, name)


class _New(dict[str, str]):
    """The new name of each old one; ``A.along`` is a panel for A."""

    def __missing__(self, name: str) -> str:
        first, *rest = name.split(".")
        self[name] = found = ".".join((self.get(first, first), *rest))
        return found


class _Renamer:
    """Names replaced, always in the same order; those of tensors and panels may be replaced otherwise."""

    def __init__(
        self, name: Callable[[str], str], tensor: Callable[[str], str] | None = None
    ) -> None:
        self.name, self.tensor = name, tensor or name

    def kernel(self, kernel: Kernel) -> Kernel:
        return Kernel(kernel.name, self.outer(kernel), self.body(kernel), self.panels(kernel))

    def outer(self, kernel: Kernel) -> tuple[tuple[str, int], ...]:
        return tuple((self.name(index), size) for index, size in kernel.outer)

    def body(self, kernel: Kernel) -> tuple[Statement, ...]:
        return tuple(map(self.statement, kernel.body))

    def panels(self, kernel: Kernel) -> tuple[Panel, ...]:
        return tuple(Panel(self.tensor(p.name), p.type, p.length) for p in kernel.panels)

    def statement(self, statement: Statement) -> Statement:
        match statement:
            case Loop(range_, body):
                return Loop(self.range(range_), tuple(map(self.statement, body)))
            case Fold(ranges, body, accumulators, asked):
                return Fold(
                    tuple(map(self.range, ranges)),
                    tuple(map(self.statement, body)),
                    tuple(map(self.accumulator, accumulators)),
                    tuple(map(self.load, asked)),
                )
            case Let(register, value):
                return Let(self.register(register), self.value(value))
            case Store(tensor, address, value, accumulate, condition):
                return Store(
                    self.tensor(tensor),
                    self.affine(address),
                    self.value(value),
                    accumulate,
                    None if condition is None else self.value(condition),
                )

    def range(self, own: Range) -> Range:
        block = None if own.block is None else (self.name(own.block[0]), own.block[1])
        return replace(own, index=self.name(own.index), block=block)

    def accumulator(self, own: Accumulator) -> Accumulator:
        position = None if own.position is None else self.affine(own.position)
        return Accumulator(self.register(own.register), own.kind, self.value(own.value), position)

    def register(self, register: Register) -> Register:
        return Register(self.name(register.name), register.type)

    def affine(self, value: Affine) -> Affine:
        terms = tuple((self.name(index), factor) for index, factor in value.terms)
        return Affine(value.constant, terms, tuple((self.value(v), c) for v, c in value.others))

    def load(self, load: Load) -> Load:
        inner = None if load.condition is None else self.value(load.condition)
        return Load(self.tensor(load.tensor), self.affine(load.address), load.type, inner)

    def value(self, value: Value) -> Value:
        match value:
            case Affine():
                return self.affine(value)
            case Load():
                return self.load(value)
            case Register():
                return self.register(value)
            case Apply(function, arguments, type_):
                return Apply(function, tuple(map(self.value, arguments)), type_)
        return value
