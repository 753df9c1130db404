"""Training on any number of threads gives the same weights, to the bit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphnn as gn
from compiler.scheduling import distribute

ROOT = Path(__file__).parent.parent.parent
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


SMALL_STACK = """if True:
    import threading, numpy as np, graphnn as gn
    x, labels = gn.Input((64, 14, 14, 16)), gn.Input((64,), dtype="int32")
    logits = gn.layers.Dense(10)(gn.layers.Flatten()(gn.layers.Conv2D(32, 3, activation="relu")(x)))
    loss = gn.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    updates = gn.optimizers.SGD().apply_gradients(gn.compute_gradients(loss))
    train = gn.function([x, labels], loss, updates)
    batch = np.random.default_rng(0).normal(size=x.shape).astype("f4"), np.arange(64, dtype="i4") % 10
    model = gn.Model(x, logits)
    start = model.get_weights()
    train.prepare(batch)

    def weights_after_a_step():
        model.set_weights(start)
        train(*batch)
        found.append([w.tobytes() for w in model.get_weights()])

    found = []
    threading.stack_size(128 << 10)
    thread = threading.Thread(target=weights_after_a_step)
    thread.start(), thread.join()
    weights_after_a_step()
    print(len(found), found[0] == found[1])
"""


def test_threads_need_no_large_stack() -> None:
    """A step whose blocks are larger than the stacks of its threads gives the same weights, to the bit."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL_STACK],
        cwd=ROOT,
        env=os.environ | {"GRAPHNN_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["2", "True"], done.stderr


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
