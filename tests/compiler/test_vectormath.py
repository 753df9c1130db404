"""Elementary functions keep their promised errors, special values and NaN, on every machine."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from compiler.code.assembler import Assembler
from compiler.code.lost import STEEP
from compiler.code.polynomials import POLYNOMIALS
from compiler.code.vectormath import integer_power
from compiler.machine.jit import assembly
from compiler.target import NAMES
from tools import fit_polynomials

from .machine import DTYPES, RUNNABLE, loop, native

# Greatest error in ULP: of float, of double.
BOUNDS = {
    "exp": (1.0, 1.0),
    "log": (1.0, 1.0),
    "expm1": (1.5, 2.0),
    "log1p": (1.5, 2.0),
    "sqrt": (0.5, 0.5),
    "sin": (1.0, 2.0),
    "cos": (1.0, 2.0),
    "tanh": (2.0, 2.0),
    "sigmoid": (2.0, 2.0),
    "erf": (2.0, 2.0),
    "erfc": (3.0, 2.5),
}
ALL = [*BOUNDS, "abs", "floor", "round", "sign"]
Array = np.ndarray[Any, Any]
STRIDE = 99_991  # through the bit patterns of all floats


def _sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


DOUBLE: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "abs": np.abs,
    "round": np.rint,
    **{n: getattr(np, n) for n in ("exp", "log", "expm1", "log1p", "sqrt", "sin", "cos", "tanh")},
    **{n: getattr(np, n) for n in ("floor", "sign")},
}
EXACT: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: mp.exp(x) / (1 + mp.exp(x)) if x < 0 else 1 / (1 + mp.exp(-x)),
    "log": lambda x: mp.log(x) if x > 0 else mp.nan,
    "log1p": lambda x: mp.log1p(x) if x > -1 else mp.nan,
    "sqrt": lambda x: mp.sqrt(x) if x >= 0 else mp.nan,
    **{name: getattr(mp, name) for name in ("exp", "expm1", "sin", "cos", "tanh", "erf", "erfc")},
}


def floats() -> Array:
    """Every STRIDE-th bit pattern: all signs and exponents, subnormals, infinities and NaN."""
    return np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32).view(np.float32)


def doubles(count: int, name: str) -> Array:
    """Uniform in the bits, and uniform where the function is not trivial."""
    random = np.random.default_rng(len(name))
    bits = random.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    powers = 10 ** random.uniform(-9, 3, count) * random.choice([-1, 1], count)
    spread = np.concatenate(
        [bits, powers, random.uniform(-2, 2, count), random.uniform(-20, 700, count)]
    )
    limit = 750 if name in ("exp", "expm1", "sigmoid", "erfc") else np.inf
    return spread[np.abs(spread) < limit]


def errors(got: Array, exact: Array) -> Array:
    """In ULP of the exact result; a NaN or infinity on one side only counts as infinite."""
    with np.errstate(all="ignore"):
        nearest = exact.astype(got.dtype)
        difference = np.abs(got.astype(exact.dtype) - exact) / np.spacing(np.abs(nearest))
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    finite = np.isfinite(got) & np.isfinite(nearest)
    return np.where(finite, difference, np.where(same, 0, np.inf)).astype(float)


def exact_error(got: float, exact: Any) -> float:
    """The same for one double and a number of many digits."""
    nearest = float(exact)
    if not (math.isfinite(got) and math.isfinite(nearest)):
        return 0.0 if got == nearest or (math.isnan(got) and math.isnan(nearest)) else math.inf
    return float(abs(mpf(got) - exact) / mpf(math.ulp(nearest)))


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize("name", BOUNDS)
def test_float_error_is_within_its_bound(name: str, machine: str) -> None:
    """A sample of all floats, with and without fused multiply-add, errs by no more than promised."""
    x = floats()
    with np.errstate(all="ignore"):
        exact = DOUBLE[name](x.astype(np.float64))
    found = errors(native(name, "float", machine)(x), exact)
    assert found.max() <= BOUNDS[name][0] + 1e-6, x[found.argmax()]


@pytest.mark.parametrize("name", BOUNDS)
def test_double_error_is_within_its_bound(name: str) -> None:
    """Doubles are compared with mpmath."""
    x = doubles(150, name)
    got = {machine: native(name, "double", machine)(x) for machine in RUNNABLE}
    with mp.workprec(160):
        for k, value in enumerate(x):
            exact = EXACT[name](mpf(float(value)))
            for machine in RUNNABLE:
                error = exact_error(float(got[machine][k]), exact)
                assert error <= BOUNDS[name][1] + 1e-6, (machine, value)


INF, NAN, TINY = math.inf, math.nan, 5e-324
SPECIAL: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {  # arguments, results
    "exp": ((0, -0.0, INF, -INF, 1e4, -1e4), (1, 1, INF, 0, INF, 0)),
    "expm1": ((0, -0.0, INF, -INF, 1e4, -1e4), (0, -0.0, INF, -1, INF, -1)),
    "log": ((1, 0, -0.0, INF, -INF, -1), (0, -INF, -INF, INF, NAN, NAN)),
    "log1p": ((0, -0.0, -1, INF, -INF, -2), (0, -0.0, -INF, INF, NAN, NAN)),
    "sqrt": ((0, -0.0, INF, -1, 4), (0, -0.0, INF, NAN, 2)),
    "sin": ((0, -0.0, INF, -INF), (0, -0.0, NAN, NAN)),
    "cos": ((0, -0.0, INF, -INF), (1, 1, NAN, NAN)),
    "tanh": ((0, -0.0, INF, -INF, 1e4), (0, -0.0, 1, -1, 1)),
    "sigmoid": ((0, INF, -INF, 1e4, -1e4), (0.5, 1, 0, 1, 0)),
    "erf": ((0, -0.0, INF, -INF, 1e4), (0, -0.0, 1, -1, 1)),
    "erfc": ((0, -0.0, INF, -INF, 1e4, -1e4), (1, 1, 0, 2, 0, 2)),
    "abs": ((-0.0, -INF, -1.5), (0, INF, 1.5)),
    "sign": ((0, 3, -INF, -1e-30), (0, 1, -1, -1)),
    "floor": (
        (-0.0, 1.5, -1.5, 2.0**100, -0.25, INF, 4194305.5),
        (-0.0, 1, -2, 2.0**100, -1, INF, 4194305),
    ),
    "round": ((-0.0, 0.5, 1.5, 2.5, -0.5, 2.0**100, -INF), (-0.0, 0, 2, 2, -0.0, 2.0**100, -INF)),
}


@pytest.mark.parametrize("type_", ["float", "double"])
@pytest.mark.parametrize("name", ALL)
def test_special_values(name: str, type_: str) -> None:
    """Zeros with their sign, infinities and overflow are as in C99's annex F; NaN goes through."""
    for machine in RUNNABLE:
        function = native(name, type_, machine)
        arguments, results = SPECIAL[name]
        x, wanted = np.array([*arguments, NAN, -NAN]), np.array([*results, NAN, NAN])
        got = function(x)
        assert np.array_equal(got, wanted, equal_nan=True), machine
        numbers = ~np.isnan(wanted)
        assert np.array_equal(np.signbit(got[numbers]), np.signbit(wanted[numbers])), machine


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize("type_", ["float", "double"])
@pytest.mark.parametrize("name", STEEP)
def test_an_argument_may_have_two_parts(name: str, type_: str, machine: str) -> None:
    """What a product has lost counts, but for infinite ones, which have lost no number. Half a unit more is granted."""
    random = np.random.default_rng(1)
    dtype = DTYPES[type_]
    reach = {"float": (80, 9), "double": (700, 26)}[type_]
    x = random.uniform(-1, 1, 150) * (reach[1] if name == "erfc" else reach[0])
    x = x.astype(dtype)
    low = (np.spacing(x) * random.uniform(-1, 1, x.size)).astype(dtype)
    got = native(name, type_, machine, 0, 2)(x, low)
    units = np.spacing(got)
    with mp.workprec(160):
        for a, b, result, unit in zip(x, low, got, units, strict=True):
            exact = EXACT[name](mpf(float(a)) + mpf(float(b)))
            error = abs(mpf(float(result)) - exact) / mpf(float(unit))
            assert error <= BOUNDS[name][type_ == "double"] + 0.5, (a, b)
    arguments, results = SPECIAL[name]
    for left in (INF, -INF, NAN):
        found = native(name, type_, machine, 0, 2)([INF, -INF, NAN], [left] * 3)
        known = dict(zip(arguments, results, strict=True))
        assert np.array_equal(found, [known[INF], known[-INF], NAN], equal_nan=True)


@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "tanh", "erf", "sqrt", "abs"])
def test_subnormal_numbers_are_not_flushed(name: str) -> None:
    """The least numbers give what the function's first term gives."""
    x = np.array([TINY, 3 * TINY, -7 * TINY, 1e-310, -2e-308])
    x = np.abs(x) if name == "sqrt" else x
    slope = 2 / math.sqrt(math.pi) if name == "erf" else 1
    wanted = DOUBLE[name](x) if name in ("sqrt", "abs") else x * slope
    assert np.array_equal(native(name, "double")(x), wanted)


@pytest.mark.parametrize("type_", ["float", "double"])
@pytest.mark.parametrize("name", [*ALL, "over_root", "pow"])
def test_width_does_not_matter(name: str, type_: str) -> None:
    """One lane, three or sixteen: the same bits, so tails and threads cannot show."""
    x = np.random.default_rng(0).normal(0, 1e5, 48) * np.repeat([1e-5, 1.0], 24)
    operands = (abs(x), x / 1e5) if name == "pow" else (x, abs(x)) if name == "over_root" else (x,)
    results = {
        native(name, type_, "host", width, len(operands))(*operands).tobytes()
        for width in (1, 2, 3, 8, 16)
    }
    assert len(results) == 1


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize(("name", "exact"), [("sin", mp.sin), ("cos", mp.cos)])
def test_huge_and_moderate_angles_share_a_vector(
    name: str, exact: Callable[[Any], Any], machine: str
) -> None:
    """Each element is right, whatever its neighbours; also the double that lies closest to a multiple of pi/2."""
    closest = 6381956970095103 * 2.0**797
    x = np.array([closest, 1.0, -closest, 1e22, 0.5, 16384.5, -1.7e308, 1e-300, 355.0] * 2)
    for type_, bound in (("float", 1.0), ("double", 2.0)):
        inputs = x if type_ == "double" else x.clip(-3e38, 3e38).astype(np.float32).astype(float)
        got = native(name, type_, machine)(inputs)
        with mp.workprec(1300):
            for value, result in zip(inputs, got, strict=True):
                unit = mpf(float(np.spacing(np.abs(result))))
                assert abs(mpf(float(result)) - exact(mpf(float(value)))) <= bound * unit, value


SPECIAL_PAIRS = (
    0,
    -0.0,
    1,
    -1,
    INF,
    -INF,
    NAN,
    2,
    -2,
    0.5,
    -0.5,
    3,
    -3,
    2.0**1000,
    2.0**53,
    -(2.0**52) - 1,
)


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize(("type_", "dtype"), [("float", np.float32), ("double", np.float64)])
def test_power_of_special_values(type_: str, dtype: type, machine: str) -> None:
    """Every pair of special values gives what C99 says, signs included."""
    with np.errstate(all="ignore"):
        numbers = np.array(SPECIAL_PAIRS).astype(dtype)
        x, y = (grid.ravel() for grid in np.meshgrid(numbers, numbers))
        wanted = np.power(x, y)
    got = native("pow", type_, machine, 0, 2)(x, y)
    found = errors(got, wanted)
    assert found.max() <= 1, (x[found.argmax()], y[found.argmax()])
    signed = ~np.isnan(wanted)
    assert np.array_equal(np.signbit(got[signed]), np.signbit(wanted[signed]))


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize(("type_", "dtype"), [("float", np.float32), ("double", np.float64)])
def test_power_error_is_within_its_bound(type_: str, dtype: type, machine: str) -> None:
    """Powers from the least to the greatest result err by at most 2 ULP."""
    random = np.random.default_rng(7)
    top = 80 if type_ == "float" else 700
    x = np.exp(random.uniform(-top, top, 300)).astype(dtype)
    x[:100] = 1 + random.normal(0, 1e-3, 100)
    result = random.uniform(-top, top, 300)
    y = (result / np.log(x.astype(float))).clip(-1e6, 1e6).astype(dtype)
    got = native("pow", type_, machine, 0, 2)(x, y)
    with mp.workprec(160):
        for a, b, c in zip(x, y, got, strict=True):
            exact = mpf(float(a)) ** mpf(float(b))
            assert abs(mpf(float(c)) - exact) <= 2 * mpf(float(np.spacing(c))), (a, b)


@pytest.mark.parametrize("machine", RUNNABLE)
@pytest.mark.parametrize(("type_", "dtype"), [("float", np.float32), ("double", np.float64)])
def test_quotients_by_roots_and_more(type_: str, dtype: type, machine: str) -> None:
    """From 2**-64 to 2**65 they err by at most 1.5 ULP; by infinity they are 0, by NaN NaN."""
    random = np.random.default_rng(3)
    x, divisors = random.normal(size=4000), 2 ** random.uniform(-64, 65, 4000)
    divisors[:8] = 2.0**-64, 2.0**65, INF, INF, NAN, 1, 1.5, 2
    x[2:5] = -3, INF, 1
    x, divisors = x.astype(dtype), divisors.astype(dtype)
    with np.errstate(all="ignore"):
        exact = x.astype(np.longdouble) / divisors
    got = native("over_root", type_, machine, 0, 2)(x, divisors)
    assert errors(got, exact).max() <= 1.5


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("type_", ["float", "double", "i64"])
def test_extremes(name: str, type_: str) -> None:
    """max and min of two arrays; a NaN on either side comes out."""
    numbers = [-3.0, 0.0, 2.0, 7.0] + ([NAN, INF, -INF] if type_ != "i64" else [])
    x, y = (grid.ravel() for grid in np.meshgrid(numbers, numbers))
    wanted = {"max": np.maximum, "min": np.minimum}[name](x, y)
    got = native(name, type_, "host", 0, 2)(x, y)
    assert np.array_equal(got, wanted, equal_nan=True)


def test_integer_power_multiplies() -> None:
    """x**13 squares three times and multiplies twice more; x**0 is 1, x**-1 one division."""
    for exponent, count in ((13, 5), (8, 3), (1, 0), (0, 0)):
        a = Assembler(NAMES["x86-64"])
        integer_power(a, "float", "%x", exponent)
        assert a.function("float @f(float %x)").count("fmul") == count
    a = Assembler(NAMES["x86-64"])
    integer_power(a, "float", "%x", -1)
    assert a.function("float @f(float %x)").count("fdiv") == 1


@pytest.mark.parametrize("target", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("name", [*ALL, "pow"])
def test_everything_is_inline(name: str, target: Any) -> None:
    """No machine calls a library: the only function called is our own for huge angles."""
    for type_ in ("float", "double"):
        operands = 2 if name == "pow" else 1
        text = assembly(loop(name, type_, target.vector_bytes // 4, operands, target), target)
        called = set(
            re.findall(r"^\s+(?:callq?|bl|jmp|b)\s+([a-zA-Z_][\w.@]*)", text, re.MULTILINE)
        )
        assert called <= {"graphnn.angle", "graphnn.angle@PLT"}


def test_exponentials_convert_nothing() -> None:
    """Where an instruction scales by powers of two, the exponent stays the floating-point number that it was."""
    target = NAMES["x86-64-v4"]
    text = assembly(loop("exp", "float", 16, 1, target), target)
    assert "vscalefps" in text
    assert "vcvt" not in text


def test_polynomials_are_fresh() -> None:
    """The table is what the fitting program writes."""
    assert fit_polynomials.TABLE.read_text(encoding="utf-8") == fit_polynomials.table()


def test_polynomials_are_as_good_as_their_use_needs() -> None:
    """Each fit's weighted error is far below a unit of its type at the place where it is used."""
    for fit in fit_polynomials.fits():
        unit = 2.0**-24 if fit.type == "float" else 2.0**-53
        assert fit_polynomials.error(fit, POLYNOMIALS[fit.name, fit.type], 65) < 4 * unit
