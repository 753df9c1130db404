"""Gradients.

Nobody wrote the gradients of this guide. Each is derived from the formula of its operation by
differentiating one scalar expression and by a few laws of sums, in steps that can be printed. This
chapter shows the laws at work; every derivation of the other chapters names the ones it used.
"""

import graphnn as gn

from ..entry import Example, entry


@entry("The chain rule")
def chain_rule() -> Example:
    """The loss changes with an output by what arrives there, written g. Each place where an operand
    is read passes on g times the derivative at that place. Summing over all of them with the
    condition that it is the element asked for gives the gradient; the laws of sums then get rid of
    the condition.
    """
    scale = gn.op("y[n, i] = a[i]*x[n, i]", name="scale")
    yield gn.derivation(scale, wrt="a")
    return None


@entry("Through the output")
def through_the_output() -> Example:
    """The derivative of a sigmoid contains the sigmoid. Where an expression can be written with
    what the forward pass has computed already, it is: found by solving the formula for its parts,
    not by knowing its name.
    """
    steep = gn.op("y[...] = 1/(1 + exp(-k*x[...]))", name="steep", k=3)
    yield gn.derivation(steep)
    return None


@entry("A window turned around")
def windows() -> Example:
    """A weighted sum over a moving window reads `x[i + j]`. Solving `i + j = a` for `i` turns
    reading into reading the other way round: the gradient gathers what arrived at the windows that
    the element lay in, and scatters nothing.
    """
    smooth = gn.op("y[i] = sum[j](x[i + j]*k[j])", name="smooth")
    yield gn.derivation(smooth, wrt="x")
    return None


@entry("Backwards in time")
def recurrence() -> Example:
    """An equation that reads its own result one step before has a gradient that reads its own
    result one step later.
    """
    leaky = gn.op("y[0] = x[0]\ny[t + 1] = 0.9*y[t] + 0.1*x[t + 1]", name="leaky")
    yield gn.derivation(leaky)
    return None


@entry("Twice")
def twice() -> Example:
    """A gradient is a graph like any other and can be differentiated again."""
    x = gn.Input((1,), name="x")
    y = gn.sum(gn.tanh(x))
    first = gn.compute_gradients(y, wrt=[x])[x]
    second = gn.compute_gradients(gn.sum(first), wrt=[x])[x]
    yield gn.function([x], [y, first, second])([0.5])
    return None


@entry("Proved")
def proved() -> Example:
    """What is derived is checked: symbolically, by differentiating the written-out sums of small
    sizes, and by differences in 50-digit arithmetic.
    """
    x = gn.Input((2, 3), name="x")
    t = gn.Input((2, 3), name="t")
    loss = gn.categorical_crossentropy(t, gn.softmax(x))
    yield str(gn.check_gradients(loss, wrt=[x])).splitlines()[0]
    return loss
