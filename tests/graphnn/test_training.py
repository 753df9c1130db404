"""Training's data: weights of samples and classes, batches from iterables, several outputs, what is refused."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Add, Dense
from graphnn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
LABELS = (X @ rng.normal(size=(4, 3))).argmax(1)
ROWS = np.eye(3, dtype="float32")[LABELS]
WEIGHTS = rng.uniform(0, 2, 50).astype("float32")
FIT = {"shuffle": False, "verbose": 0}


def classifier(loss="sparse_categorical_crossentropy", activation="softmax", **options):
    gn.set_seed(1)
    x = gn.Input((None, 4), "x")
    model = gn.Model(x, Dense(3, activation, name="classes")(Dense(8, "relu")(x)))
    model.compile(options.pop("optimizer", "adam"), loss, **options)
    return model


def binary(**options):
    gn.set_seed(1)
    x = gn.Input((None, 4), "x")
    model = gn.Model(x, Dense(1, "sigmoid")(x))
    model.compile("sgd", "binary_crossentropy", **options)
    return model


def parameters(model):
    states = [p for slots in model.optimizer.states.values() for p in slots.values()]
    return [*model.weights, *states, model.optimizer.iterations]


def same(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights", [WEIGHTS, WEIGHTS[:, None], WEIGHTS > 1], ids=["", "col", "0/1"]
)
def test_sample_weights_weigh_the_loss(weights):
    """Of each sample, divided by their number; metrics are weighted where that is asked for."""
    model = classifier(metrics=["accuracy"], weighted_metrics=["accuracy"])
    p = model.predict(X)
    w = weights.reshape(50).astype("float64")
    hits = p.argmax(1) == LABELS
    found = model.evaluate(
        X, LABELS, batch_size=16, sample_weight=weights, verbose=0, return_dict=True
    )
    losses = -np.log(p[range(50), LABELS])
    assert found["loss"] == pytest.approx((w * losses).mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(hits.mean())
    assert found["weighted_accuracy"] == pytest.approx((w * hits).sum() / w.sum(), rel=1e-5)


def test_samples_of_weight_zero_are_not_there():
    """Training with 0/1 weights is training on the others, at the rate that their number asks for."""
    model, other = classifier(optimizer=gn.optimizers.SGD(0.5)), None
    mask = np.arange(50) % 2
    model.train_on_batch(X, LABELS, sample_weight=mask)
    other = classifier(optimizer=gn.optimizers.SGD(0.25))
    other.train_on_batch(X[1::2], LABELS[1::2])
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], ROWS], ids=["row", "column", "one-hot"]
)
def test_class_weights_are_weights_of_samples(labels):
    """By the class of each, 1 where none is given; times the samples' own."""
    loss = "categorical_crossentropy" if labels is ROWS else "sparse_categorical_crossentropy"
    one, other = classifier(loss), classifier(loss)
    one.fit(X, labels, class_weight={0: 2.0, 2: 0.5}, sample_weight=WEIGHTS, **FIT)
    own = np.array([2.0, 1.0, 0.5], "float32")[LABELS] * WEIGHTS
    other.fit(X, labels, sample_weight=own, **FIT)
    assert same(one, other)


def test_masks_of_sequences_weigh_steps():
    """Labels (B, T) with a mask (B, T): steps of weight 0 do not count; (B,) weighs whole sequences."""
    x = gn.Input((None, 5, 4), "x")
    model = gn.Model(x, Dense(3, "softmax")(x))
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    data, labels = rng.normal(size=(6, 5, 4)).astype("float32"), rng.integers(0, 3, (6, 5))
    mask = rng.integers(0, 2, (6, 5))
    p = model.predict(data)
    losses = -np.log(np.take_along_axis(p, labels[..., None], 2)[..., 0])
    hits = p.argmax(2) == labels
    for weights in (mask, WEIGHTS[:6]):
        full = weights if weights.ndim == 2 else weights[:, None] * np.ones(5)
        loss, accuracy = model.evaluate(data, labels, sample_weight=weights, verbose=0)
        assert loss == pytest.approx((full * losses).mean(), rel=1e-5)
        assert accuracy == pytest.approx((full * hits).sum() / full.sum(), rel=1e-5)


def test_weighted_losses_are_those_of_keras(keras):
    """Of probabilities and of logits."""
    p = classifier().predict(X)
    for loss, truth in (
        ("CategoricalCrossentropy", ROWS),
        ("SparseCategoricalCrossentropy", LABELS),
    ):
        theirs = getattr(keras.losses, loss)(from_logits=True)
        ours = getattr(gn.losses, loss)(from_logits=True)
        model = classifier(ours, activation=None)
        found = model.test_on_batch(X, truth, sample_weight=WEIGHTS)
        expected = theirs(truth, model.predict(X), sample_weight=WEIGHTS)
        assert found == pytest.approx(float(expected), rel=1e-5)
    theirs = keras.losses.MeanSquaredError()(ROWS, p, sample_weight=WEIGHTS)
    found = classifier("mse").test_on_batch(X, ROWS, sample_weight=WEIGHTS)
    assert found == pytest.approx(float(theirs), rel=1e-5)


# --- losses and metrics by Keras's class names ----------------------------------------------------


def test_losses_with_options_are_trained_and_saved(tmp_path):
    """from_logits=True: the loss of the softmax, also after loading."""
    for loss, labels in (
        (CategoricalCrossentropy(from_logits=True), ROWS),
        (SparseCategoricalCrossentropy(from_logits=True), LABELS),
    ):
        model = classifier(loss, activation=None, metrics=[gn.metrics.top_k, "accuracy"])
        z = model.predict(X).astype("float64")
        expected = (np.log(np.exp(z).sum(1)) - z[range(50), LABELS]).mean()
        found = model.evaluate(X, labels, verbose=0)
        assert found[0] == pytest.approx(expected, rel=1e-5)
        model.save(tmp_path / "model")
        loaded = gn.load_model(tmp_path / "model")
        assert loaded.evaluate(X, labels, verbose=0, return_dict=True) == model.evaluate(
            X, labels, verbose=0, return_dict=True
        )
    with pytest.raises(TypeError, match="smoothing"):
        CategoricalCrossentropy(smoothing=0.1)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_counts_the_first_classes(k):
    """Class numbers, in a row or a column, and one-hot rows; k=1 is the accuracy."""
    for labels, kind in (
        (LABELS, gn.metrics.SparseTopKCategoricalAccuracy),
        (LABELS[:, None], gn.metrics.SparseTopKCategoricalAccuracy),
        (ROWS, gn.metrics.TopKCategoricalAccuracy),
    ):
        loss = "categorical_crossentropy" if labels is ROWS else "sparse_categorical_crossentropy"
        model = classifier(loss, metrics=[kind(k=k)])
        p = model.predict(X)
        rank = (p > p[range(50), LABELS][:, None]).sum(1)
        assert model.evaluate(X, labels, verbose=0)[1] == pytest.approx((rank < k).mean())


def test_precision_and_recall_are_ratios_over_all_batches():
    """The same for any size of batches, also where one has no positives at all; 0 where there are none."""
    labels = (LABELS == 0).astype("int32")
    labels[:10] = 0
    model = binary(metrics=["precision", gn.metrics.Recall(thresholds=0.4)])
    p = model.predict(X)[:, 0]
    hits = ((p > 0.5) & (labels == 1)).sum()
    for size in (7, 10, 50):
        found = model.evaluate(X, labels, batch_size=size, verbose=0, return_dict=True)
        assert found["precision"] == pytest.approx(hits / (p > 0.5).sum())
        assert found["recall"] == pytest.approx(((p > 0.4) & (labels == 1)).sum() / labels.sum())
    assert model.evaluate(X, 0 * labels, verbose=0)[1:] == [0, 0]


# --- batches from iterables -----------------------------------------------------------------------


def pieces(size=10, weighted=False):
    extra = (WEIGHTS,) if weighted else ()
    return [tuple(a[k : k + size] for a in (X, LABELS, *extra)) for k in range(0, 50, size)]


class Numbered:
    """A data set as Keras has them: a length, and batches by number."""

    def __len__(self):
        return 5

    def __getitem__(self, number):
        return pieces()[number]


@pytest.mark.parametrize("kind", [list, Numbered, iter], ids=["list", "sequence", "iterator"])
def test_batches_of_an_iterable_train_as_arrays_do(kind):
    """The same weights, bit for bit, and the same logs as unshuffled arrays."""
    one, other = classifier(metrics=["accuracy"]), classifier(metrics=["accuracy"])
    source = {list: pieces(), Numbered: Numbered(), iter: iter(pieces() * 2)}[kind]
    steps = 5 if kind is iter else None
    a = one.fit(source, epochs=2, steps_per_epoch=steps, verbose=0).history
    b = other.fit(X, LABELS, batch_size=10, epochs=2, shuffle=False, verbose=0).history
    assert same(one, other)
    assert a == b
    assert one.evaluate(pieces(), verbose=0) == other.evaluate(X, LABELS, batch_size=10, verbose=0)


def test_a_generator_without_end_is_cut_into_epochs():
    """steps_per_epoch batches each, validated on validation_steps of another; weights come along."""

    def endless():
        while True:
            yield from pieces(weighted=True)

    model = classifier()
    history = model.fit(
        endless(),
        epochs=3,
        steps_per_epoch=4,
        validation_data=endless(),
        validation_steps=2,
        verbose=0,
    )
    assert model.optimizer.iterations.value == 12
    assert list(history.history) == ["loss", "val_loss"]
    assert model.predict((x for x, *_ in pieces())).shape == (50, 3)
    assert np.array_equal(model.predict(iter(pieces())), model.predict(X))


def test_an_iterable_that_is_empty_or_strange_is_refused():
    """No batches, batches of the wrong kind, options that belong to arrays."""
    model = classifier()
    kept = [p.value.copy() for p in parameters(model)]
    for source, options, message in (
        (iter([]), {}, "there are no batches"),
        ([X, LABELS, X, X], {}, "y is missing"),
        (iter([X, LABELS, X, X]), {}, "a batch is a pair"),
        (7, {}, "iterable of batches"),
        (X, {}, "y is missing"),
        (pieces(), {"batch_size": 3}, "bring their own"),
        (pieces(), {"validation_split": 0.5}, "not of an iterable"),
        (pieces(), {"resume": True}, "resume goes on with arrays"),
        (pieces(), {"steps_per_epoch": 0}, "above 0"),
        ([(X[:0], LABELS[:0])], {}, "there are no samples"),
        (X, {"y": LABELS, "steps_per_epoch": 2}, "not arrays"),
    ):
        with pytest.raises(gn.GraphnnError, match=message):
            model.fit(source, verbose=0, **options)
    assert all(np.array_equal(a, p.value) for a, p in zip(kept, parameters(model), strict=True))


def test_an_iterator_that_ends_is_told(caplog):
    """A short epoch is warned of; where there is nothing more, the message says what to give instead."""
    model = classifier()
    model.fit(iter(pieces()), steps_per_epoch=99, verbose=0)
    assert "an epoch of 99 steps ended with its source after" in caplog.text
    with pytest.raises(gn.GraphnnError, match="an iterator gives them once"):
        model.fit(iter(pieces()), epochs=2, verbose=0)


@pytest.mark.parametrize("kind", ["loss", "metrics"])
def test_operations_measure_by_the_names_of_their_operands(tmp_path, kind):
    """A formula may read the prediction first; saved and loaded it measures the same, under its name."""
    text = "e[n] = sum[i](y_pred[n, i]*(2*y_pred[n, i] - y_true[n, i]))"
    model = classifier("mse")
    model.compile(
        "sgd",
        **{"loss": "mse", kind: gn.op(text, "lean") if kind == "loss" else [gn.op(text, "lean")]},
    )
    p = model.predict(X)
    found = model.evaluate(X, ROWS, verbose=0, return_dict=True)
    assert kind == "loss" or list(found) == ["loss", "lean"]
    expected = (p * (2 * p - ROWS)).sum(1).mean()
    assert list(found.values())[-1] == pytest.approx(expected, rel=1e-5)
    model.save(tmp_path / "model")
    assert gn.load_model(tmp_path / "model").evaluate(X, ROWS, verbose=0, return_dict=True) == found


# --- several outputs ------------------------------------------------------------------------------


def two_headed(**options):
    gn.set_seed(1)
    a, b = gn.Input((None, 4), "a"), gn.Input((None, 2), "b")
    hidden = Add()([Dense(3)(a), Dense(3)(b)])
    model = gn.Model([a, b], [Dense(1, name="one")(hidden), Dense(2, name="two")(hidden)])
    model.compile("sgd", **options)
    return model


def test_losses_of_several_outputs_have_weights():
    """Lists, or dicts by the outputs' names; the sum is what is trained, and what is saved."""
    x, y = {"b": X[:, :2], "a": X}, {"two": X[:, :2], "one": X[:, 0]}
    named = two_headed(
        loss={"two": "mae", "one": "mse"},
        loss_weights={"one": 0.5, "two": 3.0},
        metrics={"one": ["mae"], "two": []},
    )
    listed = two_headed(loss=["mse", "mae"], loss_weights=[0.5, 3.0], metrics=[["mae"], []])
    p, q = named.predict(x)
    expected = 0.5 * ((p[:, 0] - X[:, 0]) ** 2).mean() + 3 * np.abs(q - X[:, :2]).mean()
    assert named.evaluate(x, y, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    named.fit(x, y, **FIT)
    listed.fit([X, X[:, :2]], [X[:, 0], X[:, :2]], **FIT)
    assert same(named, listed)


def test_weights_of_samples_for_several_outputs(tmp_path):
    """One array for all, or one for each; loss weights survive saving."""
    x, y = [X, X[:, :2]], [X[:, 0], X[:, :2]]
    model = two_headed(loss="mse", loss_weights=[1.0, 2.0])
    p, q = model.predict(x)
    one, two = (p[:, 0] - X[:, 0]) ** 2, ((q - X[:, :2]) ** 2).mean(1)
    found, *_ = model.evaluate(x, y, sample_weight=[WEIGHTS, 1 - WEIGHTS], verbose=0)
    assert found == pytest.approx((WEIGHTS * one + 2 * (1 - WEIGHTS) * two).mean(), rel=1e-4)
    found, *_ = model.evaluate(x, y, sample_weight=WEIGHTS, verbose=0)
    assert found == pytest.approx((WEIGHTS * (one + 2 * two)).mean(), rel=1e-4)
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


# --- refusals -------------------------------------------------------------------------------------

NAN = np.where(np.arange(50) == 33, np.nan, 1.0)
REFUSED = [
    ({"y": ROWS * NAN[:, None]}, gn.GraphnnError, r"y_true\[33, 0\] is NaN"),
    ({"y": ROWS, "sample_weight": NAN}, gn.GraphnnError, r"sample_weight\[33\] is NaN"),
    ({"y": ROWS, "sample_weight": WEIGHTS[:9]}, gn.ShapeError, "number of samples"),
    ({"y": ROWS, "sample_weight": ROWS}, gn.ShapeError, "no value for each weight"),
    ({"y": ROWS, "class_weight": [1, 2]}, gn.GraphnnError, "class_weight is a dict"),
    ({"y": ROWS[:0], "x": X[:0]}, gn.ShapeError, "there are no samples"),
    ({"y": ROWS, "x": {}}, gn.GraphnnError, "expected arrays for x"),
    ({"y": LABELS}, gn.ShapeError, "must be equal"),
]


@pytest.mark.parametrize(("change", "error", "message"), REFUSED)
@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_what_does_not_fit_changes_nothing(method, change, error, message):
    """A clear error; weights, moments and counters as they were, bit for bit."""
    model = classifier("categorical_crossentropy")
    model.train_on_batch(X, ROWS)
    kept = [p.value.copy() for p in parameters(model)]
    with pytest.raises(error, match=message):
        getattr(model, method)(**{"x": X, **change}, **({"verbose": 0} if method == "fit" else {}))
    assert all(np.array_equal(a, p.value) for a, p in zip(kept, parameters(model), strict=True))


def test_a_label_or_token_out_of_range_changes_nothing():
    """In a batch of its own, too: weights stay bit for bit."""
    tokens = gn.Input((None, 3), "tokens", "int32")
    x = gn.layers.Flatten()(gn.layers.Embedding(5, 2)(tokens))
    model = gn.Model(tokens, Dense(3, "softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    good, labels = rng.integers(0, 5, (4, 3)), np.array([0, 1, 2, 0])
    model.train_on_batch(good, labels)
    kept = [p.value.copy() for p in parameters(model)]
    wrong = good.copy()
    wrong[2, 1] = 5
    for given in ((wrong, labels), (good, labels + 1), (good, labels - 1), (-1 - good, labels)):
        with pytest.raises(IndexError):
            model.train_on_batch(*given)
        with pytest.raises(IndexError):
            model.fit([given], verbose=0)
    assert all(np.array_equal(a, p.value) for a, p in zip(kept, parameters(model), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_freq": "2"}, "validation_freq must be a whole number above 0, got '2'"),
        ({"validation_freq": {"a"}}, "each epoch of validation_freq must be .* above 0, got 'a'"),
        ({"initial_epoch": -3}, "initial_epoch is a whole number from 0 on, got -3"),
        ({"initial_epoch": 1.5}, "initial_epoch is a whole number from 0 on, got 1.5"),
        ({"validation_batch_size": 0}, "batch_size must be a whole number above 0, got 0"),
        ({"validation_steps": 1}, "a number of steps goes with an iterable of batches"),
        ({"callbacks": [gn.callbacks.EarlyStopping]}, "expected a callback, .* got <class"),
        ({"callbacks": gn.callbacks.EarlyStopping}, "expected a callback, .* got <class"),
        ({"callbacks": [1]}, "expected a callback, .* got 1"),
    ],
)
def test_options_are_checked_before_anything_is_trained(options, message):
    """Whether validation data are given or split off."""
    model = classifier()
    before = model.get_weights()
    for data in ({"validation_split": 0.5}, {"validation_data": (X, LABELS)}):
        with pytest.raises(gn.GraphnnError, match=message):
            model.fit(X, LABELS, epochs=2, **FIT, **data, **options)
    assert all(map(np.array_equal, before, model.get_weights()))
    with pytest.raises(gn.GraphnnError, match="a number of steps goes with an iterable"):
        model.predict(X, steps=1)


def test_numbers_of_numpy_are_numbers():
    """As regularizers' factors they are what they print; an option that no optimizer has is named."""
    assert str(gn.regularizers.L2(np.float32(0.1))) == str(gn.regularizers.L2(0.1))
    with pytest.raises(TypeError, match="Adam takes no lr; all take learning_rate"):
        gn.optimizers.Adam(lr=1)
