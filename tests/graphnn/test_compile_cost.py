"""What compiling costs grows with the number of distinct layers, not faster."""

import numpy as np

import compiler
from compiler.options import Options
from graphnn.functions import mean
from graphnn.gradients import compute_gradients
from graphnn.graph.lower import lower
from graphnn.graph.node import Input
from graphnn.layers import Dense
from graphnn.optimizers import SGD


def sizes_of_stages(depth: int) -> np.ndarray:
    """Lines of equations, of loops and of LLVM code of a training step with ``depth`` different layers."""
    x = Input((4, 5))
    y = x
    for k in range(depth):
        y = Dense(24 - k, activation="tanh")(y)
    loss = mean(y**2)
    updates = SGD(0.1).apply_gradients(compute_gradients(loss)).new_values
    lowered = lower([loss], updates, training=True)
    executable = compiler.compile(lowered.system, Options(cache="off", threads=1))
    stages = ("hoist", "schedule", "emit")
    return np.array([executable.explain(stage).count("\n") for stage in stages])


def test_code_grows_linearly_with_distinct_layers():
    """Twelve layers more cost at most twice what the six before them cost, and a tenth."""
    small, middle, large = (sizes_of_stages(depth) for depth in (6, 12, 24))
    assert np.all(middle > small)
    assert np.all(large - middle <= 2.2 * (middle - small))
