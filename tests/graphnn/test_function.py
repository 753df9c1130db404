"""Compiled functions: the same values as the interpreter, for any batch, and nothing written on bad input."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import compiler
import graphnn as gn
from graphnn.errors import DtypeError, GraphnnError, ShapeError
from graphnn.function import evaluate, function
from graphnn.functions import exp, mean, sum
from graphnn.gradients import compute_gradients
from graphnn.graph.node import Input, Parameter
from graphnn.graph.operation import op


def network():
    x = Input((None, 3), "x")
    w = Parameter(np.random.default_rng(0).normal(size=(3, 2)).astype("float32"), "w")
    return x, w, exp(x @ w)


@pytest.mark.parametrize("batch", [1, 2, 7, 16, 33])
def test_one_function_serves_any_batch(batch):
    """None as batch: compiled once for each size, equal to the interpreter."""
    x, _, y = network()
    call = function([x], y)
    given = np.random.default_rng(batch).normal(size=(batch, 3)).astype("float32")
    assert np.allclose(call(given), evaluate(y, {x: given}), rtol=2e-6)
    assert call(given).shape == (batch, 2)


def test_results_are_fresh_arrays():
    """A later call does not change what an earlier one gave."""
    x, _, y = network()
    call = function([x], y)
    first = call(np.ones((2, 3), "float32"))
    kept = first.copy()
    call(np.zeros((2, 3), "float32"))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("size", [3, 40_000])
def test_a_result_asked_for_twice_is_two_arrays(size):
    """What is written to one of them does not show in the other."""
    x = Input((size,))
    y = x * 2
    first, second = function([x], [y, y])(np.ones(size, "float32"))
    first[...] = 0
    assert set(second) == {2.0}


def test_outputs_may_be_inputs_parameters_or_several():
    """A list gives a list; given tensors are copied out."""
    x, w, y = network()
    found = function([x], [x, w, y])(np.ones((1, 3), "float32"))
    assert found[0].tolist() == [[1.0, 1.0, 1.0]] and np.array_equal(found[1], w.value)
    found[1][...] = 0
    assert w.value.any()


def test_a_users_operation_compiles():
    """The line of the issue that no catalogue has, with its gradient."""
    custom = op("y[n, i] = sum[j](A[i, j] * x[n, j]**2) / (1 + abs(x[n, i]))")
    x = Input((None, 5), "x")
    a = Parameter(np.random.default_rng(1).normal(size=(5, 5)).astype("float32"), "A")
    loss = mean(custom(a, x) ** 2)
    gradient = compute_gradients(loss)[a]
    given = np.random.default_rng(2).normal(size=(6, 5)).astype("float32")
    found = function([x], [loss, gradient])(given)
    assert np.allclose(found[0], evaluate(loss, {x: given}), rtol=1e-5)
    assert np.allclose(found[1], evaluate(gradient, {x: given}), rtol=1e-4, atol=1e-6)


def test_wrong_arrays_are_refused_by_name():
    """Shape, rank, count and dtype: expected, got, which input."""
    x, _, y = network()
    call = function([x], y)
    with pytest.raises(
        ShapeError, match=r"x: expected an array for f32\[N, 3\], got shape \(2, 4\)"
    ):
        call(np.ones((2, 4), "float32"))
    with pytest.raises(
        ShapeError, match=r"1 axes instead of 2; one sample x is given as x\[None\]"
    ):
        call(np.ones(3, "float32"))
    with pytest.raises(GraphnnError, match=r"expected an array for each input \(x\), got 0"):
        call()
    with pytest.raises(DtypeError, match="x: expected float32, got an array of"):
        call(np.array([["a", "b", "c"]]))
    with pytest.raises(ShapeError, match="is empty"):
        call(np.ones((0, 3), "float32"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"x: expected an array for f32\[N, 3\], got NoneType without numbers"),
        ("abc", "got str without numbers"),
        ([[1, None, 3]], "got list without numbers"),
        ([[1, 2, 3], [1]], "got rows of different lengths"),
        (Input((None, 3), "z"), "got the node z"),
    ],
)
def test_what_is_no_array_is_refused_by_name(given, message):
    """By the compiled function and by the interpreter."""
    x, _, y = network()
    for call in (function([x], y), lambda a: evaluate(y, {x: a})):
        with pytest.raises(GraphnnError, match=message):
            call(given)


def test_integers_are_not_rounded_from_floats():
    """A float array for an integer input is an error; another integer type is converted."""
    t = Input((None,), "t", dtype="int32")
    call = function([t], op("y[n] = t[n] + 1")(t))
    assert call(np.array([1, 2], "int64")).tolist() == [2, 3]
    with pytest.raises(DtypeError, match="t: expected int32"):
        call(np.array([1.0]))
    with pytest.raises(DtypeError, match="do not fit"):
        call(np.array([2**40]))


def test_two_inputs_must_agree_on_the_batch():
    """The batch is one size for all inputs."""
    a, b = Input((None, 2), "a"), Input((None, 2), "b")
    call = function([a, b], a + b)
    with pytest.raises(ShapeError, match="b: .*N is 3 in a, here 4"):
        call(np.ones((3, 2)), np.ones((4, 2)))


def test_a_subscript_out_of_range_names_its_place():
    """Checked before anything is computed."""
    table = Parameter(np.ones((5, 2), "float32"), "table")
    t = Input((None,), "tokens", dtype="int32")
    call = function([t], sum(op("y[n, e] = E[t[n], e]")(table, t)))
    with pytest.raises(IndexError, match=r"tokens\[1\] is 5"):
        call(np.array([0, 5]))


def test_an_input_that_is_needed_must_be_listed():
    """Found when the function is made."""
    _x, _, y = network()
    with pytest.raises(GraphnnError, match="x.*not among the inputs"):
        function([], y)


def test_inputs_and_updates_are_what_they_should_be():
    """Arrays are given to the function, gradients to the optimizer."""
    x, _, y = network()
    with pytest.raises(GraphnnError, match="expected gn.Input nodes as inputs, got ndarray"):
        function([np.ones((2, 3))], y)
    with pytest.raises(GraphnnError, match="what optimizer.apply_gradients gives, got dict"):
        function([x], y, updates=gn.compute_gradients(gn.sum(y)))


def test_explain_shows_stages():
    """The same text in the same order at each call."""
    x, _, y = network()
    call = function([x], y)
    call(np.ones((2, 3), "float32"))
    assert call.explain() == call.explain()
    assert "exp" in call.explain()


def test_threads_may_share_a_function():
    """Each call gets the results of its own arrays: putting in, running, taking out is one thing."""
    x, _, y = network()
    call = function([x], y)
    batches = [np.full((40, 3), k, "float32") for k in range(4)]
    expected = [call(batch) for batch in batches]

    def many(k):
        return all(np.array_equal(call(batches[k]), expected[k]) for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(many, range(4)))


def test_every_error_on_purpose_has_one_base():
    """What the compiler refuses can be caught as graphnn's."""
    assert issubclass(compiler.CompilerError, GraphnnError)
    assert issubclass(compiler.ArrayError, GraphnnError)


def test_numbers_beyond_the_dtype_become_infinite_quietly():
    """No warning of NumPy's comes through."""
    x = Input((1,), "x")
    assert function([x], exp(x))(np.array([1e300])).tolist() == [np.inf]


@pytest.mark.parametrize("size", [1, 300, 1e4])
def test_the_interpreter_is_right_where_formulas_overflow(size):
    """It computes stable forms, as compiled code does; literally on demand only."""
    x = Input((3,), "x")
    y = op("y[i] = log(exp(x[i])/sum[j](exp(x[j])))")(x)
    given = np.array([size, 0, -size], "float32")
    expected = given.astype(float) - np.logaddexp.reduce(given.astype(float))
    for found in (evaluate(y, {x: given}), function([x], y)(given)):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert np.isfinite(evaluate(y, {x: given}, literal=True)).all() == (size == 1)


def test_windows_are_computed_as_asked() -> None:
    """Directly or by tiles, up to rounding; anything else is refused when it is said, by models too."""
    x = gn.Input((2, 8, 8, 4))
    y = gn.layers.Conv2D(4, 3)(x)
    given = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    results = {}
    for windows in ("direct", "winograd"):
        compiled = gn.function([x], y, windows=windows)
        results[windows] = compiled(given)
        assert ("tiles" in gn.explain(compiled, "order")) == (windows == "winograd")
    np.testing.assert_allclose(results["winograd"], results["direct"], atol=1e-4)
    with pytest.raises(gn.GraphnnError, match="got 'fast'"):
        gn.function([x], y, windows="fast")
    with pytest.raises(gn.GraphnnError, match="got 'fast'"):
        gn.Model(x, y).compile("sgd", "mse", windows="fast")
