"""Losses and metrics as `compile` takes them: options, names, several outputs, weights, and what is reported."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Dense

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
LABELS = (X @ rng.normal(size=(4, 3))).argmax(1)
ROWS = np.eye(3, dtype="float32")[LABELS]
WEIGHTS = rng.uniform(0, 2, 50).astype("float32")
QUIET = {"shuffle": False, "verbose": 0}


def network(loss, units=3, activation="softmax", **options):
    gn.set_seed(1)
    x = gn.Input((None, 4), "x")
    model = gn.Model(x, Dense(units, activation)(x))
    model.compile("sgd", loss, **options)
    return model


def two_headed(loss, **options):
    gn.set_seed(1)
    x = gn.Input((None, 4), "x")
    model = gn.Model(x, [Dense(1, name="value")(x), Dense(3, "softmax", name="kind")(x)])
    model.compile("sgd", loss, **options)
    return model


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_smoothed_labels(logits, smoothing):
    """The loss of (1 - s)*t + s/classes, of probabilities and logits, labels in any dtype; also positionally."""
    p = network("mse").predict(X)
    x, activation = np.log(p), None if logits else "softmax"
    mixed = (1 - smoothing) * ROWS + smoothing / 3
    expected = -(mixed * x).sum(1).mean()
    for truth in (ROWS, ROWS.astype("int64")):
        loss = gn.losses.CategoricalCrossentropy(logits, smoothing)
        model = network(loss, activation=activation)
        assert model.evaluate(X, truth, verbose=0) == pytest.approx(expected, rel=1e-5)
    model = network("mse", 1, "sigmoid")
    q, t = model.predict(X)[:, 0], LABELS > 0
    mixed = (1 - smoothing) * t + smoothing / 2
    expected = -(mixed * np.log(q) + (1 - mixed) * np.log(1 - q)).mean()
    loss = gn.losses.BinaryCrossentropy(from_logits=logits, label_smoothing=smoothing)
    model = network(loss, 1, None if logits else "sigmoid")
    assert model.evaluate(X, t, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_options_that_make_no_sense():
    """Unknown ones, too many, a share beyond one: the message names the loss."""
    with pytest.raises(TypeError, match="binary_crossentropy: .*'axis'"):
        gn.losses.BinaryCrossentropy(axis=1)
    with pytest.raises(TypeError, match="mean_squared_error: too many"):
        gn.losses.MeanSquaredError(1)
    p = gn.Input((None, 3))
    with pytest.raises(gn.GraphnnError, match="label_smoothing must lie"):
        gn.losses.categorical_crossentropy(gn.Input((None, 3)), p, label_smoothing=1.5)


def test_names_are_keras_names(tmp_path):
    """Strings, aliases, classes, given names: each is reported as it was asked for, also after loading."""
    metrics = [
        "MAE",
        "MeanSquaredError",
        "acc",
        gn.metrics.Precision(thresholds=0.3),
        gn.metrics.Precision(name="sure", thresholds=0.6),
        gn.metrics.Recall(name="recalled"),
        gn.metrics.TopKCategoricalAccuracy(2, name="two"),
        "categorical_crossentropy",
        gn.metrics.MeanAbsoluteError(name="error"),
    ]
    model = network("CategoricalCrossentropy", metrics=metrics)
    names = ["loss", "MAE", "MeanSquaredError", "acc", "precision", "sure", "recalled", "two"]
    names += ["categorical_crossentropy", "error"]
    found = model.evaluate(X, ROWS, verbose=0, return_dict=True)
    assert list(found) == names
    assert found["MAE"] == found["error"]
    assert found["loss"] == pytest.approx(found["categorical_crossentropy"])
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    assert loaded.evaluate(X, ROWS, verbose=0, return_dict=True) == found


def test_equal_names_are_told_apart():
    """The same metric with two thresholds, and again weighted."""
    two = [gn.metrics.Precision(0.2), gn.metrics.Precision(0.8)]
    model = network("mse", metrics=two, weighted_metrics=["precision"])
    found = model.evaluate(X, ROWS, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    assert list(found) == ["loss", "precision", "precision_1", "weighted_precision"]


def test_names_are_the_same_with_weights_and_without():
    """A callback may wait for one of them, whatever the validation data bring along."""
    model = network("mse", metrics=["mae"], weighted_metrics=["mae"])
    found = model.fit(X, ROWS, sample_weight=WEIGHTS, validation_data=(X, ROWS), verbose=0)
    names = ["loss", "mae", "weighted_mae"]
    assert list(found.history) == [*names, *(f"val_{name}" for name in names)]


@pytest.mark.parametrize("units", [1, 3])
def test_shares_are_weighted(units):
    """Precision and recall count what a sample weighs, over all batches."""
    truth = ROWS[:, :units]
    measures = ["precision", "recall"]
    model = network("binary_crossentropy", units, "sigmoid", weighted_metrics=measures)
    chosen, right = model.predict(X) > 0.5, truth > 0
    w = WEIGHTS[:, None]
    found = model.evaluate(X, truth, 7, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    assert found["precision"] == pytest.approx((w * (chosen & right)).sum() / (w * chosen).sum())
    assert found["recall"] == pytest.approx((w * (chosen & right)).sum() / (w * right).sum())


def test_weights_of_classes_do_not_validate():
    """They belong to training; samples' own weights go with the samples."""
    model = network("sparse_categorical_crossentropy")
    history = model.fit(
        X, LABELS, validation_split=0.4, class_weight={0: 9.0}, sample_weight=WEIGHTS, **QUIET
    )
    expected = model.evaluate(X[30:], LABELS[30:], sample_weight=WEIGHTS[30:], verbose=0)
    assert history.history["val_loss"] == [pytest.approx(expected)]
    other = network("sparse_categorical_crossentropy")
    other.fit(X[:30], LABELS[:30], class_weight={0: 9.0}, sample_weight=WEIGHTS[:30], **QUIET)
    assert np.array_equal(model.get_weights()[0], other.get_weights()[0])


@pytest.mark.parametrize(
    "metrics",
    [["mae", "accuracy"], [["mae"], ["accuracy"]], {"kind": "accuracy", "value": ["mae"]}],
    ids=["list", "lists", "dict"],
)
def test_several_outputs_report_their_losses(metrics, tmp_path):
    """Each output's loss without its weight, then the metrics, under the outputs' names."""
    losses = {"kind": "sparse_categorical_crossentropy", "value": "mse"}
    model = two_headed(losses, metrics=metrics, loss_weights={"value": 0.5, "kind": 2.0})
    y = {"value": X[:, 0], "kind": LABELS}
    found = model.fit(X, y, **QUIET).history
    assert list(found) == ["loss", "value_loss", "kind_loss", "value_mae", "kind_accuracy"]
    total = 0.5 * found["value_loss"][0] + 2 * found["kind_loss"][0]
    assert found["loss"][0] == pytest.approx(total)
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    assert loaded.evaluate(X, y, verbose=0) == model.evaluate(X, y, verbose=0)


def test_an_output_may_have_no_loss(tmp_path):
    """It is not trained, may have metrics, and stays so after loading; one loss is reported once."""
    model = two_headed([None, "sparse_categorical_crossentropy"], metrics={"value": ["mae"]})
    before = model.get_layer("value").get_weights()
    y = [X[:, 0], LABELS]
    assert list(model.fit(X, y, **QUIET).history) == ["loss", "value_mae"]
    after = model.get_layer("value").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    assert loaded.evaluate(X, y, verbose=0) == model.evaluate(X, y, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": [None, None]}, "needs a loss"),
        ({"loss": "mse", "metrics": "mae"}, "metrics is a list"),
        ({"loss": "mse", "metrics": ["mae"] * 3}, "2 outputs, got 3 for metrics"),
        ({"loss": "mse", "metrics": {"kinds": ["mae"]}}, "expected entries for value, kind"),
        ({"loss": "huber"}, "unknown loss 'huber'"),
    ],
)
def test_what_compile_refuses(options, message):
    """When compile is called, by the outputs' names."""
    with pytest.raises(gn.GraphnnError, match=message):
        two_headed(**options)


def test_epochs_may_begin_later():
    """initial_epoch counts from there; validation may come in batches of another size."""
    model = network("sparse_categorical_crossentropy")
    options = {"epochs": 5, "initial_epoch": 3, "validation_split": 0.2, "validation_batch_size": 3}
    history = model.fit(X, LABELS, **options, **QUIET)
    assert history.epoch == [3, 4]
    expected = model.evaluate(X[40:], LABELS[40:], batch_size=3, verbose=0)
    assert history.history["val_loss"][1] == expected
    with pytest.raises(gn.GraphnnError, match="initial_epoch cannot be given"):
        model.fit(X, LABELS, initial_epoch=1, resume=True, **QUIET)


def test_layers_are_found_by_name():
    """An unknown name lists those there are."""
    model = two_headed("mse")
    assert model.get_layer("kind").name == "kind"
    with pytest.raises(gn.GraphnnError, match="no layer sort; there are value, kind"):
        model.get_layer("sort")


def test_a_model_can_be_frozen():
    """All its layers at once; then nothing is left to train, and one layer set free is trained alone."""
    model = network("mse", 1, None)
    model.trainable = False
    assert not model.trainable and not model.parameters
    model.compile("sgd", "mse")
    with pytest.raises(gn.GraphnnError, match="no gradients"):
        model.fit(X, X[:, :1], **QUIET)
    model.trainable = True
    assert model.trainable and len(model.parameters) == 2


def test_measures_are_those_of_keras(keras):
    """Losses with smoothing, and weighted shares, on the same predictions."""
    t, p = ROWS, network("mse").predict(X)
    for name in ("CategoricalCrossentropy", "BinaryCrossentropy"):
        theirs = getattr(keras.losses, name)(label_smoothing=0.2)(t, p)
        ours = network(getattr(gn.losses, name)(label_smoothing=0.2)).evaluate(X, t, verbose=0)
        assert ours == pytest.approx(float(theirs), rel=1e-5)
    for name in ("Precision", "Recall"):
        theirs = getattr(keras.metrics, name)()
        theirs.update_state(t, p, sample_weight=WEIGHTS[:, None])
        model = network("mse", weighted_metrics=[name])
        ours = model.evaluate(X, t, sample_weight=WEIGHTS, verbose=0)[1]
        assert ours == pytest.approx(float(theirs.result()), rel=1e-5)
