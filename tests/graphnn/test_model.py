"""Models: what users of Keras expect of compile, fit, evaluate, predict and the weights."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Activation, Add, Conv2D, Dense, Flatten, MaxPool2D

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
LABELS = (X @ rng.normal(size=(4, 3))).argmax(1)
ROWS = np.eye(3, dtype="float32")[LABELS]


def classifier(optimizer="adam", metrics=("accuracy",), loss="sparse_categorical_crossentropy"):
    gn.set_seed(1)
    x = gn.Input((None, 4), "x")
    y = Dense(3, activation="softmax")(Dense(8, activation="relu")(x))
    model = gn.Model(x, y, name="classifier")
    model.compile(optimizer, loss, list(metrics))
    return model


def test_fit_learns_and_keeps_the_history():
    """Loss falls, accuracy rises, one entry for each epoch and measure."""
    model = classifier(gn.optimizers.Adam(0.02))
    history = model.fit(X, LABELS, epochs=30, validation_data=(X, LABELS), verbose=0)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 30 for values in history.history.values())
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert history.history["val_accuracy"][-1] > 0.9
    assert history.epoch == list(range(30))


def test_the_last_batch_is_trained_on_and_weighted():
    """50 samples in batches of 16: the epoch's loss is the mean over samples, and the tail counts."""
    model = classifier(gn.optimizers.SGD(0.0))
    logs = model.fit(X, LABELS, batch_size=16, shuffle=False, verbose=0).history
    p = model.predict(X)
    assert logs["loss"][0] == pytest.approx(-np.log(p[range(50), LABELS]).mean(), rel=1e-5)
    assert logs["accuracy"][0] == pytest.approx((p.argmax(1) == LABELS).mean())
    model = classifier(gn.optimizers.SGD(0.1))
    before = model.get_weights()
    model.fit(X[:17], LABELS[:17], batch_size=16, shuffle=False, verbose=0)
    after = model.get_weights()
    model.set_weights(before)
    model.train_on_batch(X[:16], LABELS[:16])
    model.train_on_batch(X[16:17], LABELS[16:17])
    assert all(np.array_equal(a, b) for a, b in zip(after, model.get_weights(), strict=True))


def test_training_is_a_function_of_the_seed():
    """The same seed gives the same weights, to the bit, another one others; shuffling follows it."""

    def trained(seed):
        gn.set_seed(seed)
        model = gn.Sequential([gn.Input((None, 4)), Dense(8, "tanh"), Dense(3, "softmax")])
        model.compile("adam", "categorical_crossentropy")
        model.fit(X, ROWS, epochs=2, batch_size=7, verbose=0)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    assert np.array_equal(trained(3), trained(3))
    assert not np.array_equal(trained(3), trained(4))


def test_shuffling_takes_every_sample_once():
    """An epoch sees each sample exactly once, in another order each time."""
    model = gn.Sequential(
        [gn.Input((None, 1)), Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    seen = []

    class Spy(gn.Callback):
        def on_train_batch_end(self, batch, logs):
            seen.append(logs["loss"] * (batch + 1))

    powers = (2.0 ** np.arange(10))[:, None]
    model.compile(gn.optimizers.SGD(0.0), "mae")
    history = model.fit(powers, 0 * powers, batch_size=1, epochs=2, callbacks=[Spy()], verbose=0)
    assert history.history["loss"] == pytest.approx([102.3, 102.3])
    first, second = np.diff([0, *seen[:10]]), np.diff([0, *seen[10:]])
    assert sorted(first.round()) == sorted(second.round()) == powers[:, 0].tolist()
    assert first.round().tolist() != second.round().tolist()


def test_validation_split_is_the_tail():
    """The last samples, never trained on, whatever the shuffling."""
    model = classifier(gn.optimizers.SGD(0.0))
    logs = model.fit(X, LABELS, validation_split=0.2, verbose=0).history
    assert logs["val_loss"][0] == pytest.approx(model.evaluate(X[40:], LABELS[40:], verbose=0)[0])
    assert logs["loss"][0] == pytest.approx(model.evaluate(X[:40], LABELS[:40], verbose=0)[0])


def test_evaluate_and_predict_write_nothing():
    """Weights, moments and counters stay, bit for bit."""
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    states = [p for slots in model.optimizer.states.values() for p in slots.values()]
    kept = [p.value.copy() for p in [*model.weights, *states, model.optimizer.iterations]]
    loss, accuracy = model.evaluate(X, LABELS, batch_size=9, verbose=0)
    p = model.predict(X, batch_size=7)
    assert np.allclose(model.predict_on_batch(X), p, atol=1e-6)
    now = [p.value for p in [*model.weights, *states, model.optimizer.iterations]]
    assert all(np.array_equal(a, b) for a, b in zip(kept, now, strict=True))
    assert p.shape == (50, 3)
    assert np.allclose(p.sum(1), 1, atol=1e-6)
    assert loss == pytest.approx(-np.log(p[range(50), LABELS]).mean(), rel=1e-5)
    assert accuracy == pytest.approx((p.argmax(1) == LABELS).mean())


def test_train_on_batch_gives_the_loss_before_the_update():
    """A number without metrics, a list with them."""
    model = classifier(metrics=())
    expected = model.evaluate(X, LABELS, verbose=0)
    assert model.train_on_batch(X, LABELS) == pytest.approx(expected, rel=1e-6)
    assert model.evaluate(X, LABELS, verbose=0) < expected
    loss, accuracy, error = classifier(
        metrics=("acc", "mse"), loss="categorical_crossentropy"
    ).train_on_batch(X, ROWS)
    assert loss == pytest.approx(expected, rel=1e-6)
    assert 0 <= accuracy <= 1
    assert error > 0


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], LABELS.astype("int32"), LABELS.astype("uint8")]
)
def test_class_numbers_come_in_any_integer_dtype(labels):
    """(B,) or (B, 1), signed or not: the same loss."""
    expected = classifier().evaluate(X, LABELS, verbose=0)
    assert classifier().evaluate(X, labels, verbose=0) == pytest.approx(expected)


def test_losses_and_metrics_may_be_functions():
    """One's own function of nodes, per sample or as one number, reported under its name."""

    def absolute(t, p):
        return gn.functions.abs(t - p)

    def largest(t, p):
        return gn.max(p)

    model = classifier(loss=absolute, metrics=[largest])
    loss, top = model.evaluate(X, ROWS, batch_size=50, verbose=0)
    p = model.predict(X)
    assert loss == pytest.approx(np.abs(ROWS - p).mean(), rel=1e-5)
    assert top == pytest.approx(p.max(), rel=1e-6)
    assert list(model.fit(X, ROWS, verbose=0).history) == ["loss", "largest"]


def test_several_inputs_and_outputs():
    """Lists of arrays or dicts by name in, a list of predictions out; losses add up."""
    a, b = gn.Input((None, 4), "a"), gn.Input((None, 2), "b")
    hidden = Add()([Dense(3)(a), Dense(3)(b)])
    model = gn.Model([a, b], [Dense(1, name="one")(hidden), Dense(2, name="two")(hidden)])
    model.compile("sgd", ["mse", "mae"], metrics=[["mae"], []])
    x = [X, X[:, :2]]
    p = model.predict(x)
    assert [y.shape for y in p] == [(50, 1), (50, 2)]
    assert all(
        np.array_equal(u, v) for u, v in zip(p, model.predict({"b": x[1], "a": x[0]}), strict=True)
    )
    loss, *losses, error = model.evaluate(x, [X[:, 0], X[:, :2]], verbose=0)
    one, two = np.abs(p[0][:, 0] - X[:, 0]), np.abs(p[1] - X[:, :2])
    assert loss == pytest.approx((one**2).mean() + two.mean(), rel=1e-5)
    assert losses == pytest.approx([(one**2).mean(), two.mean()], rel=1e-5)
    assert error == pytest.approx(one.mean(), rel=1e-5)
    history = model.fit(x, [X[:, 0], X[:, :2]], verbose=0).history
    assert list(history) == ["loss", "one_loss", "two_loss", "one_mae"]


def test_a_fixed_batch_takes_full_batches_only():
    """A model of 10 samples at a time refuses a remainder before it trains."""
    x = gn.Input((10, 4), "x")
    model = gn.Model(x, Dense(3, "softmax")(x))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, batch_size=10, verbose=0)
    with pytest.raises(gn.ShapeError, match="axis 0 must be 10"):
        model.fit(X[:45], LABELS[:45], batch_size=10, verbose=0)


def test_float64_models_stay_float64():
    """Predictions, weights and losses in the input's dtype."""
    x = gn.Input((None, 4), "x", dtype="float64")
    model = gn.Model(x, Dense(3)(x))
    model.compile("adam", "mse")
    model.fit(X, ROWS, verbose=0)
    assert model.predict(X).dtype == np.float64
    assert all(w.dtype == np.float64 for w in model.get_weights())


# --- weights, layers, looking ---------------------------------------------------------------------


def test_weights_are_copies_in_kerass_order():
    """By depth, then by first use; kernel before bias; writing into a copy changes nothing."""
    x = gn.Input((None, 4), "x")
    left, right, last = Dense(2, name="left"), Dense(3, name="right"), Dense(2, name="last")
    late = right(x)
    early = left(x)
    model = gn.Model(x, Add()([last(late), early]))
    names = ["right.kernel", "right.bias", "last.kernel", "last.bias", "left.kernel", "left.bias"]
    assert [p.name for p in model.parameters] == names
    weights = model.get_weights()
    weights[0][...] = 9
    assert not (model.get_weights()[0] == 9).any()
    model.set_weights(weights)
    assert (right.kernel.value == 9).all()


def test_set_weights_is_all_or_nothing():
    """A wrong shape or number leaves every weight as it was."""
    model = classifier()
    kept = model.get_weights()
    with pytest.raises(gn.ShapeError, match="has 4 weights, got 1"):
        model.set_weights(kept[:1])
    with pytest.raises(gn.ShapeError, match=r"dense.*kernel: expected an array of shape \(8, 3\)"):
        model.set_weights([kept[0] + 1, kept[1], kept[2].T, kept[3]])
    assert all(np.array_equal(a, b) for a, b in zip(kept, model.get_weights(), strict=True))


def test_weights_order_is_kerass(keras):
    """The same order of shapes as Keras's functional API, for branches and shared layers."""

    def build(library, layers):
        a = library.Input((None, 5)) if library is gn else library.Input((5,))
        b = library.Input((None, 3)) if library is gn else library.Input((3,))
        shared = layers.Dense(7)
        u = layers.Dense(3)(a)
        w = shared(layers.Dense(4)(layers.Dense(6)(b)))
        v = shared(layers.Dense(4)(u))
        y = layers.Add()(
            [layers.Dense(2)(v), layers.Dense(2)(w), layers.Dense(2, use_bias=False)(u)]
        )
        return library.Model([a, b], [layers.Dense(1)(y), layers.Dense(8)(w)])

    ours = [w.shape for w in build(gn, gn.layers).weights]
    assert ours == [tuple(w.shape) for w in build(keras, keras.layers).weights]


def test_bare_parameters_belong_to_the_model():
    """A weight used without a layer is trained, listed and saved like any other."""
    x = gn.Input((None, 4), "x")
    w = gn.Parameter(np.zeros((4, 3), "float32"), "w")
    model = gn.Model(x, Activation("softmax")(x @ w))
    assert model.parameters == [w]
    model.compile(gn.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.fit(X, LABELS, verbose=0)
    assert w.value.any()


def test_summary_shows_all_outputs_of_a_layer():
    """A model within another and an LSTM with its states: the shape of each."""
    x = gn.Input((None, 6))
    inner = gn.Model(x, [Dense(2)(x), Dense(3)(x)], name="inner")
    lines = []
    gn.Model(x, inner(x)).summary(print_fn=lines.append)
    assert "inner (Model) (None, 2), (None, 3) 35" in " ".join(lines[0].split())


def test_summary_prints_a_table_and_returns_nothing():
    """Layers with types, shapes and parameters, and the totals."""
    lines = []
    image = gn.Input((None, 8, 8, 1), "image")
    hidden = Flatten(name="flat")(MaxPool2D(name="pool")(Conv2D(4, 3, name="conv")(image)))
    frozen = Dense(2, name="head", trainable=False)
    assert gn.Model(image, frozen(hidden)).summary(print_fn=lines.append) is None
    assert frozen.count_params() == 74
    (text,) = lines
    for row in (
        r"conv (Conv2D)     (None, 6, 6, 4)          40",
        r"head (Dense)      (None, 2)                74",
        "Parameters: 114, of which 40 are trainable",
    ):
        assert row in text


def test_printing_shows_layers_and_equations():
    """The model's ends, each layer's name, and what it computes."""
    x = gn.Input((None, 4), "x")
    model = gn.Model(x, Dense(2, "relu", name="head")(x), name="small")
    assert str(model).splitlines() == [
        "small: x f32[N, 4] -> head f32[N, 2]",
        "",
        "head (Dense)",
        "    head_z[n, o] = sum[i](x[n, i]*head_kernel[i, o]) + head_bias[o]",
        "    head[n, i] = max(0, head_z[n, i])",
    ]


def test_loss_and_updates_are_graphs():
    """A compiled model shows its loss and its training step before any data are there."""
    for loss, shape in (("sparse_categorical_crossentropy", (None,)), ("mse", (None, 3))):
        model = classifier(loss=loss)
        truths = [n for n in gn.Graph([model.loss_node]).inputs if n.name == "y_true"]
        assert [t.shape for t in truths] == [shape]
        assert set(model.parameters) <= set(model.updates)


def test_explain_shows_the_stages_of_what_was_compiled():
    """Nothing before the first call, then the training step."""
    model = classifier()
    with pytest.raises(gn.GraphnnError, match="nothing is compiled yet"):
        gn.explain(model)
    model.predict(X)
    assert "exp(" in gn.explain(model, "stabilize")
    model.train_on_batch(X, LABELS)
    assert "kernel.new" in gn.explain(model, "stabilize")


# --- Sequential -----------------------------------------------------------------------------------


def test_sequential_is_a_chain():
    """With an Input it is built at once; layers may be added; any function of a node is a layer."""
    model = gn.Sequential([gn.Input((None, 4)), Dense(8, "relu")])
    model.add(gn.op("y[...] = x[...]**2"))
    model.add(Dense(3, "softmax"))
    assert [type(layer) for layer in model.layers] == [Dense, Dense]
    assert model.outputs[0].shape == (None, 3)
    assert len(model.get_weights()) == 4


def test_sequential_takes_its_shape_from_the_data():
    """Without an Input the first fit, predict or build makes the weights."""
    images = X.reshape(50, 2, 2, 1)
    model = gn.Sequential([Flatten(), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    assert model.get_weights() == []
    model.fit(images, LABELS, verbose=0)
    assert model.predict(images).shape == (50, 3)
    other = gn.Sequential([Dense(2)])
    other.build((None, 7))
    assert other.get_weights()[0].shape == (7, 2)
    with pytest.raises(gn.GraphnnError, match="built already"):
        other.build((None, 7))


def test_sequential_says_that_it_is_not_built(tmp_path, capsys):
    """Its layers are listed; where a graph is needed, the message says how to get one."""
    model = gn.Sequential([Dense(3, name="first"), Dense(2, name="last")], name="row")
    for needs in (lambda: model.save(tmp_path / "row"), lambda: gn.draw(model)):
        with pytest.raises(gn.GraphnnError, match="row is not built yet: .* build"):
            needs()
    assert str(model) == "row: not built"
    model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "not built" in line] == ["first", "last"]


def test_sequential_refuses_what_is_no_layer():
    """Numbers, a second Input, and an empty chain."""
    with pytest.raises(gn.GraphnnError, match="expected a layer, got 3"):
        gn.Sequential([3])
    with pytest.raises(gn.GraphnnError, match="layers stand in a list, got <Dense .*> alone"):
        gn.Sequential(Dense(3))
    with pytest.raises(gn.GraphnnError, match="an Input comes first"):
        gn.Sequential([gn.Input((None, 4)), Dense(2), gn.Input((None, 2))])
    with pytest.raises(gn.GraphnnError, match="no layers yet"):
        gn.Sequential().build((None, 3))


# --- callbacks and progress -----------------------------------------------------------------------


def test_callbacks_hear_of_everything_in_order():
    """Train, epoch, batch: begin and end, with the running means as logs."""
    heard = []

    class Spy(gn.Callback):
        def on_train_begin(self, logs):
            heard.append(("train", self.params["epochs"], self.params["steps"], self.model.name))

        def on_epoch_begin(self, epoch, logs):
            heard.append(("epoch", epoch))

        def on_train_batch_begin(self, batch, logs):
            heard.append(("batch", batch))

        def on_train_batch_end(self, batch, logs):
            heard.append(("loss" in logs, batch))

        def on_epoch_end(self, epoch, logs):
            heard.append(("end", sorted(logs)))

        def on_train_end(self, logs):
            heard.append(("done", logs["loss"] > 0))

    classifier(metrics=()).fit(X, LABELS, batch_size=30, callbacks=[Spy()], verbose=0)
    assert heard == [
        ("train", 1, 2, "classifier"),
        ("epoch", 0),
        ("batch", 0),
        (True, 0),
        ("batch", 1),
        (True, 1),
        ("end", ["loss"]),
        ("done", True),
    ]


def test_a_callback_may_stop_training():
    """After the batch in which stop_training was set; the epoch is still reported."""

    class Stop(gn.Callback):
        def on_train_batch_end(self, batch, logs):
            self.model.stop_training = batch == 1

    model = classifier()
    history = model.fit(X, LABELS, batch_size=10, epochs=5, callbacks=[Stop()], verbose=0)
    assert len(history.history["loss"]) == 1
    assert model.optimizer.iterations.value == 2


def test_progress_in_a_log_is_a_line_for_each_epoch(capsys):
    """No terminal: whole lines with epoch, measures and time; verbose=0 says nothing."""
    model = classifier()
    model.fit(X, LABELS, epochs=2, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    for word in ("loss ", "accuracy ", "val_loss ", "val_accuracy ", " s)"):
        assert word in lines[0]
    model.evaluate(X, LABELS)
    assert capsys.readouterr().out.startswith("loss ")
    model.fit(X, LABELS, verbose=0)
    model.evaluate(X, LABELS, verbose=0)
    assert capsys.readouterr().out == ""


def test_progress_on_a_terminal_is_a_bar(capsys, monkeypatch):
    """With tqdm, one bar for each epoch, ending with the validation's results."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    classifier().fit(X, LABELS, batch_size=10, epochs=2, validation_split=0.2)
    text = capsys.readouterr().out
    assert "Epoch 1/2" in text
    assert "Epoch 2/2" in text
    assert "100%" in text
    assert "val_loss" in text


def test_history_plots_its_curves(tmp_path):
    """One plot for each measure, saved where asked, or handed out as a figure."""
    pytest.importorskip("matplotlib")
    history = classifier().fit(X, LABELS, epochs=3, validation_split=0.2, verbose=0)
    path = history.plot(tmp_path / "curve.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title() for axes in history.plot().axes] == ["loss", "accuracy"]


# --- refusals -------------------------------------------------------------------------------------

NAN = np.full((50, 4), np.nan)
REFUSALS = [
    ({"x": X[:10]}, gn.ShapeError, "number of samples: x has 10, y_true has 50"),
    ({"x": X[:, :3]}, gn.ShapeError, r"x: expected an array for f32\[N, 4\].*axis 1 must be 4"),
    ({"x": X[:, :, None]}, gn.ShapeError, "3 axes instead of 2"),
    ({"x": X.astype(str)}, gn.DtypeError, "x for x: expected numbers"),
    ({"x": X[:0], "y": LABELS[:0]}, gn.ShapeError, "there are no samples"),
    ({"y": LABELS.astype("float32")}, gn.DtypeError, "class numbers must be integers"),
    ({"y": ROWS.astype(int)}, gn.ShapeError, "one class number for each row"),
    ({"y": np.where(np.arange(50) == 33, 3, LABELS)}, IndexError, r"y_true\[33\] is 3"),
    ({"y": np.where(np.arange(50) == 49, -1, LABELS)}, IndexError, r"y_true\[49\] is -1"),
    ({"validation_data": (X, LABELS[:9])}, gn.ShapeError, "number of samples"),
    ({"validation_data": (X, LABELS + 1)}, IndexError, "is 3"),
    ({"validation_data": X}, gn.GraphnnError, "pair"),
    ({"validation_data": (X, None)}, gn.GraphnnError, "pair"),
    ({"x": [[1, 2, 3, 4], [5]]}, gn.ShapeError, "x for x: got rows of different lengths"),
    ({"y": [0, [1]]}, gn.ShapeError, "y for .*: got rows of different lengths"),
    ({"validation_data": (X, LABELS + 3)}, IndexError, "0 to 2 are allowed"),
    ({"validation_split": 1.5}, gn.GraphnnError, "between 0 and 1"),
    ({"batch_size": 0}, gn.GraphnnError, "batch_size must be a whole number above 0"),
    ({"epochs": 0}, gn.GraphnnError, "epochs must be"),
    ({"verbose": 7}, gn.GraphnnError, "verbose is"),
    ({"x": {"z": X}}, gn.GraphnnError, "expected arrays for x; got z"),
    ({"x": [X, X]}, gn.GraphnnError, "."),
]


@pytest.mark.parametrize(("change", "error", "message"), REFUSALS)
def test_bad_data_is_refused_before_anything_is_trained(change, error, message):
    """A clear error, and every weight, moment and counter as it was, bit for bit."""
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    states = [p for slots in model.optimizer.states.values() for p in slots.values()]
    parameters = [*model.weights, *states, model.optimizer.iterations]
    kept = [p.value.copy() for p in parameters]
    with pytest.raises(error, match=message):
        model.fit(**{"x": X, "y": LABELS, "verbose": 0, **change})
    assert all(np.array_equal(a, p.value) for a, p in zip(kept, parameters, strict=True))


def test_what_is_missing_is_said():
    """fit before compile, no loss, an input that is not listed, outputs that are no nodes."""
    x, other = gn.Input((None, 4), "x"), gn.Input((None, 4), "other")
    model = gn.Model(x, Dense(3)(x), name="plain")
    for use in (
        lambda: model.fit(X, LABELS),
        lambda: model.evaluate(X, LABELS),
        lambda: model.optimizer,
    ):
        with pytest.raises(gn.GraphnnError, match=r"plain is not compiled: call compile"):
            use()
    with pytest.raises(gn.GraphnnError, match="compile needs a loss"):
        model.compile("adam")
    with pytest.raises(gn.GraphnnError, match="unknown loss 'mean'; known are"):
        model.compile("adam", "mean")
    with pytest.raises(gn.GraphnnError, match="unknown metric 'f2'"):
        model.compile("adam", "mse", ["f2"])
    with pytest.raises(gn.GraphnnError, match="which is not an input"):
        gn.Model(x, x + other)
    with pytest.raises(gn.GraphnnError, match=r"gn\.Input nodes"):
        gn.Model(x + 1, x + 2)
    with pytest.raises(gn.GraphnnError, match="each output of a model to be a node"):
        gn.Model(x, [3])


def test_a_summary_counts_parameters_where_they_are_read_first():
    """Those that belong to no layer stand in the row of an operation, once."""
    x, w = gn.Input((None, 3), name="x"), gn.Parameter(np.ones((3, 3), "float32"), "w")
    model = gn.Model(x, (x @ w) @ w)
    lines: list[str] = []
    model.summary(lines.append)
    rows = [line.split()[-1] for line in "".join(lines).splitlines()[4:7]]
    assert rows == ["0", "9", "0"]


def test_inputs_without_the_batch_are_told_apart():
    """Keras's Input leaves the batch out; the message says what to write."""
    x = gn.Input((4,), name="x")
    model = gn.Model(x, gn.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    with pytest.raises(gn.ShapeError, match=r"begin with gn.Input\(\(None, 4\)\)"):
        model.fit(np.ones((8, 4)), np.ones((8, 1)))
