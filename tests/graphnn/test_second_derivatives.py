"""Gradients of gradients: what is derived is a formula like any other."""

import numpy as np
import pytest

from graphnn.catalogue import CATALOGUE
from graphnn.functions import add, sum
from graphnn.gradients import compute_gradients
from graphnn.graph.node import Constant, Input, Parameter
from graphnn.graph.operation import op


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
