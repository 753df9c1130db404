"""Softmax.

From scores to probabilities. A network for several classes ends with one number for each class, its
*logits*; softmax makes a distribution of them: every entry positive, all together 1, and the order
kept.
"""

import numpy as np

import graphnn as gn

from ..entry import Example, entry
from ..figures import softmax_bars, temperatures

GROUPS = ("activation", "loss")


@entry("Three classes", softmax_bars, "What goes in, and what comes out.")
def example() -> Example:
    """Of the logits 2, 1 and 0.1 the first class gets 65.9 %, the second 24.2 %, the third 9.9 %."""
    logits = gn.Input((1, 3), name="logits")
    p = gn.softmax(logits)
    probabilities = gn.function([logits], p)([[2.0, 1.0, 0.1]])
    yield probabilities.round(3)
    yield probabilities.sum()
    return p


@entry("Why the exponential", temperatures, "Three classes, logits divided by a temperature.")
def exponential() -> Example:
    """It is positive, whatever the sign of a score. It turns differences into ratios: a score that
    is larger by 1 has *e* times the probability, and adding the same to all scores changes nothing.
    And it sharpens: dividing the logits by a *temperature* before makes the distribution flatter or
    more pointed.
    """
    logits = gn.Input((None, 3), name="logits")
    softmax = gn.function([logits], gn.softmax(logits))
    yield softmax([[2.0, 1.0, 0.1], [12.0, 11.0, 10.1]])
    p = softmax([[2.0, 1.0, 0.1]])[0]
    yield p[0] / p[1]
    return None


@entry("Large logits")
def large_logits() -> Example:
    """The exponential of 1000 is more than a float can hold, and infinity divided by infinity is
    not a number. The formula is right, its evaluation is not. The first stage of the compiler
    rewrites such formulas into equal ones that are safe: here it subtracts the largest logit of the
    row. It does so for what it sees, not for the name: the same formula written by hand is treated
    in the same way.
    """
    logits = gn.Input((1, 3), name="logits")
    by_hand = gn.op("y[n, i] = exp(x[n, i])/sum[j](exp(x[n, j]))")
    softmax = gn.function([logits], by_hand(logits))
    yield softmax([[1000.0, 999.0, -1000.0]])
    yield gn.explain(softmax, "stabilize").splitlines()[-1]
    return None


@entry("Softmax and cross-entropy")
def with_cross_entropy() -> Example:
    """Together with the loss that follows it, the gradient becomes as simple as can be: what was
    predicted minus what is true. Losses take logits for that reason: `from_logits=True` makes one
    formula of both.
    """
    x = gn.Input((32, 3), name="logits")
    t = gn.Input((32, 3), name="truth")
    loss = gn.categorical_crossentropy(t, x, from_logits=True)
    yield gn.compute_gradients(loss, wrt=[x])[x].type
    return loss


@entry("Where it is used")
def uses() -> Example:
    """As the last step of a classifier; inside [attention](layers.html#multi-head-attention), where
    scores between places become weights; as the policy of an agent that learns by reward, where
    values of actions become probabilities of taking them.
    """
    scores = np.array([[4.0, 3.0, -2.0, 0.0]], "float32")
    logits = gn.Input((1, 4), name="scores")
    yield gn.function([logits], gn.softmax(logits))(scores)
    return None
