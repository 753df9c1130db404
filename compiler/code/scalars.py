"""Arithmetic of the loop language as instructions, for one value or a vector of any width.

Real arithmetic may be contracted (a product and a sum round once), nothing else is relaxed. Integers never trap:
division by zero gives 0, a conversion from a real number saturates, NaN becomes 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import vectormath
from .assembler import Assembler, element_type, lanes, like

__all__ = ["COMPARISONS", "apply", "convert", "read_memory", "write_memory"]

_REAL = {"+": "fadd contract", "-": "fsub contract", "*": "fmul contract", "/": "fdiv"}
_INTEGER = {"+": "add", "-": "sub", "*": "mul"}
_REAL_PREDICATES = {"<": "olt", "<=": "ole", ">": "ogt", ">=": "oge", "==": "oeq", "!=": "une"}
_INTEGER_PREDICATES = {"<": "slt", "<=": "sle", ">": "sgt", ">=": "sge", "==": "eq", "!=": "ne"}
COMPARISONS = frozenset(_INTEGER_PREDICATES)


def apply(a: Assembler, function: str, type_: str, operands: Sequence[str]) -> str:
    """A function of operands of type ``type_`` (of a condition and two such for ``where``)."""
    real = element_type(type_) in ("float", "double")
    if function == "where":
        condition, yes, no = operands
        bits = like(type_, "i1")
        return a.op(f"select {bits} {condition}, {type_} {yes}, {type_} {no}")
    if function in _REAL_PREDICATES:
        predicate = (_REAL_PREDICATES if real else _INTEGER_PREDICATES)[function]
        if element_type(type_) == "i1":
            predicate = predicate.replace("s", "u", 1) if predicate[0] == "s" else predicate
        kind = "fcmp" if real else "icmp"
        return a.op(f"{kind} {predicate} {type_} {operands[0]}, {operands[1]}")
    if function == "inside":
        return a.op(f"icmp ult {type_} {operands[0]}, {operands[1]}")
    if function in ("and", "or"):
        return a.op(f"{function} {type_} {operands[0]}, {operands[1]}")
    if function == "not":
        return a.op(f"xor {type_} {operands[0]}, {a.constant(type_, 1)}")
    if function in ("//", "%"):
        divide = _divide_real if real else _divide
        return divide(a, function, type_, *operands)
    if function in (_REAL if real else _INTEGER):
        instruction = (_REAL if real else _INTEGER)[function]
        return a.op(f"{instruction} {type_} {operands[0]}, {operands[1]}")
    if function == "neg":
        if real:
            return a.op(f"fneg {type_} {operands[0]}")
        return a.op(f"sub {type_} {a.constant(type_, 0)}, {operands[0]}")
    if function == "power":
        return vectormath.integer_power(a, type_, operands[0], int(operands[1]))
    return vectormath.call(a, "pow" if function == "**" else function, type_, operands)


def _divide(a: Assembler, function: str, type_: str, x: str, y: str) -> str:
    """Floor division or its remainder, rounded down as Python's; 0 where the divisor is 0."""
    zero, one, minus = (a.constant(type_, n) for n in (0, 1, -1))
    bits = like(type_, "i1")
    variable = y.startswith("%")
    divisor = y
    if variable:  # neither x/0 nor least/-1 may reach the processor
        risky = a.op(f"add {type_} {y}, {one}")
        risky = a.op(f"icmp ult {type_} {risky}, {a.constant(type_, 2)}")
        divisor = a.op(f"select {bits} {risky}, {type_} {one}, {type_} {y}")
    elif y == zero:
        return zero
    quotient = a.op(f"sdiv {type_} {x}, {divisor}")
    back = a.op(f"mul {type_} {quotient}, {divisor}")
    rest = a.op(f"sub {type_} {x}, {back}")
    signs = a.op(f"xor {type_} {rest}, {divisor}")
    differ = a.op(f"icmp slt {type_} {signs}, {zero}")
    some = a.op(f"icmp ne {type_} {rest}, {zero}")
    down = a.op(f"and {bits} {differ}, {some}")
    if function == "//":
        lower = a.op(f"add {type_} {quotient}, {minus}")
        result = a.op(f"select {bits} {down}, {type_} {lower}, {type_} {quotient}")
        if variable:
            negative = a.op(f"sub {type_} {zero}, {x}")
            by_minus = a.op(f"icmp eq {type_} {y}, {minus}")
            result = a.op(f"select {bits} {by_minus}, {type_} {negative}, {type_} {result}")
    else:
        upper = a.op(f"add {type_} {rest}, {divisor}")
        result = a.op(f"select {bits} {down}, {type_} {upper}, {type_} {rest}")
    if variable:
        by_zero = a.op(f"icmp eq {type_} {y}, {zero}")
        result = a.op(f"select {bits} {by_zero}, {type_} {zero}, {type_} {result}")
    return result


def _divide_real(a: Assembler, function: str, type_: str, x: str, y: str) -> str:
    """Python's floor division and remainder: the quotient, corrected by what is left over.

    What is left of a finite number by an infinite one is that number; an infinite one gives NaN.
    """
    bits, zero, one = like(type_, "i1"), a.constant(type_, 0), a.constant(type_, 1)
    quotient, rest = _reduced(a, type_, x, y)
    if function == "%":  # a quotient too large to be exact leaves more than one divisor
        rest = _reduced(a, type_, rest, y)[1]
    size = a.intrinsic("fabs", type_, y)
    endless = a.op(f"fcmp oeq {type_} {size}, {a.constant(type_, math.inf)}")
    rest = a.op(f"select {bits} {endless}, {type_} {x}, {type_} {rest}")
    product = a.op(f"fmul {type_} {rest}, {y}")
    over = a.op(f"fcmp olt {type_} {product}, {zero}")  # the quotient was rounded up
    if function == "//":
        whole, corrected = quotient, a.op(f"fsub {type_} {quotient}, {one}")
    else:
        whole, corrected = rest, a.op(f"fadd {type_} {rest}, {y}")
    result = a.op(f"select {bits} {over}, {type_} {corrected}, {type_} {whole}")
    nothing = a.op(f"fsub {type_} {x}, {x}")  # NaN if x is infinite
    return a.op(f"fadd {type_} {result}, {nothing}")


def _reduced(a: Assembler, type_: str, x: str, y: str) -> tuple[str, str]:
    """The whole quotient as it is rounded, and what that leaves, exactly where there is a fused multiply-add."""
    quotient = vectormath.call(a, "floor", type_, [a.op(f"fdiv {type_} {x}, {y}")])
    minus = a.op(f"fneg {type_} {quotient}")
    if a.target.has_fma:
        return quotient, a.intrinsic("fma", type_, minus, y, x)
    product = a.op(f"fmul {type_} {minus}, {y}")
    return quotient, a.op(f"fadd {type_} {product}, {x}")


def convert(a: Assembler, function: str, operand: str, source: str, type_: str) -> str:
    """A value of element type ``source`` as ``type_`` (``wrap``: to what 32 bits can hold)."""
    given, target = like(type_, source), element_type(type_)
    if function == "wrap":
        short = like(type_, "i32")
        narrow = a.op(f"trunc {type_} {operand} to {short}")
        return a.op(f"sext {short} {narrow} to {type_}")
    if target == "i1":
        zero = a.constant(given, 0)
        compare = "icmp ne" if source == "i64" else "fcmp une"
        return a.op(f"{compare} {given} {operand}, {zero}")
    if target == "i64" and source in ("float", "double"):
        count, short = lanes(type_), {"float": "f32", "double": "f64"}[source]
        suffix = f"i64.{short}" if count == 1 else f"v{count}i64.v{count}{short}"
        a.declare(f"declare {type_} @llvm.fptosi.sat.{suffix}({given})")
        return a.op(f"call {type_} @llvm.fptosi.sat.{suffix}({given} {operand})")
    instruction = {
        ("i1", "i64"): "zext",
        ("i1", "float"): "uitofp",
        ("i1", "double"): "uitofp",
        ("i64", "float"): "sitofp",
        ("i64", "double"): "sitofp",
        ("float", "double"): "fpext",
        ("double", "float"): "fptrunc",
    }[source, target]
    return a.op(f"{instruction} {given} {operand} to {type_}")


def read_memory(a: Assembler, element: str, raw: str, width: int, type_: str) -> str:
    """What was loaded as it is computed with: shorter integers as i64, a byte also as a truth value."""
    given = element if width == 1 else f"<{width} x {element}>"
    if type_ == "i64" and element != "i64":
        return a.op(f"sext {given} {raw} to {like(given, 'i64')}")
    if element == "i8":
        return a.op(f"icmp ne {given} {raw}, {a.constant(given, 0)}")
    return raw


def write_memory(a: Assembler, element: str, value: str, width: int, type_: str) -> str:
    """The opposite of `read_memory`."""
    target = element if width == 1 else f"<{width} x {element}>"
    if type_ == "i64" and element != "i64":
        return a.op(f"trunc {like(target, 'i64')} {value} to {target}")
    if element == "i8":
        return a.op(f"zext {like(target, 'i1')} {value} to {target}")
    return value
