"""Optimizers: formulas for new weights, with their states, step by step as in the papers."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.graph.graph import Graph
from graphnn.optimizers import SGD, Adam, Optimizer, RMSprop

STEPS = 20


def by_hand(name, w, gradient, rate, **o):
    """Weights after each step, by the papers' algorithms, in float64."""
    w, m, v = w.copy(), np.zeros_like(w), np.zeros_like(w)
    found = []
    for t in range(1, STEPS + 1):
        g = gradient(w)
        match name:
            case "sgd":
                m = o.get("momentum", 0) * m - rate * g
                ahead = o.get("momentum", 0) * m - rate * g
                w = w + (ahead if o.get("nesterov") else m)
            case "adam":
                m = o["beta_1"] * m + (1 - o["beta_1"]) * g
                v = o["beta_2"] * v + (1 - o["beta_2"]) * g * g
                a = rate * np.sqrt(1 - o["beta_2"] ** t) / (1 - o["beta_1"] ** t)
                w = w - a * m / (np.sqrt(v) + o["epsilon"])
            case "rmsprop":
                v = o["rho"] * v + (1 - o["rho"]) * g * g
                m = o.get("momentum", 0) * m + rate * g / np.sqrt(v + o["epsilon"])
                w = w - m
        found.append(w)
    return found


CASES = [
    (SGD, {"learning_rate": 0.1}, {}),
    (SGD, {"learning_rate": 0.1, "momentum": 0.9}, {}),
    (SGD, {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}, {}),
    (Adam, {"learning_rate": 0.05}, {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
    (Adam, {"learning_rate": 0.05, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, {}),
    (RMSprop, {"learning_rate": 0.02}, {"rho": 0.9, "epsilon": 1e-7}),
    (RMSprop, {"learning_rate": 0.02, "rho": 0.7, "momentum": 0.5, "epsilon": 1e-4}, {}),
]
TARGET = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])


def trainer(optimizer, dtype="float64"):
    """A weight drawn to TARGET by its squared distance, and one step of it."""
    w = gn.Parameter(np.zeros((2, 3), dtype), "w")
    loss = gn.sum((w - TARGET.astype(dtype)) ** 2)
    updates = optimizer.apply_gradients(gn.compute_gradients(loss))
    return w, gn.function([], loss, updates), updates


@pytest.mark.parametrize(("kind", "options", "defaults"), CASES, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_steps_are_those_of_the_paper(kind, options, defaults, dtype, tolerance):
    """Every weight after each of twenty steps, with Keras's defaults."""
    numbers = {**defaults, **options}
    rate = numbers.pop("learning_rate")
    expected = by_hand(
        kind.__name__.lower(), np.zeros((2, 3)), lambda w: 2 * (w - TARGET), rate, **numbers
    )
    w, step, _ = trainer(kind(**options), dtype)
    for wanted in expected:
        step()
        assert np.abs(w.value - wanted).max() <= tolerance * np.abs(wanted).max()


@pytest.mark.parametrize(("kind", "options", "_defaults"), CASES, ids=str)
def test_steps_are_those_of_keras(keras, kind, options, _defaults):
    """The same weights after twenty steps."""
    optimizer = getattr(keras.optimizers, kind.__name__)(**options)
    variable = keras.Variable(np.zeros((2, 3)), dtype="float32")
    w, step, _ = trainer(kind(**options), "float32")
    for _ in range(STEPS):
        optimizer.apply([2 * (np.asarray(variable) - TARGET.astype("float32"))], [variable])
        step()
    assert np.abs(w.value - np.asarray(variable)).max() <= 1e-4 * np.abs(w.value).max()


def test_defaults_are_those_of_keras():
    """Rates, momenta and epsilons that nobody gave."""
    assert SGD().learning_rate == 0.01
    assert Adam().learning_rate == RMSprop().learning_rate == 0.001
    attributes = {k: float(v) for k, v in Adam().update.attributes.items()}
    assert attributes == {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert {k: float(v) for k, v in RMSprop().update.attributes.items()} == {
        "rho": 0.9,
        "epsilon": 1e-7,
    }


def test_the_rate_may_change_without_compiling():
    """The next step uses the new rate, in the same executable."""
    optimizer = SGD(0.0)
    w, step, _ = trainer(optimizer)
    step()
    assert not w.value.any()
    optimizer.learning_rate = 0.5
    step()
    assert np.allclose(w.value, TARGET)
    assert len(step._compiled) == 1


def test_updates_name_weights_and_states_in_order():
    """The counter, then for each weight its states and itself; the graph prints as equations."""
    _, _, updates = trainer(Adam(name="adam"))
    assert [p.name for p in updates] == ["adam.t", "w.m", "w.v", "w"]
    text = str(updates)
    assert "adam_t.new = adam_t + 1" in text
    assert "w.new[n, i] = w[n, i] - adam_a*w_m.new[n, i]/(sqrt(w_v.new[n, i]) + 1e-07)" in text
    assert len(updates) == 4


def test_nothing_changes_before_a_step_is_run():
    """apply_gradients builds a graph; the weights stay, and a function without updates leaves them too."""
    optimizer = Adam(0.1)
    w = gn.Parameter(np.ones(3, "float32"), "w")
    loss = gn.sum(w**2)
    updates = optimizer.apply_gradients(gn.compute_gradients(loss))
    gn.function([], loss)()
    assert w.value.tolist() == [1, 1, 1]
    assert optimizer.iterations.value == 0
    gn.function([], loss, updates)()
    assert np.allclose(w.value, 0.9)
    assert optimizer.iterations.value == 1


def test_states_stay_with_the_optimizer():
    """Building the step again goes on with the same moments and the same count."""
    optimizer = Adam(0.05)
    w = gn.Parameter(np.zeros((2, 3)), "w")

    def step():
        loss = gn.sum((w - TARGET) ** 2)
        gn.function([], loss, optimizer.apply_gradients(gn.compute_gradients(loss)))()

    for _ in range(3):
        step()
    expected = by_hand(
        "adam",
        np.zeros((2, 3)),
        lambda w: 2 * (w - TARGET),
        0.05,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
    )
    assert np.allclose(w.value, expected[2], rtol=1e-12)


def test_float32_and_float64_weights_in_one_step():
    """The step size is computed once and converted for each dtype."""
    a, b = gn.Parameter(np.zeros(2, "float32"), "a"), gn.Parameter(np.zeros(2), "b")
    loss = gn.sum(gn.cast(a, "float64") * 3 + b)
    updates = SGD(0.1).apply_gradients(gn.compute_gradients(loss))
    gn.function([], loss, updates)()
    assert np.allclose(a.value, -0.3)
    assert np.allclose(b.value, -0.1)


def test_an_optimizer_of_ones_own_is_a_formula():
    """Any operand besides w, g and a is a state."""
    own = Optimizer(
        "n.new[...] = n[...] + abs(g[...])\nw.new[...] = w[...] - a*g[...]/(1 + n.new[...])", 0.5
    )
    w, step, updates = trainer(own)
    step()
    gradient = -2 * TARGET
    assert np.allclose(w.value, -0.5 * gradient / (1 + np.abs(gradient)))
    assert [p.name for p in updates][1:] == ["w.n", "w"]


@pytest.mark.parametrize(
    "text",
    [
        "w.new[...] = w[...] - a*m[...]*g[...]",
        "m.new[...] = m[...] + g[...]",
        "w[...] = w[...] - a*g[...]",
    ],
)
def test_an_update_must_give_what_it_keeps(text):
    """A formula without w.new, or that never renews a state it reads, is refused."""
    with pytest.raises(gn.GraphnnError, match=r"an update gives w\.new"):
        Optimizer(text, 0.1)


def test_wrong_numbers_and_gradients_are_refused():
    """Rates below zero, decays beyond one, what is no parameter, gradients of another shape."""
    for build in (
        lambda: SGD(-1),
        lambda: Adam(beta_1=1.0),
        lambda: RMSprop(rho=-0.1),
        lambda: SGD("0.1"),
    ):
        with pytest.raises(gn.GraphnnError, match="must"):
            build()
    x, w = gn.Input((None, 2), "x"), gn.Parameter(np.zeros(3), "w")
    with pytest.raises(gn.GraphnnError, match="only a parameter can be updated"):
        SGD().apply_gradients({x: x})
    with pytest.raises(gn.ShapeError, match="gradient of w"):
        SGD().apply_gradients({w: x})
    with pytest.raises(gn.GraphnnError, match="no gradients"):
        SGD().apply_gradients({})


def test_the_update_graph_is_a_graph_like_any_other():
    """Its equations are found by Graph, its order does not depend on hashing."""
    texts = set()
    for _ in range(3):
        _, _, updates = trainer(Adam(name="adam"))
        texts.add(str(Graph(updates.new_values.values())).replace("_1", "").replace("_2", ""))
    assert len(texts) <= 3
