"""What the stages make of a system: object code, and what must be known to call it.

The code has one function, ``void step(ptr context, ptr team, i64 thread, i64 threads)``, which one thread calls with
(context, null, 0, 1), or, if the program is ``for_team``, all threads of a team together; see `team`. The context is a
table of addresses:

    context[k]              memory of ``slots[k]``: an input, parameter or output, C-contiguous, aligned to its element
    context[len(slots)]     the arena: ``arena`` bytes, 64-byte aligned, ``zeros`` (offset, bytes) of it zeroed once,
                            and ``own`` bytes for each thread
    context[len(slots)+1]   in a program that takes times: the times; see `profile`

A step reads inputs and parameters, writes every element of every output, and at its end gives every state (a
parameter in ``updates``) its new value in place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace

import numpy as np

from ..code.emit import SYMBOL
from ..language.dtypes import dtype_of
from ..language.expression import Element
from ..language.form import of_form
from ..language.system import Equation, System, Tensor, reads
from .arrays import Array

__all__ = ["Limit", "Program", "decode", "encode", "limits"]


@dataclass(frozen=True, slots=True)
class Limit:
    """The elements of an integer input point into an axis of ``size`` positions of ``tensor``."""

    input: str
    size: int
    tensor: str

    def check(self, array: Array) -> None:
        """IndexError naming the first element that points outside."""
        unsigned = array.view(f"u{array.itemsize}")  # negative numbers are then the greatest ones
        if array.size == 0 or unsigned.max() < self.size:
            return
        position = tuple(map(int, np.argwhere((array < 0) | (array >= self.size))[0]))
        subscripts = ", ".join(map(str, position))
        raise IndexError(
            f"{self.input}[{subscripts}] is {array[position]}, but it is a subscript of {self.tensor}, "
            f"where 0 to {self.size - 1} are allowed"
        )


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled system, ready to be kept or loaded."""

    slots: tuple[Tensor, ...]
    arena: int
    zeros: tuple[tuple[int, int], ...]
    states: tuple[str, ...]
    limits: tuple[Limit, ...]
    objects: tuple[bytes, ...]
    symbol: str = SYMBOL
    for_team: bool = False
    own: int = 0

    def renamed(self, names: Mapping[str, str]) -> Program:
        """The same program of tensors with other names; code knows none."""
        return replace(
            self,
            slots=tuple(replace(slot, name=names[slot.name]) for slot in self.slots),
            states=tuple(names[state] for state in self.states),
            limits=tuple(
                Limit(names[limit.input], limit.size, names[limit.tensor]) for limit in self.limits
            ),
        )

    def memory(self, threads: int) -> int:
        """Bytes that a step works in: what it is given, what it gives, and the arena for all between."""
        outside = sum(math.prod(t.shape) * dtype_of(t.dtype).bytes for t in self.slots)
        return outside + self.arena + threads * self.own


def limits(system: System) -> tuple[Limit, ...]:
    """Of every input that is a subscript itself, as in ``E[t[n], e]``, the axes that it points into."""
    tensors = system.by_name
    found: dict[Limit, None] = {}
    for equation in filter(_is_pointed, system.equations):
        for place in _places(equation):
            for subscript, size in zip(place.subscripts, tensors[place.tensor].shape, strict=True):
                if isinstance(subscript, Element) and tensors[subscript.tensor].role == "input":
                    found[Limit(subscript.tensor, size, place.tensor)] = None
    return tuple(found)


def _places(equation: Equation) -> tuple[Element, ...]:
    """Where an equation writes and reads."""
    return Element(equation.target, equation.subscripts), *reads(equation)


@of_form
def _is_pointed(equation: Equation) -> bool:
    """Does it tell a place by an element?"""
    return any(isinstance(s, Element) for place in _places(equation) for s in place.subscripts)


def encode(program: Program) -> bytes:
    """As bytes: the length of a JSON header, the header, the objects."""
    header = json.dumps(
        {
            "slots": [astuple(tensor) for tensor in program.slots],
            "arena": program.arena,
            "zeros": program.zeros,
            "states": program.states,
            "limits": [astuple(limit) for limit in program.limits],
            "objects": [len(data) for data in program.objects],
            "symbol": program.symbol,
            "for_team": program.for_team,
            "own": program.own,
        }
    ).encode()
    return b"".join([len(header).to_bytes(8, "little"), header, *program.objects])


def decode(data: bytes) -> Program:
    """The program that was encoded; the bytes come from our own cache, which has checked them."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    objects = []
    for length in header["objects"]:
        objects.append(data[start : start + length])
        start += length
    return Program(
        slots=tuple(Tensor(n, tuple(s), dtype, role) for n, s, dtype, role in header["slots"]),
        arena=header["arena"],
        zeros=tuple((offset, length) for offset, length in header["zeros"]),
        states=tuple(header["states"]),
        limits=tuple(Limit(*limit) for limit in header["limits"]),
        objects=tuple(objects),
        symbol=header["symbol"],
        for_team=header["for_team"],
        own=header["own"],
    )
