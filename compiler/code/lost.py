"""Lost: what the rounding of a product took from it, where that would show.

    exp(-x**2/2)    an error of one unit in the square of 12 is one of 72 in the result

What shrinks or grows as exponentials do takes its argument in two parts: the number as it was rounded, and what it
lost. That is known exactly of products, squares, quotients by a number, and numbers with more digits than their type
holds. Of a sum it is not asked: sums come from far, their terms have been rounded before.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import isfinite

from ..scheduling.loops import Apply, Literal
from .assembler import Value, rounded
from .floats import residue
from .nodes import Node

__all__ = ["STEEP", "lost"]

STEEP = ("erfc", "exp", "sigmoid")  # functions that ask

Read = Callable[[Node], Value]


def lost(node: Node, read: Read) -> Value | None:
    """What is to be added to a node's value, which ``read`` gives, to make it exact; None for nothing, or unknown."""
    match node.value:
        case Literal():
            digits = _digits(node)
            return read(node).of(digits) if digits else None
        case Apply("neg", _):
            inner = lost(node.inner[0], read)
            return None if inner is None else -inner
        case Apply("abs", _):
            inner = lost(node.inner[0], read)
            return None if inner is None else inner.with_sign_of(inner * read(node.inner[0]))
        case Apply("*", _):
            left, right = node.inner
            return _of_product(node, left, right, read)
        case Apply("**", (_, Literal(2))):
            return _of_product(node, node.inner[0], node.inner[0], read)
        case Apply("/", (_, Literal(divisor))) if divisor and isfinite(divisor):
            return _of_quotient(node, float(1 / divisor), read)
    return None


def _digits(node: Node) -> float:
    """Those of a number that its type does not hold."""
    assert isinstance(node.value, Literal)
    number = node.value.value
    near = rounded(node.type, number)
    return float(Fraction(number) - Fraction(near)) if isfinite(near) else 0.0


def _of_product(node: Node, left: Node, right: Node, read: Read) -> Value | None:
    """What the product has lost, and what its factors had: each times the other one."""
    total = None
    if not (_is_scale(left) or _is_scale(right)):
        total = residue(read(left), read(right), read(node))
    for factor, other in ((left, right), (right, left)):
        before = lost(factor, read)
        if before is not None:
            total = before.times_plus(read(other), 0 if total is None else total)
    return total


def _of_quotient(node: Node, inverse: float, read: Read) -> Value | None:
    """The dividend less the quotient times the divisor, divided."""
    above, below = node.inner
    total = lost(above, read)
    if not _is_scale(below):
        left = -residue(read(node), read(below), read(above))
        left = (-read(node)).times_plus(_digits(below), left)
        total = left if total is None else total + left
    return None if total is None else total * inverse


def _is_scale(node: Node) -> bool:
    """Is it a power of two, by which nothing is rounded?"""
    match node.value:
        case Literal(number) if number and isfinite(number):
            return not any(abs(n) & (abs(n) - 1) for n in number.as_integer_ratio())
    return False
