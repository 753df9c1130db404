"""Callbacks: each of Keras's, on a training whose logs are known."""

import math

import numpy as np
import pytest

import graphnn as gn
from graphnn.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)

X, Y = np.array([[1.0], [2.0]], "float32"), np.array([[0.0], [0.0]], "float32")


def line(rate=0.1):
    """One weight, at first 1, drawn to 0."""
    gn.set_seed(0)
    x = gn.Input((None, 1), "x")
    layer = gn.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="line")
    model = gn.Model(x, layer(x), name="model")
    model.compile(gn.optimizers.SGD(rate), "mse")
    return model


class Fake:
    """A model that is told what its logs are."""

    stop_training = False

    def __init__(self, rate=1.0):
        self.optimizer = gn.optimizers.SGD(rate)
        self.weights = [np.zeros(1)]

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def told(callback, values, name="val_loss", model=None):
    """The epochs' learning rates, up to where the callback stops training."""
    model = model or Fake()
    rates = []
    callback.set_model(model)
    callback.on_train_begin({})
    for epoch, value in enumerate(values):
        model.weights = [np.full(1, float(epoch))]
        callback.on_epoch_end(epoch, {name: value})
        rates.append(model.optimizer.learning_rate)
        if model.stop_training:
            break
    callback.on_train_end({})
    return rates


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([3, 2, 1, 2, 2, 0], {"patience": 2}, 5, 2),
        ([3, 2, 1, 2, 2, 0], {"patience": 3}, 6, 5),
        ([3, 2, 1.95, 1.9, 1.85], {"patience": 2, "min_delta": 0.5}, 4, 1),
        ([1, 2, 3, 2, 2], {"patience": 2, "mode": "max"}, 5, 2),
        ([3, 4, 5, 2, 3, 3], {"patience": 1, "start_from_epoch": 3}, 5, 3),
        ([9, 8, 7, 6], {"patience": 2, "baseline": 5.0}, 4, 3),
        ([3, math.nan, 4], {"patience": 2}, 3, 0),
    ],
)
def test_early_stopping_waits_as_long_as_asked(values, options, epochs, best):
    """Epochs done, and the best one, whose weights come back."""
    model, stopping = Fake(), EarlyStopping(restore_best_weights=True, **options)
    assert len(told(stopping, values, model=model)) == epochs
    assert stopping.best_epoch == best
    assert model.weights[0][0] == best


def test_early_stopping_in_a_fit():
    """A diverging weight: training stops, and the first epoch's weight is back."""
    model = line(rate=0.5)
    history = model.fit(
        X, Y, epochs=20, verbose=0, validation_data=(X, Y),
        callbacks=[EarlyStopping(patience=3, restore_best_weights=True)],
    )  # fmt: skip
    assert len(history.epoch) == 4
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(min(history.history["val_loss"]))


def test_what_is_not_logged_cannot_be_monitored():
    """The message lists what is; a wrong mode is refused, too."""
    with pytest.raises(gn.GraphnnError, match=r"val_loss is not .* logged: loss; give fit valid"):
        line().fit(X, Y, callbacks=[EarlyStopping()], verbose=0)
    with pytest.raises(gn.GraphnnError, match="mode is 'auto', 'min' or 'max'"):
        EarlyStopping(mode="least")


@pytest.mark.parametrize("watching", [EarlyStopping, ReduceLROnPlateau])
def test_a_mistyped_name_is_found_where_anything_validates(watching):
    """What validation never gives is told from what it gives later."""
    with pytest.raises(gn.GraphnnError, match="val_losss is not among what is logged"):
        line().fit(X, Y, validation_data=(X, Y), callbacks=watching("val_losss"), verbose=0)


def test_checkpoints_named_by_validation_wait_for_it(tmp_path):
    """Epochs without it are not saved; what is never logged is an error, and so is a batch's validation."""
    checked = {"validation_data": (X, Y), "epochs": 4, "validation_freq": 2, "verbose": 0}
    line().fit(X, Y, callbacks=ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.2f}"), **checked)
    assert sorted(path.name[:2] for path in tmp_path.iterdir()) == ["2-", "4-"]
    best = {"save_best_only": True}
    for mistaken in (
        ModelCheckpoint(tmp_path / "a", "val_acc", **best),
        ModelCheckpoint(tmp_path / "a", save_freq=1, **best),
        ModelCheckpoint(tmp_path / "{val_acc}"),
    ):
        with pytest.raises(gn.GraphnnError, match="logged: loss"):
            line().fit(X, Y, callbacks=mistaken, **checked)


def test_checkpoints_are_models_or_weights(tmp_path):
    """One for each epoch by its name, or the best; either can be loaded."""
    model = line()
    model.fit(
        X, Y, epochs=3, verbose=0, callbacks=[
            ModelCheckpoint(tmp_path / "all" / "{epoch:02d}-{loss:.1f}.gn"),
            ModelCheckpoint(tmp_path / "best.npz", "loss", save_best_only=True, save_weights_only=True),
        ],
    )  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert [name[:2] for name in names] == ["01", "02", "03"]
    loaded = gn.load_model(tmp_path / "all" / names[-1])
    assert np.array_equal(loaded.get_weights()[0], model.get_weights()[0])
    other = line()
    other.load_weights(tmp_path / "best.npz")
    assert np.array_equal(other.get_weights()[0], model.get_weights()[0])
    with pytest.raises(gn.GraphnnError, match="which is not logged: loss"):
        model.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "{val_loss}")])


def test_checkpoints_by_batches_can_be_resumed(tmp_path):
    """A model saved within an epoch goes on to the weights of an unbroken run."""
    model = line()
    fit = {"batch_size": 1, "epochs": 3, "verbose": 0}
    model.fit(X, Y, callbacks=[ModelCheckpoint(tmp_path / "at-{epoch}", save_freq=3)], **fit)
    loaded = gn.load_model(tmp_path / "at-2")
    loaded.fit(X, Y, resume=True, **fit)
    assert np.array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_only_the_best_is_saved(tmp_path):
    """Nothing is written where nothing improved, from a threshold on."""
    path = tmp_path / "best"
    checkpoint = ModelCheckpoint(path, "loss", save_best_only=True, initial_value_threshold=0.1)
    line().fit(X, Y, epochs=1, verbose=0, callbacks=[checkpoint])
    assert not path.exists()


def test_the_rate_may_follow_a_function():
    """Of the epoch and the rate so far, or of the epoch alone."""
    for schedule in (lambda epoch, rate: rate / 2, lambda epoch: 0.1 * 0.5 ** (epoch + 1)):
        model = line(0.1)
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[LearningRateScheduler(schedule)])
        assert model.optimizer.learning_rate == pytest.approx(0.0125)


def test_a_plateau_reduces_the_rate():
    """After patience epochs without improvement, not below min_lr, with a rest in between."""
    plateau = {"factor": 0.5, "patience": 2}
    assert told(ReduceLROnPlateau(**plateau), [3, 3, 3, 3, 3]) == [1, 1, 0.5, 0.5, 0.25]
    rates = told(ReduceLROnPlateau(min_lr=0.4, **plateau), [3] * 7)
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.4, 0.4, 0.4])
    assert told(ReduceLROnPlateau(cooldown=2, **plateau), [3] * 6) == [1, 1, 0.5, 0.5, 0.5, 0.25]
    with pytest.raises(gn.GraphnnError, match="factor must lie"):
        ReduceLROnPlateau(factor=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras's own
@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_patience_is_that_of_keras(keras, name):
    """The same epochs and rates on the same logs."""
    for values in ([3, 2, 1, 2, 2, 0.5, 1, 1, 1, 1], [1] * 8, [1, 2, 3, 1, 1, 1, 0, 0, 0, 0]):
        options = {"patience": 2, "min_delta": 0.1}
        options |= {"cooldown": 1, "factor": 0.5} if name == "ReduceLROnPlateau" else {}
        theirs, model = getattr(keras.callbacks, name)(**options), Fake()
        theirs.set_model(model)
        model.optimizer = keras.optimizers.SGD(1.0)
        theirs.on_train_begin()
        expected = []
        for epoch, value in enumerate(values):
            theirs.on_epoch_end(epoch, {"val_loss": value})
            expected.append(float(model.optimizer.learning_rate))
            if model.stop_training:
                break
        assert told(getattr(gn.callbacks, name)(**options), values) == pytest.approx(expected)


def test_csv_logs_have_a_line_for_each_epoch(tmp_path):
    """With a header, which is not repeated when a second training is appended."""
    path = tmp_path / "log.csv"
    history = line().fit(X, Y, epochs=2, verbose=0, callbacks=[CSVLogger(path)])
    line().fit(X, Y, verbose=0, callbacks=[CSVLogger(path, append=True)])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss"
    assert [row.split(",")[0] for row in lines[1:]] == ["0", "1", "0"]
    assert float(lines[2].split(",")[1]) == history.history["loss"][1]


def test_nan_ends_training(capsys):
    """After the batch in which the loss is no number any more."""
    model = line(rate=1e30)
    history = model.fit(X, Y, epochs=50, verbose=0, callbacks=[TerminateOnNaN()])
    assert len(history.epoch) < 5
    assert "training stops" in capsys.readouterr().out


def test_functions_may_be_callbacks():
    """By the event's name; others are refused."""
    heard = []
    model = line()
    model.fit(
        X, Y, epochs=2, verbose=0,
        callbacks=[LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append(epoch))],
    )  # fmt: skip
    assert heard == [0, 1]
    with pytest.raises(gn.GraphnnError, match="no event on_lunch"):
        LambdaCallback(on_lunch=print)


def test_validation_may_come_seldom(tmp_path):
    """Every so many epochs, or after those of a list; callbacks wait for what they watch."""
    model, x, y = line(), np.ones((8, 1)), np.zeros((8, 1))
    given = {"epochs": 5, "verbose": 0, "validation_split": 0.25}
    log = tmp_path / "log.csv"
    for often, count in ((2, 2), ([1, 4, 5], 3)):
        watching = [gn.callbacks.EarlyStopping(patience=9), gn.callbacks.ReduceLROnPlateau()]
        watching.append(gn.callbacks.ModelCheckpoint(tmp_path / "m", save_best_only=True))
        watching.append(gn.callbacks.CSVLogger(log))
        history = model.fit(x, y, validation_freq=often, callbacks=watching, **given).history
        assert (len(history["loss"]), len(history["val_loss"])) == (5, count)
        assert log.read_text().count("NA") == 5 - count
    with pytest.raises(gn.GraphnnError, match="validation_freq must be a whole number above 0"):
        model.fit(x, y, validation_freq=0, **given)
