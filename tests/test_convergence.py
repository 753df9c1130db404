"""Convergence: small networks reach what they should, from any seed; three of them, or ten with --slow."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import GRU, LSTM, Conv2D, Dense, Flatten, MaxPool2D, MultiHeadAttention

sklearn = pytest.importorskip("sklearn")
from sklearn import datasets  # noqa: E402
from sklearn.model_selection import StratifiedKFold, train_test_split  # noqa: E402

SEEDS = [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 10))]


def perceptron(inputs, hidden, activation="relu", rate=0.01):
    model = gn.Sequential(
        [gn.Input((None, inputs)), Dense(hidden, activation), Dense(1, "sigmoid")]
    )
    model.compile(gn.optimizers.Adam(rate), "binary_crossentropy", ["accuracy"])
    return model


@pytest.mark.parametrize("seed", SEEDS)
def test_exclusive_or(seed):
    """Four points, all right."""
    gn.set_seed(seed)
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    model = perceptron(2, 8, "tanh", 0.05)
    model.fit(x, y, epochs=300, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_two_moons(seed):
    """At least 97 % of points not seen."""
    gn.set_seed(seed)
    x, y = datasets.make_moons(400, noise=0.1, random_state=seed)
    model = perceptron(2, 32, rate=0.03)
    model.fit(x[:300], y[:300], epochs=80, verbose=0)
    assert model.evaluate(x[300:], y[300:], verbose=0)[1] >= 0.97


@pytest.mark.parametrize("seed", SEEDS)
def test_breast_cancer(seed):
    """At least 95 % by cross-validation: each patient is judged once, by a network that has not seen them."""
    gn.set_seed(seed)
    data = datasets.load_breast_cancer()
    right = 0.0
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(
        data.data, data.target
    ):
        mean, width = data.data[train].mean(0), data.data[train].std(0)
        model = perceptron(30, 16, rate=0.001)
        model.fit((data.data[train] - mean) / width, data.target[train], epochs=20, verbose=0)
        x = (data.data[test] - mean) / width
        right += len(test) * model.evaluate(x, data.target[test], verbose=0)[1]
    assert right / len(data.target) >= 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_digits(seed):
    """At least 97 % of images not seen, with two convolutions."""
    gn.set_seed(seed)
    data = datasets.load_digits()
    images = (data.images / 16).astype("float32")[..., None]
    parts = train_test_split(
        images, data.target, test_size=0.2, random_state=0, stratify=data.target
    )
    model = gn.Sequential(
        [
            gn.Input((None, 8, 8, 1)),
            Conv2D(16, 3, padding="same", activation="relu"),
            Conv2D(32, 3, padding="same", activation="relu"),
            MaxPool2D(2),
            Flatten(),
            Dense(10, "softmax"),
        ]
    )
    model.compile(gn.optimizers.Adam(0.003), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(parts[0], parts[2], epochs=12, verbose=0)
    assert model.evaluate(parts[1], parts[3], verbose=0)[1] >= 0.97


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_copying(kind, seed):
    """Which of four symbols stood first is still known after six more, in 98 % of sequences not seen."""
    gn.set_seed(seed)
    symbols = np.random.default_rng(seed).integers(0, 4, (512, 7))
    x, first = np.eye(4, dtype="float32")[symbols], symbols[:, 0]
    model = gn.Sequential([gn.Input((None, 7, 4)), kind(16), Dense(4, "softmax")])
    model.compile(gn.optimizers.Adam(0.02), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x[:384], first[:384], epochs=25, verbose=0)
    assert model.evaluate(x[384:], first[384:], verbose=0)[1] >= 0.98


@pytest.mark.parametrize("seed", SEEDS)
def test_attending(seed):
    """One of eight symbols is marked: which it is, attention finds in 98 % of sequences not seen."""
    gn.set_seed(seed)
    random = np.random.default_rng(seed)
    symbols, marked = random.integers(0, 4, (512, 8)), random.integers(0, 8, 512)
    rows = np.arange(512)
    marks = np.eye(8, dtype="float32")[marked]
    x = np.concatenate([np.eye(4, dtype="float32")[symbols], marks[..., None]], axis=-1)
    sequence = gn.Input((None, 8, 5))
    seen = MultiHeadAttention(num_heads=2, key_dim=8)(sequence, sequence)
    model = gn.Model(sequence, Dense(4, "softmax")(gn.mean(seen, axis=1)))
    model.compile(gn.optimizers.Adam(0.02), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x[:384], symbols[rows, marked][:384], epochs=25, verbose=0)
    assert model.evaluate(x[384:], symbols[rows, marked][384:], verbose=0)[1] >= 0.98
