"""Ranges: every index gets the size that the operands' shapes give it, or the formula is refused in index terms."""

import numpy as np
import pytest

from compiler.language.expression import Symbol, expr
from compiler.language.text import equation_text, expression_text
from graphnn.errors import NotationError, ShapeError
from graphnn.notation import parse, resolve, symbolic

DENSE = "y[..., o] = sum[i](x[..., i]*W[i, o]) + b[o]"
CONV = "y[n, h, w, o] = sum[i, j, c](x[n, s*h + d*i, s*w + d*j, c]*K[i, j, c, o])"
SAME = "y[n, h:dim(x, 1), o] = sum[i, c](x[n, h + i - 1, c]*K[i, c, o])"


def shape_of(text, attributes=None, target=None, **shapes):
    formula = parse(text, attributes)
    found = resolve(formula, shapes).shapes[target or formula.outputs[-1]]
    return tuple(int(n.value) for n in found)


@pytest.mark.parametrize(
    ("text", "attributes", "shapes", "expected"),
    [
        ("y[...] = max(0, x[...])", {}, {"x": (2, 3)}, (2, 3)),
        ("y[...] = max(0, x[...])", {}, {"x": ()}, ()),
        (DENSE, {}, {"x": (5, 3), "W": (3, 4), "b": (4,)}, (5, 4)),
        (DENSE, {}, {"x": (2, 5, 3), "W": (3, 4), "b": (4,)}, (2, 5, 4)),
        (CONV, {"s": 1, "d": 1}, {"x": (2, 7, 8, 3), "K": (3, 2, 3, 4)}, (2, 5, 7, 4)),
        (CONV, {"s": 2, "d": 1}, {"x": (2, 7, 8, 3), "K": (3, 2, 3, 4)}, (2, 3, 4, 4)),
        (CONV, {"s": 2, "d": 2}, {"x": (2, 7, 8, 3), "K": (3, 2, 3, 4)}, (2, 2, 3, 4)),
        (SAME, {}, {"x": (2, 7, 3), "K": (3, 3, 4)}, (2, 7, 4)),
        ("y[n, [...]] = x[n, ...]", {}, {"x": (2, 3, 4, 5)}, (2, 60)),
        ("y[i, j] = x[3*i + j]", {}, {"x": (12,)}, None),
        ("y[i, j:3] = x[3*i + j]", {}, {"x": (12,)}, (4, 3)),
        ("y[3*i + j] = x[i, j]", {}, {"x": (4, 3)}, (12,)),
        ("y[n, e] = E[t[n], e]", {}, {"E": (10, 3), "t": (4,)}, (4, 3)),
        ("y[i] = a[i]\ny[dim(a, 0) + i] = b[i]", {}, {"a": (3,), "b": (4,)}, (7,)),
        ("y[b, 0] = x[b, 0]\ny[b, t+1] = y[b, t] + x[b, t+1]", {}, {"x": (2, 9)}, (2, 9)),
        ("y = sum[...](x[...])", {}, {"x": (2, 3)}, ()),
        ("y[i:4, j:2] = i*j", {}, {}, (4, 2)),
        ("y[n, i:k] = x[n]", {"k": 3}, {"x": (2,)}, (2, 3)),
    ],
)
def test_shapes_follow_from_the_formula(text, attributes, shapes, expected):
    """Plain axes, windows, fused axes, gathers, parts, recurrences."""
    if expected is None:
        with pytest.raises(NotationError, match="no range for index"):
            shape_of(text, attributes, **shapes)
    else:
        assert shape_of(text, attributes, **shapes) == expected


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("y[n] = a[n] + b[n]", {"a": (3,), "b": (4,)}, "index n of b is 4, of a is 3"),
        (DENSE, {"x": (5, 3), "W": (4, 2), "b": (2,)}, "index i of W is 4, of x is 3"),
        ("y[n] = x[n, 0]", {"x": (3,)}, "x has 1 axis, the formula gives it 2 subscripts"),
        ("y[n] = x[n]", {"x": (3, 2)}, "x has 2 axes, the formula gives it 1 subscript"),
        (DENSE, {"x": (), "W": (3, 2), "b": (2,)}, "x has 0 axes, the formula needs at least 1"),
        (
            "y[n] = sum[i](x[n + i]*k[i])",
            {"x": (2,), "k": (3,)},
            "needs 3 positions of x, whose axis has 2",
        ),
        ("y[n] = x[n] + dim(x, 4)", {"x": (3,)}, r"x has 1 axes: there is no dim\(x, 4\)"),
        (
            "y[...] = a[...] + b[...]",
            {"a": (2, 3), "b": (4,)},
            "'...' of a has size 3 where that of b has 4",
        ),
        ("y[n] = x[n]", {}, "no shape given for operand x"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_index_terms(text, shapes, message):
    """Both sizes, both tensors, the index."""
    with pytest.raises(ShapeError, match=message):
        resolve(parse(text), shapes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "y[i] = x[i]\ny[0] = 1",
            r"line 2: y\[i\] = ... and y\[0\] = ... overlap: y\[0\] \(for N = 1\) is",
        ),
        ("y[i//2] = x[i]", r"y\[0\] \(for N = 2\) is defined at i = 0 and again at i = 1"),
        ("y[i] = x[i]\ny[dim(x, 0) - 1] = 1", r"y\[0\] \(for N = 1\) is defined"),
        ("y[t[i]] = x[i]", "cannot be told: give y its size"),
        (
            "y[i] = x[i] + y[i]",
            r"no index carries this cycle in one direction: y\[i\] = x\[i\] \+ y\[i\]",
        ),
        ("y[i] = x[i] + y[i-1] + y[i+1]", "values depend on themselves"),
        (
            "s = sum[i](y[i])\ny[i] = x[i] + s",
            r"this cycle in one direction: s = .*; y\[i\] = x\[i\] \+ s",
        ),
    ],
)
def test_every_element_has_one_definition(text, message):
    """Overlaps and cycles that no index carries are refused for open sizes, with an example and a way out."""
    size = Symbol("N")
    formula = parse(text)
    with pytest.raises(NotationError, match=message):
        resolve(formula, dict.fromkeys(formula.operands, (size,)))


def test_parts_of_a_target_are_accepted_for_open_sizes():
    """One after the other, interleaved, fused, first step and recurrence."""
    size = Symbol("N")
    for text in (
        "y[i] = x[i]\ny[dim(x, 0) + j] = z[j]",
        "y[2*i] = x[i]\ny[2*i + 1] = -x[i]",
        "y[[i, j]] = x[i]*z[j]",
        "y[i//3, i % 3] = x[i]",
        "y[0] = 1\ny[i + 1] = y[i] + x[i]",
        "y[i:4] = 0\ny[i//2] += x[i]",
    ):
        formula = parse(text)
        resolve(formula, dict.fromkeys(formula.operands, (size,)))


def test_a_recurrence_may_run_along_two_indices():
    """What the outer index has passed may lie on either side of the inner one."""
    text = "y[i, j] = x[i, j] + y[i-1, j+1] + y[i, j-1]"
    assert shape_of(text, x=(3, 4)) == (3, 4)


def test_a_subscript_that_starts_below_zero_needs_a_size():
    """Which part of it is wanted cannot be guessed."""
    with pytest.raises((ShapeError, NotationError), match="h"):
        resolve(parse("y[h] = x[h - 1]"), {"x": (4,)})
    assert shape_of("y[h:dim(x, 0)] = x[h - 1]", x=(4,)) == (4,)


def test_sizes_may_be_symbols():
    """An open batch goes through windows, sums and fused axes as it is."""
    n = Symbol("N")
    shapes = {"x": (n, expr(8), expr(8), expr(3)), "K": tuple(map(expr, (3, 3, 3, 4)))}
    found = resolve(parse(CONV, {"s": 1, "d": 1}), shapes)
    assert found.shapes["y"] == (n, expr(6), expr(6), expr(4))
    flat = resolve(parse("y[n, [...]] = x[n, ...]"), {"x": found.shapes["y"]})
    assert flat.shapes["y"] == (n, expr(144))
    mean = resolve(parse("y = mean[n](x[n])"), {"x": (n,)})
    assert mean.equations[0].value.binders[0].size == n


# --- broadcasting ---------------------------------------------------------------------------------

BROADCAST = [
    ((64, 10), (10,), "y[n, i] = a[n, i] + b[i]"),
    ((10,), (64, 10), "y[n, i] = a[i] + b[n, i]"),
    ((64, 1), (64, 10), "y[n, i] = a[n, 0] + b[n, i]"),
    ((3, 1, 5), (2, 1), "y[n, t, i] = a[n, 0, i] + b[t, 0]"),
    ((2, 3), (), "y[n, i] = a[n, i] + b"),
    ((2, 1), (2, 1), "y[n, i] = a[n, i] + b[n, i]"),
]


@pytest.mark.parametrize(("a", "b", "expected"), BROADCAST)
def test_the_bundle_is_broadcast_from_the_right(a, b, expected):
    """An axis that is missing or 1 is read at 0, as in NumPy; the shapes are NumPy's."""
    found = resolve(parse("y[...] = a[...] + b[...]"), {"a": a, "b": b})
    assert equation_text(found.equations[0], found.shapes) == expected
    shape = tuple(int(n.value) for n in found.shapes["y"])
    assert shape == np.broadcast_shapes(a, b)


def test_written_indices_are_never_broadcast():
    """Only the bundle is: an index has one size."""
    with pytest.raises(ShapeError, match="index n of b is 1, of a is 3"):
        resolve(parse("y[n] = a[n] + b[n]"), {"a": (3,), "b": (1,)})


def test_the_bundle_stands_beside_indices():
    """Whatever is left of an operand's axes, before, between or behind those that are written."""
    found = resolve(parse("y[n, ..., c] = x[n, ..., c]*s[c]"), {"x": (2, 3, 4, 5), "s": (5,)})
    assert [int(n.value) for n in found.shapes["y"]] == [2, 3, 4, 5]
    found = resolve(parse("y[..., i] = x[..., i]/s[...]"), {"x": (4, 2, 3), "s": (1, 2)})
    assert equation_text(found.equations[0], found.shapes) == "y[n, t, i] = x[n, t, i]/s[0, t]"


def test_an_empty_bundle_is_no_index():
    """A vector where the formula allows a batch; a reduction over nothing is its body."""
    found = resolve(parse("y[i] = sum[...](x[..., i])"), {"x": (3,)})
    assert str(found.equations[0]) == "y[i:3] = x[i]"
    assert shape_of(DENSE, x=(3,), W=(3, 4), b=(4,)) == (4,)


# --- symbolic shapes ------------------------------------------------------------------------------


def test_symbolic_sizes_are_unified():
    """Sizes that must be equal are one symbol, the first tensor's; the bundle stays one index."""
    found = symbolic(parse(DENSE))
    assert [expression_text(n) for n in found.shapes["y"]] == ["dim(x, ...)", "dim(W, 1)"]
    assert [expression_text(n) for n in found.shapes["W"]] == ["dim(x, -1)", "dim(W, 1)"]
    assert [expression_text(n) for n in found.shapes["b"]] == ["dim(W, 1)"]


def test_symbolic_windows_depend_on_both_sizes():
    """A valid convolution is as long as what remains."""
    found = symbolic(parse("y[n] = sum[i](x[n + i]*k[i])"))
    assert expression_text(found.shapes["y"][0]) == "dim(x, 0) - dim(k, 0) + 1"


def test_what_is_computed_from_sizes_is_one_number():
    """Wherever it stands in a formula; of open sizes it is their sum or product."""
    formula = parse("y[n, i] = where(i == dim(x, 1) - 1, x[n, i]/(dim(x, 0)*dim(x, 1)*2), 0)")
    equations = resolve(formula, {"x": (6, 5)}).equations
    assert str(equations[0]) == "y[n:6, i:5] = where(i == 4, x[n, i]/60, 0)"
    equations = resolve(formula, {"x": (Symbol("N"), 5)}).equations
    assert str(equations[0]) == "y[n:N, i:5] = where(i == 4, x[n, i]/(10*N), 0)"
