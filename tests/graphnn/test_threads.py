"""Training on any number of threads gives the same weights, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphnn as gn
from compiler.scheduling import distribute

THREADS = (1, 2, 3, 4, 7)


def _perceptron(x: gn.Input) -> object:
    return gn.layers.Dense(10)(gn.layers.Dense(33, activation="relu")(gn.layers.Flatten()(x)))


def _windows(x: gn.Input) -> object:
    y = gn.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    return _perceptron(gn.layers.MaxPool2D(2)(y))


def _recurrent(x: gn.Input) -> object:
    rows = gn.layers.Reshape((12, 36))(x)
    return gn.layers.Dense(10)(gn.layers.LSTM(17)(rows))


def _trained(network: Callable[[gn.Input], object], threads: int) -> list[bytes]:
    gn.set_seed(1)
    x, labels = gn.Input((6, 12, 12, 3)), gn.Input((6,), dtype="int32")
    logits = network(x)
    loss = gn.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    updates = gn.optimizers.Adam(learning_rate=1e-2).apply_gradients(gn.compute_gradients(loss))
    train = gn.function([x, labels], loss, updates=updates)
    random = np.random.default_rng(2)
    images = random.normal(size=x.shape).astype("float32")
    losses = [train(images, np.arange(6, dtype="int32")).tobytes() for _ in range(3)]
    return [*losses, *(w.tobytes() for w in gn.Model(x, logits).get_weights())]


@pytest.mark.parametrize("network", [_perceptron, _windows, _recurrent])
def test_training_does_not_depend_on_threads(
    network: Callable[[gn.Input], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses and weights after three steps are the same for any number of threads, each kernel shared."""
    monkeypatch.setattr(distribute, "WORTH", 0.0)
    monkeypatch.setattr(distribute, "WORTH_WAKING", 0.0)
    monkeypatch.setenv("GRAPHNN_CACHE", "off")
    found = []
    for threads in THREADS:
        monkeypatch.setenv("GRAPHNN_THREADS", str(threads))
        found.append(_trained(network, threads))
    assert all(each == found[0] for each in found)
