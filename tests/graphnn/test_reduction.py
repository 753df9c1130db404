"""Reductions: what a loss makes of the values it has for each sample."""

from functools import partial

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Dense

rng = np.random.default_rng(0)
X = rng.normal(size=(7, 4)).astype("float32")
LOGITS = rng.normal(size=(7, 3))
LABELS = rng.integers(0, 3, 7)
WEIGHTS = rng.uniform(0, 2, 7)
LOSSES = [
    ("MeanSquaredError", rng.normal(size=(7, 3)), {}),
    ("MeanAbsoluteError", rng.normal(size=(7, 3)), {}),
    ("BinaryCrossentropy", rng.uniform(size=(7, 3)), {"from_logits": True}),
    ("CategoricalCrossentropy", np.eye(3)[LABELS], {"from_logits": True}),
    ("SparseCategoricalCrossentropy", LABELS, {"from_logits": True}),
]
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", None, "none"]


@pytest.mark.parametrize(("kind", "truth", "options"), LOSSES, ids=[each[0] for each in LOSSES])
def test_reductions_are_kerass(keras, kind, truth, options):
    """Of nodes, and of a model that is trained with it and weights of samples."""
    x = gn.Input((None, 3), "x", "float64")
    t = gn.Input((None, *truth.shape[1:]), "t", str(truth.dtype))
    for reduction in REDUCTIONS:
        ours = getattr(gn.losses, kind)(reduction=reduction, **options)
        theirs = getattr(keras.losses, kind)(reduction=reduction, dtype="float64", **options)
        expected = np.asarray(theirs(truth, LOGITS))
        assert np.allclose(gn.evaluate(ours(t, x), {t: truth, x: LOGITS}), expected, rtol=1e-9)
        if reduction in (None, "none"):
            continue
        model = gn.Model(x, 1.0 * x)
        model.compile("sgd", ours)
        weighted = theirs(truth, LOGITS, sample_weight=WEIGHTS)
        found = model.test_on_batch(LOGITS, truth, sample_weight=WEIGHTS)
        assert found == pytest.approx(float(weighted), rel=1e-9)


def test_a_sum_is_trained_and_saved(tmp_path):
    """Gradients are those of the sum: as many times as large as there are samples."""
    gn.set_seed(0)
    model = gn.Sequential([gn.Input((None, 4)), Dense(3)])
    start = model.get_weights()
    after = []
    for loss, rate in ((gn.losses.MeanSquaredError(reduction="sum"), 0.01), ("mse", 0.07)):
        model.set_weights(start)
        model.compile(gn.optimizers.SGD(rate), loss)
        model.train_on_batch(X, LOGITS)
        after.append(model.get_weights())
        model.save(tmp_path / "model")
        again = gn.load_model(tmp_path / "model")
        assert again.evaluate(X, LOGITS, verbose=0) == model.evaluate(X, LOGITS, verbose=0)
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(*after, strict=True))
    with pytest.raises(gn.GraphnnError, match="reduction is one of .*, got 'avg'"):
        gn.losses.mean_squared_error(model.outputs[0], model.outputs[0], reduction="avg")
    with pytest.raises(gn.GraphnnError, match="reduction is one of .*, got 'avg'"):
        gn.losses.MeanSquaredError(reduction="avg")
    with pytest.raises(gn.GraphnnError, match="reduction is one of .*, got 'avg'"):
        model.compile("sgd", partial(gn.losses.mean_squared_error, reduction="avg"))


def test_a_sum_is_one_with_and_without_weights(tmp_path):
    """Of a loss within partials, before and after saving, and as a metric; weights of 1 change nothing."""
    model = gn.Sequential([gn.Input((None, 4)), Dense(3)])
    wrapped = partial(gn.losses.MeanSquaredError(reduction="sum", name="own"))
    sums = [gn.losses.MeanSquaredError(reduction="sum", name="total")]
    model.compile("sgd", wrapped, weighted_metrics=sums)
    model.test_on_batch(X, LOGITS)
    model.save(tmp_path / "model")
    expected = float(((model.predict(X) - LOGITS) ** 2).mean(axis=1).sum())
    for each in (model, gn.load_model(tmp_path / "model")):
        for factor in (None, 1.0, 2.0):
            weights = None if factor is None else np.full(7, factor)
            found = each.test_on_batch(X, LOGITS, sample_weight=weights)
            assert found == pytest.approx([expected * (factor or 1)] * 2, rel=1e-5)


def test_an_option_of_ones_own_function_is_its_own():
    """Whatever it is called."""
    x = gn.Input((None, 3), "x")
    model = gn.Model(x, 1.0 * x)
    model.compile("sgd", partial(lambda t, p, reduction: reduction * gn.mean(p - t), reduction=3))
    values = np.ones((2, 3), "float32")
    assert model.test_on_batch(values, 0 * values) == 3
