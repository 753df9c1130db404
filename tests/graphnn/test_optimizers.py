"""Optimizers: formulas for new weights, with their states, step by step as in the papers."""

import numpy as np
import pytest

import graphnn as gn
from graphnn.graph.graph import Graph
from graphnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, schedules

STEPS = 20


def by_hand(name, w, gradient, rate, **o):
    """Weights after each step, by the papers' algorithms, in float64."""
    w, m, v, c, u = w.copy(), *np.zeros((4, *w.shape))
    found = []
    for t in range(1, STEPS + 1):
        g = gradient(w)
        w = w * (1 - rate * o.get("weight_decay", 0))
        match name:
            case "sgd":
                m = o.get("momentum", 0) * m - rate * g
                ahead = o.get("momentum", 0) * m - rate * g
                w = w + (ahead if o.get("nesterov") else m)
            case "adam" | "adamw":
                m = o["beta_1"] * m + (1 - o["beta_1"]) * g
                v = o["beta_2"] * v + (1 - o["beta_2"]) * g * g
                a = rate * np.sqrt(1 - o["beta_2"] ** t) / (1 - o["beta_1"] ** t)
                u = np.maximum(u, v) if o.get("amsgrad") else v
                w = w - a * m / (np.sqrt(u) + o["epsilon"])
            case "rmsprop":
                v = o["rho"] * v + (1 - o["rho"]) * g * g
                c = o["rho"] * c + (1 - o["rho"]) * g * o.get("centered", 0)
                m = o.get("momentum", 0) * m + rate * g / np.sqrt(v - c * c + o["epsilon"])
                w = w - m
            case "adagrad":
                v = v + g * g
                w = w - rate * g / np.sqrt(o["initial_accumulator_value"] + v + o["epsilon"])
        found.append(w)
    return found


ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
CASES = [
    (SGD, {"learning_rate": 0.1}, {}),
    (SGD, {"learning_rate": 0.1, "momentum": 0.9}, {}),
    (SGD, {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}, {}),
    (Adam, {"learning_rate": 0.05}, ADAM),
    (Adam, {"learning_rate": 0.05, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, {}),
    (RMSprop, {"learning_rate": 0.02}, {"rho": 0.9, "epsilon": 1e-7}),
    (RMSprop, {"learning_rate": 0.02, "rho": 0.7, "momentum": 0.5, "epsilon": 1e-4}, {}),
    (RMSprop, {"learning_rate": 0.02, "centered": True}, {"rho": 0.9, "epsilon": 1e-7}),
    (
        RMSprop,
        {"learning_rate": 0.02, "momentum": 0.5, "centered": True, "epsilon": 1e-4},
        {"rho": 0.9},
    ),
    (Adam, {"learning_rate": 0.05, "beta_2": 0.8, "amsgrad": True}, ADAM),
    (
        AdamW,
        {"learning_rate": 0.05, "beta_2": 0.8, "amsgrad": True},
        {**ADAM, "weight_decay": 0.004},
    ),
    (AdamW, {"learning_rate": 0.05}, {**ADAM, "weight_decay": 0.004}),
    (Adam, {"learning_rate": 0.05, "weight_decay": 0.2}, ADAM),
    (SGD, {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}, {}),
    (Adagrad, {"learning_rate": 0.3}, {"initial_accumulator_value": 0.1, "epsilon": 1e-7}),
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


def assert_steps_are_kerass(keras, floatx, kind, rate, options):
    """``rate`` as a number or a schedule's name and arguments: the same two weights after twenty steps."""
    for dtype, tolerance in (("float64", 1e-9), ("float32", 2e-5)):
        floatx(dtype)
        ours, theirs = (
            getattr(own, kind)(
                rate if np.isscalar(rate) else getattr(rates, rate[0])(*rate[1], **rate[2]),
                **options,
            )
            for own, rates in (
                (gn.optimizers, schedules),
                (keras.optimizers, keras.optimizers.schedules),
            )
        )
        *found, step = two_weights(ours, dtype)
        variables = [keras.Variable(np.zeros(w.value.shape), dtype=dtype) for w in found]
        targets = TARGET.astype(dtype), np.full(4, 0.1, dtype)
        for _ in range(STEPS):
            pairs = zip(variables, targets, strict=True)
            theirs.apply([2 * (np.asarray(v) - t) for v, t in pairs], variables)
            step()
        for mine, other in zip(found, variables, strict=True):
            assert (
                np.abs(mine.value - np.asarray(other)).max() <= tolerance * np.abs(mine.value).max()
            )


@pytest.mark.parametrize(("kind", "options", "_defaults"), CASES, ids=str)
def test_steps_are_those_of_keras(keras, floatx, kind, options, _defaults):
    """By each optimizer, with each of its options."""
    more = {k: v for k, v in options.items() if k != "learning_rate"}
    assert_steps_are_kerass(keras, floatx, kind.__name__, options["learning_rate"], more)


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
    with pytest.raises(gn.GraphnnError, match="a dict from parameters, .* got list"):
        SGD().apply_gradients([(w, w)])


def test_the_update_graph_is_a_graph_like_any_other():
    """Its equations are found by Graph, its order does not depend on hashing."""
    texts = set()
    for _ in range(3):
        _, _, updates = trainer(Adam(name="adam"))
        texts.add(str(Graph(updates.new_values.values())).replace("_1", "").replace("_2", ""))
    assert len(texts) <= 3


# --- clipping, decay, schedules, frozen weights ---------------------------------------------------

SCHEDULES = [
    ("ExponentialDecay", (0.1, 10, 0.5), {}),
    ("ExponentialDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("PolynomialDecay", (0.1, 10), {}),
    ("PolynomialDecay", (0.1, 10, 0.01, 0.5, True), {}),
    ("CosineDecay", (0.1, 10), {"alpha": 0.2}),
    ("CosineDecay", (0.1, 10), {"alpha": 0.2, "warmup_target": 0.4, "warmup_steps": 4}),
    ("CosineDecay", (0.1, 10), {"alpha": 0.2, "warmup_target": 0.4}),
    ("PiecewiseConstantDecay", ([3, 7], [1.0, 0.5, 0.1]), {}),
]


@pytest.mark.parametrize(("name", "given", "options"), SCHEDULES, ids=str)
def test_schedules_are_those_of_keras(keras, floatx, name, given, options):
    """The rate of every step, beyond the end, too; and what momentum makes of it in twenty steps."""
    floatx("float64")
    ours = getattr(schedules, name)(*given, **options)
    theirs = getattr(keras.optimizers.schedules, name)(*given, **options)
    for step in range(35):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-9, abs=1e-15)
    assert_steps_are_kerass(keras, floatx, "SGD", (name, given, options), {"momentum": 0.5})


@pytest.mark.parametrize(("name", "given", "options"), SCHEDULES, ids=str)
def test_a_schedule_is_followed_without_compiling_anew(name, given, options):
    """Each step moves a weight by its rate; the rate is computed in the step."""
    schedule = getattr(schedules, name)(*given, **options)
    optimizer = SGD(schedule)
    w = gn.Parameter(np.zeros(()), "w")
    step = gn.function([], gn.sum(w), optimizer.apply_gradients({w: w * 0 + 1}))
    rates = []
    for number in range(15):
        assert optimizer.learning_rate == schedule(number)
        before = float(w.value)
        step()
        rates.append(before - float(w.value))
    assert rates == pytest.approx([schedule(t) for t in range(15)], rel=1e-12)
    assert len(step._compiled) == 1


def test_schedules_have_the_values_of_their_formulas():
    """Start, middle and end of each; a schedule of one's own is a formula in t."""
    assert schedules.PolynomialDecay(0.1, 10, 0.0)(5) == pytest.approx(0.05)
    cosine = schedules.CosineDecay(1.0, 100, alpha=0.1)
    assert [cosine(t) for t in (0, 50, 100, 1000)] == pytest.approx([1, 0.55, 0.1, 0.1])
    warm = schedules.CosineDecay(0.0, 100, warmup_target=1.0, warmup_steps=10)
    assert [warm(t) for t in (0, 5, 10, 110)] == pytest.approx([0, 0.5, 1, 0])
    assert schedules.Schedule("rate = 0.25")(7) == 0.25
    with pytest.raises(gn.GraphnnError, match="formula in t alone"):
        schedules.Schedule("rate = 0.1*loss")
    with pytest.raises(gn.GraphnnError, match="rising boundaries"):
        schedules.PiecewiseConstantDecay([5, 3], [1.0, 0.5, 0.1])
    with pytest.raises(gn.GraphnnError, match="decay_steps must be above 0"):
        schedules.CosineDecay(0.1, 0)
    with pytest.raises(gn.GraphnnError, match="cannot be set"):
        SGD(cosine).learning_rate = 0.1


CLIPPINGS = [{"clipvalue": 0.5}, {"clipnorm": 0.7}, {"global_clipnorm": 0.9}]


def two_weights(optimizer, dtype="float32"):
    """Two weights drawn to targets of different size."""
    a, b = gn.Parameter(np.zeros((2, 3), dtype), "a"), gn.Parameter(np.zeros(4, dtype), "b")
    loss = gn.sum((a - TARGET.astype(dtype)) ** 2) + gn.sum((b - 0.1) ** 2)
    return a, b, gn.function([], loss, optimizer.apply_gradients(gn.compute_gradients(loss)))


@pytest.mark.parametrize("options", CLIPPINGS, ids=str)
def test_gradients_are_clipped(options):
    """By value, by the norm of each, by the norm of all; short ones stay as they are."""
    a, b, step = two_weights(SGD(1.0, **options), "float64")
    step()
    ga, gb = -2 * TARGET, np.full(4, -0.2)
    if "clipvalue" in options:
        ga, gb = (np.clip(g, -0.5, 0.5) for g in (ga, gb))
    elif "clipnorm" in options:
        ga, gb = ga * 0.7 / np.linalg.norm(ga), gb
    else:
        total = np.sqrt((ga**2).sum() + (gb**2).sum())
        ga, gb = ga * 0.9 / total, gb * 0.9 / total
    assert np.allclose(a.value, -ga, rtol=1e-12)
    assert np.allclose(b.value, -gb, rtol=1e-12)


@pytest.mark.parametrize("options", CLIPPINGS, ids=str)
def test_clipped_steps_are_those_of_keras(keras, floatx, options):
    """The same weights after twenty clipped steps with decay on a schedule."""
    rate = ("CosineDecay", (0.1, 15), {})
    assert_steps_are_kerass(keras, floatx, "Adam", rate, {"weight_decay": 0.1, **options})


def test_global_clipping_joins_weights_of_both_dtypes():
    """The common norm is taken over float32 and float64 weights."""
    a, b = gn.Parameter(np.zeros(1, "float32"), "a"), gn.Parameter(np.zeros(1), "b")
    loss = gn.sum(gn.cast(a, "float64") * 3 + b * 4)
    updates = SGD(1.0, global_clipnorm=1.0).apply_gradients(gn.compute_gradients(loss))
    gn.function([], loss, updates)()
    assert (a.value[0], b.value[0]) == pytest.approx((-0.6, -0.8))


def test_clipping_and_decay_refuse_what_makes_no_sense():
    """One bound at a time, above zero; decay from zero on."""
    with pytest.raises(gn.GraphnnError, match="only one of clipnorm"):
        Adam(clipnorm=1.0, clipvalue=0.5)
    with pytest.raises(gn.GraphnnError, match="clipvalue must be above 0"):
        SGD(clipvalue=-1.0)
    with pytest.raises(gn.GraphnnError, match="weight_decay must be"):
        AdamW(weight_decay=-0.1)


def test_frozen_layers_stay_bit_for_bit():
    """No gradient, no decay, no state for what is not trainable; the rest is trained."""
    x = gn.Input((None, 3), "x")
    frozen = gn.layers.Dense(4, "relu", trainable=False)
    model = gn.Model(x, gn.layers.Dense(1)(frozen(x)))
    model.compile(AdamW(0.1, weight_decay=0.5, global_clipnorm=1.0), "mse")
    kept = frozen.get_weights()
    model.fit(np.ones((8, 3)), np.ones((8, 1)), epochs=3, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(kept, frozen.get_weights(), strict=True))
    assert list(model.optimizer.states) == model.parameters
    assert len(model.parameters) == 2


def test_a_saved_optimizer_keeps_its_rules(tmp_path):
    """Clipping, decay and schedule go on after loading, bit for bit as without a break."""
    x = gn.Input((None, 3), "x")
    model = gn.Model(x, gn.layers.Dense(1)(x))
    rate = schedules.PiecewiseConstantDecay([2], [0.5, 0.1])
    model.compile(AdamW(rate, weight_decay=0.1, clipnorm=0.3), "mse")
    data = np.arange(24.0).reshape(8, 3), np.ones((8, 1))
    model.train_on_batch(*data)
    model.save(tmp_path / "model")
    other = gn.load_model(tmp_path / "model")
    for each in (model, other):
        for _ in range(3):
            each.train_on_batch(*data)
    assert other.optimizer.learning_rate == model.optimizer.learning_rate == 0.1
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_an_optimizer_shows_its_settings_and_its_formula():
    """On one line; a schedule shows its own formula."""
    sgd = gn.optimizers.SGD(0.1, momentum=0.9)
    assert repr(sgd).startswith("<SGD(learning_rate=0.1, momentum=0.9): m.new[...] = ")
    assert "\n" not in repr(gn.optimizers.Adam())
