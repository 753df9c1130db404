"""Recurrent layers: what their equations compute, how their gradients run, that nothing grows with the sequence."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pytest

import graphnn as gn
from compiler.options import Options
from compiler.pipeline import stages
from graphnn.function import bind_sizes
from graphnn.graph.graph import Graph
from graphnn.graph.lower import lower
from graphnn.layers.recurrent import GRU, LSTM, SimpleRNN

CELLS = [
    (SimpleRNN, {}),
    (LSTM, {}),
    (GRU, {}),
    (GRU, {"reset_after": False}),
]
SHAPES = [(3, 5, 4, 7), (1, 1, 1, 1), (1, 3, 2, 1), (2, 1, 3, 17), (5, 13, 17, 33)]
IDS = ["simple_rnn", "lstm", "gru", "gru_reset_before"]
cells = pytest.mark.parametrize(("kind", "options"), CELLS, ids=IDS)


def numbers(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Trial:
    """A layer with its loss ``sum(y*g)``, and the gradients by input, initial states and weights."""

    def __init__(self, kind, shape, dtype="float64", start=False, **options):
        n, t, e, u = shape
        self.layer = kind(u, bias_initializer="random_normal", **options)
        self.x = gn.Input((None, t, e), "x", dtype=dtype)
        count = len(kind.states) if start else 0
        self.start = [gn.Input((None, u), f"start_{k}", dtype=dtype) for k in range(count)]
        self.y = self.layer(self.x, initial_state=self.start)
        g = gn.Input((None, *self.y.shape[1:]), "g", dtype=dtype)
        self.loss = gn.sum(self.y * g)
        self.inputs = [self.x, *self.start, g]
        self.arrays = [
            numbers(n, *node.shape[1:], seed=k, dtype=dtype) for k, node in enumerate(self.inputs)
        ]

    @cached_property
    def gradients(self):
        wrt = [self.x, *self.start, *self.layer.parameters]
        return list(gn.compute_gradients(self.loss, wrt).values())

    def run(self):
        """The output, then the gradients."""
        return gn.function(self.inputs, [self.y, *self.gradients])(*self.arrays)


def largest_error(found, expected):
    """Relative to the largest element of each array."""
    pairs = zip(found, map(np.asarray, expected), strict=True)
    return max(np.abs(a - b).max() / (float(np.abs(b).max()) or 1.0) for a, b in pairs)


# --- values -----------------------------------------------------------------------------------------------------


def step(kind, x, states, weights, reset_after=True):
    """One step in NumPy: the new states."""
    kernel, recurrent, bias = weights
    if kind is SimpleRNN:
        return [np.tanh(x @ kernel + states[0] @ recurrent + bias)]
    if kind is LSTM:
        i, f, a, o = np.split(x @ kernel + states[0] @ recurrent + bias, 4, axis=-1)
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(a)
        return [sigmoid(o) * np.tanh(c), c]
    u = len(recurrent)
    own, other = bias if reset_after else (bias, 0)
    p, q = x @ kernel + own, states[0] @ recurrent + other
    z, r = sigmoid(p[:, :u] + q[:, :u]), sigmoid(p[:, u : 2 * u] + q[:, u : 2 * u])
    inner = r * q[:, 2 * u :] if reset_after else (r * states[0]) @ recurrent[:, 2 * u :]
    return [z * states[0] + (1 - z) * np.tanh(p[:, 2 * u :] + inner)]


@cells
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_layer_is_a_loop_over_its_cell(kind, options, shape, backwards):
    """All steps of all states, from an initial state, in either direction."""
    trial = Trial(kind, shape, start=True, go_backwards=backwards, return_sequences=True, **options)
    x, *states, _ = trial.arrays
    sequence = []
    for t in reversed(range(shape[1])) if backwards else range(shape[1]):
        states = step(kind, x[:, t], states, trial.layer.get_weights(), **options)
        sequence.append(states[0])
    given = dict(zip(trial.inputs[:-1], trial.arrays, strict=False))
    compiled = gn.function(trial.inputs[:-1], trial.y)(*trial.arrays[:-1])
    assert largest_error([compiled], [np.stack(sequence, 1)]) < 1e-12
    assert largest_error([gn.evaluate(trial.y, given)], [np.stack(sequence, 1)]) < 1e-12


@cells
@pytest.mark.parametrize("backwards", [False, True])
def test_a_masked_step_leaves_all_states_as_they_are(kind, options, backwards):
    """From an initial state, in either direction, whatever stands in the input there."""
    trial = Trial(
        kind, (4, 6, 3, 5), start=True, go_backwards=backwards, return_sequences=True, **options
    )
    x, *states, _ = trial.arrays
    mask = gn.Input((None, 6), "mask", dtype="bool")
    here = np.random.default_rng(9).random((4, 6)) < 0.6
    y = trial.layer(trial.x, initial_state=trial.start, mask=mask)
    given = [trial.x, *trial.start, mask]
    found = gn.function(given, y)(x, *states, here)
    assert (
        largest_error([gn.evaluate(y, dict(zip(given, [x, *states, here], strict=True)))], [found])
        < 1e-12
    )
    sequence = []
    for t in reversed(range(6)) if backwards else range(6):
        new = step(kind, x[:, t], states, trial.layer.get_weights(), **options)
        states = [np.where(here[:, t, None], b, a) for a, b in zip(states, new, strict=True)]
        sequence.append(states[0])
    assert largest_error([found], [np.stack(sequence, 1)]) < 1e-12


@cells
def test_padding_that_is_masked_is_as_if_it_were_not_there(kind, options):
    """Last states and gradients are those of the shorter sequences; padding has a gradient of 0."""
    short = Trial(kind, (3, 4, 2, 5), **options)
    x, mask = (
        gn.Input((None, 7, 2), "x", dtype="float64"),
        gn.Input((None, 7), "mask", dtype="int32"),
    )
    loss = gn.sum(short.layer(x, mask=mask) * short.inputs[-1])
    wrt = [x, *short.layer.parameters]
    run = gn.function([x, mask, short.inputs[-1]], list(gn.compute_gradients(loss, wrt).values()))
    padded = np.concatenate([short.arrays[0], np.full((3, 3, 2), 1e3)], axis=1)
    gradient, *others = run(padded, np.tile([1, 1, 1, 1, 0, 0, 0], (3, 1)), short.arrays[-1])
    assert largest_error([gradient[:, :4], *others], short.run()[1:]) < 1e-12
    assert not gradient[:, 4:].any()


def test_masks_that_do_not_fit_are_refused():
    """They are truths or whole numbers, one for each step."""
    x = gn.Input((None, 7, 2))
    for mask in (gn.Input((None, 7)), gn.Input((None, 7, 1), dtype="bool")):
        with pytest.raises(gn.GraphnnError, match="lstm.*: mask must be bool or integer"):
            LSTM(3)(x, mask=mask)
    with pytest.raises(gn.ShapeError, match="is 7, of mask is 6"):
        LSTM(3)(x, mask=gn.Input((None, 6), "mask", dtype="bool"))


@cells
def test_the_last_state_is_returned(kind, options):
    """Without return_sequences the last step of them; return_state adds the states to it."""
    x = gn.Input((None, 6, 3), "x")
    layer = kind(4, return_sequences=True, return_state=True, name="cell", **options)
    whole, *states = layer(x)
    layer.return_sequences = False
    last, *_ = layer(x)
    values = gn.function([x], [whole, last, *states])(numbers(2, 6, 3))
    assert [s.shape for s in states] == [(None, 4)] * len(kind.states)
    assert np.array_equal(values[0][:, -1], values[1])
    assert np.array_equal(values[1], values[2])


@cells
def test_without_a_bias_it_counts_as_zero(kind, options):
    """The same values and gradients as with a bias of zeros."""
    plain = Trial(kind, (2, 4, 3, 5), use_bias=False, **options)
    other = Trial(kind, (2, 4, 3, 5), **options)
    zeros = np.zeros_like(other.layer.bias.value)
    other.layer.set_weights([*plain.layer.get_weights(), zeros])
    assert largest_error(plain.run(), other.run()[:-1]) < 1e-12


def test_activations_are_written_into_the_formula():
    """By name, as a function, or one's own operation; what is not a function of one number is refused."""
    x = gn.Input((None, 4, 3), "x", dtype="float64")
    swish = gn.op("y[...] = x[...]/(1 + exp(-beta*x[...]))", "swish", beta=1.5)
    formulas = {
        "relu": "h[n, t, u] = max(0, z[n, t, u])",
        swish: "h[n, t, u] = z[n, t, u]/(1 + exp(-1.5*z[n, t, u]))",
        gn.leaky_relu: "h[n, t, u] = max(0.01*z[n, t, u], z[n, t, u])",
        None: "h[n, t, u] = z[n, t, u]",
    }
    for activation, text in formulas.items():
        y = SimpleRNN(2, activation=activation, return_sequences=True)(x)
        assert y.application.operation.formula.text.splitlines()[-1] == text
    for wrong in ("softmax", lambda x: gn.relu(x) * 2):
        with pytest.raises(gn.GraphnnError, match="the activation of a gate"):
            SimpleRNN(2, activation=wrong)(x)


def test_weights_lie_as_in_keras():
    """Kernel, recurrent kernel, bias, gates side by side; forget gates start open."""
    shapes = {}
    for name, (kind, options) in zip(IDS, CELLS, strict=True):
        layer = kind(4, name=name, **options)
        layer(gn.Input((None, 5, 3)))
        shapes[name] = [(p.name.split(".")[1], p.value.shape) for p in layer.parameters]
        rows = layer.recurrent_kernel.value.astype("float64")
        assert np.allclose(rows @ rows.T, np.eye(4), atol=1e-6)
        if kind is LSTM:
            assert layer.bias.value.tolist() == [0] * 4 + [1] * 4 + [0] * 8
    assert shapes == {
        "simple_rnn": [("kernel", (3, 4)), ("recurrent_kernel", (4, 4)), ("bias", (4,))],
        "lstm": [("kernel", (3, 16)), ("recurrent_kernel", (4, 16)), ("bias", (16,))],
        "gru": [("kernel", (3, 12)), ("recurrent_kernel", (4, 12)), ("bias", (2, 12))],
        "gru_reset_before": [("kernel", (3, 12)), ("recurrent_kernel", (4, 12)), ("bias", (12,))],
    }
    assert SimpleRNN(2).name.startswith("simple_rnn")


REFUSALS = [
    (lambda: LSTM(3, name="r")(gn.Input((None, 4))), "r: expected sequences"),
    (lambda: LSTM(3, name="r")(gn.Input((None, 4, None))), "r: axis -1 of .* must have a fixed"),
    (lambda: LSTM(0, name="r"), "r: units must be a whole number above 0"),
    (
        lambda: LSTM(3, name="r")(gn.Input((None, 4, 2)), initial_state=gn.Input((None, 3))),
        "r: the initial state is h and c, got 1",
    ),
    (
        lambda: GRU(3, name="r")(gn.Input((None, 4, 2)), initial_state=gn.Input((None, 4))),
        "r: index k of U is 3, of h0 is 4",
    ),
]


@pytest.mark.parametrize(("build", "message"), REFUSALS)
def test_recurrent_layers_refuse_what_does_not_fit(build, message):
    """When the graph is built, with the layer's name."""
    with pytest.raises(gn.GraphnnError, match=message):
        build()


# --- gradients --------------------------------------------------------------------------------------------------


@cells
@pytest.mark.parametrize("start", [False, True])
def test_gradients_are_verified(kind, options, start):
    """Each gradient of the cell is proved by sympy and agrees with 50-digit differences; then the whole."""
    trial = Trial(kind, (2, 3, 2, 2), start=start, **options)
    report = gn.check_gradients(trial.loss, [trial.x, *trial.start, *trial.layer.parameters])
    report.assert_ok()
    own = [v for v in report.verdicts if v.node == trial.layer.name]
    assert [v.symbolic for v in own] == ["proved"] * len(own)
    assert len(own) >= 4
    assert max(v.error for v in own) < 1e-25


@cells
def test_gradients_are_recurrences_that_run_backward(kind, options):
    """Two loops, forward and back; products with the input before and after, weights' gradients after."""
    trial = Trial(kind, (2, 9, 3, 8), **options)
    system = lowered(trial.gradients, trial.inputs, trial.arrays)
    lines = stages(system, Options().settle())("order").splitlines()
    loops = [line for line in lines if line.startswith("for ")]
    assert ["reversed" in line for line in loops] == [False, True]
    inside = "\n".join(line for line in lines if line.startswith(" "))
    outside = "\n".join(line for line in lines if not line.startswith(" "))
    kernel, recurrent = trial.layer.kernel, trial.layer.recurrent_kernel
    assert graph_name(kernel) not in inside.replace(graph_name(recurrent), "")
    assert f"d_{graph_name(recurrent)}[" in outside and f"d_{graph_name(recurrent)}[" not in inside
    assert "+=" not in inside + outside


def graph_name(node):
    return node.name.replace(".", "_")


def lowered(outputs, inputs, arrays):
    """The system for arrays of these shapes."""
    return lower(outputs, None, bind_sizes(inputs, arrays)).system


# --- independent of the length -----------------------------------------------------------------------------------


@cells
def test_nothing_grows_with_the_sequence(kind, options):
    """Equations, kernels and picture are the same for 16 steps and for 1024; so is the code, but for the parts
    and blocks that long sums after the loops are cut into; memory is linear."""
    counts, code, memory = {}, {}, {}
    for steps in (16, 1024, 2048):
        trial = Trial(kind, (2, steps, 8, 8), dtype="float32", **options)
        system = lowered(trial.gradients, trial.inputs, trial.arrays)
        explain = stages(system, Options().settle())
        equations = str(Graph(trial.gradients)).splitlines()
        written = [line.split("[")[0] for line in explain("order").splitlines()]
        parts = sum(".parts" in target for target in written)
        kernels = explain("schedule").count("def kernel") - parts
        boxes = gn.draw(trial.loss, graph="gradient").picture.boxes
        counts[steps] = (len(equations), kernels, len(boxes))
        code[steps] = len(explain("emit").splitlines())
        memory[steps] = int(explain("plan").split("arena of ")[1].split()[0])
    assert counts[16] == counts[1024] == counts[2048]
    assert code[1024] < 2 * code[16]
    assert code[2048] < 1.2 * code[1024]
    assert 1.9 * memory[1024] < memory[2048] < 2.01 * memory[1024]


# --- other frameworks -------------------------------------------------------------------------------------------


def torch_twin(torch, trial, shape):
    """torch's layer with the same weights, its reset and update gates in torch's order."""
    _, _, e, u = shape
    kernel, recurrent, bias = trial.layer.get_weights()
    name = {SimpleRNN: "RNN", LSTM: "LSTM", GRU: "GRU"}[type(trial.layer)]
    other = getattr(torch.nn, name)(e, u, batch_first=True, dtype=torch.float64)
    own, recurrent_bias = bias if name == "GRU" else (bias, np.zeros_like(bias))
    gates = [1, 0, 2] if name == "GRU" else list(range(type(trial.layer).gates))
    arrays = [
        np.concatenate([np.split(a, len(gates), axis=-1)[g] for g in gates], -1).T
        for a in (kernel, recurrent, own, recurrent_bias)
    ]
    with torch.no_grad():
        for parameter, array in zip(other.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(array.copy()))
    return other, gates


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layers_are_those_of_torch(torch, kind, shape):
    """Outputs and all gradients in float64 to 1e-9 of the largest."""
    trial = Trial(kind, shape, start=True, return_sequences=True)
    other, gates = torch_twin(torch, trial, shape)
    x, *start, g = [torch.from_numpy(a).requires_grad_() for a in trial.arrays]
    state = tuple(s[None] for s in start)
    y, _ = other(x, state if kind is LSTM else state[0])
    (y * g).sum().backward()

    def back(array):
        blocks = np.split(array.numpy().T, len(gates), axis=-1)
        return np.concatenate([blocks[gates.index(k)] for k in range(len(gates))], -1)

    kernel, recurrent, own, inner = [back(p.grad) for p in other.parameters()]
    bias = np.stack([own, inner]) if kind is GRU else own
    expected = [y.detach(), x.grad, *(s.grad for s in start), kernel, recurrent, bias]
    assert largest_error(trial.run(), expected) < 1e-9


TWINS = [
    ((3, 5, 4, 7), {}),
    ((1, 1, 1, 1), {"start": True}),
    ((1, 3, 2, 1), {"go_backwards": True, "return_sequences": True}),
    ((2, 1, 3, 17), {"activation": "relu", "start": True}),
    ((5, 13, 17, 33), {"go_backwards": True, "return_sequences": True, "start": True}),
]


@cells
@pytest.mark.parametrize(("shape", "more"), TWINS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-5)])
def test_layers_are_those_of_keras(keras, jax, kind, options, shape, more, dtype, tolerance):
    """Outputs and all gradients, to a share of the largest; the initial state's, too, where it is given."""
    trial = Trial(kind, shape, dtype=dtype, **options, **more)
    own = {key: value for key, value in more.items() if key != "start"}
    other = getattr(keras.layers, kind.__name__)(shape[-1], dtype=dtype, **options, **own)
    other.build(shape[:-1])
    other.set_weights(trial.layer.get_weights())
    *given, g = trial.arrays
    kept = [v.value for v in other.non_trainable_variables]

    def loss(weights, x, *start):
        y, _ = other.stateless_call(weights, kept, x, initial_state=list(start) or None)
        return (y * g).sum(), y

    weights = [v.value for v in other.trainable_variables]
    slopes = jax.jit(jax.grad(loss, argnums=range(1 + len(given)), has_aux=True))
    (by_weights, *by_given), y = slopes(weights, *given)
    assert largest_error(trial.run(), [y, *by_given, *by_weights]) < tolerance


# --- learning ---------------------------------------------------------------------------------------------------


@cells
def test_stacked_layers_learn(kind, options):
    """Two layers, the second fed by all steps of the first: the loss falls."""
    gn.set_seed(1)
    first, second = kind(6, return_sequences=True, **options), kind(5, **options)
    x, y = gn.Input((None, 8, 3), "x"), gn.Input((None, 1), "y")
    loss = gn.losses.mean_squared_error(y, gn.layers.Dense(1)(second(first(x))))
    update = gn.optimizers.Adam(0.02).apply_gradients(gn.compute_gradients(loss))
    train = gn.function([x, y], loss, updates=update)
    given = numbers(32, 8, 3)
    target = given[:, 0, :1] + given[:, -1, 1:2]
    losses = [float(train(given, target)) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]
