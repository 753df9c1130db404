"""How far off may the results of a system be when every operation rounds? The answer is a system too.

    y[n] = sum[i](x[n, i]*w[i])     becomes     y.error[n] = sum[i](u*abs(x[n, i]*w[i])) + u*k*sum[i](abs(x[n, i]*w[i]))

Each tensor T gets a tensor ``T.error``: to first order the sum of what each operation adds, one unit roundoff u of its
result (a function four, and one of its argument), and of what the errors of its operands become. A sum of n terms adds
u*(2 + sqrt(n)) times the sum of their magnitudes, the probabilistic bound of Higham and Mary (2019). Conditions and
whole numbers are taken to be exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import reduce

from compiler.language.expression import Call, Element, Expr, Number, Reduce, expr
from compiler.language.simplify import kind_of
from compiler.language.system import Equation, System, Tensor

__all__ = ["error_of", "with_errors"]

ZERO, HALF = expr(0), expr(Fraction(1, 2))
UNITS = {"float32": Fraction(1, 1 << 24), "float64": Fraction(1, 1 << 53)}
MONOTONE = ("exp", "log", "expm1", "log1p", "sqrt", "tanh", "sigmoid", "erf", "erfc")


def error_of(name: str) -> str:
    """The name of the tensor that bounds the error of another."""
    return f"{name}.error"


def with_errors(system: System) -> System:
    """The system, and the error of each of its tensors that is computed; those of its results are outputs."""
    tensors = system.by_name
    results = {*system.names("output"), *(new for _, new in system.updates)}
    made = {e.target for e in system.equations if tensors[e.target].dtype.startswith("float")}
    errors = tuple(
        Tensor(error_of(n), tensors[n].shape, "float64", "output" if n in results else "local")
        for n in sorted(made)
    )
    equations = tuple(_error(e, tensors, made) for e in system.equations if e.target in made)
    return replace(system, tensors=system.tensors + errors, equations=system.equations + equations)


def _error(equation: Equation, tensors: Mapping[str, Tensor], made: set[str]) -> Equation:
    rounding = _Rounding(UNITS[tensors[equation.target].dtype], tensors, made)
    value = rounding.error(equation.value)
    if equation.accumulate:  # what stands there already is rounded with each addition
        value = value + rounding.of(equation.value, 4)
    return replace(equation, target=error_of(equation.target), value=value)


class _Rounding:
    """The errors of expressions that are computed with one unit roundoff."""

    def __init__(self, unit: Fraction, tensors: Mapping[str, Tensor], made: set[str]) -> None:
        self.unit, self.tensors, self.made = unit, tensors, made

    def of(self, e: Expr, units: int = 1) -> Expr:
        """That many roundings of a value."""
        return expr(units * self.unit) * _size(e)

    def error(self, e: Expr) -> Expr:
        if kind_of(e, self.tensors) != "real":
            return ZERO
        match e:
            case Number(value):
                return ZERO if _is_short(value) else self.of(e)
            case Element(tensor, subscripts):
                return Element(error_of(tensor), subscripts) if tensor in self.made else ZERO
            case Reduce():
                return self.reduction(e)
            case Call(function, arguments):
                return self.call(function, arguments, e)
        return self.of(e)

    def reduction(self, e: Reduce) -> Expr:
        count = math.prod(int(n.value) for _, n in e.binders if isinstance(n, Number))
        inner = self.error(e.body)
        match e.kind:
            case "sum" | "mean":
                total = Reduce(e.kind, _size(e.body), e.binders)
                rounded = expr((2 + math.isqrt(count)) * self.unit) * total
                return _plus(ZERO if inner == ZERO else replace(e, body=inner), rounded)
            case "prod":
                reach = replace(e, body=_plus(_size(e.body), inner))
                return reach - replace(e, body=_size(e.body)) + self.of(e, count)
        return ZERO if inner == ZERO else Reduce("max", inner, e.binders)

    def call(self, function: str, arguments: tuple[Expr, ...], e: Expr) -> Expr:
        errors = [self.error(a) for a in arguments]
        match function, arguments:
            case (("+" | "-"), _):
                return reduce(_plus, errors, self.of(e))
            case "*", _:
                total = self.of(e)
                for k, error in enumerate(errors):
                    others = [_size(a) for j, a in enumerate(arguments) if j != k]
                    if error != ZERO:
                        total = total + reduce(lambda x, y: x * y, others, error)
                return total
            case "/", (_, below):
                size = _size(below)
                least = Call("max", (size - errors[1], HALF * size)) if errors[1] != ZERO else size
                moved = _plus(errors[0], ZERO if errors[1] == ZERO else _size(e) * errors[1])
                return self.of(e) if moved == ZERO else moved / least + self.of(e)
            case "**", (base, Number(power)):
                reach = _plus(_size(base), errors[0])
                grown = Call("**", (reach, expr(abs(power)))) - Call(
                    "**", (_size(base), expr(abs(power)))
                )
                if power < 0:
                    grown = grown * Call("**", (_size(base), expr(2 * power)))
                return grown + self.of(e, 2 * max(1, math.ceil(abs(power))))
            case "where", (condition, _, _):
                if errors[1] == errors[2] == ZERO:
                    return ZERO
                return Call("where", (condition, errors[1], errors[2]))
            case (("neg" | "abs"), _):
                return errors[0]
            case (("max" | "min"), _):
                known = [x for x in errors if x != ZERO]
                return ZERO if not known else Call("max", (*known, ZERO))
            case (("sin" | "cos"), (x,)):
                return _plus(errors[0], self.of(x)) + self.of(e, 4)
            case _, (x,) if function in MONOTONE:
                moved = _plus(errors[0], self.of(x))
                below = (
                    Call("max", (x - moved, HALF * x)) if function in ("log", "sqrt") else x - moved
                )
                ends = [_size(Call(function, (end,)) - e) for end in (x + moved, below)]
                return Call("max", tuple(ends)) + self.of(e, 4)
        return ZERO  # sign, floor, round: of exact numbers


def _plus(a: Expr, b: Expr) -> Expr:
    return b if a == ZERO else a if b == ZERO else a + b


def _size(e: Expr) -> Expr:
    return Call("abs", (e,))


def _is_short(value: Fraction) -> bool:
    """Is it a number that every float type holds?"""
    return value.denominator & (value.denominator - 1) == 0 and abs(value.numerator) < 1 << 24
