"""What a graph shows of itself: boxes with formulas, arrows with indices and sizes, clusters by layer."""

import pytest

import graphnn as gn
from graphnn import layers


@pytest.fixture(scope="module")
def pictures():
    """A small image network: forward, with its gradients, and with the updates of a step."""
    x = gn.Input((None, 6, 6, 2), name="image")
    y = layers.Conv2D(3, 3, activation="relu", name="conv")(x)
    y = layers.Dense(4, name="scores")(layers.Flatten()(layers.MaxPool2D()(y)))
    model = gn.Model(x, y, name="net")
    model.compile("adam", "mse")
    graphs = ("forward", "gradient", "train")
    return {graph: gn.draw(model, graph=graph).picture for graph in graphs}


def named(picture, name):
    return next(box for box in picture.boxes if box.title == name)


@pytest.mark.parametrize("graph", ["forward", "gradient", "train"])
def test_every_arrow_joins_two_boxes(pictures, graph):
    """And everything but inputs and parameters is computed by a formula."""
    picture = pictures[graph]
    ids = {box.id for box in picture.boxes}
    assert all({arrow.source, arrow.target} <= ids for arrow in picture.arrows)
    for box in picture.boxes:
        assert bool(box.formulas) == (box.kind not in ("input", "parameter", "state")), box.title


def test_arrows_name_indices_and_sizes(pictures):
    """As the formula at their end reads the operand."""
    picture = pictures["forward"]
    conv = named(picture, "conv")
    labels = {arrow.label for arrow in picture.arrows if arrow.target == conv.id}
    assert labels == {"x[n:N, 6, 6, c:2]", "K[i:3, j:3, c:2, o:3]", "b[o:3]"}


def test_clusters_are_layers(pictures):
    """A layer's parameters and operations stand together."""
    titles = ("conv", "conv.relu", "conv.kernel", "conv.bias")
    assert {named(pictures["forward"], title).cluster for title in titles} == {("conv",)}


def test_gradients_stand_beside_what_they_differentiate(pictures):
    """And are told apart from it, as the loss is."""
    picture = pictures["gradient"]
    pairs = {(named(picture, n).id, named(picture, f"d_{n}").id) for n in ("conv", "scores")}
    assert pairs <= set(picture.pairs)
    assert named(picture, "d_conv").kind == "gradient"
    assert [box.kind for box in picture.boxes].count("loss") == 1


def test_boxes_outside_of_layers_have_the_names_of_prints(pictures):
    """Whatever the operation is called that computes them; their gradients follow."""
    picture = pictures["gradient"]
    (loss,) = (box for box in picture.boxes if box.kind == "loss")
    assert loss.title.startswith("loss")  # and not mean_all
    assert (loss.id, named(picture, f"d_{loss.title}").id) in picture.pairs


def test_only_what_a_formula_reads_has_an_arrow(pictures):
    """The gradient of the first kernel needs the image and what arrives, the kernel's sizes only."""
    picture = pictures["gradient"]
    target = named(picture, "d_conv").id
    labels = {arrow.label for arrow in picture.arrows if arrow.target == target}
    assert labels == {"x[n:N, 6, 6, c:2]", "g_y[n:N, h:4, w:4, o:3]"}


def test_a_step_of_training_shows_its_updates(pictures):
    """One for each parameter, with the formula for its new value, beside the gradients."""
    boxes = pictures["train"].boxes
    updates = [f for box in boxes if box.kind == "update" for f in box.formulas]
    assert sum(formula.startswith(r"w^{\mathrm{new}}") for formula in updates) == 4
    assert any(box.kind == "gradient" for box in boxes)


def test_updates_stand_beside_their_gradients(pictures):
    """With the states that only they read; weights stay where they are used."""
    picture = pictures["train"]
    kinds, readers = picture.by_id, {}
    for arrow in picture.arrows:
        readers.setdefault(arrow.source, set()).add(kinds[arrow.target].kind)
    states = {box.title for box in picture.boxes if box.kind == "state"}
    assert {"conv.kernel.m", "conv.kernel.v", "scores.bias.m", "scores.bias.v"} < states
    assert all(readers[b.id] == {"update"} for b in picture.boxes if b.kind == "state")
    assert named(picture, "conv.kernel").kind == "parameter"
    beside = [b for a, b in picture.pairs if a == named(picture, "d_conv").id]
    assert [kinds[b].kind for b in beside] == ["update", "update"]


def test_what_reads_all_gradients_stands_beside_none():
    """The norm of all would otherwise draw all layers to one line."""
    x = gn.Input((None, 6))
    model = gn.Model(x, layers.Dense(2)(layers.Dense(3, name="h")(x)))
    model.compile(gn.optimizers.SGD(global_clipnorm=1.0), "mse")
    picture = gn.draw(model, graph="train").picture
    of = {}
    for gradient, update in picture.pairs:
        of.setdefault(update, []).append(gradient)
    assert all(len(gradients) == 1 for gradients in of.values())


def test_a_weight_with_a_penalty_stays_in_its_model():
    """The penalty reads it from outside; a depth that is none is refused at once."""
    x, y = gn.Input((None, 6)), gn.Input((None, 6))
    inner = gn.Model(x, layers.Dense(3, name="h", kernel_regularizer="l2")(x), name="inner")
    model = gn.Model(y, inner(y))
    model.compile("sgd", "mse")
    assert named(gn.draw(model, graph="train").picture, "h.kernel").cluster == ("inner", "h")
    for depth in (-1, 1.5, "x"):
        with pytest.raises(gn.GraphnnError, match=f"depth is a whole number .* got {depth!r}"):
            gn.draw(model, depth=depth)


def test_boxes_of_a_layer_have_names_of_their_own():
    """Several of one layer are called after what they give, as in prints, and so are their gradients."""
    x = gn.Input((None, 5, 8), name="x")
    loss = gn.mean(layers.MultiHeadAttention(2, 4, name="heads")(x, x))
    titles = [box.title for box in gn.draw(loss, graph="gradient").picture.boxes]
    for part in (
        "heads",
        "heads.query",
        "heads.key",
        "heads.value",
        "heads.weights",
        "heads.mixed",
    ):
        assert titles.count(part) == titles.count(f"d_{part}") == 1, titles


def test_without_parameters_the_gradients_are_those_of_inputs():
    """A formula's own gradient can be drawn before there is a network."""
    x, t = gn.Input((None, 3), name="x"), gn.Input((None,), name="t", dtype="int32")
    picture = gn.draw(gn.mean(gn.where(gn.equal(t, 1)[:, None], x**2, x)), graph="gradient").picture
    assert any(box.kind == "gradient" for box in picture.boxes)
