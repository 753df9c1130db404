"""Printing: what is printed is read as the same formula again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.language.expression import Call, Element, Index, Number, canonical, expr, rebuild
from compiler.language.text import expression_text
from graphnn.catalogue import CATALOGUE
from graphnn.errors import ShapeError
from graphnn.notation import parse, resolve, resolved_text, symbolic
from graphnn.notation.limits import without_powers

import graphnn  # noqa: F401  isort: skip (fills the catalogue)

FORMULAS = {
    entry.name + ("" if k == 0 else f" variant {k}"): operation.formula
    for entry in CATALOGUE.values()
    for k, operation in enumerate(entry.operations())
}


def flat(e):
    """``a and (b and c)`` as ``a and b and c``: that is how both are printed."""
    if isinstance(e, Call) and e.function in ("and", "or"):
        parts = [flat(a) for a in e.arguments]
        inner = [
            a.arguments if isinstance(a, Call) and a.function == e.function else (a,) for a in parts
        ]
        return Call(e.function, tuple(b for a in inner for b in a))
    return rebuild(e, flat)


def same(one, other):
    """Equal equations up to the names of bound indices, and to the order of indices in a sum such as 4*a + b."""
    assert len(one.equations) == len(other.equations)
    for a, b in zip(one.equations, other.equations, strict=True):
        assert (a.target, a.subscripts, a.accumulate) == (b.target, b.subscripts, b.accumulate)
        assert a.sizes == b.sizes
        assert flat(canonical(a.value)) == flat(canonical(b.value))
    assert one.shapes == other.shapes


@pytest.mark.parametrize("name", FORMULAS)
def test_symbolic_formulas_print_and_read_back(name):
    """Every operation of the catalogue: text -> symbolic -> text -> symbolic is where it began."""
    formula = FORMULAS[name]
    try:
        first = symbolic(formula)
    except ShapeError:
        pytest.skip("has no symbolic form")
    again = parse(resolved_text(first), ATTRIBUTES, formula.outputs)
    same(first, symbolic(again))
    assert resolved_text(symbolic(again)) == resolved_text(first)


@pytest.mark.parametrize("name", CATALOGUE)
def test_concrete_formulas_print_and_read_back(name):
    """The same at the sizes of every sample, with broadcasting written out."""
    entry = CATALOGUE[name]
    for operation in entry.operations():
        for shapes in entry.samples:
            first = resolve(operation.formula, shapes)
            again = parse(resolved_text(first), operation.attributes, operation.formula.outputs)
            same(first, resolve(again, shapes))


ATTRIBUTES = {
    name: 0.37
    for entry in CATALOGUE.values()
    for name, value in entry.operation.attributes.items()
    if value.denominator != 1
}

LEAVES = st.sampled_from(
    [
        Element("x", (Index("i"),)),
        Element("s", ()),
        Index("i"),
        expr(2),
        expr(0),
        Number(expr(0.5).value),
    ]
)
BINARY = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "<", "<=", "==", "!=", "and", "or", "max", "min"]
)
UNARY = st.sampled_from(["neg", "not", "exp", "sqrt", "abs", "floor"])


def grown(inner):
    return st.one_of(
        st.builds(lambda f, a, b: Call(f, (a, b)), BINARY, inner, inner),
        st.builds(lambda f, a: Call(f, (a,)), UNARY, inner),
        st.builds(lambda a, b, c: Call("where", (a, b, c)), inner, inner, inner),
        st.builds(lambda a, k: Call("**", (a, expr(k))), inner, st.integers(0, 4)),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(LEAVES, grown, max_leaves=12))
def test_any_expression_prints_and_reads_back(e):
    """Parentheses are exactly where they are needed: the same tree comes back (whole powers as products, where
    positions are compared)."""
    text = expression_text(e)
    assert without_powers(parse(f"y[i:3] = {text}").lines[0].value) == without_powers(flat(e))
