"""Angles of any size as quarter turns and a rest: ``x = n*pi/2 + r`` with ``abs(r) <= pi/4``.

Up to 2**14, pi/2 in three parts of 39, 39 and 53 bits is exact enough (Cody and Waite). Beyond, which is rare, a
vector with such an element takes a side road: one element after the other goes through a function that multiplies
its 53 bits with those 192 bits of 2/pi that matter (Payne and Hanek), all in integers.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from .assembler import Assembler, Value, lanes

__all__ = ["reduce_angle"]

_LARGE = 2.0**14
_TWO_OVER_PI = 0.6366197723675814
_SHIFTER = 1.5 * 2.0**52  # adding it rounds to a whole number, which then stands in the low bits
# The sum is pi/2; products of the first two with whole numbers up to 2**14 are exact.
_PARTS = (
    float.fromhex("0x1.921fb5444p+0"),
    float.fromhex("0x1.68c234c4c4p-39"),
    float.fromhex("0x1.3145c06e0e689p-78"),
)
_WORDS = 20  # of 64 bits of 2/pi, the first one zero: enough for the greatest double
_RESULT = "{ i64, double, double }"


def reduce_angle(x: Value) -> tuple[Value, Value, Value]:
    """Quarters (modulo 4, as integers), r, and what r lost by rounding, for doubles of any size."""
    assembler = x.assembler
    huge = x.compare("ogt", _LARGE) | x.compare("olt", -_LARGE)
    usual = _reduce_moderate(x)
    before, side, after = assembler.here, assembler.label("huge"), assembler.label("reduced")
    assembler.branch(_any(huge), side, after)
    assembler.block(side)
    rare = [a.where(huge, b) for a, b in zip(_reduce_huge(x, usual), usual, strict=True)]
    end = assembler.here
    assembler.jump(after)
    assembler.block(after)
    quarters, r, low = (
        Value(assembler, a.type, assembler.phi(a.type, (a.text, before), (b.text, end)))
        for a, b in zip(usual, rare, strict=True)
    )
    return quarters, r, low


def _any(condition: Value) -> str:
    """Is one of the lanes true?"""
    assembler, count = condition.assembler, lanes(condition.type)
    if count == 1:
        return condition.text
    bits = assembler.op(f"bitcast {condition.type} {condition.text} to i{count}")
    return assembler.op(f"icmp ne i{count} {bits}, 0")


def _reduce_moderate(x: Value) -> tuple[Value, Value, Value]:
    shifted = x * _TWO_OVER_PI + _SHIFTER
    n = shifted - _SHIFTER
    first = n.times_plus(-_PARTS[0], x)  # exact
    second = n * _PARTS[1]  # exact; what the difference loses is kept
    rough = first - second
    back = first - rough
    lost = n.times_plus(-_PARTS[2], (first - (rough + back)) - (second - back))
    r = rough + lost
    return shifted.bits(), r, (rough - r) + lost


def _reduce_huge(x: Value, start: tuple[Value, ...]) -> tuple[Value, ...]:
    """The same for huge elements, lane by lane into copies of ``start``."""
    assembler, count = x.assembler, lanes(x.type)
    assembler.declare(_huge_function(assembler))
    if count == 1:
        return tuple(_call_huge(x))
    before, loop, done = assembler.here, assembler.label("lane"), assembler.label("lanes")
    assembler.jump(loop)
    assembler.block(loop)
    lane = assembler.phi("i64", ("0", before))
    filled = [assembler.phi(v.type, (v.text, before)) for v in start]
    element = assembler.op(f"extractelement {x.type} {x.text}, i64 {lane}")
    results = _call_huge(Value(assembler, "double", element))
    inserted = [
        assembler.op(f"insertelement {v.type} {old}, {new.type} {new.text}, i64 {lane}")
        for v, old, new in zip(start, filled, results, strict=True)
    ]
    for old, text in zip(filled, inserted, strict=True):
        assembler.arrive(old, text, loop)
    following = assembler.op(f"add i64 {lane}, 1")
    assembler.arrive(lane, following, loop)
    assembler.branch(assembler.op(f"icmp eq i64 {following}, {count}"), done, loop)
    assembler.block(done)
    return tuple(Value(assembler, v.type, text) for v, text in zip(start, inserted, strict=True))


def _call_huge(x: Value) -> list[Value]:
    assembler = x.assembler
    result = assembler.op(f"call {_RESULT} @graphnn.angle(double {x.text})")
    return [
        Value(assembler, kind, assembler.op(f"extractvalue {_RESULT} {result}, {k}"))
        for k, kind in enumerate(("i64", "double", "double"))
    ]


def _huge_function(owner: Assembler) -> str:
    """x = M * 2**e, and 2/pi from the bit on that counts 2 quarters after multiplication with 2**e.

    Of the product with M, a whole number of 53 bits, the two bits on top are the quarters, the rest is the
    fraction of one: 190 bits, of which at most 61 can cancel when x is close to a whole number of quarters.
    """
    words = ", ".join(f"i64 {word}" for word in _two_over_pi())
    owner.declare(f"@graphnn.two_over_pi = private constant [{_WORDS} x i64] [{words}]")
    a = Assembler(owner.target)
    x = Value(a, "double", "%x")
    bits = x.bits()
    mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
    start = (bits.shift_right_unsigned(52) & 2047) - 1013
    start = start.where(start.compare("sgt", 0), 0)
    offset, shift = start.shift_right_unsigned(6).shift_left(3), start & 63
    table = [
        _load(a.offset(a.offset("@graphnn.two_over_pi", offset.text), 8 * k), a) for k in range(4)
    ]
    window = [_funnel(high, low, shift) for high, low in pairwise(table)]
    low_product = _wide(mantissa, window[2])
    middle = _wide(mantissa, window[1]) + low_product.shift_right_unsigned(64)
    high = mantissa * window[0] + middle.shift_right_unsigned(64).convert("trunc", "i64")
    middle, low = middle.convert("trunc", "i64"), low_product.convert("trunc", "i64")
    fraction, rest = _funnel(high, middle, high.of(2)), _funnel(middle, low, high.of(2))
    quarters = high.shift_right_unsigned(62) + fraction.shift_right_unsigned(63)
    sign = fraction.shift_right(63)  # all ones where the nearest quarter lies above
    fraction, rest = fraction ^ sign, rest ^ sign
    zeros = Value(a, "i64", _leading_zeros(fraction))
    angle = _wide(_funnel(fraction, rest, zeros), fraction.of(_half_pi())).shift_right_unsigned(66)
    whole = angle.convert("trunc", "i64")
    rounded = whole.convert("sitofp", "double")
    lost = (whole - rounded.convert("fptosi", "i64")).convert("sitofp", "double")
    scale = (zeros.of(1023 - 61) - zeros).shift_left(52)
    scale = (scale | ((bits ^ sign) & -(1 << 63))).as_float()
    backwards = bits.shift_right(63)
    quarters = (quarters ^ backwards) - backwards
    undefined = x - x  # NaN for infinities
    result = "poison"
    for k, value in enumerate((quarters, rounded * scale + undefined, lost * scale)):
        result = a.op(f"insertvalue {_RESULT} {result}, {value.type} {value.text}, {k}")
    a.line(f"ret {_RESULT} {result}")
    for declaration in a.declarations:
        owner.declare(declaration)
    return a.function(f"internal {_RESULT} @graphnn.angle(double %x)", "noinline nounwind")


def _load(pointer: str, assembler: Assembler) -> Value:
    return Value(assembler, "i64", assembler.op(f"load i64, ptr {pointer}, align 8"))


def _funnel(high: Value, low: Value, shift: Value) -> Value:
    """The upper word of (high, low) shifted left."""
    return high.intrinsic("fshl", low, shift)


def _wide(a: Value, b: Value) -> Value:
    """The product of two words in 128 bits."""
    return a.convert("zext", "i128") * b.convert("zext", "i128")


def _leading_zeros(word: Value) -> str:
    word.assembler.declare("declare i64 @llvm.ctlz.i64(i64, i1)")
    return word.assembler.op(f"call i64 @llvm.ctlz.i64(i64 {word.text}, i1 false)")


@cache
def _pi(bits: int) -> int:
    """floor(pi * 2**bits) by J. Machin's formula (1706)."""
    guard = 64
    one = 1 << (bits + guard)

    def arctangent(inverse: int) -> int:
        power, total, divisor = one // inverse, 0, 1
        while power:
            total += power // divisor if divisor % 4 == 1 else -(power // divisor)
            power, divisor = power // inverse**2, divisor + 2
        return total

    return (16 * arctangent(5) - 4 * arctangent(239)) >> guard


def _half_pi() -> int:
    """pi/2 with 63 bits after the point."""
    return _pi(62)


def _two_over_pi() -> list[int]:
    """The words of 2/pi, after one word of zeros."""
    bits = 64 * (_WORDS - 1)
    value = (1 << (2 * bits + 1)) // _pi(bits)
    return [value >> (64 * k) & (2**64 - 1) for k in reversed(range(_WORDS))]
