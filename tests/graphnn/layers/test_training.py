"""Training and inference: what drops, normalizes and counts works in one way here and in another there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import graphnn as gn
from compiler.reference.philox import uniform
from graphnn.layers import BatchNormalization, Dense, Dropout, MultiHeadAttention

from .cases import numbers


def states(model: gn.Model) -> list[bytes]:
    """Everything that could change: weights and what only training reads."""
    graph = gn.Graph(model.outputs, training=True)
    return [p.value.tobytes() for p in dict.fromkeys([*model.weights, *graph.parameters])]


def network() -> gn.Model:
    x = gn.Input((None, 6), "x")
    y = Dropout(0.5)(BatchNormalization()(Dense(16, activation="relu")(x)))
    model = gn.Model(x, Dense(1)(y))
    model.compile("sgd", "mse")
    return model


SAMPLES = numbers(12, 6).astype("float32"), numbers(12, 1, seed=1).astype("float32")


def test_the_guides_table_of_differences() -> None:
    """Updates, dropout and batch statistics belong to training; inference has saved statistics and changes nothing."""
    gn.set_seed(1)
    model = network()
    x, y = SAMPLES
    loss, updates = model.loss_node, model.updates
    before = states(model)
    first, again = model.predict(x), model.predict(x)
    model.evaluate(x, y, verbose=0)
    assert np.array_equal(first, again)
    assert states(model) == before

    look = gn.function(model.inputs, model.outputs, training=True)
    normalized = gn.function(
        model.inputs, model.layers[1](model.layers[0](model.inputs[0])), training=True
    )
    assert not np.array_equal(look(x)[0], first)  # dropout is active, statistics are the batch's
    assert np.allclose(normalized(x).mean(0), 0, atol=1e-5)
    assert states(model) == before  # but nothing moves without updates

    truth = next(n for n in gn.Graph([loss]).inputs if n not in model.inputs)
    train = gn.function([*model.inputs, truth], loss, updates)
    infer = gn.function(model.inputs, model.outputs)
    assert {a.role for a in infer.graph.applications} == {"forward"}
    assert {a.role for a in train.graph.applications} == {"forward", "gradient", "update"}
    train.prepare([x, y])
    infer.prepare([x])
    assert infer.memory < train.memory
    assert len(infer.graph.applications) < len(train.graph.applications)
    assert states(model) == before

    model.train_on_batch(x, y)
    assert all(a != b for a, b in zip(before, states(model), strict=True) if a not in key_of(model))
    saved = dict(zip((p.name for p in model.weights), model.get_weights(), strict=True))
    mean = next(v for k, v in saved.items() if k.endswith("moving_mean"))
    assert mean.any()


def key_of(model: gn.Model) -> list[bytes]:
    """The keys of random streams, which stay."""
    parameters = gn.Graph(model.outputs, training=True).parameters
    return [p.value.tobytes() for p in parameters if p.name.endswith(".key")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_is_its_mask(dtype: str) -> None:
    """Kept elements are divided by their share, the mask is the generator's, and the gradient has the same."""
    gn.set_seed(5)
    x = gn.Input((None, 7), "x", dtype)
    y = Dropout(0.3, name="lost")(x)
    slope = gn.compute_gradients(gn.sum(y), [x])[x]
    given = numbers(3, 7).astype(dtype)
    value, gradient = gn.function([x], [y, slope], training=True)(given)
    graph = gn.Graph([y], training=True)
    key, step = (
        p.value.item() for n in ("key", "step") for p in graph.parameters if p.name == f"lost.{n}"
    )
    bits = 24 if dtype == "float32" else 53
    kept = uniform(key, step, np.arange(21).reshape(3, 7), bits) < 0.7
    assert np.allclose(value, np.where(kept, given / 0.7, 0))
    assert np.allclose(gradient, np.where(kept, 1 / 0.7, 0))
    assert np.array_equal(gn.evaluate(y, {x: given}, training=True) == 0, ~kept)
    assert np.array_equal(gn.function([x], y)(given), given)


def test_each_step_drops_others() -> None:
    """The counter moves with each step, and half of a large input is dropped each time."""
    gn.set_seed(3)
    x, w = gn.Input((None, 1000), "x"), gn.Parameter(np.ones(1000, "float32"), "w")
    y = Dropout(0.5)(x * w)
    loss = gn.sum(y)
    updates = gn.optimizers.SGD(0.0).apply_gradients(gn.compute_gradients(loss))
    train = gn.function([x], y, updates)
    masks = [train(np.ones((4, 1000), "float32")) != 0 for _ in range(3)]
    assert all(0.45 < mask.mean() < 0.55 for mask in masks)
    shared = [np.mean(a == b) for a, b in pairwise(masks)]
    assert all(0.45 < share < 0.55 for share in shared)


def test_the_seed_decides() -> None:
    """Two models after the same `set_seed` train alike, bit for bit; a seed of its own needs none."""
    runs = []
    for seed in (7, 7, 8):
        gn.set_seed(seed)
        model = network()
        model.fit(*SAMPLES, batch_size=5, epochs=2, verbose=0)
        runs.append([w.tobytes() for w in model.get_weights()])
    assert runs[0] == runs[1] != runs[2]
    x, given = gn.Input((50,), "x"), np.ones(50, "float32")
    one, same, other = (
        gn.evaluate(Dropout(0.5, seed=seed)(x), {x: given}, training=True) for seed in (4, 4, 5)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_two_uses_of_one_dropout_have_two_masks() -> None:
    """A shared layer draws for each use."""
    for seed in (None, 3):
        layer, x = Dropout(0.5, seed=seed), gn.Input((100,), "x")
        a, b = gn.evaluate([layer(x), layer(x)], {x: np.ones(100, "float32")}, training=True)
        assert not np.array_equal(a, b)


def test_noise_shape_shares_the_mask() -> None:
    """Where it says 1, one mask serves the whole axis."""
    x = gn.Input((None, 5, 8), "x")
    y = Dropout(0.5, noise_shape=(None, 1, 8))(x)
    value = gn.function([x], y, training=True)(np.ones((3, 5, 8), "float32"))
    assert (value == value[:, :1]).all() and 0 < value.mean() < 2
    with pytest.raises(gn.ShapeError, match=r"noise_shape \(None, 3, 8\) does not fit"):
        Dropout(0.5, noise_shape=(None, 3, 8))(x)


def test_nothing_is_dropped_at_rate_0() -> None:
    """The layer gives its input; rates outside of [0, 1) are refused."""
    x = gn.Input((None, 5), "x")
    assert Dropout(0)(x) is x
    for rate in (1, -0.1, "0.5", True):
        with pytest.raises(gn.GraphnnError, match=r"lies in \[0, 1\)"):
            Dropout(rate)


def test_dropped_attention_is_scaled() -> None:
    """Weights are dropped in training only; the scores that are returned are those before."""
    gn.set_seed(2)
    x = gn.Input((None, 6, 4), "x")
    y, scores = MultiHeadAttention(2, 4, dropout=0.5)(x, x, return_attention_scores=True)
    run, train = (gn.function([x], [y, scores], training=t) for t in (False, True))
    given = numbers(2, 6, 4).astype("float32")
    assert np.allclose(run(given)[1], train(given)[1], atol=1e-6)
    assert not np.allclose(run(given)[0], train(given)[0], atol=1e-2)


def test_a_frozen_normalization_keeps_its_statistics() -> None:
    """It works as in inference, and goes back to the batch when it is learnt again."""
    x, layer = gn.Input((None, 3), "x"), BatchNormalization()
    y = layer(x)
    given = numbers(5, 3).astype("float32")
    layer.trainable = False
    assert gn.Graph([y], training=True).changes == {}
    assert np.allclose(gn.evaluate(y, {x: given}, training=True), gn.evaluate(y, {x: given}))
    layer.trainable = True
    assert len(gn.Graph([y], training=True).changes) == 2
    assert np.allclose(gn.evaluate(y, {x: given}, training=True).mean(0), 0, atol=1e-5)


def test_a_shared_normalization_moves_with_each_use() -> None:
    """The second use starts from where the first left the statistics, as if one came after the other."""
    a, b = gn.Input((None, 3), "a"), gn.Input((None, 3), "b")
    layer = BatchNormalization(momentum=0.5)
    loss = gn.mean((layer(a) - 2 * layer(b)) ** 2)
    updates = gn.optimizers.SGD(0.1).apply_gradients(gn.compute_gradients(loss))
    first, second = (numbers(4, 3, seed=k).astype("float32") for k in (0, 1))
    gn.function([a, b], loss, updates)(first, second)
    assert np.allclose(layer.moving_mean.value, first.mean(0) / 4 + second.mean(0) / 2, atol=1e-6)
    assert np.allclose(
        layer.moving_variance.value, (0.5 + first.var(0) / 2) / 2 + second.var(0) / 2, atol=1e-6
    )


def test_variance_of_large_means() -> None:
    """A mean of 10000 does not drown a deviation of 1."""
    x = gn.Input((None, 2), "x")
    given = (1e4 + numbers(64, 2)).astype("float32")
    y = gn.function([x], BatchNormalization(epsilon=1e-6)(x), training=True)(given)
    exact = given.astype("float64")
    assert np.allclose(y, (exact - exact.mean(0)) / exact.std(0), atol=1e-3)


def test_a_saved_model_goes_on_alike(tmp_path) -> None:
    """Statistics and the counters of what is dropped are in the file: two steps more give the same bits."""
    gn.set_seed(4)
    model = network()
    model.fit(*SAMPLES, batch_size=6, shuffle=False, verbose=0)
    model.save(tmp_path / "model")
    copy = gn.load_model(tmp_path / "model")
    for each in (model, copy):
        each.fit(*SAMPLES, batch_size=6, shuffle=False, verbose=0)
    assert states(copy) == states(model)
