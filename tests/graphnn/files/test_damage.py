"""Damaged and hostile files: one clear error, nothing run, nothing changed, nothing exhausted."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import graphnn as gn
from graphnn.files.container import pack, read_container
from graphnn.files.limits import DEFAULT
from graphnn.layers import Dense

from .models import classifier, layer_model

DIGEST = "0" * 64


def small_model(path):
    """The shortest file that has everything in it."""
    x = gn.Input((None, 2), "x")
    model = gn.Model(x, Dense(1)(x), name="m")
    model.compile("sgd", "mse")
    model.save(path)
    return path.read_bytes()


def container(records, data=b"", metadata=None):
    """The bytes of a file with this header, right or wrong."""
    header = records if isinstance(records, bytes) else json.dumps(records).encode()
    return len(header).to_bytes(8, "little") + header + data


def refused(path, data, match=None):
    """Reading these bytes raises `FormatError`, as a model and as weights."""
    path.write_bytes(data)
    with pytest.raises(gn.FormatError, match=match) as caught:
        gn.load_model(path)
    assert str(path) in str(caught.value)
    with pytest.raises(gn.FormatError, match=match):
        read_container(path)


def test_cut_off_anywhere(tmp_path):
    """A file that ends too early is refused at every length, and so is one that goes on."""
    data = small_model(tmp_path / "model")
    path = tmp_path / "cut"
    path.write_bytes(data)
    for length in reversed(range(len(data))):
        os.truncate(path, length)
        with pytest.raises(gn.FormatError):
            gn.load_model(path)
    refused(tmp_path / "cut", data + b"\0", "have")


def test_flipped_bits(tmp_path):
    """Not one changed bit goes unnoticed."""
    data = small_model(tmp_path / "model")
    rng = random.Random(1)
    for _ in range(1000):
        mutant = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            mutant[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if mutant != data:
            (tmp_path / "model").write_bytes(mutant)
            with pytest.raises(gn.FormatError):
                gn.load_model(tmp_path / "model")


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HEADERS = {
    "not JSON": b"{nothing",
    "not UTF-8": b'{"\xff": 1}',
    "a list": b"[1, 2]",
    "nothing": b"  ",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a long number": b'{"a": ' + b"9" * 100_000 + b"}",
    "not a number": b'{"a": NaN}',
    "a name twice": b'{"a": 1, "a": 1}',
    "half a character": b'{"\\ud800": ' + json.dumps(tensor()).encode() + b"}",
    "metadata that are no texts": {"__metadata__": {"a": 1}},
    "metadata that are a list": {"__metadata__": []},
    "an unknown dtype": {"a": tensor("F8")},
    "a dtype that is a list": {"a": tensor() | {"dtype": []}},
    "a key too many": {"a": tensor() | {"more": 1}},
    "a tensor that is a number": {"a": 3},
    "a negative size": {"a": tensor(shape=(-2, -1))},
    "a size that is real": {"a": tensor(shape=(2.0,))},
    "a size that is a truth": {"a": tensor(shape=(True, 2))},
    "a huge size": {"a": tensor(shape=(2**62, 2**62))},
    "a huge empty tensor": {"a": tensor(shape=(0, 2**62, 2**62), offsets=(0, 0))},
    "too many axes": {"a": tensor(shape=(1,) * 33 + (2,))},
    "offsets beyond the end": {"a": tensor(shape=(4,), offsets=(0, 16))},
    "offsets backwards": {"a": tensor(offsets=(8, 0))},
    "negative offsets": {"a": tensor(offsets=(-8, 0))},
    "three offsets": {"a": tensor(offsets=(0, 8, 8))},
    "overlap": {"a": tensor(), "b": tensor()},
    "partial overlap": {"a": tensor(), "b": tensor(shape=(1,), offsets=(4, 8))},
    "a gap before": {"a": tensor(shape=(1,), offsets=(4, 8))},
    "a gap behind": {"a": tensor(shape=(1,), offsets=(0, 4))},
    "a long name": {"n" * 1025: tensor()},
    "a shape that does not fit": {"a": tensor(shape=(3,))},
    "a wrong digest": {"__metadata__": {"sha256": DIGEST}, "a": tensor()},
    "a digest that is a word": {"__metadata__": {"sha256": "right"}, "a": tensor()},
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers(name, tmp_path):
    """Whatever a header claims, it is compared with the file before anything is made of it."""
    refused(tmp_path / "file", container(HEADERS[name], b"\1" * 8))


def test_hostile_lengths(tmp_path):
    """The first eight bytes may say anything."""
    for length in (0, 1, 2, 9, 100, 2**20, 2**31, 2**63 - 1, 2**64 - 1):
        refused(tmp_path / "file", length.to_bytes(8, "little") + b"{}" * 4)
    refused(tmp_path / "file", b"")


def test_truth_values_are_0_or_1(tmp_path):
    """A bool that is neither would be undefined behaviour further on."""
    refused(tmp_path / "file", container({"a": tensor("BOOL")}, b"\0\1" * 4), "does not fit")
    refused(tmp_path / "file", container({"a": tensor("BOOL", (8,))}, b"\0\2" * 4), "truth values")


def test_what_is_no_file(tmp_path):
    """A device that never ends is not read."""
    with pytest.raises(gn.FormatError, match="not a regular file"):
        gn.load_model("/dev/zero")


def test_limits_can_be_moved(tmp_path):
    """Each limit refuses, by name, what is above it, and can be raised or lowered."""
    data = small_model(tmp_path / "model")
    header = int.from_bytes(data[:8], "little")
    assert gn.load_model(tmp_path / "model", replace(DEFAULT, header=header)).name == "m"
    for limit in ({"header": header - 1}, {"values": 10}, {"tensors": 1}, {"name": 3}):
        with pytest.raises(gn.FormatError, match=r"limit|at most"):
            gn.load_model(tmp_path / "model", replace(DEFAULT, **limit))
    for limit in ({"nodes": 3}, {"text": 20}, {"size": 1}, {"rank": 1}):
        with pytest.raises(gn.FormatError, match=r"limit|more than|at most"):
            gn.load_model(tmp_path / "model", replace(DEFAULT, **limit))


# --- graphs with a right digest ------------------------------------------------------------------


@pytest.fixture
def forge(tmp_path):
    """A file with a changed graph and a right digest, and what loading it says."""
    return forger(classifier(), tmp_path)


def forger(model, folder):
    """A function that changes the graph in the model's file, and loads it."""
    model.save(folder / "model")
    contents = read_container(folder / "model")
    text = contents.metadata["graph"]

    def load(change, limits=DEFAULT):
        graph = json.loads(text)
        change(graph)
        metadata = contents.metadata | {"graph": json.dumps(graph), "sha256": DIGEST}
        (folder / "forged").write_bytes(b"".join(pack(contents.arrays, metadata)))
        return gn.load_model(folder / "forged", limits)

    assert load(lambda graph: None).name == model.name
    return load


def first(graph, kind):
    return next(node for node in graph["nodes"] if node["kind"] == kind)


def renumbered(graph):
    """The first operand of the first formula is the node of its own result: a cycle."""
    result = next(k for k, node in enumerate(graph["nodes"]) if node["kind"] == "result")
    application = graph["applications"][graph["nodes"][result]["application"]]
    application["operands"][next(iter(application["operands"]))] = result


CHANGES = {
    "a cycle": renumbered,
    "a later version": lambda g: g.update(version=2),
    "no version": lambda g: g.pop("version"),
    "a version that is a truth": lambda g: g.update(version="1"),
    "an unknown kind of node": lambda g: g["nodes"][0].update(kind="code"),
    "an unknown node": lambda g: g.update(outputs=[999]),
    "a negative node": lambda g: g.update(outputs=[-1]),
    "no outputs": lambda g: g.update(outputs=[]),
    "an input that is none": lambda g: g.update(inputs=g["outputs"]),
    "a missing input": lambda g: g.update(inputs=[]),
    "an unknown tensor": lambda g: first(g, "parameter").update(array="nothing"),
    "another tensor": lambda g: first(g, "parameter").update(array="dense_1.bias"),
    "an unknown dtype": lambda g: first(g, "input").update(dtype="object"),
    "a name that is a number": lambda g: first(g, "input").update(name=1),
    "a name that is too long": lambda g: first(g, "input").update(name="n" * 1025),
    "a shape with code": lambda g: first(g, "input").update(shape=["__import__('os')", 4]),
    "a huge shape": lambda g: first(g, "input").update(shape=["N", 2**62]),
    "an unknown operand": lambda g: g["applications"][0]["operands"].update(z=0),
    "a missing operand": lambda g: g["applications"][0]["operands"].popitem(),
    "an unknown target": lambda g: first(g, "result").update(target="z"),
    "a target that is an operand": lambda g: first(g, "result").update(target="x"),
    "an unknown role": lambda g: g["applications"][0].update(role="evil"),
    "a fraction by zero": lambda g: g["operations"][0].update(attributes={"a": "1/0"}),
    "a fraction with an exponent": lambda g: g["operations"][0].update(
        attributes={"a": "1e999999"}
    ),
    "a layer without end": lambda g: g["calls"][0].update(inputs=[len(g["nodes"]) - 1]),
    "an output of a call that is no node": lambda g: g["calls"][0].update(output=999),
    "an output of a call that is a truth": lambda g: g["calls"][0].update(output=True),
    "no outputs of a call": lambda g: g["calls"][0].update(output=[]),
    "outputs in outputs": lambda g: g["calls"][0].update(output=[[0]]),
    "a negative number of calls": lambda g: g["layers"][0].update(calls=-1),
    "no number of calls": lambda g: g["layers"][0].pop("calls"),
    "a weight twice": lambda g: g["layers"][0]["weights"].append(g["layers"][0]["weights"][0]),
    "a weight that is none": lambda g: g["layers"][0].update(weights=[0]),
    "an unknown loss": lambda g: g["training"]["losses"][0].update(function="os.system"),
    "an option of a loss": lambda g: g["training"]["losses"][0].update(options={"evil": 1}),
    "a list as option": lambda g: g["training"]["losses"][0].update(options={"from_logits": []}),
    "a loss too many": lambda g: g["training"]["losses"].append(g["training"]["losses"][0]),
    "an unknown metric": lambda g: g["training"]["metrics"][0][0].update(function="evil"),
    "a rate that is a weight": lambda g: g["training"]["optimizer"].update(rate=1),
    "a seed below zero": lambda g: g["random"].update(seed=-1),
    "nodes that are an object": lambda g: g.update(nodes={}),
    "a training of texts": lambda g: g.update(training="adam"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_hostile_graphs(name, forge):
    """A right digest makes no graph right: every reference, name and number is checked."""
    with pytest.raises(gn.FormatError):
        forge(CHANGES[name])


def nested_layer(graph):
    return next(layer for layer in graph["layers"] if "outputs" in layer)


NESTED = {
    "an output that stands behind": lambda g: nested_layer(g).update(outputs=g["outputs"]),
    "no outputs": lambda g: nested_layer(g).update(outputs=[]),
    "an input that is none": lambda g: nested_layer(g).update(inputs=nested_layer(g)["outputs"]),
    "an input that is missing": lambda g: nested_layer(g).update(inputs=[]),
    "one output of two": lambda g: nested_layer(g)["outputs"].append(0),
    "a single output that is a number": lambda g: nested_layer(g).update(single_output=1),
    "calls that are a text": lambda g: nested_layer(g).update(calls="2"),
    "a kind that is a list": lambda g: nested_layer(g).update(kind=[]),
    "a model as the layer of a choice": lambda g: [
        node.update(layer=g["layers"].index(nested_layer(g)))
        for node in g["nodes"]
        if node["kind"] == "choice"
    ],
}


def test_hostile_networks_within(tmp_path):
    """A model within the model is checked as the model is; how many there are is bounded."""
    load = forger(nested_model(), tmp_path)
    for change in NESTED.values():
        with pytest.raises(gn.FormatError):
            load(change)
    with pytest.raises(gn.FormatError, match="more than the limit of 0 in it"):
        load(lambda graph: None, replace(DEFAULT, models=0))


FORMULAS = {
    "code": "__import__('os').system('touch evil')",
    "a call": "y[n, o] = x.__class__.__base__",
    "a comprehension": "y[n, o] = [i for i in x]",
    "a lambda": "y[n, o] = (lambda: 0)()",
    "a string": "y[n, o] = 'x'*9**9",
    "a walrus": "y[n, o] = (z := 1)",
    "an import": "import os",
    "a decorator": "@x\ndef y(): pass",
    "a huge power": "y[n, o] = 9**9**9**9",
    "a huge size": "y[n:9**999, o:9**999] = 1",
    "a huge number": "y[n, o] = 1e999",
    "many digits": "y[n, o] = " + "9" * 10_000,
    "deep parentheses": "y[n, o] = " + "(" * 150 + "1" + ")" * 150,
    "deep signs": "y[n, o] = " + "-" * 5000 + "1",
    "a long sum": "y[n, o] = " + "+".join("1" * 60_000),
    "nothing": "",
    "a zero byte": "y[n, o] = x[n, o]\0",
    "half a character": "y[n, o] = x[n, o]\ud800",
    "other operands": "y[n, o] = sum[i](q[n, i]*W[i, o]) + b[o]",
}


@pytest.mark.parametrize("name", FORMULAS)
def test_hostile_formulas(name, forge, tmp_path, monkeypatch):
    """What is not a formula is refused by the notation's parser, quickly, and never run."""
    monkeypatch.chdir(tmp_path)

    def change(graph):
        operation = next(o for o in graph["operations"] if o["operands"] == ["x", "W", "b"])
        operation["formula"] = FORMULAS[name]

    with pytest.raises(gn.FormatError):
        forge(change).predict(np.zeros((2, 4), "float32"))
    assert not (tmp_path / "evil").exists()


def test_a_formula_that_needs_itself(forge):
    """No graph holds it, and so no file."""

    def change(graph):
        operation = next(o for o in graph["operations"] if o["operands"] == ["x", "W", "b"])
        operation["formula"] = "y[n, o] = y[n, o] + sum[i](x[n, i]*W[i, o]) + b[o]"

    with pytest.raises(gn.FormatError, match="values depend on themselves"):
        forge(change)


HOSTILE = [None, -1, 0, 1, 5, 10**30, 1e308, True, "", "x", "N", "...", "a" * 2000, "\0", "int64"]
HOSTILE += ["../../x", [], {}, [[]], [1, 1], {"x": 0}, "1/0", "9" * 900, "y[...] = x[...]"]
HOSTILE += ["y[...] = x[...]**1000", "y[i:dim(x, 99)] = x[i]", "y[i] = sum[j:10**30](x[i + j])"]


def places(value, path=()):
    """The way to every part of a JSON value."""
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in entries:
        if isinstance(part, (dict, list)):
            yield from places(part, (*path, key))
        else:
            yield (*path, key)


def mutate(graph, rng):
    """One part of the graph replaced, removed, moved or misspelt."""
    *way, last = rng.choice(list(places(graph)))
    part = graph
    for key in way:
        part = part[key]
    old = part[last]
    match rng.randrange(4):
        case 0:
            del part[last]
        case 1 if type(old) is int:
            part[last] = old + rng.choice((-1, 1, 2))
        case 2 if isinstance(old, str) and old:
            at = rng.randrange(len(old))
            part[last] = old[:at] + rng.choice(["", "0", "x", "[", ")", ",", "**"]) + old[at + 1 :]
        case _:
            part[last] = json.loads(json.dumps(rng.choice(HOSTILE)))


def nested_model():
    """A network twice in another one, once told to be as in training."""
    layers = [
        Dense(3, kernel_regularizer="l2"),
        gn.layers.Dropout(0.5),
        gn.layers.BatchNormalization(),
    ]
    inner = gn.Sequential([gn.Input((None, 4)), *layers])
    x = gn.Input((None, 4), "x")
    return gn.Model(x, gn.layers.Add()([inner(x), inner(x, training=True)]))


@pytest.mark.parametrize("layer", ["Dense", "LSTM", "Dropout", "nested"])
def test_mutants_with_a_right_digest(layer, tmp_path):
    """Graphs changed at random: a FormatError, or a model that prints, can be saved and loaded again."""
    path = tmp_path / "model"
    model = nested_model() if layer == "nested" else layer_model(layer)
    model.compile("adam", lambda t, p: gn.mean((t - p) ** 2), ["mae"])
    model.save(path)
    contents = read_container(path)
    rng = random.Random(layer)
    for _ in range(150):
        graph = json.loads(contents.metadata["graph"])
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            mutate(graph, rng)
        metadata = contents.metadata | {"graph": json.dumps(graph), "sha256": DIGEST}
        path.write_bytes(b"".join(pack(contents.arrays, metadata)))
        try:
            loaded = gn.load_model(path)
        except gn.FormatError:
            continue
        assert str(loaded).startswith(loaded.name)
        loaded.save(path)
        assert str(gn.load_model(path)) == str(loaded)


AUDIT = """
import sys
import graphnn as gn

first, path = sys.argv[1:]
gn.load_model(first)  # what is imported late is there now
events = []
watching = True
def hook(event, arguments):
    if watching:
        events.append((event, arguments))
sys.addaudithook(hook)
model = gn.load_model(path)
watching = False
for event, arguments in events:
    if event == "compile":
        assert arguments[1] == "<unknown>", arguments  # ast.parse of a formula: a tree, no code
    elif event == "open":
        assert arguments[0] == path, arguments
    else:
        assert event.startswith(("builtins.id", "object.__getattr__", "sys._getframe")), event
print(sorted({event for event, _ in events} - {"builtins.id"}))
"""


def test_loading_runs_nothing(tmp_path):
    """Audit events while loading: the one file is opened, formulas are parsed; no exec, import, process, socket."""
    classifier().save(tmp_path / "first")
    x = gn.Input((None, 4), "x")
    own = gn.op("y[...] = x[...] + 3*sin(x[...])")
    model = gn.Model(x, Dense(2)(own(x)))
    model.compile("rmsprop", lambda t, p: gn.mean((t - p) ** 4))
    model.save(tmp_path / "second")
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, str(tmp_path / "first"), str(tmp_path / "second")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['compile', 'open']"


MEMORY = """
import resource, sys
import graphnn as gn
gn.load_model(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    try:
        gn.load_model(path)
    except gn.FormatError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_memory_is_bounded(tmp_path):
    """Files that claim much or nest much cost at most twice their size and 64 MB."""
    classifier().save(tmp_path / "model")
    files = {
        "claims": container({"a": tensor(shape=(2**40,), offsets=(0, 2**42))}),
        "lists": container(b'{"a":[' + b"[]," * 2_000_000 + b"[]]}"),
        "numbers": container(b'{"a":[' + b"1," * 4_000_000 + b"1]}"),
        "deep": container(b"[" * 8_000_000),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *(str(tmp_path / n) for n in ("model", *files))],
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) < (64 << 10) + 2 * (8 << 10), done.stderr
