r"""Formulas as LaTeX: textbook form, unambiguous brackets, commands that every renderer knows."""

from __future__ import annotations

import re

import pytest
from latex2mathml.converter import convert

from compiler.language.expression import Binder, Call, Element, Index, Number, Reduce, expr
from compiler.language.system import Equation
from graphnn.notation.latex import equation_latex, expression_latex, lines_latex
from graphnn.notation.letters import name_latex
from graphnn.notation.parse import parse

D = r"\frac{\partial\mathcal{L}}{\partial %s}"
FORMULAS = {
    "y[n, o] = sum[i](x[n, i]*W[i, o]) + b[o]": r"y_{n,o} = \sum_{i} x_{n,i}\,W_{i,o} + b_{o}",
    "y[...] = max(0, x[...])": r"y_{\ldots} = \max(0, x_{\ldots})",
    "y[..., i] = exp(x[..., i]) / sum[j](exp(x[..., j]))": (
        r"y_{\ldots,i} = \frac{e^{x_{\ldots,i}}}{\sum_{j} e^{x_{\ldots,j}}}"
    ),
    "y[n, h, c] = max[i:2](x[n, 2*h + i, c])": (
        r"y_{n,h,c} = \max_{i<2}\;x_{n,\,2h + i,\,c}"  # no operand tells how far i runs
    ),
    "d_x[n, i] = where(x[n, i] > 0, g_y[n, i], 0)": (
        D % "x_{n,i}"
        + r" = \begin{cases} g^{(y)}_{n,i} & \text{if } x_{n,i} > 0 \\ 0 & \text{otherwise} \end{cases}"
    ),
    "y[n] = sum[i](where(0 <= n - i and n - i < 5, x[n - i], 0))": (
        r"y_{n} = \sum_{i} [0 \le n - i < 5]\,x_{n - i}"
    ),
    "y[a:9] = where(a%2 == 1, x[a//2], 0)": (
        r"y_{a} = \begin{cases} x_{\lfloor a/2 \rfloor} & \text{if } a \;\mathrm{mod}\; 2 = 1"
        r" \\ 0 & \text{otherwise} \end{cases}"
    ),
    "d_x[a, b:12] = where(11 == b, g_y[a], 0)": (
        D % "x_{a,b}"
        + r" = \begin{cases} g^{(y)}_{a} & \text{if } b = 11 \\ 0 & \text{otherwise} \end{cases}"
    ),
    "y[u] = -2*g[u]*c[u]*sum[n](x[n, u])": r"y_{u} = -2g_{u}\,c_{u}\,\sum_{n} x_{n,u}",
    "e_z[n, u] = d_z[n, u]*z[n, u]": r"e^{(z)}_{n,u} = " + D % "z_{n,u}" + r"\,z_{n,u}",
    "d_E[t[n], e] += g_y[n, e]": D % r"E_{t_{n},\,e}" + r" \;{+}{=}\; g^{(y)}_{n,e}",
    "loss = -sum[k](t[k]*log(p[k]))/4": r"\mathrm{loss} = -\frac{\sum_{k} t_{k}\,\log p_{k}}{4}",
    "m.new[i] = beta_1*m[i] + (1 - beta_1)*g[i]": (
        r"m^{\mathrm{new}}_{i} = \beta_{1}\,m_{i} + (1 - \beta_{1})\,g_{i}"
    ),
    "y[n, [h, w]] = x[n, h, w]": r"y_{n,\,(h,w)} = x_{n,h,w}",
    "y[n] = argmax[k](x[n, k])": r"y_{n} = \underset{k}{\mathrm{arg\,max}}\;x_{n,k}",
    "y[n] = sqrt(abs(x[n]) + 1e-07)**2": r"y_{n} = \left( \sqrt{\left| x_{n} \right| + 10^{-7}} \right)^{2}",
    "y[n] = mean[k](x[n, k]**2 + 1)": r"y_{n} = \underset{k}{\mathrm{mean}}(x_{n,k}^{2} + 1)",
}
# Pairs that differ in meaning and must differ in print.
CONFUSABLE = [
    ("a[i]*(b[i] + c[i])", "a[i]*b[i] + c[i]"),
    ("a[i] - (b[i] - c[i])", "a[i] - b[i] - c[i]"),
    ("sum[j](a[j])*b[i]", "sum[j](a[j]*b[i])"),
    ("sum[j](a[j] + b[i])", "sum[j](a[j]) + b[i]"),
    ("log(a[i])*b[i]", "log(a[i]*b[i])"),
    ("(-a[i])**2", "-a[i]**2"),
    ("(a[i]**b[i])**c[i]", "a[i]**(b[i]**c[i])"),
    ("exp(a[i])**2", "exp(a[i]**2)"),
    ("2*3", "23"),
    ("a[i]*3", "a[i]**3"),
    ("(a[i] % 2)*b[i]", "a[i] % (2*b[i])"),
    ("(a[i] // 2)*3", "a[i] // (2*3)"),
    ("where(a[i] > 0, b[i], c[i]) + 1", "where(a[i] > 0, b[i], c[i] + 1)"),
    ("(a[i] > 0 or b[i] > 0) and c[i] > 0", "a[i] > 0 or b[i] > 0 and c[i] > 0"),
    ("(a[i] < b[i]) == c[i]", "a[i] < (b[i] == c[i])"),
    ("x*(a[i] + b[i])", "tanh(a[i] + b[i])"),
    ("g_y[i]**2", "g_y[2]"),
    ("d_x[i]**2", "d_x[i]*2"),
]


def value(text: str) -> str:
    return expression_latex(parse(f"y[i] = {text}").lines[0].value)


@pytest.mark.parametrize("text", FORMULAS)
def test_formula_reads_as_in_a_textbook(text: str) -> None:
    """Sums, fractions, cases, indicator brackets, gradients and states have their usual form."""
    assert equation_latex(parse(text).lines[0]) == FORMULAS[text]


@pytest.mark.parametrize("text", FORMULAS)
def test_every_renderer_knows_the_commands(text: str) -> None:
    """What is printed is balanced, and latex2mathml leaves no command unread."""
    latex = equation_latex(parse(text).lines[0])
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
    assert "\\" not in re.sub(r"<[^>]*>", "", convert(latex))


@pytest.mark.parametrize(("one", "other"), CONFUSABLE)
def test_different_meaning_prints_differently(one: str, other: str) -> None:
    """Brackets stand wherever two expressions would otherwise look alike."""
    assert value(one).replace(" ", "") != value(other).replace(" ", "")


def test_gradient_and_arriving_gradient_look_different() -> None:
    """What is derived is a quotient, what arrives is g with the output's name."""
    i = Index("i")
    assert expression_latex(Element("d_y", (i,))) == D % "y_{i}"
    assert expression_latex(Element("g_y", (i,))) == "g^{(y)}_{i}"


def test_names_are_italic_greek_or_upright() -> None:
    """One letter is a variable, a Greek word its letter, any other word upright and escaped."""
    names = {
        "x": "x",
        "mu": r"\mu",
        "lr": r"\mathrm{lr}",
        "a_b": r"\mathrm{a\_b}",
        "v.new": r"v^{\mathrm{new}}",
    }
    assert {name: name_latex(name) for name in names} == names


def test_fresh_indices_have_primes() -> None:
    """i2 and i3, which renaming makes, are i' and i''."""
    x = Element("x", (Index("i2"), Index("i3")))
    assert expression_latex(x) == "x_{i',i''}"


def test_size_is_shown_only_where_no_operand_tells_it() -> None:
    """A bound index that some element is read at needs no range."""
    i, three = Index("i"), expr(3)
    plain = Reduce("sum", Element("x", (i,)), (Binder(i, three),))
    shifted = Reduce("sum", Element("x", (i + 1,)), (Binder(i, three),))
    assert expression_latex(plain) == r"\sum_{i} x_{i}"
    assert expression_latex(shifted) == r"\sum_{i<3} x_{i + 1}"


def test_long_exponent_is_a_function() -> None:
    """e^{...} is for what can be read in small type."""
    i = Index("i")
    short, long = Element("x", (i,)), Element("x", (i,)) / 2
    assert expression_latex(Call("exp", (short,))) == "e^{x_{i}}"
    assert expression_latex(Call("exp", (long,))) == r"\exp\left( \frac{x_{i}}{2} \right)"


def test_lines_are_aligned() -> None:
    """Several equations share an aligned block; one stands alone."""
    i = Index("i")
    one = Equation("y", (i,), (Binder(i, expr(3)),), Number(expr(2).value))  # type: ignore[attr-defined]
    assert lines_latex([one]) == "y_{i} = 2"
    assert lines_latex([one, one]) == r"\begin{aligned} y_{i} &= 2 \\ y_{i} &= 2 \end{aligned}"
