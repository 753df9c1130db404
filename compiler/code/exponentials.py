"""Exponentials and what is made of them, for `vectormath`: exp, expm1, sigmoid, tanh, erf and erfc.

An argument is n*log(2) + r with a whole n; exp is (1 + p) * 2**n with a small p, a polynomial of r. Those functions
that are steep take a second operand, what their argument has lost by rounding, see `lost`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .assembler import Value, element_type
from .floats import (
    Double,
    Whole,
    format_of,
    inverse,
    inverse_of_large,
    power_of_two,
    product_of,
    quotient,
    residue,
    scaled,
    sum_of,
)
from .polynomials import POLYNOMIALS

__all__ = ["clamp", "erf", "erfc", "exp", "expm1", "polynomial", "range_of", "sigmoid", "tanh"]

_LOG2 = 0.6931471805599453


@dataclass(frozen=True, slots=True)
class _Range:
    """Where a function has reached its end in a type, and log(2) in two parts: the first times a
    whole exponent is exact."""

    exp_low: float  # exp is 0 below
    exp_high: float  # and infinite above
    expm1_low: float  # exp(x) - 1 is -1 below
    erf_end: float  # erf is 1 above
    erfc_end: float  # and erfc 0
    log2_high: float
    log2_low: float


_RANGES = {
    "float": _Range(-104.0, 89.0, -18.0, 4.0, 10.125, 0.693359375, -2.12194440054690583e-4),
    "double": _Range(
        -746.0, 710.0, -38.0, 6.0, 27.3, 6.93147180369123816490e-1, 1.90821492927058770002e-10
    ),
}


def range_of(x: Value) -> _Range:
    return _RANGES[element_type(x.type)]


def polynomial(name: str, x: Value) -> Value:
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


def clamp(x: Value, low: float, high: float) -> Value:
    """``x`` between two numbers; NaN stays NaN."""
    return _at_most(_at_least(x, low), high)


def _with_sign(low: Value, x: Value) -> Value:
    """``low`` times the sign of x: what belongs to abs(x)."""
    return (low.bits() ^ (x.bits() - abs(x).bits())).as_float()


def _split_exponent(x: Value) -> tuple[Whole, Value, Value]:
    """``x = n*log(2) + r`` with ``abs(r) <= log(2)/2``: n, r, and what r lost by rounding."""
    shifter, limits = format_of(x).shifter, range_of(x)
    shifted = x.times_plus(1 / _LOG2, shifter)
    n = shifted - shifter
    rest = n.times_plus(-limits.log2_high, x)
    r = n.times_plus(-limits.log2_low, rest)
    lost = n.times_plus(-limits.log2_low, rest - r)
    return Whole(n, shifted), r, lost


def _exp_parts(x: Value, low: Value | None = None) -> tuple[Value, Whole]:
    """p and n with exp(x) = (1 + p) * 2**n, or exp(x + low) for a small ``low``; x is in range.

    What r has lost by rounding is far below a unit of 1 + p.
    """
    n, r, _ = _split_exponent(x)
    r = r if low is None else r + low
    return polynomial("exp", r).times_plus(r * r, r), n


def _exp_sum(x: Value, low: Value) -> tuple[Double, Whole]:
    """The same for exp(x + low), nothing lost: p is a sum."""
    n, r, lost = _split_exponent(x)
    total = sum_of(r, lost + low)
    tail = polynomial("exp", total.high).times_plus(total.high * total.high, total.low)
    return Double(total.high, tail), n


def exp(x: Value, low: Value | None = None) -> Value:
    """exp(x + low). Zero is chosen, not computed: processors are slow where a result is too small.

    What is chosen last may be left out of the instruction that gives the rest.
    """
    limits = range_of(x)
    is_some = x.compare("uge", limits.exp_low)
    if low is not None:  # of an infinite x it is no number
        low = low.where(x.compare("ole", limits.exp_high), 0)
    p, n = _exp_parts(_at_most(x, limits.exp_high).where(is_some, 0), low)
    return scaled(p + 1, n).where(is_some, 0)


def expm1(x: Value) -> Value:
    """2**n * (exp(r) - 1) + (2**n - 1), with 2**(n-1) so that the greatest results do not overflow."""
    limits = range_of(x)
    n, r, lost = _split_exponent(clamp(x, limits.expm1_low, limits.exp_high))
    tail = polynomial("exp", r).times_plus(r * r, lost)
    half = power_of_two(n.integer - 1, format_of(x))
    result = tail.times_plus(half, r.times_plus(half, half - 0.5)) * 2
    return (r + tail).where(n.value.compare("oeq", 0), result).with_sign_of(x)


def sigmoid(x: Value, low: Value | None = None) -> Value:
    """1 / (1 + e) with e = exp(-abs(x)) = (1 + p) * 2**n, times e where x is negative.

    1 + e is (1 + 2**n) + p * 2**n, and what its rounding has lost is made good.
    """
    least, exponent = range_of(x).exp_low, -abs(x)
    if low is not None:
        low = _with_sign(low, -x).where(exponent.compare("ogt", least), 0)
    p, n = _exp_parts(_at_least(exponent, least), low)
    power = scaled(x.of(1), n)
    most = power + 1
    total = p.times_plus(power, most)
    lost = p.times_plus(power, most - total)
    rough = inverse(total)
    result = (-lost * rough).times_plus(rough, rough)
    return (p.times_plus(result, result) * power).where(x.compare("olt", 0), result)


def tanh(x: Value) -> Value:
    """(1 - e) / (1 + e) with e = exp(-2*abs(x)) = (1 + p) * 2**n, both rounded once where a machine can.

    Near zero n is zero, and 1 - e is -p: nothing is lost.
    """
    p, n = _exp_parts(_at_least(abs(x) * -2, 2 * range_of(x).expm1_low))
    power = power_of_two(n.integer, format_of(x))
    above, below = (-p).times_plus(power, 1 - power), p.times_plus(power, power + 1)
    return quotient(above, below).with_sign_of(x)


def erf(x: Value) -> Value:
    """x + x P(x²) up to one, else 1 - exp(Q(abs(x) - 1)) with Q close to log(erfc)."""
    limits = range_of(x)
    size = abs(x)
    near = polynomial("erf", x * x).times_plus(x, x)
    end = x.of(limits.erf_end).where(size.compare("ogt", limits.erf_end), size)
    far = 1 - exp(polynomial("log erfc", end - 1))
    return near.where(size.compare("olt", 1), far.with_sign_of(x))


def erfc(x: Value, low: Value | None = None) -> Value:
    """exp(-x²) / (a + 2) * (1 + P(q)) of a = abs(x), q = (a - 2)/(a + 2), and what is left to 2 where x is negative.

    The square is exact. Where 1/(a + 2) = r*(1 + e), q is 1 - 4r - 4r*e.
    """
    size = abs(x)
    is_some = size.compare("ule", range_of(x).erfc_end)
    a = size.where(is_some, 0)
    square = product_of(a, a)
    if low is not None:
        square = Double(square.high, _with_sign(low, x).times_plus(a * 2, square.low))
    p, n = _exp_sum(-square.high, -square.low)
    total = a + 2
    lost = a - (total - 2)
    rough = inverse_of_large(total)
    error = (-rough).times_plus(lost, residue(-rough, total, rough.of(-1)))
    four = rough * -4
    near = sum_of(rough, rough * polynomial("erfc", four.times_plus(error, four + 1)))
    less = (p.low + error).times_plus(near.high, near.low)
    above = p.high.times_plus(near.high, less) + near.high
    above = scaled(above, n).where(is_some, 0)
    return (2 - above).where(x.compare("olt", 0), above)
