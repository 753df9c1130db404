"""What text from outside may ask for: how long, how deep, how large its numbers, what a name may be.

Nothing here computes with tensors. Numbers that a formula writes out, powers above all, are worked
out exactly, so that none of them grows beyond what the rest of the program can hold.
"""

from __future__ import annotations

import ast
import operator
from fractions import Fraction
from functools import reduce

from compiler.language.expression import (
    FUNCTIONS,
    GROUP,
    REDUCTIONS,
    Call,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    rebuild,
)

from ..errors import NotationError

__all__ = [
    "MAX_DIGITS",
    "is_reserved",
    "is_size",
    "is_whole",
    "problem_of",
    "read_syntax",
    "without_powers",
    "written_number",
]

MAX_CHARACTERS = 20_000
MAX_LINES = 200
MAX_DEPTH = 60
MAX_DIGITS = 40
MAX_EXPONENT = 1000
MAX_BITS = 4000  # of a number that a formula writes out, or of its denominator
MAX_WHOLE_EXPONENT = 16
_WHOLE = ("+", "-", "*", "//", "%", "neg", "abs", "max", "min", GROUP)


def read_syntax(text: str) -> ast.Module:
    """The syntax tree, once the text is known to be small enough to be looked at."""
    if not isinstance(text, str):
        raise NotationError(f"a formula is a string, got {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise NotationError(
            f"a formula has at most {MAX_CHARACTERS} characters, this one {len(text)}"
        )
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        line = (error.text or "").rstrip("\n")
        column = max((error.offset or 1) - 1, 0)
        raise NotationError(error.msg, line[:200], error.lineno or 1, min(column, 200)) from None
    except (RecursionError, MemoryError):
        raise NotationError("the formula is nested too deeply") from None
    except ValueError as error:
        raise NotationError(str(error)) from None
    if len(tree.body) > MAX_LINES:
        raise NotationError(f"a formula has at most {MAX_LINES} lines, this one {len(tree.body)}")
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise NotationError(f"the formula is nested more than {MAX_DEPTH} levels deep")
    return tree


def is_reserved(name: str) -> bool:
    """Names that neither a tensor nor an index may have."""
    return name in FUNCTIONS or name in REDUCTIONS or name in ("dim", "pi") or name[:2] == "__"


def is_whole(e: Expr) -> bool:
    """Is it built like a position: indices, sizes, whole numbers, elements, what keeps these whole?"""
    match e:
        case Number():
            return e.is_integer
        case Index() | Size() | Element():
            return True
        case Call("where", (_, a, b)):
            return is_whole(a) and is_whole(b)
        case Call("**", (base, exponent)):
            return is_whole(base) and _is_count(exponent)
        case Call(function, arguments) if function in _WHOLE:
            return all(map(is_whole, arguments))
        case Reduce(kind, body, _):
            return kind in ("argmax", "argmin") or (kind != "mean" and is_whole(body))
    return False


def _is_count(exponent: Expr) -> bool:
    number = isinstance(exponent, Number) and exponent.is_integer
    return number and 0 <= exponent.value <= MAX_WHOLE_EXPONENT  # type: ignore[attr-defined]


def without_powers(e: Expr) -> Expr:
    """``i*i`` for ``i**2``: a power is a real number, a position is none."""
    e = rebuild(e, without_powers)
    match e:
        case Call("**", (base, Number(value) as exponent)) if _is_count(exponent):
            return reduce(operator.mul, [base] * int(value)) if value else Number(Fraction(1))
    return e


def is_size(e: Expr) -> bool:
    """Is it a size: made of whole numbers and other sizes by what is worked out for them?"""
    match e:
        case Number():
            return e.is_integer
        case Size():
            return True
        case Call("+" | "-" | "*" | "//" | "%" | "neg", arguments):
            return all(map(is_size, arguments))
    return False


def problem_of(e: Expr) -> str | None:
    """What is wrong with the numbers in an operation, None if nothing is; its parts are known to be right."""
    if not isinstance(e, Call):
        return None
    if e.function == "**":
        exponent = written_number(e.arguments[1])
        if exponent is not None and abs(exponent) > MAX_EXPONENT:
            return f"a constant exponent is at most {MAX_EXPONENT}"
    value = written_number(e)
    if (
        value is not None
        and max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS
    ):
        return f"the numbers written here come to one of more than {MAX_BITS} bits"
    return None


def written_number(e: Expr) -> Fraction | None:
    """The value of an expression of nothing but numbers; its parts are small enough to be worked out."""
    match e:
        case Number(value):
            return value
        case Call("neg", (a,)):
            value_a = written_number(a)
            return None if value_a is None else -value_a
        case Call("+" | "-" | "*" | "/" | "**" as sign, (a, b)):
            left, right = written_number(a), written_number(b)
            if left is not None and right is not None:
                return _combined(sign, left, right)
    return None


def _combined(sign: str, a: Fraction, b: Fraction) -> Fraction | None:
    match sign:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b if b else None
    whole = b.denominator == 1 and (a or b > 0)
    return a ** int(b) if whole else None
