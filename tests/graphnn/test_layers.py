"""Layers: what their formulas compute, how their weights lie, what they refuse."""

import itertools

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import Activation, Add, Concatenate, Conv2D, Dense, Flatten, MaxPool2D, Reshape


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def windows(size, kernel, stride, dilation, padding):
    """First positions of the windows and the size of the border before the image, by Keras's rule."""
    reach = dilation * (kernel - 1) + 1
    if padding == "valid":
        return range(0, size - reach + 1, stride), 0
    count = -(-size // stride)
    before = max((count - 1) * stride + reach - size, 0) // 2
    return range(-before, count * stride - before, stride), before


def places(start, kernel, dilation, size):
    return [(k, start + dilation * k) for k in range(kernel) if 0 <= start + dilation * k < size]


def convolved(x, kernel, bias, strides, dilation, padding):
    """A convolution as nested loops over windows."""
    rows, _ = windows(x.shape[1], kernel.shape[0], strides[0], dilation[0], padding)
    columns, _ = windows(x.shape[2], kernel.shape[1], strides[1], dilation[1], padding)
    y = np.zeros((len(x), len(rows), len(columns), kernel.shape[-1])) + bias
    for (h, top), (w, left) in itertools.product(enumerate(rows), enumerate(columns)):
        for i, a in places(top, kernel.shape[0], dilation[0], x.shape[1]):
            for j, b in places(left, kernel.shape[1], dilation[1], x.shape[2]):
                y[:, h, w] += x[:, a, b].astype("float64") @ kernel[i, j]
    return y


CONVOLUTIONS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "strides": (2, 1)},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": (3, 2), "strides": 2, "padding": "same"},
    {"kernel_size": 1, "strides": 3, "padding": "same"},
    {"kernel_size": (2, 4), "strides": (3, 2), "padding": "same"},
    {"kernel_size": 2, "dilation_rate": (2, 3)},
    {"kernel_size": 3, "dilation_rate": 2, "padding": "same"},
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("use_bias", [True, False])
def test_conv2d_is_a_sum_over_windows(options, use_bias):
    """Values and shapes for strides, paddings, dilations and kernels that are not square."""
    x = gn.Input((None, 7, 8, 2), "x")
    layer = Conv2D(3, use_bias=use_bias, bias_initializer="random_normal", **options)
    y = layer(x)
    given = numbers(2, 7, 8, 2)
    bias = layer.bias.value if use_bias else 0
    expected = convolved(
        given, layer.kernel.value, bias, layer.strides, layer.dilation_rate, layer.padding
    )
    assert y.shape == (None, *expected.shape[1:])
    assert np.allclose(gn.evaluate(y, {x: given}), expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("pool", "strides"), [(2, None), ((3, 2), (2, 1)), (3, 1), (2, 3)])
def test_max_pool_takes_the_largest_inside(padding, pool, strides):
    """The border of padding "same" is ignored, also where all numbers are negative."""
    x = gn.Input((None, 7, 6, 2), "x")
    layer = MaxPool2D(pool, strides, padding)
    given = -np.abs(numbers(2, 7, 6, 2)) - 1
    y = gn.evaluate(layer(x), {x: given})
    rows, _ = windows(7, layer.pool_size[0], layer.strides[0], 1, padding)
    columns, _ = windows(6, layer.pool_size[1], layer.strides[1], 1, padding)
    for (h, top), (w, left) in itertools.product(enumerate(rows), enumerate(columns)):
        seen = [a for _, a in places(top, layer.pool_size[0], 1, 7)]
        beside = [b for _, b in places(left, layer.pool_size[1], 1, 6)]
        assert np.array_equal(y[:, h, w], given[:, seen][:, :, beside].max((1, 2)))
    assert y.shape[1:3] == (len(rows), len(columns))


def test_the_first_maximum_takes_the_gradient():
    """Of equal values in a window only the first is blamed."""
    x = gn.Input((1, 2, 2, 1), "x")
    gradient = gn.compute_gradients(gn.sum(MaxPool2D()(x)), [x])[x]
    found = gn.evaluate(gradient, {x: np.ones((1, 2, 2, 1), "float32")})
    assert found.ravel().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3)])
def test_dense_acts_on_the_last_axis(shape):
    """x @ W + b for inputs of any rank."""
    x = gn.Input(shape, "x")
    layer = Dense(6, bias_initializer="random_normal")
    y = layer(x)
    given = numbers(*shape)
    assert np.allclose(
        gn.evaluate(y, {x: given}), given @ layer.kernel.value + layer.bias.value, atol=1e-6
    )


def test_flatten_and_reshape_keep_row_major_order():
    """The same as NumPy's reshape, the batch open or not."""
    for batch in (None, 3):
        x = gn.Input((batch, 4, 3, 2), "x")
        given = numbers(3, 4, 3, 2)
        for layer, shape in (
            (Flatten(), (24,)),
            (Reshape((6, 4)), (6, 4)),
            (Reshape((2, -1)), (2, 12)),
        ):
            y = layer(x)
            assert y.shape == (batch, *shape)
            assert np.array_equal(gn.evaluate(y, {x: given}), given.reshape(3, *shape))


def test_add_and_concatenate_take_lists():
    """Several inputs, in a list or one by one."""
    a, b = gn.Input((None, 3), "a"), gn.Input((None, 3), "b")
    given = {a: numbers(2, 3), b: numbers(2, 3, seed=1)}
    arrays = list(given.values())
    assert np.allclose(gn.evaluate(Add()([a, b]), given), arrays[0] + arrays[1])
    assert np.allclose(gn.evaluate(Concatenate()(a, b), given), np.concatenate(arrays, -1))
    assert np.allclose(gn.evaluate(Concatenate(axis=0)([a, b]), given), np.concatenate(arrays, 0))


def test_activation_by_name_or_function():
    """A layer of its own and the argument of another give the same."""
    x = gn.Input((None, 3), "x")
    given = numbers(4, 3)
    expected = np.maximum(given, 0)
    assert np.array_equal(gn.evaluate(Activation("relu")(x), {x: given}), expected)
    assert np.array_equal(gn.evaluate(Activation(gn.relu)(x), {x: given}), expected)
    assert np.array_equal(gn.evaluate(Activation("linear")(x), {x: given}), given)
    silu = gn.op("y[...] = x[...]/(1 + exp(-x[...]))")
    inner = Dense(
        3, activation=silu, kernel_initializer=lambda shape, dtype: np.eye(3, dtype=dtype)
    )
    assert np.allclose(gn.evaluate(inner(x), {x: given}), given / (1 + np.exp(-given)), atol=1e-6)


def test_a_shared_layer_shares_its_weights():
    """Two uses, one kernel, whose gradient is the sum of both."""
    a, b = gn.Input((None, 3), "a"), gn.Input((None, 3), "b")
    layer = Dense(2, use_bias=False, name="shared")
    first, second = layer(a), layer(b)
    assert (first.name, second.name) == ("shared", "shared.call_2")
    given = {a: numbers(4, 3), b: numbers(4, 3, seed=1)}
    gradient = gn.compute_gradients(gn.sum(first) + gn.sum(second))[layer.kernel]
    expected = sum(array.sum(0) for array in given.values())
    assert np.allclose(gn.evaluate(gradient, given), np.tile(expected[:, None], 2), atol=1e-5)


def test_weights_lie_as_in_keras():
    """Kernel before bias, (inputs, units) and (rows, columns, channels, filters), named after the layer."""
    dense, conv = Dense(5, name="head"), Conv2D(8, (3, 2), name="eyes")
    dense(gn.Input((None, 4)))
    conv(gn.Input((None, 9, 9, 3)))
    assert [(p.name, p.value.shape) for p in dense.parameters] == [
        ("head.kernel", (4, 5)),
        ("head.bias", (5,)),
    ]
    assert [p.value.shape for p in conv.parameters] == [(3, 2, 3, 8), (8,)]
    assert not dense.bias.value.any()
    assert dense.kernel.value.any()


def test_a_layer_takes_the_dtype_of_its_input():
    """A float64 input makes a float64 graph."""
    layer = Dense(2)
    assert layer(gn.Input((None, 3), dtype="float64")).dtype == "float64"
    assert layer.kernel.value.dtype == np.float64


def test_frozen_layers_are_not_learnt():
    """trainable=False, at once or later, leaves the weights out of the gradients."""
    x = gn.Input((None, 3), "x")
    frozen, later, learnt = Dense(4, trainable=False), Dense(4), Dense(1)
    loss = gn.mean(learnt(later(frozen(x))))
    later.trainable = False
    assert list(gn.compute_gradients(loss)) == learnt.parameters
    later.trainable = True
    assert list(gn.compute_gradients(loss)) == [*later.parameters, *learnt.parameters]


def test_set_weights_writes_all_or_nothing():
    """Copies out; in only if every array fits."""
    layer = Dense(2)
    layer(gn.Input((None, 3)))
    before = layer.get_weights()
    before[0][...] = 7
    assert not (layer.kernel.value == 7).any()
    with pytest.raises(gn.ShapeError, match=r"dense.*\.bias: expected an array of shape \(2,\)"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    assert not (layer.kernel.value == 1).any()
    layer.set_weights(before)
    assert (layer.kernel.value == 7).all()


IMAGE = (None, 6, 6, 2)
REFUSALS = [
    (lambda: Dense(3, name="d")(gn.Input((None, None))), "d: axis -1 of .* must have a fixed size"),
    (lambda: Dense(0, name="d"), "d: units must be a whole number above 0, got 0"),
    (lambda: Dense(2.5, name="d"), "d: units"),
    (
        lambda: Dense(3, activation="rely"),
        "unknown activation 'rely', perhaps relu is meant; known are .*any formula",
    ),
    (lambda: Conv2D(3, 9, name="c")(gn.Input(IMAGE)), "c: no place for index h.*needs 9 positions"),
    (lambda: Conv2D(3, 3, name="c")(gn.Input((None, 6, 6))), "c: expected images"),
    (lambda: Conv2D(3, (3, 3, 3), name="c"), "c: kernel_size must be one number or two"),
    (lambda: Conv2D(3, 3, padding="full", name="c"), "c: padding is 'valid' or 'same', got 'full'"),
    (lambda: MaxPool2D(7, name="m")(gn.Input(IMAGE)), "m: no place for index h"),
    (lambda: MaxPool2D(2, 0, name="m"), "m: strides must be a whole number above 0"),
    (lambda: Reshape((5, 5))(gn.Input(IMAGE)), "has 72 elements, they do not fit"),
    (lambda: Add(name="a")(gn.Input(IMAGE)), "a needs two inputs or more, got 1"),
    (lambda: Add()([gn.Input((None, 3)), gn.Input((None, 4))]), "has size 3 where that of b has 4"),
    (lambda: Concatenate()([gn.Input((None, 3, 2)), gn.Input((None, 4, 2))]), "concat: axis 1 of"),
    (lambda: Dense(3, name="d")(np.ones((2, 2))), "each input of d to be a node"),
]


@pytest.mark.parametrize(("build", "message"), REFUSALS)
def test_layers_refuse_what_does_not_fit(build, message):
    """When the graph is built, with the layer's name, the index and the sizes."""
    with pytest.raises(gn.GraphnnError, match=f"(?s){message}"):
        build()


def test_sizes_that_come_with_the_data_are_refused_alike():
    """Open when the graph was built, they are too small for a window: layer, index, formula, and the sizes given."""
    image = gn.Input((None, None, None, 1), "image")
    run = gn.function(image, Conv2D(2, 3, name="edges")(image))
    assert run(np.ones((1, 3, 5, 1))).shape == (1, 1, 3, 2)
    message = r"edges: no place for index h(?s:.*)operands: x = image: f32\[4, 2, 5, 1\]"
    with pytest.raises(gn.ShapeError, match=message):
        run(np.ones((4, 2, 5, 1)))


def test_a_built_layer_refuses_another_size():
    """The index, both sizes, the formula and the operands are named."""
    layer = Dense(4, name="reader")
    layer(gn.Input((None, 3)))
    with pytest.raises(gn.ShapeError) as caught:
        layer(gn.Input((None, 5), "other"))
    text = str(caught.value)
    assert "reader: index i of W is 3, of x is 5" in text
    assert "sum[i](x[..., i]*W[i, o])" in text
    assert "x = other: f32[N, 5]" in text


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_conv2d_is_keras_conv2d(keras, options):
    """The same values from the same weights."""
    if options.get("dilation_rate") and options.get("strides"):
        pytest.skip("Keras has strides or dilation, not both")
    x = gn.Input((None, 7, 8, 2), "x")
    layer = Conv2D(3, **options)
    y, given = layer(x), numbers(2, 7, 8, 2)
    other = keras.layers.Conv2D(3, **options)
    other.build((None, 7, 8, 2))
    other.set_weights(layer.get_weights())
    assert np.allclose(gn.evaluate(y, {x: given}), np.asarray(other(given)), atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("pool", "strides"), [(2, None), ((3, 2), (2, 1)), (3, 1), (2, 3)])
def test_max_pool_is_keras_max_pool(keras, padding, pool, strides):
    """The same values for windows that overlap, touch, or leave gaps."""
    x = gn.Input((None, 7, 6, 2), "x")
    given = numbers(2, 7, 6, 2)
    other = keras.layers.MaxPooling2D(pool, strides, padding)
    found = gn.evaluate(MaxPool2D(pool, strides, padding)(x), {x: given})
    assert np.allclose(found, np.asarray(other(given)))
