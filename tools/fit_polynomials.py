"""Best polynomials for `compiler/code/vectormath.py` and what it is built on.

    python -m tools.fit_polynomials        writes `compiler/code/polynomials.py`

Each fit says what is approximated, where, and with which weight an error counts. Remez's exchange
algorithm (1934) finds the polynomial whose greatest weighted error is least: it is the one whose
error swings to the same height, up and down in turn, at one point more than it has coefficients.
These are then rounded to their type: every use multiplies the polynomial by something small.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

Real = Callable[[Any], Any]
TABLE = Path(__file__).parent.parent / "compiler" / "code" / "polynomials.py"
DIGITS = 50
EXCHANGES = 8


@dataclass(frozen=True)
class Fit:
    """``function`` on ``low .. high`` by a polynomial of this degree, coefficients of this type."""

    name: str
    type: str
    meaning: str
    function: Real
    low: Any
    high: Any
    degree: int
    weight: Real = lambda x: mpf(1)


def _rest(function: Real, first: Real, power: int, at_zero: Any, z: Any) -> Any:
    """(function(x) - first(x)) / x**power where z = x**2; its series' first term near zero."""
    if z < mpf(10) ** -12:
        return at_zero
    with mp.workdps(2 * DIGITS):
        x = mp.sqrt(z)
        return (function(x) - first(x)) / x**power


def _logarithm(s: Any) -> Any:
    return mp.log((1 + s) / (1 - s))


def fits() -> list[Fit]:
    """All polynomials; functions of z = x**2 where the meaning says so."""
    with mp.workdps(DIGITS):
        slope = 2 / mp.sqrt(mp.pi)
        widened = mpf("1.001")  # a reduced argument may lie a little outside of its interval
        half_log2 = mp.log(2) / 2 * widened
        ratio = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * widened) ** 2
        eighth = (mp.pi / 4 * widened) ** 2
        exponential = partial(_series, lambda r: (mp.exp(r) - 1 - r) / r**2, mpf(1) / 2)
        logarithm = partial(_rest, _logarithm, lambda s: 2 * s, 3, mpf(2) / 3)
        power = partial(_rest, _logarithm, lambda s: 2 * s + 2 * s**3 / 3, 5, mpf(2) / 5)
        error = partial(_rest, mp.erf, lambda x: x, 1, slope - 1)
        sine = partial(_rest, mp.sin, lambda x: x, 3, -mpf(1) / 6)
        cosine = partial(_rest, mp.cos, lambda x: 1 - x**2 / 2, 4, mpf(1) / 24)
        found = [
            Fit(
                "power",
                "double",
                "(log((1+s)/(1-s)) - 2s - 2s³/3) / s⁵, z = s²",
                power,
                0,
                ratio,
                7,
            ),
            Fit("sin", "double", "(sin(r) - r) / r³, z = r²", sine, 0, eighth, 5),
            Fit("cos", "double", "(cos(r) - 1 + r²/2) / r⁴, z = r²", cosine, 0, eighth, 5),
        ]
        for kind, exp, log, erf, far, last, scaled, end in (
            ("float", 5, 3, 6, 9, 4, 10, mpf("10.125")),
            ("double", 10, 6, 12, 24, 6, 24, mpf("27.3")),
        ):
            found += [
                Fit("exp", kind, "(exp(r) - 1 - r) / r²", exponential, -half_log2, half_log2, exp),
                Fit("log", kind, "(log((1+s)/(1-s)) - 2s) / s³, z = s²", logarithm, 0, ratio, log),
                Fit("erf", kind, "erf(x)/x - 1, z = x²", error, 0, 1, erf),
                Fit(
                    "log erfc",
                    kind,
                    "log(erfc(1 + u))",
                    lambda u: mp.log(mp.erfc(1 + u)),
                    0,
                    last - 1,
                    far,
                    lambda u: mp.erfc(1 + u),
                ),
                Fit(
                    "erfc",
                    kind,
                    "(x + 2)*exp(x²)*erfc(x) - 1, q = (x - 2)/(x + 2)",
                    lambda q: _scaled_complement(q) - 1,
                    -1,
                    (end - 2) / (end + 2),
                    scaled,
                    lambda q: 1 / _scaled_complement(q),
                ),
            ]
        return found


def _scaled_complement(q: Any) -> Any:
    x = 2 * (1 + q) / (1 - q)
    return (x + 2) * mp.exp(x * x) * mp.erfc(x)


def _series(function: Real, at_zero: Any, r: Any) -> Any:
    if abs(r) < mpf(10) ** -12:
        return at_zero
    with mp.workdps(2 * DIGITS):
        return function(r)


def evaluate(coefficients: Sequence[Any], x: Any) -> Any:
    """Coefficients from the constant upwards, by Horner's rule."""
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def remez(fit: Fit) -> list[Any]:
    """The coefficients whose greatest weighted error is least."""
    count = fit.degree + 1
    middle, radius = (fit.low + fit.high) / mpf(2), (fit.high - fit.low) / mpf(2)
    points = 16 * (count + 1)
    grid = [middle - radius * mp.cos(mp.pi * k / points) for k in range(points + 1)]
    wanted = [fit.function(x) for x in grid]
    weights = [fit.weight(x) for x in grid]
    chosen = [round(k * points / count) for k in range(count + 1)]
    for _ in range(EXCHANGES):
        system, right = mp.matrix(count + 1), mp.matrix(count + 1, 1)
        for row, k in enumerate(chosen):
            for power in range(count):
                system[row, power] = grid[k] ** power
            system[row, count] = (-1) ** row / weights[k]
            right[row] = wanted[k]
        found = list(mp.lu_solve(system, right))[:count]
        errors = [
            (w - evaluate(found, x)) * v for x, w, v in zip(grid, wanted, weights, strict=True)
        ]
        swings = _swings(errors)
        if len(swings) <= count or swings == chosen:
            break
        while len(swings) > count + 1:
            swings.pop(0 if abs(errors[swings[0]]) < abs(errors[swings[-1]]) else -1)
        chosen = swings
    return found


def _swings(errors: Sequence[Any]) -> list[int]:
    """Where the error is greatest between two changes of its sign."""
    found: list[int] = []
    for k, error in enumerate(errors):
        if found and (error > 0) == (errors[found[-1]] > 0):
            if abs(error) > abs(errors[found[-1]]):
                found[-1] = k
        else:
            found.append(k)
    return found


def rounded(value: Any, kind: str) -> float:
    """The nearest number of the type."""
    number = float(value)
    return struct.unpack("<f", struct.pack("<f", number))[0] if kind == "float" else number


def coefficients(fit: Fit) -> tuple[float, ...]:
    """The fit, its coefficients rounded to its type."""
    with mp.workdps(DIGITS):
        return tuple(rounded(c, fit.type) for c in remez(fit))


def error(fit: Fit, table: Sequence[float], points: int = 257) -> float:
    """Greatest weighted error of coefficients on evenly spread points."""
    with mp.workdps(DIGITS):
        step = (mpf(fit.high) - fit.low) / (points - 1)
        places = [fit.low + k * step for k in range(points)]
        return float(max(abs(fit.function(x) - evaluate(table, x)) * fit.weight(x) for x in places))


def table() -> str:
    """The text of ``compiler/code/polynomials.py``."""
    lines = [
        '"""Coefficients of the polynomials in `vectormath`, from the constant upwards.',
        "",
        "Written by ``tools/fit_polynomials.py``, not by hand; the comments say what is approximated,",
        "where, and how well.",
        '"""',
        "",
        '__all__ = ["POLYNOMIALS"]',
        "",
        "POLYNOMIALS: dict[tuple[str, str], tuple[float, ...]] = {",
    ]
    for fit in fits():
        values = coefficients(fit)
        low, high = mp.nstr(fit.low, 4), mp.nstr(fit.high, 4)
        lines.append(f"    # {fit.meaning} on {low} .. {high}: {error(fit, values):.1e}")
        lines.append(f'    ("{fit.name}", "{fit.type}"): (')
        lines += [f"        {value!r}," for value in values]
        lines.append("    ),")
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
