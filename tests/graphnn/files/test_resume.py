"""Resumed training is the training that was not interrupted, bit for bit."""

import pytest

import graphnn as gn
from graphnn.layers import LSTM, BatchNormalization, Dense, Dropout

from .models import LABELS, X, classifier, same, states

OPTIMIZERS = {
    "sgd": lambda: gn.optimizers.SGD(0.1),
    "momentum": lambda: gn.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: gn.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: gn.optimizers.Adam(0.01),
    "rmsprop": lambda: gn.optimizers.RMSprop(0.01, momentum=0.5),
    "adamw, clipped": lambda: gn.optimizers.AdamW(0.01, clipnorm=0.1),
    "one's own": lambda: gn.Optimizer("w.new[...] = w[...] - a*sign(g[...])", 0.01),
    "schedule": lambda: gn.optimizers.SGD(gn.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
}
FIT = {"batch_size": 16, "verbose": 0, "validation_split": 0.2}  # 40 samples, 3 batches an epoch


class Interrupt(gn.Callback):
    """Saves after so many batches, and stops as Ctrl-C would."""

    def __init__(self, path, batches):
        self.path, self.left = path, batches

    def on_train_batch_end(self, batch, logs):
        self.left -= 1
        if not self.left:
            self.model.save(self.path)
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "batches"), [*((name, 5) for name in OPTIMIZERS), ("adam", 1), ("adam", 3)]
)
def test_resumed_within_an_epoch(name, batches, tmp_path):
    """Saved after any batch: weights, moments, counters, order of samples, and the epochs' logs."""
    whole = classifier(OPTIMIZERS[name]())
    expected = whole.fit(X, LABELS, epochs=3, **FIT).history
    broken = classifier(OPTIMIZERS[name]())
    interrupt = Interrupt(tmp_path / "model", batches)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, LABELS, epochs=3, callbacks=[interrupt], **FIT)
    gn.set_seed(99)  # another process would not know the seed
    loaded = gn.load_model(tmp_path / "model")
    history = loaded.fit(X, LABELS, epochs=3, resume=True, **FIT).history
    assert same(states(loaded), states(whole))
    done = (batches - 1) // 3
    assert history == {name: values[done:] for name, values in expected.items()}


def test_resumed_with_random_and_kept_tensors(tmp_path):
    """Masks of dropout, statistics of a normalization and a recurrence go on as if nothing had been."""

    def build():
        gn.set_seed(2)
        x = gn.Input((None, 2, 2), "x")
        h = BatchNormalization()(Dropout(0.4)(LSTM(4)(x)))
        model = gn.Model(x, Dense(3, "softmax")(Dropout(0.2)(h)))
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    steps = X.reshape(-1, 2, 2)
    whole = build()
    whole.fit(steps, LABELS, epochs=2, **FIT)
    broken = build()
    with pytest.raises(KeyboardInterrupt):
        broken.fit(steps, LABELS, epochs=2, callbacks=[Interrupt(tmp_path / "model", 2)], **FIT)
    loaded = gn.load_model(tmp_path / "model")
    loaded.fit(steps, LABELS, epochs=2, resume=True, **FIT)
    assert same(states(loaded), states(whole))
    assert same([loaded.predict(steps)], [whole.predict(steps)])


def test_resumed_between_epochs(tmp_path):
    """Two fits of one epoch are a fit of two; with a file between them too."""
    whole = classifier()
    whole.fit(X, LABELS, epochs=2, **FIT)
    first = classifier()
    first.fit(X, LABELS, epochs=1, **FIT)
    first.save(tmp_path / "model")
    for options in ({"epochs": 1}, {"epochs": 2, "resume": True}):
        loaded = gn.load_model(tmp_path / "model")
        loaded.fit(X, LABELS, **options, **FIT)
        assert same(states(loaded), states(whole))


def test_a_model_goes_on_after_an_interruption():
    """Without a file: what Ctrl-C broke off, `resume` completes."""
    whole = classifier()
    whole.fit(X, LABELS, epochs=2, **FIT)
    broken = classifier()

    class Stop(gn.Callback):
        def on_train_batch_end(self, batch, logs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, LABELS, epochs=2, callbacks=[Stop()], **FIT)
    broken.fit(X, LABELS, epochs=2, resume=True, **FIT)
    assert same(states(broken), states(whole))


def test_resuming_twice_trains_once(tmp_path):
    """A fit that is complete has nothing left to do."""
    model = classifier()
    model.fit(X, LABELS, epochs=2, **FIT)
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    assert loaded.fit(X, LABELS, epochs=2, resume=True, **FIT).history == {}
    assert same(states(loaded), states(model))


def test_resuming_with_other_data_is_refused(tmp_path):
    """Another number of samples or another batch size cannot lead to the same result."""
    model = classifier()
    model.fit(X, LABELS, **FIT)
    model.save(tmp_path / "model")
    loaded = gn.load_model(tmp_path / "model")
    with pytest.raises(gn.GraphnnError, match="goes on with 40 samples in batches of 16"):
        loaded.fit(X, LABELS, batch_size=8, epochs=3, resume=True, verbose=0)


def test_a_loaded_model_follows_a_new_seed(tmp_path):
    """Its own streams go on until `set_seed` is called, as for every other model."""
    classifier().save(tmp_path / "model")
    found = []
    for seed in (7, 7, 8):
        loaded = gn.load_model(tmp_path / "model")
        gn.set_seed(seed)
        loaded.fit(X, LABELS, epochs=1, **FIT)
        found.append(states(loaded))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_every_field_of_an_optimizer_is_saved():
    """What an optimizer is made of is known to the files: a new field must be written, too."""
    known = {"update", "step_size", "clipping", "decay", "schedule"}
    known |= {"name", "rate", "iterations", "states"}
    for make in OPTIMIZERS.values():
        assert set(vars(make())) == known
