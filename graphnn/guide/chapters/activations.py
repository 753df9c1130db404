"""Activations.

Two linear layers, one behind the other, are one linear layer: without something that is not linear
between them, depth would be worth nothing. An activation is that something, applied to each element
by itself.
"""

import numpy as np

import graphnn as gn

from ..entry import Example, entry
from ..figures import function_and_gradient, softmax_bars

GROUPS = ("activation",)

_CAPTION = "The function and its derived gradient, both computed by the compiled formula."


@entry("ReLU", function_and_gradient, _CAPTION)
def relu() -> Example:
    """Passes what is positive, and nothing else. Cheap, and its gradient is 1 over half of the
    range, so it does not fade with depth: the usual choice for hidden layers. A unit whose input is
    negative for every sample gets no gradient any more and is lost. At 0 the gradient is 0.
    """
    x = gn.Input((None,), name="x")
    y = gn.relu(x)
    yield gn.function([x], y)(np.array([-2, -1, 0, 1, 2]))
    return y


@entry("Leaky ReLU", function_and_gradient, _CAPTION)
def leaky_relu() -> Example:
    """Lets a small share of negative values through, by default a hundredth, so that no unit is
    lost.
    """
    x = gn.Input((None,), name="x")
    y = gn.leaky_relu(x)
    yield gn.function([x], y)(np.array([-2, -1, 0, 1, 2]))
    return y


@entry("Sigmoid", function_and_gradient, _CAPTION)
def sigmoid() -> Example:
    """Any number becomes one between 0 and 1, to be read as a probability: the output of a
    classifier of two classes, the gates of an [LSTM](layers.html#lstm). Its gradient is at most
    1/4, and vanishes at both ends; a chain of ten has at most a millionth of it.
    """
    x = gn.Input((None,), name="x")
    y = gn.sigmoid(x)
    yield gn.function([x], y)(np.array([-10, -1, 0, 1, 10]))
    return y


@entry("Tanh", function_and_gradient, _CAPTION)
def tanh() -> Example:
    """A sigmoid stretched to the range from -1 to 1: its values have both signs, which suits hidden
    layers better, and its gradient reaches 1. It still vanishes at both ends.

    Written as it stands, the quotient overflows at x = 100. The compiler puts an equal form in its
    place, for formulas of your own too.
    """
    x = gn.Input((None,), name="x")
    y = gn.tanh(x)
    yield gn.function([x], y)(np.array([-100, -1, 0, 1, 100]))
    return y


@entry("Softmax", softmax_bars, "Logits and the probabilities that softmax makes of them.")
def softmax() -> Example:
    """Many scores become probabilities of sum 1. Each output depends on all inputs, so its gradient
    is a matrix; the derivation never writes that matrix down. It has [a chapter of its
    own](softmax.html).
    """
    logits = gn.Input((1, 3), name="logits")
    y = gn.softmax(logits)
    yield gn.function([logits], y)([[2.0, 1.0, 0.1]])
    return y


@entry("Linear", function_and_gradient, _CAPTION)
def linear() -> Example:
    """No activation at all: for the output of a regression, which may be any number."""
    x = gn.Input((None,), name="x")
    y = gn.linear(x)
    yield gn.function([x], y)(np.array([-2, 0, 2]))
    return y
