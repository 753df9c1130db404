"""Arithmetic of the reference evaluator: whole arrays of integers, booleans and reals.

    integers, booleans      NumPy int64 and bool, in every precision
    reals                   float32 or float64 by NumPy, or any number of decimal digits by mpmath

A `Reals` says how real numbers are computed. mpmath numbers stand in arrays of dtype object; they
have no largest number and no negative zero: they say what is true of the real numbers, and IEEE's
answers at the infinities. Of two zeros max and min give either. Floor division and remainder are
Python's; an infinite number has neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from .philox import uniform

__all__ = ["FLOAT32", "FLOAT64", "Array", "Reals", "apply", "multiprecision", "reduce_last"]

Array = np.ndarray[Any, Any]
FAR = 1e100  # beyond, the first term of erfc's asymptotic series has all digits, and mpmath has no answer
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Reals:
    """One kind of real numbers: their dtype, a number from a fraction, their functions, the bits of
    a random one.
    """

    dtype: np.dtype[Any]
    number: Callable[[Fraction], Any]
    functions: Mapping[str, Function]
    reductions: Mapping[str, Function]
    random_bits: int

    def array(self, values: Array) -> Array:
        """Booleans, integers or other reals as reals of this kind."""
        if self.dtype != object:
            return np.asarray(values, self.dtype)
        return values if values.dtype == object else _objects(self.functions["real"](values))

    def constant(self, name: str) -> Array:
        """``pi`` or ``inf``."""
        return np.asarray(self.functions[name](), self.dtype)

    def literal(self, value: Fraction) -> Array:
        """An exact number; an integer that fits stays an integer."""
        if value.denominator == 1 and abs(value) < 2**63:
            return np.asarray(int(value), np.int64)
        return np.asarray(self.number(value), self.dtype)


def _objects(values: Any) -> Array:
    return np.asarray(values, object)


# --- functions of any kind of number --------------------------------------------------------------

_COMPARE: Mapping[str, Function] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_INTEGER: Mapping[str, Function] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "//": lambda a, b: np.where(b == 0, 0, a // np.where(b == 0, 1, b)),
    "%": lambda a, b: np.where(b == 0, 0, a % np.where(b == 0, 1, b)),
    "neg": np.negative,
    "abs": np.abs,
    "max": np.maximum,
    "min": np.minimum,
}
_FOLDED = ("+", "*", "max", "min")  # take any number of arguments


def apply(function: str, arguments: Sequence[Array], reals: Reals) -> Array:
    """One scalar function on whole arrays, converting bool -> integer -> real as needed."""
    if function in ("and", "or", "not"):
        truths = [a.astype(bool) for a in arguments]
        if function == "not":
            return ~truths[0]
        return reduce(np.logical_and if function == "and" else np.logical_or, truths)
    if function == "where":
        left, right = _alike(arguments[1:], reals)
        return np.asarray(np.where(arguments[0].astype(bool), left, right))
    if function in _COMPARE:
        return np.asarray(_COMPARE[function](*_alike(arguments, reals)), bool)
    if function == "uniform":
        key, counter, position = arguments
        return reals.array(uniform(key, counter, position, reals.random_bits))
    if function in _INTEGER and all(a.dtype.kind in "bi" for a in arguments):
        table, same = _INTEGER, [np.asarray(a, np.int64) for a in arguments]
    else:
        table, same = reals.functions, [reals.array(a) for a in arguments]
    result = reduce(table[function], same) if function in _FOLDED else table[function](*same)
    return (
        _objects(result) if table is not _INTEGER and reals.dtype == object else np.asarray(result)
    )


def _alike(arguments: Sequence[Array], reals: Reals) -> list[Array]:
    """All real if one is, else all integer, unless all are boolean."""
    kinds = {a.dtype.kind for a in arguments}
    if kinds <= {"b"}:
        return list(arguments)
    if kinds <= {"b", "i"}:
        return [np.asarray(a, np.int64) for a in arguments]
    return [reals.array(a) for a in arguments]


def reduce_last(kind: str, body: Array, reals: Reals) -> Array:
    """Reduce the last axis: an empty sum is 0, product 1, maximum -inf, mean NaN."""
    kind = {"firstmax": "max", "firstmin": "min"}.get(kind, kind)
    if kind in ("argmax", "argmin") and body.shape[-1] == 0:
        return np.zeros(body.shape[:-1], np.int64)
    if kind == "mean" or body.dtype.kind not in "bi":
        result = reals.reductions[kind](reals.array(body))
        return np.asarray(result, np.int64 if kind.startswith("arg") else reals.dtype)
    integers = np.asarray(body, np.int64)
    limits = np.iinfo(np.int64)
    table: Mapping[str, Function] = {
        "sum": lambda a: a.sum(-1),
        "prod": lambda a: a.prod(-1),
        "max": lambda a: a.max(-1, initial=limits.min),
        "min": lambda a: a.min(-1, initial=limits.max),
        "argmax": lambda a: a.argmax(-1),
        "argmin": lambda a: a.argmin(-1),
    }
    return np.asarray(table[kind](integers), np.int64)


# --- float32 and float64 --------------------------------------------------------------------------


def _sigmoid(x: Array) -> Array:
    """1/(1 + exp(-x)) without overflow on either side."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, small / (1 + small), 1 / (1 + small)))


def _each(function: Callable[[float], float]) -> Function:
    """A function of one double, on whole arrays of either precision."""
    every = np.vectorize(function, otypes=[np.float64])
    return lambda x: np.asarray(every(x), x.dtype)


def _finite(function: Function) -> Function:
    """Floor division or remainder: an infinite number has none."""
    return lambda a, b: np.where(np.isinf(a), a.dtype.type(np.nan), function(a, b))


_FLOAT: Mapping[str, Function] = {
    "pi": lambda: math.pi,
    "inf": lambda: math.inf,
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": _finite(np.floor_divide),
    "%": _finite(np.remainder),
    "**": np.power,
    "neg": np.negative,
    "max": np.maximum,
    "min": np.minimum,
    "exp": np.exp,
    "log": np.log,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "erf": _each(math.erf),
    "erfc": _each(math.erfc),
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "round": np.rint,
}
_FLOAT_REDUCTIONS: Mapping[str, Function] = {
    "sum": lambda a: a.sum(-1),
    "mean": lambda a: a.sum(-1) / np.asarray(a.shape[-1], a.dtype),
    "prod": lambda a: a.prod(-1),
    "max": lambda a: a.max(-1, initial=-math.inf),
    "min": lambda a: a.min(-1, initial=math.inf),
    "argmax": lambda a: a.argmax(-1),
    "argmin": lambda a: a.argmin(-1),
}
FLOAT32 = Reals(np.dtype(np.float32), float, _FLOAT, _FLOAT_REDUCTIONS, 24)
FLOAT64 = Reals(np.dtype(np.float64), float, _FLOAT, _FLOAT_REDUCTIONS, 53)


# --- any number of digits -------------------------------------------------------------------------


def multiprecision() -> Reals:
    """Real numbers by mpmath, at the precision it is set to while they are computed."""
    from mpmath import mp  # only here: loading it takes longer than the rest of the compiler

    nan, inf, zero, one = mp.nan, mp.inf, mp.mpf(0), mp.mpf(1)

    def divide(a: Any, b: Any) -> Any:
        if b != 0:
            return a / b
        return nan if a == 0 or mp.isnan(a) else inf * mp.sign(a)

    def floored(a: Any, b: Any) -> Any:
        if not mp.isfinite(a):
            return nan
        if mp.isinf(b):
            return zero - (a * b < 0)
        return whole(mp.floor)(divide(a, b))

    def remainder(a: Any, b: Any) -> Any:
        if mp.isinf(b) and mp.isfinite(a):
            return b if a * b < 0 else a
        return a - b * floored(a, b)

    def power(a: Any, b: Any) -> Any:
        if b == 0 or a == 1:
            return one
        if mp.isnan(a) or mp.isnan(b):
            return nan
        if mp.isinf(b):
            return one if abs(a) == 1 else inf if (abs(a) > 1) == (b > 0) else zero
        if a == 0 or mp.isinf(a):
            grows = (b > 0) == bool(mp.isinf(a))
            return (-inf if a < 0 and b % 2 == 1 else inf) if grows else zero
        return nan if a < 0 and b != mp.floor(b) else a**b

    def larger(a: Any, b: Any) -> Any:
        return a if mp.isnan(a) or a >= b else b

    def smaller(a: Any, b: Any) -> Any:
        return a if mp.isnan(a) or a <= b else b

    def at_least(limit: int, function: Function) -> Function:
        return lambda x: nan if x < limit else function(x)

    def expm1(x: Any) -> Any:
        return mp.exp(x) - 1 if mp.isinf(x) or x > 1 else mp.expm1(x)

    def erfc(x: Any) -> Any:
        if mp.isinf(x):
            return 1 - mp.sign(x)
        return mp.exp(-x * x) / (x * mp.sqrt(mp.pi)) if x > FAR else mp.erfc(x)

    def whole(function: Function) -> Function:
        return lambda x: function(x) if mp.isfinite(x) else x

    def sigmoid(x: Any) -> Any:
        return one / (1 + mp.exp(-x)) if x >= 0 else mp.exp(x) / (1 + mp.exp(x)) if x < 0 else x

    def wave(function: Function) -> Function:
        return lambda x: function(x) if mp.isfinite(x) else nan

    unary: Mapping[str, Function] = {
        "real": lambda v: mp.mpf(v.item() if hasattr(v, "item") else v),
        "neg": lambda x: -x,
        "exp": mp.exp,
        "log": at_least(0, mp.log),
        "expm1": expm1,
        "log1p": at_least(-1, lambda x: -inf if x == -1 else mp.log1p(x)),
        "sqrt": at_least(0, mp.sqrt),
        "sin": wave(mp.sin),
        "cos": wave(mp.cos),
        "tanh": lambda x: mp.sign(x) if mp.isinf(x) else mp.tanh(x),
        "sigmoid": sigmoid,
        "erf": lambda x: mp.sign(x) if mp.isinf(x) else mp.erf(x),
        "erfc": erfc,
        "abs": abs,
        "sign": lambda x: x if mp.isnan(x) else mp.sign(x),
        "floor": whole(mp.floor),
        "round": whole(mp.nint),
    }
    binary: Mapping[str, Function] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": divide,
        "//": floored,
        "%": remainder,
        "**": power,
        "max": larger,
        "min": smaller,
    }

    def first(better: Function) -> Function:
        def position(row: list[Any]) -> int:
            for place, value in enumerate(row):
                if mp.isnan(value):
                    return place
            return row.index(better(row))

        return position

    def rows(function: Function, dtype: Any = object) -> Function:
        def over(a: Array) -> Array:
            flat = [function(list(row)) for row in a.reshape(math.prod(a.shape[:-1]), -1)]
            result = np.empty(len(flat), dtype)
            result[:] = flat
            return result.reshape(a.shape[:-1])

        return lambda a: over(a) if a.shape[-1] else np.full(a.shape[:-1], function([]), dtype)

    reductions: Mapping[str, Function] = {
        "sum": rows(lambda row: sum(row, zero)),
        "mean": rows(lambda row: divide(sum(row, zero), mp.mpf(len(row)))),
        "prod": rows(lambda row: reduce(lambda a, b: a * b, row, one)),
        "max": rows(lambda row: reduce(larger, row, -inf)),
        "min": rows(lambda row: reduce(smaller, row, inf)),
        "argmax": rows(first(max), np.int64),
        "argmin": rows(first(min), np.int64),
    }
    functions: dict[str, Function] = {"pi": lambda: +mp.pi, "inf": lambda: inf}
    functions |= {name: np.frompyfunc(f, 1, 1) for name, f in unary.items()}
    functions |= {name: np.frompyfunc(f, 2, 1) for name, f in binary.items()}
    return Reals(
        np.dtype(object),
        lambda value: mp.mpf(value.numerator) / value.denominator,
        functions,
        reductions,
        53,
    )
