"""Values: the machine code that computes one, once for each lane of the indices that it depends on.

``value(node, lane)`` gives the register that holds a node's value in a lane: a vector if the node depends on the
index that runs in vectors, else a scalar, which is spread where a vector wants it. Addresses of neighbouring lanes
differ by constants, which become immediates of the instructions, so that the registers are left to the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from fractions import Fraction

from ..language.dtypes import BYTES
from ..scheduling.loops import Affine, Apply, Literal, Load, Store, Value
from .assembler import Assembler, like, vector
from .assembler import Value as Exact
from .lanes import Lane, Lanes
from .lost import STEEP, lost
from .nodes import Node, Nodes
from .past import is_line, store_past
from .scalars import COMPARISONS, apply, convert, read_memory, write_memory
from .transposition import transposed
from .vectorphilox import uniform

__all__ = ["Values"]

_LEAST = 2.0**-64  # added to a root, and no more than its inverse: then their sum has an inverse
_SQUARE = 4  # lanes that lie side by side, at least, to be loaded together


class Values:
    """What computes the values of one kernel; ``memory`` says how the elements of each tensor are stored.

    Of those in ``late`` whole lines go past the caches.
    """

    def __init__(
        self, assembler: Assembler, lanes: Lanes, nodes: Nodes, memory: Mapping[str, str]
    ) -> None:
        self.a, self.lanes, self.nodes, self.memory = assembler, lanes, nodes, memory
        self.late: Set[str] = frozenset()
        self.pointers = {tensor: f"%a{k}" for k, tensor in enumerate(memory)}

    def value(self, node: Node, lane: Lane) -> str:
        """The register with the value of a node in a lane: a vector if it depends on the vector index."""
        key = self.lanes.key(node, lane)
        found = self.lanes.look(key)
        if found is None:
            found = self.lanes.keep(key, self.compute(node, lane))
        return found

    def operand(self, node: Node, lane: Lane, wide: bool) -> str:
        """As `value`, but a vector wherever ``wide``."""
        if not wide or self.lanes.is_wide(node):
            return self.value(node, lane)
        type_ = vector(node.type, self.lanes.width)
        if isinstance(node.value, Literal):
            return self.a.constant(type_, node.value.value)
        key = ("spread", self.lanes.width, self.lanes.key(node, lane))
        found = self.lanes.look(key)
        if found is None:
            found = self.lanes.keep(key, self.a.splat(type_, self.value(node, lane)))
        return found

    def compute(self, node: Node, lane: Lane) -> str:
        wide = self.lanes.is_wide(node)
        type_ = vector(node.type, self.lanes.width if wide else 1)
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
            case Apply(
                "/", (_, Apply("+", (Apply("sqrt"), Literal(least)))), "float" | "double"
            ) if _LEAST <= least <= 1 / _LEAST:
                numbers = [self.operand(n, lane, wide) for n in node.inner]
                return apply(self.a, "over_root", type_, numbers)
            case Apply("convert" | "wrap" as function, (argument,)):
                inner = self.operand(node.inner[0], lane, wide)
                return convert(self.a, function, inner, argument.type, type_)
            case Apply("uniform"):
                numbers = [self.operand(n, lane, wide) for n in node.inner]
                return uniform(self.a, type_, numbers)
            case Apply(function, _) if function in STEEP:
                numbers = [self.operand(node.inner[0], lane, wide)]
                rest = lost(
                    node.inner[0], lambda n: Exact(self.a, type_, self.operand(n, lane, wide))
                )
                numbers += [] if rest is None else [rest.text]
                return apply(self.a, function, type_, numbers)
            case Apply(function, arguments):
                of = vector(arguments[-1].type, self.lanes.width if wide else 1)
                every = tuple(self.operand(n, lane, wide) for n in node.inner)
                if function in COMPARISONS and (bits := max(map(self._bits, arguments))) < 64:
                    given, of = of, like(of, f"i{bits}")
                    every = tuple(self.a.op(f"trunc {given} {number} to {of}") for number in every)
                return apply(self.a, function, of, every)
        raise AssertionError(f"{node.value} is not defined here")

    def _bits(self, value: Value) -> int:
        """How many bits hold a number that comes from memory or is known: so many are enough to compare it."""
        match value:
            case Literal(Fraction() as number, "i64"):
                return next((n for n in (8, 16, 32) if abs(number) < 1 << n - 1), 64)
            case Load(tensor, _, "i64"):
                return int(self.memory[tensor].removeprefix("i"))
        return 64

    # --- integers and addresses ----------------------------------------------------------------------------------

    def affine(self, node: Node, lane: Lane, wide: bool) -> str:
        """An index expression as a number, or a vector of numbers."""
        value = node.value
        assert isinstance(value, Affine)
        constant, moving = self.split(value, lane)
        total = None
        for operand, factor in moving:
            total = self._plus(total, self.times(operand, factor))
        for inner, (_, factor) in zip(node.inner, value.others, strict=True):
            if not self.lanes.is_wide(inner):
                total = self._plus(total, self.times(self.value(inner, lane), factor))
        if not wide:
            return self._plus(total, str(constant)) if constant or total is None else total
        assert self.lanes.vector is not None
        total = self._plus(total, str(constant))
        return self._spread_out(total, value.coefficient(self.lanes.vector), node, lane)

    def _spread_out(self, start: str, step: int, node: Node, lane: Lane) -> str:
        """A vector of i64: ``start``, ``start + step`` ... plus the parts of the node that are vectors."""
        type_ = vector("i64", self.lanes.width)
        result = self.a.splat(type_, start)
        if step:
            ramp = self.a.constants(type_, [step * k for k in range(self.lanes.width)])
            result = self.a.op(f"add {type_} {result}, {ramp}")
        value = node.value
        address = value.address if isinstance(value, Load) else value
        assert isinstance(address, Affine)
        for inner, (_, factor) in zip(node.inner, address.others, strict=False):
            if self.lanes.is_wide(inner):
                part = self.value(inner, lane)
                if factor != 1:
                    part = self.a.op(f"mul {type_} {part}, {self.a.constant(type_, factor)}")
                result = self.a.op(f"add {type_} {result}, {part}")
        return result

    def split(self, value: Affine, lane: Lane) -> tuple[int, list[tuple[str, int]]]:
        """The part that is known now, lanes included, and the (register, factor) pairs of the rest."""
        constant, moving = value.constant, []
        for index, factor in value.terms:
            start = self.lanes.starts[index]
            if isinstance(start, int):
                constant += factor * start
            else:
                moving.append((start, factor))
            width = self.lanes.width if index == self.lanes.vector else 1
            constant += factor * lane.get(index, 0) * width
        return constant, moving

    def times(self, operand: str, factor: int) -> str:
        """An index times a constant."""
        return operand if factor == 1 else self.a.op(f"mul i64 {operand}, {factor}")

    def _plus(self, a: str | None, b: str) -> str:
        if a is None or b == "0":
            return b if a is None else a
        return self.a.op(f"add i64 {a}, {b}")

    def pointer(self, node: Node, tensor: str, address: Affine, lane: Lane) -> str:
        """Where lane 0 of a vector, or a scalar, lies in memory."""
        bytes_ = BYTES[self.memory[tensor]]
        constant, moving = self.split(address, lane)
        parts = [
            (n, c)
            for n, (_, c) in zip(node.inner, address.others, strict=False)
            if not self.lanes.is_wide(n)
        ]
        key = (tensor, *moving, *((self.lanes.key(n, lane), c) for n, c in parts))
        base = self.lanes.look(key)
        if base is None:
            base = self.pointers[tensor]
            for operand, factor in moving:
                base = self.a.offset(base, self.times(operand, factor * bytes_))
            for inner, factor in parts:
                base = self.a.offset(base, self.times(self.value(inner, lane), factor * bytes_))
            self.lanes.keep(key, base)
        if constant == 0:
            return base
        placed = self.lanes.look((base, constant * bytes_))
        if placed is None:
            placed = self.a.offset(base, constant * bytes_)
            self.lanes.keep((base, constant * bytes_), placed)
        return placed

    def _pattern(self, node: Node, address: Affine) -> int | None:
        """How far apart the lanes of a vector lie: elements, or None where that differs."""
        assert self.lanes.vector is not None
        if any(self.lanes.is_wide(n) for n, _ in zip(node.inner, address.others, strict=False)):
            return None
        return address.coefficient(self.lanes.vector)

    def _addresses(self, node: Node, tensor: str, address: Affine, lane: Lane) -> str:
        """A vector of pointers."""
        assert self.lanes.vector is not None
        base = self.pointer(node, tensor, address, lane)
        lanes = self._spread_out("0", address.coefficient(self.lanes.vector), node, lane)
        element = self.memory[tensor]
        type_ = vector("i64", self.lanes.width)
        return self.a.op(f"getelementptr {element}, ptr {base}, {type_} {lanes}")

    # --- memory --------------------------------------------------------------------------------------------------

    def load(self, node: Node, lane: Lane, wide: bool) -> str:
        load = node.value
        assert isinstance(load, Load)
        element = self.memory[load.tensor]
        condition = node.inner[-1] if load.condition is not None else None
        step = self._pattern(node, load.address) if wide else None
        if not wide or (step == 0 and self.lanes.width > 1):
            pointer = self.pointer(node, load.tensor, load.address, lane)
            if condition is not None and not self.lanes.is_wide(condition):
                pointer = self._guarded(pointer, condition, lane)
            raw = self.a.op(f"load {element}, ptr {pointer}, align {BYTES[element]}")
            result = read_memory(self.a, element, raw, 1, load.type)
            if wide:  # only the condition differs from lane to lane
                type_ = vector(load.type, self.lanes.width)
                assert condition is not None
                chosen = (self.value(condition, lane), self.a.splat(type_, result))
                return apply(self.a, "where", type_, (*chosen, self.a.constant(type_, 0)))
            return result
        mask = self.lanes.mask(lane)
        if condition is not None and self.lanes.is_wide(condition):
            mask = self._both(mask, self.value(condition, lane))
            condition = None
        if step == 1:
            pointer = self.pointer(node, load.tensor, load.address, lane)
            if condition is not None:
                pointer = self._guarded(pointer, condition, lane)
            raw = self._load_vector(element, pointer, mask)
        else:
            if mask is None and condition is None and step is not None:
                index = self._beside(load.address)
                if index is not None:
                    return self._across(node, lane, index, step)
            if condition is not None:
                mask = self._both(mask, self.operand(condition, lane, True))
            pointers = self._addresses(node, load.tensor, load.address, lane)
            raw = self._masked("gather", element, pointers, mask)
        return read_memory(self.a, element, raw, self.lanes.width, load.type)

    def _beside(self, address: Affine) -> str | None:
        """An index whose unrolled lanes lie beside one another in memory."""
        for index, rows in self.lanes.rows.items():
            near = index != self.lanes.vector and address.coefficient(index) == 1
            if near and rows >= _SQUARE and rows & (rows - 1) == 0:
                return index
        return None

    def _across(self, node: Node, lane: Lane, index: str, step: int) -> str:
        """A vector of elements that lie apart, and those of the lanes of ``index`` beside it, which are near then."""
        load, width = node.value, self.lanes.width
        assert isinstance(load, Load)
        element = self.memory[load.tensor]
        size = min(self.lanes.rows[index], width)
        first = lane[index] // size * size
        base = self.pointer(node, load.tensor, load.address, {**lane, index: first})
        places = (self.a.offset(base, k * step * BYTES[element]) for k in range(width))
        type_, bytes_ = vector(element, size), BYTES[element]
        rows = [self.a.op(f"load {type_}, ptr {place}, align {bytes_}") for place in places]
        for k, raw in enumerate(transposed(self.a, element, rows, size)):
            found = read_memory(self.a, element, raw, width, load.type)
            self.lanes.keep(self.lanes.key(node, {**lane, index: first + k}), found)
        return self.value(node, lane)

    def _guarded(self, pointer: str, condition: Node, lane: Lane) -> str:
        """The pointer, or one to zeros where the condition does not hold."""
        self.a.declare("@zeros = internal constant [128 x i8] zeroinitializer, align 64")
        chosen = self.value(condition, lane)
        return self.a.op(f"select i1 {chosen}, ptr {pointer}, ptr @zeros")

    def _both(self, mask: str | None, other: str) -> str:
        if mask is None:
            return other
        return self.a.op(f"and {vector('i1', self.lanes.width)} {mask}, {other}")

    def _load_vector(self, element: str, pointer: str, mask: str | None) -> str:
        if mask is None:
            type_ = vector(element, self.lanes.width)
            return self.a.op(f"load {type_}, ptr {pointer}, align {BYTES[element]}")
        return self._masked("load", element, pointer, mask)

    def _masked(self, kind: str, element: str, pointers: str, mask: str | None) -> str:
        """``llvm.masked.load`` or ``gather``; lanes masked off are zero."""
        type_, bits = vector(element, self.lanes.width), vector("i1", self.lanes.width)
        where = vector("ptr", self.lanes.width) if kind == "gather" else "ptr"
        name = self._intrinsic(kind, element)
        self.a.declare(f"declare {type_} {name}({where}, {bits}, {type_})")
        mask = mask or self.a.constant(bits, 1)
        aligned = f"{where} align {BYTES[element]} {pointers}"
        return self.a.op(f"call {type_} {name}({aligned}, {bits} {mask}, {type_} zeroinitializer)")

    def _intrinsic(self, kind: str, element: str) -> str:
        short = {"float": "f32", "double": "f64"}.get(element, element)
        where = f"v{self.lanes.width}p0" if kind in ("gather", "scatter") else "p0"
        return f"@llvm.masked.{kind}.v{self.lanes.width}{short}.{where}"

    def stored(self, store: Store) -> tuple[str, ...]:
        """The indices in whose lanes something is stored."""
        indices = dict.fromkeys(
            i for v in (store.address, store.value) for i in self.nodes.of(v).indices
        )
        if store.accumulate:  # as often as there are lanes, whether they differ or not
            indices |= dict.fromkeys(self.lanes.rows)
        return tuple(indices)

    def store(self, store: Store, lane: Lane) -> None:
        """What a statement stores in one lane."""
        address, value = self.nodes.of(store.address), self.nodes.of(store.value)
        condition = None if store.condition is None else self.nodes.of(store.condition)
        if self.lanes.is_wide(address) or self.lanes.is_wide(value):
            self._store_vector(store, address, value, condition, lane)
        elif condition is None:
            self._store_scalar(store, address, value, lane)
        else:
            inside, after = self.a.label("inside"), self.a.label("after")
            truth = self.value(condition, lane)
            self.a.branch(truth, inside, after)
            self.a.block(inside)
            self.lanes.scopes.append({})
            self._store_scalar(store, address, value, lane)
            self.lanes.scopes.pop()
            self.a.jump(after)
            self.a.block(after)

    def _store_scalar(self, store: Store, address: Node, value: Node, lane: Lane) -> None:
        element = self.memory[store.tensor]
        pointer = self.pointer(address, store.tensor, store.address, lane)
        new = self.value(value, lane)
        if store.accumulate:
            old = self.a.op(f"load {element}, ptr {pointer}, align {BYTES[element]}")
            old = read_memory(self.a, element, old, 1, value.type)
            new = apply(self.a, "+", value.type, (old, new))
        raw = write_memory(self.a, element, new, 1, value.type)
        self.a.line(f"store {element} {raw}, ptr {pointer}, align {BYTES[element]}")

    def _store_vector(
        self, store: Store, address: Node, value: Node, condition: Node | None, lane: Lane
    ) -> None:
        element, width = self.memory[store.tensor], self.lanes.width
        mask = self.lanes.mask(lane)
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
            old = read_memory(self.a, element, old, width, value.type)
            new = apply(self.a, "+", vector(value.type, width), (old, new))
        raw = write_memory(self.a, element, new, width, value.type)
        type_, bits = vector(element, width), vector("i1", width)
        is_late = store.tensor in self.late and mask is None
        if is_late and is_line(store.address, self.lanes.vector, width, element):
            store_past(self.a, type_, raw, pointer)
            return
        if near and mask is None:
            self.a.line(f"store {type_} {raw}, ptr {pointer}, align {BYTES[element]}")
            return
        if element == "i32":  # of one lane of numbers that were cut to 32 bits LLVM stores all 64
            element, type_ = "float", vector("float", width)
            raw = self.a.op(f"bitcast {vector('i32', width)} {raw} to {type_}")
        kind, where = ("store", "ptr") if near else ("scatter", vector("ptr", width))
        name = self._intrinsic(kind, element)
        self.a.declare(f"declare void {name}({type_}, {where}, {bits})")
        mask = mask or self.a.constant(bits, 1)
        aligned = f"{where} align {BYTES[element]} {pointer}"
        self.a.line(f"call void {name}({type_} {raw}, {aligned}, {bits} {mask})")
