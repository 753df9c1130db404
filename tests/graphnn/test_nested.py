"""A model called on nodes is a layer: the same weights, masks of its own, in prints, pictures and files."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.files.weights import weight_names
from graphnn.layers import LSTM, BatchNormalization, Concatenate, Dense, Dropout, Embedding

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 4)).astype("float32")
T = rng.normal(size=(24, 2)).astype("float32")


def encoder(rate=0.0):
    layers = [Dense(5, "tanh"), Dropout(rate), BatchNormalization(), Dense(3)]
    return gn.Sequential([gn.Input((None, 4)), *layers], name="encoder")


def encoder_of(keras):
    kinds = keras.layers
    layers = [kinds.Dense(5, "tanh"), kinds.BatchNormalization(), kinds.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *layers])


def twins(rate=0.0):
    """One encoder for two inputs, once as it is and once within another model."""
    gn.set_seed(3)
    one = encoder(rate)
    inner = gn.Input((None, 4))
    other = gn.Model(inner, one(inner), name="other")
    a, b = gn.Input((None, 4), "a"), gn.Input((None, 4), "b")
    model = gn.Model([a, b], Dense(2, name="top")(Concatenate(name="both")([one(a), other(b)])))
    model.compile(gn.optimizers.SGD(0.1), "mse")
    return model


def test_a_model_on_nodes_has_its_outputs_and_weights():
    """The values are those of the model itself; weights are counted once, in the model's order."""
    model = twins()
    one = model.get_layer("encoder")
    assert [layer.name for layer in model.layers] == ["encoder", "other", "both", "top"]
    assert [id(p) for p in model.weights[:8]] == [id(p) for p in one.weights]
    assert len(model.weights) == 10
    values = gn.function(model.inputs, [one(model.inputs[0]), one(model.inputs[1])])(X, 2 * X)
    for value, given in zip(values, (X, 2 * X), strict=True):
        assert np.array_equal(value, one.predict(given))


def test_training_the_whole_is_kerass(keras):
    """Shared twice and nested: losses, weights and moving statistics after some epochs."""
    one = encoder_of(keras)
    inner, a, b = (keras.Input((4,)) for _ in range(3))
    other = keras.Model(inner, one(inner))
    mixed = keras.layers.Concatenate()([one(a), other(b)])
    theirs = keras.Model([a, b], keras.layers.Dense(2)(mixed))
    theirs.compile(keras.optimizers.SGD(0.1), "mse")
    ours = twins()
    theirs.set_weights(ours.get_weights())
    options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0}
    losses = [m.fit([X, 2 * X], T, **options).history["loss"] for m in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for mine, expected in zip(ours.weights, theirs.weights, strict=True):
        assert np.allclose(mine.value, expected.value, atol=1e-5)


def test_it_is_a_box_in_pictures():
    """All that is in it is drawn as one, weights that nobody else has included."""
    pytest.importorskip("ziamath", reason="pictures need graphnn[viz]")
    x = gn.Input((None, 4), "x")
    drawing = gn.draw(gn.Model(x, Dense(2, name="top")(encoder()(x))), depth=0)
    shown = "".join(line for line in drawing.to_dot().splitlines() if "label" in line)
    assert "encoder" in shown
    assert "gamma" not in shown


def test_it_is_in_prints_and_files(tmp_path):
    """A row, a part of the text; loaded it predicts, and goes on bit for bit."""
    model = twins(0.5)
    table = []
    model.summary(table.append)
    assert "encoder (Sequential)  (None, 3)" in table[0]
    assert str(model).count("encoder (Sequential)\n") == 1
    assert "other (Model)" in str(model)
    given = {"batch_size": 10, "verbose": 0}
    model.fit([X, X], T, **given)
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    assert [w.shape for w in loaded.get_weights()] == [w.shape for w in model.get_weights()]
    for each in (model, loaded):
        each.fit([X, X], T, **given)
    pairs = zip(model.get_weights(), loaded.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    x = gn.Input((None, 4))
    again = gn.Model(x, loaded([x, x]))
    assert np.array_equal(again.predict(X), loaded.predict([X, X]))


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz"])
def test_weights_have_the_same_names_in_every_process(name, tmp_path):
    """Whatever was built before, and after loading: a model's within that of the model it is a part of."""
    model = twins()
    loaded_from = tmp_path / "model"
    model.save(loaded_from)
    Dense(1)(gn.Input((None, 1)))  # numbers of names go on
    others = [twins(), gn.load_model(loaded_from)]
    for writer in (model, others[1]):
        writer.save_weights(tmp_path / name)
        for other in others:
            other.set_weights([0 * w for w in other.get_weights()])
            other.load_weights(tmp_path / name)
            assert all(map(np.array_equal, other.get_weights(), model.get_weights()))
    names = [*weight_names(model.layers, model.weights)]
    assert [*weight_names(others[1].layers, others[1].weights)] == names
    assert names[:3] == [
        "other.encoder.dense.kernel",
        "other.encoder.dense.bias",
        "other.encoder.batch_normalization.gamma",
    ]
    assert names[-1] == "top.bias"


def test_each_use_draws_masks_of_its_own():
    """Of two uses of a dropout neither mask is the other one, also within a model within a model."""
    gn.set_seed(0)
    x = gn.Input((None, 50))
    lost = gn.Sequential([gn.Input((None, 50)), Dropout(0.5)])
    twice = gn.Model(x, [lost(x), lost(x)])
    outputs = [lost.outputs[0], *twice.outputs, *twice(x), *twice(x)]
    inputs = [lost.inputs[0], x]
    masks = gn.function(inputs, outputs, training=True)(*[np.ones((4, 50), "float32")] * 2)
    assert len({mask.tobytes() for mask in masks}) == len(outputs) == 7


def test_frozen_parts_stay_frozen(tmp_path):
    """A normalization that is not trainable uses its moving statistics, also in a nested and a loaded model."""
    one = encoder()
    one.layers[2].trainable = False
    x = gn.Input((None, 4))
    model = gn.Model(x, Dense(2)(one(x)))
    model.compile("sgd", "mse")
    model.save(tmp_path / "model")
    kept = [w.copy() for w in one.layers[2].get_weights()]
    loaded = gn.load_model(tmp_path / "model")
    for each in (model, loaded):
        each.fit(X, T, verbose=0)
        after = each.get_weights()[2:6]
        assert all(np.array_equal(a, b) for a, b in zip(after, kept, strict=True))
    one.trainable = False
    assert [p.name for p in model.parameters] == [p.name for p in model.layers[1].weights]


def test_a_sequential_is_built_by_its_first_node():
    """As by its first data; inside of another layer, too, and for tokens."""
    tokens = gn.Input((None, 6), dtype="int32")
    chain = gn.Sequential([gn.Sequential([Embedding(9, 3)]), LSTM(2)])
    assert chain(tokens).shape == (None, 2)
    assert len(chain.weights) == 4
    assert chain.inputs[0].type == "i32[N, 6]"

    class Twice(gn.Layer):
        def build(self, *_):
            self.part = gn.Sequential([Dense(3, name="inner")])

        def call(self, *inputs):
            return self.part(self.part(*inputs))

    x = gn.Input((None, 3), "x")
    model = gn.Model(x, Twice()(x))
    assert model.predict(X[:, :3]).shape == (24, 3)
    assert [p.name for p in model.weights] == ["inner.kernel", "inner.bias"]


def test_nodes_that_do_not_fit():
    """Their number, shape and dtype; arrays are predicted."""
    one = encoder()
    with pytest.raises(
        gn.ShapeError, match=r"encoder: expected input.*: f32\[N, 4\], got .*\[N, 5\]"
    ):
        one(gn.Input((None, 5)))
    with pytest.raises(gn.ShapeError, match="encoder: expected .*f64"):
        one(gn.Input((None, 4), dtype="float64"))
    with pytest.raises(gn.GraphnnError, match="encoder takes 1 inputs, got 2"):
        one(gn.Input((None, 4)), gn.Input((None, 4)))
    with pytest.raises(gn.GraphnnError, match="encoder .*got ndarray; .*arrays are for predict"):
        one(X)


# --- training= at a call --------------------------------------------------------------------------


def test_a_call_may_say_which_side_it_is(keras):
    """training=True and False hold whatever the graph is made for, and for all that is within."""
    one = encoder()
    one.layers[2].set_weights([np.full(5, v, "float32") for v in (2, 1, 0.5, 3)])
    x = gn.Input((None, 4))
    nodes = [one(x), one(x, training=False), one(x, training=True)]
    predicted = gn.function([x], nodes, training=False)(X)
    trained = gn.function([x], nodes, training=True)(X)
    assert np.array_equal(predicted[0], predicted[1])
    assert np.array_equal(trained[0], trained[2])
    for a, b in zip(predicted[1:], trained[1:], strict=True):
        assert np.array_equal(a, b)
    theirs = encoder_of(keras)
    theirs.set_weights(one.get_weights())
    for mine, training in zip(predicted[1:], (False, True), strict=True):
        assert np.allclose(mine, theirs(X, training=training), atol=1e-5)


def test_what_is_told_to_predict_does_not_move(tmp_path):
    """Statistics of a call with training=False stay, those of training=True move in training only; files keep it."""
    x = gn.Input((None, 4))
    for training, moves in ((False, False), (True, True)):
        norm = BatchNormalization()
        model = gn.Model(x, Dense(2)(norm(x, training=training)))
        model.compile("sgd", "mse")
        model.save(tmp_path / "model")
        before = norm.get_weights()
        model.predict(X)
        assert np.array_equal(norm.get_weights()[2], before[2])
        for each in (model, gn.load_model(tmp_path / "model")):
            each.fit(X, T, verbose=0)
            assert np.array_equal(each.get_weights()[2], before[2]) is not moves
    with pytest.raises(gn.GraphnnError, match="training is True, False or None, got 'yes'"):
        BatchNormalization()(x, training="yes")


def test_dropout_that_always_works_draws_anew_in_predict_too():
    """For each batch and call; weights and moving statistics stay, and so does what is not told to work."""
    gn.set_seed(0)
    x = gn.Input((None, 50))
    normal = BatchNormalization()
    noisy = normal(Dropout(0.5)(x, training=True), training=True)
    inner = gn.Model(x, Dropout(0.5)(noisy))
    k = gn.Input((None, 50))
    model, ones = gn.Model(k, inner(k)), np.ones((64, 50), "float32")
    before = model.get_weights()
    first, second = (model.predict(ones, batch_size=32) for _ in range(2))
    whole = gn.function([k], inner(k), training=False)
    assert len({part.tobytes() for part in (*np.split(first, 2), *np.split(second, 2))}) == 4
    assert not np.array_equal(whole(ones), whole(ones))
    assert len(before) == len(normal.weights)  # keys and counters of random streams are none
    assert all(map(np.array_equal, before, model.get_weights()))


# --- what is trained ------------------------------------------------------------------------------


def test_a_compiled_model_trains_what_it_did_when_it_was_compiled():
    """Before and after the first step, for every kind of batch, statistics of normalizations and penalties included."""
    gn.set_seed(1)
    first = Dense(5, kernel_regularizer="l2")
    norm, last = BatchNormalization(), Dense(2)
    x = gn.Input((None, 4))
    one, head = gn.Model(x, norm(first(x))), gn.Input((None, 4))
    model = gn.Model(head, last(one(head)))
    model.compile("sgd", "mse")
    learnt = [p.name for p in model.parameters]
    one.trainable = False
    for batch in (24, 12):
        for weights in (None, np.ones(batch, "float32")):
            before = model.get_weights()
            model.train_on_batch(X[:batch], T[:batch], sample_weight=weights)
            assert not any(map(np.array_equal, model.get_weights(), before))
    assert model.test_on_batch(X, T) > np.mean((model.predict(X) - T) ** 2) + 1e-3
    assert [p.name for p in model.updates.new_values if p in model.weights] == learnt
    assert not one.trainable and len(model.parameters) == 2


def test_a_part_of_another_model_is_trained_by_itself():
    """A critic that is frozen within a second model, as adversarial networks are trained."""
    gn.set_seed(2)
    critic = gn.Sequential([gn.Input((None, 2)), Dense(3, "tanh"), Dense(1, "sigmoid")])
    critic.compile("adam", "binary_crossentropy")
    critic.trainable = False
    maker = gn.Sequential([gn.Input((None, 4)), Dense(2)])
    noise = gn.Input((None, 4))
    both = gn.Model(noise, critic(maker(noise)))
    both.compile("adam", "binary_crossentropy")
    for model, still, moving in [(critic, maker, critic), (both, critic, maker)]:
        before = [each.get_weights() for each in (still, moving)]
        model.train_on_batch(X[:, : model.inputs[0].shape[1]], T[:, :1] > 0)
        assert all(map(np.array_equal, still.get_weights(), before[0]))
        assert not any(map(np.array_equal, moving.get_weights(), before[1]))


def test_a_model_without_input_keeps_what_is_trained_until_it_is_built():
    """Compiled first and frozen then, it is trained as it was compiled; compiled again, no more."""
    model = gn.Sequential([Dense(3), BatchNormalization(), Dense(2)])
    model.compile("sgd", "mse")
    model.layers[0].trainable = model.layers[1].trainable = False
    model.train_on_batch(X, T)
    before = model.get_weights()
    model.train_on_batch(X, T)
    assert not any(map(np.array_equal, model.get_weights(), before))
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.train_on_batch(X, T)
    same = list(map(np.array_equal, model.get_weights(), before))
    assert same == [True] * 6 + [False] * 2


# --- several outputs, more layers -----------------------------------------------------------------


def test_outputs_of_each_use_have_names_of_their_own(tmp_path):
    """Of a model with several outputs, and of a layer: each has its loss, by its name."""
    x = gn.Input((None, 4))
    h = Dense(2, name="h")(x)
    inner = gn.Model(x, [h, Dense(1, name="o")(h)], name="inner")
    a, b = gn.Input((None, 4), "a"), gn.Input((None, 4), "b")
    model = gn.Model([a, b], [*inner(a), *inner(b)])
    names = [node.name for node in model.outputs]
    assert names == ["h", "o", "h.call_2", "o.call_2"]
    model.compile("sgd", dict.fromkeys(names, "mse"))
    truth = dict(zip(names, [T, T[:, :1], 2 * T, T[:, 1:]], strict=True))
    model.save(tmp_path / "model")
    for each in (model, gn.load_model(tmp_path / "model")):
        logs = each.evaluate([X, X], truth, verbose=0, return_dict=True)
        assert list(logs) == ["loss", *(f"{name}_loss" for name in names)]
        assert logs["loss"] == pytest.approx(sum(logs[f"{name}_loss"] for name in names))
    cell, steps = LSTM(2, return_state=True, name="cell"), gn.Input((None, 3, 4))
    states = [*cell(steps), *cell(steps)]
    assert len({node.name for node in states}) == len({*states}) == 4


def test_outputs_of_one_name_report_a_loss_each():
    """They are told apart by numbers, and by their places where losses are given."""
    x = gn.Input((None, 4))
    y = Dense(2, name="y")(x)
    model = gn.Model(x, [y, y])
    with pytest.raises(gn.GraphnnError, match=r"loss: outputs have the same name \(y, y\)"):
        model.compile("sgd", {"y": "mse"})
    model.compile("sgd", ["mse", "mae"])
    logs = model.evaluate(X, [T, T], verbose=0, return_dict=True)
    assert list(logs) == ["loss", "y_loss", "y_loss_1"]
    assert logs["loss"] == pytest.approx(logs["y_loss"] + logs["y_loss_1"])


def test_a_model_that_is_part_of_another_takes_no_more_layers():
    """The other would count weights and penalties that it does not compute."""
    part = gn.Sequential([gn.Input((None, 4)), Dense(2)], name="part")
    k = gn.Input((None, 4))
    whole = gn.Model(k, part(k))
    with pytest.raises(gn.GraphnnError, match="part has been called on nodes: add layers to it"):
        part.add(Dense(2, kernel_regularizer="l2"))
    assert len(part.weights) == len(whole.weights) == 2
    assert not whole.losses
