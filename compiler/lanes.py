"""Machine code of one kernel: a value is computed once for each lane of the indices that it depends on.

`Emitter.value(node, lane)` gives the register that holds a node's value in one lane; it remembers it, so that asking
again costs nothing, in scopes that open and close with the loops. A node that depends on the vector index is a vector,
all others are scalars that are spread when a vector wants them. Before a loop begins, what does not change in it is
computed; the addresses that move with the innermost loop of a fold become pointers that step along (constant
strides then turn into immediates of the instructions, which leaves the registers to the accumulators).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .assembler import Assembler, vector
from .folds import combine, horizontal, identity
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
    dependences,
    operands,
    statements,
    values,
)
from .scalars import apply, convert, read_memory, write_memory
from .target import Target

__all__ = ["Emitter"]

MEMORY = {"float32": "float", "float64": "double", "int32": "i32", "int64": "i64", "bool": "i8"}
BYTES = {"float": 4, "double": 8, "i32": 4, "i64": 8, "i8": 1}

_FEW = 8  # accumulators around another fold that may stay in registers

Lane = Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """A value and what must be known of it everywhere: the indices it depends on and the registers it needs."""

    number: int
    value: Value
    inner: tuple[_Node, ...]
    indices: tuple[str, ...]
    registers: frozenset[str]
    type: str


@dataclass(frozen=True, slots=True)
class _Stream:
    """A pointer that moves ``step`` bytes with every turn of a loop, and where it starts."""

    load: Load
    step: int
    start: str


class Emitter:
    """One kernel in the making."""

    def __init__(self, kernel: Kernel, dtypes: Mapping[str, str], target: Target) -> None:
        self.kernel = kernel
        self.a = Assembler(target)
        self.memory = {t: MEMORY[dtypes[t]] for t in kernel.tensors}
        self.pointers = {t: f"%a{k}" for k, t in enumerate(kernel.tensors)}
        self.starts: dict[str, str | int] = {
            index: f"%t{k}" for k, (index, _) in enumerate(kernel.outer)
        }
        self.rows: dict[str, int] = {}  # unrolled lanes of the indices whose loops are open
        self.vector: str | None = None
        self.width = 1
        self.masks: dict[int, str | None] = {}  # by row of the vector index; None: all lanes
        self.scopes: list[dict[object, str]] = [{}]
        self.known: dict[object, _Node] = {}
        self.by_identity: dict[int, _Node] = {}
        self.depends = dependences(kernel.body)  # of registers on indices
        self.defined: set[str] = set()

    def text(self, name: str) -> str:
        """The finished function."""
        self.run(self.kernel.body)
        self.a.line("ret void")
        parameters = [f"ptr {p}" for p in self.pointers.values()]
        parameters += [f"i64 %t{k}" for k in range(len(self.kernel.outer))]
        return self.a.function(
            f"internal void @{name}({', '.join(parameters)})", "nounwind noinline"
        )

    # --- nodes ---------------------------------------------------------------------------------------------------

    def node(self, value: Value) -> _Node:
        """The one node of all equal values."""
        found = self.by_identity.get(id(value))
        if found is not None:
            return found
        inner = tuple(self.node(v) for v in operands(value))
        key: object
        match value:
            case Affine(constant, terms, others):
                key = (constant, terms, tuple((n.number, c) for n, (_, c) in zip(inner, others)))
            case Load(tensor, address, type_, condition):
                key = (tensor, address.constant, address.terms, tuple(c for _, c in address.others),
                       type_, condition is None, tuple(n.number for n in inner))  # fmt: skip
            case Apply(function, _, type_):
                key = (function, type_, tuple(n.number for n in inner))
            case _:
                key = value
        if key not in self.known:
            self.known[key] = self._new_node(value, inner)
        self.by_identity[id(value)] = self.known[key]
        return self.known[key]

    def _new_node(self, value: Value, inner: tuple[_Node, ...]) -> _Node:
        indices = {i: None for n in inner for i in n.indices}
        registers = frozenset(r for n in inner for r in n.registers)
        match value:
            case Affine(_, terms, _) | Load(_, Affine(_, terms, _)):
                indices |= {i: None for i, _ in terms}
            case Register(name):
                indices |= dict.fromkeys(sorted(self.depends[name]))
                registers = frozenset([name])
        return _Node(len(self.known), value, inner, tuple(indices), registers, value.type)

    # --- lanes ---------------------------------------------------------------------------------------------------

    def lanes(self, indices: Sequence[str]) -> Iterator[Lane]:
        """All combinations of unrolled lanes of these indices, vectors side by side: what they share is in use briefly."""
        own = [i for i in self.rows if i in indices and i != self.vector]
        own += [i for i in self.rows if i in indices and i == self.vector]
        for rows in itertools.product(*(range(self.rows[i]) for i in own)):
            yield dict(zip(own, rows, strict=True))

    def key(self, node: _Node, lane: Lane) -> object:
        return (node.number, *(lane.get(i, 0) for i in node.indices if i in self.rows))

    def is_wide(self, node: _Node) -> bool:
        return self.vector is not None and self.vector in node.indices

    def look(self, key: object) -> str | None:
        for scope in reversed(self.scopes):
            if key in scope:
                return scope[key]
        return None

    def value(self, node: _Node, lane: Lane) -> str:
        """The register with the value of a node in a lane: a vector if it depends on the vector index."""
        key = self.key(node, lane)
        found = self.look(key)
        if found is None:
            found = self.scopes[-1][key] = self.compute(node, lane)
        return found

    def operand(self, node: _Node, lane: Lane, wide: bool) -> str:
        """As `value`, but a vector wherever ``wide``."""
        if not wide or self.is_wide(node):
            return self.value(node, lane)
        type_ = vector(node.type, self.width)
        if isinstance(node.value, Literal):
            return self.a.constant(type_, node.value.value)
        key = ("spread", self.width, self.key(node, lane))
        found = self.look(key)
        if found is None:
            found = self.scopes[-1][key] = self.a.splat(type_, self.value(node, lane))
        return found

    def compute(self, node: _Node, lane: Lane) -> str:
        wide = self.is_wide(node)
        type_ = vector(node.type, self.width if wide else 1)
        match node.value:
            case Literal(number):
                return self.a.constant(type_, number)
            case Affine():
                return self.affine(node, lane, wide)
            case Load():
                return self.load(node, lane, wide)
            case Apply("**", (_, Literal(exponent, "i64")), _):
                base = self.operand(node.inner[0], lane, wide)
                return apply(self.a, "power", type_, (base, str(int(exponent))))
            case Apply("convert" | "wrap" as function, (argument,)):
                inner = self.operand(node.inner[0], lane, wide)
                return convert(self.a, function, inner, argument.type, type_)
            case Apply(function, arguments):
                inner = tuple(self.operand(n, lane, wide) for n in node.inner)
                of = vector(arguments[-1].type, self.width if wide else 1)
                return apply(self.a, function, of, inner)
        raise AssertionError(f"{node.value} is not defined here")

    # --- integers and addresses ----------------------------------------------------------------------------------

    def affine(self, node: _Node, lane: Lane, wide: bool) -> str:
        """An index expression as a number, or a vector of numbers."""
        value = node.value
        assert isinstance(value, Affine)
        constant, moving = self.split(value, lane)
        total = None
        for operand, factor in moving:
            total = self._plus(total, self._times(operand, factor))
        for inner, (_, factor) in zip(node.inner, value.others, strict=True):
            if not self.is_wide(inner):
                total = self._plus(total, self._times(self.value(inner, lane), factor))
        if not wide:
            return self._plus(total, str(constant)) if constant or total is None else total
        assert self.vector is not None
        total = self._plus(total, str(constant))
        return self._spread_out(total, value.coefficient(self.vector), node, lane)

    def _spread_out(self, start: str, step: int, node: _Node, lane: Lane) -> str:
        """A vector of i64: ``start``, ``start + step`` ... plus the parts of the node that are vectors."""
        type_ = vector("i64", self.width)
        result = self.a.splat(type_, start)
        if step:
            ramp = self.a.constants(type_, [step * k for k in range(self.width)])
            result = self.a.op(f"add {type_} {result}, {ramp}")
        value = node.value
        address = value.address if isinstance(value, Load) else value
        assert isinstance(address, Affine)
        for inner, (_, factor) in zip(node.inner, address.others, strict=False):
            if self.is_wide(inner):
                part = self.value(inner, lane)
                if factor != 1:
                    part = self.a.op(f"mul {type_} {part}, {self.a.constant(type_, factor)}")
                result = self.a.op(f"add {type_} {result}, {part}")
        return result

    def split(self, value: Affine, lane: Lane) -> tuple[int, list[tuple[str, int]]]:
        """The part that is known now, lanes included, and the (register, factor) pairs of the rest."""
        constant, moving = value.constant, []
        for index, factor in value.terms:
            start = self.starts[index]
            if isinstance(start, int):
                constant += factor * start
            else:
                moving.append((start, factor))
            width = self.width if index == self.vector else 1
            constant += factor * lane.get(index, 0) * width
        return constant, moving

    def _times(self, operand: str, factor: int) -> str:
        return operand if factor == 1 else self.a.op(f"mul i64 {operand}, {factor}")

    def _plus(self, a: str | None, b: str) -> str:
        if a is None or b == "0":
            return b if a is None else a
        return self.a.op(f"add i64 {a}, {b}")

    def pointer(self, node: _Node, tensor: str, address: Affine, lane: Lane) -> str:
        """Where lane 0 of a vector, or a scalar, lies in memory."""
        bytes_ = BYTES[self.memory[tensor]]
        constant, moving = self.split(address, lane)
        parts = [(n, c) for n, (_, c) in zip(node.inner, address.others) if not self.is_wide(n)]
        key = (tensor, *moving, *((self.key(n, lane), c) for n, c in parts))
        base = self.look(key)
        if base is None:
            base = self.pointers[tensor]
            for operand, factor in moving:
                base = self.a.offset(base, self._times(operand, factor * bytes_))
            for inner, factor in parts:
                base = self.a.offset(base, self._times(self.value(inner, lane), factor * bytes_))
            self.scopes[-1][key] = base
        if constant == 0:
            return base
        placed = self.look((base, constant * bytes_))
        if placed is None:
            placed = self.a.offset(base, constant * bytes_)
            self.scopes[-1][base, constant * bytes_] = placed
        return placed

    def _pattern(self, node: _Node, address: Affine) -> int | None:
        """How far apart the lanes of a vector lie: elements, or None where that differs."""
        assert self.vector is not None
        if any(self.is_wide(n) for n, _ in zip(node.inner, address.others)):
            return None
        return address.coefficient(self.vector)

    def _addresses(self, node: _Node, tensor: str, address: Affine, lane: Lane) -> str:
        """A vector of pointers."""
        assert self.vector is not None
        base = self.pointer(node, tensor, address, lane)
        lanes = self._spread_out("0", address.coefficient(self.vector), node, lane)
        element = self.memory[tensor]
        type_ = vector("i64", self.width)
        return self.a.op(f"getelementptr {element}, ptr {base}, {type_} {lanes}")

    # --- memory --------------------------------------------------------------------------------------------------

    def mask(self, lane: Lane) -> str | None:
        assert self.vector is not None
        return self.masks.get(lane.get(self.vector, 0))

    def load(self, node: _Node, lane: Lane, wide: bool) -> str:
        load = node.value
        assert isinstance(load, Load)
        element = self.memory[load.tensor]
        condition = node.inner[-1] if load.condition is not None else None
        step = self._pattern(node, load.address) if wide else None
        if not wide or (step == 0 and self.width > 1):
            pointer = self.pointer(node, load.tensor, load.address, lane)
            if condition is not None and not self.is_wide(condition):
                pointer = self._guarded(pointer, condition, lane)
            raw = self.a.op(f"load {element}, ptr {pointer}, align {BYTES[element]}")
            result = read_memory(self.a, element, raw, 1)
            if wide:  # only the condition differs from lane to lane
                type_ = vector(load.type, self.width)
                assert condition is not None
                chosen = (self.value(condition, lane), self.a.splat(type_, result))
                return apply(self.a, "where", type_, (*chosen, self.a.constant(type_, 0)))
            return result
        mask = self.mask(lane)
        if condition is not None and self.is_wide(condition):
            mask = self._both(mask, self.value(condition, lane))
            condition = None
        if step == 1:
            pointer = self.pointer(node, load.tensor, load.address, lane)
            if condition is not None:
                pointer = self._guarded(pointer, condition, lane)
            raw = self._load_vector(element, pointer, mask)
        else:
            if condition is not None:
                mask = self._both(mask, self.operand(condition, lane, True))
            pointers = self._addresses(node, load.tensor, load.address, lane)
            raw = self._masked("gather", element, pointers, mask)
        return read_memory(self.a, element, raw, self.width)

    def _guarded(self, pointer: str, condition: _Node, lane: Lane) -> str:
        """The pointer, or one to zeros where the condition does not hold."""
        self.a.declare("@zeros = internal constant [128 x i8] zeroinitializer, align 64")
        chosen = self.value(condition, lane)
        return self.a.op(f"select i1 {chosen}, ptr {pointer}, ptr @zeros")

    def _both(self, mask: str | None, other: str) -> str:
        if mask is None:
            return other
        return self.a.op(f"and {vector('i1', self.width)} {mask}, {other}")

    def _load_vector(self, element: str, pointer: str, mask: str | None) -> str:
        if mask is None:
            type_ = vector(element, self.width)
            return self.a.op(f"load {type_}, ptr {pointer}, align {BYTES[element]}")
        return self._masked("load", element, pointer, mask)

    def _masked(self, kind: str, element: str, pointers: str, mask: str | None) -> str:
        """``llvm.masked.load`` or ``gather``; lanes masked off are zero."""
        type_, bits = vector(element, self.width), vector("i1", self.width)
        where = vector("ptr", self.width) if kind == "gather" else "ptr"
        name = self._intrinsic(kind, element)
        self.a.declare(f"declare {type_} {name}({where}, {bits}, {type_})")
        mask = mask or self.a.constant(bits, 1)
        aligned = f"{where} align {BYTES[element]} {pointers}"
        return self.a.op(f"call {type_} {name}({aligned}, {bits} {mask}, {type_} zeroinitializer)")

    def _intrinsic(self, kind: str, element: str) -> str:
        short = {"float": "f32", "double": "f64"}.get(element, element)
        where = f"v{self.width}p0" if kind in ("gather", "scatter") else "p0"
        return f"@llvm.masked.{kind}.v{self.width}{short}.{where}"

    def store(self, store: Store) -> None:
        address, value = self.node(store.address), self.node(store.value)
        condition = None if store.condition is None else self.node(store.condition)
        indices = dict.fromkeys((*address.indices, *value.indices))
        wide = self.vector is not None and self.vector in indices
        for lane in self.lanes(tuple(indices)):
            if wide:
                self._store_vector(store, address, value, condition, lane)
            elif condition is None:
                self._store_scalar(store, address, value, lane)
            else:
                inside, after = self.a.label("inside"), self.a.label("after")
                truth = self.value(condition, lane)
                self.a.branch(truth, inside, after)
                self.a.block(inside)
                self.scopes.append({})
                self._store_scalar(store, address, value, lane)
                self.scopes.pop()
                self.a.jump(after)
                self.a.block(after)

    def _store_scalar(self, store: Store, address: _Node, value: _Node, lane: Lane) -> None:
        element = self.memory[store.tensor]
        pointer = self.pointer(address, store.tensor, store.address, lane)
        new = self.value(value, lane)
        if store.accumulate:
            old = self.a.op(f"load {element}, ptr {pointer}, align {BYTES[element]}")
            new = apply(self.a, "+", value.type, (read_memory(self.a, element, old, 1), new))
        raw = write_memory(self.a, element, new, 1)
        self.a.line(f"store {element} {raw}, ptr {pointer}, align {BYTES[element]}")

    def _store_vector(
        self, store: Store, address: _Node, value: _Node, condition: _Node | None, lane: Lane
    ) -> None:
        element, width = self.memory[store.tensor], self.width
        mask = self.mask(lane)
        if condition is not None:
            mask = self._both(mask, self.operand(condition, lane, True))
        near = self._pattern(address, store.address) == 1
        place = self.pointer if near else self._addresses
        pointer = place(address, store.tensor, store.address, lane)
        new = self.operand(value, lane, True)
        if store.accumulate:
            old = (
                self._load_vector(element, pointer, mask)
                if near
                else self._masked("gather", element, pointer, mask)
            )
            type_ = vector(value.type, width)
            new = apply(self.a, "+", type_, (read_memory(self.a, element, old, width), new))
        raw = write_memory(self.a, element, new, width)
        type_, bits = vector(element, width), vector("i1", width)
        if near and mask is None:
            self.a.line(f"store {type_} {raw}, ptr {pointer}, align {BYTES[element]}")
            return
        kind, where = ("store", "ptr") if near else ("scatter", vector("ptr", width))
        name = self._intrinsic(kind, element)
        self.a.declare(f"declare void {name}({type_}, {where}, {bits})")
        mask = mask or self.a.constant(bits, 1)
        aligned = f"{where} align {BYTES[element]} {pointer}"
        self.a.line(f"call void {name}({type_} {raw}, {aligned}, {bits} {mask})")

    # --- statements ----------------------------------------------------------------------------------------------

    def run(self, body: Sequence[Statement]) -> None:
        for statement in body:
            match statement:
                case Loop(range_, inner):
                    self.hoist(inner, {range_.index})

                    def once(_: Sequence[str], inner: Sequence[Statement] = inner) -> list[str]:
                        self.run(inner)
                        return []

                    self.loop(range_, [], once)
                case Let(register, value):
                    self.let(register, self.node(value))
                case Store():
                    self.store(statement)
                case Fold():
                    self.fold(statement)

    def let(self, register: Register, node: _Node) -> None:
        own = self.node(register)
        for lane in self.lanes(node.indices):
            self.scopes[-1][self.key(own, lane)] = self.value(node, lane)
        self.defined.add(register.name)

    def hoist(self, body: Sequence[Statement], moving: set[str]) -> None:
        """Compute what a loop body needs and what does not depend on the indices that move."""
        for statement in statements(tuple(body)):
            for value in values(statement):
                self._hoist(self.node(value), moving)

    def _hoist(self, node: _Node, moving: set[str]) -> None:
        if isinstance(node.value, (Literal, Affine, Register)):
            return
        inner_moves = any(i in moving or i not in self.starts for i in node.indices)
        if inner_moves or not node.registers <= self.defined:
            for inner in node.inner:
                self._hoist(inner, moving)
            return
        for lane in self.lanes(node.indices):
            self.value(node, lane)

    def loop(
        self,
        range_: Range,
        carried: Sequence[tuple[str, str]],
        body: Callable[[Sequence[str]], list[str]],
    ) -> list[str]:
        """A loop that hands (type, start) pairs on from turn to turn; gives their last values."""
        if range_.block is None and range_.extent == 0:
            return [start for _, start in carried]
        if range_.is_single:
            return self._turn(range_, range_.start, str(range_.stop), [s for _, s in carried], body)
        start, stop = str(range_.start), str(range_.stop)
        if range_.block is not None:
            first = self.starts[range_.block[0]]
            start = str(first)
            end = self.a.op(f"add i64 {first}, {range_.block[1]}")
            stop = self.a.intrinsic("smin", "i64", end, stop)
        before, head, after = self.a.here, self.a.label("loop"), self.a.label("done")
        self.a.jump(head)
        self.a.block(head)
        index = self.a.phi("i64", (start, before))
        phis = [self.a.phi(type_, (value, before)) for type_, value in carried]
        place = index
        if range_.overlap:
            place = self.a.intrinsic("smin", "i64", index, str(range_.stop - range_.span))
        results = self._turn(range_, place, stop, phis, body)
        following = self.a.op(f"add nuw nsw i64 {index}, {range_.advance}")
        more = self.a.op(f"icmp slt i64 {following}, {stop}")
        for phi, value in zip([index, *phis], [following, *results], strict=True):
            self.a.arrive(phi, value, self.a.here)
        self.a.branch(more, head, after)
        self.a.block(after)
        return results

    def _turn(
        self,
        range_: Range,
        start: str | int,
        stop: str,
        carried: Sequence[str],
        body: Callable[[Sequence[str]], list[str]],
    ) -> list[str]:
        """One turn of a loop: its index is known, its lanes are open, its masks set."""
        outside = (self.vector, self.width, self.masks)
        self.starts[range_.index] = start
        if range_.rows > 1:
            self.rows[range_.index] = range_.rows
        self.scopes.append({})
        if range_.width > 1:
            self.vector, self.width = range_.index, range_.width
            self.masks = {k: self._row_mask(range_, start, stop, k) for k in range(range_.rows)}
        results = body(carried)
        self.scopes.pop()
        self.vector, self.width, self.masks = outside
        self.rows.pop(range_.index, None)
        del self.starts[range_.index]
        return results

    def _row_mask(self, range_: Range, start: str | int, stop: str, row: int) -> str | None:
        """Which lanes of one vector lie before the end."""
        pieces = [range_.extent, range_.block[1] if range_.block else 0]
        if range_.overlap or all(piece % range_.span == 0 for piece in pieces):
            return None
        width, first = range_.width, row * range_.width
        if isinstance(start, int):
            valid = range_.stop - start - first
            if valid >= width:
                return None
            return self.a.constants(vector("i1", width), [k < valid for k in range(width)])
        type_ = vector("i64", width)
        left = self.a.op(f"sub i64 {stop}, {start}")
        places = self.a.constants(type_, [first + k for k in range(width)])
        return self.a.op(f"icmp slt {type_} {places}, {self.a.splat(type_, left)}")

    # --- folds ---------------------------------------------------------------------------------------------------

    def fold(self, fold: Fold) -> None:
        """Reductions: one accumulator for each lane around, and for each lane of the fold's own ranges."""
        own = {r.index for r in fold.ranges}
        own_rows = {r.index: r.rows for r in fold.ranges if r.rows > 1}
        own_width = next((r.width for r in fold.ranges if r.width > 1), 0)
        nodes = [self.node(a.value) for a in fold.accumulators]
        outer = [list(self.lanes(n.indices)) for n in nodes]
        inner = [
            dict(zip(own_rows, rows, strict=True))
            for rows in itertools.product(*map(range, own_rows.values()))
        ]
        carried: list[tuple[str, str]] = []
        for a, node, lanes in zip(fold.accumulators, nodes, outer, strict=True):
            wide = own_width or (self.width if self.is_wide(node) else 1)
            type_, places = vector(node.type, wide), vector("i64", wide)
            start = [(type_, identity(self.a, a.kind, type_))]
            if a.position is not None:
                start.append((places, self.a.constant(places, 0)))
            carried += start * (len(lanes) * len(inner))

        def turn(states: Callable[[], Sequence[str]]) -> list[str]:
            self.run(fold.body)
            results, rest = [], iter(states())
            for a, node, lanes in zip(fold.accumulators, nodes, outer, strict=True):
                for lane in lanes:
                    for more in inner:
                        state = [next(rest) for _ in range(2 if a.position else 1)]
                        both = {**lane, **more}
                        results += self._accumulate(a, node, both, state, bool(own_width))
            return results

        self.hoist((fold,), own)
        around = any(isinstance(s, Fold) for s in fold.body) and len(carried) > _FEW
        nest = self._nest_in_memory if around else self._nest
        final = iter(nest(fold, list(fold.ranges), carried, turn))
        for a, node, lanes in zip(fold.accumulators, nodes, outer, strict=True):
            wide = own_width or (self.width if self.is_wide(node) else 1)
            for lane in lanes:
                states = [[next(final) for _ in range(2 if a.position else 1)] for _ in inner]
                type_ = vector(node.type, wide)
                result = combine(self.a, a.kind, type_, states)
                if own_width:
                    result = horizontal(self.a, a.kind, type_, result)
                self.scopes[-1][self.key(self.node(a.register), lane)] = result[-1]
            self.defined.add(a.register.name)

    def _nest_in_memory(
        self,
        fold: Fold,
        ranges: list[Range],
        carried: Sequence[tuple[str, str]],
        turn: Callable[[Callable[[], Sequence[str]]], list[str]],
    ) -> list[str]:
        """Accumulators around another fold wait on the stack: the registers belong to the inner one."""
        places = []
        for type_, start in carried:
            places.append(self.a.stack(type_, 1))
            self.a.line(f"store {type_} {start}, ptr {places[-1]}")

        def values() -> list[str]:
            pairs = zip(carried, places, strict=True)
            return [self.a.op(f"load {type_}, ptr {place}") for (type_, _), place in pairs]

        def remembering(_: Sequence[str]) -> list[str]:
            results = turn(values)
            for (type_, _), place, result in zip(carried, places, results, strict=True):
                self.a.line(f"store {type_} {result}, ptr {place}")
            return []

        self._nest(fold, ranges, [], remembering)
        return values()

    def _nest(
        self,
        fold: Fold,
        ranges: list[Range],
        carried: Sequence[tuple[str, str]],
        turn: Callable[[Callable[[], Sequence[str]]], list[str]],
    ) -> list[str]:
        """The loops of a fold from the outside in; in the innermost, addresses step along."""
        if not ranges:
            return turn(lambda: [start for _, start in carried])
        first, *rest = ranges
        if rest or first.is_single:

            def inside(states: Sequence[str]) -> list[str]:
                types = [t for t, _ in carried]
                if rest:
                    self.hoist((fold,), {r.index for r in rest})
                return self._nest(fold, rest, list(zip(types, states, strict=True)), turn)

            return self.loop(first, carried, inside)
        streams = self._streams(fold, first)

        def stepping(states: Sequence[str]) -> list[str]:
            own, pointers = states[: len(carried)], states[len(carried) :]
            stepped = []
            for stream, pointer in zip(streams, pointers, strict=True):
                self.scopes[-1][self._pointer_key(stream.load)] = pointer
                stepped.append(self.a.offset(pointer, stream.step))
            return [*turn(lambda: own), *stepped]

        all_carried = [*carried, *(("ptr", stream.start) for stream in streams)]
        return self.loop(first, all_carried, stepping)[: len(carried)]

    def _streams(self, fold: Fold, range_: Range) -> list[_Stream]:
        """The addresses that move with a range, each once."""
        found: dict[object, _Stream] = {}
        begin = range_.start if range_.block is None else self.starts[range_.block[0]]
        for load in self._loads(fold):
            factor = load.address.coefficient(range_.index)
            known = all(i in self.starts for i, _ in load.address.terms if i != range_.index)
            if not factor or load.address.others or not known:
                continue
            self.starts[range_.index] = begin
            _, moving = self.split(Affine(0, load.address.terms), {})
            del self.starts[range_.index]
            key = (load.tensor, factor, *moving)
            if key not in found:
                bytes_ = BYTES[self.memory[load.tensor]]
                base = self.pointers[load.tensor]
                for operand, c in moving:
                    base = self.a.offset(base, self._times(operand, c * bytes_))
                if isinstance(begin, int) and begin:
                    base = self.a.offset(base, begin * factor * bytes_)
                found[key] = _Stream(load, factor * range_.advance * bytes_, base)
        return list(found.values())

    def _pointer_key(self, load: Load) -> object:
        """What `pointer` looks for."""
        return (load.tensor, *self.split(Affine(0, load.address.terms), {})[1])

    def _loads(self, fold: Fold) -> Iterator[Load]:
        stack = [self.node(v) for s in reversed((fold, *fold.body)) for v in values(s)]
        while stack:
            node = stack.pop()
            if isinstance(node.value, Load):
                yield node.value
            stack.extend(reversed(node.inner))

    def _accumulate(
        self, a: Accumulator, node: _Node, lane: Lane, state: Sequence[str], own: bool
    ) -> list[str]:
        """One accumulator with one more value."""
        wide = own or self.is_wide(node)
        type_ = vector(node.type, self.width if wide else 1)
        mask = self.mask(lane) if own else None
        match node.value:
            case Apply("*", (_, _)) if a.kind == "sum" and mask is None and node.type[0] in "fd":
                x, y = (self.operand(n, lane, wide) for n in node.inner)
                return [self.a.multiply_add(type_, x, y, state[0])]
        value = self.operand(node, lane, wide)
        if mask is not None:
            value = apply(self.a, "where", type_, (mask, value, identity(self.a, a.kind, type_)))
        new = [value]
        if a.position is not None:
            new.append(self.operand(self.node(a.position), lane, wide))
        return combine(self.a, a.kind, type_, [state, new], ordered=True)
