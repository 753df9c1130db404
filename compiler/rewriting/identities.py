"""Identities between scalar expressions: the form on the left is right, the one on the right stays so.

    log(1 + exp(a))  =  max(a, 0) + log1p(exp(-abs(a)))

FUNCTIONS give their names to functions that are written out in exponentials; they are applied first,
so that RULES see the names. The tests prove each with sympy.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..language.expression import Call, Expr, Number, Symbol

__all__ = ["FUNCTIONS", "RULES", "Rule", "call"]

ZERO = Number(Fraction(0))


@dataclass(frozen=True, slots=True)
class Rule:
    """``before = after`` for all real numbers that the symbols may stand for."""

    name: str
    before: Expr
    after: Expr
    through: bool = True  # does it read through the definitions of other equations?
    factor: Symbol | None = None  # declines where this is an exponential: `exponents` adds them up


def call(function: str, *arguments: Expr) -> Call:
    """``function(arguments)``."""
    return Call(function, arguments)


_a, _b = Symbol("a"), Symbol("b")
_exp, _log_far = call("exp", _a), call("log1p", call("exp", -call("abs", _a)))
_tail = call("exp", Number(Fraction(-2)) * call("abs", _a))
_slope = 4 * _tail / (1 + _tail) ** 2

# Functions written out in exponentials: found first, so that the other rules see them by name.
FUNCTIONS: tuple[Rule, ...] = (
    Rule("tanh", (_exp - call("exp", -_a)) / (_exp + call("exp", -_a)), call("tanh", _a)),
    Rule("sigmoid", 1 / (1 + call("exp", -_a)), call("sigmoid", _a)),
    Rule("sigmoid of exp(a)", _exp / (1 + _exp), call("sigmoid", _a)),
    Rule("sigmoid of -a", 1 / (1 + _exp), call("sigmoid", -_a)),
    Rule("tanh of a/2", (_exp - 1) / (_exp + 1), call("tanh", _a / 2)),
    Rule(
        "tanh of a/2 by exp(-a)",
        (1 - call("exp", -_a)) / (1 + call("exp", -_a)),
        call("tanh", _a / 2),
    ),
    Rule("tanh of a/2 by a quotient", 1 - 2 / (_exp + 1), call("tanh", _a / 2)),
    Rule(
        "tanh with a factor",
        _b * (_exp - call("exp", -_a)) / (_exp + call("exp", -_a)),
        _b * call("tanh", _a),
        factor=_b,
    ),
    Rule(
        "sigmoid with a factor",
        _b / (1 + call("exp", -_a)),
        _b * call("sigmoid", _a),
        factor=_b,
    ),
    Rule("sigmoid of -a with a factor", _b / (1 + _exp), _b * call("sigmoid", -_a), factor=_b),
)
RULES: tuple[Rule, ...] = (
    Rule("log(sigmoid)", call("log", call("sigmoid", _a)), call("min", _a, ZERO) - _log_far),
    Rule(
        "log(1 - sigmoid)", call("log", 1 - call("sigmoid", _a)), -call("max", _a, ZERO) - _log_far
    ),
    Rule("log(1 + exp)", call("log", 1 + _exp), call("max", _a, ZERO) + _log_far),
    Rule("log1p(exp)", call("log1p", _exp), call("max", _a, ZERO) + _log_far),
    Rule("log1p", call("log", 1 + _a), call("log1p", _a), False),
    Rule("log1p of -a", call("log", 1 - _a), call("log1p", -_a), False),
    Rule("expm1", _exp - 1, call("expm1", _a), False),
    Rule("1 + erf", 1 + call("erf", _a), call("erfc", -_a)),
    Rule("1 - erf", 1 - call("erf", _a), call("erfc", _a)),
    Rule("1 + tanh", 1 + call("tanh", _a), 2 * call("sigmoid", 2 * _a)),
    Rule("1 - tanh", 1 - call("tanh", _a), 2 * call("sigmoid", -2 * _a)),
    Rule(
        "difference of exponentials",
        _exp - call("exp", -_a),
        call("expm1", _a) - call("expm1", -_a),
        False,
    ),
    Rule("tanh of a/2 by sigmoid", 2 * call("sigmoid", _a) - 1, call("tanh", _a / 2)),
    Rule("1 - sigmoid", 1 - call("sigmoid", _a), call("sigmoid", -_a), False),
    Rule("1 - tanh**2", 1 - call("tanh", _a) ** 2, _slope, False),
    Rule("1 - tanh*tanh", 1 - call("tanh", _a) * call("tanh", _a), _slope, False),
)
