"""Philox 4x32-10 written inline, for one place or a vector of them of any width; `philox` says what
it is.

A word is carried in the low half of a 64-bit lane, whatever stands above it: the product of two low
halves, which every vector unit has as one instruction, is both of the words that a round needs, one
of them already in its place.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..reference.philox import MULTIPLIERS, ROUNDS, WEYL
from .assembler import Assembler, Value, element_type, like

__all__ = ["uniform"]

_LOW = 0xFFFFFFFF


def uniform(assembler: Assembler, type_: str, operands: Sequence[str]) -> str:
    """``uniform(key, counter, position)`` as reals of ``type_``, from as many i64 each."""
    key, counter, position = (Value(assembler, like(type_, "i64"), o) for o in operands)
    k, m = key, _high(key)
    a, b, c, d = position, _high(position), counter, _high(counter)
    for _ in range(ROUNDS):
        p, q = (a & _LOW) * MULTIPLIERS[0], (c & _LOW) * MULTIPLIERS[1]
        a, b, c, d = _high(q) ^ (b ^ k), q, _high(p) ^ (d ^ m), p
        k, m = k + WEYL[0], m + WEYL[1]
    return (_single(a) if element_type(type_) == "float" else _double(a, b)).text


def _high(value: Value) -> Value:
    return value.shift_right_unsigned(32)


def _single(word: Value) -> Value:
    """The first 24 bits of a word as a float."""
    return (
        word.convert("trunc", "i32").shift_right_unsigned(8).convert("sitofp", "float") * 2.0**-24
    )


def _double(high: Value, low: Value) -> Value:
    """53 bits of two words as a double: 32 below 2**20 and 21 below 1/2, where they are the last of
    the fraction.

    Few machines convert 64-bit integers in vectors; this is exact on all.
    """
    coarse = (high & _LOW) | _bits(2.0**20)
    fine = low.shift_left(32).shift_right_unsigned(43) | _bits(0.5)
    return (coarse.as_float() - 2.0**20) + (fine.as_float() - 0.5)


def _bits(number: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", number))[0])
