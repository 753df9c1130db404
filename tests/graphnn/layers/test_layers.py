"""Each layer, compiled, gives what the interpreter and what Keras give: values, gradients, moving statistics."""

from __future__ import annotations

from itertools import cycle
from types import ModuleType

import numpy as np
import pytest

import graphnn as gn

from .cases import CASES, IDS, Case, Found, built, found

TOLERANCES = {"float32": 2e-5, "float64": 1e-9}
ALTERNATELY = list(zip(CASES, cycle(TOLERANCES), strict=False))


def compiled(inputs, nodes, arrays, training):
    return gn.function(inputs, nodes, training=training)(*arrays)


def interpreted(inputs, nodes, arrays, training):
    given = dict(zip(inputs, arrays, strict=True))
    return gn.evaluate(nodes, given, training=training)


def assert_close(a: Found, b: Found, tolerance: float) -> None:
    """Equal but for a share of the largest magnitude: of the outputs, of all gradients, of the weights."""
    for these, those in (
        (a.outputs, b.outputs),
        (a.gradients, b.gradients),
        (a.moved, b.moved),
    ):
        largest = max((np.max(np.abs(array)) for array in those), default=0)
        for one, other in zip(these, those, strict=True):
            assert one.shape == other.shape
            assert np.max(np.abs(one - other)) <= tolerance * largest


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("case", "dtype"), ALTERNATELY, ids=IDS)
def test_compiled_is_interpreted(case: Case, dtype: str, training: bool) -> None:
    """Both evaluators agree on values, gradients and changes, in training and in inference."""
    if not training and not case.differs:
        pytest.skip("inference is a part of training")
    first, second = (found(case, dtype, training, run) for run in (compiled, interpreted))
    assert_close(first, second, TOLERANCES[dtype])


@pytest.mark.filterwarnings("ignore:.*softmax over axis 3:UserWarning")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_layers_are_keras_layers(keras: ModuleType, case: Case, dtype: str) -> None:
    """The same weights in the same order give the same values and gradients, and move alike."""
    for training in (False,) if "dropout" in case.arguments else (True, False)[: 1 + case.differs]:
        assert_close(
            found(case, dtype, training, compiled),
            found_by_keras(keras, case, dtype, training),
            TOLERANCES[dtype],
        )


def found_by_keras(keras: ModuleType, case: Case, dtype: str, training: bool) -> Found:
    import jax

    from .cases import numbers

    kind = case.kind.replace("Pool2D", "Pooling2D")
    layer = getattr(keras.layers, kind)(**case.arguments, dtype=dtype)
    arrays = case.arrays(dtype)
    case.applied(layer, arrays)
    ours, _, _ = built(case, dtype)
    layer.set_weights(ours.get_weights())
    places = [k for k, a in enumerate(arrays) if a.dtype == dtype]
    options = {"training": training} if case.differs else {}

    def loss(smooth, learnt, kept):
        given = list(arrays)
        for k, value in zip(places, smooth, strict=True):
            given[k] = value

        def call(*inputs, **named):
            return layer.stateless_call(learnt, kept, *inputs, **named, **options)

        outputs, after = case.applied(call, given)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        seeds = numbers(*outputs[0].shape, seed=9).astype(dtype)
        return (outputs[0] * seeds).sum(), (outputs, after)

    learnt = [v.value for v in layer.trainable_variables]
    kept = [v.value for v in layer.non_trainable_variables]
    by_input, by_weight = [arrays[k] for k in places], learnt
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    (slopes, steps), (outputs, after) = gradient(by_input, by_weight, kept)
    gradients = [np.asarray(g) for g in (*slopes, *steps) if training]
    moved = [np.asarray(v) for v in (*learnt, *after)][: len(ours.parameters)]
    return Found(list(map(np.asarray, outputs)), gradients, moved)
