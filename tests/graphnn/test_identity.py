"""Identities are decided in a finite field: what is equal is zero, what is not is never called so."""

import pytest
import sympy

from graphnn.verification.identity import is_zero

a, b, x, y = sympy.symbols("a b x y", positive=True)


@pytest.mark.parametrize(
    "e",
    [
        (x + y) ** 2 - x**2 - 2 * x * y - y**2,
        sympy.exp(x + y) - sympy.exp(x) * sympy.exp(y),
        sympy.exp(-x) * sympy.exp(3 * x) - sympy.exp(x) ** 2,
        1 / (1 + sympy.exp(-x)) - sympy.exp(x) / (1 + sympy.exp(x)),
        a ** (b - 1) * a - a**b,
        sympy.sqrt(x + y) ** 3 / (x + y) - sympy.sqrt(x + y),
        sympy.diff(sympy.exp(x) / (sympy.exp(x) + sympy.exp(y)), x)
        - sympy.exp(x + y) / (sympy.exp(x) + sympy.exp(y)) ** 2,
    ],
)
def test_identities_are_found(e):
    """Polynomials, exponentials, powers, roots, quotients."""
    assert is_zero(e)


@pytest.mark.parametrize(
    "e",
    [
        x - y,
        sympy.exp(x) - sympy.exp(2 * x),
        a**b - b**a,
        x**2 - x,
        sympy.log(x) - sympy.log(y),
        1 / x - x,
    ],
)
def test_what_differs_is_never_an_identity(e):
    """At a random point of a large field, and hence somewhere."""
    assert not is_zero(e)
