"""Training and inference.

A step of training: predict, measure the error, derive its gradient with respect to every weight,
change the weights. Then the next batch. Inference is the first of the four alone. Both are graphs
of the same nodes, each compiled to one native call.
"""

import numpy as np

import graphnn as gn
from graphnn import layers

from ..entry import Example, entry
from ..figures import differences, loss_curve, step


@entry("A step of training", step, "The whole step, one graph: values, gradients, new weights.")
def training_step() -> Example:
    """Forward pass, loss, gradients, update. The gradients were written by nobody: each is derived
    from the formula beside it. The new values follow from the formula of the optimizer.
    """
    x = gn.Input((None, 2), name="x")
    model = gn.Model(x, layers.Dense(1, name="dense")(x))
    model.compile(gn.optimizers.SGD(0.1), "mse")
    xs = np.array([[0, 1], [1, 0], [1, 1], [2, 1]])
    ys = np.array([[2], [3], [5], [8]])
    yield [model.train_on_batch(xs, ys) for _ in range(4)]
    return model


@entry("The loop", loss_curve, "Loss on the samples trained with, and on others.")
def loop() -> Example:
    """`fit` repeats the step over all batches, epoch after epoch, each in another order, and
    measures after each epoch on samples that are not trained with. Where that loss rises again
    while the other still falls, the network learns its samples by heart.

    The samples are points of two rings, which no straight line separates.
    """
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 400)
    label = np.arange(400) % 2
    points = np.stack([np.cos(angle), np.sin(angle)], 1) * (1 + label[:, None])
    model = gn.Sequential([layers.Dense(16, "tanh"), layers.Dense(1, "sigmoid")])
    model.compile(gn.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(points, label, epochs=40, validation_split=0.2, verbose=0)
    yield history.history["loss"][0], history.history["loss"][-1]
    yield model.evaluate(points[320:], label[320:], verbose=0)
    return history


@entry("What differs", differences)
def modes() -> Example:
    """Two layers work differently: [dropout](layers.html#dropout) drops in training only, and
    [batch normalization](layers.html#batch-normalization) takes the statistics of the batch in
    training and the saved ones in inference. Everything else that training adds is gradients and
    updates. The table is counted from the two graphs of one model.
    """
    x = gn.Input((None, 8), name="x")
    h = layers.Dense(16, activation="relu")(x)
    h = layers.Dropout(0.5)(layers.BatchNormalization()(h))
    model = gn.Model(x, layers.Dense(1)(h))
    model.compile("adam", "mse")
    before = model.get_weights()
    model.predict(np.ones((4, 8)))
    yield all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    return model
