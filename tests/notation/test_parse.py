"""Reading formulas: what the notation says, and that nothing else is read, however it is disguised."""

import builtins
import contextlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.language.expression import Call, Constant, Element, Index, Number, Reduce, Symbol
from compiler.language.text import expression_text
from graphnn.errors import NotationError
from graphnn.notation import parse

HOSTILE = [
    "y[i] = __import__('os').system('touch /tmp/owned')",
    "y[i] = eval('1')",
    "y[i] = exec(x)",
    "y[i] = open(x)",
    "y[i] = x.__class__",
    "y[i] = x.shape",
    "y[i] = x[i].new",
    "y[i] = x.new.old[i]",
    "y[i] = (lambda: 1)()",
    "y[i] = [x for x in y]",
    "y[i] = {x: 1}",
    "y[i] = (x[i], x[i])",
    "y[i] = x[i] if x[i] else 0",
    "y[i] = (z := 3)",
    "y[i] = 'a'",
    "y[i] = b'a'",
    "y[i] = f'{x}'",
    "y[i] = await x",
    "y[i] = yield",
    "y[i] = None",
    "y[i] = True",
    "y[i] = 1j",
    "y[i] = ...",
    "y[i] = x[i] @ x[i]",
    "y[i] = x[i] << 1",
    "y[i] = ~x[i]",
    "y[i] = x[i] is 3",
    "y[i] = x[i] in x",
    "y[i] = exp(*x)",
    "y[i] = exp(x[i], base=2)",
    "y[*i] = x[i]",
    "y[i] = x[i:3]",
    "y[i], z[i] = x[i], x[i]",
    "y[i]: int = 3",
    "a = b = c",
    "y[i] -= x[i]",
    "(y)[i].z = 3",
    "import os",
    "from os import system",
    "def f(): pass",
    "class y: pass",
    "for i in x: pass",
    "while x: pass",
    "with x: pass",
    "global x",
    "del x",
    "raise x",
    "return x",
    "assert x",
    "x[i]",
    "y[i] = __x[i]",
    "y[__class__] = x[__class__]",
    "__builtins__ = x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_listed_is_refused(text, monkeypatch):
    """Python that is no formula gets one clear error; none of it is run."""

    def touched(*_):
        raise AssertionError("something was run")

    monkeypatch.setattr(os, "system", touched)
    monkeypatch.setattr(builtins, "eval", touched)
    with pytest.raises(NotationError, match="line 1"):
        parse(text)


HUGE = {
    "y = 9**9**9**9": "at most 1000",
    "y = 2**1001": "at most 1000",
    "y = x**(1000*1000)": "at most 1000",
    "y = 2**(1000 - -1000)": "at most 1000",
    "y = ((2**1000)**1000)**1000": "more than 4000 bits",
    "y = " + "*".join(["9**999"] * 9): "more than 4000 bits",
    "y = 1/3**999/3**999/3**999": "more than 4000 bits",
    "y = 1e999": "at most 40 digits",
    "y = " + "9" * 50: "at most 40 digits",
    "y = " + "(" * 300 + "1" + ")" * 300: "nested",
    "y = " + "-" * 9000 + "1": "nested",
    "y = 1" + "+1" * 5000: "nested",
    "y = " + "exp(" * 70 + "1" + ")" * 70: "nested",
    "y = " + "-" * 90_000 + "1": "at most 20000 characters",
    "y[i] = x[i]\n" * 100_000: "at most 20000 characters",
    "y = " + "x" * 30_000: "at most 20000 characters",
}


@pytest.mark.parametrize("text", HUGE, ids=lambda text: text[:20].strip())
def test_what_is_too_large_is_refused(text):
    """Long, deep, or with numbers that grow: refused before anything is worked out."""
    with pytest.raises(NotationError, match=HUGE[text]):
        parse(text)


def test_large_attributes_are_no_way_around():
    """A number that comes as an attribute is held to the same limits."""
    with pytest.raises(NotationError, match="at most 1000"):
        parse("y[i] = x[i]**k", {"k": 10**9})
    with pytest.raises(NotationError, match="bits"):
        parse("y[i] = x[i]*k**999", {"k": 10**6})


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_a_clear_error(text):
    """Nothing but `NotationError` comes out of the parser."""
    with contextlib.suppress(NotationError):
        parse(text)


TOKENS = [
    *"xyij[](),+-*/:.=<>",
    "\n",
    " ",
    "**",
    "//",
    "...",
    "sum",
    "exp",
    "where",
    "dim",
    "1",
    "0.5",
    "assert ",
    "not ",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=25).map("".join))
def test_any_tokens_are_a_formula_or_a_clear_error(text):
    """The same for texts made of what formulas are made of."""
    with contextlib.suppress(NotationError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("y[i] = x[j]", "index j is not bound: put it on the left side or into a reduction", 10),
        ("y[i, i] = x[i]", "index i is already bound here", 6),
        ("y[n] = sum[n](x[n])", "index n is already bound here", 12),
        ("y[n] = sum[i](x[n, i]", "was never closed", 14),
        ("y[n] = total[i](x[n, i])", "expected a reduction", 8),
        ("y[n] = sum[i](x[i], 3)", "takes one expression in parentheses, got 2", 8),
        ("y[n] = mean(x[n])", "mean runs over indices", 8),
        ("y[n] = where(x[n], 1)", "where takes 3 argument", 8),
        ("y[n] = exp()", "exp takes 1 argument", 8),
        ("y[n] = max(x[n])", "max takes two or more arguments, got 1", 8),
        ("y[n] = x[...]", "'...' is not bound", 10),
        ("y[n] = x[n]*n[0]", "n is an index and cannot have subscripts", 13),
        ("y[n] = sum[i](exp)", "exp cannot be the name of a tensor", 15),
        ("sum[n] = x[n]", "expected a tensor name with indices", 1),
        ("y[exp] = x[exp]", "exp cannot be the name of an index", 3),
        ("y[0.5] = x[0]", "a subscript is an integer expression", 3),
        ("y[n] = x[n/2]", "a subscript is an integer expression", 10),
        ("y[n] = x[exp(n)]", "a subscript is an integer expression", 10),
        ("y[i:x[0]] = 1", "a size is a whole number above 0", 5),
        ("y[i:0] = 1", "a size is a whole number above 0", 5),
        ("y[i:-3] = 1", "a size is a whole number above 0", 5),
        ("y[i:2.5] = 1", "a size is a whole number above 0", 5),
        ("y[i:2:3] = 1", "expected 'index:size'", 3),
        ("y = dim(x)", r"expected dim\(tensor, axis\)", 5),
        ("y = dim(x, 1.5)", "is a whole number or", 5),
        ("y[x] = x[x]", "x is an index and cannot have subscripts", 8),
    ],
)
def test_errors_point_into_the_line(text, message, column):
    """What is wrong, in which line and column, with the line and a mark under it."""
    with pytest.raises(NotationError, match=message) as caught:
        parse(text)
    first, line, mark = str(caught.value).splitlines()
    assert first.startswith(f"line 1, column {column}:")
    assert line == f"  {text}"
    assert mark.index("^") == column + 1


def test_errors_name_the_line():
    """In a text of several lines, the one that is meant, and the column in it."""
    with pytest.raises(NotationError, match=r"line 2, column 13: index j is not bound") as caught:
        parse("m[i] = max[j](x[i, j])\ny[i] = x[i, j]*m[i]")
    assert "  y[i] = x[i, j]*m[i]" in str(caught.value)
    with pytest.raises(NotationError, match="line 2: y is defined twice"):
        parse("y[i] = x[i]\ny[j] = 2*x[j]")


def test_a_line_is_read_as_written():
    """Targets, indices, sums and elements; nothing is simplified."""
    formula = parse("y[n, o] = sum[i](x[n, i]*W[i, o]) + 0*b[o]")
    (line,) = formula.lines
    n, o, i = Index("n"), Index("o"), Index("i")
    product = Element("x", (n, i)) * Element("W", (i, o))
    assert line.target == "y"
    assert line.subscripts == (n, o)
    assert isinstance(line.value, Call)
    total, rest = line.value.arguments
    assert isinstance(total, Reduce)
    assert (total.kind, total.body, total.indices) == ("sum", product, (i,))
    assert rest == 0 * Element("b", (o,))
    assert formula.operands == ("x", "W", "b")
    assert formula.outputs == ("y",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y = 1 - 2 - 3", "1 - 2 - 3"),
        ("y = 1 - (2 - 3)", "1 - (2 - 3)"),
        ("y = 2**3**2", "2**3**2"),
        ("y = (2**3)**2", "(2**3)**2"),
        ("y = -2**2", "-2**2"),
        ("y = (-2)**2", "(-2)**2"),
        ("y = a/b/c*d", "a/b/c*d"),
        ("y = a/(b*c)", "a/(b*c)"),
        ("y = a // b % c", "a // b % c"),
        ("y = not a > b and c or d", "not a > b and c or d"),
        ("y = where(0 <= a < 5, a, b)", "where(0 <= a and a < 5, a, b)"),
        ("y = max(a, b, c)", "max(a, b, c)"),
        ("y = 0.1 + 1e-7", "0.1 + 1e-07"),
    ],
)
def test_python_precedence(text, expected):
    """Operators bind as in Python; printing puts parentheses only where they are needed."""
    assert expression_text(parse(text).lines[0].value) == expected


def test_numbers_are_exact():
    """A decimal is the decimal that was written, not the nearest binary fraction."""
    value = parse("y = 0.1").lines[0].value
    assert isinstance(value, Number)
    assert value.value * 10 == 1


def test_names_are_tensors_constants_or_attributes():
    """pi and inf; attributes: integers are put in, others stay symbols; all else are tensors."""
    formula = parse("y[i] = k*x[i]*r + pi + E + I + inf", {"k": 3, "r": 0.5})
    value = formula.lines[0].value
    text = expression_text(value)
    assert text == "3*x[i]*r + pi + E + I + inf"
    assert formula.operands == ("x", "E", "I")
    assert Constant("pi") in value.arguments[0].arguments[0].arguments[0].arguments
    assert Symbol("r") in value.arguments[0].arguments[0].arguments[0].arguments[0].arguments


def test_operands_come_in_order_of_first_appearance():
    """As read, from left to right, tensors in subscripts included."""
    formula = parse("y[n, e] = E[t[n], e] + b[e]\nz[n] = y[n, 0]*w[n]")
    assert formula.operands == ("E", "t", "b", "w")
    assert formula.outputs == ("z",)


def test_outputs_are_what_no_later_line_reads():
    """Or what is asked for; a name that no line defines is refused."""
    text = "m[n] = mean[i](x[n, i])\ny[n, i] = x[n, i] - m[n]\nv[n] = mean[i](x[n, i]**2)"
    assert parse(text).outputs == ("y", "v")
    assert parse(text, outputs=("m",)).outputs == ("m",)
    with pytest.raises(NotationError, match="output q is not defined"):
        parse(text, outputs=("q",))


def test_new_values_of_states():
    """A name with .new is a tensor of its own."""
    formula = parse("m.new[...] = b*m[...] + (1 - b)*g[...]", {"b": 0.9})
    assert formula.outputs == ("m.new",)
    assert formula.operands == ("m", "g")


def test_facts_are_no_equations():
    """An assert states an identity; alone it is no formula."""
    formula = parse("y[...] = sum[i](t[..., i]*x[..., i])\nassert sum[i](t[..., i]) == 1")
    assert len(formula.lines) == len(formula.facts) == 1
    with pytest.raises(NotationError, match="got no line at all"):
        parse("assert sum[i](t[i]) == 1")


def test_several_lines_may_define_parts():
    """A recurrence and its start; two beginnings of one tensor are refused."""
    assert len(parse("y[b, 0] = x[b, 0]\ny[b, t+1] = 0.9*y[b, t] + x[b, t+1]").lines) == 2
    assert len(parse("y[i] = a[i]\ny[dim(a, 0) + i] = b[i]").lines) == 2
    assert len(parse("d[v] = 0*x[v]\nd[t[n]] += g[n]").lines) == 2


def test_only_text_is_read():
    """Bytes, numbers and None are no formulas."""
    for other in (None, 3, b"y = 1", ["y = 1"]):
        with pytest.raises(NotationError, match="a formula is a string"):
            parse(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y[n] = sum(x[n, i])", r"sum runs over indices, which stand in brackets: sum\[i\]"),
        ("y[i] = expp(x[i])", "unknown function expp, perhaps exp is meant"),
        ("y[i] = ln(x[i])", r"unknown function ln: write log\(x\)"),
        ("y[i] = matmul(x[i], w[i])", r"unknown function matmul: write sum\[i\]"),
        ("y[i] = np.exp(x[i])", "exp stands alone, without a module"),
        ("y[i] = x[i].sum()", "sum stands alone"),
        ("y = x @ w", r"a matrix product is sum\[i\]"),
        ("y[i] = x[i]^2", r"a power is written x\*\*2"),
        ("y[i] = x[i] if x[i] > 0 else 0", "a choice is where"),
        ("y[i] = (x[i] > 0) & (x[i] < 1)", "conditions are joined with and"),
        ("y[i] = x.shape[i]", r"the size of an axis is dim\(x, 0\)"),
        ("y[n] = sum[n](x[n])", "give the reduction an index of its own"),
        ("y[i, i] = x[i]", r"a diagonal is where\(i == j"),
        ("y[...] = x[...]/sum[...](x[...])", r"a line of its own, such as s = sum\[...\]\(x"),
        ("y[i] = 1\ny[i] = 2", "defined twice, both times from its first element on"),
        ("y[i:3] = x[i**-1]", "a subscript is an integer expression"),
        ("d[t[i:3], j] += g[i:3, j]", "a subscript is an integer expression"),
    ],
)
def test_what_was_probably_meant_is_said(text, message):
    """What is written in another way elsewhere gets the notation's way in its error."""
    with pytest.raises(NotationError, match=message):
        parse(text)


def test_what_is_reduced_over_all_axes_has_a_line_of_its_own():
    """The rewriting that the error proposes."""
    formula = parse("s = sum[...](exp(x[...]))\ny[...] = exp(x[...])/s")
    assert formula.outputs == ("y",)


def test_a_power_in_a_subscript_is_a_product():
    """Positions are whole numbers, powers are real."""
    (power,), (product,) = (parse(f"y[i:3] = x[{s}]").lines for s in ("i**2", "i*i"))
    assert power.value == product.value


def test_data_on_the_left_side_may_declare_an_index():
    """Where an index stands alone nowhere else."""
    (line,) = parse("d[t[i:3], j] += g[j]").lines
    assert [(b.index.name, b.size) for b in line.declared] == [("j", None), ("i", Number(3))]
