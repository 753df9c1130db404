"""Optimizers.

The gradient says in which direction the loss grows; an optimizer decides how far to go the other
way. Each is a formula for the new value of a weight `w` from its gradient `g`, the step size `a`,
and whatever it remembers of the steps before.
"""

import numpy as np

import graphnn as gn
from graphnn import optimizers

from ..entry import Example, entry
from ..figures import decays, path, rates

GROUPS = ("optimizer", "schedule")

_CAPTION = "Fifty steps down the same narrow valley, in grey those of plain SGD."


@entry("SGD", path("SGD", lambda: optimizers.SGD(0.09)), "Fifty steps down a narrow valley.")
def sgd() -> Example:
    """*Stochastic gradient descent*: a step against the gradient of a batch. In a narrow valley it
    swings from side to side while it creeps along the bottom. Typical rates are 0.01 to 0.1.
    """
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    updates = optimizers.SGD(0.1).apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry("Momentum", path("Momentum", lambda: optimizers.SGD(0.02, momentum=0.9)), _CAPTION)
def momentum() -> Example:
    """Steps add up to a velocity `m`, of which each step keeps a share. What points the same way
    again and again grows, what changes its sign cancels.
    """
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    sgd = optimizers.SGD(0.02, momentum=0.9)
    updates = sgd.apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry(
    "Nesterov momentum",
    path("Nesterov momentum", lambda: optimizers.SGD(0.02, 0.9, nesterov=True)),
    _CAPTION,
)
def nesterov() -> Example:
    """Momentum that looks ahead: the velocity is applied once more before the gradient is, which
    brakes earlier.
    """
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    sgd = optimizers.SGD(0.02, momentum=0.9, nesterov=True)
    updates = sgd.apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry("RMSprop", path("RMSprop", lambda: optimizers.RMSprop(0.15)), _CAPTION)
def rmsprop() -> Example:
    """Each weight has a step size of its own: the gradient is divided by its typical size of late,
    `v` being a moving mean of its square. Steep and flat directions advance alike. It serves
    recurrent networks well, where gradients differ by orders of magnitude from step to step.
    """
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    updates = optimizers.RMSprop(0.1).apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry("Adam", path("Adam", lambda: optimizers.Adam(0.3)), _CAPTION)
def adam() -> Example:
    """Both: a moving mean of the gradient and one of its square. Both means start at zero and are
    too small at first; the step size makes up for that. It needs the least tuning, and 0.001 is a
    good start.
    """
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    updates = optimizers.Adam(0.1).apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry("AdamW", path("AdamW", lambda: optimizers.AdamW(0.3)), _CAPTION)
def adamw() -> Example:
    """Adam with *weight decay*: each step also takes a small share off every weight, whatever its
    gradient says, so that only weights that earn their size keep it. The usual choice for
    transformers.
    """
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    updates = optimizers.AdamW(0.1).apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry("Adagrad", path("Adagrad", lambda: optimizers.Adagrad(0.9)), _CAPTION)
def adagrad() -> Example:
    """The gradient divided by the root of the sum of all its squares so far: steps only become
    smaller, fastest for weights that have moved most. For rare features, and for little else since
    RMSprop forgets.
    """
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    updates = optimizers.Adagrad(0.5).apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry("One of your own")
def own() -> Example:
    """An optimizer is its formula, so yours is a line. Names other than `w`, `g` and `a` are states
    that are kept between steps; here there are none. This one looks at signs only.
    """
    signs = optimizers.Optimizer("w.new[...] = w[...] - a*sign(g[...])", learning_rate=0.5)
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    loss = gn.sum(w * w)
    updates = signs.apply_gradients(gn.compute_gradients(loss))
    step = gn.function([], loss, updates)
    yield [step() for _ in range(5)]
    return updates


@entry("Learning rate", rates, "The loss over 60 steps of SGD at four rates, logarithmic.")
def learning_rate() -> Example:
    """The most important number of all. Too small, and training crawls; too large, and each step
    overshoots by more than it gains, until the loss is not a number. Between the two a factor of
    ten is often all there is. It may be changed at any time: it is a tensor, and nothing is
    compiled again.
    """
    adam = optimizers.Adam()
    yield adam.learning_rate
    adam.learning_rate = 0.01
    yield adam.learning_rate
    return None


@entry("Schedules", decays, "Three schedules from 0.1 over 100 steps.")
def schedule() -> Example:
    """Large steps first, small ones towards the end. A schedule is a formula for the rate in the
    number `t` of steps done, and belongs to the graph like every other one.
    """
    rate = optimizers.schedules.CosineDecay(0.1, decay_steps=100)
    yield rate(0), rate(50), rate(100)
    w = gn.Parameter(np.array([4.0, -2.0]), "w")
    gradients = gn.compute_gradients(gn.sum(w * w))
    updates = optimizers.SGD(rate).apply_gradients(gradients)
    return updates


@entry("Batch size and epochs")
def batch_size() -> Example:
    """A step sees one batch; an *epoch* is all of the data once, so 60,000 samples in batches of 32
    are 1875 steps. The gradient of a small batch is noisy, which keeps training from settling too
    early; that of a large one is exact, and the epoch is faster. Common sizes are 32, 64 and 128.
    """
    samples, batch = 60_000, 32
    yield -(-samples // batch)
    return None
