"""Elementary functions written inline, for float and double, one value or a vector of any width.

    call(assembler, "exp", "<16 x float>", [x])  ->  register

LLVM has no vector library behind its intrinsics, and no optimizer runs after us, so each function is expanded where
it is used: an argument reduction that is exact, a polynomial from `polynomials`, and a careful way back. NaN comes
out wherever it goes in, subnormal numbers are as good as others, special values are those of C99's annex F. Greatest
errors in ULP: float exp log sin cos 1, log1p expm1 over_root 1.5, tanh sigmoid erf pow 2; double exp log 1, over_root
1.5, all others 2.
Every bound holds without fused multiply-add too; results are then other bits.

Sources: the reductions are W. Cody and W. Waite's (1980), M. Payne and R. Hanek's (1983) for huge angles; the logarithm
in s = f/(2 + f) and the errors carried along follow the plan of K. Ng's fdlibm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf, nan

from .angles import reduce_angle
from .assembler import Assembler, Value, element_type, mangled
from .floats import (
    Double,
    absolute,
    extreme,
    floor,
    format_of,
    inverse,
    inverse_of_large,
    power_of_two,
    product_of,
    quotient,
    round_to_even,
    sign,
    square_root,
    sum_of,
)
from .polynomials import POLYNOMIALS

__all__ = ["call", "integer_power"]

_LOG2 = 0.6931471805599453


@dataclass(frozen=True, slots=True)
class _Range:
    """Where a function has reached its end in a type, and log(2) in two parts: the first times a
    whole exponent is exact."""

    exp_low: float  # exp is 0 below
    exp_high: float  # and infinite above
    expm1_low: float  # exp(x) - 1 is -1 below
    erf_end: float  # erf is 1 above
    log2_high: float
    log2_low: float


_RANGES = {
    "float": _Range(-104.0, 89.0, -18.0, 4.0, 0.693359375, -2.12194440054690583e-4),
    "double": _Range(
        -746.0, 710.0, -38.0, 6.0, 6.93147180369123816490e-1, 1.90821492927058770002e-10
    ),
}


def _range_of(x: Value) -> _Range:
    return _RANGES[element_type(x.type)]


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


def _polynomial(name: str, x: Value) -> Value:
    """Horner's rule; a fused multiply-add per coefficient where there is one."""
    *rest, last = POLYNOMIALS[name, element_type(x.type)]
    total = x.of(last)
    for coefficient in reversed(rest):
        total = total.times_plus(x, coefficient)
    return total


def _at_least(x: Value, low: float) -> Value:
    """NaN stays NaN."""
    return x.of(low).where(x.compare("olt", low), x)


def _at_most(x: Value, high: float) -> Value:
    """NaN stays NaN."""
    return x.of(high).where(x.compare("ogt", high), x)


def _clamp(x: Value, low: float, high: float) -> Value:
    """``x`` between two numbers; NaN stays NaN."""
    return _at_most(_at_least(x, low), high)


# --- exponentials ------------------------------------------------------------------------------------------------


def _split_exponent(x: Value) -> tuple[Value, Value, Value]:
    """``x = n*log(2) + r`` with ``abs(r) <= log(2)/2``: n as an integer, r, and what r lost by rounding."""
    shifter, limits = format_of(x).shifter, _range_of(x)
    shifted = x.times_plus(1 / _LOG2, shifter)
    n = shifted - shifter
    rest = n.times_plus(-limits.log2_high, x)
    r = n.times_plus(-limits.log2_low, rest)
    lost = n.times_plus(-limits.log2_low, rest - r)
    return shifted.bits() - x.of(shifter).bits(), r, lost


def _scaled(y: Value, n: Value) -> Value:
    """``y * 2**n`` with one rounding: an instruction where there is one, else two steps whose factors stay in range."""
    assembler, form = y.assembler, format_of(y)
    if assembler.target.has("avx512vl"):
        n = n if element_type(n.type) == "i32" else n.convert("trunc", "i32")
        name = f"@llvm.ldexp.{mangled(y.type)}.{mangled(n.type)}"
        assembler.declare(f"declare {y.type} {name}({y.type}, {n.type})")
        text = assembler.op(f"call {y.type} {name}({y.type} {y.text}, {n.type} {n.text})")
        return Value(assembler, y.type, text)
    half = n.shift_right(1)
    return y * power_of_two(half, form) * power_of_two(n - half, form)


def _exp_parts(x: Value, low: Value | None = None) -> tuple[Value, Value]:
    """p and n with exp(x) = (1 + p) * 2**n, or exp(x + low) for a small ``low``; x is in range.

    What r has lost by rounding is far below a unit of 1 + p; a power, which asks for more, adds it.
    """
    n, r, lost = _split_exponent(x)
    if low is None:
        return _polynomial("exp", r).times_plus(r * r, r), n
    total = sum_of(r, lost + low)
    tail = _polynomial("exp", total.high).times_plus(total.high * total.high, total.low)
    return total.high + tail, n


def _exp(x: Value, low: Value | None = None) -> Value:
    """Zero is chosen, not computed: processors are slow where a result is too small."""
    limits = _range_of(x)
    is_zero = x.compare("olt", limits.exp_low)
    p, n = _exp_parts(_at_most(x.of(0).where(is_zero, x), limits.exp_high), low)
    return x.of(0).where(is_zero, _scaled(p + 1, n))


def _expm1(x: Value) -> Value:
    """2**n * (exp(r) - 1) + (2**n - 1), with 2**(n-1) so that the greatest results do not overflow."""
    limits = _range_of(x)
    n, r, lost = _split_exponent(_clamp(x, limits.expm1_low, limits.exp_high))
    tail = _polynomial("exp", r).times_plus(r * r, lost)
    half = power_of_two(n - 1, format_of(x))
    result = tail.times_plus(half, r.times_plus(half, half - 0.5)) * 2
    return (r + tail).where(n.compare("eq", 0), result).with_sign_of(x)


def _sigmoid(x: Value) -> Value:
    """1 / (1 + e) with e = exp(-abs(x)) = (1 + p) * 2**n, times e where x is negative.

    1 + e is (1 + 2**n) + p * 2**n, and what its rounding has lost is made good.
    """
    p, n = _exp_parts(_at_least(-abs(x), _range_of(x).exp_low))
    power = _scaled(x.of(1), n)
    most = power + 1
    total = p.times_plus(power, most)
    lost = p.times_plus(power, most - total)
    rough = inverse(total)
    result = (-lost * rough).times_plus(rough, rough)
    return (p.times_plus(result, result) * power).where(x.compare("olt", 0), result)


def _over_root(x: Value, divisor: Value) -> Value:
    """``x / divisor`` where that is a root to which a number from 2**-64 to 2**64 is added, and so neither small
    nor very large."""
    return x * inverse_of_large(divisor)


def _tanh(x: Value) -> Value:
    """(1 - e) / (1 + e) with e = exp(-2*abs(x)) = (1 + p) * 2**n, both rounded once where a machine can.

    Near zero n is zero, and 1 - e is -p: nothing is lost.
    """
    p, n = _exp_parts(_at_least(abs(x) * -2, 2 * _range_of(x).expm1_low))
    power = power_of_two(n, format_of(x))
    above, below = (-p).times_plus(power, 1 - power), p.times_plus(power, power + 1)
    return quotient(above, below).with_sign_of(x)


def _erf(x: Value) -> Value:
    """x + x P(x²) up to one, else 1 - exp(Q(abs(x) - 1)) with Q close to log(erfc)."""
    limits = _range_of(x)
    size = abs(x)
    near = _polynomial("erf", x * x).times_plus(x, x)
    end = x.of(limits.erf_end).where(size.compare("ogt", limits.erf_end), size)
    far = 1 - _exp(_polynomial("erfc", end - 1))
    return near.where(size.compare("olt", 1), far.with_sign_of(x))


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
    limits = _range_of(x)
    m, k = _split_mantissa(x)
    f = m - 1
    s = f / (f + 2)
    z = s * s
    half = f * f * 0.5
    inner = s * (half + _polynomial("log", z) * z)
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
    rest = _polynomial("power", square.high) * square.high * cube.high
    limits = _range_of(x)
    near = sum_of(high * 2, term.high)
    total = sum_of(k * limits.log2_high, near.high)
    small = total.low + near.low + low * 2 + term_low + rest + k * limits.log2_low
    return sum_of(total.high, small)


def _pow(x: Value, y: Value) -> Value:
    """exp(y * log(abs(x))) with the logarithm in double precision of the type, then C99's special cases."""
    if element_type(x.type) == "float":
        wide = _pow(x.convert("fpext", "double"), y.convert("fpext", "double"))
        return wide.convert("fptrunc", "float")
    size = abs(x)
    logarithm = _log_double(size)
    exponent = _clamp(y, -(2.0**70), 2.0**70)
    product = product_of(logarithm.high, exponent)
    low = logarithm.low.times_plus(exponent, product.low)
    bounded = product.high.compare("olt", 1e4) & product.high.compare("ogt", -1e4)
    result = _exp(product.high, low.where(bounded, 0))
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
    sine = r + (z * r * _polynomial("sin", z) + low * (1 - z * 0.5))
    half = z * 0.5
    near = 1 - half
    rest = (1 - near) - half
    cosine = near + (rest + (_polynomial("cos", z) * z * z - r * low))
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
    "erf": _erf,
    "exp": _exp,
    "expm1": _expm1,
    "floor": floor,
    "log": _log,
    "log1p": _log1p,
    "over_root": _over_root,
    "pow": _pow,
    "round": round_to_even,
    "sigmoid": _sigmoid,
    "sign": sign,
    "sin": _sin,
    "sqrt": square_root,
    "tanh": _tanh,
}
