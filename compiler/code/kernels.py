"""Machine code of one kernel: its statements, each for all lanes that are open.

Before a loop begins, what does not change in it is computed. Addresses that move with the innermost loop
of a fold become pointers that step along (see `streams`), its accumulators stay in registers from turn to
turn; those of a fold around it wait on the stack. What is touched when a fold is done is asked for while it
runs (see `ahead`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace

from ..language.dtypes import dtype_of
from ..scheduling.loops import (
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
    statements,
    values,
)
from ..target import Target
from .ahead import Asked, ask_at_once, in_parts, touched
from .assembler import Assembler, element_type, lanes, like, vector
from .folds import Slot, combine, horizontal, identity, state_types
from .lanes import Lanes
from .nodes import Node, Nodes
from .past import fence
from .scalars import apply
from .straight import first_straight, straight
from .streams import AHEAD, step, streams
from .values import Values

__all__ = ["kernel_function", "shared_turns"]

_FEW = 8  # accumulators around another fold that may stay in registers

States = Callable[[], Sequence[str]]  # accumulators as they stand, asked for when they are needed
Turn = Callable[[States], list[str]]


def kernel_function(
    kernel: Kernel,
    dtypes: Mapping[str, str],
    target: Target,
    name: str,
    late: Set[str] = frozenset(),
) -> tuple[str, Assembler]:
    """The text of a kernel as a function, and what knows what it needs declared; for ``late`` see `past`."""
    memory = {tensor: dtype_of(dtypes[tensor]).memory for tensor in kernel.tensors}
    memory |= {panel.name: panel.type for panel in kernel.panels}
    writer = _Writer(kernel, memory, target)
    writer.values.late = late
    if kernel.shares:
        writer.lanes.own = shared_turns(writer.a, kernel.shares, "%piece", "%pieces")
    writer.run(kernel.body)
    if late:
        fence(writer.a)
    writer.a.line("ret void")
    parameters = [f"ptr {writer.values.pointers[tensor]}" for tensor in kernel.tensors]
    parameters += [f"ptr noalias {writer.values.pointers[p.name]}" for p in kernel.panels]
    parameters += [f"i64 %t{k}" for k in range(len(kernel.outer))]
    parameters += ["i64 %piece", "i64 %pieces"] if kernel.shares else []
    signature = f"hidden void @{name}({', '.join(parameters)})"
    return writer.a.function(signature, "nounwind noinline"), writer.a


def shared_turns(a: Assembler, shares: int, piece: str, pieces: str) -> tuple[str, str]:
    """Which of the shared turns are those of a piece: as many as any other's, or one more."""
    places = (piece, a.op(f"add i64 {piece}, 1"))
    first, last = (
        a.op(f"udiv i64 {a.op(f'mul i64 {place}, {shares}')}, {pieces}") for place in places
    )
    return first, last


class _Writer:
    """One kernel in the making."""

    def __init__(self, kernel: Kernel, memory: Mapping[str, str], target: Target) -> None:
        self.a = Assembler(target)
        self.nodes = Nodes(kernel.body)
        self.lanes = Lanes(self.a, [index for index, _ in kernel.outer])
        self.values = Values(self.a, self.lanes, self.nodes, memory)
        self.panels = {panel.name for panel in kernel.panels}
        self.defined: set[str] = set()  # registers
        self.later: list[Asked] = []  # what is asked for in the innermost loop of the next fold

    def run(self, body: Sequence[Statement]) -> None:
        """Statements in order."""
        rest = list(body)
        while rest:
            if before := first_straight(rest):
                straight(self.values, before)
                self.defined |= {s.register.name for s in before if isinstance(s, Let)}
                rest = rest[len(before) :]
                continue
            match rest.pop(0):
                case Loop(range_, inner):
                    self.hoist(inner, {range_.index})

                    def once(_: Sequence[str], inner: Sequence[Statement] = inner) -> list[str]:
                        self.run(inner)
                        return []

                    outside = set(self.defined)
                    self.lanes.loop(range_, [], once)
                    self.defined = outside
                case Fold() as fold:
                    self.ask(fold, rest)
                    self.fold(fold)

    def hoist(self, body: Sequence[Statement], moving: set[str]) -> None:
        """Compute what a loop body needs and what does not depend on the indices that move."""
        for statement in statements(tuple(body)):
            for value in values(statement):
                self._hoist(self.nodes.of(value), moving)

    def _hoist(self, node: Node, moving: set[str]) -> None:
        if isinstance(node.value, (Literal, Affine, Register)):
            return
        inner_moves = any(i in moving or i not in self.lanes.starts for i in node.indices)
        if inner_moves or not node.registers <= self.defined:
            for inner in node.inner:
                self._hoist(inner, moving)
            return
        for lane in self.lanes.over(node.indices):
            self.values.value(node, lane)

    def ask(self, fold: Fold, following: Sequence[Statement]) -> None:
        """Let what some statements touch come near: while a fold runs, or before it where it has more loops."""
        if math.prod(r.turns for r in fold.ranges) < AHEAD:
            return
        self.later = touched(fold.asked, following, self.values, self.nodes, self.panels)
        *outer, inner = (not (r.is_single or r.unrolled) for r in fold.ranges)
        if any(outer) or not inner or any(isinstance(s, Fold) for s in fold.body):
            ask_at_once(self.a, self.later)
            self.later = []

    # --- folds ---------------------------------------------------------------------------------------------------

    def fold(self, fold: Fold) -> None:
        """Reductions: one accumulator for each lane around, and for each lane of the fold's own ranges."""
        slots = self._slots(fold)
        carried = [pair for slot in slots for pair in self._start(slot)]

        def turn(states: States) -> list[str]:
            self.run(fold.body)
            each = zip(slots, _grouped(slots, states()), strict=True)
            return [value for slot, state in each for value in self._accumulate(slot, state)]

        self.hoist((fold,), {r.index for r in fold.ranges})
        around = any(isinstance(s, Fold) for s in fold.body) and len(carried) > _FEW
        nest = self._nest_in_memory if around else self._nest
        outside = set(self.defined)
        final = _grouped(slots, nest(fold, list(fold.ranges), carried, turn))
        self.defined = outside
        results: dict[object, list[list[str]]] = {}  # the states of all own lanes together
        for slot, state in zip(slots, final, strict=True):
            results.setdefault(slot.key, []).append(state)
        for slot in {slot.key: slot for slot in slots}.values():
            kind, types = slot.accumulator.kind, slot.types
            state = combine(self.a, kind, types, results[slot.key])
            if slot.is_spread:
                state = horizontal(self.a, kind, types, state)
                types = tuple(map(element_type, types))
            if len(state) > 1:
                state[1] = self._resized("sext", types[1], like(types[1], "i64"), state[1])
            self.lanes.keep(slot.key, state[-1])
            if slot.best is not None:
                self.lanes.keep(slot.best, state[0])
        self.defined |= {a.register.name for a in fold.accumulators}

    def _slots(self, fold: Fold) -> list[Slot]:
        """All accumulators of a fold, those that will be combined side by side."""
        rows = {r.index: r.rows for r in fold.ranges if r.rows > 1}
        own = [
            dict(zip(rows, chosen, strict=True))
            for chosen in itertools.product(*map(range, rows.values()))
        ]
        width = next((r.width for r in fold.ranges if r.width > 1), 0)
        slots = []
        roles = [(a.kind.removeprefix("arg"), self.nodes.of(a.value)) for a in fold.accumulators]
        placed = [r for r, a in zip(roles, fold.accumulators, strict=True) if a.position]
        plain = {
            role: self.nodes.of(a.register)
            for role, a in zip(roles, fold.accumulators, strict=True)
            if a.position is None
        }
        for (kind, node), a in zip(roles, fold.accumulators, strict=True):
            if a.position is None and (kind, node) in placed:
                continue
            best = None if a.position is None else plain.get((kind, node))
            register = self.nodes.of(a.register)
            count = width or (self.lanes.width if self.lanes.is_wide(node) else 1)
            types = tuple(vector(type_, count) for type_ in state_types(a, node.type, fold.ranges))
            for lane in self.lanes.over(node.indices):
                key, also = (r and self.lanes.key(r, lane) for r in (register, best))
                slots += [
                    Slot(a, node, {**lane, **more}, key, also, types, width > 0) for more in own
                ]
        return slots

    def _start(self, slot: Slot) -> list[tuple[str, str]]:
        """What an accumulator is before the first turn: (type, value), for positions too."""
        first = identity(self.a, slot.accumulator.kind, slot.types[0])
        start = [first, *(self.a.constant(type_, 0) for type_ in slot.types[1:])]
        return list(zip(slot.types, start, strict=True))

    def _nest_in_memory(
        self,
        fold: Fold,
        ranges: list[Range],
        carried: Sequence[tuple[str, str]],
        turn: Turn,
    ) -> list[str]:
        """Accumulators around another fold wait on the stack: the registers belong to the inner one."""
        places = []
        for type_, first in carried:
            places.append(self.a.stack(type_, 1))
            self.a.line(f"store {type_} {first}, ptr {places[-1]}")

        def values() -> list[str]:
            pairs = zip(carried, places, strict=True)
            return [self.a.op(f"load {type_}, ptr {place}") for (type_, _), place in pairs]

        def remembering(_: States) -> list[str]:
            results = turn(values)
            for place, result, start in zip(places, results, carried, strict=True):
                self.a.line(f"store {start[0]} {result}, ptr {place}")
            return []

        self._nest(fold, ranges, [], remembering)
        return values()

    def _nest(
        self,
        fold: Fold,
        ranges: list[Range],
        carried: Sequence[tuple[str, str]],
        turn: Turn,
    ) -> list[str]:
        """The loops of a fold from the outside in; in the innermost, addresses step along.

        Where vectors run there, a last turn that is not full stands apart, so that no other one is masked.
        """
        if not ranges:
            return turn(lambda: [start for _, start in carried])
        first, *rest = ranges
        left = first.extent % first.span if first.width > 1 else 0
        if left and not (rest or first.block or first.is_single or first.unrolled):
            full = replace(first, stop=first.stop - left)
            states = self._nest(fold, [full], carried, turn)
            here = [(type_, state) for (type_, _), state in zip(carried, states, strict=True)]
            return self._nest(fold, [replace(first, start=full.stop)], here, turn)
        if rest or first.is_single or first.unrolled:

            def inside(states: Sequence[str]) -> list[str]:
                if rest:
                    self.hoist((fold,), {r.index for r in rest})
                here = [(type_, state) for (type_, _), state in zip(carried, states, strict=True)]
                return self._nest(fold, rest, here, turn)

            return self.lanes.loop(first, carried, inside)
        own = streams(fold, first, self.values, self.panels)

        def stepping(states: Sequence[str]) -> list[str]:
            accumulators, pointers = states[: len(carried)], states[len(carried) :]
            stepped = step(own, pointers, self.values)
            return [*turn(lambda: accumulators), *stepped]

        all_carried = [*carried, *(("ptr", stream.start) for stream in own)]
        asked, self.later = self.later, []
        return in_parts(self.lanes, first, all_carried, stepping, asked)[: len(carried)]

    def _accumulate(self, slot: Slot, state: Sequence[str]) -> list[str]:
        """An accumulator with one more value."""
        kind, node, type_ = slot.accumulator.kind, slot.node, slot.types[0]
        wide = lanes(type_) > 1
        mask = self.lanes.mask(slot.lane) if slot.is_spread else None
        if kind == "sum" and self._ends_in_zeros(node):
            mask = None
        match node.value:
            case Apply("*", (_, _)) if kind == "sum" and mask is None and node.type != "i64":
                x, y = (self.values.operand(n, slot.lane, wide) for n in node.inner)
                return [self.a.multiply_add(type_, x, y, state[0])]
        value = self.values.operand(node, slot.lane, wide)
        if mask is not None:
            value = apply(self.a, "where", type_, (mask, value, identity(self.a, kind, type_)))
        new = [value]
        if slot.accumulator.position is not None:
            position = self.nodes.of(slot.accumulator.position)
            place = self.values.operand(position, slot.lane, wide)
            types = like(slot.types[1], "i64"), slot.types[1]
            new.append(self._resized("trunc", *types, place))
        return combine(self.a, kind, slot.types, [state, new], ordered=True)

    def _ends_in_zeros(self, node: Node) -> bool:
        """Is it zero in the lanes that do not count, as what is read from memory as vectors is?"""
        match node.value:
            case Load(condition=None):
                return self.lanes.is_wide(node)
            case Apply("*", (_, _)):
                return all(map(self._ends_in_zeros, node.inner))
        return False

    def _resized(self, instruction: str, given: str, wanted: str, value: str) -> str:
        """An integer with more or fewer bits."""
        return value if given == wanted else self.a.op(f"{instruction} {given} {value} to {wanted}")


def _grouped(slots: Sequence[Slot], values: Sequence[str]) -> list[list[str]]:
    """The values that belong to each slot: one, or two where it has a position."""
    rest = iter(values)
    return [[next(rest) for _ in slot.types] for slot in slots]
