"""Is an expression identically zero? Decided in a finite field.

Exponentials, logarithms and the like are unknowns, one for each argument: exp(2*u - v) is
E_u**2/E_v. What is left is a quotient of polynomials with rational coefficients. It is computed at
random points modulo primes of 61 bits, square roots as roots in such a field: a quotient of degree d
that is not zero is found to be zero there with probability below d/2**60 (Schwartz 1980; Zippel
1979).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy

from compiler.reference.philox import uniform

__all__ = ["is_zero"]

POINTS, TRIES = 2, 60
# exp(u/PARTS) is the unknown: exp(u/2) and exp(0.1*u) are its powers
PARTS = 10**18 * 2**20 * 3**5 * 7
SMALL = 200  # operations up to which sympy may simplify what the field could not decide


def is_zero(e: Any) -> bool | None:
    """True when ``e`` vanishes identically; None when that was not decided."""
    if e == 0:
        return True
    found: list[int] = []
    for number in range(TRIES):
        try:
            found.append(_Point(number).value(e))
        except ArithmeticError:  # a divisor vanishes there, or something has no root
            continue
        if len(found) == POINTS:
            break
    if found == [0] * POINTS:
        return True
    if e.count_ops() < SMALL and sympy.simplify(e) == 0:
        return True
    return None


@cache
def _prime(number: int) -> int:
    """Large primes of the form 4*k + 3, in whose fields roots are powers."""
    found = int(sympy.prevprime(_prime(number - 1) if number else 2**61))
    while found % 4 != 3:
        found = int(sympy.prevprime(found))
    return found


class _Point:
    """One random point of one field: a residue for each unknown, given when it is first met."""

    def __init__(self, number: int) -> None:
        self.number, self.prime = number, _prime(number)
        self.unknowns: dict[Any, int] = {}
        self.known: dict[Any, int] = {}

    def unknown(self, e: Any) -> int:
        if e not in self.unknowns:
            drawn = float(uniform(self.number, 0, len(self.unknowns), bits=53))
            self.unknowns[e] = int(drawn * 2**53) * 251 + 7
        return self.unknowns[e] % self.prime

    def value(self, e: Any) -> int:
        if e not in self.known:
            self.known[e] = self.compute(e)
        return self.known[e]

    def compute(self, e: Any) -> int:
        if e.is_Rational:
            return e.p * self.power(e.q, -1) % self.prime
        if e.is_Add:
            return sum(map(self.value, e.args)) % self.prime
        if e.is_Mul:
            product = 1
            for factor in e.args:
                product = product * self.value(factor) % self.prime
            return product
        if e.is_Pow and e.exp.is_Integer:
            return self.power(self.value(e.base), int(e.exp))
        if e.is_Pow and e.exp.is_Rational and e.exp.q == 2:
            return self.power(self.root(self.value(e.base)), e.exp.p)
        if e.is_Pow:
            return self.exponential(e.exp * sympy.log(e.base))
        if isinstance(e, sympy.exp):
            return self.exponential(e.args[0])
        return self.unknown(e)

    def exponential(self, argument: Any) -> int:
        """exp of a sum is a product; a coefficient is a power; exp(log(u)) is u."""
        product = 1
        for term in sympy.Add.make_args(sympy.expand(argument)):
            factor, rest = term.as_coeff_Mul()
            if isinstance(rest, sympy.log) and factor.is_Integer:
                product = product * self.power(self.value(rest.args[0]), int(factor)) % self.prime
                continue
            power = factor * PARTS
            if not power.is_Integer:
                power, rest = sympy.S.One, term
            product = product * self.power(self.unknown(("exp", rest)), int(power)) % self.prime
        return product

    def root(self, square: int) -> int:
        found = pow(square, (self.prime + 1) // 4, self.prime)
        if found * found % self.prime != square:
            raise ArithmeticError("not a square in this field")
        return found

    def power(self, base: int, exponent: int) -> int:
        if base % self.prime == 0 and exponent < 0:
            raise ZeroDivisionError("a divisor vanishes at this point")
        return pow(base, exponent, self.prime)
