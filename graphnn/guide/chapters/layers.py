"""Layers.

A layer holds weights and applies formulas to what it is given. A network is layers one behind the
other. Names, arguments, defaults and the layout of weights are those of Keras; the shapes below are
those of a real call.
"""

import numpy as np

import graphnn as gn
from graphnn import layers

from ..entry import Example, entry
from ..figures import edges_found

GROUPS = ("layer", "")


@entry("Dense")
def dense() -> Example:
    """Every output is a weighted sum of all inputs, plus a bias: a matrix product, then an
    activation. It combines whatever features the layers before have found, and stands at the end of
    most classifiers.
    """
    x = gn.Input((32, 784), name="x")
    y = layers.Dense(128, activation="relu")(x)
    yield y.shape
    return y


@entry(
    "Conv2D",
    edges_found,
    "The same formula with kernels written by hand: differences of neighbours find edges. Training finds such"
    " kernels by itself.",
)
def conv2d() -> Example:
    """A small window slides over the image; at each place the pixels under it are multiplied by a
    *kernel* and added up. The same few weights serve all places, so a pattern is found wherever it
    is: edges first, then what is made of edges. `strides` is the step of the window,
    `padding="same"` lets it reach over the border, where it reads zeros.

    The gradients are again windows: that of the kernel is the image seen through the arriving
    gradient, that of the image is the arriving gradient seen through the kernel, turned around.
    """
    x = gn.Input((32, 224, 224, 3), name="image")
    y = layers.Conv2D(32, 3, activation="relu")(x)
    yield y.shape
    yield layers.Conv2D(32, 3, strides=2, padding="same")(x).shape
    return y


@entry("MaxPool2D")
def max_pool2d() -> Example:
    """Keeps the largest value of each window and forgets where in the window it was: the image gets
    smaller, what was found stays. The gradient goes to that one place alone, the first where
    several are equal, as the derivation says with an arg max.
    """
    x = gn.Input((32, 222, 222, 32), name="x")
    y = layers.MaxPool2D(2)(x)
    yield y.shape
    return y


@entry("AveragePool2D")
def average_pool2d() -> Example:
    """Takes the mean of each window instead. Every place of the window gets its share of the
    gradient.
    """
    x = gn.Input((32, 28, 28, 32), name="x")
    y = layers.AveragePool2D(2)(x)
    yield y.shape
    return y


@entry("GlobalAveragePool2D")
def global_average_pool2d() -> Example:
    """One window as large as the image: a single number for each channel, whatever the size of the
    image.
    """
    x = gn.Input((32, 7, 7, 512), name="x")
    y = layers.GlobalAveragePool2D()(x)
    yield y.shape
    return y


@entry("Flatten")
def flatten() -> Example:
    """All axes but the batch become one, in the order in which they lie in memory. It stands
    between the last image and the first dense layer. Nothing is computed: the formula only renames
    places.
    """
    x = gn.Input((32, 54, 54, 64), name="x")
    y = layers.Flatten()(x)
    yield y.shape
    return y


@entry("Reshape")
def reshape() -> Example:
    """The same numbers in another shape, the batch left as it is. A size of -1 is whatever remains."""
    x = gn.Input((32, 784), name="x")
    y = layers.Reshape((28, 28, 1))(x)
    yield y.shape
    return y


@entry("Dropout")
def dropout() -> Example:
    """In training, each element is zero with some probability, another choice at each step, and
    what is left is scaled up so that the expected value stays. No feature can rely on a single
    other one. In inference the layer does nothing at all.

    The mask is a function of a key, the step and the place. It is computed where it is needed,
    forward and backward alike, and stored nowhere.
    """
    x = gn.Input((2, 8), name="x")
    y = layers.Dropout(0.5)(x)
    train = gn.function([x], y, training=True)
    predict = gn.function([x], y, training=False)
    yield train(np.ones((2, 8)))
    yield predict(np.ones((2, 8)))
    return y


@entry("BatchNormalization")
def batch_normalization() -> Example:
    """Shifts and scales each channel so that over the batch its mean is 0 and its variance 1, then
    lets two learnt numbers, `gamma` and `beta`, undo as much of that as training wants. Layers
    behind it see inputs that stay where they were, so larger learning rates work.

    Training uses the statistics of the batch and moves a running mean towards them; inference uses
    what has been saved, so that a prediction does not depend on what else is in the batch.
    """
    x = gn.Input((None, 64), name="x")
    y = layers.BatchNormalization()(x)
    normalize = gn.function([x], y, training=True)
    values = normalize(np.arange(256).reshape(4, 64))
    yield values.mean(axis=0)[:3], values.var(axis=0)[:3]
    return y


@entry("LayerNormalization")
def layer_normalization() -> Example:
    """The same within each sample, over its features. Nothing depends on the batch, so training and
    inference are equal, and each step of a sequence stands for itself: that is what transformers
    use.
    """
    x = gn.Input((32, 20, 64), name="x")
    y = layers.LayerNormalization()(x)
    yield y.shape
    return y


@entry("Embedding")
def embedding() -> Example:
    """A table with one row for each word. The row is looked up by a number and learnt like any
    weight; its gradient is added into the rows that were read and into no other.
    """
    tokens = gn.Input((32, 20), dtype="int32", name="tokens")
    y = layers.Embedding(10_000, 64)(tokens)
    yield y.shape
    return y


@entry("SimpleRNN")
def simple_rnn() -> Example:
    """A state is carried along the sequence: at each step it is made from the input and from itself
    one step before. The formula is one equation that reads its own result at `t - 1`; the gradient
    comes out as an equation that reads its own result at `t + 1`, which is what *back-propagation
    through time* is.
    """
    x = gn.Input((32, 20, 64), name="x")
    y = layers.SimpleRNN(128)(x)
    yield y.shape
    return y


@entry("LSTM")
def lstm() -> Example:
    """A second state `c` runs along the sequence and is changed only by gates: `f` says how much of
    it is kept, `i` how much of the new value `a` is let in, `o` how much is shown. As long as `f`
    is near 1 the state, and its gradient, pass many steps without fading.
    """
    x = gn.Input((32, 20, 64), name="x")
    y = layers.LSTM(128)(x)
    yield y.shape
    yield layers.LSTM(128, return_sequences=True)(x).shape
    return y


@entry("GRU")
def gru() -> Example:
    """One state and two gates: `z` mixes the old state with the new one, `r` decides how much of
    the old state the new one sees. About three quarters of the weights of an LSTM, and often as good.
    """
    x = gn.Input((32, 20, 64), name="x")
    y = layers.GRU(128)(x)
    yield y.shape
    return y


@entry("MultiHeadAttention")
def multi_head_attention() -> Example:
    """Each place of a sequence asks all others. The *query* of a place is compared with the *keys*
    of all places, a [softmax](softmax.html) turns the scores into weights of sum 1, and the result
    is the mean of the *values* with these weights. Several heads do so side by side, each with
    projections of its own; the head is an index of the weights, so nothing is ever cut apart and
    put together.
    """
    x = gn.Input((32, 20, 64), name="x")
    y = layers.MultiHeadAttention(num_heads=8, key_dim=8)(x, x)
    yield y.shape
    return y


@entry("Add")
def add() -> Example:
    """The sum of inputs of equal shape. Added around a layer it is a *residual connection*: the
    gradient has a way that leads through no weight.
    """
    x = gn.Input((32, 20, 64), name="x")
    h = layers.Dense(64, activation="relu")(x)
    y = layers.Add()([x, h])
    yield y.shape
    return y


@entry("Concatenate")
def concatenate() -> Example:
    """Inputs one behind the other along an axis. Each part of the gradient goes back where it came
    from.
    """
    a = gn.Input((32, 64), name="a")
    b = gn.Input((32, 16), name="b")
    y = layers.Concatenate()([a, b])
    yield y.shape
    return y


@entry("Activation")
def activation() -> Example:
    """An [activation](activations.html) as a layer of its own, by name or as a function of a node."""
    x = gn.Input((32, 128), name="x")
    y = layers.Activation("tanh")(x)
    yield y.shape
    return y
