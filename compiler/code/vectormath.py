"""Elementary functions written inline, for float and double, one value or a vector of any width.

    call(assembler, "exp", "<16 x float>", [x])  ->  register

LLVM has no vector library behind its intrinsics, and no optimizer runs after us, so each function is expanded where
it is used: an argument reduction that is exact, a polynomial from `polynomials`, and a careful way back. NaN comes
out wherever it goes in, subnormal numbers are as good as others, special values are those of C99's annex F. Greatest
errors in ULP: float exp log sin cos 1, log1p expm1 over_root 1.5, tanh sigmoid erf pow 2, erfc 3; double exp log 1,
over_root 1.5, erfc 2.5, all others 2. Those that are steep take a second operand, what their first one has lost
(`lost`), and err by half a unit more then.
Every bound holds without fused multiply-add too; results are then other bits.

Sources: the reductions are W. Cody and W. Waite's (1980), M. Payne and R. Hanek's (1983) for huge angles; the logarithm
in s = f/(2 + f) and the errors carried along follow the plan of K. Ng's fdlibm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import inf, nan

from .angles import reduce_angle
from .assembler import Assembler, Value, element_type
from .exponentials import clamp, erf, erfc, exp, expm1, polynomial, range_of, sigmoid, tanh
from .floats import (
    Double,
    absolute,
    extreme,
    floor,
    format_of,
    inverse_of_large,
    product_of,
    round_to_even,
    sign,
    square_root,
    sum_of,
)

__all__ = ["call", "integer_power"]


def call(assembler: Assembler, function: str, type_: str, operands: Sequence[str]) -> str:
    """``function`` of operands of one type, as instructions at the end of the assembler's code.

    Knows every name in `expression.FUNCTIONS` but ``where``, and ``pow`` and ``over_root``. ``sin`` and ``cos`` may
    end in another block than they began in.
    """
    values = [Value(assembler, type_, operand) for operand in operands]
    if function in ("max", "min"):
        result = values[0]
        for value in values[1:]:
            result = extreme(function, result, value)
        return result.text
    return _FUNCTIONS[function](*values).text


def integer_power(assembler: Assembler, type_: str, base: str, exponent: int) -> str:
    """``base**exponent`` by repeated multiplication, each square computed once."""
    square = Value(assembler, type_, base)
    result = None
    rest = abs(exponent)
    while rest:
        if rest & 1:
            result = square if result is None else result * square
        rest >>= 1
        if rest:
            square = square * square
    if result is None:
        return square.of(1).text
    return (result.of(1) / result if exponent < 0 else result).text


# --- logarithms and powers ---------------------------------------------------------------------------------------


def _split_mantissa(x: Value) -> tuple[Value, Value]:
    """``x = m * 2**k`` with m between the square roots of 1/2 and 2, for positive finite x; k as a float."""
    form = format_of(x)
    subnormal = x.compare("olt", form.smallest_normal)
    bits = (x * 2.0 ** (form.fraction_bits + 1)).where(subnormal, x).bits()
    k = (bits - x.of(0.5**0.5).bits()).shift_right(form.fraction_bits)
    m = (bits - k.shift_left(form.fraction_bits)).as_float()
    shift = k.of(form.fraction_bits + 1).where(subnormal, 0)
    exponent = (k - shift + x.of(form.shifter).bits()).as_float() - form.shifter
    return m, exponent


def _log_core(x: Value, correction: Value | None = None) -> Value:
    """log of a positive finite x, plus a correction that is small beside it."""
    limits = range_of(x)
    m, k = _split_mantissa(x)
    f = m - 1
    s = f / (f + 2)
    z = s * s
    half = f * f * 0.5
    inner = s * (half + polynomial("log", z) * z)
    small = k.times_plus(limits.log2_low, inner)
    if correction is not None:
        small = small + correction
    return k.times_plus(limits.log2_high, f - (half - small))


def _log_specials(x: Value, result: Value) -> Value:
    """log of 0 is -inf, of inf itself, of less NaN."""
    special = x.of(-inf).where(x.compare("oeq", 0), nan)
    special = x.where(x.compare("oeq", inf), special)
    ordinary = x.compare("ogt", 0) & x.compare("olt", inf)
    return result.where(ordinary, special)


def _log(x: Value) -> Value:
    return _log_specials(x, _log_core(x))


def _log1p(x: Value) -> Value:
    """log(1 + x) with what 1 + x lost: log(t + e) = log(t) + e/t."""
    total = x + 1
    back = total - x
    error = (1 - back) + (x - (total - back))
    result = _log_specials(total, _log_core(total, error / total))
    return result.where(x.compare("une", 0), x)


def _log_double(x: Value) -> Double:
    """log of a positive finite double to about 68 bits: 2s + 2s³/3 + s⁵ P(s²), the first two terms twice as precise."""
    m, k = _split_mantissa(x)
    f = m - 1
    denominator = sum_of(f.of(2), f)
    high = f / denominator.high
    back = product_of(high, denominator.high)
    low = (f - back.high - back.low - high * denominator.low) / denominator.high
    square = product_of(high, high)
    cube = product_of(square.high, high)
    cube_low = cube.low + square.low * high + square.high * low * 3
    third = Fraction(2, 3)
    third_high = float(third)
    term = product_of(cube.high, high.of(third_high))
    term_low = term.low + cube_low * third_high + cube.high * float(third - Fraction(third_high))
    rest = polynomial("power", square.high) * square.high * cube.high
    limits = range_of(x)
    near = sum_of(high * 2, term.high)
    total = sum_of(k * limits.log2_high, near.high)
    small = total.low + near.low + low * 2 + term_low + rest + k * limits.log2_low
    return sum_of(total.high, small)


def _over_root(x: Value, divisor: Value) -> Value:
    """``x / divisor`` where that is a root to which a number from 2**-64 to 2**64 is added, and so neither small
    nor very large."""
    return x * inverse_of_large(divisor)


def _pow(x: Value, y: Value) -> Value:
    """exp(y * log(abs(x))) with the logarithm in double precision of the type, then C99's special cases."""
    if element_type(x.type) == "float":
        wide = _pow(x.convert("fpext", "double"), y.convert("fpext", "double"))
        return wide.convert("fptrunc", "float")
    size = abs(x)
    logarithm = _log_double(size)
    exponent = clamp(y, -(2.0**70), 2.0**70)
    product = product_of(logarithm.high, exponent)
    low = logarithm.low.times_plus(exponent, product.low)
    bounded = product.high.compare("olt", 1e4) & product.high.compare("ogt", -1e4)
    result = exp(product.high, low.where(bounded, 0))
    return _pow_specials(x, y, size, result)


def _pow_specials(x: Value, y: Value, size: Value, result: Value) -> Value:
    zero = x.compare("oeq", 0)
    endless = size.compare("oeq", inf) | abs(y).compare("oeq", inf)
    grows = size.compare("ogt", 1) ^ y.compare("olt", 0)
    edge = x.of(inf).where(grows, 0)
    result = edge.where(zero | endless, result)
    whole = round_to_even(y).compare("oeq", y)
    half = y * 0.5
    odd = whole & round_to_even(half).compare("une", half)
    negative = x.bits().compare("slt", 0)
    result = (-result).where(negative & odd, result)
    undefined = x.compare("olt", 0) & (whole ^ 1) & size.compare("olt", inf)
    result = x.of(nan).where(undefined, result)
    result = (x + y).where(x.compare("uno", y), result)
    minus_one = size.compare("oeq", 1) & abs(y).compare("oeq", inf)
    return x.of(1).where(y.compare("oeq", 0) | x.compare("oeq", 1) | minus_one, result)


# --- angles ------------------------------------------------------------------------------------------------------


def _wave(x: Value, turn: int) -> Value:
    """sin of ``x`` plus ``turn`` quarters of a circle; a float is computed in double."""
    if element_type(x.type) == "float":
        return _wave(x.convert("fpext", "double"), turn).convert("fptrunc", "float")
    quarters, r, low = reduce_angle(x)
    quarters = quarters + turn
    z = r * r
    sine = r + (z * r * polynomial("sin", z) + low * (1 - z * 0.5))
    half = z * 0.5
    near = 1 - half
    rest = (1 - near) - half
    cosine = near + (rest + (polynomial("cos", z) * z * z - r * low))
    even = (quarters & 1).compare("eq", 0)
    result = sine.where(even, cosine)
    flipped = result.bits() ^ (quarters & 2).shift_left(62)
    return flipped.as_float()


def _sin(x: Value) -> Value:
    return x.where(x.compare("oeq", 0), _wave(x, 0))


def _cos(x: Value) -> Value:
    return _wave(x, 1)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "abs": absolute,
    "cos": _cos,
    "erf": erf,
    "erfc": erfc,
    "exp": exp,
    "expm1": expm1,
    "floor": floor,
    "log": _log,
    "log1p": _log1p,
    "over_root": _over_root,
    "pow": _pow,
    "round": round_to_even,
    "sigmoid": sigmoid,
    "sign": sign,
    "sin": _sin,
    "sqrt": square_root,
    "tanh": tanh,
}
