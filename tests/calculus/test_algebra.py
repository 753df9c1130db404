"""Sums of products: one spelling for what is equal, and nothing changed that could be infinite."""

from __future__ import annotations

import pytest

from compiler.language.expression import Expr
from compiler.language.text import expression_text
from graphnn.calculus.algebra import expression, normal, product, terms
from graphnn.calculus.expansion import expand, factored
from graphnn.calculus.measure import cost, divisors
from graphnn.notation import parse


def read(text: str) -> Expr:
    return parse(f"y[...] = {text}").lines[0].value


def shown(e: Expr) -> str:
    return expression_text(e)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("x[...] + x[...]", "2*x[...]"),
        ("x[...]*z[...]*x[...]", "x[...]**2*z[...]"),
        ("x[...]/x[...]**3", "1/x[...]**2"),
        ("sqrt(x[...])*sqrt(x[...])", "x[...]"),
        ("-(x[...] - z[...])", "z[...] - x[...]"),
        ("2*(x[...] + z[...])", "2*(x[...] + z[...])"),
        ("where(x[...] > 0, z[...], 0)*w[...]", "where(x[...] > 0, w[...]*z[...], 0)"),
        ("where(x[...] > 0, 0, 1)", "where(x[...] <= 0, 1, 0)"),
        ("0.01*x[...]", "0.01*x[...]"),
        ("x[...]/4", "x[...]/4"),
        ("3*x[...]/4", "3*x[...]/4"),
        ("exp(x[...])*exp(2*x[...])", "exp(2*x[...])*exp(x[...])"),
    ],
)
def test_normal_form(text: str, result: str) -> None:
    """Like factors and like terms are joined, conditions stand outermost, exponentials stay apart."""
    assert shown(normal(read(text))) == result
    assert normal(normal(read(text))) == normal(read(text))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x[...]*(1 + z[...])", "(z[...] + 1)*x[...]"),
        ("(x[...] - z[...])**2", "(z[...] - x[...])**2"),
        ("sum[i:3](exp(w[i]))", "sum[k:3](exp(w[k]))"),
        ("sum[i:3](sum[j:2](v[i, j]))", "sum[j:3](sum[i:2](v[j, i]))"),
    ],
)
def test_equal_up_to_order_and_names_is_equal(left: str, right: str) -> None:
    """The order of terms and factors, signs of squares and names of bound indices make no difference."""
    assert normal(read(left)) == normal(read(right))


def test_roots_of_products_stay_whole() -> None:
    """sqrt(x**2) is not x: x may be negative."""
    assert shown(normal(read("sqrt(x[...]**2)"))) == "sqrt(x[...]**2)"


def test_factored() -> None:
    """Fractions are put over one denominator, and what is shared comes out."""
    assert shown(expression(factored(terms(read("1/(1 + x[...]) - x[...]/(1 + x[...])**2"))))) == (
        "1/(1 + x[...])**2"
    )
    assert shown(expression(factored(terms(read("x[...]*z[...] - x[...]*w[...]"))))) == (
        "x[...]*(z[...] - w[...])"
    )


def test_expanded() -> None:
    """Powers of sums are multiplied out."""
    assert shown(expression(expand(terms(read("(x[...] + z[...])**2"))))) == (
        "x[...]**2 + 2*x[...]*z[...] + z[...]**2"
    )


def test_divisors() -> None:
    """Whatever an expression divides by is found, and every logarithm, with what guards it."""
    found = [shown(d.value) for d in divisors(normal(read("log(x[...])/(z[...]*(1 + w[...]))")))]
    assert set(found) >= {"log(x[...])", "z[...]", "1 + w[...]"}
    (guarded,) = divisors(normal(read("where(x[...] > 0, 1/x[...], w[...])")))
    assert [shown(c) for c in guarded.given] == ["x[...] > 0"]


@pytest.mark.parametrize(
    "text",
    [
        "w[...] + where(x[...] > 0, z[...]/x[...], 0)",
        "where(x[...] > 0, z[...]/x[...], 0) + where(w[...] > 0, 1/x[...], 0)",
        "where(x[...] > 0, z[...]*log(x[...]), 0) + where(w[...] > x[...], log(x[...]), 0)",
    ],
)
def test_no_divisor_leaves_its_guard(text: str) -> None:
    """What need not be finite stays under its condition, whatever is shared or put over one denominator."""
    total = terms(read(text))
    for form in (factored(total), product([total]), total):
        assert all(d.given for d in divisors(expression(form)))


def test_cost_counts_a_sum_twice() -> None:
    """A factor inside a sum costs more than before it."""
    inside, before = read("sum[i:3](x[...]*w[i])"), read("x[...]*sum[i:3](w[i])")
    assert cost(before) < cost(inside)
