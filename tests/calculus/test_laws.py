"""Each law of index notation, on the smallest formula that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.language.text import equation_text
from graphnn.calculus.compose import is_zero_read, unguarded
from graphnn.calculus.laws import Scope, simplify
from graphnn.calculus.naming import readable
from graphnn.calculus.steps import Steps
from graphnn.notation import parse, symbolic


def simplified(text: str) -> tuple[str, list[str]]:
    """The first equation after the laws, and the laws used."""
    resolved = symbolic(parse(text))
    equation, steps = resolved.equations[0], Steps()
    value = simplify(equation.value, Scope(equation.sizes, note=steps.note))
    (named,) = readable([replace(equation, value=value)], resolved, resolved.shapes)
    return equation_text(named, resolved.shapes).partition(" = ")[2], list(steps.laws)


@pytest.mark.parametrize(
    ("law", "text", "result"),
    [
        (
            "bounds",
            "y[i:4] = where(i < 4 and i >= 0, x[i], 0)",
            "x[i]",
        ),
        (
            "bounds",
            "y[i:4] = where(i >= 4, x[i], z[i])",
            "z[i]",
        ),
        (
            "delta",
            "y[a:5] = sum[i:5](where(i == a, x[i]*z[a], 0))",
            "x[a]*z[a]",
        ),
        (
            "delta",
            "y[a:7] = sum[h:5, i:3](where(h + i == a, x[h]*K[i], 0))",
            "sum[i:3](where(a - i >= 0 and a - i < 5, K[i]*x[a - i], 0))",
        ),
        (
            "stride",
            "y[a:9] = sum[h:4, i:3](where(2*h + i == a, x[h]*K[i], 0))",
            "sum[i:3](where((a - i) % 2 == 0 and (a - i) // 2 >= 0 and (a - i) // 2 < 4, K[i]*x[(a - i) // 2], 0))",
        ),
        (
            "digits",
            "y[a:12] = sum[h:6, i:2](where(2*h + i == a, x[h]*K[i], 0))",
            "K[a % 2]*x[a // 2]",
        ),
        (
            "digits",
            "y[a:24] = sum[h:2, i:3, j:4](where((h*3 + i)*4 + j == a, x[h, i, j], 0))",
            "x[a // 12, a // 4 % 3, a % 4]",
        ),
        (
            "quotient",
            "y[a:5] = sum[i:10](where(i//2 == a, x[i], 0))",
            "sum[b:2](x[2*a + b])",
        ),
        (
            "remainder",
            "y[a:5] = sum[i:10](where(i % 5 == a, x[i], 0))",
            "sum[b:2](x[5*b + a])",
        ),
    ],
)
def test_law_uses_up_a_condition(law: str, text: str, result: str) -> None:
    """A condition on an index becomes its value, or nothing."""
    found, laws = simplified(text)
    assert found == result
    assert law in laws


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("y[a] = sum[i](x[a]*z[i])", "x[a]*sum[i](z[i])"),
        ("y[a] = sum[i:7](x[a])", "7*x[a]"),
        ("y = sum[i, j](x[i]*z[j])", "sum[i](x[i])*sum[j](z[j])"),
        ("y = mean[i](x[i]/2)", "sum[i](x[i])/(2*dim(x, 0))"),
        ("y[a] = sum[i](where(x[a] > 0, z[i], 0))", "where(x[a] > 0, sum[i](z[i]), 0)"),
    ],
)
def test_constants_leave_a_sum(text: str, result: str) -> None:
    """What an index does not change stands before its sum; sums over different indices separate."""
    assert simplified(text)[0] == result


def test_smallest_loops_are_left() -> None:
    """Of a window and an image, the sum that remains runs over the window."""
    text = "y[a:dim(x, 0)] = sum[h:dim(x, 0) - dim(K, 0) + 1, i](where(h + i == a, x[h]*K[i], 0))"
    assert simplified(text)[0].startswith("sum[i](")


def test_gathered_index_is_trusted_only_where_checked() -> None:
    """A subscript from data keeps its range conditions unless the run time checks that tensor."""
    equation = symbolic(parse("y[n] = sum[i:9](where(t[n] == i, x[i], 0))")).equations[0]
    strict = simplify(equation.value, Scope(equation.sizes))
    trusting = simplify(equation.value, Scope(equation.sizes, data=frozenset({"t"})))
    assert "t[n] >= 0" in str(equation_text(type(equation)("y", (), (), strict)))
    assert equation_text(type(equation)("y", (), (), trusting)) == "y = x[t[n]]"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("where(i - 1 >= 0, x[i - 1], 0)", "x[i - 1]"),
        ("where(i - 1 >= 0, x[i - 1]*z[i], 0)", "x[i - 1]*z[i]"),
        ("where(i + 2 < dim(x, 0), x[i + 2], 0)", "x[i + 2]"),
        ("where(i - 1 >= 0, z[i], 0)", "where(i - 1 >= 0, z[i], 0)"),
        ("where(i - 1 >= 0, x[i - 1]/z[i], 0)", "where(i - 1 >= 0, x[i - 1]/z[i], 0)"),
        ("where(i - 1 >= 0, exp(x[i - 1]), 0)", "where(i - 1 >= 0, exp(x[i - 1]), 0)"),
    ],
)
def test_zero_read_replaces_a_condition(value: str, result: str) -> None:
    """A condition goes only where a factor is read as zero when it fails, and no other can be infinite."""
    resolved = symbolic(parse(f"y[i:dim(x, 0)] = {value} + 0*x[i] + 0*z[i]"))
    equation = resolved.equations[0]
    left = equation.value.arguments[0].arguments[0]  # type: ignore[attr-defined]
    found = unguarded(left, lambda read, c: is_zero_read(read, c, resolved.shapes))
    assert equation_text(type(equation)("y", (), (), found)) == f"y = {result}"


def test_floor_and_remainder_join() -> None:
    """2*(a//2) + a % 2 is a."""
    assert simplified("y[a:9] = x[2*(a//2) + a % 2]")[0] == "x[a]"
