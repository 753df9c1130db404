"""Gradients of gradients: what is derived is a formula like any other."""

import numpy as np
import pytest

from graphnn.activations import softmax
from graphnn.catalogue import CATALOGUE
from graphnn.errors import ShapeError
from graphnn.function import evaluate
from graphnn.functions import add, sum
from graphnn.gradients import compute_gradients
from graphnn.graph.node import Constant, Input, Parameter
from graphnn.graph.operation import op
from graphnn.verification import check_gradients


def squares(nodes):
    """The sum of all elements squared."""
    total = None
    for node in nodes:
        part = sum(node * node)
        total = part if total is None else add(total, part)
    return total


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_operation_has_second_derivatives(name):
    """Of the shape of what is differentiated by, kinks and recurrences included."""
    entry = CATALOGUE[name]
    operation = entry.operations()[0]
    nodes = {}
    for operand, shape in entry.samples[0].items():
        whole = isinstance(entry.domains.get(operand), int)
        value = np.zeros(shape, "int32") if whole else np.full(shape, 0.5)
        nodes[operand] = Constant(value) if whole else Parameter(value, operand)
    results = operation(**nodes)
    smooth = [
        r for r in (results if isinstance(results, tuple) else (results,)) if r.dtype == "float64"
    ]
    wanted = [n for n in nodes.values() if isinstance(n, Parameter)]
    if smooth and wanted:
        first = compute_gradients(squares(smooth), wanted)
        second = compute_gradients(squares(first.values()), wanted)
        assert [g.shape for g in second.values()] == [n.shape for n in wanted]


def test_a_gradient_has_the_shape_of_what_it_is_a_gradient_by():
    """What is scattered beyond the end is dropped, as what is read there is zero."""
    table = Parameter(np.ones((4, 5)), "E")
    rows = op("y[i:4, j] = E[i + 2, t[j]]")(table, Input((3,), dtype="int32"))
    assert compute_gradients(sum(rows * rows), [table])[table].shape == (4, 5)


@pytest.mark.parametrize(
    "text",
    [
        "y[i:3, j] = E[t[i], j]",
        "y[j] = sum[i:3](E[t[i], j])",
        "y[j] = sum[i:3](E[t[i + 1], j])",
        "y[i:2, j] = E[t[2*i], j]*E[t[i], j]",
        "y[i:3, k:3] = E[t[i], k]*E[t[k], i]",
    ],
)
def test_a_gather_may_use_a_part_of_its_data(text):
    """The scatter of its gradient runs over the same part, and so on."""
    table = Parameter(np.arange(12.0).reshape(4, 3) / 8, "E")
    rows = op(text)(E=table, t=Constant(np.array([1, 1, 0, 3, 3], "int32")))
    first = compute_gradients(sum(rows**3), [table])[table]
    check_gradients(sum(first * first)).assert_ok()


def test_a_bundle_in_two_roles_is_derived_for_the_axes_it_has():
    """The product of all others: where ``...`` cannot say "all others", the axes are counted."""
    x = Parameter(np.array([[2.0, 3.0], [5.0, 7.0]]), "x")
    found = compute_gradients(op("y = prod[...](x[...])")(x), [x])[x]
    assert evaluate(found).tolist() == [[105, 70], [42, 30]]


def test_conditions_have_no_gradient():
    """A truth value as the only operand: the gradient is an explicit zero, not an error."""
    x, w = Input((3,), dtype="bool"), Parameter(np.ones(3, "float32"), "w")
    loss = sum(op("y[i] = where(x[i], 3, 7)")(x) * w)
    assert compute_gradients(loss, [w])[w].shape == (3,)


def test_a_remainder_has_slope_one():
    """x % b is x - b*floor(x/b), whose jumps count for nothing."""
    x = Parameter(np.array([0.3, 1.0, -2.0]), "x")
    loss = sum(op("y[i] = x[i]*(x[i] % 0.7)")(x))
    wanted = x.value + x.value % 0.7
    assert np.allclose(evaluate(compute_gradients(loss, [x])[x]), wanted)
    assert check_gradients(loss).ok


def test_gradients_of_gradients_are_verified():
    """Operands of which only the size matters have sizes too."""
    x = Parameter(np.array([0.3, -0.7, 1.1]), "x")
    gradient = compute_gradients(sum(softmax(x) ** 2), [x])[x]
    assert check_gradients(sum(gradient * gradient)).ok


def test_a_sum_over_an_index_of_the_recurrence_has_a_gradient():
    """The size of an index that only a tensor still to come would say is written out."""
    x = Parameter(np.ones((2, 3)), "x")
    y = op("y[i:4, j] = x[i//2, j] + sum[k:3](y[i - 1, k])")(x)
    assert compute_gradients(sum(y * y), [x])[x].shape == (2, 3)


def test_the_line_without_a_range_is_the_one_that_is_shown():
    """The first line that waits, with its own index."""
    with pytest.raises(ShapeError, match="index k: [^:]*:size\n  z"):
        op("z[k] = 1\ny[a] = z[0]")()
