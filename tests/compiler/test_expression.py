"""Expressions, integers and text: binding is respected, ranges are true, prints say what is meant."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.language.expression import (
    Binder,
    Call,
    Constant,
    Element,
    Expr,
    Index,
    Number,
    Reduce,
    Size,
    Symbol,
    calls,
    canonical,
    children,
    elements,
    expr,
    free_indices,
    fresh_index,
    rebuild,
    substitute,
    transform,
    walk,
)
from compiler.language.integers import (
    bounds,
    integer_difference,
    is_nonnegative,
    normalize,
    polynomial,
    simplify_integer,
)
from compiler.language.system import Equation, System, Tensor, reads
from compiler.language.text import decimal, expression_text

i, j, k, n = (Index(name) for name in "ijkn")
N = Size("x", 0)


def at(tensor: str, *subscripts: object) -> Element:
    """An element."""
    return Element(tensor, tuple(map(expr, subscripts)))


def total(body: Expr, *indices: Index, size: int = 5) -> Reduce:
    """A sum."""
    return Reduce("sum", body, tuple(Binder(index, expr(size)) for index in indices))


# --- expression -----------------------------------------------------------------------------------


def test_nothing_is_folded() -> None:
    """0*x and x - x stay as they are written: a NaN in x must survive."""
    x = at("x", i)
    assert (0 * x).arguments == (expr(0), x)
    assert x - x == Call("-", (x, x))
    assert expr(0.1) == Number(Fraction(1, 10))
    with pytest.raises(TypeError, match="expected an expression"):
        expr("x")


def test_children_and_rebuild_agree() -> None:
    """Rebuilding with the identity gives the node itself; children come left to right."""
    e = total(at("x", i + 1) * Call("where", (Call("<", (i, j)), k, N)), i)
    assert rebuild(e, lambda child: child) is e
    assert [type(part).__name__ for part in walk(e)][:4] == ["Reduce", "Call", "Element", "Call"]
    assert children(e) == (e.body, expr(5))
    assert list(elements(e)) == [at("x", i + 1)]
    assert transform(e, lambda part: j if part == i else part) != e


def test_free_indices_are_in_order() -> None:
    """Bound indices are not free; the others come in order of appearance."""
    e = at("x", n, k) + total(at("x", i, j), i) * at("x", i)
    assert list(free_indices(e)) == [n, k, j, i]


def test_what_is_found_once_of_an_expression_is_true() -> None:
    """Functions, elements and free indices are those of all nodes, parents before children, asked once or twice."""
    x = Element("x", (i, Element("t", (j,))))
    e = Call("exp", (Reduce("sum", x * 2, (Binder(j, expr(3)),)),)) + x
    assert [type(node) for node in walk(e)][:4] == [Call, Call, Reduce, Call]
    for _ in range(2):
        assert calls(e) == {"+", "exp", "*"}
        assert [element.tensor for element in elements(e)] == ["x", "t", "x", "t"]
        assert list(free_indices(e)) == [i, j]
        assert calls(i) == frozenset()


def test_substitute_does_not_capture() -> None:
    """Putting i for j inside sum[i] renames the bound index, never the one put in."""
    e = substitute(total(at("x", i, j), i), {j: i})
    assert free_indices(e) == {i: None}
    assert expression_text(e) == "sum[i2:5](x[i2, i])"
    assert substitute(total(at("x", i), i), {i: j}) == total(at("x", i), i)
    assert substitute(at("x", i), {at("x", i): expr(1)}) == expr(1)


def test_canonical_forgets_names() -> None:
    """Expressions equal up to the names of bound indices compare equal, others do not."""
    one = total(at("x", i, n) * total(at("w", j, i), j), i)
    two = total(at("x", k, n) * total(at("w", i, k), i), k)
    assert one != two
    assert canonical(one) == canonical(two)
    swapped = total(at("x", k, n) * total(at("w", k, i), i), k)
    assert canonical(one) != canonical(swapped)
    assert canonical(total(at("x", i), i)) != canonical(total(at("x", i), i, size=4))


def test_fresh_index() -> None:
    """The first free name."""
    assert fresh_index("i", {}) == i
    assert fresh_index("i", {i: None, Index("i2"): None}) == Index("i3")


# --- integers -------------------------------------------------------------------------------------

SIZES = {i: expr(4), j: expr(3), k: expr(1)}


def value(e: Expr, point: Mapping[Expr, int]) -> int:
    """An integer expression by Python's own arithmetic; by zero everything is 0."""
    match e:
        case Number(number):
            return int(number)
        case Index():
            return point[e]
        case Call("neg", (a,)):
            return -value(a, point)
        case Call(function, (a, b)):
            left, right = value(a, point), value(b, point)
            if function in ("//", "%") and right == 0:
                return 0
            table = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
            table |= {"//": int.__floordiv__, "%": int.__mod__}
            return int(table[function](left, right))
    raise TypeError(e)


def integer_expression(random: Random, depth: int = 3) -> Expr:
    """A random expression of i, j and k with + - * // % and a minus sign."""
    if depth == 0 or random.random() < 0.2:
        return random.choice((i, j, k, expr(random.randint(-5, 5))))
    function = random.choice(("+", "-", "*", "//", "%", "neg"))
    left = integer_expression(random, depth - 1)
    if function == "neg":
        return -left
    divides = function in ("//", "%") and random.random() < 0.8
    right = expr(random.randint(1, 6)) if divides else integer_expression(random, depth - 1)
    return Call(function, (left, right))


EXPRESSIONS = st.randoms(use_true_random=False).map(integer_expression)


def points() -> list[dict[Expr, int]]:
    """All values of the indices."""
    ranges = [range(int(n.value)) for n in SIZES.values()]
    return [dict(zip(SIZES, p, strict=True)) for p in itertools.product(*ranges)]


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_simplified_integers_are_equal(e: Expr) -> None:
    """Normal form and simplification keep the value at every point."""
    normal, simple = normalize(e), simplify_integer(e, SIZES)
    for point in points():
        assert value(normal, point) == value(e, point)
        assert value(simple, point) == value(e, point)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_bounds_are_true(e: Expr) -> None:
    """No value lies outside the bounds; what is called nonnegative is."""
    values = [value(e, point) for point in points()]
    span = bounds(e, SIZES)
    if span is not None:
        low, high = (value(b, {}) for b in span)
        assert low <= min(values)
        assert max(values) <= high
    assert not is_nonnegative(e, SIZES) or min(values) >= 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((2 * i + j) // 2, "i + j // 2"),
        ((2 * i + k) // 2, "i"),
        ((2 * i + k) % 2, "k"),
        ((5 * i + j) % 5, "j"),
        (i + 1 - i, "1"),
        (3 - j, "3 - j"),
        ((4 * i + 7) // 4, "i + 1"),
        (N - 1 - (N - 2), "1"),
        (Call("//", (i, expr(0))), "i // 0"),
    ],
)
def test_normal_forms(before: Expr, after: str) -> None:
    """The usual subscripts become what one would write."""
    assert expression_text(simplify_integer(before, SIZES)) == after


def test_sizes_are_positive() -> None:
    """What is known of a size holds from 1 on: h + i stays inside x, a difference may not be told."""
    h = Index("h")
    sizes = {h: N - 2, i: expr(3)}
    assert is_nonnegative(N - 1 - (h + i), sizes)
    assert is_nonnegative(N - 1, {})
    assert not is_nonnegative(N - 2, {})
    assert is_nonnegative(N - 2, {}, [N - 3])
    assert integer_difference(2 * N + 1, N + N) == 1
    assert integer_difference(N, expr(1)) is None
    assert polynomial(N * N).coefficient(N) == polynomial(N)


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(3), "3"),
        (Fraction(1, 100), "0.01"),
        (Fraction(-5, 4), "-1.25"),
        (Fraction(1, 3), "1/3"),
        (Fraction(1, 10**8), "1e-08"),
        (Fraction(-25, 10**9), "-2.5e-08"),
    ],
)
def test_decimals(number: Fraction, text: str) -> None:
    """A number prints as the decimal it was written as; the text has its exact value."""
    assert decimal(number) == text
    assert Fraction(text) == number


@pytest.mark.parametrize(
    ("e", "text"),
    [
        (i - (j - k), "i - (j - k)"),
        (i - j - k, "i - j - k"),
        (-(i**2), "-i**2"),
        ((-i) ** 2, "(-i)**2"),
        (i ** (-j), "i**-j"),
        ((i**j) ** k, "(i**j)**k"),
        (i * (j / k), "i*(j/k)"),
        (i // j % k, "i // j % k"),
        (Number(Fraction(1, 3)) ** i, "(1/3)**i"),
        (Number(Fraction(-1)) ** i, "(-1)**i"),
        (
            Call("not", (Call("and", (Call("<", (i, j)), Call("==", (i, k)))),)),
            "not (i < j and i == k)",
        ),
        (Call("max", (expr(0), at("x"))), "max(0, x)"),
        (total(at("x", i, j), i, j), "sum[i:5, j:5](x[i, j])"),
        (Constant("pi") * Symbol("rate"), "pi*rate"),
        (Size("x", -1), "dim(x, -1)"),
    ],
)
def test_text(e: Expr, text: str) -> None:
    """Brackets stand just where Python needs them."""
    assert expression_text(e) == text


def parsed(node: ast.AST) -> Expr:
    """Python's own tree of an integer expression as ours."""
    match node:
        case ast.Expression(body):
            return parsed(body)
        case ast.Constant(int(number)):
            return expr(number)
        case ast.Name(name):
            return Index(name)
        case ast.UnaryOp(ast.USub(), operand):
            return -parsed(operand)
        case ast.BinOp(left, operator, right):
            symbols = {"Add": "+", "Sub": "-", "Mult": "*", "FloorDiv": "//", "Mod": "%"}
            return Call(symbols[type(operator).__name__], (parsed(left), parsed(right)))
    raise TypeError(node)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS)
def test_text_means_the_same_to_python(e: Expr) -> None:
    """Python's parser reads the text of an integer expression with the same value."""
    read = parsed(ast.parse(expression_text(e), mode="eval"))
    assert all(value(read, point) == value(e, point) for point in points())


def test_system_text() -> None:
    """A system prints its tensors, one equation a line with the sizes that cannot be seen, updates."""
    equation = Equation("y", (i,), (Binder(i, expr(4)),), total(at("x", i + k), k) + at("t", i))
    system = System(
        (
            Tensor("x", (8,), "float64", "input"),
            Tensor("t", (9,), "int32", "parameter"),
            Tensor("y", (4,)),
        ),
        (equation,),
        (("t", "y"),),
    )
    assert str(system).splitlines() == [
        "x: f64[8] input",
        "t: i32[9] parameter",
        "y[i:4] = sum[k:5](x[i + k]) + t[i]",
        "t <- y",
    ]
    assert [e.tensor for e in reads(equation)] == ["x", "t"]
    assert equation.extents == {i: 4}
    assert equation.is_plain
    assert system.names("input", "local") == ("x", "y")
