"""Kernels that differ in nothing but names are worked on once.

    def kernel_7(h_3, W_3): ... z_3[256*n + o] = s        becomes   def kernel(_0, _1): ... _5[256*_2 + _3] = _4
    def kernel_9(h_4, W_4): ... z_4[256*n2 + o2] = s2     becomes the same

Tensors, panels, indices and registers are renamed by where they first appear. What a stage makes of
such a kernel holds for all that are alike, once their names are put back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

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

__all__ = ["Alike", "anonymous"]


class Alike:
    """A change of kernels, made once for those that are alike; tensors in ``marked`` are told apart from others."""

    def __init__(
        self,
        change: Callable[[Kernel, frozenset[str]], Kernel],
        marked: frozenset[str] = frozenset(),
    ) -> None:
        self.change, self.marked = change, marked
        self.known: dict[tuple[Kernel, frozenset[str]], Kernel] = {}

    def __call__(self, kernel: Kernel) -> Kernel:
        nameless, names = anonymous(kernel)
        marked = frozenset(new for old, new in names.items() if old in self.marked)
        if (nameless, marked) not in self.known:
            self.known[nameless, marked] = self.change(nameless, marked)
        back = {new: old for old, new in names.items()}

        def renamed(name: str) -> str:
            first, *rest = name.split(".")  # ``A.along`` is a panel for A
            return ".".join((back.get(first, first), *rest))

        return replace(_Renamer(renamed).kernel(self.known[nameless, marked]), name=kernel.name)


def anonymous(kernel: Kernel) -> tuple[Kernel, Mapping[str, str]]:
    """The kernel with the names of others that are alike, and how its own were replaced."""
    names: dict[str, str] = {}
    nameless = _Renamer(lambda name: names.setdefault(name, f"_{len(names)}")).kernel(kernel)
    return replace(nameless, name="kernel"), names


class _Renamer:
    """Names replaced, always in the same order."""

    def __init__(self, name: Callable[[str], str]) -> None:
        self.name = name

    def kernel(self, kernel: Kernel) -> Kernel:
        outer = tuple((self.name(index), size) for index, size in kernel.outer)
        body = tuple(map(self.statement, kernel.body))
        panels = tuple(Panel(self.name(p.name), p.type, p.length) for p in kernel.panels)
        return Kernel(kernel.name, outer, body, panels)

    def statement(self, statement: Statement) -> Statement:
        match statement:
            case Loop(range_, body):
                return Loop(self.range(range_), tuple(map(self.statement, body)))
            case Fold(ranges, body, accumulators):
                return Fold(
                    tuple(map(self.range, ranges)),
                    tuple(map(self.statement, body)),
                    tuple(map(self.accumulator, accumulators)),
                )
            case Let(register, value):
                return Let(self.register(register), self.value(value))
            case Store(tensor, address, value, accumulate, condition):
                return Store(
                    self.name(tensor),
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

    def value(self, value: Value) -> Value:
        match value:
            case Affine():
                return self.affine(value)
            case Load(tensor, address, type_, condition):
                inner = None if condition is None else self.value(condition)
                return Load(self.name(tensor), self.affine(address), type_, inner)
            case Register():
                return self.register(value)
            case Apply(function, arguments, type_):
                return Apply(function, tuple(map(self.value, arguments)), type_)
        return value
