"""Losses.

One number that says how wrong a batch of predictions is. Training makes it small, so it must say
what is wanted: distance for numbers, surprise for classes. Each formula gives one value for each
sample; the loss is their mean.
"""

import numpy as np

import graphnn as gn

from ..entry import Example, entry
from ..figures import loss_of_prediction

GROUPS = ("loss",)


@entry("Mean squared error", loss_of_prediction, "A single prediction p where the truth is 1.")
def mean_squared_error() -> Example:
    """For regression. Twice the distance costs four times as much, so outliers weigh heavily; the
    gradient is proportional to the error.
    """
    t = gn.Input((None, 1), name="truth")
    p = gn.Input((None, 1), name="prediction")
    loss = gn.mean_squared_error(t, p)
    yield gn.function([t, p], loss)(np.array([[1], [2]]), np.array([[1.5], [4]]))
    return loss


@entry("Mean absolute error", loss_of_prediction, "A single prediction p where the truth is 1.")
def mean_absolute_error() -> Example:
    """For regression with outliers: every error counts by its size, and the gradient is only a
    sign.
    """
    t = gn.Input((None, 1), name="truth")
    p = gn.Input((None, 1), name="prediction")
    loss = gn.mean_absolute_error(t, p)
    yield gn.function([t, p], loss)(np.array([[1], [2]]), np.array([[1.5], [4]]))
    return loss


@entry(
    "Binary cross-entropy", loss_of_prediction, "A predicted probability p where the truth is 1."
)
def binary_crossentropy() -> Example:
    """For yes and no. It is the logarithm of the probability that was given to the truth, with a
    minus: certain and right costs nothing, certain and wrong costs without bound. That 0 times log(0)
    counts as 0 is what the conditions in the gradient say.
    """
    t = gn.Input((None, 1), name="truth")
    p = gn.Input((None, 1), name="prediction")
    loss = gn.binary_crossentropy(t, p)
    yield gn.function([t, p], loss)(np.array([[1], [0]]), np.array([[0.9], [0.2]]))
    return loss


@entry("Categorical cross-entropy")
def categorical_crossentropy() -> Example:
    """For one class out of several. The truth is a row with a 1 at the right class, so that of the
    sum one logarithm remains.
    """
    t = gn.Input((None, 3), name="truth")
    p = gn.Input((None, 3), name="prediction")
    loss = gn.categorical_crossentropy(t, p)
    truth = np.array([[1, 0, 0], [0, 0, 1]])
    yield gn.function([t, p], loss)(truth, np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]))
    return loss


@entry("Sparse categorical cross-entropy")
def sparse_categorical_crossentropy() -> Example:
    """The same with the number of the class in the place of the row: `p[..., t]` reads the one
    probability that counts. With a thousand classes the labels are a thousandth of the size.
    """
    t = gn.Input((None,), dtype="int32", name="label")
    p = gn.Input((None, 3), name="prediction")
    loss = gn.sparse_categorical_crossentropy(t, p)
    prediction = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    yield gn.function([t, p], loss)(np.array([0, 2]), prediction)
    return loss


@entry("From logits")
def from_logits() -> Example:
    """Logits may be taken as they are: the activation is then part of the formula, nothing can
    overflow between the two, and the gradient is the difference of prediction and truth.
    """
    t = gn.Input((None, 1), name="truth")
    x = gn.Input((None, 1), name="logit")
    loss = gn.binary_crossentropy(t, x, from_logits=True)
    yield gn.function([t, x], loss)(np.array([[1], [0]]), np.array([[1000], [1000]]))
    return loss
