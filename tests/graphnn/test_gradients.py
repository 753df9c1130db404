"""Gradients of graphs: put together right from what the calculus derives for each operation."""

import numpy as np
import pytest

from graphnn.errors import DtypeError, GraphnnError, ShapeError
from graphnn.function import evaluate
from graphnn.functions import concat, exp, mean, sum
from graphnn.gradients import compute_gradients
from graphnn.graph.graph import Graph
from graphnn.graph.node import Input, Parameter
from graphnn.graph.operation import op


def parameter(*shape, name="w", seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return Parameter(values, name)


def slope(loss, node, values=None):
    """The gradient of ``loss`` by ``node``, by the interpreter."""
    return evaluate(compute_gradients(loss, [node])[node], values)


def difference(loss, node, values=None, step=1e-6):
    """Central differences of ``loss`` by the elements of a parameter."""
    found = np.zeros(node.value.shape)
    for index in np.ndindex(*node.value.shape):
        kept = node.value[index]
        ends = []
        for sign in (1, -1):
            node.value[index] = kept + sign * step
            ends.append(evaluate(loss, values))
        node.value[index] = kept
        found[index] = (ends[0] - ends[1]) / (2 * step)
    return found


def test_uses_of_one_node_add_up():
    """A node that feeds several operations gets the sum of what comes back from each."""
    w = parameter(3, 4)
    loss = sum(w * exp(w)) + mean(w**3) - sum(w / 2)
    assert np.allclose(slope(loss, w), difference(loss, w), rtol=1e-7, atol=1e-8)


def test_an_operand_used_twice_in_one_operation_adds_up():
    """The same node in two places of one formula."""
    w = parameter(3, 3)
    loss = sum(w @ w)
    assert np.allclose(slope(loss, w), difference(loss, w), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    "shapes", [((3, 1), (4,)), ((2, 1, 4), (3, 1)), ((5,), (2, 3, 5)), ((), (3,))]
)
def test_broadcast_operands_get_gradients_of_their_own_shape(shapes):
    """What broadcasting repeats, the gradient sums."""
    a, b = (
        parameter(*s, name=n, seed=k) for k, (s, n) in enumerate(zip(shapes, "ab", strict=True))
    )
    loss = sum((a * b + a - b) ** 2)
    gradients = compute_gradients(loss)
    for node in (a, b):
        found = evaluate(gradients[node])
        assert found.shape == node.value.shape
        assert np.allclose(found, difference(loss, node), rtol=1e-6, atol=1e-7)


def test_what_the_loss_does_not_depend_on_gets_an_explicit_zero():
    """It stays in the dict, with its shape."""
    w, other = parameter(2, 3), parameter(4, name="other")
    gradients = compute_gradients(sum(w), [other, w])
    assert list(gradients) == [other, w]
    assert evaluate(gradients[other]).tolist() == [0.0] * 4


def test_an_explicit_zero_needs_its_node_for_open_sizes_only():
    """Of fixed sizes it is a node that needs nothing to be given."""
    x, fixed, open_ = Input((2, 3), "x"), Input((4,), "z"), Input((None, 5), "w")
    found = compute_gradients(sum(x**2), [fixed, open_])
    assert Graph([found[fixed]]).inputs == [] and evaluate(found[fixed]).tolist() == [0, 0, 0, 0]
    assert Graph([found[open_]]).inputs == [open_]


def test_intermediate_nodes_and_inputs_have_gradients():
    """``wrt`` takes any float node."""
    x = Input((None, 3), dtype="float64")
    hidden = exp(x)
    loss = sum(hidden**2)
    gradients = compute_gradients(loss, [hidden, x])
    given = np.random.default_rng(0).normal(size=(2, 3))
    assert np.allclose(evaluate(gradients[hidden], {x: given}), 2 * np.exp(given))
    assert np.allclose(evaluate(gradients[x], {x: given}), 2 * np.exp(2 * given))


def test_gradients_can_be_differentiated_again():
    """d/dw of sum(v * dL/dw) is the Hessian times v."""
    w = parameter(4)
    loss = sum(exp(w) * w**2)
    first = compute_gradients(loss)[w]
    v = np.array([1.0, -2.0, 0.5, 3.0])
    second = evaluate(compute_gradients(sum(first * v), [w])[w])
    x = w.value
    assert np.allclose(second, v * np.exp(x) * (x**2 + 4 * x + 2), rtol=1e-12)


def test_integers_have_no_gradient():
    """Asking for it is an error that names the node."""
    t = Input((None,), "tokens", dtype="int32")
    table = parameter(5, 3)
    loss = sum(op("y[n, e] = E[t[n], e]")(table, t))
    with pytest.raises(DtypeError, match="tokens is i32"):
        compute_gradients(loss, [t])


def test_the_loss_must_be_a_scalar_float():
    """The message says what to do."""
    w = parameter(3)
    with pytest.raises(ShapeError, match="gn.mean or gn.sum"):
        compute_gradients(w * 2)
    with pytest.raises(GraphnnError, match="expected the loss to be a node"):
        compute_gradients(3.0)


def test_a_gather_has_a_scatter_as_gradient():
    """Rows used twice get the sum, rows not used get zero."""
    table = parameter(5, 2)
    tokens = Input((None,), dtype="int32")
    loss = sum(op("y[n, e] = E[t[n], e]")(table, tokens) * np.array([[1.0, 2.0]]))
    found = slope(loss, table, {tokens: np.array([3, 1, 3], "int32")})
    assert found.tolist() == [[0, 0], [1, 2], [0, 0], [2, 4], [0, 0]]


def test_parts_of_a_concatenation_get_their_parts_back():
    """Each operand its own slice."""
    a, b = parameter(2, 3, name="a"), parameter(2, 2, name="b", seed=1)
    weights = np.arange(10.0).reshape(2, 5)
    gradients = compute_gradients(sum(concat([a, b]) * weights))
    assert evaluate(gradients[a]).tolist() == weights[:, :3].tolist()
    assert evaluate(gradients[b]).tolist() == weights[:, 3:].tolist()


def test_a_recurrence_has_its_gradient():
    """Back-propagation through time falls out of the formula."""
    x = parameter(2, 6, name="x")
    smooth = op("y[b, 0] = x[b, 0]\ny[b, t+1] = 0.9*y[b, t] + 0.1*x[b, t+1]**2")
    loss = sum(smooth(x) ** 2)
    assert np.allclose(slope(loss, x), difference(loss, x), rtol=1e-7, atol=1e-9)


def test_the_graph_of_gradients_does_not_grow_with_depth_squared():
    """A chain of n operations has a gradient graph of O(n) applications."""
    counts = []
    for depth in (10, 20, 40):
        node = w = parameter(3)
        for _ in range(depth):
            node = exp(node)
        graph = Graph(compute_gradients(sum(node), [w]).values())
        counts.append(len(graph.applications))
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])
