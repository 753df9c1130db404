"""Architectures.

How the parts are put together. Four arrangements carry most of what is done with networks; each is
a few lines here, with the number of its weights and a picture in which every layer is one box.
"""

import numpy as np

import graphnn as gn
from graphnn import layers

from ..entry import Example, entry


@entry("The whole example: images")
def image_classification() -> Example:
    """Cat or dog, from 32 images of 224 by 224 pixels. Convolutions find features, pooling shrinks
    what they found, `Flatten` makes a vector of it, dense layers decide. The first dense layer has
    nearly all of the weights.
    """
    images = gn.Input((32, 224, 224, 3), name="images")
    x = layers.Conv2D(32, 3, activation="relu")(images)
    x = layers.MaxPool2D(2)(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.MaxPool2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    logits = layers.Dense(2)(x)
    model = gn.Model(images, gn.softmax(logits), name="cat or dog")
    yield model.outputs[0].type
    yield f"{sum(p.value.size for p in model.parameters):,} weights"
    return model


@entry("Feedforward network")
def mlp() -> Example:
    """Dense layers with a ReLU between them. For tables and anything else without order or
    neighbourhood; each layer makes features of the features before.
    """
    x = gn.Input((None, 784), name="x")
    h = layers.Dense(128, activation="relu")(x)
    h = layers.Dense(64, activation="relu")(h)
    model = gn.Model(x, layers.Dense(10, activation="softmax")(h), name="feedforward")
    yield f"{sum(p.value.size for p in model.parameters):,} weights"
    yield model.predict(np.zeros((1, 784)))
    return model


@entry("Convolutional network")
def cnn() -> Example:
    """Convolution, ReLU, pooling, once more, then dense. The image shrinks while the number of
    channels grows: less and less *where*, more and more *what*.
    """
    images = gn.Input((None, 28, 28, 1), name="images")
    x = layers.Conv2D(32, 3, activation="relu")(images)
    x = layers.MaxPool2D(2)(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.MaxPool2D(2)(x)
    p = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    model = gn.Model(images, p, name="convolutional")
    yield f"{sum(p.value.size for p in model.parameters):,} weights"
    return model


@entry("Recurrent network")
def rnn() -> Example:
    """An embedding, two LSTMs, a dense layer. The first LSTM gives a state for each step, the
    second only its last one. The graph has the same size whether a sequence has 20 steps or 2000.
    """
    tokens = gn.Input((None, 20), dtype="int32", name="tokens")
    x = layers.Embedding(10_000, 64)(tokens)
    x = layers.LSTM(128, return_sequences=True)(x)
    x = layers.LSTM(128)(x)
    model = gn.Model(tokens, layers.Dense(2, activation="softmax")(x), name="recurrent")
    yield f"{sum(p.value.size for p in model.parameters):,} weights"
    return model


@entry("Transformer")
def transformer() -> Example:
    """Attention in the place of recurrence: every place sees every other one at once. A block is
    attention and a small dense network, each with a residual connection around it and a
    normalization behind it; blocks are stacked. Attention itself knows no order, so a vector for
    each place is added to the words.
    """
    tokens = gn.Input((None, 20), dtype="int32", name="tokens")
    places = gn.Parameter(np.zeros((20, 64), "float32"), "places")
    x = layers.Embedding(10_000, 64)(tokens) + places
    for _ in range(2):
        attended = layers.MultiHeadAttention(num_heads=4, key_dim=16)(x, x)
        x = layers.LayerNormalization()(x + attended)
        hidden = layers.Dense(128, activation="relu")(x)
        x = layers.LayerNormalization()(x + layers.Dense(64)(hidden))
    model = gn.Model(tokens, layers.Dense(10_000, activation="softmax")(x), name="transformer")
    yield model.outputs[0].type
    yield f"{sum(p.value.size for p in model.parameters):,} weights"
    return model
