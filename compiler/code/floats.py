"""Floating-point numbers themselves: their formats, and what can be computed of them exactly.

Rounding to whole numbers, signs, the greater of two numbers; sums and products as two numbers that
together lose nothing (T. Dekker 1971); powers of two from their bits. `vectormath` builds on these.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from .assembler import Value, element_type, lanes, mangled

__all__ = [
    "Double",
    "Format",
    "Whole",
    "absolute",
    "extreme",
    "floor",
    "format_of",
    "inverse",
    "inverse_of_large",
    "power_of_two",
    "product_of",
    "quotient",
    "residue",
    "round_to_even",
    "scaled",
    "sign",
    "square_root",
    "sum_of",
]


@dataclass(frozen=True, slots=True)
class Format:
    """What must be known of a floating-point type."""

    fraction_bits: int
    bias: int
    smallest_normal: float

    @property
    def shifter(self) -> float:
        """Adding it rounds to a whole number, which then stands in the low bits."""
        return 1.5 * 2.0**self.fraction_bits


_FORMATS = {"float": Format(23, 127, 2.0**-126), "double": Format(52, 1023, 2.0**-1022)}


def format_of(x: Value) -> Format:
    return _FORMATS[element_type(x.type)]


def power_of_two(n: Value, form: Format) -> Value:
    """2**n of integers n, put together from its bits; n must give a normal number."""
    return (n + form.bias).shift_left(form.fraction_bits).as_float()


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number as a floating-point one, and the same number in the low bits of ``shifted``."""

    value: Value
    shifted: Value

    @property
    def integer(self) -> Value:
        return self.shifted.bits() - self.value.of(format_of(self.value).shifter).bits()


def scaled(y: Value, n: Whole) -> Value:
    """``y * 2**n`` with one rounding: an instruction where there is one, else two steps whose factors stay in range."""
    assembler, form = y.assembler, format_of(y)
    if not assembler.target.has("avx512vl"):
        half = n.integer.shift_right(1)
        return y * power_of_two(half, form) * power_of_two(n.integer - half, form)
    count, kind = lanes(y.type), element_type(y.type)
    bits = count * (32 if kind == "float" else 64)
    if bits in (128, 256, 512):  # takes the whole number as it stands
        name = f"@llvm.x86.avx512.mask.scalef.{'ps' if kind == 'float' else 'pd'}.{bits}"
        given = [(y.type, text) for text in (y.text, n.value.text, "zeroinitializer")]
        given.append((f"i{max(count, 8)}", "-1"))  # all lanes
        if bits == 512:
            given.append(("i32", "4"))  # rounded as usual
    else:
        integer = n.integer if kind == "float" else n.integer.convert("trunc", "i32")
        name = f"@llvm.ldexp.{mangled(y.type)}.{mangled(integer.type)}"
        given = [(y.type, y.text), (integer.type, integer.text)]
    assembler.declare(f"declare {y.type} {name}({', '.join(type_ for type_, _ in given)})")
    arguments = ", ".join(f"{type_} {text}" for type_, text in given)
    return Value(assembler, y.type, assembler.op(f"call {y.type} {name}({arguments})"))


def extreme(function: str, a: Value, b: Value) -> Value:
    """max or min; a NaN on either side comes out. One instruction where one side is a number."""
    better = "gt" if function == "max" else "lt"
    if element_type(a.type).startswith("i"):
        return a.where(a.compare(f"s{better}", b), b)
    if b.is_constant:
        a, b = b, a
    result = a.where(a.compare(f"o{better}", b), b)
    return result if a.is_constant else a.where(a.compare("uno", a), result)


def absolute(x: Value) -> Value:
    if element_type(x.type).startswith("i"):
        return (-x).where(x.compare("slt", 0), x)
    return abs(x)


def sign(x: Value) -> Value:
    above, below = ("sgt", "slt") if element_type(x.type).startswith("i") else ("ogt", "olt")
    return x.of(1).where(x.compare(above, 0), x.of(-1).where(x.compare(below, 0), x))


def round_to_even(x: Value) -> Value:
    """Half to even. From 2**fraction_bits on all numbers are whole; adding that rounds the others."""
    whole = 2.0 ** format_of(x).fraction_bits
    size = abs(x)
    rounded = ((size + whole) - whole).with_sign_of(x)
    return rounded.where(size.compare("olt", whole), x)


def floor(x: Value) -> Value:
    rounded = round_to_even(x)
    return (rounded - 1).where(rounded.compare("ogt", x), rounded)


def square_root(x: Value) -> Value:
    return x.intrinsic("sqrt")


def inverse(x: Value) -> Value:
    """1 / x of numbers from one to two, about as well as it can be rounded; they need no division, which is slow.

    The best parabola errs by 1/99, each step of Newton's by the square of the error before it.
    """
    if not x.assembler.target.has_fma:
        return x.of(1) / x
    result = x.times_plus(32 / 99, -16 / 11).times_plus(x, 70 / 33)
    for _ in range(format_of(x).fraction_bits // 16 + 1):
        result = (-x).times_plus(result, 1).times_plus(result, result)
    return result


def inverse_of_large(x: Value) -> Value:
    """1 / x of numbers from 2**-64 to 2**65, of infinity, which it is 0 of, and of NaN; as well, and without division.

    The bits of x are nearly its logarithm: taken from those of one twice, they are nearly those of the inverse. That
    errs by 1/19 at most.
    """
    if not x.assembler.target.has_fma:
        return x.of(1) / x
    form = format_of(x)
    twice = (2 * form.bias << form.fraction_bits) - round(0.10104 * 2**form.fraction_bits)
    result = (x.bits().of(twice) - x.bits()).as_float()
    for _ in range(form.fraction_bits // 16 + 2):
        result = (-x).times_plus(result, 1).times_plus(result, result)
    return x.of(0).where(x.compare("oeq", inf), result)


def quotient(a: Value, b: Value) -> Value:
    """The same for a / b, whose rest is made good."""
    if not a.assembler.target.has_fma:
        return a / b
    factor = inverse(b)
    result = a * factor
    return (-b).times_plus(result, a).times_plus(factor, result)


@dataclass(frozen=True, slots=True)
class Double:
    """A number as an unevaluated sum, twice as precise as its parts."""

    high: Value
    low: Value


def sum_of(a: Value, b: Value) -> Double:
    """Exact a + b where a is not the smaller one."""
    high = a + b
    return Double(high, b - (high - a))


def product_of(a: Value, b: Value) -> Double:
    """Exact a * b."""
    high = a * b
    return Double(high, residue(a, b, high))


def residue(a: Value, b: Value, product: Value) -> Value:
    """Exact a * b - product where these are nearly equal."""
    if a.assembler.target.has_fma:
        return a.times_plus(b, -product)
    (ah, al), (bh, bl) = _halves(a), _halves(b)
    return al * bl - (((product - ah * bh) - al * bh) - ah * bl)


def _halves(a: Value) -> tuple[Value, Value]:
    """The upper half of the digits and the rest."""
    upper = (a.bits() & -(1 << format_of(a).fraction_bits // 2 + 1)).as_float()
    return upper, a - upper
