"""LLVM assembly as text, one function body at a time: registers, blocks, phis, exact constants.

A type is its LLVM spelling: ``float``, ``<16 x double>``, ``i64``. A value is a register (``%12``) or a constant.

    a = Assembler(target)
    total = a.op(f"fadd float {x}, {a.constant('float', 1)}")       # -> "%3"
    a.line(f"store float {total}, ptr {p}, align 4")
    print(a.function("void @kernel(ptr %p)"))

Code may open new blocks at any time (`vectormath.call` does for a rare slow path); whoever writes a phi afterwards
must name ``a.here``, the label of the block being filled, as the place it comes from. The text is never optimized:
what is written here is what the instruction selector sees.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from ..target import Target

__all__ = [
    "Assembler",
    "Value",
    "element_type",
    "lanes",
    "like",
    "mangled",
    "module",
    "rounded",
    "vector",
]

_INTEGER_OF = {"float": "i32", "double": "i64"}
_SUFFIX = {"float": "f32", "double": "f64"}


def vector(element: str, count: int) -> str:
    """``vector("float", 16)`` is ``<16 x float>``; one lane is the scalar itself."""
    return element if count == 1 else f"<{count} x {element}>"


def lanes(type_: str) -> int:
    """How many elements a value of this type has."""
    return int(type_[1:].split(" x ")[0]) if type_.startswith("<") else 1


def element_type(type_: str) -> str:
    """``float`` of ``<16 x float>``."""
    return type_[1:-1].split(" x ")[1] if type_.startswith("<") else type_


def like(type_: str, element: str) -> str:
    """As many lanes as ``type_``, of another element type."""
    return vector(element, lanes(type_))


def mangled(type_: str) -> str:
    """``v16f32``, as the names of LLVM's intrinsics spell a type."""
    element, count = element_type(type_), lanes(type_)
    suffix = _SUFFIX.get(element, element)
    return suffix if count == 1 else f"v{count}{suffix}"


def _literal(element: str, value: object) -> str:
    """One constant, exact: floats as the bits of the (rounded) double."""
    if element == "i1":
        return "true" if value else "false"
    if element.startswith("i"):
        return str(int(value))  # type: ignore[call-overload]
    return f"0x{struct.unpack('<Q', struct.pack('<d', rounded(element, value)))[0]:016X}"  # type: ignore[arg-type]


def rounded(element: str, value: float | Fraction) -> float:
    """The number of a type that a constant becomes."""
    number = float(value)
    if element == "double":
        return number
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


class Assembler:
    """The body of one function in the making."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.here = "entry"
        self.declarations: dict[str, None] = {}  # used as an ordered set
        self._lines: list[str] = []
        self._stack: list[str] = []
        self._registers = 0
        self._labels: dict[str, int] = {}
        self._phis: dict[str, int] = {}  # register -> its line

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self._lines.append(f"  {text}")

    def op(self, text: str) -> str:
        """An instruction with a result; gives the fresh register."""
        self._registers += 1
        register = f"%r{self._registers}"
        self._lines.append(f"  {register} = {text}")
        return register

    def label(self, hint: str) -> str:
        """A fresh label; ``block`` starts it."""
        number = self._labels.get(hint, 0)
        self._labels[hint] = number + 1
        return f"{hint}.{number}" if number else hint if hint != "entry" else "entry.0"

    def block(self, label: str) -> None:
        """From here on instructions go into the block ``label``."""
        self.here = label
        self._lines.append(f"{label}:")

    def jump(self, label: str) -> None:
        self.line(f"br label %{label}")

    def branch(self, condition: str, yes: str, no: str) -> None:
        self.line(f"br i1 {condition}, label %{yes}, label %{no}")

    def phi(self, type_: str, *incoming: tuple[str, str]) -> str:
        """A phi of (value, label) pairs; `arrive` adds those that are not known yet."""
        pairs = ", ".join(f"[ {value}, %{label} ]" for value, label in incoming)
        register = self.op(f"phi {type_} {pairs}")
        self._phis[register] = len(self._lines) - 1
        return register

    def arrive(self, phi: str, value: str, label: str) -> None:
        """One more way into ``phi``: ``value`` when coming from ``label``."""
        self._lines[self._phis[phi]] += f", [ {value}, %{label} ]"

    def constant(self, type_: str, value: float | Fraction) -> str:
        """An exact constant, repeated in every lane of a vector."""
        element = element_type(type_)
        literal = _literal(element, value)
        return literal if lanes(type_) == 1 else f"splat ({element} {literal})"

    def constants(self, type_: str, values: Iterable[float | Fraction]) -> str:
        """A vector of different constants."""
        element = element_type(type_)
        return f"<{', '.join(f'{element} {_literal(element, v)}' for v in values)}>"

    def declare(self, text: str) -> None:
        """A declaration or constant that the module needs once."""
        self.declarations[text] = None

    def intrinsic(self, name: str, type_: str, *operands: str) -> str:
        """``llvm.name`` on operands that are all of the result's type."""
        full = f"@llvm.{name}.{mangled(type_)}"
        self.declare(f"declare {type_} {full}({', '.join([type_] * len(operands))})")
        return self.op(f"call {type_} {full}({', '.join(f'{type_} {o}' for o in operands)})")

    def multiply_add(self, type_: str, a: str, b: str, c: str) -> str:
        """``a*b + c``: one rounding where the target has the instruction, else two."""
        if self.target.has_fma:
            return self.intrinsic("fma", type_, a, b, c)
        product = self.op(f"fmul {type_} {a}, {b}")
        return self.op(f"fadd {type_} {product}, {c}")

    def splat(self, type_: str, scalar: str) -> str:
        """A scalar in every lane."""
        if lanes(type_) == 1:
            return scalar
        count, element = lanes(type_), element_type(type_)
        first = self.op(f"insertelement {type_} poison, {element} {scalar}, i64 0")
        return self.op(
            f"shufflevector {type_} {first}, {type_} poison, <{count} x i32> zeroinitializer"
        )

    def offset(self, pointer: str, count: str | int) -> str:
        """``pointer`` moved by bytes."""
        return self.op(f"getelementptr inbounds i8, ptr {pointer}, i64 {count}")

    def stepped(self, pointer: str, bytes_: int) -> str:
        """The pointer so many bytes further, in a register of its own: LLVM must not know that it is as far from the
        pointer's start as some index is from its own. An operand of two registers costs a multiply-add a fifth."""
        moved = self.offset(pointer, bytes_)
        return self.op(f'call ptr asm "", "=r,0"(ptr {moved})')

    def ask(self, pointer: str, bytes_: int = 0, near: int = 3) -> None:
        """Let the line so many bytes further come near: into the first cache (3), the second (2)."""
        self.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        place = self.op(f"getelementptr i8, ptr {pointer}, i64 {bytes_}") if bytes_ else pointer
        self.line(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 {near}, i32 1)")

    def stack(self, type_: str, count: int) -> str:
        """Memory for ``count`` values of a type, taken once when the function is entered."""
        self._registers += 1
        register = f"%s{self._registers}"
        self._stack.append(f"  {register} = alloca {type_}, i64 {count}, align 64")
        return register

    def function(self, signature: str, attributes: str = "nounwind") -> str:
        """The finished function: ``signature`` is what stands between ``define`` and the body."""
        return (
            "\n".join(
                [f"define {signature} {attributes} {{", "entry:", *self._stack, *self._lines, "}"]
            )
            + "\n"
        )


def module(assemblers: Iterable[Assembler], functions: Iterable[str], extra: str = "") -> str:
    """One module of several functions; every declaration stands once."""
    declarations: dict[str, None] = {}
    for assembler in assemblers:
        declarations |= assembler.declarations
    parts = ["\n".join(declarations), extra, *functions]
    return "\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Value:
    """A typed value whose operators write instructions, so that formulas in `vectormath` read as formulas."""

    assembler: Assembler
    type: str
    text: str

    @property
    def is_constant(self) -> bool:
        return not self.text.startswith("%")

    def of(self, number: float | Fraction | Value) -> Value:
        """A constant of my type."""
        if isinstance(number, Value):
            return number
        return Value(self.assembler, self.type, self.assembler.constant(self.type, number))

    def _write(self, instruction: str, other: float | Value) -> Value:
        text = f"{instruction} {self.type} {self.text}, {self.of(other).text}"
        return Value(self.assembler, self.type, self.assembler.op(text))

    @property
    def _kind(self) -> str:
        return "" if element_type(self.type).startswith("i") else "f"

    def __add__(self, other: float | Value) -> Value:
        return self._write(f"{self._kind}add", other)

    def __sub__(self, other: float | Value) -> Value:
        return self._write(f"{self._kind}sub", other)

    def __rsub__(self, other: float) -> Value:
        return self.of(other) - self

    def __mul__(self, other: float | Value) -> Value:
        return self._write(f"{self._kind}mul", other)

    def __truediv__(self, other: float | Value) -> Value:
        return self._write("fdiv", other)

    def __neg__(self) -> Value:
        if self._kind == "":
            return self.of(0) - self
        register = self.assembler.op(f"fneg {self.type} {self.text}")
        return Value(self.assembler, self.type, register)

    def __abs__(self) -> Value:
        return self.intrinsic("fabs")

    def __and__(self, other: float | Value) -> Value:
        return self._write("and", other)

    def __or__(self, other: float | Value) -> Value:
        return self._write("or", other)

    def __xor__(self, other: float | Value) -> Value:
        return self._write("xor", other)

    def shift_left(self, count: float | Value) -> Value:
        return self._write("shl", count)

    def shift_right(self, count: float | Value) -> Value:
        """Arithmetic: the sign is kept."""
        return self._write("ashr", count)

    def shift_right_unsigned(self, count: float | Value) -> Value:
        return self._write("lshr", count)

    def times_plus(self, factor: float | Value, term: float | Value) -> Value:
        """``self*factor + term``, fused where the target can."""
        factor, term = self.of(factor), self.of(term)
        text = self.assembler.multiply_add(self.type, self.text, factor.text, term.text)
        return Value(self.assembler, self.type, text)

    def intrinsic(self, name: str, *others: Value) -> Value:
        operands = (self.text, *(o.text for o in others))
        return Value(
            self.assembler, self.type, self.assembler.intrinsic(name, self.type, *operands)
        )

    def with_sign_of(self, other: Value) -> Value:
        return self.intrinsic("copysign", other)

    def compare(self, predicate: str, other: float | Value) -> Value:
        """``fcmp``/``icmp`` by the name of the predicate: ``olt``, ``uno``, ``slt`` ..."""
        kind = "icmp" if self._kind == "" else "fcmp"
        text = f"{kind} {predicate} {self.type} {self.text}, {self.of(other).text}"
        return Value(self.assembler, like(self.type, "i1"), self.assembler.op(text))

    def choose(self, yes: Value, no: Value) -> Value:
        """I am a condition: ``yes`` where true, ``no`` elsewhere."""
        text = f"select {self.type} {self.text}, {yes.type} {yes.text}, {no.type} {no.text}"
        return Value(self.assembler, yes.type, self.assembler.op(text))

    def where(self, condition: Value, other: float | Value) -> Value:
        """``self`` where ``condition``, else ``other``."""
        return condition.choose(self, self.of(other))

    def convert(self, instruction: str, element: str) -> Value:
        """``fpext``, ``sitofp``, ``trunc`` ... to lanes of ``element``."""
        target = like(self.type, element)
        text = f"{instruction} {self.type} {self.text} to {target}"
        return Value(self.assembler, target, self.assembler.op(text))

    def bits(self) -> Value:
        """The same bits as integers."""
        return self.convert("bitcast", _INTEGER_OF[element_type(self.type)])

    def as_float(self) -> Value:
        """The same bits as floating point."""
        return self.convert("bitcast", {"i32": "float", "i64": "double"}[element_type(self.type)])
