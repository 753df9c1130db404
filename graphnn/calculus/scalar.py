"""Differentiation of scalar expressions by sympy; the only file that calls ``diff``.

    exp(x[i])/S   by its elements and reductions   x[i]: exp(x[i])/S      S: -exp(x[i])/S**2

Every element and reduction is replaced by a symbol, sympy differentiates, the symbols are put back. What has a kink is
defined, by `DEFINITIONS`, through ``where``, whose derivative is the derivative of the branch selected: relu'(0) = 0
and abs'(0) = 0 follow, relu'(NaN) = 0 too. The functions given to sympy are opaque copies of its own: sympy must not
merge ``exp(x)*exp(2*x)``, turn ``Max`` into a Heaviside that is 1/2 at 0, or fold away an infinity; their derivatives
are those that sympy gives for the function they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache, lru_cache, reduce
from typing import TYPE_CHECKING, Any

from compiler.language.expression import (
    COMPARISONS,
    LOGICAL,
    Call,
    Constant,
    Element,
    Expr,
    Number,
    Reduce,
    Symbol,
    elements,
    substitute,
)

if TYPE_CHECKING:
    import sympy

__all__ = ["DEFINITIONS", "defined", "partial_derivative", "slopes"]

_A, _B, _U = Symbol("a"), Symbol("b"), Symbol("u")
_ZERO, _ONE = Number(Fraction(0)), Number(Fraction(1))


def _where(c: Expr, a: Expr, b: Expr) -> Expr:
    return Call("where", (c, a, b))


# Functions of the notation that are written in terms of others. Conventions are definitions: the first of equals wins.
DEFINITIONS: dict[str, Expr] = {
    "max": _where(Call(">=", (_A, _B)), _A, _B),
    "min": _where(Call("<=", (_A, _B)), _A, _B),
    "abs": _where(Call(">", (_U, _ZERO)), _U, _where(Call("<", (_U, _ZERO)), -_U, _ZERO)),
    "sigmoid": 1 / (1 + Call("exp", (-_U,))),
    "expm1": Call("exp", (_U,)) - 1,
    "log1p": Call("log", (1 + _U,)),
    "%": _A - _B * Call("floor", (_A / _B,)),
}
# Constant between jumps, or whole numbers: nothing is differentiated through these.
_CONSTANT = ("sign", "floor", "round", "uniform", "//", *COMPARISONS, *LOGICAL)
_OWN = (
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tanh",
    "erf",
    "erfc",
)  # sympy knows these by the same name


def defined(function: str, arguments: tuple[Expr, ...]) -> Expr:
    """The definition of a function at its arguments; ``max(a, b, c)`` is ``max(a, max(b, c))``."""
    if len(arguments) > 2:
        arguments = (arguments[0], Call(function, arguments[1:]))
    names = (_U,) if len(arguments) == 1 else (_A, _B)
    return substitute(DEFINITIONS[function], dict(zip(names, arguments, strict=True)))


@lru_cache(maxsize=1 << 10)
def slopes(e: Expr) -> Mapping[Expr, Expr]:
    """The elements and reductions that ``e`` depends on, each with the derivative of ``e`` by it."""
    from sympy.core.parameters import distribute

    leaves: dict[Expr, sympy.Symbol] = {}
    scalar = _to_sympy(e, leaves)
    back = {symbol: leaf for leaf, symbol in leaves.items()}
    found: dict[Expr, Expr] = {}
    for leaf, symbol in leaves.items():
        if isinstance(leaf, (Element, Reduce)):
            with distribute(False):  # 2*(a + b) stays a product
                slope = partial_derivative(scalar, symbol)
            if slope != 0:
                found[leaf] = _from_sympy(slope, back)
    return found


def partial_derivative(function: Any, symbol: Any) -> Any:
    """What sympy says: the derivative of a sympy expression by a symbol."""
    import sympy

    return sympy.diff(function, symbol)


def _to_sympy(e: Expr, leaves: dict[Expr, sympy.Symbol]) -> Any:
    """``e`` as a sympy expression; whatever is not differentiated inside becomes a symbol."""
    import sympy

    match e:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Constant("pi"):
            return sympy.pi
        case Call("where", (c, a, b)):
            return _opaque("where")(_leaf(c, leaves), _to_sympy(a, leaves), _to_sympy(b, leaves))
        case Call("%", _) if not any(elements(e)):  # of whole numbers: a place
            return _leaf(e, leaves)
        case Call(("max" | "min" | "abs" | "expm1" | "log1p" | "%") as function, arguments):
            return _to_sympy(defined(function, arguments), leaves)
        case Call(function, arguments) if function not in _CONSTANT:
            return _apply(function, [_to_sympy(a, leaves) for a in arguments])
    return _leaf(e, leaves)


def _leaf(e: Expr, leaves: dict[Expr, sympy.Symbol]) -> sympy.Symbol:
    import sympy

    return leaves.setdefault(e, sympy.Symbol(f"_{len(leaves):05d}"))


def _apply(function: str, arguments: list[Any]) -> Any:
    match function, arguments:
        case "+", (a, b):
            return a + b
        case "-", (a, b):
            return a - b
        case "neg", (a,):
            return -a
        case "*", (a, b):
            return a * b
        case "/", (a, b):
            return a / b
        case "**", (a, b) if b.is_Rational:
            return a**b
    return _opaque(function)(*arguments)


@cache
def _opaque(name: str) -> Any:
    """A sympy function of this name that nothing simplifies."""
    import sympy

    def fdiff(self: Any, argindex: int = 1) -> Any:
        template, symbols = _derivative(name, argindex)
        return template.xreplace(dict(zip(symbols, self.args, strict=True)))

    def choose(self: Any, symbol: Any) -> Any:
        condition, a, b = self.args
        return _opaque("where")(condition, a.diff(symbol), b.diff(symbol))

    body = {"_eval_derivative": choose} if name == "where" else {"fdiff": fdiff}
    return type(name, (sympy.Function,), body)


@cache
def _derivative(name: str, position: int) -> tuple[Any, tuple[Any, ...]]:
    """The derivative of a function by one argument over symbols for the arguments, and those symbols."""
    import sympy

    symbols: tuple[Any, ...] = (sympy.Symbol("_u"),)
    if name == "**":
        symbols = sympy.symbols("_a _b")
    if name == "**":
        function = symbols[0] ** symbols[1]
    elif name in DEFINITIONS:
        function = _to_sympy(DEFINITIONS[name], {_U: symbols[0]})
    else:
        function = getattr(sympy, name)(symbols[0])
    slope = partial_derivative(function, symbols[position - 1])
    if name == "**":
        slope = sympy.powsimp(slope)  # b*a**(b - 1), which is finite at a = 0, and not b*a**b/a
    names = {s: Symbol(s.name) for s in symbols}
    return _to_sympy(_from_sympy(slope, names), {leaf: s for s, leaf in names.items()}), symbols


def _from_sympy(s: Any, back: dict[Any, Any]) -> Expr:
    """A sympy expression in the notation."""
    if s in back:
        leaf: Expr = back[s]
        return leaf
    if s.is_Rational:
        return Number(Fraction(int(s.p), int(s.q)))
    if s.is_Add or s.is_Mul:
        function = "+" if s.is_Add else "*"
        return reduce(lambda a, b: Call(function, (a, b)), [_from_sympy(a, back) for a in s.args])
    if s.is_Pow:
        return Call("**", (_from_sympy(s.base, back), _from_sympy(s.exp, back)))
    if s.is_NumberSymbol:
        return Constant(str(s))
    name = type(s).__name__
    if name == "where" or name in DEFINITIONS or name in (*_OWN, "**"):
        return Call(name, tuple(_from_sympy(a, back) for a in s.args))
    raise AssertionError(f"sympy answered with {s}, which the notation cannot express")
