"""Nodes and graphs: names, shapes, dtypes, order, printing, lowering."""

from concurrent.futures import ThreadPoolExecutor

import networkx as nx
import numpy as np
import pytest

import graphnn as gn
from compiler.machine.arrays import aligned_array
from graphnn.graph.graph import Graph
from graphnn.graph.lower import lower
from graphnn.graph.node import BATCH, Constant, Parameter
from graphnn.graph.surroundings import graph_role, layer_scope
from graphnn.layers import Dense
from graphnn.training.trained import Trained


def test_shapes_show_what_is_open():
    """None for the batch and for other open axes; the type shows their symbols."""
    x = gn.Input((None, None, 3), "x")
    assert x.shape == (None, None, 3)
    assert x.type == "f32[N, x_1, 3]"
    assert repr(x) == "<Input x: f32[N, x_1, 3]>"
    assert x.dims[0] == BATCH == gn.Input((None,)).dims[0]


@pytest.mark.parametrize(
    ("shape", "dtype", "error"),
    [
        (3, "float32", gn.ShapeError),
        ((3, 0), "float32", gn.ShapeError),
        ((3, -1), "float32", gn.ShapeError),
        ((2.5,), "float32", gn.ShapeError),
        ((3,), "float16", gn.DtypeError),
        ((3,), "complex64", gn.DtypeError),
        (None, "float32", gn.ShapeError),
    ],
)
def test_inputs_refuse_what_is_no_shape_or_dtype(shape, dtype, error):
    """When the input is made."""
    with pytest.raises(error):
        gn.Input(shape, dtype=dtype)


def test_parameters_keep_their_memory():
    """Assigning writes into the same aligned memory, shapes and dtypes must fit."""
    p = Parameter(np.arange(6.0).reshape(2, 3), "p")
    memory = p.value
    assert memory.ctypes.data % 64 == 0
    p.assign(np.ones((2, 3)))
    assert p.value is memory
    assert p.value.tolist() == [[1, 1, 1]] * 2
    with pytest.raises(
        gn.ShapeError, match=r"p: expected an array of shape \(2, 3\), got \(3, 2\)"
    ):
        p.assign(np.ones((3, 2)))
    with pytest.raises(gn.DtypeError, match="p: expected float64, got complex128"):
        p.assign(np.ones((2, 3), complex))


def test_constants_never_change():
    """A constant holds a copy that cannot be written to."""
    array = np.ones(3)
    constant = Constant(array)
    array[0] = 5
    assert constant.value.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        constant.value[0] = 2


@pytest.mark.parametrize("shape", [(), (3,), (5, 7)])
def test_arrays_begin_on_a_cache_line(shape):
    """Aligned, contiguous, of the shape and dtype asked for."""
    array = aligned_array(shape, "float64")
    assert array.shape == shape
    assert array.ctypes.data % 64 == 0
    assert array.flags.c_contiguous


def test_names_are_unique_in_a_graph():
    """Nodes of one name, names that are no identifiers: every tensor of the graph has its own."""
    x, same = gn.Input((None, 2), "x"), gn.Input((None, 2), "x")
    odd = gn.Input((None, 2), "1 x-y")
    graph = Graph([x + same + odd])
    symbols = list(graph.symbols.values())
    assert len(set(symbols)) == len(symbols)
    assert {"x", "x_1", "_1_x_y"} <= set(symbols)


def test_layers_give_their_nodes_names_and_scopes():
    """Everything made in a layer bears its name, nested ones too."""
    with layer_scope("outer"):
        y = Dense(2, "relu", name="inner")(gn.Input((None, 3)))
    assert y.name == "inner"
    assert y.scope == ("outer", "inner")
    assert [n.name for n in y.inputs] == ["inner.z"]


def test_a_graph_is_a_network_in_topological_order():
    """networkx sees the data's edges; every node comes after what it reads."""
    x = gn.Input((None, 3), "x")
    h = Dense(4, "relu")(x)
    graph = Graph([Dense(2)(h) + gn.sum(h, -1, keepdims=True)])
    assert nx.is_directed_acyclic_graph(graph.network)
    place = {node: k for k, node in enumerate(graph.nodes)}
    assert all(place[a] < place[b] for a, b in graph.network.edges)
    assert nx.ancestors(graph.network, h) == {x, *h.inputs, *h.inputs[0].inputs} - {h}
    assert graph.inputs == [x]
    assert len(graph.parameters) == 4


def test_deep_graphs_are_no_problem():
    """Depth is not limited by Python's recursion."""
    x = gn.Input((2,), "x")
    y = x
    for _ in range(3000):
        y = y + 1.0
    graph = Graph([y])
    assert len(graph.applications) == 3000


def test_printing_is_one_equation_a_line():
    """In the notation, with the graph's names; numbers stand in the formulas; the same text every time."""
    x = gn.Input((None, 3), "x")
    w = Parameter(np.ones((3, 2), "float32"), "w")
    graph = Graph([gn.sigmoid(2 * x @ w)])
    lines = str(graph).splitlines()
    assert lines[0].endswith("= 2*x[n, i]")
    assert "sum[i](" in lines[1]
    assert lines[2].endswith(")")
    assert "1/(1 + exp(-" in lines[2]
    assert str(Graph(graph.outputs)) == str(graph)


def test_a_node_shows_its_formula():
    """In the names of its operands, as text and as LaTeX."""
    x = gn.Input((None, 3), "x")
    y = Dense(2, name="line")(x)
    assert str(y.formula) == "line[n, o] = sum[i](x[n, i]*line_kernel[i, o]) + line_bias[o]"
    assert r"\sum" in y.formula.latex
    assert y.formula._repr_latex_().startswith("$")


def test_new_values_print_as_new():
    """The new value of a state is its name with .new, as in the notation."""
    w = Parameter(np.ones(3, "float32"), "w")
    updates = gn.optimizers.SGD(name="sgd").apply_gradients(gn.compute_gradients(gn.sum(w * w)))
    assert "w.new[n] = w[n] - sgd_float32*d_w[n]" in str(updates)


def test_lowering_leaves_out_what_nobody_needs():
    """Equations of unused results stay out; inputs stay, so that calls keep their form."""
    both = gn.op("u[i] = 2*x[i]\nv[i] = 3*y[i]")
    x, y = gn.Input((3,), "x"), gn.Input((3,), "y")
    u, _ = both(x, y)
    system = lower([u]).system
    assert [e.target for e in system.equations] == [lower([u]).names[u]]
    assert system.names("input") == ("x", "y")


def test_lowering_needs_every_size():
    """An open batch must be given a number."""
    x = gn.Input((None, 3), "x")
    with pytest.raises(gn.GraphnnError, match="the size N is not known yet"):
        lower([2 * x])
    assert lower([2 * x], sizes={BATCH: 5}).system.by_name["x"].shape == (5, 3)


# --- operations -----------------------------------------------------------------------------------


def test_operands_come_by_position_or_by_name():
    """In order of first appearance, or named."""
    power = gn.op("y[...] = a[...]**2 + b[...]")
    a, b = gn.Input((2,), "a"), gn.Input((2,), "b")
    values = {a: np.array([1, 2], "float32"), b: np.array([10, 20], "float32")}
    for y in (power(a, b), power(b=b, a=a), power(a, b=b)):
        assert gn.evaluate(y, values).tolist() == [11, 24]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, x: f(x), "operand b is missing; operands are a, b"),
        (lambda f, x: f(x, x, x), r"takes 2 operands \(a, b\), got 3"),
        (lambda f, x: f(x, x, c=x), "c is not an operand"),
        (lambda f, x: f(x, a=x), "a is given twice"),
        (lambda f, x: f(x, "text"), "operand b must be a node, array or number, got str"),
        (lambda f, x: f(x, None), "operand b must be a node"),
    ],
)
def test_operations_refuse_wrong_operands(call, message):
    """With the names of the operands."""
    f, x = gn.op("y[...] = a[...] + b[...]", "plus"), gn.Input((2,), "x")
    with pytest.raises(gn.GraphnnError, match=message):
        call(f, x)


def test_one_operation_may_have_several_results():
    """Every target that no later line reads, or those asked for."""
    text = "s[n] = sum[i](x[n, i])\ny[n, i] = x[n, i]/s[n]\nm[n] = max[i](x[n, i])"
    x = gn.Input((None, 3), "x")
    y, m = gn.op(text, "parts")(x)
    assert (y.name, y.shape, m.name, m.shape) == ("parts.y", (None, 3), "parts.m", (None,))
    s = gn.op(text, outputs=("s",))(x)
    given = np.array([[1, 2, 5]], "float32")
    assert gn.evaluate([y, m, s], {x: given})[2].tolist() == [8]


def test_attributes_are_exact_numbers():
    """A decimal is the decimal that was written, an integer may stand in a subscript."""
    scaled = gn.op("y[i] = f*x[i + k]", f=0.1, k=1)
    x = gn.Input((3,), "x", "float64")
    assert str(scaled(x).formula).endswith("= 0.1*x[i + 1]")
    with pytest.raises(gn.GraphnnError, match="attribute f must be a number, got 'a'"):
        gn.op("y[i] = f*x[i]", f="a")


@pytest.mark.parametrize(
    ("text", "dtypes", "expected"),
    [
        ("y[i] = x[i] + 1", ["int32"], "int32"),
        ("y[i] = x[i] + z[i]", ["int32", "float64"], "float64"),
        ("y[i] = x[i] + z[i]", ["int32", "int64"], "int64"),
        ("y[i] = x[i] > 0", ["float64"], "bool"),
        ("y = argmax[i](x[i])", ["float64"], "int32"),
        ("y[i] = where(x[i] > 0, z[i], 0)", ["int32", "float32"], "float32"),
    ],
)
def test_dtypes_follow_from_the_operands(text, dtypes, expected):
    """Floats win over integers, comparisons are bool, positions are integers."""
    assert gn.op(text)(*(gn.Input((3,), dtype=d) for d in dtypes)).dtype == expected


def test_float_dtypes_do_not_mix():
    """Not even in a condition; the message says how to convert."""
    choice = gn.op("y[i] = where(x[i] > 0, z[i], 0)")
    with pytest.raises(gn.DtypeError, match=r"float64 and float32 do not mix: .* gn\.cast"):
        choice(gn.Input((3,), dtype="float64"), gn.Input((3,)))


def test_each_thread_builds_its_own_network():
    """What is noted of a layer, its scope and a role in one thread do not reach nodes made in another."""
    layer = Dense(2)
    layer(gn.Input((3,)))
    with (
        ThreadPoolExecutor(1) as other,
        layer_scope("here"),
        graph_role("update"),
        Trained({layer: False}).held(),
    ):
        assert not layer.trainable and not layer.kernel.trainable
        there, trained = other.submit(lambda: (gn.Input((1,)) + 1, layer.trainable)).result()
        here = gn.Input((1,)) + 1
    assert (here.scope, here.application.role) == (("here",), "update")
    assert (there.scope, there.application.role, trained) == ((), "forward", True)
    assert layer.trainable and layer.kernel.trainable


def test_formulas_may_be_indented_with_their_code():
    """Lines of a long string stand as if they began at the margin."""
    double = gn.op("""
        u[i] = x[i] + x[i]
        y[i] = 2*u[i]
    """)
    assert str(double) == "u[i] = x[i] + x[i]\ny[i] = 2*u[i]"
