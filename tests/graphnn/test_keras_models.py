"""Whole models built alike by Keras 3 and graphnn: outputs, loss, all gradients, and weights after twenty steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import graphnn as gn

from .test_keras_agreement import TOLERANCES, largest_error

CLASSES = 11
SCORES = {"return_attention_scores": True}  # without them Keras's attention computes in float32


def transformer(kinds: Any, dtype: str, tokens: Any, memory: Any) -> Any:
    """Attention to what came before, then to the memory, then a feed-forward network, each with a way around it."""
    x = kinds.Embedding(CLASSES, 8, dtype=dtype)(tokens)
    seen, _ = kinds.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True, **SCORES)
    x = kinds.LayerNormalization()(kinds.Add()([x, seen]))
    read, _ = kinds.MultiHeadAttention(3, 2)(x, memory, **SCORES)
    x = kinds.LayerNormalization()(kinds.Add()([x, read]))
    hidden = kinds.Dense(8)(kinds.Dense(13, "tanh")(x))
    return kinds.Dense(CLASSES)(kinds.LayerNormalization()(kinds.Add()([x, hidden])))


def recurrent(kinds: Any, dtype: str, tokens: Any, memory: Any, mask: Any) -> Any:
    """Stacked layers read what of the memory is not masked, one backwards; others begin with the states at its end."""
    x = kinds.SimpleRNN(5, return_sequences=True)(memory, mask=mask)
    x = kinds.GRU(4, return_sequences=True, go_backwards=True)(x, mask=mask)
    x = kinds.GRU(3, return_sequences=True, reset_after=False)(x, mask=mask)
    _, *states = kinds.LSTM(5, return_state=True)(x, mask=mask)
    x = kinds.Embedding(CLASSES, 3, dtype=dtype)(tokens)
    x = kinds.LSTM(5, return_sequences=True)(x, initial_state=states)
    x = kinds.GRU(7, return_sequences=True, reset_after=False)(x)
    return kinds.Dense(CLASSES)(x)


def convolutional(kinds: Any, dtype: str, image: Any) -> Any:
    """Statistics of the batch within, moving ones beside them."""
    x = kinds.Conv2D(4, (3, 2), padding="same")(image)
    x = kinds.Activation("relu")(kinds.BatchNormalization()(x))
    x = kinds.Flatten()(kinds.MaxPooling2D(2)(x))
    return kinds.Dense(CLASSES)(x)


rng = np.random.default_rng(0)
TOKENS, MEMORY = rng.integers(0, CLASSES, (3, 6)).astype("int32"), rng.normal(size=(3, 5, 2))
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 1, 0], [0, 0, 1, 1, 0]], bool)
MODELS = [
    (transformer, [TOKENS, MEMORY], np.roll(TOKENS, -1, axis=1)),
    (recurrent, [TOKENS, MEMORY, MASK], np.roll(TOKENS, -1, axis=1)),
    (convolutional, [rng.normal(size=(5, 7, 5, 3))], np.arange(5, dtype="int32")),
]


@pytest.mark.filterwarnings("ignore:.*softmax over axis 3:UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras's own
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("network", "arrays", "labels"), MODELS, ids=[m[0].__name__ for m in MODELS]
)
def test_models_are_kerass(
    keras: ModuleType,
    jax: ModuleType,
    floatx: Callable[[str], None],
    network: Callable[..., Any],
    arrays: Sequence[np.ndarray],
    labels: np.ndarray,
    dtype: str,
) -> None:
    """From the same weights, in training; twenty steps then move weights and statistics alike."""
    floatx(dtype)
    gn.set_seed(0)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    x = [gn.Input((None, *a.shape[1:]), f"x{k}", str(a.dtype)) for k, a in enumerate(arrays)]
    ours = gn.Model(x, network(gn.layers, dtype, *x))
    z = [keras.Input(a.shape[1:], dtype=str(a.dtype)) for a in arrays]
    theirs = keras.Model(z, network(keras.layers, dtype, *z))
    ours.set_weights([w + 0.1 for w in ours.get_weights()])  # no zeros and ones
    theirs.set_weights(ours.get_weights())
    smooth = [k for k, a in enumerate(arrays) if a.dtype == dtype]

    truth = gn.Input((None, *labels.shape[1:]), "truth", "int32")
    loss = gn.losses.SparseCategoricalCrossentropy(from_logits=True)(truth, ours.outputs[0])
    slopes = gn.compute_gradients(loss, [*ours.parameters, *(x[k] for k in smooth)])
    nodes = [ours.outputs[0], loss, *slopes.values()]
    found = gn.function([*x, truth], nodes, training=True)(*arrays, labels)

    measure = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kept = [v.value for v in theirs.non_trainable_variables]

    def lost(weights: list[Any], given: list[Any]) -> Any:
        inputs = list(arrays)
        for k, value in zip(smooth, given, strict=True):
            inputs[k] = value
        y, _ = theirs.stateless_call(weights, kept, inputs, training=True)
        return measure(labels, y), y

    gradient = jax.jit(jax.value_and_grad(lost, argnums=(0, 1), has_aux=True))
    weights = [v.value for v in theirs.trainable_variables]
    (value, y), (by_weights, by_inputs) = gradient(weights, [arrays[k] for k in smooth])
    largest = max(np.abs(g).max() for g in by_weights)
    for mine, other in zip(found[:2], (y, value), strict=True):
        assert largest_error(mine, other) <= TOLERANCES[dtype]
    for mine, other in zip(found[2:], [*by_weights, *by_inputs], strict=True):
        assert np.abs(mine - np.asarray(other)).max() <= TOLERANCES[dtype] * largest

    for model, own in ((ours, gn), (theirs, keras)):
        entropy = own.losses.SparseCategoricalCrossentropy(from_logits=True)
        # Biases before a normalization have gradients of 0: Adam would divide what float32 rounded by its own size.
        kinds = own.optimizers
        model.compile(kinds.Adam(0.01) if dtype == "float64" else kinds.SGD(0.1, 0.9), entropy)
        for _ in range(20):
            model.train_on_batch(arrays if len(arrays) > 1 else arrays[0], labels)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert largest_error(mine, other) <= TOLERANCES[dtype]
