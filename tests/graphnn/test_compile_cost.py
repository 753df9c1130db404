"""What compiling costs grows with the number of distinct layers, not faster; equal layers share their code."""

import numpy as np

import compiler
from compiler.options import Options
from compiler.scheduling.schedule import schedule
from graphnn.functions import mean
from graphnn.gradients import compute_gradients
from graphnn.graph import operation
from graphnn.graph.lower import lower
from graphnn.graph.node import Input
from graphnn.layers import Dense
from graphnn.optimizers import SGD


def sizes_of_stages(*units: int) -> np.ndarray:
    """Lines of equations, of loops and of LLVM code of a training step with layers of so many units."""
    x = Input((4, 24))
    y = x
    for count in units:
        y = Dense(count, activation="tanh")(y)
    loss = mean(y**2)
    updates = SGD(0.1).apply_gradients(compute_gradients(loss)).new_values
    lowered = lower([loss], updates, training=True)
    executable = compiler.compile(lowered.system, Options(cache="off", threads=1))
    stages = ("hoist", "schedule", "emit")
    return np.array([executable.explain(stage).count("\n") for stage in stages])


def test_code_grows_linearly_with_distinct_layers():
    """Twelve layers more cost at most twice what the six before them cost, and a tenth."""
    small, middle, large = (sizes_of_stages(*range(24, 24 - n, -1)) for n in (6, 12, 24))
    assert np.all(middle > small)
    assert np.all(large - middle <= 2.2 * (middle - small))


def test_equal_layers_are_scheduled_once(monkeypatch):
    """Twenty-four equal layers ask the schedule as often as four do."""
    calls = []
    monkeypatch.setattr(
        "compiler.pipeline.schedule",
        lambda kernel, *more: calls.append(kernel) or schedule(kernel, *more),
    )

    def counted(layers):
        calls.clear()
        sizes_of_stages(*[24] * layers)
        return len(calls)

    assert 0 < counted(24) <= counted(4)


def test_equal_layers_share_their_code():
    """Twenty-four equal layers have at most twice the LLVM code of two."""
    assert sizes_of_stages(*[24] * 24)[-1] <= 2 * sizes_of_stages(24, 24)[-1]


def test_equal_layers_are_worked_out_once():
    """Twenty-four equal layers, with their gradients, take as many formulas to be worked out as four."""

    def counted(layers):
        operation._settled.cache_clear()
        sizes_of_stages(*[24] * layers)
        return operation._settled.cache_info().misses

    assert 0 < counted(24) <= counted(4)
