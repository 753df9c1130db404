"""Layers of Keras that are none here: what is said to write instead can be written, and computes what they compute."""

import numpy as np
import pytest

import graphnn as gn
from graphnn import layers
from graphnn.layers.elsewhere import INSTEAD

from .cases import numbers

# Arguments of Keras's layers for which the advice is written; of those that are not here weights or shapes differ.
ARGUMENTS = {
    "Average": {},
    "AveragePooling1D": {"pool_size": 2},
    "Conv1D": {"filters": 4, "kernel_size": 3},
    "Conv2DTranspose": {"filters": 4, "kernel_size": 2, "strides": 2, "use_bias": False},
    "Cropping2D": {"cropping": 1},
    "Dot": {"axes": -1},
    "ELU": {},
    "GlobalAveragePooling1D": {},
    "GlobalMaxPooling1D": {},
    "GlobalMaxPooling2D": {},
    "LeakyReLU": {"negative_slope": 0.2},
    "MaxPooling1D": {},
    "Maximum": {},
    "Minimum": {},
    "Multiply": {},
    "Permute": {"dims": (2, 1)},
    "ReLU": {},
    "RepeatVector": {"n": 8},
    "Rescaling": {"scale": 1 / 255},
    "Softmax": {},
    "Subtract": {},
    "UpSampling1D": {},
    "UpSampling2D": {},
    "ZeroPadding1D": {},
    "ZeroPadding2D": {},
}
WEIGHTS = {"Conv1D": {"K": (3, 2, 4), "b": (4,)}, "Conv2DTranspose": {"K": (2, 2, 4, 2)}}


def written(name):
    """The node that the advice makes, the shapes of its inputs, and of its weights."""
    image = name.endswith(("2D", "2DTranspose"))
    shape = (3, 4) if name in ("Dot", "RepeatVector") else (3, 6, 6, 2) if image else (3, 6, 2)
    weights = WEIGHTS.get(name, {})
    shapes = dict.fromkeys("xab", shape) | weights
    names = {n: gn.Input(s, n, "float64") for n, s in shapes.items()}
    known = {**names, "gn": gn, "layers": layers, "channels": 2}
    y = eval(INSTEAD[name], known)  # texts of the package itself
    read = gn.Graph([y]).inputs
    return y, {n: shapes[n] for n in names if names[n] in read and n not in weights}, weights


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_said_can_be_written(name):
    """It gives a node, and the message of the missing layer says it."""
    y, _, _ = written(name)
    assert isinstance(y, gn.Node)
    with pytest.raises(AttributeError) as caught:
        getattr(layers, name)
    assert str(caught.value).endswith(INSTEAD[name])


@pytest.mark.parametrize("name", ARGUMENTS)
def test_it_computes_what_the_layer_computes(keras, name):
    """Keras's values, to the rounding of float64."""
    y, inputs, weights = written(name)
    arrays = [
        numbers(*shape, seed=k) for k, shape in enumerate([*inputs.values(), *weights.values()])
    ]
    given = arrays[: len(inputs)]
    layer = getattr(keras.layers, name)(**ARGUMENTS[name], dtype="float64")
    layer.build([a.shape for a in given] if len(given) > 1 else given[0].shape)
    layer.set_weights(arrays[len(inputs) :])
    nodes = {node.name: node for node in gn.Graph([y]).inputs}
    found = gn.function([nodes[n] for n in (*inputs, *weights)], y)(*arrays)
    assert np.allclose(found, np.asarray(layer(given if len(given) > 1 else given[0])), rtol=1e-12)


def test_other_names_say_the_nearest():
    """And `gn` says where a name is that it has not itself."""
    with pytest.raises(AttributeError, match="has no Dens, perhaps Dense is meant; any formula"):
        _ = layers.Dens
    with pytest.raises(AttributeError, match=r"no attribute 'Adam'; there is gn\.optimizers\.Adam"):
        _ = gn.Adam
    assert not hasattr(gn, "nothing_like_it")
