"""What the layers refuse, what they share, how their weights are called."""

from __future__ import annotations

import numpy as np
import pytest

import graphnn as gn
from graphnn.layers import (
    AveragePool2D,
    BatchNormalization,
    Dense,
    Embedding,
    GlobalAveragePool2D,
    LayerNormalization,
    MultiHeadAttention,
)

from .cases import numbers

WORDS = (None, 7)
SEQUENCE = (None, 5, 4)


def attend(**options):
    x = gn.Input(SEQUENCE, "x")
    return MultiHeadAttention(2, 3, name="m")(x, x, **options)


REFUSALS = [
    (lambda: AveragePool2D(9, name="p")(gn.Input((None, 6, 6, 2))), "p: no place for index h"),
    (lambda: GlobalAveragePool2D(name="p")(gn.Input(SEQUENCE)), "p: expected images"),
    (lambda: BatchNormalization(axis=0, name="b")(gn.Input(SEQUENCE)), "b: axis 0 of .* must leave out the batch"),
    (lambda: BatchNormalization(axis=3, name="b")(gn.Input(SEQUENCE)), "b: .* has no axis 3"),
    (lambda: BatchNormalization(momentum=2, name="b"), "b: momentum must lie between 0 and 1"),
    (lambda: BatchNormalization(epsilon=0, name="b"), "b: epsilon must be above 0"),
    (lambda: BatchNormalization(axis=(1, 2), name="b"), "b: axis must be one number"),
    (lambda: LayerNormalization(axis=(1, 0), name="l")(gn.Input(SEQUENCE)), "l: axis .* the batch"),
    (lambda: LayerNormalization(name="l")(gn.Input((None, None))), "l: axis -1 of .* fixed size"),
    (lambda: Embedding(5, 0, name="e"), "e: output_dim must be a whole number above 0"),
    (lambda: Embedding(5, 3, name="e")(gn.Input(WORDS, "x")), "e: expected integer tokens, x is f32"),
    (lambda: Embedding(5, 3, dtype="half", name="e"), "e: dtype 'half' is not one of"),
    (lambda: MultiHeadAttention(0, 3, name="m"), "m: num_heads must be a whole number above 0"),
    (lambda: MultiHeadAttention(2, 3, dropout=1.5, name="m"), r"m: the rate .* \[0, 1\), got 1.5"),
    (lambda: MultiHeadAttention(2, 3, name="m")(*[gn.Input(WORDS)] * 2), "m: expected sequences"),
    (lambda: attend(attention_mask=gn.Input(SEQUENCE, "f")), "attention_mask must be bool or integer"),
    (lambda: attend(value_mask=gn.Input((None, 5, 5), dtype="bool")), "value_mask must .* 2 axes"),
    (lambda: attend(value_mask=gn.Input((None, 6), dtype="bool")), "index s of"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "message"), REFUSALS)
def test_layers_refuse_what_does_not_fit(build, message) -> None:
    """When the graph is built, with the layer's name."""
    with pytest.raises(gn.GraphnnError, match=f"(?s){message}"):
        build()


def test_a_token_out_of_range_changes_nothing() -> None:
    """IndexError with the value, before anything is written."""
    t = gn.Input((None, 3), "t", "int32")
    model = gn.Model(t, Dense(1)(gn.mean(Embedding(5, 2)(t), 1)))
    model.compile("adam", "mse")
    before = model.get_weights()
    for tokens in ([[0, 1, 5]], [[0, -1, 2]]):
        with pytest.raises(IndexError, match=r"5|-1"):
            model.train_on_batch(np.array(tokens, "int32"), np.ones((1, 1), "float32"))
    assert all(map(np.array_equal, before, model.get_weights()))


def test_an_embedding_gathers_and_scatters() -> None:
    """A token that comes twice gets both gradients, one that does not come gets none."""
    t, layer = gn.Input((None,), "t", "int32"), Embedding(4, 2, dtype="float64")
    y = layer(t)
    gradient = gn.compute_gradients(gn.sum(y), layer.parameters)[layer.embeddings]
    value, slope = gn.function([t], [y, gradient])(np.array([1, 3, 1], "int32"))
    assert y.dtype == "float64"
    assert np.array_equal(value, layer.embeddings.value[[1, 3, 1]])
    assert slope[:, 0].tolist() == [0, 2, 0, 1]


def test_tied_weights_get_the_gradient_of_both_uses() -> None:
    """One table as embedding and as the last kernel."""
    t, layer = gn.Input((None, 3), "t", "int32"), Embedding(5, 2)
    scores = layer(t) @ gn.transpose(layer.embeddings)
    (gradient,) = gn.compute_gradients(gn.sum(scores)).values()
    tokens = np.array([[0, 1, 1], [4, 0, 2]], "int32")
    E = layer.embeddings.value.astype("float64")
    expected = np.zeros_like(E) + E[tokens].sum((0, 1))
    np.add.at(expected, tokens, E.sum(0))
    assert np.allclose(gn.function([t], gradient)(tokens), expected, atol=1e-6)


def test_masks_are_one_condition() -> None:
    """Masks of queries, values, keys and pairs together are the mask of pairs that all of them allow; bool or 0/1."""
    layer = MultiHeadAttention(2, 3)
    q, v = gn.Input((2, 3, 4), "q"), gn.Input((2, 5, 4), "v")
    shapes = {
        "query_mask": (2, 3),
        "value_mask": (2, 5),
        "key_mask": (2, 5),
        "attention_mask": (3, 5),
    }
    masks = {
        name: numbers(*shape, seed=k, below=2) for k, (name, shape) in enumerate(shapes.items())
    }
    nodes = {name: gn.Input(mask.shape, name, "int32") for name, mask in masks.items()}
    key = gn.Input((2, 5, 4), "k")
    every = layer(q, v, key, **nodes, return_attention_scores=True)
    both = gn.Input((2, 1, 3, 5), "both", "bool")
    one = layer(q, v, key, attention_mask=both, return_attention_scores=True)
    given = {n: numbers(*n.shape, seed=20 + k).astype("float32") for k, n in enumerate((q, v, key))}
    allowed = (
        masks["query_mask"][:, None, :, None]
        * (masks["value_mask"] * masks["key_mask"])[:, None, None, :]
        * masks["attention_mask"]
    ).astype(bool)
    separate = {nodes[name]: mask for name, mask in masks.items()}
    found = gn.evaluate(every, {**given, **separate})
    again = gn.function([q, v, key, both], one)(*given.values(), allowed)
    for a, b in zip(found, again, strict=True):
        assert np.allclose(a, b, atol=1e-6)
    scores = np.broadcast_to(allowed, again[1].shape)
    assert not again[1][~scores].any()
    assert np.allclose(
        again[1].sum(-1), scores.any(-1)
    )  # where nothing may be seen the weights are 0


def test_masked_gradients_are_finite() -> None:
    """A row that may see nothing has value and gradient 0, not NaN."""
    x, mask = gn.Input((1, 3, 4), "x"), gn.Input((1, 3), "mask", "bool")
    layer = MultiHeadAttention(1, 2)
    y = layer(x, x, value_mask=mask)
    gradients = gn.compute_gradients(gn.sum(y * y), [x, *layer.parameters])
    run = gn.function([x, mask], [y, *gradients.values()])
    for value in run(numbers(1, 3, 4).astype("float32"), np.zeros((1, 3), bool)):
        assert np.isfinite(value).all()


def test_large_scores_overflow_nothing() -> None:
    """Scores of 10000 and more are right in value and gradient."""
    x = gn.Input((1, 3, 2), "x")
    layer = MultiHeadAttention(1, 2)
    y, scores = layer(x, x, return_attention_scores=True, use_causal_mask=True)
    slope = gn.compute_gradients(gn.sum(y), [x])[x]
    found = gn.function([x], [y, scores, slope])(1e3 * numbers(1, 3, 2).astype("float32"))
    assert all(np.isfinite(value).all() for value in found)
    assert np.allclose(found[1].sum(-1), 1)


def test_names_and_aliases() -> None:
    """Weights are called and ordered as in Keras, layers by both of their names."""
    x = gn.Input((None, 5, 4), "x")
    layer, norm = MultiHeadAttention(2, 3, name="m"), BatchNormalization(name="b")
    norm(layer(x, x))
    names = [
        f"m.{part}_{kind}"
        for part in ("query", "key", "value", "output")
        for kind in ("kernel", "bias")
    ]
    assert [p.name for p in layer.parameters] == names
    assert [p.name for p in norm.parameters] == [
        "b.gamma",
        "b.beta",
        "b.moving_mean",
        "b.moving_variance",
    ]
    assert gn.layers.AveragePooling2D is AveragePool2D
    assert gn.layers.BatchNorm is BatchNormalization
    assert gn.layers.LayerNorm is LayerNormalization
    assert gn.layers.GlobalAveragePooling2D is GlobalAveragePool2D


def test_options_of_keras_that_are_not_here():
    """Each is refused by name, with what to do instead; what a layer takes is listed."""
    for build, message in (
        (lambda: gn.layers.Dense(3, kernel_constraint=None), "Dense has no option kernel_constraint: change weights"),
        (lambda: gn.layers.Conv2D(3, 2, data_format="channels_first"), "gn.transpose"),
        (lambda: gn.layers.Embedding(3, 2, mask_zero=True), "mask= to recurrent layers"),
        (lambda: gn.layers.GRU(3, unroll=True), "GRU has no option unroll: nothing is ever unrolled"),
        (lambda: gn.layers.LSTM(3, dropout=0.1), "LSTM has no option dropout: put a Dropout"),
        (lambda: gn.layers.Dense(3, units_=3), "Dense has no option units_; it takes units, activation"),
        (lambda: gn.layers.Flatten(gn.Input((None, 3))), r"Flatten is made first .*: Flatten\(\)\(x\)"),
        (lambda: gn.Sequential(dtype="float64"), "Sequential has no option dtype"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            build()


def test_groups_are_equal():
    """Filters and channels both make whole groups."""
    with pytest.raises(gn.GraphnnError, match="3 filters do not make 2 equal groups"):
        gn.layers.Conv2D(3, 2, groups=2)
    with pytest.raises(gn.ShapeError, match="the 3 channels of x do not make 2 equal groups"):
        gn.layers.Conv2D(4, 2, groups=2)(gn.Input((None, 5, 5, 3), "x"))
