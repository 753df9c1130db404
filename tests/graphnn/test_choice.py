"""Training and inference are two graphs made from one: a choice is followed to one side."""

import numpy as np
import pytest

from graphnn.errors import ShapeError
from graphnn.function import evaluate, function
from graphnn.functions import mean, sum
from graphnn.gradients import compute_gradients
from graphnn.graph.graph import Graph
from graphnn.graph.node import Choice, Input, Parameter
from graphnn.optimizers import SGD


def doubled_in_training():
    """3*x in training, x in inference; a counter moves with every training step."""
    x = Input((None, 2), "x")
    count = Parameter(np.zeros((), "float32"), "count", trainable=False)
    return x, count, Choice(3 * x, x, {count: count + 1})


def test_a_graph_follows_one_side():
    """Values and nodes of the other side do not appear."""
    x, _, y = doubled_in_training()
    given = np.ones((1, 2), "float32")
    assert evaluate(sum(y), {x: given}) == 2
    assert evaluate(sum(y), {x: given}, training=True) == 6
    assert len(Graph([sum(y)]).applications) == 1
    assert len(Graph([sum(y)], training=True).applications) == 2


def test_gradients_flow_through_the_training_side():
    """The backward graph belongs to training."""
    x, _, y = doubled_in_training()
    w = Parameter(np.ones(2, "float32"), "w")
    loss = sum(y * w)
    gradient = compute_gradients(loss)[w]
    assert evaluate(gradient, {x: np.ones((1, 2))}, training=True).tolist() == [3, 3]


def test_gradients_of_inference_flow_through_its_side():
    """The slope of what is predicted, whichever graph it is computed in."""
    x, _, y = doubled_in_training()
    w = Parameter(np.ones(2, "float32"), "w")
    gradient = compute_gradients(sum(y * w), training=False)[w]
    for training in (False, True):
        assert evaluate(gradient, {x: np.ones((1, 2))}, training=training).tolist() == [1, 1]


def test_changes_happen_with_updates_and_not_without():
    """Statistics move only in training steps."""
    x, count, y = doubled_in_training()
    w = Parameter(np.ones(2, "float32"), "w")
    loss = mean((y * w) ** 2)
    given = np.ones((4, 2), "float32")
    predict = function([x], loss)
    look = function([x], loss, training=True)
    train = function([x], loss, SGD(0.1).apply_gradients(compute_gradients(loss)))
    assert predict(given) == pytest.approx(1)
    assert look(given) == pytest.approx(9)
    assert count.value == 0
    assert train(given) == pytest.approx(9)
    train(given)
    assert count.value == 2


def test_both_sides_have_one_shape():
    """The error names both."""
    x = Input((None, 2), "x")
    with pytest.raises(ShapeError, match="in training, but"):
        Choice(x, sum(x))
