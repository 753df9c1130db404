"""fit in native code is fit batch by batch: the same bits, interrupted after whole batches, told as asked."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import graphnn as gn
from graphnn.callbacks import Callback, LambdaCallback, ModelCheckpoint, TerminateOnNaN

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(205, 6)).astype("float32")
Y = RANDOM.integers(0, 3, 205).astype("int32")
WEIGHTS = RANDOM.uniform(size=205)
EVERY_BATCH = LambdaCallback(on_train_batch_end=lambda batch, logs: None)


def model() -> gn.Model:
    gn.set_seed(3)
    x = gn.Input((None, 6), "x")
    hidden = gn.layers.Dropout(0.3)(gn.layers.Dense(8, activation="tanh")(x))
    made = gn.Model(x, gn.layers.Dense(3, activation="softmax")(hidden))
    measures = {"metrics": ["accuracy"], "weighted_metrics": ["accuracy"]}
    made.compile("adam", "sparse_categorical_crossentropy", **measures)
    return made


def everything(made: gn.Model) -> list[bytes]:
    """Weights, the optimizer's state and the layers' counters."""
    updated = next(iter(made._steps.values())).train.updates
    return [parameter.value.tobytes() for parameter in updated]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [20, 205, 300])
def test_many_batches_at_once_are_the_same_as_one_by_one(shuffle: bool, size: int) -> None:
    """Logs and all that training writes, the last smaller batch, masks, weights and validation included."""
    found = []
    for callbacks in ([], [EVERY_BATCH]):
        made = model()
        history = made.fit(
            X, Y, batch_size=size, epochs=3, verbose=0, shuffle=shuffle, callbacks=callbacks,
            sample_weight=WEIGHTS, validation_split=0.1,
        )  # fmt: skip
        found.append((history.history, everything(made), made.evaluate(X, Y, verbose=0)))
    assert found[0] == found[1]


def test_predict_looks_at_arrays_of_a_known_shape_too() -> None:
    """What fitted before is not asked again, but another dtype is converted or refused, and sizes are checked."""
    made = model()
    first = made.predict(X[:20])
    for same in (
        X[:20].astype("float64"),
        X[:20].tolist(),
        {"x": X[:20]},
        np.asfortranarray(X[:20]),
    ):
        np.testing.assert_array_equal(made.predict(same), first)
    with pytest.raises(gn.DtypeError):
        made.predict(X[:20].astype("complex64"))
    with pytest.raises(gn.DtypeError):
        made.predict(X[:20].astype("U"))
    with pytest.raises(gn.GraphnnError):
        made.predict(X[:20], batch_size=0)


def test_predictions_of_many_batches_are_those_of_each() -> None:
    """Joined in order, from an array that does not lie in one piece, too."""
    made = model()
    parts = [made.predict(X[k : k + 20]) for k in range(0, 205, 20)]
    assert np.array_equal(made.predict(X, batch_size=20), np.concatenate(parts))
    assert np.array_equal(made.predict(X[::-1], batch_size=20)[::-1], made.predict(X, 205))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a shell has started in the background does not hear of Ctrl-C else."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_leaves_a_whole_batch() -> None:
    """Ctrl-C somewhere in native code: going on from there leads where an unbroken training leads."""
    broken = model()
    fit = {"x": X, "y": Y, "batch_size": 10, "verbose": 0}
    broken.fit(**fit)  # so that all is compiled
    timer = threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        broken.fit(**fit, epochs=10**6)
    assert broken.position is not None
    assert len(broken.history.epoch) == broken.position.epoch
    epochs = broken.position.epoch + 1
    broken.fit(**fit, epochs=epochs, resume=True)
    unbroken = model()
    unbroken.fit(**fit)
    unbroken.fit(**fit, epochs=epochs)
    assert everything(broken) == everything(unbroken)


def test_a_label_that_has_become_wrong_stops_before_its_batch() -> None:
    """Data that change while training goes on cannot make it read or write elsewhere."""
    made, labels = model(), Y.copy()

    def spoil(epoch: int, logs: object) -> None:
        labels[30] = 7

    with pytest.raises(IndexError, match="is 7"):
        made.fit(
            X, labels, batch_size=20, epochs=2, verbose=0, shuffle=False,
            callbacks=[LambdaCallback(on_epoch_end=spoil)],
        )  # fmt: skip
    assert made.position is not None
    assert (made.position.epoch, made.position.batch) == (1, 1)


def test_only_who_listens_is_told_of_batches() -> None:
    """A method of one's own counts, in a class or on an object; a checkpoint by epochs does not listen."""

    class Own(Callback):
        def on_train_batch_begin(self, batch, logs):
            """Anything."""

    assert not Callback().hears_batches
    assert not ModelCheckpoint("path").hears_batches
    for each in (Own(), EVERY_BATCH, TerminateOnNaN(), ModelCheckpoint("path", save_freq=2)):
        assert each.hears_batches


def test_subnormal_numbers_may_be_flushed(tmp_path) -> None:
    """A decaying weight becomes 0 where asked for, at once and in a loaded model; else it stays what it is."""
    tiny = np.full((3, 1), np.finfo("f4").tiny, "float32")
    for ftz in (False, True):
        x = gn.Input((None, 1), "x")
        made = gn.Model(x, gn.layers.Dense(1, use_bias=False, kernel_initializer="ones")(x))
        made.compile("sgd", "mse", ftz=ftz)
        made.weights[0].value[:] = 0.5
        made.save(tmp_path / "model")
        for each in (made, gn.load_model(tmp_path / "model")):
            assert each.predict(tiny).any() == (not ftz)
