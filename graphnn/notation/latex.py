r"""Expressions and equations as LaTeX, in the form in which a textbook would print them.

    y[n, o] = sum[i](x[n, i]*W[i, o]) + b[o]     y_{n,o} = \sum_{i} x_{n,i}\,W_{i,o} + b_{o}
    where(x[i] > 0, g_y[i], 0)                   a case distinction; inside a formula  [x_i > 0] g_i

The commands are those that KaTeX, MathJax, latex2mathml and ziamath have in common. A printed part knows how strongly
it binds, whether it is open on its right (a sum takes all that follows), and whether it is taller than a
line: brackets stand where they are needed, and as high as they must be. Names are written in `letters`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from compiler.language.expression import (
    ELLIPSIS,
    GROUP,
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    elements,
    walk,
)
from compiler.language.system import Equation
from compiler.language.text import decimal

from .formula import Line
from .letters import element_latex, index_latex, symbol_latex

__all__ = ["equation_latex", "expression_latex", "lines_latex"]

# Binding strengths; a case distinction is bracketed wherever something else stands beside it.
_CASES, _OR, _AND, _NOT, _COMPARISON, _REMAINDER = range(6)
_SUM, _NEGATIVE, _PRODUCT, _POWER, _ATOM = range(6, 11)
_RELATIONS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
_DIRECTIONS = {"<": 1, "<=": 1, ">": -1, ">=": -1, "==": 0}
_FUNCTIONS = {
    "exp": r"\exp",
    "log": r"\log",
    "sin": r"\sin",
    "cos": r"\cos",
    "tanh": r"\tanh",
    "sigmoid": r"\sigma",
    "erf": r"\mathrm{erf}",
    "erfc": r"\mathrm{erfc}",
    "sign": r"\mathrm{sign}",
    "round": r"\mathrm{round}",
    "max": r"\max",
    "min": r"\min",
}
_REDUCTIONS = {
    "sum": r"\sum",
    "prod": r"\prod",
    "max": r"\max",
    "firstmax": r"\max",
    "min": r"\min",
    "firstmin": r"\min",
    "mean": r"\mathrm{mean}",
    "argmax": r"\mathrm{arg\,max}",
    "argmin": r"\mathrm{arg\,min}",
}
_LONGEST_EXPONENT = 9  # nodes of an expression that e^{...} still shows well


@dataclass(frozen=True, slots=True)
class _Part:
    latex: str
    strength: int = _ATOM
    is_open: bool = False
    is_tall: bool = False


def expression_latex(e: Expr) -> str:
    """One expression.

    >>> from compiler.language.expression import Element, Index
    >>> x, n, i = Element("x", (Index("n"), Index("i"))), Index("n"), Index("i")
    >>> expression_latex(x / 2 + i)
    '\\\\frac{x_{n,i}}{2} + i'
    """
    return _top(e).latex


def equation_latex(equation: Equation | Line) -> str:
    """One equation; ``+=`` adds into what other equations store."""
    left, sign, right = _sides(equation)
    return f"{left} {sign} {right}"


def lines_latex(equations: Iterable[Equation | Line]) -> str:
    """Several equations below each other, aligned at the equals sign; one alone is not aligned."""
    lines = tuple(equations)
    if len(lines) == 1:
        return equation_latex(lines[0])
    rows = (f"{left} &{sign} {right}" for left, sign, right in map(_sides, lines))
    return r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"


def _element(tensor: str, subscripts: Sequence[Expr]) -> str:
    is_plain = all(isinstance(s, Index) for s in subscripts)
    return element_latex(
        tensor, ("," if is_plain else r",\,").join(_show(s).latex for s in subscripts)
    )


def _sides(equation: Equation | Line) -> tuple[str, str, str]:
    left = _element(equation.target, equation.subscripts)
    return left, r"\;{+}{=}\;" if equation.accumulate else "=", _top(equation.value).latex


def _top(e: Expr) -> _Part:
    """An expression that stands alone: here a ``where`` becomes a case distinction."""
    match e:
        case Call("where", (_, _, otherwise)) if otherwise == Number(Fraction(0)):
            return _cases(e)
    return _show(e)


def _show(e: Expr) -> _Part:
    match e:
        case Number(value):
            return _number(value)
        case Constant("inf"):
            return _Part(r"\infty")
        case Constant(name):
            return _Part(f"\\{name}")
        case Index(name):
            return _Part(index_latex(name))
        case Symbol(name):
            return _Part(symbol_latex(name))
        case Size(tensor, axis):
            which = r"\ldots" if axis == ELLIPSIS else axis
            return _Part(rf"\mathrm{{dim}}_{{{which}}}({element_latex(tensor)})")
        case Element(tensor, subscripts):
            return _Part(_element(tensor, subscripts), is_tall=tensor.startswith("d_"))
        case Reduce(kind, body, binders):
            return _reduction(kind, body, binders)
        case Call(function, arguments):
            return _call(function, arguments)
    raise TypeError(f"not an expression: {e!r}")


def _number(value: Fraction) -> _Part:
    if value < 0:
        return replace(_number(-value), latex=f"-{_number(-value).latex}", strength=_NEGATIVE)
    text = decimal(value)
    if "/" in text:
        return _Part(rf"\frac{{{value.numerator}}}{{{value.denominator}}}", is_tall=True)
    digits, _, exponent = text.partition("e")
    if not exponent:
        return _Part(text)
    power = f"10^{{{int(exponent)}}}"
    return _Part(power, _POWER) if digits == "1" else _Part(rf"{digits} \cdot {power}", _PRODUCT)


def _call(function: str, arguments: tuple[Expr, ...]) -> _Part:
    match function, arguments:
        case "+" | "-", (a, b):
            return _sum(function, a, b)
        case "*" | "/", (a, b) if (plain := _without_sign(a)) is not None:
            return _negative(_call(function, (plain, b)))
        case "*", (a, b):
            return _product(a, b)
        case "/", (a, b):
            return _Part(rf"\frac{{{_show(a).latex}}}{{{_show(b).latex}}}", is_tall=True)
        case "//", (a, b):
            return _fenced(r"\lfloor", _divided(a, b), r"\rfloor")
        case "%", (a, b):  # bracketed beside other operators: few know how strongly it binds
            left, right = _inside(a, _ATOM), _inside(b, _ATOM)
            return _Part(rf"{left.latex} \;\mathrm{{mod}}\; {right.latex}", _REMAINDER)
        case "**", (a, b):
            return _power(a, b)
        case "neg", (a,):
            return _negative(_show(a))
        case "group", _:  # several axes as one: flatten is  y_{n,(h,w)} = x_{n,h,w}
            return _fenced("(", _Part(",".join(_show(a).latex for a in arguments)), ")")
        case "and" | "or", _:
            return _logical(function, arguments)
        case "not", (a,):
            return _Part(r"\text{not } " + _inside(a, _ATOM).latex, _NOT)
        case "==", (Number(), b) if not isinstance(b, Number):  # a last place, delta's: b = 11
            return _show(Call("==", (b, arguments[0])))
        case (("<" | "<=" | ">" | ">=" | "==" | "!="), (a, b)):
            left, right = _inside(a, _REMAINDER), _inside(b, _REMAINDER)
            return _beside(left, f" {_RELATIONS[function]} ", right, _COMPARISON)
        case "where", (condition, a, b) if b == Number(Fraction(0)):
            return _indicator(condition, a)
        case "where", _:
            return _cases(Call(function, arguments))
    return _function(function, arguments)


def _sum(function: str, a: Expr, b: Expr) -> _Part:
    return _beside(_inside(a, _SUM), f" {function} ", _inside(b, _PRODUCT), _SUM)


def _without_sign(e: Expr) -> Expr | None:
    """What follows the sign that a product begins with, if it begins with one."""
    match e:
        case Call("neg", (a,)):
            return a
        case Call("*" | "/" as function, (a, b)) if (plain := _without_sign(a)) is not None:
            return Call(function, (plain, b))
    return None


def _negative(part: _Part) -> _Part:
    part = part if part.strength >= _PRODUCT else _bracket(part)
    return replace(part, latex=f"-{part.latex}", strength=_NEGATIVE)


def _product(a: Expr, b: Expr) -> _Part:
    """A blank for the sign where nothing else can be meant: not in 2 3, nor in x (a + b)."""
    left, right = _inside(a, _PRODUCT, closed=True), _inside(b, _PRODUCT)
    is_applied = right.latex.startswith(("(", r"\left(")) and _is_bare_name(a)
    if is_applied or re.match(r"[\d.]", right.latex):
        sign = r" \cdot "
    else:
        sign = "" if isinstance(a, Number) and right.latex[0].isalpha() else r"\,"
    return _beside(left, sign, right, _PRODUCT)


def _is_bare_name(e: Expr) -> bool:
    return isinstance(e, (Symbol, Index, Constant)) or (isinstance(e, Element) and not e.subscripts)


def _divided(a: Expr, b: Expr) -> _Part:
    left, right = _inside(a, _PRODUCT, closed=True), _inside(b, _POWER)
    return _beside(left, "/", right, _PRODUCT)


def _power(a: Expr, b: Expr) -> _Part:
    base = _inside(a, _ATOM, closed=True)
    is_raised = isinstance(a, Element) and "^" in base.latex
    if is_raised or (base.is_tall and not base.latex.startswith(r"\left")):
        base = _bracket(base)
    return replace(base, latex=f"{base.latex}^{{{_show(b).latex}}}", strength=_POWER)


def _logical(function: str, arguments: tuple[Expr, ...]) -> _Part:
    match arguments:
        case (Call(first, (a, b)), Call(second, (c, d))) if (
            function == "and"
            and b == c
            and _DIRECTIONS.get(first, 2) * _DIRECTIONS.get(second, 3) in (0, 1)
        ):
            middle = f" {_RELATIONS[first]} {_inside(b, _SUM).latex} {_RELATIONS[second]} "
            return _beside(_inside(a, _SUM), middle, _inside(d, _SUM), _COMPARISON)
    strength = _AND if function == "and" else _OR
    parts = [_inside(a, strength) for a in arguments]
    text = rf"\text{{ {function} }}".join(p.latex for p in parts)
    return _Part(text, strength, is_tall=any(p.is_tall for p in parts))


def _indicator(condition: Expr, value: Expr) -> _Part:
    """``where(c, a, 0)`` within a formula: the bracket [c] is 1 where c holds and else 0."""
    bracket = _fenced("[", _show(condition), "]")
    if value == Number(Fraction(1)):
        return bracket
    return _beside(bracket, r"\,", _inside(value, _PRODUCT), _PRODUCT)


def _cases(e: Expr) -> _Part:
    rows = []
    while isinstance(e, Call) and e.function == "where":
        condition, value, e = e.arguments
        rows.append(rf"{_show(value).latex} & \text{{if }} {_show(condition).latex}")
    rows.append(rf"{_show(e).latex} & \text{{otherwise}}")
    body = r" \\ ".join(rows)
    return _Part(rf"\begin{{cases}} {body} \end{{cases}}", _CASES, is_open=True, is_tall=True)


def _function(function: str, arguments: tuple[Expr, ...]) -> _Part:
    parts = [_show(a) for a in arguments]
    match function:
        case "exp" if not parts[0].is_tall and len(list(walk(arguments[0]))) <= _LONGEST_EXPONENT:
            return _Part(f"e^{{{parts[0].latex}}}", _POWER)
        case "expm1":
            power = _function("exp", arguments)
            return _beside(power, " - ", _Part("1"), _SUM)
        case "log1p":
            return _function("log", (Number(Fraction(1)) + arguments[0],))
        case "uniform":
            is_group = isinstance(arguments[2], Call) and arguments[2].function == GROUP
            place = (parts[2] if is_group else _bracket(parts[2])).latex
            return _Part(rf"\mathrm{{uniform}}_{{{parts[0].latex},{parts[1].latex}}}{place}")
        case "sqrt":
            return _Part(rf"\sqrt{{{parts[0].latex}}}", is_tall=True)
        case "abs":
            return _fenced("|", parts[0], "|")
        case "floor":
            return _fenced(r"\lfloor", parts[0], r"\rfloor")
    sign = _FUNCTIONS[function]
    if len(parts) == 1 and function == "log" and isinstance(arguments[0], (Element, Symbol, Index)):
        return _Part(f"{sign} {parts[0].latex}", _PRODUCT, is_open=True)
    inner = _Part(", ".join(p.latex for p in parts), is_tall=any(p.is_tall for p in parts))
    return replace(_bracket(inner), latex=sign + _bracket(inner).latex)


def _reduction(kind: str, body: Expr, binders: tuple[Binder, ...]) -> _Part:
    names = [_binder(b, body) for b in binders]
    below = (r",\," if any("<" in name for name in names) else ",").join(names)
    sign = _REDUCTIONS[kind]
    if sign.startswith(r"\mathrm"):
        sign = rf"\underset{{{below}}}{{{sign}}}"
    else:
        sign = f"{sign}_{{{below}}}"
    inner = _inside(body, _PRODUCT if kind in ("sum", "prod") else _ATOM)
    if kind in ("sum", "prod"):
        separator = " "
    else:
        separator = "" if inner.latex.startswith(("(", r"\left(")) else r"\;"
    return _Part(f"{sign}{separator}{inner.latex}", _PRODUCT, is_open=True, is_tall=True)


def _binder(binder: Binder, body: Expr) -> str:
    """The index, and its size where no element of the body is read at just this index."""
    index, size = binder
    name = index_latex(index.name)
    plain = any(index in e.subscripts for e in elements(body))
    if size is None or plain or index.name == ELLIPSIS:
        return name
    return f"{name}<{_show(size).latex}"


def _inside(e: Expr, least: int, closed: bool = False) -> _Part:
    part = _show(e)
    return _bracket(part) if part.strength < least or (closed and part.is_open) else part


def _beside(left: _Part, sign: str, right: _Part, strength: int) -> _Part:
    is_tall = left.is_tall or right.is_tall
    return _Part(f"{left.latex}{sign}{right.latex}", strength, right.is_open, is_tall)


def _bracket(part: _Part) -> _Part:
    return _fenced("(", part, ")")


def _fenced(left: str, part: _Part, right: str) -> _Part:
    if part.is_tall or left == "|":
        return _Part(rf"\left{left} {part.latex} \right{right}", is_tall=part.is_tall)
    blank = " " if left.startswith("\\") else ""
    return _Part(f"{left}{blank}{part.latex}{blank}{right}")
