"""Functions on nodes: NumPy's values and shapes, NumPy's broadcasting, and the kinks as they were settled."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphnn as gn
from graphnn import functions

SIZES = st.integers(1, 4)


def numbers(shape, seed=0, low=-2.0, high=2.0):
    return np.random.default_rng(seed).uniform(low, high, shape)


def node(array, name):
    return gn.Input(array.shape, name, str(array.dtype))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("exp", np.exp),
        ("log", np.log),
        ("sqrt", np.sqrt),
        ("sin", np.sin),
        ("cos", np.cos),
        ("abs", np.abs),
        ("square", np.square),
        ("negative", np.negative),
        ("identity", lambda x: x),
    ],
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3, 2)])
def test_pointwise_functions_act_on_any_rank(name, other, shape):
    """One formula for every number of axes."""
    x = np.asarray(numbers(shape, low=0.1))
    found = gn.evaluate(getattr(functions, name)(a := node(x, "a")), {a: x})
    assert found.shape == shape
    assert np.allclose(found, other(x), rtol=1e-14)


@st.composite
def broadcastable(draw):
    """Two shapes that NumPy broadcasts."""
    full = draw(st.lists(SIZES, min_size=0, max_size=4))
    shapes = []
    for _ in range(2):
        kept = full[draw(st.integers(0, len(full))) :]
        shapes.append(tuple(1 if draw(st.booleans()) else n for n in kept))
    return shapes


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@settings(max_examples=60, deadline=None)
@given(broadcastable(), st.sampled_from(OPERATORS), st.sampled_from(["nodes", "left", "right"]))
def test_arithmetic_broadcasts_as_numpy(shapes, function, kind):
    """Nodes with nodes, arrays and numbers, on either side: the shape and the values of NumPy."""
    a, b = (np.asarray(numbers(s, k, 0.5, 2)) for k, s in enumerate(shapes))
    x, y = node(a, "x"), node(b, "y")
    left, right = (a if kind == "left" else x), (b if kind == "right" else y)
    found = function(left, right)
    given_arrays = {k: v for k, v in ((x, a), (y, b)) if k is left or k is right}
    expected = function(a, b)
    assert found.shape == expected.shape
    assert np.allclose(gn.evaluate(found, given_arrays), expected, rtol=1e-13)


@settings(max_examples=40, deadline=None)
@given(broadcastable())
def test_gradients_of_broadcast_operands_have_their_shapes(shapes):
    """An axis that was repeated is summed over: the adjoint of broadcasting."""
    a, b = (np.asarray(numbers(s, k, 0.5, 2)) for k, s in enumerate(shapes))
    x, y = node(a, "x"), node(b, "y")
    product = x * y
    gradients = gn.compute_gradients(gn.sum(product) if product.ndim else product, [x, y])
    ones = np.ones(np.broadcast_shapes(*shapes))
    for variable, other, own in ((x, b, a), (y, a, b)):
        full = ones * other
        extra = tuple(range(full.ndim - own.ndim))
        summed = full.sum(extra)
        kept = tuple(k for k, n in enumerate(own.shape) if n == 1)
        expected = summed.sum(kept, keepdims=True)
        found = gn.evaluate(gradients[variable], {x: a, y: b})
        assert found.shape == own.shape
        assert np.allclose(found, expected, rtol=1e-12)


def test_numbers_and_arrays_stand_beside_nodes():
    """2*x, x/2, 1 - x, x**2, array + x and array @ x; NumPy gives way to the node."""
    a = numbers((2, 3))
    x = node(a, "x")
    other = numbers((2, 3), 1)
    cases = {
        "2*x": (2 * x, 2 * a),
        "x/2": (x / 2, a / 2),
        "1 - x": (1 - x, 1 - a),
        "x**2": (x**2, a**2),
        "x**3": (x**3, a**3),
        "-x": (-x, -a),
        "array + x": (other + x, other + a),
        "array - x": (other - x, other - a),
        "np.float64 * x": (np.float64(2) * x, 2 * a),
        "array @ x": (other.T @ x, other.T @ a),
        "x @ array": (x @ other.T, a @ other.T),
    }
    for name, (found, expected) in cases.items():
        assert isinstance(found, gn.Node), name
        assert np.allclose(gn.evaluate(found, {x: a}), expected), name


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (1, 3, 4)),
        ((3,), (5, 3, 4)),
    ],
)
def test_matmul_is_numpys(left, right):
    """Vectors, matrices, stacks of matrices."""
    a, b = numbers(left), numbers(right, 1)
    x, y = node(a, "x"), node(b, "y")
    found = x @ y
    assert found.shape == (a @ b).shape
    assert np.allclose(gn.evaluate(found, {x: a, y: b}), a @ b)


AXES = [None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2), ()]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions_are_numpys(name, axis, keepdims):
    """All axes, one, or some; kept as size 1 or dropped."""
    a = numbers((2, 3, 4))
    x = node(a, "x")
    found = getattr(gn, name)(x, axis, keepdims=keepdims)
    expected = getattr(np, name)(a, axis=axis, keepdims=keepdims)
    assert found.shape == expected.shape
    assert np.allclose(gn.evaluate(found, {x: a}), expected)


@settings(max_examples=40, deadline=None)
@given(st.permutations([2, 3, 4, 1]), st.permutations(range(4)))
def test_transpose_is_numpys(shape, axes):
    """Any order of the axes."""
    a = numbers(tuple(shape))
    x = node(a, "x")
    assert np.array_equal(gn.evaluate(gn.transpose(x, axes), {x: a}), a.transpose(axes))
    assert np.array_equal(gn.evaluate(gn.transpose(x), {x: a}), a.T)


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("shape", [(24,), (4, 6), (6, 4), (2, 3, 4), (-1, 8), (1, 24, 1), (3, -1)])
def test_reshape_is_numpys(batch, shape):
    """Row-major, the batch open or not, one size left open."""
    a = numbers((2, 2, 12))
    x = gn.Input((batch, 2, 12), "x", "float64")
    found = gn.reshape(x, (batch or 2, *shape) if batch else (None, *shape))
    assert np.array_equal(gn.evaluate(found, {x: a}), a.reshape(2, *shape))
    assert np.array_equal(gn.function([x], found)(a), a.reshape(2, *shape))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_is_numpys(axis):
    """Three nodes along any axis."""
    shapes = [[2, 3, 4] for _ in range(3)]
    for k, shape in enumerate(shapes):
        shape[axis] = k + 1
    arrays = [numbers(tuple(s), k) for k, s in enumerate(shapes)]
    nodes = [node(a, f"x{k}") for k, a in enumerate(arrays)]
    found = gn.concat(nodes, axis)
    expected = np.concatenate(arrays, axis)
    assert found.shape == expected.shape
    values = dict(zip(nodes, arrays, strict=True))
    assert np.array_equal(gn.evaluate(found, values), expected)


def test_arrays_stand_beside_nodes():
    """In a concatenation as in arithmetic; ``abs`` and unary minus are Python's own."""
    a = numbers((2, 3))
    x = node(a, "x")
    found = gn.evaluate([gn.concat([[[1], [2]], x], 1), abs(x), -x], {x: a})
    for value, expected in zip(found, [np.c_[[1, 2], a], abs(a), -a], strict=True):
        assert np.array_equal(value, expected)


def test_cast_changes_the_dtype_and_lets_the_gradient_back():
    """float32 to float64 and back; the gradient has the operand's dtype."""
    x = gn.Input((3,), "x")
    y = gn.cast(x, "float64")
    assert y.dtype == "float64"
    assert gn.cast(x, "float32") is x
    gradient = gn.compute_gradients(gn.sum(y * y), [x])[x]
    assert gradient.dtype == "float32"
    found = gn.evaluate(gradient, {x: np.array([1, 2, 3], "float32")})
    assert found.tolist() == [2, 4, 6]


def slope(function, *values):
    nodes = [gn.Input((1,), f"x{k}", "float64") for k in range(len(values))]
    gradients = gn.compute_gradients(gn.sum(function(*nodes)), nodes)
    arrays = {n: np.array([float(v)]) for n, v in zip(nodes, values, strict=True)}
    return [float(gn.evaluate(gradients[n], arrays)[0]) for n in nodes]


@pytest.mark.parametrize(
    ("function", "values", "slopes"),
    [
        (gn.relu, [0], [0]),
        (gn.functions.abs, [0], [0]),
        (gn.leaky_relu, [0], [0.01]),
        (gn.maximum, [2, 2], [0.5, 0.5]),
        (gn.minimum, [2, 2], [0.5, 0.5]),
        (gn.maximum, [2, 3], [0, 1]),
        (gn.sqrt, [0], [np.inf]),
        (lambda x: x**2, [0], [0]),
    ],
)
def test_slopes_at_kinks_are_as_settled(function, values, slopes):
    """relu'(0) = 0, |0|' = 0, the negative side of leaky relu, halves at a tie."""
    assert slope(function, *values) == slopes


def test_a_slope_that_nan_decides_is_zero():
    """The value is NaN and says so; of the two branches of a rectifier none is known to be taken."""
    x = gn.Input((4,), "x")
    y = gn.relu(x)
    nodes = [y, gn.compute_gradients(gn.sum(y), [x])[x]]
    given = np.array([np.nan, 0, -1, 2], "float32")
    for value, gradient in (gn.function([x], nodes)(given), gn.evaluate(nodes, {x: given})):
        np.testing.assert_array_equal(value, [np.nan, 0, 0, 2])
        np.testing.assert_array_equal(gradient, [0, 0, 0, 1])


def test_a_tie_in_a_maximum_over_an_axis_is_split():
    """Two largest elements get half of the gradient each."""
    x = gn.Input((4,), "x", "float64")
    gradient = gn.compute_gradients(gn.max(x), [x])[x]
    found = gn.evaluate(gradient, {x: np.array([1.0, 3, 3, 2])})
    assert found.tolist() == [0, 0.5, 0.5, 0]


X = gn.Input((None, 3, 4), "x")
REFUSALS = [
    (lambda: X + gn.Input((None, 3, 5)), gn.ShapeError, "has size 4 where that of b has 5"),
    (lambda: X + gn.Input((None, 3, 4), dtype="float64"), gn.DtypeError, "do not mix"),
    (lambda: X @ gn.Input((5, 2)), gn.ShapeError, "index i of W is 5, of x is 4"),
    (lambda: X @ 3, gn.ShapeError, "at least one axis on both sides"),
    (lambda: gn.sum(X, axis=3), gn.ShapeError, "x has 3 axes: there is no axis 3"),
    (lambda: gn.sum(3), gn.GraphnnError, "expected the operand of sum to be a node"),
    (lambda: gn.transpose(X, (0, 1)), gn.ShapeError, "is not an order of them"),
    (lambda: gn.reshape(X, (None, 5)), gn.ShapeError, "they do not fit"),
    (lambda: gn.reshape(X, (12, -1)), gn.ShapeError, "the batch stays the first axis"),
    (lambda: gn.concat([]), gn.GraphnnError, "at least one node"),
    (lambda: gn.concat([X, gn.Input((None, 3))]), gn.ShapeError, "has 2 axes, x has 3"),
    (lambda: gn.concat([X, gn.Input((None, 2, 4))]), gn.ShapeError, "axis 1 of"),
    (lambda: gn.cast(X, "float16"), gn.DtypeError, "float16"),
    (lambda: gn.transpose(gn.Input((2, 3)), (5, 0)), gn.ShapeError, "is not an order of them"),
    (lambda: gn.reshape(gn.Input((2, 3)), (2.5, 3)), gn.ShapeError, "sizes are whole numbers"),
    (lambda: gn.sum(X, axis=1.0), gn.ShapeError, "there is no axis 1.0"),
    (lambda: gn.op("y[i] = x[i]", dtype="float16"), gn.DtypeError, "float16"),
    (lambda: gn.op("y[i] = a*x[i]", a=float("nan")), gn.GraphnnError, "attribute a"),
    (lambda: gn.Input((2,), name=5), gn.GraphnnError, "a name is a string, got int"),
    (lambda: gn.transpose(X, 2), gn.ShapeError, "a sequence of them"),
    (lambda: gn.reshape(X, 12), gn.ShapeError, "12 is not a shape"),
    (lambda: gn.Input((2,), dtype=["float32"]), gn.DtypeError, "is not one of"),
    (lambda: gn.op("y[i:max(2, 3)] = x[0]*i"), gn.NotationError, "a size is a whole number"),
    (lambda: gn.op("y[i:dim(x, 0)**2] = x[0]*i"), gn.NotationError, "a size is a whole number"),
    (lambda: gn.explain(2 * X), gn.GraphnnError, "is not compiled"),
    (lambda: gn.function([X, X], 2 * X), gn.GraphnnError, "input x is given twice"),
    (lambda: X + "a", gn.GraphnnError, "must be a node, array or number, got str"),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSALS)
def test_what_does_not_fit_is_refused_at_once(build, error, message):
    """When the node would be made, with both shapes."""
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_extremes_of_two_are_exact(name):
    """At ties too: the largest numbers, the smallest, infinities and NaN, int32 beyond float's reach."""
    a = np.array([3e38, 1e-45, np.inf, -np.inf, np.nan, 1, 2], "float32")
    b = np.array([3e38, 1e-45, np.inf, -np.inf, 1, np.nan, 3], "float32")
    x, y = node(a, "x"), node(b, "y")
    found, expected = getattr(gn, name)(x, y), getattr(np, name)(a, b)
    assert np.array_equal(gn.evaluate(found, {x: a, y: b}), expected, equal_nan=True)
    assert np.array_equal(gn.function([x, y], found)(a, b), expected, equal_nan=True)
    whole = np.array([16777217, 3], "int32")
    i = node(whole, "i")
    found = getattr(gn, name)(i, i)
    assert found.dtype == "int32"
    assert gn.function([i], found)(whole).tolist() == whole.tolist()


@pytest.mark.parametrize("count", [17, 70, 300])
def test_any_number_of_parts(count):
    """What is written for many nodes meets no limit that is meant for text from outside."""
    x = gn.Input((2,), "x")
    found = gn.concat([float(k) * x for k in range(count)])
    gradient = gn.compute_gradients(gn.sum(found), [x])[x]
    a = np.array([1.0, 2.0], "float32")
    joined, slopes = gn.function([x], [found, gradient])(a)
    assert np.array_equal(joined, np.outer(np.arange(count), a).ravel().astype("float32"))
    assert slopes.tolist() == [count * (count - 1) / 2] * 2


def test_many_axes_have_names():
    """More axes than there are letters."""
    a = numbers((1,) * 15 + (2,))
    x = node(a, "x")
    assert gn.evaluate(gn.transpose(x), {x: a}).shape == a.T.shape
    assert gn.evaluate(gn.sum(x, axis=3), {x: a}).shape == a.sum(3).shape


def test_written_sizes_are_worked_out():
    """A power of numbers is a number."""
    assert gn.op("y[i:2**3] = x[0]*i")(gn.Input((3,))).shape == (8,)


def test_nodes_print_as_equations():
    """What is computed shows its formula, what is given its name and type."""
    x = gn.Input((None, 3), "x")
    y = gn.op("y[...] = exp(x[...])")(x)
    y.name = "y"
    assert str(x) == "x: f32[N, 3]"
    assert str(y) == str(y.formula) == "y[n, i] = exp(x[n, i])"
    assert repr(y) == "<Result y: f32[N, 3]>"


def test_positions_of_extremes_may_be_subscripts():
    """argmax of reals is a whole number; the gradient goes to the element that it points to."""
    a = np.array([[1, 5, 2], [7, 3, 3]], "float32")
    x = node(a, "x")
    y = gn.op("y[n] = x[n, argmax[k](x[n, k])]")(x)
    assert gn.function([x], y)(a).tolist() == [5, 7]
    gradient = gn.compute_gradients(gn.sum(y * y), [x])[x]
    assert gn.function([x], gradient)(a).tolist() == [[0, 10, 0], [14, 0, 0]]
    assert "#" not in str(gradient)
