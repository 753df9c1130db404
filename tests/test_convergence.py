"""Convergence: small networks reach what they should, from any seed; three of them, or ten with --slow."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Conv2D, Dense, Flatten, MaxPool2D

sklearn = pytest.importorskip("sklearn")
from sklearn import datasets  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402

SEEDS = [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 10))]


def perceptron(inputs, hidden, activation="relu", rate=0.01, decay=0.0):
    model = gn.Sequential(
        [gn.Input((None, inputs)), Dense(hidden, activation), Dense(1, "sigmoid")]
    )
    model.compile(gn.optimizers.AdamW(rate, decay), "binary_crossentropy", ["accuracy"])
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
    """At least 95 % of patients not seen, by weights that decay: 30 measurements invite overfitting."""
    gn.set_seed(seed)
    data = datasets.load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    parts = train_test_split(x, data.target, test_size=0.3, random_state=0, stratify=data.target)
    model = perceptron(30, 16, decay=1.0)
    model.fit(parts[0], parts[2], epochs=20, verbose=0)
    assert model.evaluate(parts[1], parts[3], verbose=0)[1] >= 0.95


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
