"""Tensors and weights.

A network computes with arrays of numbers. How many axes such an array has, and how long each of
them is, decides which layers fit together: most mistakes in a network are mistakes in a shape. The
batch is always the first axis.
"""

import numpy as np

import graphnn as gn
from graphnn import layers

from ..entry import Example, entry


@entry("Scalar, vector, matrix")
def dimensions() -> Example:
    """The number of axes of a *tensor* is its dimension: a scalar has none, a vector one, a matrix
    two. The *shape* lists the size of each axis, so its length is the dimension.
    """
    scalar = np.array(5)
    vector = np.array([1, 2, 3, 4])
    matrix = np.array([[1, 2], [3, 4]])
    yield scalar.ndim, vector.ndim, matrix.ndim
    yield scalar.shape, vector.shape, matrix.shape
    return None


@entry("A batch of images")
def images() -> Example:
    """Images come as (batch, height, width, channels). Here are 32 of them, 224 pixels high and
    wide, each pixel with a number for red, green and blue.
    """
    image_tensor = gn.Input((32, 224, 224, 3), name="image")
    yield image_tensor.shape
    yield f"{np.prod(image_tensor.shape):,} numbers"
    return None


@entry("A batch of sequences")
def sequences() -> Example:
    """Text comes as (batch, length): one whole number for each word or character. An
    [embedding](layers.html#embedding) puts a vector in the place of each number, which gives
    (batch, length, features), the shape of every sequence. Where the size of the batch is left open
    it is written `None`, and prints as `N`.
    """
    tokens = gn.Input((None, 20), dtype="int32", name="tokens")
    words = layers.Embedding(10_000, 64)(tokens)
    yield tokens.type
    yield words.type
    return None


@entry("Indices")
def indices() -> Example:
    """A formula names one element and says what it is. Indices on the left run over all elements;
    an index that a `sum` binds runs over all its values too. Ranges follow from the operands: here
    `i` has the size of the second axis of `x`, which must be that of the first axis of `W`. Three
    dots stand for any number of axes.

    That line is all there is to an operation. Shape, gradient, picture and machine code are derived
    from it, for a formula of your own as for those of this guide.
    """
    product = gn.op("y[n, o] = sum[i](x[n, i]*W[i, o])", name="product")
    x = gn.Input((32, 784), name="x")
    W = gn.Input((784, 128), name="W")
    y = product(x, W)
    yield y.shape
    return y


@entry("Weights and biases")
def weights() -> Example:
    """*Weights* are the tensors that training changes: what a network has learnt is in them. A
    [dense](layers.html#dense) layer from 784 features to 128 has a matrix with one weight for each
    pair of input and output, and a vector of *biases*, one for each output, which shifts the result
    as the intercept shifts a line. Weights start random, because equal weights would get equal
    gradients and stay equal; biases start at zero.
    """
    dense = layers.Dense(128, activation="relu")
    y = dense(gn.Input((32, 784), name="x"))
    kernel, bias = dense.get_weights()
    yield kernel.shape, bias.shape
    yield f"{kernel.size + bias.size:,} numbers to learn"
    yield kernel.min(), kernel.max()
    return y
